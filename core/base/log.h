/* log.h - lines for the person who reads them next month: time, level, operation, account, then the
 * sentence. Operation and account come from the thread's context, not from each call. Nobody logs
 * and returns the same error. No secret is ever passed to a formatter. */
#ifndef ZX_BASE_LOG_H
#define ZX_BASE_LOG_H

#include <glib.h>
#include <stdbool.h>

typedef enum LogLevel { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG } LogLevel;

/* Lines up to @level go to @path (created 0600; NULL = nowhere). Returns false with STATE. */
bool log_open(const char *path, LogLevel level, GError **error);
void log_close(void);

/* Sets what this thread works on; NULL clears. */
void log_context(const char *operation, const char *account);

void log_at(LogLevel level, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
#define log_error(...)   log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
