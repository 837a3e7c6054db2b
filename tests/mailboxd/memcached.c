/* memcached.c - see memcached.h. One connection per server, used by one thread at a time. */
#include "tests/mailboxd/memcached.h"
#include "tests/mailboxd/config.h"
#include "tests/mailboxd/stream.h"
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 2000, EXPIRY_S = 86400, VALUE_LIMIT = 1024 * 1024, RETRY_US = 5000000 };

static GMutex mutex;
static Stream *stream;
static guint connected_to;
static gint64 not_before_us;

static char *wire_key(const char *key)
{
    return config->memcached_hashed ? g_compute_checksum_for_string(G_CHECKSUM_SHA256, key, -1)
                                    : g_strdup(key);
}

/* The stream to the server that @key belongs to. A server that was down is left alone for a while.
 */
static Stream *connect_for(const char *key)
{
    guint servers = g_strv_length(config->memcached);

    if (servers == 0)
        return NULL;
    guint server = g_str_hash(key) % servers;
    if (stream != NULL && connected_to != server)
        g_clear_pointer(&stream, stream_close);
    if (stream != NULL || g_get_monotonic_time() < not_before_us)
        return stream;

    g_auto(GStrv) parts = g_strsplit(config->memcached[server], ":", 2);
    if (parts[0] != NULL && parts[1] != NULL)
        stream = stream_connect(parts[0], (unsigned)strtoul(parts[1], NULL, 10), TIMEOUT_MS, NULL);
    if (stream == NULL)
        not_before_us = g_get_monotonic_time() + RETRY_US;
    connected_to = server;
    return stream;
}

static GBytes *get(const char *key)
{
    g_autofree char *line = NULL;
    unsigned long length = 0;
    GBytes *value = NULL;

    if (!stream_printf(stream, "get %s\r\n", key) || (line = stream_line(stream)) == NULL)
        return NULL;
    if (strcmp(line, "END") == 0)
        return NULL;
    const char *last = strrchr(line, ' ');
    if (g_str_has_prefix(line, "VALUE ") && last != NULL)
        length = strtoul(last + 1, NULL, 10);
    if (length <= VALUE_LIMIT)
        value = stream_read(stream, length);
    g_autofree char *blank = value == NULL ? NULL : stream_line(stream);
    g_autofree char *end = blank == NULL ? NULL : stream_line(stream);
    if (end == NULL || strcmp(end, "END") != 0) {
        g_clear_pointer(&stream, stream_close);
        g_clear_pointer(&value, g_bytes_unref);
    }
    return value;
}

/* Sends a command that is answered by one line. */
static void command(const char *text, GBytes *value)
{
    g_autofree char *line = NULL;
    bool sent = stream_printf(stream, "%s", text) &&
                (value == NULL ||
                 (stream_write(stream, g_bytes_get_data(value, NULL), g_bytes_get_size(value)) &&
                  stream_printf(stream, "\r\n")));

    if (sent)
        line = stream_line(stream);
    if (line == NULL)
        g_clear_pointer(&stream, stream_close);
}

GBytes *memcached_get(const char *key)
{
    g_autofree char *name = wire_key(key);
    GBytes *value = NULL;

    g_mutex_lock(&mutex);
    if (connect_for(name) != NULL) {
        value = get(name);
        if (stream != NULL && stream_failed(stream))
            g_clear_pointer(&stream, stream_close);
    }
    g_mutex_unlock(&mutex);
    return value;
}

void memcached_set(const char *key, GBytes *value)
{
    g_autofree char *name = wire_key(key);

    if (g_bytes_get_size(value) >= VALUE_LIMIT) { /* memcached would refuse it and keep the old */
        memcached_delete(key);
        return;
    }
    g_mutex_lock(&mutex);
    if (connect_for(name) != NULL) {
        g_autofree char *text =
            g_strdup_printf("set %s 0 %d %zu\r\n", name, EXPIRY_S, g_bytes_get_size(value));
        command(text, value);
    }
    g_mutex_unlock(&mutex);
}

void memcached_delete(const char *key)
{
    g_autofree char *name = wire_key(key);
    g_autofree char *text = g_strdup_printf("delete %s\r\n", name);

    g_mutex_lock(&mutex);
    if (connect_for(name) != NULL)
        command(text, NULL);
    g_mutex_unlock(&mutex);
}

void memcached_shutdown(void)
{
    g_clear_pointer(&stream, stream_close);
}
