/* versus.h - two copies of a mailbox against each other, row by row where they differ, and what
 * each difference means (marks.h). Reads only. */
#ifndef ZX_MOVE_VERSUS_H
#define ZX_MOVE_VERSUS_H

#include "core/core.h"
#include "core/move/catalogue.h"

typedef struct Versus {
    Db *const *db;              /* by Side: the old copy is the source */
    const Catalogue *catalogue; /* without locators: each store has its own */
    const RowsMap *map;
    const unsigned *group; /* by Side */
    uint64_t change;       /* the largest number of the commit; 0: unknown */
    bool stray;
    VerifyCopy *copy; /* gets tables and sums */
    VerifySink *found;
    void *found_data;
    void (*tick)(void *data, const char *table, uint64_t rows); /* may be NULL */
    void *tick_data;
    const Wait *wait;
} Versus;

/* How many rows each side has of each table. */
bool versus_counts(const Versus *versus, GError **error) MUST_USE;
/* Every row, by buckets and fingerprints. The caller has snapshots open on both sides: what one
 * table says is held against another. */
bool versus_rows(const Versus *versus, GError **error) MUST_USE;

/* A line of copy->tables, made if it is not there yet. */
VerifyTable *versus_table(VerifyCopy *copy, const char *name);
/* Counts an item and tells of it. */
bool versus_tell(const Versus *versus, const VerifyItem *item, GError **error) MUST_USE;
/* The same question to both sides; takes the texts over. */
bool versus_ask(const Versus *versus, GString *const text[2], Rows *answers[2],
                GError **error) MUST_USE;
static inline void rows_free_both(Rows *answers[2])
{
    rows_free(answers[SIDE_SOURCE]);
    rows_free(answers[SIDE_TARGET]);
}

#endif
