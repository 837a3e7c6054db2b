/* test_tally.c - when the errors of all mailboxes together end an operation. */
#include "core/move/tally.h"
#include "tests/unit/files.h"

static void attempt(Tally *tally, const char *account, uint32_t from, uint32_t to)
{
    for (uint32_t item = from; item <= to; item++)
        tally_attempt(tally, account, item, 1);
}

static bool exceeded(Tally *tally)
{
    return !tally_check(tally, NULL);
}

static void test_five_percent(void **state)
{
    Tally tally;

    (void)state;
    tally_init(&tally);
    attempt(&tally, "a", 1, 10);
    tally_bad(&tally, "a", 1, 1, true);
    tally_bad(&tally, "a", 2, 1, false);
    assert_false(exceeded(&tally)); /* two of ten: too few to judge */
    attempt(&tally, "b", 1, 9);
    assert_false(exceeded(&tally));
    tally_attempt(&tally, "b", 10, 1); /* the 20th, whichever mailbox it is of */
    assert_true(exceeded(&tally));
    attempt(&tally, "b", 11, 1000);
    assert_true(exceeded(&tally)); /* it stays so */
    tally_clear(&tally);
}

static void test_one_of_twenty(void **state)
{
    Tally tally;

    (void)state;
    tally_init(&tally);
    tally_attempt(&tally, "a", 1, 1);
    tally_bad(&tally, "a", 1, 1, true);
    attempt(&tally, "a", 2, 39);
    assert_false(exceeded(&tally));
    tally_bad(&tally, "a", 2, 1, true);
    assert_true(exceeded(&tally)); /* two of 39 */
    tally_clear(&tally);
}

static void test_tried_again(void **state)
{
    Tally tally;

    (void)state;
    tally_init(&tally);
    tally_add(&tally, 99); /* of an earlier run */
    for (unsigned round = 0; round < 10; round++) {
        tally_attempt(&tally, "a", 1, 1);
        tally_bad(&tally, "a", 1, 1, true);
    }
    assert_int_equal(tally.attempted, 100);
    assert_int_equal(tally.unreadable, 1);
    assert_false(exceeded(&tally));
    tally_clear(&tally);
}

static void test_threshold(void **state)
{
    g_autoptr(GError) error = NULL;
    Tally tally;

    (void)state;
    tally_init(&tally);
    tally.read_error_threshold = 2;
    tally_add(&tally, 1000);
    tally_bad(&tally, "a", 1, 1, true);
    tally_bad(&tally, "a", 2, 1, false); /* could be read, and not be written */
    assert_false(exceeded(&tally));
    tally_bad(&tally, "b", 1, 1, true);
    assert_false(tally_check(&tally, &error));
    assert_non_null(strstr(error->message, "read_error_threshold 2"));
    tally_clear(&tally);
}

static gpointer many(gpointer data)
{
    Tally *tally = ((gpointer *)data)[0];
    const char *account = ((gpointer *)data)[1];

    for (uint32_t item = 1; item <= 10000; item++) {
        tally_attempt(tally, account, item, 1);
        if (item % 100 == 0)
            tally_bad(tally, account, item, 1, true);
    }
    return NULL;
}

static void test_side_by_side(void **state)
{
    Tally tally;
    gpointer a[] = { &tally, (char *)(uintptr_t) "a" }, b[] = { &tally, (char *)(uintptr_t) "b" };
    GThread *other;

    (void)state;
    tally_init(&tally);
    other = g_thread_new("other", many, a);
    many(b);
    g_thread_join(other);
    assert_int_equal(tally.attempted, 20000);
    assert_int_equal(tally.unreadable, 200);
    assert_false(exceeded(&tally));
    tally_clear(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_five_percent), cmocka_unit_test(test_one_of_twenty),
        cmocka_unit_test(test_tried_again),  cmocka_unit_test(test_threshold),
        cmocka_unit_test(test_side_by_side),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
