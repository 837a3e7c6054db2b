/* warden.h - a process that stands by an operation whose end somebody wants to be told of: when the operation
 * dies without a word, it sends the mail that the dead cannot. It knows by a socket whose other end only
 * the operation has. */
#ifndef ZX_SHELL_WARDEN_H
#define ZX_SHELL_WARDEN_H

#include "shell/shell.h"

#define WARDEN_VERB "__warden"

/* Session.guard, Session.unguard. */
void warden_start(void *data, const char *operation, char **to);
void warden_end(void *data);
/* The process itself, from main; the exit status. */
int warden_run(Shell *shell);

#endif
