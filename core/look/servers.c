/* servers.c - getServers: every mailbox server of the directory and every store of the
 * configuration, and what each holds. */
#include "core/look/look.h"
#include "core/zimbra/admin.h"
#include <string.h>

static void server_free(ServerLook *server)
{
    g_free(server->name);
    g_free(server->version);
    g_free(server);
}

static ServerLook *server_new(const char *name)
{
    ServerLook *server = g_new0(ServerLook, 1);

    *server = (ServerLook){ .name = g_strdup(name),
                            .db_version = UNKNOWN,
                            .accounts = UNKNOWN,
                            .mailboxes = UNKNOWN,
                            .bytes = UNKNOWN,
                            .volume_free = UNKNOWN,
                            .volume_total = UNKNOWN,
                            .old_copies = UNKNOWN,
                            .old_bytes = UNKNOWN,
                            .arriving = UNKNOWN,
                            .windows_out = UNKNOWN,
                            .windows_in = UNKNOWN };
    return server;
}

static bool read_mailboxes(Db *db, ServerLook *server, GError **error)
{
    g_autoptr(Rows) rows =
        db_query_one(db, error,
                     "SELECT COUNT(*), CAST(IFNULL(SUM(size_checkpoint), 0) AS UNSIGNED),"
                     " (SELECT CAST(value AS UNSIGNED) FROM zimbra.config"
                     " WHERE name = 'db.version') FROM zimbra.mailbox",
                     DB_NONE);

    if (rows == NULL)
        return false;
    server->mailboxes = rows_i64(rows, 0, 0);
    server->bytes = rows_i64(rows, 0, 1);
    server->db_version = rows_i64(rows, 0, 2);
    return true;
}

/* A store that no zxmove has worked on has none of all this. */
static bool read_moves(const Site *site, ServerLook *server, GError **error)
{
    g_autoptr(Rows) rows = NULL;

    server->old_copies = server->old_bytes = server->arriving = 0;
    server->windows_out = server->windows_in = 0;
    if (!site->records)
        return true;
    rows = db_query_one(
        site->store->control, error,
        "SELECT (SELECT COUNT(*) FROM zxmove.moved WHERE state IN ('kept', 'purging')),"
        " (SELECT CAST(IFNULL(SUM(bytes), 0) AS UNSIGNED) FROM zxmove.moved"
        " WHERE state IN ('kept', 'purging')),"
        " (SELECT COUNT(*) FROM zxmove.reservation),"
        " IFNULL(SUM(role = 'source'), 0), IFNULL(SUM(role = 'destination'), 0)"
        " FROM zxmove.fence WHERE state NOT IN ('done', 'undone')",
        DB_NONE);
    if (rows == NULL)
        return false;
    server->old_copies = rows_i64(rows, 0, 0);
    server->old_bytes = rows_i64(rows, 0, 1);
    server->arriving = rows_i64(rows, 0, 2);
    server->windows_out = rows_i64(rows, 0, 3);
    server->windows_in = rows_i64(rows, 0, 4);
    return true;
}

static bool read_space(const Site *site, ServerLook *server, GError **error)
{
    CurrentVolumes current;
    g_autoptr(GPtrArray) volumes = volumes_read(site->store->control, &current, error);
    const Volume *volume = volumes != NULL ? volumes_find(volumes, current.message) : NULL;
    PeerSpace space;

    if (volumes == NULL || volume == NULL || volume->store_type != 1 ||
        site->why[STORE_AGENT] != NULL)
        return volumes != NULL;
    if (!peer_volume(site->store->peer, volume, error) ||
        !peer_space(site->store->peer, volume->id, &space, error))
        return false;
    server->volume_free = (int64_t)space.free_bytes;
    server->volume_total = (int64_t)space.total_bytes;
    return true;
}

static void visit(Site *site, const void *question G_GNUC_UNUSED)
{
    ServerLook *server = server_new(site->where->name);
    Db *db = site->store->control;
    GError *problem = NULL;

    if (db != NULL && (!read_mailboxes(db, server, &problem) ||
                       !read_moves(site, server, &problem) || !read_space(site, server, &problem)))
        site_failed(site, g_steal_pointer(&problem));
    if (site->store->soap != NULL &&
        !admin_version(site->store->soap, site->wait, &server->version, &problem))
        site_failed(site, g_steal_pointer(&problem));
    server->configured = true;
    server->reachable = db != NULL && site->store->soap != NULL &&
                        site->why[STORE_AGENT] == NULL && site->problem == NULL;
    g_ptr_array_add(site->found, server);
}

static ServerLook *find(const Looked *looked, const char *name)
{
    for (guint i = 0; i < looked->items->len; i++) {
        ServerLook *server = g_ptr_array_index(looked->items, i);

        if (g_ascii_strcasecmp(server->name, name) == 0)
            return server;
    }
    return NULL;
}

/* What the directory knows of it; one that the configuration has not is added. */
static bool add_directory(Looked *looked, Directory *directory, const ServerInfo *info,
                          GError **error)
{
    g_autoptr(GHashTable) accounts = NULL;
    ServerLook *server = find(looked, info->hostname);

    if (server == NULL && !info->mailbox)
        return true;
    accounts = directory_ids_at(directory, info->hostname, error);
    if (accounts == NULL)
        return false;
    if (server == NULL) {
        server = server_new(info->hostname);
        g_ptr_array_add(looked->items, server);
    }
    server->in_directory = info->mailbox;
    server->accounts = g_hash_table_size(accounts);
    return true;
}

Looked *look_servers(const Conf *conf, const char *host, const Wait *wait, GError **error)
{
    const unsigned parts =
        STORE_PART(STORE_AGENT) | STORE_PART(STORE_DATABASE) | STORE_PART(STORE_SOAP);
    g_autoptr(Directory) directory = directory_open(conf, error);
    g_autoptr(Looked) looked = looked_new((GDestroyNotify)server_free);
    g_autoptr(GPtrArray) visited = NULL;
    Sites sites = { .conf = conf,
                    .host = host,
                    .parts = parts,
                    .visit = visit,
                    .free_found = (GDestroyNotify)server_free };

    if (directory == NULL || (sites.servers = directory_servers(directory, error)) == NULL ||
        (visited = sites_visit(&sites, wait, error)) == NULL)
        return NULL;
    looked_take(looked, visited);
    looked_miss_sites(looked, visited, parts);
    for (guint i = 0; i < sites.servers->len; i++) {
        const ServerInfo *info = g_ptr_array_index(sites.servers, i);

        if ((host == NULL || g_ascii_strcasecmp(host, info->hostname) == 0) &&
            !add_directory(looked, directory, info, error))
            return NULL;
    }
    return g_steal_pointer(&looked);
}
