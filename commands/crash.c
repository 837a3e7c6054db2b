/* crash.c - see crash.h. What it says is what the stores know: the process can tell nothing any more. */
#include "commands/crash.h"
#include "commands/operate.h"
#include "commands/post.h"
#include "commands/watch.h"
#include <string.h>

#define NOTICED_MS 30000  /* by then the stores know that it has died */
#define UNASKED_MS 900000 /* stores that cannot be asked are not waited for any longer */
#define LOOK_MS    500
#define SHOWN      40

/* Another process has taken it up since, and tells how it ends. */
static bool is_taken_up(const OperationLook *operation, const char *process)
{
    return operation->process != NULL && process != NULL &&
           strcmp(operation->process, process) != 0;
}

/* As it is when its row says so, or when that took too long. NULL with NOT_FOUND if no store has
 * one, with another error if those that may have one could not be asked. What was once found stays
 * known. */
static Looked *await_end(Session *session, const char *operation, const char *process,
                         GError **error)
{
    const Wait noticed = wait_within(&session->wait, NOTICED_MS),
               unasked = wait_within(&session->wait, UNASKED_MS);
    Looked *looked = NULL;

    for (;;) {
        g_autoptr(GError) problem = NULL;
        Looked *now = core_operation(session->core, operation, &session->wait, &problem);
        bool sure = now != NULL || error_code(problem) == ZX_ERROR_NOT_FOUND;
        const OperationLook *look;

        if (now != NULL) {
            looked_free(looked);
            looked = now;
        }
        look = looked != NULL ? g_ptr_array_index(looked->items, 0) : NULL;
        if ((look != NULL &&
             (look->ended_yet || strcmp(look->state, "lost") == 0 || is_taken_up(look, process))) ||
            wait_left_ms(sure ? &noticed : &unasked, 1) == 0 || wait_stopped(&session->wait)) {
            if (looked == NULL)
                g_propagate_error(error, g_steal_pointer(&problem));
            return looked;
        }
        wait_pause(&session->wait, LOOK_MS);
    }
}

/* Those whose window is open: their users are out. */
static void append_windows(GString *out, Session *session, const char *operation)
{
    g_autoptr(Looked) looked = core_trace(session->core, operation, &session->wait, NULL);
    const Trace *trace =
        looked != NULL && looked->items->len == 1 ? g_ptr_array_index(looked->items, 0) : NULL;
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; trace != NULL && i < trace->accounts->len; i++) {
        const TraceAccount *account = g_ptr_array_index(trace->accounts, i);

        if (strcmp(account->record, "window") != 0 || strcmp(account->state, "done") == 0 ||
            strcmp(account->state, "undone") == 0 || account->account == NULL ||
            !g_hash_table_add(seen, account->account))
            continue;
        if (g_hash_table_size(seen) == 1)
            g_string_append(out, "\nIn its window; the user is out until it is finished or undone:\n");
        g_string_append_printf(out, "  %s  %s\n", account->account, account->state);
    }
}

static void append_left(GString *out, Session *session, const OperationLook *operation)
{
    g_autoptr(GPtrArray) mailboxes = core_operation_mailboxes(session->core, operation, NULL);
    unsigned count = 0;

    for (guint i = 0; mailboxes != NULL && i < mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(mailboxes, i);

        if (!mailbox_is_left(mailbox))
            continue;
        if (count++ == 0)
            g_string_append(out, "\nNot ended:\n");
        if (count <= SHOWN)
            g_string_append_printf(out, "  %s\n", mailbox->address);
    }
    if (count > SHOWN)
        g_string_append_printf(out, "  and %u more\n", count - SHOWN);
}

/* A verb that is not taken up again leaves no window of its own. */
static void append_next(GString *out, const OperationLook *operation)
{
    const Operating *way = operate_of(operation);
    g_autofree char *next = operate_next(operation);

    g_string_append_printf(out, "\nTo go on from there:\n  %s\n", next);
    if (way == NULL || way->resumes)
        g_string_append_printf(out,
                               "Only to finish or undo what was in its window:\n"
                               "  doRecover operation %s dry_run false\n",
                               operation->operation);
    g_string_append_printf(out,
                           "To look first:\n"
                           "  getUnfinishedOperationLog\n"
                           "  status operation_uuid %s\n",
                           operation->operation);
}

static char *body_of(Session *session, const OperationLook *operation)
{
    GString *out = g_string_new(NULL);

    g_string_append_printf(out,
                           "command    %s\n"
                           "operation  %s\n"
                           "by         %s on %s\n"
                           "result     its process (%u) has ended without a word; %u of %u "
                           "mailboxes had ended\n",
                           operation->command, operation->operation, operation->who,
                           operation->host, operation->pid, operation->done, operation->mailboxes);
    append_windows(out, session, operation->operation);
    append_left(out, session, operation);
    append_next(out, operation);
    return g_string_free(out, FALSE);
}

static char *subject_of(Session *session, const OperationLook *operation)
{
    g_auto(Recorded) recorded = { 0 };
    ReportText text = { 0 };
    g_autofree char *selection = NULL;

    if (recorded_read(session, operation->command, &recorded, NULL))
        recorded_text(&recorded, &text);
    selection = text.selection;
    return g_strdup_printf("[zxmove] INTERRUPTED %u of %u ended: %s%s%s", operation->done,
                           operation->mailboxes,
                           selection != NULL ? selection : operation->verb,
                           text.destination != NULL ? " -> " : "",
                           text.destination != NULL ? text.destination : "");
}

/* Nothing is known of it. */
static char *body_without(const char *operation, const GError *why)
{
    bool none = error_code(why) == ZX_ERROR_NOT_FOUND;

    return g_strdup_printf(
        "operation  %s\n"
        "Its process has ended without a word, %s%s.\n%s",
        operation,
        none ? "and no store has a record of it: it had not begun"
             : "and what it had done is not known: ",
        none ? "" : why->message,
        none ? "" : "\nTo look when the stores answer:\n  getUnfinishedOperationLog\n");
}

bool crash_mail(Session *session, const char *operation, const char *process, char **to,
                GError **error)
{
    g_autoptr(GError) unknown = NULL;
    g_autoptr(Looked) looked = await_end(session, operation, process, &unknown);
    const OperationLook *look = looked != NULL ? g_ptr_array_index(looked->items, 0) : NULL;
    g_autofree char *subject = NULL;
    g_autofree char *body = NULL;
    g_autoptr(GError) problem = NULL;
    Limits now = { 0 };
    bool changed, sent;
    Post post;

    if (look != NULL && is_taken_up(look, process))
        return true;
    subject = look != NULL ? subject_of(session, look)
                           : g_strdup_printf("[zxmove] INTERRUPTED %s",
                                             error_code(unknown) == ZX_ERROR_NOT_FOUND
                                                 ? "before it had begun"
                                                 : "and the stores could not be asked");
    body = look != NULL ? body_of(session, look) : body_without(operation, unknown);
    changed = look != NULL && core_limits(session->core, look, NULL, &now, NULL);
    post = (Post){ .to = changed && now.notifications != NULL ? now.notifications : to,
                   .operation = operation,
                   .subject = subject,
                   .body = body };
    sent = post_send(session->core, &post, &problem) || post_later(session->conf, &post, error);

    if (changed)
        limits_clear(&now);
    return sent;
}
