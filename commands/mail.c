/* mail.c - the notification of an operation, and the end that all operations share: mail it, keep
 * it, tell it. */
#include "commands/post.h"
#include "commands/report.h"
#include "conf/units.h"
#include "core/base/file.h"
#include <string.h>

char *mail_subject(const Report *report, const ReportText *text)
{
    Totals totals = report_totals(report);
    g_autofree char *counts = report_counts(&totals, text);

    return g_strdup_printf("[zxmove] %s %s: %s%s%s%s%s", report_word(report, text), counts,
                           text->selection, text->destination != NULL ? " -> " : "",
                           text->destination != NULL ? text->destination : "",
                           report->batch_name != NULL ? ", batch " : "",
                           report->batch_name != NULL ? report->batch_name : "");
}

static void append_problems(GString *out, const Report *report)
{
    unsigned not_reached = 0;
    bool any = false;

    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);
        g_autofree char *next = report_next(report, mailbox);

        not_reached += mailbox->outcome == OUTCOME_NOT_REACHED;
        if (!mailbox_is_bad(mailbox) && !mailbox->unfinished && mailbox->outcome != OUTCOME_SKIPPED)
            continue;
        if (!any)
            g_string_append(out, "\nNot done:\n");
        any = true;
        g_string_append_printf(out, "  %s  %s: %s\n", mailbox->address,
                               mailbox_outcome(mailbox->outcome),
                               mailbox->reason != NULL ? mailbox->reason
                               : mailbox->unfinished   ? "something is left to do, see below"
                                                       : "no reason was given");
        if (next != NULL)
            g_string_append_printf(out, "      next: %s\n", next);
    }
    if (not_reached > 0)
        g_string_append_printf(out,
                               "\nNot reached: %u (in the table)\n"
                               "      next: %s\n",
                               not_reached, report->command);
}

/* Of a whole domain they would be hundreds: the mail says enough of them, the table has all. */
#define NOTES_SHOWN 40

static void append_notes(GString *out, const Report *report)
{
    unsigned count = 0;

    if (report->notes->len > 0)
        g_string_append(out, "\nTo know:\n");
    for (guint i = 0; i < report->notes->len; i++)
        g_string_append_printf(out, "  %s\n", (const char *)g_ptr_array_index(report->notes, i));
    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);

        for (guint k = 0; mailbox->notes != NULL && k < mailbox->notes->len; k++) {
            if (count++ == 0 && report->notes->len == 0)
                g_string_append(out, "\nTo know:\n");
            if (count <= NOTES_SHOWN)
                g_string_append_printf(out, "  %s  %s\n", mailbox->address,
                                       (const char *)g_ptr_array_index(mailbox->notes, k));
        }
    }
    if (count > NOTES_SHOWN)
        g_string_append_printf(out, "  and %u more, in the table\n", count - NOTES_SHOWN);
}

static void append_bad_items(GString *out, const Report *report)
{
    unsigned count = 0;

    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);

        for (guint k = 0; mailbox->bad_items != NULL && k < mailbox->bad_items->len; k++) {
            g_autofree char *line =
                report_bad_item(mailbox, g_ptr_array_index(mailbox->bad_items, k));

            if (count++ == 0)
                g_string_append(out, "\nItems that are not whole at the destination:\n");
            if (count <= NOTES_SHOWN)
                g_string_append_printf(out, "  %s  %s\n", mailbox->address, line);
        }
    }
    if (count > NOTES_SHOWN)
        g_string_append_printf(out, "  and %u more, in the table\n", count - NOTES_SHOWN);
}

static void append_way_back(GString *out, const Report *report, const ReportText *text)
{
    g_autofree char *day = report_day_after(report->ended, text->retention_days);

    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);

        if (mailbox->outcome != OUTCOME_MOVED)
            continue;
        g_string_append_printf(out,
                               "\nOld copies are kept until %s; doPurgeMailboxes removes them.\n"
                               "The way back, while they are there:\n"
                               "  doRollback operation %s\n"
                               "or of one account, for example:\n"
                               "  doRollback accounts %s\n",
                               day, report->operation, mailbox->address);
        return;
    }
}

char *mail_body(const Report *report, const ReportText *text)
{
    Totals totals = report_totals(report);
    GString *out = g_string_new(NULL);
    g_autofree char *counts = report_counts(&totals, text);
    g_autofree char *started = units_format_iso(report->started);
    g_autofree char *ended = units_format_iso(report->ended);
    g_autofree char *size = units_format_size(text->purge ? totals.bytes_freed : totals.bytes);
    g_autofree char *took = units_format_time((double)(report->ended - report->started));
    g_autofree char *locked = report_locked(&totals);
    g_autofree char *asleep = report_asleep(&totals, text);

    g_string_append_printf(out, "command    %s\n", report->command);
    g_string_append_printf(out, "operation  %s\n", report->operation);
    if (report->batch_name != NULL)
        g_string_append_printf(out, "batch      %s\n", report->batch_name);
    if (report->comment != NULL)
        g_string_append_printf(out, "comment    %s\n", report->comment);
    g_string_append_printf(out, "by         %s on %s\n", report->who, report->host);
    g_string_append_printf(out, "time       %s to %s (%s)\n", started, ended, took);
    g_string_append_printf(out, "result     %s, %s%s\n", counts, size, text->purge ? " freed" : "");
    if (locked != NULL)
        g_string_append_printf(out, "locked     %s\n", locked);
    if (asleep != NULL)
        g_string_append_printf(out, "asleep     %s\n", asleep);
    append_problems(out, report);
    append_notes(out, report);
    append_bad_items(out, report);
    append_way_back(out, report, text);
    g_string_append(out, "\nEvery mailbox with its numbers is in the attached table.\n");
    return g_string_free(out, FALSE);
}

static void keep_report(Session *session, Report *report, const ReportText *text)
{
    g_autofree char *directory = g_build_filename(session->conf->state_dir, "reports", NULL);
    g_autofree char *name = g_strconcat(report->operation, ".json", NULL);
    g_autofree char *json = NULL;
    g_autoptr(GError) error = NULL;
    json_t *object;

    if (report->report_path == NULL)
        report->report_path = g_build_filename(directory, name, NULL);
    object = report_json(report, text);
    json = json_dumps(object, JSON_INDENT(2) | JSON_DECIMALS);
    json_decref(object);
    g_mkdir_with_parents(directory, 0700); /* a failure is file_replace's to tell */
    if (json != NULL && file_replace(report->report_path, json, 0600, &error))
        return;
    session_note(session, "the report could not be kept: %s",
                 error != NULL ? error->message : "it is not valid UTF-8");
    g_clear_pointer(&report->report_path, g_free);
}

/* Of one that could not be sent. */
static void keep_post(Session *session, const Post *post, const GError *why)
{
    const unsigned again_s = session->conf->smtp.retry_for_s;
    g_autofree char *again = units_format_time((double)again_s * 1000);
    g_autoptr(GError) not_kept = NULL;

    if (again_s == 0)
        session_note(session, "the notification could not be sent: %s", why->message);
    else if (post_later(session->conf, post, &not_kept))
        session_note(session, "the notification could not be sent, and is tried again for %s: %s",
                     again, why->message);
    else
        session_note(session, "the notification could not be sent: %s; nor kept: %s", why->message,
                     not_kept->message);
}

void mail_not_begun(Session *session, const char *operation, const char *command,
                    const ReportText *text, const GError *why)
{
    g_autofree char *subject = g_strdup_printf("[zxmove] FAILED not begun: %s%s%s", text->selection,
                                               text->destination != NULL ? " -> " : "",
                                               text->destination != NULL ? text->destination : "");
    g_autofree char *body =
        g_strdup_printf("command    %s\n"
                        "result     it could not begin, no mailbox was touched\n"
                        "why        %s\n",
                        command, why->message);
    const Post post = {
        .to = text->notifications, .operation = operation, .subject = subject, .body = body
    };
    g_autoptr(GError) problem = NULL;

    if (!post_send(session->core, &post, &problem))
        keep_post(session, &post, problem);
}

/* What cannot be sent now is tried again when the operation is long over; the report says so first,
 * for whoever tries corrects it. */
static void keep_and_send(Session *session, Core *core, Report *report, const ReportText *text)
{
    g_autofree char *subject = mail_subject(report, text);
    g_autofree char *body = mail_body(report, text);
    g_autofree char *csv = report_csv(report);
    const Post post = { .to = text->notifications,
                        .operation = report->operation,
                        .subject = subject,
                        .body = body,
                        .table = csv };
    g_autoptr(GError) error = NULL;
    bool sent = post_send(core, &post, &error);

    if (!sent) {
        g_free(report->mail_problem);
        report->mail_problem = g_strdup(error->message);
    }
    keep_report(session, report, text);
    if (!sent)
        keep_post(session, &post, error);
}

static void set_problem(const Report *report, const ReportText *text, Result *result)
{
    Totals totals = report_totals(report);
    g_autofree char *counts = report_counts(&totals, text);
    const MailboxResult *only =
        report->mailboxes->len == 1 ? g_ptr_array_index(report->mailboxes, 0) : NULL;
    ZxError code = ZX_ERROR_FAILED;

    if (result->status == 0)
        return;
    if (only != NULL && only->reason != NULL) {
        code = only->outcome == OUTCOME_SKIPPED ? ZX_ERROR_PARTIAL : only->code;
        fail(&result->problem, code, "%s: %s", only->address, only->reason);
        return;
    }
    if (result->status == error_exit_status(ZX_ERROR_PARTIAL))
        code = ZX_ERROR_PARTIAL;
    else if (result->status == error_exit_status(ZX_ERROR_INTERRUPTED))
        code = ZX_ERROR_INTERRUPTED;
    else if (result->status == error_exit_status(ZX_ERROR_STOPPED))
        code = ZX_ERROR_STOPPED;
    else if (result->status == error_exit_status(ZX_ERROR_REMOVED))
        code = ZX_ERROR_REMOVED;
    fail(&result->problem, code, "%s", counts);
}

/* As they are kept: what is read again must not be rounded twice. */
static void round_windows(const Report *report)
{
    for (guint i = 0; i < report->mailboxes->len; i++) {
        MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);

        mailbox->window_ms = (double)(int64_t)(mailbox->window_ms * 10 + 0.5) / 10;
    }
}

void report_finish(Session *session, Core *core, Report *report, ReportText *text, Result *result)
{
    g_autofree char *untold = report_untold(report, session->told, session->switches->quiet);
    g_autofree char *summary = NULL;

    round_windows(report);
    text->retention_days = session->conf->retention_days;
    text->interrupted = wait_stopped(&session->wait);
    post_resume(session->conf);
    if (text->notifications != NULL)
        keep_and_send(session, core, report, text);
    else
        keep_report(session, report, text);
    result->status = report_status(report, text);
    result->response = report_json(report, text);
    summary = report_summary(report, text);
    /* Apart from the lines of many mailboxes, so that it can be taken as a whole. */
    result->text = session->switches->quiet
                       ? g_strdup(untold)
                       : g_strconcat(untold, report->mailboxes->len > 1 ? "\n" : "", summary, NULL);
    set_problem(report, text, result);
}
