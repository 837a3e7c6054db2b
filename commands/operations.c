/* operations.c - verbs about what was moved and what was interrupted. */
#include "commands/around.h"
#include "commands/operate.h"
#include "commands/watch.h"
#include "conf/units.h"
#include <string.h>

static json_t *moved_json(const MovedMailbox *moved)
{
    g_autofree char *moved_at = units_format_iso(moved->moved_at);
    g_autofree char *purge_after = units_format_iso(moved->purge_after);
    g_autofree char *size = units_format_size(moved->bytes);
    json_t *object = json_pack(
        "{s:o, s:I, s:o, s:o, s:o, s:I, s:o, s:o, s:I, s:o, s:o}", "store", text_json(moved->store),
        "mailbox_id", (json_int_t)moved->mailbox_id, "account",
        text_json(moved->address != NULL ? moved->address : moved->account_id), "account_id",
        text_json(moved->account_id), "moved_to", text_json(moved->moved_to), "new_mailbox_id",
        (json_int_t)moved->new_mailbox, "moved_at", text_json(moved_at), "size", text_json(size),
        "bytes", (json_int_t)moved->bytes, "purge_after", text_json(purge_after), "operation",
        text_json(moved->operation));

    if (moved->state != NULL)
        json_object_set_new(object, "state", text_json(moved->state));
    if (moved->batch_name != NULL)
        json_object_set_new(object, "batch_name", text_json(moved->batch_name));
    if (moved->bad_items != 0)
        json_object_set_new(object, "bad_items", json_integer(moved->bad_items));
    return object;
}

typedef struct MovedRequest {
    bool due;
    char *format;
} MovedRequest;

/* The keys of the objects, each a column. */
static char *moved_csv(const json_t *list)
{
    static const char *const columns[] = { "store",     "mailbox_id", "account",   "account_id",
                                           "moved_to",  "moved_at",   "bytes",     "purge_after",
                                           "operation", "batch_name", "bad_items", "state" };
    GString *out = g_string_new(NULL);
    size_t i;
    json_t *item;

    for (size_t k = 0; k < G_N_ELEMENTS(columns); k++)
        csv_field(out, columns[k]);
    g_string_append_c(out, '\n');
    json_array_foreach(list, i, item)
    {
        for (size_t k = 0; k < G_N_ELEMENTS(columns); k++) {
            const json_t *value = json_object_get(item, columns[k]);
            g_autofree char *number =
                json_is_integer(value)
                    ? g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value))
                    : NULL;

            csv_field(out, number != NULL ? number : json_string_value(value));
        }
        g_string_append_c(out, '\n');
    }
    return g_string_free(out, FALSE);
}

static void show_moved(const MovedRequest *request, const Looked *looked, json_t *list,
                       Result *result)
{
    result->response = json_object();
    if (looked->answered || looked->unreached->len == 0)
        json_object_set(result->response, "mailboxes", list);
    around_unreached(looked, result);
    if (strcmp(request->format, "csv") == 0) {
        result->text = moved_csv(list);
    } else if (strcmp(request->format, "json") == 0) {
        g_autofree char *json = json_dumps(list, JSON_INDENT(2) | JSON_DECIMALS);

        result->text = g_strconcat(json, "\n", NULL);
    } else if (json_array_size(list) == 0 && looked->unreached->len == 0) {
        result->text =
            g_strdup(request->due ? "no old copies are due\n" : "no old copies are kept\n");
    }
}

static bool run_moved(Session *session, void *data, Result *result, GError **error)
{
    const MovedRequest *request = data;
    const int64_t now = g_get_real_time() / 1000;
    Core *core = session_core(session, error);
    g_autoptr(Looked) looked = NULL;
    json_t *list;

    if (core == NULL)
        return false;
    looked = core_moved(core, session->switches->host, &session->wait, error);
    if (looked == NULL)
        return false;
    list = json_array();
    for (guint i = 0; i < looked->items->len; i++) {
        const MovedMailbox *one = g_ptr_array_index(looked->items, i);

        if (!request->due || one->purge_after <= now)
            json_array_append_new(list, moved_json(one));
    }
    show_moved(request, looked, list, result);
    json_decref(list);
    return true;
}

/* clang-format off */
static const Arg moved_args[] = {
    ARG(MovedRequest, due, .name = "due", .type = ARG_BOOL, .fallback = "false",
        .help = "only those that doPurgeMailboxes would take today"),
    ARG(MovedRequest, format, .name = "format", .type = ARG_CHOICE, .values = "text|csv|json",
        .fallback = "text", .help = "the form"),
    { 0 },
};
/* clang-format on */

const Command cmd_get_moved_mailboxes = {
    .name = "getMovedMailboxes",
    .group = "Old copies",
    .summary = "list the old copies that are still kept",
    .description = "Lists the copies that moves left behind, with the day from which\n"
                   "doPurgeMailboxes takes them. --host limits the list to one store.\n"
                   "Exit status: 0 done, 5 a store could not be asked, 69 none could.",
    .args = moved_args,
    .request_size = sizeof(MovedRequest),
    .examples =
        (const char *const[]){ "getMovedMailboxes", "getMovedMailboxes due true format csv", NULL },
    .run = run_moved,
};

/* clang-format off */
static const Arg recover_args[] = {
    ARG(RecoverRequest, accounts, .name = "accounts", .type = ARG_ACCOUNTS,
        .expected = "john@example.com,smith@example.com", .help = "accounts whose move was interrupted"),
    ARG(RecoverRequest, operation, .name = "operation", .type = ARG_UUID,
        .expected = "uuid, or how it begins", .help = "the operation that was interrupted"),
    ARG(RecoverRequest, dry_run, .name = "dry_run", .type = ARG_BOOL, .fallback = "true",
        .help = "only explain what would be done"),
    ARG(RecoverRequest, force, .name = "force", .type = ARG_BOOL, .fallback = "false",
        .help = "undo a commit in doubt on your word that its request is dead"),
    { 0 },
};
/* clang-format on */

static bool check_recover(void *data, GError **error)
{
    const RecoverRequest *request = data;

    if (request->accounts == NULL && request->operation == NULL)
        return fail_page(error, &cmd_do_recover, "doRecover needs accounts or operation");
    if (request->force && request->dry_run)
        return fail(error, ZX_ERROR_USAGE, "force true needs dry_run false as well");
    return true;
}

static bool recover_looks(const void *data)
{
    return ((const RecoverRequest *)data)->dry_run;
}

static Report *go_recover(Session *session, void *data, const Begin *begin, GError **error)
{
    RecoverRequest *request = data;

    request->command = begin->command;
    return core_recover(session->core, request, session_event, session, &session->wait, error);
}

/* When no window of it is open any more, a process that died has nothing left to be recovered; what it
 * had not begun is doResume's. */
static bool end_lost(Session *session, const void *data, const Report *report G_GNUC_UNUSED,
                     GError **error G_GNUC_UNUSED)
{
    const RecoverRequest *request = data;
    g_autoptr(GError) problem = NULL;
    g_autoptr(Looked) looked = NULL;
    const OperationLook *operation;

    if (request->operation == NULL || request->dry_run)
        return true;
    operation = operation_find(session, request->operation, &looked, &problem);
    if (operation != NULL && strcmp(operation->state, "lost") == 0 && operation->windows == 0 &&
        !core_end_lost(session->core, operation, &problem))
        session_note(session, "%s", problem->message);
    return true;
}

static void recover_text(const void *data, ReportText *text)
{
    const RecoverRequest *request = data;

    text->selection = request->operation != NULL ? g_strdup(request->operation)
                                                 : report_selection(request->accounts);
    text->recover = true;
    text->dry_run = request->dry_run;
}

/* It lets users in, and waits for nobody. */
static const Operating recovering = {
    .looks = recover_looks,
    .go = go_recover,
    .after = end_lost,
    .text = recover_text,
};

const Command cmd_do_recover = {
    .name = "doRecover",
    .group = "Moving",
    .summary = "finish or undo a move that was interrupted",
    .description =
        "Looks at what an interrupted move left and says what it would do; with dry_run\n"
        "false it does it: undone before the commit, finished after it. A commit in doubt\n"
        "is only finished, unless its request is known to be dead (force true). Of an\n"
        "account that was deleted meanwhile only the record is closed.",
    .flags = COMMAND_OPERATES,
    .args = recover_args,
    .request_size = sizeof(RecoverRequest),
    .examples = (const char *const[]){ "doRecover operation 6f0c2c1e",
                                       "doRecover accounts anna@company.ru dry_run false", NULL },
    .check = check_recover,
    .run = operate_run,
    .operating = &recovering,
};
