/* whereabouts.c - status account: where an account really is, in every place that says so. */
#include "core/look/look.h"
#include "core/net/memcached.h"
#include "core/zimbra/admin.h"
#include "core/zimbra/memcacheds.h"
#include "core/zimbra/routes.h"
#include <string.h>

#define MEMCACHED_TIMEOUT_MS 2000

static void copy_free(CopyLook *copy)
{
    g_free(copy->moved_to);
    g_free(copy->operation);
    g_free(copy->state);
    g_free(copy->left_on);
    g_free(copy);
}

static void view_free(StoreView *view)
{
    g_free(view->store);
    g_free(view->mailboxd);
    g_free(view->window_state);
    g_free(view->window_operation);
    g_free(view->window_from);
    g_free(view->window_to);
    g_free(view->claim_operation);
    g_free(view->claim_host);
    g_ptr_array_unref(view->copies);
    g_free(view->last_moved_to);
    g_free(view->last_operation);
    g_free(view);
}

static void route_free(RouteView *route)
{
    g_free(route->server);
    g_free(route->points_to);
    g_free(route);
}

static void whereabouts_free(Whereabouts *where)
{
    g_free(where->account);
    g_free(where->account_id);
    g_free(where->home);
    g_free(where->transport);
    g_free(where->status);
    g_free(where->mail_status);
    g_free(where->domain_status);
    g_ptr_array_unref(where->stores);
    g_ptr_array_unref(where->routes);
    g_free(where->verdict);
    g_free(where);
}

static Whereabouts *whereabouts_new(const char *who)
{
    Whereabouts *where = g_new0(Whereabouts, 1);

    where->account = g_strdup(who);
    where->stores = g_ptr_array_new_with_free_func((GDestroyNotify)view_free);
    where->routes = g_ptr_array_new_with_free_func((GDestroyNotify)route_free);
    return where;
}

/* 5.1, for a person. */
static const char *probe_words(Probe probe)
{
    static const char *const words[] = {
        [PROBE_UNMAPPED] = "knows no mailbox of the account",
        [PROBE_WRONG_HOST] = "knows a mailbox, and that it is at home elsewhere",
        [PROBE_NO_SUCH_MBOX] = "knows a mailbox whose row is gone",
        [PROBE_LOCKED] = "has the mailbox locked",
        [PROBE_CACHED] = "serves the mailbox",
        [PROBE_UNKNOWN] = "gives no answer that says it",
    };

    return words[probe];
}

static bool read_row(Db *db, const char *account_id, StoreView *view, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(db, error, "SELECT id, size_checkpoint FROM zimbra.mailbox WHERE account_id = ?",
                 DB_ARGS(db_text(account_id)));

    if (rows == NULL)
        return false;
    view->mailbox_id = rows_count(rows) == 1 ? rows_i64(rows, 0, 0) : 0;
    view->bytes = rows_count(rows) == 1 ? rows_i64(rows, 0, 1) : UNKNOWN;
    return true;
}

/* One view for each account, in their order; one without an id stays empty. */
static void visit(Site *site, const void *data)
{
    const GPtrArray *accounts = data;
    GError *problem = NULL;

    for (guint i = 0; i < accounts->len; i++) {
        const Whereabouts *where = g_ptr_array_index(accounts, i);
        StoreView *view = g_new0(StoreView, 1);

        *view = (StoreView){ .store = g_strdup(site->where->name),
                             .mailbox_id = UNKNOWN,
                             .bytes = UNKNOWN,
                             .reserved = UNKNOWN };
        view->copies = g_ptr_array_new_with_free_func((GDestroyNotify)copy_free);
        g_ptr_array_add(site->found, view);
        if (site->store->control != NULL) {
            view->asked = read_row(site->store->control, where->account_id, view, &problem) &&
                          records_read(site, where->account_id, view, &problem);
            if (!view->asked)
                site_failed(site, g_steal_pointer(&problem));
        }
        if (site->store->soap != NULL) {
            Probe probe = admin_probe(site->store->soap, where->account_id, site->wait, NULL);

            view->mailboxd = g_strdup(probe_words(probe));
            view->mailboxd_locked = probe == PROBE_LOCKED;
        }
    }
}

static void add_value(GHashTable *targets, RouteView *route, const char *value)
{
    if (value == NULL)
        return;
    route->routes++;
    g_hash_table_add(targets, g_strdup(value));
}

/* The proxy's keys, and those of mailboxd that do without its folders. */
static bool read_routes(const Conf *conf, RouteView *route, const RouteNames *names,
                        GError **error)
{
    char *no_folders[] = { NULL };
    unsigned port;
    g_autofree char *address = memcacheds_address(conf, route->server, &port);
    g_autoptr(GPtrArray) keys = route_keys(names);
    g_autoptr(GPtrArray) own = mailboxd_keys(names->id, names->written_id, no_folders);
    g_autoptr(GHashTable) targets = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GPtrArray) values =
        memcached_get(address, port, keys, MEMCACHED_TIMEOUT_MS, error);
    g_autoptr(GPtrArray) caches = NULL;
    g_autofree const char **texts = NULL;

    if (values == NULL)
        return false;
    caches = memcached_get(address, port, own, MEMCACHED_TIMEOUT_MS, error);
    if (caches == NULL)
        return false;
    route->routes = route->caches = 0;
    for (guint i = 0; i < values->len; i++)
        add_value(targets, route, g_ptr_array_index(values, i));
    for (guint i = 0; i < caches->len; i++)
        route->caches += g_ptr_array_index(caches, i) != NULL;
    texts = (const char **)g_hash_table_get_keys_as_array(targets, NULL);
    route->points_to = texts[0] != NULL ? g_strjoinv(", ", (GStrv)(uintptr_t)texts) : NULL;
    return true;
}

static bool add_routes(const Conf *conf, Directory *directory, const GPtrArray *servers,
                       const Account *account, Whereabouts *where, Looked *looked, GError **error)
{
    g_autoptr(RouteNames) names = directory_route_names(directory, account, error);

    if (names == NULL)
        return false;
    for (guint i = 0; i < servers->len; i++) {
        RouteView *route = g_new0(RouteView, 1);
        GError *problem = NULL;

        *route = (RouteView){ .server = g_strdup(g_ptr_array_index(servers, i)),
                              .routes = UNKNOWN,
                              .caches = UNKNOWN };
        g_ptr_array_add(where->routes, route);
        if (!read_routes(conf, route, names, &problem)) {
            looked_miss(looked, route->server, "memcached", problem);
            g_error_free(problem);
        }
    }
    return true;
}

/* An account that is not in the directory can be asked for by its id: stores may know it; and by
 * its address if they recorded that (find_ids). */
static bool read_directory(const Conf *conf, Directory *directory, const GPtrArray *servers,
                           Whereabouts *where, Looked *looked, GError **error)
{
    GError *problem = NULL;
    g_autoptr(Account) account = directory_account(directory, where->account, &problem);

    if (account == NULL && error_code(problem) == ZX_ERROR_NOT_FOUND) {
        g_error_free(problem);
        if (where->account_id == NULL && g_uuid_string_is_valid(where->account))
            where->account_id = g_ascii_strdown(where->account, -1);
        return true;
    }
    if (account == NULL) {
        g_propagate_error(error, problem);
        return false;
    }
    g_free(where->account);
    g_free(where->account_id);
    where->account = g_strdup(account->address);
    where->account_id = g_strdup(account->id);
    where->in_directory = true;
    where->home = g_strdup(account->mail_host);
    where->transport = g_strdup(account->transport);
    where->transport_fits =
        account->mail_host != NULL && account_transport_matches(account, account->mail_host);
    where->status = g_strdup(account->status);
    where->mail_status = g_strdup(account->mail_status);
    where->domain_status = g_strdup(account->domain_status);
    return add_routes(conf, directory, servers, account, where, looked, error);
}

/* One id for each account, NULL where it is known or the store knows none either. */
static void look_for_ids(Site *site, const void *data)
{
    const GPtrArray *accounts = data;

    for (guint i = 0; i < accounts->len; i++) {
        const Whereabouts *where = g_ptr_array_index(accounts, i);
        GError *problem = NULL;

        g_ptr_array_add(site->found, where->account_id == NULL && site->store->control != NULL
                                         ? records_find(site, where->account, &problem)
                                         : NULL);
        if (problem != NULL)
            site_failed(site, problem);
    }
}

static bool take_id(Whereabouts *where, const char *id, GError **error)
{
    if (id == NULL || g_strcmp0(where->account_id, id) == 0)
        return true;
    if (where->account_id != NULL)
        return fail(
            error, ZX_ERROR_REFUSED,
            "the directory has no account %s, and stores know two that were called so. Ask for"
            " one: status account_id %s, or status account_id %s",
            where->account, where->account_id, id);
    where->account_id = g_strdup(id);
    return true;
}

/* Of addresses that the directory has not the stores may know whose they were; by now the account
 * may have another one. */
static bool find_ids(const Sites *sites, Directory *directory, const GPtrArray *memcacheds,
                     Looked *looked, const Wait *wait, GError **error)
{
    const Sites asked = { .conf = sites->conf,
                          .parts = STORE_PART(STORE_DATABASE),
                          .visit = look_for_ids,
                          .question = looked->items,
                          .free_found = g_free };
    g_autoptr(GPtrArray) visited = sites_visit(&asked, wait, error);

    if (visited == NULL)
        return false;
    for (guint i = 0; i < looked->items->len; i++) {
        Whereabouts *where = g_ptr_array_index(looked->items, i);
        const bool unknown = where->account_id == NULL;
        g_autofree char *address = g_strdup(where->account);

        for (guint k = 0; unknown && k < visited->len; k++)
            if (!take_id(where,
                         g_ptr_array_index(((Site *)g_ptr_array_index(visited, k))->found, i),
                         error))
                return false;
        if (where->account_id == NULL)
            return fail(error, ZX_ERROR_NOT_FOUND,
                        "no account %s in the directory, and none in what the stores recorded",
                        address);
        if (!unknown)
            continue;
        g_free(where->account);
        where->account = g_strdup(where->account_id);
        if (!read_directory(sites->conf, directory, memcacheds, where, looked, error))
            return false;
        if (where->in_directory)
            continue;
        g_free(where->account);
        where->account = g_steal_pointer(&address);
    }
    return true;
}

static bool all_known(const Looked *looked)
{
    for (guint i = 0; i < looked->items->len; i++)
        if (((const Whereabouts *)g_ptr_array_index(looked->items, i))->account_id == NULL)
            return false;
    return true;
}

/* Each site has one view an account. */
static void share_out(GPtrArray *sites, GPtrArray *accounts)
{
    for (guint i = 0; i < sites->len; i++) {
        GPtrArray *views = ((Site *)g_ptr_array_index(sites, i))->found;

        g_ptr_array_set_free_func(views, NULL);
        for (guint j = 0; j < views->len; j++) {
            const Whereabouts *where = g_ptr_array_index(accounts, j);

            g_ptr_array_add(where->stores, g_ptr_array_index(views, j));
        }
        g_ptr_array_set_size(views, 0);
    }
}

Looked *look_whereabouts(const Conf *conf, char **accounts, const Wait *wait, GError **error)
{
    const unsigned parts = STORE_PART(STORE_DATABASE) | STORE_PART(STORE_SOAP);
    g_autoptr(Directory) directory = directory_open(conf, error);
    g_autoptr(Looked) looked = looked_new((GDestroyNotify)whereabouts_free);
    g_autoptr(GPtrArray) memcacheds = NULL;
    g_autoptr(GPtrArray) visited = NULL;
    g_auto(GStrv) clients = NULL;
    Sites sites = { .conf = conf,
                    .parts = parts,
                    .visit = visit,
                    .question = looked->items,
                    .free_found = (GDestroyNotify)view_free };

    if (directory == NULL || (sites.servers = directory_servers(directory, error)) == NULL ||
        (clients = directory_client_memcached(directory, error)) == NULL)
        return NULL;
    memcacheds = memcacheds_all(conf, sites.servers, clients);
    for (char **who = accounts; *who != NULL; who++) {
        Whereabouts *where = whereabouts_new(*who);

        g_ptr_array_add(looked->items, where);
        if (!read_directory(conf, directory, memcacheds, where, looked, error))
            return NULL;
    }
    if (!all_known(looked) && !find_ids(&sites, directory, memcacheds, looked, wait, error))
        return NULL;
    visited = sites_visit(&sites, wait, error);
    if (visited == NULL)
        return NULL;
    share_out(visited, looked->items);
    looked_miss_sites(looked, visited, parts);
    for (guint i = 0; i < looked->items->len; i++) {
        Whereabouts *where = g_ptr_array_index(looked->items, i);

        where->verdict = verdict_of(where);
    }
    return g_steal_pointer(&looked);
}
