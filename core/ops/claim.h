/* claim.h - who works on an account now (doc/architecture.md, locks).
 *
 * A claim is held on every store an operation touches for the account: a row with a lease, and
 * GET_LOCK on both of the store's connections. The row decides: it is taken over when its lease is
 * over, or when its process is known to have ended. A lock still held beside an expired lease is a
 * mover that sleeps; its connections are killed first. */
#ifndef ZX_OPS_CLAIM_H
#define ZX_OPS_CLAIM_H

#include "core/zimbra/store.h"

typedef struct Claim {
    char *account_id;
    const char *operation; /* borrowed */
    Store *stores[2];      /* in the order of their ids; [1] may be NULL */
    uint64_t lease[2];     /* number we hold on each */
    int64_t until[2]; /* until when at least, in Unix ms of its clock: what its agent is told */
    unsigned lease_s;
    int64_t renewed, tried; /* monotonic us: last known to be ours, as of the question; last asked by a tick */
    bool held;
    Wait wait; /* of the stores' agents, while it is held */
} Claim;

/* The number of a lease, which no mover had before: who slept while others came and went, of its own
 * operation resumed too, must not find its own again. */
uint64_t lease_new(void);

/* Takes the account on both stores or on none; CONFLICT names who has it. @b may be NULL. */
bool claim_take(Claim *claim, const char *account_id, const char *operation, Store *a, Store *b,
                unsigned lease_s, GError **error) MUST_USE;

/* For who only looks, and takes nothing: CONFLICT if another one has the account on @store. */
bool claim_look(Store *store, const char *account_id, unsigned lease_s, GError **error) MUST_USE;

/* Asked before every effect outside the database: lock and lease are still ours on both stores?
 * Renews the lease. CONFLICT when another took over: then nothing may be touched any more, not even
 * to undo. */
bool claim_check(Claim *claim, GError **error) MUST_USE;

/* The same on one store: after the commit the destination alone decides, and the source may be
 * gone. */
bool claim_check_at(Claim *claim, const Store *store, GError **error) MUST_USE;

/* May effects outside the databases go on while a database is out of reach? Yes if one of them says
 * that the claim is ours, or while the lease that was last confirmed runs: nobody takes over before
 * its end. */
bool claim_may_act(Claim *claim, GError **error) MUST_USE;

/* @wait (may be NULL) with a tick that renews a claim that is held every third of its lease: for whatever
 * takes its time. Whether it was lost is found out by the claim_check before the next effect. */
Wait claim_wait(Claim *claim, const Wait *wait);

/* After store_revive: the lock went with the connection; takes it again under the same lease. */
bool claim_again_at(Claim *claim, const Store *store, GError **error) MUST_USE;

void claim_release(Claim *claim);

#endif
