/* caches.c - what other programs remember of the account: mailboxd's account caches
 * (doc/platform.md 5.5), mailboxd's memcached (5.7), the proxies' route cache (7). Only this
 * account's keys are ever named. */
#include "core/base/log.h"
#include "core/move/move.h"
#include "core/net/memcached.h"
#include "core/zimbra/memcacheds.h"
#include "core/zimbra/routes.h"
#include <string.h>

#define MEMCACHED_TIMEOUT_MS 1000

/* A server of the store's ldap_url that cannot be asked is noted: mailboxd does not get old answers
 * from a server that does not answer. */
static bool is_no_answer(const Store *store, const char *url, GError **problem)
{
    if (error_code(*problem) != ZX_ERROR_CONNECT)
        return false;
    log_warning("%s: LDAP server %s of this store does not answer: %s", store->name, url,
                (*problem)->message);
    g_clear_error(problem);
    return true;
}

bool caches_replicas_in_step(Move *move, Store *store, const Wait *wait, GError **error)
{
    g_auto(GStrv) urls = store_ldap_urls(store);

    for (char **url = urls; *url != NULL; url++) {
        GError *problem = NULL;

        if (directory_in_step(move->op->directory, *url, move->account->id, wait, &problem) ||
            is_no_answer(store, *url, &problem))
            continue;
        g_propagate_prefixed_error(
            error, problem, "LDAP server %s of %s lags behind the master: ", *url, store->name);
        return false;
    }
    return true;
}

/* Waits for the same servers to show a value. */
static bool replicas_show(Move *move, Store *store, const char *attribute, const char *value,
                          const Wait *wait, GError **error)
{
    g_auto(GStrv) urls = store_ldap_urls(store);

    for (char **url = urls; *url != NULL; url++) {
        GError *problem = NULL;

        if (directory_caught_up(move->op->directory, *url, move->account->id, attribute, value,
                                wait, &problem) ||
            is_no_answer(store, *url, &problem))
            continue;
        g_propagate_prefixed_error(error, problem,
                                   "LDAP server %s of %s still shows an old %s: ", *url,
                                   store->name, attribute);
        return false;
    }
    return true;
}

static bool view_is(Store *store, const char *account_id, const char *status, const char *host,
                    const Wait *wait, bool *right, GError **error)
{
    g_autofree char *seen_status = NULL;
    g_autofree char *seen_host = NULL;

    if (!admin_view(store->soap, account_id, wait, &seen_status, &seen_host, error))
        return false;
    *right = (status == NULL || g_strcmp0(seen_status, status) == 0) && seen_host != NULL &&
             g_ascii_strcasecmp(seen_host, host) == 0;
    return true;
}

bool caches_flush_store(Move *move, Store *store, const char *status, const char *host,
                        const Wait *wait, GError **error)
{
    const char *id = move->account->id;
    bool right = false;

    if ((status != NULL &&
         !replicas_show(move, store, "zimbraAccountStatus", status, wait, error)) ||
        !replicas_show(move, store, "zimbraMailHost", host, wait, error))
        return false;
    for (;;) {
        if (!admin_flush(store->soap, id, true, wait, error) ||
            !view_is(store, id, status, host, wait, &right, error))
            return false;
        if (right)
            return true;
        if (!wait_check(wait, "flushing the account's cache", error))
            return fail_prefix(error, "%s still shows an old status or host of %s", store->name,
                               move->account->address);
        wait_pause(wait, 50);
    }
}

static bool delete_keys(Move *move, const char *server, const GPtrArray *keys, GError **error)
{
    unsigned port;
    g_autofree char *address = memcacheds_address(move->op->conf, server, &port);

    return memcached_delete(address, port, keys, MEMCACHED_TIMEOUT_MS, error);
}

/* Empty without a mailbox; keys of the account may be stale all the same. */
static char **folder_ids(Move *move, GError **error)
{
    g_autoptr(Rows) rows = NULL;
    g_autofree char *table = g_strdup_printf("mboxgroup%u.mail_item", move->source_group);
    GPtrArray *ids;

    if (move->source_mailbox == 0)
        return g_new0(char *, 1);

    rows = db_query(move->source->control, error,
                    "SELECT id FROM ? WHERE mailbox_id = ? AND type IN (1, 2, 13)",
                    DB_ARGS(db_sql(table), db_u64(move->source_mailbox)));
    if (rows == NULL)
        return NULL;
    ids = g_ptr_array_new();
    for (unsigned i = 0; i < rows_count(rows); i++)
        g_ptr_array_add(ids, g_strdup(rows_text(rows, i, 0)));
    g_ptr_array_add(ids, NULL);
    return (char **)g_ptr_array_free(ids, FALSE);
}

bool caches_drop_mailboxd_keys(Move *move, GError **error)
{
    g_auto(GStrv) folders = NULL;
    g_autoptr(GPtrArray) keys = NULL;

    if (move->op->client_memcached[0] == NULL)
        return true;
    folders = folder_ids(move, error);
    if (folders == NULL)
        return false;
    keys = mailboxd_keys(move->account->id, move->account->written_id, folders);
    for (char **server = move->op->client_memcached; *server != NULL; server++) {
        GError *problem = NULL;

        if (delete_keys(move, *server, keys, &problem))
            continue;
        if (error_code(problem) != ZX_ERROR_CONNECT) {
            g_propagate_error(error, problem);
            return false;
        }
        move_note(move,
                  "memcached %s does not answer; when it is back, delete there: zmFldrsTags:%s",
                  *server, move->account->id);
        g_clear_error(&problem);
    }
    return true;
}

void caches_drop_routes(Move *move)
{
    GError *problem = NULL;
    g_autoptr(RouteNames) names =
        directory_route_names(move->op->directory, move->account, &problem);
    g_autoptr(GPtrArray) servers = NULL;
    g_autoptr(GPtrArray) keys = NULL;

    if (names == NULL) {
        move_note(move,
                  "the proxy's routes were not deleted (%s): flush route:*user=%s on every "
                  "memcached, or wait"
                  " an hour",
                  problem->message, move->account->address);
        g_clear_error(&problem);
        return;
    }
    keys = route_keys(names);
    servers = memcacheds_of_routes(move->op->conf, move->op->servers);
    for (guint i = 0; i < servers->len; i++) {
        const char *server = g_ptr_array_index(servers, i);

        if (delete_keys(move, server, keys, &problem))
            continue;
        move_note(
            move,
            "memcached %s: routes of %s were not deleted (%s): flush them there, or wait an hour",
            server, move->account->address, problem->message);
        g_clear_error(&problem);
    }
}
