/* stream.c - see stream.h. */
#include "core/move/stream.h"
#include <poll.h>

#define FILES_AHEAD 256                         /* requests unanswered, per kind */
#define BYTES_AHEAD ((uint64_t)8 * 1024 * 1024) /* content asked for and not here yet */
#define OUT_MAX     ((size_t)2 * 1024 * 1024)   /* content held for the destination */
#define SYNC_FILES  4096
#define SYNC_BYTES  ((uint64_t)256 * 1024 * 1024)
#define SYNC_US     (10 * G_USEC_PER_SEC)
#define DRAIN_MS    15000 /* after an error: to end what is under way */
#define POLL_MS     100

/* An answer that is due. */
typedef struct Due {
    enum { DUE_ASK, DUE_READ, DUE_WRITE, DUE_SYNC } kind;
    uint16_t stream;
    StreamFile *file;
} Due;

typedef struct Stream {
    Peer *source, *target;
    const StreamCalls *calls;
    void *data;
    GError *error;                 /* the first: nothing new is begun after it */
    bool at_end;                   /* next() has no more */
    GQueue wanted;                 /* of StreamFile: to be read */
    GQueue source_due, target_due; /* of Due, in the order of their answers */
    unsigned asked;
    uint64_t ahead, passed, written;
    StreamFile *writing; /* its HEAD came, its TAIL did not */
    uint16_t write_stream;
    GPtrArray *final;    /* settled without a sync: nothing was written */
    GPtrArray *unsynced; /* written since the last sync began */
    GPtrArray *syncing;  /* a sync is under way for these */
    uint64_t unsynced_bytes;
    gint64 unsynced_since;
    bool sync_due;
} Stream;

void stream_file_clear(StreamFile *file)
{
    g_clear_pointer(&file->trouble, g_free);
}

/* Takes @error over: the first is kept. */
static void give_up(Stream *stream, GError *error)
{
    if (stream->error == NULL)
        stream->error = error;
    else
        g_error_free(error);
}

static void free_due(gpointer due, gpointer unused)
{
    (void)unused;
    g_free(due);
}

static void expect(GQueue *queue, int kind, uint16_t number, StreamFile *file)
{
    Due *due = g_new(Due, 1);

    *due = (Due){ .kind = kind, .stream = number, .file = file };
    g_queue_push_tail(queue, due);
}

static void finish(Stream *stream, StreamFile *file, StreamResult result)
{
    bool written = !file->ask_only &&
                   (result == STREAM_THERE || result == STREAM_LINKED || result == STREAM_COPIED);

    file->result = result;
    if (!written) {
        g_ptr_array_add(stream->final, file);
        return;
    }
    if (stream->unsynced->len == 0)
        stream->unsynced_since = g_get_monotonic_time();
    g_ptr_array_add(stream->unsynced, file);
    stream->unsynced_bytes += file->disk_size;
}

static void finish_failed(Stream *stream, StreamFile *file, const GError *error)
{
    g_free(file->trouble);
    file->trouble = g_strdup(error->message);
    finish(stream, file, STREAM_FAILED);
}

static void settle(Stream *stream, GPtrArray *files)
{
    GError *error = NULL;

    if (files->len == 0)
        return;
    if (!stream->calls->settled(stream->data, files, &error))
        give_up(stream, error);
    g_ptr_array_set_size(files, 0);
    stream->at_end = false; /* it may want one of them tried again */
}

static uint16_t end_request(Peer *peer)
{
    wire_finish(peer_out(peer));
    return peer_stream(peer);
}

static void begin_ask(Stream *stream, StreamFile *file)
{
    stream->calls->ask(stream->data, file, stream->target);
    expect(&stream->target_due, DUE_ASK, end_request(stream->target), file);
    stream->asked++;
}

static void begin_read(Stream *stream, StreamFile *file)
{
    stream->calls->read(stream->data, file, stream->source);
    expect(&stream->source_due, DUE_READ, end_request(stream->source), file);
    stream->ahead += file->expected;
}

static void begin_sync(Stream *stream)
{
    GPtrArray *empty = stream->syncing;

    stream->calls->sync(stream->data, stream->target);
    expect(&stream->target_due, DUE_SYNC, end_request(stream->target), NULL);
    stream->sync_due = true;
    stream->syncing = stream->unsynced;
    stream->unsynced = empty;
    stream->unsynced_bytes = 0;
}

static bool no_more_work(const Stream *stream)
{
    return (stream->at_end || stream->error != NULL) && stream->wanted.length == 0 &&
           stream->source_due.length == 0 && stream->asked == 0;
}

/* Begins what credit allows. */
static void begin_more(Stream *stream)
{
    while (!stream->at_end && stream->error == NULL && stream->asked < FILES_AHEAD &&
           stream->wanted.length < FILES_AHEAD) {
        GError *error = NULL;
        StreamFile *file = stream->calls->next(stream->data, &error);

        if (error != NULL)
            give_up(stream, error);
        else if (file == NULL)
            stream->at_end = true;
        else if (file->ask || file->ask_only)
            begin_ask(stream, file);
        else
            g_queue_push_tail(&stream->wanted, file);
    }
    if (stream->error != NULL)
        g_queue_clear(&stream->wanted);
    while (stream->wanted.length > 0 && stream->source_due.length < FILES_AHEAD &&
           (stream->ahead < BYTES_AHEAD || stream->source_due.length == 0) &&
           (stream->calls->allow == NULL ||
            stream->calls->allow(stream->data, g_queue_peek_head(&stream->wanted))))
        begin_read(stream, g_queue_pop_head(&stream->wanted));
    if (stream->unsynced->len > 0 && !stream->sync_due &&
        (stream->unsynced->len >= SYNC_FILES || stream->unsynced_bytes >= SYNC_BYTES ||
         g_get_monotonic_time() - stream->unsynced_since > SYNC_US ||
         (no_more_work(stream) && stream->target_due.length == 0)))
        begin_sync(stream);
}

static bool strange(Peer *peer, GError **error)
{
    return peer_break(peer, error, "an answer to no question, or of the wrong kind");
}

/* From the source: the file begins. */
static bool on_head(Stream *stream, StreamFile *file, WireIn *in, GError **error)
{
    file->length = wire_u64(in);
    wire_u64(in); /* its mtime is of no use here */
    if (!peer_understood(stream->source, in, error))
        return false;
    stream->calls->write(stream->data, file, stream->target);
    stream->write_stream = end_request(stream->target);
    stream->writing = file;
    return true;
}

/* Ends what is being written at the destination; it answers. */
static void end_writing(Stream *stream, bool keep)
{
    WireOut *out = peer_out(stream->target);
    StreamFile *file = stream->writing;

    peer_begin_end(stream->target, stream->write_stream);
    wire_put_u8(out, keep);
    wire_put_u64(out, file->raw_size);
    wire_put_text(out, file->digest);
    wire_finish(out);
    expect(&stream->target_due, DUE_WRITE, stream->write_stream, file);
    stream->writing = NULL;
}

/* The answer to the READ at the head of the queue is complete. */
static void pop_read(Stream *stream)
{
    Due *due = g_queue_pop_head(&stream->source_due);

    stream->ahead -= due->file->expected;
    g_free(due);
}

static bool on_read_error(Stream *stream, StreamFile *file, const WireFrame *frame, GError **error)
{
    g_autoptr(GError) refusal = NULL;

    peer_refusal(stream->source, frame, &refusal);
    if (error_code(refusal) == ZX_ERROR_CONNECT) {
        g_propagate_error(error, g_steal_pointer(&refusal));
        return false;
    }
    g_free(file->trouble);
    file->trouble = g_strdup(refusal->message);
    file->unreadable = true;
    if (stream->writing != NULL)
        end_writing(stream, false);
    else
        finish(stream, file,
               error_code(refusal) == ZX_ERROR_NOT_FOUND ? STREAM_ABSENT : STREAM_FAILED);
    pop_read(stream);
    return true;
}

static bool on_source(Stream *stream, const WireFrame *frame, GError **error)
{
    const Due *due = g_queue_peek_head(&stream->source_due);
    WireOut *out = peer_out(stream->target);
    WireIn in = wire_in(frame);
    StreamFile *file;

    if (due == NULL || due->stream != frame->stream)
        return strange(stream->source, error);
    file = due->file;
    if (frame->type == AGENT_ERROR)
        return on_read_error(stream, file, frame, error);
    if (frame->type == AGENT_HEAD && stream->writing == NULL)
        return on_head(stream, file, &in, error);
    if (stream->writing == NULL)
        return strange(stream->source, error);
    if (frame->type == AGENT_DATA) {
        wire_begin(out, AGENT_DATA, 0, stream->write_stream);
        wire_put_bytes(out, frame->payload, frame->length);
        wire_finish(out);
        stream->passed += frame->length;
        return true;
    }
    if (frame->type != AGENT_TAIL)
        return strange(stream->source, error);
    file->raw_size = wire_u64(&in);
    wire_text(&in, file->digest, sizeof file->digest);
    if (!peer_understood(stream->source, &in, error))
        return false;
    end_writing(stream, true);
    pop_read(stream);
    return true;
}

static void on_have(Stream *stream, StreamFile *file, unsigned have)
{
    static const StreamResult results[] = { [HAVE_NEED] = STREAM_ABSENT,
                                            [HAVE_THERE] = STREAM_THERE,
                                            [HAVE_LINKED] = STREAM_LINKED,
                                            [HAVE_DIFFERS] = STREAM_DIFFERS };

    if (have == HAVE_NEED && !file->ask_only) {
        g_queue_push_tail(&stream->wanted, file);
        return;
    }
    if (have == HAVE_DIFFERS)
        file->trouble = g_strdup("a different file is there");
    finish(stream, file, results[have]);
}

static bool on_looked(Stream *stream, StreamFile *file, WireIn *in, GError **error)
{
    const unsigned is = wire_u8(in);

    file->look.is = (AgentLook)is;
    file->look.volume = wire_u8(in);
    file->look.mod_content = wire_u32(in);
    file->disk_size = wire_u64(in);
    file->raw_size = wire_u64(in);
    wire_text(in, file->digest, sizeof file->digest);
    if (!peer_understood(stream->target, in, error))
        return false;
    if (is > LOOK_ELSEWHERE)
        return strange(stream->target, error);
    finish(stream, file, is == LOOK_ABSENT ? STREAM_ABSENT : STREAM_THERE);
    return true;
}

static bool on_answer(Stream *stream, const Due *due, const WireFrame *frame, GError **error)
{
    StreamFile *file = due->file;
    WireIn in = wire_in(frame);
    unsigned have;

    if (due->kind == DUE_ASK && frame->type == AGENT_OK) {
        finish(stream, file, STREAM_THERE);
    } else if (due->kind == DUE_ASK && frame->type == AGENT_HAVE) {
        have = wire_u8(&in);
        file->disk_size = wire_u64(&in);
        if (!peer_understood(stream->target, &in, error) || have > HAVE_DIFFERS)
            return have > HAVE_DIFFERS ? strange(stream->target, error) : false;
        on_have(stream, file, have);
    } else if (due->kind == DUE_ASK && frame->type == AGENT_HASH) {
        file->disk_size = wire_u64(&in);
        file->raw_size = wire_u64(&in);
        wire_text(&in, file->digest, sizeof file->digest);
        if (!peer_understood(stream->target, &in, error))
            return false;
        finish(stream, file, STREAM_THERE);
    } else if (due->kind == DUE_ASK && frame->type == AGENT_LOOKED) {
        return on_looked(stream, file, &in, error);
    } else if (due->kind == DUE_WRITE && frame->type == AGENT_WRITTEN) {
        file->disk_size = wire_u64(&in);
        if (!peer_understood(stream->target, &in, error))
            return false;
        finish(stream, file, file->trouble == NULL ? STREAM_COPIED : STREAM_FAILED);
        stream->written += file->result == STREAM_COPIED;
    } else if (due->kind == DUE_SYNC && frame->type == AGENT_OK) {
        stream->sync_due = false;
        settle(stream, stream->syncing);
    } else {
        return strange(stream->target, error);
    }
    return true;
}

static bool on_target_error(Stream *stream, const Due *due, const WireFrame *frame, GError **error)
{
    g_autoptr(GError) refusal = NULL;

    peer_refusal(stream->target, frame, &refusal);
    if (error_code(refusal) == ZX_ERROR_CONNECT) {
        g_propagate_error(error, g_steal_pointer(&refusal));
        return false;
    }
    /* It came too late and nothing was done, as of all that are behind it: another try will show
     * whether the account is still ours. */
    if (error_code(refusal) == ZX_ERROR_BUSY) {
        give_up(stream, g_steal_pointer(&refusal));
        return true;
    }
    if (due->kind == DUE_SYNC) { /* nothing of it may be called durable */
        stream->sync_due = false;
        g_ptr_array_set_size(stream->syncing, 0);
        give_up(stream, g_steal_pointer(&refusal));
        return true;
    }
    if (due->kind == DUE_ASK && due->file->ask_only && error_code(refusal) == ZX_ERROR_NOT_FOUND)
        finish(stream, due->file, STREAM_ABSENT);
    else
        finish_failed(stream, due->file, refusal);
    if (error_code(refusal) == ZX_ERROR_NO_SPACE) /* every further file would fail alike */
        give_up(stream, g_steal_pointer(&refusal));
    return true;
}

static bool on_target(Stream *stream, const WireFrame *frame, GError **error)
{
    g_autofree Due *due = g_queue_pop_head(&stream->target_due);

    if (due == NULL || due->stream != frame->stream)
        return strange(stream->target, error);
    if (due->kind == DUE_ASK)
        stream->asked--;
    return frame->type == AGENT_ERROR ? on_target_error(stream, due, frame, error)
                                      : on_answer(stream, due, frame, error);
}

typedef bool OnFrame(Stream *stream, const WireFrame *frame, GError **error);

/* Moves bytes of one peer and handles the frames that are complete. */
static bool serve(Stream *stream, Peer *peer, short events, OnFrame *on_frame, GError **error)
{
    WireFrame frame;
    int got;

    if (!peer_pump(peer, (events & ~POLLOUT) != 0, error))
        return false;
    while ((got = peer_next(peer, &frame, error)) == 1)
        if (!on_frame(stream, &frame, error))
            return false;
    return got == 0;
}

/* One turn: what can be sent and received now. */
static bool turn(Stream *stream, GError **error)
{
    struct pollfd pollers[2] = { { .fd = peer_fd(stream->target), .events = POLLIN },
                                 { .fd = -1 } };
    size_t held = wire_out_left(peer_out(stream->target));

    if (held > 0)
        pollers[0].events |= POLLOUT;
    if (stream->source != NULL) {
        pollers[1].fd = peer_fd(stream->source);
        if (held < OUT_MAX)
            pollers[1].events |= POLLIN;
        else
            peer_touch(stream->source); /* it waits for us */
        if (wire_out_left(peer_out(stream->source)) > 0)
            pollers[1].events |= POLLOUT;
        if (pollers[1].events == 0)
            pollers[1].fd = -1;
    }
    poll(pollers, 2, POLL_MS);
    if (!serve(stream, stream->target, pollers[0].revents, on_target, error) ||
        (pollers[1].fd >= 0 &&
         !serve(stream, stream->source, pollers[1].revents, on_source, error)))
        return false;
    if (stream->target_due.length > 0 && !peer_patience(stream->target, error))
        return false;
    return stream->source_due.length == 0 || peer_patience(stream->source, error);
}

static bool all_done(const Stream *stream)
{
    return no_more_work(stream) && stream->target_due.length == 0 && stream->unsynced->len == 0;
}

static void run(Stream *stream, const Wait *wait)
{
    Wait drain = { 0 };

    while (settle(stream, stream->final), begin_more(stream), !all_done(stream)) {
        GError *error = NULL;

        if (stream->calls->tick != NULL)
            stream->calls->tick(stream->data, stream->written, stream->passed);
        if (stream->error == NULL && !wait_check(wait, "copying files", &error))
            give_up(stream, error);
        error = NULL;
        if (stream->error != NULL && drain.deadline == 0)
            drain = wait_within(NULL, DRAIN_MS);
        if (drain.deadline != 0 && wait_left_ms(&drain, 1) == 0) {
            peer_break(stream->target, NULL, "given up in the middle of a file");
            if (stream->source != NULL)
                peer_break(stream->source, NULL, "given up in the middle of a file");
            return;
        }
        if (!turn(stream, &error)) {
            give_up(stream, error);
            /* One conversation ended in the middle; the other is in the middle of a file, too. */
            peer_break(stream->target, NULL, "the other agent was lost");
            if (stream->source != NULL)
                peer_break(stream->source, NULL, "the other agent was lost");
            return;
        }
    }
}

bool stream_run(Peer *source, Peer *target, const StreamCalls *calls, void *data, const Wait *wait,
                GError **error)
{
    Stream stream = { .source = source, .target = target, .calls = calls, .data = data };

    g_queue_init(&stream.wanted);
    g_queue_init(&stream.source_due);
    g_queue_init(&stream.target_due);
    stream.final = g_ptr_array_new();
    stream.unsynced = g_ptr_array_new();
    stream.syncing = g_ptr_array_new();
    run(&stream, wait);
    g_queue_clear(&stream.wanted);
    g_queue_foreach(&stream.source_due, free_due, NULL);
    g_queue_clear(&stream.source_due);
    g_queue_foreach(&stream.target_due, free_due, NULL);
    g_queue_clear(&stream.target_due);
    g_ptr_array_free(stream.final, TRUE);
    g_ptr_array_free(stream.unsynced, TRUE);
    g_ptr_array_free(stream.syncing, TRUE);
    if (stream.error == NULL)
        return true;
    g_propagate_error(error, stream.error);
    return false;
}
