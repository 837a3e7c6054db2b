/* purge.c - the old copy of a mailbox that moved away goes, after everything that makes it
 * superfluous has been proved again (purge_proof.c); else it is kept and the report says why.
 * Through mailboxd where its memory has the mailbox, behind its back where it has not. */
#include "core/move/purge.h"
#include "conf/units.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/move/left_behind.h"
#include <stdlib.h>
#include <string.h>

static bool is_all(const PurgeRequest *request)
{
    return g_ascii_strcasecmp(request->mailbox, "all") == 0;
}

static bool is_number(const char *text)
{
    return g_ascii_string_to_unsigned(text, 10, 1, G_MAXUINT32, NULL, NULL);
}

bool purge_names_id(const PurgeRequest *request)
{
    return is_number(request->mailbox);
}

bool leftover_only(const PurgeRequest *request)
{
    return g_ascii_strcasecmp(request->mailbox, "orphans") == 0;
}

/* All, or a batch: there may be copies on every store. */
static bool is_set(const PurgeRequest *request)
{
    return is_all(request) ||
           (strchr(request->mailbox, '@') == NULL && !is_number(request->mailbox));
}

void copy_free(Copy *copy)
{
    g_free(copy->account_id);
    g_free(copy->address);
    g_free(copy->moved_to);
    g_free(copy->fingerprints);
    g_free(copy->operation);
    g_free(copy);
}

/* A copy without a record gets one, so that a deletion that is interrupted is known and finished. */
static bool write_record(Purge *purge, const char *state, GError **error)
{
    const Copy *copy = purge->copy;
    g_autofree char *sums = rows_fingerprints_alone(purge->store->data, copy->group, copy->mailbox,
                                                    error);

    return sums != NULL &&
           db_exec(purge->store->control, NULL, error,
                   "INSERT INTO zxmove.moved (mailbox_id, account_id, address, group_id, moved_to,"
                   " new_mailbox, operation, committed, bytes, blobs, item_checkpoint,"
                   " change_checkpoint, fingerprints, state, purged) VALUES (?, ?, ?, ?, ?, 0, ?,"
                   " UTC_TIMESTAMP(3), ?, 0, 0, 0, ?, ?, UTC_TIMESTAMP(3))",
                   DB_ARGS(db_u64(copy->mailbox), db_text(copy->account_id), db_text(copy->address),
                           db_u64(copy->group),
                           db_text(purge->home != NULL ? purge->home->name : ""),
                           db_text(purge->op->uuid), db_u64(purge->result->bytes_freed),
                           db_text(sums), db_text(state)));
}

bool purge_set_state(Purge *purge, const char *state, GError **error)
{
    uint64_t changed = 0;

    return db_exec(purge->store->control, &changed, error,
                   "UPDATE zxmove.moved SET state = ?, purged = UTC_TIMESTAMP(3)"
                   " WHERE mailbox_id = ? AND account_id = ?",
                   DB_ARGS(db_text(state), db_u64(purge->copy->mailbox),
                           db_text(purge->copy->account_id))) &&
           (changed != 0 || write_record(purge, state, error)) && store_durable(purge->store, error);
}

/* Not soon after the commit: the redo log and queued mail may still name the old mailbox (hazards
 * 41, 43). What mailboxd deleted itself may be cleaned up after at any time. */
static bool late_enough(const Purge *purge, GError **error)
{
    int64_t left = (int64_t)purge->op->conf->purge_wait_s - purge->copy->age_s;

    /* Nobody knows of a commit that would have made it superfluous. */
    if (left <= 0 || purge->copy->committed == 0 || (!purge->has_row && purge->probe == PROBE_UNMAPPED))
        return true;
    return fail(error, ZX_ERROR_REFUSED,
                "mailboxd of %s has not got it in memory, so it is removed behind its back,"
                " and that only in %" G_GINT64_FORMAT " min",
                purge->store->name, left / 60 + 1);
}

bool purge_count_bytes(Purge *purge, GError **error)
{
    g_autofree char *size = NULL, *room = NULL;

    for (guint i = 0; i < purge->store->volumes->len; i++) {
        const Volume *volume = g_ptr_array_index(purge->store->volumes, i);
        uint64_t files, bytes = 0;

        if (volume->store_type == 1 && volume->sharing == VOLUME_OWN &&
            !peer_mailbox_usage(purge->store->peer, volume->id, purge->copy->mailbox, &files,
                                &bytes, error))
            return false;
        if (volume->sharing == VOLUME_SHARED)
            g_ptr_array_add(purge->result->notes,
                            g_strdup_printf("volume %s of %s is another store's as well: files on"
                                            " it stay",
                                            volume->name, purge->store->name));
        purge->result->bytes_freed += bytes;
    }
    if (purge->result->bytes_freed <= purge->room)
        return true;
    purge->over = true;
    size = units_format_size(purge->result->bytes_freed);
    room = units_format_size(purge->room);
    return fail(error, ZX_ERROR_REFUSED, "its %s are more than the %s that max_delete_bytes leaves",
                size, room);
}

Deletion purge_deletion(Purge *purge)
{
    return (Deletion){ .op = purge->op,
                       .address = purge->result->address,
                       .claim = &purge->claim,
                       .store = purge->store,
                       .mailbox = purge->copy->mailbox,
                       .group = purge->copy->group,
                       .expected_bytes = purge->result->bytes_freed };
}

bool purge_delete(Purge *purge, GError **error)
{
    Deletion deletion = purge_deletion(purge);
    Probe before = purge->probe;

    if (!purge_ask_mailboxd(purge, error))
        return false;
    if (purge->probe != before)
        return fail(error, ZX_ERROR_CHANGED, "mailboxd of %s said %s and now says %s: run it again",
                    purge->store->name, probe_name(before), probe_name(purge->probe));
    if (purge_in_memory(purge) && !purge->has_row)
        return fail(error, ZX_ERROR_REFUSED,
                    "mailboxd of %s has a mailbox of it in memory that is not in its database:"
                    " restart mailboxd there first",
                    purge->store->name);
    if ((!purge_in_memory(purge) && !late_enough(purge, error)) ||
        !purge_set_state(purge, "purging", error) || !failpoint("purge:intent", error) ||
        !claim_check(&purge->claim, error) || !purge_home_is_elsewhere(purge, error))
        return false;
    purge_state(purge, "delete");
    return purge_in_memory(purge)
               ? delete_through_mailboxd(&deletion, purge->probe == PROBE_LOCKED, error)
               : delete_behind(&deletion, error);
}

static bool within_retention(const Purge *purge, GError **error)
{
    const PurgeRequest *request = purge->request;
    long days = request->retention_days >= 0 ? request->retention_days
                                             : (long)purge->op->conf->retention_days;
    g_autoptr(GDateTime) due = NULL;
    g_autofree char *text = NULL;

    /* The record of an orphan may be no older than its deletion, which is to be finished. */
    if (request->ignore_retention || purge->copy->committed == 0 ||
        (purge->copy->kind == COPY_ORPHAN && purge->copy->begun) ||
        purge->copy->age_s >= days * 86400L)
        return false;
    due = g_date_time_new_from_unix_local(purge->copy->committed / 1000 + days * 86400L);
    text = g_date_time_format(due, "%Y-%m-%d %H:%M");
    fail(error, ZX_ERROR_REFUSED,
         "in retention until %s; to purge it now add: ignore_retention true", text);
    return true;
}

static bool purge_moved(Purge *purge, GError **error)
{
    bool good;

    if (!purge_home_is_elsewhere(purge, error) || !purge_open_home(purge, error) ||
        !purge_claim(purge, error))
        return false;
    good = purge_prove(purge, error) && purge_count_bytes(purge, error);
    if (good && !purge->request->dry_run)
        good = purge_delete(purge, error) && purge_set_state(purge, "purged", error);
    claim_release(&purge->claim);
    return good;
}

void purge_state(const Purge *purge, const char *state)
{
    operation_emit(purge->op, &(Event){ .type = EVENT_STATE,
                                        .account = purge->result->address,
                                        .text = state,
                                        .index = purge->index,
                                        .total = purge->total,
                                        .mailbox_bytes = purge->copy->bytes });
}

static void judge(Purge *purge)
{
    MailboxResult *result = purge->result;
    GError *problem = NULL;

    purge_state(purge, "prove");
    if (within_retention(purge, &problem))
        result->outcome = is_all(purge->request) || leftover_only(purge->request) ? OUTCOME_SKIPPED
                                                                                  : OUTCOME_KEPT;
    else if (purge->copy->kind == COPY_MOVED ? purge_moved(purge, &problem)
                                             : leftover_purge(purge, &problem))
        result->outcome = purge->request->dry_run ? OUTCOME_EXPLAINED : OUTCOME_PURGED;
    else
        result->outcome = OUTCOME_KEPT;
    if (problem == NULL)
        return;
    result->bytes_freed = 0;
    log_warning("kept: %s", problem->message);
    result_decide(result, result->outcome, problem);
}

/* What all copies of one run share. */
typedef struct Run {
    Operation *op;
    const PurgeRequest *request;
    guint first; /* of the report: the result of the first copy */
    uint64_t freed;
    bool full; /* one was more than max_delete_bytes leaves: the rest is not begun */
} Run;

static void run_one(Run *run, const Copy *copy, unsigned index, unsigned total)
{
    Operation *op = run->op;
    uint64_t most = run->request->max_delete_bytes;
    const guint place = run->first + index - 1;
    MailboxResult *result = g_ptr_array_index(op->report->mailboxes, place);
    Purge purge = { .op = op,
                    .request = run->request,
                    .store = copy->store,
                    .copy = copy,
                    .result = result,
                    .index = index,
                    .total = total,
                    .room = most == 0 ? G_MAXUINT64 : most - MIN(most, run->freed) };

    log_context(op->uuid, copy->address);
    if (run->full || wait_stopped(op->wait)) {
        result->outcome = OUTCOME_NOT_REACHED;
        result->code = run->full ? ZX_ERROR_PARTIAL : wait_stop_code(op->wait);
        result->reason = g_strdup(run->full ? "max_delete_bytes was reached before its turn"
                                            : "stopped before its turn");
    } else {
        judge(&purge);
        run->full = purge.over;
        run->freed += result->bytes_freed;
    }
    account_free(purge.account);
    if (result->outcome != OUTCOME_NOT_REACHED || run->full)
        operation_journal(op, place);
    operation_emit(op, &(Event){ .type = EVENT_MAILBOX_DONE,
                                 .account = copy->address,
                                 .index = index,
                                 .total = total,
                                 .mailbox_bytes = copy->bytes,
                                 .result = result });
    log_context(op->uuid, NULL);
}

/* Of the records of @store those that @wanted (all, an address, an id, an operation, a batch) means. */
bool purge_find(Store *store, const char *wanted, GPtrArray *copies, GError **error)
{
    bool all = g_ascii_strcasecmp(wanted, "all") == 0;
    g_autoptr(Rows) rows = NULL;

    if (store->bare)
        return true;
    rows = db_query(
        store->control, error,
        "SELECT mailbox_id, new_mailbox, account_id, address, moved_to, fingerprints, operation,"
        " group_id, bad_items, item_checkpoint, change_checkpoint,"
        " CAST(UNIX_TIMESTAMP(committed) * 1000 AS UNSIGNED),"
        " TIMESTAMPDIFF(SECOND, committed, UTC_TIMESTAMP(3)), bytes, state = 'purging' FROM zxmove.moved"
        " WHERE state IN ('kept', 'purging') AND (? OR address = ? OR account_id = ?"
        " OR CAST(mailbox_id AS CHAR) = ? OR operation = ? OR batch_name = ?) ORDER BY"
        " committed",
        DB_ARGS(db_u64(all), db_text(wanted), db_text(wanted), db_text(wanted), db_text(wanted),
                db_text(wanted)));

    if (rows == NULL)
        return false;
    for (unsigned i = 0; i < rows_count(rows); i++) {
        Copy *copy = g_new0(Copy, 1);

        copy->store = store;
        copy->mailbox = (uint32_t)rows_u64(rows, i, 0);
        copy->new_mailbox = (uint32_t)rows_u64(rows, i, 1);
        copy->account_id = g_strdup(rows_text(rows, i, 2));
        copy->address = g_strdup(rows_text(rows, i, 3));
        copy->moved_to = g_strdup(rows_text(rows, i, 4));
        copy->fingerprints = g_strdup(rows_text(rows, i, 5));
        copy->operation = g_strdup(rows_text(rows, i, 6));
        copy->group = (unsigned)rows_u64(rows, i, 7);
        copy->bad_items = (unsigned)rows_u64(rows, i, 8);
        copy->item_checkpoint = rows_u64(rows, i, 9);
        copy->change_checkpoint = rows_u64(rows, i, 10);
        copy->committed = rows_i64(rows, i, 11);
        copy->age_s = rows_i64(rows, i, 12);
        copy->bytes = rows_u64(rows, i, 13);
        copy->begun = rows_u64(rows, i, 14) != 0;
        g_ptr_array_add(copies, copy);
    }
    return true;
}

/* A set is not done while a store could not be asked for its copies. */
static void note_unasked(Operation *op, const char *store, const GError *problem)
{
    MailboxResult *result = operation_add_result(op, store, "", store, "");

    result->outcome = OUTCOME_KEPT;
    result->code = error_code(problem);
    result->reason = g_strdup(problem->message);
}

/* A login that is refused would keep every copy; who is silent keeps those that it has to be asked of. */
static bool lets_us_in(Operation *op, Store *store, GError **error)
{
    GError *problem = NULL;

    if (operation_login(op, store, &problem))
        return true;
    if (error_code(problem) == ZX_ERROR_DENIED) {
        g_propagate_error(error, problem);
        return false;
    }
    g_error_free(problem);
    return true;
}

static bool find_at(Operation *op, const PurgeRequest *request, const char *name,
                    GPtrArray *copies, GError **error)
{
    Store *store = operation_reach(op, name, error);

    return store != NULL && lets_us_in(op, store, error) &&
           (leftover_only(request) || purge_find(store, request->mailbox, copies, error)) &&
           leftover_find(op, request, store, copies, error);
}

/* What was left behind on a store that was gone then is stray there before anything is looked for; a dry
 * run takes it for that (leftover_find). */
static void hear_of_strays(Operation *op)
{
    for (guint i = 0; i < op->conf->stores->len; i++) {
        const ConfStore *where = g_ptr_array_index(op->conf->stores, i);
        g_autoptr(GError) problem = NULL;

        if (operation_reach(op, where->name, &problem) == NULL)
            log_warning("%s: %s", where->name, problem->message);
    }
    if (!op->looking)
        left_behind_deliver_all(op);
}

static void add_result(Operation *op, const Copy *copy)
{
    MailboxResult *result = operation_add_result(op, copy->address, copy->account_id,
                                                 copy->store->name, copy->moved_to);

    result->source_mailbox = copy->mailbox;
    result->destination_mailbox = copy->new_mailbox;
    result->committed = copy->committed;
}

static void run_all(Run *run, const GPtrArray *copies)
{
    Operation *op = run->op;
    uint64_t bytes = 0;

    for (guint i = 0; i < copies->len; i++)
        bytes += ((const Copy *)g_ptr_array_index(copies, i))->bytes;
    operation_emit(op, &(Event){ .type = EVENT_SELECTED,
                                 .total = copies->len,
                                 .expected_bytes = bytes });
    for (guint i = 0; i < copies->len; i++) {
        operation_gate(op, op->wait, NULL, NULL);
        run_one(run, g_ptr_array_index(copies, i), i + 1, copies->len);
    }
}

/* What deletes has a row that shows it, and that it can be stopped by. */
static bool run_listed(Operation *op, const PurgeRequest *request, const GPtrArray *copies,
                       GError **error)
{
    Run run = { .op = op, .request = request, .first = op->report->mailboxes->len };

    for (guint i = 0; i < copies->len; i++)
        add_result(op, g_ptr_array_index(copies, i));
    if (!request->dry_run && copies->len > 0) {
        if (!operation_begin(op, ((const Copy *)g_ptr_array_index(copies, 0))->store, error))
            return false;
        operation_running(op);
    }
    run_all(&run, copies);
    operation_end(op, operation_end_state(op));
    return true;
}

/* A store that does not answer is said and passed over: what was purged on the others is in the
 * report. */
bool purge_run(Operation *op, const PurgeRequest *request, GError **error)
{
    g_autoptr(GPtrArray) copies = g_ptr_array_new_with_free_func((GDestroyNotify)copy_free);
    GError *first = NULL;
    guint unasked = 0;

    if (request->host == NULL && is_number(request->mailbox) && op->conf->stores->len > 1)
        return fail(error, ZX_ERROR_USAGE,
                    "mailbox ids are per store: say which with --host STORE, or give the address");
    hear_of_strays(op);
    for (guint i = 0; i < op->conf->stores->len; i++) {
        const ConfStore *where = g_ptr_array_index(op->conf->stores, i);
        GError *problem = NULL;

        if ((request->host != NULL && g_ascii_strcasecmp(request->host, where->name) != 0) ||
            find_at(op, request, where->name, copies, &problem))
            continue;
        if (is_set(request))
            note_unasked(op, where->name, problem);
        log_warning("%s", problem->message);
        g_clear_error(&first);
        first = problem;
        unasked++;
    }
    if (!run_listed(op, request, copies, error)) {
        g_clear_error(&first);
        return false;
    }
    if (op->report->mailboxes->len == (is_set(request) ? unasked : 0) && first != NULL) {
        g_propagate_error(error, first);
        return false;
    }
    g_clear_error(&first);
    if (op->report->mailboxes->len == 0 && !is_all(request) && !leftover_only(request))
        return fail(error, ZX_ERROR_NOT_FOUND, "no old copy of %s on %s\nsee: getMovedMailboxes",
                    request->mailbox, request->host != NULL ? request->host : "any store");
    return true;
}
