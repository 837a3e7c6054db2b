/* orders.c - see orders.h. */
#include "core/ops/orders.h"
#include "core/ops/limits.h"

static const char *const wants[] = {
    [WANT_GO] = "go", [WANT_PAUSE] = "pause", [WANT_STOP] = "stop", [WANT_COMPLETE] = "complete"
};

/* One that has ended takes no order; that is found by who asks. */
static bool set_wanted(Db *db, const char *operation, Want want, const char *comment,
                       GError **error)
{
    g_autofree char *who = g_strdup_printf("%s@%s", g_get_user_name(), g_get_host_name());

    return db_exec(db, NULL, error,
                   "UPDATE zxmove.operation SET wanted = ?, wanted_by = ?, wanted_comment = ?"
                   " WHERE uuid = ? AND ended IS NULL",
                   DB_ARGS(db_text(wants[want]), db_text(who), db_text(comment),
                           db_text(operation)));
}

static bool release(Db *db, const char *operation, const char *account, GError **error)
{
    g_autoptr(Rows) there =
        db_query(db, error,
                 "SELECT 1 FROM zxmove.operation_mailbox"
                 " WHERE operation = ? AND (account_id = ? OR address = ?) AND seq IS NULL",
                 DB_ARGS(db_text(operation), db_text(account), db_text(account)));

    if (there == NULL)
        return false;
    if (rows_count(there) == 0)
        return fail(error, ZX_ERROR_NOT_FOUND, "%s does not wait in operation %s", account,
                    operation);
    return db_exec(db, NULL, error,
                   "UPDATE zxmove.operation_mailbox SET released = TRUE"
                   " WHERE operation = ? AND (account_id = ? OR address = ?)",
                   DB_ARGS(db_text(operation), db_text(account), db_text(account)));
}

bool orders_want(Db *db, const char *operation, Want want, char **accounts, const char *comment,
                 GError **error)
{
    if (want != WANT_COMPLETE || accounts == NULL)
        return set_wanted(db, operation, want, comment, error);
    for (char **account = accounts; *account != NULL; account++)
        if (!release(db, operation, *account, error))
            return false;
    return true;
}

bool orders_end_lost(Db *db, const char *operation, GError **error)
{
    return db_exec(db, NULL, error,
                   "UPDATE zxmove.operation SET state = 'interrupted', cause = NULL,"
                   " ended = heartbeat WHERE uuid = ? AND ended IS NULL",
                   DB_ARGS(db_text(operation)));
}

static bool merge_limits(Db *db, const char *operation, const Limits *change, Limits *now,
                         GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(Rows) row =
        db_query_one(db, error, "SELECT limits FROM zxmove.operation WHERE uuid = ? FOR UPDATE",
                     DB_ARGS(db_text(operation)));

    if (row == NULL)
        return false;
    *now = limits_read(rows_text(row, 0, 0));
    if (change == NULL)
        return true;
    limits_merge(now, change);
    text = limits_text(now);
    return db_exec(db, NULL, error, "UPDATE zxmove.operation SET limits = ? WHERE uuid = ?",
                   DB_ARGS(db_text(text), db_text(operation)));
}

bool orders_limits(Db *db, const char *operation, const Limits *change, Limits *now,
                   GError **error)
{
    *now = limits_read(NULL);
    if (!db_begin(db, false, error))
        return false;
    if (merge_limits(db, operation, change, now, error) && db_commit(db, error))
        return true;
    db_rollback(db);
    limits_clear(now);
    return false;
}
