/* Words to a request: the grammar, rule by rule, on the real verbs. A request is compared as the
 * text that show() makes of it, so that a case is one line. */
#include "commands/commands.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void show_list(GString *out, const char *name, char **list)
{
    g_autofree char *joined = list != NULL ? g_strjoinv("+", list) : NULL;

    if (joined != NULL)
        g_string_append_printf(out, " %s=%s", name, joined);
}

static void show_text(GString *out, const char *name, const char *text)
{
    if (text != NULL)
        g_string_append_printf(out, " %s=%s", name, text);
}

/* What differs from an empty request with every default. */
static char *show_move(const void *request)
{
    const MoveRequest *move = request;
    GString *out = g_string_new(move->destination);

    show_list(out, "accounts", move->accounts);
    show_list(out, "domains", move->domains);
    show_text(out, "file", move->input_file);
    show_text(out, "source", move->source_host);
    g_string_append_printf(out, " stages=%u", move->stages);
    if (!move->compress || !move->check_digest || !move->overwrite)
        g_string_append_printf(out, " %d%d%d", move->compress, move->check_digest, move->overwrite);
    if (move->threads != 1)
        g_string_append_printf(out, " threads=%u", move->threads);
    if (move->hsm || move->drop_network_backup)
        g_string_append_printf(out, " hsm=%d", move->hsm);
    if (move->max_syncs != -1 || move->cutover_retries != -1 || move->min_free != -1)
        g_string_append_printf(out, " syncs=%ld retries=%ld free=%ld", move->max_syncs,
                               move->cutover_retries, move->min_free);
    if (move->sync_finish_threshold != -1 || move->cutover_timeout != -1)
        g_string_append_printf(out, " finish=%ldms timeout=%ldms", move->sync_finish_threshold,
                               move->cutover_timeout);
    if (move->hold)
        g_string_append(out, " hold");
    if (move->resync_interval != -1)
        g_string_append_printf(out, " resync=%lds", move->resync_interval);
    if (move->start_after != -1)
        g_string_append_printf(out, " start=%" G_GINT64_FORMAT, move->start_after);
    if (move->complete_after != -1)
        g_string_append_printf(out, " complete=%" G_GINT64_FORMAT, move->complete_after);
    if (strcmp(move->blob_destination_volume, "current_primary") != 0)
        show_text(out, "volume", move->blob_destination_volume);
    show_list(out, "mail", move->notifications);
    return g_string_free(out, FALSE);
}

static char *show_purge(const void *request)
{
    const PurgeRequest *purge = request;
    GString *out = g_string_new(purge->mailbox);

    if (purge->ignore_retention)
        g_string_append(out, " ignore");
    if (purge->dry_run)
        g_string_append(out, " dry");
    if (purge->accept_data_loss)
        g_string_append(out, " loss");
    if (purge->retention_days != -1)
        g_string_append_printf(out, " days=%ld", purge->retention_days);
    show_list(out, "mail", purge->notifications);
    return g_string_free(out, FALSE);
}

static char *show_recover(const void *request)
{
    const RecoverRequest *recover = request;
    GString *out = g_string_new(NULL);

    g_string_printf(out, "dry=%d force=%d", recover->dry_run, recover->force);
    show_list(out, "accounts", recover->accounts);
    show_text(out, "operation", recover->operation);
    return g_string_free(out, FALSE);
}

static char *parse(const char *line, GPtrArray *notes)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    const Command *command = command_find(words[0]);
    g_autoptr(GError) error = NULL;
    void *request = args_parse(command, (const char *const *)words + 1, NULL, notes, &error);
    char *text;

    if (request == NULL) {
        assert_int_equal(error_code(error), ZX_ERROR_USAGE);
        return g_strdup_printf("! %.*s", (int)strcspn(error->message, "\n"), error->message);
    }
    text = command == &cmd_do_mailbox_move      ? show_move(request)
           : command == &cmd_do_purge_mailboxes ? show_purge(request)
                                                : show_recover(request);
    args_free(command, request);
    return text;
}

typedef struct Case {
    const char *line, *expected;
    const char *note; /* NULL: none is made */
} Case;

static void check_cases(const Case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *text = parse(cases[i].line, notes);

        if (strcmp(text, cases[i].expected) != 0)
            fail_msg("%s\n  gives    %s\n  expected %s", cases[i].line, text, cases[i].expected);
        if (cases[i].note == NULL && notes->len > 0)
            fail_msg("%s\n  notes %s", cases[i].line, (char *)g_ptr_array_index(notes, 0));
        if (cases[i].note != NULL &&
            (notes->len == 0 || strstr(g_ptr_array_index(notes, 0), cases[i].note) == NULL))
            fail_msg("%s\n  lacks the note %s", cases[i].line, cases[i].note);
    }
}

/* The four lines of the published walk-through, behind their prefixes. */
static void article(void **state G_GNUC_UNUSED)
{
    static const Case cases[] = {
        { "doMailboxMove mail2.company.com accounts user@company.com stages data,account",
          "mail2.company.com accounts=user@company.com stages=7", NULL },
        { "doMailboxMove secureserver.saas.com domains company.ru stages data",
          "secureserver.saas.com domains=company.ru stages=3", NULL },
        { "doMailboxMove secureserver.saas.com domains company.ru stages data, account "
          "notifications admin@saas.com",
          "secureserver.saas.com domains=company.ru stages=7 mail=admin@saas.com", NULL },
        { "doPurgeMailboxes ignore_retention true", "all ignore",
          "mailbox left out: taken as all" },
    };

    check_cases(cases, G_N_ELEMENTS(cases));
}

static void list_repair(void **state G_GNUC_UNUSED)
{
    static const Case cases[] = {
        { "doMailboxMove h accounts a@x stages data, account", "h accounts=a@x stages=7", NULL },
        { "doMailboxMove h accounts a@x stages data ,account", "h accounts=a@x stages=7", NULL },
        { "doMailboxMove h accounts a@x stages data , account", "h accounts=a@x stages=7", NULL },
        { "doMailboxMove h stages data, account accounts a@x, b@x ,c@x , d@x",
          "h accounts=a@x+b@x+c@x+d@x stages=7", NULL },
        { "doMailboxMove h accounts=a@x, b@x stages=data, account", "h accounts=a@x+b@x stages=7",
          NULL },
        { "doMailboxMove h accounts a@x, stages data",
          "! accounts: empty item after the last comma, before stages", NULL },
        { "doMailboxMove h accounts a@x, stages=data",
          "! accounts: empty item after the last comma, before stages=data", NULL },
        { "doMailboxMove h domains a.com, stages data",
          "! domains: empty item after the last comma, before stages", NULL },
        { "doMailboxMove h accounts a@x,", "! accounts: empty item after the last comma", NULL },
        { "doMailboxMove h accounts ,a@x", "! accounts: empty item before the first comma", NULL },
        { "doMailboxMove h accounts a@x,,b@x", "! accounts: empty item between two commas", NULL },
        { "doMailboxMove h accounts a@x, ,b@x", "! accounts: empty item between two commas", NULL },
        { "doMailboxMove h accounts a@x, b",
          "! accounts: 'b' is not an address such as "
          "john@example.com",
          NULL },
    };

    check_cases(cases, G_N_ELEMENTS(cases));
}

static void stages(void **state G_GNUC_UNUSED)
{
    static const Case cases[] = {
        { "doMailboxMove h accounts a@x", "h accounts=a@x stages=5", NULL },
        { "doMailboxMove h accounts a@x stages blobs", "h accounts=a@x stages=1", NULL },
        { "doMailboxMove h accounts a@x stages account", "h accounts=a@x stages=4", NULL },
        { "doMailboxMove h accounts a@x stages blobs,backup,account", "h accounts=a@x stages=7",
          NULL },
        { "doMailboxMove h accounts a@x stages data,blobs", "h accounts=a@x stages=3",
          "data already stands for blobs,backup" },
        { "doMailboxMove h accounts a@x stages blobs,data", "h accounts=a@x stages=3",
          "data already stands for blobs,backup" },
        { "doMailboxMove h accounts a@x stages account,blobs",
          "! stages: blobs cannot come after account; the order is blobs, backup, account", NULL },
        { "doMailboxMove h accounts a@x stages backup,blobs",
          "! stages: blobs cannot come after backup; the order is blobs, backup, account", NULL },
        { "doMailboxMove h accounts a@x stages account,data",
          "! stages: data cannot come after account; the order is blobs, backup, account", NULL },
        { "doMailboxMove h accounts a@x stages blobs,blobs", "! stages: blobs is there twice",
          NULL },
        { "doMailboxMove h accounts a@x stages accounts",
          "! stages: 'accounts' is none of blobs, backup, data, account; did you mean account?",
          NULL },
        { "doMailboxMove h accounts a@x stages Data",
          "! stages: 'Data' is none of blobs, backup, data, account; did you mean data?", NULL },
        { "doMailboxMove h accounts a@x stages backup", "h accounts=a@x stages=2",
          NULL },
    };

    check_cases(cases, G_N_ELEMENTS(cases));
}

static void names(void **state G_GNUC_UNUSED)
{
    static const Case cases[] = {
        { "DOMAILBOXMOVE h accounts a@x", "h accounts=a@x stages=5", NULL },
        { "mailboxMove h accounts a@x", "h accounts=a@x stages=5", NULL },
        { "doMailboxMove destinationHost h accounts a@x", "h accounts=a@x stages=5", NULL },
        { "doMailboxMove destinationHost=h accounts=a@x", "h accounts=a@x stages=5", NULL },
        { "doMailboxMove accounts a@x destinationHost h", "h accounts=a@x stages=5", NULL },
        { "doPurgeMailboxes mailbox a@x", "a@x", NULL },
        { "doMailboxMove h account a@x", "! unknown parameter account, did you mean accounts?",
          NULL },
        { "doMailboxMove h thread 2", "! unknown parameter thread, did you mean threads?", NULL },
        { "doMailboxMove h checkdigest true",
          "! unknown parameter checkdigest, did you mean checkDigest?", NULL },
        { "doMailboxMove h domain=x.com", "! unknown parameter domain, did you mean domains?",
          NULL },
        { "doMailboxMove h colour red", "! unknown parameter colour", NULL },
        { "doMailboxMove h accounts a@x --json", "! --json stands behind the verb", NULL },
        { "doMailboxMove h accounts a@x accounts b@x", "! accounts is given twice", NULL },
        { "doMailboxMove h destinationHost h accounts a@x", "! destinationHost is given twice",
          NULL },
        { "doMailboxMove h accounts",
          "! accounts needs a value: john@example.com,smith@example.com", NULL },
        { "doMailboxMove h accounts a@x stages",
          "! stages needs a value: blobs, backup, data, account", NULL },
        { "doMailboxMove h input_file stages data",
          "! input_file needs a value, and stages is another parameter", NULL },
        { "doMailboxMove h input_file=stages", "h file=stages stages=5", NULL },
        { "doMailboxMove h accounts a@x b@x", "! unknown parameter b@x", NULL },
        { "doMailboxMove h accounts a@x stages data account",
          "! unknown parameter account, did you mean accounts?", NULL },
        { "doMailboxMove h accounts=", "! accounts: the value is empty", NULL },
        { "doMailboxMove", "! command doMailboxMove requires more parameters", NULL },
        { "doMailboxMove accounts a@x", "! command doMailboxMove requires more parameters", NULL },
        { "doMailboxMove h", "! doMailboxMove needs accounts, domains or input_file", NULL },
        { "doMailboxMove h stages data", "! doMailboxMove needs accounts, domains or input_file",
          NULL },
        { "doPurgeMailboxes", "! command doPurgeMailboxes requires more parameters", NULL },
        { "doMailboxMove john@example.com mail2.example.com", "! the destination comes first",
          NULL },
        { "doMailboxMove john@example.com",
          "! 'john@example.com' is an account, the destination comes first", NULL },
    };

    check_cases(cases, G_N_ELEMENTS(cases));
}

static void values(void **state G_GNUC_UNUSED)
{
    static const Case cases[] = {
        { "doMailboxMove h accounts a@x compress no checkDigest 0 overwrite FALSE",
          "h accounts=a@x stages=5 000", NULL },
        { "doMailboxMove h accounts a@x compress yes overwrite 1", "h accounts=a@x stages=5",
          NULL },
        { "doMailboxMove h accounts a@x compress maybe",
          "! compress: 'maybe' is neither true nor false", NULL },
        { "doMailboxMove h accounts a@x compress ture",
          "! compress: 'ture' is neither true nor false; did you mean true?", NULL },
        { "doMailboxMove h accounts a@x threads 1", "h accounts=a@x stages=5", NULL },
        { "doMailboxMove h accounts a@x threads 32", "h accounts=a@x stages=5 threads=32", NULL },
        { "doMailboxMove h accounts a@x threads 0", "! threads: 0 is below 1", NULL },
        { "doMailboxMove h accounts a@x threads 100", "! threads: 100 is above 32", NULL },
        { "doMailboxMove h accounts a@x threads many",
          "! threads: 'many' is not a whole number from 1 to 32", NULL },
        { "doMailboxMove h input_file - sourceHost mail1", "h file=- source=mail1 stages=5", NULL },
        { "doMailboxMove h accounts a@x blob_destination_volume 6",
          "h accounts=a@x stages=5 volume=6", NULL },
        { "doMailboxMove h accounts a",
          "! accounts: 'a' is not an address such as "
          "john@example.com",
          NULL },
        { "doMailboxMove h accounts a@b@c",
          "! accounts: 'a@b@c' is not an address such as "
          "john@example.com",
          NULL },
        { "doMailboxMove h domains a@b", "! domains: 'a@b' is not a domain such as example.com",
          NULL },
        { "doMailboxMove h/x accounts a@x",
          "! destinationHost: 'h/x' is not the name of a server such as mail2.example.com", NULL },
        { "doMailboxMove h accounts a@x\n", "! accounts: the value holds a control character",
          NULL },
        { "doMailboxMove h accounts \xc2\x9b@x", "! accounts: the value holds a control character",
          NULL },
        { "doMailboxMove h accounts \xff@x", "! accounts: the value is not UTF-8", NULL },
        { "doMailboxMove h accounts j\xc3\xb6rg@x", "h accounts=j\xc3\xb6rg@x stages=5", NULL },
        { "doPurgeMailboxes 12 retention_days 0 dry_run yes", "12 dry days=0", NULL },
        { "doPurgeMailboxes a@x accept_data_loss true notifications b@y, c@y",
          "a@x loss mail=b@y+c@y", NULL },
        { "doPurgeMailboxes batch7",
          "batch7", NULL },
        { "doRecover operation 6f0c2c1e", "dry=1 force=0 operation=6f0c2c1e", NULL },
        { "doRecover accounts a@x dry_run false force true", "dry=0 force=1 accounts=a@x", NULL },
        { "doRecover operation none",
          "! operation: 'none' is not the uuid of an operation or how it begins, such as 6f0c2c1e",
          NULL },
        { "doRecover", "! doRecover needs accounts or operation", NULL },
        { "doPurgeMailboxes a@x purge_orphan true",
          "! purge_orphan goes with all; for nothing but orphans: doPurgeMailboxes orphans", NULL },
        { "doRollback", "! doRollback needs accounts or operation", NULL },
        { "doRollback accounts a@x operation 6f0c2c1e",
          "! accounts and operation both say who: give one of them", NULL },
        { "doRecover accounts a@x force true", "! force true needs dry_run false as well", NULL },
    };

    check_cases(cases, G_N_ELEMENTS(cases));
}

/* Settings that one operation may have otherwise: as the configuration writes them. */
static void settings(void **state G_GNUC_UNUSED)
{
    static const Case cases[] = {
        { "doMailboxMove h accounts a@x max_syncs 3 cutover_retries 0 min_free 7%",
          "h accounts=a@x stages=5 syncs=3 retries=0 free=7", NULL },
        { "doMailboxMove h accounts a@x hold yes resync_interval 15m",
          "h accounts=a@x stages=5 hold resync=900s", NULL },
        { "doMailboxMove h accounts a@x start_after 2026-03-01T22:00+01:00 complete_after "
          "2026-03-01T23:00Z",
          "h accounts=a@x stages=5 start=1772398800000 complete=1772406000000", "start_after: " },
        { "doMailboxMove h accounts a@x resync_interval 15m",
          "! resync_interval is for hold or complete_after", NULL },
        { "doMailboxMove h accounts a@x hold yes resync_interval 14m",
          "! resync_interval: 14m is not between 15m and 30d", NULL },
        { "doMailboxMove h accounts a@x stages data hold yes",
          "! hold: nobody moves without account in stages, so there is nothing to hold", NULL },
        { "doMailboxMove h accounts a@x sync_finish_threshold 2m cutover_timeout 90s",
          "h accounts=a@x stages=5 finish=120000ms timeout=90000ms", NULL },
        { "doMailboxMove h accounts a@x max_syncs 0", "! max_syncs: 0 is below 1", NULL },
        { "doMailboxMove h accounts a@x min_free 51", "! min_free: 51 is above 50", NULL },
        { "doMailboxMove h accounts a@x cutover_timeout 60",
          "! cutover_timeout: '60' has no unit; write it like 500ms, 30s or 15m", NULL },
        { "doMailboxMove h accounts a@x cutover_timeout 2h",
          "! cutover_timeout: 2h is not between 5s and 1h", NULL },
    };

    check_cases(cases, G_N_ELEMENTS(cases));
}

/* Types that no verb of this version has yet, on a table of the test's own. */
typedef struct Typed {
    char **globs;
    double load, most;
    long lag;
    int64_t after;
    uint64_t size;
    char *file;
} Typed;

static void types(void **state G_GNUC_UNUSED)
{
    static const Arg rows[] = {
        ARG(Typed, globs, .name = "exclude", .type = ARG_GLOBS, .help = "x"),
        ARG(Typed, load, .name = "max_load", .type = ARG_DECIMAL, .min = 1, .max = 100,
            .help = "x"),
        ARG(Typed, most, .name = "most", .type = ARG_DECIMAL, .flags = ARG_OFF, .min = 1, .max = 100,
            .help = "x"),
        ARG(Typed, lag, .name = "lag", .type = ARG_DURATION, .min = 1000, .max = 3600000,
            .help = "x"),
        ARG(Typed, after, .name = "after", .type = ARG_TIME, .help = "x"),
        ARG(Typed, size, .name = "size", .type = ARG_SIZE, .help = "x"),
        ARG(Typed, file, .name = "file", .type = ARG_PATH, .help = "x"),
        { 0 },
    };
    static const Command command = { .name = "typed", .args = rows, .request_size = sizeof(Typed) };
    static const struct {
        const char *words, *shown;
    } cases[] = {
        { "", "{}" },
        { "exclude *@x, boss@x ,j?n@x", "{\"exclude\":[\"*@x\",\"boss@x\",\"j?n@x\"]}" },
        { "exclude anna", "exclude: 'anna' is not an address such as *@example.com" },
        { "max_load 8", "{\"max_load\":8.0}" },
        { "max_load off", "max_load: 'off' is not a number from 1 to 100" },
        { "most off", "{\"most\":0.0}" },
        { "most on", "most: 'on' is not a number from 1 to 100, or off" },
        { "max_load 1.5", "{\"max_load\":1.5}" },
        { "max_load 0.5", "max_load: '0.5' is not a number from 1 to 100" },
        { "max_load 1e1", "max_load: '1e1' is not a number from 1 to 100" },
        { "max_load 1.2.3", "max_load: '1.2.3' is not a number from 1 to 100" },
        { "lag 5s", "{\"lag\":\"5s\"}" },
        { "lag 2h", "lag: '2h' is not within 1.0 s to 1h00m" },
        { "lag 5", "lag: '5' has no unit; write it like 500ms, 30s or 15m" },
        { "after 2026-03-01T22:00+01:00", "{\"after\":\"2026-03-01 21:00:00 +0000\"}" },
        { "after tomorrow", "after: 'tomorrow' is not a time; write it like "
                            "2026-03-01T22:00+01:00, or 2026-03-01T22:00 for local time" },
        { "size 1.5K", "{\"size\":1536}" },
        { "size 10", "size: '10' has no unit; write it like 512K, 10M or 1.5G" },
        { "file ~/x", "{\"file\":\"/home/test/x\"}" },
        { "file a~/x", "{\"file\":\"a~/x\"}" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
        g_auto(GStrv) words = g_strsplit(cases[i].words, " ", -1);
        g_autoptr(GError) error = NULL;
        void *request = args_parse(&command, (const char *const *)words, NULL, notes, &error);
        json_t *object = request != NULL ? args_show(&command, request) : NULL;
        char *shown = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;

        if (strcmp(shown != NULL ? shown : error->message, cases[i].shown) != 0)
            fail_msg("%s\n  gives    %s\n  expected %s", cases[i].words,
                     shown != NULL ? shown : error->message, cases[i].shown);
        if (g_str_has_prefix(cases[i].words, "after 2026")) /* echoed with its zone */
            assert_string_equal(g_ptr_array_index(notes, 0), "after: 2026-03-01 21:00:00 +0000");
        else
            assert_int_equal(notes->len, 0);
        free(shown);
        json_decref(object);
        args_free(&command, request);
    }
}

/* What this version does not act on is said or refused, never passed over. */
static void without_effect(void **state G_GNUC_UNUSED)
{
    static const Case cases[] = {
        { "doMailboxMove h accounts a@x hsm true", "h accounts=a@x stages=5 hsm=1",
          "hsm true: no HSM policy" },
        { "doMailboxMove h accounts a@x hsm no", "h accounts=a@x stages=5", NULL },
        { "doMailboxMove h accounts a@x drive_destination_volume 7", "h accounts=a@x stages=5",
          "there is no Drive here" },
        { "doMailboxMove h accounts a@x drive_destination_volume same_as_blob",
          "h accounts=a@x stages=5", NULL },
        { "doMailboxMove h accounts a@x ignore_partial false", "h accounts=a@x stages=5", NULL },
        { "doMailboxMove h accounts a@x priority high",
          "! priority: 'high' is not in this version of zxmove, only normal is", NULL },
        { "doMailboxMove h accounts a@x hooks_dir /x",
          "! hooks_dir is not in this version of zxmove", NULL },
        { "doMailboxMove h accounts a@x bad_item_limit 51",
          "! bad_item_limit 51: so much may only be left behind with accept_data_loss true", NULL },
        { "doMailboxMove h accounts a@x bad_item_limit 51 accept_data_loss true",
          "h accounts=a@x stages=5", NULL },
        { "doMailboxMove h accounts a@x read_error_threshold 0",
          "! read_error_threshold: 0 is below 1", NULL },
        { "doMailboxMove h accounts a@x bandwidth 20M", "h accounts=a@x stages=5", NULL },
        { "doMailboxMove h accounts a@x bandwidth Mon-08:00,4M",
          "h accounts=a@x stages=5", NULL },
        { "doMailboxMove h accounts a@x bandwidth Mon-25:00,off",
          "! bandwidth: 'Mon-25:00,off' is no pace: 20M (bytes a second), off, or a timetable such as "
          "'Mon-08:00,4M Mon-19:00,off'",
          NULL },
        { "doMailboxMove h accounts a@x bandwidth off verify digest order given strict no",
          "h accounts=a@x stages=5", NULL },
    };

    check_cases(cases, G_N_ELEMENTS(cases));
}

/* Switches and the names of other programs, in any order, before the verb. */
static void prefixes(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *line, *rest, *host, *refused;
        bool progress;
    } cases[] = {
        { "zxsuite powerstore help", "help", NULL, NULL, false },
        { "zxsuite hsm help", "help", NULL, NULL, false },
        { "carbonio powerstore help", "help", NULL, NULL, false },
        { "powerstore help", "help", NULL, NULL, false },
        { "hsm help", "help", NULL, NULL, false },
        { "zxmove help", "help", NULL, NULL, false },
        { "zxsuite --progress hsm help x", "help x", NULL, NULL, true },
        { "--progress zxsuite hsm --host m1 help", "help", "m1", NULL, true },
        { "zxsuite --hostname=m1 help", "help", "m1", NULL, false },
        { "help --progress", "help --progress", NULL, NULL, false },
        { "zxsuite", "", NULL, NULL, false },
        { "--host", "", NULL, "--host needs a value", false },
        { "--host= help", "", NULL, "--host needs a value", false },
        { "--json=1 help", "", NULL, "--json takes no value", false },
        { "--keep-going help", "", NULL, "--keep-going belongs to the command line", false },
        { "--parse=x help", "", NULL, "--parse takes no value", false },
        { "--jsn=x help", "", NULL, "unknown switch --jsn, did you mean --json?", false },
        { "--progres help", "", NULL, "unknown switch --progres, did you mean --progress?", false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(GStrv) words = g_strsplit(cases[i].line, " ", -1);
        const char *const *rest = (const char *const *)words;
        g_auto(Switches) switches = { 0 };
        g_autoptr(GError) error = NULL;
        bool ok = switches_take(&rest, false, &switches, &error);

        assert_int_equal(ok, cases[i].refused == NULL);
        if (ok) {
            g_autofree char *left = g_strjoinv(" ", (char **)(uintptr_t)rest);

            assert_string_equal(left, cases[i].rest);
            assert_true(g_strcmp0(switches.host, cases[i].host) == 0);
            assert_true(switches.progress == cases[i].progress);
        } else if (strstr(error->message, cases[i].refused) == NULL) {
            fail_msg("%s: %s", cases[i].line, error->message);
        }
    }
}

static void foreign(void **state G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;

    assert_true(foreign_verb("domoveblobs", &error));
    assert_int_equal(error_exit_status(error_code(error)), 64);
    assert_non_null(strstr(error->message, "belongs to volume management, not part of zxmove"));
    /* What is there is not said to be missing. */
    for (const Command *const *command = commands; *command != NULL; command++)
        assert_false(foreign_verb((*command)->name, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(article),  cmocka_unit_test(list_repair), cmocka_unit_test(stages),
        cmocka_unit_test(names),    cmocka_unit_test(values),      cmocka_unit_test(without_effect),
        cmocka_unit_test(settings), cmocka_unit_test(types),       cmocka_unit_test(prefixes),
        cmocka_unit_test(foreign),
    };

    g_setenv("TZ", "UTC", TRUE);
    g_setenv("HOME", "/home/test", TRUE);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
