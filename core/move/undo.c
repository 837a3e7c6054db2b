/* undo.c - the way back before the commit: lock released, status as it was, the copy invisible;
 * staged data stays for the next attempt (doc/platform.md 9.6). The user comes first: what needs
 * only mailboxd and the directory is done even when a database is gone. Insists for a while; what
 * is left then is in the message. */
#include "core/base/log.h"
#include "core/move/move.h"
#include <string.h>

#define PATIENCE_MS    60000
#define SECOND_LOOK_MS 2000

/* A start that was not answered may lock the mailbox until the server's lock timeout is over (5.2).
 * The first shows when it has; a second one, sent to prove the lock, does not. */
static void await_abandoned_start(Move *move)
{
    Wait wait = wait_through(&move->wait, G_MAXINT32);

    while (g_get_monotonic_time() < move->lock_doubt_until) {
        if (!move->lock_ours &&
            admin_probe(move->source->soap, move->account->id, &move->claim.wait, NULL) ==
                PROBE_LOCKED)
            return;
        wait_pause(&wait, 250);
    }
}

/* No answer is no proof that the lock is gone. */
static bool look_at_lock(Move *move, Store *store, bool *locked, GError **error)
{
    g_autofree char *why = NULL;
    Probe probe = admin_probe(store->soap, move->account->id, &move->claim.wait, &why);

    *locked = probe == PROBE_LOCKED;
    return probe != PROBE_UNKNOWN || fail(error, ZX_ERROR_CONNECT, "%s", why);
}

/* It may still land, and must not do so in another window: that would open its lock. */
static void unanswered(Move *move)
{
    move->late_until = g_get_monotonic_time() + STATUS_GRACE_US;
}

bool lock_end(Move *move, Store *store, GError **error)
{
    bool locked;

    switch (admin_lockout(store->soap, move->account->id, false, &move->claim.wait, error)) {
    case LOCKOUT_DONE:
    case LOCKOUT_NONE:
        break;
    case LOCKOUT_UNKNOWN:
        unanswered(move);
        return false;
    case LOCKOUT_ALREADY:
    case LOCKOUT_REFUSED:
        return false;
    }
    if (!look_at_lock(move, store, &locked, error))
        return false;
    return !locked ||
           fail(error, ZX_ERROR_FAILED, "%s still answers mail.MAINTENANCE", store->name);
}

/* Whatever we believe: of an account that lives elsewhere the mailbox at the source is an old copy, which
 * stays locked (hazard 47), and the row at the destination may be all it has. A master that does not answer
 * keeps nobody out. */
static bool still_home(Move *move, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(Account) now = directory_account(move->op->directory, move->account->id, &problem);

    if (now == NULL)
        log_warning("%s", problem->message);
    return now == NULL || account_lives_on(now, move->source->name) ||
           fail(error, ZX_ERROR_CHANGED, "%s lives on %s now: nothing is undone", now->address,
                account_home(now));
}

static bool release_lock(Move *move, GError **error)
{
    Wait wait = wait_through(&move->wait, G_MAXINT32);
    bool locked;

    if (!move->lock_tried)
        return true;
    await_abandoned_start(move);
    if (!claim_may_act(&move->claim, error) || !look_at_lock(move, move->source, &locked, error))
        return false;
    /* A server that stood still begins with this question and the start at the same time. */
    if (!locked && move->lock_doubt_until != 0) {
        wait_pause(&wait, SECOND_LOOK_MS);
        if (!look_at_lock(move, move->source, &locked, error))
            return false;
    }
    if (locked && (!still_home(move, error) || !lock_end(move, move->source, error)))
        return false;
    move->lock_tried = move->lock_ours = false;
    move->lock_doubt_until = 0;
    return true;
}

/* The account as the master has it; after a status that was sent and not answered, once that shows
 * or its time is over: taken back too early, it would come after us and stay. */
static Account *settled_account(Move *move, GError **error)
{
    Wait wait = wait_through(&move->wait, G_MAXINT32);

    for (;;) {
        g_autoptr(Account) now = directory_account(move->op->directory, move->account->id, error);

        if (now == NULL)
            return NULL;
        if (strcmp(now->status, "maintenance") == 0 ||
            g_get_monotonic_time() > move->status_doubt_until)
            return g_steal_pointer(&now);
        wait_pause(&wait, 100);
    }
}

/* Only what we set is taken back: a status somebody else wrote meanwhile is theirs. */
static bool give_back(Move *move, const Account *now, Store *home, GError **error)
{
    const Fence *fence = move->fence;
    const char *const pairs[] = { "zimbraAccountStatus", fence->account_status, "zimbraMailStatus",
                                  fence->mail_status != NULL ? fence->mail_status : "", NULL };

    if (strcmp(now->status, "maintenance") == 0) {
        SoapOutcome outcome =
            admin_modify(home->soap, move->account->id, pairs, &move->claim.wait, error);

        if (outcome == SOAP_UNKNOWN)
            unanswered(move);
        if (outcome != SOAP_ANSWER)
            return false;
    }
    if (strcmp(now->status, "maintenance") != 0 && strcmp(now->status, fence->account_status) != 0)
        move_note(move, "somebody set the status of %s to %s meanwhile: left so", now->address,
                  now->status);
    move->status_written = false;
    return true;
}

static bool restore_status(Move *move, GError **error)
{
    g_autoptr(Account) now = NULL;

    if (!move->status_written)
        return true;
    if (!claim_may_act(&move->claim, error))
        return false;
    now = settled_account(move, error);
    if (now == NULL)
        return false;
    if (!account_lives_on(now, move->source->name))
        return fail(error, ZX_ERROR_BUG, "undo with %s as home", account_home(now));
    return give_back(move, now, move->source, error);
}

/* Its cache would refuse the user for a quarter of an hour, or their shares; no reason to fail. */
static void flush(Move *move, Store *store, const Store *home)
{
    Wait wait = wait_through(&move->wait, 2000);
    GError *problem = NULL;

    if (move->fence->status_touched &&
        !caches_flush_store(move, store, move->fence->account_status, home->name, &wait,
                            &problem)) {
        log_warning("%s: %s", store->name, problem->message);
        g_error_free(problem);
    }
}

/* Invisible again, unless that store was restarted in this minute and maps it: then it stays for
 * the next attempt, which uses the same id. */
static bool hide_row(Move *move, GError **error)
{
    g_autofree char *why = NULL;

    if (!move->row_inserted)
        return true;
    switch (admin_probe(move->target->soap, move->account->id, NULL, &why)) {
    case PROBE_UNMAPPED:
        if (!still_home(move, error) ||
            !mailbox_row_delete(move->target, move->account->id, move->target_mailbox, error))
            return false;
        break;
    case PROBE_UNKNOWN:
        return fail(error, ZX_ERROR_CONNECT, "%s", why);
    case PROBE_WRONG_HOST:
    case PROBE_NO_SUCH_MBOX:
    case PROBE_LOCKED:
    case PROBE_CACHED:
        break;
    }
    move->row_inserted = false;
    return true;
}

static bool close_records(Move *move, GError **error)
{
    return late_forget(move, error) && fence_undo(move->source, move->fence, error) &&
           fence_undo(move->target, move->fence, error);
}

/* What was this mover's is over, one way or the other, and nobody has begun anything else. */
static bool is_over(Move *move, GError **error)
{
    g_autoptr(Rows) rows = db_query(
        move->source->control, error,
        "SELECT 1 FROM zxmove.fence WHERE account_id = ? AND operation = ?"
        " AND state IN ('undone', 'done')",
        DB_ARGS(db_text(move->account->id), db_text(move->fence->operation)));

    return rows != NULL &&
           (rows_count(rows) > 0 ||
            fail(error, ZX_ERROR_CONFLICT, "the operation was taken over and is not finished")) &&
           move_nothing_unfinished(move->source, move->account, error) &&
           move_nothing_unfinished(move->target, move->account, error);
}

static bool claim_anew(Move *move, GError **error)
{
    return store_revive(move->source, error) && store_revive(move->target, error) &&
           move_begin_claims(move, error);
}

/* Where the account lives by now. Has it moved on, what is locked at the source is an old copy, and
 * stays so (hazard 47); maintenance that came after the user was let in there has to go all the same. */
static bool take_back_at_home(Move *move, GError **error)
{
    g_autoptr(Account) now = directory_account(move->op->directory, move->account->id, error);

    if (now == NULL)
        return false;
    if (account_lives_on(now, move->source->name)) {
        if (!release_lock(move, error) || !restore_status(move, error))
            return false;
        flush(move, move->target, move->source);
        return true;
    }
    if (!move->status_written)
        return true;
    if (account_lives_on(now, move->target->name)) {
        if (!give_back(move, now, move->target, error))
            return false;
        flush(move, move->source, move->target);
        return true;
    }
    if (strcmp(now->status, "maintenance") == 0)
        move_note(move,
                  "%s lives on %s now and is in maintenance: if nobody else wants that,"
                  " zmprov ma %s zimbraAccountStatus %s",
                  now->address, account_home(now), now->address, move->fence->account_status);
    return true;
}

/* Another mover went on with the account while this one slept. What this one still did when it woke,
 * before it found out, stands in nobody's record: taken back, under a claim of its own. */
static void take_back(Move *move)
{
    Wait wait = wait_through(&move->wait, PATIENCE_MS);
    GError *problem = NULL;

    claim_release(&move->claim);
    while (!claim_anew(move, &problem) && wait_left_ms(&wait, 1) > 0) {
        g_clear_error(&problem);
        wait_pause(&wait, 500); /* whoever took over is still at it */
    }
    if (problem == NULL && is_over(move, &problem) &&
        move_insist(move, "taking back", take_back_at_home, &wait, &problem))
        return;
    log_warning("%s", problem->message);
    g_error_free(problem);
}

/* The user is in by now; who has the account next finds nothing under way. */
static void await_late(const Move *move)
{
    Wait wait = wait_through(&move->wait, G_MAXINT32);

    while (g_get_monotonic_time() < move->late_until)
        wait_pause(&wait, 250);
}

bool undo_window(Move *move, GError **error)
{
    GError *user = NULL, *records = NULL;
    Wait wait;
    bool back;

    db_rollback(move->source->data);
    await_abandoned_start(move); /* as long as that takes: patience is for what can be tried again */
    wait = wait_through(&move->wait, PATIENCE_MS);
    back = move_insist(move, "lock-out end", release_lock, &wait, &user) &&
           move_insist(move, "status", restore_status, &wait, &user);
    if (back)
        flush(move, move->target, move->source);
    delta_abandon(move); /* not before: a database that does not answer keeps nobody out */
    if (move->window_began != 0)
        move->result->window_ms = (double)(g_get_monotonic_time() - move->window_began) / 1000;
    if (!back) {
        if (error_code(user) == ZX_ERROR_CONFLICT) {
            log_warning("%s", user->message);
            take_back(move);
            g_propagate_error(error, user);
            return false;
        }
        fail(error, ZX_ERROR_FAILED,
             "%s could not be let in again (%s). When %s is well, run:\n"
             "  zxmove doRecover accounts %s dry_run false",
             move->account->address, user->message, move->source->name, move->account->address);
        g_error_free(user);
        return false;
    }
    await_late(move);
    wait = wait_through(&move->wait, PATIENCE_MS / 4);
    if (move_insist(move, "hide", hide_row, &wait, &records) &&
        move_insist(move, "records", close_records, &wait, &records))
        return true;
    fail(error, ZX_ERROR_FAILED,
         "%s is in again on %s, but the record of the attempt could not be closed (%s). When"
         " both databases are well, run:\n  zxmove doRecover accounts %s dry_run false",
         move->account->address, move->source->name, records->message, move->account->address);
    g_error_free(records);
    return false;
}
