/* move.c - doMailboxMove, and plan, which has the same parameters: build the request, let core move
 * or look, report and tell those who asked. */
#include "commands/operate.h"
#include "commands/post.h"
#include "conf/pace.h"
#include <string.h>

typedef struct MoveArgs {
    MoveRequest request;
    char *drive_destination_volume;
    char *save;
    bool verbose;
} MoveArgs;

static unsigned stage_bits(const char *name)
{
    if (strcmp(name, "blobs") == 0)
        return STAGE_BLOBS;
    if (strcmp(name, "backup") == 0)
        return STAGE_BACKUP;
    if (strcmp(name, "account") == 0)
        return STAGE_ACCOUNT;
    return STAGE_BLOBS | STAGE_BACKUP; /* data stands for these two, never for account */
}

/* In the order blobs, backup, account, each once. "data,blobs" says one thing twice and is taken
 * with a note; "account,blobs" asks for something else than it would get. */
static bool read_stages(char **items, unsigned *out, GPtrArray *notes, GError **error)
{
    unsigned stages = 0;
    bool overlap = false;

    for (guint i = 0; items[i] != NULL; i++) {
        unsigned bits = stage_bits(items[i]), fresh = bits & ~stages;

        for (guint k = 0; k < i; k++)
            if (strcmp(items[k], items[i]) == 0)
                return fail(error, ZX_ERROR_USAGE, "%s is there twice", items[i]);
        /* The bits are numbered in the order the stages must have: a new one belongs above all. */
        if (fresh != 0 && (fresh & -fresh) < stages)
            return fail(error, ZX_ERROR_USAGE,
                        "%s cannot come after %s; the order is blobs, backup, account", items[i],
                        items[i - 1]);
        overlap |= fresh != bits;
        stages |= bits;
    }
    if (overlap)
        g_ptr_array_add(notes, g_strdup("stages: data already stands for blobs,backup"));
    *out = stages;
    return true;
}

/* clang-format off */
#define MOVE(field, ...) ARG(MoveArgs, field, __VA_ARGS__)

static const Arg args[] = {
    MOVE(request.destination, .name = "destinationHost", .type = ARG_HOST, .flags = ARG_REQUIRED,
         .expected = "service host name of a mailbox server",
         .help = "the store that receives the mailboxes, by its name in the directory"),
    MOVE(request.accounts, .name = "accounts", .type = ARG_ACCOUNTS,
         .expected = "john@example.com,smith@example.com",
         .help = "mailboxes to move, by address"),
    MOVE(request.domains, .name = "domains", .type = ARG_DOMAINS, .expected = "example.com,test.com",
         .help = "every account of these domains"),
    MOVE(request.input_file, .name = "input_file", .type = ARG_PATH, .expected = "path, - = stdin",
         .help = "a file with one address in a line, or a table with a column account or email"),
    MOVE(request.source_host, .name = "sourceHost", .type = ARG_HOST,
         .expected = "service host name; same as --host", .unset = "its own home",
         .help = "only accounts that live on this store"),
    MOVE(request.stages, .name = "stages", .type = ARG_SET, .values = "blobs|backup|data|account",
         .meanings = "copies blobs, rows and index ahead|copies backup entries|blobs and backup|"
                     "brings the rest and moves the mailbox",
         .fallback = "blobs,account", .zextras2 = "blobs,backup,account", .read_set = read_stages,
         .help = "what to run, always in this order. data stands for blobs,backup: it copies ahead, "
                 "nobody notices, any number of times. account brings the rest and moves the mailbox"),
    MOVE(request.compress, .name = "compress", .type = ARG_BOOL, .fallback = "true",
         .help = "store large blobs gzipped where the destination volume compresses"),
    MOVE(request.check_digest, .name = "checkDigest", .type = ARG_BOOL, .fallback = "true",
         .zextras3 = "false",
         .help = "hash each blob on its way and compare with its row"),
    MOVE(request.overwrite, .name = "overwrite", .type = ARG_BOOL, .fallback = "true",
         .zextras2 = "false",
         .help = "replace a blob at the destination that differs; equal ones are left alone"),
    MOVE(request.threads, .name = "threads", .type = ARG_COUNT, .fallback = "1", .min = 1, .max = 32,
         .help = "mailboxes in flight at the same time"),
    MOVE(request.hsm, .name = "hsm", .type = ARG_BOOL, .fallback = "false", .zextras2 = "true",
         .no_effect = "no HSM policy is run by zxmove, ignored",
         .help = "run HSM at the destination afterwards"),
    MOVE(request.drop_network_backup, .name = "drop_network_backup", .type = ARG_BOOL,
         .fallback = "false",
         .no_effect = "only acts on a legacy backup directory of Network Edition, which zxmove leaves alone",
         .help = "drop the legacy backup of the old store"),
    MOVE(request.notifications, .name = "notifications", .type = ARG_ADDRESSES,
         .expected = "admin@example.com", .help = "who gets the completion mail"),
    MOVE(request.blob_destination_volume, .name = "blob_destination_volume", .type = ARG_TEXT,
         .values = "current_primary|current_secondary", .offers = OFFERS_VOLUMES,
         .expected = "current_primary, current_secondary, 6, name", .fallback = "current_primary",
         .help = "the volume that receives the blobs; an index follows its own current volume"),
    MOVE(drive_destination_volume, .name = "drive_destination_volume", .type = ARG_TEXT,
         .values = "drive_primary|drive_secondary|same_as_blob",
         .expected = "drive_primary, drive_secondary, same_as_blob, 7", .fallback = "same_as_blob",
         .no_effect = "there is no Drive here, ignored", .help = "the volume for Drive files"),
    MOVE(request.exclude, .name = "exclude", .type = ARG_GLOBS,
         .expected = "addresses, * and ? in them: boss@example.com,*@test.com",
         .help = "accounts to leave out, by any of their addresses"),
    MOVE(request.order, .name = "order", .type = ARG_CHOICE, .fallback = "given",
         .values = "given|name|size_asc|size_desc|last_login",
         .meanings = "as they are named, a domain by name|by address|smallest first|largest first|"
                     "who was away longest first",
         .help = "which mailbox is first; max_accounts and max_bytes take them in this order"),
    MOVE(request.max_accounts, .name = "max_accounts", .type = ARG_NUMBER, .min = 1, .max = 1000000,
         .help = "no more mailboxes than this; the rest is skipped"),
    MOVE(request.max_bytes, .name = "max_bytes", .type = ARG_SIZE,
         .help = "no more mail than this, by the size of the mailboxes; the rest is skipped"),
    MOVE(request.strict, .name = "strict", .type = ARG_BOOL, .fallback = "false",
         .help = "accounts that are skipped make the result partial: exit status 5"),
    MOVE(request.batch_name, .name = "batch_name", .type = ARG_TEXT,
         .help = "a name for the report, the mail, and doPurgeMailboxes"),
    MOVE(request.comment, .name = "comment", .type = ARG_TEXT,
         .help = "a remark for the journal, the report and the mail"),
    MOVE(request.dry_run, .name = "dry_run", .type = ARG_BOOL, .fallback = "false",
         .help = "look at everything and change nothing, as the verb plan does"),
    MOVE(save, .name = "save", .type = ARG_PATH, .expected = "path",
         .help = "of a plan: a file for its addresses, in order, to be run with input_file"),
    MOVE(verbose, .name = "verbose", .type = ARG_BOOL, .fallback = "false",
         .help = "of doCheck: what is as it should be, too"),
    MOVE(request.max_syncs, .name = "max_syncs", .type = ARG_SETTING,
         .help = "rounds before the window is opened all the same"),
    MOVE(request.sync_finish_threshold, .name = "sync_finish_threshold", .type = ARG_SETTING,
         .help = "the window is opened after a round shorter than this"),
    MOVE(request.cutover_timeout, .name = "cutover_timeout", .type = ARG_SETTING,
         .help = "a window not committed by then is undone"),
    MOVE(request.cutover_retries, .name = "cutover_retries", .type = ARG_SETTING,
         .help = "how often a window that was undone is tried again"),
    MOVE(request.min_free, .name = "min_free", .type = ARG_SETTING,
         .help = "percent of each disk of the destination that must remain free"),
    MOVE(request.separate_logs, .name = "separate_logs", .type = ARG_SETTING,
         .help = "beside the log one of each mailbox, named by its address: for a help desk"),
    MOVE(request.ignore_partial, .name = "ignore_partial", .type = ARG_BOOL, .fallback = "false",
         .help = "believe nothing that an earlier attempt recorded: every blob it left there is read "
                 "and compared again, or removed"),
    MOVE(request.read_error_threshold, .name = "read_error_threshold", .type = ARG_NUMBER, .min = 1,
         .max = 1000000, .help = "stop after so many unreadable blobs in the operation"),
    MOVE(request.hold, .name = "hold", .type = ARG_BOOL, .fallback = "false",
         .help = "keep the copies up to date and wait for doCompleteMove"),
    MOVE(request.start_after, .name = "start_after", .type = ARG_TIME, .unset = "now",
         .help = "copy nothing before"),
    MOVE(request.complete_after, .name = "complete_after", .type = ARG_TIME, .unset = "now",
         .help = "move nobody before; copies are made and kept up to date until then"),
    MOVE(request.resync_interval, .name = "resync_interval", .type = ARG_SETTING,
         .help = "time between two rounds while held"),
    MOVE(request.bad_item_limit, .name = "bad_item_limit", .type = ARG_NUMBER, .min = 0,
         .max = 1000000, .fallback = "0",
         .help = "items that cannot be copied and may stay behind in a mailbox; with more it is not moved"),
    MOVE(request.accept_data_loss, .name = "accept_data_loss", .type = ARG_BOOL,
         .fallback = "false", .help = "confirms a bad_item_limit above 50"),
    MOVE(request.bandwidth, .name = "bandwidth", .type = ARG_TEXT,
         .expected = "20M, 'Mon-08:00,4M Mon-19:00,off'", .fallback = "off",
         .help = "bytes of blobs, index and backup that the operation copies a second, or a timetable "
                 "of them; never in a window"),
    MOVE(request.max_load, .name = "max_load", .type = ARG_DECIMAL, .flags = ARG_OFF, .min = 0,
         .max = 10000, .fallback = "off", .expected = "8, off",
         .help = "copy nothing while the load of a store, the average of a minute, is above; never "
                 "in a window"),
    NO_ARG(.name = "max_replica_lag", .type = ARG_DURATION, .min = 1000, .max = 3600000,
           .fallback = "off", .help = "pause while a replica is further behind"),
    MOVE(request.verify, .name = "verify", .type = ARG_CHOICE, .values = "size|digest|full",
         .meanings = "by length|hashed while they are copied|and read again from the disk there",
         .fallback = "digest",
         .help = "how blobs are proved; rows are always proved in full. checkDigest false lowers "
                 "digest to size"),
    NO_ARG(.name = "priority", .type = ARG_CHOICE, .values = "low|normal|high", .fallback = "normal",
           .help = "which operation waits for which"),
    NO_ARG(.name = "hooks_dir", .type = ARG_PATH, .help = "programs to run at each step"),
    { 0 },
};
/* clang-format on */

/* zxsuite's first generation took "account host": refused with the command that does the same. */
static bool recognise(const char *const *words, GError **error)
{
    if (words[0] == NULL || strchr(words[0], '@') == NULL || strchr(words[0], '=') != NULL)
        return true;
    if (words[1] != NULL && strchr(words[1], '@') == NULL)
        return fail(error, ZX_ERROR_USAGE,
                    "the destination comes first\nthe same today: doMailboxMove %s accounts %s",
                    words[1], words[0]);
    return fail(error, ZX_ERROR_USAGE,
                "'%s' is an account, the destination comes first\n"
                "for example: doMailboxMove mail2.example.com accounts %s",
                words[0], words[0]);
}

/* doPurgeMailboxes has to tell it from everything else that it takes. */
static bool check_batch(const char *name, GError **error)
{
    enum { COLUMN = 255 };

    if (name == NULL)
        return true;
    if (*name == '\0' || strchr(name, '@') != NULL ||
        strspn(name, "0123456789") == strlen(name) || g_ascii_strcasecmp(name, "all") == 0 ||
        g_ascii_strcasecmp(name, "orphans") == 0)
        return fail(error, ZX_ERROR_USAGE,
                    "batch_name: '%s' would be something else to doPurgeMailboxes; a name such as "
                    "night1 is wanted",
                    name);
    return g_utf8_strlen(name, -1) <= COLUMN ||
           fail(error, ZX_ERROR_USAGE, "batch_name: no more than %d letters", COLUMN);
}

/* The column is a TEXT. */
static bool check_comment(const char *comment, GError **error)
{
    enum { COLUMN = 65535 };

    return comment == NULL || strlen(comment) <= COLUMN ||
           fail(error, ZX_ERROR_USAGE, "comment: no more than %d bytes", COLUMN);
}

static bool check_bandwidth(const char *bandwidth, GError **error)
{
    Pace pace;

    return bandwidth == NULL || pace_parse(bandwidth, &pace, error) ||
           fail_prefix(error, "bandwidth");
}

static bool check_hold(const MoveRequest *request, GError **error)
{
    bool held = request->hold || request->complete_after >= 0;

    if (held && !(request->stages & STAGE_ACCOUNT))
        return fail(error, ZX_ERROR_USAGE,
                    "%s: nobody moves without account in stages, so there is nothing to hold",
                    request->hold ? "hold" : "complete_after");
    return held || request->resync_interval < 0 ||
           fail(error, ZX_ERROR_USAGE, "resync_interval is for hold or complete_after");
}

static bool check_args(const MoveArgs *move, const Command *command, GError **error)
{
    const MoveRequest *request = &move->request;

    if (request->accounts == NULL && request->domains == NULL && request->input_file == NULL)
        return fail_page(error, command, "%s needs accounts, domains or input_file",
                         command->name);
    if (move->save != NULL && !request->dry_run)
        return fail(error, ZX_ERROR_USAGE, "save is for a plan: add dry_run true, or use plan");
    if (g_strcmp0(move->save, "-") == 0)
        return fail(error, ZX_ERROR_USAGE, "save needs a file: stdout has the report");
    if (move->verbose && command != &cmd_do_check)
        return fail(error, ZX_ERROR_USAGE, "verbose is for doCheck");
    if (request->bad_item_limit > 50 && !request->accept_data_loss)
        return fail(error, ZX_ERROR_USAGE,
                    "bad_item_limit %ld: so much may only be left behind with accept_data_loss true",
                    request->bad_item_limit);
    if (!check_batch(request->batch_name, error) || !check_comment(request->comment, error) ||
        !check_bandwidth(request->bandwidth, error) || !check_hold(request, error))
        return false;
    return true;
}

static bool check(void *data, GError **error)
{
    return check_args(data, &cmd_do_mailbox_move, error);
}

static bool check_plan(void *data, GError **error)
{
    MoveArgs *move = data;

    move->request.dry_run = true;
    return check_args(move, &cmd_plan, error);
}

static bool check_check(void *data, GError **error)
{
    return check_args(data, &cmd_do_check, error);
}

static bool take_host(const char *host, MoveRequest *request, GError **error)
{
    if (host == NULL)
        return true;
    if (request->source_host != NULL && g_ascii_strcasecmp(request->source_host, host) != 0)
        return fail(error, ZX_ERROR_USAGE, "--host %s and sourceHost %s name two stores", host,
                    request->source_host);
    g_free(request->source_host);
    request->source_host = g_strdup(host);
    return true;
}

/* What the words before the verb and the place of the line have to say. */
static bool take_session(const Session *session, const char *host, MoveRequest *request, GError **error)
{
    if (g_strcmp0(request->input_file, "-") == 0 && session->stdin_is_batch)
        return fail(error, ZX_ERROR_USAGE,
                    "input_file: the commands themselves come from stdin, so - cannot be the list");
    return take_host(host, request, error);
}

static void move_text(const void *data, ReportText *text)
{
    const MoveRequest *request = &((const MoveArgs *)data)->request;

    text->selection = request->domains != NULL    ? report_selection(request->domains)
                      : request->accounts != NULL ? report_selection(request->accounts)
                                                  : g_strdup(request->input_file);
    text->notifications = request->notifications;
    text->destination = request->destination;
    text->stages = request->stages;
    text->strict = request->strict;
    text->plan = request->dry_run;
    text->staged = !(request->stages & STAGE_ACCOUNT);
}

/* Whoever is to be told of the end is told once when it waits for a person: an unattended move that is held
 * would never end. */
typedef struct Holding {
    Session *session;
    const MoveArgs *move;
    bool told;
} Holding;

static void tell_held(Holding *holding, const Event *event)
{
    const MoveRequest *request = &holding->move->request;
    ReportText text = { 0 };
    g_autofree char *selection = NULL, *subject = NULL, *body = NULL;
    g_autoptr(GError) problem = NULL;

    move_text(holding->move, &text);
    selection = text.selection;
    subject = g_strdup_printf("[zxmove] HELD %s -> %s", selection, request->destination);
    body = g_strdup_printf("command    %s\n"
                           "operation  %s\n"
                           "held       %s\n"
                           "\nTo move them now:\n"
                           "  doCompleteMove %s\n"
                           "Some of them:\n"
                           "  doCompleteMove %s accounts ADDRESS,ADDRESS\n"
                           "To give it up; what was copied stays:\n"
                           "  doStopOperation %s\n",
                           request->command, event->operation, event->cause, event->operation,
                           event->operation, event->operation);
    if (!post_send(holding->session->core,
                   &(Post){ .to = request->notifications,
                            .operation = event->operation,
                            .subject = subject,
                            .body = body },
                   &problem))
        session_note(holding->session, "the notification could not be sent: %s", problem->message);
}

static void on_event(void *data, const Event *event)
{
    Holding *holding = data;

    if (event->type == EVENT_STATE && event->account == NULL && !holding->told &&
        holding->move->request.notifications != NULL) {
        holding->told = true;
        tell_held(holding, event);
    }
    session_event(holding->session, event);
}

static bool looks(const void *data)
{
    return ((const MoveArgs *)data)->request.dry_run;
}

static bool prepare(Session *session, void *data, const char *host, GError **error)
{
    return take_session(session, host, &((MoveArgs *)data)->request, error);
}

static bool settle(Session *session, void *data, GError **error)
{
    const MoveRequest *request = &((const MoveArgs *)data)->request;

    return !session->background || request->dry_run || g_strcmp0(request->input_file, "-") != 0 ||
           fail(error, ZX_ERROR_USAGE,
                "input_file: the operation goes on in the background, where it has no stdin\n"
                "write the addresses to a file");
}

static Report *go(Session *session, void *data, const Begin *begin, GError **error)
{
    MoveArgs *move = data;
    Holding holding = { .session = session, .move = move };

    move->request.command = begin->command;
    return core_move(session->core, &move->request, on_event, &holding, &session->wait, error);
}

static bool after(Session *session G_GNUC_UNUSED, const void *data, const Report *report,
                  GError **error)
{
    const char *save = ((const MoveArgs *)data)->save;

    return save == NULL || plan_save(report, save, error);
}

static const Operating operating = {
    .moves = true,
    .pauses = true,
    .holds = true,
    .resumes = true,
    .looks = looks,
    .prepare = prepare,
    .settle = settle,
    .go = go,
    .after = after,
    .text = move_text,
};

const Command cmd_do_mailbox_move = {
    .name = "doMailboxMove",
    .alias = "mailboxMove",
    .group = "Moving",
    .summary = "move mailboxes to another store",
    .description =
        "Moves mailboxes to destinationHost, each from the store where it lives. One of accounts,\n"
        "domains or input_file is needed. stages data copies ahead while everybody works and may "
        "be\n"
        "repeated; stages data,account then moves, and a user is out for less than a second.\n"
        "The old copy stays until doPurgeMailboxes.\n"
        "Exit status: 0 done, 1 failed, 5 some mailboxes failed, 64 usage, 130 interrupted.",
    .flags = COMMAND_OPERATES,
    .args = args,
    .request_size = sizeof(MoveArgs),
    .examples =
        (const char *const[]){ "doMailboxMove secureserver.saas.com domains company.ru stages "
                               "data, account notifications admin@saas.com",
                               "doMailboxMove mail2.company.com accounts user@company.com stages "
                               "data,account",
                               NULL },
    .recognise = recognise,
    .check = check,
    .run = operate_run,
    .operating = &operating,
};

const Command cmd_plan = {
    .name = "plan",
    .group = "Moving",
    .summary = "say what a move would do, and change nothing",
    .description =
        "Takes what doMailboxMove takes and looks: who would be moved, in which order, how much is\n"
        "there already, how much is to come and whether it fits, and for about how long a user\n"
        "would be out (an estimate). Nothing is reserved, written or locked on any store.\n"
        "Exit status: 0 done, 1 or 5 some could not be moved as they are, 64 usage.",
    .args = args,
    .request_size = sizeof(MoveArgs),
    .examples = (const char *const[]){ "plan mail2.example.com domains company.ru",
                                       "plan mail2.example.com domains company.ru order size_desc "
                                       "max_bytes 200G save night1.txt",
                                       NULL },
    .check = check_plan,
    .run = operate_run,
    .operating = &operating,
};

static bool run_check(Session *session, void *data, Result *result, GError **error)
{
    const MoveArgs *move = data;
    MoveRequest *request = &((MoveArgs *)data)->request;
    g_autoptr(CheckReport) report = NULL;
    Core *core;

    if (!take_session(session, session->switches->host, request, error) ||
        (core = session_core(session, error)) == NULL)
        return false;
    request->command = session->line;
    report = core_check(core, request, &session->wait, error);
    if (report == NULL)
        return false;
    check_answer(report, request->destination, move->verbose, result);
    return true;
}

const Command cmd_do_check = {
    .name = "doCheck",
    .group = "First contact",
    .summary = "test what a move stands on, and change nothing",
    .description =
        "Takes what doMailboxMove takes and tests: this host, the directory, keys and\n"
        "certificates, every right and setting of the stores, the accounts and their mailboxes.\n"
        "Told is what is not as it should be, with a remedy each (verbose: all). What says FAIL\n"
        "is refused by doMailboxMove, too, before anybody is locked out. All tests: doc/checks.md.\n"
        "Exit status: 0 all OK, 5 there are warnings, 1 something failed, 64 usage.",
    .flags = COMMAND_WAITS,
    .args = args,
    .request_size = sizeof(MoveArgs),
    .examples = (const char *const[]){ "doCheck mail2.example.com domains company.ru",
                                       "doCheck mail2.example.com accounts anna@company.ru verbose "
                                       "true",
                                       NULL },
    .check = check_check,
    .run = run_check,
};
