/* How results look: the Report as lines, mail, CSV and JSON, lists as text, errors. */
#include "commands/report.h"
#include "shell/shell.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define STARTED G_GINT64_CONSTANT(1760000000000) /* 2025-10-09 08:53:20 UTC */

static char uuid[] = "6f0c2c1e-0000-4000-8000-000000000001";

static void mailbox_clear(void *data)
{
    MailboxResult *mailbox = data;

    g_clear_pointer(&mailbox->window_steps, g_array_unref);
    g_clear_pointer(&mailbox->notes, g_ptr_array_unref);
    g_clear_pointer(&mailbox->bad_items, g_ptr_array_unref);
    g_free(mailbox);
}

static Report *report_new(const char *verb, const char *command)
{
    Report *report = g_new0(Report, 1);

    memcpy(report->operation, uuid, sizeof uuid);
    report->verb = g_strdup(verb);
    report->command = g_strdup(command);
    report->who = g_strdup("root");
    report->host = g_strdup("admin1");
    report->started = STARTED;
    report->ended = STARTED + 9660 * 1000;
    report->mailboxes = g_ptr_array_new_with_free_func(mailbox_clear);
    report->notes = g_ptr_array_new();
    report->disks = g_ptr_array_new();
    report->risks = g_ptr_array_new();
    return report;
}

/* Texts are literals here: the results of these tests are freed by mailbox_clear only. */
static MailboxResult *add(Report *report, const char *address, Outcome outcome, const char *reason)
{
    MailboxResult *mailbox = g_new0(MailboxResult, 1);

    mailbox->address = (char *)(uintptr_t)address;
    mailbox->account_id = (char *)(uintptr_t) "id-1";
    mailbox->source = (char *)(uintptr_t) "mail1";
    mailbox->destination = (char *)(uintptr_t) "mail2";
    mailbox->source_mailbox = 12;
    mailbox->destination_mailbox = 31;
    mailbox->outcome = outcome;
    mailbox->reason = (char *)(uintptr_t)reason;
    mailbox->code = reason != NULL ? ZX_ERROR_NO_SPACE : ZX_ERROR_USAGE;
    mailbox->notes = g_ptr_array_new();
    mailbox->bad_items = g_ptr_array_new();
    g_ptr_array_add(report->mailboxes, mailbox);
    return mailbox;
}

static MailboxResult *add_moved(Report *report, const char *address, double window_ms)
{
    MailboxResult *mailbox = add(report, address, OUTCOME_MOVED, NULL);
    StepTime steps[] = { { "fence", 4.04 }, { "commit", 40.5 } };

    mailbox->rows = 20502;
    mailbox->rows_window = 3;
    mailbox->blobs = 20113;
    mailbox->bytes = mailbox->bytes_copied = 42991616;
    mailbox->window_ms = window_ms;
    mailbox->window_steps = g_array_new(FALSE, FALSE, sizeof(StepTime));
    g_array_append_vals(mailbox->window_steps, steps, G_N_ELEMENTS(steps));
    mailbox->committed = STARTED + 1000;
    return mailbox;
}

static void check(char *text, const char *expected)
{
    if (strcmp(text, expected) != 0)
        fail_msg("is\n%s\nexpected\n%s", text, expected);
    g_free(text);
}

static void contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in\n%s", part, text);
}

static void lines(void **state G_GNUC_UNUSED)
{
    g_autoptr(Report) report = report_new("doMailboxMove", "x");
    MailboxResult *mailbox = add_moved(report, "anna@company.ru", 312.34);

    g_ptr_array_add(mailbox->notes, (char *)(uintptr_t) "memcached is down");
    check(report_mailbox(mailbox, 1, 3, false),
          "[1/3] anna@company.ru   moved   locked 312 ms  20,502 rows, 20,113 blobs, 41.0 MB\n"
          "        note: memcached is down\n");
    check(report_mailbox(mailbox, 1, 1, true),
          "[1/1] anna@company.ru   moved   locked 312 ms  20,502 rows, 20,113 blobs, 41.0 MB\n"
          "        window 312.3 ms, 3 rows changed in it: fence 4.0; commit 40.5\n"
          "        note: memcached is down\n");
    mailbox = add(report, "b@x", OUTCOME_STAGED, NULL);
    mailbox->rows = 1;
    mailbox->bytes = 2048;
    mailbox->bytes_copied = 1024;
    check(report_mailbox(mailbox, 2, 3, true),
          "[2/3] b@x               staged  1 row, 0 blobs, 2.0 KB (1.0 KB new)\n");
    mailbox->bytes_copied = 0;
    check(report_mailbox(mailbox, 2, 3, true),
          "[2/3] b@x               staged  1 row, 0 blobs, 2.0 KB (nothing new)\n");
    check(report_mailbox(add(report, "c@x", OUTCOME_FAILED, "disk full"), 3, 3, true),
          "[3/3] c@x               failed: disk full\n");
    check(report_mailbox(add(report, "d@x", OUTCOME_SKIPPED, "already there"), 0, 0, false),
          "d@x               skipped: already there\n");
    mailbox = add(report, "e@x", OUTCOME_PURGED, NULL);
    mailbox->committed = STARTED;
    mailbox->bytes_freed = 1048576;
    check(report_mailbox(mailbox, 0, 0, false),
          "e@x               purged  mailbox 12, 1.0 MB  mail1 -> mail2 2025-10-09\n");
    mailbox->outcome = OUTCOME_EXPLAINED;
    check(report_mailbox(mailbox, 0, 0, false),
          "e@x               would be purged  mailbox 12, 1.0 MB  mail1 -> mail2 2025-10-09\n");
    mailbox = add(report, "f@x", OUTCOME_KEPT, "it was written to");
    check(report_mailbox(mailbox, 0, 0, false),
          "f@x               kept    mailbox 12  mail1 -> mail2 at an unknown time: "
          "it was written to\n");
    check(report_mailbox(add(report, "g@x", OUTCOME_EXPLAINED, "would be undone"), 0, 0, false),
          "g@x               explained: would be undone\n");
}

static void long_lines_are_broken_between_things(void **state G_GNUC_UNUSED)
{
    g_autoptr(Report) report = report_new("doMailboxMove", "x");
    MailboxResult *mailbox = add_moved(report, "anna@company.ru", 100);
    StepTime step = { "mailbox row, durable", 4.2 };

    for (int i = 0; i < 3; i++)
        g_array_append_val(mailbox->window_steps, step);
    check(report_mailbox(mailbox, 0, 0, true),
          "anna@company.ru   moved   locked 100 ms  20,502 rows, 20,113 blobs, 41.0 MB\n"
          "        window 100.0 ms, 3 rows changed in it: fence 4.0; commit 40.5; mailbox row, "
          "durable 4.2;\n"
          "        mailbox row, durable 4.2; mailbox row, durable 4.2\n");
}

static void summaries(void **state G_GNUC_UNUSED)
{
    g_autoptr(Report) report = report_new("doMailboxMove", "x");
    ReportText text = { .destination = "mail2", .retention_days = 30 };
    char selection[] = "company.ru", to[] = "admin@saas.com", *notifications[] = { to, NULL };

    check(report_summary(report, &text),
          "operation  6f0c2c1e-0000-4000-8000-000000000001  doMailboxMove\n"
          "selected   0 accounts\n"
          "done       0 moved, 0 failed, 0 skipped   nothing to move\n");
    add_moved(report, "ivan@company.ru", 1100);
    check(report_summary(report, &text),
          "operation  6f0c2c1e-0000-4000-8000-000000000001  doMailboxMove\n"
          "stores     mail1 -> mail2\n"
          "selected   1 account\n"
          "done       1 moved, 0 failed, 0 skipped   41.0 MB in 2h41m\n"
          "old copy   kept until 2025-11-08;\n"
          "           remove now with: doPurgeMailboxes ivan@company.ru ignore_retention true\n");
    add_moved(report, "anna@company.ru", 300)->source = (char *)(uintptr_t) "mail3";
    add(report, "c@x", OUTCOME_IN_DOUBT, "no answer");
    add(report, "d@x", OUTCOME_SKIPPED, "already there");
    add(report, "e@x", OUTCOME_SKIPPED, "home is mail3");
    add(report, "f@x", OUTCOME_SKIPPED, "already there");
    text.selection = selection;
    text.stages = STAGE_BLOBS | STAGE_ACCOUNT;
    g_ptr_array_add(report->notes, (char *)(uintptr_t) "chat does not move");
    report->report_path = g_strdup("/r.json");
    report->mail_problem = g_strdup("refused");
    text.notifications = notifications;
    check(report_summary(report, &text),
          "operation  6f0c2c1e-0000-4000-8000-000000000001  doMailboxMove\n"
          "stores     mail1,mail3 -> mail2\n"
          "selected   6 accounts (company.ru), 3 skipped: 2 already there, 1 home is mail3\n"
          "stages     blobs account\n"
          "partial    2 moved, 0 failed, 3 skipped, 1 in doubt   82.0 MB in 2h41m\n"
          "locked     median 1.1 s, longest 1.1 s (ivan@company.ru)\n"
          "note       chat does not move\n"
          "in doubt   c@x: no answer\n"
          "next       doRecover accounts c@x dry_run false\n"
          "old copies kept until 2025-11-08; remove now with: doPurgeMailboxes all "
          "ignore_retention true\n"
          "report     /r.json\n"
          "mail       not sent to admin@saas.com: refused\n");
}

/* What failed stands in it once more, with its reason and the command that goes on from there. */
static void summaries_of_trouble(void **state G_GNUC_UNUSED)
{
    g_autoptr(Report) report =
        report_new("doMailboxMove", "doMailboxMove mail2 domains company.ru");
    ReportText text = { .destination = "mail2", .retention_days = 30, .interrupted = true };

    add(report, "a@x", OUTCOME_FAILED,
        "copy: mail2 has no space left for the blobs of this mailbox: 41.0 MB are to come and 12.0 "
        "MB "
        "are free. Make room:\n  rm something");
    add(report, "b@x", OUTCOME_NOT_REACHED, "interrupted before this mailbox was begun")->code =
        ZX_ERROR_INTERRUPTED;
    check(report_summary(report, &text),
          "operation  6f0c2c1e-0000-4000-8000-000000000001  doMailboxMove\n"
          "stores     mail1 -> mail2\n"
          "selected   2 accounts\n"
          "interrupted  0 moved, 1 failed, 0 skipped, 1 not reached   0 B in 2h41m\n"
          "failed     a@x: copy: mail2 has no space left for the blobs of this mailbox: 41.0 MB "
          "are to\n"
          "           come and 12.0 MB are free. Make room:\n"
          "           rm something\n"
          "again      doMailboxMove mail2 domains company.ru\n");
    assert_int_equal(report_status(report, &text), 130);
    add(report, "c@x", OUTCOME_MOVED, NULL)->unfinished = true;
    {
        g_autofree char *summary = report_summary(report, &text);

        contains(summary, "unfinished c@x: see its notes\n"
                          "next       doRecover accounts c@x dry_run false\n");
    }
    for (int i = 0; i < 30; i++)
        add(report, "d@x", OUTCOME_IN_DOUBT, "no answer");
    {
        g_autofree char *summary = report_summary(report, &text);

        contains(summary, "\nand 12 more of these, all of them in the report\n"
                          "next       doRecover operation 6f0c2c1e-0000-4000-8000-000000000001 "
                          "dry_run false\n");
    }
}

/* The uuid of a recovery is no record's: its accounts are named. */
static void summaries_of_recoveries(void **state G_GNUC_UNUSED)
{
    g_autoptr(Report) report = report_new("doRecover", "doRecover operation 6f0c2c1e");
    ReportText text = { .recover = true };

    for (int i = 0; i < 6; i++)
        add(report, i < 3 ? "a@x" : "b@x", OUTCOME_IN_DOUBT, "no answer");
    add(report, "c@x", OUTCOME_EXPLAINED, "would be undone");
    {
        g_autofree char *summary = report_summary(report, &text);

        contains(summary,
                 "next       doRecover accounts a@x,a@x,a@x,b@x,b@x,b@x,c@x dry_run false\n");
        assert_null(strstr(summary, "doRecover operation"));
    }
}

/* Two mailboxes sleep: their numbers are added, the earliest date is the first. */
static void sleepers_are_summed_up(void **state G_GNUC_UNUSED)
{
    g_autoptr(Report) report = report_new("doMailboxMove", "x");
    ReportText text = { .destination = "mail2", .retention_days = 30 };
    MailboxResult *one = add_moved(report, "anna@company.ru", 0);
    MailboxResult *two = add_moved(report, "ivan@company.ru", 0);
    g_autofree char *summary = NULL;
    g_autofree char *body = NULL;
    g_autofree char *csv = NULL;
    json_t *object, *sleeping;

    one->sleeping[SLEEPER_SEND] = (Sleeping){ 1, "2026-04-01 10:00:00" };
    two->sleeping[SLEEPER_SEND] = (Sleeping){ 2, "2026-03-01 08:00:00" };
    two->sleeping[SLEEPER_REMINDER] = (Sleeping){ 1, "" };
    two->sleeping[SLEEPER_POLL] = (Sleeping){ 1200, "2026-03-01 00:00:00" };
    summary = report_summary(report, &text);
    contains(summary,
             "asleep     3 delayed sends (first due 2026-03-01 08:00), 1 reminder, 1,200 data "
             "source polls,\n"
             "           until mailboxd of mail2 is restarted\n");
    body = mail_body(report, &text);
    contains(body,
             "asleep     3 delayed sends (first due 2026-03-01 08:00), 1 reminder, 1,200 data "
             "source polls, until mailboxd of mail2 is restarted\n");
    csv = report_csv(report);
    contains(csv, ",1 delayed send (first due 2026-04-01 10:00),,\r\n");
    object = report_json(report, &text);
    sleeping = json_object_get(json_array_get(json_object_get(object, "mailboxes"), 0), "sleeping");
    assert_int_equal(json_array_size(sleeping), 1);
    sleeping = json_array_get(sleeping, 0);
    assert_string_equal(json_string_value(json_object_get(sleeping, "kind")), "delayed send");
    assert_int_equal(json_integer_value(json_object_get(sleeping, "count")), 1);
    json_decref(object);
}

static void untold(void **state G_GNUC_UNUSED)
{
    g_autoptr(Report) report = report_new("doMailboxMove", "x");
    g_autoptr(GHashTable) told = g_hash_table_new(NULL, NULL);
    g_autofree char *many = NULL;

    g_hash_table_add(told, add_moved(report, "told@x", 1));
    add(report, "s@x", OUTCOME_SKIPPED, "already there");
    add(report, "f@x", OUTCOME_FAILED, "refused");
    check(report_untold(report, told, false), "s@x               skipped: already there\n"
                                              "f@x               failed: refused\n");
    check(report_untold(report, told, true), "f@x               failed: refused\n");
    for (int i = 0; i < 30; i++) {
        add(report, "s@x", OUTCOME_SKIPPED, "already there");
        add(report, "n@x", OUTCOME_NOT_REACHED, "interrupted");
    }
    many = report_untold(report, told, false);
    assert_true(g_str_has_suffix(many, "\nand 11 more skipped, all of them in the report\n"
                                       "and 10 more not reached, all of them in the report\n"));
}

/* Outcomes with the code of their failure, to the exit status and the first word of the mail. */
static void statuses(void **state G_GNUC_UNUSED)
{
    static const struct {
        Outcome outcomes[3];
        unsigned count;
        ZxError code;
        bool purge, interrupted;
        int status;
        const char *word;
    } cases[] = {
        { { 0 }, 0, 0, false, false, 0, "DONE" },
        { { OUTCOME_MOVED, OUTCOME_SKIPPED }, 2, ZX_ERROR_NO_SPACE, false, false, 0, "DONE" },
        { { OUTCOME_MOVED, OUTCOME_FAILED }, 2, ZX_ERROR_NO_SPACE, false, false, 5, "PARTIAL" },
        { { OUTCOME_MOVED, OUTCOME_IN_DOUBT }, 2, ZX_ERROR_IN_DOUBT, false, false, 5, "PARTIAL" },
        { { OUTCOME_FAILED, OUTCOME_SKIPPED }, 2, ZX_ERROR_DATA, false, false, 1, "FAILED" },
        { { OUTCOME_FAILED, OUTCOME_FAILED }, 2, ZX_ERROR_CONFLICT, false, false, 75, "FAILED" },
        { { OUTCOME_IN_DOUBT }, 1, ZX_ERROR_IN_DOUBT, false, false, 1, "FAILED" },
        { { OUTCOME_MOVED, OUTCOME_FAILED },
          2,
          ZX_ERROR_INTERRUPTED,
          false,
          true,
          130,
          "INTERRUPTED" },
        { { OUTCOME_MOVED, OUTCOME_NOT_REACHED },
          2,
          ZX_ERROR_INTERRUPTED,
          false,
          true,
          130,
          "INTERRUPTED" },
        { { OUTCOME_MOVED }, 1, 0, false, true, 0, "DONE" },
        { { 0 }, 0, 0, false, true, 130, "INTERRUPTED" },
        { { OUTCOME_FAILED }, 1, ZX_ERROR_STOPPED, false, false, 2, "STOPPED" },
        { { OUTCOME_PURGED }, 1, 0, true, false, 0, "PURGED" },
        { { OUTCOME_PURGED, OUTCOME_KEPT }, 2, ZX_ERROR_REFUSED, true, false, 5, "PARTIAL" },
        { { OUTCOME_KEPT }, 1, ZX_ERROR_REFUSED, true, false, 5, "PARTIAL" },
        { { OUTCOME_FINISHED, OUTCOME_UNDONE, OUTCOME_EXPLAINED }, 3, 0, false, false, 0, "DONE" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Report) report = report_new("x", "x");
        ReportText text = { .purge = cases[i].purge, .interrupted = cases[i].interrupted };

        for (unsigned k = 0; k < cases[i].count; k++)
            add(report, "a@x", cases[i].outcomes[k], NULL)->code = cases[i].code;
        if (report_status(report, &text) != cases[i].status)
            fail_msg("case %zu: %d", i, report_status(report, &text));
        assert_string_equal(report_word(report, &text), cases[i].word);
    }
}

static void mail(void **state G_GNUC_UNUSED)
{
    g_autoptr(Report) report =
        report_new("doMailboxMove", "doMailboxMove mail2 domains company.ru stages data,account");
    char selection[] = "company.ru";
    ReportText text = { .destination = "mail2", .selection = selection, .retention_days = 30 };
    MailboxResult *mailbox = add_moved(report, "anna@company.ru", 300);
    g_autofree char *body = NULL;
    g_autofree char *csv = NULL;

    g_ptr_array_add(mailbox->notes, (char *)(uintptr_t) "memcached m1 is down, flush it");
    check(mail_subject(report, &text),
          "[zxmove] DONE 1 moved, 0 failed, 0 skipped: company.ru -> mail2");
    add(report, "b@company.ru", OUTCOME_SKIPPED, "already there");
    add(report, "c,d@company.ru", OUTCOME_FAILED, "a \"full\" disk");
    add(report, "e@company.ru", OUTCOME_IN_DOUBT, "no answer");
    check(mail_subject(report, &text),
          "[zxmove] PARTIAL 1 moved, 1 failed, 1 skipped, 1 in doubt: company.ru -> mail2");
    body = mail_body(report, &text);
    contains(body, "command    doMailboxMove mail2 domains company.ru stages data,account\n");
    contains(body, "by         root on admin1\n");
    contains(body, "time       2025-10-09T08:53:20+00:00 to 2025-10-09T11:34:20+00:00 (2h41m)\n");
    contains(body, "locked     median 300 ms, longest 300 ms (anna@company.ru)\n");
    contains(body, "  b@company.ru  skipped: already there\n");
    contains(body, "  c,d@company.ru  failed: a \"full\" disk\n      next: doMailboxMove mail2 ");
    contains(body, "      next: doRecover accounts e@company.ru dry_run false\n");
    contains(body, "  anna@company.ru  memcached m1 is down, flush it\n");
    contains(body, "kept until 2025-11-08");
    contains(body, "  doRollback accounts anna@company.ru\n");
    csv = report_csv(report);
    contains(csv, "account,outcome,code,reason,source,");
    contains(csv, "\r\nanna@company.ru,moved,,,mail1,mail2,12,31,20502,20113,42991616,42991616,0,"
                  "300.0,2025-10-09T08:53:21+00:00,,\"memcached m1 is down, flush it\",\r\n");
    contains(csv, "\r\n\"c,d@company.ru\",failed,NO_SPACE,\"a \"\"full\"\" disk\",mail1,");
}

static void mail_of_many_notes(void **state G_GNUC_UNUSED)
{
    g_autoptr(Report) report = report_new("doMailboxMove", "x");
    ReportText text = { .destination = "mail2", .retention_days = 30 };
    g_autofree char *body = NULL;

    for (int i = 0; i < 50; i++) {
        MailboxResult *mailbox = add_moved(report, "anna@company.ru", 300);

        g_ptr_array_add(mailbox->notes, (char *)(uintptr_t) "memcached is down");
    }
    body = mail_body(report, &text);
    contains(body, "  anna@company.ru  memcached is down\n  and 10 more, in the table\n");
}

/* Anybody's subject is in a table that somebody opens with a spreadsheet. */
static void no_formulas(void **state G_GNUC_UNUSED)
{
    static const char *const texts[] = { "=HYPERLINK(\"x\",\"y\")", "+1", "-1+2", "@SUM(1)", "=", "-",
                                         "a=b", "" };
    g_autoptr(GString) out = g_string_new(NULL);

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++)
        csv_field(out, texts[i]);
    assert_string_equal(out->str, "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\",'+1,'-1+2,'@SUM(1),=,-,a=b,");
}

static void bad_items(void **state G_GNUC_UNUSED)
{
    enum { MANY = 25 };
    g_autoptr(Report) report = report_new("doMailboxMove", "x");
    ReportText text = { .destination = "mail2", .retention_days = 30 };
    MailboxResult *mailbox = add_moved(report, "anna@company.ru", 0);
    char cause[] = "reading: Input/output error", missing[] = "missing on mail1, volume 1";
    char folder[] = "Inbox", subject[] = "Hello, \"you\"";
    BadItem items[MANY] = { { .item_id = 270, .cause = cause, .folder = folder, .subject = subject },
                            { .item_id = 271, .cause = missing, .damaged_before = true } };
    g_autofree char *body = NULL, *csv = NULL, *lines = NULL, *summary = NULL;

    for (unsigned i = 0; i < MANY; i++) {
        if (i > 1)
            items[i] = items[1];
        g_ptr_array_add(mailbox->bad_items, &items[i]);
    }
    lines = report_mailbox(mailbox, 0, 0, false);
    contains(lines, "        not copied: item 270 (Inbox, Hello, \"you\"): reading: Input/output error\n"
                    "        already damaged on mail1: item 271: missing on mail1, volume 1\n");
    contains(lines, "        and 5 more items, all of them in the report\n");
    summary = report_summary(report, &text);
    contains(summary, "bad items  1 could not be copied: only the old copy may have it\n");
    body = mail_body(report, &text);
    contains(body, "\nItems that are not whole at the destination:\n"
                   "  anna@company.ru  not copied: item 270 (Inbox, ");
    csv = report_csv(report);
    contains(csv, ",\"not copied: item 270 (Inbox, Hello, \"\"you\"\"): reading: Input/output error; "
                  "already damaged on mail1: item 271: ");
}

static void mail_of_a_purge(void **state G_GNUC_UNUSED)
{
    g_autoptr(Report) report = report_new("doPurgeMailboxes", "doPurgeMailboxes all");
    char selection[] = "all";
    ReportText text = { .purge = true, .selection = selection };

    add(report, "a@x", OUTCOME_PURGED, NULL)->bytes_freed = 1024;
    check(mail_subject(report, &text), "[zxmove] PURGED 1 purged, 0 kept, 0 not due: all");
}

static void selections(void **state G_GNUC_UNUSED)
{
    char a[] = "a@x", b[] = "b@x", c[] = "c@x", d[] = "d@x";
    char *names[] = { a, b, c, d, NULL };

    check(report_selection(names), "a@x and 3 more");
    names[3] = NULL;
    check(report_selection(names), "a@x,b@x,c@x");
    check(report_selection(NULL), "");
}

static void json(void **state G_GNUC_UNUSED)
{
    g_autoptr(Report) report = report_new("doMailboxMove", "x");
    ReportText text = { .destination = "mail2" };
    json_t *object, *mailbox;

    add_moved(report, "anna@company.ru", 312.34);
    add(report, "c@x", OUTCOME_FAILED, "full");
    object = report_json(report, &text);
    assert_string_equal(json_string_value(json_object_get(object, "operation")), uuid);
    assert_string_equal(json_string_value(json_object_get(object, "result")), "PARTIAL");
    mailbox = json_array_get(json_object_get(object, "mailboxes"), 0);
    assert_true(json_real_value(json_object_get(mailbox, "window_ms")) == 312.3);
    assert_int_equal(json_array_size(json_object_get(mailbox, "window_steps")), 2);
    assert_null(json_object_get(mailbox, "code"));
    mailbox = json_array_get(json_object_get(object, "mailboxes"), 1);
    assert_string_equal(json_string_value(json_object_get(mailbox, "code")), "NO_SPACE");
    assert_string_equal(json_string_value(json_object_get(mailbox, "next")), "x");
    json_decref(object);
}

/* A name that is no UTF-8 is shown damaged, not left out with all that stands beside it. */
static void json_of_anything(void **state G_GNUC_UNUSED)
{
    g_autoptr(Report) report = report_new("doMailboxMove", "x\xff");
    ReportText text = { .destination = "mail2" };
    MailboxResult *mailbox = add_moved(report, "an\xffna@x", 1);
    json_t *object, *first;

    mailbox->reason = (char *)(uintptr_t) "b\xff";
    g_ptr_array_add(mailbox->notes, (char *)(uintptr_t) "c\xff");
    object = report_json(report, &text);
    assert_string_equal(json_string_value(json_object_get(object, "command")), "x\xef\xbf\xbd");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(object, "window"), "longest_account")),
        "an\xef\xbf\xbdna@x");
    first = json_array_get(json_object_get(object, "mailboxes"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "account")), "an\xef\xbf\xbdna@x");
    assert_string_equal(json_string_value(json_object_get(first, "reason")), "b\xef\xbf\xbd");
    assert_string_equal(json_string_value(json_array_get(json_object_get(first, "notes"), 0)),
                        "c\xef\xbf\xbd");
    json_decref(object);
}

static void lists(void **state G_GNUC_UNUSED)
{
    Result result = { .response = json_pack("{s:i, s:[{s:s, s:i, s:b}, {s:s, s:n}]}", "count", 2,
                                            "mailboxes", "store", "mail1", "mailbox_id", 12, "due",
                                            1, "store", "mail2", "size") };

    check(render_text(&result), "count  2\n"
                                "mailboxes\n\n"
                                "        store       mail1\n"
                                "        mailbox_id  12\n"
                                "        due         true\n"
                                "\n"
                                "        store  mail2\n"
                                "        size   -\n");
    result_clear(&result);
    result.response =
        json_pack("{s:[s,s], s:[], s:s}", "stages", "blobs", "account", "none", "verb", "x");
    check(render_text(&result), "stages  blobs,account\n"
                                "none    -\n"
                                "verb    x\n");
    result_clear(&result);
    /* Numbers that are there for programs. */
    result.response =
        json_pack("{s:s, s:i, s:s, s:i, s:i, s:s, s:s, s:[{s:s, s:i}]}", "free", "2.0 MB",
                  "free_bytes", 2 << 20, "size", "1.0 KB", "bytes", 1024, "bytes_done", 1536,
                  "bytesSaved", "n/a", "why", "", "list", "x", "y", "bytes", 3);
    check(render_text(&result), "free        2.0 MB\n"
                                "size        1.0 KB\n"
                                "bytes_done  1.5 KB\n"
                                "bytesSaved  n/a\n"
                                "why         -\n"
                                "list\n\n"
                                "        x      y\n"
                                "        bytes  3 B\n");
    result_clear(&result);
}

static void terminals_are_spared(void **state G_GNUC_UNUSED)
{
    check(render_plain("a\033[2Jb\rc\nd\x7f\xc2\x9bz \xc3\xa9"), "a?[2Jb?c\nd??z \xc3\xa9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(long_lines_are_broken_between_things),
        cmocka_unit_test(sleepers_are_summed_up),
        cmocka_unit_test(summaries),
        cmocka_unit_test(summaries_of_trouble),
        cmocka_unit_test(summaries_of_recoveries),
        cmocka_unit_test(untold),
        cmocka_unit_test(statuses),
        cmocka_unit_test(mail),
        cmocka_unit_test(mail_of_many_notes),
        cmocka_unit_test(bad_items), cmocka_unit_test(no_formulas), cmocka_unit_test(mail_of_a_purge),
        cmocka_unit_test(selections),
        cmocka_unit_test(json),
        cmocka_unit_test(json_of_anything),
        cmocka_unit_test(lists),
        cmocka_unit_test(terminals_are_spared),
    };

    setenv("TZ", "UTC", 1);
    tzset();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
