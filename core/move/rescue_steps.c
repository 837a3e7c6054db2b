/* rescue_steps.c - see rescue.h: the one write, what follows it, and what a recovery makes of a
 * rescue that ended on its way. */
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/move/left_behind.h"
#include "core/move/rescue.h"
#include <string.h>

#define PATIENCE_MS 60000

/* The one write. */

static Account *by_master(Move *move, GError **error)
{
    return directory_account(move->op->directory, move->account->id, error);
}

typedef enum Sent { SENT_DONE, SENT_REFUSED, SENT_UNKNOWN } Sent;

/* mailboxd executes it itself, targetServer being itself (6.2): it is not passed on to the home
 * that is gone. What it refuses the master is asked for, if host and transport are still the old
 * ones. */
static Sent send_home(Move *move, const Account *now, GError **error)
{
    const char *const pairs[] = { "zimbraMailHost", move->target->name, NULL };
    const ServerInfo *server = directory_server(move->op->servers, move->target->name);
    SoapOutcome outcome =
        admin_modify(move->target->soap, move->account->id, pairs, &move->claim.wait, error);

    if (outcome == SOAP_ANSWER)
        return SENT_DONE;
    if (outcome == SOAP_UNKNOWN)
        return SENT_UNKNOWN;
    log_warning("%s; asking the LDAP master", (*error)->message);
    g_clear_error(error);
    if (failpoint("rescue:master", error) &&
        directory_change_home(move->op->directory, now, server, error)) {
        move_note(move,
                  "mailboxd of %s refused the change of the directory: it was made on the LDAP"
                  " master",
                  move->target->name);
        return SENT_DONE;
    }
    return rescue_is_silence(*error) ? SENT_UNKNOWN : SENT_REFUSED;
}

static bool shows_home(Move *move)
{
    g_autoptr(GError) ignored = NULL;
    g_autoptr(Account) now = by_master(move, &ignored);

    return now != NULL && account_lives_on(now, move->target->name);
}

/* Only what the master shows counts. A refusal is one if nothing before it may still land. */
bool rescue_change_home(Move *move, GError **error)
{
    Wait wait = wait_through(&move->wait, PATIENCE_MS);
    int pause_ms = 200;

    for (;;) {
        GError *problem = NULL;
        g_autoptr(Account) now = by_master(move, &problem);
        Sent sent = SENT_UNKNOWN;

        if (now != NULL && account_lives_on(now, move->target->name))
            return true;
        if (now != NULL && !account_lives_on(now, move->fence->source_host))
            return fail(error, ZX_ERROR_CHANGED, "the directory says that it lives on %s now",
                        account_home(now));
        if (now != NULL && claim_check(&move->claim, &problem))
            sent = send_home(move, now, &problem);
        if (sent == SENT_DONE && failpoint("rescue:sent", &problem)) {
            if (shows_home(move))
                return true;
            fail(&problem, ZX_ERROR_IN_DOUBT, "answered, but the directory does not show it");
        }
        if (sent == SENT_REFUSED && !move->in_doubt) {
            g_propagate_error(error, problem);
            return false;
        }
        move->in_doubt = true;
        log_warning("in doubt: %s", problem->message);
        if (error_code(problem) == ZX_ERROR_CONFLICT || wait_left_ms(&wait, 1) == 0) {
            fail(error, ZX_ERROR_IN_DOUBT,
                 "the change of the directory was sent and not answered (%s). Run:\n"
                 "  zxmove doRecover accounts %s dry_run false",
                 problem->message, move->account->address);
            g_error_free(problem);
            return false;
        }
        g_error_free(problem);
        wait_pause(&wait, pause_ms);
        pause_ms = MIN(pause_ms * 2, 5000);
    }
}

/* After it: each part is safe to run twice. */

/* The old copy is no old copy any more, and what was the mailbox is a stray one: of its store's own
 * records that has to wait until the store is back. A move that had not ended is over. */
static bool record_home(Move *move, GError **error)
{
    Store *store = move->target;
    const Fence *fence = move->fence;

    return fence_set(store, fence, FENCE_COMMITTED, error) &&
           db_exec(
               store->control, NULL, error,
               "UPDATE zxmove.moved SET state = 'reused' WHERE mailbox_id = ? AND account_id = ?",
               DB_ARGS(db_u64(fence->destination_mailbox), db_text(fence->account_id))) &&
           left_behind_note(store, fence, error) &&
           db_exec(store->control, NULL, error,
                   "UPDATE zxmove.fence SET state = 'undone', changed = UTC_TIMESTAMP(3)"
                   " WHERE account_id = ? AND operation <> ? AND role = 'source'"
                   " AND destination_host = ? AND state IN ('committing', 'committed')",
                   DB_ARGS(db_text(fence->account_id), db_text(fence->operation),
                           db_text(fence->source_host))) &&
           store_durable(store, error) && failpoint("rescue:recorded home", error);
}

static bool forget_caches(Move *move, GError **error)
{
    Wait wait = wait_through(&move->wait, PATIENCE_MS / 6);

    if (!caches_drop_mailboxd_keys(move, error) ||
        !caches_flush_store(move, move->target, NULL, move->target->name, &wait, error))
        return false;
    caches_drop_routes(move);
    return failpoint("rescue:flushed", error);
}

/* The rows were not touched while it was locked, so what is in memory is right; after a restart
 * there is no lock, and nothing to end. */
static bool end_lock(Move *move, GError **error)
{
    return lock_end(move, move->target, error) && failpoint("rescue:unlocked", error);
}

static bool answers(Move *move, GError **error)
{
    uint32_t id, row;

    /* Asked without a row, mailboxd would make a new, empty mailbox (hazard 1). */
    if (!mailbox_row_find(move->target->control, move->account->id, &row, NULL, NULL, error))
        return false;
    if (row != move->fence->destination_mailbox)
        return fail(error, ZX_ERROR_CHANGED, "%s has mailbox %u of it, not %u", move->target->name,
                    row, move->fence->destination_mailbox);
    if (!admin_mailbox_id(move->target->soap, move->account->id, &move->claim.wait, &id, error))
        return false;
    return id == row || fail(error, ZX_ERROR_CHANGED,
                             "%s answers mailbox %u, not %u: restart mailboxd"
                             " there",
                             move->target->name, id, row);
}

/* Of a move that was not finished: the maintenance that it set, if it is still that. */
static bool give_status_back(Move *move, GError **error)
{
    const Fence *fence = move->fence;
    const char *const pairs[] = { "zimbraAccountStatus", fence->account_status, "zimbraMailStatus",
                                  fence->mail_status != NULL ? fence->mail_status : "", NULL };
    Wait wait = wait_through(&move->wait, PATIENCE_MS / 6);
    g_autoptr(Account) now = NULL;

    if (!fence->status_touched)
        return true;
    now = by_master(move, error);
    if (now == NULL)
        return false;
    if (strcmp(now->status, "maintenance") != 0)
        return true;
    return admin_modify(move->target->soap, move->account->id, pairs, NULL, error) == SOAP_ANSWER &&
           caches_flush_store(move, move->target, fence->account_status, move->target->name, &wait,
                              error);
}

static bool close_fence(Move *move, GError **error)
{
    return fence_set(move->target, move->fence, FENCE_DONE, error);
}

static bool insist(Move *move, const char *name, MovePart *part, GError **error)
{
    Wait wait = wait_through(&move->wait, PATIENCE_MS);

    return move_insist(move, name, part, &wait, error);
}

bool rescue_go_forward(Move *move, GError **error)
{
    const Fence *fence = move->fence;

    move->committed = true;
    move->result->committed = g_get_real_time() / 1000;
    move_state(move, "open", NULL);
    if (!insist(move, "record", record_home, error) ||
        !insist(move, "caches", forget_caches, error) ||
        !insist(move, "lock-out end", end_lock, error) || !insist(move, "answer", answers, error) ||
        !insist(move, "status", give_status_back, error))
        return false;
    move_state(move, "settle", NULL);
    settle_tell_others(move, fence->source_host);
    move_note(
        move,
        "mailbox %u on %s is left behind: when %s is back nobody is served it, and doVerify lists"
        " what it has that the user lacks",
        fence->source_mailbox, fence->source_host, fence->source_host);
    return insist(move, "fence", close_fence, error);
}

void rescue_set_failed(Move *move, GError *problem)
{
    bool open = move->in_doubt || move->committed;

    log_error("%s", problem->message);
    if (move->committed)
        move_note(move, "%s is home; finish with: zxmove doRecover accounts %s dry_run false",
                  move->target->name, move->account->address);
    result_decide(move->result, open ? OUTCOME_IN_DOUBT : OUTCOME_FAILED, problem);
}

/* Recovery. */

bool rescue_is_over(Store *store, const char *account_id, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(store->control, error,
                 "SELECT operation FROM zxmove.fence WHERE account_id = ? AND rescue"
                 " AND state NOT IN ('done', 'undone')",
                 DB_ARGS(db_text(account_id)));

    if (rows == NULL)
        return false;
    return rows_count(rows) == 0 ||
           fail(error, ZX_ERROR_CONFLICT,
                "operation %s was taking the user back to the old copy on %s. Run:\n"
                "  zxmove doRecover operation %s dry_run false",
                rows_text(rows, 0, 0), store->name, rows_text(rows, 0, 0));
}

/* The person who began it accepted what is lost; a home that is back since makes it another
 * question. */
static bool may_go_on(Move *move, const RecoverRequest *request, GError **error)
{
    g_autoptr(GError) why = NULL;

    if (account_lives_on(move->account, move->fence->destination_host))
        return true;
    if (!account_lives_on(move->account, move->fence->source_host))
        return fail(error, ZX_ERROR_REFUSED,
                    "the directory says that %s is home, which operation %s did not do: nothing is"
                    " touched",
                    account_home(move->account), move->fence->operation);
    if (move->fence->state != FENCE_COMMITTING || request->force)
        return true;
    return rescue_home_is_gone(move->op, move->fence->source_host, &why) ||
           fail(
               error, ZX_ERROR_REFUSED,
               "operation %s ended while it gave up %s for the old copy, and may still have changed"
               " the directory; %s is back since. To leave the user there: force true",
               move->fence->operation, move->fence->source_host, move->fence->source_host);
}

static bool goes_back(const Move *move, const RecoverRequest *request)
{
    return !account_lives_on(move->account, move->fence->destination_host) &&
           (move->fence->state != FENCE_COMMITTING || request->force);
}

static bool go(Move *move, const RecoverRequest *request, GError **error)
{
    const Fence *fence = move->fence;

    move->source_mailbox = move->target_mailbox = fence->destination_mailbox;
    if (goes_back(move, request)) {
        move_state(move, "undo", NULL);
        move->result->outcome = OUTCOME_UNDONE;
        return fence_set(move->target, fence, FENCE_UNDONE, error);
    }
    move->result->outcome = OUTCOME_FINISHED;
    move->in_doubt = !account_lives_on(move->account, fence->destination_host);
    if (!mailbox_row_find(move->target->control, fence->account_id, &move->source_mailbox,
                          &move->source_group, NULL, error) ||
        (move->in_doubt && !rescue_change_home(move, error)))
        return false;
    move->in_doubt = false;
    return rescue_go_forward(move, error);
}

static char *explain(const Move *move, const RecoverRequest *request)
{
    return goes_back(move, request)
               ? g_strdup_printf("operation %s ended before it gave up %s for the old copy: would"
                                 " leave the user on %s",
                                 move->fence->operation, move->fence->source_host,
                                 move->fence->source_host)
               : g_strdup_printf("operation %s gives up %s, which is gone, for the old copy on %s:"
                                 " would let the user in there and finish",
                                 move->fence->operation, move->fence->source_host,
                                 move->fence->destination_host);
}

static bool recover(Move *move, const RecoverRequest *request, Fence *known, GError **error)
{
    if (request->dry_run) {
        move->fence = known;
        if (!may_go_on(move, request, error))
            return false;
        move->result->outcome = OUTCOME_EXPLAINED;
        move->result->reason = explain(move, request);
        return true;
    }
    if (claim_take(&move->claim, known->account_id, move->op->uuid, move->target, NULL,
                   move->op->conf->lease_s, error))
        move->fence = fence_take_over(known, NULL, move->target, false, error);
    fence_free(known);
    if (move->fence == NULL)
        return false;
    account_free(move->account);
    move->account = directory_account(move->op->directory, move->fence->account_id, error);
    return move->account != NULL && may_go_on(move, request, error) && go(move, request, error);
}

void rescue_recover(Operation *op, const RecoverRequest *request, Fence *known,
                    MailboxResult *result, unsigned index, unsigned total)
{
    GError *problem = NULL;
    Store *store = operation_store(op, known->destination_host, &problem);
    Account *account = NULL;
    Move *move;

    log_context(op->uuid, known->address);
    result->source_mailbox = known->source_mailbox;
    result->destination_mailbox = known->destination_mailbox;
    if (store != NULL && store_revive(store, &problem))
        account = directory_account(op->directory, known->account_id, &problem);
    if (account == NULL) {
        fence_free(known);
        result_decide(result, OUTCOME_FAILED, problem);
    } else {
        move = move_new(op, account, store, store, result);
        move->index = index;
        move->total = total;
        if (!recover(move, request, known, &problem))
            rescue_set_failed(move, problem);
        claim_release(&move->claim);
        move_free(move);
    }
    operation_done(op, result, index, total);
    log_context(op->uuid, NULL);
}
