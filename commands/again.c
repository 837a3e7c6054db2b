/* again.c - report: what an operation did, once more, in another form or by mail. */
#include "commands/post.h"
#include "commands/saved.h"
#include "commands/watch.h"
#include <string.h>

typedef struct ReportRequest {
    char *operation, *format, *only;
    char **mail;
} ReportRequest;

static bool is_wanted(const MailboxResult *mailbox, const char *only)
{
    bool skipped = mailbox->outcome == OUTCOME_SKIPPED;

    if (strcmp(only, "skipped") == 0)
        return skipped;
    if (strcmp(only, "failed") == 0)
        return mailbox_is_bad(mailbox) || mailbox->unfinished ||
               mailbox->outcome == OUTCOME_NOT_REACHED;
    return true;
}

/* The totals stay those of the operation. */
static json_t *answer(const Saved *saved, const char *only)
{
    json_t *object = json_deep_copy(saved->json), *kept = json_array();
    const json_t *mailboxes = json_object_get(object, "mailboxes");

    for (guint i = 0; i < saved->report->mailboxes->len; i++)
        if (is_wanted(g_ptr_array_index(saved->report->mailboxes, i), only))
            json_array_append(kept, json_array_get(mailboxes, i));
    json_object_set_new(object, "mailboxes", kept);
    return object;
}

static char *as_lines(const Saved *saved, const char *only)
{
    GString *out = g_string_new(NULL);
    g_autofree char *summary = report_summary(saved->report, &saved->text);
    const guint total = saved->report->mailboxes->len;

    for (guint i = 0; i < total; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(saved->report->mailboxes, i);
        g_autofree char *line =
            is_wanted(mailbox, only) ? report_mailbox(mailbox, i + 1, total, true) : NULL;

        if (line != NULL)
            g_string_append(out, line);
    }
    if (out->len > 0)
        g_string_append_c(out, '\n');
    g_string_append(out, summary);
    return g_string_free(out, FALSE);
}

static char *as_csv(const Saved *saved, const char *only)
{
    Report *report = saved->report;
    g_autoptr(GPtrArray) wanted = g_ptr_array_new();
    GPtrArray *all = report->mailboxes;
    g_autofree char *csv = NULL;
    g_auto(GStrv) lines = NULL;

    for (guint i = 0; i < all->len; i++)
        if (is_wanted(g_ptr_array_index(all, i), only))
            g_ptr_array_add(wanted, g_ptr_array_index(all, i));
    report->mailboxes = wanted;
    csv = report_csv(report);
    report->mailboxes = all;
    lines = g_strsplit(csv, "\r\n", -1); /* as files on this system have them */
    return g_strjoinv("\n", lines);
}

static bool mail_again(Core *core, const Saved *saved, char **to, Result *result, GError **error)
{
    g_autofree char *subject = mail_subject(saved->report, &saved->text);
    g_autofree char *body = mail_body(saved->report, &saved->text);
    g_autofree char *table = report_csv(saved->report);
    g_autofree char *names = g_strjoinv(",", to);
    const Post post = { .to = to,
                        .operation = saved->report->operation,
                        .subject = subject,
                        .body = body,
                        .table = table };

    if (!post_send(core, &post, error))
        return false;
    result->text = g_strdup_printf("mail       sent to %s\n", names);
    return true;
}

/* Made on another host, or lost here: the stores' records say what became of each mailbox. @error
 * has why there is none here. @out borrows from @recorded. */
static bool look_elsewhere(Session *session, Core *core, const char *uuid, Saved *out,
                           Recorded *recorded, GError **error)
{
    g_autofree char *here = g_strdup((*error)->message);
    g_autoptr(GError) problem = NULL;
    g_autoptr(Looked) looked = core_operation(core, uuid, &session->wait, &problem);
    const OperationLook *operation;

    g_clear_error(error);
    if (looked == NULL)
        return fail(error, error_code(problem), "%s; %s", here, problem->message);
    operation = g_ptr_array_index(looked->items, 0);
    if (!operation->ended_yet)
        return fail(error, ZX_ERROR_REFUSED,
                    "operation %s has not ended: it is %s on %s\nsee: monitor %s",
                    operation->operation, operation->state, operation->host, operation->operation);
    out->report = operation_report(session, operation, error);
    if (out->report == NULL)
        return false;
    g_ptr_array_add(out->report->notes,
                    g_strdup_printf("this is what %s recorded; the whole report was made on %s",
                                    operation->store, operation->host));
    operation_text(session, operation, out->report, recorded, &out->text);
    if (out->text.selection == NULL)
        out->text.selection = g_strdup(operation->operation);
    out->json = report_json(out->report, &out->text);
    return true;
}

static bool find_report(Session *session, Core *core, const char *uuid, Saved *out,
                        Recorded *recorded, GError **error)
{
    GError *problem = NULL;
    g_autofree char *path = saved_find(session->conf->state_dir, uuid, &problem);

    if (path != NULL)
        return saved_read(path, out, error);
    g_propagate_error(error, problem);
    return error_code(problem) == ZX_ERROR_NOT_FOUND &&
           look_elsewhere(session, core, uuid, out, recorded, error);
}

static bool run(Session *session, void *data, Result *result, GError **error)
{
    const ReportRequest *request = data;
    Core *core = session_core(session, error);
    g_auto(Recorded) recorded = { 0 };
    g_auto(Saved) saved = { 0 };

    if (core == NULL || !find_report(session, core, request->operation, &saved, &recorded, error))
        return false;
    result->response = answer(&saved, request->only);
    if (request->mail != NULL)
        return mail_again(core, &saved, request->mail, result, error);
    if (strcmp(request->format, "csv") == 0)
        result->text = as_csv(&saved, request->only);
    else if (strcmp(request->format, "json") == 0) {
        g_autofree char *json = json_dumps(result->response, JSON_INDENT(2) | JSON_DECIMALS);

        result->text = g_strconcat(json, "\n", NULL);
    } else
        result->text = as_lines(&saved, request->only);
    return true;
}

static bool check(void *data, GError **error)
{
    const ReportRequest *request = data;

    return request->mail == NULL || strcmp(request->only, "all") == 0 ||
           fail(error, ZX_ERROR_USAGE, "mail has the whole report: leave out only %s",
                request->only);
}

/* clang-format off */
static const Arg args[] = {
    ARG(ReportRequest, operation, .name = "operation_uuid", .type = ARG_UUID, .flags = ARG_REQUIRED,
        .expected = "uuid, or how it begins", .help = "the operation"),
    ARG(ReportRequest, format, .name = "format", .type = ARG_CHOICE, .values = "text|csv|json",
        .fallback = "text", .help = "the form"),
    ARG(ReportRequest, only, .name = "only", .type = ARG_CHOICE, .values = "failed|skipped|all",
        .fallback = "all", .help = "which mailboxes; the sums stay those of all"),
    ARG(ReportRequest, mail, .name = "mail", .type = ARG_ADDRESSES, .expected = "admin@example.com",
        .help = "send the completion mail again, to these"),
    { 0 },
};
/* clang-format on */

const Command cmd_report = {
    .name = "report",
    .group = "Looking around",
    .summary = "what an operation did, once more",
    .description =
        "Shows the report of an operation that has ended: its mailboxes and the summary\n"
        "as they were printed then, as a table (csv), or as JSON; or mails it again. It\n"
        "is kept on the host where the operation ran; on others it is made of what the\n"
        "stores recorded, and says so.\n"
        "Exit status: 0 done, 1 no such operation, or it has not ended.",
    .args = args,
    .request_size = sizeof(ReportRequest),
    .examples = (const char *const[]){ "report 6f0c2c1e only failed format csv",
                                       "report 6f0c2c1e mail admin@saas.com", NULL },
    .check = check,
    .run = run,
};
