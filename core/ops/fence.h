/* fence.h - the record of an account in its window, on both stores: either alone is enough to
 * finish or to undo (doc/architecture.md). The source's row decides while the source is home, the
 * destination's after.
 *
 *   fenced -> proven -> committing -> committed -> done
 *        \________\__________________________________-> undone
 *
 * Every change is bound to the lease, so that a mover which was only asleep finds its writes
 * refused, and is durable before the function returns. */
#ifndef ZX_OPS_FENCE_H
#define ZX_OPS_FENCE_H

#include "core/zimbra/directory.h"
#include "core/zimbra/store.h"

typedef enum FenceState {
    FENCE_FENCED,
    FENCE_PROVEN,
    FENCE_COMMITTING,
    FENCE_COMMITTED,
    FENCE_DONE,
    FENCE_UNDONE
} FenceState;
const char *fence_state_name(FenceState state);

typedef struct Fence {
    char *account_id, *operation, *address;
    FenceState state;
    uint64_t lease;
    char *account_status, *mail_status, *transport; /* raw; the last two may be NULL */
    bool status_touched;
    char *source_host, *destination_host;
    uint32_t source_mailbox, destination_mailbox; /* 0: the account has no mailbox */
    bool reindex;          /* the index was left out: ReIndexRequest at the destination */
    char *proven;          /* fence_note_proven, or NULL */
    bool on_source;        /* the row read stands on the source (role) */
    int64_t age_ms;        /* since it was made, by that server's clock */
    int64_t lock_tried_ms; /* since a lock-out was sent that was not answered; -1: there is none */
    bool locked;           /* one was answered: the lock is ours */
    bool rescue; /* no move: the way back to an old copy, its home being gone (move/rescue.c); it stands on
                    that store alone */
    bool opened; /* the destination was asked to open the mailbox: its rows are its own from then on
                  */
} Fence;
void fence_free(Fence *fence);
/* As the directory shows the account now, in state fenced, under a lease that nobody had before;
 * what is to be done to it is the caller's to say. */
Fence *fence_new(const Account *account, const char *operation, const char *source_host,
                 const char *destination_host);

/* Writes the row in state fenced on both stores, durable on both. @source NULL: of a rescue. */
bool fence_begin(const Fence *fence, Store *source, Store *destination, GError **error) MUST_USE;

/* @from -> @to on one store under our lease: exactly one row must change, else CONFLICT. */
bool fence_advance(Store *store, const Fence *fence, FenceState from, FenceState to,
                   GError **error) MUST_USE;
/* Any unfinished state -> @to, under our lease. False with CONFLICT if the row is not ours any
 * more. */
bool fence_set(Store *store, const Fence *fence, FenceState to, GError **error) MUST_USE;
/* The same for undone; a row that never came to be written needs no end. */
bool fence_undo(Store *store, const Fence *fence, GError **error) MUST_USE;
typedef enum FenceMark {
    FENCE_LOCK_TRIED, /* before a lock-out is sent: without it a recovery need not wait for a late
                         one */
    FENCE_LOCKED,     /* it was answered */
    FENCE_REINDEX,
    FENCE_OPENED, /* before the destination is asked to open: from then on its rows are its own */
} FenceMark;
/* Durable: each is an intent that a recovery decides by. CONFLICT if the row is not ours any more.
 */
bool fence_mark(Store *store, const Fence *fence, FenceMark mark, GError **error) MUST_USE;
/* The same for a mark that the death of this process must leave behind, but not a power cut. */
bool fence_mark_quickly(Store *store, const Fence *fence, FenceMark mark, GError **error) MUST_USE;

/* The ids of a mailbox that the account did not have when the row was written; durable. */
bool fence_note_mailboxes(Store *store, const Fence *fence, GError **error) MUST_USE;

/* What the source showed when it was proven, as text (rows_maxima); durable with the next
 * fence_advance. */
bool fence_note_proven(Store *store, const Fence *fence, const char *proven,
                       GError **error) MUST_USE;

/* The unfinished row of an account on this store: NULL without error if there is none. */
Fence *fence_find(Store *store, const char *account_id, GError **error);
/* All unfinished rows of a store (of Fence). */
GPtrArray *fence_unfinished(Store *store, GError **error) MUST_USE;

/* Another process takes an operation over: one lease, higher than both rows', on every store that
 * is given
 * (@other NULL: it cannot be reached), durably, so that the old mover's next change is refused;
 * then the rows are read again, for they may have gone on until that moment. A row that a crash
 * left out is written as the other stands. Answers the row that decides: the source's while @home
 * is the source, else the destination's, with the marks of both. */
Fence *fence_take_over(const Fence *known, Store *source, Store *destination, bool source_is_home,
                       GError **error) MUST_USE;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Fence, fence_free)

#endif
