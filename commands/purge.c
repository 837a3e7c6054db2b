/* purge.c - doPurgeMailboxes: the one verb that deletes. What may go is re-proved by core for every
 * mailbox; here only the words are narrowed down, and a person at the shell is asked. */
#include "commands/operate.h"
#include <string.h>

/* clang-format off */
#define PURGE(field, ...) ARG(PurgeRequest, field, __VA_ARGS__)

static const Arg args[] = {
    PURGE(mailbox, .name = "mailbox", .type = ARG_TEXT, .flags = ARG_REQUIRED,
          .expected = "mailbox id (with --host), an address, a batch name, orphans, or all", .omitted = "all",
          .offers = OFFERS_OLD_COPIES,
          .help = "whose old copies: of one address, one id of one store, a batch of moves, orphans (see purge_orphan), or all that are due"),
    PURGE(ignore_retention, .name = "ignore_retention", .type = ARG_BOOL,
          .fallback = "false", .help = "also those moved more recently than retention_days"),
    PURGE(notifications, .name = "notifications", .type = ARG_ADDRESSES,
          .expected = "admin@example.com", .help = "who gets the completion mail"),
    PURGE(dry_run, .name = "dry_run", .type = ARG_BOOL, .fallback = "false",
          .help = "list only, delete nothing"),
    PURGE(retention_days, .name = "retention_days", .type = ARG_NUMBER, .min = 0, .max = 3650,
          .unset = "conf: 30", .help = "look with another age"),
    PURGE(accept_data_loss, .name = "accept_data_loss", .type = ARG_BOOL,
          .fallback = "false",
          .help = "also copies of mailboxes that were moved with damaged items"),
    PURGE(purge_orphan, .name = "purge_orphan", .type = ARG_BOOL, .fallback = "false",
          .help = "with all: also mailboxes whose account is no longer in the directory, and copies of moves that never came to their end"),
    PURGE(max_delete_bytes, .name = "max_delete_bytes", .type = ARG_SIZE,
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
    const PurgeRequest *request = data;

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

static bool looks(const void *data)
{
    return ((const PurgeRequest *)data)->dry_run;
}

/* On a store a purge is that store's; ids are per store and name nothing without one. */
static bool prepare(Session *session, void *data, const char *host, GError **error)
{
    PurgeRequest *request = data;

    request->host = host != NULL ? host : local_store(session->conf);
    return request->host != NULL || !is_id(request->mailbox) ||
           fail(error, ZX_ERROR_USAGE,
                "mailbox %s: every store has ids of its own, name the store\n"
                "for example: zxmove --host mail1.example.com doPurgeMailboxes %s",
                request->mailbox, request->mailbox);
}

static bool settle(Session *session, void *data, GError **error)
{
    const PurgeRequest *request = data;

    return request->dry_run || session->ask == NULL || session->switches->yes ||
           session->ask(session->data, "Delete these old copies for good?") ||
           fail(error, ZX_ERROR_STOPPED, "nothing was deleted");
}

static Report *go(Session *session, void *data, const Begin *begin, GError **error)
{
    PurgeRequest *request = data;

    request->command = begin->command;
    return core_purge(session->core, request, session_event, session, &session->wait, error);
}

static void purge_text(const void *data, ReportText *text)
{
    const PurgeRequest *request = data;

    text->selection = g_strdup(request->mailbox);
    text->notifications = request->notifications;
    text->purge = true;
    text->dry_run = request->dry_run;
}

/* What a purge had begun when it died is finished by the next one that finds it. */
static const Operating operating = {
    .pauses = true,
    .looks = looks,
    .prepare = prepare,
    .settle = settle,
    .go = go,
    .text = purge_text,
};

const Command cmd_do_purge_mailboxes = {
    .name = "doPurgeMailboxes",
    .group = "Old copies",
    .summary = "delete old copies of mailboxes that were moved",
    .description =
        "Deletes the copies that moves left on the old stores, once they are older than the\n"
        "retention. Before each deletion everything is proved again; a copy that was written to\n"
        "since, or whose mailbox is not well at its new home, is kept and reported. It may be\n"
        "stopped at any time; the same command again does the rest.\n"
        "Exit status: 0 done, 1 failed, 5 some were kept back, 64 usage.",
    .flags = COMMAND_OPERATES,
    .args = args,
    .request_size = sizeof(PurgeRequest),
    .examples = (const char *const[]){ "doPurgeMailboxes all ignore_retention true notifications "
                                       "admin@saas.com",
                                       "doPurgeMailboxes ignore_retention true", NULL },
    .check = check,
    .run = operate_run,
    .operating = &operating,
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
