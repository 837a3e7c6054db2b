/* background.h - operations as processes of their own (process.h): a line of the shell, or of --async, that
 * goes on without it. */
#ifndef ZX_SHELL_BACKGROUND_H
#define ZX_SHELL_BACKGROUND_H

#include "shell/shell.h"

#define BACKGROUND_VERB "__operation"

/* Session.start. */
bool background_start(void *data, const char *operation, Result *result, GError **error) MUST_USE;
/* The process itself, from main; the exit status. */
int background_run(Shell *shell);
/* Those that this shell has started and that have not ended, as lines; NULL: none. */
char *background_left(void);
/* Those that have ended since it was asked last, as lines; NULL: none. @seen: whose end was shown,
 * so that it need not be told; or NULL. */
char *background_ended(const char *seen);

#endif
