/* rollback.c - see rollback.h. What left a store is known there: a window that was finished, and the
 * record of the copy that stayed. An account goes back if it is still where that operation put it
 * and the store it left has something to begin with. Changes nothing. */
#include "core/move/rollback.h"
#include "core/base/log.h"
#include <string.h>

/* Accounts that go back to the same store. */
typedef struct WayBack {
    MoveRequest move;
    GPtrArray *ids; /* of char *, NULL at its end: move.accounts */
} WayBack;

static void departure_free(Departure *departure)
{
    g_free(departure->account_id);
    g_free(departure->address);
    g_free(departure->operation);
    g_free(departure->from);
    g_free(departure->to);
    g_free(departure->copy);
    g_free(departure);
}

static void way_back_free(WayBack *way)
{
    g_free(way->move.destination);
    g_ptr_array_unref(way->ids);
    g_free(way);
}

/* What left @store: one account, or by the operations whose uuid begins with @operation. */
static bool read_departures(Store *store, const char *account_id, const char *operation,
                            GPtrArray *found, GError **error)
{
    g_autofree char *pattern = operation != NULL ? g_strdup_printf("%s%%", operation) : NULL;
    g_autoptr(Rows) rows = NULL;

    if (store->bare)
        return true;
    rows = db_query(store->control, error,
                    "SELECT f.account_id, f.address, f.operation, f.source_host,"
                    " f.destination_host, m.state, f.source_mailbox, IFNULL(m.bad_items, 0),"
                    " CAST(UNIX_TIMESTAMP(f.changed) * 1000 AS UNSIGNED), f.state = 'done',"
                    " r.account_id IS NOT NULL, f.destination_mailbox,"
                    " f.state IN ('committing', 'committed') FROM zxmove.fence f"
                    " LEFT JOIN zxmove.moved m ON m.mailbox_id = f.source_mailbox"
                    " AND m.account_id = f.account_id AND m.operation = f.operation"
                    " LEFT JOIN zxmove.reservation r ON r.account_id = f.account_id"
                    " WHERE f.role = 'source' AND f.state <> 'undone'"
                    " AND (f.account_id = ? OR f.operation LIKE ?) ORDER BY f.changed",
                    DB_ARGS(db_text(account_id), db_text(pattern)));
    if (rows == NULL)
        return false;
    for (unsigned i = 0; i < rows_count(rows); i++) {
        Departure *departure = g_new0(Departure, 1);

        departure->account_id = g_strdup(rows_text(rows, i, 0));
        departure->address = g_strdup(rows_text(rows, i, 1));
        departure->operation = g_strdup(rows_text(rows, i, 2));
        departure->from = g_strdup(rows_text(rows, i, 3));
        departure->to = g_strdup(rows_text(rows, i, 4));
        departure->copy = g_strdup(rows_text(rows, i, 5));
        departure->mailbox = (uint32_t)rows_u64(rows, i, 6);
        departure->bad_items = (unsigned)rows_u64(rows, i, 7);
        departure->at = rows_i64(rows, i, 8);
        departure->finished = rows_u64(rows, i, 9) != 0;
        departure->staged = rows_u64(rows, i, 10) != 0;
        departure->new_mailbox = (uint32_t)rows_u64(rows, i, 11);
        departure->past_commit = rows_u64(rows, i, 12) != 0;
        g_ptr_array_add(found, departure);
    }
    return true;
}

/* Of every store that can be asked. One that cannot may know of a later move; then the home it led to
 * tells. */
static GPtrArray *departures(Operation *op, const char *account_id, const char *operation,
                             GError **error)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func((GDestroyNotify)departure_free);
    GError *first = NULL;

    for (guint i = 0; i < op->conf->stores->len; i++) {
        const char *name = ((const ConfStore *)g_ptr_array_index(op->conf->stores, i))->name;
        GError *problem = NULL;
        Store *store = operation_reach(op, name, &problem);

        if (store != NULL && read_departures(store, account_id, operation, found, &problem))
            continue;
        operation_note(op, "%s could not be asked what left it: %s", name, problem->message);
        if (first == NULL)
            first = problem;
        else
            g_error_free(problem);
    }
    if (found->len == 0 && first != NULL) {
        g_propagate_error(error, first);
        return NULL;
    }
    g_clear_error(&first);
    return g_steal_pointer(&found);
}

static bool is(const char *host, const char *other)
{
    return host != NULL && g_ascii_strcasecmp(host, other) == 0;
}

/* Whether an operation was a rollback: its journal is where it led. */
static bool was_rollback(Operation *op, const Departure *departure, bool *was, GError **error)
{
    Store *store = operation_store(op, departure->to, error);
    g_autoptr(Rows) rows = NULL;

    *was = false;
    if (store == NULL || store->bare)
        return store != NULL;
    rows = db_query(store->control, error,
                    "SELECT 1 FROM zxmove.operation WHERE uuid = ? AND verb = 'doRollback'",
                    DB_ARGS(db_text(departure->operation)));
    if (rows != NULL)
        *was = rows_count(rows) > 0;
    return rows != NULL;
}

static bool by_a_move(const Departure *departure, GError **error, const char *why)
{
    return fail(error, ZX_ERROR_REFUSED, "%s. To take it to %s: doMailboxMove %s accounts %s", why,
                departure->from, departure->from, departure->address);
}

/* Is there something on the store it left to go back to? */
static bool copy_will_do(const Departure *departure, const RollbackRequest *request,
                         GError **error)
{
    g_autofree char *why = NULL;

    if (departure->mailbox == 0 || departure->staged)
        return true;
    if (departure->copy == NULL || strcmp(departure->copy, "purged") == 0 ||
        strcmp(departure->copy, "purging") == 0) {
        why = g_strdup_printf("its old copy on %s %s: there is nothing to go back to",
                              departure->from,
                              departure->copy == NULL ? "was used for a later move"
                              : strcmp(departure->copy, "purging") == 0
                                  ? "is being purged"
                                  : "was purged");
        return by_a_move(departure, error, why);
    }
    if (strcmp(departure->copy, "stray") == 0)
        return fail(error, ZX_ERROR_REFUSED,
                    "its old copy on %s (mailbox %u) was written to after it moved away: it may hold"
                    " the only copy of a message, and a way back would remove it. Look at it first"
                    " (status account %s)",
                    departure->from, departure->mailbox, departure->address);
    if (departure->bad_items != 0 && !request->accept_data_loss)
        return fail(error, ZX_ERROR_REFUSED,
                    "it was moved with %u bad items: its old copy on %s may have them, and a way"
                    " back would remove it. If they may be lost add: accept_data_loss true",
                    departure->bad_items, departure->from);
    return true;
}

/* False: it does not go, with the reason in @error, or without one when it is there already. */
static bool may_go_back(const Departure *departure, const Account *account,
                        const RollbackRequest *request, GError **error)
{
    g_autofree char *why = NULL;

    if (is(account->mail_host, departure->from))
        return false;
    if (!departure->finished)
        return fail(error, ZX_ERROR_CONFLICT,
                    "operation %s left this account unfinished. Run:\n"
                    "  zxmove doRecover accounts %s dry_run false",
                    departure->operation, departure->address);
    if (!is(account->mail_host, departure->to)) {
        why = g_strdup_printf("it lives on %s, where operation %s did not put it (that was %s)",
                              account->mail_host != NULL ? account->mail_host : "no store",
                              departure->operation, departure->to);
        return by_a_move(departure, error, why);
    }
    return copy_will_do(departure, request, error);
}

static void add_way(GPtrArray *ways, const Departure *departure, const RollbackRequest *request)
{
    WayBack *way = NULL;

    for (guint i = 0; i < ways->len && way == NULL; i++)
        if (is(departure->from, ((WayBack *)g_ptr_array_index(ways, i))->move.destination))
            way = g_ptr_array_index(ways, i);
    if (way == NULL) {
        way = g_new0(WayBack, 1);
        way->ids = g_ptr_array_new_with_free_func(g_free);
        way->move = (MoveRequest){
            .destination = g_strdup(departure->from),
            .stages = STAGE_BLOBS | STAGE_ACCOUNT,
            .compress = true,
            .check_digest = true,
            .overwrite = true,
            .threads = 1,
            .accept_data_loss = request->accept_data_loss,
            .max_accounts = -1,
            .max_syncs = -1,
            .sync_finish_threshold = -1,
            .cutover_timeout = -1,
            .cutover_retries = -1,
            .min_free = -1,
            .separate_logs = -1,
        };
        g_ptr_array_add(ways, way);
    }
    g_ptr_array_add(way->ids, g_strdup(departure->account_id));
}

void rollback_tell(Operation *op, const Candidate *candidate, const char *nothing, GError *problem)
{
    const Departure *departure = candidate->departure;
    const Account *account = candidate->account;
    MailboxResult *result = operation_add_result(
        op, account != NULL ? account->address : departure->address,
        account != NULL ? account->id : departure->account_id,
        account != NULL ? account->mail_host : departure->to,
        departure != NULL ? departure->from : NULL);

    if (problem == NULL) {
        result->outcome = OUTCOME_SKIPPED;
        result->reason = g_strdup(nothing);
        return;
    }
    result->code = error_code(problem);
    result->reason = g_strdup(problem->message);
    g_error_free(problem);
}

static void judge(Operation *op, const RollbackRequest *request, const Candidate *candidate,
                  void *data)
{
    const Departure *departure = candidate->departure;
    GError *problem = candidate->problem;

    if (problem == NULL && candidate->nothing == NULL &&
        may_go_back(departure, candidate->account, request, &problem))
        add_way(data, departure, request);
    else
        rollback_tell(op, candidate,
                      candidate->nothing != NULL ? candidate->nothing : "already there", problem);
}

/* --host: whoever lives on another store is not meant. */
static void look_at_host(const RollbackRequest *request, Candidate *candidate)
{
    if (request->host != NULL && candidate->problem == NULL &&
        !is(candidate->account->mail_host, request->host))
        candidate->nothing = "it does not live on the store of --host";
}

/* The newest operation that moved the account is taken back; one that was a rollback is not, or the
 * same command twice would lead there and back. Nobody can say so of one that led to a home that is
 * gone. */
static void consider(Operation *op, const RollbackRequest *request, const Account *account,
                     Judge *judge_it, void *data)
{
    Candidate candidate = { .account = account };
    g_autoptr(GPtrArray) found = departures(op, account->id, NULL, &candidate.problem);
    bool was = false;

    for (guint i = 0; found != NULL && i < found->len; i++) {
        const Departure *departure = g_ptr_array_index(found, i);

        if (candidate.departure == NULL || departure->at > candidate.departure->at)
            candidate.departure = departure;
    }
    if (candidate.departure == NULL && candidate.problem == NULL)
        fail(&candidate.problem, ZX_ERROR_REFUSED,
             "no store has a record of a move of it: there is nothing to go back to. Where it lives:"
             " status account %s",
             account->address);
    if (candidate.problem == NULL && !request->from_old_copy &&
        is(account->mail_host, candidate.departure->to) &&
        was_rollback(op, candidate.departure, &was, &candidate.problem) && was)
        candidate.nothing = "rolled back already";
    look_at_host(request, &candidate);
    judge_it(op, request, &candidate, data);
}

static bool one_operation(const GPtrArray *found, const char *prefix, GError **error)
{
    if (found->len == 0)
        return fail(error, ZX_ERROR_NOT_FOUND,
                    "no store has a record of accounts that operation %s moved", prefix);
    for (guint i = 1; i < found->len; i++)
        if (strcmp(((const Departure *)g_ptr_array_index(found, i))->operation,
                   ((const Departure *)g_ptr_array_index(found, 0))->operation) != 0)
            return fail(error, ZX_ERROR_USAGE,
                        "more than one operation begins with %s: give more of it", prefix);
    return true;
}

static bool each_of_operation(Operation *op, const RollbackRequest *request, Judge *judge_it,
                              void *data, GError **error)
{
    g_autofree char *prefix = g_ascii_strdown(request->operation, -1);
    g_autoptr(GPtrArray) found = departures(op, NULL, prefix, error);

    if (found == NULL || !one_operation(found, request->operation, error))
        return false;
    for (guint i = 0; i < found->len; i++) {
        Candidate candidate = { .departure = g_ptr_array_index(found, i) };
        g_autoptr(Account) account =
            directory_account(op->directory, candidate.departure->account_id, &candidate.problem);

        candidate.account = account;
        look_at_host(request, &candidate);
        judge_it(op, request, &candidate, data);
    }
    return true;
}

static bool each_account(Operation *op, const RollbackRequest *request, Judge *judge_it, void *data,
                         GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (char **who = request->accounts; *who != NULL; who++) {
        g_autoptr(Account) account = directory_account(op->directory, *who, error);

        if (account == NULL)
            return false;
        if (g_hash_table_add(seen, g_strdup(account->id)))
            consider(op, request, account, judge_it, data);
    }
    return true;
}

bool rollback_each(Operation *op, const RollbackRequest *request, Judge *judge_it, void *data,
                   GError **error)
{
    return request->operation != NULL ? each_of_operation(op, request, judge_it, data, error)
                                      : each_account(op, request, judge_it, data, error);
}

/* Of WayBack. NULL with an error if nothing can be begun. */
static GPtrArray *rollback_select(Operation *op, const RollbackRequest *request, GError **error)
{
    g_autoptr(GPtrArray) ways = g_ptr_array_new_with_free_func((GDestroyNotify)way_back_free);

    if (!rollback_each(op, request, judge, ways, error))
        return NULL;
    for (guint i = 0; i < ways->len; i++) {
        WayBack *way = g_ptr_array_index(ways, i);

        g_ptr_array_add(way->ids, NULL);
        way->move.accounts = (char **)way->ids->pdata;
    }
    return g_steal_pointer(&ways);
}

static MailboxResult *result_with_id(const Operation *op, const char *account_id)
{
    for (guint i = 0; i < op->report->mailboxes->len; i++) {
        MailboxResult *result = g_ptr_array_index(op->report->mailboxes, i);

        if (strcmp(result->account_id, account_id) == 0)
            return result;
    }
    return NULL;
}

/* A store that cannot be gone back to is the failure of those that would have. */
static void none_went(Operation *op, const WayBack *way, const GError *problem)
{
    for (guint i = 0; way->ids->pdata[i] != NULL; i++) {
        const char *id = g_ptr_array_index(way->ids, i);
        MailboxResult *result = result_with_id(op, id);

        if (result == NULL)
            result = operation_add_result(op, id, id, NULL, way->move.destination);
        if (result->outcome != OUTCOME_FAILED || result->reason != NULL)
            continue;
        result->code = error_code(problem);
        result->reason = g_strdup(problem->message);
    }
}

bool rollback_run(Operation *op, const RollbackRequest *request, GError **error)
{
    g_autoptr(GPtrArray) ways = NULL;

    if (request->from_old_copy)
        return rescue_run(op, request, error);
    ways = rollback_select(op, request, error);
    if (ways == NULL)
        return false;
    for (guint i = 0; i < ways->len; i++) {
        WayBack *way = g_ptr_array_index(ways, i);
        GError *problem = NULL;

        way->move.command = request->command;
        op->request = &way->move;
        if (!batch_run(op, &problem)) {
            none_went(op, way, problem);
            g_error_free(problem);
        }
    }
    op->request = NULL;
    return true;
}
