/* recover.c - finishes or undoes what a mover that ended left in its window. The LDAP master and
 * the fence rows say which: home is the destination, forward; `fenced` or `proven`, back;
 * `committing`, forward only, unless a person says that the request is dead (doc/platform.md 9.6).
 */
#include "core/base/log.h"
#include "core/move/move.h"
#include <string.h>

typedef enum Way { WAY_FORWARD, WAY_IN_DOUBT, WAY_BACK } Way;

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

/* A store that cannot be asked is passed over: the other end's row is enough to know of the
 * account. */
static void collect(Operation *op, const RecoverRequest *request, const char *store_name,
                    GPtrArray *fences)
{
    GError *problem = NULL;
    Store *store = operation_store(op, store_name, &problem);
    g_autoptr(GPtrArray) found = store != NULL ? fence_unfinished(store, &problem) : NULL;

    if (found == NULL) {
        log_warning("%s: %s", store_name, problem->message);
        operation_emit(op, &(Event){ .type = EVENT_NOTE, .text = problem->message });
        g_error_free(problem);
        return;
    }
    g_ptr_array_set_free_func(found, NULL);
    for (guint i = 0; i < found->len; i++) {
        Fence *fence = g_ptr_array_index(found, i);

        if (wanted(request, fence))
            g_ptr_array_add(fences, fence);
        else
            fence_free(fence);
    }
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

/* The move as its dead mover had it, as far as it can matter now. */
static bool restore(Move *move, GError **error)
{
    const Fence *fence = move->fence;
    uint32_t row;

    move->window_soon = true;
    move->window_began = g_get_monotonic_time();
    move->source_mailbox = fence->source_mailbox;
    move->target_mailbox = fence->destination_mailbox;
    move->result->source_mailbox = fence->source_mailbox;
    move->result->destination_mailbox = fence->destination_mailbox;
    if (move->source_mailbox == 0)
        return true;
    if (!mailbox_row_find(move->source->control, fence->account_id, &row, &move->source_group,
                          &move->source_index_volume, error))
        return false;
    if (row != fence->source_mailbox)
        return fail(error, ZX_ERROR_CHANGED, "%s has mailbox %u of %s, the record says %u",
                    move->source->name, row, fence->address, fence->source_mailbox);
    if (!restore_volumes(move, error))
        return false;
    move->catalogue = catalogue_read(move->source->data, move->target->data, move->source_group,
                                     move->target_group, move->source_mailbox, error);
    return move->catalogue != NULL;
}

/* What the dead mover may have done is assumed to have been done: each undoing part looks for
 * itself. */
static void assume_the_worst(Move *move)
{
    int64_t began = g_get_monotonic_time() - move->fence->age_ms * 1000;

    move->status_written = move->fence->status_touched;
    move->lock_tried = move->source_mailbox != 0;
    move->lock_ours = move->fence->locked;
    move->lock_tried_at = began;
    /* A lock-out comes after the status was answered. */
    move->status_doubt_until = move->fence->locked ? 0 : began + STATUS_GRACE_US;
    move->row_inserted = move->source_mailbox != 0;
}

static Way way_of(const Move *move, bool force)
{
    const char *home = move->account->mail_host;

    if (home != NULL && g_ascii_strcasecmp(home, move->fence->destination_host) == 0)
        return WAY_FORWARD;
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
    move->committed = true;
    move->result->committed = g_get_real_time() / 1000;
    return open_apply(move, error) && settle_apply(move, error);
}

static bool go(Move *move, Way way, GError **error)
{
    switch (way) {
    case WAY_IN_DOUBT:
        if (commit_in_doubt(move, error))
            return forward(move, error);
        /* A definite refusal of the server is as good as a fault of the living mover: back. */
        if (move->in_doubt)
            return false;
        g_clear_error(error);
        move->lock_tried = move->source_mailbox != 0;
        move->lock_ours = true;
        move->status_written = move->fence->status_touched;
        move->row_inserted = move->source_mailbox != 0;
        return undo_window(move, error);
    case WAY_FORWARD:
        return forward(move, error);
    case WAY_BACK:
        break;
    }
    assume_the_worst(move);
    return undo_window(move, error);
}

static bool recover_move(Move *move, const Fence *other, const RecoverRequest *request,
                         GError **error)
{
    MailboxResult *result = move->result;
    bool good;
    Way way;

    if (!move_begin_claims(move, error))
        return false;
    good = restore(move, error);
    way = way_of(move, request->force);
    if (good && request->dry_run) {
        result->outcome = OUTCOME_EXPLAINED;
        result->reason = explain(move, way);
    } else if (good) {
        good = fence_take_over(move->fence, other, move->source, move->target, error) &&
               go(move, way, error);
        result->outcome = move->committed ? OUTCOME_FINISHED : OUTCOME_UNDONE;
    }
    claim_release(&move->claim);
    return good;
}

static void recover_one(Operation *op, const RecoverRequest *request, Fence *fence, Fence *other)
{
    MailboxResult *result = operation_add_result(op, fence->address, fence->account_id,
                                                 fence->source_host, fence->destination_host);
    GError *problem = NULL;
    Store *source = operation_store(op, fence->source_host, &problem);
    Store *target = source != NULL ? operation_store(op, fence->destination_host, &problem) : NULL;
    Account *account =
        target != NULL ? directory_account(op->directory, fence->account_id, &problem) : NULL;

    log_context(op->uuid, fence->address);
    if (account == NULL)
        fence_free(fence);
    else {
        Move *move = move_new(op, account, source, target, result);

        move->fence = fence;
        if (!recover_move(move, other, request, &problem))
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
    operation_emit(
        op, &(Event){ .type = EVENT_MAILBOX_DONE, .account = result->address, .result = result });
    log_context(op->uuid, NULL);
}

/* The source's row decides while the source is home; it is also the one written first. */
static Fence *deciding(Fence *one, Fence *other)
{
    return other != NULL && other->on_source ? other : one;
}

bool recover_run(Operation *op, const RecoverRequest *request, GError **error)
{
    g_autoptr(GPtrArray) fences = g_ptr_array_new();

    (void)error;
    for (guint i = 0; i < op->conf->stores->len; i++)
        collect(op, request, ((const ConfStore *)g_ptr_array_index(op->conf->stores, i))->name,
                fences);
    while (fences->len > 0) {
        Fence *first = g_ptr_array_index(fences, 0);
        Fence *second = find_same(fences, first);
        Fence *fence = deciding(first, second);
        g_autoptr(Fence) other = second == NULL ? NULL : fence == first ? second : first;

        g_ptr_array_remove(fences, first);
        if (second != NULL)
            g_ptr_array_remove(fences, second);
        recover_one(op, request, fence, other);
    }
    return true;
}
