/* files.h - temporary directories and files for unit tests of the agent. */
#ifndef ZX_TESTS_UNIT_FILES_H
#define ZX_TESTS_UNIT_FILES_H

#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

static inline char *temporary_dir(void)
{
    char *dir = g_dir_make_tmp("zxmove-test-XXXXXX", NULL);

    assert_non_null(dir);
    return dir;
}

/* Takes @dir over. */
static inline void remove_dir(char *dir)
{
    char *argv[] = { (char[]){ "rm" }, (char[]){ "-rf" }, dir, NULL };

    assert_true(
        g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
    g_free(dir);
}

static inline void write_file(const char *dir, const char *name, const void *bytes, size_t length)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    g_autofree char *parent = g_path_get_dirname(path);

    assert_int_equal(g_mkdir_with_parents(parent, 0750), 0);
    assert_true(g_file_set_contents(path, bytes, (gssize)length, NULL));
    assert_int_equal(chmod(path, 0640), 0);
}

/* NULL if there is no such file. */
static inline char *read_file(const char *dir, const char *name, size_t *length)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    char *bytes = NULL;

    return g_file_get_contents(path, &bytes, length, NULL) ? bytes : NULL;
}

static inline bool exists(const char *dir, const char *name)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    struct stat st;

    return lstat(path, &st) == 0;
}

/* blob_digest of a content: base64 with ',' for '/'. */
static inline char *digest_of(GChecksumType type, const void *bytes, size_t length)
{
    g_autoptr(GChecksum) sum = g_checksum_new(type);
    guint8 raw[32];
    gsize size = sizeof raw;

    g_checksum_update(sum, bytes, (gssize)length);
    g_checksum_get_digest(sum, raw, &size);
    return g_strdelimit(g_base64_encode(raw, size), "/", ',');
}

static inline void *gzipped(const void *bytes, size_t length, size_t *size)
{
    z_stream zip = { 0 };
    uLong bound;
    uint8_t *out;

    assert_int_equal(deflateInit2(&zip, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY),
                     Z_OK);
    bound = deflateBound(&zip, (uLong)length);
    out = g_malloc(bound);
    zip.next_in = (Bytef *)(uintptr_t)bytes;
    zip.avail_in = (uInt)length;
    zip.next_out = out;
    zip.avail_out = (uInt)bound;
    assert_int_equal(deflate(&zip, Z_FINISH), Z_STREAM_END);
    *size = zip.total_out;
    deflateEnd(&zip);
    return out;
}

/* The agent of this build, beside the tests' directory. */
static inline char *agent_path(const char *test)
{
    g_autofree char *dir = g_path_get_dirname(test);

    return g_build_filename(dir, "..", "..", "zxmove-agent", NULL);
}

#endif
