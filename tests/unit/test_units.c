/* Sizes, durations, numbers, yes and no: what is read, what is refused, what is printed. */
#include "conf/units.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void check_refused(GError *error, const char *text, const char *hint)
{
    assert_non_null(error);
    assert_int_equal(error_code(error), ZX_ERROR_USAGE);
    if (strstr(error->message, hint) == NULL)
        fail_msg("%s: '%s' lacks '%s'", text, error->message, hint);
    g_error_free(error);
}

static void sizes(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *text;
        uint64_t bytes;
        const char *refused;
    } cases[] = {
        { "512B", 512, NULL },
        { "10M", 10485760, NULL },
        { "1.5G", 1610612736, NULL },
        { "64KiB", 65536, NULL },
        { "64 kb", 65536, NULL },
        { "0M", 0, NULL },
        { "2t", G_GUINT64_CONSTANT(2) << 40, NULL },
        { "10", 0, "has no unit; write it like 512K, 10M or 1.5G" },
        { "", 0, "is not a size" },
        { "M", 0, "is not a size" },
        { "-1M", 0, "is not a size" },
        { "1.2.3M", 0, "is not a size" },
        { "1.M", 0, "is not a size" },
        { ".5M", 0, "is not a size" },
        { "5s", 0, "has no unit that a size can have" },
        { "99999999999T", 0, "too large" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        GError *error = NULL;
        uint64_t bytes = 0;

        if (units_parse_size(cases[i].text, &bytes, &error))
            assert_null(cases[i].refused);
        else
            check_refused(error, cases[i].text, cases[i].refused);
        assert_int_equal(bytes, cases[i].bytes);
    }
}

static void durations(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *text;
        uint64_t ms;
        const char *refused;
    } cases[] = {
        { "250ms", 250, NULL },
        { "30s", 30000, NULL },
        { "1.5s", 1500, NULL },
        { "15m", 900000, NULL },
        { "6h", 21600000, NULL },
        { "30d", G_GUINT64_CONSTANT(2592000000), NULL },
        { "60", 0, "has no unit; write it like 500ms, 30s or 15m" },
        { "soon", 0, "is not a duration" },
        { "3x", 0, "has no unit that a duration can have" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        GError *error = NULL;
        uint64_t ms = 0;

        if (units_parse_time(cases[i].text, &ms, &error))
            assert_null(cases[i].refused);
        else
            check_refused(error, cases[i].text, cases[i].refused);
        assert_int_equal(ms, cases[i].ms);
    }
}

/* In a zone that is an hour ahead in winter and two in summer. */
static void dates(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *text, *shown; /* NULL: refused */
    } cases[] = {
        { "2026-03-01T22:00+01:00", "2026-03-01 22:00:00 +0100" },
        { "2026-03-01T22:00+0000", "2026-03-01 23:00:00 +0100" },
        { "2026-03-01T22:00:30-05", "2026-03-02 04:00:30 +0100" },
        { "2026-07-01 22:00Z", "2026-07-02 00:00:00 +0200" },
        { "2026-03-01T22:00", "2026-03-01 22:00:00 +0100" },
        { "2026-07-01 22:00:59", "2026-07-01 22:00:59 +0200" },
        { "2026-02-29 10:00", NULL },
        { "2026-13-01 10:00", NULL },
        { "2026-03-01 24:00", NULL },
        { "2026-03-01 22:60", NULL },
        { "2026-03-01", NULL },
        { "22:00", NULL },
        { "26-03-01 22:00", NULL },
        { "2026-03-01T22:00+1", NULL },
        { "2026-03-01T22:00+15:00", NULL },
        { "2026-03-01T22:00+01:60", NULL },
        { "2026-03-01T22:00 CET", NULL },
        { "2026-03-01T22:00Zulu", NULL },
        { "2026-03-01T22:00:", NULL },
        { "tomorrow", NULL },
        { "", NULL },
    };

    g_setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", TRUE);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        GError *error = NULL;
        int64_t ms = 0;

        if (units_parse_date(cases[i].text, &ms, &error)) {
            g_autofree char *shown = units_format_date(ms);

            if (g_strcmp0(shown, cases[i].shown) != 0)
                fail_msg("%s is read as %s", cases[i].text, shown);
        } else {
            assert_null(cases[i].shown);
            check_refused(error, cases[i].text,
                          "is not a time; write it like 2026-03-01T22:00+01:00, or "
                          "2026-03-01T22:00 for local time");
        }
    }
}

static void counts(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *text;
        uint64_t value;
        const char *refused;
    } cases[] = {
        { "1", 1, NULL },
        { "32", 32, NULL },
        { "007", 7, NULL },
        { "0", 0, "0 is below 1" },
        { "100", 0, "100 is above 32" },
        { "99999999999999999999999", 0, "is above 32" },
        { "-1", 0, "not a whole number" },
        { "+1", 0, "not a whole number" },
        { "1.5", 0, "not a whole number" },
        { "", 0, "not a whole number" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        GError *error = NULL;
        uint64_t value = 0;

        if (units_parse_count(cases[i].text, 1, 32, &value, &error))
            assert_null(cases[i].refused);
        else
            check_refused(error, cases[i].text, cases[i].refused);
        assert_int_equal(value, cases[i].value);
    }
}

static void booleans(void **state G_GNUC_UNUSED)
{
    static const char *const yes[] = { "true", "TRUE", "yes", "1" };
    static const char *const no[] = { "false", "No", "0" };
    GError *error = NULL;
    bool value = false;

    for (size_t i = 0; i < G_N_ELEMENTS(yes); i++)
        assert_true(units_parse_bool(yes[i], &value, NULL) && value);
    for (size_t i = 0; i < G_N_ELEMENTS(no); i++)
        assert_true(units_parse_bool(no[i], &value, NULL) && !value);
    assert_false(units_parse_bool("maybe", &value, &error));
    check_refused(error, "maybe", "neither true nor false");
    error = NULL;
    assert_false(units_parse_bool("flase", &value, &error));
    check_refused(error, "flase", "neither true nor false; did you mean false?");
}

static void check_text(char *text, const char *expected)
{
    assert_string_equal(text, expected);
    g_free(text);
}

static void printing(void **state G_GNUC_UNUSED)
{
    check_text(units_format_size(0), "0 B");
    check_text(units_format_size(1023), "1023 B");
    check_text(units_format_size(1024), "1.0 KB");
    check_text(units_format_size(1048575), "1.0 MB");
    check_text(units_format_size(G_GUINT64_CONSTANT(443025890509)), "412.6 GB");
    check_text(units_format_size(G_MAXUINT64), "16.0 EB");
    check_text(units_format_time(0), "0 ms");
    check_text(units_format_time(312.4), "312 ms");
    check_text(units_format_time(999.7), "1.0 s");
    check_text(units_format_time(1100), "1.1 s");
    check_text(units_format_time(9960), "10 s");
    check_text(units_format_time(42000), "42 s");
    check_text(units_format_time(185000), "3m05s");
    check_text(units_format_time(9660000), "2h41m");
    check_text(units_format_time(86400000.0 * 3 + 4 * 3600000), "3d04h");
    check_text(units_format_count(0), "0");
    check_text(units_format_count(999), "999");
    check_text(units_format_count(20113), "20,113");
    check_text(units_format_count(1000000), "1,000,000");
}

static void nearest(void **state G_GNUC_UNUSED)
{
    static const char *const names[] = { "accounts",    "threads",          "stages",
                                         "checkDigest", "ignore_retention", NULL };

    assert_string_equal(units_nearest("thread", names), "threads");
    assert_string_equal(units_nearest("account", names), "accounts");
    assert_string_equal(units_nearest("satges", names), "stages");
    assert_string_equal(units_nearest("checkdigest", names), "checkDigest");
    assert_string_equal(units_nearest("ignore", names), "ignore_retention");
    assert_null(units_nearest("bandwidth", names));
    assert_null(units_nearest("", names));
    assert_null(units_nearest("foo", (const char *const[]){ "log", NULL }));
    assert_null(units_nearest("doExport", (const char *const[]){ "report", NULL }));
    assert_string_equal(units_nearest("shs", (const char *const[]){ "log", "ssh", NULL }), "ssh");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),   cmocka_unit_test(durations), cmocka_unit_test(counts),
        cmocka_unit_test(dates),   cmocka_unit_test(booleans),  cmocka_unit_test(printing),
        cmocka_unit_test(nearest),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
