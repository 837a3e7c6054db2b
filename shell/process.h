/* process.h - this program once more, under a hidden verb, in a session of its own that no shell and no
 * terminal keeps. What it is to do comes over a socket that it inherits: never in arguments or
 * environment, because secrets are among it. */
#ifndef ZX_SHELL_PROCESS_H
#define ZX_SHELL_PROCESS_H

#include "shell/shell.h"
#include <sys/types.h>

#define PROCESS_CHANNEL 3 /* the descriptor that it inherits */

/* Its stdin and stdout are nobody's, its stderr is appended to @output. *@channel: our end of the socket, which
 * no other child inherits. */
bool process_start(const char *verb, const char *output, int *channel, pid_t *pid,
                   GError **error) MUST_USE;
/* A field of the message; @value NULL: none. False when it is gone. */
bool process_tell(int channel, const char *name, const char *value) MUST_USE;
/* How the configuration is to be read there. */
bool process_tell_conf(int channel, const Conf *conf) MUST_USE;
/* That was the message. */
bool process_told(int channel) MUST_USE;

/* On its side, first of all: it leaves everything behind that it should not have, and gets the message,
 * field by field; the configuration's go to @shell. False if nobody has sent one. */
bool process_take(Shell *shell, void (*take)(void *data, const char *name, const char *value),
                  void *data) MUST_USE;

#endif
