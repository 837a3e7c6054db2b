/* The tables hold together: every example parses, every row can be explained, and completion offers
 * what the parser takes. */
#include "completion/completion.h"
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
            request = args_parse(*command, (const char *const *)words + 1, notes, &error);
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
    g_autofree char *list = docs_list();
    g_autofree char *move = docs_page(&cmd_do_mailbox_move);
    g_autofree char *purge = docs_page(&cmd_do_purge_mailboxes);
    g_autofree char *stages =
        docs_arg(&cmd_do_mailbox_move, args_find(&cmd_do_mailbox_move, "stages"));

    assert_non_null(strstr(list, "doMailboxMove"));
    assert_null(strstr(list, "__docs"));
    assert_true(lines_of(list) <= 24); /* one screen */
    assert_non_null(strstr(move, "Syntax:\n   zxmove doMailboxMove {destinationHost} [attr1"));
    assert_non_null(strstr(move, "PARAMETER LIST\n\nNAME "));
    assert_non_null(strstr(move, "\ndestinationHost(M) "));
    assert_non_null(strstr(move, "\nstages(O) "));
    assert_non_null(strstr(move, "Usage example:\n\nzxmove doMailboxMove "));
    assert_non_null(strstr(purge, "\nmailbox(M) "));
    assert_non_null(strstr(stages, "  default  blobs,account\n"));
    assert_non_null(strstr(move, "\nNot in this version, only the default where one is shown: "));
    assert_null(strstr(move, "\nbandwidth(O)"));
    for (const char *line = move; line != NULL; line = strchr(line + 1, '\n'))
        assert_true(line == move || line[-1] != ' '); /* no blanks at the end of a line */
}

/* "verb words^" to the candidates, joined by blanks. */
static char *candidates_of(const char *line)
{
    static const char *const stores[] = { "store1.lab.test", "store2.lab.test", NULL };
    g_autofree char *current = NULL;
    g_auto(GStrv) words = token_partial(line, strlen(line), &current);
    g_autoptr(GPtrArray) candidates = complete((const char *const *)words, current, stores);

    g_ptr_array_add(candidates, NULL);
    return g_strjoinv(" ", (char **)candidates->pdata);
}

static void completion(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *line, *candidates;
    } cases[] = {
        { "doM", "doMailboxMove" },
        { "dom", "doMailboxMove" },
        { "__", "" },
        { "zxsuite powerstore doP", "doPurgeMailboxes" },
        { "--h", "--host --help" },
        { "--host st", "store1.lab.test store2.lab.test" },
        { "--host store1.lab.test get", "getMovedMailboxes" },
        { "nonsense a", "" },
        { "doMailboxMove ", "store1.lab.test store2.lab.test" },
        { "doMailboxMove store2", "store2.lab.test" },
        { "doMailboxMove s st", "stages" },
        { "doMailboxMove s accounts ", "" },
        { "doMailboxMove s accounts a@x thr", "threads" },
        { "doMailboxMove s accounts a@x bandw", "" },
        { "doMailboxMove s accounts a@x, b@x acc", "" },
        { "doMailboxMove s stages ", "blobs backup data account" },
        { "doMailboxMove s stages b", "blobs backup" },
        { "doMailboxMove s stages data,", "data,blobs data,backup data,account" },
        { "doMailboxMove s stages data, a", "account" },
        { "doMailboxMove s stages data ,a", ",account" },
        { "doMailboxMove s stages data, account n", "notifications" },
        { "doMailboxMove s stages=da", "stages=data" },
        { "doMailboxMove s compress ", "true false" },
        { "doMailboxMove s compress f", "false" },
        { "doMailboxMove s sourceHost store1", "store1.lab.test" },
        { "doPurgeMailboxes a", "all accept_data_loss" },
        { "doPurgeMailboxes all dry", "dry_run" },
        { "help do", "doMailboxMove doRecover doPurgeMailboxes" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *found = candidates_of(cases[i].line);

        if (strcmp(found, cases[i].candidates) != 0)
            fail_msg("%s^ offers '%s', expected '%s'", cases[i].line, found, cases[i].candidates);
    }
}

/* bash hands over words that it took apart at '=', ':' and '@'. */
static void completion_of_bash(void **state G_GNUC_UNUSED)
{
    static const char *const none[] = { NULL };
    static const struct {
        const char *words;
        unsigned index;
        const char *candidates;
    } cases[] = {
        { "doM", 0, "doMailboxMove" },
        { "doMailboxMove h stages = da", 4, "data" },
        { "doMailboxMove h stages =", 3, "blobs backup data account" },
        { "doMailboxMove h accounts a @ x st", 6, "stages" },
        { "doMailboxMove h stages data,acc", 3, "data,account" },
        { "doMailboxMove h comp notifications", 2, "compress" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(GStrv) words = g_strsplit(cases[i].words, " ", -1);
        g_autoptr(GPtrArray) found =
            complete_bash((const char *const *)words, cases[i].index, none);
        g_autofree char *joined = NULL;

        g_ptr_array_add(found, NULL);
        joined = g_strjoinv(" ", (char **)found->pdata);
        if (strcmp(joined, cases[i].candidates) != 0)
            fail_msg("%s offers '%s'", cases[i].words, joined);
    }
}

static void common_beginning(void **state G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) candidates = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *none = complete_common(candidates);
    g_autofree char *two = NULL;

    g_ptr_array_add(candidates, g_strdup("store1.lab.test"));
    g_ptr_array_add(candidates, g_strdup("store2.lab.test"));
    two = complete_common(candidates);
    assert_string_equal(none, "");
    assert_string_equal(two, "store");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_parse),
        cmocka_unit_test(rows_are_sound),
        cmocka_unit_test(pages),
        cmocka_unit_test(completion),
        cmocka_unit_test(completion_of_bash),
        cmocka_unit_test(common_beginning),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
