/* known.h - names of the directory and of a store's volumes that begin alike, for the Tab key.
 * Every answer (of Name) has at most @limit; what is longer is cut, in no particular place. */
#ifndef ZX_ZIMBRA_KNOWN_H
#define ZX_ZIMBRA_KNOWN_H

#include "conf/conf.h"
#include "core/base/name.h"
#include "core/net/db.h"

typedef enum DirectoryNames {
    DIRECTORY_STORES,
    DIRECTORY_ACCOUNTS,
    DIRECTORY_DOMAINS
} DirectoryNames;

/* Over a connection of its own, so that any thread may ask. */
GPtrArray *known_in_directory(const Conf *conf, DirectoryNames what, const char *prefix,
                              unsigned limit, unsigned timeout_s, GError **error) MUST_USE;

/* Volumes that can hold messages. */
GPtrArray *known_volumes(Db *db, const char *prefix, unsigned limit, GError **error) MUST_USE;

#endif
