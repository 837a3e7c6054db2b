/* run.c - doCheck from its question to its findings: who is asked, and in which order, so that one
 * who does not answer is waited for once. */
#include "core/base/log.h"
#include "core/check/check.h"
#include <string.h>

static void finding_free(CheckFinding *finding)
{
    g_free(finding->subject);
    g_free(finding->text);
    g_free(finding);
}

void check_report_free(CheckReport *report)
{
    if (report == NULL)
        return;
    g_ptr_array_unref(report->findings);
    g_free(report);
}

void check_add(Check *check, const CheckTest *test, CheckState state, const char *subject,
               const char *fmt, ...)
{
    CheckFinding *finding = g_new0(CheckFinding, 1);
    va_list args;

    finding->test = test;
    finding->state = state;
    finding->subject = g_strdup(subject);
    va_start(args, fmt);
    finding->text = g_strdup_vprintf(fmt, args);
    va_end(args);
    g_ptr_array_add(check->report->findings, finding);
}

void check_judge(Check *check, const CheckTest *test, CheckState bad, const char *subject,
                 bool good, GError *problem)
{
    ZxError code = good ? ZX_ERROR_FAILED : error_code(problem);

    if (good)
        check_add(check, test, CHECK_OK, subject, "as it should be");
    else
        check_add(check, test,
                  code == ZX_ERROR_CONNECT || code == ZX_ERROR_TIMEOUT ? CHECK_NOT_POSSIBLE : bad,
                  subject, "%s", problem->message);
    g_clear_error(&problem);
}

/* A store that takes part and cannot be asked is told by the tests of reach.c. */
static void not_asked(Check *check, const CheckTest *test, const char *name)
{
    check_add(check, test, CHECK_NOT_POSSIBLE, name, "%s could not be asked", name);
}

static Store *store_called(Check *check, const char *name)
{
    g_autoptr(GError) ignored = NULL;

    return operation_store(&check->op, name, &ignored);
}

void check_stores(Check *check, const CheckTest *test, CheckState bad, AskStore *ask)
{
    for (guint i = 0; i < check->names->len; i++) {
        const char *name = g_ptr_array_index(check->names, i);
        Store *store = store_called(check, name);
        GError *problem = NULL;
        bool good;

        if (store == NULL) {
            not_asked(check, test, name);
            continue;
        }
        good = ask(check, store, &problem);
        check_judge(check, test, bad, name, good, problem);
    }
}

void check_pairs(Check *check, const CheckTest *test, CheckState bad, AskPair *ask)
{
    const char *there = g_ptr_array_index(check->names, 0);

    if (check->target == NULL)
        not_asked(check, test, there);
    for (guint i = 1; check->target != NULL && i < check->names->len; i++) {
        const char *name = g_ptr_array_index(check->names, i);
        g_autofree char *subject = g_strdup_printf("%s -> %s", name, there);
        Store *source = store_called(check, name);
        GError *problem = NULL;
        bool good;

        if (source == NULL) {
            not_asked(check, test, name);
            continue;
        }
        good = ask(check, source, &problem);
        check_judge(check, test, bad, subject, good, problem);
    }
}

/* Those that are well are counted, the others are named. */
void check_moves(Check *check, const CheckTest *test, CheckState bad, AskMove *ask)
{
    g_autofree char *subject = NULL;
    unsigned good = 0;

    for (guint i = 0; i < check->moves->len && !wait_stopped(check->wait); i++) {
        Move *move = g_ptr_array_index(check->moves, i);
        GError *problem = NULL;

        if (ask(check, move, &problem))
            good++;
        else
            check_judge(check, test, bad, move->account->address, false, problem);
    }
    subject = g_strdup_printf("%u mailbox%s", good, good == 1 ? "" : "es");
    if (good > 0)
        check_add(check, test, CHECK_OK, subject, "as %s should be", good == 1 ? "it" : "they");
    if (check->unasked > 0)
        check_add(check, test, CHECK_NOT_POSSIBLE, NULL,
                  "%u account%s could not be looked at: mend what is above", check->unasked,
                  check->unasked == 1 ? "" : "s");
}

/* The directory. */

/* If first contact failed there is no need to wait a second time: why, or NULL. */
static const char *directory_silence(const Check *check)
{
    for (guint i = 0; i < check->trusts->len; i++) {
        const Trust *trust = g_ptr_array_index(check->trusts, i);

        if (strcmp(trust->kind, "LDAP certificate") == 0)
            return trust->state == TRUST_UNREACHED ? trust->problem : NULL;
    }
    return NULL;
}

static bool open_directory(Check *check, GError **error)
{
    g_autoptr(GError) problem = NULL;
    const char *silence = directory_silence(check);

    if (silence == NULL) {
        check->open = operation_open(&check->op, check->conf, NULL, "doCheck",
                                     check->request->command, NULL, NULL, check->wait, &problem);
        if (!check->open && error_code(problem) == ZX_ERROR_STATE) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return false;
        }
    }
    check->op.request = check->request;
    check->op.looking = check->op.checking = true;
    for (unsigned n = 0; !check->open && check_tests[n].run != NULL; n++)
        if (check_tests[n].run == test_directory)
            check_add(check, &check_tests[n].row, CHECK_FAIL, check->conf->ldap.master, "%s",
                      silence != NULL ? silence : problem->message);
    return true;
}

/* Accounts and stores. */

static void add_name(Check *check, const char *name)
{
    for (guint i = 0; i < check->names->len; i++)
        if (g_ascii_strcasecmp(g_ptr_array_index(check->names, i), name) == 0)
            return;
    g_ptr_array_add(check->names, g_strdup(name));
}

/* One that does not answer here is not asked again. */
static void remember_gone(Check *check)
{
    for (guint i = 0; i < check->reaches->len; i++) {
        const Reach *reach = g_ptr_array_index(check->reaches, i);

        for (int part = 0; part < STORE_PARTS; part++)
            if (reach->why[part] != NULL)
                operation_gone(&check->op, reach->where->name, g_error_copy(reach->why[part]));
    }
}

static MailboxResult *result_of(const Check *check, const Account *account)
{
    const GPtrArray *results = check->op.report->mailboxes;

    for (guint i = 0; i < results->len; i++) {
        MailboxResult *result = g_ptr_array_index(results, i);

        if (strcmp(result->account_id, account->id) == 0)
            return result;
    }
    g_assert_not_reached();
}

/* What was planned and can be looked into. */
static void add_moves(Check *check)
{
    for (guint i = 0; i < check->accounts->len; i++) {
        Account *account = g_ptr_array_index(check->accounts, i);
        MailboxResult *result = result_of(check, account);
        g_autoptr(GError) problem = NULL;
        Store *source = store_called(check, account->mail_host);
        Move *move;

        if (source == NULL || check->target == NULL || result->outcome != OUTCOME_PLANNED) {
            check->unasked++;
            continue;
        }
        move = g_new0(Move, 1);
        *move = (Move){ .op = &check->op, .account = account, .source = source,
                        .target = check->target, .result = result };
        if (check->wait != NULL)
            move->wait = *check->wait;
        g_ptr_array_add(check->moves, move);
        if (!mailbox_row_find(source->control, account->id, &move->source_mailbox,
                              &move->source_group, &move->source_index_volume, &problem))
            log_warning("%s: %s", account->address, problem->message);
    }
}

static bool select_accounts(Check *check, GError **error)
{
    const GPtrArray *results = check->op.report->mailboxes;

    if (directory_server_called(check->op.servers, check->request->destination, error) == NULL)
        return false;
    add_name(check, check->request->destination);
    check->reaches =
        reach_all(check->conf, check->op.servers, check->trusts, check->wait);
    remember_gone(check);
    check->accounts = plan_select(&check->op, error);
    if (check->accounts == NULL)
        return false;
    for (guint i = 0; i < results->len; i++) {
        const MailboxResult *result = g_ptr_array_index(results, i);

        check->report->skipped += result->outcome == OUTCOME_SKIPPED;
    }
    check->report->accounts = check->accounts->len;
    for (guint i = 0; i < check->accounts->len; i++)
        add_name(check, ((const Account *)g_ptr_array_index(check->accounts, i))->mail_host);
    check->target = store_called(check, check->request->destination);
    for (guint i = 1; i < check->names->len; i++) {
        Store *store = store_called(check, g_ptr_array_index(check->names, i));

        if (store != NULL)
            g_ptr_array_add(check->sources, store);
    }
    if (!forecast_all(&check->op, check->accounts, error))
        return false;
    add_moves(check);
    return true;
}

/* The tests. */

static bool needs_servers(const Test *test)
{
    return test->run != test_state_dir && test->run != test_file_handles &&
           test->run != test_directory_tls && test->run != test_host_keys &&
           test->run != test_certificates;
}

static void run_tests(Check *check)
{
    for (const Test *test = check_tests; test->run != NULL && !wait_stopped(check->wait); test++) {
        if (check->open || !needs_servers(test))
            test->run(check, &test->row);
        else if (test->run != test_directory)
            check_add(check, &test->row, CHECK_NOT_POSSIBLE, NULL,
                      "the directory could not be asked");
    }
}

static void check_clear(Check *check)
{
    g_clear_pointer(&check->trusts, g_ptr_array_unref);
    g_clear_pointer(&check->reaches, g_ptr_array_unref);
    g_clear_pointer(&check->moves, g_ptr_array_unref);
    g_clear_pointer(&check->accounts, g_ptr_array_unref);
    g_clear_pointer(&check->names, g_ptr_array_unref);
    g_clear_pointer(&check->sources, g_ptr_array_unref);
    if (check->op.report != NULL) {
        operation_close(&check->op);
        report_free(check->op.report);
    }
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Check, check_clear)

CheckReport *check_run(const Conf *conf, const MoveRequest *request, const Wait *wait,
                       GError **error)
{
    g_autoptr(CheckReport) report = g_new0(CheckReport, 1);
    g_auto(Check) check = { .conf = conf, .request = request, .wait = wait, .report = report };

    report->findings = g_ptr_array_new_with_free_func((GDestroyNotify)finding_free);
    check.moves = g_ptr_array_new_with_free_func(g_free);
    check.names = g_ptr_array_new_with_free_func(g_free);
    check.sources = g_ptr_array_new();
    check.trusts = trust_look(conf, NULL, wait, error);
    if (check.trusts == NULL || !open_directory(&check, error) ||
        (check.open && !select_accounts(&check, error)))
        return NULL;
    run_tests(&check);
    return wait_check(wait, "the check", error) ? g_steal_pointer(&report) : NULL;
}
