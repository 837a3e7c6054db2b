/* rollback.c - see rollback.h. What left a store is known there: a window that was finished, and the
 * record of the copy that stayed. An account goes back if it is still where that operation put it
 * and the store it left has something to begin with. Changes nothing. */
#include "core/move/rollback.h"
#include "core/base/log.h"
#include <string.h>

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

/* The way back from a home that was gone is no move, and leaves no departure: says so. */
static bool was_rescued(Operation *op, const char *account_id, const char *operation,
                        GError **error)
{
    g_autofree char *pattern = operation != NULL ? g_strdup_printf("%s%%", operation) : NULL;

    for (guint i = 0; i < op->conf->stores->len; i++) {
        const char *name = ((const ConfStore *)g_ptr_array_index(op->conf->stores, i))->name;
        Store *store = operation_reach(op, name, NULL);
        g_autoptr(Rows) rows = NULL;

        if (store == NULL || store->bare)
            continue;
        rows = db_query(store->control, NULL,
                        "SELECT operation, address, source_host FROM zxmove.fence WHERE rescue"
                        " AND state = 'done' AND (account_id = ? OR operation LIKE ?)"
                        " ORDER BY changed DESC LIMIT 1",
                        DB_ARGS(db_text(account_id), db_text(pattern)));
        if (rows == NULL || rows_count(rows) == 0)
            continue;
        fail(error, ZX_ERROR_REFUSED,
             "operation %s took %s back to the old copy on %s, because %s was gone: that was no move,"
             " and there is nothing to take back. What %s has of it, when it is there again: doVerify"
             " accounts %s. To take it to another store: doMailboxMove STORE accounts %s",
             rows_text(rows, 0, 0), rows_text(rows, 0, 1), store->name, rows_text(rows, 0, 2),
             rows_text(rows, 0, 2), rows_text(rows, 0, 1), rows_text(rows, 0, 1));
        return true;
    }
    return false;
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
    if (found->len == 0 && was_rescued(op, account_id, operation, error)) {
        g_clear_error(&first);
        return NULL;
    }
    if (found->len == 0 && first != NULL) {
        g_propagate_error(error, first);
        return NULL;
    }
    g_clear_error(&first);
    return g_steal_pointer(&found);
}

/* Whether the operation was a rollback: its row is on one of the stores that mailboxes went back
 * to. */
static bool was_rollback(Operation *op, const char *operation, bool *was, GError **error)
{
    GError *unasked = NULL;

    for (guint i = 0; i < op->conf->stores->len; i++) {
        const char *name = ((const ConfStore *)g_ptr_array_index(op->conf->stores, i))->name;
        GError *problem = NULL;
        Store *store = operation_reach(op, name, &problem);
        g_autoptr(Rows) rows = NULL;

        if (store != NULL && store->bare)
            continue;
        if (store != NULL)
            rows = db_query(store->control, &problem,
                            "SELECT verb = 'doRollback' FROM zxmove.operation WHERE uuid = ?",
                            DB_ARGS(db_text(operation)));
        if (rows != NULL && rows_count(rows) > 0) {
            *was = rows_u64(rows, 0, 0) != 0;
            g_clear_error(&unasked);
            return true;
        }
        if (rows == NULL && unasked == NULL)
            unasked = problem;
        else
            g_clear_error(&problem);
    }
    *was = false;
    if (unasked != NULL)
        g_propagate_error(error, unasked);
    return unasked == NULL;
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

    if (account_lives_on(account, departure->from))
        return false;
    if (!departure->finished)
        return fail(error, ZX_ERROR_CONFLICT,
                    "operation %s left this account unfinished. Run:\n"
                    "  zxmove doRecover accounts %s dry_run false",
                    departure->operation, departure->address);
    if (!account_lives_on(account, departure->to)) {
        why = g_strdup_printf("it lives on %s, where operation %s did not put it (that was %s)",
                              account_home(account), departure->operation, departure->to);
        return by_a_move(departure, error, why);
    }
    return copy_will_do(departure, request, error);
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
    result_decide(result, OUTCOME_FAILED, problem);
}

static void judge(Operation *op, const RollbackRequest *request, const Candidate *candidate,
                  void *data G_GNUC_UNUSED)
{
    const Departure *departure = candidate->departure;
    const Account *account = candidate->account;
    GError *problem = candidate->problem;

    if (problem != NULL || candidate->nothing != NULL ||
        !may_go_back(departure, account, request, &problem)) {
        rollback_tell(op, candidate,
                      candidate->nothing != NULL ? candidate->nothing : "already there", problem);
        return;
    }
    (void)plan_may_go(op, account,
                      operation_add_result(op, account->address, account->id, account->mail_host,
                                           departure->from));
}

/* Whether those in @data (account id -> MailboxResult) can still go back: who has, is found so when
 * it is its turn. */
static void judge_again(Operation *op G_GNUC_UNUSED, const RollbackRequest *request,
                        const Candidate *candidate, void *data)
{
    const char *id =
        candidate->account != NULL ? candidate->account->id : candidate->departure->account_id;
    MailboxResult *result = g_hash_table_lookup(data, id);
    GError *problem = candidate->problem;

    if (problem == NULL && candidate->nothing == NULL)
        (void)may_go_back(candidate->departure, candidate->account, request, &problem);
    if (problem == NULL)
        return;
    if (result != NULL)
        result_decide(result, OUTCOME_FAILED, problem);
    else
        g_error_free(problem);
}

/* --host: whoever lives on another store is not meant. */
static void look_at_host(const RollbackRequest *request, Candidate *candidate)
{
    if (request->host != NULL && candidate->problem == NULL &&
        !account_lives_on(candidate->account, request->host))
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
        account_lives_on(account, candidate.departure->to) &&
        was_rollback(op, candidate.departure->operation, &was, &candidate.problem) && was)
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

/* But for those that the directory does not know any more. */
static GPtrArray *accounts_at(Operation *op, const GArray *places)
{
    GPtrArray *accounts = g_ptr_array_new_with_free_func((GDestroyNotify)account_free);

    for (guint i = 0; i < places->len; i++) {
        const MailboxResult *result = operation_result(op, places, i);
        g_autoptr(GError) ignored = NULL;
        Account *account = directory_account(op->directory, result->account_id, &ignored);

        if (account != NULL)
            g_ptr_array_add(accounts, account);
    }
    return accounts;
}

static GArray *select_anew(Operation *op, const RollbackRequest *request, GError **error)
{
    g_autoptr(GArray) places = NULL;
    g_autoptr(GPtrArray) accounts = NULL;

    if (!rollback_each(op, request, judge, NULL, error))
        return NULL;
    places = batch_undecided(op);
    if (!op->looking)
        return g_steal_pointer(&places);
    accounts = accounts_at(op, places);
    return forecast_all(op, accounts, error) ? g_steal_pointer(&places) : NULL;
}

/* What the process before us had selected and not done. Hours may lie between: an old copy may have
 * been purged since, an account have moved on. */
static GArray *select_left(Operation *op, const RollbackRequest *request, GError **error)
{
    g_autoptr(GHashTable) left = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GArray) places = batch_take_up(op, error);

    for (guint i = 0; places != NULL && i < places->len; i++) {
        MailboxResult *result = operation_result(op, places, i);

        g_hash_table_insert(left, result->account_id, result);
    }
    return places != NULL && rollback_each(op, request, judge_again, left, error)
               ? g_steal_pointer(&places)
               : NULL;
}

bool rollback_run(Operation *op, const RollbackRequest *request, GError **error)
{
    const MoveRequest move = {
        .stages = STAGE_BLOBS | STAGE_ACCOUNT,
        .compress = true,
        .check_digest = true,
        .overwrite = true,
        .threads = request->threads,
        .notifications = request->notifications,
        .accept_data_loss = request->accept_data_loss,
        .max_accounts = -1,
        .max_syncs = -1,
        .sync_finish_threshold = -1,
        .cutover_timeout = -1,
        .cutover_retries = -1,
        .min_free = -1,
        .separate_logs = -1,
        .start_after = -1,
        .complete_after = -1,
    };
    g_autoptr(GArray) places = NULL;
    bool good;

    if (request->from_old_copy)
        return rescue_run(op, request, error);
    op->request = &move;
    op->rolling_back = true;
    places = op->again != NULL ? select_left(op, request, error) : select_anew(op, request, error);
    good = places != NULL && (op->looking || batch_go(op, places, error));
    op->request = NULL;
    return good;
}
