/* ldap.h - a connection to one LDAP server; the only module that includes <ldap.h>. Values of a
 * filter are escaped by ldap_filter. Every call has the target's timeout. */
#ifndef ZX_NET_LDAP_H
#define ZX_NET_LDAP_H

#include "core/base/error.h"
#include "core/base/secret.h"

typedef struct LdapConn LdapConn;

typedef struct LdapTarget {
    const char *url;     /* ldap://host:port or ldaps://host:port, one */
    const char *bind_dn; /* NULL: anonymous */
    const Secret *password;
    const char *ca_file; /* certificates are demanded and checked when TLS is used */
    bool starttls;
    unsigned timeout_s;
} LdapTarget;

/* Where an URL leads. @tls: from the first byte on (ldaps). g_free *@host. */
bool ldap_url_place(const char *url, char **host, unsigned *port, bool *tls,
                    GError **error) MUST_USE;

/* Connected, encrypted if it is to be, and bound. CONNECT and TIMEOUT: it cannot be reached; DENIED: it
 * refuses the login, or nobody should believe who it is. */
LdapConn *ldap_conn_open(const LdapTarget *target, GError **error) MUST_USE;
void ldap_conn_close(LdapConn *conn);

/* "%s" in @format stands for a value, escaped by RFC 4515; "%%" for a percent sign. Caller frees.
 */
char *ldap_filter(const char *format, ...) G_GNUC_PRINTF(1, 2);

typedef enum LdapScope { LDAP_BASE, LDAP_ONE, LDAP_SUB } LdapScope;

typedef struct LdapEntry LdapEntry;
const char *ldap_entry_dn(const LdapEntry *entry);
/* First value, or NULL. Attribute names without regard to case. */
const char *ldap_entry_get(const LdapEntry *entry, const char *attribute);
/* All values, NULL-terminated and possibly empty; borrowed. */
const char *const *ldap_entry_all(const LdapEntry *entry, const char *attribute);

/* Entries found (of LdapEntry), paged (RFC 2696) so that no size limit cuts the answer: a result
 * limited by the server is an error, never a shorter list. A base that does not exist is an empty
 * array. @attributes ends with NULL. */
GPtrArray *ldap_conn_search(LdapConn *conn, const char *base, LdapScope scope, const char *filter,
                            const char *const *attributes, GError **error) MUST_USE;

/* At most the first @most of them, whatever else there is: for a look that decides nothing. */
GPtrArray *ldap_conn_search_some(LdapConn *conn, const char *base, LdapScope scope,
                                 const char *filter, const char *const *attributes, unsigned most,
                                 GError **error) MUST_USE;

/* A value that becomes another one. */
typedef struct LdapChange {
    const char *attribute;
    const char *from; /* NULL: it has none */
    const char *to;
} LdapChange;
/* All of @changes (ends with a NULL attribute) or none, and only if each attribute still has exactly the
 * value it is said to have: CHANGED otherwise. CONNECT and TIMEOUT: it may have been done. */
bool ldap_conn_change(LdapConn *conn, const char *dn, const LdapChange *changes,
                      GError **error) MUST_USE;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(LdapConn, ldap_conn_close)

#endif
