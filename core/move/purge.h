/* purge.h - a copy on its way out, of whatever kind it is; private to purge*.c and leftover.c.
 *
 *   a copy that a move left      its record says what it was, and everything is proved again
 * purge.c what nobody will miss        its account is gone, or the move that made it never came to
 * an end; or a person names its id                                leftover.c
 */
#ifndef ZX_MOVE_PURGE_H
#define ZX_MOVE_PURGE_H

#include "core/move/move.h"

typedef enum CopyKind {
    COPY_MOVED,       /* a record of ours that is kept, or being purged */
    COPY_ORPHAN,      /* the directory has no such account */
    COPY_PARTIAL,     /* reserved and staged, never switched to */
    COPY_STRAY,       /* a record of ours, and written to after the move */
    COPY_UNEXPLAINED, /* the account lives elsewhere, and no record says why this is here */
    COPY_DIRECTORY,   /* files under an id that no row has: nobody says whose they were */
} CopyKind;

/* What is known of a copy: its row of zxmove.moved, or as much of one as there is. */
typedef struct Copy {
    CopyKind kind;
    Store *store;
    uint32_t mailbox, new_mailbox;
    char *account_id, *address, *moved_to, *fingerprints, *operation;
    unsigned group, bad_items;
    uint64_t item_checkpoint, change_checkpoint, bytes;
    int64_t committed, age_s; /* Unix ms, 0: unknown; by the store's clock */
    bool begun;               /* its deletion was announced */
} Copy;
void copy_free(Copy *copy);

typedef struct Purge {
    Operation *op;
    const PurgeRequest *request;
    Store *store, *home;
    const Copy *copy;
    Account *account;
    MailboxResult *result;
    Claim claim;
    Probe probe;
    bool has_row, begun; /* begun: a purge before this one announced its deletion */
    uint64_t room;       /* what max_delete_bytes leaves; G_MAXUINT64: no limit */
    bool over;           /* this copy is more than that */
    unsigned index, total; /* for events */
} Purge;

/* "orphans": nothing but leftovers is meant. */
bool leftover_only(const PurgeRequest *request);
/* Adds those of @store that are meant to @copies (of Copy); a copy there whose account is gone becomes
 * an orphan. */
bool leftover_find(Operation *op, const PurgeRequest *request, Store *store, GPtrArray *copies,
                   GError **error) MUST_USE;
/* The copy goes, or is only looked at, if everything that must hold does. */
bool leftover_purge(Purge *purge, GError **error) MUST_USE;

/* purge.c, what leftovers need as well. */
bool purge_names_id(const PurgeRequest *request); /* one store's mailbox id is named */
bool purge_find(Store *store, const char *wanted, GPtrArray *copies, GError **error) MUST_USE;
void purge_state(const Purge *purge, const char *state);
/* Adds up what goes with the copy; REFUSED if it is more than may go. */
bool purge_count_bytes(Purge *purge, GError **error) MUST_USE;
bool purge_set_state(Purge *purge, const char *state, GError **error) MUST_USE;
Deletion purge_deletion(Purge *purge);
/* Through mailboxd or behind its back, by what it has in memory. */
bool purge_delete(Purge *purge, GError **error) MUST_USE;

/* purge_proof.c */
/* Asked of the master, last thing before the locks, after them, and before the deletion. */
bool purge_home_is_elsewhere(Purge *purge, GError **error) MUST_USE;
bool purge_open_home(Purge *purge, GError **error) MUST_USE;
/* Takes the account on both stores; a dry run only looks whether another one has it. */
bool purge_claim(Purge *purge, GError **error) MUST_USE;
bool purge_nothing_unfinished(const Purge *purge, GError **error) MUST_USE;
bool purge_home_has_the_mailbox(const Purge *purge, GError **error) MUST_USE;
/* Into purge->probe. */
bool purge_ask_mailboxd(Purge *purge, GError **error) MUST_USE;
/* Whether mailboxd can write to the copy, by that; what it has not in memory it does not open. */
bool purge_in_memory(const Purge *purge);
/* All of it, of a copy that a move left; under its locks. */
bool purge_prove(Purge *purge, GError **error) MUST_USE;

#endif
