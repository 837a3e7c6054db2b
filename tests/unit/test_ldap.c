/* test_ldap.c - values in a filter never change its shape. */
#include "core/net/ldap.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_filter(void **state)
{
    static const struct {
        const char *value, *expected;
    } cases[] = {
        { "ann@example.com", "(mail=ann@example.com)" },
        { "", "(mail=)" },
        { "*", "(mail=\\2a)" },
        { "a)(uid=*", "(mail=a\\29\\28uid=\\2a)" },
        { "\\", "(mail=\\5c)" },
        { "%s%%", "(mail=%s%%)" },
        { "\xc3\xa4\n", "(mail=\\c3\\a4\\0a)" },
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *filter = ldap_filter("(mail=%s)", cases[i].value);

        assert_string_equal(filter, cases[i].expected);
    }
}

static void test_several_values(void **state)
{
    g_autofree char *filter = ldap_filter("(&(a=%s)(b=100%%)(c=%s))", "1", "2");

    (void)state;
    assert_string_equal(filter, "(&(a=1)(b=100%)(c=2))");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_several_values),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
