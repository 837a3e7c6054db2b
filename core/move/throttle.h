/* throttle.h - the pace of an operation: what all its mailboxes copy together, a second. Any
 * thread. */
#ifndef ZX_MOVE_THROTTLE_H
#define ZX_MOVE_THROTTLE_H

#include "conf/pace.h"

typedef struct Throttle {
    GMutex lock;
    Pace pace;
    char *text;      /* what it was read from; NULL: off */
    int64_t free_at; /* monotonic us: before, nothing more is asked for */
    int64_t held_at; /* monotonic us: when something was last refused; 0: never */
} Throttle;

void throttle_init(Throttle *throttle);
void throttle_clear(Throttle *throttle);
/* From now on at this pace, if it is one (pace.h) and another than now. */
void throttle_follow(Throttle *throttle, const char *text);
/* May @bytes be asked for now? Then they are counted. Never waits. */
bool throttle_take(Throttle *throttle, uint64_t bytes);
/* "throttled, bandwidth 2M" if that is what holds the copy up now, else NULL. g_free. */
char *throttle_cause(Throttle *throttle);

#endif
