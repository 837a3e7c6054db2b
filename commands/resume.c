/* resume.c - doResume: on after a pause; or, when the process of an operation has ended, on from
 * where it stood, in a process of its own. */
#include "commands/operate.h"
#include "commands/recorded.h"
#include "commands/watch.h"
#include "core/base/self.h"
#include <string.h>

#define LOOK_MS 1000

typedef struct ResumeRequest {
    char *operation, *comment;
} ResumeRequest;

static bool is_lost(const OperationLook *operation)
{
    return strcmp(operation->state, "lost") == 0;
}

/* Mailboxes that are still to be tried. */
static bool count_left(Core *core, const OperationLook *operation, unsigned *left, GError **error)
{
    g_autoptr(GPtrArray) mailboxes = core_operation_mailboxes(core, operation, error);

    *left = 0;
    for (guint i = 0; mailboxes != NULL && i < mailboxes->len; i++)
        *left += mailbox_is_left(g_ptr_array_index(mailboxes, i));
    return mailboxes != NULL;
}

/* It was only cut off from its store: not one to take up. */
static bool is_back(Session *session, const OperationLook *operation)
{
    g_autoptr(Looked) looked =
        core_operation(session->core, operation->operation, &session->wait, NULL);
    const OperationLook *now = looked != NULL ? g_ptr_array_index(looked->items, 0) : NULL;

    return now != NULL && !now->ended_yet && !is_lost(now);
}

/* Nothing may be touched while the dead process could still believe that an account is its own. */
static bool wait_for_leases(Session *session, const OperationLook *operation, GError **error)
{
    /* One that ended by itself gave its accounts up, and said how it went. */
    const bool died = is_lost(operation) || operation->result == NULL;
    const int64_t lease_ms = (int64_t)(session->conf->lease_s + 1) * 1000,
                  left_ms = lease_ms - operation->silent_ms;

    /* Of one that is known to have ended nobody needs to wait for what it might still believe. */
    if (!died || left_ms <= 0 || self_has_ended(operation->process))
        return true;
    session_note(session, "waiting %.0f s, until the leases of its process on %s have run out",
                 (double)left_ms / 1000, operation->host);
    for (Wait wait = wait_within(&session->wait, left_ms); wait_left_ms(&wait, 1) > 0;) {
        wait_pause(&wait, LOOK_MS);
        if (wait_stopped(&wait))
            break;
        if (is_lost(operation) && is_back(session, operation))
            return fail(error, ZX_ERROR_CONFLICT,
                        "operation %s goes on again: its process on %s was only cut off from %s",
                        operation->operation, operation->host, operation->store);
    }
    return wait_check(&session->wait, "doResume", error);
}

/* A window that is open is finished or undone before anybody is moved. What cannot be says so again
 * when it is that mailbox's turn. */
static bool close_windows(Session *session, const OperationLook *operation, GError **error)
{
    g_autofree char *command =
        g_strdup_printf("doRecover operation %s dry_run false", operation->operation);
    const RecoverRequest request = { .operation = operation->operation, .command = command };
    g_autoptr(Report) report = NULL;

    if (operation->windows == 0)
        return true;
    report = core_recover(session->core, &request, NULL, NULL, &session->wait, error);
    for (guint i = 0; report != NULL && i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);

        session_note(session, "%s: %s%s%s", mailbox->address, mailbox_outcome(mailbox->outcome),
                     mailbox->reason != NULL ? ": " : "",
                     mailbox->reason != NULL ? mailbox->reason : "");
    }
    return report != NULL;
}

static bool resume_here(Session *session, const char *uuid, const Recorded *recorded,
                        Result *result, GError **error)
{
    g_autoptr(Looked) looked = NULL;
    const OperationLook *operation = operation_find(session, uuid, &looked, error);

    if (operation == NULL || !wait_for_leases(session, operation, error) ||
        !close_windows(session, operation, error))
        return false;
    return operate_again(session, recorded->command, recorded->request,
                         &(Begin){ .operation = uuid,
                                   .store = operation->store,
                                   .host = recorded->switches.host,
                                   .command = operation->command },
                         result, error);
}

/* Its row says from now on that it has ended: nobody comes to end it any more. */
static bool refuse(Session *session, const OperationLook *operation, GError **error)
{
    if (is_lost(operation) && !core_end_lost(session->core, operation, error))
        return false;
    return fail(error, ZX_ERROR_REFUSED,
                "operation %s was a %s: that is not taken up, but run again, and goes on from what "
                "it finds\nrun it again: %s",
                operation->operation, operation->verb, operation->command);
}

static bool take_up(Session *session, const OperationLook *operation, Result *result,
                    GError **error)
{
    g_auto(Recorded) recorded = { 0 };
    unsigned left;

    if (!recorded_read(session, operation->command, &recorded, error) ||
        !count_left(session->core, operation, &left, error))
        return false;
    if (left > 0 && (recorded.command->operating == NULL || !recorded.command->operating->resumes))
        return refuse(session, operation, error);
    if (left == 0 && operation->windows == 0 && is_lost(operation))
        return core_end_lost(session->core, operation, error) &&
               operation_answer(session, operation, result, error);
    if (left == 0 && operation->windows == 0)
        return fail(error, ZX_ERROR_REFUSED,
                    "operation %s is %s, nothing is left of it\nwhat failed is tried again by: %s",
                    operation->operation, operation->state, operation->command);
    return session->background
               ? operation_start(session, operation->operation, result, error)
               : resume_here(session, operation->operation, &recorded, result, error);
}

static bool run(Session *session, void *data, Result *result, GError **error)
{
    const ResumeRequest *request = data;
    g_autoptr(Looked) looked = NULL;
    const OperationLook *operation =
        operation_find(session, request->operation, &looked, error);
    bool paused;

    if (operation == NULL)
        return false;
    if (operation->ended_yet || is_lost(operation))
        return take_up(session, operation, result, error);
    paused = strcmp(operation->state, "paused") == 0 ||
             g_strcmp0(operation->wanted, "pause") == 0;
    if (!paused)
        return fail(error, ZX_ERROR_REFUSED, "operation %s is %s: there is nothing to resume",
                    operation->operation, operation->state);
    return core_want(session->core, operation, WANT_GO, NULL, request->comment, error) &&
           operation_answer(session, operation, result, error);
}

/* clang-format off */
static const Arg args[] = {
    ARG(ResumeRequest, operation, .name = "operation_uuid", .type = ARG_UUID,
        .flags = ARG_REQUIRED, .expected = "uuid, or how it begins", .help = "the operation"),
    ARG(ResumeRequest, comment, .name = "comment", .type = ARG_TEXT,
        .help = "why, for those who see it in the list"),
    { 0 },
};
/* clang-format on */

const Command cmd_do_resume = {
    .name = "doResume",
    .group = "Operations",
    .summary = "go on with what pauses, was stopped, or died",
    .description =
        "An operation that pauses goes on. A move or rollback that was stopped or interrupted, or\n"
        "whose process has died, is taken up by a new one, on this host: what stands in a window\n"
        "is finished or undone first, then come the mailboxes that had not ended. input_file and\n"
        "domains are not read again: the mailboxes are those that were selected then. A purge or\n"
        "recovery is not taken up: run it again, it goes on from what it finds.\n"
        "Exit status: that of doMailboxMove; 1 there is nothing to resume.",
    .flags = COMMAND_OPERATES,
    .args = args,
    .request_size = sizeof(ResumeRequest),
    .examples = (const char *const[]){ "doResume 6f0c2c1e", NULL },
    .run = run,
};
