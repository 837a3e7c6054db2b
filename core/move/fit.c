/* fit.c - do two stores fit together, so that mailboxes can move between them? Every move asks all of
 * it (plan_check_stores), doCheck each by itself. Changes nothing; every refusal says what an
 * administrator can do about it. */
#include "core/move/move.h"
#include <stdlib.h>
#include <string.h>

bool fit_layout(const Operation *op, const Store *store, GError **error)
{
    static const struct {
        const char *key, *value;
    } required[] = {
        { "debug_disable_mailbox_group", "false" },
        { "debug_external_mailbox_directory", "false" },
        { "zimbra_class_store", "com.zimbra.cs.store.file.FileBlobStore" },
        { "zimbra_relative_volume_path", "false" },
    };
    const ServerInfo *server = directory_server(op->servers, store->name);

    if (server->always_on || server->server_id_blob_dir)
        return fail(error, ZX_ERROR_REFUSED, "%s: %s is not supported", store->name,
                    server->always_on ? "an always-on cluster"
                                      : "zimbraConfiguredServerIDForBlobDirEnabled");
    for (guint i = 0; i < G_N_ELEMENTS(required); i++) {
        const char *value = store_fact(store, required[i].key);

        if (value != NULL && strcmp(value, required[i].value) != 0)
            return fail(error, ZX_ERROR_REFUSED, "%s: localconfig %s = %s is not supported",
                        store->name, required[i].key, value);
    }
    return true;
}

/* The group of a row is read from the row, but a new id's group is computed: the newest rows must
 * agree (2.4). */
bool fit_groups(const Store *store, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(store->control, error,
                 "SELECT id, group_id FROM zimbra.mailbox WHERE (id - 1) % ? + 1 <> group_id"
                 " ORDER BY id DESC LIMIT 1",
                 DB_ARGS(db_u64(store->groups)));
    g_autoptr(Rows) newest = NULL;

    if (rows == NULL)
        return false;
    newest = db_query(store->control, error, "SELECT MAX(id) FROM zimbra.mailbox", DB_NONE);
    if (newest == NULL)
        return false;
    if (rows_count(rows) == 1 && rows_u64(rows, 0, 0) == rows_u64(newest, 0, 0))
        return fail(error, ZX_ERROR_REFUSED,
                    "%s: zimbra_mailbox_groups is %u, but the newest mailbox %s is in group %s",
                    store->name, store->groups, rows_text(rows, 0, 0), rows_text(rows, 0, 1));
    return true;
}

#define CLOCKS_APART_MS 5000

bool fit_clocks(Store *source, Store *target, GError **error)
{
    static const char sql[] = "SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS UNSIGNED)";
    g_autoptr(Rows) here = db_query_one(source->control, error, sql, DB_NONE);
    g_autoptr(Rows) there =
        here != NULL ? db_query_one(target->control, error, sql, DB_NONE) : NULL;
    int64_t apart;

    if (there == NULL)
        return false;
    apart = rows_i64(there, 0, 0) - rows_i64(here, 0, 0);
    if (llabs(apart) > CLOCKS_APART_MS)
        return fail(error, ZX_ERROR_REFUSED, "the clocks of %s and %s are %.1f s apart: set them",
                    source->name, target->name, (double)llabs(apart) / 1000);
    return true;
}

bool fit_time_zone(const Store *source, const Store *target, GError **error)
{
    const char *here = store_fact(source, "timezone"), *there = store_fact(target, "timezone");

    if (g_strcmp0(here, there) == 0)
        return true;
    return fail(error, ZX_ERROR_REFUSED,
                "timezone is %s on %s and %s on %s: times of appointments would shift",
                here != NULL ? here : "unknown", source->name, there != NULL ? there : "unknown",
                target->name);
}

bool fit_destination(const Operation *op, const char *name, GError **error)
{
    const ServerInfo *server = directory_server_called(op->servers, name, error);

    if (server == NULL)
        return false;
    return server->mailbox ||
           fail(error, ZX_ERROR_REFUSED,
                "%s has no mailbox service enabled (zimbraServiceEnabled)", server->hostname);
}

bool fit_version(const Store *source, const Store *target, GError **error)
{
    return source->db_version <= target->db_version ||
           fail(error, ZX_ERROR_REFUSED,
                "%s has db.version %u, newer than %u of %s: upgrade %s first", source->name,
                source->db_version, target->db_version, target->name, target->name);
}

bool fit_ids(const Store *store, GError **error)
{
    g_autoptr(Rows) rows = db_query_one(
        store->control, error,
        "SELECT next_mailbox_id, (SELECT COALESCE(MAX(id), 0) FROM zimbra.mailbox)"
        " FROM zimbra.current_volumes",
        DB_NONE);

    return rows != NULL &&
           (rows_u64(rows, 0, 0) > rows_u64(rows, 0, 1) ||
            fail(error, ZX_ERROR_REFUSED,
                 "%s: the next mailbox id (zimbra.current_volumes.next_mailbox_id) is %s, but there "
                 "is a mailbox %s: new ones would get ids that are in use",
                 store->name, rows_text(rows, 0, 0), rows_text(rows, 0, 1)));
}

bool fit_index(const Store *source, const Store *target)
{
    static const char factory[] = "zimbra_class_index_store_factory";

    return g_strcmp0(store_fact(source, factory), store_fact(target, factory)) == 0 &&
           source->index_version == target->index_version;
}

bool fit_alone(Store *store, const Account *account, const Wait *wait, GError **error)
{
    g_autofree char *direction = NULL;
    bool known;

    if (store->open_source)
        return true;
    if (!admin_network_move(store->soap, account->address, wait, &known, &direction, error))
        return false;
    store->open_source = !known;
    return direction == NULL ||
           fail(error, ZX_ERROR_CONFLICT,
                "Network Edition's own mover is at work on %s (%s of %s): wait for it, or end it there",
                account->address, direction, store->name);
}

bool plan_check_stores(Operation *op, Store *source, Store *target, GError **error)
{
    return fit_destination(op, target->name, error) && fit_version(source, target, error) &&
           fit_layout(op, source, error) && fit_layout(op, target, error) &&
           fit_time_zone(source, target, error) && fit_groups(target, error) &&
           fit_clocks(source, target, error) && fit_ids(target, error);
}
