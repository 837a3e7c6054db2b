/* peer_start.c - see peer_start.h.
 *
 * On a store the agent is named by its own SHA-256, in a directory that only the login user can
 * write to; the sum is taken of the very file before it is run. The commands are constant but for
 * that sum. */
#include "core/net/peer_start.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define AGENT_FILE_MAX (64 * 1024 * 1024)
#define ANSWER_MAX     4096

/* $d runs over the directories an uploaded agent may be in; /opt/zimbra itself often is not
 * writable. */
#define PRIVATE_DIRS \
    "\"$HOME/.cache/zxmove\" \"$HOME/data/tmp/zxmove\" \"/var/tmp/zxmove-$(id -u)\""

/* One argument: the SHA-256. AGENT_NONE when the program is not there. */
static const char find_command[] =
    "h=%s; "
    "for d in /usr/lib/zxmove /usr/libexec/zxmove /usr/local/lib/zxmove " PRIVATE_DIRS "; do "
    "  case $d in /usr/*) f=$d/zxmove-agent;; "
    "    *) f=$d/agent-$h; [ -O \"$d\" ] && [ ! -L \"$d\" ] || continue;; esac; "
    "  [ -f \"$f\" ] && [ -x \"$f\" ] || continue; "
    "  s=$(sha256sum <\"$f\") || continue; "
    "  [ \"${s%%%% *}\" = \"$h\" ] && exec \"$f\"; "
    "done; echo " AGENT_NONE;

/* Stdin: the program. "ZXAGENT-STORED", or what is in the way, a line a directory. */
static const char store_command[] =
    "h=%s; umask 077; "
    "command -v sha256sum >/dev/null || { echo 'there is no sha256sum'; exit 1; }; "
    "for d in " PRIVATE_DIRS "; do "
    "  m=$(mkdir -p \"$d\" 2>&1) || { echo \"$m\"; continue; }; "
    "  [ -O \"$d\" ] && [ ! -L \"$d\" ] && chmod 700 \"$d\" || { echo \"$d: not ours\"; continue; "
    "}; "
    "  t=$d/new-$$; "
    "  { echo '#!/bin/sh' >\"$t\"; } 2>/dev/null && chmod 700 \"$t\" || "
    "    { echo \"$d: cannot be written\"; continue; }; "
    "  \"$t\" 2>/dev/null || { rm -f \"$t\"; echo \"$d: programs may not be run there (noexec)\"; "
    "continue; }; "
    "  cat >\"$t\" || { rm -f \"$t\"; echo \"$d: cannot be written\"; exit 1; }; "
    "  s=$(sha256sum <\"$t\"); "
    "  [ \"${s%%%% *}\" = \"$h\" ] || { rm -f \"$t\"; echo \"$d: the upload arrived damaged\"; "
    "exit 1; }; "
    "  mv -f \"$t\" \"$d/agent-$h\" && { echo ZXAGENT-STORED; exit 0; }; "
    "done; exit 1";

static bool spawn(const char *file, int conversation, int complaints, pid_t *pid, GError **error)
{
    char *argv[] = { g_path_get_basename(file), NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    int answer;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, conversation, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, conversation, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, complaints, STDERR_FILENO);
    /* A group of its own: Ctrl-C at the terminal asks us to stop, not the agent in mid-file. */
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGINT);
    sigaddset(&defaults, SIGTERM);
    sigaddset(&defaults, SIGHUP);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    answer = posix_spawn(pid, file, &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    g_free(argv[0]);
    return answer == 0 || fail(error, ZX_ERROR_CONNECT, "the agent %s cannot be started: %s", file,
                               g_strerror(answer));
}

bool agent_start_local(const char *file, AgentProcess *process, GError **error)
{
    int talk[2], complaints[2];
    pid_t pid = 0;
    bool ok;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk) != 0)
        return fail(error, ZX_ERROR_CONNECT, "no socket for the agent: %s", g_strerror(errno));
    if (pipe2(complaints, O_CLOEXEC | O_NONBLOCK) != 0) {
        close(talk[0]);
        close(talk[1]);
        return fail(error, ZX_ERROR_CONNECT, "no pipe for the agent: %s", g_strerror(errno));
    }
    ok = spawn(file, talk[1], complaints[1], &pid, error);
    close(talk[1]);
    close(complaints[1]);
    if (!ok) {
        close(talk[0]);
        close(complaints[0]);
        return false;
    }
    *process = (AgentProcess){ .fd = talk[0], .pid = pid, .stderr_fd = complaints[0] };
    return true;
}

bool agent_program_read(const char *file, AgentProgram *program, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autofree char *sum = NULL;
    struct stat st;

    if (stat(file, &st) == 0 && (!S_ISREG(st.st_mode) || st.st_size > AGENT_FILE_MAX))
        return fail(error, ZX_ERROR_INPUT, "%s is not an agent", file);
    if (!g_file_get_contents(file, &program->bytes, &program->length, &problem))
        return fail(error, ZX_ERROR_INPUT, "the agent to upload: %s", problem->message);
    program->file = file;
    sum = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)program->bytes,
                                      program->length);
    g_strlcpy(program->sum, sum, sizeof program->sum);
    return true;
}

/* Waits for @events on @fd, at most @timeout_s. */
static bool wait_for(int fd, short events, unsigned timeout_s, const char *store, GError **error)
{
    struct pollfd poller = { .fd = fd, .events = events };
    int answer;

    while ((answer = poll(&poller, 1, (int)timeout_s * 1000)) < 0 && errno == EINTR)
        ;
    return answer > 0 ||
           fail(error, ZX_ERROR_TIMEOUT, "agent on %s: no answer in %u s", store, timeout_s);
}

/* Sends the program and its end, then reads what the command has to say until it ends. */
static bool upload(int fd, const char *store, const AgentProgram *program, unsigned timeout_s,
                   char said[ANSWER_MAX], GError **error)
{
    const char *bytes = program->bytes;
    size_t length = program->length, have = 0;
    ssize_t got;

    while (length > 0) {
        if (!wait_for(fd, POLLOUT, timeout_s, store, error))
            return false;
        got = send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (got < 0 && (errno == EPIPE || errno == ECONNRESET))
            break; /* it gave up; it will have said why */
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return fail(error, ZX_ERROR_CONNECT, "uploading the agent to %s: %s", store,
                        g_strerror(errno));
        if (got > 0) {
            bytes += got;
            length -= (size_t)got;
        }
    }
    shutdown(fd, SHUT_WR);
    while (have < ANSWER_MAX - 1) {
        if (!wait_for(fd, POLLIN, timeout_s, store, error))
            return false;
        got = recv(fd, said + have, ANSWER_MAX - 1 - have, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            break;
        if (got > 0)
            have += (size_t)got;
    }
    said[have] = '\0';
    return true;
}

bool agent_upload(Ssh *ssh, const char *store, const AgentProgram *program, unsigned timeout_s,
                  GError **error)
{
    g_autofree char *command = g_strdup_printf(store_command, program->sum);
    char said[ANSWER_MAX];
    int fd = ssh_run(ssh, command, error);
    bool ok;

    if (fd < 0)
        return false;
    ok = upload(fd, store, program, timeout_s, said, error);
    close(fd);
    if (!ok)
        return false;
    if (strstr(said, "ZXAGENT-STORED") != NULL)
        return true;
    g_strdelimit(g_strchomp(said), "\n\r", ';');
    return fail(
        error, ZX_ERROR_CONNECT,
        "the agent could not be put on %s: %s. Install %s there as "
        "/usr/local/lib/zxmove/zxmove-agent, or let the login user run programs in ~/.cache",
        store, said[0] != '\0' ? said : "the connection ended", program->file);
}

bool agent_start_remote(Ssh *ssh, const AgentProgram *program, AgentProcess *process,
                        GError **error)
{
    g_autofree char *command = g_strdup_printf(find_command, program->sum);
    int fd = ssh_run(ssh, command, error);

    *process = (AgentProcess){ .fd = fd, .stderr_fd = -1 };
    return fd >= 0;
}
