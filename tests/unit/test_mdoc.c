/* Text in a manual page stays text. */
#include "commands/mdoc.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void texts(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *text, *page;
    } cases[] = {
        { "", "" },
        { "one word", "one word\n" },
        { "a\nnew  line", "a new line\n" },
        { ".Sh no macro", "\\&.Sh no macro\n" },
        { "'no request", "\\&'no request\n" },
        { "a \\fBbackslash\\", "a \\efBbackslash\\e\n" },
        { "--json, -f and well-known", "\\-\\-json, \\-f and well-known\n" },
        { "One. Two.", "One.\nTwo.\n" },
        { "One. .Two", "One.\n\\&.Two\n" },
    };
    g_autofree char *dots = g_strnfill(100, '.');

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GString) out = g_string_new(NULL);

        mdoc_text(out, cases[i].text);
        assert_string_equal(out->str, cases[i].page);
    }
    for (int words = 0; words < 60; words++) { /* whatever word begins a line of the page */
        g_autoptr(GString) text = g_string_new(NULL), out = g_string_new(NULL);

        for (int i = 0; i < words; i++)
            g_string_append_printf(text, " .%.*s", i % 7, dots);
        mdoc_text(out, text->str);
        assert_true(*out->str != '.');
        assert_null(strstr(out->str, "\n."));
    }
}

static void macros(void **state G_GNUC_UNUSED)
{
    g_autoptr(GString) out = g_string_new(NULL);

    mdoc_macro(out, "It", ".Ar", "Ar", ".Pq", "two words", NULL);
    mdoc_macro(out, "It", "say \"hi\"", "\\e", "-x", ".,", NULL);
    assert_string_equal(out->str, ".It Ar \"\\&Ar\" Pq \"\\&two words\"\n"
                                  ".It \"\\&say \\(dqhi\\(dq\" \"\\&\\ee\" \"\\&\\-x\" ,\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(texts), cmocka_unit_test(macros) };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
