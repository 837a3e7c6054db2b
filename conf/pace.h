/* pace.h - how fast an operation may copy: bytes a second ("20M"), a timetable of them over the
 * week
 * ("Mon-08:00,4M Mon-19:00,off"), or "off"; pure. */
#ifndef ZX_CONF_PACE_H
#define ZX_CONF_PACE_H

#include "core/base/error.h"
#include <stdint.h>

#define PACE_ENTRIES 64

typedef struct Pace {
    unsigned count; /* 0: off */
    struct {
        unsigned minute; /* of the week, from Monday 00:00 on; ascending */
        uint64_t rate;   /* bytes a second from then on; 0: off */
    } entries[PACE_ENTRIES];
} Pace;

bool pace_parse(const char *text, Pace *pace, GError **error) MUST_USE;
/* Bytes a second at a moment, by the local clock; 0: as fast as it goes. */
uint64_t pace_at(const Pace *pace, int64_t unix_ms);

#endif
