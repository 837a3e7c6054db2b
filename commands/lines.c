/* lines.c - an operation as lines on a terminal: one for each mailbox, and the summary. */
#include "commands/report.h"
#include "conf/units.h"
#include <string.h>

/* Where lines of more than one thing are broken, so that they fit most terminals. */
#define LINE_WIDTH 96
/* Shorter addresses are padded: what follows stands in columns. */
#define ADDRESS_WIDTH 16

/* Adds the words of @text with a line break where @separator allows one and the line is full. */
static void append_wrapped(GString *out, const char *text, const char *separator, int indent)
{
    g_auto(GStrv) parts = g_strsplit(text, separator, -1);
    const char *begin = strrchr(out->str, '\n');
    glong column = g_utf8_strlen(begin != NULL ? begin + 1 : out->str, -1);

    for (char **part = parts; *part != NULL; part++) {
        glong length = g_utf8_strlen(*part, -1);

        if (part != parts) {
            g_string_append_len(out, separator,
                                (gssize)strlen(separator) - 1); /* its space may go */
            if (column + length + 2 > LINE_WIDTH) {
                g_string_append_printf(out, "\n%*s", indent, "");
                column = indent;
            } else {
                g_string_append_c(out, ' ');
                column += (glong)strlen(separator);
            }
        }
        g_string_append(out, *part);
        column += length;
    }
    g_string_append_c(out, '\n');
}

static void append_padded(GString *out, const char *text, glong width)
{
    g_string_append_printf(out, "%s%*s", text, (int)MAX(width - g_utf8_strlen(text, -1), 0), "");
}

static void append_sizes(GString *out, const MailboxResult *mailbox)
{
    g_autofree char *rows = units_format_count(mailbox->rows);
    g_autofree char *blobs = units_format_count(mailbox->blobs);
    g_autofree char *bytes = units_format_size(mailbox->bytes);
    g_autofree char *copied = units_format_size(mailbox->bytes_copied);
    g_autofree char *files = units_format_count(mailbox->backup_files);
    g_autofree char *backup = units_format_size(mailbox->backup_bytes);

    g_string_append_printf(out, "  %s row%s, %s blob%s, %s", rows, mailbox->rows == 1 ? "" : "s",
                           blobs, mailbox->blobs == 1 ? "" : "s", bytes);
    if (strcmp(copied, bytes) != 0)
        g_string_append_printf(out, " (%s new)", mailbox->bytes_copied == 0 ? "nothing" : copied);
    if (mailbox->backup_files > 0)
        g_string_append_printf(out, ", backup %s file%s, %s", files,
                               mailbox->backup_files == 1 ? "" : "s", backup);
}

static void append_steps(GString *out, const MailboxResult *mailbox)
{
    enum { INDENT = 8 };
    g_autofree char *rows = units_format_count(mailbox->rows_window);
    g_autoptr(GString) steps = g_string_new(NULL);

    for (guint i = 0; i < mailbox->window_steps->len; i++) {
        const StepTime *step = &g_array_index(mailbox->window_steps, StepTime, i);

        g_string_append_printf(steps, "%s%s %.1f", i > 0 ? "; " : "", step->name, step->ms);
    }
    g_string_append_printf(out, "%*swindow %.1f ms, %s row%s changed in it: ", INDENT, "",
                           mailbox->window_ms, rows, mailbox->rows_window == 1 ? "" : "s");
    append_wrapped(out, steps->str, "; ", INDENT);
}

/* Its day is enough beside the address; the report has the second. */
static char *day_of(int64_t ms)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(ms / 1000);

    return ms != 0 ? g_date_time_format(time, "%Y-%m-%d") : g_strdup("at an unknown time");
}

static void append_purged(GString *out, const MailboxResult *mailbox)
{
    g_autofree char *freed = units_format_size(mailbox->bytes_freed);
    g_autofree char *day = day_of(mailbox->committed);

    g_string_append_printf(out, "  mailbox %u", mailbox->source_mailbox);
    if (mailbox->outcome != OUTCOME_KEPT)
        g_string_append_printf(out, ", %s", freed);
    if (mailbox->destination == NULL || *mailbox->destination == '\0')
        g_string_append_printf(out, "  on %s", mailbox->source);
    else
        g_string_append_printf(out, "  %s -> %s %s", mailbox->source, mailbox->destination, day);
}

/* How many mailboxes of one kind, or items of a mailbox, are named on the terminal: there may be
 * thousands. */
#define SHOWN 20

static void append_bad_items(GString *out, const MailboxResult *mailbox)
{
    guint count = mailbox->bad_items != NULL ? mailbox->bad_items->len : 0;

    for (guint i = 0; i < MIN(count, SHOWN); i++) {
        g_autofree char *line =
            report_bad_item(mailbox, g_ptr_array_index(mailbox->bad_items, i));

        g_string_append_printf(out, "        %s\n", line);
    }
    if (count > SHOWN)
        g_string_append_printf(out, "        and %u more items, all of them in the report\n",
                               count - SHOWN);
}

char *report_mailbox(const MailboxResult *mailbox, unsigned index, unsigned total, bool detailed)
{
    GString *out = g_string_new(NULL);
    /* Of a purge; its dry run explains without a reason, a recovery always gives one. */
    bool would = mailbox->outcome == OUTCOME_EXPLAINED && mailbox->reason == NULL;
    bool purge = mailbox->outcome == OUTCOME_PURGED || mailbox->outcome == OUTCOME_KEPT || would;
    bool moved = mailbox->outcome == OUTCOME_MOVED || mailbox->outcome == OUTCOME_STAGED;
    const char *outcome = would ? "would be purged" : mailbox_outcome(mailbox->outcome);

    if (total > 0)
        g_string_append_printf(out, "[%u/%u] ", index, total);
    append_padded(out, mailbox->address, ADDRESS_WIDTH);
    g_string_append(out, "  ");
    append_padded(out, outcome, moved || purge ? 6 : 0); /* "staged", "purged" */
    if (mailbox->window_ms > 0) {
        g_autofree char *window = units_format_time(mailbox->window_ms);

        g_string_append_printf(out, "  locked %6s", window);
    }
    if (moved)
        append_sizes(out, mailbox);
    if (purge)
        append_purged(out, mailbox);
    plan_mailbox_line(out, mailbox);
    if (mailbox->reason != NULL)
        g_string_append_printf(out, ": %s", mailbox->reason);
    g_string_append_c(out, '\n');
    if (detailed && mailbox->window_ms > 0 && mailbox->window_steps != NULL)
        append_steps(out, mailbox);
    for (guint i = 0; mailbox->notes != NULL && i < mailbox->notes->len; i++)
        g_string_append_printf(out, "        note: %s\n",
                               (const char *)g_ptr_array_index(mailbox->notes, i));
    append_bad_items(out, mailbox);
    return g_string_free(out, FALSE);
}

/* What stands before the lines of the summary. */
#define LABEL_WIDTH 11

static void append_label(GString *out, const char *label)
{
    append_padded(out, label, LABEL_WIDTH);
}

/* An account without a mailbox leaves none behind. */
static unsigned copies_kept(const Report *report)
{
    unsigned count = 0;

    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);

        count += mailbox->outcome == OUTCOME_MOVED && mailbox->source_mailbox != 0;
    }
    return count;
}

static void append_retention(GString *out, const Report *report, const ReportText *text)
{
    unsigned copies = copies_kept(report);
    g_autofree char *day = report_day_after(report->ended, text->retention_days);
    g_autofree char *kept = NULL;
    const MailboxResult *only =
        report->mailboxes->len == 1 ? g_ptr_array_index(report->mailboxes, 0) : NULL;

    if (copies == 0)
        return;
    kept =
        g_strdup_printf("kept until %s; remove now with: doPurgeMailboxes %s ignore_retention true",
                        day, only != NULL ? only->address : "all");
    append_label(out, copies == 1 ? "old copy" : "old copies");
    append_wrapped(out, kept, "; ", LABEL_WIDTH);
}

static void append_done(GString *out, const Report *report, const ReportText *text,
                        const Totals *totals)
{
    g_autofree char *word = g_ascii_strdown(report_word(report, text), -1);
    g_autofree char *counts = report_counts(totals, text);
    g_autofree char *size = units_format_size(text->purge ? totals->bytes_freed : totals->bytes);
    g_autofree char *took = units_format_time((double)(report->ended - report->started));

    if (strcmp(word, "purged") == 0)
        memcpy(word, "done", 5);
    g_string_append_printf(out, "%-9s  %s", word, counts);
    if (report->mailboxes->len == totals->skipped)
        g_string_append(out, text->purge     ? "   nothing to purge"
                             : text->recover ? "   nothing to recover"
                                             : "   nothing to move");
    else if (text->purge && text->dry_run)
        g_string_append_printf(out, "   %s to be freed", size);
    else if (!text->recover && !text->plan)
        g_string_append_printf(out, "   %s %sin %s", size, text->purge ? "freed " : "", took);
    g_string_append_c(out, '\n');
}

/* Of one mailbox its own line has said it. */
static void append_locked(GString *out, const Report *report, const Totals *totals)
{
    g_autofree char *locked = report_locked(totals);

    if (locked != NULL && report->mailboxes->len > 1)
        g_string_append_printf(out, "locked     %s\n", locked);
}

static void append_left_behind(GString *out, const Totals *totals)
{
    if (totals->bad_items > 0)
        g_string_append_printf(out, "bad items  %u could not be copied: only the old %s\n",
                               totals->bad_items,
                               totals->bad_items == 1 ? "copy may have it" : "copies may have them");
}

static void append_asleep(GString *out, const ReportText *text, const Totals *totals)
{
    g_autofree char *asleep = report_asleep(totals, text);

    if (asleep == NULL)
        return;
    append_label(out, "asleep");
    append_wrapped(out, asleep, ", ", LABEL_WIDTH);
}

/* "mail1 -> mail2" of what was moved or should have been. */
static void append_stores(GString *out, const Report *report, const ReportText *text)
{
    g_autoptr(GPtrArray) sources = g_ptr_array_new();
    g_autofree char *names = NULL;

    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);

        if (mailbox->source != NULL && mailbox->outcome != OUTCOME_SKIPPED &&
            !g_ptr_array_find_with_equal_func(sources, mailbox->source, g_str_equal, NULL))
            g_ptr_array_add(sources, mailbox->source);
    }
    if (text->destination == NULL || sources->len == 0)
        return;
    g_ptr_array_add(sources, NULL);
    names = report_selection((char **)sources->pdata);
    g_string_append_printf(out, "stores     %s -> %s\n", names, text->destination);
}

static bool is_bad(const MailboxResult *mailbox)
{
    return mailbox_is_bad(mailbox) || mailbox->unfinished;
}

static void append_more(GString *out, unsigned count, const char *what)
{
    if (count > SHOWN)
        g_string_append_printf(out, "and %u more %s, all of them in the report\n", count - SHOWN,
                               what);
}

char *report_untold(const Report *report, GHashTable *told, bool quiet)
{
    GString *out = g_string_new(NULL);
    unsigned skipped = 0, not_reached = 0;

    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);
        unsigned *count = mailbox->outcome == OUTCOME_SKIPPED       ? &skipped
                          : mailbox->outcome == OUTCOME_NOT_REACHED ? &not_reached
                                                                    : NULL;
        g_autofree char *line = NULL;

        if (g_hash_table_contains(told, mailbox) ||
            (quiet && mailbox->outcome == OUTCOME_SKIPPED) || (count != NULL && ++*count > SHOWN))
            continue;
        line = report_mailbox(mailbox, 0, 0, false);
        g_string_append(out, line);
    }
    append_more(out, skipped, "skipped");
    append_more(out, not_reached, "not reached");
    return g_string_free(out, FALSE);
}

/* A line of the summary, broken between words; lines of its own keep theirs. */
static void append_text(GString *out, const char *label, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line != NULL; line++) {
        append_label(out, line == lines ? label : "");
        append_wrapped(out, g_strstrip(*line), " ", LABEL_WIDTH);
    }
}

/* "2 already there, 1 home is mail3": the reasons with their numbers, most frequent first is the
 * order in which they came. */
static char *count_reasons(const Report *report)
{
    g_autoptr(GHashTable) counts = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) reasons = g_ptr_array_new();
    GString *out = g_string_new(NULL);

    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);
        const char *reason = mailbox->reason != NULL ? mailbox->reason : "no reason was given";
        guint count;

        if (mailbox->outcome != OUTCOME_SKIPPED)
            continue;
        count = GPOINTER_TO_UINT(g_hash_table_lookup(counts, reason));
        if (count == 0)
            g_ptr_array_add(reasons, (char *)(uintptr_t)reason); /* GPtrArray knows no const */
        g_hash_table_insert(counts, (char *)(uintptr_t)reason, GUINT_TO_POINTER(count + 1));
    }
    for (guint i = 0; i < reasons->len; i++) {
        const char *reason = g_ptr_array_index(reasons, i);

        if (reasons->len > 1)
            g_string_append_printf(out, "%s%u ", i > 0 ? ", " : "",
                                   GPOINTER_TO_UINT(g_hash_table_lookup(counts, reason)));
        g_string_append(out, reason);
    }
    return g_string_free(out, FALSE);
}

static void append_selected(GString *out, const Report *report, const ReportText *text,
                            const Totals *totals)
{
    g_autofree char *count = units_format_count(report->mailboxes->len);
    g_autofree char *reasons = text->purge ? g_strdup("not due") : count_reasons(report);
    g_autoptr(GString) line = g_string_new(NULL);

    g_string_append_printf(line, "%s %s", count,
                           text->purge ? report->mailboxes->len == 1 ? "old copy" : "old copies"
                           : report->mailboxes->len == 1 ? "account"
                                                         : "accounts");
    if (text->selection != NULL)
        g_string_append_printf(line, " (%s)", text->selection);
    if (totals->skipped > 0)
        g_string_append_printf(line, ", %u skipped: %s", totals->skipped, reasons);
    append_label(out, "selected");
    append_wrapped(out, line->str, ", ", LABEL_WIDTH);
}

static void append_stages(GString *out, const ReportText *text)
{
    if (text->stages != 0)
        g_string_append_printf(out, "stages     %s%s%s\n",
                               text->stages & STAGE_BLOBS ? "blobs" : "",
                               text->stages & STAGE_BACKUP ? " backup" : "",
                               text->stages & STAGE_ACCOUNT ? " account" : "");
}

/* Of one mailbox its own line has just said it. */
static void append_problems(GString *out, const Report *report)
{
    unsigned count = 0;

    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);
        g_autofree char *text = NULL;

        if (!is_bad(mailbox) || report->mailboxes->len == 1 || ++count > SHOWN)
            continue;
        text = g_strdup_printf("%s: %s", mailbox->address,
                               mailbox->reason != NULL ? mailbox->reason : "see its notes");
        append_text(out, mailbox->unfinished ? "unfinished" : mailbox_outcome(mailbox->outcome),
                    text);
    }
    append_more(out, count, "of these");
}

/* How many accounts a command may name before it names the operation instead. */
#define NAMED 5

/* What an interrupted move left is finished by account, or by the operation that left it: that is
 * this one, unless this one is a recovery itself. */
static void append_recover(GString *out, const Report *report, const ReportText *text)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *list = NULL;

    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);

        if (mailbox->outcome == OUTCOME_IN_DOUBT || mailbox->unfinished ||
            (text->recover && mailbox->outcome == OUTCOME_EXPLAINED))
            g_ptr_array_add(names, mailbox->address);
    }
    if (names->len == 0)
        return;
    g_ptr_array_add(names, NULL);
    list = g_strjoinv(",", (char **)names->pdata);
    if (names->len - 1 > NAMED && !text->recover)
        g_string_append_printf(out, "next       doRecover operation %s dry_run false\n",
                               report->operation);
    else
        g_string_append_printf(out, "next       doRecover accounts %s dry_run false\n", list);
}

/* The same command takes what failed and what was not reached; what is done is skipped by it. */
static void append_again(GString *out, const Report *report, const Totals *totals)
{
    if (totals->failed + totals->not_reached > 0 && report->command != NULL)
        g_string_append_printf(out, "again      %s\n", report->command);
}

static void append_mail(GString *out, const Report *report, const ReportText *text)
{
    g_autofree char *to = NULL;

    if (text->notifications == NULL)
        return;
    to = g_strjoinv(",", text->notifications);
    if (report->mail_problem != NULL) {
        g_autofree char *line = g_strdup_printf("not sent to %s: %s", to, report->mail_problem);

        append_text(out, "mail", line);
    } else {
        g_string_append_printf(out, "mail       sent to %s\n", to);
    }
}

char *report_summary(const Report *report, const ReportText *text)
{
    Totals totals = report_totals(report);
    GString *out = g_string_new(NULL);

    g_string_append_printf(out, "operation  %s  %s\n", report->operation, report->verb);
    append_stores(out, report, text);
    append_selected(out, report, text, &totals);
    append_stages(out, text);
    if (report->batch_name != NULL)
        append_text(out, "batch", report->batch_name);
    if (report->comment != NULL)
        append_text(out, "comment", report->comment);
    append_done(out, report, text, &totals);
    append_locked(out, report, &totals);
    append_left_behind(out, &totals);
    append_asleep(out, text, &totals);
    plan_summary(out, report);
    for (guint i = 0; i < report->notes->len; i++)
        append_text(out, "note", g_ptr_array_index(report->notes, i));
    append_problems(out, report);
    append_recover(out, report, text);
    append_again(out, report, &totals);
    append_retention(out, report, text);
    if (report->report_path != NULL)
        g_string_append_printf(out, "report     %s\n", report->report_path);
    if (report->mailbox_logs != NULL)
        g_string_append_printf(out, "logs       %s, one of each mailbox\n", report->mailbox_logs);
    append_mail(out, report, text);
    return g_string_free(out, FALSE);
}
