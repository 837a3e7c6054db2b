/* blob.c - see blob.h. */
#include "tests/mailboxd/blob.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { FILE_MODE = 0640, DIR_MODE = 0750, GZIP_WINDOW = 15 + 16, OPEN_DIRECTORIES = 16 };

static bool make_directories(const char *dir)
{
    return g_mkdir_with_parents(dir, DIR_MODE) == 0;
}

bool file_write(const char *path, const char *bytes, size_t length, GError **error)
{
    g_autofree char *dir = g_path_get_dirname(path);
    int fd;

    if (!make_directories(dir))
        return fault(error, FAULT_FAILURE, "%s: %s", dir, g_strerror(errno));
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return fault(error, FAULT_FAILURE, "%s: %s", path, g_strerror(errno));
    while (length > 0) {
        ssize_t put = write(fd, bytes, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            fault(error, FAULT_FAILURE, "%s: %s", path, g_strerror(errno));
            close(fd);
            unlink(path);
            return false;
        }
        bytes += put;
        length -= (size_t)put;
    }
    close(fd);
    return true;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    remove(path);
    return 0;
}

void remove_tree(const char *path)
{
    nftw(path, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS);
}

char *blob_digest(const char *bytes, size_t length)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    guint8 digest[32];
    gsize size = sizeof digest;

    g_checksum_update(sum, (const guchar *)bytes, (gssize)length);
    g_checksum_get_digest(sum, digest, &size);
    return g_strdelimit(g_base64_encode(digest, size), "/", ',');
}

static GBytes *compress_gzip(const char *bytes, size_t length)
{
    z_stream z = { 0 };

    deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY);
    size_t limit = deflateBound(&z, length) + 32;
    unsigned char *out = g_malloc(limit), *in = g_memdup(bytes, (guint)length);
    z.next_in = in;
    z.avail_in = (uInt)length;
    z.next_out = out;
    z.avail_out = (uInt)limit;
    deflate(&z, Z_FINISH);
    size_t size = z.total_out;
    deflateEnd(&z);
    g_free(in);
    return g_bytes_new_take(out, size);
}

Blob *blob_store(const char *bytes, size_t length, GError **error)
{
    static gint sequence;
    const Volume *volume = volume_get(volume_current(VOLUME_PRIMARY));

    if (volume == NULL) {
        fault(error, FAULT_FAILURE, "no current primary volume");
        return NULL;
    }
    g_autoptr(Blob) blob = g_new0(Blob, 1);
    blob->volume = volume;
    blob->size = length;
    blob->digest = blob_digest(bytes, length);
    blob->incoming = g_strdup_printf("%s/incoming/%" G_GINT64_FORMAT "-%d.msg", volume->root,
                                     g_get_real_time() / 1000, g_atomic_int_add(&sequence, 1));
    g_autoptr(GBytes) packed =
        volume->compress && length > volume->threshold ? compress_gzip(bytes, length) : NULL;
    if (packed != NULL) {
        bytes = g_bytes_get_data(packed, NULL);
        length = g_bytes_get_size(packed);
    }
    return file_write(blob->incoming, bytes, length, error) ? g_steal_pointer(&blob) : NULL;
}

bool blob_link(const Blob *blob, unsigned mailbox, unsigned item, unsigned revision, GError **error)
{
    g_autofree char *path = volume_blob_path(blob->volume, mailbox, item, revision);
    g_autofree char *dir = g_path_get_dirname(path);

    if (link(blob->incoming, path) == 0)
        return true;
    if (errno == ENOENT && make_directories(dir) && link(blob->incoming, path) == 0)
        return true;
    if (errno == EEXIST && unlink(path) == 0 && link(blob->incoming, path) == 0)
        return true;
    return fault(error, FAULT_FAILURE, "%s: %s", path, g_strerror(errno));
}

void blob_free(Blob *blob)
{
    if (blob->incoming != NULL)
        unlink(blob->incoming);
    g_free(blob->incoming);
    g_free(blob->digest);
    g_free(blob);
}

char *blob_find(const char *locator, unsigned mailbox, unsigned item, unsigned revision)
{
    const Volume *volume = volume_get((unsigned)strtoul(locator, NULL, 10));

    if (volume == NULL)
        return NULL;
    char *path = volume_blob_path(volume, mailbox, item, revision);
    g_autofree char *dir = g_path_get_dirname(path);
    g_autofree char *old = g_strdup_printf("%s/%u.msg", dir, item);
    if (access(path, F_OK) == 0 || access(old, F_OK) != 0)
        return path;
    g_free(path);
    return g_steal_pointer(&old);
}

static GBytes *gunzip(const char *bytes, size_t length, uint64_t size)
{
    z_stream z = { 0 };
    unsigned char *in = g_memdup(bytes, (guint)length), *out = g_malloc(size + 1);

    z.next_in = in;
    z.avail_in = (uInt)length;
    z.next_out = out;
    z.avail_out = (uInt)size + 1;
    inflateInit2(&z, GZIP_WINDOW);
    int code = inflate(&z, Z_FINISH);
    size_t got = z.total_out;
    inflateEnd(&z);
    g_free(in);
    if (code == Z_STREAM_END)
        return g_bytes_new_take(out, got);
    g_free(out);
    return NULL;
}

GBytes *blob_read(const char *locator, unsigned mailbox, unsigned item, unsigned revision,
                  uint64_t size, GError **error)
{
    g_autofree char *path = blob_find(locator, mailbox, item, revision);
    char *bytes = NULL;
    gsize length = 0;
    GBytes *raw = NULL;

    if (path == NULL || !g_file_get_contents(path, &bytes, &length, NULL)) {
        fault(error, FAULT_NO_SUCH_BLOB, "No such blob: mailbox=%u, item=%u, change=%u", mailbox,
              item, revision);
        return NULL;
    }
    if (length > 2 && memcmp(bytes, "\x1f\x8b", 2) == 0 && length != size) {
        raw = gunzip(bytes, length, size);
        g_free(bytes);
        if (raw == NULL)
            fault(error, FAULT_FAILURE, "%s: not gzip", path);
    } else {
        raw = g_bytes_new_take(bytes, length);
    }
    return raw;
}

void blob_delete(const char *locator, unsigned mailbox, unsigned item, unsigned revision)
{
    g_autofree char *path = blob_find(locator, mailbox, item, revision);

    if (path != NULL)
        unlink(path);
}
