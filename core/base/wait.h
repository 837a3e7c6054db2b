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
    const volatile sig_atomic_t *order; /* the same by doStopOperation, from wherever it was typed */
    void (*tick)(void *data);         /* called at each look by the thread that waits; NULL = nothing to do */
    void *tick_data;
} Wait;

#define WAIT_SLICE_MS 250

/* A wait that ends @ms from now at the latest, with the stop token and the tick of @parent (which may
 * be NULL) and never later than it. */
Wait wait_within(const Wait *parent, int64_t ms);

/* The same, but not stopped by the user: for what must be brought to an end. */
Wait wait_through(const Wait *parent, int64_t ms);

/* Milliseconds left, at most @cap; 0 when over. */
int wait_left_ms(const Wait *wait, int cap);

bool wait_stopped(const Wait *wait);

/* What a stop is called: STOPPED if it was ordered, else INTERRUPTED. */
ZxError wait_stop_code(const Wait *wait);

/* What is to be done while one waits; @wait may be NULL. */
void wait_tick(const Wait *wait);

/* False with TIMEOUT ("@what: no answer in time"), INTERRUPTED or STOPPED when it is over. @wait may be NULL. */
bool wait_check(const Wait *wait, const char *what, GError **error) MUST_USE;

/* After a piece of work on disks that others need as well: rests as long as it took since @since
 * (monotonic us), but not for long. */
void wait_rest(const Wait *wait, int64_t since);

/* Lets @ms pass between two looks at a condition, or less when the wait is over. */
void wait_pause(const Wait *wait, int ms);

#endif
