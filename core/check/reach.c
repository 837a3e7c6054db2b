/* reach.c - what can be reached of every store: agent and database by way of ssh, and SOAP, each by a
 * thread of its own. What is opened is closed again: who works on opens it anew. */
#include "core/base/threads.h"
#include "core/check/check.h"
#include <string.h>

typedef struct Errand {
    Reach *reach;
    unsigned parts;
} Errand;

static void reach_free(Reach *reach)
{
    for (int part = 0; part < STORE_PARTS; part++)
        g_clear_error(&reach->why[part]);
    g_free(reach);
}

static void *try_parts(void *data)
{
    const Errand *errand = data;
    Reach *reach = errand->reach;
    GError *why[STORE_PARTS];
    Store *store = store_open_parts(reach->conf, reach->where, reach->server, errand->parts,
                                    reach->wait, why);

    for (int part = 0; part < STORE_PARTS; part++) {
        if ((errand->parts & STORE_PART(part)) != 0 && reach->why[part] == NULL)
            reach->why[part] = g_steal_pointer(&why[part]);
        g_clear_error(&why[part]);
    }
    store_close(store);
    return NULL;
}

/* True if there is no use in asking: then @why says so. */
static bool known_to_fail(const Reach *reach, const GPtrArray *trusts, const char *kind,
                          GError **why)
{
    for (guint i = 0; i < trusts->len; i++) {
        const Trust *trust = g_ptr_array_index(trusts, i);

        if (strcmp(trust->server, reach->where->name) != 0 || strcmp(trust->kind, kind) != 0 ||
            trust->state == TRUST_KNOWN)
            continue;
        if (trust->state == TRUST_UNREACHED)
            return !fail(why, ZX_ERROR_CONNECT, "%s", trust->problem);
        return !fail(why, ZX_ERROR_DENIED, "its %s is not believed: trust %s", kind,
                     reach->where->name);
    }
    return false;
}

static void add_errand(GPtrArray *errands, Reach *reach, unsigned parts)
{
    Errand *errand = g_new0(Errand, 1);

    errand->reach = reach;
    errand->parts = parts;
    g_ptr_array_add(errands, errand);
}

GPtrArray *reach_all(const Conf *conf, const GPtrArray *servers, const GPtrArray *trusts,
                     const Wait *wait)
{
    GPtrArray *reaches = g_ptr_array_new_with_free_func((GDestroyNotify)reach_free);
    g_autoptr(GPtrArray) errands = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < conf->stores->len; i++) {
        const ConfStore *where = g_ptr_array_index(conf->stores, i);
        Reach *reach = g_new0(Reach, 1);

        *reach = (Reach){ .conf = conf, .where = where, .wait = wait,
                          .server = directory_server(servers, where->name) };
        g_ptr_array_add(reaches, reach);
        if (known_to_fail(reach, trusts, "ssh host key", &reach->why[STORE_AGENT]))
            reach->why[STORE_DATABASE] = g_error_copy(reach->why[STORE_AGENT]);
        else
            add_errand(errands, reach, STORE_PART(STORE_AGENT) | STORE_PART(STORE_DATABASE));
        if (!known_to_fail(reach, trusts, "SOAP certificate", &reach->why[STORE_SOAP]))
            add_errand(errands, reach, STORE_PART(STORE_SOAP));
    }
    threads_join(threads_start(errands, try_parts));
    return reaches;
}

const Reach *reach_of(const Check *check, const char *name)
{
    for (guint i = 0; i < check->reaches->len; i++) {
        const Reach *reach = g_ptr_array_index(check->reaches, i);

        if (g_ascii_strcasecmp(reach->where->name, name) == 0)
            return reach;
    }
    return NULL;
}
