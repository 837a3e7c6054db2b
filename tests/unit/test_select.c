/* test_select.c - who is left out, who is first, and where an operation ends. */
#include "core/move/select.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* An account as far as a selection looks at it; the aliases are borrowed. */
static Account person(const char *address, char **aliases, const char *logon)
{
    return (Account){ .id = (char *)(uintptr_t)address,
                      .address = (char *)(uintptr_t)address,
                      .aliases = aliases,
                      .last_logon = (char *)(uintptr_t)logon };
}

static void check_globs(void **state G_GNUC_UNUSED)
{
    char *none[] = { NULL }, *alias[] = { (char[]){ "Chief@Old.test" }, NULL };
    char *patterns[] = { (char[]){ "*@Test.COM" }, (char[]){ "chief@*" }, (char[]){ "x?z@a" },
                         (char[]){ "never@a" },    (char[]){ "\xC3@a" },  NULL };
    const Account ann = person("Ann@test.com", none, NULL);
    const Account boss = person("boss@a", alias, NULL);
    const Account xyz = person("xyz@a", none, NULL), xz = person("xz@a", none, NULL);
    const Account odd = person("\xC3\xC3", none, NULL);
    g_autoptr(Globs) globs = globs_new(patterns);
    g_autoptr(Globs) empty = globs_new(NULL);
    g_autoptr(GPtrArray) idle = NULL;

    assert_true(globs_match(globs, &ann));
    assert_true(globs_match(globs, &boss));
    assert_true(globs_match(globs, &xyz));
    assert_false(globs_match(globs, &xz));
    assert_false(globs_match(globs, &odd));
    assert_false(globs_match(empty, &ann));
    idle = globs_idle(globs);
    assert_int_equal(idle->len, 2);
    assert_string_equal(g_ptr_array_index(idle, 0), "never@a");
}

static void check_order(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *word, *expected;
    } cases[] = {
        { NULL, "d b A c" },       { "given", "d b A c" },     { "name", "A b c d" },
        { "size_asc", "A c b d" }, { "size_desc", "d b A c" }, { "last_login", "A d b c" },
    };
    char *none[] = { NULL };
    /* c is in no store's rows: as good as empty. */
    Account people[] = { person("d", none, "20250101000000Z"),
                         person("b", none, "20260101000000.999Z"), person("A", none, NULL),
                         person("c", none, "20260101000000Z") };
    uint64_t large = 2, small = 1, empty = 0;
    g_autoptr(GHashTable) sizes = g_hash_table_new(g_str_hash, g_str_equal);

    g_hash_table_insert(sizes, people[0].id, &large);
    g_hash_table_insert(sizes, people[1].id, &small);
    g_hash_table_insert(sizes, people[2].id, &empty);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GPtrArray) list = g_ptr_array_new();
        g_autoptr(GString) found = g_string_new(NULL);

        for (guint k = 0; k < G_N_ELEMENTS(people); k++)
            g_ptr_array_add(list, &people[k]);
        select_sort(list, select_order(cases[i].word), sizes);
        for (guint k = 0; k < list->len; k++)
            g_string_append_printf(found, "%s%s", k > 0 ? " " : "",
                                   ((const Account *)g_ptr_array_index(list, k))->address);
        assert_string_equal(found->str, cases[i].expected);
    }
}

static void take(Quota *quota, uint64_t bytes, const char *expected)
{
    g_autofree char *why = quota_take(quota, bytes);

    if (expected == NULL)
        assert_null(why);
    else
        assert_string_equal(why, expected);
}

static void check_quota(void **state G_GNUC_UNUSED)
{
    Quota any = { .max_accounts = -1 }, two = { .max_accounts = 2 };
    Quota bytes = { .max_accounts = -1, .max_bytes = 1000 };

    for (int i = 0; i < 3; i++)
        take(&any, G_MAXUINT64, NULL);
    take(&two, 5, NULL);
    take(&two, 5, NULL);
    take(&two, 0, "over max_accounts 2");
    take(&bytes, 600, NULL);
    take(&bytes, 1001, "its 1001 B alone are over max_bytes 1000 B"); /* lets others pass */
    take(&bytes, 400, NULL);
    take(&bytes, 1, "over max_bytes 1000 B");
    take(&bytes, 0, "over max_bytes 1000 B"); /* it would fit, but comes after one that does not */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_globs),
        cmocka_unit_test(check_order),
        cmocka_unit_test(check_quota),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
