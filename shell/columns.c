/* columns.c - see progress.h. Invalid bytes count as one column each, which is how terminals show
 * them. */
#include "shell/progress.h"
#include <string.h>

/* The character at @at, its columns, and where the next begins. */
static const char *step(const char *at, int *columns)
{
    gunichar c = g_utf8_get_char_validated(at, -1);

    if (c >= (gunichar)-2) {
        *columns = 1;
        return at + 1;
    }
    *columns = g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
    return at + g_unichar_to_utf8(c, NULL);
}

int columns_of(const char *text)
{
    int all = 0, one;

    while (*text != '\0') {
        text = step(text, &one);
        all += one;
    }
    return all;
}

char *columns_cut(const char *text, int columns)
{
    static const char dots[] = "...";
    int mark = columns > 6 ? (int)strlen(dots) : 0, all = 0, one;
    const char *at = text, *end = text;

    while (*at != '\0') {
        const char *next = step(at, &one);

        all += one;
        if (all > columns)
            return g_strdup_printf("%.*s%s", (int)(end - text), text, mark > 0 ? dots : "");
        if (all <= columns - mark)
            end = next;
        at = next;
    }
    return g_strdup(text);
}

char *columns_ascii(const char *text)
{
    GString *out = g_string_new(NULL);
    int one;

    while (*text != '\0') {
        const char *next = step(text, &one);

        if (one > 0)
            g_string_append_c(out, (unsigned char)*text < 0x80 ? *text : '?');
        text = next;
    }
    return g_string_free(out, FALSE);
}
