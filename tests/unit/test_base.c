/* test_base.c - errors and waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#undef fail /* ours is tested here */

#include "core/base/wait.h"

static bool has_meaning(int status)
{
    const ErrorStatus *known = error_statuses;

    while (known->meaning != NULL && known->status != status)
        known++;
    return known->meaning != NULL;
}

static void test_every_error_has_a_status(void **state)
{
    static const ZxError all[] = {
#define X(code, exit, text) ZX_ERROR_##code,
        ZX_ERRORS(X)
#undef X
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
        assert_non_null(error_name(all[i]));
        assert_true(has_meaning(error_exit_status(all[i])));
    }
    assert_true(has_meaning(0));
    assert_string_equal(error_name(ZX_ERROR_IN_DOUBT), "IN_DOUBT");
    assert_int_equal(error_exit_status(ZX_ERROR_USAGE), 64);
}

static void test_fail_and_prefix(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) foreign =
        g_error_new_literal(g_quark_from_static_string("foreign"), 5, "not ours");

    (void)state;
    assert_false(fail(&error, ZX_ERROR_DATA, "%d of %s", 3, "5%"));
    assert_false(fail_prefix(&error, "store %s", "s1"));
    assert_string_equal(error->message, "store s1: 3 of 5%");
    assert_int_equal(error_code(error), ZX_ERROR_DATA);
    assert_int_equal(error_code(foreign), ZX_ERROR_FAILED);
    assert_false(fail(NULL, ZX_ERROR_DATA, "nobody listens"));
}

static void test_a_wait_never_outlasts_its_parent(void **state)
{
    volatile sig_atomic_t stop = 0;
    const Wait brief = { .deadline = g_get_monotonic_time() + 1000, .stop = &stop };
    const Wait child = wait_within(&brief, 60000);
    const Wait endless = { 0 };

    (void)state;
    assert_int_equal(child.deadline, brief.deadline);
    assert_ptr_equal(child.stop, &stop);
    assert_int_equal(wait_left_ms(&endless, 250), 250);
    assert_int_equal(wait_left_ms(NULL, 250), 250);
    assert_in_range(wait_left_ms(&child, 250), 0, 1);
}

static void test_the_end_of_a_wait(void **state)
{
    volatile sig_atomic_t stop = 0;
    const Wait over = { .deadline = 1, .stop = &stop };
    const Wait open = { .stop = &stop };
    g_autoptr(GError) late = NULL;
    g_autoptr(GError) stopped = NULL;

    (void)state;
    assert_true(wait_check(NULL, "it", NULL));
    assert_true(wait_check(&open, "it", NULL));
    assert_false(wait_check(&over, "the flush", &late));
    assert_int_equal(error_code(late), ZX_ERROR_TIMEOUT);
    assert_true(g_str_has_prefix(late->message, "the flush"));
    wait_pause(&over, 60000); /* returns at once */
    stop = 1;
    wait_pause(&open, 60000);
    assert_true(wait_stopped(&open));
    assert_false(wait_check(&over, "it", &stopped)); /* who stops wins */
    assert_int_equal(error_code(stopped), ZX_ERROR_INTERRUPTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_error_has_a_status),
        cmocka_unit_test(test_fail_and_prefix),
        cmocka_unit_test(test_a_wait_never_outlasts_its_parent),
        cmocka_unit_test(test_the_end_of_a_wait),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
