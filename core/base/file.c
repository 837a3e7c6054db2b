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
        fail(error, ZX_ERROR_STATE, "%s: %s", part, g_strerror(errno));
    if (fd >= 0)
        close(fd);
    if (ok && rename(part, path) != 0)
        ok = fail(error, ZX_ERROR_STATE, "%s: %s", path, g_strerror(errno));
    if (!ok && fd >= 0)
        unlink(part);
    return ok;
}

char *file_text(const char *path, GError **error)
{
    g_autoptr(GError) problem = NULL;
    char *text = NULL;

    if (g_file_get_contents(path, &text, NULL, &problem))
        return text;
    if (g_error_matches(problem, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        return g_strdup("");
    fail(error, ZX_ERROR_INPUT, "%s", problem->message);
    return NULL;
}
