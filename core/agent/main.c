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

static const struct {
    AgentHandler *handler;
    const char *name;
} handlers[AGENT_REQUESTS] = {
    [AGENT_FACTS] = { agent_facts, "facts" },
    [AGENT_VOLUME] = { agent_volume, "volume" },
    [AGENT_SPACE] = { agent_space, "free space" },
    [AGENT_SPACE_PATH] = { agent_space_path, "free space" },
    [AGENT_USAGE] = { agent_usage, "usage" },
    [AGENT_REMOVE] = { agent_usage, "remove" },
    [AGENT_CALCACHE_SEEN] = { agent_calcache, "calendar cache" },
    [AGENT_CALCACHE_REMOVE] = { agent_calcache, "calendar cache" },
    [AGENT_SYNCFS] = { agent_syncfs, "sync" },
    [AGENT_FLUSH] = { agent_flush, "sync" },
    [AGENT_PROBE_PUT] = { agent_probe, "probe" },
    [AGENT_PROBE_SEEN] = { agent_probe, "probe" },
    [AGENT_PROBE_DROP] = { agent_probe, "probe" },
    [AGENT_INDEX_LIST] = { agent_index_list, "index" },
    [AGENT_INDEX_REMOVE] = { agent_index_remove, "index" },
    [AGENT_INDEX_DROP] = { agent_index_drop, "index" },
    [AGENT_INDEX_READ] = { agent_index_read, "index" },
    [AGENT_INDEX_WRITE] = { agent_index_write, "index" },
    [AGENT_BLOB_HAVE] = { agent_blob_have, "blob" },
    [AGENT_BLOB_READ] = { agent_blob_read, "blob" },
    [AGENT_BLOB_WRITE] = { agent_blob_write, "blob" },
    [AGENT_BLOB_STAT] = { agent_blob_stat, "blob" },
    [AGENT_BLOB_HASH] = { agent_blob_hash, "blob" },
    [AGENT_BLOB_UNLINK] = { agent_blob_unlink, "blob" },
    [AGENT_BLOB_LOOK] = { agent_blob_look, "blob" },
    [AGENT_BLOB_LIST] = { agent_blob_list, "blobs" },
    [AGENT_MAILBOXES] = { agent_mailboxes, "mailboxes" },
    [AGENT_BACKUP_ROOT] = { agent_backup_root, "backup" },
    [AGENT_BACKUP_SPACE] = { agent_backup_space, "free space" },
    [AGENT_BACKUP_LIST] = { agent_backup_list, "backup" },
    [AGENT_BACKUP_READ] = { agent_backup_read, "backup" },
    [AGENT_BACKUP_WRITE] = { agent_backup_write, "backup" },
    [AGENT_BACKUP_SYNC] = { agent_backup_sync, "sync" },
    [AGENT_LOAD] = { agent_load, "load" },
};

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

/* False when the conversation makes no sense any more. */
static bool serve(Agent *agent, const WireFrame *frame)
{
    g_autoptr(GError) error = NULL;
    AgentHandler *handler = NULL;
    const char *name = "content";
    WireIn in = wire_in(frame);

    if (frame->type < AGENT_REQUESTS) {
        handler = handlers[frame->type].handler;
        name = handlers[frame->type].name;
    } else if (frame->type == AGENT_DATA) {
        handler = agent_data;
    } else if (frame->type == AGENT_END) {
        handler = agent_end;
    }
    if (handler == NULL)
        fail(&error, ZX_ERROR_CONNECT, "request %u is unknown", frame->type);
    else if (handler(agent, frame, &in, &error))
        return true;
    else
        fail_prefix(&error, "%s", name);
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
