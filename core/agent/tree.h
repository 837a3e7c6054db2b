/* tree.h - the agent's hold on a volume: its root is opened once, and everything below is reached
 * from there one numbered directory at a time (openat, O_NOFOLLOW), so that no symbolic link is
 * ever followed and nothing outside is ever named. A root itself may be reached through one:
 * administrators do that. */
#ifndef ZX_AGENT_TREE_H
#define ZX_AGENT_TREE_H

#include "core/agent/protocol.h"
#include <sys/stat.h>
#include <sys/types.h>

typedef struct Tree {
    AgentVolumeInfo info;
    int root;
    dev_t device;
    /* What mailboxd's own files here look like: new ones must, or it cannot read or delete them. */
    uid_t uid;
    gid_t gid;
    mode_t dir_mode, file_mode;
    bool learned;
} Tree;

Tree *tree_open(const AgentVolumeInfo *info, GError **error);
/* Any directory, without a volume's numbers; new files get the owner and, but for its x, the mode of the
 * root. */
Tree *tree_open_plain(const char *path, GError **error);
void tree_close(Tree *tree);

/* The error of a system call: code from @number, "@what: ..." as message. */
bool fail_errno(GError **error, int number, const char *what);

typedef enum TreeMake {
    TREE_LOOK,         /* what is missing is ENOENT */
    TREE_MAKE,         /* made with the mode and owner of its neighbours */
    TREE_MAKE_DURABLE, /* and its parent synced */
} TreeMake;

/* Directories below the root, by number; -1 and errno. */
int tree_mailbox_dir(Tree *tree, uint32_t mailbox, TreeMake make);
int tree_blob_dir(Tree *tree, uint32_t mailbox, uint32_t group, TreeMake make);
int tree_index_dir(Tree *tree, uint32_t mailbox, TreeMake make); /* index/0 */
/* The directory that @parts lead to, name by name. */
int tree_descend(Tree *tree, const char *const *parts, unsigned count, TreeMake make);
/* The number of the directory an item's blobs are in. */
uint32_t tree_blob_group(const Tree *tree, uint32_t item);
/* The same of the directory that holds a mailbox's. */
uint32_t tree_mailbox_group(const Tree *tree, uint32_t mailbox);

/* Opens the directory @name in the directory @at. */
int tree_enter(int at, const char *name);

/* Gives a new file the mode and owner of its neighbours; false with DENIED when it would belong to
 * somebody else. */
bool tree_adopt(Tree *tree, int fd, GError **error);

typedef struct TreeUsage {
    uint64_t files, bytes;
} TreeUsage;
#define TREE_ALL UINT64_MAX
/* Counts what is below @at/@name, and removes it, but no more files than @remove (0: none): less was
 * removed when all is gone. No such name: zeros. @step is called often, so that a long walk shows that
 * it is alive. */
bool tree_walk(int at, const char *name, uint64_t remove, void (*step)(void), TreeUsage *usage,
               GError **error);

#endif
