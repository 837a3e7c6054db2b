/* content.h - what a blob file holds, by doc/platform.md 3.5: a file that begins with the gzip
 * magic and is not as long as its row says is compressed; size and digest are those of the
 * uncompressed bytes. */
#ifndef ZX_AGENT_CONTENT_H
#define ZX_AGENT_CONTENT_H

#include "core/agent/protocol.h"

typedef struct Content Content;

typedef struct ContentIs {
    uint64_t raw_size;
    char digest[DIGEST_SIZE]; /* "" if it was not asked for */
    bool compressed;
} ContentIs;

/* @length: of the file, @row_size: by the row; @digest: its length tells SHA-1 (28) from SHA-256.
 * @hash false: the raw size only, as far as it shows without uncompressing. */
Content *content_new(uint64_t length, uint64_t row_size, const char *digest, bool hash);
void content_feed(Content *content, const void *bytes, size_t length);
/* What does not uncompress, or uncompresses to more than the row says, is judged as it is. */
void content_finish(Content *content, ContentIs *is);
void content_free(Content *content);

/* Does it hold what the row says? */
bool content_matches(const ContentIs *is, const BlobRef *ref);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Content, content_free)

#endif
