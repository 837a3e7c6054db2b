/* test_list.c - lists of addresses, as people, spreadsheets and zxmove write them. */
#include "core/move/list.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* "a@x:1 b@x:2", or "! " and the message. */
static char *found(const char *text, gsize length)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) list = list_read("f", text, length, &error);
    GString *out = g_string_new(NULL);

    if (list == NULL) {
        assert_true(g_error_matches(error, ZX_ERROR, ZX_ERROR_INPUT));
        g_string_append_printf(out, "! %s", error->message);
        return g_string_free(out, FALSE);
    }
    for (guint i = 0; i < list->len; i++) {
        const Listed *listed = g_ptr_array_index(list, i);

        g_string_append_printf(out, "%s%s:%u", i > 0 ? " " : "", listed->who, listed->line);
    }
    return g_string_free(out, FALSE);
}

static void check(void **state G_GNUC_UNUSED)
{
#define BOM "\xef\xbb\xbf"
#define ID  "477e6cc7-00f4-49d7-9632-a67f054e3142"
#define TWO                                                                               \
    "f:1: more than one address in a line: write one a line, or name the columns in the " \
    "first line, theirs account"
#define COLUMN "; the column of a table that has them is called account, address, email or mail"
    static const struct {
        const char *text, *expected;
    } cases[] = {
        { "", "" },
        { "\n\n  \n# only this, and; that\n", "" },
        { "a@x\nb@x\n", "a@x:1 b@x:2" },
        { "a@x", "a@x:1" },
        { ID "\n", ID ":1" },
        { "a@x\r\nb@x\r\n", "a@x:1 b@x:2" },
        { "a@x\rb@x\r", "a@x:1 b@x:2" },
        { BOM "a@x\nb@x\n", "a@x:1 b@x:2" },
        { BOM, "" },
        { BOM "# planned by: plan\r\na@x\r\n", "a@x:2" },
        { "  a@x  \n\tb@x\t\n", "a@x:1 b@x:2" },
        { "a@x # the first\n# c@x\nb@x\t#x\n", "a@x:1 b@x:3" },
        { "a#1@x\n", "a#1@x:1" },
        { BOM " ann@a \r\n# ben@a\n\n\tcat#d@a", "ann@a:1 cat#d@a:4" },
        { "# an, enumeration\na@x;A\nb@x;B\n", "a@x:2 b@x:3" },
        /* Each once. */
        { "a@x\na@x\nA@X\nb@x\na@x\n", "a@x:1 b@x:4" },
        /* Quotes. */
        { "\"a@x\"\n'b@x'\n", "a@x:1 b@x:2" },
        { "o'neil@x\no'hara@x\n", "o'neil@x:1 o'hara@x:2" },
        { "\"a@x\",\"one, two\"\nb@x,\"say \"\"c@x\"\" #1\"\n", "a@x:1 b@x:2" },
        { "\"a;b@x\"\n", "a;b@x:1" },
        /* Tables. */
        { "a@x,Anna\nb@x,\n", "a@x:1 b@x:2" },
        { "Anna;a@x\nBoris;b@x\n", "a@x:1 b@x:2" },
        { "a@x\tAnna\n", "a@x:1" },
        { "account,comment\na@x,first\n", "a@x:2" },
        { "Name;E-Mail;boss\nAnna;a@x;b@x\n\"Boris\";b@x;\n", "a@x:2 b@x:3" },
        { BOM "name,email,address\r\nAnna,a@x,Mill Lane 4\r\n", "a@x:2" },
        { "email\na@x\n", "a@x:2" },
        { "account,outcome,reason\na@x,failed,\"no answer, for 30 s\"\n", "a@x:2" },
        /* What is none. */
        { "a@x b@x\n", "! f:1: 'a@x b@x' is not an address such as john@example.com" },
        { "a@x,b@x\n", "! " TWO },
        { "a@x\nanna\n", "! f:2: 'anna' is not an address such as john@example.com" },
        { "anna\n", "! f:1: 'anna' is not an address such as john@example.com" },
        { "@x\n", "! f:1: '@x' is not an address such as john@example.com" },
        { "Anna <a@x>\n", "! f:1: 'Anna <a@x>' is not an address such as john@example.com" },
        { "login,given\na,A\n",
          "! f:1: 'login' is not an address such as john@example.com" COLUMN },
        { "name,email\nAnna\n", "! f:2: '' is not an address such as john@example.com" },
        { "\xff\xfe"
          "a",
          "! f: is written in UTF-16: save it as UTF-8" },
        { "\xfe\xff", "! f: is written in UTF-16: save it as UTF-8" },
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *what = found(cases[i].text, strlen(cases[i].text));

        assert_string_equal(what, cases[i].expected);
    }
}

static void check_bytes(void **state G_GNUC_UNUSED)
{
    static const char bytes[] = "a@x\n\0b@x\n";
    g_autofree char *what = found(bytes, sizeof bytes - 1);

    assert_string_equal(what, "! f: is not a text file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check),
        cmocka_unit_test(check_bytes),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
