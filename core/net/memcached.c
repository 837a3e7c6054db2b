/* memcached.c - see memcached.h. libcurl only makes the connection; the text protocol is spoken
 * here. */
#include "core/net/memcached.h"
#include "core/net/curl_library.h"
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

enum { KEY_MAX = 250, READ_BYTES = 16 * 1024, LINE_MAX_BYTES = 512, VALUE_MAX_BYTES = 1024 * 1024 };

typedef struct Talk Talk;
typedef bool TakeLine(Talk *talk, GError **error);

struct Talk {
    const char *address;
    unsigned port;
    int64_t deadline;
    int fd;
    const GString *commands;
    size_t sent;
    TakeLine *take; /* what to do with a line of an answer */
    GString *line;  /* one that is not complete yet */
    unsigned answers, expected;
    GPtrArray *values; /* of a get: those that have come */
    GString *value;    /* the one that comes now */
    size_t value_left; /* bytes of it still to come, with the end of its line */
};

static bool talk_error(const Talk *talk, ZxError code, const char *why, GError **error)
{
    return fail(error, code, "memcached %s:%u: %s", talk->address, talk->port, why);
}

static bool check_key(const char *key, GError **error)
{
    const size_t length = strlen(key);

    for (size_t i = 0; i < length; i++)
        if ((unsigned char)key[i] <= ' ' || key[i] == 0x7f)
            return fail(error, ZX_ERROR_BUG, "a memcached key with blanks or control characters");
    if (length == 0 || length > KEY_MAX)
        return fail(error, ZX_ERROR_BUG, "a memcached key of %zu bytes", length);
    return true;
}

static long left_ms(const Talk *talk)
{
    return (long)MAX((talk->deadline - g_get_monotonic_time() + 999) / 1000, 0);
}

static bool connect_server(Talk *talk, CURL *curl, GError **error)
{
    const CURLcode rc =
        curl_library_connect(curl, talk->address, talk->port, MAX(left_ms(talk), 1L), &talk->fd);
    long number = 0;

    if (rc == CURLE_OK)
        return true;
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &number);
    return talk_error(talk,
                      rc == CURLE_COULDNT_CONNECT && number == ECONNREFUSED ? ZX_ERROR_CONNECT
                                                                            : ZX_ERROR_TIMEOUT,
                      curl_easy_strerror(rc), error);
}

static bool unexpected(const Talk *talk, const char *what, GError **error)
{
    g_autofree char *shown = g_strescape(talk->line->str, NULL);

    return fail(error, ZX_ERROR_FAILED, "memcached %s:%u: answers %s with \"%.100s\"",
                talk->address, talk->port, what, shown);
}

/* One answer a key, in their order; anything else means that a key may still be there. */
static bool take_deleted(Talk *talk, GError **error)
{
    if (strcmp(talk->line->str, "DELETED") == 0 || strcmp(talk->line->str, "NOT_FOUND") == 0) {
        talk->answers++;
        g_string_truncate(talk->line, 0);
        return true;
    }
    return unexpected(talk, "a delete", error);
}

/* "VALUE key flags bytes" with the bytes after it, or nothing; then "END". */
static bool take_value(Talk *talk, GError **error)
{
    const char *last = strrchr(talk->line->str, ' ');
    guint64 bytes;

    if (strcmp(talk->line->str, "END") == 0) {
        if (talk->values->len <= talk->answers)
            g_ptr_array_add(talk->values, NULL);
        talk->answers++;
    } else if (g_str_has_prefix(talk->line->str, "VALUE ") &&
               talk->values->len == talk->answers &&
               g_ascii_string_to_unsigned(last + 1, 10, 0, VALUE_MAX_BYTES, &bytes, NULL)) {
        talk->value_left = (size_t)bytes + 2;
    } else {
        return unexpected(talk, "a get", error);
    }
    g_string_truncate(talk->line, 0);
    return true;
}

static bool take_version(Talk *talk, GError **error)
{
    if (!g_str_has_prefix(talk->line->str, "VERSION "))
        return unexpected(talk, "a version", error);
    talk->answers++;
    return true;
}

static void take_value_byte(Talk *talk, char byte)
{
    g_string_append_c(talk->value, byte);
    if (--talk->value_left > 0)
        return;
    g_string_truncate(talk->value, talk->value->len - 2); /* its line's end */
    g_ptr_array_add(talk->values, g_strdup(talk->value->str));
    g_string_truncate(talk->value, 0);
}

static bool take_bytes(Talk *talk, const char *bytes, size_t length, GError **error)
{
    for (size_t i = 0; i < length; i++) {
        if (talk->value_left > 0) {
            take_value_byte(talk, bytes[i]);
        } else if (bytes[i] == '\n') {
            if (!talk->take(talk, error))
                return false;
        } else if (bytes[i] != '\r') {
            g_string_append_c(talk->line, bytes[i]);
        }
        if (talk->line->len > LINE_MAX_BYTES)
            return talk_error(talk, ZX_ERROR_FAILED, "answers with something else than lines",
                              error);
    }
    return true;
}

static bool again(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* Sends and receives at the same time: with many keys the answers would fill the way back. */
static bool exchange(Talk *talk, GError **error)
{
    char bytes[READ_BYTES];

    while (talk->answers < talk->expected) {
        const bool sending = talk->sent < talk->commands->len;
        struct pollfd entry = { .fd = talk->fd, .events = sending ? POLLIN | POLLOUT : POLLIN };
        const long left = left_ms(talk);
        ssize_t n;

        if (left == 0)
            return talk_error(talk, ZX_ERROR_TIMEOUT, "no answer in time", error);
        if (poll(&entry, 1, (int)MIN(left, G_MAXINT)) < 0 && !again())
            return talk_error(talk, ZX_ERROR_CONNECT, g_strerror(errno), error);
        if (entry.revents & POLLOUT) {
            n = send(talk->fd, talk->commands->str + talk->sent, talk->commands->len - talk->sent,
                     MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0 && !again())
                return talk_error(talk, ZX_ERROR_CONNECT, g_strerror(errno), error);
            talk->sent += n > 0 ? (size_t)n : 0;
        }
        if (entry.revents & (POLLIN | POLLHUP | POLLERR)) {
            n = recv(talk->fd, bytes, sizeof bytes, MSG_DONTWAIT);
            if (n == 0)
                return talk_error(talk, ZX_ERROR_CONNECT, "closed the connection", error);
            if (n < 0 && !again())
                return talk_error(talk, ZX_ERROR_CONNECT, g_strerror(errno), error);
            if (n > 0 && !take_bytes(talk, bytes, (size_t)n, error))
                return false;
        }
    }
    return true;
}

/* Says the commands and hears all answers. */
static bool converse(Talk *talk, unsigned timeout_ms, GError **error)
{
    g_autoptr(GString) line = g_string_new(NULL);
    CURL *curl;
    bool ok;

    talk->line = line;
    talk->deadline = g_get_monotonic_time() + (int64_t)timeout_ms * 1000;
    curl_library_init();
    curl = curl_easy_init();
    if (curl == NULL)
        g_error("out of memory for libcurl");
    ok = connect_server(talk, curl, error) && exchange(talk, error);
    curl_easy_cleanup(curl);
    return ok;
}

/* The same command for every key; NULL with an error if one is no key. */
static GString *command_keys(const char *command, const GPtrArray *keys, GError **error)
{
    GString *commands = g_string_new(NULL);

    for (guint i = 0; i < keys->len; i++) {
        const char *key = g_ptr_array_index(keys, i);

        if (!check_key(key, error)) {
            g_string_free(commands, TRUE);
            return NULL;
        }
        g_string_append_printf(commands, "%s %s\r\n", command, key);
    }
    return commands;
}

bool memcached_delete(const char *address, unsigned port, const GPtrArray *keys,
                      unsigned timeout_ms, GError **error)
{
    g_autoptr(GString) commands = command_keys("delete", keys, error);
    Talk talk = { .address = address,
                  .port = port,
                  .commands = commands,
                  .take = take_deleted,
                  .expected = keys->len };

    return commands != NULL && (keys->len == 0 || converse(&talk, timeout_ms, error));
}

GPtrArray *memcached_get(const char *address, unsigned port, const GPtrArray *keys,
                         unsigned timeout_ms, GError **error)
{
    g_autoptr(GString) commands = command_keys("get", keys, error);
    g_autoptr(GString) value = g_string_new(NULL);
    g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func(g_free);
    Talk talk = { .address = address,
                  .port = port,
                  .commands = commands,
                  .take = take_value,
                  .expected = keys->len,
                  .values = values,
                  .value = value };

    if (commands == NULL || (keys->len > 0 && !converse(&talk, timeout_ms, error)))
        return NULL;
    return g_steal_pointer(&values);
}

bool memcached_ping(const char *address, unsigned port, unsigned timeout_ms, GError **error)
{
    g_autoptr(GString) commands = g_string_new("version\r\n");
    Talk talk = { .address = address,
                  .port = port,
                  .commands = commands,
                  .take = take_version,
                  .expected = 1 };

    return converse(&talk, timeout_ms, error);
}
