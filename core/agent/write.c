/* write.c - a file coming in: written under a temporary name beside its place, hashed on the way,
 * compared with what its reader saw, and renamed into place. A file that is there is never written
 * to: others may be hard-linked to it (doc/platform.md 3.6). */
#include "core/agent/agent.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define UNSYNCED_MAX 128 /* descriptors held until FLUSH */

void agent_write_init(Agent *agent)
{
    agent->writer.fd = agent->writer.dir = -1;
    agent->unsynced = g_array_new(FALSE, FALSE, sizeof(int));
    agent->unsynced_dirs = g_array_new(FALSE, FALSE, sizeof(int));
}

/* By now another agent may be writing the same file, for whoever took the account over: its own. */
static bool is_still_there(const AgentWriter *writer)
{
    struct stat named, open;

    return fstatat(writer->dir, writer->temporary, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstat(writer->fd, &open) == 0 && named.st_dev == open.st_dev &&
           named.st_ino == open.st_ino;
}

static void writer_clear(AgentWriter *writer)
{
    if (writer->fd >= 0) {
        if (is_still_there(writer))
            unlinkat(writer->dir, writer->temporary, 0);
        close(writer->fd);
    }
    if (writer->dir >= 0)
        close(writer->dir);
    g_clear_error(&writer->error);
    content_free(writer->content);
    *writer = (AgentWriter){ .fd = -1, .dir = -1 };
}

static bool sync_all(GArray *files, int (*sync)(int))
{
    bool ok = true;

    for (unsigned i = 0; i < files->len; i++) {
        int fd = g_array_index(files, int, i);

        agent_step();
        ok = sync(fd) == 0 && ok;
        close(fd);
    }
    g_array_set_size(files, 0);
    return ok;
}

static bool flush(Agent *agent, GError **error)
{
    bool files, dirs;
    int why;

    /* All files are on their way to the disk before the first is waited for. */
    for (unsigned i = 0; i < agent->unsynced->len; i++)
        sync_file_range(g_array_index(agent->unsynced, int, i), 0, 0, SYNC_FILE_RANGE_WRITE);
    files = sync_all(agent->unsynced, fdatasync);
    why = errno;
    dirs = sync_all(agent->unsynced_dirs, fsync);

    if (files && dirs)
        return true;
    agent->flush_failed = files ? errno : why;
    return fail_errno(error, agent->flush_failed, "making files durable");
}

void agent_write_clear(Agent *agent)
{
    writer_clear(&agent->writer);
    flush(agent, NULL);
    g_array_free(agent->unsynced, TRUE);
    g_array_free(agent->unsynced_dirs, TRUE);
}

bool agent_flush(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    int before = agent->flush_failed;

    if (!wire_end(in, error) || !flush(agent, error))
        return false;
    agent->flush_failed = 0;
    /* A full batch on the way failed: its error went to one file of it, the others were told they
     * were written. */
    if (before != 0)
        return fail_errno(error, before, "making files durable");
    agent_ok(agent, frame);
    return true;
}

static bool same_file(int one, int other)
{
    struct stat a, b;

    return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

static bool add_unsynced(GArray *files, int fd, GError **error)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (copy < 0)
        return fail_errno(error, errno, "keeping a file to be synced");
    g_array_append_val(files, copy);
    return true;
}

bool agent_unsynced(Agent *agent, int dir, int file, GError **error)
{
    bool known = false;

    if (agent->unsynced->len + agent->unsynced_dirs->len >= UNSYNCED_MAX && !flush(agent, error))
        return false;
    for (unsigned i = 0; i < agent->unsynced_dirs->len && !known; i++)
        known = same_file(g_array_index(agent->unsynced_dirs, int, i), dir);
    return (known || add_unsynced(agent->unsynced_dirs, dir, error)) &&
           (file < 0 || add_unsynced(agent->unsynced, file, error));
}

/* A new file; what an agent that was killed left under the name goes. */
static int create(int dir, const char *name)
{
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(dir, name, flags, 0600);

    if (fd < 0 && errno == EEXIST && unlinkat(dir, name, 0) == 0)
        fd = openat(dir, name, flags, 0600);
    return fd;
}

bool agent_write_idle(const Agent *agent, GError **error)
{
    return !agent->writer.active ||
           fail(error, ZX_ERROR_CONNECT, "a file begins in the middle of another");
}

bool agent_write_begin(Agent *agent, const WireFrame *frame, Tree *tree, int dir, const char *name,
                       GError **error)
{
    AgentWriter *writer = &agent->writer;

    writer->tree = tree;
    writer->dir = dir;
    writer->flags = frame->flags;
    g_strlcpy(writer->name, name, sizeof writer->name);
    snprintf(writer->temporary, sizeof writer->temporary, "%s" AGENT_TEMPORARY, name);
    writer->content = content_new(writer->expected, writer->ref.size, writer->ref.digest,
                                  (frame->flags & AGENT_DIGEST) != 0);
    writer->fd = create(dir, writer->temporary);
    return writer->fd >= 0 || fail_errno(error, errno, name);
}

void plain_file_get(WireIn *in, PlainFile *file)
{
    const uint64_t mtime = wire_u64(in);

    file->mtime = (struct timespec){ (time_t)(mtime / 1000000000), (long)(mtime % 1000000000) };
    file->length = wire_u64(in);
}

bool agent_write_plain(Agent *agent, const WireFrame *frame, Tree *tree, int dir,
                       const PlainFile *file, GError *problem, GError **error)
{
    AgentWriter *writer = &agent->writer;

    if (dir < 0 && error_code(problem) == ZX_ERROR_CONNECT) {
        g_propagate_error(error, problem);
        return false;
    }
    writer->active = true;
    writer->stream = frame->stream;
    g_strlcpy(writer->name, file->name, sizeof writer->name);
    writer->mtime = file->mtime;
    writer->expected = writer->ref.size = file->length;
    writer->error = problem;
    if (dir >= 0)
        agent_write_begin(agent, frame, tree, dir, file->name, &writer->error);
    return true; /* END answers */
}

bool agent_write_refused(Agent *agent, const WireFrame *frame, WireIn *in, GError *why,
                         GError **error)
{
    AgentWriter *writer = &agent->writer;
    const bool begins = frame->type != AGENT_END;

    if (begins && !agent_write_idle(agent, error)) {
        g_error_free(why);
        return false;
    }
    if (begins) {
        writer->active = true;
        writer->stream = frame->stream;
    }
    g_clear_error(&writer->error);
    writer->error = why;
    return begins || agent_end(agent, frame, in, error);
}

static bool write_all(int fd, const uint8_t *bytes, size_t length, GError **error)
{
    while (length > 0) {
        ssize_t done = write(fd, bytes, length);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return fail_errno(error, done < 0 ? errno : ENOSPC, "writing");
        bytes += done;
        length -= (size_t)done;
    }
    return true;
}

bool agent_data(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    AgentWriter *writer = &agent->writer;

    if (!writer->active || writer->stream != frame->stream)
        return fail(error, ZX_ERROR_CONNECT, "content of no file");
    if (writer->error != NULL)
        return true;
    if (write_all(writer->fd, in->at, in->left, &writer->error)) {
        writer->written += in->left;
        content_feed(writer->content, in->at, in->left);
    }
    return true;
}

/* As mailboxd would store it anew: gzipped above the threshold, but never as long as the row's
 * size, which would read as not compressed (doc/platform.md 3.5). */
static bool maybe_compress(AgentWriter *writer, const ContentIs *is, GError **error)
{
    char name[sizeof writer->temporary + 4];
    struct stat st;
    int fd;

    if ((writer->flags & AGENT_COMPRESS) == 0 || is->compressed ||
        writer->written != writer->ref.size || !content_matches(is, &writer->ref) ||
        writer->ref.size <= writer->tree->info.compression_threshold)
        return true;
    snprintf(name, sizeof name, "%s.gz", writer->temporary);
    fd = create(writer->dir, name);
    if (fd < 0)
        return fail_errno(error, errno, name);
    if (!compress_file(writer->fd, fd, error) || fstat(fd, &st) != 0) {
        unlinkat(writer->dir, name, 0);
        close(fd);
        return error == NULL || *error != NULL ? false : fail_errno(error, errno, name);
    }
    if ((uint64_t)st.st_size == writer->ref.size) {
        unlinkat(writer->dir, name, 0);
        close(fd);
        return true;
    }
    if (renameat(writer->dir, name, writer->dir, writer->temporary) != 0) {
        int why = errno;

        unlinkat(writer->dir, name, 0);
        close(fd);
        return fail_errno(error, why, name);
    }
    close(writer->fd);
    writer->fd = fd;
    return true;
}

static bool put_in_place(AgentWriter *writer, GError **error)
{
    unsigned flags = (writer->flags & AGENT_OVERWRITE) != 0 ? 0 : RENAME_NOREPLACE;
    int answer;

    if (!is_still_there(writer))
        return fail(error, ZX_ERROR_BUSY, "another agent is writing the same file");
    answer = renameat2(writer->dir, writer->temporary, writer->dir, writer->name, flags);
    if (answer != 0 && flags != 0 && errno == EINVAL) { /* a file system without NOREPLACE */
        if (faccessat(writer->dir, writer->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            errno = EEXIST;
        else
            answer = renameat(writer->dir, writer->temporary, writer->dir, writer->name);
    }
    if (answer == 0)
        return true;
    if (errno == EEXIST)
        return fail(error, ZX_ERROR_REFUSED, "a different file is there");
    return fail_errno(error, errno, writer->name);
}

/* Everything between the last byte and the file in its place. */
static bool complete(Agent *agent, uint64_t raw_size, const char *digest, uint64_t *length,
                     GError **error)
{
    AgentWriter *writer = &agent->writer;
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, writer->mtime };
    ContentIs is;
    struct stat st;

    content_finish(writer->content, &is);
    if (writer->written != writer->expected || is.raw_size != raw_size ||
        strcmp(is.digest, digest) != 0)
        return fail(error, ZX_ERROR_DATA, "what arrived is not what was read");
    if (writer->blob && !maybe_compress(writer, &is, error))
        return false;
    if (!tree_adopt(writer->tree, writer->fd, error))
        return false;
    if (!writer->blob && futimens(writer->fd, times) != 0)
        return fail_errno(error, errno, writer->name);
    if (fstat(writer->fd, &st) != 0)
        return fail_errno(error, errno, writer->name);
    if (!put_in_place(writer, error))
        return false;
    *length = (uint64_t)st.st_size;
    return (writer->flags & AGENT_DURABLE) == 0 ||
           agent_unsynced(agent, writer->dir, writer->fd, error);
}

bool agent_end(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    AgentWriter *writer = &agent->writer;
    bool keep = wire_u8(in) != 0;
    uint64_t raw_size = wire_u64(in), length = 0;
    char digest[DIGEST_SIZE];
    bool ok;

    wire_text(in, digest, sizeof digest);
    if (!wire_end(in, error))
        return false;
    if (!writer->active || writer->stream != frame->stream)
        return fail(error, ZX_ERROR_CONNECT, "the end of no file");
    if (writer->error != NULL) {
        g_propagate_error(error, g_steal_pointer(&writer->error));
        ok = false;
    } else {
        ok = !keep || complete(agent, raw_size, digest, &length, error);
    }
    if (ok && keep) {
        close(writer->fd); /* it is in its place: no temporary file to remove */
        writer->fd = -1;
    }
    if (!ok)
        fail_prefix(error, "%s", writer->name);
    writer_clear(writer);
    if (!ok)
        return false;
    wire_begin(&agent->out, AGENT_WRITTEN, 0, frame->stream);
    wire_put_u64(&agent->out, length);
    wire_finish(&agent->out);
    return true;
}
