/* ssh_pump.h - the thread that owns an authenticated session and moves the bytes of its channels.
 */
#ifndef ZX_NET_SSH_PUMP_H
#define ZX_NET_SSH_PUMP_H

#include "core/base/error.h"
#include <libssh/libssh.h>

typedef struct SshPump SshPump;

/* Takes @session. */
SshPump *ssh_pump_start(ssh_session session, const char *store, unsigned timeout_s,
                        GError **error) MUST_USE;
void ssh_pump_stop(SshPump *pump);

/* The descriptor of a program started there, or -1. */
int ssh_pump_run(SshPump *pump, const char *command, GError **error) MUST_USE;

/* Takes the listening socket @fd: each connection to it is carried to @host:@port. */
bool ssh_pump_listen(SshPump *pump, int fd, const char *host, unsigned port,
                     GError **error) MUST_USE;

/* False once the connection is lost; @why (may be NULL) is borrowed. */
bool ssh_pump_alive(SshPump *pump, const char **why);

#endif
