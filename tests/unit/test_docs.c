/* The tables hold together: every example parses and every row can be explained. */
#include "conf/items.h"
#include "shell/shell.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void examples_parse(void **state G_GNUC_UNUSED)
{
    for (const Command *const *command = commands; *command != NULL; command++) {
        assert_non_null((*command)->examples);
        for (const char *const *example = (*command)->examples; *example != NULL; example++) {
            g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
            g_auto(GStrv) words = token_split(*example, NULL);
            g_autoptr(GError) error = NULL;
            void *request;

            assert_ptr_equal(command_find(words[0]), *command);
            request = args_parse(*command, (const char *const *)words + 1, NULL, notes, &error);
            if (request == NULL)
                fail_msg("%s: %s", *example, error->message);
            args_free(*command, request);
        }
    }
}

static void rows_are_sound(void **state G_GNUC_UNUSED)
{
    for (const Command *const *command = commands; *command != NULL; command++) {
        bool optional = false;
        unsigned rows = 0;

        for (const Arg *arg = (*command)->args; arg != NULL && arg->name != NULL; arg++, rows++) {
            assert_non_null(arg->help);
            /* A value would be seen in argv, and kept in the history. */
            assert_null(strstr(arg->name, "pass"));
            assert_null(strstr(arg->name, "secret"));
            assert_null(strstr(arg->name, "token"));
            assert_ptr_equal(args_find(*command, arg->name), arg); /* no name twice */
            assert_true(arg->type != ARG_SETTING || conf_item(arg->name) != NULL);
            if (!(arg->flags & ARG_ABSENT)) {
                assert_true(arg->offset < (*command)->request_size);
                assert_true((arg->type == ARG_SET) == (arg->read_set != NULL));
            }
            if (arg->type == ARG_COUNT || arg->type == ARG_NUMBER)
                assert_true(arg->max > arg->min);
            if (arg->flags & ARG_REQUIRED)
                assert_false(optional); /* they come first */
            else
                optional = true;
        }
        assert_true(rows <= 64); /* one bit each */
    }
}

/* How many lines @text has; none is wider than a terminal. */
static unsigned lines_of(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line != NULL; line++)
        assert_true(strlen(*line) <= 80);
    return g_strv_length(lines) - 1;
}

static void pages(void **state G_GNUC_UNUSED)
{
    g_autofree char *list = docs_list(), *all = docs_group("all");
    g_auto(GStrv) words = NULL;
    unsigned lines = 0;
    g_autofree char *move = docs_page(&cmd_do_mailbox_move);
    g_autofree char *purge = docs_page(&cmd_do_purge_mailboxes);
    g_autofree char *stages =
        docs_arg(&cmd_do_mailbox_move, args_find(&cmd_do_mailbox_move, "stages"));

    assert_non_null(strstr(list, "doMailboxMove"));
    assert_null(strstr(list, "__docs"));
    assert_true(lines_of(list) <= 23); /* one screen, and the prompt */
    for (const Command *const *command = commands; *command != NULL; command++)
        if (!((*command)->flags & COMMAND_HIDDEN)) {
            assert_non_null(strstr(list, (*command)->name));
            assert_non_null(strstr(all, (*command)->summary));
        }
    assert_true(lines_of(all) > 30);
    /* Each that the Tab key offers for a group is one. */
    words = g_strsplit(args_find(&cmd_help, "verb")->values, "|", -1);
    for (char **word = words; *word != NULL; word++) {
        g_autofree char *group = docs_group(*word);

        assert_non_null(group);
        assert_true(lines_of(group) > 1);
        assert_null(command_find(*word));
        lines += strcmp(*word, "all") != 0 ? lines_of(group) : 0;
    }
    assert_int_equal(lines, lines_of(all));
    assert_null(docs_group("nosuch"));
    assert_non_null(strstr(move, "Syntax:\n   zxmove doMailboxMove {destinationHost} [attr1"));
    assert_non_null(strstr(move, "PARAMETER LIST\n\nNAME "));
    assert_non_null(strstr(move, "\ndestinationHost(M) "));
    assert_non_null(strstr(move, "\nstages(O) "));
    assert_non_null(strstr(move, "Usage example:\n\nzxmove doMailboxMove "));
    assert_non_null(strstr(purge, "\nmailbox(M) "));
    assert_non_null(strstr(stages, "  default  blobs,account\n"));
    assert_non_null(strstr(move, "\nNot in this version, only the default where one is shown: "));
    assert_null(strstr(move, "\nmax_replica_lag(O)"));
    for (const char *line = move; line != NULL; line = strchr(line + 1, '\n'))
        assert_true(line == move || line[-1] != ' '); /* no blanks at the end of a line */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_parse),
        cmocka_unit_test(rows_are_sound),
        cmocka_unit_test(pages),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
