/* log.c - see log.h. */
#include "core/base/log.h"
#include "core/base/log_file.h"
#include "core/base/log_journal.h"
#include <string.h>
#include <syslog.h>
#include <unistd.h>

static const char *const level_names[] = { "error", "warning", "info", "debug" };
static const int priorities[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
static const char *const target_names[] = { "file", "syslog", "journald" };

/* Mailboxes in flight share them. */
static GMutex log_mutex;
static struct {
    bool open;
    LogTarget target;
    LogLevel level;
    LogFile *file;
    int journal;
    char *separate;
} current = { .journal = -1 };

static __thread char context_operation[40];
static __thread char context_account[320];

bool log_open(const LogPlan *plan, GError **error)
{
    LogFile *file = NULL;

    log_close();
    if (plan->target == LOG_TO_FILE) {
        file = log_file_open(plan->path, plan->max_size, plan->keep, error);
        if (file == NULL)
            return false;
    }
    g_mutex_lock(&log_mutex);
    current.target = plan->target;
    current.level = plan->level;
    current.file = file;
    current.separate = g_strdup(plan->separate);
    if (plan->target == LOG_TO_SYSLOG)
        openlog("zxmove", LOG_PID | LOG_NDELAY, LOG_MAIL);
    if (plan->target == LOG_TO_JOURNAL)
        current.journal = log_journal_open(NULL);
    current.open = true;
    g_mutex_unlock(&log_mutex);
    return true;
}

void log_close(void)
{
    g_mutex_lock(&log_mutex);
    if (current.open && current.target == LOG_TO_SYSLOG)
        closelog();
    if (current.journal >= 0)
        close(current.journal);
    current.journal = -1;
    g_clear_pointer(&current.file, log_file_close);
    g_clear_pointer(&current.separate, g_free);
    current.open = false;
    g_mutex_unlock(&log_mutex);
}

void log_context(const char *operation, const char *account)
{
    g_strlcpy(context_operation, operation != NULL ? operation : "", sizeof context_operation);
    g_strlcpy(context_account, account != NULL ? account : "", sizeof context_account);
}

static unsigned index_of(const char *name, const char *const *names, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    g_assert_not_reached();
}

LogLevel log_level_named(const char *name)
{
    return (LogLevel)index_of(name, level_names, G_N_ELEMENTS(level_names));
}

LogTarget log_target_named(const char *name)
{
    return (LogTarget)index_of(name, target_names, G_N_ELEMENTS(target_names));
}

static char *line_of(LogLevel level, const char *operation, const char *account, const char *text)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autofree char *when = g_date_time_format(now, "%Y-%m-%dT%H:%M:%S");

    return g_strdup_printf("%s.%03d %-7s %s %s %s\n", when, g_date_time_get_microsecond(now) / 1000,
                           level_names[level], operation, account, text);
}

static void write_everywhere(LogLevel level, const char *text)
{
    const char *operation = *context_operation != '\0' ? context_operation : "-";
    const char *account = *context_account != '\0' ? context_account : "-";
    g_autofree char *line = line_of(level, operation, account, text);

    switch (current.target) {
    case LOG_TO_FILE:
        log_file_write(current.file, line);
        break;
    case LOG_TO_SYSLOG: /* has its own time and level */
        syslog(priorities[level], "%s %s %s", operation, account, text);
        break;
    case LOG_TO_JOURNAL:
        if (current.journal >= 0)
            log_journal_write(current.journal, priorities[level], operation, account, text);
        break;
    }
    if (current.separate != NULL && *context_account != '\0')
        log_file_separate(current.separate, context_account, line);
}

void log_at(LogLevel level, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    g_mutex_lock(&log_mutex);
    if (current.open && level <= current.level) {
        va_start(args, fmt);
        text = g_strdup_vprintf(fmt, args);
        va_end(args);
        g_strdelimit(text, "\r\n", ' ');
        write_everywhere(level, text);
    }
    g_mutex_unlock(&log_mutex);
}
