/* journal.c - see journal.h. */
#include "core/ops/journal.h"
#include <unistd.h>

bool journal_begin(Store *store, const char *operation, const char *verb, const char *parameters,
                   const char *batch_name, const char *comment, GError **error)
{
    return db_exec(
        store->control, NULL, error,
        "INSERT INTO zxmove.operation (uuid, verb, parameters, host, pid, who, batch_name, "
        "comment, state, started, heartbeat)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'running', UTC_TIMESTAMP(3), UTC_TIMESTAMP(3))",
        DB_ARGS(db_text(operation), db_text(verb), db_text(parameters), db_text(g_get_host_name()),
                db_u64((uint64_t)getpid()), db_text(g_get_user_name()), db_text(batch_name),
                db_text(comment)));
}

bool journal_batch(Store *store, const char *operation, char **batch_name, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(store->control, error, "SELECT batch_name FROM zxmove.operation WHERE uuid = ?",
                 DB_ARGS(db_text(operation)));

    if (rows != NULL)
        *batch_name = rows_count(rows) > 0 ? g_strdup(rows_text(rows, 0, 0)) : NULL;
    return rows != NULL;
}

bool journal_end(Store *store, const char *operation, const char *state, const char *result,
                 GError **error)
{
    return db_exec(store->control, NULL, error,
                   "UPDATE zxmove.operation SET state = ?, result = ?, ended = UTC_TIMESTAMP(3) "
                   "WHERE uuid = ?",
                   DB_ARGS(db_text(state), db_text(result), db_text(operation)));
}

bool journal_intent(Store *store, const char *operation, const char *account_id, const char *step,
                    GError **error)
{
    return db_exec(store->control, NULL, error,
                   "INSERT INTO zxmove.step (operation, account_id, name, intent) VALUES (?, ?, ?, "
                   "UTC_TIMESTAMP(3))"
                   " ON DUPLICATE KEY UPDATE intent = UTC_TIMESTAMP(3), done = NULL",
                   DB_ARGS(db_text(operation), db_text(account_id), db_text(step))) &&
           db_exec(store->control, NULL, error,
                   "UPDATE zxmove.operation SET heartbeat = UTC_TIMESTAMP(3) WHERE uuid = ?",
                   DB_ARGS(db_text(operation)));
}

bool journal_done(Store *store, const char *operation, const char *account_id, const char *step,
                  GError **error)
{
    return db_exec(store->control, NULL, error,
                   "UPDATE zxmove.step SET done = UTC_TIMESTAMP(3) WHERE operation = ? AND "
                   "account_id = ? AND name = ?",
                   DB_ARGS(db_text(operation), db_text(account_id), db_text(step)));
}
