/* stop.c - see shell.h. The signals are blocked while a command runs and a thread takes them from a
 * descriptor: no library has a call interrupted in the middle of a commit, and an agent that was
 * started beside us inherits the mask, so that a Ctrl-C for the terminal's group does not kill it.
 */
#include "shell/shell.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

static volatile sig_atomic_t stops;
static Session *at_work;
static Progress *tell;

static GThread *thread;
static int signal_fd = -1, end_fd = -1;
static sigset_t before;

/* The terminal has gone away, and what is written to it would fail. A file or a pipe stays. */
static void leave_terminal(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO && null >= 0; fd++)
        if (isatty(fd) || errno == EIO)
            (void)dup2(null, fd);
    if (null >= 0)
        close(null);
}

static void on_signal(unsigned number)
{
    bool again = stops != 0;

    if (number == SIGHUP && g_atomic_int_get(&at_work->begun) &&
        g_atomic_int_get(&at_work->operates)) {
        leave_terminal();
        return;
    }
    __atomic_store_n(&stops, 1, __ATOMIC_RELAXED);
    if (!g_atomic_int_get(&at_work->watching))
        progress_stopping(tell, again);
}

static void *take_signals(void *data)
{
    struct pollfd fds[] = { { .fd = signal_fd, .events = POLLIN },
                            { .fd = end_fd, .events = POLLIN } };
    struct signalfd_siginfo info;

    while (poll(fds, G_N_ELEMENTS(fds), -1) >= 0 || errno == EINTR) {
        if (fds[1].revents != 0)
            break;
        if (fds[0].revents != 0 && read(signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
            on_signal(info.ssi_signo);
    }
    return data;
}

void stop_begin(Session *session, Progress *progress)
{
    sigset_t set;

    g_atomic_int_set(&session->operates, 0);
    g_atomic_int_set(&session->begun, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    stops = 0;
    at_work = session;
    tell = progress;
    pthread_sigmask(SIG_BLOCK, &set, &before);
    signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    end_fd = eventfd(0, EFD_CLOEXEC);
    if (signal_fd < 0 || end_fd < 0)
        g_error("signalfd: %s", g_strerror(errno));
    thread = g_thread_new("signals", take_signals, NULL);
    session->wait.stop = &stops;
}

void stop_end(void)
{
    if (eventfd_write(end_fd, 1) != 0)
        g_error("eventfd: %s", g_strerror(errno));
    g_thread_join(thread);
    close(signal_fd);
    close(end_fd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
