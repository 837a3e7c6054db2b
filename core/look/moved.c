/* moved.c - getMovedMailboxes: the copies that moves left behind and that are still there. */
#include "core/look/look.h"

static void moved_free(MovedMailbox *moved)
{
    g_free(moved->store);
    g_free(moved->account_id);
    g_free(moved->address);
    g_free(moved->moved_to);
    g_free(moved->operation);
    g_free(moved->state);
    g_free(moved->batch_name);
    g_free(moved);
}

static bool read_copies(const Site *site, GError **error)
{
    g_autoptr(Rows) rows = db_query(
        site->store->control, error,
        "SELECT mailbox_id, account_id, address, moved_to, new_mailbox, operation, state,"
        " CAST(UNIX_TIMESTAMP(committed) * 1000 AS UNSIGNED), bytes, bad_items,"
        " batch_name FROM zxmove.moved WHERE state IN ('kept', 'purging') ORDER BY committed",
        DB_NONE);

    for (unsigned i = 0; rows != NULL && i < rows_count(rows); i++) {
        MovedMailbox *moved = g_new0(MovedMailbox, 1);

        moved->store = g_strdup(site->where->name);
        moved->mailbox_id = (uint32_t)rows_u64(rows, i, 0);
        moved->account_id = g_strdup(rows_text(rows, i, 1));
        moved->address = g_strdup(rows_text(rows, i, 2));
        moved->moved_to = g_strdup(rows_text(rows, i, 3));
        moved->new_mailbox = (uint32_t)rows_u64(rows, i, 4);
        moved->operation = g_strdup(rows_text(rows, i, 5));
        moved->state = g_strdup(rows_text(rows, i, 6));
        moved->moved_at = rows_i64(rows, i, 7);
        moved->purge_after = moved->moved_at + (int64_t)site->conf->retention_days * 86400000;
        moved->bytes = rows_u64(rows, i, 8);
        moved->bad_items = (unsigned)rows_u64(rows, i, 9);
        moved->batch_name = g_strdup(rows_text(rows, i, 10));
        g_ptr_array_add(site->found, moved);
    }
    return rows != NULL;
}

static void visit(Site *site, const void *question G_GNUC_UNUSED)
{
    GError *problem = NULL;

    if (site->records && !read_copies(site, &problem))
        site_failed(site, problem);
}

Looked *look_moved(const Conf *conf, const char *host, const Wait *wait, GError **error)
{
    const unsigned parts = STORE_PART(STORE_DATABASE);
    const Sites sites = { .conf = conf,
                          .host = host,
                          .parts = parts,
                          .visit = visit,
                          .free_found = (GDestroyNotify)moved_free };
    g_autoptr(GPtrArray) visited = sites_visit(&sites, wait, error);
    Looked *looked;

    if (visited == NULL)
        return NULL;
    looked = looked_new((GDestroyNotify)moved_free);
    looked_take(looked, visited);
    looked_miss_sites(looked, visited, parts);
    return looked;
}
