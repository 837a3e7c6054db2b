/* process.c - see process.h. A field is its length, then "name=value"; one of no length ends the message. */
#include "shell/process.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIELD_MOST (2 * LINE_LONGEST)

static bool send_all(int fd, const void *data, size_t length)
{
    const char *at = data;

    while (length > 0) {
        ssize_t sent = send(fd, at, length, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        at += sent;
        length -= (size_t)sent;
    }
    return true;
}

/* Nothing is put together first: a secret is in no other memory than it was. */
bool process_tell(int channel, const char *name, const char *value)
{
    uint32_t length;

    if (value == NULL)
        return true;
    length = (uint32_t)(strlen(name) + 1 + strlen(value));
    return send_all(channel, &length, sizeof length) && send_all(channel, name, strlen(name)) &&
           send_all(channel, "=", 1) && send_all(channel, value, strlen(value));
}

bool process_told(int channel)
{
    const uint32_t end = 0;

    return send_all(channel, &end, sizeof end);
}

typedef struct Telling {
    int channel;
    bool good;
} Telling;

static void tell_secret(void *data, const char *name, const Secret *secret)
{
    Telling *telling = data;

    telling->good = telling->good && process_tell(telling->channel, name, secret_reveal(secret));
}

bool process_tell_conf(int channel, const Conf *conf)
{
    Telling telling = { .channel = channel };
    char *path = conf->path != NULL ? realpath(conf->path, NULL) : NULL;

    /* One that is gone meanwhile is not replaced by another. */
    telling.good = (path != NULL || conf->path == NULL) && process_tell(channel, "config", path);
    free(path);
    conf_environment(conf, tell_secret, &telling);
    return telling.good;
}

static int spawn(const char *verb, const char *output, int channel, pid_t *pid)
{
    g_autofree char *word = g_strdup(verb);
    char *argv[] = { (char[]){ "zxmove" }, word, NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int failed;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, output, O_WRONLY | O_CREAT | O_APPEND,
                                     0600);
    posix_spawn_file_actions_adddup2(&files, channel, PROCESS_CHANNEL);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    failed = posix_spawn(pid, "/proc/self/exe", &files, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return failed;
}

bool process_start(const char *verb, const char *output, int *channel, pid_t *pid, GError **error)
{
    int pair[2], theirs, failed;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return fail(error, ZX_ERROR_FAILED, "no socket: %s", g_strerror(errno));
    /* Not the number itself: with that, it would be closed over there. */
    theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, PROCESS_CHANNEL + 1);
    failed = theirs >= 0 ? spawn(verb, output, theirs, pid) : errno;
    close(pair[1]);
    if (theirs >= 0)
        close(theirs);
    if (failed == 0) {
        *channel = pair[0];
        return true;
    }
    close(pair[0]);
    return fail(error, ZX_ERROR_FAILED, "no process of its own can be started: %s",
                g_strerror(failed));
}

static bool receive_all(void *data, size_t length)
{
    char *at = data;

    while (length > 0) {
        ssize_t got = recv(PROCESS_CHANNEL, at, length, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        length -= (size_t)got;
    }
    return true;
}

/* Whatever the other had open is none of ours. */
static void close_others(void)
{
    g_autoptr(GArray) numbers = g_array_new(FALSE, FALSE, sizeof(int));
    GDir *open = g_dir_open("/proc/self/fd", 0, NULL);
    const char *name;

    while (open != NULL && (name = g_dir_read_name(open)) != NULL) {
        int number = atoi(name);

        if (number > PROCESS_CHANNEL)
            g_array_append_val(numbers, number);
    }
    if (open != NULL)
        g_dir_close(open);
    for (guint i = 0; i < numbers->len; i++)
        close(g_array_index(numbers, int, i)); /* that of the directory is no more */
}

static void take_field(Shell *shell, char *field,
                       void (*take)(void *data, const char *name, const char *value), void *data)
{
    char *value = strchr(field, '=');

    if (value == NULL)
        return;
    *value++ = '\0';
    if (strcmp(field, "config") == 0)
        shell->base.config = g_strdup(value);
    else if (g_str_has_prefix(field, "ZXMOVE_"))
        setenv(field, value, 1); /* in this memory alone: conf_load takes it out again */
    else
        take(data, field, value);
}

bool process_take(Shell *shell, void (*take)(void *data, const char *name, const char *value),
                  void *data)
{
    uint32_t length = 1;

    if (fcntl(PROCESS_CHANNEL, F_SETFD, FD_CLOEXEC) != 0 || chdir("/") != 0)
        return false;
    close_others();
    while (receive_all(&length, sizeof length) && length > 0 && length <= FIELD_MOST) {
        char *field = g_malloc0(length + 1);
        bool whole = receive_all(field, length);

        if (whole)
            take_field(shell, field, take, data);
        explicit_bzero(field, length);
        g_free(field);
        if (!whole)
            return false;
    }
    shell->session.config = shell->base.config;
    return length == 0;
}
