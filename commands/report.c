/* report.c - totals of an operation, its exit status, and the phrases all its forms share. */
#include "commands/report.h"
#include "conf/units.h"
#include <stdlib.h>
#include <string.h>

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void count_sleeping(const MailboxResult *mailbox, Totals *totals)
{
    for (int i = 0; i < SLEEPERS; i++) {
        const Sleeping *one = &mailbox->sleeping[i];
        Sleeping *all = &totals->sleeping[i];

        if (one->first[0] != '\0' && (all->count == 0 || strcmp(one->first, all->first) < 0))
            memcpy(all->first, one->first, sizeof all->first);
        all->count += one->count;
    }
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

static unsigned count_left(const MailboxResult *mailbox)
{
    unsigned count = 0;

    for (guint i = 0; mailbox->bad_items != NULL && i < mailbox->bad_items->len; i++)
        count += !((const BadItem *)g_ptr_array_index(mailbox->bad_items, i))->damaged_before;
    return count;
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
        [OUTCOME_PLANNED] = &totals.planned,   [OUTCOME_NOT_REACHED] = &totals.not_reached,
    };

    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);

        ++*counters[mailbox->outcome];
        totals.unfinished += mailbox->unfinished;
        if (mailbox->outcome == OUTCOME_MOVED)
            totals.bad_items += count_left(mailbox);
        if (mailbox->outcome == OUTCOME_MOVED || mailbox->outcome == OUTCOME_STAGED)
            totals.bytes += mailbox->bytes;
        totals.bytes_freed += mailbox->bytes_freed;
        count_sleeping(mailbox, &totals);
    }
    count_windows(report, &totals);
    return totals;
}

char *report_bad_item(const MailboxResult *mailbox, const BadItem *item)
{
    GString *out = g_string_new(NULL);

    if (item->damaged_before)
        g_string_append_printf(out, "already damaged on %s: ", mailbox->source);
    else
        g_string_append(out, "not copied: ");
    g_string_append_printf(out, "item %u", item->item_id);
    if (item->folder != NULL || item->subject != NULL)
        g_string_append_printf(out, " (%s%s%s)", item->folder != NULL ? item->folder : "",
                               item->folder != NULL && item->subject != NULL ? ", " : "",
                               item->subject != NULL ? item->subject : "");
    g_string_append_printf(out, ": %s", item->cause);
    return g_string_free(out, FALSE);
}

/* A record of an interrupted move is found by its account: it has the uuid of the operation that
 * made it, which a recovery's own is not. */
char *report_next(const Report *report, const MailboxResult *mailbox)
{
    if (mailbox->outcome == OUTCOME_IN_DOUBT || mailbox->unfinished)
        return g_strdup_printf("doRecover accounts %s dry_run false", mailbox->address);
    if (mailbox->outcome == OUTCOME_FAILED || mailbox->outcome == OUTCOME_NOT_REACHED)
        return g_strdup(report->command);
    return NULL;
}

char *report_sleeping(const Sleeping sleeping[SLEEPERS])
{
    GString *out = g_string_new(NULL);

    for (int i = 0; i < SLEEPERS; i++) {
        const Sleeping *one = &sleeping[i];
        g_autofree char *count = units_format_count(one->count);

        if (one->count == 0)
            continue;
        g_string_append_printf(out, "%s%s %s", out->len > 0 ? ", " : "", count,
                               mailbox_sleeper((Sleeper)i, one->count));
        /* A poll is due every few minutes: that says nothing. To the minute is enough. */
        if (one->first[0] != '\0' && i != SLEEPER_POLL)
            g_string_append_printf(out, " (first due %.16s)", one->first);
    }
    return g_string_free(out, out->len == 0);
}

char *report_asleep(const Totals *totals, const ReportText *text)
{
    g_autofree char *sleeping = report_sleeping(totals->sleeping);

    if (sleeping == NULL)
        return NULL;
    if (text->destination == NULL)
        return g_strdup_printf("%s, until mailboxd there is restarted", sleeping);
    return g_strdup_printf("%s, until mailboxd of %s is restarted", sleeping, text->destination);
}

char *report_locked(const Totals *totals)
{
    g_autofree char *median = units_format_time(totals->window_median);
    g_autofree char *longest = units_format_time(totals->window_longest);

    if (totals->window_longest <= 0)
        return NULL;
    return g_strdup_printf("median %s, longest %s (%s)", median, longest, totals->longest_address);
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

const char *report_destination(const Report *report)
{
    const char *only = NULL;

    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);

        if (only != NULL && g_strcmp0(only, mailbox->destination) != 0)
            return NULL;
        only = mailbox->destination;
    }
    return only;
}

static bool has_code(const Report *report, ZxError code)
{
    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);
        bool undone = mailbox_is_bad(mailbox) || mailbox->outcome == OUTCOME_SKIPPED ||
                      mailbox->outcome == OUTCOME_NOT_REACHED;

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
    static const ZxError ends[] = { ZX_ERROR_STOPPED, ZX_ERROR_REMOVED, ZX_ERROR_LOST };
    Totals t = report_totals(report);
    unsigned bad = t.failed + t.in_doubt + t.kept + t.unfinished + t.not_reached;
    unsigned good = t.moved + t.staged + t.purged + t.finished + t.undone + t.explained + t.planned;

    if (has_code(report, ZX_ERROR_INTERRUPTED) ||
        (text->interrupted && (bad != 0 || report->mailboxes->len == 0)))
        return error_exit_status(ZX_ERROR_INTERRUPTED);
    if (report->halted != NULL)
        return error_exit_status(ZX_ERROR_FAILED);
    for (guint i = 0; i < G_N_ELEMENTS(ends); i++)
        if (has_code(report, ends[i]))
            return error_exit_status(ends[i]);
    if (bad == 0)
        return text->strict && t.skipped != 0 ? error_exit_status(ZX_ERROR_PARTIAL) : 0;
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
    case 3:
        return "STOPPED";
    case 5:
        return "PARTIAL";
    case 4:
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
    else if (text->plan)
        g_string_printf(out, "%u planned, %u failed, %u skipped", totals->planned, totals->failed,
                        totals->skipped);
    else
        g_string_printf(out, "%u %s, %u failed, %u skipped",
                        text->staged ? totals->staged : totals->moved,
                        text->staged ? "staged" : "moved", totals->failed, totals->skipped);
    if (text->purge && totals->failed != 0)
        g_string_append_printf(out, ", %u failed", totals->failed);
    if (totals->in_doubt != 0)
        g_string_append_printf(out, ", %u in doubt", totals->in_doubt);
    if (totals->not_reached != 0)
        g_string_append_printf(out, ", %u not reached", totals->not_reached);
    if (totals->unfinished != 0)
        g_string_append_printf(out, ", %u with something left to do", totals->unfinished);
    return g_string_free(out, FALSE);
}

/* The day of @days after @ms, as the store's administrator writes it. */
char *report_day_after(int64_t ms, unsigned days)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(ms / 1000);
    g_autoptr(GDateTime) due = g_date_time_add_days(time, (int)days);

    return g_date_time_format(due, "%Y-%m-%d");
}
