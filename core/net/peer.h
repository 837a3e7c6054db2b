/* peer.h - a conversation with the agent on one store (core/agent; protocol:
 * core/agent/protocol.h).
 *
 * The agent is found installed or uploaded through ssh under a name that is its own SHA-256,
 * checked before it runs. One Peer belongs to one thread. Calls are answered in order;
 * core/move/stream.c keeps many under way through the functions at the end. An error of the agent
 * arrives with its code and the store's name; a conversation that broke answers CONNECT for ever.
 */
#ifndef ZX_NET_PEER_H
#define ZX_NET_PEER_H

#include "core/base/wait.h"
#include "core/base/wire.h"
#include "core/net/ssh.h"
#include "core/zimbra/volume.h"

typedef struct Peer Peer;

/* @ssh NULL: the agent is started beside us, without ssh. @agent_file is the program to upload. */
Peer *peer_open(const char *store, Ssh *ssh, const char *agent_file, unsigned timeout_s,
                GError **error) MUST_USE;
void peer_close(Peer *peer); /* the agent ends with its stdin */
const char *peer_store(const Peer *peer);
/* From now on it is asked under a claim that ends at *@until (Unix ms of the store's clock): the
 * agent changes nothing after that. The tick of @wait, which renews it, runs before a request and
 * while an answer is awaited. Both are borrowed; NULL: under none. */
void peer_claimed(Peer *peer, const Wait *wait, const int64_t *until);

/* What the agent may find out about its host: a fixed list (agent/protocol.h), never a secret
 * unless
 * @mariadb_password. Values by name ("zimbra_mailbox_groups", "ldap_url", "ldap_master_url",
 * "zimbra_mailbox_change_checkpoint_frequency", "zimbra_mailbox_lock_timeout", "debug_*",
 * "zimbra_class_*", "zimbra_relative_volume_path", "calendar_cache_directory", "timezone", "clock"
 * in Unix ms). Keys localconfig does not set carry Zimbra's default (doc/platform.md 1.6). */
GHashTable *peer_facts(Peer *peer, const char *zimbra_home, bool mariadb_password,
                       GError **error) MUST_USE;

/* The load of its host, the average of a minute. */
bool peer_load(Peer *peer, double *load, GError **error) MUST_USE;

/* Tells the agent where a volume's root is; all later calls name the volume by its id. The agent
 * opens the root once and stays below it (openat, O_NOFOLLOW). */
bool peer_volume(Peer *peer, const Volume *volume, GError **error) MUST_USE;

typedef struct PeerSpace {
    uint64_t free_bytes, total_bytes;
    uint64_t device; /* same number: same file system */
} PeerSpace;
bool peer_space(Peer *peer, unsigned volume, PeerSpace *out, GError **error) MUST_USE;
/* Free space below an absolute directory that a fact named (the MariaDB data directory). */
bool peer_space_path(Peer *peer, const char *directory, PeerSpace *out, GError **error) MUST_USE;

/* What lies under <volume>/<dir1>/<mailbox_id>: files and bytes; both 0 if there is no directory.
 */
bool peer_mailbox_usage(Peer *peer, unsigned volume, uint32_t mailbox_id, uint64_t *files,
                        uint64_t *bytes, GError **error) MUST_USE;

struct BlobRef; /* core/agent/protocol.h */
/* Reads a blob: whether it has the size and the digest of its row. @damage (g_free) says what it has
 * instead; NULL if it is as it should be. */
bool peer_blob_check(Peer *peer, const struct BlobRef *ref, char **damage, GError **error) MUST_USE;

/* Removes <volume>/<dir1>/<mailbox_id> recursively, never through a link, never another name, but no
 * more than @most files at once: all is gone when *files is less. */
bool peer_mailbox_remove(Peer *peer, unsigned volume, uint32_t mailbox_id, uint32_t most,
                         uint64_t *files, uint64_t *bytes, GError **error) MUST_USE;

/* Calendar disk cache of a mailbox id (doc/platform.md 5.4): present? / remove it. @directory is
 * the fact calendar_cache_directory. */
bool peer_calcache_exists(Peer *peer, const char *directory, uint32_t mailbox_id, bool *out,
                          GError **error) MUST_USE;
bool peer_calcache_remove(Peer *peer, const char *directory, uint32_t mailbox_id,
                          GError **error) MUST_USE;

/* Makes everything written to the volume so far durable (one syncfs); outside windows only. */
bool peer_syncfs(Peer *peer, unsigned volume, GError **error) MUST_USE;

/* Shared volumes: creates / looks for / removes a probe file of a random name in a private
 * directory at the volume's root. @token is 32 hex digits made by the caller. */
bool peer_probe_put(Peer *peer, unsigned volume, const char *token, GError **error) MUST_USE;
bool peer_probe_seen(Peer *peer, unsigned volume, const char *token, bool *out,
                     GError **error) MUST_USE;
bool peer_probe_drop(Peer *peer, unsigned volume, const char *token, GError **error) MUST_USE;

/* Index files of a mailbox, in the order of the directory (doc/platform.md 4). */
typedef struct IndexFile {
    char *name;
    uint64_t size;
    int64_t mtime_ns;
} IndexFile;
/* Of IndexFile; empty if there is no directory. */
GPtrArray *peer_index_list(Peer *peer, unsigned volume, uint32_t mailbox_id,
                           GError **error) MUST_USE;
bool peer_index_remove(Peer *peer, unsigned volume, uint32_t mailbox_id, GError **error) MUST_USE;
void index_file_free(IndexFile *file);

/* A file among a mailbox's blobs, by its name. */
typedef struct BlobEntry {
    bool in_place;        /* in the directory that its number belongs to */
    uint32_t item, mod_content; /* mod_content 0: the name of very old stores, without one */
    uint64_t length;
    int64_t mtime; /* Unix s */
    const char *path; /* below the mailbox's msg; lives for the call */
} BlobEntry;
/* Tells @found of each file; what is no blob by its name is left out. @found may take its time, and
 * ends the listing by answering false with an error; the conversation is broken then. */
typedef bool BlobFound(void *data, const BlobEntry *entry, GError **error);
bool peer_blob_list(Peer *peer, unsigned volume, uint32_t mailbox_id, BlobFound *found, void *data,
                    GError **error) MUST_USE;
/* Ids (of uint32_t) that have a directory on the volume. */
GArray *peer_mailboxes(Peer *peer, unsigned volume, GError **error) MUST_USE;

/* The backup of the store: where it is, told before the rest; what an account has in it. */
bool peer_backup_root(Peer *peer, const char *path, GError **error) MUST_USE;
bool peer_backup_space(Peer *peer, PeerSpace *out, GError **error) MUST_USE;
typedef struct BackupFile {
    char *name; /* below the account's directory, with '/' in it */
    uint64_t size;
    int64_t mtime_ns;
    bool plain; /* false: a link or something else that is not copied */
} BackupFile;
/* Of BackupFile, by name; empty if the account has no directory there. */
GHashTable *peer_backup_list(Peer *peer, const char *account_id, GError **error) MUST_USE;

/* The wire below, for peer_ask.c, and for core/move/stream.c, which keeps many requests under way. */
int peer_fd(Peer *peer); /* to poll */
WireOut *peer_out(Peer *peer);
/* Begins a request in peer_out(); wire_finish() ends it. */
void peer_begin(Peer *peer, uint8_t type, uint8_t flags);
/* The same for the END of what is written under @stream. */
void peer_begin_end(Peer *peer, uint16_t stream);
/* The stream number of the request begun last. */
uint16_t peer_stream(const Peer *peer);
/* Sends and receives what is possible without waiting; @receive false: sends only. */
bool peer_pump(Peer *peer, bool receive, GError **error) MUST_USE;
/* A frame that was received: 1, 0 none, -1 broken. Its payload lives until the next peer_pump. */
int peer_next(Peer *peer, WireFrame *frame, GError **error) MUST_USE;
/* The next frame of the answer to the request begun last; an ERROR fails. */
bool peer_answer(Peer *peer, WireFrame *frame, GError **error) MUST_USE;
/* Judges what was decoded; a message that makes no sense ends the conversation. */
bool peer_understood(Peer *peer, const WireIn *in, GError **error) MUST_USE;
/* Nothing of a secret stays behind in the buffer. */
void peer_wipe(Peer *peer);
/* TIMEOUT, and broken, if an answer is due and the peer was silent for its time. */
bool peer_patience(Peer *peer, GError **error) MUST_USE;
/* Its patience begins anew: it was not listened to. */
void peer_touch(Peer *peer);
/* Decodes an ERROR frame into @error, with the store's name; returns false. */
bool peer_refusal(Peer *peer, const WireFrame *frame, GError **error);
/* Marks the conversation broken (a stream that ended half-way); returns false with CONNECT. */
bool peer_break(Peer *peer, GError **error, const char *why);
bool peer_broken(const Peer *peer);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Peer, peer_close)

#endif
