/* operations.c - the operations that the stores have rows of: listed, or one by its name; and one watched
 * while it works. */
#include "core/look/look.h"
#include "core/ops/board.h"
#include "core/ops/journal.h"
#include "core/ops/result.h"
#include <string.h>

#define WATCH_MS  500
#define LISTED    500

typedef struct Question {
    char *pattern;
    unsigned which;
    GMutex *mutex;       /* of windows: stores are asked at the same time */
    GHashTable *windows; /* uuid -> set of account ids: unfinished ones, on any store */
    const char *named;   /* uuids, with commas between: only these; NULL: by pattern and which */
} Question;

/* What the question selects, as columns of the table `o`. */
#define COLUMNS                                                                              \
    "SELECT o.uuid, o.verb, o.parameters, o.host, o.pid, o.who, " LOOK_OPERATION_STATE ", o.cause," \
    " CAST(UNIX_TIMESTAMP(o.started) * 1000 AS UNSIGNED),"                                   \
    " CAST(IFNULL(UNIX_TIMESTAMP(o.ended), 0) * 1000 AS UNSIGNED),"                          \
    " TIMESTAMPDIFF(MICROSECOND, o.heartbeat, UTC_TIMESTAMP(3)) DIV 1000,"                   \
    " o.result, o.batch_name, o.comment, o.progress, o.wanted, o.wanted_by, o.process,"      \
    " o.complete, o.notes"                                                                   \
    " FROM zxmove.operation o"
enum {
    UUID, VERB, PARAMETERS, HOST, PID, WHO, STATE, CAUSE, STARTED, ENDED, SILENT, RESULT, BATCH,
    COMMENT, PROGRESS, WANTED, WANTED_BY, PROCESS, COMPLETE,
    NOTES,
};

static void look_free(OperationLook *look)
{
    g_free(look->operation);
    g_free(look->store);
    g_free(look->verb);
    g_free(look->command);
    g_free(look->host);
    g_free(look->who);
    g_free(look->state);
    g_free(look->cause);
    g_free(look->batch_name);
    g_free(look->comment);
    g_free(look->result);
    g_free(look->wanted);
    g_free(look->wanted_by);
    g_free(look->process);
    g_free(look->halted);
    g_ptr_array_unref(look->notes);
    g_free(look);
}

static char *text(const Rows *rows, unsigned i, unsigned column)
{
    return g_strdup(rows_text(rows, i, column));
}

static OperationLook *look_new(const char *store, const Rows *rows, unsigned i)
{
    OperationLook *look = g_new0(OperationLook, 1);
    BoardSum sum = board_sum(rows_text(rows, i, PROGRESS));

    *look = (OperationLook){
        .operation = text(rows, i, UUID),
        .store = g_strdup(store),
        .verb = text(rows, i, VERB),
        .command = text(rows, i, PARAMETERS),
        .host = text(rows, i, HOST),
        .pid = (unsigned)rows_u64(rows, i, PID),
        .process = text(rows, i, PROCESS),
        .who = text(rows, i, WHO),
        .state = text(rows, i, STATE),
        .cause = text(rows, i, CAUSE),
        .started = rows_i64(rows, i, STARTED),
        .ended = rows_i64(rows, i, ENDED),
        .silent_ms = MAX(rows_i64(rows, i, SILENT), 0),
        .result = text(rows, i, RESULT),
        .batch_name = text(rows, i, BATCH),
        .comment = text(rows, i, COMMENT),
        .mailboxes = sum.mailboxes,
        .done = sum.done,
        .failed = sum.failed,
        .bytes = sum.bytes,
        .bytes_done = sum.bytes_done,
        .notes = g_ptr_array_new_with_free_func(g_free),
    };
    look->ended_yet = look->ended != 0;
    /* Only of one that is at work, and has nothing else to say. */
    if (look->cause == NULL && g_strcmp0(look->state, "running") == 0)
        look->cause = g_steal_pointer(&sum.held_up);
    g_free(sum.held_up);
    if (strcmp(rows_text(rows, i, WANTED), "go") != 0)
        look->wanted = text(rows, i, WANTED);
    else if (rows_u64(rows, i, COMPLETE) != 0)
        look->wanted = g_strdup("complete");
    if (look->wanted != NULL)
        look->wanted_by = text(rows, i, WANTED_BY);
    result_whole_read(rows_text(rows, i, NOTES), look->notes, &look->halted);
    return look;
}

static bool is_wanted(const OperationLook *look, unsigned which)
{
    bool lost = strcmp(look->state, "lost") == 0;

    if (which & OPERATIONS_UNFINISHED)
        return lost || (look->ended_yet && look->windows > 0);
    return (which & (look->ended_yet ? OPERATIONS_ENDED : OPERATIONS_GOING)) != 0;
}

/* Of an operation that has its row on another store, too: a way back may lead to several. */
static bool read_windows(const Site *site, const Question *question, GError **error)
{
    g_autoptr(Rows) rows = db_query(site->store->control, error,
                                    "SELECT operation, account_id FROM zxmove.fence"
                                    " WHERE operation LIKE ? AND state NOT IN ('done', 'undone')",
                                    DB_ARGS(db_text(question->pattern)));

    g_mutex_lock(question->mutex);
    for (unsigned i = 0; rows != NULL && i < rows_count(rows); i++) {
        GHashTable *ids = g_hash_table_lookup(question->windows, rows_text(rows, i, 0));

        if (ids == NULL) {
            ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
            g_hash_table_insert(question->windows, text(rows, i, 0), ids);
        }
        g_hash_table_add(ids, text(rows, i, 1));
    }
    g_mutex_unlock(question->mutex);
    return rows != NULL;
}

/* What needs somebody is asked for as such, however much was done since. */
static Rows *read_operations(const Site *site, const Question *question, GError **error)
{
    Db *db = site->store->control;

    if (question->named != NULL)
        return db_query(db, error, COLUMNS " WHERE FIND_IN_SET(o.uuid, ?)",
                        DB_ARGS(db_text(question->named)));
    if (question->which & OPERATIONS_UNFINISHED)
        return db_query(db, error,
                        COLUMNS " WHERE o.uuid LIKE ? AND (o.ended IS NULL OR o.uuid IN (SELECT"
                        " operation FROM zxmove.fence WHERE state NOT IN ('done', 'undone')))"
                        " ORDER BY o.started DESC",
                        DB_ARGS(db_text(question->pattern)));
    return db_query(db, error,
                    COLUMNS " WHERE o.uuid LIKE ? AND (? OR o.ended IS NULL)"
                    " ORDER BY o.started DESC LIMIT ?",
                    DB_ARGS(db_text(question->pattern),
                            db_u64(question->which != OPERATIONS_GOING), db_u64(LISTED)));
}

static void visit(Site *site, const void *data)
{
    const Question *question = data;
    g_autoptr(Rows) rows = NULL;
    GError *problem = NULL;

    if (site->store->control == NULL || !site->records)
        return;
    if (!read_windows(site, question, &problem)) {
        site_failed(site, problem);
        return;
    }
    rows = read_operations(site, question, &problem);
    if (rows == NULL) {
        site_failed(site, problem);
        return;
    }
    for (unsigned i = 0; i < rows_count(rows); i++)
        g_ptr_array_add(site->found, look_new(site->where->name, rows, i));
}

/* With an open window on one store and the row on another, which did not know of it; NULL: none. */
static char *not_seen(const Question *question, const GPtrArray *looks)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    GString *out = g_string_new(NULL);
    GHashTableIter windows;
    void *uuid;

    for (guint i = 0; i < looks->len; i++)
        g_hash_table_add(seen, ((OperationLook *)g_ptr_array_index(looks, i))->operation);
    g_hash_table_iter_init(&windows, question->windows);
    while (g_hash_table_iter_next(&windows, &uuid, NULL))
        if (!g_hash_table_contains(seen, uuid))
            g_string_append_printf(out, "%s%s", out->len > 0 ? "," : "", (const char *)uuid);
    return g_string_free(out, out->len == 0);
}

static bool look_for_others(const Sites *sites, const Question *first, Looked *looked,
                            const Wait *wait, GError **error)
{
    g_autofree char *named = not_seen(first, looked->items);
    Question question = *first;
    Sites again = *sites;
    g_autoptr(GPtrArray) visited = NULL;

    if (named == NULL)
        return true;
    question.named = named;
    again.question = &question;
    visited = sites_visit(&again, wait, error);
    if (visited != NULL)
        looked_take(looked, visited);
    return visited != NULL;
}

static void keep_wanted(const Question *question, GPtrArray *looks)
{
    for (guint i = 0; i < looks->len;) {
        OperationLook *look = g_ptr_array_index(looks, i);
        GHashTable *ids = g_hash_table_lookup(question->windows, look->operation);

        look->windows = ids != NULL ? g_hash_table_size(ids) : 0;
        if (is_wanted(look, question->which))
            i++;
        else
            g_ptr_array_remove_index(looks, i);
    }
}

static int newest_first(const void *a, const void *b)
{
    const OperationLook *x = *(OperationLook *const *)a, *y = *(OperationLook *const *)b;

    return (x->started < y->started) - (x->started > y->started);
}

/* A way back to several stores had a row on each before it had one for all. */
static void drop_doubles(GPtrArray *looks)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < looks->len;)
        if (g_hash_table_add(seen, ((OperationLook *)g_ptr_array_index(looks, i))->operation))
            i++;
        else
            g_ptr_array_remove_index(looks, i);
}

/* A prefix of letters and digits only: nothing in it means anything to LIKE. */
static bool is_prefix(const char *prefix, GError **error)
{
    if (strspn(prefix, "0123456789abcdefABCDEF-") == strlen(prefix))
        return true;
    return fail(error, ZX_ERROR_USAGE, "%s is no operation: a uuid is wanted, or how it begins",
                prefix);
}

Looked *look_operations(const Conf *conf, const char *operation, unsigned which, const Wait *wait,
                        GError **error)
{
    const unsigned parts = STORE_PART(STORE_DATABASE);
    g_autofree char *prefix = g_ascii_strdown(operation != NULL ? operation : "", -1);
    g_autofree char *pattern = g_strconcat(prefix, "%", NULL);
    g_autoptr(GHashTable) windows =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_hash_table_unref);
    GMutex mutex = { 0 };
    const Question question = {
        .pattern = pattern, .which = which, .mutex = &mutex, .windows = windows
    };
    const Sites sites = { .conf = conf,
                          .parts = parts,
                          .visit = visit,
                          .question = &question,
                          .free_found = (GDestroyNotify)look_free };
    g_autoptr(Looked) looked = looked_new((GDestroyNotify)look_free);
    g_autoptr(GPtrArray) visited = NULL;

    if (!is_prefix(prefix, error) || (visited = sites_visit(&sites, wait, error)) == NULL)
        return NULL;
    looked_take(looked, visited);
    looked_miss_sites(looked, visited, parts);
    if ((which & OPERATIONS_UNFINISHED) &&
        !look_for_others(&sites, &question, looked, wait, error))
        return NULL;
    keep_wanted(&question, looked->items);
    g_ptr_array_sort(looked->items, newest_first);
    drop_doubles(looked->items);
    return g_steal_pointer(&looked);
}

Looked *look_operation(const Conf *conf, const char *operation, const Wait *wait, GError **error)
{
    unsigned which = OPERATIONS_GOING | (operation != NULL ? OPERATIONS_ENDED : 0);
    g_autoptr(Looked) looked = look_operations(conf, operation, which, wait, error);

    if (looked == NULL)
        return NULL;
    if (looked->items->len > 1 && operation != NULL)
        fail(error, ZX_ERROR_USAGE, "%u operations begin with %s: give more of it",
             looked->items->len, operation);
    else if (looked->items->len == 0 && looked->unreached->len > 0) {
        const Unreached *unreached = g_ptr_array_index(looked->unreached, 0);

        fail(error, unreached->code, "%s could not be asked for its operations: %s",
             unreached->server, unreached->reason);
    } else if (looked->items->len == 0 && operation != NULL)
        fail(error, ZX_ERROR_NOT_FOUND, "no store has a record of an operation %s\nsee: "
             "getOperationLog", operation);
    else if (looked->items->len == 0)
        fail(error, ZX_ERROR_NOT_FOUND, "no operation is going on\nsee: getOperationLog");
    else {
        g_ptr_array_set_size(looked->items, 1);
        return g_steal_pointer(&looked);
    }
    return NULL;
}

/* One that is being watched. */
typedef struct Watch {
    const Conf *conf;
    const OperationLook *operation;
    Store *store; /* NULL: not connected */
    GPtrArray *results;
    GHashTable *told;
    unsigned seen; /* mailboxes that ended */
    EventSink *sink;
    void *data;
} Watch;

static OperationLook *read_row(Watch *watch, char **progress, GError **error)
{
    g_autoptr(Rows) row =
        db_query_one(watch->store->control, error, COLUMNS " WHERE o.uuid = ?",
                     DB_ARGS(db_text(watch->operation->operation)));

    if (row == NULL)
        return NULL;
    *progress = text(row, 0, PROGRESS);
    return look_new(watch->operation->store, row, 0);
}

static bool tell_ended(Watch *watch, const OperationLook *now, GError **error)
{
    g_autoptr(GPtrArray) ended = journal_mailboxes(
        watch->store->control, watch->operation->operation, (int)watch->seen, error);

    for (guint i = 0; ended != NULL && i < ended->len; i++) {
        JournalMailbox *mailbox = g_ptr_array_index(ended, i);
        MailboxResult *result;
        unsigned index;

        if (!journal_number(watch->store->control, now->operation, mailbox, now->mailboxes, &index,
                            error))
            return false;
        result = g_steal_pointer(&mailbox->result);
        watch->seen = mailbox->seq;
        g_ptr_array_add(watch->results, result);
        if (result->outcome == OUTCOME_SKIPPED)
            continue;
        watch->sink(watch->data, &(Event){ .type = EVENT_MAILBOX_DONE,
                                           .operation = now->operation,
                                           .account = result->address,
                                           .index = index,
                                           .total = index > 0 ? now->mailboxes : 0,
                                           .mailbox_bytes = result->bytes,
                                           .result = result });
    }
    return ended != NULL;
}

/* One look; NULL if the store could not be asked. */
static OperationLook *look_once(Watch *watch, GError **error)
{
    const ConfStore *where = conf_store(watch->conf, watch->operation->store);
    g_autofree char *progress = NULL;
    OperationLook *now;

    if (watch->store == NULL)
        watch->store = store_open_look(watch->conf, where, error);
    if (watch->store == NULL)
        return NULL;
    now = read_row(watch, &progress, error);
    if (now == NULL)
        return NULL;
    board_tell(progress, now->operation, watch->told, watch->sink, watch->data);
    if (tell_ended(watch, now, error))
        return now;
    look_free(now);
    return NULL;
}

static bool is_over(const OperationLook *look)
{
    return look->ended_yet || strcmp(look->state, "lost") == 0;
}

/* By all stores that answer. */
static unsigned open_windows(const Conf *conf, const char *operation, const Wait *wait)
{
    g_autoptr(Looked) looked = look_operation(conf, operation, wait, NULL);

    return looked != NULL ? ((const OperationLook *)g_ptr_array_index(looked->items, 0))->windows
                          : 0;
}

Looked *look_watch(const Conf *conf, const OperationLook *operation, GPtrArray *results,
                   EventSink *sink, void *data, const Wait *wait, GError **error)
{
    g_autoptr(Looked) looked = looked_new((GDestroyNotify)look_free);
    g_autoptr(GHashTable) told = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    Watch watch = { .conf = conf,
                    .operation = operation,
                    .results = results,
                    .told = told,
                    .sink = sink,
                    .data = data };
    OperationLook *now = NULL;
    bool silent = false; /* said that the store does not answer */

    while (!wait_stopped(wait)) {
        g_autoptr(GError) problem = NULL;

        now = look_once(&watch, &problem);
        if (now != NULL && is_over(now))
            break;
        if (now == NULL) {
            g_clear_pointer(&watch.store, store_close);
            if (!silent)
                sink(data, &(Event){ .type = EVENT_NOTE,
                                     .operation = operation->operation,
                                     .text = problem->message });
        }
        silent = now == NULL;
        g_clear_pointer(&now, look_free);
        wait_pause(wait, WATCH_MS);
    }
    store_close(watch.store);
    if (now == NULL) {
        fail(error, ZX_ERROR_INTERRUPTED, "interrupted");
        return NULL;
    }
    now->windows = open_windows(conf, now->operation, wait);
    g_ptr_array_add(looked->items, now);
    return g_steal_pointer(&looked);
}

GPtrArray *look_operation_mailboxes(const Conf *conf, const OperationLook *operation, GError **error)
{
    g_autoptr(Store) store = store_open_look(conf, conf_store(conf, operation->store), error);
    g_autoptr(GPtrArray) list =
        store != NULL ? journal_mailboxes(store->control, operation->operation, -1, error) : NULL;
    GPtrArray *results;

    if (list == NULL)
        return NULL;
    results = g_ptr_array_new_with_free_func((GDestroyNotify)result_free);
    for (guint i = 0; i < list->len; i++) {
        JournalMailbox *mailbox = g_ptr_array_index(list, i);

        g_ptr_array_add(results, g_steal_pointer(&mailbox->result));
    }
    return results;
}
