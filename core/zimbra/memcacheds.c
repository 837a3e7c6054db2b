/* memcacheds.c - see memcacheds.h. */
#include "core/zimbra/memcacheds.h"
#include <string.h>

GPtrArray *memcacheds_of_routes(const Conf *conf, const GPtrArray *known)
{
    GPtrArray *servers = g_ptr_array_new_with_free_func(g_free);

    for (char **server = conf->memcached.servers; server != NULL && *server != NULL; server++)
        g_ptr_array_add(servers, g_strdup(*server));
    for (guint i = 0; i < known->len && conf->memcached.servers == NULL; i++) {
        const ServerInfo *server = g_ptr_array_index(known, i);

        if (server->memcached)
            g_ptr_array_add(servers,
                            g_strdup_printf("%s:%u", server->hostname, server->memcached_port));
    }
    return servers;
}

GPtrArray *memcacheds_all(const Conf *conf, const GPtrArray *known, char **clients)
{
    g_autoptr(GPtrArray) nothing = g_ptr_array_new();
    GPtrArray *servers = memcacheds_of_routes(conf, known != NULL ? known : nothing);

    for (char **client = clients; client != NULL && *client != NULL; client++)
        if (!g_ptr_array_find_with_equal_func(servers, *client, g_str_equal, NULL))
            g_ptr_array_add(servers, g_strdup(*client));
    return servers;
}

char *memcacheds_address(const Conf *conf, const char *server, unsigned *port)
{
    const char *colon = strrchr(server, ':');
    g_autofree char *name =
        colon != NULL ? g_strndup(server, (gsize)(colon - server)) : g_strdup(server);
    guint64 number = 11211;

    if (colon != NULL)
        g_ascii_string_to_unsigned(colon + 1, 10, 1, 65535, &number, NULL);
    *port = (unsigned)number;
    return g_strdup(conf_address(conf, name));
}
