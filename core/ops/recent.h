/* recent.h - what a store's records know by name: operations, and accounts with an old copy and the batches they moved in. For
 * the Tab key. A store that no zxmove has worked on knows nothing. Answers are of Name, at most
 * @limit, the most recent. */
#ifndef ZX_OPS_RECENT_H
#define ZX_OPS_RECENT_H

#include "core/base/name.h"
#include "core/net/db.h"

/* Those that are unfinished come first. */
GPtrArray *recent_operations(Db *db, const char *prefix, unsigned limit, GError **error) MUST_USE;
GPtrArray *recent_old_copies(Db *db, const char *prefix, unsigned limit, GError **error) MUST_USE;

#endif
