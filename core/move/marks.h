/* marks.h - what a difference between the old copy of a mailbox and the one in use means: whether
 * users and mailboxd can have made it since the move, or nothing explains it. Pure.
 *
 * After a move users read, file and delete, and mail arrives: most differences are that. What
 * remains is an alarm. A deletion leaves a tombstone only in a mailbox that synchronises
 * (doc/platform.md 2.7 A); in another one the count of its folder is the witness, because mailboxd
 * changes it together with the row and nobody else does. */
#ifndef ZX_MOVE_MARKS_H
#define ZX_MOVE_MARKS_H

#include "core/agent/protocol.h"
#include "core/core.h"

/* A row of mail_item, as far as a judgement needs it. */
typedef struct ItemFacts {
    unsigned type; /* 2.8 */
    uint32_t folder;
    uint64_t size, mod_metadata, mod_content;
    int64_t flags;
    char digest[DIGEST_SIZE]; /* "" if it has no blob */
} ItemFacts;

/* What the move and the mailbox in use say of what may be gone. */
typedef struct Since {
    uint64_t change; /* the largest number of the commit: greater ones are younger; 0: unknown */
    bool stray;      /* the old copy was in use after the two parted */
    bool tracking;   /* every deletion since the commit left a tombstone */
} Since;

/* What is known of an item that only the old copy has. */
typedef struct Witness {
    bool tombstone; /* it was deleted, says the mailbox in use */
    bool dumpster;  /* it lies in the dumpster there */
    bool named;     /* rows there name it as their folder or parent */
    bool counted;   /* its folder there counts what is in it, as it did in the old copy */
} Witness;

/* A judgement: nothing explains it if @alarm. */
typedef struct Judgement {
    Mark mark;
    bool alarm;
    const char *reason;
} Judgement;

/* An item that only the old copy has; that only the mailbox in use has; that is in both and differs. */
Judgement mark_gone(const ItemFacts *old, const Since *since, const Witness *witness);
Judgement mark_come(const ItemFacts *new, const Since *since);
/* @columns: the names of those that differ, NULL-terminated. */
Judgement mark_changed(const ItemFacts *old, const ItemFacts *new, const char *const *columns,
                       const Since *since);

/* Of a row of another table: @mark is -, + or *; @same: the item it belongs to is equal in both, or
 * in neither; @system: a tag that mailboxd itself keeps. */
Judgement mark_row(const char *table, Mark mark, bool same, bool system);

#endif
