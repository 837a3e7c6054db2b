/* test_sql.c - values in place of '?', and what of a statement may be shown. */
#include "core/net/sql.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Shows length and bytes, so that a lost NUL is seen. */
static void quote(void *data, GString *sql, const char *bytes, size_t length)
{
    (void)data;
    g_string_append_printf(sql, "<%zu:", length);
    g_string_append_len(sql, bytes, (gssize)length);
    g_string_append_c(sql, '>');
}

static void check(const char *sql, const DbValue *args, const char *expected, size_t length)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    assert_true(sql_bind(out, sql, args, quote, NULL, &error));
    assert_null(error);
    assert_int_equal(out->len, length);
    assert_memory_equal(out->str, expected, length);
}

#define CHECK(sql, args, expected) check(sql, args, expected, sizeof(expected) - 1)

static void test_values(void **state)
{
    (void)state;
    CHECK("SELECT 1", DB_NONE, "SELECT 1");
    CHECK("", DB_NONE, "");
    CHECK("?", DB_ARGS(db_u64(UINT64_MAX)), "18446744073709551615");
    CHECK("?,?", DB_ARGS(db_i64(INT64_MIN), db_i64(-1)), "-9223372036854775808,-1");
    CHECK("a=? AND b=?", DB_ARGS(db_text("x"), db_text(NULL)), "a=<1:x> AND b=NULL");
    CHECK("(?)", DB_ARGS(db_bytes("a\0b", 3)), "(<3:a\0b>)");
    CHECK("(?)", DB_ARGS(db_bytes("", 0)), "(<0:>)");
    CHECK("SELECT ? FROM ?", DB_ARGS(db_text("a?b"), db_sql("`x?`.t")),
          "SELECT <3:a?b> FROM `x?`.t");
}

static void test_quotes_are_skipped(void **state)
{
    (void)state;
    CHECK("'?' ?", DB_ARGS(db_u64(1)), "'?' 1");
    CHECK("\"?\" ?", DB_ARGS(db_u64(1)), "\"?\" 1");
    CHECK("`a?` ?", DB_ARGS(db_u64(1)), "`a?` 1");
    CHECK("'it''s ?' ?", DB_ARGS(db_u64(1)), "'it''s ?' 1");
    CHECK("'it\\'s ?' ?", DB_ARGS(db_u64(1)), "'it\\'s ?' 1");
    CHECK("'\\\\' ?", DB_ARGS(db_u64(1)), "'\\\\' 1");
    CHECK("`a\\` ?", DB_ARGS(db_u64(1)), "`a\\` 1");
    CHECK("'open ?", DB_NONE, "'open ?");
    CHECK("'open \\", DB_NONE, "'open \\");
}

static void test_wrong_number_is_a_bug(void **state)
{
    static const struct {
        const char *sql;
        unsigned values;
    } cases[] = { { "?", 0 }, { "? ?", 1 }, { "SELECT 1", 1 }, { "'?'", 1 } };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GString) out = g_string_new(NULL);
        g_autoptr(GError) error = NULL;

        assert_false(sql_bind(out, cases[i].sql, cases[i].values ? DB_ARGS(db_u64(1)) : DB_NONE,
                              quote, NULL, &error));
        assert_true(g_error_matches(error, ZX_ERROR, ZX_ERROR_BUG));
    }
}

static void test_excerpt_shows_no_literal(void **state)
{
    static const struct {
        const char *sql, *expected;
    } cases[] = {
        { "SELECT  a\n  FROM t", "SELECT a FROM t" },
        { "INSERT INTO t VALUES ('secret')", "INSERT INTO t VALUES (..." },
        { "SELECT \"secret\"", "SELECT ..." },
        { "", "" },
    };
    g_autofree char *lengthy = g_strnfill(500, 'x');
    g_autofree char *cut = sql_excerpt(lengthy, 500);

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *excerpt = sql_excerpt(cases[i].sql, strlen(cases[i].sql));

        assert_string_equal(excerpt, cases[i].expected);
    }
    assert_true(strlen(cut) < 130);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_quotes_are_skipped),
        cmocka_unit_test(test_wrong_number_is_a_bug),
        cmocka_unit_test(test_excerpt_shows_no_literal),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
