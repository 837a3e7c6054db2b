/* open.c - the destination is home; from here only forward (doc/platform.md 9.6, steps 9 to 11).
 * Each part is safe to run twice and is insisted on: connections are opened anew, and it is tried
 * again, until the patience ends. What then is left is reported with the command that finishes it.
 */
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/move/move.h"
#include <string.h>

#define PATIENCE_MS        60000
#define SOURCE_PATIENCE_MS 10000
#define FLUSH_MS           2000 /* how long the window waits for LDAP servers and caches (5.5) */

static bool insist(Move *move, const char *name, MovePart *part, GError **error)
{
    Wait wait = wait_through(&move->wait, PATIENCE_MS);

    return move_insist(move, name, part, &wait, error);
}

/* For a part that only looks at the source: a source that is gone can hold nothing new that could
 * still be carried over, and must not keep the user out. */
static bool try_for_a_while(Move *move, const char *name, MovePart *part, GError **error)
{
    Wait wait = wait_through(&move->wait, SOURCE_PATIENCE_MS);
    GError *problem = NULL;

    if (move_insist(move, name, part, &wait, &problem))
        return true;
    if (error_code(problem) != ZX_ERROR_CONNECT && error_code(problem) != ZX_ERROR_TIMEOUT) {
        g_propagate_error(error, problem);
        return false;
    }
    move_note(
        move,
        "%s could not be looked at once more after the commit (%s); the proof before it stands",
        move->source->name, problem->message);
    g_error_free(problem);
    return true;
}

/* The destination's row decides from now on; the source's follows as soon as its database can be
 * had. */
static bool record_committed(Move *move, GError **error)
{
    GError *problem = NULL;

    if (move->doubted && !journal_doubt(move->target, move->fence->operation, move->account->id, error))
        return false;
    if (!fence_set(move->target, move->fence, FENCE_COMMITTED, error))
        return false;
    if (!fence_set(move->source, move->fence, FENCE_COMMITTED, &problem)) {
        if (error_code(problem) == ZX_ERROR_CONFLICT) {
            g_propagate_error(error, problem);
            return false;
        }
        log_warning("%s: %s", move->source->name, problem->message);
        g_error_free(problem);
    }
    move->fence->state = FENCE_COMMITTED;
    return true;
}

/* NULL: any. */
static const char *status_now(const Move *move)
{
    return move->fence->status_touched && !move->let_in ? "maintenance" : NULL;
}

/* Destination first: with a stale cache it would relay mail back (5.5). */
static bool flush_target(Move *move, GError **error)
{
    Wait wait = wait_through(&move->wait, FLUSH_MS);
    g_autoptr(Account) now = directory_account(move->op->directory, move->account->id, error);

    if (now == NULL)
        return false;
    /* Whoever writes another status meanwhile has their way (hazard 52). */
    move->let_in |= move->fence->status_touched && strcmp(now->status, "maintenance") != 0;
    return caches_flush_store(move, move->target, status_now(move), move->target->name, &wait,
                              error);
}

/* The source is locked: a cache that stays old for a while does no harm, so the window does not
 * insist. */
static void flush_source(Move *move)
{
    Wait wait = wait_through(&move->wait, FLUSH_MS);
    GError *problem = NULL;

    if (caches_flush_store(move, move->source, status_now(move), move->target->name, &wait,
                           &problem))
        return;
    log_warning("%s: %s; again after the window", move->source->name, problem->message);
    g_error_free(problem);
}

/* A lock lost in the last millisecond shows here; nobody has opened the destination yet. */
static bool carry_over(Move *move, GError **error)
{
    RowsMaxima now;

    /* What a user who was let in has at the destination is newer, whoever let them in. */
    if (move->source_mailbox == 0 || move->fence->opened || move->let_in)
        return true;
    if (!recover_copying(move, error) ||
        !rows_maxima(move->source->data, move->source_group, move->source_mailbox, &now, error))
        return false;
    if (maxima_equal(&now, &move->proven))
        return true;
    log_warning("the source changed after the proof; carrying the difference over");
    return delta_apply(move, error) && prove_content(move, error);
}

/* The proof that the destination serves the copy and no new, empty mailbox. */
static bool answers_our_id(Move *move, GError **error)
{
    uint32_t id, row;

    if (move->source_mailbox == 0)
        return true;
    /* Asked without a row, mailboxd would make a new, empty mailbox (hazard 1). */
    if (!mailbox_row_find(move->target->control, move->account->id, &row, NULL, NULL, error))
        return false;
    if (row != move->target_mailbox)
        return fail(error, ZX_ERROR_BUG, "the row of mailbox %u on %s says %u",
                    move->target_mailbox, move->target->name, row);
    if (!fence_mark(move->target, move->fence, FENCE_OPENED, error) ||
        !admin_mailbox_id(move->target->soap, move->account->id, &move->claim.wait, &id, error))
        return false;
    if (id != move->target_mailbox)
        return fail(error, ZX_ERROR_CHANGED,
                    "%s answers mailbox %u for %s, not %u: maintenance is kept. Restart"
                    " mailboxd there",
                    move->target->name, id, move->account->address, move->target_mailbox);
    return !move->fence->reindex ||
           admin_reindex(move->target->soap, move->account->id, &move->claim.wait, error);
}

/* Only what we set is taken back: a status somebody else wrote meanwhile is theirs. */
static bool restore_status(Move *move, GError **error)
{
    const char *mail_status = move->fence->mail_status != NULL ? move->fence->mail_status : "";
    const char *const pairs[] = { "zimbraAccountStatus", move->fence->account_status,
                                  "zimbraMailStatus", mail_status, NULL };
    g_autoptr(Account) now = NULL;

    if (!claim_check_at(&move->claim, move->target, error))
        return false;
    now = directory_account(move->op->directory, move->account->id, error);
    if (now == NULL)
        return false;
    if (move->fence->status_touched && strcmp(now->status, "maintenance") == 0) {
        if (admin_modify(move->target->soap, move->account->id, pairs, &move->claim.wait, error) !=
            SOAP_ANSWER)
            return false;
    } else if (move->fence->status_touched &&
               strcmp(now->status, move->fence->account_status) != 0) {
        move_note(move, "somebody set the status of %s to %s meanwhile: left so", now->address,
                  now->status);
    }
    move->let_in = true;
    return true;
}

static bool show_status(Move *move, GError **error)
{
    g_autoptr(Account) now = directory_account(move->op->directory, move->account->id, error);
    Wait wait = wait_through(&move->wait, FLUSH_MS);

    return now != NULL &&
           caches_flush_store(move, move->target, now->status, move->target->name, &wait, error);
}

/* The status is given back; a destination that goes on showing the old one does so for a quarter of
 * an hour. */
static void flush_status(Move *move)
{
    Wait wait = wait_through(&move->wait, PATIENCE_MS);
    GError *problem = NULL;

    if (move_insist(move, "status shown", show_status, &wait, &problem))
        return;
    move_note(move,
              "%s may refuse %s for up to 15 minutes (%s); or run there: zmprov fc -a account %s",
              move->target->name, move->account->address, problem->message, move->account->address);
    g_error_free(problem);
}

bool open_apply(Move *move, GError **error)
{
    int64_t since;

    if (!insist(move, "record", record_committed, error) ||
        !insist(move, "flush", flush_target, error))
        return false;
    since = g_get_monotonic_time();
    flush_source(move);
    caches_drop_routes(move);
    move_timed(move, "source, routes", since);
    if (!failpoint("open:flushed", error) ||
        !try_for_a_while(move, "last look", carry_over, error) ||
        !insist(move, "third look", appeared_move, error) ||
        (!move->fence->opened && !insist(move, "late rows", late_insert, error)) ||
        !failpoint("open:late", error) || !insist(move, "answer", answers_our_id, error) ||
        !failpoint("open:answered", error) || !insist(move, "status", restore_status, error))
        return false;
    flush_status(move);
    move->window_ended = g_get_monotonic_time();
    move->result->window_ms = (double)(move->window_ended - move->window_began) / 1000;
    return failpoint("open:status", error);
}
