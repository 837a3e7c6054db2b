/* recover.c - finishes or undoes what a mover that ended left in its window. The LDAP master and
 * the fence rows say which: home is the destination, forward; `fenced` or `proven`, back;
 * `committing`, forward only, unless a person says that the request is dead (doc/platform.md 9.6).
 * Of an account that the directory has no more only the record is left to be closed (vanished.c).
 */
#include "core/base/log.h"
#include "core/move/left_behind.h"
#include "core/move/rollback.h"
#include "core/move/vanished.h"
#include <string.h>

typedef enum Way { WAY_FORWARD, WAY_IN_DOUBT, WAY_BACK, WAY_REFUSED } Way;

static bool wanted(const RecoverRequest *request, const Fence *fence)
{
    if (request->operation != NULL)
        return g_str_has_prefix(fence->operation, request->operation);
    if (request->accounts == NULL)
        return true;
    for (char **who = request->accounts; *who != NULL; who++)
        if (g_ascii_strcasecmp(*who, fence->address) == 0 ||
            g_ascii_strcasecmp(*who, fence->account_id) == 0)
            return true;
    return false;
}

static Fence *find_same(GPtrArray *fences, const Fence *fence)
{
    for (guint i = 0; i < fences->len; i++) {
        Fence *other = g_ptr_array_index(fences, i);

        if (other != fence && strcmp(other->account_id, fence->account_id) == 0 &&
            strcmp(other->operation, fence->operation) == 0)
            return other;
    }
    return NULL;
}

/* Both ends have a row of the same window: one is enough to begin with. */
static void forget_second_rows(GPtrArray *fences)
{
    for (guint i = 0; i < fences->len; i++) {
        Fence *same = find_same(fences, g_ptr_array_index(fences, i));

        if (same == NULL)
            continue;
        g_ptr_array_remove(fences, same);
        fence_free(same);
    }
}

static bool is_rescued(const GPtrArray *fences, const Fence *fence)
{
    for (guint i = 0; i < fences->len; i++) {
        const Fence *other = g_ptr_array_index(fences, i);

        if (other->rescue && strcmp(other->account_id, fence->account_id) == 0)
            return true;
    }
    return false;
}

/* A move that a rescue gives up is the rescue's to close. */
static void forget_given_up(GPtrArray *fences)
{
    for (guint i = 0; i < fences->len;) {
        Fence *fence = g_ptr_array_index(fences, i);

        if (fence->rescue || !is_rescued(fences, fence)) {
            i++;
            continue;
        }
        g_ptr_array_remove_index(fences, i);
        fence_free(fence);
    }
}

/* A store that cannot be asked is passed over: the other end's row is enough to know of the
 * account. */
static bool collect(Operation *op, const RecoverRequest *request, const char *store_name,
                    GPtrArray *fences, GError **error)
{
    GError *problem = NULL;
    g_autofree char *missing = NULL;
    Store *store = operation_store_rest(op, store_name, &missing, &problem);
    g_autoptr(GPtrArray) found = NULL;

    if (store != NULL && store->bare)
        return true;
    if (missing != NULL && store->control == NULL)
        fail(&problem, ZX_ERROR_CONNECT, "%s", missing);
    else if (store != NULL)
        found = fence_unfinished(store, &problem);
    if (found == NULL) {
        log_warning("%s: %s", store_name, problem->message);
        operation_emit(op, &(Event){ .type = EVENT_NOTE, .text = problem->message });
        g_propagate_error(error, problem);
        return false;
    }
    g_ptr_array_set_free_func(found, NULL);
    for (guint i = 0; i < found->len; i++) {
        Fence *fence = g_ptr_array_index(found, i);

        if (wanted(request, fence))
            g_ptr_array_add(fences, fence);
        else
            fence_free(fence);
    }
    return true;
}

static bool restore_volumes(Move *move, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(move->target->control, error,
                 "SELECT group_id, blob_volume, index_volume FROM zxmove.reservation"
                 " WHERE account_id = ?",
                 DB_ARGS(db_text(move->account->id)));

    if (rows == NULL)
        return false;
    move->target_group = (move->target_mailbox - 1) % move->target->groups + 1;
    move->index_volume = move->target->current.index;
    move->blob_volume = volumes_find(move->target->volumes, move->target->current.message);
    if (rows_count(rows) > 0) {
        move->target_group = (unsigned)rows_u64(rows, 0, 0);
        move->blob_volume = volumes_find(move->target->volumes, (unsigned)rows_u64(rows, 0, 1));
        move->index_volume = (unsigned)rows_u64(rows, 0, 2);
    }
    if (move->blob_volume == NULL)
        return fail(error, ZX_ERROR_REFUSED, "%s: the volume reserved for %s is gone",
                    move->target->name, move->account->address);
    return true;
}

static bool restore_source(Move *move, GError **error)
{
    uint32_t row;

    if (!mailbox_row_find(move->source->control, move->account->id, &row, &move->source_group,
                          &move->source_index_volume, error))
        return false;
    return row == move->fence->source_mailbox ||
           fail(error, ZX_ERROR_CHANGED, "%s has mailbox %u of %s, the record says %u",
                move->source->name, row, move->fence->address, move->fence->source_mailbox);
}

/* What comparing and copying again needs; not needed to lead back, nor once the destination has
 * opened: then only the source's record is still to be written. */
bool recover_copying(Move *move, GError **error)
{
    if (move->source_mailbox == 0 || move->catalogue != NULL)
        return true;
    if (!restore_source(move, error))
        return false;
    if (move->fence->opened)
        return true;
    if (!restore_volumes(move, error))
        return false;
    /* What was accepted then stands. */
    if (!items_recorded(move, &move->bad_item_limit, error))
        return false;
    move->catalogue = catalogue_read(move->source->data, move->target->data, move->source_group,
                                     move->target_group, move->source_mailbox, error);
    return move->catalogue != NULL;
}

/* The move as its dead mover had it, as far as the record tells. */
static void restore(Move *move)
{
    const Fence *fence = move->fence;

    move->window_soon = true;
    move->window_began = move->committed_at = g_get_monotonic_time();
    move->let_in = fence->status_touched && strcmp(move->account->status, "maintenance") != 0;
    /* Without one nothing is known to have been proven: everything is compared again. */
    if (!maxima_parse(fence->proven, &move->proven))
        move->proven = (RowsMaxima){ 0 };
    move->source_mailbox = fence->source_mailbox;
    move->target_mailbox = fence->destination_mailbox;
    move->result->source_mailbox = fence->source_mailbox;
    move->result->destination_mailbox = fence->destination_mailbox;
}

/* What the dead mover may have done is assumed to have been done: each undoing part looks for
 * itself. */
static void assume_the_worst(Move *move)
{
    const Fence *fence = move->fence;
    bool start_pending = fence->lock_tried_ms >= 0;
    int64_t now = g_get_monotonic_time();

    move->row_inserted = move->source_mailbox != 0;
    /* The source's record is written before the user is touched, and closed when everything is as
     * it was: a lock or maintenance found without one is somebody else's. */
    if (!fence->on_source && move->source->control != NULL)
        return;
    move->status_written = fence->status_touched;
    move->lock_tried = fence->locked || start_pending || !fence->on_source;
    move->lock_ours = fence->locked;
    if (start_pending)
        move->lock_doubt_until =
            now - fence->lock_tried_ms * 1000 +
            (int64_t)(move->source->lock_timeout_s + LOCK_GRACE_S) * G_USEC_PER_SEC;
    /* The lock-out and the proof come after the status was answered; before, the request may still
     * be on its way. */
    if (!fence->locked && !start_pending && fence->state == FENCE_FENCED)
        move->status_doubt_until = now - fence->age_ms * 1000 + STATUS_GRACE_US +
                                   (int64_t)move->op->conf->admin.timeout_s * G_USEC_PER_SEC;
}

static Way way_of(const Move *move, bool force)
{
    if (account_lives_on(move->account, move->fence->destination_host))
        return WAY_FORWARD;
    if (!account_lives_on(move->account, move->fence->source_host) ||
        move->fence->state == FENCE_COMMITTED)
        return WAY_REFUSED;
    if (move->fence->state == FENCE_COMMITTING && !force)
        return WAY_IN_DOUBT;
    return WAY_BACK;
}

static char *explain(const Move *move, Way way)
{
    switch (way) {
    case WAY_FORWARD:
        return g_strdup_printf(
            "%s is home already (operation %s, %s): would let the user in and finish",
            move->fence->destination_host, move->fence->operation,
            fence_state_name(move->fence->state));
    case WAY_IN_DOUBT:
        return g_strdup_printf(
            "operation %s ended while committing: would send the change again until it is known"
            " (forward only; to lead back although the request may still land: force true)",
            move->fence->operation);
    case WAY_REFUSED:
        return g_strdup_printf("the directory says that %s is home, which operation %s (%s -> %s, "
                               "%s) did not do: nothing is"
                               " touched. Look where the mail is, set zimbraMailHost to that "
                               "store, and run doRecover again",
                               account_home(move->account), move->fence->operation,
                               move->fence->source_host, move->fence->destination_host,
                               fence_state_name(move->fence->state));
    case WAY_BACK:
        break;
    }
    return g_strdup_printf(
        "operation %s ended before the commit (%s): would release the lock-out, give back status"
        " '%s' and leave the user on %s",
        move->fence->operation, fence_state_name(move->fence->state), move->fence->account_status,
        move->fence->source_host);
}

static bool forward(Move *move, GError **error)
{
    GError *problem = NULL;

    move->committed = true;
    move->result->committed = g_get_real_time() / 1000;
    if (move->target->control == NULL)
        return fail(error, ZX_ERROR_CONNECT,
                    "%s is home, and could not be reached: nothing can be finished before it can",
                    move->target->name);
    /* With the source out of reach there is nothing to compare with: the proof before the commit
     * stands, if there was one. */
    if (!recover_copying(move, &problem)) {
        if (error_code(problem) != ZX_ERROR_CONNECT || move->fence->state == FENCE_FENCED) {
            g_propagate_error(error, problem);
            return false;
        }
        log_warning("%s", problem->message);
        g_clear_error(&problem);
    }
    return open_apply(move, error) && settle_apply(move, error);
}

static bool go(Move *move, Way way, GError **error)
{
    static const char *const states[] = { [WAY_FORWARD] = "open",
                                          [WAY_IN_DOUBT] = "commit",
                                          [WAY_BACK] = "undo" };

    if (way != WAY_REFUSED)
        move_state(move, states[way], NULL);
    switch (way) {
    case WAY_IN_DOUBT:
        move->in_doubt = true;
        return recover_copying(move, error) && commit_in_doubt(move, error) && forward(move, error);
    case WAY_FORWARD:
        return forward(move, error);
    case WAY_REFUSED: {
        g_autofree char *why = explain(move, way);

        return fail(error, ZX_ERROR_REFUSED, "%s", why);
    }
    case WAY_BACK:
        break;
    }
    assume_the_worst(move);
    return undo_window(move, error);
}

/* Claims what can be reached, raises the lease, and only then looks: what was read before may have
 * changed. */
static bool take_over(Move *move, const Fence *known, bool force, GError **error)
{
    Store *source = move->source->control != NULL ? move->source : NULL;
    Store *target = move->target->control != NULL ? move->target : NULL;
    bool source_is_home;

    if (source == NULL && target == NULL)
        return fail(error, ZX_ERROR_CONNECT, "neither database answers");
    if (!claim_take(&move->claim, known->account_id, move->op->uuid,
                    source != NULL ? source : target, source != NULL ? target : NULL,
                    move->op->conf->lease_s, error))
        return false;
    account_free(move->account);
    move->account = directory_account(move->op->directory, known->account_id, error);
    if (move->account == NULL)
        return false;
    if (source != NULL && !rescue_is_over(source, known->account_id, error))
        return false;
    source_is_home = !account_lives_on(move->account, known->destination_host);
    move->fence = fence_take_over(known, source, target, source_is_home, error);
    if (move->fence == NULL)
        return false;
    /* The destination's row becomes `proven` before the source's can become `committing`, and does
     * not say whether that happened. */
    if (source == NULL && source_is_home && move->fence->state != FENCE_FENCED && !force)
        return fail(error, ZX_ERROR_CONNECT,
                    "the record on %s, which is home, says whether the commit was begun, and it "
                    "cannot be read: nothing is done before it can (or with force true, which may "
                    "lose mail if the commit still lands)",
                    move->source->name);
    return true;
}

static bool recover_move(Move *move, Fence *known, const RecoverRequest *request, GError **error)
{
    MailboxResult *result = move->result;
    Way way;
    bool good;

    if (request->dry_run) {
        move->fence = known;
        result->outcome = OUTCOME_EXPLAINED;
        result->reason = explain(move, way_of(move, request->force));
        return true;
    }
    good = take_over(move, known, request->force, error);
    fence_free(known);
    if (good) {
        restore(move);
        way = way_of(move, request->force);
        good = go(move, way, error);
        if (!good && way == WAY_FORWARD && error_code(*error) == ZX_ERROR_CONNECT)
            move_note(move,
                      "if %s is gone for good, this takes the user back to the copy on %s:"
                      " zxmove doRollback accounts %s from_old_copy true accept_data_loss true",
                      move->target->name, move->source->name, move->account->address);
        result->outcome = move->committed ? OUTCOME_FINISHED : OUTCOME_UNDONE;
    }
    claim_release(&move->claim);
    return good;
}

/* Both ends as far as they can be had: either end's record is enough. */
static Store *reachable_part(Operation *op, MailboxResult *result, const char *host, GError **error)
{
    g_autofree char *missing = NULL;
    Store *store = operation_store_rest(op, host, &missing, error);

    if (missing != NULL)
        g_ptr_array_add(result->notes,
                        g_strdup_printf("%s is only partly in order: %s", host, missing));
    return store;
}

static void recover_one(Operation *op, const RecoverRequest *request, Fence *known,
                        MailboxResult *result, unsigned index, unsigned total)
{
    GError *problem = NULL;
    Store *source = reachable_part(op, result, known->source_host, &problem);
    Store *target =
        source != NULL ? reachable_part(op, result, known->destination_host, &problem) : NULL;
    Account *account =
        target != NULL ? directory_account(op->directory, known->account_id, &problem) : NULL;

    log_context(op->uuid, known->address);
    if (account == NULL)
        fence_free(known);
    else {
        Move *move = move_new(op, account, source, target, result);

        move->index = index;
        move->total = total;
        if (!recover_move(move, known, request, &problem))
            result->outcome = move->in_doubt || move->committed ? OUTCOME_IN_DOUBT : OUTCOME_FAILED;
        move_free(move);
    }
    if (problem != NULL) {
        result->code = error_code(problem);
        g_free(result->reason);
        result->reason = g_strdup(problem->message);
        log_error("%s", problem->message);
        g_error_free(problem);
    }
    operation_done(op, result, index, total);
    log_context(op->uuid, NULL);
}

/* A store that could not be asked may know of more: that is not success, unless the accounts named
 * were found. */
static bool judge_unasked(Operation *op, const RecoverRequest *request, const char *store,
                          GError *problem, GError **error)
{
    MailboxResult *result;

    if (op->report->mailboxes->len == 0) {
        g_propagate_error(error, problem);
        return false;
    }
    if (request->accounts == NULL && request->operation == NULL) {
        result = operation_add_result(op, store, "", store, "");
        result_decide(result, OUTCOME_FAILED, problem);
    } else
        g_error_free(problem);
    return true;
}

/* The row of the recovery is on a store that has been asked, an end of what is recovered. No recovery
 * fails for want of it; a look has none. */
static void begin(Operation *op, const RecoverRequest *request, const GPtrArray *fences)
{
    for (guint i = 0; !request->dry_run && i < fences->len; i++) {
        const Fence *fence = g_ptr_array_index(fences, i);
        const char *const ends[] = { fence->destination_host, fence->source_host };

        for (unsigned k = 0; k < G_N_ELEMENTS(ends); k++) {
            g_autofree char *key = g_ascii_strdown(ends[k], -1);
            g_autoptr(GError) problem = NULL;
            Store *store = g_hash_table_lookup(op->stores, key);

            if (store == NULL || store->control == NULL)
                continue;
            if (operation_begin(op, store, &problem)) {
                operation_running(op);
                return;
            }
            log_warning("%s: the recovery has no row there: %s", ends[k], problem->message);
        }
    }
}

/* @known is taken. */
static void run_one(Operation *op, const RecoverRequest *request, Fence *known, guint place,
                    unsigned total)
{
    MailboxResult *result = g_ptr_array_index(op->report->mailboxes, place);

    if (wait_stopped(op->wait)) {
        result->outcome = OUTCOME_NOT_REACHED;
        result->code = wait_stop_code(op->wait);
        result->reason = g_strdup("stopped before its turn");
        fence_free(known);
        return;
    }
    if (vanished(op, known))
        vanished_recover(op, request, known, result, place + 1, total);
    else if (known->rescue)
        rescue_recover(op, request, known, result, place + 1, total);
    else
        recover_one(op, request, known, result, place + 1, total);
    operation_journal(op, place);
}

/* Of every store that can be asked. The name of one that cannot, with the reason in *@problem;
 * NULL: all could. */
static const char *collect_all(Operation *op, const RecoverRequest *request, GPtrArray *fences,
                               GError **problem)
{
    const char *unasked = NULL;

    for (guint i = 0; i < op->conf->stores->len; i++) {
        const char *name = ((const ConfStore *)g_ptr_array_index(op->conf->stores, i))->name;
        GError *why = NULL;

        if (collect(op, request, name, fences, &why))
            continue;
        g_clear_error(problem);
        *problem = why;
        unasked = name;
    }
    return unasked;
}

/* A delivery closes what its store had left open until then. */
static void pass_over(GPtrArray *fences, const char *account_id, const char *store, int64_t age_ms)
{
    for (guint i = fences->len; i-- > 0;) {
        Fence *fence = g_ptr_array_index(fences, i);

        if (fence->on_source || strcmp(fence->account_id, account_id) != 0 ||
            g_ascii_strcasecmp(fence->destination_host, store) != 0 || fence->age_ms < age_ms)
            continue;
        g_ptr_array_remove_index(fences, i);
        fence_free(fence);
    }
}

/* A look delivers nothing: it says what would be, and passes over what that would close. */
static void look_at_left_behind(Operation *op, GPtrArray *fences)
{
    g_autoptr(GList) stores = g_hash_table_get_values(op->stores);

    for (GList *at = stores; at != NULL; at = at->next) {
        const Store *from = at->data;
        g_autoptr(GError) problem = NULL;
        g_autoptr(Rows) left = NULL;

        if (from->bare || from->control == NULL)
            continue;
        left = db_query(from->control, &problem,
                        "SELECT account_id, mailbox_id, address, store,"
                        " TIMESTAMPDIFF(MICROSECOND, since, UTC_TIMESTAMP(3)) DIV 1000"
                        " FROM zxmove.left_behind",
                        DB_NONE);
        if (left == NULL)
            operation_note(op, "%s", problem->message);
        for (unsigned i = 0; left != NULL && i < rows_count(left); i++) {
            g_autofree char *key = g_ascii_strdown(rows_text(left, i, 3), -1);
            const Store *to = g_hash_table_lookup(op->stores, key);

            if (to == NULL || to->control == NULL)
                continue;
            operation_note(op,
                           "%s: mailbox %s on %s, left behind when its user was taken back, would"
                           " be recorded there as stray",
                           rows_text(left, i, 2), rows_text(left, i, 1), to->name);
            pass_over(fences, rows_text(left, i, 0), to->name, rows_i64(left, i, 4));
        }
    }
}

static void forget_all(GPtrArray *fences)
{
    for (guint i = 0; i < fences->len; i++)
        fence_free(g_ptr_array_index(fences, i));
    g_ptr_array_set_size(fences, 0);
}

/* A login that is refused would fail them all. Who is silent may be the end that is gone. */
static bool logins_good(Operation *op, const GPtrArray *fences, GError **error)
{
    for (guint i = 0; i < fences->len; i++) {
        const Fence *fence = g_ptr_array_index(fences, i);
        const char *const ends[] = { fence->source_host, fence->destination_host };

        for (guint k = 0; k < G_N_ELEMENTS(ends); k++) {
            g_autofree char *key = g_ascii_strdown(ends[k], -1);
            g_autoptr(GError) problem = NULL;
            Store *store = g_hash_table_lookup(op->stores, key);

            if (store == NULL || store->soap == NULL || store->control == NULL ||
                operation_login(op, store, &problem) || error_code(problem) != ZX_ERROR_DENIED)
                continue;
            return fail(error, ZX_ERROR_DENIED, "nothing was begun: %s", problem->message);
        }
    }
    return true;
}

bool recover_run(Operation *op, const RecoverRequest *request, GError **error)
{
    g_autoptr(GPtrArray) fences = g_ptr_array_new();
    GError *first = NULL;
    const char *unasked = collect_all(op, request, fences, &first);
    bool good;

    /* What is delivered closes what the store had left open. */
    if (op->looking)
        look_at_left_behind(op, fences);
    else if (left_behind_deliver_all(op)) {
        forget_all(fences);
        g_clear_error(&first);
        unasked = collect_all(op, request, fences, &first);
    }
    forget_second_rows(fences);
    forget_given_up(fences);
    if (!op->looking && !logins_good(op, fences, error)) {
        forget_all(fences);
        g_clear_error(&first);
        return false;
    }
    for (guint i = 0; i < fences->len; i++) {
        const Fence *known = g_ptr_array_index(fences, i);

        operation_add_result(op, known->address, known->account_id, known->source_host,
                             known->destination_host);
    }
    begin(op, request, fences);
    operation_emit(op, &(Event){ .type = EVENT_SELECTED, .total = fences->len });
    for (guint i = 0; i < fences->len; i++)
        run_one(op, request, g_ptr_array_index(fences, i), i, fences->len);
    good = first == NULL || judge_unasked(op, request, unasked, first, error);
    operation_end(op, operation_end_state(op));
    return good;
}
