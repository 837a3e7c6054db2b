/* test_pace.c - how fast an operation may copy: what people write, what holds when, and that it is
 * kept. */
#include "core/move/throttle.h"
#include "core/ops/limits.h"
#include "tests/unit/files.h"
#include <stdlib.h>
#include <time.h>

#define MONDAY G_GINT64_CONSTANT(1767571200000) /* 2026-01-05 00:00 UTC */
#define MINUTE (60 * 1000)
#define DAY    (1440 * MINUTE)

static void test_parse(void **state)
{
    static const char *const bad[] = { "20",
                                       "x",
                                       "-1M",
                                       "1B",
                                       "Mon-08:00",
                                       "Mon-08:00,",
                                       "Mon-8:00,1M",
                                       "Mon-24:00,1M",
                                       "Moon-08:00,1M",
                                       "Mon-08:60,1M",
                                       "Mon-08:00,1M,2M",
                                       "Mon-08:00,1M Mon-08:00,2M",
                                       "08:00,1M",
                                       "," };
    Pace pace;

    (void)state;
    assert_true(pace_parse("off", &pace, NULL));
    assert_int_equal(pace_at(&pace, MONDAY), 0);
    assert_true(pace_parse("20M", &pace, NULL));
    assert_int_equal(pace_at(&pace, MONDAY), 20 * 1024 * 1024);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++)
        if (pace_parse(bad[i], &pace, NULL))
            fail_msg("'%s' is taken for a pace", bad[i]);
}

static void test_timetable(void **state)
{
    static const struct {
        int64_t at;
        uint64_t rate;
    } cases[] = {
        { 0, 0 }, /* Monday 00:00: of Friday evening */
        { 8 * 60 * MINUTE - 1, 0 },
        { 8 * 60 * MINUTE, 4 * 1024 * 1024 },
        { 18 * 60 * MINUTE + 59 * MINUTE, 4 * 1024 * 1024 },
        { 19 * 60 * MINUTE, 1024 * 1024 },
        { 3 * (int64_t)DAY, 1024 * 1024 },
        { 4 * (int64_t)DAY + 22 * 60 * MINUTE, 0 },
        { 6 * (int64_t)DAY, 0 },
    };
    Pace pace;

    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    assert_true(pace_parse("Fri-22:00,off  mon-19:00,1M Mon-08:00,4M", &pace, NULL));
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++)
        assert_int_equal(pace_at(&pace, MONDAY + cases[i].at), cases[i].rate);
}

/* 1 MB at 4 MB a second, in steps of 16 KB. */
static void test_throttle(void **state)
{
    enum { STEP = 16 * 1024, STEPS = 64 };
    int64_t began;
    double seconds;
    Throttle throttle;

    (void)state;
    throttle_init(&throttle);
    for (unsigned i = 0; i < 1000; i++)
        assert_true(throttle_take(&throttle, STEP)); /* off */
    throttle_follow(&throttle, "4M");
    throttle_follow(&throttle, "nonsense"); /* stays as it was */
    began = g_get_monotonic_time();
    for (unsigned taken = 0; taken < STEPS;)
        taken += throttle_take(&throttle, STEP);
    seconds = (double)(g_get_monotonic_time() - began) / G_USEC_PER_SEC;
    assert_true(seconds > 0.03 && seconds < 30); /* a quarter, of which a fifth is made up for */
    throttle_follow(&throttle, "1K");
    assert_true(throttle_take(&throttle, STEP));
    assert_false(throttle_take(&throttle, 1));
    throttle_follow(&throttle, "off");
    assert_true(throttle_take(&throttle, STEP));
    throttle_clear(&throttle);
}

static void test_limits(void **state)
{
    char pace[] = "20M";
    Limits set = { .threads = -1, .complete_after = -1, .bandwidth = pace, .max_load = -1 },
           load = { .threads = -1, .complete_after = -1, .max_load = 1.5 };
    g_autofree char *text = limits_text(&set);
    g_autofree char *more = limits_text(&load);
    Limits limits = limits_read(text), none = limits_read(NULL), copy;

    (void)state;
    assert_string_equal(limits.bandwidth, "20M");
    assert_int_equal(limits.threads, -1);
    assert_true(limits.max_load < 0);
    load = limits_read(more);
    limits_merge(&limits, &load);
    assert_true(limits.max_load == 1.5);
    assert_string_equal(limits.bandwidth, "20M");
    limits_merge(&none, &limits);
    copy = limits_copy(&none);
    assert_string_equal(copy.bandwidth, "20M");
    limits_clear(&limits);
    limits_clear(&none);
    limits_clear(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_timetable),
        cmocka_unit_test(test_throttle),
        cmocka_unit_test(test_limits),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
