/* fence.c - see fence.h. */
#include "core/ops/fence.h"
#include "core/base/failpoint.h"
#include "core/ops/claim.h"
#include <string.h>

static const char *const state_names[] = { "fenced",    "proven", "committing",
                                           "committed", "done",   "undone" };

const char *fence_state_name(FenceState state)
{
    return state_names[state];
}

void fence_free(Fence *fence)
{
    if (fence == NULL)
        return;
    g_free(fence->account_id);
    g_free(fence->operation);
    g_free(fence->address);
    g_free(fence->account_status);
    g_free(fence->mail_status);
    g_free(fence->transport);
    g_free(fence->source_host);
    g_free(fence->destination_host);
    g_free(fence->proven);
    g_free(fence);
}

Fence *fence_new(const Account *account, const char *operation, const char *source_host,
                 const char *destination_host)
{
    Fence *fence = g_new0(Fence, 1);

    fence->account_id = g_strdup(account->id);
    fence->operation = g_strdup(operation);
    fence->address = g_strdup(account->address);
    fence->state = FENCE_FENCED;
    fence->lease = lease_new();
    fence->account_status = g_strdup(account->status);
    fence->mail_status = g_strdup(account->mail_status);
    fence->transport = g_strdup(account->transport);
    fence->source_host = g_strdup(source_host);
    fence->destination_host = g_strdup(destination_host);
    return fence;
}

#define FENCE_INSERT                                                                               \
    "INSERT INTO zxmove.fence (account_id, operation, role, state, lease, address, "               \
    "account_status,"                                                                              \
    " mail_status, transport, status_touched, source_host, destination_host, source_mailbox,"      \
    " destination_mailbox, reindex, rescue, made, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"  \
    " ?, ?, ?, ?, ?, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3)) ON DUPLICATE KEY UPDATE "

/* A window that is opened again under the same operation begins its row anew. */
#define FENCE_ANEW                                                                               \
    "state = VALUES(state), lease = VALUES(lease), account_status = VALUES(account_status),"     \
    " mail_status = VALUES(mail_status), transport = VALUES(transport),"                         \
    " status_touched = VALUES(status_touched), source_mailbox = VALUES(source_mailbox),"         \
    " destination_mailbox = VALUES(destination_mailbox), reindex = VALUES(reindex),"             \
    " lock_tried = NULL, locked = 0, opened = 0, proven = NULL, made = VALUES(made), changed = " \
    "VALUES(changed)"

/* A row that is there already stays as it is. */
#define FENCE_IF_ABSENT "lease = lease"

/* The time changes too, so that the same change made twice still counts one row. */
#define FENCE_COUNTS "changed = GREATEST(UTC_TIMESTAMP(3), changed + INTERVAL 1000 MICROSECOND)"

static bool write_row(const Fence *fence, Store *store, const char *role, const char *sql,
                      GError **error)
{
    return db_exec(store->control, NULL, error, sql,
                   DB_ARGS(db_text(fence->account_id), db_text(fence->operation), db_text(role),
                           db_text(state_names[fence->state]), db_u64(fence->lease),
                           db_text(fence->address), db_text(fence->account_status),
                           db_text(fence->mail_status), db_text(fence->transport),
                           db_u64(fence->status_touched), db_text(fence->source_host),
                           db_text(fence->destination_host), db_u64(fence->source_mailbox),
                           db_u64(fence->destination_mailbox), db_u64(fence->reindex),
                           db_u64(fence->rescue)));
}

bool fence_begin(const Fence *fence, Store *source, Store *destination, GError **error)
{
    if (source == NULL)
        return write_row(fence, destination, "destination", FENCE_INSERT FENCE_ANEW, error) &&
               store_durable(destination, error);
    return write_row(fence, source, "source", FENCE_INSERT FENCE_ANEW, error) &&
           failpoint("fence:half", error) &&
           write_row(fence, destination, "destination", FENCE_INSERT FENCE_ANEW, error) &&
           store_durable(source, error) && store_durable(destination, error);
}

static bool changed_one(Store *store, const Fence *fence, uint64_t affected, const char *to,
                        GError **error)
{
    return affected == 1 ||
           fail(error, ZX_ERROR_CONFLICT,
                "%s: the record of %s cannot become '%s': another zxmove took the operation over",
                store->name, fence->address, to);
}

bool fence_advance(Store *store, const Fence *fence, FenceState from, FenceState to, GError **error)
{
    uint64_t affected = 0;

    /* Nobody goes on to another state before every lock-out was answered. */
    return db_exec(store->control, &affected, error,
                   "UPDATE zxmove.fence SET state = ?, lock_tried = NULL,"
                   " changed = UTC_TIMESTAMP(3) WHERE account_id = ?"
                   " AND operation = ? AND lease = ? AND state = ?",
                   DB_ARGS(db_text(state_names[to]), db_text(fence->account_id),
                           db_text(fence->operation), db_u64(fence->lease),
                           db_text(state_names[from]))) &&
           changed_one(store, fence, affected, state_names[to], error) &&
           store_durable(store, error);
}

bool fence_set(Store *store, const Fence *fence, FenceState to, GError **error)
{
    uint64_t affected = 0;

    return db_exec(store->control, &affected, error,
                   "UPDATE zxmove.fence SET state = ?, " FENCE_COUNTS
                   " WHERE account_id = ? AND operation = ? AND lease = ?",
                   DB_ARGS(db_text(state_names[to]), db_text(fence->account_id),
                           db_text(fence->operation), db_u64(fence->lease))) &&
           changed_one(store, fence, affected, state_names[to], error) &&
           store_durable(store, error);
}

bool fence_undo(Store *store, const Fence *fence, GError **error)
{
    g_autoptr(Rows) there = db_query(
        store->control, error, "SELECT 1 FROM zxmove.fence WHERE account_id = ? AND operation = ?",
        DB_ARGS(db_text(fence->account_id), db_text(fence->operation)));

    return there != NULL &&
           (rows_count(there) == 0 || fence_set(store, fence, FENCE_UNDONE, error));
}

bool fence_mark_quickly(Store *store, const Fence *fence, FenceMark mark, GError **error)
{
    static const struct {
        const char *name, *set;
    } marks[] = {
        [FENCE_LOCK_TRIED] = { "lock-out sent", "lock_tried = UTC_TIMESTAMP(3)" },
        [FENCE_LOCKED] = { "locked", "locked = 1, lock_tried = NULL" },
        [FENCE_REINDEX] = { "to be indexed anew", "reindex = 1" },
        [FENCE_OPENED] = { "opened", "opened = 1" },
    };
    uint64_t affected = 0;

    return db_exec(store->control, &affected, error,
                   "UPDATE zxmove.fence SET ?, " FENCE_COUNTS
                   " WHERE account_id = ? AND operation = ? AND lease = ?",
                   DB_ARGS(db_sql(marks[mark].set), db_text(fence->account_id),
                           db_text(fence->operation), db_u64(fence->lease))) &&
           changed_one(store, fence, affected, marks[mark].name, error);
}

bool fence_mark(Store *store, const Fence *fence, FenceMark mark, GError **error)
{
    return fence_mark_quickly(store, fence, mark, error) && store_durable(store, error);
}

bool fence_note_mailboxes(Store *store, const Fence *fence, GError **error)
{
    return db_exec(store->control, NULL, error,
                   "UPDATE zxmove.fence SET source_mailbox = ?, destination_mailbox = ? WHERE"
                   " account_id = ? AND operation = ? AND lease = ?",
                   DB_ARGS(db_u64(fence->source_mailbox), db_u64(fence->destination_mailbox),
                           db_text(fence->account_id), db_text(fence->operation),
                           db_u64(fence->lease))) &&
           store_durable(store, error);
}

/* A clock that was set back makes nothing younger than now. */
#define AGE_MS(time) "GREATEST(TIMESTAMPDIFF(MICROSECOND, " time ", UTC_TIMESTAMP(3)) DIV 1000, 0)"

#define FENCE_COLUMNS                                                                              \
    "SELECT account_id, operation, address, state, lease, account_status, mail_status, transport," \
    " status_touched, source_host, destination_host, source_mailbox, destination_mailbox, "        \
    "reindex,"                                                                                     \
    " role = 'source', " AGE_MS("made") ", locked, opened, proven, "                               \
    "IFNULL(" AGE_MS("lock_tried") ", -1), rescue"                                                                                  \
    " FROM zxmove.fence WHERE state NOT IN ('done', 'undone')"

static FenceState state_of(const char *name)
{
    for (guint i = 0; i < G_N_ELEMENTS(state_names); i++)
        if (strcmp(name, state_names[i]) == 0)
            return (FenceState)i;
    g_error("zxmove.fence has a state called '%s'", name);
}

static Fence *fence_from(const Rows *rows, unsigned i)
{
    Fence *fence = g_new0(Fence, 1);

    fence->account_id = g_strdup(rows_text(rows, i, 0));
    fence->operation = g_strdup(rows_text(rows, i, 1));
    fence->address = g_strdup(rows_text(rows, i, 2));
    fence->state = state_of(rows_text(rows, i, 3));
    fence->lease = rows_u64(rows, i, 4);
    fence->account_status = g_strdup(rows_text(rows, i, 5));
    fence->mail_status = g_strdup(rows_text(rows, i, 6));
    fence->transport = g_strdup(rows_text(rows, i, 7));
    fence->status_touched = rows_u64(rows, i, 8) != 0;
    fence->source_host = g_strdup(rows_text(rows, i, 9));
    fence->destination_host = g_strdup(rows_text(rows, i, 10));
    fence->source_mailbox = (uint32_t)rows_u64(rows, i, 11);
    fence->destination_mailbox = (uint32_t)rows_u64(rows, i, 12);
    fence->reindex = rows_u64(rows, i, 13) != 0;
    fence->on_source = rows_u64(rows, i, 14) != 0;
    fence->age_ms = rows_i64(rows, i, 15);
    fence->locked = rows_u64(rows, i, 16) != 0;
    fence->opened = rows_u64(rows, i, 17) != 0;
    fence->proven = g_strdup(rows_text(rows, i, 18));
    fence->lock_tried_ms = rows_i64(rows, i, 19);
    fence->rescue = rows_u64(rows, i, 20) != 0;
    return fence;
}

static Fence *fence_of(Store *store, const Fence *known, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(store->control, error, FENCE_COLUMNS " AND account_id = ? AND operation = ?",
                 DB_ARGS(db_text(known->account_id), db_text(known->operation)));

    if (rows == NULL || rows_count(rows) == 0)
        return NULL;
    return fence_from(rows, 0);
}

Fence *fence_find(Store *store, const char *account_id, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(store->control, error, FENCE_COLUMNS " AND account_id = ? ORDER BY made DESC",
                 DB_ARGS(db_text(account_id)));

    if (rows == NULL || rows_count(rows) == 0)
        return NULL;
    return fence_from(rows, 0);
}

GPtrArray *fence_unfinished(Store *store, GError **error)
{
    g_autoptr(Rows) rows = db_query(store->control, error, FENCE_COLUMNS " ORDER BY made", DB_NONE);
    GPtrArray *found;

    if (rows == NULL)
        return NULL;
    found = g_ptr_array_new_with_free_func((GDestroyNotify)fence_free);
    for (unsigned i = 0; i < rows_count(rows); i++)
        g_ptr_array_add(found, fence_from(rows, i));
    return found;
}

bool fence_note_proven(Store *store, const Fence *fence, const char *proven, GError **error)
{
    return db_exec(
        store->control, NULL, error,
        "UPDATE zxmove.fence SET proven = ? WHERE account_id = ? AND operation = ? AND lease = ?",
        DB_ARGS(db_text(proven), db_text(fence->account_id), db_text(fence->operation),
                db_u64(fence->lease)));
}

static bool raise_lease(Store *store, const Fence *fence, uint64_t lease, GError **error)
{
    return db_exec(store->control, NULL, error,
                   "UPDATE zxmove.fence SET lease = ? WHERE account_id = ? AND operation = ? AND "
                   "lease < ?",
                   DB_ARGS(db_u64(lease), db_text(fence->account_id), db_text(fence->operation),
                           db_u64(lease))) &&
           store_durable(store, error);
}

static bool highest_lease(Store *store, const Fence *fence, uint64_t *lease, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(store->control, error,
                 "SELECT lease FROM zxmove.fence WHERE account_id = ? AND operation = ?",
                 DB_ARGS(db_text(fence->account_id), db_text(fence->operation)));

    if (rows == NULL)
        return false;
    if (rows_count(rows) == 1)
        *lease = MAX(*lease, rows_u64(rows, 0, 0));
    return true;
}

static void add_marks(Fence *fence, const Fence *other)
{
    if (fence->proven == NULL)
        fence->proven = g_strdup(other->proven);
    fence->locked |= other->locked;
    fence->reindex |= other->reindex;
    fence->opened |= other->opened;
    fence->lock_tried_ms = MAX(fence->lock_tried_ms, other->lock_tried_ms);
}

Fence *fence_take_over(const Fence *known, Store *source, Store *destination, bool source_is_home,
                       GError **error)
{
    Store *const stores[] = { source, destination };
    g_autoptr(Fence) at_source = NULL;
    g_autoptr(Fence) at_destination = NULL;
    Fence **const rows[] = { &at_source, &at_destination };
    int deciding = source_is_home ? 0 : 1;
    uint64_t lease = known->lease;
    GError *problem = NULL;

    for (int i = 0; i < 2; i++)
        if (stores[i] != NULL && !highest_lease(stores[i], known, &lease, error))
            return NULL;
    lease++;
    for (int i = 0; i < 2; i++)
        if (stores[i] != NULL && !raise_lease(stores[i], known, lease, error))
            return NULL;
    for (int i = 0; i < 2; i++)
        if (stores[i] != NULL && (*rows[i] = fence_of(stores[i], known, &problem)) == NULL &&
            problem != NULL) {
            g_propagate_error(error, problem);
            return NULL;
        }
    if (*rows[deciding] == NULL)
        deciding = 1 - deciding;
    if (*rows[deciding] == NULL) {
        fail(error, ZX_ERROR_CHANGED, "operation %s has been finished meanwhile", known->operation);
        return NULL;
    }
    if (*rows[1 - deciding] != NULL)
        add_marks(*rows[deciding], *rows[1 - deciding]);
    else if (stores[1 - deciding] != NULL && !write_row(*rows[deciding], stores[1 - deciding],
                                                        deciding == 0 ? "destination" : "source",
                                                        FENCE_INSERT FENCE_IF_ABSENT, error))
        return NULL;
    return g_steal_pointer(rows[deciding]);
}
