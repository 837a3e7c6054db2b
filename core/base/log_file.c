/* log_file.c - see log_file.h. */
#include "core/base/log_file.h"
#include "core/base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How often the path is looked at: logrotate may have put another file there. */
#define LOOK_US ((int64_t)G_USEC_PER_SEC)

struct LogFile {
    char *path;
    int fd;
    struct stat known; /* which file it is */
    uint64_t size, max_size;
    unsigned keep;
    int64_t looked;
};

static int open_private(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static bool reopen(LogFile *file)
{
    int fd = open_private(file->path);

    if (fd < 0 || fstat(fd, &file->known) != 0) {
        if (fd >= 0)
            close(fd);
        return false; /* what is open stays so */
    }
    if (file->fd >= 0)
        close(file->fd);
    file->fd = fd;
    file->size = (uint64_t)file->known.st_size;
    return true;
}

LogFile *log_file_open(const char *path, uint64_t max_size, unsigned keep, GError **error)
{
    LogFile *file = g_new0(LogFile, 1);

    file->path = g_strdup(path);
    file->fd = -1;
    file->max_size = max_size;
    file->keep = keep;
    file->looked = g_get_monotonic_time();
    if (reopen(file))
        return file;
    fail(error, ZX_ERROR_STATE, "%s: cannot open the log: %s", path, g_strerror(errno));
    log_file_close(file);
    return NULL;
}

void log_file_close(LogFile *file)
{
    if (file == NULL)
        return;
    if (file->fd >= 0)
        close(file->fd);
    g_free(file->path);
    g_free(file);
}

/* Renamed or removed: lines go to the name, not to the file that had it. Cut by copytruncate: its
 * size is another. */
static void follow_path(LogFile *file)
{
    const int64_t now = g_get_monotonic_time();
    struct stat there;

    if (now - file->looked < LOOK_US)
        return;
    file->looked = now;
    if (lstat(file->path, &there) != 0 || there.st_ino != file->known.st_ino ||
        there.st_dev != file->known.st_dev)
        reopen(file);
    else
        file->size = (uint64_t)there.st_size;
}

static char *numbered(const LogFile *file, unsigned number)
{
    return number == 0 ? g_strdup(file->path) : g_strdup_printf("%s.%u", file->path, number);
}

static void rotate(LogFile *file)
{
    for (unsigned i = file->keep; i > 0; i--) {
        g_autofree char *from = numbered(file, i - 1);
        g_autofree char *to = numbered(file, i);

        rename(from, to); /* the older ones need not be there */
    }
    if (file->keep == 0)
        unlink(file->path);
    reopen(file);
}

static void write_line(int fd, const char *line)
{
    size_t length = strlen(line), done = 0;

    while (done < length) {
        ssize_t wrote = write(fd, line + done, length - done);

        if (wrote < 0 && errno != EINTR)
            return;
        if (wrote > 0)
            done += (size_t)wrote;
    }
}

void log_file_write(LogFile *file, const char *line)
{
    const uint64_t length = strlen(line);

    follow_path(file);
    if (file->max_size != 0 && file->size != 0 && file->size + length > file->max_size)
        rotate(file);
    write_line(file->fd, line);
    file->size += length;
}

/* Of NAME_MAX, with room for ".log". */
#define NAME_LIMIT 200

char *log_file_name(const char *account)
{
    GString *name = g_string_new(NULL);

    for (const char *c = account; *c != '\0'; c++) {
        bool plain =
            g_ascii_isalnum(*c) || strchr("@_+=-", *c) != NULL || (*c == '.' && c != account);

        if (plain)
            g_string_append_c(name, *c);
        else
            g_string_append_printf(name, "%%%02X", (unsigned)(unsigned char)*c);
    }
    if (name->len > NAME_LIMIT) {
        g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, account, -1);

        g_string_truncate(name, NAME_LIMIT);
        g_string_append_printf(name, "-%.16s", digest);
    }
    g_string_append(name, ".log");
    return g_string_free(name, FALSE);
}

void log_file_separate(const char *directory, const char *account, const char *line)
{
    g_autofree char *name = log_file_name(account);
    g_autofree char *path = g_build_filename(directory, name, NULL);
    int fd = open_private(path);

    if (fd < 0 && errno == ENOENT && mkdir(directory, 0700) == 0)
        fd = open_private(path);
    if (fd < 0)
        return;
    write_line(fd, line);
    close(fd);
}
