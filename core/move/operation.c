/* operation.c - what the mailboxes of one operation share: directory, stores, report. */
#include "core/base/log.h"
#include "core/move/move.h"
#include <string.h>

/* A random UUID, as RFC 4122 version 4 has it. */
static void new_uuid(char out[37])
{
    g_autofree char *uuid = g_uuid_string_random();

    g_strlcpy(out, uuid, 37);
}

MailboxResult *report_add_mailbox(Report *report, const char *address, const char *account_id,
                                  const char *source, const char *destination)
{
    MailboxResult *result = result_new(address, account_id, source, destination);

    g_ptr_array_add(report->mailboxes, result);
    return result;
}

MailboxResult *operation_add_result(Operation *op, const char *address, const char *account_id,
                                    const char *source, const char *destination)
{
    return report_add_mailbox(op->report, address, account_id, source, destination);
}

MailboxResult *operation_result(const Operation *op, const GArray *places, guint i)
{
    return g_ptr_array_index(op->report->mailboxes, g_array_index(places, guint, i));
}

static void disk_free(DiskForecast *disk)
{
    g_free(disk->what);
    g_free(disk);
}

Report *report_empty(void)
{
    Report *report = g_new0(Report, 1);

    report->mailboxes = g_ptr_array_new_with_free_func((GDestroyNotify)result_free);
    report->notes = g_ptr_array_new_with_free_func(g_free);
    report->disks = g_ptr_array_new_with_free_func((GDestroyNotify)disk_free);
    report->risks = g_ptr_array_new_with_free_func(g_free);
    return report;
}

void report_free(Report *report)
{
    if (report == NULL)
        return;
    g_free(report->verb);
    g_free(report->command);
    g_free(report->who);
    g_free(report->host);
    g_free(report->batch_name);
    g_free(report->comment);
    g_ptr_array_unref(report->mailboxes);
    g_ptr_array_unref(report->notes);
    g_ptr_array_unref(report->disks);
    g_ptr_array_unref(report->risks);
    g_strfreev(report->notifications);
    g_free(report->mail_problem);
    g_free(report->halted);
    g_free(report->log_path);
    g_free(report->mailbox_logs);
    g_free(report->report_path);
    g_free(report);
}

static Common *common_new(const Wait *wait)
{
    Common *common = g_new0(Common, 1);

    g_mutex_init(&common->mutex);
    g_cond_init(&common->window_changed);
    g_mutex_init(&common->space_mutex);
    common->coming = g_ptr_array_new();
    common->sessions =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)ssh_close);
    common->board = board_new();
    tally_init(&common->tally);
    throttle_init(&common->throttle);
    if (wait != NULL)
        common->wait = *wait;
    return common;
}

static void common_free(Common *common)
{
    keeper_end(common->keeper);
    load_watch_free(common->load);
    g_hash_table_unref(common->sessions);
    board_free(common->board);
    tally_clear(&common->tally);
    throttle_clear(&common->throttle);
    g_mutex_clear(&common->mutex);
    g_cond_clear(&common->window_changed);
    g_mutex_clear(&common->space_mutex);
    g_ptr_array_unref(common->coming);
    g_free(common);
}

/* What each lane has of its own. */
static bool open_directory(Operation *op, GError **error)
{
    op->stores =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)store_close);
    op->gone = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_error_free);
    op->directory = directory_open(op->conf, error);
    if (op->directory == NULL)
        return false;
    op->servers = directory_servers(op->directory, error);
    if (op->servers == NULL)
        return false;
    op->client_memcached = directory_client_memcached(op->directory, error);
    return op->client_memcached != NULL;
}

bool operation_open(Operation *op, const Conf *conf, const char *uuid, const char *verb,
                    const char *command, EventSink *sink, void *data, const Wait *wait,
                    GError **error)
{
    Report *report = report_empty();
    Common *common = common_new(wait);

    *op = (Operation){ .conf = conf,
                       .common = common,
                       .sink = sink,
                       .sink_data = data,
                       .wait = &common->wait,
                       .report = report };
    if (uuid != NULL)
        g_strlcpy(op->uuid, uuid, sizeof op->uuid);
    else
        new_uuid(op->uuid);
    memcpy(report->operation, op->uuid, sizeof report->operation);
    common->load = load_watch_new(conf, op->uuid);
    report->verb = g_strdup(verb);
    report->command = g_strdup(command);
    report->who = g_strdup(g_get_user_name());
    report->host = g_strdup(g_get_host_name());
    report->started = g_get_real_time() / 1000;
    return operation_log_open(op, error) && open_directory(op, error);
}

void operation_close(Operation *op)
{
    if (op->report != NULL)
        op->report->ended = g_get_real_time() / 1000;
    operation_lane_close(op);
    g_clear_pointer(&op->again, g_free);
    g_clear_pointer(&op->sizes, g_hash_table_unref);
    g_clear_pointer(&op->common, common_free);
    operation_log_close(op);
}

bool operation_lane(const Operation *op, Operation *lane, GError **error)
{
    *lane = *op;
    lane->stores = lane->gone = lane->silent = lane->logins = lane->bystanders = NULL;
    lane->directory = NULL;
    lane->client_memcached = NULL;
    return open_directory(lane, error);
}

void operation_lane_close(Operation *lane)
{
    g_clear_pointer(&lane->stores, g_hash_table_unref);
    g_clear_pointer(&lane->gone, g_hash_table_unref);
    g_clear_pointer(&lane->silent, g_hash_table_unref);
    g_clear_pointer(&lane->bystanders, g_hash_table_unref);
    g_clear_pointer(&lane->logins, g_hash_table_unref);
    g_clear_pointer(&lane->client_memcached, g_strfreev);
    g_clear_pointer(&lane->directory, directory_close);
}

/* Those that are decided already have ended. */
static bool list_mailboxes(Operation *op, Store *store, GError **error)
{
    const GPtrArray *mailboxes = op->report->mailboxes;

    for (guint i = 0; i < mailboxes->len; i++)
        op->common->ended +=
            ((const MailboxResult *)g_ptr_array_index(mailboxes, i))->reason != NULL;
    return journal_list(store, op->uuid, mailboxes, error);
}

bool operation_begin(Operation *op, Store *store, GError **error)
{
    const JournalEntry entry = { .operation = op->uuid,
                                 .verb = op->report->verb,
                                 .parameters = op->report->command,
                                 .batch_name = op->report->batch_name,
                                 .comment = op->report->comment };
    Common *common = op->common;

    if (op->again != NULL ? !journal_begin_again(store, op->uuid, error)
                          : !journal_begin(store, &entry, error))
        return false;
    common->keeper = keeper_start(op->conf, store->where, op->uuid, common->board);
    common->wait.order = keeper_stop(common->keeper);
    common->row = store->where;
    if (op->again != NULL || list_mailboxes(op, store, error))
        return true;
    operation_end(op, "failed");
    return false;
}

/* "2 moved, 1 failed". */
static char *summary(const Operation *op)
{
    unsigned counts[OUTCOMES] = { 0 };
    GString *out = g_string_new(NULL);

    for (guint i = 0; i < op->report->mailboxes->len; i++)
        counts[((const MailboxResult *)g_ptr_array_index(op->report->mailboxes, i))->outcome]++;
    for (Outcome i = 0; i < OUTCOMES; i++)
        if (counts[i] > 0)
            g_string_append_printf(out, "%s%u %s", out->len > 0 ? ", " : "", counts[i],
                                   mailbox_outcome(i));
    return g_string_free(out, FALSE);
}

/* The store that has the row, over this lane's own connection. */
static Store *row_store(Operation *op, GError **error)
{
    Store *store = operation_store(op, op->common->row->name, error);

    return store != NULL && store_revive(store, error) ? store : NULL;
}

void operation_journal(Operation *op, guint place)
{
    const MailboxResult *result = g_ptr_array_index(op->report->mailboxes, place);
    Common *common = op->common;
    g_autoptr(GError) problem = NULL;
    Store *store;
    unsigned seq;

    if (common->row == NULL)
        return;
    g_mutex_lock(&common->mutex);
    seq = ++common->ended;
    g_mutex_unlock(&common->mutex);
    store = row_store(op, &problem);
    if (store == NULL || !journal_mailbox(store, op->uuid, place, seq, result, &problem))
        log_warning("how %s ended is not in the journal: %s", result->address, problem->message);
}

const char *operation_end_state(const Operation *op)
{
    bool strict = op->request != NULL && op->request->strict;
    unsigned good = 0, failed = 0,
             rest = 0; /* rest: neither done nor failed, but not as was asked */

    if (wait_stopped(op->wait))
        return wait_stop_code(op->wait) == ZX_ERROR_INTERRUPTED ? "interrupted"
               : op->common->begun                              ? "stopped"
                                                                : "removed";
    if (op->report->halted != NULL)
        return "failed";
    for (guint i = 0; i < op->report->mailboxes->len; i++) {
        const MailboxResult *result = g_ptr_array_index(op->report->mailboxes, i);

        if (result->outcome == OUTCOME_FAILED || result->outcome == OUTCOME_IN_DOUBT)
            failed++;
        else if (result->unfinished || result->outcome == OUTCOME_KEPT ||
                 result->outcome == OUTCOME_NOT_REACHED ||
                 (strict && result->outcome == OUTCOME_SKIPPED))
            rest++;
        else
            good++;
    }
    if (failed == 0)
        return rest > 0 ? "partial" : "done";
    return good + rest > 0 ? "partial" : "failed";
}

/* Whom setOperation named since. */
static void take_notifications(Operation *op)
{
    Limits limits = keeper_limits(op->common->keeper);

    op->report->notifications = g_strdupv(limits.notifications);
    limits_clear(&limits);
}

/* The row may be out of reach when its store is; the report is not. */
void operation_end(Operation *op, const char *state)
{
    g_autofree char *result = summary(op);
    g_autoptr(GError) problem = NULL;
    Store *store;

    if (op->common->row == NULL)
        return;
    take_notifications(op);
    g_clear_pointer(&op->common->keeper, keeper_end);
    op->common->wait.order = NULL;
    store = row_store(op, &problem);
    if (store == NULL || !journal_end(store, state, result, op->report, &problem))
        log_warning("%s: %s", op->common->row->name, problem->message);
    op->common->row = NULL;
}

void operation_running(Operation *op)
{
    g_mutex_lock(&op->common->mutex);
    op->common->begun = true;
    g_mutex_unlock(&op->common->mutex);
    keeper_say(op->common->keeper, "running", NULL);
}

void operation_queued(Operation *op, const char *cause)
{
    bool begun;

    g_mutex_lock(&op->common->mutex);
    begun = op->common->begun;
    g_mutex_unlock(&op->common->mutex);
    if (!begun)
        keeper_say(op->common->keeper, "queued", cause);
}

void operation_pace(Operation *op)
{
    Common *common = op->common;
    int64_t now = g_get_monotonic_time();
    Limits limits;
    bool due;

    g_mutex_lock(&common->mutex);
    due = now - common->pace_read > G_USEC_PER_SEC;
    if (due)
        common->pace_read = now;
    g_mutex_unlock(&common->mutex);
    if (!due)
        return;
    limits = keeper_limits(common->keeper);
    throttle_follow(&common->throttle, limits.bandwidth);
    if (limits.max_load >= 0) {
        g_mutex_lock(&common->mutex);
        common->max_load = limits.max_load;
        g_mutex_unlock(&common->mutex);
    }
    limits_clear(&limits);
}

static bool too_busy(Operation *op, char **cause)
{
    Common *common = op->common;
    GHashTableIter stores;
    Store *store;
    double most;

    g_mutex_lock(&common->mutex);
    most = common->max_load;
    g_mutex_unlock(&common->mutex);
    g_hash_table_iter_init(&stores, op->stores);
    while (most > 0 && g_hash_table_iter_next(&stores, NULL, (gpointer *)&store))
        if (load_above(common->load, store->where, most, cause))
            return true;
    return false;
}

/* What keeps it from going on now, and *cause (g_free); NULL: nothing. */
static const char *hindrance(Operation *op, char **cause)
{
    operation_pace(op);
    g_clear_pointer(cause, g_free);
    return keeper_paused(op->common->keeper, cause) ? "paused"
           : too_busy(op, cause)                    ? "throttled"
                                                    : NULL;
}

bool operation_gate(Operation *op, const Wait *wait, HeldUp *held_up, void *data)
{
    Keeper *keeper = op->common->keeper;
    g_autofree char *cause = NULL;
    g_autofree char *said = NULL;
    const char *state;

    while ((state = hindrance(op, &cause)) != NULL && !wait_stopped(wait)) {
        if (g_strcmp0(cause, said) != 0) {
            log_info("%s: %s", state, cause);
            keeper_say(keeper, state, cause);
            if (held_up != NULL)
                held_up(data, state, cause);
            g_free(said);
            said = g_strdup(cause);
        }
        wait_pause(wait, WAIT_SLICE_MS);
    }
    if (said != NULL)
        keeper_say(keeper, "running", NULL);
    return said != NULL;
}

void operation_gone(Operation *op, const char *hostname, GError *why)
{
    g_hash_table_replace(op->gone, g_ascii_strdown(hostname, -1), why);
}

/* One that looks opens nothing twice that did not open. */
static Store *look_into(Operation *op, const ServerInfo *server, const char *key, GError **error)
{
    const GError *why = g_hash_table_lookup(op->gone, key);
    GError *problem = why != NULL ? g_error_copy(why) : NULL;
    Store *store = why == NULL ? store_open_unchanged(op->conf, server, &problem) : NULL;

    if (store != NULL) {
        g_hash_table_insert(op->stores, g_strdup(key), store);
        return store;
    }
    if (why == NULL)
        operation_gone(op, key, g_error_copy(problem));
    g_propagate_error(error, problem);
    return NULL;
}

/* sshd allows ten programs a session (MaxSessions), and every lane has its agent there. */
#define LANES_A_SESSION 8

/* The session that another lane has to the store; NULL: there is none to share. */
static Ssh *take_session(Operation *op, const char *key)
{
    Ssh *ssh;

    g_mutex_lock(&op->common->mutex);
    ssh = g_hash_table_lookup(op->common->sessions, key);
    if (ssh != NULL)
        ssh = ssh_share(ssh, LANES_A_SESSION + 1); /* and the table itself */
    g_mutex_unlock(&op->common->mutex);
    return ssh;
}

/* The newest is the one to share next. */
static void offer_session(Operation *op, const char *key, Store *store)
{
    Ssh *ssh = store->ssh != NULL ? ssh_share(store->ssh, LANES_A_SESSION) : NULL;

    if (ssh == NULL)
        return;
    g_mutex_lock(&op->common->mutex);
    g_hash_table_replace(op->common->sessions, g_strdup(key), ssh);
    g_mutex_unlock(&op->common->mutex);
}

Store *operation_store(Operation *op, const char *hostname, GError **error)
{
    g_autofree char *key = g_ascii_strdown(hostname, -1);
    Store *store = g_hash_table_lookup(op->stores, key);
    const ServerInfo *server;

    if (store != NULL || (server = directory_server_called(op->servers, hostname, error)) == NULL)
        return store;
    if (op->looking)
        return look_into(op, server, key, error);
    store = store_open(op->conf, server, take_session(op, key), error);
    if (store == NULL)
        return NULL;
    offer_session(op, key, store);
    g_hash_table_insert(op->stores, g_steal_pointer(&key), store);
    return store;
}

Store *operation_store_rest(Operation *op, const char *hostname, char **missing, GError **error)
{
    g_autofree char *key = g_ascii_strdown(hostname, -1);
    Store *store = g_hash_table_lookup(op->stores, key);
    const ServerInfo *server;

    *missing = NULL;
    if (store != NULL || (server = directory_server_called(op->servers, hostname, error)) == NULL)
        return store;
    store = store_open_rest(op->conf, server, op->looking, missing, error);
    if (store != NULL)
        g_hash_table_insert(op->stores, g_steal_pointer(&key), store);
    return store;
}

Store *operation_reach(Operation *op, const char *name, GError **error)
{
    const char *before = op->silent != NULL ? g_hash_table_lookup(op->silent, name) : NULL;
    GError *problem = NULL;
    Store *store;

    if (before != NULL) {
        fail(error, ZX_ERROR_CONNECT, "%s", before);
        return NULL;
    }
    store = operation_store(op, name, &problem);
    if (store != NULL && store_revive(store, &problem))
        return store;
    if (op->silent == NULL)
        op->silent = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_hash_table_insert(op->silent, g_strdup(name), g_strdup(problem->message));
    g_propagate_error(error, problem);
    return NULL;
}

bool operation_login(Operation *op, Store *store, GError **error)
{
    GError *why = NULL;
    void *known;

    if (op->logins == NULL)
        op->logins =
            g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)error_free_any);
    if (g_hash_table_lookup_extended(op->logins, store->name, NULL, &known))
        why = known;
    else if (soap_warm(store->soap, op->wait, &why))
        g_hash_table_insert(op->logins, g_strdup(store->name), NULL);
    else
        g_hash_table_insert(op->logins, g_strdup(store->name), why);
    if (why != NULL)
        g_propagate_error(error, g_error_copy(why));
    return why == NULL;
}

void operation_note(Operation *op, const char *fmt, ...)
{
    GPtrArray *notes = op->report->notes;
    va_list args;
    char *note;

    va_start(args, fmt);
    note = g_strdup_vprintf(fmt, args);
    va_end(args);
    g_mutex_lock(&op->common->mutex);
    if (g_ptr_array_find_with_equal_func(notes, note, g_str_equal, NULL)) {
        g_free(note);
    } else {
        log_info("note: %s", note);
        g_ptr_array_add(notes, note);
    }
    g_mutex_unlock(&op->common->mutex);
}

uint64_t operation_size(const Operation *op, const char *account_id)
{
    const uint64_t *size = op->sizes != NULL ? g_hash_table_lookup(op->sizes, account_id) : NULL;

    return size != NULL ? *size : 0;
}

void operation_emit(Operation *op, const Event *event)
{
    Event whole = *event;

    whole.operation = op->uuid;
    whole.listed = op->common->row != NULL;
    board_take(op->common->board, &whole);
    if (op->sink != NULL)
        op->sink(op->sink_data, &whole);
}

void operation_done(Operation *op, const MailboxResult *result, unsigned index, unsigned total)
{
    operation_emit(op, &(Event){ .type = EVENT_MAILBOX_DONE,
                                 .account = result->address,
                                 .index = index,
                                 .total = total,
                                 .result = result });
}
