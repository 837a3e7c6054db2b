/* look.c - what is there of a mailbox's blobs, and what of it is not as its row says; nothing is
 * changed (doc/platform.md 3.2, 3.5, 3.6). */
#include "core/agent/agent.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GZIP_TRAILER 4 /* the last bytes: length of the content, modulo 2^32 */

/* A file as it was found. */
typedef struct Found {
    AgentLook look;
    unsigned volume;
    uint32_t mod_content;
    uint64_t length;
    ContentIs is;
} Found;

/* The length of the content without reading it: a gzip file ends with it. */
static bool measure(int fd, const struct stat *st, const BlobRef *ref, ContentIs *is,
                    GError **error)
{
    uint8_t magic[2], end[GZIP_TRAILER];
    uint32_t said;

    *is = (ContentIs){ .raw_size = (uint64_t)st->st_size };
    if (is->raw_size == ref->size || st->st_size < (off_t)sizeof magic + GZIP_TRAILER)
        return true;
    if (pread(fd, magic, sizeof magic, 0) != sizeof magic ||
        pread(fd, end, sizeof end, st->st_size - GZIP_TRAILER) != sizeof end)
        return fail_errno(error, errno, "reading");
    if (magic[0] != 0x1f || magic[1] != 0x8b)
        return true;
    said =
        (uint32_t)end[0] | (uint32_t)end[1] << 8 | (uint32_t)end[2] << 16 | (uint32_t)end[3] << 24;
    is->compressed = true;
    is->raw_size = said == (uint32_t)ref->size ? ref->size : said;
    return true;
}

/* Takes @fd over. */
static bool describe(const WireFrame *frame, int fd, const struct stat *st, const BlobRef *ref,
                     Found *found, GError **error)
{
    bool ok = (frame->flags & AGENT_DIGEST) != 0 ? judge(fd, st, ref, &found->is, error)
                                                 : measure(fd, st, ref, &found->is, error);

    found->length = (uint64_t)st->st_size;
    close(fd);
    return ok;
}

/* Whether @name in @dir holds what the row says. */
static bool holds(int dir, const char *name, const BlobRef *ref, Found *found)
{
    struct stat st;
    int fd = open_file(dir, name, &st);
    bool same;

    if (fd < 0)
        return false;
    same = judge(fd, &st, ref, &found->is, NULL) && content_matches(&found->is, ref);
    found->length = (uint64_t)st.st_size;
    close(fd);
    return same;
}

/* "270-13.msg" -> 270 and 13, "270.msg" -> 270 and 0, as they are written and no other way. */
static bool parse_name(const char *name, uint32_t *item, uint32_t *mod_content)
{
    char again[NAME_SIZE];

    *mod_content = 0;
    if (sscanf(name, "%u-%u.msg", item, mod_content) == 2)
        snprintf(again, sizeof again, "%u-%u.msg", *item, *mod_content);
    else if (sscanf(name, "%u.msg", item) == 1)
        snprintf(again, sizeof again, "%u.msg", *item);
    else
        return false;
    return strcmp(name, again) == 0;
}

static bool find_revision(Agent *agent, Tree *tree, const BlobRef *ref, Found *found)
{
    int fd = blob_dir(agent, tree, ref->mailbox, ref->item, TREE_LOOK);
    struct dirent *entry;
    bool same = false;
    DIR *dir;

    fd = fd < 0 ? -1 : openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    dir = fdopendir(fd);
    while (dir != NULL && !same && (entry = readdir(dir)) != NULL) {
        uint32_t item, mod_content;

        agent_step();
        if (!parse_name(entry->d_name, &item, &mod_content) || item != ref->item ||
            mod_content == ref->mod_content || mod_content == 0)
            continue;
        found->mod_content = mod_content;
        same = holds(fd, entry->d_name, ref, found);
    }
    if (dir != NULL)
        closedir(dir);
    else
        close(fd);
    return same;
}

static bool find_elsewhere(Agent *agent, const BlobRef *ref, const char *name, Found *found)
{
    for (unsigned i = 1; i < G_N_ELEMENTS(agent->trees); i++) {
        Tree *tree = agent->trees[i];
        int dir;

        if (i == ref->volume || tree == NULL || !tree->info.blobs)
            continue;
        dir = blob_dir(agent, tree, ref->mailbox, ref->item, TREE_LOOK);
        found->volume = i;
        if (dir >= 0 && holds(dir, name, ref, found))
            return true;
    }
    return false;
}

static bool find_content(Agent *agent, const WireFrame *frame, Tree *tree, const BlobRef *ref,
                         const char *name, Found *found)
{
    if ((frame->flags & AGENT_OTHERS) == 0)
        return false;
    if (find_revision(agent, tree, ref, found)) {
        found->look = LOOK_REVISION;
        return true;
    }
    found->mod_content = ref->mod_content;
    if (!find_elsewhere(agent, ref, name, found))
        return false;
    found->look = LOOK_ELSEWHERE;
    return true;
}

static bool find(Agent *agent, const WireFrame *frame, Tree *tree, const BlobRef *ref, Found *found,
                 GError **error)
{
    int dir = blob_dir(agent, tree, ref->mailbox, ref->item, TREE_LOOK);
    char name[NAME_SIZE], old[NAME_SIZE];
    struct stat st;
    int fd;

    *found = (Found){ .volume = ref->volume, .mod_content = ref->mod_content };
    snprintf(name, sizeof name, "%u-%u.msg", ref->item, ref->mod_content);
    snprintf(old, sizeof old, "%u.msg", ref->item);
    fd = dir < 0 ? -1 : open_file(dir, name, &st);
    found->look = LOOK_THERE;
    if (fd < 0 && errno == ENOENT && dir >= 0) {
        fd = open_file(dir, old, &st);
        found->look = LOOK_OLD_NAME;
    }
    if (fd >= 0)
        return describe(frame, fd, &st, ref, found, error);
    if (errno != ENOENT)
        return fail_errno(error, errno, "looking");
    if (!find_content(agent, frame, tree, ref, name, found))
        *found = (Found){ .look = LOOK_ABSENT, .volume = ref->volume };
    return true;
}

bool agent_blob_look(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    BlobRef ref = blob_ref_get(in);
    WireOut *out = &agent->out;
    Found found;
    Tree *tree;

    if (!wire_end(in, error) || (tree = agent_tree(agent, ref.volume, error)) == NULL)
        return false;
    if (!find(agent, frame, tree, &ref, &found, error))
        return fail_prefix(error, "%s, mailbox %u, %u-%u.msg", tree->info.path, ref.mailbox,
                           ref.item, ref.mod_content);
    wire_begin(out, AGENT_LOOKED, 0, frame->stream);
    wire_put_u8(out, (uint8_t)found.look);
    wire_put_u8(out, (uint8_t)found.volume);
    wire_put_u32(out, found.mod_content);
    wire_put_u64(out, found.length);
    wire_put_u64(out, found.is.raw_size);
    wire_put_text(out, found.is.digest);
    wire_finish(out);
    return true;
}

/* Opens the directory @name below @at to be read; NULL and errno. */
static DIR *enter(int at, const char *name)
{
    int fd = tree_enter(at, name);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (dir == NULL && fd >= 0)
        close(fd);
    return dir;
}

static bool parse_number(const char *name, uint32_t *number)
{
    char again[NAME_SIZE];

    if (sscanf(name, "%u", number) != 1)
        return false;
    snprintf(again, sizeof again, "%u", *number);
    return strcmp(name, again) == 0;
}

/* What is no blob by its name is mailboxd's or ours in passing (doc/platform.md 3.6). */
static void list_files(Agent *agent, const WireFrame *frame, const Tree *tree, DIR *dir,
                       const char *group)
{
    WireOut *out = &agent->out;
    struct dirent *entry;
    struct stat st;

    while ((entry = readdir(dir)) != NULL) {
        g_autofree char *path = g_strconcat(group, "/", entry->d_name, NULL);
        uint32_t item, mod_content, in = 0;

        agent_step();
        if (!parse_name(entry->d_name, &item, &mod_content) ||
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(st.st_mode))
            continue;
        wire_begin(out, AGENT_BLOB_ENTRY, 0, frame->stream);
        wire_put_u8(out, parse_number(group, &in) && in == tree_blob_group(tree, item));
        wire_put_u32(out, item);
        wire_put_u32(out, mod_content);
        wire_put_u64(out, (uint64_t)st.st_size);
        wire_put_u64(out, (uint64_t)st.st_mtim.tv_sec);
        wire_put_text(out, path);
        wire_finish(out);
        if (wire_out_left(out) > WIRE_MAX)
            agent_send(agent);
    }
}

bool agent_blob_list(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    unsigned volume = wire_u8(in);
    uint32_t mailbox = wire_u32(in);
    struct dirent *entry;
    DIR *msg, *group;
    bool ok = true;
    Tree *tree;
    int fd;

    if (!wire_end(in, error) || (tree = agent_tree(agent, volume, error)) == NULL)
        return false;
    fd = tree_mailbox_dir(tree, mailbox, TREE_LOOK);
    msg = fd < 0 ? NULL : enter(fd, "msg");
    if (msg == NULL)
        ok = errno == ENOENT || fail_errno(error, errno, tree->info.path);
    if (fd >= 0)
        close(fd);
    while (ok && msg != NULL && (entry = readdir(msg)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        group = enter(dirfd(msg), entry->d_name);
        if (group != NULL) {
            list_files(agent, frame, tree, group, entry->d_name);
            closedir(group);
        } else if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) {
            ok = fail_errno(error, errno, tree->info.path);
        }
    }
    if (msg != NULL)
        closedir(msg);
    if (ok)
        agent_ok(agent, frame);
    return ok;
}

/* Numbers that are where the volume's bits put them; what else lies there is no mailbox. */
bool agent_mailboxes(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    unsigned volume = wire_u8(in);
    struct dirent *group, *entry;
    WireOut *out = &agent->out;
    DIR *root, *dir;
    Tree *tree;

    if (!wire_end(in, error) || (tree = agent_tree(agent, volume, error)) == NULL)
        return false;
    root = enter(tree->root, ".");
    if (root == NULL)
        return fail_errno(error, errno, tree->info.path);
    while ((group = readdir(root)) != NULL) {
        uint32_t in_group, mailbox;

        if (!parse_number(group->d_name, &in_group) ||
            (dir = enter(dirfd(root), group->d_name)) == NULL)
            continue;
        while ((entry = readdir(dir)) != NULL) {
            agent_step();
            if (!parse_number(entry->d_name, &mailbox) ||
                tree_mailbox_group(tree, mailbox) != in_group)
                continue;
            wire_begin(out, AGENT_MAILBOX_ENTRY, 0, frame->stream);
            wire_put_u32(out, mailbox);
            wire_finish(out);
        }
        closedir(dir);
        if (wire_out_left(out) > WIRE_MAX)
            agent_send(agent);
    }
    closedir(root);
    agent_ok(agent, frame);
    return true;
}
