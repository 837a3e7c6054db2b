/* rollback.c - doRollback: takes back what moved, by a move in the other direction. */
#include "commands/operate.h"
#include "conf/pace.h"

/* clang-format off */
#define ROLLBACK(field, ...) ARG(RollbackRequest, field, __VA_ARGS__)

static const Arg args[] = {
    ROLLBACK(accounts, .name = "accounts", .type = ARG_ACCOUNTS,
             .expected = "john@example.com,smith@example.com",
             .help = "accounts whose last move is taken back"),
    ROLLBACK(operation, .name = "operation", .type = ARG_UUID, .expected = "uuid, or how it begins",
             .help = "every account that this operation moved"),
    ROLLBACK(threads, .name = "threads", .type = ARG_COUNT, .fallback = "1", .min = 1, .max = 32,
             .help = "mailboxes in flight at the same time; from_old_copy takes one after the other"),
    ROLLBACK(bandwidth, .name = "bandwidth", .type = ARG_TEXT,
             .expected = "20M, 'Mon-08:00,4M Mon-19:00,off'", .fallback = "off",
             .help = "bytes that the operation copies a second, or a timetable of them; never in a window"),
    ROLLBACK(max_load, .name = "max_load", .type = ARG_DECIMAL, .flags = ARG_OFF, .min = 0,
             .max = 10000, .fallback = "off", .expected = "8, off",
             .help = "copy nothing while the load of a store, the average of a minute, is above; "
                     "never in a window"),
    ROLLBACK(notifications, .name = "notifications", .type = ARG_ADDRESSES,
             .expected = "admin@example.com", .help = "who gets the completion mail"),
    ROLLBACK(dry_run, .name = "dry_run", .type = ARG_BOOL, .fallback = "false",
             .help = "look at everything and change nothing, as the verb plan does"),
    ROLLBACK(from_old_copy, .name = "from_old_copy", .type = ARG_BOOL, .fallback = "false",
             .help = "the present home is gone for good: back to the old copy as it was left, without anything that arrived since"),
    ROLLBACK(accept_data_loss, .name = "accept_data_loss", .type = ARG_BOOL, .fallback = "false",
             .help = "needed by from_old_copy; else: also mailboxes that were moved with damaged items, which only the old copy may have"),
    { 0 },
};
/* clang-format on */

static bool check(void *data, GError **error)
{
    const RollbackRequest *request = data;
    Pace pace;

    if (request->accounts == NULL && request->operation == NULL)
        return fail_page(error, &cmd_do_rollback, "doRollback needs accounts or operation");
    if (request->accounts != NULL && request->operation != NULL)
        return fail(error, ZX_ERROR_USAGE, "accounts and operation both say who: give one of them");
    if (request->from_old_copy && !request->accept_data_loss && !request->dry_run)
        return fail(error, ZX_ERROR_USAGE,
                    "from_old_copy gives up everything that arrived since: it needs accept_data_loss"
                    " true\nwhat that is: the same with dry_run true");
    return request->bandwidth == NULL || pace_parse(request->bandwidth, &pace, error) ||
           fail_prefix(error, "bandwidth");
}

#define SHOWN 20 /* of the accounts that a question names */

/* What would be given up, of each who would go back; NULL if nobody would. */
static char *make_question(const Report *report)
{
    GString *text = g_string_new(NULL);
    unsigned count = 0;

    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *mailbox = g_ptr_array_index(report->mailboxes, i);

        if (mailbox->outcome == OUTCOME_PLANNED && ++count <= SHOWN)
            g_string_append_printf(text, "%s: %s.\n", mailbox->address, mailbox->reason);
    }
    if (count > SHOWN)
        g_string_append_printf(text, "and the same of %u more.\n", count - SHOWN);
    g_string_append(text, "Give this up for good?");
    return g_string_free(text, count == 0);
}

static bool looks(const void *data)
{
    return ((const RollbackRequest *)data)->dry_run;
}

static bool prepare(Session *session G_GNUC_UNUSED, void *data, const char *host,
                    GError **error G_GNUC_UNUSED)
{
    ((RollbackRequest *)data)->host = host;
    return true;
}

/* A person is told what is lost before anything is done; one who is not there has said --yes. */
static bool settle(Session *session, void *data, GError **error)
{
    const RollbackRequest *request = data;
    RollbackRequest look = *request;
    g_autoptr(Report) report = NULL;
    g_autofree char *question = NULL;

    if (!request->from_old_copy || request->dry_run || session->switches->yes)
        return true;
    if (session->ask == NULL)
        return fail(error, ZX_ERROR_USAGE,
                    "nobody is here to confirm what is lost: add --yes\nwhat that is: the same with"
                    " dry_run true");
    look.dry_run = true;
    look.command = session->line;
    report = core_rollback(session->core, &look, NULL, NULL, &session->wait, error);
    if (report == NULL)
        return false;
    question = make_question(report);
    return question == NULL || session->ask(session->data, question) ||
           fail(error, ZX_ERROR_STOPPED, "nothing was changed");
}

static Report *go(Session *session, void *data, const Begin *begin, GError **error)
{
    RollbackRequest *request = data;

    request->command = begin->command;
    return core_rollback(session->core, request, session_event, session, &session->wait, error);
}

static void rollback_text(const void *data, ReportText *text)
{
    const RollbackRequest *request = data;

    text->selection = request->operation != NULL ? g_strdup(request->operation)
                                                 : report_selection(request->accounts);
    text->notifications = request->notifications;
    text->plan = request->dry_run;
}

static const Operating operating = {
    .moves = true,
    .pauses = true,
    .resumes = true,
    .looks = looks,
    .prepare = prepare,
    .settle = settle,
    .go = go,
    .text = rollback_text,
};

const Command cmd_do_rollback = {
    .name = "doRollback",
    .group = "Moving",
    .summary = "take back what was moved",
    .description =
        "Moves accounts back to the store that they left, with everything that arrived since, by\n"
        "the same proof and the same commit as any move; what the old copy still holds is used\n"
        "again. An account that has moved on since, and one whose old copy was purged, is refused\n"
        "with the doMailboxMove that takes it back. from_old_copy is for a home that is gone for\n"
        "good: nothing of it may answer, and what arrived there is given up. One that was stopped\n"
        "or has died is taken up by doResume.\n"
        "Exit status: 0 done, 1 failed, 5 some mailboxes failed, 64 usage, 130 interrupted.",
    .flags = COMMAND_OPERATES,
    .args = args,
    .request_size = sizeof(RollbackRequest),
    .examples = (const char *const[]){ "doRollback accounts anna@company.ru",
                                       "doRollback operation 6f0c2c1e dry_run true",
                                       "doRollback accounts anna@company.ru from_old_copy true "
                                       "accept_data_loss true",
                                       NULL },
    .check = check,
    .run = operate_run,
    .operating = &operating,
};
