/* commit.c - the one write that moves the user: zimbraMailHost, by one ModifyAccountRequest to the
 * source. Before it the source's fence row says `committing`, durably; after it the LDAP master is
 * read, and only what the master shows counts. Without a definite answer the write may still land:
 * nobody undoes, the same request is sent again, under a lock proven anew, until the master shows
 * the new host (doc/platform.md 9.6). */
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/move/move.h"
#include <string.h>

/* How long the living mover insists before it reports and leaves the rest to doRecover. */
#define IN_DOUBT_PATIENCE_MS 120000

typedef enum Home { HOME_SOURCE, HOME_TARGET, HOME_UNKNOWN } Home;

static Home home_by_master(Move *move, GError **error)
{
    g_autoptr(Account) now = directory_account(move->op->directory, move->account->id, error);

    if (now == NULL)
        return HOME_UNKNOWN;
    if (account_lives_on(now, move->target->name))
        return HOME_TARGET;
    if (account_lives_on(now, move->source->name))
        return HOME_SOURCE;
    fail(error, ZX_ERROR_CHANGED, "the directory says that %s lives on %s, neither %s nor %s",
         now->address, account_home(now), move->source->name, move->target->name);
    return HOME_UNKNOWN;
}

/* Within one answer's time, a login and all: what has not left us by then never does. */
static SoapOutcome send_request(Move *move, GError **error)
{
    const char *const pairs[] = { "zimbraMailHost", move->target->name, NULL };
    Wait wait = wait_within(&move->claim.wait, (int64_t)move->op->conf->admin.timeout_s * 1000);

    return admin_modify(move->source->soap, move->account->id, pairs, &wait, error);
}

/* Nothing was sent, or it was definitely refused while the old host stands: nothing happened, and
 * nothing will. */
static bool step_back(Move *move, GError *problem, GError **error)
{
    GError *lost = NULL;

    move->in_doubt = false;
    if (fence_advance(move->source, move->fence, FENCE_COMMITTING, FENCE_PROVEN, &lost))
        move->fence->state = FENCE_PROVEN;
    else {
        log_warning("%s: %s", move->source->name, lost->message);
        g_error_free(lost);
    }
    g_propagate_error(error, problem);
    return false;
}

/* One more try: lock proven, everything compared again, the same request, the master. Even a
 * definite refusal of this one says nothing of the one before, which may still land: only the new
 * host on the master ends the doubt. */
static bool try_again(Move *move, GError **error)
{
    GError *problem = NULL;
    Home home = home_by_master(move, error);

    if (home != HOME_SOURCE)
        return home == HOME_TARGET;
    if (!move_reconnect(move, move->source, error) || !move_reconnect(move, move->target, error))
        return false;
    /* Comparing again whether or not the lock had been lost is simpler, and never wrong. */
    if (!delta_apply(move, error) || !prove_content(move, error) ||
        !claim_check(&move->claim, error))
        return false;
    if (send_request(move, &problem) == SOAP_ANSWER)
        fail(&problem, ZX_ERROR_IN_DOUBT, "%s answered, but the directory does not show %s",
             move->source->name, move->target->name);
    if (home_by_master(move, NULL) == HOME_TARGET) {
        g_error_free(problem);
        return true;
    }
    g_propagate_error(error, problem);
    return false;
}

static bool in_doubt(Move *move, const char *first, GError **error)
{
    Wait wait = wait_within(&move->wait, IN_DOUBT_PATIENCE_MS);
    g_autofree char *last = g_strdup(first);
    int pause_ms = 200;

    move->doubted = true;
    operation_emit(move->op, &(Event){ .type = EVENT_NOTE,
                                       .account = move->account->address,
                                       .text = "no answer to the commit: in doubt, trying again" });
    move_state(move, "commit", "no answer, asking the directory");
    log_warning("in doubt: %s", first);
    while (!wait_stopped(&wait) && wait_left_ms(&wait, 1) > 0) {
        GError *problem = NULL;

        if (try_again(move, &problem))
            return true;
        if (error_code(problem) == ZX_ERROR_CONFLICT) { /* somebody took over: theirs to finish */
            g_propagate_error(error, problem);
            return false;
        }
        log_warning("still in doubt: %s", problem->message);
        g_free(last);
        last = g_strdup(problem->message);
        g_error_free(problem);
        wait_pause(&wait, pause_ms);
        pause_ms = MIN(pause_ms * 2, 5000);
    }
    return fail(error, ZX_ERROR_IN_DOUBT,
                "the change of the directory was sent and not answered (%s); %s stays in "
                "maintenance, where mail"
                " waits, until it is known. When %s and the LDAP master are well, run:\n"
                "  zxmove doRecover accounts %s dry_run false",
                last, move->account->address, move->source->name, move->account->address);
}

bool commit_in_doubt(Move *move, GError **error)
{
    move->in_doubt = true;
    move->committed_at = g_get_monotonic_time();
    if (!in_doubt(move, "an earlier zxmove ended while it was committing", error))
        return false;
    move->in_doubt = false;
    move->committed = true;
    return true;
}

/* Looked at before the request goes out, and never after. */
static bool still_in_time(Move *move, GError **error)
{
    int64_t so_far = (g_get_monotonic_time() - move->window_began) / 1000;

    if (wait_stopped(&move->wait))
        return fail(error, wait_stop_code(&move->wait), "stopped before the commit");
    if (so_far > move->op->conf->cutover_timeout_ms)
        return fail(error, ZX_ERROR_TIMEOUT, "the window took %.1f s, longer than cutover_timeout",
                    (double)so_far / 1000);
    return true;
}

bool commit_apply(Move *move, GError **error)
{
    int64_t since = g_get_monotonic_time();
    g_autofree char *first = NULL;
    GError *problem = NULL;
    SoapOutcome outcome;
    Home home;

    if (!still_in_time(move, error) || !claim_check(&move->claim, error))
        return false;
    if (!fence_advance(move->source, move->fence, FENCE_PROVEN, FENCE_COMMITTING, &problem) ||
        !failpoint("commit:committing", &problem))
        return step_back(move, problem, error);
    move->fence->state = FENCE_COMMITTING;
    move->in_doubt = true;
    outcome = send_request(move, &problem);
    if (outcome == SOAP_ANSWER && !failpoint("commit:sent", &problem))
        outcome = SOAP_UNKNOWN;
    first = g_strdup(problem != NULL ? problem->message : "no new host on the master");
    home = home_by_master(move, NULL);
    if (home == HOME_SOURCE && outcome == SOAP_FAULT)
        return step_back(move, problem, error);
    g_clear_error(&problem);
    move->committed_at = g_get_monotonic_time();
    if (home != HOME_TARGET && !in_doubt(move, first, error))
        return false;
    move->in_doubt = false;
    move->committed = true;
    move->result->committed = g_get_real_time() / 1000;
    move_timed(move, "commit", since);
    return failpoint("commit:done", error);
}
