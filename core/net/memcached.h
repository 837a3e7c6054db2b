/* memcached.h - deletes named keys on one memcached server or reads them, all in one round trip
 * (text protocol). */
#ifndef ZX_NET_MEMCACHED_H
#define ZX_NET_MEMCACHED_H

#include "core/base/error.h"

/* Deletes every key of @keys (char *); a key that is not there is fine. Keys longer than 250 bytes,
 * with blanks or control characters are an error of the caller (BUG). All or an error: CONNECT only when
 * the connection was refused (then no process is there, and its memory is gone), else TIMEOUT. */
bool memcached_delete(const char *address, unsigned port, const GPtrArray *keys,
                      unsigned timeout_ms, GError **error) MUST_USE;

/* The values of @keys (of char *, NULL where there is none), in their order; fails alike. A value is shown,
 * never trusted: it is cut where it is no text. */
GPtrArray *memcached_get(const char *address, unsigned port, const GPtrArray *keys,
                         unsigned timeout_ms, GError **error) MUST_USE;

/* Does it answer? */
bool memcached_ping(const char *address, unsigned port, unsigned timeout_ms,
                    GError **error) MUST_USE;

#endif
