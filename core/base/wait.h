/* wait.h - how long a call may take: a deadline and the operation's stop token. Nothing in zxmove
 * blocks without one; long waits look at it at least every 250 ms. */
#ifndef ZX_BASE_WAIT_H
#define ZX_BASE_WAIT_H

#include "core/base/error.h"
#include <signal.h>
#include <stdint.h>

typedef struct Wait {
    int64_t deadline;                 /* g_get_monotonic_time() units (us); 0 = none */
    const volatile sig_atomic_t *stop; /* non-zero: the user asked to stop; NULL = cannot be stopped */
} Wait;

#define WAIT_SLICE_MS 250

/* A wait that ends @ms from now at the latest, with the stop token of @parent (which may be NULL)
 * and never later than it. */
Wait wait_within(const Wait *parent, int64_t ms);

/* Milliseconds left, at most @cap; 0 when over. */
int wait_left_ms(const Wait *wait, int cap);

bool wait_stopped(const Wait *wait);

/* False with TIMEOUT ("@what: no answer in time") or INTERRUPTED when it is over. @wait may be NULL. */
bool wait_check(const Wait *wait, const char *what, GError **error) MUST_USE;

/* Lets @ms pass between two looks at a condition, or less when the wait is over. */
void wait_pause(const Wait *wait, int ms);

#endif
