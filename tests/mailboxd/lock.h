/* lock.h - the write lock of a mailbox: fair, so that a lockout under load waits for the writers
 * before it and not for all that come, and with a timeout (zimbra_mailbox_lock_timeout). */
#ifndef MAILBOXD_LOCK_H
#define MAILBOXD_LOCK_H

#include <glib.h>
#include <stdbool.h>

typedef struct FairLock {
    GMutex mutex;
    bool held;
    GQueue waiters;
} FairLock;

void lock_init(FairLock *lock);
void lock_clear(FairLock *lock);
/* False if it was not got in @timeout_ms. */
bool lock_take(FairLock *lock, unsigned timeout_ms);
void lock_release(FairLock *lock);

#endif
