/* directory.h - accounts, domains and servers as the LDAP master has them (doc/platform.md 1).
 * Every read that decides something goes to the master; replicas are only asked whether they have
 * caught up. Writes go through admin SOAP (admin.h), so that Zimbra's own rules and caches apply, but
 * for one (directory_change_home). */
#ifndef ZX_ZIMBRA_DIRECTORY_H
#define ZX_ZIMBRA_DIRECTORY_H

#include "conf/conf.h"
#include "core/base/wait.h"

typedef struct Directory Directory;
Directory *directory_open(const Conf *conf, GError **error) MUST_USE; /* borrows @conf */
void directory_close(Directory *directory);

typedef struct ServerInfo {
    char *name;     /* cn */
    char *id;       /* zimbraId */
    char *hostname; /* zimbraServiceHostname */
    bool mailbox;   /* can hold mailboxes: service `service` (or `mailbox` before 8.5) enabled */
    bool memcached;
    bool always_on, server_id_blob_dir; /* layouts that are not supported */
    unsigned lmtp_port, memcached_port;
} ServerInfo;

/* All servers (of ServerInfo), global defaults applied. Read once per Directory. */
const GPtrArray *directory_servers(Directory *directory, GError **error) MUST_USE;
/* By service host name, without regard to case; NULL if none. */
const ServerInfo *directory_server(const GPtrArray *servers, const char *hostname);
/* The same for a name that a person typed: NOT_FOUND with the one that was probably meant. */
const ServerInfo *directory_server_called(const GPtrArray *servers, const char *hostname,
                                          GError **error) MUST_USE;
/* zimbraMemcachedClientServerList over config and servers: what mailboxd itself caches in;
 * "host:port". */
char **directory_client_memcached(Directory *directory, GError **error) MUST_USE;

typedef struct Account {
    char *id;      /* zimbraId, lowercase */
    char *written_id; /* as the directory has it, and as it stands in keys of caches */
    char *address; /* name of the account: uid@domain of its DN */
    char *uid, *domain;
    char *mail_host;     /* NULL: none */
    char *transport;     /* NULL: none */
    char *status;        /* raw zimbraAccountStatus */
    char *mail_status;   /* raw zimbraMailStatus, NULL if unset */
    char *domain_status; /* zimbraDomainStatus, inherited from config; "active" if unset */
    char **aliases;
    char *cos_id;     /* its own or its domain's, lowercase; NULL: the default one */
    char *last_logon; /* raw zimbraLastLogonTimestamp, "20260301220000Z"; NULL: none is known */
} Account;
void account_free(Account *account);

/* "uid=ann,ou=people,dc=example,dc=com" -> "example.com". */
char *directory_domain_of_dn(const char *dn);

/* By address, alias or id; NOT_FOUND (with the address) if there is none. */
Account *directory_account(Directory *directory, const char *who, GError **error) MUST_USE;
/* Every account of a domain (of Account), by address. NOT_FOUND for an unknown domain. */
GPtrArray *directory_domain(Directory *directory, const char *domain, GError **error) MUST_USE;

/* Whether the master answers that nothing at all has this zimbraId, over a connection on which it has
 * just shown @server's own entry: an empty answer of a directory that shows nothing means nothing. */
bool directory_absent(Directory *directory, const char *server, const char *account_id,
                      bool *absent, GError **error) MUST_USE;

/* Whether @login, a name or an address, is a global administrator. */
bool directory_is_admin(Directory *directory, const char *login, bool *is, GError **error) MUST_USE;

/* Classes of service that name a pool of hosts: id, lowercase ("" for the default one, too) -> char
 * **, zimbraIds of the servers. */
GHashTable *directory_host_pools(Directory *directory, GError **error) MUST_USE;

/* Host and transport in one change on the master, if both are still what @account has: for a home that
 * is gone, when mailboxd refuses (6.6). CHANGED, CONNECT and TIMEOUT as ldap_conn_change has them. */
bool directory_change_home(Directory *directory, const Account *account, const ServerInfo *to,
                           GError **error) MUST_USE;

/* The ids, lowercase, of all accounts whose home is @host: a set. */
GHashTable *directory_ids_at(Directory *directory, const char *host, GError **error) MUST_USE;

/* Whether @host is its home. */
bool account_lives_on(const Account *account, const char *host);
/* Its home for a message: "no store" if it has none. */
const char *account_home(const Account *account);
/* Section 6.6: may the status of this account be written? Not when raw is closed or pending, nor in
 * a closed domain. */
bool account_status_may_change(const Account *account);
/* suspended or shutdown domain: every admin request on the account is refused by the server. */
bool account_domain_blocks(const Account *account);
/* NULL or lmtp:<host>:<any port> (1.3). */
bool account_transport_matches(const Account *account, const char *host);

/* Names that make up the account's proxy route keys (section 7), read from the master. */
typedef struct RouteNames {
    char *uid, *id, *written_id, *domain; /* written_id: see Account */
    char **aliases, **virtual_hosts, **virtual_ips, **alias_domains;
} RouteNames;
RouteNames *directory_route_names(Directory *directory, const Account *account,
                                  GError **error) MUST_USE;
void route_names_free(RouteNames *names);

/* True once the LDAP server at @url has what the master had at the call: by their contextCSN where
 * both show one, and by the account's own entry; asks again until @wait is over. */
bool directory_in_step(Directory *directory, const char *url, const char *account_id,
                       const Wait *wait, GError **error) MUST_USE;

/* True once the LDAP server at @url shows @attribute = @value for the account; asks again until
 * @wait is over. */
bool directory_caught_up(Directory *directory, const char *url, const char *account_id,
                         const char *attribute, const char *value, const Wait *wait,
                         GError **error) MUST_USE;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Directory, directory_close)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Account, account_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RouteNames, route_names_free)

#endif
