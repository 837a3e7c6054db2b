/* meter.c - see progress.h. The operation and its mailboxes are the rows of one table, so that what
 * belongs together stands in one column; a narrow terminal loses whole columns, the least telling
 * first, before anything is cut. */
#include "conf/units.h"
#include "shell/progress.h"
#include <string.h>

typedef enum Column { MARK, WHO, STATE, BAR, SHARE, BYTES, ITEMS, RATE, LEFT, COLUMNS } Column;

typedef enum Ink { INK_NONE, INK_BOLD, INK_BAD, INK_CAUSE } Ink;

typedef struct Row {
    char *text[COLUMNS]; /* NULL: empty; the bar's is made last */
    double share;        /* for the bar; negative: none */
    Ink ink;
} Row;

#define GAP         2
#define BAR_LEAST   8
#define BAR_LONGEST 24

/* Of what is there whenever there are bytes. */
static const int usual[COLUMNS] = {
    [STATE] = 12, [BAR] = BAR_LEAST, [SHARE] = 6, [RATE] = 10, [LEFT] = 9,
};

/* What a table that is too wide gives up, in this order; 0: the whole column. */
static const struct {
    Column column;
    int least;
} savings[] = {
    { ITEMS, 0 }, { WHO, 32 },   { STATE, 40 }, { BYTES, 0 }, { MARK, 0 },
    { WHO, 24 },  { STATE, 24 }, { RATE, 0 },   { WHO, 16 },  { STATE, 20 },
    { BAR, 0 },   { LEFT, 0 },   { STATE, 8 },  { WHO, 8 },   { SHARE, 0 },
};

static bool right_aligned(Column column)
{
    return column == SHARE || column == BYTES || column == RATE;
}

static void row_free(void *data)
{
    Row *row = data;

    for (int i = 0; i < COLUMNS; i++)
        g_free(row->text[i]);
    g_free(row);
}

/* "198.5 of 412.6 GB": the unit once if it is the same. */
static char *bytes_text(uint64_t done, uint64_t expected)
{
    g_autofree char *here = units_format_size(MIN(done, expected));
    g_autofree char *there = units_format_size(expected);
    const char *unit = strrchr(here, ' ');

    if (expected == 0)
        return NULL;
    if (strcmp(unit, strrchr(there, ' ')) == 0)
        return g_strdup_printf("%.*s/%s", (int)(unit - here), here, there);
    return g_strdup_printf("%s/%s", here, there);
}

static char *share_text(double share)
{
    return share >= 0 ? g_strdup_printf("%.1f%%", share * 100) : NULL;
}

static char *rate_text(const Rate *rate, int64_t now)
{
    double bytes = rate_now(rate, now);
    g_autofree char *size = bytes >= 0 ? units_format_size((uint64_t)bytes) : NULL;

    return size != NULL ? g_strconcat(size, "/s", NULL) : NULL;
}

static char *left_text(double seconds)
{
    g_autofree char *time = units_format_time(seconds * 1000);

    if (seconds < 0)
        return NULL;
    if (seconds < 10) /* tenths would only flicker */
        return g_strdup_printf("ETA %.0f s", MAX(seconds, 1));
    return g_strconcat("ETA ", time, NULL);
}

static Row *operation_row(const Flight *flight, int64_t now)
{
    Row *row = g_new0(Row, 1);
    double share = flight_share(flight);
    g_autofree char *of =
        flight->mailboxes > 0 ? g_strdup_printf("/%u", flight->mailboxes) : g_strdup("");

    /* Without sizes the mailboxes are what can be counted. */
    row->share = share >= 0              ? share
                 : flight->mailboxes > 1 ? (double)flight->done / flight->mailboxes
                                         : -1;
    row->ink = flight->failed > 0 ? INK_BAD : INK_BOLD;
    row->text[MARK] = g_strndup(flight->operation != NULL ? flight->operation : "", 8);
    row->text[WHO] = g_strdup_printf("%u%s done", flight->done, of);
    if (flight->failed > 0)
        row->text[STATE] =
            g_strdup_printf("%u failed%s", flight->failed, flight->stopping ? ", stopping" : "");
    else
        row->text[STATE] = g_strdup(flight->stopping ? "stopping" : "running");
    row->text[SHARE] = share_text(row->share);
    row->text[BYTES] = bytes_text((uint64_t)(MAX(share, 0) * (double)flight->size), flight->size);
    row->text[RATE] = rate_text(&flight->rate, now);
    row->text[LEFT] = left_text(flight_left(flight, now));
    return row;
}

static char *state_text(const FlightMailbox *mailbox)
{
    const char *state = mailbox->state != NULL ? mailbox->state : "copy";

    if (mailbox->cause != NULL)
        return g_strdup_printf("%s, %s", state, mailbox->cause);
    if (mailbox->held_up != NULL)
        return g_strdup(mailbox->held_up);
    if (mailbox->part != NULL)
        /* Which table says little, and every name is of another length. */
        return g_strdup_printf("%s %s", state,
                               strcmp(mailbox->part, "blobs") == 0 ? "blobs" : "rows");
    return g_strdup(state);
}

static char *items_text(const FlightMailbox *mailbox)
{
    g_autofree char *done = units_format_count(mailbox->items);
    g_autofree char *expected = units_format_count(mailbox->items_expected);

    if (mailbox->items_expected > 0)
        return g_strdup_printf("%s/%s", done, expected);
    return mailbox->items > 0 ? g_strdup(done) : NULL;
}

static Row *mailbox_row(const Flight *flight, const FlightMailbox *mailbox, int64_t now)
{
    Row *row = g_new0(Row, 1);

    row->share = flight_mailbox_share(mailbox);
    row->ink = mailbox->cause != NULL || mailbox->held_up != NULL ? INK_CAUSE : INK_NONE;
    if (flight->mailboxes > 1)
        row->text[MARK] = g_strdup_printf("[%u/%u]", mailbox->index, flight->mailboxes);
    row->text[WHO] = g_strdup(mailbox->account);
    row->text[STATE] = state_text(mailbox);
    row->text[SHARE] = share_text(row->share);
    row->text[BYTES] = bytes_text(mailbox->bytes, mailbox->bytes_expected);
    row->text[ITEMS] = items_text(mailbox);
    row->text[RATE] = mailbox->in_bytes ? rate_text(&mailbox->rate, now) : NULL;
    row->text[LEFT] = left_text(flight_mailbox_left(mailbox, now));
    return row;
}

/* Of a single mailbox its own line says it all, but not that a stop was asked for. */
static bool worth_a_line(const Flight *flight)
{
    return flight->mailboxes != 1 || flight->stopping || flight->aloft->len == 0;
}

static GPtrArray *make_rows(const Flight *flight, guint most, int64_t now)
{
    GPtrArray *rows = g_ptr_array_new_with_free_func(row_free);

    if (flight->operation == NULL)
        return rows;
    if (worth_a_line(flight))
        g_ptr_array_add(rows, operation_row(flight, now));
    for (guint i = 0; i < flight->aloft->len && i < most; i++)
        g_ptr_array_add(rows, mailbox_row(flight, g_ptr_array_index(flight->aloft, i), now));
    return rows;
}

static int total_width(const int widths[COLUMNS])
{
    int all = -GAP;

    for (int i = 0; i < COLUMNS; i++)
        all += widths[i] > 0 ? widths[i] + GAP : 0;
    return all;
}

static void measure(const GPtrArray *rows, int widths[COLUMNS])
{
    for (guint r = 0; r < rows->len; r++) {
        const Row *row = g_ptr_array_index(rows, r);

        for (int i = 0; i < COLUMNS; i++)
            if (row->text[i] != NULL)
                widths[i] = MAX(widths[i], columns_of(row->text[i]));
        if (row->share >= 0)
            widths[BAR] = BAR_LEAST;
    }
    /* What comes and goes has its place, so that the rest stands still. */
    for (int i = 0; i < COLUMNS && widths[BYTES] > 0; i++)
        widths[i] = MAX(widths[i], usual[i]);
}

/* Takes from @widths what is too much for @columns; gives the bar what is left. */
static void fit(int widths[COLUMNS], int columns)
{
    for (size_t i = 0; i < G_N_ELEMENTS(savings); i++) {
        int over = total_width(widths) - columns, *width = &widths[savings[i].column];

        if (over <= 0)
            break;
        if (savings[i].least == 0)
            *width = 0;
        else if (*width > savings[i].least)
            *width = MAX(*width - over, savings[i].least);
    }
    if (widths[BAR] > 0)
        widths[BAR] = CLAMP(widths[BAR] + columns - total_width(widths), BAR_LEAST, BAR_LONGEST);
}

/* Eighths of a column where there are such characters. */
static void append_bar(GString *out, double share, int width, bool utf8)
{
    static const char *const eighths[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
    int filled, column = 0;

    if (!utf8) {
        filled = (int)(share * (width - 2));
        g_string_append_c(out, '[');
        for (; column < width - 2; column++)
            g_string_append_c(out, column < filled ? '#' : '-');
        g_string_append_c(out, ']');
        return;
    }
    filled = (int)(share * width * 8);
    for (; column < filled / 8; column++)
        g_string_append(out, "█");
    if (filled % 8 != 0) {
        g_string_append(out, eighths[filled % 8]);
        column++;
    }
    for (; column < width; column++)
        g_string_append(out, "░");
}

static void append_cell(GString *out, const char *text, int width, bool right)
{
    g_autofree char *cut = columns_cut(text, width);
    int pad = MAX(width - columns_of(cut), 0);

    g_string_append_printf(out, "%*s%s%*s", right ? pad : 0, "", cut, right ? 0 : pad, "");
}

static const char *ink_code(Ink ink)
{
    switch (ink) {
    case INK_BOLD:
        return "\033[1m";
    case INK_BAD:
        return "\033[1;31m";
    case INK_CAUSE:
        return "\033[33m";
    case INK_NONE:
        break;
    }
    return "";
}

static bool inked(const Row *row, Column column)
{
    return row->ink != INK_NONE && column == (row->ink == INK_BOLD ? WHO : STATE);
}

static char *row_line(const Row *row, const int widths[COLUMNS], const Look *look)
{
    GString *out = g_string_new(NULL);

    for (int i = 0; i < COLUMNS; i++) {
        const char *text = row->text[i];
        g_autofree char *ascii = text != NULL && !look->utf8 ? columns_ascii(text) : NULL;
        bool ink = look->colour && inked(row, i) && text != NULL;

        if (widths[i] == 0)
            continue;
        if (out->len > 0)
            g_string_append_printf(out, "%*s", GAP, "");
        g_string_append(out, ink ? ink_code(row->ink) : "");
        if (i == BAR && row->share >= 0)
            append_bar(out, row->share, widths[i], look->utf8);
        else
            append_cell(out,
                        ascii != NULL  ? ascii
                        : text != NULL ? text
                                       : "",
                        widths[i], right_aligned(i));
        g_string_append(out, ink ? "\033[0m" : "");
    }
    return g_strchomp(g_string_free(out, FALSE));
}

GPtrArray *meter_lines(const Flight *flight, const Look *look, int64_t now)
{
    /* One row stays free for what is typed, one is the operation's, and one tells of the rest. */
    guint most = (guint)MAX(look->rows - 3, 1);
    g_autoptr(GPtrArray) rows = make_rows(flight, most, now);
    GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
    int widths[COLUMNS] = { 0 };

    measure(rows, widths);
    fit(widths, look->columns - 1);
    for (guint i = 0; i < rows->len; i++)
        g_ptr_array_add(lines, row_line(g_ptr_array_index(rows, i), widths, look));
    if (flight->aloft != NULL && flight->aloft->len > most)
        g_ptr_array_add(lines, g_strdup_printf("and %u more in flight", flight->aloft->len - most));
    return lines;
}

GPtrArray *meter_plain(const Flight *flight, int64_t now)
{
    g_autoptr(GPtrArray) rows = make_rows(flight, G_MAXUINT, now);
    GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);

    for (guint r = 0; r < rows->len; r++) {
        const Row *row = g_ptr_array_index(rows, r);
        GString *line = g_string_new(NULL);

        for (int i = 0; i < COLUMNS; i++)
            if (row->text[i] != NULL)
                g_string_append_printf(line, "%s%s", line->len > 0 ? "  " : "", row->text[i]);
        g_ptr_array_add(lines, g_string_free(line, FALSE));
    }
    return lines;
}
