/* memcached.h - what mailboxd shares with the other stores' (doc/platform.md 5.7): text values by
 * key on the configured servers. A server that does not answer is no error, only a miss. */
#ifndef MAILBOXD_MEMCACHED_H
#define MAILBOXD_MEMCACHED_H

#include <glib.h>

/* NULL if there is none. */
GBytes *memcached_get(const char *key);
void memcached_set(const char *key, GBytes *value);
void memcached_delete(const char *key);
void memcached_shutdown(void);

#endif
