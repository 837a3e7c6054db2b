/* routes.h - the memcached keys that name an account (doc/platform.md 5.7 and 7). Pure. */
#ifndef ZX_ZIMBRA_ROUTES_H
#define ZX_ZIMBRA_ROUTES_H

#include "core/zimbra/directory.h"

/* The proxy's route and alias keys of an account, each in raw and in hashed (SHA-256) form; raw
 * forms that memcached would not accept are left out. Of char *. */
GPtrArray *route_keys(const RouteNames *names);

/* What mailboxd itself caches under the account id and trusts at open or shows to clients: keys
 * whose full name is the account id, plus per-folder keys for @folders (NULL-terminated ids). Raw
 * and hashed; under the id in small letters, as rows have it, and as the directory has it. */
GPtrArray *mailboxd_keys(const char *account_id, const char *written_id, char **folders);

#endif
