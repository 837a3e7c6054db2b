/* claim.c - see claim.h. */
#include "core/ops/claim.h"
#include "core/base/log.h"
#include "core/base/self.h"
#include <string.h>
#include <unistd.h>

#define STORES(claim, i) for (int i = 0; i < 2 && (claim)->stores[i] != NULL; i++)

/* Each connection of a store holds a lock of its own, so that a sleeper's whole work can be ended:
 * one that only lost `control` would go on writing rows through `data`. */
static const char *const suffixes[] = { "", ".data" };

static Db *connection(const Store *store, int which)
{
    return which == 0 ? store->control : store->data;
}

static char *lock_name(const Claim *claim, int which)
{
    return g_strdup_printf("zxmove.%s%s", claim->account_id, suffixes[which]);
}

#define NOW_MS "CAST(UNIX_TIMESTAMP(UTC_TIMESTAMP(3)) * 1000 AS UNSIGNED)"

/* The row is written after its server said what time it was: its lease runs no shorter than that.
 */
static void note_until(Claim *claim, int i, int64_t now_ms)
{
    claim->until[i] = now_ms + (int64_t)claim->lease_s * 1000;
}

/* GET_LOCK without waiting: a living mover keeps it. */
static bool get_locks(Claim *claim, int i, bool *got, GError **error)
{
    *got = true;
    for (int which = 0; which < 2 && *got; which++) {
        g_autofree char *name = lock_name(claim, which);
        /* Taking it twice would need releasing it twice. */
        g_autoptr(Rows) rows = db_query_one(
            connection(claim->stores[i], which), error,
            "SELECT IF(IFNULL(IS_USED_LOCK(?), 0) = CONNECTION_ID(), 1, GET_LOCK(?, 0)), " NOW_MS,
            DB_ARGS(db_text(name), db_text(name)));

        if (rows == NULL)
            return false;
        *got = rows_u64(rows, 0, 0) == 1;
        note_until(claim, i, rows_i64(rows, 0, 1));
    }
    return true;
}

static void release_locks(const Claim *claim, const Store *store)
{
    for (int which = 0; which < 2; which++) {
        g_autofree char *name = lock_name(claim, which);
        GError *ignored = NULL;

        rows_free(db_query(connection(store, which), &ignored, "SELECT RELEASE_LOCK(?)",
                           DB_ARGS(db_text(name))));
        g_clear_error(&ignored);
    }
}

static bool conflict(const char *account_id, unsigned lease_s, const Store *store, const Rows *row,
                     GError **error)
{
    return fail(
        error, ZX_ERROR_CONFLICT,
        "account %s is being worked on by operation %s (%s, process %s; seen on %s). If that"
        " has died, its claim ends within %u s",
        account_id, rows_text(row, 0, 0), rows_text(row, 0, 1), rows_text(row, 0, 2), store->name,
        lease_s);
}

/* A lock is held by a connection whose lease is over: its owner sleeps. Ending its connections
 * makes sure that it finds out before its next effect. */
static bool end_sleeper(const Claim *claim, const Store *store, GError **error)
{
    for (int which = 0; which < 2; which++) {
        g_autofree char *name = lock_name(claim, which);
        g_autoptr(Rows) holder =
            db_query_one(store->control, error, "SELECT IS_USED_LOCK(?)", DB_ARGS(db_text(name)));
        GError *gone = NULL;

        if (holder == NULL)
            return false;
        if (rows_text(holder, 0, 0) == NULL ||
            rows_u64(holder, 0, 0) == db_connection_id(connection(store, which)))
            continue;
        log_warning("%s: ending connection %s of a mover whose lease is over", store->name,
                    rows_text(holder, 0, 0));
        /* It may end by itself between the question and the KILL. */
        if (!db_exec(store->control, NULL, &gone, "KILL ?",
                     DB_ARGS(db_u64(rows_u64(holder, 0, 0)))))
            g_clear_error(&gone);
    }
    return true;
}

static bool lock_after_sleeper(Claim *claim, int i, GError **error)
{
    Wait wait = wait_within(NULL, 10000);
    bool got = false;

    if (!end_sleeper(claim, claim->stores[i], error))
        return false;
    while (get_locks(claim, i, &got, error) && !got) {
        if (!wait_check(&wait, "taking over the account's lock", error))
            return false;
        wait_pause(&wait, 20);
    }
    return got;
}

uint64_t lease_new(void)
{
    return (uint64_t)g_random_int() << 16 | 1; /* with room to rise */
}

static bool take_on(Claim *claim, int i, GError **error)
{
    Store *store = claim->stores[i];
    g_autoptr(Rows) row = NULL;
    bool got, over;

    if (!get_locks(claim, i, &got, error))
        return false;
    row = db_query(store->control, error,
                   "SELECT operation, host, pid, lease, expires < UTC_TIMESTAMP(3), process"
                   " FROM zxmove.claim WHERE account_id = ?",
                   DB_ARGS(db_text(claim->account_id)));
    if (row == NULL)
        return false;
    /* With the lock free an unexpired row may be that of a mover whose connection broke, and who
     * comes back. */
    over = rows_count(row) == 0 || rows_u64(row, 0, 4) != 0 ||
           (got && self_has_ended(rows_text(row, 0, 5)));
    if (!over || (!got && rows_count(row) == 0)) {
        release_locks(claim, store);
        if (rows_count(row) > 0)
            return conflict(claim->account_id, claim->lease_s, store, row, error);
        return fail(error, ZX_ERROR_CONFLICT, "account %s is being taken by another zxmove on %s",
                    claim->account_id, store->name);
    }
    if (!got && !lock_after_sleeper(claim, i, error))
        return false;
    claim->lease[i] = rows_count(row) > 0 ? rows_u64(row, 0, 3) + 1 : lease_new();
    return db_exec(store->control, NULL, error,
                   "REPLACE INTO zxmove.claim (account_id, operation, host, pid, process,"
                   " connection_id, lease, expires)"
                   " VALUES (?, ?, ?, ?, ?, ?, ?, UTC_TIMESTAMP(3) + INTERVAL ? SECOND)",
                   DB_ARGS(db_text(claim->account_id), db_text(claim->operation),
                           db_text(g_get_host_name()), db_u64((uint64_t)getpid()),
                           db_text(self_word()), db_u64(db_connection_id(store->control)),
                           db_u64(claim->lease[i]), db_u64(claim->lease_s)));
}

/* Whoever acts next finds out properly whether it was lost; here the lease is only kept young. */
static void keep_young(void *data)
{
    Claim *claim = data;
    int64_t now = g_get_monotonic_time();
    GError *lost = NULL;

    if (!claim->held ||
        now < MAX(claim->renewed, claim->tried) + (int64_t)claim->lease_s * G_USEC_PER_SEC / 3)
        return;
    claim->tried = now;
    if (!claim_check(claim, &lost)) {
        log_warning("%s", lost->message);
        g_clear_error(&lost);
    }
}

/* An agent at work on one long request is waited for in between, too; and it is told until when. */
static void keep_with_agents(Claim *claim, bool keep)
{
    claim->wait = (Wait){ .tick = keep_young, .tick_data = claim };
    STORES(claim, i)
    if (claim->stores[i]->peer != NULL)
        peer_claimed(claim->stores[i]->peer, keep ? &claim->wait : NULL,
                     keep ? &claim->until[i] : NULL);
}

bool claim_take(Claim *claim, const char *account_id, const char *operation, Store *a, Store *b,
                unsigned lease_s, GError **error)
{
    bool swap = b != NULL && strcmp(b->server_id, a->server_id) < 0;

    *claim =
        (Claim){ .account_id = g_strdup(account_id), .operation = operation, .lease_s = lease_s };
    claim->stores[0] = swap ? b : a;
    claim->stores[1] = swap ? a : b;
    claim->held = true;
    claim->renewed = g_get_monotonic_time(); /* before it is asked for: the lease runs from there */
    STORES(claim, i)
    if (!take_on(claim, i, error)) {
        claim_release(claim);
        return false;
    }
    keep_with_agents(claim, true);
    return true;
}

bool claim_look(Store *store, const char *account_id, unsigned lease_s, GError **error)
{
    g_autoptr(Rows) row = db_query(store->control, error,
                                   "SELECT operation, host, pid, process FROM zxmove.claim"
                                   " WHERE account_id = ? AND expires >= UTC_TIMESTAMP(3)",
                                   DB_ARGS(db_text(account_id)));

    if (row == NULL)
        return false;
    return rows_count(row) == 0 || self_has_ended(rows_text(row, 0, 3)) ||
           conflict(account_id, lease_s, store, row, error);
}

static bool still_ours(Claim *claim, int i, GError **error)
{
    Store *store = claim->stores[i];
    g_autofree char *name = lock_name(claim, 0);
    g_autoptr(Rows) lock = NULL;
    uint64_t renewed = 0;

    lock = db_query_one(store->control, error, "SELECT IS_USED_LOCK(?) = CONNECTION_ID(), " NOW_MS,
                        DB_ARGS(db_text(name)));
    if (lock == NULL)
        return false;
    if (rows_u64(lock, 0, 0) == 1 &&
        !db_exec(store->control, &renewed, error,
                 "UPDATE zxmove.claim SET expires = GREATEST(UTC_TIMESTAMP(3) + INTERVAL ? SECOND,"
                 " expires + INTERVAL 1000 MICROSECOND)"
                 " WHERE account_id = ? AND operation = ? AND lease = ?",
                 DB_ARGS(db_u64(claim->lease_s), db_text(claim->account_id),
                         db_text(claim->operation), db_u64(claim->lease[i]))))
        return false;
    if (renewed != 1)
        return fail(error, ZX_ERROR_CONFLICT, "account %s was taken over by another zxmove on %s",
                    claim->account_id, store->name);
    note_until(claim, i, rows_i64(lock, 0, 1));
    return true;
}

bool claim_check(Claim *claim, GError **error)
{
    int64_t asked = g_get_monotonic_time();

    STORES(claim, i)
    if (!still_ours(claim, i, error))
        return false;
    claim->renewed = asked;
    return true;
}

bool claim_may_act(Claim *claim, GError **error)
{
    bool known = false;

    STORES(claim, i)
    {
        g_autoptr(GError) problem = NULL;

        if (still_ours(claim, i, &problem))
            known = true;
        else if (error_code(problem) == ZX_ERROR_CONFLICT) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return false;
        }
    }
    if (known || g_get_monotonic_time() < claim->renewed + (int64_t)claim->lease_s * G_USEC_PER_SEC)
        return true;
    return fail(error, ZX_ERROR_CONNECT,
                "no database can be asked whether account %s is still ours", claim->account_id);
}

Wait claim_wait(Claim *claim, const Wait *wait)
{
    Wait kept = wait != NULL ? *wait : (Wait){ 0 };

    kept.tick = keep_young;
    kept.tick_data = claim;
    return kept;
}

static bool row_is_ours(const Claim *claim, int i, GError **error)
{
    const Store *store = claim->stores[i];
    g_autoptr(Rows) row = db_query(
        store->control, error,
        "SELECT 1 FROM zxmove.claim WHERE account_id = ? AND operation = ? AND lease = ?",
        DB_ARGS(db_text(claim->account_id), db_text(claim->operation), db_u64(claim->lease[i])));

    if (row == NULL)
        return false;
    return rows_count(row) == 1 ||
           fail(error, ZX_ERROR_CONFLICT, "account %s was taken over by another zxmove on %s",
                claim->account_id, store->name);
}

/* -1: a store that could not be claimed, because recovery could not reach it. */
static int index_of(const Claim *claim, const Store *store)
{
    for (int i = 0; i < 2; i++)
        if (claim->stores[i] == store)
            return i;
    return -1;
}

static bool not_claimed(const Store *store, GError **error)
{
    return fail(error, ZX_ERROR_CONNECT, "%s could not be reached when the account was claimed",
                store->name);
}

bool claim_check_at(Claim *claim, const Store *store, GError **error)
{
    int i = index_of(claim, store);

    return i < 0 ? not_claimed(store, error) : still_ours(claim, i, error);
}

bool claim_again_at(Claim *claim, const Store *store, GError **error)
{
    int i = index_of(claim, store);
    bool got;

    if (i < 0)
        return not_claimed(store, error);
    if (!get_locks(claim, i, &got, error))
        return false;
    /* The row decides: while it is ours, whoever holds the lock is a connection of our own that the
     * server has not yet found to be gone. */
    if ((!got && (!row_is_ours(claim, i, error) || !lock_after_sleeper(claim, i, error))) ||
        !still_ours(claim, i, error))
        return false;
    keep_with_agents(claim, true); /* it may be another than before */
    return true;
}

void claim_release(Claim *claim)
{
    if (!claim->held)
        return;
    claim->held = false;
    keep_with_agents(claim, false);
    /* Best effort: a row left behind is unlocked, and so free for the next one. */
    STORES(claim, i)
    {
        GError *ignored = NULL;

        if (!db_exec(
                claim->stores[i]->control, NULL, &ignored,
                "DELETE FROM zxmove.claim WHERE account_id = ? AND operation = ? AND lease = ?",
                DB_ARGS(db_text(claim->account_id), db_text(claim->operation),
                        db_u64(claim->lease[i]))))
            g_clear_error(&ignored);
        release_locks(claim, claim->stores[i]);
    }
    g_clear_pointer(&claim->account_id, g_free);
}
