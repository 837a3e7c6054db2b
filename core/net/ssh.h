/* ssh.h - one ssh session to a store (libssh), carrying programs and connections as ordinary file
 * descriptors. A thread of its own pumps all channels of the session, so that any thread may use
 * the descriptors; it bounds what it buffers per channel. The host key must be in known_hosts
 * already: an unknown or changed one is an error that names the file and how to compare and store
 * the key. No password, no agent forwarding, no local TCP port. */
#ifndef ZX_NET_SSH_H
#define ZX_NET_SSH_H

#include "core/base/error.h"

typedef struct Ssh Ssh;

typedef struct SshTarget {
    const char *name;    /* the store, for messages */
    const char *address; /* host name or IP to connect to; known_hosts is searched for it */
    unsigned port;
    const char *user;
    const char *key_file;
    const char *known_hosts;
    unsigned timeout_s;
} SshTarget;

Ssh *ssh_connect_store(const SshTarget *target, GError **error) MUST_USE;
/* Closes all channels and removes the forwards' sockets. Descriptors given out end with EOF. */
void ssh_close(Ssh *ssh);

/* Runs @command there. Its stdin and stdout are the descriptor returned (a socket; shutdown(fd,
 * SHUT_WR) sends EOF); stderr is logged with the store's name. -1 on error. */
int ssh_run(Ssh *ssh, const char *command, GError **error) MUST_USE;

/* A unix socket in a private directory (0700, removed by ssh_close); every connection to it becomes
 * a direct-tcpip channel to @host:@port as seen from the store. The path is borrowed. */
const char *ssh_forward(Ssh *ssh, const char *host, unsigned port, GError **error) MUST_USE;

/* Removes the sockets of all forwards of this process, which is about to end without ssh_close. */
void ssh_abandon(void);

/* False once the connection is lost; @why (borrowed, may be NULL) says how. */
bool ssh_alive(Ssh *ssh, const char **why);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ssh, ssh_close)

#endif
