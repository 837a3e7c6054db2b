/* files.h - what a fuzzer's harness needs that reads files: a private directory in memory for as
 * long as the process lives. */
#ifndef ZX_TESTS_FUZZ_FILES_H
#define ZX_TESTS_FUZZ_FILES_H

#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static char *fuzz_dir;

static void fuzz_clear(const char *path)
{
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    const char *name;

    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *below = g_build_filename(path, name, NULL);

        if (g_file_test(below, G_FILE_TEST_IS_DIR) && !g_file_test(below, G_FILE_TEST_IS_SYMLINK))
            fuzz_clear(below);
        g_remove(below);
    }
}

static void fuzz_end(void)
{
    fuzz_clear(fuzz_dir);
    g_rmdir(fuzz_dir);
    g_free(fuzz_dir);
}

/* A path in the directory. g_free. */
static char *fuzz_path(const char *name)
{
    const char *memory = g_access("/dev/shm", W_OK) == 0 ? "/dev/shm" : g_get_tmp_dir();

    if (fuzz_dir == NULL) {
        fuzz_dir = g_build_filename(memory, "zxfuzz.XXXXXX", NULL);
        g_assert(g_mkdtemp(fuzz_dir) != NULL);
        atexit(fuzz_end);
    }
    return g_build_filename(fuzz_dir, name, NULL);
}

/* The file @name with these bytes, for nobody else. g_free. */
static char *fuzz_file(const char *name, const void *data, size_t size)
{
    char *path = fuzz_path(name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    g_assert(fd >= 0 && write(fd, data, size) == (ssize_t)size && close(fd) == 0);
    return path;
}

#endif
