/* plan.c - what a dry run of a move found, as lines, and as a file to be run. */
#include "commands/report.h"
#include "conf/units.h"
#include "core/base/file.h"
#include <string.h>

void plan_mailbox_line(GString *out, const MailboxResult *mailbox)
{
    const Forecast *forecast = mailbox->forecast;
    g_autofree char *size = NULL, *rows = NULL, *there = NULL, *to_go = NULL, *window = NULL;

    if (mailbox->outcome != OUTCOME_PLANNED)
        return;
    g_string_append_printf(out, "  from %s", mailbox->source);
    if (forecast == NULL) {
        if (mailbox->reason == NULL)
            g_string_append(out, "  not known what is to go");
        return;
    }
    if (mailbox->source_mailbox == 0) {
        g_string_append(out, "  no mailbox");
        return;
    }
    size = units_format_size(forecast->mailbox_bytes);
    rows = units_format_count(forecast->rows);
    there = units_format_size(forecast->bytes_there);
    to_go = units_format_size(forecast->bytes_to_go);
    g_string_append_printf(out, "  %s, %s row%s: %s there, %s to go", size, rows,
                           forecast->rows == 1 ? "" : "s", there, to_go);
    if (forecast->window_ms > 0) {
        window = units_format_time(forecast->window_ms);
        g_string_append_printf(out, "  locked about %s", window);
    }
}

Forecast plan_sum(const Report *report)
{
    Forecast all = { 0 };

    for (guint i = 0; i < report->mailboxes->len; i++) {
        const Forecast *one = ((const MailboxResult *)report->mailboxes->pdata[i])->forecast;

        if (one == NULL)
            continue;
        all.mailbox_bytes += one->mailbox_bytes;
        all.rows += one->rows;
        all.blobs_there += one->blobs_there;
        all.bytes_there += one->bytes_there;
        all.blobs_to_go += one->blobs_to_go;
        all.bytes_to_go += one->bytes_to_go;
        all.window_ms = MAX(all.window_ms, one->window_ms);
    }
    return all;
}

bool plan_is_one(const Report *report)
{
    return strcmp(report->verb, cmd_plan.name) == 0;
}

static void append_disk(GString *out, const DiskForecast *disk)
{
    g_autofree char *need = units_format_size(disk->need);
    g_autofree char *available = units_format_size(disk->free_bytes);
    g_autofree char *total = units_format_size(disk->total_bytes);
    g_autofree char *keep = units_format_size(disk->keep);

    g_string_append_printf(out,
                           "disk       %s: %s to come, %s of %s free, %s must remain (min_free)\n",
                           disk->what, need, available, total, keep);
}

void plan_summary(GString *out, const Report *report)
{
    const Forecast all = plan_sum(report);
    g_autofree char *there = units_format_size(all.bytes_there);
    g_autofree char *to_go = units_format_size(all.bytes_to_go);
    g_autofree char *longest = units_format_time(all.window_ms);

    if (!plan_is_one(report))
        return;
    g_string_append_printf(out, "to go      %s, %s there already\n", to_go, there);
    if (all.window_ms > 0) {
        g_string_append_printf(out, "window     at most about %s: an estimate, ", longest);
        if (report->row_us > 0)
            g_string_append_printf(out, "from the rows and %.1f us a row measured now\n",
                                   report->row_us);
        else
            g_string_append(out, "of rows too few to measure\n");
    }
    for (guint i = 0; i < report->disks->len; i++)
        append_disk(out, g_ptr_array_index(report->disks, i));
    for (guint i = 0; i < report->risks->len; i++)
        g_string_append_printf(out, "risk       %s\n",
                               (const char *)g_ptr_array_index(report->risks, i));
}

bool plan_save(const Report *report, const char *path, GError **error)
{
    g_autofree char *command = g_strdelimit(g_strdup(report->command), "\r\n", ' ');
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_append_printf(text, "# planned by: %s\n", command);
    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);

        if (mailbox->outcome == OUTCOME_PLANNED)
            g_string_append_printf(text, "%s\n", mailbox->address);
    }
    return file_replace(path, text->str, 0644, error) || fail_prefix(error, "save");
}
