/* stream.h - a TCP connection read by lines, every read and write bounded in time. Used by LMTP,
 * its relay and memcached. */
#ifndef MAILBOXD_STREAM_H
#define MAILBOXD_STREAM_H

#include "tests/mailboxd/fault.h"

typedef struct Stream Stream;

Stream *stream_connect(const char *address, unsigned port, unsigned timeout_ms, GError **error);
/* Takes @fd. */
Stream *stream_new(int fd, unsigned timeout_ms);
void stream_close(Stream *stream);
/* From another thread: makes whatever waits on it fail. */
void stream_abort(Stream *stream);
bool stream_failed(const Stream *stream);

/* A line without its end; NULL at the end, on error, or if it is longer than 64 KiB. */
char *stream_line(Stream *stream);
GBytes *stream_read(Stream *stream, size_t length);
bool stream_write(Stream *stream, const char *bytes, size_t length);
bool stream_printf(Stream *stream, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* A listening socket, or -1. */
int stream_listen(const char *address, unsigned port, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Stream, stream_close)

#endif
