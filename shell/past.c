/* past.c - see past.h. A line of the file is a line as it was typed: no format to go wrong in. */
#include "shell/past.h"
#include "core/base/wait.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* More than this is read of no file. */
#define FILE_MAX ((size_t)4 << 20)

struct Past {
    char *file; /* NULL: nothing is kept */
    GPtrArray *lines;
    unsigned dropped; /* so many were before them */
};

/* Others hold it for a moment only; one that does not end costs a line of theirs or ours, no more. */
static void lock(int fd)
{
    Wait wait = wait_within(NULL, 500);

    while (flock(fd, LOCK_EX | LOCK_NB) != 0 && wait_left_ms(&wait, 1) > 0)
        wait_pause(&wait, 10);
}

/* The file, locked, if nobody else has a part in it; else -1 and why. */
static int open_file(const char *file, char **notice)
{
    int fd = open(file, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    struct stat st;

    if (fd < 0) {
        *notice = g_strdup_printf("%s: %s; the history is not kept", file,
                                  errno == ELOOP ? "a symbolic link" : g_strerror(errno));
        return -1;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1) {
        *notice =
            g_strdup_printf("%s: not a file of this user alone; the history is not kept", file);
        close(fd);
        return -1;
    }
    if ((st.st_mode & 077) != 0) {
        if (fchmod(fd, 0600) != 0) {
            *notice = g_strdup_printf("%s: open to others; the history is not kept", file);
            close(fd);
            return -1;
        }
        *notice = g_strdup_printf("%s: was open to others (mode %04o), now private", file,
                                  (unsigned)st.st_mode & 07777);
    }
    lock(fd);
    return fd;
}

static char *read_text(int fd)
{
    g_autoptr(GString) text = g_string_sized_new(4096);
    struct stat st;
    char piece[4096];
    ssize_t got;

    if (fstat(fd, &st) == 0 && st.st_size > (off_t)FILE_MAX)
        lseek(fd, st.st_size - (off_t)FILE_MAX, SEEK_SET);
    while (text->len < FILE_MAX && (got = read(fd, piece, sizeof piece)) > 0)
        g_string_append_len(text, piece, got);
    return g_utf8_make_valid(text->str, (gssize)strlen(text->str));
}

/* The newest lines alone, where many times as many have gathered. */
static void shorten(int fd, char **lines, guint count)
{
    g_autoptr(GString) text = g_string_new(NULL);

    if (count <= 2 * PAST_LINES)
        return;
    for (guint i = count - PAST_LINES; i < count; i++)
        g_string_append_printf(text, "%s\n", lines[i]);
    if (ftruncate(fd, 0) != 0 || write(fd, text->str, text->len) != (ssize_t)text->len)
        return; /* what is missing was old */
}

static void remember(Past *past, const char *line)
{
    if (past->lines->len > 0 &&
        strcmp(g_ptr_array_index(past->lines, past->lines->len - 1), line) == 0)
        return;
    if (past->lines->len == PAST_LINES) {
        g_ptr_array_remove_index(past->lines, 0);
        past->dropped++;
    }
    g_ptr_array_add(past->lines, g_strdup(line));
}

Past *past_open(const char *file, char **notice)
{
    Past *past = g_new0(Past, 1);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    guint count;
    int fd;

    *notice = NULL;
    past->lines = g_ptr_array_new_with_free_func(g_free);
    fd = open_file(file, notice);
    if (fd < 0)
        return past;
    past->file = g_strdup(file);
    text = read_text(fd);
    lines = g_strsplit(text, "\n", -1);
    count = g_strv_length(lines);
    if (count > 0 && *lines[count - 1] == '\0')
        count--;
    shorten(fd, lines, count);
    close(fd);
    for (guint i = 0; i < count; i++)
        remember(past, lines[i]);
    return past;
}

void past_free(Past *past)
{
    g_ptr_array_unref(past->lines);
    g_free(past->file);
    g_free(past);
}

bool past_add(Past *past, const char *line, const char *kept, char **notice)
{
    g_autofree char *whole = NULL;
    bool written;
    int fd;

    *notice = NULL;
    remember(past, line);
    if (past->file == NULL || kept == NULL)
        return true;
    fd = open_file(past->file, notice);
    if (fd < 0) {
        g_clear_pointer(&past->file, g_free);
        return false;
    }
    whole = g_strdup_printf("%s\n", kept);
    written = write(fd, whole, strlen(whole)) == (ssize_t)strlen(whole);
    if (!written) {
        g_free(*notice);
        *notice = g_strdup_printf("%s: %s; the history is not kept", past->file, g_strerror(errno));
        g_clear_pointer(&past->file, g_free);
    }
    close(fd);
    return written;
}

const GPtrArray *past_lines(const Past *past, unsigned *first)
{
    *first = past->dropped + 1;
    return past->lines;
}
