/* services.c - getServices: whether what zxmove needs to work is there, each asked at the same time
 * as the others and for no longer than one network read may take. */
#include "core/look/look.h"
#include "core/base/threads.h"
#include "core/net/memcached.h"
#include "core/net/smtp.h"
#include "core/zimbra/memcacheds.h"

static void service_free(ServiceLook *service)
{
    g_free(service->name);
    g_free(service->address);
    g_free(service->could_not_start_because);
    g_free(service);
}

/* Takes @why: NULL if all is well. What refuses us runs all the same. */
static ServiceLook *service_new(const char *name, char *address, GError *why)
{
    ServiceLook *service = g_new0(ServiceLook, 1);
    const ZxError code = why != NULL ? error_code(why) : ZX_ERROR_FAILED;

    service->name = g_strdup(name);
    service->address = address;
    service->running = why == NULL || code == ZX_ERROR_DENIED || code == ZX_ERROR_DATA;
    service->could_start = why == NULL;
    service->could_not_start_because = why != NULL ? g_strdup(why->message) : NULL;
    g_clear_error(&why);
    return service;
}

static char *address_of(const char *host, unsigned port)
{
    return g_strdup_printf("%s:%u", host, port);
}

static GError *copy_of(const GError *why)
{
    return why != NULL ? g_error_copy(why) : NULL;
}

static void visit(Site *site, const void *question G_GNUC_UNUSED)
{
    const ConfStore *where = site->where;
    g_autofree char *agent = g_strdup_printf("%s agent", where->name);
    g_autofree char *database = g_strdup_printf("%s database", where->name);
    g_autofree char *soap = g_strdup_printf("%s soap", where->name);

    g_ptr_array_add(site->found, service_new(agent,
                                             where->local
                                                 ? g_strdup("here")
                                                 : address_of(where->address, where->ssh_port),
                                             copy_of(site->why[STORE_AGENT])));
    g_ptr_array_add(site->found,
                    service_new(database, address_of(where->mariadb_address, where->mariadb_port),
                                copy_of(site->why[STORE_DATABASE])));
    g_ptr_array_add(site->found, service_new(soap, address_of(where->address, where->soap_port),
                                             copy_of(site->why[STORE_SOAP])));
}

/* Something that is asked beside the stores. */
typedef struct Inquiry {
    const Conf *conf;
    const char *memcached; /* host:port; NULL: the mail server */
    ServiceLook *found;
} Inquiry;

static void *ask(void *data)
{
    Inquiry *inquiry = data;
    const Conf *conf = inquiry->conf;
    GError *why = NULL;

    if (inquiry->memcached != NULL) {
        unsigned port;
        g_autofree char *address = memcacheds_address(conf, inquiry->memcached, &port);

        if (memcached_ping(address, port, conf->net_timeout_s * 1000, &why))
            g_clear_error(&why);
        inquiry->found = service_new("memcached", g_strdup(inquiry->memcached), why);
        return NULL;
    }
    if (conf->smtp.url == NULL || conf->smtp.from == NULL)
        fail(&why, ZX_ERROR_REFUSED, "no mail server: set smtp.url and smtp.from");
    else if (smtp_ping(conf->smtp.url, conf->net_timeout_s, &why))
        g_clear_error(&why);
    inquiry->found = service_new("smtp", g_strdup(conf->smtp.url), why);
    return NULL;
}

/* The directory first: it says where the rest is. */
static const GPtrArray *ask_directory(const Conf *conf, Directory **directory, Looked *looked)
{
    const GPtrArray *servers = NULL;
    GError *why = NULL;

    *directory = directory_open(conf, &why);
    if (*directory != NULL)
        servers = directory_servers(*directory, &why);
    g_ptr_array_add(looked->items, service_new("directory", g_strdup(conf->ldap.master), why));
    return servers;
}

static GPtrArray *begin_inquiries(const Conf *conf, const GPtrArray *memcacheds)
{
    GPtrArray *inquiries = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i <= memcacheds->len; i++) {
        Inquiry *inquiry = g_new0(Inquiry, 1);

        inquiry->conf = conf;
        inquiry->memcached = i < memcacheds->len ? g_ptr_array_index(memcacheds, i) : NULL;
        g_ptr_array_add(inquiries, inquiry);
    }
    return inquiries;
}

Looked *look_services(const Conf *conf, const char *host, const Wait *wait, GError **error)
{
    g_autoptr(Looked) looked = looked_new((GDestroyNotify)service_free);
    g_autoptr(Directory) directory = NULL;
    Sites sites = { .conf = conf,
                    .servers = ask_directory(conf, &directory, looked),
                    .host = host,
                    .parts = STORE_PART(STORE_AGENT) | STORE_PART(STORE_DATABASE) |
                             STORE_PART(STORE_SOAP),
                    .visit = visit,
                    .free_found = (GDestroyNotify)service_free };
    g_auto(GStrv) clients =
        sites.servers != NULL ? directory_client_memcached(directory, NULL) : NULL;
    g_autoptr(GPtrArray) memcacheds = memcacheds_all(conf, sites.servers, clients);
    g_autoptr(GPtrArray) inquiries = begin_inquiries(conf, memcacheds);
    g_autoptr(GPtrArray) visited = NULL;
    GPtrArray *threads = threads_start(inquiries, ask);

    visited = sites_visit(&sites, wait, error);
    threads_join(threads);
    if (visited != NULL)
        looked_take(looked, visited);
    for (guint i = 0; i < inquiries->len; i++)
        g_ptr_array_add(looked->items, ((Inquiry *)g_ptr_array_index(inquiries, i))->found);
    return visited != NULL ? g_steal_pointer(&looked) : NULL;
}
