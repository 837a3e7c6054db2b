/* file.h - files of zxmove's own that must be whole at any moment. */
#ifndef ZX_BASE_FILE_H
#define ZX_BASE_FILE_H

#include "core/base/error.h"
#include <sys/types.h>

/* Whole or not at all: written beside its place with @mode, synced, renamed. STATE if it cannot. */
bool file_replace(const char *path, const char *text, mode_t mode, GError **error) MUST_USE;

/* All of @text to @fd, synced. False with errno. */
bool file_write(int fd, const char *text) MUST_USE;

/* All that @fd, or the file, gives until its end; a NUL follows it. @length may be NULL. INPUT if
 * it cannot be read, and the message begins with @path. g_free @text. */
bool file_read_fd(int fd, const char *path, char **text, gsize *length, GError **error) MUST_USE;
bool file_read(const char *path, char **text, gsize *length, GError **error) MUST_USE;

/* What is in it; "" if it is not there. NULL with INPUT. g_free. */
char *file_text(const char *path, GError **error) MUST_USE;

#endif
