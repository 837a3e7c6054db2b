/* directory.h - accounts, domains and servers as this mailboxd sees them: through caches that are
 * up to 15 minutes old and know nothing of what other servers write (doc/platform.md 5.5). */
#ifndef MAILBOXD_DIRECTORY_H
#define MAILBOXD_DIRECTORY_H

#include "tests/mailboxd/ldap.h"

typedef enum AccountBy { BY_ID, BY_NAME, BY_ADMIN_NAME } AccountBy;

void directory_init(void);
void directory_shutdown(void);

/* The cached view, read from the nearest directory server if there is none. NULL with
 * FAULT_NO_SUCH_ACCOUNT if there is no such account. */
Entry *account_get(AccountBy by, const char *key, GError **error);
/* Reads the account anew from the master and caches that. */
Entry *account_reload(const char *id, GError **error);
/* What the cache holds, without reading anything; NULL if nothing. */
Entry *account_cached(const char *id);
/* Forgets; the next account_get reads again, perhaps from a replica that lags. */
void account_flush(AccountBy by, const char *key);
/* All entries of @type ("account", "domain", "server", "config", "all"). */
void directory_flush(const char *type);
/* All accounts homed here, from LDAP. */
GPtrArray *accounts_of_this_server(GError **error);

const char *account_id(const Entry *account);
/* uid@domain of its DN. */
char *account_name(const Entry *account);
bool account_is_local(const Entry *account);
bool account_is_admin(const Entry *account);
bool account_is_external(const Entry *account);
/* With the state of its domain mixed in (doc/platform.md 1.4); "active" if it cannot be told. */
const char *account_status(const Entry *account);
/* account.PERM_DENIED for accounts of suspended domains (doc/platform.md 6.6). */
bool account_domain_allows(const Entry *account, GError **error);
/* Its class of service; NULL if there is none. */
Entry *account_cos(const Entry *account);
/* The account's own value, else that of its class of service; NULL if neither has it. Free it. */
char *account_setting(const Entry *account, const char *name);

typedef enum ServerBy { SERVER_BY_NAME, SERVER_BY_ID, SERVER_BY_HOST } ServerBy;
/* FAULT_NO_SUCH_SERVER if there is none. */
Entry *server_get(ServerBy by, const char *key, GError **error);
GPtrArray *servers_all(GError **error);
/* Own value, else that of the global config; NULL if neither. Free it. */
char *server_setting(const Entry *server, const char *name);
unsigned server_port(const Entry *server, const char *name, unsigned fallback);
/* NULL on error. */
Entry *global_config(GError **error);

#endif
