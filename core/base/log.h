/* log.h - lines for the person who reads them next month: time, level, operation, account, then the
 * sentence. Operation and account come from the thread's context, not from each call. Nobody logs
 * and returns the same error. No secret is ever passed to a formatter. Any thread may write. */
#ifndef ZX_BASE_LOG_H
#define ZX_BASE_LOG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum LogLevel { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG } LogLevel;
typedef enum LogTarget { LOG_TO_FILE, LOG_TO_SYSLOG, LOG_TO_JOURNAL } LogTarget;

/* Where lines go. Files are made 0600; links are not followed. */
typedef struct LogPlan {
    LogTarget target;
    const char *path;     /* of the file */
    uint64_t max_size;    /* a file that would grow above it becomes PATH.1; 0: never */
    unsigned keep;        /* so many of those: PATH.1 is the newest */
    LogLevel level;       /* lines up to it */
    const char *separate; /* directory: each account's lines go to a file of its own, too; NULL: no */
} LogPlan;

/* False with STATE when the file cannot be opened; a syslog or a journal that does not answer loses
 * lines, not the operation. The strings of @plan are copied. */
bool log_open(const LogPlan *plan, GError **error);
void log_close(void);

/* Sets what this thread works on; NULL clears. */
void log_context(const char *operation, const char *account);

/* "error", "warning", "info" or "debug". */
LogLevel log_level_named(const char *name);
/* "file", "syslog" or "journald". */
LogTarget log_target_named(const char *name);

void log_at(LogLevel level, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
#define log_error(...)   log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
