/* claim.c - see claim.h. */
#include "core/ops/claim.h"
#include "core/base/log.h"
#include <string.h>
#include <unistd.h>

#define STORES(claim, i) for (int i = 0; i < 2 && (claim)->stores[i] != NULL; i++)

static char *lock_name(const Claim *claim)
{
    return g_strdup_printf("zxmove.%s", claim->account_id);
}

/* GET_LOCK without waiting: a living mover keeps it. */
static bool get_lock(const Claim *claim, Store *store, bool *got, GError **error)
{
    g_autofree char *name = lock_name(claim);
    g_autoptr(Rows) rows =
        db_query_one(store->control, error, "SELECT GET_LOCK(?, 0)", DB_ARGS(db_text(name)));

    if (rows == NULL)
        return false;
    *got = rows_u64(rows, 0, 0) == 1;
    return true;
}

static bool conflict(const Claim *claim, const Store *store, const Rows *row, GError **error)
{
    return fail(error, ZX_ERROR_CONFLICT,
                "account %s is being worked on by operation %s (%s, process %s; seen on %s)",
                claim->account_id, rows_text(row, 0, 0), rows_text(row, 0, 1), rows_text(row, 0, 2),
                store->name);
}

/* The lock is taken by a connection whose lease is over: its owner sleeps. Ending its connection
 * makes sure that it finds out before its next effect. */
static bool end_sleeper(const Claim *claim, Store *store, GError **error)
{
    g_autofree char *name = lock_name(claim);
    g_autoptr(Rows) holder =
        db_query_one(store->control, error, "SELECT IS_USED_LOCK(?)", DB_ARGS(db_text(name)));
    GError *gone = NULL;

    if (holder == NULL)
        return false;
    if (rows_text(holder, 0, 0) == NULL)
        return true;
    log_warning("%s: ending connection %s of a mover whose lease is over", store->name,
                rows_text(holder, 0, 0));
    /* It may end by itself between the question and the KILL. */
    if (!db_exec(store->control, NULL, &gone, "KILL ?", DB_ARGS(db_u64(rows_u64(holder, 0, 0)))))
        g_clear_error(&gone);
    return true;
}

static bool lock_after_sleeper(const Claim *claim, Store *store, GError **error)
{
    Wait wait = wait_within(NULL, 10000);
    bool got = false;

    if (!end_sleeper(claim, store, error))
        return false;
    while (get_lock(claim, store, &got, error) && !got) {
        if (!wait_check(&wait, "taking over the account's lock", error))
            return false;
        wait_pause(&wait, 20);
    }
    return got;
}

static bool take_on(Claim *claim, int i, GError **error)
{
    Store *store = claim->stores[i];
    g_autoptr(Rows) row = NULL;
    bool got, expired;

    if (!get_lock(claim, store, &got, error))
        return false;
    row =
        db_query(store->control, error,
                 "SELECT operation, host, pid, lease, expires < UTC_TIMESTAMP(3) FROM zxmove.claim"
                 " WHERE account_id = ?",
                 DB_ARGS(db_text(claim->account_id)));
    if (row == NULL)
        return false;
    expired = rows_count(row) == 0 || rows_u64(row, 0, 4) != 0;
    if (!got && (rows_count(row) == 0 || !expired)) {
        if (rows_count(row) > 0)
            return conflict(claim, store, row, error);
        return fail(error, ZX_ERROR_CONFLICT, "account %s is being taken by another zxmove on %s",
                    claim->account_id, store->name);
    }
    if (!got && !lock_after_sleeper(claim, store, error))
        return false;
    /* A free lock beside an unexpired row is a mover that died: the lock tells, no need to wait. */
    claim->lease[i] = rows_count(row) > 0 ? rows_u64(row, 0, 3) + 1 : 1;
    return db_exec(store->control, NULL, error,
                   "REPLACE INTO zxmove.claim (account_id, operation, host, pid, connection_id, "
                   "lease, expires)"
                   " VALUES (?, ?, ?, ?, ?, ?, UTC_TIMESTAMP(3) + INTERVAL ? SECOND)",
                   DB_ARGS(db_text(claim->account_id), db_text(claim->operation),
                           db_text(g_get_host_name()), db_u64((uint64_t)getpid()),
                           db_u64(db_connection_id(store->control)), db_u64(claim->lease[i]),
                           db_u64(claim->lease_s)));
}

bool claim_take(Claim *claim, const char *account_id, const char *operation, Store *a, Store *b,
                unsigned lease_s, GError **error)
{
    bool swap = b != NULL && strcmp(b->server_id, a->server_id) < 0;

    *claim = (Claim){ .account_id = g_strdup(account_id), .operation = operation, .lease_s = lease_s };
    claim->stores[0] = swap ? b : a;
    claim->stores[1] = swap ? a : b;
    claim->held = true;
    STORES(claim, i)
    if (!take_on(claim, i, error)) {
        claim_release(claim);
        return false;
    }
    claim->renewed = g_get_monotonic_time();
    return true;
}

static bool still_ours(const Claim *claim, int i, GError **error)
{
    Store *store = claim->stores[i];
    g_autofree char *name = lock_name(claim);
    g_autoptr(Rows) lock = NULL;
    uint64_t renewed = 0;

    lock = db_query_one(store->control, error, "SELECT IS_USED_LOCK(?) = CONNECTION_ID()",
                        DB_ARGS(db_text(name)));
    if (lock == NULL)
        return false;
    if (rows_u64(lock, 0, 0) == 1 &&
        !db_exec(store->control, &renewed, error,
                 "UPDATE zxmove.claim SET expires = UTC_TIMESTAMP(3) + INTERVAL ? SECOND"
                 " WHERE account_id = ? AND operation = ? AND lease = ?",
                 DB_ARGS(db_u64(claim->lease_s), db_text(claim->account_id),
                         db_text(claim->operation), db_u64(claim->lease[i]))))
        return false;
    if (renewed != 1)
        return fail(error, ZX_ERROR_CONFLICT, "account %s was taken over by another zxmove on %s",
                    claim->account_id, store->name);
    return true;
}

bool claim_check(Claim *claim, GError **error)
{
    STORES(claim, i)
    if (!still_ours(claim, i, error))
        return false;
    claim->renewed = g_get_monotonic_time();
    return true;
}

bool claim_keep(Claim *claim, GError **error)
{
    if (g_get_monotonic_time() - claim->renewed < (int64_t)claim->lease_s * G_USEC_PER_SEC / 3)
        return true;
    return claim_check(claim, error);
}

static int index_of(const Claim *claim, const Store *store)
{
    return claim->stores[0] == store ? 0 : 1;
}

bool claim_check_at(Claim *claim, const Store *store, GError **error)
{
    return still_ours(claim, index_of(claim, store), error);
}

bool claim_again_at(Claim *claim, const Store *store, GError **error)
{
    int i = index_of(claim, store);
    bool got;

    if (!get_lock(claim, claim->stores[i], &got, error))
        return false;
    if (!got)
        return fail(error, ZX_ERROR_CONFLICT, "account %s was taken over by another zxmove on %s",
                    claim->account_id, store->name);
    return still_ours(claim, i, error);
}

void claim_release(Claim *claim)
{
    g_autofree char *name = NULL;

    if (!claim->held)
        return;
    claim->held = false;
    name = lock_name(claim);
    /* Best effort: a row left behind is unlocked, and so free for the next one. */
    STORES(claim, i)
    {
        Db *db = claim->stores[i]->control;
        GError *ignored = NULL;

        if (db == NULL)
            continue;
        if (!db_exec(
                db, NULL, &ignored,
                "DELETE FROM zxmove.claim WHERE account_id = ? AND operation = ? AND lease = ?",
                DB_ARGS(db_text(claim->account_id), db_text(claim->operation),
                        db_u64(claim->lease[i]))))
            g_clear_error(&ignored);
        rows_free(db_query(db, &ignored, "SELECT RELEASE_LOCK(?)", DB_ARGS(db_text(name))));
        g_clear_error(&ignored);
    }
    g_clear_pointer(&claim->account_id, g_free);
}
