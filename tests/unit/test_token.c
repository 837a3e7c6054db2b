/* Lines to words and back. */
#include "shell/shell.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Words joined by '|', so that a case is one line. */
static char *split(const char *line)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) words = token_split(line, &error);

    if (words == NULL)
        return g_strdup_printf("! %s", error->message);
    return g_strjoinv("|", words);
}

static void splitting(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *line, *words;
    } cases[] = {
        { "", "" },
        { "   \t ", "" },
        { "help", "help" },
        { "  help   doMailboxMove  ", "help|doMailboxMove" },
        { "a\tb\r", "a|b" },
        { "stages data, account", "stages|data,|account" },
        { "'one word' two", "one word|two" },
        { "\"one word\" two", "one word|two" },
        { "a'b c'd", "ab cd" },
        { "'say \"hi\"'", "say \"hi\"" },
        { "\"it's\"", "it's" },
        { "one\\ word", "one word" },
        { "\\\\ \\' \\\"", "\\|'|\"" },
        { "'it\\'s'", "it's" },
        { "''", "" },
        { "a '' b", "a||b" },
        { "# a comment", "" },
        { "version # a comment 'open", "version" },
        { "a#b", "a#b" },
        { "'#' \\#", "#|#" },
        { "'open", "! the quote ' in column 1 is never closed" },
        { "ok \"open", "! the quote \" in column 4 is never closed" },
        { "\xc3\xa9t\xc3\xa9 x", "\xc3\xa9t\xc3\xa9|x" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *words = split(cases[i].line);

        assert_string_equal(words, cases[i].words);
    }
}

static void continuing(void **state G_GNUC_UNUSED)
{
    assert_true(token_continues("doMailboxMove mail2 \\"));
    assert_true(token_continues("'in quotes \\"));
    assert_true(token_continues("\\\\\\"));
    assert_false(token_continues("two \\\\"));
    assert_false(token_continues("# a comment \\"));
    assert_false(token_continues(""));
}

static void partial(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *line;
        size_t cursor;
        const char *words, *current;
    } cases[] = {
        { "", 0, "", "" },
        { "doM", 3, "", "doM" },
        { "doM", 1, "", "d" },
        { "doMailboxMove ", 14, "doMailboxMove", "" },
        { "doMailboxMove ma", 16, "doMailboxMove", "ma" },
        { "help 'do M", 10, "help", "do M" },
        { "a b c", 99, "a|b", "c" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *current = NULL;
        g_auto(GStrv) words = token_partial(cases[i].line, cases[i].cursor, &current);
        g_autofree char *joined = g_strjoinv("|", words);

        assert_string_equal(joined, cases[i].words);
        assert_string_equal(current, cases[i].current);
    }
}

/* What is journalled and mailed as "the command" can be typed again. */
static void joining(void **state G_GNUC_UNUSED)
{
    static const char *const words[] = { "a",   "",     "two words", "it's",     "say \"hi\"",
                                         "b\\", "#not", "a#b",       "\xc3\xa9", NULL };
    g_autofree char *line = token_join(words);
    g_auto(GStrv) again = token_split(line, NULL);

    assert_string_equal(line, "a \"\" \"two words\" \"it's\" \"say \\\"hi\\\"\" \"b\\\\\" \"#not\" "
                              "a#b \xc3\xa9");
    for (size_t i = 0; words[i] != NULL; i++)
        assert_string_equal(again[i], words[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splitting),
        cmocka_unit_test(continuing),
        cmocka_unit_test(partial),
        cmocka_unit_test(joining),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
