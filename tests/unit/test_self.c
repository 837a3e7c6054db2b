/* test_self.c - which process has ended, as far as one may say so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#undef fail

#include "core/base/self.h"
#include <glib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Our word with another process number, and the parts before it as they are, or others. */
static char *word(const char *boot, const char *space, pid_t pid)
{
    g_auto(GStrv) own = g_strsplit(self_word(), ":", -1);

    return g_strdup_printf("%s:%s:%d:00000000", boot != NULL ? boot : own[0],
                           space != NULL ? space : own[1], (int)pid);
}

static pid_t ended(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    assert_true(pid > 0 && waitpid(pid, NULL, 0) == pid);
    return pid;
}

static void test_a_word(void **state G_GNUC_UNUSED)
{
    g_autofree char *number = g_strdup_printf(":%d:", (int)getpid());

    assert_string_equal(self_word(), self_word());
    assert_true(strlen(self_word()) <= 80);
    assert_non_null(strstr(self_word(), number));
}

static void test_who_lives_has_not_ended(void **state G_GNUC_UNUSED)
{
    g_autofree char *first = word(NULL, NULL, 1);

    assert_false(self_has_ended(self_word()));
    assert_false(self_has_ended(first)); /* whom we may not signal lives, too */
}

static void test_who_has_ended(void **state G_GNUC_UNUSED)
{
    g_autofree char *gone = word(NULL, NULL, ended());

    assert_true(self_has_ended(gone));
}

/* Of another container, or of this host before it was started anew, nobody here can know. */
static void test_whose_numbers_are_not_ours(void **state G_GNUC_UNUSED)
{
    const pid_t gone = ended();
    g_autofree char *container = word(NULL, "1", gone);
    g_autofree char *boot = word("00000000-0000-0000-0000-000000000000", NULL, gone);
    g_autofree char *unknown = word("", "", gone);

    assert_false(self_has_ended(container));
    assert_false(self_has_ended(boot));
    assert_false(self_has_ended(unknown));
}

static void test_what_is_no_word(void **state G_GNUC_UNUSED)
{
    g_autofree char *none = word(NULL, NULL, 0);

    assert_false(self_has_ended(NULL));
    assert_false(self_has_ended(""));
    assert_false(self_has_ended(":::"));
    assert_false(self_has_ended(none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_word),
        cmocka_unit_test(test_who_lives_has_not_ended),
        cmocka_unit_test(test_who_has_ended),
        cmocka_unit_test(test_whose_numbers_are_not_ours),
        cmocka_unit_test(test_what_is_no_word),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
