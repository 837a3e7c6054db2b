/* units.c - see units.h. */
#include "conf/units.h"
#include <string.h>

typedef struct Unit {
    const char *name;
    uint64_t factor;
} Unit;

/* clang-format off */
static const Unit size_units[] = {
    { "B", 1 },
    { "K", G_GUINT64_CONSTANT(1) << 10 }, { "KB", G_GUINT64_CONSTANT(1) << 10 }, { "KiB", G_GUINT64_CONSTANT(1) << 10 },
    { "M", G_GUINT64_CONSTANT(1) << 20 }, { "MB", G_GUINT64_CONSTANT(1) << 20 }, { "MiB", G_GUINT64_CONSTANT(1) << 20 },
    { "G", G_GUINT64_CONSTANT(1) << 30 }, { "GB", G_GUINT64_CONSTANT(1) << 30 }, { "GiB", G_GUINT64_CONSTANT(1) << 30 },
    { "T", G_GUINT64_CONSTANT(1) << 40 }, { "TB", G_GUINT64_CONSTANT(1) << 40 }, { "TiB", G_GUINT64_CONSTANT(1) << 40 },
    { NULL, 0 },
};
static const Unit time_units[] = {
    { "ms", 1 }, { "s", 1000 }, { "m", 60 * 1000 }, { "h", 3600 * 1000 }, { "d", 86400 * 1000 },
    { NULL, 0 },
};
/* clang-format on */

/* Beyond any disk and any patience, and far enough from overflow. */
#define QUANTITY_MAX ((double)(G_GUINT64_CONSTANT(1) << 53))

static bool parse_quantity(const char *text, const Unit *units, const char *what,
                           const char *spellings, uint64_t *out, GError **error)
{
    size_t number = strspn(text, "0123456789.");
    const char *dot = memchr(text, '.', number);
    g_autofree char *digits = g_strndup(text, number);
    const char *unit = text + number;
    double value;

    if (number == 0 || !g_ascii_isdigit(text[0]) || !g_ascii_isdigit(text[number - 1]) ||
        (dot != NULL && memchr(dot + 1, '.', (size_t)(text + number - dot - 1)) != NULL))
        return fail(error, ZX_ERROR_USAGE, "'%s' is not a %s; write it like %s", text, what,
                    spellings);
    if (*unit == '\0')
        return fail(error, ZX_ERROR_USAGE, "'%s' has no unit; write it like %s", text, spellings);
    while (*unit == ' ')
        unit++;
    for (; units->name != NULL; units++) {
        if (g_ascii_strcasecmp(unit, units->name) != 0)
            continue;
        value = g_ascii_strtod(digits, NULL) * (double)units->factor;
        if (value > QUANTITY_MAX)
            return fail(error, ZX_ERROR_USAGE, "'%s' is too large", text);
        *out = (uint64_t)(value + 0.5);
        return true;
    }
    return fail(error, ZX_ERROR_USAGE, "'%s' has no unit that a %s can have; write it like %s",
                text, what, spellings);
}

bool units_parse_size(const char *text, uint64_t *bytes, GError **error)
{
    return parse_quantity(text, size_units, "size", "512K, 10M or 1.5G", bytes, error);
}

bool units_parse_time(const char *text, uint64_t *ms, GError **error)
{
    return parse_quantity(text, time_units, "duration", "500ms, 30s or 15m", ms, error);
}

/* @count digits at *@at, which moves on; -1 if there are not so many. */
static int take_digits(const char **at, int count)
{
    int number = 0;

    for (int i = 0; i < count; i++, ++*at) {
        if (!g_ascii_isdigit(**at))
            return -1;
        number = number * 10 + (**at - '0');
    }
    return number;
}

static bool take_char(const char **at, const char *any)
{
    if (**at == '\0' || strchr(any, **at) == NULL)
        return false;
    ++*at;
    return true;
}

/* "Z", "+01:00", "+0100", "+01"; nothing is the zone of this host. */
static GTimeZone *take_zone(const char *at)
{
    const char *begin = at;

    if (*at == '\0')
        return g_time_zone_new_local();
    if (strcmp(at, "Z") == 0)
        return g_time_zone_new_utc();
    if (!take_char(&at, "+-") || (unsigned)take_digits(&at, 2) > 14)
        return NULL;
    if (*at != '\0') {
        take_char(&at, ":");
        if ((unsigned)take_digits(&at, 2) > 59 || *at != '\0')
            return NULL;
    }
    return g_time_zone_new(begin); /* what it does not know becomes UTC: all is checked above */
}

bool units_parse_date(const char *text, int64_t *unix_ms, GError **error)
{
    const char *at = text;
    int year, month, day, hour, minute, second = 0;
    g_autoptr(GTimeZone) zone = NULL;
    g_autoptr(GDateTime) date = NULL;

    if ((year = take_digits(&at, 4)) > 0 && take_char(&at, "-") &&
        (month = take_digits(&at, 2)) > 0 && take_char(&at, "-") &&
        (day = take_digits(&at, 2)) > 0 && take_char(&at, "T ") &&
        (hour = take_digits(&at, 2)) >= 0 && take_char(&at, ":") &&
        (minute = take_digits(&at, 2)) >= 0 &&
        (!take_char(&at, ":") || (second = take_digits(&at, 2)) >= 0) &&
        (zone = take_zone(at)) != NULL)
        date = g_date_time_new(zone, year, month, day, hour, minute, second);
    if (date == NULL)
        return fail(error, ZX_ERROR_USAGE,
                    "'%s' is not a time; write it like 2026-03-01T22:00+01:00, or "
                    "2026-03-01T22:00 for local time",
                    text);
    *unix_ms = g_date_time_to_unix(date) * 1000;
    return true;
}

bool units_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *out, GError **error)
{
    guint64 value;
    GError *problem = NULL;

    if (*text == '\0' || strspn(text, "0123456789") != strlen(text))
        return fail(error, ZX_ERROR_USAGE,
                    "'%s' is not a whole number from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT,
                    text, min, max);
    if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &value, &problem)) {
        g_error_free(problem);
        return fail(error, ZX_ERROR_USAGE, "%s is above %" G_GUINT64_FORMAT, text, max);
    }
    if (value < min)
        return fail(error, ZX_ERROR_USAGE, "%s is below %" G_GUINT64_FORMAT, text, min);
    if (value > max)
        return fail(error, ZX_ERROR_USAGE, "%s is above %" G_GUINT64_FORMAT, text, max);
    *out = value;
    return true;
}

bool units_parse_bool(const char *text, bool *out, GError **error)
{
    static const char *const words[] = { "false", "true", "no", "yes", "0", "1" };
    static const char *const full[] = { "true", "false", NULL };
    const char *near;

    for (unsigned i = 0; i < G_N_ELEMENTS(words); i++) {
        if (g_ascii_strcasecmp(text, words[i]) == 0) {
            *out = i % 2 == 1;
            return true;
        }
    }
    near = units_nearest(text, full);
    return fail(error, ZX_ERROR_USAGE, "'%s' is neither true nor false%s%s%s", text,
                near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                near != NULL ? "?" : "");
}

char *units_format_size(uint64_t bytes)
{
    static const char names[] = "KMGTPE";
    double value = (double)bytes;
    int unit = -1;

    if (bytes < 1024)
        return g_strdup_printf("%u B", (unsigned)bytes);
    for (; value >= 1023.95 && unit < (int)strlen(names) - 1; unit++)
        value /= 1024;
    return g_strdup_printf("%.1f %cB", value, names[MAX(unit, 0)]);
}

char *units_format_time(double ms)
{
    uint64_t s = (uint64_t)(ms / 1000 + 0.5);

    if (ms < 999.5)
        return g_strdup_printf("%.0f ms", MAX(ms, 0));
    if (ms < 9950)
        return g_strdup_printf("%.1f s", ms / 1000);
    if (s < 60)
        return g_strdup_printf("%u s", (unsigned)s);
    if (s < 3600)
        return g_strdup_printf("%um%02us", (unsigned)(s / 60), (unsigned)(s % 60));
    if (s < 86400)
        return g_strdup_printf("%uh%02um", (unsigned)(s / 3600), (unsigned)(s / 60 % 60));
    return g_strdup_printf("%" G_GUINT64_FORMAT "d%02uh", s / 86400, (unsigned)(s / 3600 % 24));
}

char *units_format_date(int64_t unix_ms)
{
    g_autoptr(GDateTime) date = g_date_time_new_from_unix_local(unix_ms / 1000);

    return g_date_time_format(date, "%F %T %z");
}

char *units_format_iso(int64_t unix_ms)
{
    g_autoptr(GDateTime) time = NULL;

    if (unix_ms == 0)
        return NULL;
    time = g_date_time_new_from_unix_local(unix_ms / 1000);
    return time != NULL ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%S%:z") : NULL;
}

char *units_format_count(uint64_t n)
{
    GString *text = g_string_new(NULL);

    g_string_printf(text, "%" G_GUINT64_FORMAT, n);
    for (gssize at = (gssize)text->len - 3; at > 0; at -= 3)
        g_string_insert_c(text, at, ',');
    return g_string_free(text, FALSE);
}

/* Edits (insert, delete, replace, swap of two neighbours) between two short words. */
static unsigned distance(const char *a, const char *b)
{
    enum { LONGEST = 63 };
    unsigned rows[3][LONGEST + 1];
    size_t la = strlen(a), lb = strlen(b);

    if (la > LONGEST || lb > LONGEST)
        return G_MAXUINT;
    for (unsigned j = 0; j <= lb; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= la; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];

        row[0] = i;
        for (unsigned j = 1; j <= lb; j++) {
            bool same = g_ascii_tolower(a[i - 1]) == g_ascii_tolower(b[j - 1]);

            row[j] = MIN(MIN(row[j - 1], above[j]) + 1, above[j - 1] + (same ? 0 : 1));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = MIN(row[j], above2[j - 2] + 1);
        }
    }
    return rows[la % 3][lb];
}

const char *units_nearest(const char *word, const char *const *names)
{
    const char *best = NULL;
    unsigned best_distance = (unsigned)MIN(strlen(word) / 3 + 2, 4);

    for (; *names != NULL; names++) {
        unsigned edits = distance(word, *names);

        /* What the word is the beginning of is nearer than any misspelling of as many letters. */
        if (edits > 1 && strlen(word) >= 3 && g_ascii_strncasecmp(*names, word, strlen(word)) == 0)
            edits = 1;
        /* Where half of the letters are others, it was not meant. */
        if (edits < best_distance && edits * 2 < strlen(*names)) {
            best = *names;
            best_distance = edits;
        }
    }
    return best;
}
