/* clear.c - an older copy of the account at the destination goes, after everything new is staged
 * and verified and before the window, never sooner: until then it is a second copy of the mail
 * (doc/platform.md 5.1). */
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/move/move.h"

/* The deletion would hit the live mailbox if the destination were home: asked again of the master,
 * last thing. */
static bool target_is_not_home(Move *move, GError **error)
{
    g_autoptr(Account) now = directory_account(move->op->directory, move->account->id, error);

    if (now == NULL)
        return false;
    return account_lives_on(now, move->source->name) ||
           fail(error, ZX_ERROR_CHANGED, "%s lives on %s now, not on %s", move->account->address,
                account_home(now), move->source->name);
}

static bool mark(Move *move, const char *state, GError **error)
{
    return db_exec(move->target->control, NULL, error,
                   "UPDATE zxmove.moved SET state = ?, purged = UTC_TIMESTAMP(3) WHERE mailbox_id = ?"
                   " AND account_id = ?",
                   DB_ARGS(db_text(state), db_u64(move->old_mailbox), db_text(move->account->id))) &&
           store_durable(move->target, error);
}

/* A copy that somebody has begun to use again, or to delete behind mailboxd's back, is not what its
 * record says any more; mailboxd deletes all or nothing. */
bool clear_allowed(Move *move, GError **error)
{
    bool give_up = move->op->request != NULL && move->op->request->accept_data_loss;
    bool whole = move->old_copy == OLD_LOCKED || move->old_copy == OLD_CACHED;
    g_autoptr(Rows) record = NULL;
    uint32_t row = 0;
    unsigned group = 0;

    if (move->old_copy == OLD_NONE ||
        !mailbox_row_find(move->target->control, move->account->id, &row, &group, NULL, error))
        return move->old_copy == OLD_NONE;
    record = db_query(move->target->control, error,
                      "SELECT fingerprints, bad_items FROM zxmove.moved WHERE mailbox_id = ? AND account_id = ?"
                      " AND (state = 'kept' OR (state = 'purging' AND ?))",
                      DB_ARGS(db_u64(move->old_mailbox), db_text(move->account->id), db_u64(whole)));
    if (record == NULL)
        return false;
    if (rows_count(record) == 0 || row != move->old_mailbox)
        return true;
    if (rows_u64(record, 0, 1) != 0 && !give_up)
        return fail(error, ZX_ERROR_REFUSED,
                    "it left %s with %s bad items: its old copy there may have them, and would go."
                    " If they may be lost add: accept_data_loss true",
                    move->target->name, rows_text(record, 0, 1));
    return delete_unchanged(move->target, row, group, rows_text(record, 0, 0), error);
}

/* Everything that must hold just before the first row of it goes. */
static bool begin_deletion(Move *move, GError **error)
{
    return shared_find(move->op, move->target, error) && clear_allowed(move, error) &&
           mark(move, "purging", error) && failpoint("clear:purging", error) &&
           claim_check(&move->claim, error) && target_is_not_home(move, error);
}

bool clear_apply(Move *move, GError **error)
{
    Deletion deletion = { .op = move->op,
                          .address = move->account->address,
                          .claim = &move->claim,
                          .store = move->target };
    g_autofree char *why = NULL;
    uint32_t row = 0;
    unsigned group = 0;
    Probe probe;

    if (move->source_mailbox == 0)
        return true;
    probe = admin_probe(move->target->soap, move->account->id, &move->wait, &why);
    if (!mailbox_row_find(move->target->control, move->account->id, &row, &group, NULL, error))
        return false;
    deletion.mailbox = row != 0 ? row : move->old_mailbox;
    deletion.group = row != 0 ? group : move->old_group;
    switch (move->old_copy) {
    case OLD_NONE:
        if (probe == PROBE_UNMAPPED && row == 0)
            return true;
        break;
    case OLD_REUSE_ROWS:
        if (probe != PROBE_WRONG_HOST || row != move->target_mailbox)
            break;
        return shared_find(move->op, move->target, error) && claim_check(&move->claim, error) &&
               target_is_not_home(move, error) &&
               delete_remains(&deletion, move->blob_volume->id, move->index_volume, error);
    case OLD_REUSE_EMPTY:
        /* Not in the map any more: the store was restarted meanwhile, which is as good. */
        if ((probe == PROBE_NO_SUCH_MBOX || probe == PROBE_UNMAPPED) && row == 0)
            return true;
        break;
    case OLD_ROWS:
        if (probe != PROBE_UNMAPPED || (row != 0 && row != move->old_mailbox))
            break;
        return begin_deletion(move, error) && delete_behind(&deletion, error) &&
               mark(move, "purged", error);
    case OLD_LOCKED:
    case OLD_CACHED:
        if (row != move->old_mailbox || (probe != PROBE_LOCKED && probe != PROBE_CACHED))
            break;
        return begin_deletion(move, error) &&
               delete_through_mailboxd(&deletion, probe == PROBE_LOCKED, error) &&
               mark(move, "purged", error);
    }
    return fail(error, ZX_ERROR_CHANGED,
                "what %s knows of %s changed while it was copied (mailboxd says now: %s%s%s): run "
                "the command again",
                move->target->name, move->account->address, probe_name(probe),
                why != NULL ? ", " : "", why != NULL ? why : "");
}
