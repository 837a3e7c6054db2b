/* vanished.c - see vanished.h. Of an account that was deleted while it was in its window nobody is
 * left to be let in, no request about it is carried out any more, and nothing says which copy is
 * the one. So the record is closed and that is all: mailboxes and files stay where they are, and
 * the result says where, for doPurgeMailboxes orphans to remove or for a person to use. */
#include "core/move/vanished.h"
#include "conf/units.h"
#include "core/base/log.h"
#include <string.h>

bool vanished(Operation *op, const Fence *fence)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(Account) account = directory_account(op->directory, fence->account_id, &problem);

    return account == NULL && error_code(problem) == ZX_ERROR_NOT_FOUND;
}

/* That no account was found is not enough: the directory has to show what else it has. */
static bool is_absent(const Move *move, const char *server, GError **error)
{
    const Account *account = move->account;
    bool absent = false;

    return directory_absent(move->op->directory, server, account->id, &absent, error) &&
           (absent || fail(error, ZX_ERROR_REFUSED,
                           "the directory has no account with the id %s of %s, but something else"
                           " that has it: nothing is touched",
                           account->id, account->address));
}

/* All that is known of it. */
static Account *account_of(const Fence *fence)
{
    Account *account = g_new0(Account, 1);

    account->id = g_strdup(fence->account_id);
    account->address = g_strdup(fence->address);
    return account;
}

static char *explain(const Fence *fence, bool would)
{
    return g_strdup_printf(
        "it was deleted from the directory while operation %s (%s -> %s, %s) had it in"
        " its window; the record %s closed, mailboxes and files stay",
        fence->operation, fence->source_host, fence->destination_host,
        fence_state_name(fence->state), would ? "would be" : "is");
}

/* A store whose database cannot be had keeps its row, until it can. */
static Store *reachable(Operation *op, MailboxResult *result, const char *host)
{
    g_autofree char *missing = NULL;
    g_autoptr(GError) problem = NULL;
    Store *store = operation_store_rest(op, host, &missing, &problem);

    if (store != NULL && store->control != NULL)
        return store;
    g_ptr_array_add(
        result->notes,
        g_strdup_printf("%s cannot be asked (%s): what is recorded there is closed by another"
                        " doRecover, when it can",
                        host,
                        problem != NULL   ? problem->message
                        : missing != NULL ? missing
                                          : "no database"));
    return NULL;
}

static Store *claimed(const Move *move, const char *host)
{
    for (guint i = 0; i < G_N_ELEMENTS(move->claim.stores); i++) {
        Store *store = move->claim.stores[i];

        if (store != NULL && g_ascii_strcasecmp(store->name, host) == 0)
            return store;
    }
    return NULL;
}

/* How far the move came, by whichever row knows more. */
static bool find_state(const Move *move, FenceState *state, GError **error)
{
    for (guint i = 0; i < G_N_ELEMENTS(move->claim.stores) && move->claim.stores[i] != NULL; i++) {
        GError *problem = NULL;
        g_autoptr(Fence) fence = fence_find(move->claim.stores[i], move->account->id, &problem);

        if (problem != NULL) {
            g_propagate_error(error, problem);
            return false;
        }
        if (fence != NULL && !fence->rescue)
            *state = MAX(*state, fence->state);
    }
    return true;
}

/* One record, at those of its ends that are claimed: a mover that only slept finds its next change
 * refused. */
static bool close_record(Move *move, const Fence *known, FenceState came_to, GError **error)
{
    Store *const ends[] = { known->rescue ? NULL : claimed(move, known->source_host),
                            claimed(move, known->destination_host) };
    const FenceState to = came_to == FENCE_COMMITTED ? FENCE_DONE : FENCE_UNDONE;
    g_autoptr(Fence) fence =
        fence_take_over(known, ends[0], ends[1], came_to != FENCE_COMMITTED, error);

    if (fence == NULL)
        return false;
    /* What was read late for a copy that nobody switched to is not to go into another one's. */
    move->target_mailbox = fence->destination_mailbox;
    if (to == FENCE_UNDONE && ends[1] == move->target && !late_forget(move, error))
        return false;
    for (guint i = 0; i < G_N_ELEMENTS(ends); i++)
        if (ends[i] != NULL && !fence_set(ends[i], fence, to, error))
            return false;
    log_info("operation %s: the record of %s is closed as '%s'", fence->operation, fence->address,
             fence_state_name(to));
    return true;
}

/* A move that was given up by a rescue has a record, too. */
static bool close_records(Move *move, FenceState came_to, GError **error)
{
    for (guint i = 0; i < G_N_ELEMENTS(move->claim.stores) && move->claim.stores[i] != NULL; i++) {
        for (;;) {
            GError *problem = NULL;
            g_autoptr(Fence) fence = fence_find(move->claim.stores[i], move->account->id, &problem);

            if (problem != NULL) {
                g_propagate_error(error, problem);
                return false;
            }
            if (fence == NULL)
                break;
            if (!close_record(move, fence, came_to, error))
                return false;
        }
    }
    return true;
}

static const char *what_it_is(const Fence *known, FenceState came_to, const Store *store)
{
    const bool at_source = g_ascii_strcasecmp(known->source_host, store->name) == 0;

    if (known->rescue)
        return at_source ? "left behind there" : "the old copy, to which it was being taken back";
    switch (came_to) {
    case FENCE_FENCED:
    case FENCE_PROVEN:
        return at_source ? "its own" : "a copy that was not switched to";
    case FENCE_COMMITTING:
        return "one of two that were proven equal";
    case FENCE_COMMITTED:
    case FENCE_DONE:
    case FENCE_UNDONE:
        break;
    }
    return at_source ? "the old copy" : "its own, since it moved there";
}

static bool note_what_stays(Move *move, const Fence *known, FenceState came_to, Store *store,
                            GError **error)
{
    const char *id = move->account->id;
    g_autoptr(Rows) mailbox =
        db_query(store->control, error,
                 "SELECT id, size_checkpoint FROM zimbra.mailbox WHERE account_id = ?",
                 DB_ARGS(db_text(id)));
    g_autoptr(Rows) copied =
        mailbox == NULL
            ? NULL
            : db_query_one(store->control, error,
                           "SELECT COUNT(*), (SELECT mailbox_id FROM zxmove.reservation WHERE"
                           " account_id = ?) FROM zxmove.staged WHERE account_id = ?",
                           DB_ARGS(db_text(id), db_text(id)));
    g_autofree char *size = NULL, *blobs = NULL;

    if (copied == NULL)
        return false;
    if (rows_count(mailbox) > 0) {
        size = units_format_size(rows_u64(mailbox, 0, 1));
        move_note(move, "mailbox %s stays on %s, rows and files, %s: %s", rows_text(mailbox, 0, 0),
                  store->name, size, what_it_is(known, came_to, store));
    } else if (rows_text(copied, 0, 1) != NULL) {
        blobs = units_format_count(rows_u64(copied, 0, 0));
        move_note(move, "what was copied to %s under the id %s stays there, rows and %s blobs: %s",
                  store->name, rows_text(copied, 0, 1), blobs, what_it_is(known, came_to, store));
    } else {
        move_note(move, "%s has no mailbox of it", store->name);
    }
    return true;
}

static void note_the_rest(Move *move, const Fence *known)
{
    if (known->status_touched)
        move_note(
            move,
            "if the directory gets it back with this id, its zimbraAccountStatus was %s before"
            " the window, and %s may have its mailbox locked until mailboxd there is restarted",
            known->account_status, known->source_host);
    move_note(move, "when nobody needs what stays: zxmove doPurgeMailboxes orphans");
}

static bool close_and_tell(Move *move, const Fence *known, GError **error)
{
    Claim *claim = &move->claim;
    FenceState came_to = known->state;
    Store *first = move->source != NULL ? move->source : move->target;

    if (first == NULL)
        return fail(error, ZX_ERROR_CONNECT, "neither database answers");
    if (!claim_take(claim, known->account_id, move->op->uuid, first,
                    first == move->target ? NULL : move->target, move->op->conf->lease_s, error) ||
        !is_absent(move, first->name, error) || !find_state(move, &came_to, error) ||
        !close_records(move, came_to, error))
        return false;
    for (guint i = 0; i < G_N_ELEMENTS(claim->stores) && claim->stores[i] != NULL; i++)
        if (!note_what_stays(move, known, came_to, claim->stores[i], error))
            return false;
    note_the_rest(move, known);
    return true;
}

static bool recover(Move *move, const Fence *known, bool dry_run, GError **error)
{
    MailboxResult *result = move->result;

    result->source_mailbox = known->source_mailbox;
    result->destination_mailbox = known->destination_mailbox;
    if (dry_run
            ? !is_absent(move, known->rescue ? known->destination_host : known->source_host, error)
            : !close_and_tell(move, known, error))
        return false;
    result->outcome = dry_run ? OUTCOME_EXPLAINED : OUTCOME_FINISHED;
    result->reason = explain(known, dry_run);
    return true;
}

void vanished_recover(Operation *op, const RecoverRequest *request, Fence *known,
                      MailboxResult *result, unsigned index, unsigned total)
{
    Store *source = known->rescue ? NULL : reachable(op, result, known->source_host);
    Store *target = reachable(op, result, known->destination_host);
    Move *move = move_new(op, account_of(known), source, target, result);
    GError *problem = NULL;

    log_context(op->uuid, known->address);
    move->index = index;
    move->total = total;
    if (!recover(move, known, request->dry_run, &problem)) {
        log_error("%s", problem->message);
        result_decide(result, OUTCOME_FAILED, problem);
    }
    claim_release(&move->claim);
    move_free(move);
    fence_free(known);
    operation_done(op, result, index, total);
    log_context(op->uuid, NULL);
}
