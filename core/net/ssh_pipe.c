/* ssh_pipe.c - see ssh_pipe.h.
 *
 * Down (store to descriptor): libssh hands each packet to got_data(), which sends it on at once.
 * What the descriptor does not take stays in libssh, whose window then stops the store; when the
 * descriptor takes more, deliver() fetches it. Up: bytes are read only as far as the channel's
 * window allows. So both directions are bounded by the window (about 1 MiB) and UP_BYTES. */
#include "core/net/ssh_pipe.h"
#include "core/base/log.h"
#include <errno.h>
#include <libssh/callbacks.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    UP_BYTES = 256 * 1024,
    DOWN_BYTES = 256 * 1024,
    UP_ROUNDS = 4, /* reads of one descriptor before others get their turn */
    LINE_BYTES = 1000,
};

struct SshPipe {
    ssh_channel channel;
    struct ssh_channel_callbacks_struct callbacks;
    char *store, *command, *host; /* @command or @host */
    unsigned port;
    char *refusal;
    int fd;
    bool has_session; /* of a program: the channel; its program is asked for next */
    bool opened;
    bool far_eof, far_closed; /* the store sends no more; the channel is over */
    bool near_eof, near_deaf; /* the descriptor sends no more; takes no more */
    bool eof_sent, eof_delivered;
    bool blocked;  /* the descriptor is full */
    bool fetching; /* inside deliver(): got_data() must not overtake it */
    char *up, *down;
    size_t up_start, up_end, down_start, down_end;
    GString *line; /* of stderr */
};

static void log_line(SshPipe *pipe)
{
    if (pipe->line->len > 0)
        log_warning("%s: %s", pipe->store, pipe->line->str);
    g_string_truncate(pipe->line, 0);
}

static void got_stderr(SshPipe *pipe, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n' || pipe->line->len >= LINE_BYTES)
            log_line(pipe);
        if (bytes[i] != '\n')
            g_string_append_c(pipe->line, g_ascii_iscntrl(bytes[i]) ? ' ' : bytes[i]);
    }
}

/* Bytes the descriptor took; sets blocked or near_deaf when it takes no more. */
static size_t send_down(SshPipe *pipe, const char *bytes, size_t length)
{
    ssize_t sent = send(pipe->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
            pipe->blocked = true;
        else
            pipe->near_deaf = true;
        return 0;
    }
    if ((size_t)sent < length)
        pipe->blocked = true;
    return (size_t)sent;
}

static int got_data(ssh_session session, ssh_channel channel, void *data, uint32_t length,
                    int is_stderr, void *user)
{
    SshPipe *pipe = user;

    (void)session;
    (void)channel;
    if (is_stderr) {
        got_stderr(pipe, data, length);
        return (int)length;
    }
    if (pipe->near_deaf)
        return (int)length;
    if (pipe->blocked || pipe->fetching)
        return 0;
    return (int)send_down(pipe, data, length);
}

static void got_eof(ssh_session session, ssh_channel channel, void *user)
{
    SshPipe *pipe = user;

    (void)session;
    (void)channel;
    pipe->far_eof = true;
}

static void got_close(ssh_session session, ssh_channel channel, void *user)
{
    SshPipe *pipe = user;

    (void)session;
    (void)channel;
    pipe->far_eof = pipe->far_closed = true;
}

static void got_exit_status(ssh_session session, ssh_channel channel, int status, void *user)
{
    SshPipe *pipe = user;

    (void)session;
    (void)channel;
    if (status != 0)
        log_warning("%s: ended with status %d: %s", pipe->store, status, pipe->command);
}

static SshPipe *pipe_new(ssh_session session, const char *store, int fd)
{
    SshPipe *pipe = g_new0(SshPipe, 1);

    pipe->store = g_strdup(store);
    pipe->fd = fd;
    pipe->line = g_string_new(NULL);
    pipe->up = g_malloc(UP_BYTES);
    pipe->down = g_malloc(DOWN_BYTES);
    pipe->callbacks.userdata = pipe;
    pipe->callbacks.channel_data_function = got_data;
    pipe->callbacks.channel_eof_function = got_eof;
    pipe->callbacks.channel_close_function = got_close;
    pipe->callbacks.channel_exit_status_function = got_exit_status;
    ssh_callbacks_init(&pipe->callbacks);
    pipe->channel = ssh_channel_new(session);
    if (pipe->channel == NULL)
        g_error("out of memory for an ssh channel");
    ssh_set_channel_callbacks(pipe->channel, &pipe->callbacks);
    return pipe;
}

SshPipe *ssh_pipe_program(ssh_session session, const char *store, const char *command, int fd)
{
    SshPipe *pipe = pipe_new(session, store, fd);

    pipe->command = g_strdup(command);
    return pipe;
}

SshPipe *ssh_pipe_connection(ssh_session session, const char *store, const char *host,
                             unsigned port, int fd)
{
    SshPipe *pipe = pipe_new(session, store, fd);

    pipe->host = g_strdup(host);
    pipe->port = port;
    return pipe;
}

void ssh_pipe_free(SshPipe *pipe)
{
    log_line(pipe);
    ssh_remove_channel_callbacks(pipe->channel, &pipe->callbacks);
    ssh_channel_free(pipe->channel);
    close(pipe->fd);
    g_string_free(pipe->line, TRUE);
    g_free(pipe->up);
    g_free(pipe->down);
    g_free(pipe->store);
    g_free(pipe->command);
    g_free(pipe->host);
    g_free(pipe->refusal);
    g_free(pipe);
}

const char *ssh_pipe_refusal(const SshPipe *pipe)
{
    return pipe->refusal;
}

/* The channel, then the program on it; each call asks where the request is. A program that ended at
 * once may have closed the channel by then. */
static SshPipeState open_channel(SshPipe *pipe)
{
    ssh_session session = ssh_channel_get_session(pipe->channel);
    int rc;

    if (pipe->host != NULL) {
        rc = ssh_channel_open_forward(pipe->channel, pipe->host, (int)pipe->port, "127.0.0.1", 0);
    } else {
        rc = pipe->has_session ? SSH_OK : ssh_channel_open_session(pipe->channel);
        pipe->has_session = rc == SSH_OK;
        if (pipe->has_session)
            rc = ssh_channel_request_exec(pipe->channel, pipe->command);
    }
    if (rc == SSH_AGAIN)
        return SSH_PIPE_OPENING;
    if (rc != SSH_OK) {
        pipe->refusal = g_strdup(ssh_get_error(session));
        return SSH_PIPE_REFUSED;
    }
    pipe->opened = true;
    return SSH_PIPE_OPEN;
}

static bool all_delivered(const SshPipe *pipe)
{
    return pipe->far_eof && !pipe->blocked && pipe->down_start == pipe->down_end;
}

/* Hands on what the descriptor did not take before. */
static void deliver(SshPipe *pipe)
{
    int got;

    pipe->blocked = false;
    while (!pipe->near_deaf) {
        if (pipe->down_start < pipe->down_end)
            pipe->down_start +=
                send_down(pipe, pipe->down + pipe->down_start, pipe->down_end - pipe->down_start);
        if (pipe->blocked)
            return;
        if (pipe->down_start < pipe->down_end)
            continue;
        pipe->fetching = true;
        got = ssh_channel_read_nonblocking(pipe->channel, pipe->down, DOWN_BYTES, 0);
        pipe->fetching = false;
        pipe->down_start = 0;
        pipe->down_end = got > 0 ? (size_t)got : 0;
        if (got <= 0)
            return;
    }
}

/* Bytes of the descriptor into the buffer, never more than the store has room for. */
static bool read_near(SshPipe *pipe)
{
    const size_t room = ssh_channel_window_size(pipe->channel);
    ssize_t got;

    if (room == 0 || pipe->near_eof)
        return false;
    got = recv(pipe->fd, pipe->up, MIN(room, UP_BYTES), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return false;
    if (got <= 0) {
        pipe->near_eof = true;
        return false;
    }
    pipe->up_start = 0;
    pipe->up_end = (size_t)got;
    return true;
}

static void send_up(SshPipe *pipe)
{
    for (int round = 0; round < UP_ROUNDS; round++) {
        int sent;

        if (pipe->up_start == pipe->up_end && !read_near(pipe))
            break;
        sent = ssh_channel_write(pipe->channel, pipe->up + pipe->up_start,
                                 (uint32_t)(pipe->up_end - pipe->up_start));
        if (sent == SSH_ERROR)
            pipe->far_eof = pipe->far_closed = true;
        if (sent <= 0) /* a key exchange is under way: later */
            return;
        pipe->up_start += (size_t)sent;
    }
    if (pipe->near_eof && pipe->up_start == pipe->up_end && !pipe->eof_sent) {
        pipe->eof_sent = true;
        ssh_channel_send_eof(pipe->channel);
    }
}

SshPipeState ssh_pipe_advance(SshPipe *pipe, short ready)
{
    if (!pipe->opened) {
        SshPipeState state = open_channel(pipe);

        if (state != SSH_PIPE_OPEN)
            return state;
    }
    if (pipe->blocked && ready != 0)
        deliver(pipe);
    if (!pipe->far_closed)
        send_up(pipe);
    if (pipe->near_deaf) /* as with a local pipe: who writes to nobody is ended */
        return SSH_PIPE_ENDED;
    if (!all_delivered(pipe))
        return SSH_PIPE_OPEN;
    if (pipe->far_closed)
        return SSH_PIPE_ENDED;
    if (!pipe->eof_delivered)
        shutdown(pipe->fd, SHUT_WR);
    pipe->eof_delivered = true;
    return SSH_PIPE_OPEN;
}

int ssh_pipe_interest(const SshPipe *pipe, bool congested, short *events)
{
    *events = 0;
    if (!pipe->opened)
        return -1;
    if (!pipe->near_eof && !congested && pipe->up_start == pipe->up_end &&
        ssh_channel_window_size(pipe->channel) > 0)
        *events |= POLLIN;
    if (pipe->blocked)
        *events |= POLLOUT;
    /* Asked for nothing, poll would still report a hang-up, for ever; the next send or read finds
     * it. */
    return *events != 0 ? pipe->fd : -1;
}
