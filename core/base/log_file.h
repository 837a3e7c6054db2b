/* log_file.h - the files of log.c: one that is rotated by its size and opened anew when logrotate
 * has taken it away, and one of each account. The caller holds the lock. */
#ifndef ZX_BASE_LOG_FILE_H
#define ZX_BASE_LOG_FILE_H

#include "core/base/log.h"

typedef struct LogFile LogFile;
LogFile *log_file_open(const char *path, uint64_t max_size, unsigned keep, GError **error);
void log_file_close(LogFile *file);
/* A full disk loses the line, not the operation. */
void log_file_write(LogFile *file, const char *line);

/* Adds @line to the file of @account in @directory, which is made (0700) with the first. */
void log_file_separate(const char *directory, const char *account, const char *line);
/* A file name for @account: its letters, digits and . _ + - = @, everything else as %XX, cut with a
 * digest of the whole where it is too long for a file system. */
char *log_file_name(const char *account);

#endif
