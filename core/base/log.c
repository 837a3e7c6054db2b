/* log.c - see log.h. */
#include "core/base/log.h"
#include "core/base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = { "error", "warning", "info", "debug" };
static int log_fd = -1;
static LogLevel log_level = LOG_LEVEL_INFO;
static __thread char context_operation[40];
static __thread char context_account[320];

bool log_open(const char *path, LogLevel level, GError **error)
{
    log_close();
    log_level = level;
    if (path == NULL)
        return true;
    log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (log_fd < 0)
        return fail(error, ZX_ERROR_STATE, "%s: cannot open the log: %s", path, g_strerror(errno));
    return true;
}

void log_close(void)
{
    if (log_fd >= 0)
        close(log_fd);
    log_fd = -1;
}

void log_context(const char *operation, const char *account)
{
    g_strlcpy(context_operation, operation != NULL ? operation : "-", sizeof context_operation);
    g_strlcpy(context_account, account != NULL ? account : "-", sizeof context_account);
}

void log_at(LogLevel level, const char *fmt, ...)
{
    g_autoptr(GDateTime) now = NULL;
    g_autofree char *when = NULL;
    g_autofree char *text = NULL;
    g_autofree char *line = NULL;
    va_list args;

    if (log_fd < 0 || level > log_level)
        return;
    va_start(args, fmt);
    text = g_strdup_vprintf(fmt, args);
    va_end(args);
    g_strdelimit(text, "\r\n", ' ');
    now = g_date_time_new_now_local();
    when = g_date_time_format(now, "%Y-%m-%dT%H:%M:%S");
    line = g_strdup_printf("%s.%03d %-7s %s %s %s\n", when, g_date_time_get_microsecond(now) / 1000,
                           level_names[level], context_operation[0] ? context_operation : "-",
                           context_account[0] ? context_account : "-", text);
    /* One write, so that lines of several threads do not mix. A full disk loses the line, not the
     * move. */
    if (write(log_fd, line, strlen(line)) < 0)
        return;
}
