/* records.c - what zxmove itself has written on a store of one account: window, claim, reservation,
 * old copies. */
#include "core/look/look.h"
#include "core/ops/fence.h"

char *records_find(const Site *site, const char *address, GError **error)
{
    g_autoptr(Rows) rows =
        !site->records ? NULL
                       : db_query(site->store->control, error,
                                  "SELECT account_id FROM zxmove.fence WHERE address = ?"
                                  " ORDER BY state IN ('done', 'undone'), made DESC LIMIT 1",
                                  DB_ARGS(db_text(address)));

    return rows != NULL && rows_count(rows) > 0 ? g_strdup(rows_text(rows, 0, 0)) : NULL;
}

static bool read_window(Store *store, const char *id, StoreView *view, GError **error)
{
    GError *problem = NULL;
    g_autoptr(Fence) fence = fence_find(store, id, &problem);

    if (problem != NULL) {
        g_propagate_error(error, problem);
        return false;
    }
    if (fence == NULL)
        return true;
    view->window_state = g_strdup(fence_state_name(fence->state));
    view->window_operation = g_strdup(fence->operation);
    view->window_from = g_strdup(fence->source_host);
    view->window_to = g_strdup(fence->destination_host);
    view->window_since = g_get_real_time() / 1000 - fence->age_ms;
    return true;
}

static bool read_claim(Store *store, const char *id, StoreView *view, GError **error)
{
    g_autofree char *lock = g_strdup_printf("zxmove.%s", id);
    g_autoptr(Rows) rows =
        db_query(store->control, error,
                 "SELECT operation, host, pid, expires < UTC_TIMESTAMP(3),"
                 " IS_USED_LOCK(?) IS NOT NULL FROM zxmove.claim WHERE account_id = ?",
                 DB_ARGS(db_text(lock), db_text(id)));

    if (rows == NULL)
        return false;
    if (rows_count(rows) == 0)
        return true;
    view->claim_operation = g_strdup(rows_text(rows, 0, 0));
    view->claim_host = g_strdup(rows_text(rows, 0, 1));
    view->claim_pid = (unsigned)rows_u64(rows, 0, 2);
    view->claim_expired = rows_u64(rows, 0, 3) != 0;
    view->claim_locked = rows_u64(rows, 0, 4) != 0;
    return true;
}

static bool read_reservation(Store *store, const char *id, StoreView *view, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(store->control, error,
                 "SELECT mailbox_id FROM zxmove.reservation WHERE account_id = ?",
                 DB_ARGS(db_text(id)));

    if (rows == NULL)
        return false;
    view->reserved = rows_count(rows) == 1 ? rows_i64(rows, 0, 0) : 0;
    return true;
}

static void add_copy(StoreView *view, const Rows *rows, unsigned i, unsigned retention_days)
{
    CopyLook *copy = g_new0(CopyLook, 1);

    copy->mailbox_id = (unsigned)rows_u64(rows, i, 0);
    copy->moved_to = g_strdup(rows_text(rows, i, 1));
    copy->new_mailbox = (unsigned)rows_u64(rows, i, 2);
    copy->operation = g_strdup(rows_text(rows, i, 3));
    copy->moved_at = rows_i64(rows, i, 4);
    copy->purge_after = copy->moved_at + (int64_t)retention_days * 86400000;
    copy->state = g_strdup(rows_text(rows, i, 5));
    g_ptr_array_add(view->copies, copy);
}

/* The newest first. A copy that was used again or deleted is none any more, but it left here. */
static bool read_moves(const Site *site, const char *id, StoreView *view, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(site->store->control, error,
                 "SELECT mailbox_id, moved_to, new_mailbox, operation,"
                 " CAST(UNIX_TIMESTAMP(committed) * 1000 AS UNSIGNED), state,"
                 " state IN ('kept', 'purging', 'stray')"
                 " FROM zxmove.moved WHERE account_id = ? ORDER BY committed DESC",
                 DB_ARGS(db_text(id)));

    if (rows == NULL)
        return false;
    for (unsigned i = 0; i < rows_count(rows); i++)
        if (rows_u64(rows, i, 6) != 0)
            add_copy(view, rows, i, site->conf->retention_days);
    if (rows_count(rows) > 0) {
        view->last_moved = rows_i64(rows, 0, 4);
        view->last_moved_to = g_strdup(rows_text(rows, 0, 1));
        view->last_operation = g_strdup(rows_text(rows, 0, 3));
    }
    return true;
}

/* What lies on another store is recorded here while that one has not heard of it. */
static bool read_left_behind(const Site *site, const char *id, StoreView *view, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(site->store->control, error,
                 "SELECT store, mailbox_id, operation,"
                 " CAST(UNIX_TIMESTAMP(since) * 1000 AS UNSIGNED)"
                 " FROM zxmove.left_behind WHERE account_id = ?",
                 DB_ARGS(db_text(id)));

    for (unsigned i = 0; rows != NULL && i < rows_count(rows); i++) {
        CopyLook *copy = g_new0(CopyLook, 1);

        copy->left_on = g_strdup(rows_text(rows, i, 0));
        copy->mailbox_id = (unsigned)rows_u64(rows, i, 1);
        copy->operation = g_strdup(rows_text(rows, i, 2));
        copy->moved_at = rows_i64(rows, i, 3);
        copy->moved_to = g_strdup(view->store);
        copy->state = g_strdup("stray");
        g_ptr_array_add(view->copies, copy);
    }
    return rows != NULL;
}

bool records_read(const Site *site, const char *account_id, StoreView *view, GError **error)
{
    Store *store = site->store;

    return !site->records || (read_window(store, account_id, view, error) &&
                              read_claim(store, account_id, view, error) &&
                              read_reservation(store, account_id, view, error) &&
                              read_moves(site, account_id, view, error) &&
                              read_left_behind(site, account_id, view, error));
}
