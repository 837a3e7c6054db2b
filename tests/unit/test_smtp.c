/* test_smtp.c - header lines, and what is not let into them. */
#include "core/net/smtp.h"
#include "core/net/smtp_header.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_text(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        { "zxmove: 3 mailboxes moved", "Subject: zxmove: 3 mailboxes moved" },
        { "", "Subject: " },
        { "a  b", "Subject: a  b" },
        { "\xc3\xa4", "Subject: =?UTF-8?B?w6Q=?=" },
        { "=?UTF-8?B?w6Q=?=", "Subject: =?UTF-8?B?PT9VVEYtOD9CP3c2UT0/PQ==?=" },
        { "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 end",
          "Subject: 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789\r\n"
          " 0123456789 end" },
        /* 44 bytes and then one of two: it must not be cut. */
        { "01234567890123456789012345678901234567890123\xc3\xa4",
          "Subject: =?UTF-8?B?MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM=?=\r\n"
          " =?UTF-8?B?w6Q=?=" },
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *line = smtp_header_text("Subject", cases[i].text);

        assert_string_equal(line, cases[i].expected);
    }
}

static void test_date(void **state)
{
    static const struct {
        int64_t when;
        const char *expected;
    } cases[] = {
        { 0, "Date: Thu, 01 Jan 1970 00:00:00 +0000" },
        { 1136214245, "Date: Mon, 02 Jan 2006 15:04:05 +0000" },
        { 1709251199, "Date: Thu, 29 Feb 2024 23:59:59 +0000" },
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *line = smtp_header_date(cases[i].when);

        assert_string_equal(line, cases[i].expected);
    }
}

static void test_message_ids_differ(void **state)
{
    g_autofree char *one = smtp_header_message_id("admin@example.com");
    g_autofree char *two = smtp_header_message_id("admin@example.com");

    (void)state;
    assert_true(g_str_has_prefix(one, "Message-ID: <"));
    assert_true(g_str_has_suffix(one, "@example.com>"));
    assert_string_not_equal(one, two);
}

static void test_what_is_refused(void **state)
{
    static const char *const addresses[] = { "",      "a",       "@b",        "a@",
                                             "a b@c", "a@b\r\n", "a@b>,<c@d", "a@b,c@d" };
    static const char *const ann[] = { "ann@example.com", NULL };
    static const char *const nobody[] = { NULL };
    const SmtpTarget target = { .url = "smtp://127.0.0.1:1", .from = "a@b", .timeout_s = 1 };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(addresses); i++) {
        const char *const to[] = { addresses[i], NULL };
        g_autoptr(GError) error = NULL;

        assert_false(smtp_send(&target, to, "s", "b", NULL, NULL, &error));
        assert_int_equal(error_code(error), ZX_ERROR_USAGE);
    }
    for (int i = 0; i < 4; i++) {
        const char *subject = i == 0 ? "a\r\nBcc: x@y" : i == 1 ? "\xff" : "s";
        const char *name = i == 2 ? "a\nb" : "report.txt";
        g_autoptr(GError) error = NULL;

        assert_false(smtp_send(&target, i == 3 ? nobody : ann, subject, "b", name, "text", &error));
        assert_int_equal(error_code(error), ZX_ERROR_USAGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_date),
        cmocka_unit_test(test_message_ids_differ),
        cmocka_unit_test(test_what_is_refused),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
