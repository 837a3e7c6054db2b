/* shared.c - which volumes of a store are another store's as well: there a file may be a live
 * mailbox's of that store, so nothing is removed (doc/platform.md 5.4). Names and devices prove
 * nothing between hosts; a file that one store's agent makes and the other's sees does. */
#include "core/base/log.h"
#include "core/move/move.h"
#include <string.h>

static bool has_files(const Volume *volume)
{
    return volume->store_type == 1;
}

/* Of Store, borrowed. One that cannot be asked may share a volume, and have a live mailbox where the
 * files would be removed. */
static GPtrArray *others(Operation *op, const Store *store, GError **error)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new();

    for (guint i = 0; i < op->servers->len; i++) {
        const ServerInfo *server = g_ptr_array_index(op->servers, i);
        GError *problem = NULL;
        Store *other;

        if (!server->mailbox || g_ascii_strcasecmp(server->hostname, store->name) == 0)
            continue;
        other = operation_reach(op, server->hostname, &problem);
        if (other == NULL) {
            fail(error, ZX_ERROR_CONNECT,
                 "%s cannot be asked whether it shares volumes of %s (%s): nothing is removed there"
                 " until it answers, or is no mailbox server of the directory any more",
                 server->hostname, store->name, problem->message);
            g_error_free(problem);
            return NULL;
        }
        g_ptr_array_add(found, other);
    }
    return g_steal_pointer(&found);
}

static bool seen_elsewhere(const GPtrArray *stores, const char *token, bool *seen, GError **error)
{
    *seen = false;
    for (guint s = 0; s < stores->len; s++) {
        const Store *store = g_ptr_array_index(stores, s);

        for (guint v = 0; v < store->volumes->len && !*seen; v++) {
            const Volume *volume = g_ptr_array_index(store->volumes, v);

            if (has_files(volume) && !peer_probe_seen(store->peer, volume->id, token, seen, error))
                return false;
        }
    }
    return true;
}

static bool ask_volume(Store *store, Volume *volume, const GPtrArray *stores, GError **error)
{
    g_autofree char *uuid = g_uuid_string_random();
    g_auto(GStrv) parts = g_strsplit(uuid, "-", -1);
    g_autofree char *token = g_strjoinv("", parts);
    GError *drop = NULL;
    bool seen, good;

    if (!peer_probe_put(store->peer, volume->id, token, error))
        return false;
    good = seen_elsewhere(stores, token, &seen, error);
    if (!peer_probe_drop(store->peer, volume->id, token, &drop)) {
        log_warning("%s", drop->message);
        g_error_free(drop);
    }
    if (good)
        volume->sharing = seen ? VOLUME_SHARED : VOLUME_OWN;
    return good;
}

bool shared_find(Operation *op, Store *store, GError **error)
{
    g_autoptr(GPtrArray) stores = others(op, store, error);

    if (stores == NULL)
        return false;
    for (guint i = 0; i < store->volumes->len; i++) {
        Volume *volume = g_ptr_array_index(store->volumes, i);

        if (has_files(volume) && !ask_volume(store, volume, stores, error))
            return false;
    }
    return true;
}
