/* index.c - the files of a mailbox's search index, <volume>/<dir1>/<mailbox>/index/0
 * (doc/platform.md 4). Lucene's names hold letters, digits, '_' and '.': nothing else is listed,
 * read or written. */
#include "core/agent/agent.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static bool name_ok(const char *name)
{
    return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           name[strspn(name, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.")] ==
               '\0' &&
           strlen(name) < 200;
}

static void answer_entry(Agent *agent, const WireFrame *frame, const char *name,
                         const struct stat *st)
{
    wire_begin(&agent->out, AGENT_INDEX_ENTRY, 0, frame->stream);
    wire_put_text(&agent->out, name);
    wire_put_u64(&agent->out, (uint64_t)st->st_size);
    wire_put_u64(&agent->out, mtime_ns(st));
    wire_finish(&agent->out);
}

bool agent_index_list(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    unsigned volume = wire_u8(in);
    uint32_t mailbox = wire_u32(in);
    struct dirent *entry;
    struct stat st;
    Tree *tree;
    DIR *dir;
    int fd;

    if (!wire_end(in, error) || (tree = agent_tree(agent, volume, error)) == NULL)
        return false;
    fd = tree_index_dir(tree, mailbox, TREE_LOOK);
    if (fd < 0 && errno != ENOENT)
        return fail_errno(error, errno, tree->info.path);
    dir = fd < 0 ? NULL : fdopendir(fd);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (!name_ok(entry->d_name) || fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(st.st_mode))
            continue;
        answer_entry(agent, frame, entry->d_name, &st);
        if (wire_out_left(&agent->out) > WIRE_MAX)
            agent_send(agent);
    }
    if (dir != NULL)
        closedir(dir);
    agent_ok(agent, frame);
    return true;
}

bool agent_index_remove(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    unsigned volume = wire_u8(in);
    uint32_t mailbox = wire_u32(in);
    TreeUsage usage;
    Tree *tree;
    bool ok;
    int fd;

    if (!wire_end(in, error) || (tree = agent_tree(agent, volume, error)) == NULL)
        return false;
    fd = tree_mailbox_dir(tree, mailbox, TREE_LOOK);
    if (fd < 0 && errno != ENOENT)
        return fail_errno(error, errno, tree->info.path);
    ok = fd < 0 || tree_walk(fd, "index", TREE_ALL, agent_step, &usage, error);
    if (fd >= 0)
        close(fd);
    if (!ok)
        return fail_prefix(error, "%s, mailbox %u", tree->info.path, mailbox);
    agent_ok(agent, frame);
    return true;
}

/* Volume, mailbox and name, of a file to be written also mtime and length; the directory is opened.
 * -1 with @error, of code CONNECT if this is no request. */
static int take_file(Agent *agent, WireIn *in, TreeMake make, Tree **tree, PlainFile *file,
                     GError **error)
{
    unsigned volume = wire_u8(in);
    uint32_t mailbox = wire_u32(in);
    int fd;

    wire_text(in, file->name, sizeof file->name);
    if (make != TREE_LOOK)
        plain_file_get(in, file);
    if (!wire_end(in, error))
        return -1;
    if (!name_ok(file->name)) {
        fail(error, ZX_ERROR_CONNECT, "not the name of an index file");
        return -1;
    }
    if ((*tree = agent_tree(agent, volume, error)) == NULL)
        return -1;
    fd = tree_index_dir(*tree, mailbox, make);
    if (fd < 0)
        fail_errno(error, errno, file->name);
    return fd;
}

bool agent_index_drop(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    PlainFile file;
    Tree *tree;
    bool ok;
    int dir = take_file(agent, in, TREE_LOOK, &tree, &file, error);

    if (dir < 0)
        return false;
    ok = unlinkat(dir, file.name, 0) == 0 || errno == ENOENT || fail_errno(error, errno, file.name);
    if (ok && (frame->flags & AGENT_DURABLE) != 0)
        ok = agent_unsynced(agent, dir, -1, error);
    close(dir);
    if (ok)
        agent_ok(agent, frame);
    return ok;
}

bool agent_index_read(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    PlainFile file;
    Tree *tree;
    int dir = take_file(agent, in, TREE_LOOK, &tree, &file, error);

    return dir >= 0 && agent_stream_file(agent, frame, dir, file.name, error);
}

bool agent_index_write(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    TreeMake make = (frame->flags & AGENT_DURABLE) != 0 ? TREE_MAKE_DURABLE : TREE_MAKE;
    GError *problem = NULL;
    PlainFile file = { 0 };
    Tree *tree = NULL;
    int dir;

    if (!agent_write_idle(agent, error))
        return false;
    dir = take_file(agent, in, make, &tree, &file, &problem);
    return agent_write_plain(agent, frame, tree, dir, &file, problem, error);
}
