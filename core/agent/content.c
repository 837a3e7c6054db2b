/* content.c - see content.h. The digest functions are libcrypto's plain ones: by way of EVP a
 * static agent would carry all of libcrypto, three times its size. */
#define OPENSSL_API_COMPAT 0x10100000L
#include "core/agent/content.h"
#include <openssl/sha.h>
#include <string.h>
#include <zlib.h>

#define INFLATE_STEP (64 * 1024)
#define SHA1_DIGITS  28

typedef struct Hash {
    bool sha1;
    union {
        SHA_CTX one;
        SHA256_CTX two;
    } state;
} Hash;

struct Content {
    uint64_t length, row_size;
    uint64_t fed;
    bool hashed;
    Hash as_is;

    /* A gzip candidate: hashed both ways until the end shows which counts. */
    bool candidate, broken, ended;
    uint8_t magic[2];
    z_stream zip;
    uint64_t raw_size;
    Hash raw;
    uint8_t *step; /* not NULL: being uncompressed */
};

static void hash_begin(Hash *hash, bool sha1)
{
    hash->sha1 = sha1;
    if (sha1)
        SHA1_Init(&hash->state.one);
    else
        SHA256_Init(&hash->state.two);
}

static void hash_update(Hash *hash, const void *bytes, size_t length)
{
    if (hash->sha1)
        SHA1_Update(&hash->state.one, bytes, length);
    else
        SHA256_Update(&hash->state.two, bytes, length);
}

/* Base64 with ',' for '/', as blob_digest is. */
static void hash_text(Hash *hash, char digest[DIGEST_SIZE])
{
    unsigned char raw[SHA256_DIGEST_LENGTH];
    g_autofree char *text = NULL;

    if (hash->sha1)
        SHA1_Final(raw, &hash->state.one);
    else
        SHA256_Final(raw, &hash->state.two);
    text = g_base64_encode(raw, hash->sha1 ? SHA_DIGEST_LENGTH : SHA256_DIGEST_LENGTH);
    g_strdelimit(text, "/", ',');
    g_strlcpy(digest, text, DIGEST_SIZE);
}

Content *content_new(uint64_t length, uint64_t row_size, const char *digest, bool hash)
{
    Content *content = g_new0(Content, 1);

    content->length = length;
    content->row_size = row_size;
    content->hashed = hash;
    hash_begin(&content->as_is, strlen(digest) == SHA1_DIGITS);
    return content;
}

void content_free(Content *content)
{
    if (content == NULL)
        return;
    if (content->step != NULL)
        inflateEnd(&content->zip);
    g_free(content->step);
    g_free(content);
}

static void begin_inflate(Content *content)
{
    content->candidate = true;
    if (!content->hashed)
        return;
    if (inflateInit2(&content->zip, 16 + MAX_WBITS) != Z_OK)
        g_error("zlib has no memory");
    hash_begin(&content->raw, content->as_is.sha1);
    content->step = g_malloc(INFLATE_STEP);
}

static void inflate_more(Content *content, const uint8_t *bytes, size_t length)
{
    z_stream *zip = &content->zip;

    zip->next_in = (Bytef *)(uintptr_t)bytes; /* zlib's z_const is not always const */
    zip->avail_in = (uInt)length;
    while (!content->broken) {
        int answer;

        if (content->ended && zip->avail_in > 0) { /* another member follows */
            content->ended = false;
            inflateReset(zip);
        }
        zip->next_out = content->step;
        zip->avail_out = INFLATE_STEP;
        answer = inflate(zip, Z_NO_FLUSH);
        content->raw_size += INFLATE_STEP - zip->avail_out;
        hash_update(&content->raw, content->step, INFLATE_STEP - zip->avail_out);
        content->ended = answer == Z_STREAM_END;
        content->broken = (answer != Z_OK && answer != Z_STREAM_END && answer != Z_BUF_ERROR) ||
                          content->raw_size > content->row_size;
        if (zip->avail_in == 0 && zip->avail_out > 0)
            break;
    }
}

void content_feed(Content *content, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;

    if (content->hashed)
        hash_update(&content->as_is, at, length);
    while (content->fed < 2 && length > 0) {
        content->magic[content->fed++] = *at++;
        length--;
        if (content->fed == 2 && content->magic[0] == 0x1f && content->magic[1] == 0x8b &&
            content->length != content->row_size) {
            begin_inflate(content);
            if (content->step != NULL)
                inflate_more(content, content->magic, 2);
        }
    }
    content->fed += length;
    if (content->step != NULL && length > 0)
        inflate_more(content, at, length);
}

void content_finish(Content *content, ContentIs *is)
{
    bool raw = content->step != NULL && content->ended && !content->broken;

    *is = (ContentIs){ .compressed = raw || (content->candidate && content->step == NULL) };
    is->raw_size = raw ? content->raw_size : is->compressed ? content->row_size : content->fed;
    if (content->hashed)
        hash_text(raw ? &content->raw : &content->as_is, is->digest);
}

bool content_matches(const ContentIs *is, const BlobRef *ref)
{
    return is->raw_size == ref->size &&
           (is->digest[0] == '\0' || strcmp(is->digest, ref->digest) == 0);
}
