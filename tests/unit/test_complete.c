/* test_complete.c - lines and what may come next, by table; what a list of it looks like. Names
 * come from a directory made up here. */
#include "completion/completion.h"
#include "shell/shell.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct Known {
    NameKind kind;
    const char *host, *text, *meaning;
} Known;

static const Known world[] = {
    { NAME_STORE, NULL, "store1.lab.test", "configured store" },
    { NAME_STORE, NULL, "store2.lab.test", "configured store" },
    { NAME_ACCOUNT, NULL, "ann@one.test", "store1.lab.test" },
    { NAME_ACCOUNT, NULL, "anna@one.test", "store1.lab.test" },
    { NAME_ACCOUNT, NULL, "anton@two.test", "store2.lab.test" },
    { NAME_ACCOUNT, NULL, "bad,comma@one.test", "store1.lab.test" },
    { NAME_ACCOUNT, NULL, "bell\a@one.test", "store1.lab.test" },
    { NAME_ACCOUNT, NULL, "bogus\xff@one.test", "store1.lab.test" },
    { NAME_ACCOUNT, NULL, "bi\xc2\x9bt@one.test", "store1.lab.test" },
    { NAME_ACCOUNT, NULL, "boris@one.test", "store1\x1b[2J\nlab" },
    { NAME_DOMAIN, NULL, "one.test", "active" },
    { NAME_DOMAIN, NULL, "other.test", "closed" },
    { NAME_VOLUME, "store2.lab.test", "message1", "current primary, /opt/store" },
    { NAME_VOLUME, "store2.lab.test", "old mail", "secondary, /opt/old" },
    { NAME_VOLUME, "store1.lab.test", "not here", "primary, /opt/store" },
    { NAME_OPERATION, NULL, "6f0c2c1e-0000-4000-8000-000000000001", "unfinished: ann@one.test" },
    { NAME_OPERATION, NULL, "70000000-0000-4000-8000-000000000002", "doMailboxMove, done" },
    { NAME_OLD_COPY, NULL, "ann@one.test", "moved to store2.lab.test" },
    { NAME_OLD_COPY, "store1.lab.test", "only1@one.test", "moved to store2.lab.test" },
};

/* Everything of the kind, whatever was typed: it is to be looked through. */
static GPtrArray *known(void *data G_GNUC_UNUSED, NameKind kind, const char *host,
                        const char *prefix G_GNUC_UNUSED)
{
    GPtrArray *names = names_new();

    for (size_t i = 0; i < G_N_ELEMENTS(world); i++)
        if (world[i].kind == kind && (world[i].host == NULL || g_strcmp0(world[i].host, host) == 0))
            g_ptr_array_add(names, name_new(world[i].text, world[i].meaning));
    return names;
}

static GPtrArray *files(void *data G_GNUC_UNUSED, const char *prefix)
{
    GPtrArray *names = names_new();

    if (strchr(prefix, '/') != NULL) {
        g_ptr_array_add(names, name_new("lists/a.txt", "file"));
        g_ptr_array_add(names, name_new("lists/b.txt", "file"));
    } else {
        g_ptr_array_add(names, name_new("lists/", "directory"));
        g_ptr_array_add(names, name_new("my list", "file"));
        g_ptr_array_add(names, name_new("nasty\nname", "file"));
    }
    return names;
}

static const Lookup lookup = { known, files, NULL };
static const Lookup nothing = { NULL, NULL, NULL };

static GPtrArray *candidates_of(const char *line, bool process, const Lookup *from)
{
    g_autofree char *current = NULL;
    g_auto(GStrv) words = token_partial(line, strlen(line), &current);

    return complete((const char *const *)words, current, process, from);
}

/* What a list shows of them, joined by '|'. */
static char *joined(const GPtrArray *candidates, bool whole)
{
    GString *out = g_string_new(NULL);

    for (guint i = 0; i < candidates->len; i++) {
        const Candidate *candidate = g_ptr_array_index(candidates, i);

        g_string_append_printf(out, "%s%s", i > 0 ? "|" : "",
                               candidate->text + (whole ? 0 : candidate->shown));
    }
    return g_string_free(out, FALSE);
}

typedef struct Case {
    const char *line, *candidates;
} Case;

static void check(const Case *cases, size_t count, bool process, const Lookup *from)
{
    for (size_t i = 0; i < count; i++) {
        g_autoptr(GPtrArray) candidates = candidates_of(cases[i].line, process, from);
        g_autofree char *found = joined(candidates, true);

        if (strcmp(found, cases[i].candidates) != 0)
            fail_msg("%s^ offers '%s', expected '%s'", cases[i].line, found, cases[i].candidates);
    }
}

static void verbs(void **state G_GNUC_UNUSED)
{
    static const Case cases[] = {
        { "doM", "doMailboxMove" },
        { "dom", "doMailboxMove" },
        { "DOPURGE", "doPurgeMailboxes" },
        { "do", "doMailboxMove|doRecover|doRollback|doStopOperation|doStopAllOperations|doSuspend|doResume|doCompleteMove|doPurgeMailboxes|doVerify|doCheck|doCheckBlobs" },
        { "mailb", "mailboxMove" },
        { "ex", "exit" },
        { "__", "" },
        { "zxsuite powerstore doP", "doPurgeMailboxes" },
        { "zxsuite --progress hsm dop", "doPurgeMailboxes" },
        { "carbonio powerstore doMailb", "doMailboxMove" },
        { "powerstore doM", "doMailboxMove" },
        { "zxmove hsm getM", "getMovedMailboxes" },
        { "--json doM", "doMailboxMove" },
        { "--host store1.lab.test getMo", "getMovedMailboxes" },
        { "--host=store1.lab.test --yes doP", "doPurgeMailboxes" },
        { "nonsense a", "" },
        { "help do", "doMailboxMove|doRecover|doRollback|doStopOperation|doStopAllOperations|doSuspend|doResume|doCompleteMove|doPurgeMailboxes|doVerify|doCheck|doCheckBlobs" },
        { "help powerstore doM", "doMailboxMove" },
        { "help doMailboxMove stag", "stages" },
        { "help domailboxmove de", "destinationHost" },
        { "help powerstore doPurgeMailboxes dry", "dry_run" },
        { "help doRecover ", "accounts|operation|dry_run|force" },
        { "help nonsense ", "" },
    };

    check(cases, G_N_ELEMENTS(cases), false, &lookup);
}

static void switches(void **state G_GNUC_UNUSED)
{
    static const Case of_line[] = {
        { "--h", "--host|--help" },
        { "--host st", "store1.lab.test|store2.lab.test" },
        { "--hostname store2", "store2.lab.test" },
        { "--host=STORE1", "--host=store1.lab.test" },
        { "--json=", "" },
        { "--c", "" },
        { "-f", "" },
    };
    static const Case of_process[] = {
        { "--c", "--config" },
        { "-f", "-f" },
        { "--keep", "--keep-going" },
        { "-f li", "lists/" },
        { "--config lists/", "lists/a.txt|lists/b.txt" },
        { "--config=my", "--config=my list" },
        { "--config x --host store1", "store1.lab.test" },
    };

    check(of_line, G_N_ELEMENTS(of_line), false, &lookup);
    check(of_process, G_N_ELEMENTS(of_process), true, &lookup);
}

static void parameters(void **state G_GNUC_UNUSED)
{
    static const Case cases[] = {
        { "doMailboxMove ", "store1.lab.test|store2.lab.test" },
        { "doMailboxMove store2", "store2.lab.test" },
        { "doMailboxMove STORE2", "store2.lab.test" },
        { "mailboxmove store2", "store2.lab.test" },
        { "doMailboxMove s st", "stages|strict|start_after" },
        { "doMailboxMove s ST", "" },
        { "doMailboxMove s accounts a@x thr", "threads" },
        { "doMailboxMove s accounts a@x acco", "" },
        { "doMailboxMove s accounts=a@x acco", "" },
        { "doMailboxMove s accounts a@x, b@x acco", "" },
        { "doMailboxMove s stages data, account n", "notifications" },
        { "doMailboxMove accounts a@x dest", "destinationHost" },
        { "doMailboxMove destinationHost s dest", "" },
        { "doMailboxMove destinationHost store", "store1.lab.test|store2.lab.test" },
        { "doMailboxMove s sourceHost store1", "store1.lab.test" },
        { "doPurgeMailboxes a", "all|ann@one.test|accept_data_loss" },
        { "doPurgeMailboxes on", "" },
        { "--host store1.lab.test doPurgeMailboxes on", "only1@one.test" },
        { "doPurgeMailboxes all dry", "dry_run" },
        { "doPurgeMailboxes ignore_retention true pur", "purge_orphan" },
        { "doPurgeMailboxes ignore_retention true dry", "dry_run" },
        { "doRecover op", "operation" },
        { "version ", "" },
    };

    check(cases, G_N_ELEMENTS(cases), false, &lookup);
}

static void values(void **state G_GNUC_UNUSED)
{
    static const Case cases[] = {
        { "doMailboxMove s stages ", "blobs|backup|data|account" },
        { "doMailboxMove s stages b", "blobs|backup" },
        { "doMailboxMove s stages B", "" },
        { "doMailboxMove s stages data,", "data,blobs|data,backup|data,account" },
        { "doMailboxMove s stages data, a", "account" },
        { "doMailboxMove s stages blobs, ", "backup|data|account" },
        { "doMailboxMove s stages blobs, backup, ", "data|account" },
        { "doMailboxMove s stages data ,a", ",account" },
        { "doMailboxMove s stages=da", "stages=data" },
        { "doMailboxMove s stages=blobs,",
          "stages=blobs,backup|stages=blobs,data|stages=blobs,account" },
        { "doMailboxMove s stages=blobs, a", "account" },
        { "doMailboxMove s compress ", "true|false" },
        { "doMailboxMove s compress f", "false" },
        { "doMailboxMove s compress=t", "compress=true" },
        { "doMailboxMove s threads ", "" },
        { "doMailboxMove s notifications ant", "anton@two.test" },
        { "doMailboxMove s accounts an", "ann@one.test|anna@one.test|anton@two.test" },
        { "doMailboxMove s accounts ANNA", "anna@one.test" },
        { "doMailboxMove s accounts anna@", "anna@one.test" },
        { "doMailboxMove s accounts ann@one.test,an",
          "ann@one.test,anna@one.test|ann@one.test,anton@two.test" },
        { "doMailboxMove s accounts ann@one.test, an", "anna@one.test|anton@two.test" },
        { "doMailboxMove s accounts ann@one.test ,ant", ",anton@two.test" },
        { "doMailboxMove s accounts ann@one.test , ant", "anton@two.test" },
        { "doMailboxMove s accounts=x@y,ant", "accounts=x@y,anton@two.test" },
        { "doMailboxMove s accounts 'x@y, ant", "x@y, anton@two.test" },
        { "doMailboxMove s accounts b", "boris@one.test" }, /* the others would break something */
        { "doMailboxMove s domains o", "one.test|other.test" },
        { "doMailboxMove s domains one.test,o", "one.test,other.test" },
        { "doMailboxMove store2.lab.test blob_destination_volume ",
          "current_primary|current_secondary|message1|old mail" },
        { "doMailboxMove store2.lab.test blob_destination_volume \"old m", "old mail" },
        { "doMailboxMove blob_destination_volume m", "" }, /* of which store? */
        { "doMailboxMove destinationHost store2.lab.test blob_destination_volume m", "message1" },
        { "doMailboxMove destinationHost=store2.lab.test blob_destination_volume m", "message1" },
        { "doMailboxMove s drive_destination_volume s", "same_as_blob" },
        { "doMailboxMove s input_file ", "lists/|my list" },
        { "doMailboxMove s input_file lists/", "lists/a.txt|lists/b.txt" },
        { "doMailboxMove s input_file=lists/b", "input_file=lists/b.txt" },
        { "doRecover operation 6f", "6f0c2c1e-0000-4000-8000-000000000001" },
        { "doRecover operation ", "6f0c2c1e-0000-4000-8000-000000000001|"
                                  "70000000-0000-4000-8000-000000000002" },
    };

    check(cases, G_N_ELEMENTS(cases), false, &lookup);
}

/* Nobody answers: what the tables know is there all the same. */
static void without_servers(void **state G_GNUC_UNUSED)
{
    static const Case cases[] = {
        { "doM", "doMailboxMove" },
        { "doMailboxMove s accounts an", "" },
        { "doMailboxMove st", "" },
        { "doMailboxMove s stages acc", "account" },
        { "doMailboxMove s input_file l", "" },
        { "doMailboxMove s blob_destination_volume ", "current_primary|current_secondary" },
        { "doPurgeMailboxes al", "all" },
    };

    check(cases, G_N_ELEMENTS(cases), false, &nothing);
}

static void meanings(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *line, *meaning, *shown;
    } cases[] = {
        { "doM", "move mailboxes to another store", "doMailboxMove" },
        { "mailb", "doMailboxMove", "mailboxMove" },
        { "doMailboxMove s accounts ann@one.test,anna", "store1.lab.test", "anna@one.test" },
        { "doMailboxMove s accounts bo", "store1?[2J?lab", "boris@one.test" },
        { "doMailboxMove s stages data,acc", "brings the rest and moves the mailbox", "account" },
        { "doMailboxMove s input_file", "a file with one address in a line, or a table with a column account or email", "input_file" },
        { "doMailboxMove s compress t", "default", "true" },
        { "doMailboxMove s input_file lists/a", "file", "a.txt" },
        { "doMailboxMove s input_file=lists/a", "file", "a.txt" },
        { "doRecover operation 6", "unfinished: ann@one.test",
          "6f0c2c1e-0000-4000-8000-000000000001" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GPtrArray) candidates = candidates_of(cases[i].line, false, &lookup);
        const Candidate *candidate = g_ptr_array_index(candidates, 0);

        assert_string_equal(candidate->meaning, cases[i].meaning);
        assert_string_equal(candidate->text + candidate->shown, cases[i].shown);
    }
    for (const Command *const *command = commands; *command != NULL; command++)
        for (const Arg *arg = (*command)->args; arg != NULL && arg->name != NULL; arg++) {
            g_auto(GStrv) all = g_strsplit(arg->values != NULL ? arg->values : "", "|", -1);
            g_auto(GStrv) said = g_strsplit(arg->meanings != NULL ? arg->meanings : "", "|", -1);

            if (arg->meanings != NULL)
                assert_int_equal(g_strv_length(all), g_strv_length(said));
        }
}

/* bash hands over words that it took apart at '=', ':' and '@'. */
static void in_bash(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *words;
        unsigned index;
        const char *candidates;
    } cases[] = {
        { "doM", 0, "doMailboxMove" },
        { "powerstore doMail", 1, "doMailboxMove" },
        { "zxsuite hsm dop", 2, "doPurgeMailboxes" },
        { "doMailboxMove h stages = da", 4, "data" },
        { "doMailboxMove h stages =", 3, "blobs|backup|data|account" },
        { "doMailboxMove h accounts a @ x st", 6, "stages|strict|start_after" },
        { "doMailboxMove h accounts anna @", 4, "one.test" },
        { "doMailboxMove h accounts anna @ on", 5, "one.test" },
        { "doMailboxMove h accounts ann @ one.test,anto", 5, "one.test,anton@two.test" },
        { "doMailboxMove h stages data,acc", 3, "data,account" },
        { "doMailboxMove h comp notifications", 2, "compress|complete_after" },
        { "--host = store2", 2, "store2.lab.test" },
        { "--config = li", 2, "lists/" },
        { "-f ", 1, "lists/|my list" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(GStrv) words = g_strsplit(cases[i].words, " ", -1);
        g_autoptr(GPtrArray) found =
            complete_bash((const char *const *)words, cases[i].index, &lookup);
        g_autofree char *text = joined(found, true);

        if (strcmp(text, cases[i].candidates) != 0)
            fail_msg("%s offers '%s', expected '%s'", cases[i].words, text, cases[i].candidates);
    }
}

static void add(GPtrArray *list, const char *text, const char *meaning)
{
    Candidate *candidate = g_new0(Candidate, 1);

    candidate->text = g_strdup(text);
    candidate->meaning = g_strdup(meaning);
    g_ptr_array_add(list, candidate);
}

static void candidate_free(void *data)
{
    Candidate *candidate = data;

    g_free(candidate->text);
    g_free(candidate->meaning);
    g_free(candidate);
}

static GPtrArray *list_of(unsigned count, const char *meaning)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(candidate_free);

    for (unsigned i = 0; i < count; i++) {
        g_autofree char *text = g_strdup_printf("name%03u", i);

        add(list, text, meaning);
    }
    return list;
}

static void common_beginning(void **state G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(candidate_free);
    g_autofree char *none = complete_common(list);
    g_autofree char *two = NULL;
    g_autofree char *letters = NULL;

    add(list, "store1.lab.test", NULL);
    add(list, "store2.lab.test", NULL);
    two = complete_common(list);
    assert_string_equal(none, "");
    assert_string_equal(two, "store");
    g_ptr_array_set_size(list, 0);
    add(list, "p\xc3\xa4\x61", NULL);
    add(list, "p\xc3\xbc\x62", NULL);
    letters = complete_common(list); /* no half letter */
    assert_string_equal(letters, "p");
}

static void listed(void **state G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) few = list_of(2, "what it is");
    g_autoptr(GPtrArray) wide = g_ptr_array_new_with_free_func(candidate_free);
    g_autofree char *one = complete_list(few, 80, 24);
    g_autofree char *two = NULL;

    assert_string_equal(one, "name000  what it is\nname001  what it is\n");
    add(wide, "\xe6\x9d\xb1\xe4\xba\xac", "T\xc5\x8dky\xc5\x8d"); /* two letters, four columns */
    add(wide, "abcd", "four");
    add(wide, "e\xcc\x81z", "two"); /* an accent of its own */
    two = complete_list(wide, 80, 24);
    assert_string_equal(two, "\xe6\x9d\xb1\xe4\xba\xac  T\xc5\x8dky\xc5\x8d\n"
                             "abcd  four\n"
                             "e\xcc\x81z    two\n");
}

static unsigned width_of(const char *line)
{
    return (unsigned)g_utf8_strlen(line, -1);
}

/* Whatever the number and the terminal: within its width, on half of its height, all of it or what
 * is missing counted. */
static void listed_within(void **state G_GNUC_UNUSED)
{
    static const unsigned counts[] = { 1, 2, 7, 11, 12, 13, 60, 300 },
                          widths[] = { 20, 60, 80, 200 }, heights[] = { 5, 24, 60 };
    static const char *const said[] = { NULL, "a word",
                                        "a meaning that is longer than many a name" };

    for (size_t c = 0; c < G_N_ELEMENTS(counts); c++)
        for (size_t w = 0; w < G_N_ELEMENTS(widths); w++)
            for (size_t h = 0; h < G_N_ELEMENTS(heights); h++)
                for (size_t m = 0; m < G_N_ELEMENTS(said); m++) {
                    g_autoptr(GPtrArray) list = list_of(counts[c], said[m]);
                    g_autofree char *text = complete_list(list, widths[w], heights[h]);
                    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
                    guint rows = g_strv_length(lines) - 1;
                    const char *rest = strstr(text, "... and ");
                    unsigned seen = 0;

                    for (const char *at = text; (at = strstr(at, "name")) != NULL; at++)
                        seen += g_ascii_isdigit(at[4]);
                    assert_true(rows <= MAX(heights[h] / 2, 3));
                    for (guint i = 0; i < rows; i++)
                        assert_true(width_of(lines[i]) < widths[w]);
                    assert_int_equal(seen + (rest != NULL ? strtoul(rest + 8, NULL, 10) : 0),
                                     counts[c]);
                }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verbs),           cmocka_unit_test(switches),
        cmocka_unit_test(parameters),      cmocka_unit_test(values),
        cmocka_unit_test(without_servers), cmocka_unit_test(meanings),
        cmocka_unit_test(in_bash),         cmocka_unit_test(common_beginning),
        cmocka_unit_test(listed),          cmocka_unit_test(listed_within),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
