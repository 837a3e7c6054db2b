/* stream.c - see stream.h. */
#include "tests/mailboxd/stream.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE_LIMIT = 64 * 1024, BACKLOG = 256 };

struct Stream {
    int fd;
    unsigned timeout_ms;
    bool failed;
    size_t at, filled;
    char buffer[16 * 1024];
};

static bool socket_address(const char *address, unsigned port, struct sockaddr_in *out)
{
    *out = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    return inet_pton(AF_INET, address, &out->sin_addr) == 1;
}

static bool wait_for(const Stream *stream, short events)
{
    struct pollfd poller = { .fd = stream->fd, .events = events };
    int ready;

    do
        ready = poll(&poller, 1, (int)stream->timeout_ms);
    while (ready < 0 && errno == EINTR);
    return ready == 1;
}

Stream *stream_new(int fd, unsigned timeout_ms)
{
    Stream *stream = g_new0(Stream, 1);
    int on = 1;

    stream->fd = fd;
    stream->timeout_ms = timeout_ms;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return stream;
}

Stream *stream_connect(const char *address, unsigned port, unsigned timeout_ms, GError **error)
{
    struct sockaddr_in to;
    int code = EINVAL;
    socklen_t size = sizeof code;

    if (!socket_address(address, port, &to)) {
        fault(error, FAULT_FAILURE, "%s: no IP address", address);
        return NULL;
    }
    Stream *stream = stream_new(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), timeout_ms);
    if (connect(stream->fd, (struct sockaddr *)&to, sizeof to) == 0)
        return stream;
    if (errno == EINPROGRESS && wait_for(stream, POLLOUT) &&
        getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &code, &size) == 0 && code == 0)
        return stream;
    fault(error, FAULT_FAILURE, "%s:%u: %s", address, port, g_strerror(code));
    stream_close(stream);
    return NULL;
}

void stream_close(Stream *stream)
{
    if (stream->fd >= 0)
        close(stream->fd);
    g_free(stream);
}

void stream_abort(Stream *stream)
{
    shutdown(stream->fd, SHUT_RDWR);
}

bool stream_failed(const Stream *stream)
{
    return stream->failed;
}

static bool fill(Stream *stream)
{
    ssize_t got = -1;

    if (stream->failed)
        return false;
    if (wait_for(stream, POLLIN))
        do
            got = read(stream->fd, stream->buffer, sizeof stream->buffer);
        while (got < 0 && errno == EINTR);
    stream->failed = got <= 0;
    stream->at = 0;
    stream->filled = got > 0 ? (size_t)got : 0;
    return !stream->failed;
}

char *stream_line(Stream *stream)
{
    g_autoptr(GString) line = g_string_new(NULL);

    while (line->len < LINE_LIMIT) {
        if (stream->at == stream->filled && !fill(stream))
            return NULL;
        const char *start = stream->buffer + stream->at;
        const char *end = memchr(start, '\n', stream->filled - stream->at);
        size_t length = end == NULL ? stream->filled - stream->at : (size_t)(end - start);
        g_string_append_len(line, start, (gssize)length);
        stream->at += length + (end != NULL);
        if (end == NULL)
            continue;
        if (line->len > 0 && line->str[line->len - 1] == '\r')
            g_string_truncate(line, line->len - 1);
        return g_string_free(g_steal_pointer(&line), FALSE);
    }
    stream->failed = true;
    return NULL;
}

GBytes *stream_read(Stream *stream, size_t length)
{
    g_autoptr(GString) bytes = g_string_sized_new(length);

    while (bytes->len < length) {
        if (stream->at == stream->filled && !fill(stream))
            return NULL;
        size_t part = MIN(length - bytes->len, stream->filled - stream->at);
        g_string_append_len(bytes, stream->buffer + stream->at, (gssize)part);
        stream->at += part;
    }
    return g_string_free_to_bytes(g_steal_pointer(&bytes));
}

bool stream_write(Stream *stream, const char *bytes, size_t length)
{
    while (length > 0 && !stream->failed) {
        ssize_t sent = send(stream->fd, bytes, length, MSG_NOSIGNAL);
        if (sent > 0) {
            bytes += sent;
            length -= (size_t)sent;
        } else if (errno != EINTR && (errno != EAGAIN || !wait_for(stream, POLLOUT)))
            stream->failed = true;
    }
    return !stream->failed;
}

bool stream_printf(Stream *stream, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    return stream_write(stream, text, strlen(text));
}

int stream_listen(const char *address, unsigned port, GError **error)
{
    struct sockaddr_in at;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (socket_address(address, port, &at) && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    fault(error, FAULT_FAILURE, "cannot listen on %s:%u: %s", address, port, g_strerror(errno));
    close(fd);
    return -1;
}
