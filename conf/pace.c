/* pace.c - see pace.h. */
#include "conf/pace.h"
#include "conf/units.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MINUTES 1440
#define MIN_RATE    1024 /* less is a missing unit, and would take years */

static bool parse_rate(const char *text, uint64_t *rate, GError **error)
{
    *rate = 0;
    if (g_ascii_strcasecmp(text, "off") == 0)
        return true;
    return units_parse_size(text, rate, error) &&
           (*rate >= MIN_RATE ||
            fail(error, ZX_ERROR_USAGE, "'%s' is less than 1K a second", text));
}

/* "Mon-08:00" */
static bool parse_moment(const char *text, unsigned *minute)
{
    static const char *const days[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };
    unsigned hour, minutes;
    int length = 0;

    if (sscanf(text, "%*3[A-Za-z]-%2u:%2u%n", &hour, &minutes, &length) != 2 || length != 9 ||
        text[length] != '\0' || hour > 23 || minutes > 59)
        return false;
    for (unsigned day = 0; day < G_N_ELEMENTS(days); day++)
        if (g_ascii_strncasecmp(text, days[day], 3) == 0) {
            *minute = day * DAY_MINUTES + hour * 60 + minutes;
            return true;
        }
    return false;
}

static int compare_entries(const void *a, const void *b)
{
    const unsigned *x = a, *y = b; /* the minute is first */

    return (*x > *y) - (*x < *y);
}

static bool parse_entry(const char *text, Pace *pace, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);

    if (g_strv_length(parts) != 2 || !parse_moment(parts[0], &pace->entries[pace->count].minute))
        return fail(error, ZX_ERROR_USAGE,
                    "'%s' is no pace: 20M (bytes a second), off, or a timetable such as "
                    "'Mon-08:00,4M Mon-19:00,off'",
                    text);
    if (!parse_rate(parts[1], &pace->entries[pace->count].rate, error))
        return false;
    for (unsigned i = 0; i < pace->count; i++)
        if (pace->entries[i].minute == pace->entries[pace->count].minute)
            return fail(error, ZX_ERROR_USAGE, "%s is there twice", parts[0]);
    pace->count++;
    return true;
}

bool pace_parse(const char *text, Pace *pace, GError **error)
{
    g_auto(GStrv) words = g_strsplit_set(text, " \t", -1);

    *pace = (Pace){ 0 };
    if (strchr(text, ',') == NULL) {
        pace->count = 1;
        return parse_rate(text, &pace->entries[0].rate, error);
    }
    for (char **word = words; *word != NULL; word++) {
        if (**word == '\0')
            continue;
        if (pace->count == PACE_ENTRIES)
            return fail(error, ZX_ERROR_USAGE, "no more than %d entries", PACE_ENTRIES);
        if (!parse_entry(*word, pace, error))
            return false;
    }
    qsort(pace->entries, pace->count, sizeof pace->entries[0], compare_entries);
    return true;
}

uint64_t pace_at(const Pace *pace, int64_t unix_ms)
{
    g_autoptr(GDateTime) time = NULL;
    uint64_t rate;
    unsigned minute;

    if (pace->count <= 1)
        return pace->count == 0 ? 0 : pace->entries[0].rate;
    time = g_date_time_new_from_unix_local(unix_ms / 1000);
    minute = (unsigned)((g_date_time_get_day_of_week(time) - 1) * DAY_MINUTES +
                        g_date_time_get_hour(time) * 60 + g_date_time_get_minute(time));
    rate = pace->entries[pace->count - 1].rate; /* of last week */
    for (unsigned i = 0; i < pace->count && pace->entries[i].minute <= minute; i++)
        rate = pace->entries[i].rate;
    return rate;
}
