/* catalogue.h - tables as both stores have them, joined with what is done with each; for the rows_*
 * modules only. A Column is one that travels: mailbox_id is not among them, it is a literal of
 * every statement. */
#ifndef ZX_MOVE_CATALOGUE_H
#define ZX_MOVE_CATALOGUE_H

#include "core/move/rows.h"

typedef enum Side { SIDE_SOURCE, SIDE_TARGET } Side;

/* How a table is cut into buckets. A bucket must follow from the key, else a row could lie in
 * different buckets of the two sides. */
typedef enum BucketKind {
    BUCKET_RANGE, /* BUCKET_WIDTH numbers of an integer column */
    BUCKET_PAIR,  /* the same within each value of the integer column before it in the key */
    BUCKET_HASH,  /* BUCKET_HASHES buckets by a checksum of a text column */
} BucketKind;

/* A bucket costs one line of an answer when it is equal and the reading of its rows when it is not:
 * 128 keeps both small for a window with some twenty changes. */
enum { BUCKET_WIDTH = 128, BUCKET_HASHES = 64, BUCKET_KEYS = 3 };

/* What is done with a table that Zimbra keys by mailbox. */
typedef struct Policy {
    const char *table;
    bool store_wide; /* in schema zimbra, else in the group's */
    RowsPhase phase;
    BucketKind bucket;
    const char *bucket_column;
    const char *keys[BUCKET_KEYS]; /* besides mailbox_id; none: a multiset */
    bool wide;    /* so many rows that it is read one span of its bucket column after the other */
    bool blobs;   /* rows call for blobs, by the item ids of the bucket column */
    bool sealed;  /* part of what shows later that an old copy was not written to */
    bool forever; /* not the mailbox's own: outlives it */
    const char *why;
} Policy;

/* Every policy, in the order in which rows are inserted (doc/platform.md 2.3); ends with a NULL
 * table. */
extern const Policy row_policies[];
const Policy *policy_find(bool store_wide, const char *table);

typedef enum ColumnKind {
    COLUMN_NUMBER, /* integer: its text has neither comma nor quote */
    COLUMN_TIME,
    COLUMN_BYTES,
} ColumnKind;

typedef struct Column {
    char *name; /* checked, in backticks */
    ColumnKind kind;
    bool nullable; /* on either side */
    bool negative; /* a number that may be below zero */
    bool large;    /* bytes that alone may fill a packet */
    bool locator;
    char *convert; /* the target's character set, when the source's bytes are of another */
} Column;

typedef struct Table {
    const Policy *policy;
    char *name[2];      /* by Side: schema.table */
    GPtrArray *columns; /* of Column, by name: the order does not depend on a store's history */
    const Column *keys[BUCKET_KEYS];
    unsigned key_count; /* 0: a multiset */
    const Column *bucket;
    bool bitmap; /* all of a row is its key: bits of a bucket instead of fingerprints */
} Table;

struct Catalogue {
    GPtrArray *tables;  /* of Table, in the order of the policies */
    GPtrArray *mailbox; /* of char *: the columns of zimbra.mailbox that both stores have */
};

/* One store's sealed tables with every column of that store, but those that others may write. No
 * bitmaps: what is kept must not depend on how wide a bucket is. */
Catalogue *catalogue_read_alone(Db *db, unsigned group, GError **error) MUST_USE;

/* Tables of a store with a mailbox_id column. */
typedef struct KeyedTable {
    char *name;           /* schema.table */
    const Policy *policy; /* NULL: not known */
} KeyedTable;
/* Of KeyedTable: those of schema zimbra and, if not 0, of the group, the order of the policies,
 * unknown last. */
GPtrArray *keyed_tables_read(Db *db, unsigned group, GError **error) MUST_USE;

#endif
