/* buckets.h - the lines with which two stores compare the rows of a mailbox: all tables in one
 * statement, both servers at work at the same time. */
#ifndef ZX_MOVE_BUCKETS_H
#define ZX_MOVE_BUCKETS_H

#include "core/move/catalogue.h"

typedef unsigned __int128 RowsSum; /* of 64-bit parts: no number of rows overflows it */

typedef struct Bucket {
    int64_t number;
    uint64_t rows;
    RowsSum sums[2];
} Bucket;

/* What is asked of a table, and what both sides said. */
typedef struct TableBuckets {
    const Table *table;
    char *where;     /* NULL: all rows of the mailbox */
    GArray *side[2]; /* of Bucket, ascending, by Side */
} TableBuckets;

TableBuckets *table_buckets_new(const Table *table);
void table_buckets_free(TableBuckets *buckets);

/* Fills @tables (of TableBuckets) from the stores that are not NULL in @db, by Side. A wide table
 * is read in spans, so that neither a statement nor its answer grows with the mailbox. */
bool buckets_read(Db *const db[2], const RowsMap *map, GPtrArray *tables, const Wait *wait,
                  GError **error) MUST_USE;

/* Goes through the buckets of both sides in step. False at the end; else either may be NULL. */
typedef struct BucketPair {
    const Bucket *side[2];
    unsigned next[2]; /* zero at the start */
} BucketPair;
bool buckets_next(const TableBuckets *buckets, BucketPair *pair);
bool buckets_equal(const BucketPair *pair);
bool bucket_same(const Bucket *a, const Bucket *b); /* of one number: the same rows */

/* One question to each side that is not NULL, answered at the same time; @answers by Side, NULL on
 * failure. */
bool ask_both(Db *const db[2], const char *const sql[2], Rows *answers[2], GError **error) MUST_USE;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(TableBuckets, table_buckets_free)

#endif
