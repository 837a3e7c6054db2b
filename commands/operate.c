/* operate.c - see operate.h. */
#include "commands/operate.h"
#include "commands/watch.h"

/* Who is to be told of the end is told, too, when this process dies before. */
static Report *guarded(Session *session, const Operating *way, void *request, const Begin *begin,
                       char **to, GError **error)
{
    core_begin_as(session->core, begin->operation, begin->store);
    if (to != NULL)
        session->guard(session->data, begin->operation, to);
    return way->go(session, request, begin, error);
}

/* Whether somebody has to be told that it could not begin: who pressed Ctrl-C knows. */
static bool waits_for_word(const Session *session, const Operating *way, const void *request,
                           const ReportText *text)
{
    return text->notifications != NULL && !way->looks(request) && !wait_stopped(&session->wait);
}

static bool operate(Session *session, const Operating *way, void *request, const Begin *begin,
                    Result *result, GError **error)
{
    g_autoptr(Report) report = NULL;
    g_autofree char *selection = NULL;
    ReportText text = { 0 };
    GError *problem = NULL;
    bool done;

    way->text(request, &text);
    selection = text.selection;
    report = way->looks(request)
                 ? way->go(session, request, begin, &problem)
                 : guarded(session, way, request, begin, text.notifications, &problem);
    if (problem != NULL) {
        if (waits_for_word(session, way, request, &text))
            mail_not_begun(session, begin->operation, begin->command, &text, problem);
        g_propagate_error(error, problem);
    }
    done = report != NULL && (way->after == NULL || way->after(session, request, report, error));
    if (done) {
        if (report->notifications != NULL) /* setOperation */
            text.notifications = report->notifications;
        if (text.destination == NULL && way->moves)
            text.destination = report_destination(report);
        report_finish(session, session->core, report, &text, result);
    }
    session->unguard(session->data);
    return done;
}

static bool prepare(Session *session, const Operating *way, void *request, const char *host,
                    GError **error)
{
    return session_core(session, error) != NULL &&
           (way->prepare == NULL || way->prepare(session, request, host, error));
}

static bool begin_here(Session *session, void *request, Result *result, GError **error)
{
    g_autofree char *uuid =
        session->begin_as != NULL ? g_strdup(session->begin_as) : g_uuid_string_random();

    return operate(
        session, session->command->operating, request,
        &(Begin){ .operation = uuid, .host = session->switches->host, .command = session->line },
        result, error);
}

bool operate_run(Session *session, void *request, Result *result, GError **error)
{
    const Operating *way = session->command->operating;

    if (!prepare(session, way, request, session->switches->host, error))
        return false;
    /* In the process of its own it is settled already. */
    if (session->begin_as == NULL && way->settle != NULL && !way->settle(session, request, error))
        return false;
    return session->background && !way->looks(request)
               ? operation_start(session, NULL, result, error)
               : begin_here(session, request, result, error);
}

bool operate_again(Session *session, const Command *command, void *request, const Begin *begin,
                   Result *result, GError **error)
{
    return prepare(session, command->operating, request, begin->host, error) &&
           operate(session, command->operating, request, begin, result, error);
}

const Operating *operate_of(const OperationLook *operation)
{
    const Command *command = command_find(operation->verb);

    return command != NULL ? command->operating : NULL;
}

char *operate_next(const OperationLook *operation)
{
    const Operating *way = operate_of(operation);

    return way == NULL || way->resumes ? g_strdup_printf("doResume %s", operation->operation)
                                       : g_strdup(operation->command);
}
