/* apply.h - makes one table of the target equal to the source's: what must go, then what must come,
 * so that two rows that swap a name never meet (doc/platform.md 2.3). */
#ifndef ZX_MOVE_APPLY_H
#define ZX_MOVE_APPLY_H

#include "core/move/buckets.h"

typedef struct Sync {
    Db *db[2]; /* by Side */
    const RowsMap *map;
    RowsProgress *progress; /* may be NULL */
    void *data;
    const Wait *wait;
    RowsCount *count;
} Sync;

/* Copies every row of a table that has none at the target, in batches committed one by one. */
bool apply_all(const Sync *sync, const Table *table, GError **error) MUST_USE;

/* Changes what differs in @buckets, in one transaction. @changed gets the numbers of the buckets.
 */
bool apply_buckets(const Sync *sync, const TableBuckets *buckets, GArray *changed,
                   GError **error) MUST_USE;

#endif
