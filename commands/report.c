/* report.c - totals of an operation, its exit status, and its lines on a terminal. */
#include "commands/report.h"
#include "conf/units.h"
#include <stdlib.h>
#include <string.h>

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void count_windows(const Report *report, Totals *totals)
{
    g_autoptr(GArray) windows = g_array_new(FALSE, FALSE, sizeof(double));

    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);

        if (mailbox->window_ms <= 0)
            continue;
        g_array_append_val(windows, mailbox->window_ms);
        if (mailbox->window_ms > totals->window_longest) {
            totals->window_longest = mailbox->window_ms;
            totals->longest_address = mailbox->address;
        }
    }
    if (windows->len == 0)
        return;
    qsort(windows->data, windows->len, sizeof(double), compare_doubles);
    totals->window_median = g_array_index(windows, double, windows->len / 2);
}

Totals report_totals(const Report *report)
{
    Totals totals = { 0 };
    unsigned *const counters[] = {
        [OUTCOME_MOVED] = &totals.moved,       [OUTCOME_STAGED] = &totals.staged,
        [OUTCOME_SKIPPED] = &totals.skipped,   [OUTCOME_FAILED] = &totals.failed,
        [OUTCOME_IN_DOUBT] = &totals.in_doubt, [OUTCOME_PURGED] = &totals.purged,
        [OUTCOME_KEPT] = &totals.kept,         [OUTCOME_FINISHED] = &totals.finished,
        [OUTCOME_UNDONE] = &totals.undone,     [OUTCOME_EXPLAINED] = &totals.explained,
    };

    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);

        ++*counters[mailbox->outcome];
        if (mailbox->outcome == OUTCOME_MOVED || mailbox->outcome == OUTCOME_STAGED)
            totals.bytes += mailbox->bytes;
        totals.bytes_freed += mailbox->bytes_freed;
    }
    count_windows(report, &totals);
    return totals;
}

const char *report_outcome(Outcome outcome)
{
    switch (outcome) {
    case OUTCOME_MOVED:
        return "moved";
    case OUTCOME_STAGED:
        return "staged";
    case OUTCOME_SKIPPED:
        return "skipped";
    case OUTCOME_FAILED:
        return "failed";
    case OUTCOME_IN_DOUBT:
        return "in doubt";
    case OUTCOME_PURGED:
        return "purged";
    case OUTCOME_KEPT:
        return "kept";
    case OUTCOME_FINISHED:
        return "finished";
    case OUTCOME_UNDONE:
        return "undone";
    case OUTCOME_EXPLAINED:
        return "explained";
    }
    g_assert_not_reached();
}

char *report_time(int64_t ms)
{
    g_autoptr(GDateTime) time = NULL;

    if (ms == 0)
        return NULL;
    time = g_date_time_new_from_unix_local(ms / 1000);
    return time != NULL ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%S%:z") : NULL;
}

char *report_selection(char **names)
{
    guint count = names != NULL ? g_strv_length(names) : 0;

    if (count == 0)
        return g_strdup("");
    if (count <= 3)
        return g_strjoinv(",", names);
    return g_strdup_printf("%s and %u more", names[0], count - 1);
}

static bool has_code(const Report *report, ZxError code)
{
    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);
        bool undone = mailbox->outcome == OUTCOME_FAILED || mailbox->outcome == OUTCOME_SKIPPED ||
                      mailbox->outcome == OUTCOME_KEPT || mailbox->outcome == OUTCOME_IN_DOUBT;

        if (undone && mailbox->code == code)
            return true;
    }
    return false;
}

/* The status of all failures when they agree on one (75: all were locked), else 1. */
static int status_of_failures(const Report *report)
{
    int common = 0;

    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);
        int status = error_exit_status(mailbox->code);

        if (mailbox->outcome != OUTCOME_FAILED && mailbox->outcome != OUTCOME_IN_DOUBT)
            continue;
        if (common != 0 && status != common)
            return error_exit_status(ZX_ERROR_FAILED);
        common = status;
    }
    return common;
}

int report_status(const Report *report, const ReportText *text)
{
    Totals t = report_totals(report);
    unsigned bad = t.failed + t.in_doubt + t.kept;
    unsigned good = t.moved + t.staged + t.purged + t.finished + t.undone + t.explained;

    if (has_code(report, ZX_ERROR_INTERRUPTED) ||
        (text->interrupted && (bad != 0 || report->mailboxes->len == 0)))
        return error_exit_status(ZX_ERROR_INTERRUPTED);
    if (has_code(report, ZX_ERROR_STOPPED))
        return error_exit_status(ZX_ERROR_STOPPED);
    if (bad == 0)
        return 0;
    if (good == 0 && t.kept == 0)
        return status_of_failures(report);
    return error_exit_status(ZX_ERROR_PARTIAL);
}

const char *report_word(const Report *report, const ReportText *text)
{
    switch (report_status(report, text)) {
    case 0:
        return text->purge && !text->dry_run ? "PURGED" : "DONE";
    case 2:
        return "STOPPED";
    case 5:
        return "PARTIAL";
    case 130:
        return "INTERRUPTED";
    default:
        return "FAILED";
    }
}

char *report_counts(const Totals *totals, const ReportText *text)
{
    GString *out = g_string_new(NULL);

    if (text->purge)
        g_string_printf(
            out, "%u %s, %u kept, %u not due", text->dry_run ? totals->explained : totals->purged,
            text->dry_run ? "would be purged" : "purged", totals->kept, totals->skipped);
    else if (text->recover)
        g_string_printf(out, "%u finished, %u undone, %u explained, %u failed", totals->finished,
                        totals->undone, totals->explained, totals->failed);
    else
        g_string_printf(out, "%u %s, %u failed, %u skipped",
                        text->staged ? totals->staged : totals->moved,
                        text->staged ? "staged" : "moved", totals->failed, totals->skipped);
    if (text->purge && totals->failed != 0)
        g_string_append_printf(out, ", %u failed", totals->failed);
    if (totals->in_doubt != 0)
        g_string_append_printf(out, ", %u in doubt", totals->in_doubt);
    return g_string_free(out, FALSE);
}

static void append_sizes(GString *out, const MailboxResult *mailbox)
{
    g_autofree char *rows = units_format_count(mailbox->rows);
    g_autofree char *blobs = units_format_count(mailbox->blobs);
    g_autofree char *bytes = units_format_size(mailbox->bytes);

    g_string_append_printf(out, "  %s rows, %s blobs, %s", rows, blobs, bytes);
    if (mailbox->bytes_copied != mailbox->bytes) {
        g_autofree char *copied = units_format_size(mailbox->bytes_copied);

        g_string_append_printf(out, " (%s now)", copied);
    }
}

static void append_steps(GString *out, const MailboxResult *mailbox)
{
    g_autofree char *rows = units_format_count(mailbox->rows_window);

    g_string_append_printf(
        out, "        window %.1f ms, %s rows changed in it:", mailbox->window_ms, rows);
    for (guint i = 0; i < mailbox->window_steps->len; i++) {
        const StepTime *step = &g_array_index(mailbox->window_steps, StepTime, i);

        g_string_append_printf(out, "%s %s %.1f", i > 0 ? ";" : "", step->name, step->ms);
    }
    g_string_append_c(out, '\n');
}

static void append_purged(GString *out, const MailboxResult *mailbox)
{
    g_autofree char *freed = units_format_size(mailbox->bytes_freed);
    g_autofree char *when = report_time(mailbox->committed);

    g_string_append_printf(out, "  mailbox %u on %s, moved %s to %s", mailbox->source_mailbox,
                           mailbox->source, when != NULL ? when : "at an unknown time",
                           mailbox->destination);
    if (mailbox->outcome != OUTCOME_KEPT)
        g_string_append_printf(out, "  %s%s", freed,
                               mailbox->outcome == OUTCOME_PURGED ? " freed" : "");
}

char *report_mailbox(const MailboxResult *mailbox, unsigned index, unsigned total, bool detailed)
{
    GString *out = g_string_new(NULL);
    /* Of a purge; its dry run explains without a reason, a recovery always gives one. */
    bool would = mailbox->outcome == OUTCOME_EXPLAINED && mailbox->reason == NULL;
    bool purge = mailbox->outcome == OUTCOME_PURGED || mailbox->outcome == OUTCOME_KEPT || would;
    bool moved = mailbox->outcome == OUTCOME_MOVED || mailbox->outcome == OUTCOME_STAGED;

    if (total > 0)
        g_string_append_printf(out, "[%u/%u] ", index, total);
    g_string_append_printf(out, "%s  %s", mailbox->address,
                           would ? "would be purged" : report_outcome(mailbox->outcome));
    if (moved) {
        g_string_append_printf(out, "  %s -> %s", mailbox->source, mailbox->destination);
        append_sizes(out, mailbox);
    }
    if (purge)
        append_purged(out, mailbox);
    if (mailbox->window_ms > 0) {
        g_autofree char *window = units_format_time(mailbox->window_ms);

        g_string_append_printf(out, "  locked %s", window);
    }
    if (mailbox->reason != NULL)
        g_string_append_printf(out, ": %s", mailbox->reason);
    g_string_append_c(out, '\n');
    if (detailed && mailbox->window_ms > 0 && mailbox->window_steps != NULL)
        append_steps(out, mailbox);
    for (guint i = 0; mailbox->notes != NULL && i < mailbox->notes->len; i++)
        g_string_append_printf(out, "        note: %s\n",
                               (const char *)g_ptr_array_index(mailbox->notes, i));
    return g_string_free(out, FALSE);
}

/* The day of @days after @ms, as the store's administrator writes it. */
static char *day_after(int64_t ms, unsigned days)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(ms / 1000);
    g_autoptr(GDateTime) due = g_date_time_add_days(time, (int)days);

    return g_date_time_format(due, "%Y-%m-%d");
}

static void append_retention(GString *out, const Report *report, const ReportText *text,
                             const Totals *totals)
{
    g_autofree char *day = day_after(report->ended, text->retention_days);
    const MailboxResult *only =
        report->mailboxes->len == 1 ? g_ptr_array_index(report->mailboxes, 0) : NULL;

    if (totals->moved == 0)
        return;
    g_string_append_printf(out,
                           "old cop%s kept until %s; remove now with: doPurgeMailboxes %s "
                           "ignore_retention true\n",
                           totals->moved == 1 ? "y" : "ies", day,
                           only != NULL ? only->address : "all");
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
    if (report->mailboxes->len == totals->skipped && !text->recover)
        g_string_append(out, text->purge ? "   nothing to purge" : "   nothing to move");
    else if (!text->recover)
        g_string_append_printf(out, "   %s %sin %s", size, text->purge ? "freed " : "", took);
    if (totals->window_longest > 0) {
        g_autofree char *median = units_format_time(totals->window_median);
        g_autofree char *longest = units_format_time(totals->window_longest);

        g_string_append_printf(out, "   locked: median %s, longest %s (%s)", median, longest,
                               totals->longest_address);
    }
    g_string_append_c(out, '\n');
}

/* How many skipped mailboxes are named on the terminal: a domain may have thousands. */
#define SKIPPED_SHOWN 20

char *report_untold(const Report *report, GHashTable *told, bool quiet)
{
    GString *out = g_string_new(NULL);
    unsigned skipped = 0;

    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);
        bool skip = mailbox->outcome == OUTCOME_SKIPPED;
        g_autofree char *line = NULL;

        if (g_hash_table_contains(told, mailbox) || (skip && quiet) ||
            (skip && ++skipped > SKIPPED_SHOWN))
            continue;
        line = report_mailbox(mailbox, 0, 0, false);
        g_string_append(out, line);
    }
    if (skipped > SKIPPED_SHOWN)
        g_string_append_printf(out, "and %u more skipped, all of them in the report\n",
                               skipped - SKIPPED_SHOWN);
    return g_string_free(out, FALSE);
}

char *report_summary(const Report *report, const ReportText *text)
{
    Totals totals = report_totals(report);
    GString *out = g_string_new(NULL);

    g_string_append_printf(out, "operation  %s  %s", report->operation, report->verb);
    if (text->destination != NULL)
        g_string_append_printf(out, "  -> %s", text->destination);
    g_string_append_c(out, '\n');
    append_done(out, report, text, &totals);
    if (totals.in_doubt != 0)
        g_string_append_printf(out,
                               "in doubt   finish with: doRecover operation %s dry_run false\n",
                               report->operation);
    append_retention(out, report, text, &totals);
    if (report->report_path != NULL)
        g_string_append_printf(out, "report     %s", report->report_path);
    if (report->report_path != NULL && text->notifications != NULL &&
        report->mail_problem == NULL) {
        g_autofree char *to = g_strjoinv(",", text->notifications);

        g_string_append_printf(out, "    mailed to %s", to);
    }
    if (report->report_path != NULL)
        g_string_append_c(out, '\n');
    if (report->mail_problem != NULL)
        g_string_append_printf(out, "mail       not sent: %s\n", report->mail_problem);
    return g_string_free(out, FALSE);
}
