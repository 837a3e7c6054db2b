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

/* What a host shows to prove who it is. */
typedef struct SshHostKey {
    char *type;        /* "ssh-ed25519" */
    char *fingerprint; /* "SHA256:..." */
    char *host;        /* as known_hosts names it: "[10.0.0.11]:2222" */
    char *line;        /* as known_hosts has it */
} SshHostKey;
/* Connects, listens, and does not log in: nothing is believed and nothing given away. */
SshHostKey *ssh_host_key(const SshTarget *target, GError **error) MUST_USE;
void ssh_host_key_free(SshHostKey *key);

/* ssh_known.c: what @text, the contents of a known_hosts, says of a key. */
typedef enum SshKnown { SSH_KEY_KNOWN, SSH_KEY_NEW, SSH_KEY_CHANGED } SshKnown;
/* @recorded (g_free): CHANGED: the fingerprints of the keys it has of the host instead. */
SshKnown ssh_key_known(const char *text, const SshHostKey *key, char **recorded);
/* @text with this key, and no other, for its host. REFUSED if a line with another one is not of this
 * host alone. g_free. */
char *ssh_key_put(const char *text, const SshHostKey *key, GError **error) MUST_USE;

Ssh *ssh_connect_store(const SshTarget *target, GError **error) MUST_USE;
/* The last one to close it closes all channels and removes the forwards' sockets. Descriptors given out
 * end with EOF. */
void ssh_close(Ssh *ssh);
/* One more who uses it and has to close it; NULL if it is lost, or if @most use it already. */
Ssh *ssh_share(Ssh *ssh, int most);

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
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SshHostKey, ssh_host_key_free)

#endif
