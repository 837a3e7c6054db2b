/* slot.c - see slot.h. */
#include "core/ops/slot.h"

static char *slot_name(unsigned slot)
{
    return g_strdup_printf("zxmove.flight.%u", slot);
}

static char *holder_of(Store *store, unsigned slot)
{
    g_autofree char *name = slot_name(slot);
    g_autoptr(GError) ignored = NULL;
    g_autoptr(Rows) rows = db_query(
        store->control, &ignored,
        "SELECT operation FROM zxmove.claim WHERE connection_id = IS_USED_LOCK(?) LIMIT 1",
        DB_ARGS(db_text(name)));

    return rows != NULL && rows_count(rows) == 1 ? g_strdup(rows_text(rows, 0, 0)) : NULL;
}

bool slot_take(Store *store, unsigned most, unsigned *slot, char **holder, GError **error)
{
    *holder = NULL;
    for (*slot = 1; *slot <= most; ++*slot) {
        g_autofree char *name = slot_name(*slot);
        /* Taking it twice on one connection would succeed. */
        g_autoptr(Rows) got =
            db_query_one(store->control, error, "SELECT IF(IS_FREE_LOCK(?), GET_LOCK(?, 0), 0)",
                         DB_ARGS(db_text(name), db_text(name)));

        if (got == NULL)
            return false;
        if (rows_u64(got, 0, 0) == 1)
            return true;
    }
    *slot = 0;
    *holder = holder_of(store, 1);
    return true;
}

bool slot_is_held(Store *store, unsigned slot, bool *held, GError **error)
{
    g_autofree char *name = slot_name(slot);
    g_autoptr(Rows) row =
        db_query_one(store->control, error, "SELECT IFNULL(IS_USED_LOCK(?) = CONNECTION_ID(), 0)",
                     DB_ARGS(db_text(name)));

    if (row != NULL)
        *held = rows_u64(row, 0, 0) == 1;
    return row != NULL;
}

void slot_release(Store *store, unsigned slot)
{
    g_autofree char *name = slot_name(slot);
    g_autoptr(GError) ignored = NULL;

    if (slot != 0 && store->control != NULL)
        rows_free(
            db_query(store->control, &ignored, "SELECT RELEASE_LOCK(?)", DB_ARGS(db_text(name))));
}
