/* purge_proof.c - see purge.h: what makes an old copy superfluous, proved again before it goes
 * (doc/platform.md 5.4). Each false keeps it. */
#include "core/move/purge.h"
#include <string.h>

bool purge_home_is_elsewhere(Purge *purge, GError **error)
{
    account_free(purge->account);
    purge->account = directory_account(purge->op->directory, purge->copy->account_id, error);
    if (purge->account == NULL)
        return false;
    if (purge->account->mail_host == NULL)
        return fail(error, ZX_ERROR_REFUSED, "the account has no mail host");
    if (account_lives_on(purge->account, purge->store->name))
        return fail(error, ZX_ERROR_REFUSED, "the account lives on %s: this is no old copy",
                    purge->store->name);
    if (purge->home != NULL && !account_lives_on(purge->account, purge->home->name))
        return fail(error, ZX_ERROR_CHANGED, "the account moved to %s meanwhile",
                    purge->account->mail_host);
    return true;
}

bool purge_open_home(Purge *purge, GError **error)
{
    g_free(purge->result->destination);
    purge->result->destination = g_strdup(purge->account->mail_host);
    purge->home = operation_store(purge->op, purge->account->mail_host, error);
    return purge->home != NULL && store_revive(purge->home, error);
}

bool purge_claim(Purge *purge, GError **error)
{
    Store *const stores[] = { purge->store, purge->home };
    const unsigned lease_s = purge->op->conf->lease_s;

    if (!purge->request->dry_run)
        return claim_take(&purge->claim, purge->copy->account_id, purge->op->uuid, purge->store,
                          purge->home, lease_s, error);
    for (guint i = 0; i < G_N_ELEMENTS(stores) && stores[i] != NULL; i++)
        if (!stores[i]->bare && !claim_look(stores[i], purge->copy->account_id, lease_s, error))
            return false;
    return true;
}

/* The record as it is under the locks: a move back may have taken the copy meanwhile. */
static bool record_stands(Purge *purge, GError **error)
{
    g_autoptr(Rows) rows = db_query(
        purge->store->control, error,
        "SELECT state FROM zxmove.moved WHERE mailbox_id = ? AND account_id = ? AND operation = ?"
        " AND state IN ('kept', 'purging')",
        DB_ARGS(db_u64(purge->copy->mailbox), db_text(purge->copy->account_id),
                db_text(purge->copy->operation)));

    if (rows == NULL)
        return false;
    if (rows_count(rows) != 1)
        return fail(error, ZX_ERROR_CHANGED, "another operation took this copy meanwhile");
    purge->begun = strcmp(rows_text(rows, 0, 0), "purging") == 0;
    return true;
}

bool purge_nothing_unfinished(const Purge *purge, GError **error)
{
    Store *const stores[] = { purge->store, purge->home };

    for (guint i = 0; i < G_N_ELEMENTS(stores) && stores[i] != NULL; i++) {
        GError *problem = NULL;
        g_autoptr(Fence) fence =
            stores[i]->bare ? NULL : fence_find(stores[i], purge->copy->account_id, &problem);

        if (problem != NULL) {
            g_propagate_error(error, problem);
            return false;
        }
        if (fence != NULL)
            return fail(error, ZX_ERROR_CONFLICT,
                        "operation %s left the account unfinished: zxmove doRecover accounts"
                        " %s dry_run false",
                        fence->operation, purge->copy->address);
    }
    return true;
}

bool purge_home_has_the_mailbox(const Purge *purge, GError **error)
{
    g_autoptr(Rows) rows = NULL;
    uint32_t answered;

    if (!operation_login(purge->op, purge->home, error))
        return false;
    rows = db_query(purge->home->control, error,
                    "SELECT id, item_id_checkpoint, change_checkpoint FROM zimbra.mailbox"
                    " WHERE account_id = ?",
                    DB_ARGS(db_text(purge->copy->account_id)));
    if (rows == NULL)
        return false;
    if (rows_count(rows) != 1)
        return fail(error, ZX_ERROR_REFUSED, "its home %s has no mailbox of it", purge->home->name);
    if (rows_u64(rows, 0, 1) < purge->copy->item_checkpoint ||
        rows_u64(rows, 0, 2) < purge->copy->change_checkpoint)
        return fail(error, ZX_ERROR_REFUSED, "the mailbox on %s is older than this copy",
                    purge->home->name);
    if (!admin_mailbox_id(purge->home->soap, purge->copy->account_id, &purge->claim.wait, &answered,
                          error))
        return false;
    if (answered != (uint32_t)rows_u64(rows, 0, 0))
        return fail(error, ZX_ERROR_REFUSED, "%s answers mailbox %u, its database says %s",
                    purge->home->name, answered, rows_text(rows, 0, 0));
    return true;
}

bool purge_in_memory(const Purge *purge)
{
    return purge->probe == PROBE_LOCKED || purge->probe == PROBE_CACHED;
}

bool purge_ask_mailboxd(Purge *purge, GError **error)
{
    g_autofree char *why = NULL;

    if (!operation_login(purge->op, purge->store, error))
        return false;
    purge->probe = admin_probe(purge->store->soap, purge->copy->account_id, purge->op->wait, &why);
    return purge->probe != PROBE_UNKNOWN || fail(error, ZX_ERROR_REFUSED, "%s", why);
}

/* Written to since the commit: then it may hold the only copy of a message. A deletion that was
 * begun behind mailboxd's back has rows missing of its own making; mailboxd deletes all or nothing.
 */
static bool copy_is_unchanged(Purge *purge, GError **error)
{
    uint32_t row = 0;
    unsigned group = 0;

    if (!mailbox_row_find(purge->store->control, purge->copy->account_id, &row, &group, NULL,
                          error))
        return false;
    purge->has_row = row != 0;
    if (purge->begun && (row == 0 || (row == purge->copy->mailbox && !purge_in_memory(purge))))
        return true;
    if (row != purge->copy->mailbox || group != purge->copy->group)
        return fail(error, ZX_ERROR_REFUSED,
                    "%s has mailbox %u of the account, not the recorded %u", purge->store->name,
                    row, purge->copy->mailbox);
    return delete_unchanged(purge->store, row, group, purge->copy->fingerprints, error);
}

static bool own_view_names_home(Purge *purge, GError **error)
{
    Wait wait = wait_within(purge->op->wait, 10000);

    if (purge->request->dry_run) /* flushes nothing */
        return true;
    for (;;) {
        g_autofree char *host = NULL;

        if (!admin_view_host(purge->store->soap, purge->copy->account_id, &wait, &host, error))
            return false;
        if (host != NULL && g_ascii_strcasecmp(host, purge->home->name) == 0)
            return true;
        if (!wait_check(&wait, "the account's cache there", error) ||
            !admin_flush(purge->store->soap, purge->copy->account_id, true, &wait, error))
            return false;
        wait_pause(&wait, 100);
    }
}

static bool no_data_loss(const Purge *purge, GError **error)
{
    if (purge->copy->bad_items == 0 || purge->request->accept_data_loss)
        return true;
    return fail(error, ZX_ERROR_REFUSED,
                "it was moved with %u bad items: this copy may have them. Purge it with"
                " accept_data_loss true",
                purge->copy->bad_items);
}

bool purge_prove(Purge *purge, GError **error)
{
    return purge_home_is_elsewhere(purge, error) && record_stands(purge, error) &&
           purge_nothing_unfinished(purge, error) && no_data_loss(purge, error) &&
           purge_home_has_the_mailbox(purge, error) && purge_ask_mailboxd(purge, error) &&
           copy_is_unchanged(purge, error) && own_view_names_home(purge, error) &&
           shared_find(purge->op, purge->store, error);
}
