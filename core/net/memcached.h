/* memcached.h - deletes named keys on one memcached server, all in one round trip (text protocol).
 */
#ifndef ZX_NET_MEMCACHED_H
#define ZX_NET_MEMCACHED_H

#include "core/base/error.h"

/* Deletes every key of @keys (char *); a key that is not there is fine. Keys longer than 250 bytes,
 * with blanks or control characters are an error of the caller (BUG). All or an error: CONNECT only when
 * the connection was refused (then no process is there, and its memory is gone), else TIMEOUT. */
bool memcached_delete(const char *address, unsigned port, const GPtrArray *keys,
                      unsigned timeout_ms, GError **error) MUST_USE;

#endif
