/* operations.c - verbs about what was moved and what was interrupted. */
#include "commands/commands.h"
#include "commands/report.h"
#include "conf/units.h"

static json_t *moved_json(const MovedMailbox *moved)
{
    g_autofree char *moved_at = report_time(moved->moved_at);
    g_autofree char *purge_after = report_time(moved->purge_after);
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

static bool run_moved(Session *session, void *data G_GNUC_UNUSED, Result *result, GError **error)
{
    Core *core = session_core(session, error);
    g_autoptr(GPtrArray) moved = NULL;
    json_t *list;

    if (core == NULL)
        return false;
    moved = core_moved(core, session->switches->host, &session->wait, error);
    if (moved == NULL)
        return false;
    list = json_array();
    for (guint i = 0; i < moved->len; i++)
        json_array_append_new(list, moved_json(g_ptr_array_index(moved, i)));
    result->response = json_pack("{s:o}", "mailboxes", list);
    if (moved->len == 0)
        result->text = g_strdup("no old copies are kept\n");
    return true;
}

const Command cmd_get_moved_mailboxes = {
    .name = "getMovedMailboxes",
    .group = "Old copies",
    .summary = "list the old copies that are still kept",
    .description = "Lists the copies that moves left behind, with the day from which\n"
                   "doPurgeMailboxes takes them. --host limits the list to one store.",
    .examples = (const char *const[]){ "getMovedMailboxes", NULL },
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

static bool run_recover(Session *session, void *data, Result *result, GError **error)
{
    RecoverRequest *request = data;
    Core *core = session_core(session, error);
    g_autoptr(Report) report = NULL;
    ReportText text = { .recover = true, .dry_run = request->dry_run };

    if (core == NULL)
        return false;
    request->command = g_strdup(session->line);
    report = core_recover(core, request, session_event, session, &session->wait, error);
    g_clear_pointer(&request->command, g_free);
    if (report == NULL)
        return false;
    text.selection = request->operation != NULL ? g_strdup(request->operation)
                                                : report_selection(request->accounts);
    report_finish(session, core, report, &text, result);
    g_free(text.selection);
    return true;
}

const Command cmd_do_recover = {
    .name = "doRecover",
    .group = "Moving",
    .summary = "finish or undo a move that was interrupted",
    .description =
        "Looks at what an interrupted move left and says what it would do; with dry_run\n"
        "false it does it: undone before the commit, finished after it. A commit in doubt\n"
        "is only finished, unless its request is known to be dead (force true).",
    .args = recover_args,
    .request_size = sizeof(RecoverRequest),
    .examples = (const char *const[]){ "doRecover operation 6f0c2c1e",
                                       "doRecover accounts anna@company.ru dry_run false", NULL },
    .check = check_recover,
    .run = run_recover,
};
