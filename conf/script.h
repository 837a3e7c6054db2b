/* script.h - mailboxmove.conf, the configuration of ZCS Lightning Mailbox Move: ConfigObj's format,
 * as far as that script uses it (sections in brackets, stores in double ones, key = value, quotes).
 */
#ifndef ZX_CONF_SCRIPT_H
#define ZX_CONF_SCRIPT_H

#include "core/base/error.h"
#include "core/base/secret.h"

/* One "key = value" of the file. */
typedef struct ScriptItem {
    char *section; /* "zimbra-config" */
    char *store;   /* of store-config: whose; else NULL */
    char *key;
    char *value;    /* NULL: a password, or nothing */
    Secret *secret; /* of a password that is set */
    unsigned line;
} ScriptItem;

/* Of ScriptItem, in the order of the file; INPUT with the line if it cannot be understood. */
GPtrArray *script_read(const char *path, GError **error) MUST_USE;
/* The value of a key, "" if it has none; NULL if it is not there. */
const char *script_value(const GPtrArray *items, const char *section, const char *key);

#endif
