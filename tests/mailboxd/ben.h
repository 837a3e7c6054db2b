/* ben.h - bencoding, the form of metadata columns and of what mailboxd keeps in memcached. A value
 * read and written again without a change gives the same bytes. */
#ifndef MAILBOXD_BEN_H
#define MAILBOXD_BEN_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Ben Ben;

Ben *ben_dict(void);
Ben *ben_list(void);
/* NULL if @bytes are no bencoded value from the first byte to the last. */
Ben *ben_parse(const char *bytes, size_t length);
/* As above; NULL for NULL and for anything but a dictionary. */
Ben *ben_parse_dict(GBytes *bytes);
GBytes *ben_bytes(const Ben *ben);
void ben_free(Ben *ben);

void ben_set_int(Ben *dict, const char *key, int64_t value);
void ben_set_text(Ben *dict, const char *key, const char *value);
void ben_set_bytes(Ben *dict, const char *key, GBytes *value);
/* Both take @value. */
void ben_set(Ben *dict, const char *key, Ben *value);
void ben_append(Ben *list, Ben *value);

/* 0, NULL or NULL if there is none of that type. */
int64_t ben_int(const Ben *dict, const char *key);
char *ben_text(const Ben *dict, const char *key);
GBytes *ben_get_bytes(const Ben *dict, const char *key);
const GPtrArray *ben_items(const Ben *dict, const char *key); /* of Ben */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ben, ben_free)

#endif
