/* machine.c - the table of steps of one mailbox, and what walks through it: forward, back to where
 * it began, or to a report that says what a person has to do. No verb and no step is named
 * elsewhere as a sequence. */
#include "conf/units.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/move/ahead.h"
#include "core/move/left_behind.h"
#include <string.h>

typedef enum StepFlags {
    ACCOUNT = 1, /* only with stage account */
    WINDOW = 2,  /* the user is out: an error leads to undo */
    FORWARD = 4, /* the destination is home: an error is reported, never undone */
    COPY = 8,    /* with stage blobs or account */
    BACKUP = 16, /* with stage backup */
} StepFlags;

typedef struct Step {
    const char *name;
    bool (*apply)(Move *move, GError **error); /* safe to run twice */
    unsigned flags;
} Step;

/* clang-format off */
static const Step steps[] = {
    { "reserve", reserve_apply, COPY },              /* an id at the destination */
    { "copy",    copy_rounds,   COPY },              /* blobs, rows, index, in rounds */
    { "backup",  backup_apply,  BACKUP },            /* its entries in the store's backup */
    { "clear",   clear_apply,   ACCOUNT },           /* an older copy at the destination */
    { "fence",   fence_apply,   ACCOUNT | WINDOW },  /* record, maintenance, lock-out */
    { "delta",   delta_apply,   ACCOUNT | WINDOW },  /* last differences */
    { "prove",   prove_apply,   ACCOUNT | WINDOW },
    { "commit",  commit_apply,  ACCOUNT | WINDOW },  /* zimbraMailHost */
    { "open",    open_apply,    ACCOUNT | FORWARD }, /* caches, late rows, status */
    { "settle",  settle_apply,  ACCOUNT | FORWARD }, /* other stores, the old copy's record */
};
/* clang-format on */

void move_note(Move *move, const char *fmt, ...)
{
    va_list args;
    char *note;

    va_start(args, fmt);
    note = g_strdup_vprintf(fmt, args);
    va_end(args);
    log_info("note: %s", note);
    g_ptr_array_add(move->result->notes, note);
}

void move_state(Move *move, const char *state, const char *cause)
{
    operation_emit(move->op,
                   &(Event){ .type = EVENT_STATE,
                             .account = move->account->address,
                             .text = state,
                             .cause = cause,
                             .index = move->index,
                             .total = move->total,
                             .mailbox_bytes = operation_size(move->op, move->account->id) });
}

void move_timed(Move *move, const char *name, int64_t since)
{
    StepTime time = { .name = name, .ms = (double)(g_get_monotonic_time() - since) / 1000 };

    if (move->window_began != 0 && move->window_ended == 0)
        g_array_append_val(move->result->window_steps, time);
    log_debug("%s: %.1f ms", name, time.ms);
}

static void on_held_up(void *data, const char *state, const char *cause)
{
    move_state(data, state, cause);
}

bool move_gate(Move *move)
{
    const bool was_held = operation_gate(move->op, &move->wait, on_held_up, move);

    turn_stand_aside(move);
    return was_held;
}

static bool step_run(Move *move, const Step *step, GError **error)
{
    const char *id = move->account->id;
    bool journalled = (step->flags & (WINDOW | FORWARD)) == 0;
    g_autofree char *intent = g_strdup_printf("%s:intent", step->name);
    g_autofree char *applied = g_strdup_printf("%s:applied", step->name);

    if (journalled)
        move_gate(move);
    if (journalled && wait_stopped(&move->wait))
        return fail(error, wait_stop_code(&move->wait),
                    "stopped; what was copied stays for the next run");
    move_state(move, step->name, NULL);
    log_info("step %s", step->name);
    /* From the window on the fence is the journal; a line more would only lengthen it, or fail it.
     */
    if (journalled && !journal_intent(move->target, move->op->uuid, id, step->name, error))
        return false;
    if (!failpoint(intent, error) || !step->apply(move, error) || !failpoint(applied, error))
        return false;
    return !journalled || journal_done(move->target, move->op->uuid, id, step->name, error);
}

static void begin_window_anew(Move *move)
{
    move->window_began = move->window_ended = 0;
    g_array_set_size(move->result->window_steps, 0);
}

static void set_failed(Move *move, GError *problem)
{
    MailboxResult *result = move->result;

    result->code = error_code(problem);
    result->outcome = move->in_doubt ? OUTCOME_IN_DOUBT
                      : result->code == ZX_ERROR_INTERRUPTED || result->code == ZX_ERROR_STOPPED
                          ? OUTCOME_NOT_REACHED
                          : OUTCOME_FAILED;
    g_free(result->reason);
    result->reason = g_strdup(problem->message);
    log_error("%s", problem->message);
}

/* The destination is home and the user's way is forward: the move is done, what is left is in the
 * notes. */
static void set_moved_with_rest(Move *move, const Step *step, GError *problem)
{
    bool user_is_in = move->window_ended != 0;

    if (user_is_in) {
        move->result->outcome = OUTCOME_MOVED;
        move->result->unfinished = true;
        move_note(move,
                  "step %s is not finished (%s); finish it with: zxmove doRecover accounts %s "
                  "dry_run false",
                  step->name, problem->message, move->account->address);
        return;
    }
    move->in_doubt = true;
    set_failed(move, problem);
    move_note(move,
              "%s is home, but the user could not be let in: maintenance is kept, mail waits. "
              "Finish with:"
              " zxmove doRecover accounts %s dry_run false",
              move->target->name, move->account->address);
}

/* Back to before the window. False if even that failed: then nobody tries again. */
static bool lead_back(Move *move, GError *problem)
{
    GError *undo = NULL;

    if (undo_window(move, &undo)) {
        g_clear_pointer(&move->fence, fence_free);
        return true;
    }
    fail_prefix(&problem, "%s", undo->message);
    set_failed(move, problem);
    g_error_free(undo);
    g_error_free(problem);
    return false;
}

/* Reasons that may be gone in a moment: the clock ran out, somebody else held a lock of a database,
 * or a mailbox appeared where none was. */
static bool worth_another_window(const Move *move, const GError *problem)
{
    return error_code(problem) == ZX_ERROR_TIMEOUT || error_code(problem) == ZX_ERROR_BUSY ||
           (error_code(problem) == ZX_ERROR_CHANGED && move->source_mailbox == 0);
}

static bool find_source_mailbox(Move *move, GError **error)
{
    return mailbox_row_find(move->source->control, move->account->id, &move->source_mailbox,
                            &move->source_group, &move->source_index_volume, error);
}

static bool step_in_turn(Move *move, const Step *step, GError **error)
{
    if ((step->flags & WINDOW) && !move->window_ours && !turn_take(move, error))
        return false;
    if (move->window_ended != 0)
        turn_leave(move);
    return step_run(move, step, error);
}

/* Before the window a step whose database is busy is only run again, a few times: somebody dumps
 * it, or changes a table; or an agent got what it was to do too late, and did nothing. In the
 * window another one follows, and after the commit each part is insisted on. */
static bool step_patiently(Move *move, const Step *step, GError **error)
{
    enum { TRIES = 5 };

    for (int tries = 1;; tries++) {
        GError *problem = NULL;

        if (step_in_turn(move, step, &problem))
            return true;
        space_forget(move); /* what is still to come is found out anew */
        if ((step->flags & (WINDOW | FORWARD)) || tries == TRIES || wait_stopped(&move->wait) ||
            error_code(problem) != ZX_ERROR_BUSY) {
            g_propagate_error(error, problem);
            return false;
        }
        log_warning("step %s: %s; it is run again", step->name, problem->message);
        move_state(move, "waiting", "a store is busy, it is tried again");
        g_error_free(problem);
        db_rollback(move->source->data); /* a snapshot, which it may have ended */
        wait_pause(&move->wait, 500 << tries);
    }
}

static bool asked_for(const Move *move, const Step *step)
{
    if (step->flags & ACCOUNT)
        return move->window_soon;
    if (step->flags & BACKUP)
        return (move->stages & STAGE_BACKUP) != 0;
    return (move->stages & (STAGE_BLOBS | STAGE_ACCOUNT)) != 0;
}

/* One walk through the table. True when it is over, either way; false to try another window. */
static bool walk(Move *move, bool last)
{
    for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
        const Step *step = &steps[i];
        GError *problem = NULL;

        if (!asked_for(move, step))
            continue;
        if (step_patiently(move, step, &problem))
            continue;
        fail_prefix(&problem, "%s", step->name);
        if (move->committed)
            set_moved_with_rest(move, step, problem);
        else if ((step->flags & WINDOW) && !move->in_doubt) {
            bool again = worth_another_window(move, problem) && !last;

            if (move->fence != NULL && !lead_back(move, problem))
                return true;
            if (!again)
                set_failed(move, problem);
            begin_window_anew(move);
            g_error_free(problem);
            return !again;
        } else
            set_failed(move, problem);
        g_error_free(problem);
        return true;
    }
    move->result->outcome = move->window_soon ? OUTCOME_MOVED : OUTCOME_STAGED;
    return true;
}

bool move_nothing_unfinished(Store *store, const Account *account, GError **error)
{
    GError *problem = NULL;
    g_autoptr(Fence) fence = fence_find(store, account->id, &problem);

    if (problem != NULL) {
        g_propagate_error(error, problem);
        return false;
    }
    return fence == NULL ||
           fail(error, ZX_ERROR_CONFLICT,
                "%s: operation %s is not finished with this account (%s, recorded on %s). If it"
                " runs no more:\n"
                "  zxmove doRecover accounts %s dry_run false",
                account->address, fence->operation, fence_state_name(fence->state), store->name,
                account->address);
}

bool move_nothing_late(Store *store, const Account *account, GError **error)
{
    g_autofree char *when = NULL;
    int64_t ago;

    if (!journal_doubted(store, account->id, DOUBT_S, &ago, error))
        return false;
    if (ago < 0)
        return true;
    when = units_format_date(g_get_real_time() / 1000 + (DOUBT_S - ago + 1) * 1000);
    return fail(error, ZX_ERROR_CONFLICT,
                "%s came to %s by a change of the directory that was sent more than once, because it"
                " was not answered; one of them may still land. It stays there until %s, and can be"
                " moved on then",
                account->address, store->name, when);
}

bool move_begin_claims(Move *move, GError **error)
{
    return claim_take(&move->claim, move->account->id, move->op->uuid, move->source, move->target,
                      move->op->conf->lease_s, error);
}

/* Hours may lie between the plan and this mailbox's turn: another operation may have moved it
 * since, and what is at the destination is the live mailbox then. *there: nothing is to be done. */
static bool find_home(Move *move, bool *there, GError **error)
{
    g_autoptr(Account) now = directory_account(move->op->directory, move->account->id, error);

    if (now == NULL)
        return false;
    *there = account_lives_on(now, move->target->name);
    return *there || account_lives_on(now, move->source->name) ||
           fail(error, ZX_ERROR_CHANGED, "%s lives on %s now, not on %s", now->address,
                account_home(now), move->source->name);
}

#define LONGEST_BACKOFF_MS 60000 /* cutover_retries may be many */

/* Before the try after the @tries-th: 1 s, 2 s, 4 s ... */
static int backoff_ms(unsigned tries)
{
    return MIN(500 << MIN(tries, 10), LONGEST_BACKOFF_MS);
}

void move_run(Move *move)
{
    unsigned tries = move->window_soon ? move->op->conf->cutover_retries + 1 : 1;
    GError *problem = NULL;
    bool over, there = false;

    left_behind_deliver(move->source, move->target);
    left_behind_deliver(move->target, move->source);
    if (!move_begin_claims(move, &problem) ||
        !move_nothing_unfinished(move->source, move->account, &problem) ||
        !move_nothing_unfinished(move->target, move->account, &problem) ||
        !move_nothing_late(move->source, move->account, &problem) ||
        !fit_alone(move->source, move->account, &move->wait, &problem) ||
        !fit_alone(move->target, move->account, &move->wait, &problem) ||
        !slots_wait(move, &problem) || !find_home(move, &there, &problem)) {
        set_failed(move, problem);
        g_error_free(problem);
        slots_release(move);
        claim_release(&move->claim);
        return;
    }
    if (there) {
        move->result->outcome = OUTCOME_SKIPPED;
        move->result->reason = g_strdup("already there: another operation moved it meanwhile");
        slots_release(move);
        claim_release(&move->claim);
        return;
    }
    operation_running(move->op);
    if (!(move->stages & STAGE_BACKUP))
        backup_not_asked_for(move);
    for (unsigned i = 1; i <= tries; i++) {
        if (!find_source_mailbox(move, &problem)) {
            set_failed(move, problem);
            g_error_free(problem);
            break;
        }
        move->result->source_mailbox = move->source_mailbox;
        over = walk(move, i == tries);
        turn_leave(move);
        if (over)
            break;
        move_state(move, "waiting", "the window did not get through, another one follows");
        wait_pause(&move->wait, backoff_ms(i));
    }
    space_forget(move);
    slots_release(move);
    claim_release(&move->claim);
    if (!move->committed)
        items_list(move);
}

void move_free(Move *move)
{
    if (move == NULL)
        return;
    account_free(move->account);
    catalogue_free(move->catalogue);
    ahead_free(move->ahead);
    fence_free(move->fence);
    g_clear_pointer(&move->trouble, g_ptr_array_unref);
    g_free(move);
}

Move *move_new(Operation *op, Account *account, Store *source, Store *target, MailboxResult *result)
{
    Move *move = g_new0(Move, 1);

    move->op = op;
    move->wait = claim_wait(&move->claim, op->wait);
    move->working_since = g_get_monotonic_time();
    move->account = account;
    move->source = source;
    move->target = target;
    move->result = result;
    move->bad_item_limit = op->request != NULL ? (unsigned)op->request->bad_item_limit : 0;
    move->trouble = g_ptr_array_new_with_free_func((GDestroyNotify)blob_trouble_free);
    return move;
}
