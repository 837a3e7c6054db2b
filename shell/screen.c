/* screen.c - see progress.h. The cursor rests at the beginning of the last line of ours: there it
 * stays when the terminal breaks lines anew, so that the rows above it can be counted. Each drawing
 * is one write, over what stood there, so that nothing flickers. */
#include "shell/progress.h"

void screen_open(Screen *screen, FILE *out)
{
    *screen = (Screen){ .out = out, .widths = g_array_new(FALSE, FALSE, sizeof(int)) };
}

void screen_close(Screen *screen)
{
    g_array_unref(screen->widths);
}

/* Rows that line @i of ours takes on a terminal of @columns, which has broken what does not fit any
 * more. */
static int rows_of(const Screen *screen, guint i, int columns)
{
    return MAX((g_array_index(screen->widths, int, i) + columns - 1) / columns, 1);
}

/* To where the first of our lines begins. */
static void append_home(GString *out, const Screen *screen, int columns)
{
    int rows = 0;

    for (guint i = 0; i + 1 < screen->widths->len; i++)
        rows += rows_of(screen, i, columns);
    g_string_append_c(out, '\r');
    if (rows > 0)
        g_string_append_printf(out, "\033[%dA", rows);
}

/* The same, and every row of ours empty. Row by row, for a terminal that is told at its first row
 * to clear all below saves what was there among the lines that one can scroll back to. */
static void append_clear(GString *out, const Screen *screen, int columns)
{
    int rows = 0;

    append_home(out, screen, columns);
    for (guint i = 0; i < screen->widths->len; i++)
        rows += rows_of(screen, i, columns);
    for (int i = 0; i < rows; i++)
        g_string_append(out, i > 0 ? "\n\033[K" : "\033[K");
    if (rows > 1)
        g_string_append_printf(out, "\033[%dA", rows - 1);
}

static void put(const Screen *screen, const GString *out)
{
    fwrite(out->str, 1, out->len, screen->out);
    fflush(screen->out);
}

/* The columns of a line of ours: its colour codes take none. */
static int width_of(const char *line)
{
    GString *bare = g_string_new(NULL);
    int width;

    for (; *line != '\0'; line++) {
        if (*line == '\033')
            while (*line != 'm' && line[1] != '\0')
                line++;
        else
            g_string_append_c(bare, *line);
    }
    width = columns_of(bare->str);
    g_string_free(bare, TRUE);
    return width;
}

void screen_draw(Screen *screen, const GPtrArray *lines, int columns)
{
    g_autoptr(GString) out = g_string_new(NULL);

    if (columns != screen->columns)
        append_clear(out, screen, columns);
    else
        append_home(out, screen, columns);
    g_array_set_size(screen->widths, 0);
    for (guint i = 0; i < lines->len; i++) {
        const char *line = g_ptr_array_index(lines, i);
        int width = width_of(line);

        g_string_append_printf(out, "%s%s\033[K", i > 0 ? "\n" : "", line);
        g_array_append_val(screen->widths, width);
    }
    g_string_append(out, "\033[J\r");
    screen->columns = columns;
    put(screen, out);
}

void screen_erase(Screen *screen, int columns)
{
    g_autoptr(GString) out = g_string_new(NULL);

    if (screen->widths->len == 0)
        return;
    append_clear(out, screen, columns);
    g_array_set_size(screen->widths, 0);
    put(screen, out);
}
