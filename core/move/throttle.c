/* throttle.c - see throttle.h. */
#include "core/move/throttle.h"
#include "conf/units.h"

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
        throttle->free_at = throttle->held_at = 0;
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
    if (!free)
        throttle->held_at = now;
    if (free && rate != 0)
        throttle->free_at = MAX(throttle->free_at, now - BURST_US) +
                            (int64_t)((double)bytes * G_USEC_PER_SEC / (double)rate);
    g_mutex_unlock(&throttle->lock);
    return free;
}

char *throttle_cause(Throttle *throttle)
{
    enum { RECENT_US = 1000 * 1000 };
    g_autofree char *rate = NULL;
    char *cause = NULL;
    uint64_t bytes;

    g_mutex_lock(&throttle->lock);
    bytes = pace_at(&throttle->pace, g_get_real_time() / 1000);
    if (bytes != 0 && throttle->held_at != 0 &&
        g_get_monotonic_time() - throttle->held_at < RECENT_US) {
        rate = units_format_size(bytes);
        cause = g_strdup_printf("throttled, bandwidth %s/s", rate);
    }
    g_mutex_unlock(&throttle->lock);
    return cause;
}
