/* file.c - see file.h. */
#include "core/base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool file_write(int fd, const char *text)
{
    size_t length = strlen(text), done = 0;

    while (done < length) {
        ssize_t wrote = write(fd, text + done, length - done);

        if (wrote < 0 && errno != EINTR)
            return false;
        if (wrote > 0)
            done += (size_t)wrote;
    }
    return fsync(fd) == 0;
}

bool file_replace(const char *path, const char *text, mode_t mode, GError **error)
{
    g_autofree char *part = g_strconcat(path, ".part", NULL);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    bool ok = fd >= 0 && fchmod(fd, mode) == 0 && file_write(fd, text);

    if (!ok)
        fail(error, ZX_ERROR_STATE, "%s: %s", path, g_strerror(errno));
    if (fd >= 0)
        close(fd);
    if (ok && rename(part, path) != 0)
        ok = fail(error, ZX_ERROR_STATE, "%s: %s", path, g_strerror(errno));
    if (!ok && fd >= 0)
        unlink(part);
    return ok;
}

bool file_read_fd(int fd, const char *path, char **text, gsize *length, GError **error)
{
    enum { PIECE = 64 * 1024 };
    g_autoptr(GString) all = g_string_new(NULL);

    while (true) {
        gsize done = all->len;
        ssize_t got;

        g_string_set_size(all, done + PIECE);
        got = read(fd, all->str + done, PIECE);
        g_string_set_size(all, got > 0 ? done + (gsize)got : done);
        if (got < 0 && errno != EINTR)
            return fail(error, ZX_ERROR_INPUT, "%s: %s", path, g_strerror(errno));
        if (got == 0)
            break;
    }
    if (length != NULL)
        *length = all->len;
    *text = g_string_free(g_steal_pointer(&all), FALSE);
    return true;
}

bool file_read(const char *path, char **text, gsize *length, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok;

    if (fd < 0)
        return fail(error, ZX_ERROR_INPUT, "%s: %s", path, g_strerror(errno));
    ok = file_read_fd(fd, path, text, length, error);
    close(fd);
    return ok;
}

char *file_text(const char *path, GError **error)
{
    char *text = NULL;

    if (access(path, F_OK) != 0 && errno == ENOENT)
        return g_strdup("");
    return file_read(path, &text, NULL, error) ? text : NULL;
}
