/* purge.c - doPurgeMailboxes: the one verb that deletes. What may go is re-proved by core for every
 * mailbox; here only the words are narrowed down, and a person at the shell is asked. */
#include "commands/commands.h"
#include "commands/report.h"
#include <string.h>

typedef struct PurgeArgs {
    PurgeRequest request;
} PurgeArgs;

/* clang-format off */
#define PURGE(field, ...) ARG(PurgeArgs, field, __VA_ARGS__)

static const Arg args[] = {
    PURGE(request.mailbox, .name = "mailbox", .type = ARG_TEXT, .flags = ARG_REQUIRED,
          .expected = "mailbox id (with --host), an address, a batch name, orphans, or all", .omitted = "all",
          .offers = OFFERS_OLD_COPIES,
          .help = "whose old copies: of one address, one id of one store, a batch of moves, orphans (see purge_orphan), or all that are due"),
    PURGE(request.ignore_retention, .name = "ignore_retention", .type = ARG_BOOL,
          .fallback = "false", .help = "also those moved more recently than retention_days"),
    PURGE(request.notifications, .name = "notifications", .type = ARG_ADDRESSES,
          .expected = "admin@example.com", .help = "who gets the completion mail"),
    PURGE(request.dry_run, .name = "dry_run", .type = ARG_BOOL, .fallback = "false",
          .help = "list only, delete nothing"),
    PURGE(request.retention_days, .name = "retention_days", .type = ARG_NUMBER, .min = 0, .max = 3650,
          .unset = "conf: 30", .help = "look with another age"),
    PURGE(request.accept_data_loss, .name = "accept_data_loss", .type = ARG_BOOL,
          .fallback = "false",
          .help = "also copies of mailboxes that were moved with damaged items"),
    PURGE(request.purge_orphan, .name = "purge_orphan", .type = ARG_BOOL, .fallback = "false",
          .help = "with all: also mailboxes whose account is no longer in the directory, and copies of moves that never came to their end"),
    PURGE(request.max_delete_bytes, .name = "max_delete_bytes", .type = ARG_SIZE,
          .help = "stop before more than so much is deleted"),
    { 0 },
};
/* clang-format on */

static bool is_id(const char *mailbox)
{
    return strspn(mailbox, "0123456789") == strlen(mailbox);
}

static bool check(void *data, GError **error)
{
    const PurgeRequest *request = &((const PurgeArgs *)data)->request;

    return !request->purge_orphan || g_ascii_strcasecmp(request->mailbox, "all") == 0 ||
           g_ascii_strcasecmp(request->mailbox, "orphans") == 0 ||
           fail(error, ZX_ERROR_USAGE,
                "purge_orphan goes with all; for nothing but orphans: doPurgeMailboxes orphans");
}

/* The store this program runs on, if the configuration says so. */
static const char *local_store(const Conf *conf)
{
    for (guint i = 0; i < conf->stores->len; i++) {
        const ConfStore *store = g_ptr_array_index(conf->stores, i);

        if (store->local)
            return store->name;
    }
    return NULL;
}

static bool run(Session *session, void *data, Result *result, GError **error)
{
    PurgeRequest *request = &((PurgeArgs *)data)->request;
    g_autoptr(Report) report = NULL;
    Core *core = session_core(session, error);
    const char *host;

    if (core == NULL)
        return false;
    /* On a store a purge is that store's; ids are per store and name nothing without one. */
    host = session->switches->host != NULL ? session->switches->host : local_store(session->conf);
    if (host == NULL && is_id(request->mailbox))
        return fail(error, ZX_ERROR_USAGE,
                    "mailbox %s: every store has ids of its own, name the store\n"
                    "for example: zxmove --host mail1.example.com doPurgeMailboxes %s",
                    request->mailbox, request->mailbox);
    if (!request->dry_run && session->ask != NULL && !session->switches->yes &&
        !session->ask(session->data, "Delete these old copies for good?"))
        return fail(error, ZX_ERROR_STOPPED, "nothing was deleted");

    request->host = g_strdup(host);
    request->command = g_strdup(session->line);
    report = core_purge(core, request, session_event, session, &session->wait, error);
    g_clear_pointer(&request->command, g_free);
    g_clear_pointer(&request->host, g_free);
    if (report == NULL)
        return false;
    {
        ReportText text = { .notifications = request->notifications,
                            .selection = request->mailbox,
                            .purge = true,
                            .dry_run = request->dry_run };

        report_finish(session, core, report, &text, result);
    }
    return true;
}

const Command cmd_do_purge_mailboxes = {
    .name = "doPurgeMailboxes",
    .group = "Old copies",
    .summary = "delete old copies of mailboxes that were moved",
    .description =
        "Deletes the copies that moves left on the old stores, once they are older than the\n"
        "retention. Before each deletion everything is proved again; a copy that was written to\n"
        "since, or whose mailbox is not well at its new home, is kept and reported.\n"
        "Exit status: 0 done, 1 failed, 5 some were kept back, 64 usage.",
    .flags = COMMAND_OPERATES,
    .args = args,
    .request_size = sizeof(PurgeArgs),
    .examples = (const char *const[]){ "doPurgeMailboxes all ignore_retention true notifications "
                                       "admin@saas.com",
                                       "doPurgeMailboxes ignore_retention true", NULL },
    .check = check,
    .run = run,
};

typedef struct BulkRequest {
    char *volumes;
} BulkRequest;

static bool run_bulk(Session *session G_GNUC_UNUSED, void *data G_GNUC_UNUSED, Result *result,
                     GError **error G_GNUC_UNUSED)
{
    static const char said[] =
        "nothing to delete: doPurgeMailboxes has removed every file of what it purged";

    result->text = g_strconcat(said, "\n", NULL);
    result->response = json_pack("{s:s}", "message", said);
    return true;
}

static const Arg bulk_args[] = {
    ARG(BulkRequest, volumes, .name = "volumes", .type = ARG_TEXT, .expected = "volume names",
        .help = "read and not needed"),
    { 0 },
};

const Command cmd_run_bulk_delete = {
    .name = "runBulkDelete",
    .group = "Old copies",
    .summary = "nothing: a purge deletes by itself",
    .description = "For old scripts, which call it after doPurgeMailboxes: nothing is left to delete\n"
                   "then, and nothing is deleted. Exit status: 0.",
    .args = bulk_args,
    .request_size = sizeof(BulkRequest),
    .examples = (const char *const[]){ "runBulkDelete", NULL },
    .run = run_bulk,
};
