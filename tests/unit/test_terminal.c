/* Progress on a terminal (a pseudo-terminal that this test reads): how often it writes, that a
 * terminal which takes nothing holds nobody up, and what stands there in the end. */
#include "shell/shell.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

static char uuid[] = "6f0c2c1e-0000-4000-8000-000000000001";

/* stderr is a terminal meanwhile; what it is given is read from the moment on that listen() says.
 */
typedef struct Terminal {
    int before, master;
    GThread *reader;
    GMutex mutex; /* of said */
    GString *said;
} Terminal;

static void open_terminal(Terminal *terminal)
{
    struct winsize size = { .ws_col = 80, .ws_row = 24 };
    int slave;

    *terminal = (Terminal){ .before = dup(STDERR_FILENO), .said = g_string_new(NULL) };
    terminal->master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_int_equal(grantpt(terminal->master), 0);
    assert_int_equal(unlockpt(terminal->master), 0);
    slave = open(ptsname(terminal->master), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    assert_int_equal(ioctl(slave, TIOCSWINSZ, &size), 0);
    dup2(slave, STDERR_FILENO);
    close(slave);
}

static void *read_all(void *data)
{
    Terminal *terminal = data;
    char bytes[4096];
    ssize_t n;

    while ((n = read(terminal->master, bytes, sizeof bytes)) > 0) {
        g_mutex_lock(&terminal->mutex);
        g_string_append_len(terminal->said, bytes, n);
        g_mutex_unlock(&terminal->mutex);
    }
    return NULL;
}

static void wait_for(Terminal *terminal, const char *text)
{
    int64_t deadline = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
    bool there = false;

    while (!there && g_get_monotonic_time() < deadline) {
        g_mutex_lock(&terminal->mutex);
        there = strstr(terminal->said->str, text) != NULL;
        g_mutex_unlock(&terminal->mutex);
        g_usleep(1000);
    }
    assert_true(there);
}

static void listen_to(Terminal *terminal)
{
    terminal->reader = g_thread_new("terminal", read_all, terminal);
}

/* What was said, until the end. */
static char *close_terminal(Terminal *terminal)
{
    fflush(stderr);
    dup2(terminal->before, STDERR_FILENO); /* the last one: the reader comes to its end */
    close(terminal->before);
    g_thread_join(terminal->reader);
    g_mutex_clear(&terminal->mutex);
    close(terminal->master);
    return g_string_free(terminal->said, FALSE);
}

static unsigned count(const char *text, const char *part)
{
    unsigned n = 0;

    for (; (text = strstr(text, part)) != NULL; text += strlen(part))
        n++;
    return n;
}

static void copy(Progress *progress, uint64_t done)
{
    progress_sink(progress, &(Event){ .type = EVENT_PROGRESS,
                                      .operation = uuid,
                                      .account = "anna@x",
                                      .text = "blobs",
                                      .index = 1,
                                      .total = 2,
                                      .done_bytes = done,
                                      .expected_bytes = 1000000 });
}

static void begin(Progress *progress, Switches *switches)
{
    progress_begin(progress, switches);
    progress_sink(progress, &(Event){ .type = EVENT_SELECTED, .operation = uuid, .total = 2 });
}

static void ten_times_a_second(void **state G_GNUC_UNUSED)
{
    Switches switches = { 0 };
    Terminal terminal;
    Progress *progress;
    g_autofree char *said = NULL;
    int64_t began;
    unsigned most;

    open_terminal(&terminal);
    listen_to(&terminal);
    progress = progress_new();
    began = g_get_monotonic_time();
    begin(progress, &switches);
    for (uint64_t i = 0; g_get_monotonic_time() - began < G_USEC_PER_SEC; i++)
        copy(progress, i);
    progress_end(progress);
    most = (unsigned)((g_get_monotonic_time() - began) / (G_USEC_PER_SEC / 10)) + 2;
    progress_free(progress);
    said = close_terminal(&terminal);
    assert_in_range(count(said, "\033[J\r"), 2, most); /* the end of each drawing */
}

/* Ctrl-S: workers go on, and when the terminal takes it again it has what matters, in order. */
static void a_terminal_that_takes_nothing(void **state G_GNUC_UNUSED)
{
    Switches switches = { .quiet = false };
    Terminal terminal;
    Progress *progress;
    g_autofree char *said = NULL;
    const char *first, *last;

    open_terminal(&terminal);
    progress = progress_new();
    begin(progress, &switches);
    for (unsigned i = 0; i < 5000; i++) { /* many times what a terminal holds */
        g_autofree char *text = g_strdup_printf("note %u of a move that goes on", i);

        progress_note(progress, text);
        copy(progress, i);
    }
    listen_to(&terminal);
    progress_end(progress);
    progress_free(progress);
    said = close_terminal(&terminal);
    first = strstr(said, "note 0 of a move that goes on");
    last = strstr(said, "note 4999 of a move that goes on");
    assert_non_null(first);
    assert_non_null(last);
    assert_true(first < last);
    assert_int_equal(count(said, " of a move that goes on"), 5000);
}

/* With --quiet nothing is drawn; a stop is told all the same. */
static void quiet(void **state G_GNUC_UNUSED)
{
    Switches switches = { .quiet = true };
    Terminal terminal;
    Progress *progress;
    g_autofree char *said = NULL;

    open_terminal(&terminal);
    listen_to(&terminal);
    progress = progress_new();
    begin(progress, &switches);
    progress_note(progress, "a note");
    copy(progress, 1);
    progress_stopping(progress, false);
    progress_stopping(progress, true);
    progress_end(progress);
    progress_free(progress);
    said = close_terminal(&terminal);
    assert_string_equal(said, "\r\033[Kstopping; what is begun is finished or undone first\r\n"
                              "\r\033[Kstill waiting for: copy of anna@x\r\n");
}

/* TERM=dumb cannot redraw, NO_COLOR wants none. */
static void environment(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *name, *value;
        bool drawn, inked;
    } cases[] = {
        { "TERM", "xterm", true, true },
        { "TERM", "dumb", false, false },
        { "NO_COLOR", "1", true, false },
        { "NO_COLOR", "", true, true },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Switches switches = { 0 };
        Terminal terminal;
        Progress *progress;
        g_autofree char *said = NULL;
        g_setenv("TERM", "xterm", TRUE);
        g_unsetenv("NO_COLOR");
        g_setenv(cases[i].name, cases[i].value, TRUE);
        open_terminal(&terminal);
        listen_to(&terminal);
        progress = progress_new();
        begin(progress, &switches);
        copy(progress, 1);
        if (cases[i].drawn)
            wait_for(&terminal, "anna@x");
        progress_end(progress);
        progress_free(progress);
        said = close_terminal(&terminal);
        assert_int_equal(strstr(said, "anna@x") != NULL, cases[i].drawn);
        assert_int_equal(strstr(said, "\033[1m") != NULL, cases[i].inked);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_times_a_second),
        cmocka_unit_test(a_terminal_that_takes_nothing),
        cmocka_unit_test(quiet),
        cmocka_unit_test(environment),
    };

    g_setenv("TERM", "xterm", TRUE);
    g_unsetenv("NO_COLOR");
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
