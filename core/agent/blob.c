/* blob.c - blobs by number: read, written, looked at, linked, removed (doc/platform.md 3). */
#include "core/agent/agent.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int blob_dir(Agent *agent, Tree *tree, uint32_t mailbox, uint32_t item, TreeMake make)
{
    uint32_t group = tree_blob_group(tree, item);
    AgentDir *dir;
    struct stat st;
    int fd;

    for (unsigned i = 0; i < AGENT_DIRS; i++) {
        dir = &agent->dirs[i];
        if (dir->tree != tree || dir->mailbox != mailbox || dir->group != group)
            continue;
        if (fstat(dir->fd, &st) == 0 && st.st_nlink > 0)
            return dir->fd;
        close(dir->fd); /* somebody removed the directory */
        *dir = (AgentDir){ 0 };
    }
    fd = tree_blob_dir(tree, mailbox, group, make);
    if (fd < 0)
        return -1;
    dir = &agent->dirs[agent->next_dir++ % AGENT_DIRS];
    if (dir->tree != NULL)
        close(dir->fd);
    *dir = (AgentDir){ .tree = tree, .mailbox = mailbox, .group = group, .fd = fd };
    return fd;
}

static TreeMake make_for(const WireFrame *frame)
{
    return (frame->flags & AGENT_DURABLE) != 0 ? TREE_MAKE_DURABLE : TREE_MAKE;
}

static void blob_name(const BlobRef *ref, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "%u-%u.msg", ref->item, ref->mod_content);
}

/* Of very old stores, which had no revision. */
static void old_name(const BlobRef *ref, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "%u.msg", ref->item);
}

int open_file(int dir, const char *name, struct stat *st)
{
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd >= 0 && fstat(fd, st) == 0 && S_ISREG(st->st_mode))
        return fd;
    if (fd >= 0) {
        close(fd);
        errno = ELOOP;
    }
    return -1;
}

/* By the name of today, or by the old one. */
static int open_blob(Agent *agent, Tree *tree, const BlobRef *ref, struct stat *st)
{
    int dir = blob_dir(agent, tree, ref->mailbox, ref->item, TREE_LOOK);
    char name[NAME_SIZE];
    int fd;

    if (dir < 0)
        return -1;
    blob_name(ref, name);
    fd = open_file(dir, name, st);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    old_name(ref, name);
    return open_file(dir, name, st);
}

bool judge(int fd, const struct stat *st, const BlobRef *ref, ContentIs *is, GError **error)
{
    g_autoptr(Content) content = content_new((uint64_t)st->st_size, ref->size, ref->digest, true);
    g_autofree uint8_t *step = g_malloc(WIRE_DATA);
    off_t at = 0;
    ssize_t got;

    while ((got = pread(fd, step, WIRE_DATA, at)) > 0) {
        agent_step();
        content_feed(content, step, (size_t)got);
        at += got;
    }
    if (got < 0)
        return fail_errno(error, errno, "reading");
    if (at != st->st_size)
        return fail(error, ZX_ERROR_CHANGED, "it changed while it was read");
    content_finish(content, is);
    return true;
}

/* The file may have been carried to another volume behind its row (HSM), which its content must
 * show. */
static int open_elsewhere(Agent *agent, const BlobRef *ref, struct stat *st)
{
    for (unsigned i = 1; i < G_N_ELEMENTS(agent->trees); i++) {
        ContentIs is;
        int fd;

        if (i == ref->volume || agent->trees[i] == NULL || !agent->trees[i]->info.blobs)
            continue;
        fd = open_blob(agent, agent->trees[i], ref, st);
        if (fd < 0)
            continue;
        if (judge(fd, st, ref, &is, NULL) && content_matches(&is, ref))
            return fd;
        close(fd);
    }
    errno = ENOENT;
    return -1;
}

static bool take_ref(Agent *agent, WireIn *in, BlobRef *ref, Tree **tree, GError **error)
{
    return wire_end(in, error) && (*tree = agent_tree(agent, ref->volume, error)) != NULL;
}

static bool fail_blob(GError **error, const Tree *tree, const BlobRef *ref)
{
    return fail_prefix(error, "%s, mailbox %u, %u-%u.msg", tree->info.path, ref->mailbox, ref->item,
                       ref->mod_content);
}

/* Streams a file as HEAD, DATA and TAIL; closes @fd. @ref NULL: no blob, hashed as it is. */
static bool stream(Agent *agent, const WireFrame *frame, int fd, const BlobRef *ref, GError **error)
{
    g_autoptr(Content) content = NULL;
    ContentIs is = { 0 };
    struct stat st;
    uint64_t left;
    WireOut *out = &agent->out;

    if (fstat(fd, &st) != 0) {
        fail_errno(error, errno, "reading");
        close(fd);
        return false;
    }
    left = (uint64_t)st.st_size;
    content = content_new(left, ref == NULL ? left : ref->size, ref == NULL ? "" : ref->digest,
                          (frame->flags & AGENT_DIGEST) != 0);
    wire_begin(out, AGENT_HEAD, 0, frame->stream);
    wire_put_u64(out, left);
    wire_put_u64(out, mtime_ns(&st));
    wire_finish(out);
    while (left > 0) {
        size_t want = MIN(left, WIRE_DATA);
        uint8_t *space;
        ssize_t got;

        wire_begin(out, AGENT_DATA, 0, frame->stream);
        space = wire_put_space(out, want);
        got = read(fd, space, want);
        if (got <= 0) {
            int why = errno;

            wire_shrink(out, want + WIRE_HEADER);
            close(fd);
            return got == 0 ? fail(error, ZX_ERROR_CHANGED, "it changed while it was read")
                            : fail_errno(error, why, "reading");
        }
        agent_step();
        content_feed(content, space, (size_t)got);
        wire_shrink(out, want - (size_t)got);
        wire_finish(out);
        left -= (uint64_t)got;
        if (wire_out_left(out) > WIRE_MAX)
            agent_send(agent);
    }
    close(fd);
    content_finish(content, &is);
    wire_begin(out, AGENT_TAIL, 0, frame->stream);
    wire_put_u64(out, is.raw_size);
    wire_put_text(out, is.digest);
    wire_finish(out);
    return true;
}

bool agent_stream_file(Agent *agent, const WireFrame *frame, int dir, const char *name, GError **error)
{
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;

    close(dir);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return stream(agent, frame, fd, NULL, error);
    if (fd < 0)
        return fail_errno(error, errno, name);
    close(fd);
    return fail_errno(error, ELOOP, name);
}

bool agent_blob_read(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    BlobRef ref = blob_ref_get(in);
    struct stat st;
    Tree *tree;
    int fd;

    if (!take_ref(agent, in, &ref, &tree, error))
        return false;
    fd = open_blob(agent, tree, &ref, &st);
    if (fd < 0 && errno == ENOENT && (frame->flags & AGENT_OTHERS) != 0)
        fd = open_elsewhere(agent, &ref, &st);
    if (fd < 0)
        fail_errno(error, errno, "reading");
    else if (stream(agent, frame, fd, &ref, error))
        return true;
    return fail_blob(error, tree, &ref);
}

bool agent_blob_write(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    AgentWriter *writer = &agent->writer;
    BlobRef ref = blob_ref_get(in);
    uint64_t length = wire_u64(in);
    char name[NAME_SIZE];
    Tree *tree;
    int dir;

    if (!wire_end(in, error) || !agent_write_idle(agent, error))
        return false;
    writer->active = true;
    writer->stream = frame->stream;
    writer->blob = true;
    writer->ref = ref;
    writer->expected = length;
    blob_name(&ref, name);
    g_strlcpy(writer->name, name, sizeof writer->name);
    tree = agent_tree(agent, ref.volume, &writer->error);
    if (tree == NULL)
        return true;
    dir = blob_dir(agent, tree, ref.mailbox, ref.item, make_for(frame));
    if (dir >= 0)
        dir = fcntl(dir, F_DUPFD_CLOEXEC, 0);
    if (dir < 0)
        fail_errno(&writer->error, errno, "making its directory");
    else
        agent_write_begin(agent, frame, tree, dir, name, &writer->error);
    return true; /* END answers */
}

static void answer_have(Agent *agent, const WireFrame *frame, AgentHave have, uint64_t length)
{
    wire_begin(&agent->out, AGENT_HAVE, 0, frame->stream);
    wire_put_u8(&agent->out, (uint8_t)have);
    wire_put_u64(&agent->out, length);
    wire_finish(&agent->out);
}

bool agent_blob_stat(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    BlobRef ref = blob_ref_get(in);
    char name[NAME_SIZE];
    struct stat st;
    Tree *tree;
    int dir;

    if (!take_ref(agent, in, &ref, &tree, error))
        return false;
    blob_name(&ref, name);
    dir = blob_dir(agent, tree, ref.mailbox, ref.item, TREE_LOOK);
    if (dir < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno != ENOENT) {
            fail_errno(error, errno, "looking");
            return fail_blob(error, tree, &ref);
        }
        answer_have(agent, frame, HAVE_NEED, 0);
    } else if (!S_ISREG(st.st_mode)) {
        answer_have(agent, frame, HAVE_DIFFERS, 0);
    } else {
        answer_have(agent, frame, HAVE_THERE, (uint64_t)st.st_size);
    }
    return true;
}

bool agent_blob_hash(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    BlobRef ref = blob_ref_get(in);
    ContentIs is;
    struct stat st;
    Tree *tree;
    bool ok;
    int fd;

    if (!take_ref(agent, in, &ref, &tree, error))
        return false;
    fd = open_blob(agent, tree, &ref, &st);
    if (fd >= 0) /* what the disk has, not what memory still has of it */
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ok = fd >= 0 ? judge(fd, &st, &ref, &is, error) : fail_errno(error, errno, "reading");
    if (fd >= 0)
        close(fd);
    if (!ok)
        return fail_blob(error, tree, &ref);
    wire_begin(&agent->out, AGENT_HASH, 0, frame->stream);
    wire_put_u64(&agent->out, (uint64_t)st.st_size);
    wire_put_u64(&agent->out, is.raw_size);
    wire_put_text(&agent->out, is.digest);
    wire_finish(&agent->out);
    return true;
}

bool agent_blob_unlink(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    BlobRef ref = blob_ref_get(in);
    char name[NAME_SIZE];
    Tree *tree;
    bool gone;
    int dir;

    if (!take_ref(agent, in, &ref, &tree, error))
        return false;
    blob_name(&ref, name);
    dir = blob_dir(agent, tree, ref.mailbox, ref.item, TREE_LOOK);
    gone = dir >= 0 && unlinkat(dir, name, 0) == 0;
    if (dir >= 0 && !gone && errno == ENOENT) {
        old_name(&ref, name);
        gone = unlinkat(dir, name, 0) == 0;
    }
    if (!gone && errno != ENOENT) {
        fail_errno(error, errno, "removing");
        return fail_blob(error, tree, &ref);
    }
    agent_ok(agent, frame);
    return true;
}

/* A mailbox that is used again may have the blob under its old name: it gets that of today. */
static void rename_old(int dir, const BlobRef *ref, const char *name)
{
    char old[NAME_SIZE];
    struct stat st;
    ContentIs is;
    int fd;

    old_name(ref, old);
    fd = open_file(dir, old, &st);
    if (fd < 0)
        return;
    /* What fails here is copied. */
    if (judge(fd, &st, ref, &is, NULL) && content_matches(&is, ref))
        (void)renameat(dir, old, dir, name);
    close(fd);
}

/* Links the blob of an older mailbox id of the account into its new place, if its content is what
 * the row of today says. False and no error: it cannot be had that way. */
static bool link_older(Agent *agent, const WireFrame *frame, Tree *tree, const BlobRef *ref,
                       uint32_t older, struct stat *st, GError **error)
{
    BlobRef old = *ref;
    char name[NAME_SIZE], there[NAME_SIZE];
    ContentIs is;
    bool linked = false;
    int from, fd;

    old.mailbox = older;
    blob_name(ref, name);
    blob_name(ref, there);
    from = blob_dir(agent, tree, older, ref->item, TREE_LOOK);
    if (from >= 0)
        from = fcntl(from, F_DUPFD_CLOEXEC, 0); /* the next look-up may close it */
    if (from < 0)
        return false;
    fd = open_file(from, there, st);
    if (fd < 0 && errno == ENOENT) {
        old_name(ref, there);
        fd = open_file(from, there, st);
    }
    if (fd >= 0 && judge(fd, st, &old, &is, NULL) && content_matches(&is, ref)) {
        int to = blob_dir(agent, tree, ref->mailbox, ref->item, make_for(frame));

        linked = to >= 0 && linkat(from, there, to, name, 0) == 0;
        if (linked && (frame->flags & AGENT_DURABLE) != 0)
            agent_unsynced(agent, to, fd, error);
    }
    if (fd >= 0)
        close(fd);
    close(from);
    return linked;
}

bool agent_blob_have(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    BlobRef ref = blob_ref_get(in);
    uint32_t older = wire_u32(in);
    GError *problem = NULL;
    char name[NAME_SIZE];
    AgentHave have = HAVE_NEED;
    struct stat st = { 0 };
    ContentIs is;
    Tree *tree;
    int dir, fd = -1;

    if (!take_ref(agent, in, &ref, &tree, error))
        return false;
    blob_name(&ref, name);
    dir = blob_dir(agent, tree, ref.mailbox, ref.item, TREE_LOOK);
    if (dir >= 0) {
        fd = open_file(dir, name, &st);
        if (fd < 0 && errno == ENOENT) {
            rename_old(dir, &ref, name);
            fd = open_file(dir, name, &st);
        }
    }
    if (fd >= 0) {
        if (judge(fd, &st, &ref, &is, NULL) && content_matches(&is, &ref)) {
            have = HAVE_THERE;
            if ((frame->flags & AGENT_DURABLE) != 0)
                agent_unsynced(agent, dir, fd, &problem);
        } else if ((frame->flags & AGENT_OVERWRITE) == 0) {
            have = HAVE_DIFFERS;
        }
        close(fd);
    } else if (errno != ENOENT) {
        fail_errno(&problem, errno, "looking");
    } else if (older != 0 && link_older(agent, frame, tree, &ref, older, &st, &problem)) {
        have = HAVE_LINKED;
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return fail_blob(error, tree, &ref);
    }
    answer_have(agent, frame, have, (uint64_t)st.st_size);
    return true;
}
