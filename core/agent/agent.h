/* agent.h - the agent's state and how its parts answer. One request at a time; nothing here is
 * shared but the output, which the thread that says ALIVE also writes to. */
#ifndef ZX_AGENT_AGENT_H
#define ZX_AGENT_AGENT_H

#include "core/agent/content.h"
#include "core/agent/tree.h"
#include <sys/stat.h>

/* What is being written beside its place: its name with this behind it. */
#define AGENT_TEMPORARY ".zxmove"

#define AGENT_DIRS 16 /* blob directories held open */

typedef struct AgentDir {
    Tree *tree; /* NULL: a free place */
    uint32_t mailbox, group;
    int fd;
} AgentDir;

/* The one file being written: contents come in order. */
typedef struct AgentWriter {
    bool active;
    uint16_t stream;
    uint8_t flags;
    bool blob;
    GError *error; /* the first; the rest of the content is then ignored, END answers with it */
    Tree *tree;
    BlobRef ref;
    struct timespec mtime; /* of a file of an index or a backup */
    int dir, fd;
    char name[NAME_SIZE], temporary[NAME_SIZE + 16];
    uint64_t expected, written;
    Content *content;
} AgentWriter;

typedef struct Agent {
    WireOut out;
    Tree *trees[256];
    Tree *backup; /* NULL until its root is told */
    AgentDir dirs[AGENT_DIRS];
    unsigned next_dir;
    AgentWriter writer;
    GArray *unsynced; /* of int: files to be made durable by FLUSH */
    int flush_failed; /* errno of a batch that could not be made durable, until FLUSH has told it */
    GArray *unsynced_dirs; /* of AgentDir with a descriptor of its own */
} Agent;

typedef bool AgentHandler(Agent *agent, const WireFrame *frame, WireIn *in, GError **error);

/* Shows that a long request is still at work. */
void agent_step(void);
/* Sends what is in agent->out. */
void agent_send(Agent *agent);
void agent_ok(Agent *agent, const WireFrame *frame);

/* Answers with the space of the file system that @fd is on. */
bool agent_answer_space(Agent *agent, const WireFrame *frame, int fd, const char *what, GError **error);

/* The tree of a volume told before; NOT_FOUND. */
Tree *agent_tree(Agent *agent, unsigned volume, GError **error);
/* Closes the directories held open; of @tree, or all of them. */
void agent_forget_dirs(Agent *agent, const Tree *tree);

void agent_write_init(Agent *agent);
/* Removes a file half written. */
void agent_write_clear(Agent *agent);

/* What FLUSH has to sync: takes a copy of each descriptor (@file < 0: the directory only). */
bool agent_unsynced(Agent *agent, int dir, int file, GError **error);

/* Streams the regular file @name in @dir (taken over; no link, no pipe) as HEAD, DATA and TAIL, hashed as
 * it is. */
bool agent_stream_file(Agent *agent, const WireFrame *frame, int dir, const char *name, GError **error);

/* One handler may serve several requests that are alike. */
AgentHandler agent_facts, agent_volume, agent_space, agent_space_path, agent_usage, agent_calcache,
    agent_syncfs, agent_flush, agent_probe, agent_index_list, agent_index_remove, agent_index_drop,
    agent_index_read, agent_index_write, agent_blob_have, agent_blob_read, agent_blob_write,
    agent_blob_stat, agent_blob_hash, agent_blob_unlink, agent_blob_look, agent_blob_list,
    agent_mailboxes, agent_backup_root, agent_backup_space, agent_backup_list,
    agent_backup_read, agent_backup_write, agent_backup_sync, agent_load, agent_data, agent_end;

/* The directory of an item's blobs, held open by the agent; -1 and errno. */
int blob_dir(Agent *agent, Tree *tree, uint32_t mailbox, uint32_t item, TreeMake make);
/* Opens a regular file for reading; anything else there is ELOOP. */
int open_file(int dir, const char *name, struct stat *st);
/* Hashes an open file from its beginning. */
bool judge(int fd, const struct stat *st, const BlobRef *ref, ContentIs *is, GError **error);

/* Puts the content of @from, gzipped, into the empty @to. */
bool compress_file(int from, int to, GError **error) MUST_USE;

/* CONNECT while a file is written: contents come in order. */
bool agent_write_idle(const Agent *agent, GError **error);
/* Begins writing @name in @dir (taken over) for the request @frame. */
bool agent_write_begin(Agent *agent, const WireFrame *frame, Tree *tree, int dir, const char *name,
                       GError **error);

/* @frame begins or ends a file that is not to be written: its content is passed over, and END
 * answers with @why (taken). */
bool agent_write_refused(Agent *agent, const WireFrame *frame, WireIn *in, GError *why,
                         GError **error);

/* A file of an index or a backup, by its mtime and length. */
typedef struct PlainFile {
    char name[NAME_SIZE];
    struct timespec mtime;
    uint64_t length;
} PlainFile;
static inline uint64_t mtime_ns(const struct stat *st)
{
    return (uint64_t)st->st_mtim.tv_sec * 1000000000 + (uint64_t)st->st_mtim.tv_nsec;
}
void plain_file_get(WireIn *in, PlainFile *file);
/* The same for such a file. @dir < 0: @problem (taken) says why there is none; END answers with it, but
 * for CONNECT: what was no request. */
bool agent_write_plain(Agent *agent, const WireFrame *frame, Tree *tree, int dir,
                       const PlainFile *file, GError *problem, GError **error);

#endif
