/* left_behind.c - see left_behind.h. */
#include "core/move/left_behind.h"
#include "core/base/log.h"

bool left_behind_note(Store *store, const Fence *fence, GError **error)
{
    return db_exec(store->control, NULL, error,
                   "REPLACE INTO zxmove.left_behind (account_id, store, mailbox_id, address,"
                   " operation, since) VALUES (?, ?, ?, ?, ?, UTC_TIMESTAMP(3))",
                   DB_ARGS(db_text(fence->account_id), db_text(fence->source_host),
                           db_u64(fence->source_mailbox), db_text(fence->address),
                           db_text(fence->operation)));
}

/* Its own record is what every verb looks at: neither used again, nor cleared, nor purged unasked.
 */
static bool deliver_one(Store *from, Store *to, const Rows *rows, unsigned i, GError **error)
{
    const char *account = rows_text(rows, i, 0);
    g_autoptr(Rows) there = db_query(to->control, error,
                                     "SELECT group_id FROM zimbra.mailbox WHERE id = ?"
                                     " AND account_id = ?",
                                     DB_ARGS(db_u64(rows_u64(rows, i, 1)), db_text(account)));

    if (there == NULL)
        return false;
    if (rows_count(there) == 1 &&
        !(db_exec(to->control, NULL, error,
                  "REPLACE INTO zxmove.moved (mailbox_id, account_id, address, group_id, moved_to,"
                  " new_mailbox, operation, committed, bytes, blobs, item_checkpoint,"
                  " change_checkpoint, fingerprints, state)"
                  " VALUES (?, ?, ?, ?, ?, 0, ?, ?, 0, 0, 0, 0, '', 'stray')",
                  DB_ARGS(db_u64(rows_u64(rows, i, 1)), db_text(account),
                          db_text(rows_text(rows, i, 2)), db_u64(rows_u64(there, 0, 0)),
                          db_text(from->name), db_text(rows_text(rows, i, 3)),
                          db_text(rows_text(rows, i, 4)))) &&
          store_durable(to, error)))
        return false;
    /* The move that led there is over, and what it had left open there too. */
    if (!db_exec(to->control, NULL, error,
                 "UPDATE zxmove.fence SET state = 'undone', changed = UTC_TIMESTAMP(3)"
                 " WHERE account_id = ? AND role = 'destination' AND made <= ?"
                 " AND state NOT IN ('done', 'undone')",
                 DB_ARGS(db_text(account), db_text(rows_text(rows, i, 4)))) ||
        !store_durable(to, error))
        return false;
    log_info("%s: mailbox %s of %s, left behind there, is recorded as stray", to->name,
             rows_text(rows, i, 1), rows_text(rows, i, 2));
    return db_exec(from->control, NULL, error,
                   "DELETE FROM zxmove.left_behind WHERE account_id = ? AND store = ?",
                   DB_ARGS(db_text(account), db_text(to->name)));
}

static bool deliver(Store *from, Store *to, bool *any, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(from->control, error,
                 "SELECT account_id, mailbox_id, address, operation, since FROM zxmove.left_behind"
                 " WHERE store = ?",
                 DB_ARGS(db_text(to->name)));

    for (unsigned i = 0; rows != NULL && i < rows_count(rows); i++) {
        if (!deliver_one(from, to, rows, i, error))
            return false;
        *any = true;
    }
    return rows != NULL;
}

bool left_behind_deliver(Store *from, Store *to)
{
    g_autoptr(GError) problem = NULL;
    bool any = false;

    if (from != to && !from->bare && !to->bare && from->control != NULL && to->control != NULL &&
        !deliver(from, to, &any, &problem))
        log_warning("what was left behind on %s: %s", to->name, problem->message);
    return any;
}

bool left_behind_deliver_all(Operation *op)
{
    g_autoptr(GList) stores = g_hash_table_get_values(op->stores);
    bool any = false;

    for (GList *from = stores; from != NULL; from = from->next)
        for (GList *to = stores; to != NULL; to = to->next)
            any |= left_behind_deliver(from->data, to->data);
    return any;
}
