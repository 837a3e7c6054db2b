/* orders.h - what is asked of an operation from outside its process, from whatever host: written to its
 * row, where its keeper finds it. */
#ifndef ZX_OPS_ORDERS_H
#define ZX_OPS_ORDERS_H

#include "core/core.h"
#include "core/net/db.h"

/* @db is the store that has the row. @accounts (addresses or ids; NULL: all) only with
 * WANT_COMPLETE. REFUSED when it has ended, or was told to stop before: that stands. */
bool orders_want(Db *db, const char *operation, Want want, char **accounts, const char *comment,
                 GError **error) MUST_USE;
/* Nobody is there to take an order: the row ends as interrupted. */
bool orders_end_lost(Db *db, const char *operation, GError **error) MUST_USE;
/* @change into the limits of the row, *@now (limits_clear) what they are then; @change NULL: only read. */
bool orders_limits(Db *db, const char *operation, const Limits *change, Limits *now,
                   GError **error) MUST_USE;

#endif
