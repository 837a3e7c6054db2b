/* A report that was kept reads as what it was: every form of it is the same before and after. */
#include "commands/saved.h"
#include "tests/unit/files.h"

#define STARTED G_GINT64_CONSTANT(1760000000950) /* 2025-10-09 08:53:20.950 UTC */

static void note(GPtrArray *list, const char *text)
{
    g_ptr_array_add(list, g_strdup(text));
}

static MailboxResult *add(Report *report, const char *address, Outcome outcome)
{
    MailboxResult *mailbox = report_add_mailbox(report, address, "id-1", "mail1", "mail2");

    mailbox->outcome = outcome;
    mailbox->source_mailbox = 12;
    mailbox->destination_mailbox = 31;
    return mailbox;
}

/* Something in every field, of one mailbox or another. */
static Report *full(const char *verb)
{
    Report *report = report_empty();
    MailboxResult *mailbox;
    BadItem *item = g_new0(BadItem, 1);
    DiskForecast *disk = g_new0(DiskForecast, 1);
    StepTime steps[] = { { "lock", 12.3 }, { "proof", 40 } };

    g_strlcpy(report->operation, "6f0c2c1e-0000-4000-8000-000000000001", sizeof report->operation);
    report->verb = g_strdup(verb);
    report->command = g_strdup("doMailboxMove mail2 domains company.ru comment 'a, \"b\"'");
    report->who = g_strdup("root");
    report->host = g_strdup("admin1");
    report->batch_name = g_strdup("night1");
    report->comment = g_strdup("a, \"b\"");
    report->started = STARTED;
    report->ended = STARTED + 61834;
    report->row_us = 4.5;
    report->halted = g_strdup("too many errors");
    report->mail_problem = g_strdup("no answer");
    report->log_path = g_strdup("/var/lib/zxmove/log/6f0c2c1e.log");
    report->mailbox_logs = g_strdup("/var/lib/zxmove/log/6f0c2c1e");
    report->report_path = g_strdup("/var/lib/zxmove/reports/6f0c2c1e.json");
    note(report->notes, "of all");
    note(report->risks, "a risk");
    disk->what = g_strdup("volume message1");
    disk->need = 1;
    disk->free_bytes = 2;
    disk->total_bytes = 3;
    disk->keep = 4;
    g_ptr_array_add(report->disks, disk);

    mailbox = add(report, "anna@company.ru", OUTCOME_MOVED);
    mailbox->rows = 20502;
    mailbox->rows_window = 7;
    mailbox->blobs = 9;
    mailbox->bytes = 10;
    mailbox->blobs_copied = 11;
    mailbox->bytes_copied = 12;
    mailbox->blobs_linked = 13;
    mailbox->bytes_freed = 14;
    mailbox->backup_files = 15;
    mailbox->backup_bytes = 16;
    mailbox->rounds = 2;
    mailbox->window_ms = 52.3;
    mailbox->committed = STARTED + 60000;
    mailbox->unfinished = true;
    g_array_append_vals(mailbox->window_steps, steps, 2);
    mailbox->sleeping[SLEEPER_SEND] = (Sleeping){ 2, "2026-03-01 08:00:00" };
    mailbox->sleeping[SLEEPER_POLL] = (Sleeping){ 1, "" };
    note(mailbox->notes, "first; note");
    note(mailbox->notes, "second");
    item->item_id = 270;
    item->mod_content = 5;
    item->damaged_before = true;
    item->cause = g_strdup("missing");
    item->folder = g_strdup("Inbox");
    item->subject = g_strdup("\xc3\x9c"
                             "ber uns");
    g_ptr_array_add(mailbox->bad_items, item);

    mailbox = add(report, "ivan@company.ru", OUTCOME_FAILED);
    mailbox->code = ZX_ERROR_NO_SPACE;
    mailbox->reason = g_strdup("no room");
    mailbox = add(report, "olga@company.ru", OUTCOME_SKIPPED);
    mailbox->reason = g_strdup("already there");
    mailbox = add(report, "petr@company.ru", OUTCOME_PLANNED);
    mailbox->forecast = g_new0(Forecast, 1);
    *mailbox->forecast = (Forecast){ 1, 2, 3, 4, 5, 6, 7.5 };
    mailbox = add(report, "doubt@company.ru", OUTCOME_IN_DOUBT);
    mailbox->code = ZX_ERROR_IN_DOUBT;
    mailbox->reason = g_strdup("not answered");
    mailbox = add(report, "later@company.ru", OUTCOME_NOT_REACHED);
    mailbox->code = ZX_ERROR_INTERRUPTED;
    return report;
}

/* All forms in one text. */
static char *forms(const Report *report, const ReportText *text)
{
    json_t *object = report_json(report, text);
    char *json = json_dumps(object, JSON_INDENT(1));
    g_autofree char *csv = report_csv(report);
    g_autofree char *lines = report_summary(report, text);
    g_autofree char *subject = mail_subject(report, text);
    g_autofree char *body = mail_body(report, text);
    char *all = g_strjoin("\n----\n", json, csv, lines, subject, body, NULL);

    json_decref(object);
    free(json);
    return all;
}

static void check(const char *verb, const ReportText *text)
{
    char *dir = temporary_dir();
    g_autofree char *path = g_build_filename(dir, "report.json", NULL);
    g_autoptr(Report) report = full(verb);
    json_t *object = report_json(report, text);
    g_auto(Saved) saved = { 0 };
    g_autofree char *before = forms(report, text);
    g_autofree char *after = NULL;
    g_autoptr(GError) error = NULL;

    assert_int_equal(json_dump_file(object, path, JSON_INDENT(2)), 0);
    json_decref(object);
    if (!saved_read(path, &saved, &error))
        fail_msg("%s", error->message);
    after = forms(saved.report, &saved.text);
    assert_string_equal(after, before);
    remove_dir(dir);
}

static void a_move(void **state G_GNUC_UNUSED)
{
    char *mails[] = { (char[]){ "admin@saas.com" }, (char[]){ "b@saas.com" }, NULL };

    check("doMailboxMove", &(ReportText){ .selection = (char[]){ "company.ru" },
                                          .destination = "mail2",
                                          .notifications = mails,
                                          .stages = STAGE_BLOBS | STAGE_ACCOUNT,
                                          .strict = true,
                                          .interrupted = true,
                                          .retention_days = 30 });
}

static void a_copy_ahead(void **state G_GNUC_UNUSED)
{
    check("doMailboxMove", &(ReportText){ .selection = (char[]){ "company.ru" },
                                          .destination = "mail2",
                                          .stages = STAGE_BLOBS | STAGE_BACKUP,
                                          .staged = true });
}

static void a_plan(void **state G_GNUC_UNUSED)
{
    check("plan", &(ReportText){ .selection = (char[]){ "company.ru" },
                                 .destination = "mail2",
                                 .stages = STAGE_ACCOUNT,
                                 .plan = true });
}

static void a_purge(void **state G_GNUC_UNUSED)
{
    check("doPurgeMailboxes",
          &(ReportText){ .selection = (char[]){ "all" }, .purge = true, .dry_run = true });
}

static void a_recovery(void **state G_GNUC_UNUSED)
{
    check("doRecover", &(ReportText){ .selection = (char[]){ "a@x" }, .recover = true });
}

static void what_is_none(void **state G_GNUC_UNUSED)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"operation\":\"x\",\"verb\":\"plan\"}",
        "{\"operation\":1,\"verb\":\"plan\",\"mailboxes\":[]}",
        "{\"operation\":\"x\",\"verb\":\"plan\",\"mailboxes\":[1]}"
    };
    char *dir = temporary_dir();
    g_autofree char *path = g_build_filename(dir, "report.json", NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_auto(Saved) saved = { 0 };
        g_autoptr(GError) error = NULL;

        write_file(dir, "report.json", texts[i], strlen(texts[i]));
        assert_false(saved_read(path, &saved, &error));
        assert_int_equal(error_code(error), ZX_ERROR_DATA);
    }
    remove_dir(dir);
}

static void which_file(void **state G_GNUC_UNUSED)
{
    char *dir = temporary_dir();
    g_autofree char *found = NULL;
    g_autoptr(GError) none = NULL, several = NULL;

    write_file(dir, "reports/6f0c2c1e-1.json", "{}", 2);
    write_file(dir, "reports/6f0c2c1e-2.json", "{}", 2);
    write_file(dir, "reports/6f0c2c1e-2.json.part", "{}", 2);
    found = saved_find(dir, "6F0C2C1E-2", NULL);
    assert_true(g_str_has_suffix(found, "/reports/6f0c2c1e-2.json"));
    assert_null(saved_find(dir, "6f0c", &several));
    assert_int_equal(error_code(several), ZX_ERROR_USAGE);
    assert_null(saved_find(dir, "7", &none));
    assert_int_equal(error_code(none), ZX_ERROR_NOT_FOUND);
    remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_move),     cmocka_unit_test(a_copy_ahead),
        cmocka_unit_test(a_plan),     cmocka_unit_test(a_purge),
        cmocka_unit_test(a_recovery), cmocka_unit_test(what_is_none),
        cmocka_unit_test(which_file),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
