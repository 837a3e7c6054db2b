/* volume.c - requests about a volume as a whole: what it is, space, one mailbox's directory,
 * durability, probes; and the calendar cache, which lies beside the volumes. */
#include "core/agent/agent.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PROBE_DIR   "zxmove.probe"
#define PROBE_TRIES 100

Tree *agent_tree(Agent *agent, unsigned volume, GError **error)
{
    if (volume < G_N_ELEMENTS(agent->trees) && agent->trees[volume] != NULL)
        return agent->trees[volume];
    fail(error, ZX_ERROR_NOT_FOUND, "volume %u was not described", volume);
    return NULL;
}

void agent_forget_dirs(Agent *agent, const Tree *tree)
{
    for (unsigned i = 0; i < AGENT_DIRS; i++) {
        AgentDir *dir = &agent->dirs[i];

        if (dir->tree != NULL && (tree == NULL || dir->tree == tree)) {
            close(dir->fd);
            *dir = (AgentDir){ 0 };
        }
    }
}

bool agent_volume(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    AgentVolumeInfo info;
    Tree *tree;

    agent_volume_get(in, &info);
    if (!wire_end(in, error))
        return false;
    if (agent->writer.active)
        return fail(error, ZX_ERROR_CONNECT, "a volume is described while a file is written");
    tree = tree_open(&info, error);
    if (tree == NULL)
        return false;
    agent_forget_dirs(agent, agent->trees[info.id]);
    tree_close(agent->trees[info.id]);
    agent->trees[info.id] = tree;
    agent_ok(agent, frame);
    return true;
}

bool agent_answer_space(Agent *agent, const WireFrame *frame, int fd, const char *what,
                        GError **error)
{
    struct statvfs fs;
    struct stat st;

    if (fstatvfs(fd, &fs) != 0 || fstat(fd, &st) != 0)
        return fail_errno(error, errno, what);
    wire_begin(&agent->out, AGENT_SPACE_IS, 0, frame->stream);
    wire_put_u64(&agent->out, (uint64_t)fs.f_bavail * fs.f_frsize);
    wire_put_u64(&agent->out, (uint64_t)fs.f_blocks * fs.f_frsize);
    wire_put_u64(&agent->out, st.st_dev);
    wire_finish(&agent->out);
    return true;
}

bool agent_space(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    unsigned volume = wire_u8(in);
    Tree *tree;

    if (!wire_end(in, error) || (tree = agent_tree(agent, volume, error)) == NULL)
        return false;
    return agent_answer_space(agent, frame, tree->root, tree->info.path, error);
}

static int open_absolute(const char *path, GError **error)
{
    int fd = -1;

    if (path[0] != '/')
        fail(error, ZX_ERROR_REFUSED, "'%s' is not an absolute path", path);
    else if ((fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        fail_errno(error, errno, path);
    return fd;
}

bool agent_space_path(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    char path[WIRE_TEXT];
    bool ok;
    int fd;

    wire_text(in, path, sizeof path);
    if (!wire_end(in, error) || (fd = open_absolute(path, error)) < 0)
        return false;
    ok = agent_answer_space(agent, frame, fd, path, error);
    close(fd);
    return ok;
}

/* USAGE and REMOVE. */
bool agent_usage(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    unsigned volume = wire_u8(in);
    uint32_t mailbox = wire_u32(in);
    uint32_t remove = frame->type == AGENT_REMOVE ? wire_u32(in) : 0;
    TreeUsage usage = { 0 };
    char name[12];
    Tree *tree;
    int fd, parent;
    bool ok = true;

    if (!wire_end(in, error) || (tree = agent_tree(agent, volume, error)) == NULL)
        return false;
    if (remove != 0 && agent->writer.active)
        return fail(error, ZX_ERROR_CONNECT, "a mailbox is removed while a file is written");
    fd = tree_mailbox_dir(tree, mailbox, TREE_LOOK);
    if (fd < 0 && errno != ENOENT)
        return fail_errno(error, errno, tree->info.path);
    if (fd >= 0) {
        agent_forget_dirs(agent, tree);
        parent = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(fd);
        if (parent < 0)
            return fail_errno(error, errno, tree->info.path);
        snprintf(name, sizeof name, "%u", mailbox);
        ok = tree_walk(parent, name, remove, agent_step, &usage, error);
        close(parent);
    }
    if (!ok)
        return fail_prefix(error, "%s, mailbox %u", tree->info.path, mailbox);
    wire_begin(&agent->out, AGENT_USAGE_IS, 0, frame->stream);
    wire_put_u64(&agent->out, usage.files);
    wire_put_u64(&agent->out, usage.bytes);
    wire_finish(&agent->out);
    return true;
}

/* The directory that holds the cache of @mailbox: <directory>/<d>, d by doc/platform.md 5.4 0 or 8.
 * *fd is -1 when there is none. */
static bool calcache_parent(const char *directory, uint32_t mailbox, int *fd, GError **error)
{
    int root, why;

    *fd = -1;
    if (directory[0] != '/')
        return fail(error, ZX_ERROR_REFUSED, "'%s' is not an absolute path", directory);
    root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return errno == ENOENT ? true : fail_errno(error, errno, directory);
    *fd = tree_enter(root, (mailbox >> 12 & 8) != 0 ? "8" : "0");
    why = errno;
    close(root);
    return *fd >= 0 || why == ENOENT ? true : fail_errno(error, why, directory);
}

bool agent_calcache(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    bool remove = frame->type == AGENT_CALCACHE_REMOVE;
    char directory[WIRE_TEXT];
    uint32_t mailbox;
    TreeUsage usage = { 0 };
    struct stat st;
    bool seen = false, ok = true;
    char name[12];
    int fd;

    wire_text(in, directory, sizeof directory);
    mailbox = wire_u32(in);
    if (!wire_end(in, error) || !calcache_parent(directory, mailbox, &fd, error))
        return false;
    snprintf(name, sizeof name, "%u", mailbox);
    if (fd >= 0) {
        seen = fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
        if (seen && remove)
            ok = tree_walk(fd, name, TREE_ALL, agent_step, &usage, error);
        close(fd);
    }
    if (!ok)
        return false;
    if (remove) {
        agent_ok(agent, frame);
    } else {
        wire_begin(&agent->out, AGENT_SEEN, 0, frame->stream);
        wire_put_u8(&agent->out, seen);
        wire_finish(&agent->out);
    }
    return true;
}

bool agent_syncfs(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    unsigned volume = wire_u8(in);
    Tree *tree;

    if (!wire_end(in, error) || (tree = agent_tree(agent, volume, error)) == NULL)
        return false;
    if (syncfs(tree->root) != 0)
        return fail_errno(error, errno, tree->info.path);
    agent_ok(agent, frame);
    return true;
}

/* Another's probe may be dropped in this moment, and the directory with it, being empty. */
static int make_probe(const Tree *tree, const char *token)
{
    int fd = -1;

    for (unsigned i = 0; i < PROBE_TRIES; i++) {
        int dir, why;

        if (mkdirat(tree->root, PROBE_DIR, 0755) != 0 && errno != EEXIST)
            return -1;
        dir = tree_enter(tree->root, PROBE_DIR);
        fd = dir < 0 ? -1
                     : openat(dir, token, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        why = errno;
        if (dir >= 0)
            close(dir);
        errno = why;
        if (fd >= 0 || why != ENOENT)
            break;
    }
    return fd;
}

/* A probe is an empty file in a directory of ours at the volume's root: seen through another
 * store's agent, it shows that the two share the volume. */
bool agent_probe(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    unsigned volume = wire_u8(in);
    char token[33];
    bool seen = false;
    Tree *tree;
    int dir, fd;

    wire_text(in, token, sizeof token);
    if (!wire_end(in, error) || (tree = agent_tree(agent, volume, error)) == NULL)
        return false;
    if (strlen(token) != 32 || strspn(token, "0123456789abcdef") != 32)
        return fail(error, ZX_ERROR_CONNECT, "the name of a probe is 32 hex digits");
    if (frame->type == AGENT_PROBE_PUT) {
        fd = make_probe(tree, token);
        if (fd < 0)
            return fail_errno(error, errno, tree->info.path);
        close(fd);
        agent_ok(agent, frame);
        return true;
    }
    dir = tree_enter(tree->root, PROBE_DIR);
    if (dir < 0 && errno != ENOENT)
        return fail_errno(error, errno, tree->info.path);
    if (dir >= 0 && frame->type == AGENT_PROBE_SEEN)
        seen = faccessat(dir, token, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    else if (dir >= 0 && unlinkat(dir, token, 0) == 0)
        unlinkat(tree->root, PROBE_DIR, AT_REMOVEDIR); /* another's probe may still be there */
    if (dir >= 0)
        close(dir);
    if (frame->type != AGENT_PROBE_SEEN) {
        agent_ok(agent, frame);
        return true;
    }
    wire_begin(&agent->out, AGENT_SEEN, 0, frame->stream);
    wire_put_u8(&agent->out, seen);
    wire_finish(&agent->out);
    return true;
}
