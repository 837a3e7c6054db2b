/* maxima.c - what a mailbox showed at one moment (rows_maxima), to see later whether it was written
 * to. */
#include "core/move/move.h"
#include <stdio.h>

bool maxima_equal(const RowsMaxima *a, const RowsMaxima *b)
{
    return a->item_id == b->item_id && a->change == b->change &&
           a->mod_metadata == b->mod_metadata && a->items == b->items && a->locators == b->locators;
}

char *maxima_text(const RowsMaxima *maxima)
{
    return g_strdup_printf("%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
                           " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT,
                           maxima->item_id, maxima->change, maxima->mod_metadata, maxima->items,
                           maxima->locators);
}

bool maxima_parse(const char *text, RowsMaxima *out)
{
    RowsMaxima read = { 0 };

    if (text == NULL ||
        sscanf(text,
               "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
               " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT,
               &read.item_id, &read.change, &read.mod_metadata, &read.items, &read.locators) != 5)
        return false;
    *out = read;
    return true;
}
