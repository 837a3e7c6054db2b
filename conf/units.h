/* units.h - what people write for sizes, durations, numbers and yes or no, both directions; pure.
 * A number without its unit is refused with three right spellings: a bare 60 has been taken for
 * seconds, minutes and milliseconds by one person or another. */
#ifndef ZX_CONF_UNITS_H
#define ZX_CONF_UNITS_H

#include "core/base/error.h"
#include <stdint.h>

/* "10M", "1.5G", "64KiB", "512B": 1024 based. USAGE if it is none. */
bool units_parse_size(const char *text, uint64_t *bytes, GError **error) MUST_USE;
/* "250ms", "30s", "15m", "6h", "30d". */
bool units_parse_time(const char *text, uint64_t *ms, GError **error) MUST_USE;
/* ISO 8601: "2026-03-01T22:00+01:00", also with seconds, a blank for the T, Z for +00:00; without a
 * zone it is local time. */
bool units_parse_date(const char *text, int64_t *unix_ms, GError **error) MUST_USE;
/* Decimal digits only, within @min and @max. */
bool units_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *out,
                       GError **error) MUST_USE;
/* true/false, yes/no, 1/0, without regard to case. */
bool units_parse_bool(const char *text, bool *out, GError **error) MUST_USE;

/* "412.6 GB", "17 B". */
char *units_format_size(uint64_t bytes);
/* As short as it stays useful: "0 ms", "312 ms", "1.1 s", "42 s", "3m05s", "2h41m", "3d04h". */
char *units_format_time(double ms);
/* "2026-03-01 22:00:00 +0100": local time with its zone. */
char *units_format_date(int64_t unix_ms);
/* The same for programs, as units_parse_date reads it: "2026-03-01T22:00:00+01:00"; NULL for 0. */
char *units_format_iso(int64_t unix_ms);
/* "20,113". */
char *units_format_count(uint64_t n);

/* The name of @names (NULL-terminated) that @word was most likely meant to be, or NULL if none is
 * near. Borrowed. */
const char *units_nearest(const char *word, const char *const *names);

#endif
