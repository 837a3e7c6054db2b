/* main.c - zxmove-agent: does the file work of zxmove beside the disks of a store. It reads
 * requests on stdin, answers on stdout, and ends when stdin ends. It has no configuration, opens no
 * socket and acts only below the volumes it is told (protocol.h). */
#include "core/agent/agent.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SEND_AT   (512 * 1024)           /* answers held back to be sent together */
#define PIPE_SIZE (1024 * 1024)          /* what a kernel lets anybody have */
#define STEP_MAX  (600 * G_USEC_PER_SEC) /* a request without a step for so long is not alive */

typedef enum Effect {
    LOOKS,
    CHANGES, /* something on the disk */
    WRITES,  /* a file, of which content follows */
} Effect;

typedef struct Request {
    AgentHandler *handler;
    const char *name;
    Effect effect;
} Request;

static const Request requests[AGENT_REQUESTS] = {
    [AGENT_FACTS] = { agent_facts, "facts", LOOKS },
    [AGENT_VOLUME] = { agent_volume, "volume", LOOKS },
    [AGENT_SPACE] = { agent_space, "free space", LOOKS },
    [AGENT_SPACE_PATH] = { agent_space_path, "free space", LOOKS },
    [AGENT_USAGE] = { agent_usage, "usage", LOOKS },
    [AGENT_REMOVE] = { agent_usage, "remove", CHANGES },
    [AGENT_CALCACHE_SEEN] = { agent_calcache, "calendar cache", LOOKS },
    [AGENT_CALCACHE_REMOVE] = { agent_calcache, "calendar cache", CHANGES },
    [AGENT_SYNCFS] = { agent_syncfs, "sync", LOOKS },
    [AGENT_FLUSH] = { agent_flush, "sync", LOOKS },
    [AGENT_PROBE_PUT] = { agent_probe, "probe", CHANGES },
    [AGENT_PROBE_SEEN] = { agent_probe, "probe", LOOKS },
    [AGENT_PROBE_DROP] = { agent_probe, "probe", CHANGES },
    [AGENT_INDEX_LIST] = { agent_index_list, "index", LOOKS },
    [AGENT_INDEX_REMOVE] = { agent_index_remove, "index", CHANGES },
    [AGENT_INDEX_DROP] = { agent_index_drop, "index", CHANGES },
    [AGENT_INDEX_READ] = { agent_index_read, "index", LOOKS },
    [AGENT_INDEX_WRITE] = { agent_index_write, "index", WRITES },
    [AGENT_BLOB_HAVE] = { agent_blob_have, "blob", CHANGES },
    [AGENT_BLOB_READ] = { agent_blob_read, "blob", LOOKS },
    [AGENT_BLOB_WRITE] = { agent_blob_write, "blob", WRITES },
    [AGENT_BLOB_STAT] = { agent_blob_stat, "blob", LOOKS },
    [AGENT_BLOB_HASH] = { agent_blob_hash, "blob", LOOKS },
    [AGENT_BLOB_UNLINK] = { agent_blob_unlink, "blob", CHANGES },
    [AGENT_BLOB_LOOK] = { agent_blob_look, "blob", LOOKS },
    [AGENT_BLOB_LIST] = { agent_blob_list, "blobs", LOOKS },
    [AGENT_MAILBOXES] = { agent_mailboxes, "mailboxes", LOOKS },
    [AGENT_BACKUP_ROOT] = { agent_backup_root, "backup", LOOKS },
    [AGENT_BACKUP_SPACE] = { agent_backup_space, "free space", LOOKS },
    [AGENT_BACKUP_LIST] = { agent_backup_list, "backup", LOOKS },
    [AGENT_BACKUP_READ] = { agent_backup_read, "backup", LOOKS },
    [AGENT_BACKUP_WRITE] = { agent_backup_write, "backup", WRITES },
    [AGENT_BACKUP_SYNC] = { agent_backup_sync, "sync", LOOKS },
    [AGENT_LOAD] = { agent_load, "load", LOOKS },
};
static const Request data_request = { agent_data, "content", LOOKS };
static const Request end_request = { agent_end, "content", WRITES };

static GMutex output;
static gint64
    last_step; /* monotonic time of the request's last step, 0 between requests; under output */

void agent_step(void)
{
    g_mutex_lock(&output);
    last_step = g_get_monotonic_time();
    g_mutex_unlock(&output);
}

static void write_all(const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t done = write(STDOUT_FILENO, bytes, length);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            _exit(0); /* nobody is there any more */
        bytes += done;
        length -= (size_t)done;
    }
}

void agent_send(Agent *agent)
{
    g_mutex_lock(&output);
    write_all(wire_out_bytes(&agent->out), wire_out_left(&agent->out));
    wire_out_sent(&agent->out, wire_out_left(&agent->out));
    g_mutex_unlock(&output);
}

static gpointer say_alive(gpointer unused)
{
    WireOut out;

    (void)unused;
    wire_out_init(&out);
    wire_begin(&out, AGENT_ALIVE, 0, 0);
    wire_finish(&out);
    for (;;) {
        g_usleep(AGENT_ALIVE_S * G_USEC_PER_SEC);
        g_mutex_lock(&output);
        if (last_step != 0 && g_get_monotonic_time() - last_step < STEP_MAX)
            write_all(wire_out_bytes(&out), wire_out_left(&out));
        g_mutex_unlock(&output);
    }
    return NULL;
}

void agent_ok(Agent *agent, const WireFrame *frame)
{
    wire_begin(&agent->out, AGENT_OK, 0, frame->stream);
    wire_finish(&agent->out);
}

static void answer_error(Agent *agent, const WireFrame *frame, const GError *error)
{
    wire_begin(&agent->out, AGENT_ERROR, 0, frame->stream);
    wire_put_u8(&agent->out, (uint8_t)error_code(error));
    wire_put_text(&agent->out, error->message);
    wire_finish(&agent->out);
}

static const Request *request_of(uint8_t type)
{
    if (type == AGENT_DATA)
        return &data_request;
    if (type == AGENT_END)
        return &end_request;
    return type < AGENT_REQUESTS && requests[type].handler != NULL ? &requests[type] : NULL;
}

/* NULL in time. The claim's end is by the clock that its store's database has: whoever takes the
 * account over asks that one whether it has passed. */
static GError *judge_lateness(const Request *request, uint64_t until)
{
    uint64_t now = (uint64_t)g_get_real_time() / 1000;
    GError *late = NULL;

    if (until != 0 && now > until && request->effect != LOOKS)
        fail(&late, ZX_ERROR_BUSY,
             "came %.1f s after the end of the claim it was sent under, and is not done (a disk or a"
             " connection that stood still, or the clock of this host)",
             (double)(now - until) / 1000);
    return late;
}

static bool carry_out(Agent *agent, const Request *request, const WireFrame *frame, GError **error)
{
    WireIn in = wire_in(frame);
    GError *late = request != &data_request ? judge_lateness(request, wire_u64(&in)) : NULL;

    if (late == NULL)
        return request->handler(agent, frame, &in, error);
    if (request->effect == WRITES)
        return agent_write_refused(agent, frame, &in, late, error);
    g_propagate_error(error, late);
    return false;
}

/* False when the conversation makes no sense any more. */
static bool serve(Agent *agent, const WireFrame *frame)
{
    const Request *request = request_of(frame->type);
    g_autoptr(GError) error = NULL;

    if (request == NULL)
        fail(&error, ZX_ERROR_CONNECT, "request %u is unknown", frame->type);
    else if (carry_out(agent, request, frame, &error))
        return true;
    else
        fail_prefix(&error, "%s", request->name);
    answer_error(agent, frame, error);
    return error_code(error) != ZX_ERROR_CONNECT;
}

static void greet(void)
{
    g_autofree char *line = g_strdup_printf(AGENT_GREETING " %s %d\n", ZX_VERSION, AGENT_PROTOCOL);

    write_all((const uint8_t *)line, strlen(line));
}

/* Reads until stdin ends; false when what came is no request. */
static bool converse(Agent *agent)
{
    WireBuffer buffer;
    bool ok = true;

    wire_buffer_init(&buffer);
    while (ok) {
        WireFrame frame;
        size_t room;
        uint8_t *at;
        ssize_t got;

        while (ok && (got = wire_next(&buffer, &frame, NULL)) == 1) {
            agent_step();
            ok = serve(agent, &frame);
            if (wire_out_left(&agent->out) > SEND_AT)
                agent_send(agent);
        }
        ok = ok && got == 0;
        agent_send(agent);
        if (!ok)
            break;
        g_mutex_lock(&output);
        last_step = 0;
        g_mutex_unlock(&output);
        at = wire_room(&buffer, &room);
        while ((got = read(STDIN_FILENO, at, room)) < 0 && errno == EINTR)
            ;
        if (got <= 0)
            break;
        wire_filled(&buffer, (size_t)got);
    }
    wire_buffer_clear(&buffer);
    return ok;
}

int main(int argc, char **argv)
{
    Agent agent = { 0 };
    bool ok;

    if (argc != 1) {
        fprintf(stderr, "%s %s: started by zxmove, on a store; it takes no arguments\n",
                argc > 0 ? argv[0] : "zxmove-agent", ZX_VERSION);
        return 64;
    }
    prctl(PR_SET_DUMPABLE, 0); /* no core file holds what it reads, MariaDB's password among it */
    signal(SIGPIPE, SIG_IGN);
    /* sshd's pipes hold half a frame, and whoever fills one waits for the other end to be woken. */
    fcntl(STDIN_FILENO, F_SETPIPE_SZ, PIPE_SIZE);
    fcntl(STDOUT_FILENO, F_SETPIPE_SZ, PIPE_SIZE);
    umask(022); /* files and directories get their modes explicitly */
    wire_out_init(&agent.out);
    agent_write_init(&agent);
    greet();
    g_thread_unref(g_thread_new("alive", say_alive, NULL));
    ok = converse(&agent);
    agent_write_clear(&agent);
    agent_forget_dirs(&agent, NULL);
    tree_close(agent.backup);
    for (unsigned i = 0; i < G_N_ELEMENTS(agent.trees); i++)
        tree_close(agent.trees[i]);
    wire_out_clear(&agent.out);
    return ok ? 0 : 1;
}
