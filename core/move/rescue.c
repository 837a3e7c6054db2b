/* rescue.c - doRollback from_old_copy: the user of a home that is gone gets the old copy back, as
 * it was when it was left (doc/platform.md 9.6, hazard 47; the order: doc/architecture.md). Only
 * when nothing of that home answers, and a person has accepted what is lost. The old store's fence
 * is the only record: before the directory changes everything leads back, after it only forward.
 *
 * A home may die in the middle of the move that led to it, after the commit: the window of that
 * move is still open, there may be no record of the old copy yet, and its user is in maintenance or
 * was just let in. Then the fence of the move is the record: what the source showed when it was
 * proven, and the status to give back. It stays open until the directory has the old home again,
 * and is closed with that.
 */
#include "core/move/rescue.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"

#define DEAD_FOR_US (30 * G_USEC_PER_SEC) /* so long what was found out holds for the next account */

typedef struct Rescue {
    GHashTable
        *turns; /* account id -> its place in the report, and 1: of those whose turn is to come */
    unsigned index, total;
    char *dead; /* the home that was asked last, and gave no answer */
    int64_t asked;
} Rescue;

/* One account. */

static bool home_is_gone(Operation *op, Rescue *rescue, const char *host, GError **error)
{
    if (rescue->dead != NULL && g_ascii_strcasecmp(host, rescue->dead) == 0 &&
        g_get_monotonic_time() - rescue->asked < DEAD_FOR_US)
        return true;
    if (!rescue_home_is_gone(op, host, error))
        return false;
    g_free(rescue->dead);
    rescue->dead = g_strdup(host);
    rescue->asked = g_get_monotonic_time();
    return true;
}

/* Its mover, should it still sleep somewhere, can change nothing there any more. */
static bool take_left_over(Move *move, Fence **left, GError **error)
{
    Fence *now;

    if (*left == NULL)
        return true;
    now = fence_take_over(*left, move->target, NULL, true, error);
    fence_free(*left);
    *left = now;
    return now != NULL;
}

static bool begin_fence(Move *move, const Departure *departure, const Fence *left, GError **error)
{
    Fence *fence = fence_new(move->account, move->op->uuid, departure->to, departure->from);

    fence->rescue = true;
    fence->source_mailbox = departure->new_mailbox;
    fence->destination_mailbox = departure->mailbox;
    if (left != NULL && left->status_touched) {
        g_free(fence->account_status);
        g_free(fence->mail_status);
        fence->account_status = g_strdup(left->account_status);
        fence->mail_status = g_strdup(left->mail_status);
        fence->status_touched = true;
    }
    move->fence = fence;
    return fence_begin(fence, NULL, move->target, error) && failpoint("rescue:fenced", error) &&
           claim_check(&move->claim, error);
}

/* The directory was not changed, and will not be: nothing else was touched. */
static void lead_back(Move *move)
{
    GError *problem = NULL;

    if (fence_set(move->target, move->fence, FENCE_UNDONE, &problem))
        return;
    log_warning("%s: %s", move->target->name, problem->message);
    g_error_free(problem);
}

static bool commit(Move *move, GError **error)
{
    if (!fence_advance(move->target, move->fence, FENCE_FENCED, FENCE_COMMITTING, error) ||
        !failpoint("rescue:committing", error))
        return false;
    move->fence->state = FENCE_COMMITTING;
    return rescue_change_home(move, error) && failpoint("rescue:changed", error);
}

static bool rescue_claimed(Move *move, Rescue *rescue, const Departure *departure, GError **error)
{
    g_autoptr(Fence) left = NULL;

    account_free(move->account);
    move->account = directory_account(move->op->directory, departure->account_id, error);
    if (move->account == NULL || !rescue_may_begin(departure, move->account, error) ||
        !rescue_find_left(move, departure, &left, error) ||
        !rescue_copy_can_serve(move, departure, left, error) ||
        !home_is_gone(move->op, rescue, departure->to, error))
        return false;
    move->result->source_mailbox = departure->new_mailbox;
    move->result->destination_mailbox = departure->mailbox;
    if (move->op->looking) {
        move->result->outcome = OUTCOME_PLANNED;
        move->result->reason = rescue_what_is_lost(departure, move->account, left);
        return true;
    }
    move_state(move, "commit", NULL);
    if (!take_left_over(move, &left, error) || !begin_fence(move, departure, left, error) ||
        !commit(move, error)) {
        if (move->fence != NULL && !move->in_doubt)
            lead_back(move);
        return false;
    }
    move->in_doubt = false;
    {
        g_autofree char *lost = rescue_what_is_lost(departure, move->account, left);

        move_note(move, "%s", lost);
    }
    if (!rescue_go_forward(move, error))
        return false;
    move->result->outcome = OUTCOME_MOVED;
    return true;
}

/* A look takes no claim. */
static bool take(Move *move, GError **error)
{
    return move->op->looking || claim_take(&move->claim, move->account->id, move->op->uuid,
                                           move->target, NULL, move->op->conf->lease_s, error);
}

/* Why there is nothing to do; NULL: there is. */
static const char *nothing_to_do(const Candidate *candidate)
{
    if (candidate->nothing != NULL)
        return candidate->nothing;
    return account_lives_on(candidate->account, candidate->departure->from) ? "already there"
                                                                            : NULL;
}

/* Who is to be tried has a line in the report of which nothing is decided. */
static void select_one(Operation *op, const RollbackRequest *request G_GNUC_UNUSED,
                       const Candidate *candidate, void *data G_GNUC_UNUSED)
{
    const Departure *departure = candidate->departure;
    GError *problem = candidate->problem;
    const char *nothing = problem == NULL ? nothing_to_do(candidate) : NULL;
    Store *store;

    if (problem == NULL && nothing == NULL &&
        rescue_may_begin(departure, candidate->account, &problem) &&
        (store = operation_reach(op, departure->from, &problem)) != NULL &&
        operation_login(op, store, &problem))
        operation_add_result(op, candidate->account->address, candidate->account->id, departure->to,
                             departure->from);
    else
        rollback_tell(op, candidate, nothing, problem);
}

static void rescue_account(Operation *op, Rescue *rescue, const Candidate *candidate,
                           MailboxResult *result)
{
    const Departure *departure = candidate->departure;
    GError *problem = candidate->problem;
    Store *store = problem == NULL ? operation_store(op, departure->from, &problem) : NULL;
    Account *account = NULL;
    Move *move;

    if (store != NULL && store_revive(store, &problem))
        account = directory_account(op->directory, departure->account_id, &problem);
    if (account == NULL) {
        result_decide(result, OUTCOME_FAILED, problem);
        return;
    }
    move = move_new(op, account, store, store, result);
    move->index = rescue->index;
    move->total = rescue->total;
    if (!take(move, &problem) || !rescue_claimed(move, rescue, departure, &problem))
        rescue_set_failed(move, problem);
    claim_release(&move->claim);
    move_free(move);
}

/* One after the other: they are few, and each gives something up. */
static void rescue_one(Operation *op, const RollbackRequest *request G_GNUC_UNUSED,
                       const Candidate *candidate, void *data)
{
    Rescue *rescue = data;
    const char *id =
        candidate->account != NULL ? candidate->account->id : candidate->departure->account_id;
    guint place = GPOINTER_TO_UINT(g_hash_table_lookup(rescue->turns, id));
    GError *problem = candidate->problem;
    MailboxResult *result;

    operation_gate(op, op->wait, NULL, NULL);
    if (place == 0 || wait_stopped(op->wait)) {
        g_clear_error(&problem);
        return;
    }
    g_hash_table_remove(rescue->turns, id);
    result = g_ptr_array_index(op->report->mailboxes, place - 1);
    rescue->index++;
    operation_running(op);
    log_context(op->uuid, result->address);
    if (problem == NULL && nothing_to_do(candidate) != NULL) {
        result->outcome = OUTCOME_SKIPPED;
        result->reason = g_strdup(nothing_to_do(candidate));
        crew_count_moved(op, result);
    } else
        rescue_account(op, rescue, candidate, result);
    operation_journal(op, place - 1);
    operation_done(op, result, rescue->index, rescue->total);
    log_context(op->uuid, NULL);
}

static void set_not_reached(Operation *op, const Rescue *rescue)
{
    GHashTableIter iter;
    void *place;

    g_hash_table_iter_init(&iter, rescue->turns);
    while (g_hash_table_iter_next(&iter, NULL, &place)) {
        GError *problem = NULL;

        if (wait_stopped(op->wait))
            fail(&problem, wait_stop_code(op->wait), "stopped before its turn");
        else
            fail(&problem, ZX_ERROR_CHANGED, "no store has a record any more of a move of it");
        result_decide(g_ptr_array_index(op->report->mailboxes, GPOINTER_TO_UINT(place) - 1),
                      wait_stopped(op->wait) ? OUTCOME_NOT_REACHED : OUTCOME_FAILED, problem);
    }
}

static bool begin(Operation *op, const GArray *places, GError **error)
{
    const char *where = op->again;
    Store *store;

    if (op->looking || (places->len == 0 && where == NULL))
        return true;
    if (where == NULL)
        where = operation_result(op, places, 0)->destination;
    store = operation_store(op, where, error);
    return store != NULL && operation_begin(op, store, error);
}

static bool rescue_all(Operation *op, const RollbackRequest *request, const GArray *places,
                       Rescue *rescue, GError **error)
{
    bool good = begin(op, places, error);

    rescue->total = places->len;
    for (guint i = 0; i < places->len; i++) {
        guint place = g_array_index(places, guint, i);
        const MailboxResult *result = g_ptr_array_index(op->report->mailboxes, place);

        g_hash_table_insert(rescue->turns, g_strdup(result->account_id),
                            GUINT_TO_POINTER(place + 1));
    }
    if (!good)
        return false;
    operation_emit(op, &(Event){ .type = EVENT_SELECTED, .total = places->len });
    good = rollback_each(op, request, rescue_one, rescue, error);
    if (good)
        set_not_reached(op, rescue);
    operation_end(op, good ? operation_end_state(op) : "failed");
    return good;
}

bool rescue_run(Operation *op, const RollbackRequest *request, GError **error)
{
    Rescue rescue = { .turns = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL) };
    g_autoptr(GArray) places = NULL;
    bool good;

    if (op->again != NULL)
        places = batch_take_up(op, error);
    else if (rollback_each(op, request, select_one, NULL, error))
        places = batch_undecided(op);
    good = places != NULL && rescue_all(op, request, places, &rescue, error);
    g_hash_table_unref(rescue.turns);
    g_free(rescue.dead);
    return good;
}
