/* tally.h - what the mailboxes of an operation count together: items attempted, items that could
 * not be brought. Too many of them end the operation, whichever mailbox they are in. Any thread. */
#ifndef ZX_MOVE_TALLY_H
#define ZX_MOVE_TALLY_H

#include "core/base/error.h"
#include <stdint.h>

typedef struct Tally {
    GMutex lock;
    GHashTable
        *bad; /* of char *, "account item-mod_content": an item that is tried again counts once */
    uint64_t attempted, unreadable;
    uint64_t read_error_threshold; /* 0: none */
    char *exceeded;                /* which limit was, in words; or NULL */
} Tally;

void tally_init(Tally *tally);
void tally_clear(Tally *tally);

/* Items that an earlier run brought: they were attempted, and are well. */
void tally_add(Tally *tally, uint64_t items);
void tally_attempt(Tally *tally, const char *account_id, uint32_t item_id, uint32_t mod_content);
void tally_bad(Tally *tally, const char *account_id, uint32_t item_id, uint32_t mod_content,
               bool unreadable);

/* DATA, with the reason, once a limit was exceeded. */
bool tally_check(Tally *tally, GError **error) MUST_USE;

#endif
