/* index.c - see index.h. */
#include "core/move/index.h"
#include "core/move/stream.h"
#include <string.h>

/* Lucene writes a file once and names what belongs together in segments_N, which segments.gen names
 * (doc/platform.md 4): a copy is whole when they come in this order. */
typedef enum Part { PART_FILES, PART_SEGMENTS, PART_GENERATION, PARTS } Part;

typedef struct IndexCopy {
    StreamFile file; /* first: the stream knows it by this */
    const IndexFile *what;
    bool drop; /* from the destination: the source has it no more */
} IndexCopy;

typedef struct Pass {
    const IndexJob *job;
    IndexCount *count;
    GPtrArray *copies; /* of IndexCopy */
    unsigned next;
    bool vanished; /* a file went away before it was read: the source is at work */
} Pass;

static Part part_of(const char *name)
{
    if (strcmp(name, "segments.gen") == 0)
        return PART_GENERATION;
    return g_str_has_prefix(name, "segments_") ? PART_SEGMENTS : PART_FILES;
}

static void copy_free(gpointer data)
{
    IndexCopy *copy = data;

    stream_file_clear(&copy->file);
    g_free(copy);
}

static const IndexFile *find(const GPtrArray *files, const char *name)
{
    for (unsigned i = 0; i < files->len; i++) {
        const IndexFile *file = g_ptr_array_index(files, i);

        if (strcmp(file->name, name) == 0)
            return file;
    }
    return NULL;
}

static bool same_file(const IndexFile *a, const IndexFile *b)
{
    return b != NULL && a->size == b->size && a->mtime_ns == b->mtime_ns;
}

static bool same_listing(const GPtrArray *a, const GPtrArray *b)
{
    if (a->len != b->len)
        return false;
    for (unsigned i = 0; i < a->len; i++) {
        const IndexFile *file = g_ptr_array_index(a, i);

        if (!same_file(file, find(b, file->name)))
            return false;
    }
    return true;
}

static StreamFile *next_file(void *data, GError **error)
{
    Pass *pass = data;

    (void)error;
    return pass->next < pass->copies->len ? g_ptr_array_index(pass->copies, pass->next++) : NULL;
}

static void begin_named(Peer *peer, uint8_t type, uint8_t flags, unsigned volume, uint32_t mailbox,
                        const char *name)
{
    peer_begin(peer, type, flags);
    wire_put_u8(peer_out(peer), (uint8_t)volume);
    wire_put_u32(peer_out(peer), mailbox);
    wire_put_text(peer_out(peer), name);
}

static uint8_t write_flags(const IndexJob *job)
{
    return AGENT_DIGEST | AGENT_OVERWRITE | (job->window ? AGENT_DURABLE : 0);
}

static void drop_file(void *data, const StreamFile *file, Peer *target)
{
    const Pass *pass = data;
    const IndexJob *job = pass->job;

    begin_named(target, AGENT_INDEX_DROP, write_flags(job), job->target_volume, job->target_mailbox,
                ((const IndexCopy *)file)->what->name);
}

static void read_file(void *data, const StreamFile *file, Peer *source)
{
    const Pass *pass = data;
    const IndexJob *job = pass->job;

    begin_named(source, AGENT_INDEX_READ, AGENT_DIGEST, job->source_volume, job->source_mailbox,
                ((const IndexCopy *)file)->what->name);
}

static bool allow_file(void *data, const StreamFile *file)
{
    const Pass *pass = data;

    return pass->job->throttle == NULL || throttle_take(pass->job->throttle, file->expected);
}

static void write_file(void *data, const StreamFile *file, Peer *target)
{
    const Pass *pass = data;
    const IndexJob *job = pass->job;
    const IndexFile *what = ((const IndexCopy *)file)->what;

    begin_named(target, AGENT_INDEX_WRITE, write_flags(job), job->target_volume,
                job->target_mailbox, what->name);
    wire_put_u64(peer_out(target), (uint64_t)what->mtime_ns);
    wire_put_u64(peer_out(target), file->length);
}

static void sync_files(void *data, Peer *target)
{
    const Pass *pass = data;

    peer_begin(target, pass->job->window ? AGENT_FLUSH : AGENT_SYNCFS, 0);
    if (!pass->job->window)
        wire_put_u8(peer_out(target), (uint8_t)pass->job->target_volume);
}

static bool settle_files(void *data, GPtrArray *files, GError **error)
{
    Pass *pass = data;

    for (unsigned i = 0; i < files->len; i++) {
        const IndexCopy *copy = g_ptr_array_index(files, i);

        if (copy->file.result == STREAM_FAILED)
            return fail(error, ZX_ERROR_FAILED, "index file %s: %s", copy->what->name,
                        copy->file.trouble);
        if (copy->file.result == STREAM_ABSENT)
            pass->vanished = true;
        if (copy->file.result == STREAM_COPIED) {
            pass->count->copied++;
            pass->count->copied_bytes += copy->file.length;
        }
        if (copy->drop)
            pass->count->removed++;
    }
    return true;
}

/* Runs one part of a pass; the next begins when its files are in their places. */
static bool run(Pass *pass, const Wait *wait, GError **error)
{
    static const StreamCalls calls = { .next = next_file,
                                       .ask = drop_file,
                                       .read = read_file,
                                       .write = write_file,
                                       .sync = sync_files,
                                       .settled = settle_files,
                                       .allow = allow_file };

    return stream_run(pass->job->source, pass->job->target, &calls, pass, wait, error);
}

static void add_copy(Pass *pass, const IndexFile *what, bool drop)
{
    IndexCopy *copy = g_new0(IndexCopy, 1);

    copy->what = what;
    copy->drop = copy->file.ask_only = drop;
    copy->file.expected = what->size;
    g_ptr_array_add(pass->copies, copy);
}

static void plan_part(Pass *pass, Part part, const GPtrArray *source, const GPtrArray *target)
{
    g_ptr_array_set_size(pass->copies, 0);
    pass->next = 0;
    for (unsigned i = 0; i < source->len; i++) {
        const IndexFile *file = g_ptr_array_index(source, i);

        if (part_of(file->name) == part && !same_file(file, find(target, file->name)))
            add_copy(pass, file, false);
    }
}

static void plan_drops(Pass *pass, const GPtrArray *source, const GPtrArray *target)
{
    g_ptr_array_set_size(pass->copies, 0);
    pass->next = 0;
    for (unsigned i = 0; i < target->len; i++) {
        const IndexFile *file = g_ptr_array_index(target, i);

        if (find(source, file->name) == NULL)
            add_copy(pass, file, true);
    }
}

static bool list(const IndexJob *job, bool at_source, GPtrArray **files, GError **error)
{
    g_clear_pointer(files, g_ptr_array_unref);
    *files = at_source
                 ? peer_index_list(job->source, job->source_volume, job->source_mailbox, error)
                 : peer_index_list(job->target, job->target_volume, job->target_mailbox, error);
    return *files != NULL;
}

/* Brings the destination to what @source lists. */
static bool one_pass(Pass *pass, const GPtrArray *source, const Wait *wait, GError **error)
{
    g_autoptr(GPtrArray) target = NULL;

    if (!list(pass->job, false, &target, error))
        return false;
    for (Part part = 0; part < PARTS && !pass->vanished; part++) {
        plan_part(pass, part, source, target);
        if (pass->copies->len > 0 && !run(pass, wait, error))
            return false;
    }
    if (pass->vanished)
        return true;
    plan_drops(pass, source, target);
    return pass->copies->len == 0 || run(pass, wait, error);
}

static void sum_up(const GPtrArray *files, IndexCount *count)
{
    count->files = files->len;
    count->bytes = 0;
    for (unsigned i = 0; i < files->len; i++)
        count->bytes += ((const IndexFile *)g_ptr_array_index(files, i))->size;
}

bool index_sync(const IndexJob *job, int settle_ms, bool *stable, const Wait *wait,
                IndexCount *count, GError **error)
{
    Wait settle = wait_within(wait, settle_ms);
    g_autoptr(GPtrArray) copies = g_ptr_array_new_with_free_func(copy_free);
    g_autoptr(GPtrArray) before = NULL, after = NULL;
    Pass pass = { .job = job, .count = count, .copies = copies };
    bool first = true;

    *count = (IndexCount){ 0 };
    *stable = false;
    if (!list(job, true, &before, error))
        return false;
    /* The limit is for the source to hold still: a first copy may take its time. */
    while (!*stable && (first || wait_left_ms(&settle, 1) > 0)) {
        pass.vanished = false;
        if (!one_pass(&pass, before, wait, error) || !list(job, true, &after, error))
            return false;
        *stable = !pass.vanished && same_listing(before, after);
        g_ptr_array_unref(before);
        before = g_steal_pointer(&after);
        if (first)
            settle = wait_within(wait, settle_ms);
        first = false;
    }
    sum_up(before, count);
    return wait_stopped(wait) ? wait_check(wait, "copying the index", error) : true;
}
