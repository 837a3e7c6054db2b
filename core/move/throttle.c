/* throttle.c - see throttle.h. */
#include "core/move/throttle.h"

/* What was not used in so long may be made up for: a caller looks every tenth of a second only. */
#define BURST_US (200 * 1000)

void throttle_init(Throttle *throttle)
{
    *throttle = (Throttle){ 0 };
    g_mutex_init(&throttle->lock);
}

void throttle_clear(Throttle *throttle)
{
    g_free(throttle->text);
    g_mutex_clear(&throttle->lock);
}

void throttle_follow(Throttle *throttle, const char *text)
{
    Pace pace;

    g_mutex_lock(&throttle->lock);
    if (text != NULL && g_strcmp0(text, throttle->text) != 0 && pace_parse(text, &pace, NULL)) {
        g_free(throttle->text);
        throttle->text = g_strdup(text);
        throttle->pace = pace;
        throttle->free_at = 0;
    }
    g_mutex_unlock(&throttle->lock);
}

bool throttle_take(Throttle *throttle, uint64_t bytes)
{
    int64_t now = g_get_monotonic_time();
    uint64_t rate;
    bool free;

    g_mutex_lock(&throttle->lock);
    rate = pace_at(&throttle->pace, g_get_real_time() / 1000);
    free = rate == 0 || now >= throttle->free_at;
    if (free && rate != 0)
        throttle->free_at = MAX(throttle->free_at, now - BURST_US) +
                            (int64_t)((double)bytes * G_USEC_PER_SEC / (double)rate);
    g_mutex_unlock(&throttle->lock);
    return free;
}
