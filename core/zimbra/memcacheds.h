/* memcacheds.h - which memcached servers there are, and where they are reached. */
#ifndef ZX_ZIMBRA_MEMCACHEDS_H
#define ZX_ZIMBRA_MEMCACHEDS_H

#include "core/zimbra/directory.h"

/* Those of the proxies, "host:port": the configuration's, else the ones the directory names
 * (@known, of ServerInfo). Of char *. */
GPtrArray *memcacheds_of_routes(const Conf *conf, const GPtrArray *known);

/* These, and those of mailboxd (@clients: directory_client_memcached), each once. @known, @clients NULL:
 * nobody can say. */
GPtrArray *memcacheds_all(const Conf *conf, const GPtrArray *known, char **clients);

/* "host:port" to the address where it is reached (g_free) and its port. */
char *memcacheds_address(const Conf *conf, const char *server, unsigned *port);

#endif
