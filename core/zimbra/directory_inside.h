/* directory_inside.h - a Directory as its own files see it. */
#ifndef ZX_ZIMBRA_DIRECTORY_INSIDE_H
#define ZX_ZIMBRA_DIRECTORY_INSIDE_H

#include "core/net/ldap.h"
#include "core/zimbra/directory.h"

struct Directory {
    const Conf *conf;
    LdapConn *master;
    GHashTable *others; /* url -> LdapConn, the servers asked whether they have caught up */
    GHashTable *silent; /* url -> when it did not answer (monotonic us, int64_t) */
    GPtrArray *servers; /* of ServerInfo, once read */
    LdapEntry *config;  /* cn=config,cn=zimbra, borrowed from config_answer */
    GPtrArray *config_answer;
};

LdapConn *directory_connect(const Conf *conf, const char *url, unsigned timeout_s, GError **error);
/* Reads on the master; a connection that was lost in the meantime is opened anew, once. */
GPtrArray *directory_search(Directory *directory, const char *base, LdapScope scope,
                            const char *filter, const char *const *attributes, GError **error);

#endif
