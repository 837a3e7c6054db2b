/* test_tab.c - presses of the Tab key by table: what the line is after it. '|' is the cursor. */
#include "shell/shell.h"
#include "shell/tab.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static GPtrArray *known(void *data G_GNUC_UNUSED, NameKind kind, const char *host G_GNUC_UNUSED,
                        const char *prefix G_GNUC_UNUSED)
{
    GPtrArray *names = names_new();

    if (kind == NAME_STORE) {
        g_ptr_array_add(names, name_new("store1.lab.test", NULL));
        g_ptr_array_add(names, name_new("store2.lab.test", NULL));
    } else if (kind == NAME_VOLUME) {
        g_ptr_array_add(names, name_new("old mail", NULL));
        g_ptr_array_add(names, name_new("old \"quoted\"", NULL));
        g_ptr_array_add(names, name_new("it's", NULL));
        g_ptr_array_add(names, name_new("back\\slash", NULL));
        g_ptr_array_add(names, name_new("m\xc3\xa4il", NULL));
    }
    return names;
}

static GPtrArray *files(void *data G_GNUC_UNUSED, const char *prefix)
{
    GPtrArray *names = names_new();

    g_ptr_array_add(names, name_new(strchr(prefix, '/') ? "my lists/one two" : "my lists/", NULL));
    return names;
}

static const Lookup lookup = { known, files, NULL };

#define VOLUME "doMailboxMove s blob_destination_volume "
#define FILE   "doMailboxMove s input_file "

static char *pressed(const char *pending, const char *line, TabAction *action, char **last)
{
    const char *cursor = strchr(line, '|');
    g_autofree char *before = g_strndup(line, (size_t)(cursor - line));
    TabAnswer answer = tab_press(
        &(TabLine){
            .pending = pending, .before = before, .after = cursor + 1, .width = 80, .height = 24 },
        &lookup, last);
    g_autofree char *text = answer.text;

    *action = answer.action;
    if (answer.action != TAB_INSERT)
        return g_strdup(line);
    before[strlen(before) - answer.remove] = '\0';
    return g_strconcat(before, text, "|", cursor + 1, NULL);
}

static void insertions(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *pending, *before, *after;
        TabAction action;
    } cases[] = {
        { "", "doM|", "doMailboxMove |", TAB_INSERT },
        { "", "  dom|", "  doMailboxMove |", TAB_INSERT },
        { "", "ver| # for the record", "version| # for the record", TAB_INSERT },
        { "", "ver|x", "version |x", TAB_INSERT },
        { "", "nonsense|", "nonsense|", TAB_NOTHING },
        { "", "doMailboxMove st|", "doMailboxMove store|", TAB_INSERT },
        { "", "doMailboxMove store|", "doMailboxMove store|", TAB_BEEP },
        { "", "doMailboxMove STORE2|", "doMailboxMove store2.lab.test |", TAB_INSERT },
        { "", "doMailboxMove 'store2|", "doMailboxMove store2.lab.test |", TAB_INSERT },
        { "", "doMailboxMove \"store2\"|", "doMailboxMove store2.lab.test |", TAB_INSERT },
        { "", "doMailboxMove st\\ore2|", "doMailboxMove store2.lab.test |", TAB_INSERT },
        { "", "# doM|", "# doM|", TAB_NOTHING },
        { "", "version # d|", "version # d|", TAB_NOTHING },
        { "", "version # |", "version # |", TAB_NOTHING },
        { "", VOLUME "ol|", VOLUME "\"old |", TAB_INSERT },
        { "", VOLUME "\"old m|", VOLUME "\"old mail\" |", TAB_INSERT },
        { "", VOLUME "'old m|", VOLUME "\"old mail\" |", TAB_INSERT },
        { "", VOLUME "old\\ m|", VOLUME "\"old mail\" |", TAB_INSERT },
        { "", VOLUME "\"old \\\"|", VOLUME "\"old \\\"quoted\\\"\" |", TAB_INSERT },
        { "", VOLUME "it|", VOLUME "\"it's\" |", TAB_INSERT },
        { "", VOLUME "ba|", VOLUME "\"back\\\\slash\" |", TAB_INSERT },
        { "", VOLUME "m\xc3|", VOLUME "m\xc3|", TAB_NOTHING },
        { "", VOLUME "m|", VOLUME "m\xc3\xa4il |", TAB_INSERT },
        { "", FILE "m|", FILE "\"my lists/|", TAB_INSERT },
        { "", FILE "\"my lists/|", FILE "\"my lists/one two\" |", TAB_INSERT },
        { "", FILE "'my lists/o|", FILE "\"my lists/one two\" |", TAB_INSERT },
        { "doMailboxMove store1.lab.test ", "stag|", "stages |", TAB_INSERT },
        { "doMailboxMove store1.lab.test sta", "|", "|", TAB_NOTHING },
        { "doMailboxMove store1.lab.test 'sta", "g|", "g|", TAB_NOTHING },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *last = NULL;
        TabAction action;
        g_autofree char *after = pressed(cases[i].pending, cases[i].before, &action, &last);

        if (strcmp(after, cases[i].after) != 0 || action != cases[i].action)
            fail_msg("%s becomes %s (%d), expected %s", cases[i].before, after, (int)action,
                     cases[i].after);
    }
}

/* Once inserted it is read back as what was offered. */
static void read_back(void **state G_GNUC_UNUSED)
{
    static const char *const begun[] = { VOLUME "\"old m|", VOLUME "\"old \\\"|", VOLUME "it|",
                                         VOLUME "ba|", VOLUME "m|" };
    static const char *const names[] = { "old mail", "old \"quoted\"", "it's", "back\\slash",
                                         "m\xc3\xa4il" };

    for (size_t i = 0; i < G_N_ELEMENTS(begun); i++) {
        g_autofree char *last = NULL;
        TabAction action;
        g_autofree char *after = pressed("", begun[i], &action, &last);
        g_auto(GStrv) words = NULL;

        *strchr(after, '|') = '\0';
        words = token_split(after, NULL);
        assert_string_equal(words[3], names[i]);
    }
}

/* A second press lists, also after one that went as far as it could; any other key begins anew. */
static void second_press(void **state G_GNUC_UNUSED)
{
    g_autofree char *last = NULL;
    TabAction action;

    g_free(pressed("", "doMailboxMove st|", &action, &last));
    assert_int_equal(action, TAB_INSERT);
    g_free(pressed("", "doMailboxMove store|", &action, &last));
    assert_int_equal(action, TAB_LIST);
    g_free(pressed("", "doMailboxMove store|", &action, &last));
    assert_int_equal(action, TAB_LIST);
    g_free(pressed("", "doMailboxMove s|", &action, &last));
    assert_int_equal(action, TAB_INSERT);
    g_clear_pointer(&last, g_free);
    g_free(pressed("", "doMailboxMove s stages |", &action, &last));
    assert_int_equal(action, TAB_BEEP);
    g_free(pressed("", "doMailboxMove s stages b|", &action, &last));
    assert_int_equal(action, TAB_BEEP);
    g_free(pressed("", "doMailboxMove s stages b|", &action, &last));
    assert_int_equal(action, TAB_LIST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(insertions),
        cmocka_unit_test(read_back),
        cmocka_unit_test(second_press),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
