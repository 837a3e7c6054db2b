/* sites.c - the stores of the configuration, each asked by a thread of its own: the slowest decides
 * how long a look takes, not their number. */
#include "core/look/look.h"
#include "core/base/threads.h"
#include "core/ops/schema.h"
#include <string.h>

/* What one thread is given. */
typedef struct Errand {
    const Sites *sites;
    Site *site;
} Errand;

static void site_free(Site *site)
{
    store_close(site->store);
    for (int part = 0; part < STORE_PARTS; part++)
        g_clear_error(&site->why[part]);
    g_clear_error(&site->problem);
    g_ptr_array_unref(site->found);
    g_free(site);
}

void site_failed(Site *site, GError *problem)
{
    if (site->problem == NULL)
        site->problem = problem;
    else
        g_clear_error(&problem);
}

static void *visit_site(void *data)
{
    const Errand *errand = data;
    const Sites *sites = errand->sites;
    Site *site = errand->site;
    const ServerInfo *server =
        sites->servers != NULL ? directory_server(sites->servers, site->where->name) : NULL;

    site->store =
        store_open_parts(sites->conf, site->where, server, sites->parts, site->wait, site->why);
    if (site->store->control != NULL &&
        !schema_look(site->store->control, &site->records, &site->problem))
        site->records = false;
    sites->visit(site, sites->question);
    g_clear_pointer(&site->store, store_close);
    return NULL;
}

GPtrArray *sites_visit(const Sites *sites, const Wait *wait, GError **error)
{
    const Conf *conf = sites->conf;
    GPtrArray *visited;
    g_autoptr(GPtrArray) errands = NULL;

    if (sites->host != NULL && conf_store_called(conf, sites->host, error) == NULL)
        return NULL;
    visited = g_ptr_array_new_with_free_func((GDestroyNotify)site_free);
    errands = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < conf->stores->len; i++) {
        const ConfStore *where = g_ptr_array_index(conf->stores, i);
        Errand *errand;
        Site *site;

        if (sites->host != NULL && g_ascii_strcasecmp(sites->host, where->name) != 0)
            continue;
        site = g_new0(Site, 1);
        *site = (Site){ .conf = conf,
                        .where = where,
                        .wait = wait,
                        .found = g_ptr_array_new_with_free_func(sites->free_found) };
        errand = g_new0(Errand, 1);
        *errand = (Errand){ .sites = sites, .site = site };
        g_ptr_array_add(errands, errand);
        g_ptr_array_add(visited, site);
    }
    threads_join(threads_start(errands, visit_site));
    if (!wait_stopped(wait))
        return visited;
    g_ptr_array_unref(visited);
    fail(error, ZX_ERROR_INTERRUPTED, "interrupted");
    return NULL;
}

static void unreached_free(Unreached *unreached)
{
    g_free(unreached->server);
    g_free(unreached->part);
    g_free(unreached->reason);
    g_free(unreached);
}

Looked *looked_new(GDestroyNotify free_item)
{
    Looked *looked = g_new0(Looked, 1);

    looked->items = g_ptr_array_new_with_free_func(free_item);
    looked->unreached = g_ptr_array_new_with_free_func((GDestroyNotify)unreached_free);
    return looked;
}

void looked_free(Looked *looked)
{
    if (looked == NULL)
        return;
    g_ptr_array_unref(looked->items);
    g_ptr_array_unref(looked->unreached);
    g_free(looked);
}

void looked_miss(Looked *looked, const char *server, const char *part, const GError *why)
{
    Unreached *unreached = g_new0(Unreached, 1);

    unreached->server = g_strdup(server);
    unreached->part = g_strdup(part);
    unreached->reason = g_strdup(why->message);
    unreached->code = error_code(why);
    g_ptr_array_add(looked->unreached, unreached);
}

void looked_miss_sites(Looked *looked, const GPtrArray *sites, unsigned parts)
{
    static const char *const names[STORE_PARTS] = { [STORE_AGENT] = "agent",
                                                    [STORE_DATABASE] = "database",
                                                    [STORE_SOAP] = "soap" };

    for (guint i = 0; i < sites->len; i++) {
        const Site *site = g_ptr_array_index(sites, i);
        const char *said = NULL;

        for (int part = 0; part < STORE_PARTS; part++) {
            const GError *why = site->why[part];

            if (why == NULL || (parts & STORE_PART(part)) == 0 ||
                (said != NULL && strcmp(said, why->message) == 0))
                continue; /* without ssh there is neither agent nor database: once is enough */
            said = why->message;
            looked_miss(looked, site->where->name, names[part], why);
        }
        if (site->problem != NULL)
            looked_miss(looked, site->where->name, "answer", site->problem);
        looked->answered = looked->answered || (said == NULL && site->problem == NULL);
    }
}

void looked_take(Looked *looked, GPtrArray *sites)
{
    for (guint i = 0; i < sites->len; i++) {
        GPtrArray *found = ((Site *)g_ptr_array_index(sites, i))->found;

        g_ptr_array_set_free_func(found, NULL);
        for (guint j = 0; j < found->len; j++)
            g_ptr_array_add(looked->items, g_ptr_array_index(found, j));
        g_ptr_array_set_size(found, 0);
    }
}
