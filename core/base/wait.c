/* wait.c - see wait.h. */
#include "core/base/wait.h"

Wait wait_within(const Wait *parent, int64_t ms)
{
    Wait wait = { .deadline = g_get_monotonic_time() + ms * 1000 };

    if (parent != NULL) {
        wait.stop = parent->stop;
        wait.order = parent->order;
        wait.tick = parent->tick;
        wait.tick_data = parent->tick_data;
        if (parent->deadline != 0 && parent->deadline < wait.deadline)
            wait.deadline = parent->deadline;
    }
    return wait;
}

Wait wait_through(const Wait *parent, int64_t ms)
{
    Wait wait = wait_within(parent, ms);

    wait.stop = wait.order = NULL;
    return wait;
}

int wait_left_ms(const Wait *wait, int cap)
{
    int64_t left;

    if (wait == NULL || wait->deadline == 0)
        return cap;
    left = (wait->deadline - g_get_monotonic_time() + 999) / 1000;
    return (int)CLAMP(left, 0, cap);
}

/* Set by a signal handler or by another thread. */
static bool is_set(const volatile sig_atomic_t *token)
{
    return token != NULL && __atomic_load_n(token, __ATOMIC_RELAXED) != 0;
}

bool wait_stopped(const Wait *wait)
{
    return wait != NULL && (is_set(wait->stop) || is_set(wait->order));
}

ZxError wait_stop_code(const Wait *wait)
{
    return wait != NULL && is_set(wait->order) && !is_set(wait->stop) ? ZX_ERROR_STOPPED
                                                                      : ZX_ERROR_INTERRUPTED;
}

void wait_tick(const Wait *wait)
{
    if (wait != NULL && wait->tick != NULL)
        wait->tick(wait->tick_data);
}

bool wait_check(const Wait *wait, const char *what, GError **error)
{
    wait_tick(wait);
    if (wait_stopped(wait))
        return fail(error, wait_stop_code(wait), "%s: %s", what,
                    wait_stop_code(wait) == ZX_ERROR_STOPPED ? "stopped" : "interrupted");
    if (wait_left_ms(wait, 1) == 0)
        return fail(error, ZX_ERROR_TIMEOUT, "%s: no answer in time", what);
    return true;
}

void wait_pause(const Wait *wait, int ms)
{
    int64_t until = g_get_monotonic_time() + (int64_t)wait_left_ms(wait, ms) * 1000;
    int64_t left;

    while ((left = until - g_get_monotonic_time()) > 0 && !wait_stopped(wait)) {
        wait_tick(wait);
        g_usleep((gulong)MIN(left, WAIT_SLICE_MS * 1000));
    }
}

void wait_rest(const Wait *wait, int64_t since)
{
    enum { LONGEST_MS = 200 };

    wait_pause(wait, (int)MIN((g_get_monotonic_time() - since) / 1000, LONGEST_MS));
}
