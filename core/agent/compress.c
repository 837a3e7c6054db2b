/* compress.c - gzips a file as mailboxd would store it, without looking for repetitions where there
 * are none. Most bytes of mail are attachments in base64: six bits in each byte, which Huffman codes
 * alone take out, five times as fast. */
#include "core/agent/agent.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#define COPY_STEP  (64 * 1024)
#define SAMPLE     4096
#define WINDOW_LOG 12 /* of the sample */

/* Bytes that the sample takes; SAMPLE if zlib does not do it. */
static size_t sample_size(const uint8_t *bytes, int strategy)
{
    uint8_t out[SAMPLE];
    z_stream stream = { .next_in = (Bytef *)(uintptr_t)bytes,
                        .avail_in = SAMPLE,
                        .next_out = out,
                        .avail_out = sizeof out };
    size_t size = SAMPLE;

    if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, -WINDOW_LOG, WINDOW_LOG - 6, strategy) != Z_OK)
        return size;
    if (deflate(&stream, Z_FINISH) == Z_STREAM_END)
        size = stream.total_out;
    deflateEnd(&stream);
    return size;
}

/* By the middle of the step: its beginning may be the head of a message. */
static int strategy_for(const uint8_t *step, size_t length)
{
    const uint8_t *sample = step + (length - SAMPLE) / 2;

    if (length < (size_t)4 * SAMPLE)
        return Z_DEFAULT_STRATEGY;
    return sample_size(sample, Z_DEFAULT_STRATEGY) < sample_size(sample, Z_HUFFMAN_ONLY)
               ? Z_DEFAULT_STRATEGY
               : Z_HUFFMAN_ONLY;
}

static bool add_step(gzFile zip, const uint8_t *step, size_t length, int *strategy)
{
    int wanted = strategy_for(step, length);

    if (wanted != *strategy && gzsetparams(zip, Z_DEFAULT_COMPRESSION, wanted) != Z_OK)
        return false;
    *strategy = wanted;
    return gzwrite(zip, step, (unsigned)length) == (int)length;
}

bool compress_file(int from, int to, GError **error)
{
    int copy = fcntl(to, F_DUPFD_CLOEXEC, 0), strategy = Z_DEFAULT_STRATEGY;
    gzFile zip = copy < 0 ? NULL : gzdopen(copy, "wb");
    g_autofree uint8_t *step = g_malloc(COPY_STEP);
    off_t at = 0;
    ssize_t got = 0;
    bool ok = zip != NULL;
    int why;

    if (!ok && copy >= 0)
        close(copy);
    while (ok && (got = pread(from, step, COPY_STEP, at)) > 0) {
        agent_step();
        ok = add_step(zip, step, (size_t)got, &strategy);
        at += got;
    }
    why = errno;
    if (zip != NULL && gzclose(zip) != Z_OK && ok) {
        ok = false;
        why = errno;
    }
    return (ok && got == 0) || fail_errno(error, why, "compressing");
}
