/* orders.c - see orders.h. */
#include "core/ops/orders.h"
#include "core/ops/limits.h"

/* What an order sets, and what it leaves alone: a stop is taken back by nobody. What is to be
 * completed is so beside it, whatever else is asked. */
static const struct {
    const char *name, *set;
} orders[] = {
    [WANT_GO] = { "go", "wanted = 'go'" },
    [WANT_PAUSE] = { "pause", "wanted = 'pause'" },
    [WANT_STOP] = { "stop", "wanted = 'stop'" },
    [WANT_COMPLETE] = { "complete", "complete = TRUE" },
};

/* The row as it is after the order: did it come too late, or does a stop stand? */
static bool was_taken(Db *db, const char *operation, Want want, GError **error)
{
    g_autoptr(Rows) row =
        db_query_one(db, error,
                     "SELECT ended IS NOT NULL, state, wanted = 'stop', wanted_by,"
                     " wanted_comment FROM zxmove.operation WHERE uuid = ?",
                     DB_ARGS(db_text(operation)));
    const char *why;

    if (row == NULL)
        return false;
    if (rows_u64(row, 0, 0) != 0)
        return fail(error, ZX_ERROR_REFUSED, "operation %s has ended: %s", operation,
                    rows_text(row, 0, 1));
    why = rows_text(row, 0, 4);
    return want == WANT_STOP || rows_u64(row, 0, 2) == 0 ||
           fail(error, ZX_ERROR_REFUSED,
                "operation %s was told to stop, by %s%s%s: that stands, '%s' does not", operation,
                rows_text(row, 0, 3) != NULL ? rows_text(row, 0, 3) : "somebody",
                why != NULL ? ": " : "", why != NULL ? why : "", orders[want].name);
}

static bool set_wanted(Db *db, const char *operation, Want want, const char *comment,
                       GError **error)
{
    g_autofree char *who = g_strdup_printf("%s@%s", g_get_user_name(), g_get_host_name());

    return db_exec(db, NULL, error,
                   "UPDATE zxmove.operation SET ?, wanted_by = ?, wanted_comment = ?"
                   " WHERE uuid = ? AND ended IS NULL AND wanted <> 'stop'",
                   DB_ARGS(db_sql(orders[want].set), db_text(who), db_text(comment),
                           db_text(operation))) &&
           was_taken(db, operation, want, error);
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
    return was_taken(db, operation, want, error);
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
    enum { TRIES = 4 };

    for (int tries = 1;; tries++) {
        GError *problem = NULL;

        *now = limits_read(NULL);
        if (db_begin(db, false, &problem) && merge_limits(db, operation, change, now, &problem) &&
            db_commit(db, &problem))
            return true;
        db_rollback(db);
        limits_clear(now);
        if (error_code(problem) != ZX_ERROR_BUSY || tries == TRIES) {
            g_propagate_error(error, problem);
            return false;
        }
        g_error_free(problem);
    }
}
