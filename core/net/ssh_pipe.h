/* ssh_pipe.h - one channel of a session joined to one local descriptor, bytes moving both ways.
 * Used by the pump thread only (ssh_pump.c), which owns the session; nothing here blocks. */
#ifndef ZX_NET_SSH_PIPE_H
#define ZX_NET_SSH_PIPE_H

#include "core/base/error.h"
#include <libssh/libssh.h>

typedef struct SshPipe SshPipe;

/* Runs @command there; takes @fd, its stdin and stdout. */
SshPipe *ssh_pipe_program(ssh_session session, const char *store, const char *command, int fd);
/* Connects to @host:@port as seen from there; takes @fd. */
SshPipe *ssh_pipe_connection(ssh_session session, const char *store, const char *host,
                             unsigned port, int fd);
void ssh_pipe_free(SshPipe *pipe); /* closes the channel and the descriptor */

typedef enum SshPipeState {
    SSH_PIPE_OPENING,
    SSH_PIPE_OPEN,
    SSH_PIPE_REFUSED,
    SSH_PIPE_ENDED
} SshPipeState;

/* Moves what can be moved now. @ready: what poll saw on the descriptor. */
SshPipeState ssh_pipe_advance(SshPipe *pipe, short ready);
const char *ssh_pipe_refusal(const SshPipe *pipe); /* why, after REFUSED */

/* What to poll for: a descriptor and events, or -1. With @congested nothing is read for sending. */
int ssh_pipe_interest(const SshPipe *pipe, bool congested, short *events);

#endif
