/* monitor.c - monitor: what an operation does, shown as if it ran here; and how it ended. */
#include "commands/around.h"
#include "commands/operate.h"
#include "commands/watch.h"
#include <string.h>

typedef struct MonitorRequest {
    char *operation, *host;
} MonitorRequest;

const OperationLook *operation_find(Session *session, const char *operation, Looked **looked,
                                    GError **error)
{
    Core *core = session_core(session, error);

    *looked = core != NULL ? core_operation(core, operation, &session->wait, error) : NULL;
    return *looked != NULL ? g_ptr_array_index((*looked)->items, 0) : NULL;
}

bool operation_answer(Session *session, const OperationLook *operation, Result *result,
                      GError **error)
{
    g_autoptr(Looked) looked = NULL;
    const OperationLook *now = operation_find(session, operation->operation, &looked, error);

    if (now == NULL)
        return false;
    result->response = json_pack("{s:[o]}", "operations", operation_json(now, false));
    return true;
}

char *operation_ways(const char *operation)
{
    return g_strdup_printf("watch it with: monitor %.8s\n"
                           "stop it with:  doStopOperation %.8s\n",
                           operation, operation);
}

/* What became of a mailbox that has no end of its own. */
static ZxError code_of(const char *state)
{
    return strcmp(state, "stopped") == 0   ? ZX_ERROR_STOPPED
           : strcmp(state, "removed") == 0 ? ZX_ERROR_REMOVED
                                           : ZX_ERROR_LOST;
}

static void set_not_reached(MailboxResult *mailbox, const OperationLook *operation)
{
    if (mailbox->outcome != OUTCOME_NOT_REACHED || mailbox->reason != NULL)
        return;
    mailbox->code = code_of(operation->state);
    mailbox->reason = g_strdup_printf("the operation was %s before this mailbox had ended",
                                      operation->state);
}

Report *operation_report(Session *session, const OperationLook *operation, GError **error)
{
    g_autoptr(GPtrArray) mailboxes = core_operation_mailboxes(session->core, operation, error);
    Report *report;

    if (mailboxes == NULL)
        return NULL;
    report = report_empty();
    g_strlcpy(report->operation, operation->operation, sizeof report->operation);
    report->verb = g_strdup(operation->verb);
    report->command = g_strdup(operation->command);
    report->who = g_strdup(operation->who);
    report->host = g_strdup(operation->host);
    report->batch_name = g_strdup(operation->batch_name);
    report->comment = g_strdup(operation->comment);
    report->started = operation->started;
    report->ended = operation->ended != 0 ? operation->ended : g_get_real_time() / 1000;
    report->halted = g_strdup(operation->halted);
    for (guint i = 0; i < operation->notes->len; i++)
        g_ptr_array_add(report->notes, g_strdup(g_ptr_array_index(operation->notes, i)));
    g_ptr_array_unref(report->mailboxes);
    report->mailboxes = g_steal_pointer(&mailboxes);
    for (guint i = 0; i < report->mailboxes->len; i++)
        set_not_reached(g_ptr_array_index(report->mailboxes, i), operation);
    return report;
}

void operation_text(Session *session, const OperationLook *operation, const Report *report,
                    Recorded *recorded, ReportText *text)
{
    const Operating *way = operate_of(operation);

    text->retention_days = session->conf->retention_days;
    if (recorded_read(session, operation->command, recorded, NULL))
        recorded_text(recorded, text);
    text->notifications = NULL; /* whether it was sent is not in the journal */
    if (text->destination == NULL && way != NULL && way->moves)
        text->destination = report_destination(report);
}

/* Of the state it ended in: what happened here, to who watches, is nothing to do with it. */
static int status_of(const OperationLook *operation, int by_mailboxes)
{
    static const struct {
        const char *state;
        ZxError code;
    } ends[] = { { "stopped", ZX_ERROR_STOPPED },   { "removed", ZX_ERROR_REMOVED },
                 { "interrupted", ZX_ERROR_LOST },  { "lost", ZX_ERROR_LOST },
                 { "partial", ZX_ERROR_PARTIAL } };

    for (guint i = 0; i < G_N_ELEMENTS(ends); i++)
        if (strcmp(operation->state, ends[i].state) == 0)
            return error_exit_status(ends[i].code);
    if (strcmp(operation->state, "done") == 0)
        return 0;
    return by_mailboxes != 0 && by_mailboxes != error_exit_status(ZX_ERROR_PARTIAL)
               ? by_mailboxes
               : error_exit_status(ZX_ERROR_FAILED);
}

static void set_problem(const OperationLook *operation, Result *result)
{
    ZxError code = result->status == error_exit_status(ZX_ERROR_PARTIAL) ? ZX_ERROR_PARTIAL
                   : strcmp(operation->state, "failed") == 0             ? ZX_ERROR_FAILED
                                                                : code_of(operation->state);

    if (result->status != 0)
        fail(&result->problem, code, "operation %s is %s%s%s", operation->operation,
             operation->state, operation->result != NULL ? ": " : "",
             operation->result != NULL ? operation->result : "");
}

static void append_lost(GString *out, const OperationLook *operation)
{
    const bool lost = strcmp(operation->state, "lost") == 0;
    g_autofree char *next = operate_next(operation);

    if (lost)
        g_string_append_printf(out,
                               "lost       its process on %s gives no sign of life since %.0f s\n",
                               operation->host, (double)operation->silent_ms / 1000);
    if (lost || operation->windows > 0)
        g_string_append_printf(out, "next       %s\n", next);
}

static bool tell_end(Session *session, const OperationLook *operation, Result *result,
                     GError **error)
{
    g_autoptr(Report) report = operation_report(session, operation, error);
    ReportText text = { 0 };
    g_auto(Recorded) recorded = { 0 };
    g_autofree char *summary = NULL;
    g_autofree char *selection = NULL;
    GString *out;

    if (report == NULL)
        return false;
    operation_text(session, operation, report, &recorded, &text);
    selection = text.selection;
    result->status = status_of(operation, report_status(report, &text));
    result->response = report_json(report, &text);
    set_text(result->response, "state", operation->state);
    summary = report_summary(report, &text);
    out = g_string_new(NULL);
    if (!session->switches->quiet) {
        g_string_append(out, report->mailboxes->len > 1 ? "\n" : "");
        g_string_append(out, summary);
    }
    append_lost(out, operation);
    result->text = g_string_free(out, FALSE);
    set_problem(operation, result);
    return true;
}

/* It goes on without us. */
static void tell_going(const OperationLook *operation, const char *how, Result *result)
{
    g_autofree char *ways = operation_ways(operation->operation);

    result->response = json_object();
    set_text(result->response, "operation", operation->operation);
    set_text(result->response, "verb", operation->verb);
    set_text(result->response, "state", operation->state);
    set_text(result->response, "command", operation->command);
    set_text(result->response, "who", operation->who);
    set_text(result->response, "host", operation->host);
    set_time(result->response, "started", operation->started);
    result->text = g_strdup_printf("operation %s goes on%s\n%s", operation->operation, how, ways);
}

/* Ctrl-C. */
static bool tell_detached(const OperationLook *operation, Result *result)
{
    tell_going(operation, "", result);
    result->status = error_exit_status(ZX_ERROR_INTERRUPTED);
    fail(&result->problem, ZX_ERROR_INTERRUPTED, "no longer watched: operation %s goes on",
         operation->operation);
    return true;
}

bool operation_watch(Session *session, const OperationLook *operation, Result *result,
                     GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(Looked) looked = NULL;

    g_atomic_int_set(&session->watching, 1);
    looked = core_watch(session->core, operation, session_event, session, &session->wait, &problem);
    g_atomic_int_set(&session->watching, 0);
    if (looked != NULL) {
        g_free(session->watched);
        session->watched = g_strdup(operation->operation);
        return tell_end(session, g_ptr_array_index(looked->items, 0), result, error);
    }
    if (wait_stopped(&session->wait))
        return tell_detached(operation, result);
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

bool operation_start(Session *session, const char *operation, Result *result, GError **error)
{
    g_autofree char *uuid =
        operation != NULL ? g_strdup(operation) : g_uuid_string_random();
    g_autoptr(Looked) looked = NULL;
    const OperationLook *now;

    if (!session->start(session->data, uuid, result, error))
        return false;
    if (result->response != NULL)
        return true;
    now = operation_find(session, uuid, &looked, error);
    if (now == NULL)
        return false;
    if (session->switches->sync)
        return operation_watch(session, now, result, error);
    tell_going(now, " in the background", result);
    return true;
}

static bool run(Session *session, void *data, Result *result, GError **error)
{
    const MonitorRequest *request = data;
    g_autoptr(Looked) looked = NULL;
    const OperationLook *operation =
        operation_find(session, request->operation, &looked, error);

    if (operation == NULL)
        return false;
    /* Of several mailboxes the first line of progress names it. */
    if (request->operation == NULL && operation->mailboxes < 2)
        session_note(session, "operation %s", operation->operation);
    return operation_watch(session, operation, result, error);
}

/* clang-format off */
static const Arg args[] = {
    ARG(MonitorRequest, operation, .name = "operation_uuid", .type = ARG_UUID,
        .flags = ARG_POSITIONAL, .expected = "uuid, or how it begins",
        .unset = "the newest that goes on", .help = "the operation"),
    ARG(MonitorRequest, host, .name = "operation_host", .type = ARG_HOST, .flags = ARG_POSITIONAL,
        .no_effect = "the stores know of it, on whatever host it runs",
        .help = "zxsuite's parameter: the host on which it runs"),
    { 0 },
};
/* clang-format on */

const Command cmd_monitor = {
    .name = "monitor",
    .group = "Operations",
    .summary = "watch an operation, wherever it runs",
    .description =
        "Shows what the operation does as if it ran here, until it has ended; Ctrl-C ends the\n"
        "watching, and the operation goes on.\n"
        "Exit status: that of the operation: 0 done, 1 failed, 2 stopped, 3 removed from the queue,\n"
        "4 its process has ended without a word, 5 some mailboxes failed; 130 Ctrl-C.",
    .args = args,
    .request_size = sizeof(MonitorRequest),
    .examples = (const char *const[]){ "monitor", "monitor 6f0c2c1e", NULL },
    .run = run,
};
