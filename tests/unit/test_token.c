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
        { "a\"b c\"d", "ab cd" },
        { "o'brien@x d'arc@x", "o'brien@x|d'arc@x" },
        { "name='a b' x,'c d'", "name=a b|x,c d" },
        { "'it'\\''s' 'a''b'", "it's|ab" },
        { "two\\nlines 'a\\tb' \\r\\x", "two\nlines|a\tb|\rx" },
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

static bool continues(const char *line)
{
    TokenState state = { 0 };

    return token_continues(&state, line);
}

static void continuing(void **state G_GNUC_UNUSED)
{
    TokenState open = { 0 };

    assert_true(continues("doMailboxMove mail2 \\"));
    assert_true(continues("'in quotes \\"));
    assert_true(continues("\\\\\\"));
    assert_false(continues("two \\\\"));
    assert_false(continues("# a comment \\"));
    assert_false(continues(""));

    assert_true(token_continues(&open, "help 'one \\"));
    assert_true(token_continues(&open, "word # no comment in here \\"));
    assert_false(token_continues(&open, "' # a comment \\"));
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
    static const char *const words[] = { "a",          "",          "two words", "it's",
                                         "say \"hi\"", "b\\",       "#not",      "a#b",
                                         "\xc3\xa9",   "o'b\n\t\r", NULL };
    g_autofree char *line = token_join(words);
    g_auto(GStrv) again = token_split(line, NULL);

    assert_string_equal(line, "a \"\" \"two words\" \"it's\" \"say \\\"hi\\\"\" \"b\\\\\" \"#not\" "
                              "a#b \xc3\xa9 \"o'b\\n\\t\\r\"");
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
