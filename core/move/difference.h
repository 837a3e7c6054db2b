/* difference.h - which rows make two buckets differ. */
#ifndef ZX_MOVE_DIFFERENCE_H
#define ZX_MOVE_DIFFERENCE_H

#include "core/move/catalogue.h"

typedef struct Difference {
    GPtrArray *wrong;   /* of char *: keys (SQL literals) of rows at the target that must go */
    GPtrArray *missing; /* of char *: keys of rows of the source that must come; altered ones are in
                           both */
    uint64_t compared;  /* rows of the source */
} Difference;

/* Compares the rows for which @condition holds. NULL on failure. */
Difference *difference_read(Db *const db[2], const RowsMap *map, const Table *table,
                            const char *condition, GError **error) MUST_USE;
void difference_free(Difference *difference);

/* One row for a person: "row 5 is missing on store2". NULL if nothing differs. */
char *difference_describe(const Difference *difference, Db *const db[2]);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Difference, difference_free)

#endif
