/* evidence.h - what the mailbox in use has to say, as a whole, of what it has no more: deletions
 * that left a tombstone, folders whose count does not fit. */
#ifndef ZX_MOVE_EVIDENCE_H
#define ZX_MOVE_EVIDENCE_H

#include "core/move/marks.h"
#include "core/move/versus.h"

typedef struct Evidence {
    Since since;
    GHashTable *tombstones; /* of item ids: deleted since, says the mailbox in use */
    GHashTable *miscounted; /* of folder ids: the count is not what is in it */
} Evidence;
Evidence evidence_new(const Versus *versus);
void evidence_clear(Evidence *evidence);
/* Tells of each folder that is miscounted. */
bool evidence_read(Evidence *evidence, const Versus *versus, GError **error) MUST_USE;

static inline void id_set_add(GHashTable *set, uint64_t id)
{
    g_hash_table_add(set, GUINT_TO_POINTER((guint)id));
}

static inline bool id_set_has(GHashTable *set, uint64_t id)
{
    return g_hash_table_contains(set, GUINT_TO_POINTER((guint)id));
}

#endif
