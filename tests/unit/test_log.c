/* test_log.c - logs: who may read them, rotation by size and by logrotate, one of each mailbox,
 * syslog, the journal, several threads at once. */
#include "core/base/error.h"
#include "core/base/log_file.h"
#include "core/base/log_journal.h"
#include "tests/unit/files.h"
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>

static char *directory;
static GString *said; /* to syslog */

/* In the place of libc's. */
void syslog(int priority, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, fmt);
    text = g_strdup_vprintf(fmt, args);
    va_end(args);
    g_string_append_printf(said, "<%d>%s\n", priority, text);
}

static char *in_directory(const char *name)
{
    return g_build_filename(directory, name, NULL);
}

static char *text_of(const char *path)
{
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? text : g_strdup("");
}

static void has(const char *path, const char *part, bool expected)
{
    g_autofree char *text = text_of(path);

    if ((strstr(text, part) != NULL) != expected)
        fail_msg("%s has %s'%s': %s", path, expected ? "no " : "", part, text);
}

static void lines_and_levels(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = in_directory("a.log");
    struct stat st;

    assert_true(log_open(&(LogPlan){ .path = path, .level = LOG_LEVEL_INFO }, NULL));
    log_context("op", "anna@x");
    log_info("two\nlines");
    log_debug("too much");
    log_context(NULL, NULL);
    log_warning("of nobody");
    log_close();
    log_info("after the end");
    has(path, " info    op anna@x two lines\n", true);
    has(path, " warning - - of nobody\n", true);
    has(path, "too much", false);
    has(path, "after the end", false);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_link_is_not_followed(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = in_directory("link.log");
    g_autofree char *target = in_directory("target");
    GError *error = NULL;

    assert_int_equal(symlink(target, path), 0);
    assert_false(log_open(&(LogPlan){ .path = path }, &error));
    assert_int_equal(error_code(error), ZX_ERROR_STATE);
    g_error_free(error);
    assert_false(g_file_test(target, G_FILE_TEST_EXISTS));
}

static void rotation_by_size(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = in_directory("size.log");
    g_autofree char *first = in_directory("size.log.1");
    g_autofree char *second = in_directory("size.log.2");
    g_autofree char *third = in_directory("size.log.3");

    assert_true(log_open(
        &(LogPlan){ .path = path, .level = LOG_LEVEL_INFO, .max_size = 100, .keep = 2 }, NULL));
    for (int i = 1; i <= 5; i++)
        log_info("line %d, which is longer than half of what the file may be", i);
    log_close();
    has(path, "line 5", true);
    has(first, "line 4", true);
    has(second, "line 3", true);
    assert_false(g_file_test(third, G_FILE_TEST_EXISTS));
}

static void rotation_by_logrotate(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = in_directory("moved.log");
    g_autofree char *away = in_directory("moved.log-20260301");
    g_autofree char *text = NULL;
    gint64 deadline = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;

    assert_true(log_open(&(LogPlan){ .path = path, .level = LOG_LEVEL_INFO }, NULL));
    log_info("before");
    assert_int_equal(rename(path, away), 0);
    while (!g_file_test(path, G_FILE_TEST_EXISTS) && g_get_monotonic_time() < deadline) {
        log_info("while it is noticed");
        g_usleep(20000);
    }
    log_info("after");
    log_close();
    has(away, "before", true);
    has(path, "after", true);
    has(away, "after", false);
}

static void one_of_each_mailbox(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *account, *name;
    } cases[] = {
        { "anna@company.ru", "anna@company.ru.log" },
        { "../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd.log" },
        { ".hidden", "%2Ehidden.log" },
        { "a b\t'c\"@x", "a%20b%09%27c%22@x.log" },
        { "f\xc3\xb8@x", "f%C3%B8@x.log" },
    };
    g_autofree char *path = in_directory("all.log");
    g_autofree char *separate = in_directory("each");
    g_autofree char *anna = g_build_filename(separate, "anna@x.log", NULL);
    g_autofree char *ivan = g_build_filename(separate, "ivan@x.log", NULL);
    g_autofree char *longest = g_strnfill(300, 'x');
    g_autofree char *cut = log_file_name(longest);
    struct stat st;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *name = log_file_name(cases[i].account);

        assert_string_equal(name, cases[i].name);
    }
    assert_true(strlen(cut) <= 255 && g_str_has_suffix(cut, ".log"));

    assert_true(
        log_open(&(LogPlan){ .path = path, .level = LOG_LEVEL_INFO, .separate = separate }, NULL));
    log_context("op", NULL);
    log_info("of all");
    assert_false(g_file_test(separate, G_FILE_TEST_EXISTS));
    log_context("op", "anna@x");
    log_info("of anna");
    log_context("op", "ivan@x");
    log_info("of ivan");
    log_context(NULL, NULL);
    log_close();
    has(path, "of anna", true);
    has(path, "of ivan", true);
    has(anna, "of anna", true);
    has(anna, "of ivan", false);
    has(anna, "of all", false);
    has(ivan, "of ivan", true);
    assert_int_equal(stat(separate, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(anna, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

#define THREADS 4
#define LINES   200

static void *write_lines(void *data)
{
    g_autofree char *account = g_strdup_printf("user%d@x", GPOINTER_TO_INT(data));

    log_context("op", account);
    for (int i = 0; i < LINES; i++)
        log_info("%s says %d", account, i);
    return NULL;
}

static void several_threads(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = in_directory("threads.log");
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    GThread *threads[THREADS];

    assert_true(log_open(&(LogPlan){ .path = path, .level = LOG_LEVEL_INFO }, NULL));
    for (int i = 0; i < THREADS; i++)
        threads[i] = g_thread_new("log", write_lines, GINT_TO_POINTER(i));
    for (int i = 0; i < THREADS; i++)
        g_thread_join(threads[i]);
    log_close();
    text = text_of(path);
    lines = g_strsplit(g_strchomp(text), "\n", -1);
    assert_int_equal(g_strv_length(lines), THREADS * LINES);
    for (char **line = lines; *line != NULL; line++) { /* the context is the speaker's */
        g_auto(GStrv) words = g_strsplit(strstr(*line, " op ") + 4, " ", -1);

        assert_string_equal(words[0], words[1]);
    }
}

static void to_syslog(void **state G_GNUC_UNUSED)
{
    g_autofree char *separate = in_directory("beside-syslog");
    g_autofree char *anna = g_build_filename(separate, "anna@x.log", NULL);

    assert_true(log_open(
        &(LogPlan){ .target = LOG_TO_SYSLOG, .level = LOG_LEVEL_INFO, .separate = separate },
        NULL));
    log_context("op", "anna@x");
    log_warning("100%% %s", "%n");
    log_debug("too much");
    log_close();
    log_context(NULL, NULL);
    assert_string_equal(said->str, "<4>op anna@x 100% %n\n");
    has(anna, "100% %n", true);
}

static void to_the_journal(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = in_directory("journal");
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int journal = socket(AF_UNIX, SOCK_DGRAM, 0), fd;
    char entry[4096] = "";

    assert_int_equal(log_journal_open(path), -1); /* nobody is there */
    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    assert_int_equal(bind(journal, (struct sockaddr *)&address, sizeof address), 0);
    fd = log_journal_open(path);
    assert_true(fd >= 0);
    log_journal_write(fd, LOG_ERR, "op", "anna@x", "no room");
    assert_true(recv(journal, entry, sizeof entry - 1, MSG_DONTWAIT) > 0);
    assert_string_equal(entry, "MESSAGE=no room\nPRIORITY=3\nSYSLOG_IDENTIFIER=zxmove\n"
                               "ZXMOVE_OPERATION=op\nZXMOVE_ACCOUNT=anna@x\n");
    close(fd);
    close(journal);
}

static int set_up(void **state G_GNUC_UNUSED)
{
    directory = temporary_dir();
    said = g_string_new(NULL);
    return 0;
}

static int tear_down(void **state G_GNUC_UNUSED)
{
    remove_dir(directory);
    g_string_free(said, TRUE);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_and_levels),    cmocka_unit_test(a_link_is_not_followed),
        cmocka_unit_test(rotation_by_size),    cmocka_unit_test(rotation_by_logrotate),
        cmocka_unit_test(one_of_each_mailbox), cmocka_unit_test(several_threads),
        cmocka_unit_test(to_syslog),           cmocka_unit_test(to_the_journal),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
