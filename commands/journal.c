/* journal.c - the operations that the stores know: getAllOperations, getOperationLog,
 * getUnfinishedOperationLog, getNotification. */
#include "commands/around.h"
#include "commands/operate.h"
#include "commands/watch.h"
#include "conf/units.h"
#include <string.h>

static bool is_lost(const OperationLook *operation)
{
    return strcmp(operation->state, "lost") == 0;
}

/* "2/8 mailboxes, 35.7%". */
static char *progress_of(const OperationLook *operation)
{
    GString *out = g_string_new(NULL);

    g_string_printf(out, "%u/%u mailbox%s", operation->done, operation->mailboxes,
                    operation->mailboxes == 1 ? "" : "es");
    if (operation->bytes > 0)
        g_string_append_printf(out, ", %.1f%%",
                               100 * (double)MIN(operation->bytes_done, operation->bytes) /
                                   (double)operation->bytes);
    if (operation->failed > 0)
        g_string_append_printf(out, ", %u failed", operation->failed);
    return g_string_free(out, FALSE);
}

static void set_progress(json_t *object, const OperationLook *operation)
{
    g_autofree char *progress = operation->mailboxes > 0 ? progress_of(operation) : NULL;

    if (progress == NULL)
        return;
    set_text(object, "progress", progress);
    set_number(object, "mailboxes", operation->mailboxes);
    set_number(object, "done", operation->done);
    set_number(object, "failed", operation->failed);
    if (operation->bytes > 0) {
        set_number(object, "bytes", (int64_t)operation->bytes);
        set_number(object, "bytes_done", (int64_t)operation->bytes_done);
    }
}

json_t *operation_json(const OperationLook *operation, bool verbose)
{
    json_t *object = json_object();

    set_text(object, "operation", operation->operation);
    set_text(object, "verb", operation->verb);
    set_text(object, "state", operation->state);
    set_text(object, "cause", operation->cause);
    if (is_lost(operation))
        set_number(object, "silent_s", operation->silent_ms / 1000);
    if (!operation->ended_yet) {
        set_text(object, "asked", operation->wanted);
        set_text(object, "asked_by", operation->wanted_by);
    }
    set_progress(object, operation);
    if (operation->windows > 0)
        set_number(object, "open_windows", operation->windows);
    set_text(object, "batch_name", operation->batch_name);
    set_text(object, "who", operation->who);
    set_text(object, "host", operation->host);
    set_number(object, "process", operation->pid);
    set_text(object, "recorded_on", operation->store);
    set_time(object, "started", operation->started);
    set_time(object, "ended", operation->ended);
    set_text(object, "result", operation->result);
    if (verbose) {
        set_text(object, "command", operation->command);
        set_text(object, "comment", operation->comment);
    }
    return object;
}

static json_t *short_json(const void *operation)
{
    return operation_json(operation, false);
}

static json_t *verbose_json(const void *operation)
{
    return operation_json(operation, true);
}

typedef struct ListRequest {
    char *operation;
    bool verbose;
} ListRequest;

static void keep_items(GPtrArray *items, bool (*is_of)(const void *item, const char *host),
                       const char *host)
{
    for (guint i = items->len; i-- > 0;)
        if (!is_of(g_ptr_array_index(items, i), host))
            g_ptr_array_remove_index(items, i);
}

static bool is_recorded_on(const void *operation, const char *host)
{
    return g_ascii_strcasecmp(((const OperationLook *)operation)->store, host) == 0;
}

static bool is_server(const void *unreached, const char *host)
{
    return g_ascii_strcasecmp(((const Unreached *)unreached)->server, host) == 0;
}

/* --host: only what this store has records of. */
static bool limit_to_host(const Session *session, Looked *looked, GError **error)
{
    const char *host = session->switches->host;

    if (host == NULL)
        return true;
    if (conf_store_called(session->conf, host, error) == NULL)
        return false;
    keep_items(looked->items, is_recorded_on, host);
    keep_items(looked->unreached, is_server, host);
    return true;
}

/* The operations of @which, each by @item_json. */
static bool list(Session *session, const ListRequest *request, unsigned which,
                 json_t *(*item_json)(const void *item), const char *none, Result *result,
                 GError **error)
{
    Core *core = session_core(session, error);
    g_autoptr(Looked) looked = NULL;

    if (core == NULL)
        return false;
    looked = core_operations(core, request->operation, which, &session->wait, error);
    if (looked == NULL || !limit_to_host(session, looked, error))
        return false;
    if (looked->items->len == 0 && looked->unreached->len == 0 && request->operation != NULL)
        return fail(error, ZX_ERROR_NOT_FOUND, "no such operation: %s", request->operation);
    return around_finish(looked, "operations", item_json, none, result);
}

static bool run_all(Session *session, void *data, Result *result, GError **error)
{
    const ListRequest *request = data;

    return list(session, request, OPERATIONS_GOING, request->verbose ? verbose_json : short_json,
                "no operation is going on", result, error);
}

/* clang-format off */
static const Arg all_args[] = {
    ARG(ListRequest, verbose, .name = "verbose", .type = ARG_BOOL, .fallback = "false",
        .help = "with the command and the remark of each"),
    { 0 },
};

static const Arg log_args[] = {
    ARG(ListRequest, operation, .name = "id", .type = ARG_UUID, .flags = ARG_POSITIONAL,
        .expected = "uuid, or how it begins", .unset = "all", .help = "only this operation"),
    { 0 },
};
/* clang-format on */

const Command cmd_get_all_operations = {
    .name = "getAllOperations",
    .group = "Operations",
    .summary = "list the operations that are going on",
    .description =
        "Lists the operations that have not ended, from whatever host they were begun: queued,\n"
        "running, paused, held, or lost: one that gives no sign of life, whose process is gone.\n"
        "doResume takes that one up again.\n"
        "Exit status: 0 done, 5 a store could not be asked, 69 none could.",
    .args = all_args,
    .request_size = sizeof(ListRequest),
    .examples = (const char *const[]){ "getAllOperations verbose true", NULL },
    .run = run_all,
};

/* zxsuite's names, for programs that read its log. */
static json_t *log_json(const void *item)
{
    const OperationLook *operation = item;
    json_t *object = json_object();

    set_text(object, "id", operation->operation);
    set_text(object, "module", "powerstore");
    set_text(object, "name", operation->verb);
    set_text(object, "parameters", operation->command);
    set_text(object, "origin", operation->host);
    set_text(object, "who", operation->who);
    set_time(object, "started", operation->started);
    set_time(object, "ended", operation->ended);
    set_text(object, "state", operation->state);
    set_text(object, "result", operation->result);
    set_text(object, "batch_name", operation->batch_name);
    set_text(object, "comment", operation->comment);
    set_text(object, "recorded_on", operation->store);
    return object;
}

static bool run_log(Session *session, void *data, Result *result, GError **error)
{
    return list(session, data, OPERATIONS_GOING | OPERATIONS_ENDED, log_json,
                "no store has a record of an operation", result, error);
}

const Command cmd_get_operation_log = {
    .name = "getOperationLog",
    .group = "Operations",
    .summary = "list what was done, by whom, and how it ended",
    .description = "Lists the operations that the stores have a record of, the newest first,\n"
                   "from whatever host they were run.\n"
                   "Exit status: 0 done, 1 no such operation, 5 a store could not be asked.",
    .args = log_args,
    .request_size = sizeof(ListRequest),
    .examples = (const char *const[]){ "getOperationLog", "getOperationLog 6f0c2c1e", NULL },
    .run = run_log,
};

static json_t *unfinished_json(const void *item)
{
    const OperationLook *operation = item;
    json_t *object = log_json(item), *next = json_array();
    g_autofree char *how = operate_next(operation);

    if (is_lost(operation))
        set_number(object, "silent_s", operation->silent_ms / 1000);
    set_progress(object, operation);
    if (operation->windows > 0) {
        set_number(object, "open_windows", operation->windows);
        json_array_append_new(next, json_sprintf("doRecover operation %s", operation->operation));
    }
    json_array_append_new(next, text_json(how));
    json_object_set_new(object, "next", next);
    return object;
}

static bool run_unfinished(Session *session, void *data, Result *result, GError **error)
{
    return list(session, data, OPERATIONS_UNFINISHED, unfinished_json,
                "no operation was interrupted", result, error);
}

const Command cmd_get_unfinished_operation_log = {
    .name = "getUnfinishedOperationLog",
    .group = "Operations",
    .summary = "list what was interrupted and needs somebody",
    .description =
        "Lists the operations whose process has ended without a word, and those that left an\n"
        "account in its window; next says with which commands each goes on.\n"
        "Exit status: 0 done, 5 a store could not be asked, 69 none could.",
    .examples = (const char *const[]){ "getUnfinishedOperationLog", NULL },
    .request_size = sizeof(ListRequest),
    .run = run_unfinished,
};

/* The first word of the mail that tells of such an end. */
static const char *word_of(const OperationLook *operation)
{
    static const struct {
        const char *state, *word;
    } words[] = { { "done", "DONE" },       { "partial", "PARTIAL" },
                  { "failed", "FAILED" },   { "stopped", "STOPPED" },
                  { "removed", "STOPPED" }, { "held", "HELD" } };

    for (guint i = 0; i < G_N_ELEMENTS(words); i++)
        if (strcmp(operation->state, words[i].state) == 0)
            return words[i].word;
    return "INTERRUPTED";
}

static json_t *notification_json(const void *item)
{
    const OperationLook *operation = item;
    json_t *object = json_object();
    g_autofree char *subject =
        g_strdup_printf("%s %s", word_of(operation),
                        operation->result != NULL ? operation->result : operation->state);

    set_text(object, "id", operation->operation);
    set_text(object, "module", "powerstore");
    set_text(object, "name", operation->verb);
    set_time(object, "date", operation->ended != 0 ? operation->ended : operation->started);
    set_text(object, "subject", subject);
    set_text(object, "parameters", operation->command);
    return object;
}

/* Of one: what is to be known of its mailboxes, too. */
static bool add_details(Core *core, const OperationLook *operation, json_t *object, GError **error)
{
    g_autoptr(GPtrArray) mailboxes = core_operation_mailboxes(core, operation, error);
    json_t *list_of = json_array();

    for (guint i = 0; mailboxes != NULL && i < mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(mailboxes, i);
        json_t *line = json_object();

        set_text(line, "account", mailbox->address);
        set_text(line, "outcome", mailbox_outcome(mailbox->outcome));
        set_text(line, "reason", mailbox->reason);
        json_array_append_new(list_of, line);
    }
    json_object_set_new(object, "mailboxes", list_of);
    return mailboxes != NULL;
}

static bool run_notification(Session *session, void *data, Result *result, GError **error)
{
    const ListRequest *request = data;
    unsigned which = OPERATIONS_ENDED | (request->operation != NULL ? OPERATIONS_GOING : 0);
    g_autoptr(Looked) looked = NULL;
    const OperationLook *operation;
    json_t *object;

    if (request->operation == NULL)
        return list(session, request, which, notification_json, "no operation has ended", result,
                    error);
    operation = operation_find(session, request->operation, &looked, error);
    if (operation == NULL)
        return false;
    object = notification_json(operation);
    result->response = json_pack("{s:[o]}", "operations", object);
    return add_details(session->core, operation, object, error);
}

const Command cmd_get_notification = {
    .name = "getNotification",
    .group = "Operations",
    .summary = "what the operations had to tell when they ended",
    .description =
        "Lists how the operations ended, in the words of the subject of their mail, the newest\n"
        "first; of the one that id names also how it went with each of its mailboxes. Who is to\n"
        "get the mail is a parameter of the operation: notifications.\n"
        "Exit status: 0 done, 1 no such operation, 5 a store could not be asked.",
    .args = log_args,
    .request_size = sizeof(ListRequest),
    .examples = (const char *const[]){ "getNotification 6f0c2c1e", NULL },
    .run = run_notification,
};
