/* lock.c - see lock.h. Whoever releases hands over to the first that waits. */
#include "tests/mailboxd/lock.h"

typedef struct Waiter {
    GCond granted_cond;
    bool granted;
} Waiter;

void lock_init(FairLock *lock)
{
    g_mutex_init(&lock->mutex);
    g_queue_init(&lock->waiters);
    lock->held = false;
}

void lock_clear(FairLock *lock)
{
    g_mutex_clear(&lock->mutex);
}

bool lock_take(FairLock *lock, unsigned timeout_ms)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    Waiter self = { .granted = false };

    g_mutex_lock(&lock->mutex);
    if (!lock->held) {
        lock->held = self.granted = true;
    } else {
        g_cond_init(&self.granted_cond);
        g_queue_push_tail(&lock->waiters, &self);
        while (!self.granted && g_cond_wait_until(&self.granted_cond, &lock->mutex, deadline))
            continue;
        if (!self.granted)
            g_queue_remove(&lock->waiters, &self);
        g_cond_clear(&self.granted_cond);
    }
    g_mutex_unlock(&lock->mutex);
    return self.granted;
}

void lock_release(FairLock *lock)
{
    g_mutex_lock(&lock->mutex);
    Waiter *next = g_queue_pop_head(&lock->waiters);
    lock->held = next != NULL;
    if (next != NULL) {
        next->granted = true;
        g_cond_signal(&next->granted_cond);
    }
    g_mutex_unlock(&lock->mutex);
}
