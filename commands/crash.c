/* crash.c - see crash.h. What it says is what the stores know: the process can tell nothing any more. */
#include "commands/crash.h"
#include "commands/post.h"
#include "commands/recorded.h"
#include "commands/watch.h"
#include <string.h>

#define NOTICED_MS 30000 /* by then the stores know */
#define LOOK_MS    500
#define SHOWN      40

/* As it is when its row says so, or when that took too long; NULL if no store has one. */
static Looked *await_end(Session *session, const char *operation)
{
    const Wait wait = wait_within(&session->wait, NOTICED_MS);
    Looked *looked = NULL;

    for (;;) {
        const OperationLook *look;

        if (looked != NULL)
            looked_free(looked);
        looked = core_operation(session->core, operation, &session->wait, NULL);
        look = looked != NULL ? g_ptr_array_index(looked->items, 0) : NULL;
        if ((look != NULL && (look->ended_yet || strcmp(look->state, "lost") == 0)) ||
            wait_left_ms(&wait, 1) == 0)
            return looked;
        wait_pause(&wait, LOOK_MS);
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
    g_string_append_printf(out,
                           "\nTo go on from there:\n"
                           "  doResume %s\n"
                           "Only to finish or undo what was in its window:\n"
                           "  doRecover operation %s dry_run false\n"
                           "To look first:\n"
                           "  getUnfinishedOperationLog\n"
                           "  status operation_uuid %s\n",
                           operation->operation, operation->operation, operation->operation);
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

bool crash_mail(Session *session, const char *operation, char **to, GError **error)
{
    g_autoptr(Looked) looked = await_end(session, operation);
    const OperationLook *look = looked != NULL ? g_ptr_array_index(looked->items, 0) : NULL;
    g_autofree char *subject = look != NULL ? subject_of(session, look)
                                            : g_strdup("[zxmove] INTERRUPTED before it had begun");
    g_autofree char *body =
        look != NULL
            ? body_of(session, look)
            : g_strdup_printf("operation  %s\nIts process has ended without a word; no store that "
                              "could be asked has a record of it.\n", operation);
    g_autoptr(GError) problem = NULL;
    Limits now = { 0 };
    bool changed = look != NULL && core_limits(session->core, look, NULL, &now, NULL);
    const Post post = { .to = changed && now.notifications != NULL ? now.notifications : to,
                        .operation = operation,
                        .subject = subject,
                        .body = body };
    bool sent = post_send(session->core, &post, &problem) || post_later(session->conf, &post, error);

    if (changed)
        limits_clear(&now);
    return sent;
}
