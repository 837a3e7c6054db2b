/* list.c - candidates as a table for a terminal: see completion.h. With meanings as long as they
 * all fit, then without, so that more names are seen. */
#include "completion/completion.h"
#include <string.h>

enum { GAP = 2, MEANING_MIN = 12 };

typedef struct Layout {
    unsigned rows, columns;
    unsigned name, meaning; /* widths; meaning 0: none is shown */
} Layout;

static unsigned width_of_char(gunichar c)
{
    return g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
}

static unsigned width_of(const char *text)
{
    unsigned width = 0;

    for (; *text != '\0'; text += g_utf8_skip[(guchar)*text])
        width += width_of_char(g_utf8_get_char(text));
    return width;
}

/* @text in exactly @width columns, or as many as it takes if @width is more; a longer one ends in
 * two dots. */
static void append_cell(GString *out, const char *text, unsigned width, bool pad)
{
    bool cut = width_of(text) > width;
    unsigned room = cut ? width - MIN(width, 2) : width, used = 0;

    for (const char *c = text; *c != '\0'; c += g_utf8_skip[(guchar)*c]) {
        gunichar letter = g_utf8_get_char(c);

        if (used + width_of_char(letter) > room)
            break;
        used += width_of_char(letter);
        g_string_append_unichar(out, letter);
    }
    if (cut) {
        g_string_append(out, "..");
        used += 2;
    }
    if (pad)
        g_string_append_printf(out, "%*s", (int)(width - MIN(width, used)), "");
}

static const char *shown(const GPtrArray *candidates, guint i)
{
    const Candidate *candidate = g_ptr_array_index(candidates, i);

    return candidate->text + candidate->shown;
}

static Layout lay_out(const GPtrArray *candidates, unsigned width, unsigned most_rows)
{
    Layout layout = { 0 };
    unsigned longest = 0, columns;

    for (guint i = 0; i < candidates->len; i++) {
        const Candidate *candidate = g_ptr_array_index(candidates, i);

        layout.name = MAX(layout.name, width_of(shown(candidates, i)));
        if (candidate->meaning != NULL)
            longest = MAX(longest, width_of(candidate->meaning));
    }
    layout.name = MIN(layout.name, width);
    layout.columns = 1;
    if (longest > 0 && layout.name + GAP + MEANING_MIN <= width)
        layout.meaning = MIN(longest, width - layout.name - GAP);
    if (candidates->len > most_rows) {
        /* As many columns as are needed, with what meanings then still have room for. */
        columns = (candidates->len + most_rows - 1) / most_rows;
        if (layout.meaning > 0 &&
            (layout.name + GAP + MIN(longest, MEANING_MIN) + GAP) * columns <= width + GAP) {
            layout.columns = columns;
            layout.meaning = MIN(longest, (width + GAP) / columns - layout.name - 2 * GAP);
        } else {
            layout.columns = MAX(1, (width + GAP) / (layout.name + GAP));
            layout.meaning = 0;
        }
    }
    layout.rows = MIN(most_rows, (candidates->len + layout.columns - 1) / layout.columns);
    return layout;
}

char *complete_list(const GPtrArray *candidates, unsigned width, unsigned height)
{
    GString *out = g_string_new(NULL);
    unsigned most_rows = MAX(height / 2, 3) - 1; /* one is kept for the count of the rest */
    Layout layout;
    unsigned listed;

    if (candidates->len == most_rows + 1)
        most_rows++; /* nothing would be left to count */
    layout = lay_out(candidates, MAX(width, 20) - 1, most_rows); /* the last column wraps */
    listed = MIN(candidates->len, layout.rows * layout.columns);
    for (unsigned row = 0; row < layout.rows; row++) {
        for (unsigned i = row; i < listed; i += layout.rows) {
            const Candidate *candidate = g_ptr_array_index(candidates, i);
            const char *meaning = layout.meaning > 0 ? candidate->meaning : NULL;
            bool last = i + layout.rows >= listed;

            append_cell(out, shown(candidates, i), layout.name, meaning != NULL || !last);
            if (meaning != NULL)
                g_string_append_printf(out, "%*s", GAP, "");
            if (layout.meaning > 0 && (meaning != NULL || !last))
                append_cell(out, meaning != NULL ? meaning : "",
                            layout.meaning + (meaning != NULL ? 0 : GAP), !last);
            if (!last)
                g_string_append_printf(out, "%*s", GAP, "");
        }
        g_string_append_c(out, '\n');
    }
    if (listed < candidates->len)
        g_string_append_printf(out, "... and %u more\n", candidates->len - listed);
    return g_string_free(out, FALSE);
}
