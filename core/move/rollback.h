/* rollback.h - doRollback: who left which store, and who can go back there.
 *
 *   rollback   by a move in the other direction, like any other               rollback.c
 *   rescue     to the old copy as it is, the present home being gone          rescue.h
 */
#ifndef ZX_MOVE_ROLLBACK_H
#define ZX_MOVE_ROLLBACK_H

#include "core/move/move.h"

/* An account that left a store, as that store recorded it. */
typedef struct Departure {
    char *account_id, *address, *operation, *from, *to;
    char *copy;                    /* state of its old copy's record; NULL: there is none */
    uint32_t mailbox, new_mailbox; /* ids of the old copy, 0: the account had no mailbox; where it went */
    unsigned bad_items;
    int64_t at;    /* Unix ms */
    bool finished;
    bool past_commit; /* not finished, and its home is the new one: forward only */
    bool staged;   /* a way back was begun: something new lies there */
} Departure;

/* One account that is meant. @account is NULL, with @problem (taken), if it cannot be had, or if nothing is
 * known of it; @nothing: why there is nothing to do, or NULL. */
typedef struct Candidate {
    const Departure *departure; /* NULL: none is known */
    const Account *account;     /* NULL: it is not in the directory */
    const char *nothing;
    GError *problem;
} Candidate;
typedef void Judge(Operation *op, const RollbackRequest *request, const Candidate *candidate,
                   void *data);
/* Calls @judge for everyone who is meant. False with an error if nothing can be begun. */
bool rollback_each(Operation *op, const RollbackRequest *request, Judge *judge, void *data,
                   GError **error) MUST_USE;
/* The line in the report of one who does not go: @nothing says why there is nothing to do, else
 * @problem (taken) what is in the way. */
void rollback_tell(Operation *op, const Candidate *candidate, const char *nothing,
                   GError *problem);

/* One operation, to as many stores as its accounts came from. Who cannot go back gets a result that says
 * why. */
bool rollback_run(Operation *op, const RollbackRequest *request, GError **error) MUST_USE;

/* The same from old copies, the present homes being gone; one account after the other. */
bool rescue_run(Operation *op, const RollbackRequest *request, GError **error) MUST_USE;
/* CONFLICT if one of the account is not finished on @store: whatever it gives up waits for it. */
bool rescue_is_over(Store *store, const char *account_id, GError **error) MUST_USE;
/* What a rescue that ended left: finished or undone. @known is taken. */
void rescue_recover(Operation *op, const RecoverRequest *request, Fence *known,
                    MailboxResult *result, unsigned index, unsigned total);

#endif
