/* relay.c - mail for an account whose home is another store goes there by LMTP: this catches what
 * was queued with the old transport (doc/platform.md 1.4, hazard 44). */
#include "tests/mailboxd/config.h"
#include "tests/mailboxd/directory.h"
#include "tests/mailboxd/lmtp.h"
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 60000, LMTP_PORT = 7025 };

/* Last line of a reply; NULL if the connection broke. */
static char *read_reply(Stream *stream)
{
    char *line = stream_line(stream);

    while (line != NULL && strlen(line) > 3 && line[3] == '-') {
        g_free(line);
        line = stream_line(stream);
    }
    return line;
}

/* Sends @command and returns NULL if the answer was good, else the answer. */
static char *refused(Stream *stream, char expected, const char *command)
{
    if (*command != '\0' && !stream_printf(stream, "%s\r\n", command))
        return g_strdup("451 4.0.0 relay: connection lost");
    char *reply = read_reply(stream);
    if (reply == NULL)
        return g_strdup("451 4.0.0 relay: connection lost");
    if (reply[0] != expected)
        return reply;
    g_free(reply);
    return NULL;
}

/* Lines ending in CRLF, leading dots doubled, the final dot. */
static bool send_data(Stream *stream, GBytes *message)
{
    size_t length;
    const char *bytes = g_bytes_get_data(message, &length), *end = bytes + length;

    while (bytes < end) {
        const char *line_end = memchr(bytes, '\n', (size_t)(end - bytes));
        size_t line = line_end == NULL ? (size_t)(end - bytes) : (size_t)(line_end - bytes);
        size_t text = line > 0 && bytes[line - 1] == '\r' ? line - 1 : line;
        if ((*bytes == '.' && !stream_write(stream, ".", 1)) ||
            !stream_write(stream, bytes, text) || !stream_write(stream, "\r\n", 2))
            return false;
        bytes += line + (line_end != NULL);
    }
    return stream_write(stream, ".\r\n", 3);
}

static char *relay_on(Stream *stream, const char *sender, const char *recipient, GBytes *message)
{
    g_autofree char *lhlo = g_strdup_printf("LHLO %s", config->name);
    g_autofree char *from = g_strdup_printf("MAIL FROM:<%s>", sender);
    g_autofree char *to = g_strdup_printf("RCPT TO:<%s>", recipient);
    const struct {
        char expected;
        const char *command;
    } steps[] = { { '2', "" }, { '2', lhlo }, { '2', from }, { '2', to }, { '3', "DATA" } };

    for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
        char *reply = refused(stream, steps[i].expected, steps[i].command);
        if (reply != NULL)
            return reply;
    }
    char *reply = send_data(stream, message) ? read_reply(stream) : NULL;
    stream_printf(stream, "QUIT\r\n");
    return reply == NULL ? g_strdup("451 4.0.0 relay: connection lost") : reply;
}

char *relay_message(const char *host, const char *sender, const char *recipient, GBytes *message)
{
    const char *address = config_address(host);
    g_autoptr(Entry) server = server_get(SERVER_BY_HOST, host, NULL);

    if (address == NULL || server == NULL)
        return g_strdup("450 4.2.0 relay: home server is not known");
    g_autoptr(Stream) stream = stream_connect(
        address, server_port(server, "zimbraLmtpBindPort", LMTP_PORT), TIMEOUT_MS, NULL);
    if (stream == NULL)
        return g_strdup("451 4.0.0 relay: home server cannot be reached");
    if (!lmtp_watch(stream))
        return g_strdup("451 4.0.0 relay: shutting down");
    char *reply = relay_on(stream, sender, recipient, message);
    lmtp_unwatch(stream);
    return reply;
}
