/* peer.c - see peer.h. */
#include "core/net/peer.h"
#include "core/agent/protocol.h"
#include "core/base/secret.h"
#include "core/net/peer_start.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define END_MS 2000 /* for a local agent to end after its stdin did */

struct Peer {
    char *store;
    AgentProcess process;
    unsigned timeout_s;
    char *broken; /* why it answers no more */
    WireBuffer in;
    WireOut out;
    uint16_t stream;
    const Wait *wait; /* whose tick runs meanwhile; NULL: none */
    gint64 heard; /* when its patience began: last bytes received or taken, last request begun */
};

/* What a local agent said on its stderr, for the message that it ended. */
static char *complaint(Peer *peer)
{
    char said[1024];
    ssize_t got =
        peer->process.stderr_fd < 0 ? 0 : read(peer->process.stderr_fd, said, sizeof said - 1);

    if (got <= 0)
        return g_strdup("");
    said[got] = '\0';
    g_strdelimit(said, "\r\n", ' ');
    return g_strdup_printf(" (it said: %s)", g_strchomp(said));
}

bool peer_broken(const Peer *peer)
{
    return peer->broken != NULL;
}

bool peer_break(Peer *peer, GError **error, const char *why)
{
    if (peer->broken == NULL) {
        g_autofree char *said = complaint(peer);

        peer->broken = g_strdup_printf("agent on %s: %s%s", peer->store, why, said);
        shutdown(peer->process.fd, SHUT_RDWR);
    }
    return fail(error, ZX_ERROR_CONNECT, "%s", peer->broken);
}

bool peer_patience(Peer *peer, GError **error)
{
    g_autofree char *why = NULL;

    if (peer->broken != NULL)
        return peer_break(peer, error, "");
    if (g_get_monotonic_time() - peer->heard < (gint64)peer->timeout_s * G_USEC_PER_SEC)
        return true;
    why = g_strdup_printf("no answer in %u s", peer->timeout_s);
    peer_break(peer, NULL, why);
    return fail(error, ZX_ERROR_TIMEOUT, "%s", peer->broken);
}

/* 1 a byte, 0 the end, -1 an error. */
static int greeting_byte(Peer *peer, char *byte, GError **error)
{
    for (;;) {
        struct pollfd poller = { .fd = peer->process.fd, .events = POLLIN };
        ssize_t got;

        poll(&poller, 1, WAIT_SLICE_MS);
        got = recv(peer->process.fd, byte, 1, MSG_DONTWAIT);
        if (got >= 0 || (errno != EAGAIN && errno != EINTR))
            return got == 1;
        if (!peer_patience(peer, error))
            return -1;
    }
}

typedef enum Greeting { GREETING_BROKEN, GREETING_NONE, GREETING_OK } Greeting;

static Greeting judge_greeting(Peer *peer, const char *line, GError **error)
{
    g_autofree char *expected =
        g_strdup_printf(AGENT_GREETING " %s %d", ZX_VERSION, AGENT_PROTOCOL);
    g_autofree char *why = NULL;

    if (strcmp(line, expected) == 0)
        return GREETING_OK;
    why = g_strdup_printf("another version answers: '%s' instead of '%s'", line, expected);
    peer_break(peer, error, why);
    return GREETING_BROKEN;
}

/* Noise of a login shell may come before the greeting; it is quoted if the greeting never comes.
 * Byte by byte: what follows the line is no text. */
static Greeting await_greeting(Peer *peer, GError **error)
{
    g_autoptr(GString) said = g_string_new(NULL);
    g_autofree char *text = NULL, *why = NULL;
    size_t line = 0;
    char byte;
    int got;

    peer_touch(peer);
    while (said->len < AGENT_NOISE && (got = greeting_byte(peer, &byte, error)) != 0) {
        if (got < 0)
            return GREETING_BROKEN;
        if (byte != '\n') {
            g_string_append_c(said, byte == '\0' ? '?' : byte);
            continue;
        }
        if (g_str_has_prefix(said->str + line, AGENT_GREETING " "))
            return judge_greeting(peer, said->str + line, error);
        if (strcmp(said->str + line, AGENT_NONE) == 0)
            return GREETING_NONE;
        g_string_append_c(said, '\n');
        line = said->len;
    }
    text = g_strescape(g_strchomp(said->str), NULL);
    why = g_strdup_printf(
        said->len < AGENT_NOISE
            ? "it ended before it began: '%s'"
            : "a login shell that is not interactive must print nothing; this one prints '%.200s'",
        text);
    peer_break(peer, error, why);
    return GREETING_BROKEN;
}

static Peer *peer_new(const char *store, unsigned timeout_s)
{
    Peer *peer = g_new0(Peer, 1);

    peer->store = g_strdup(store);
    peer->timeout_s = timeout_s;
    peer->process = (AgentProcess){ .fd = -1, .stderr_fd = -1 };
    wire_buffer_init(&peer->in);
    wire_out_init(&peer->out);
    return peer;
}

static bool open_remote(Peer *peer, Ssh *ssh, const char *agent_file, GError **error)
{
    AgentProgram program = { 0 };
    bool ok = agent_program_read(agent_file, &program, error);

    for (unsigned attempt = 0; ok; attempt++) {
        Greeting greeting;

        ok = agent_start_remote(ssh, &program, &peer->process, error);
        if (!ok)
            break;
        greeting = await_greeting(peer, error);
        ok = greeting != GREETING_BROKEN;
        if (greeting != GREETING_NONE)
            break;
        close(peer->process.fd);
        peer->process.fd = -1;
        if (attempt > 0)
            ok = fail(error, ZX_ERROR_CONNECT,
                      "the agent was put on %s and is not found there: is the home directory of "
                      "the login user cleaned by somebody?",
                      peer->store);
        else
            ok = agent_upload(ssh, peer->store, &program, peer->timeout_s, error);
    }
    g_free(program.bytes);
    return ok;
}

Peer *peer_open(const char *store, Ssh *ssh, const char *agent_file, unsigned timeout_s,
                GError **error)
{
    g_autoptr(Peer) peer = peer_new(store, timeout_s);

    if (ssh != NULL) {
        if (!open_remote(peer, ssh, agent_file, error))
            return NULL;
    } else if (!agent_start_local(agent_file, &peer->process, error) ||
               await_greeting(peer, error) != GREETING_OK) {
        return NULL;
    }
    return g_steal_pointer(&peer);
}

/* A local agent ends with its stdin; one that does not is ended. */
static void reap(pid_t pid)
{
    for (unsigned waited = 0; waited < END_MS; waited += 5) {
        if (waitpid(pid, NULL, WNOHANG) != 0)
            return;
        g_usleep(5 * 1000);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

void peer_close(Peer *peer)
{
    if (peer == NULL)
        return;
    if (peer->process.fd >= 0)
        close(peer->process.fd);
    if (peer->process.pid > 0)
        reap(peer->process.pid);
    if (peer->process.stderr_fd >= 0)
        close(peer->process.stderr_fd);
    wire_buffer_clear(&peer->in);
    wire_out_clear(&peer->out);
    g_free(peer->broken);
    g_free(peer->store);
    g_free(peer);
}

const char *peer_store(const Peer *peer)
{
    return peer->store;
}

void peer_while_waiting(Peer *peer, const Wait *wait)
{
    peer->wait = wait;
}

int peer_fd(Peer *peer)
{
    return peer->process.fd;
}

WireOut *peer_out(Peer *peer)
{
    return &peer->out;
}

void peer_begin(Peer *peer, uint8_t type, uint8_t flags)
{
    wire_begin(&peer->out, type, flags, ++peer->stream);
    peer_touch(peer);
}

uint16_t peer_stream(const Peer *peer)
{
    return peer->stream;
}

void peer_touch(Peer *peer)
{
    peer->heard = g_get_monotonic_time();
}

bool peer_pump(Peer *peer, bool receive, GError **error)
{
    ssize_t done = 1;

    if (peer->broken != NULL)
        return peer_break(peer, error, "");
    while (wire_out_left(&peer->out) > 0) {
        done = send(peer->process.fd, wire_out_bytes(&peer->out), wire_out_left(&peer->out),
                    MSG_DONTWAIT | MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            break;
        wire_out_sent(&peer->out, (size_t)done);
        peer_touch(peer); /* it takes what we send: it is at work */
    }
    if (done < 0 && errno != EAGAIN)
        return peer_break(peer, error, g_strerror(errno));
    if (receive) {
        size_t room;
        uint8_t *at = wire_room(&peer->in, &room);

        done = recv(peer->process.fd, at, room, MSG_DONTWAIT);
        if (done == 0)
            return peer_break(peer, error, "the connection ended");
        if (done < 0)
            return errno == EAGAIN || errno == EINTR || peer_break(peer, error, g_strerror(errno));
        wire_filled(&peer->in, (size_t)done);
        peer_touch(peer);
    }
    return true;
}

int peer_next(Peer *peer, WireFrame *frame, GError **error)
{
    g_autoptr(GError) problem = NULL;
    int got;

    while ((got = wire_next(&peer->in, frame, &problem)) == 1 && frame->type == AGENT_ALIVE)
        ;
    if (got < 0)
        peer_break(peer, error, problem->message);
    return got;
}

bool peer_refusal(Peer *peer, const WireFrame *frame, GError **error)
{
    WireIn in = wire_in(frame);
    unsigned code = wire_u8(&in);
    char text[WIRE_TEXT];

    wire_text(&in, text, sizeof text);
    if (!wire_end(&in, NULL) || code > ZX_ERROR_INTERRUPTED)
        return peer_break(peer, error, "an error that cannot be understood");
    if (code == ZX_ERROR_CONNECT)
        return peer_break(peer, error, text); /* the agent ended the conversation */
    return fail(error, (ZxError)code, "%s: %s", peer->store, text);
}

/* The next frame of the answer to a request under way. */
static bool answer(Peer *peer, WireFrame *frame, GError **error)
{
    int got;

    while ((got = peer_next(peer, frame, error)) == 0) {
        struct pollfd poller = { .fd = peer->process.fd, .events = POLLIN };

        if (wire_out_left(&peer->out) > 0)
            poller.events |= POLLOUT;
        poll(&poller, 1, WAIT_SLICE_MS);
        wait_tick(peer->wait);
        if (!peer_pump(peer, (poller.revents & ~POLLOUT) != 0, error) ||
            !peer_patience(peer, error))
            return false;
    }
    if (got < 0)
        return false;
    if (frame->stream != peer->stream)
        return peer_break(peer, error, "an answer to no question");
    return frame->type != AGENT_ERROR || peer_refusal(peer, frame, error);
}

/* Ends the request begun with peer_begin and waits for an answer of @type. */
static bool ask(Peer *peer, uint8_t type, WireFrame *frame, GError **error)
{
    wire_finish(&peer->out);
    if (!answer(peer, frame, error))
        return false;
    return frame->type == type || peer_break(peer, error, "an answer of the wrong kind");
}

/* Judges what was decoded; a message that makes no sense ends the conversation. */
static bool understood(Peer *peer, const WireIn *in, GError **error)
{
    g_autoptr(GError) problem = NULL;

    return wire_end(in, &problem) || peer_break(peer, error, problem->message);
}

static bool ask_ok(Peer *peer, GError **error)
{
    WireFrame frame;

    return ask(peer, AGENT_OK, &frame, error);
}

static bool ask_seen(Peer *peer, bool *out, GError **error)
{
    WireFrame frame;
    WireIn in;
    bool seen;

    if (!ask(peer, AGENT_SEEN, &frame, error))
        return false;
    in = wire_in(&frame);
    seen = wire_u8(&in) != 0;
    if (!understood(peer, &in, error))
        return false;
    *out = seen;
    return true;
}

static void wipe_free(gpointer text)
{
    secret_wipe(text);
    g_free(text);
}

GHashTable *peer_facts(Peer *peer, const char *zimbra_home, bool mariadb_password, GError **error)
{
    g_autoptr(GHashTable) facts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, wipe_free);
    WireFrame frame;
    bool ok;

    peer_begin(peer, AGENT_FACTS, 0);
    wire_put_text(&peer->out, zimbra_home);
    wire_put_u8(&peer->out, mariadb_password);
    wire_finish(&peer->out);
    while ((ok = answer(peer, &frame, error)) && frame.type == AGENT_FACT) {
        char name[NAME_SIZE], value[WIRE_TEXT];
        WireIn in = wire_in(&frame);

        wire_text(&in, name, sizeof name);
        wire_text(&in, value, sizeof value);
        ok = understood(peer, &in, error);
        if (ok)
            g_hash_table_replace(facts, g_strdup(name), g_strdup(value));
        explicit_bzero(value, sizeof value);
        if (!ok)
            break;
    }
    if (mariadb_password) { /* nothing of it stays behind in the buffer */
        size_t room;
        uint8_t *at = wire_room(&peer->in, &room);

        explicit_bzero(at, room);
    }
    if (ok && frame.type != AGENT_OK)
        ok = peer_break(peer, error, "an answer of the wrong kind");
    return ok ? g_steal_pointer(&facts) : NULL;
}

bool peer_volume(Peer *peer, const Volume *volume, GError **error)
{
    AgentVolumeInfo info = { .id = (uint8_t)volume->id,
                             .blobs = volume->type != VOLUME_INDEX,
                             .file_bits = (uint8_t)volume->file_bits,
                             .file_group_bits = (uint8_t)volume->file_group_bits,
                             .mailbox_bits = (uint8_t)volume->mailbox_bits,
                             .mailbox_group_bits = (uint8_t)volume->mailbox_group_bits,
                             .compression_threshold = volume->compression_threshold };

    if (volume->id > UINT8_MAX || g_strlcpy(info.path, volume->path, WIRE_TEXT) >= WIRE_TEXT)
        return fail(error, ZX_ERROR_REFUSED, "volume %u of %s: its id or path is out of range",
                    volume->id, peer->store);
    peer_begin(peer, AGENT_VOLUME, 0);
    agent_volume_put(&peer->out, &info);
    return ask_ok(peer, error);
}

bool peer_load(Peer *peer, double *load, GError **error)
{
    uint32_t hundredths;
    WireFrame frame;
    WireIn in;

    peer_begin(peer, AGENT_LOAD, 0);
    if (!ask(peer, AGENT_LOAD_IS, &frame, error))
        return false;
    in = wire_in(&frame);
    hundredths = wire_u32(&in);
    if (!understood(peer, &in, error))
        return false;
    *load = hundredths / 100.0;
    return true;
}

static bool ask_space(Peer *peer, PeerSpace *out, GError **error)
{
    PeerSpace space;
    WireFrame frame;
    WireIn in;

    if (!ask(peer, AGENT_SPACE_IS, &frame, error))
        return false;
    in = wire_in(&frame);
    space.free_bytes = wire_u64(&in);
    space.total_bytes = wire_u64(&in);
    space.device = wire_u64(&in);
    if (!understood(peer, &in, error))
        return false;
    *out = space;
    return true;
}

bool peer_space(Peer *peer, unsigned volume, PeerSpace *out, GError **error)
{
    peer_begin(peer, AGENT_SPACE, 0);
    wire_put_u8(&peer->out, (uint8_t)volume);
    return ask_space(peer, out, error);
}

bool peer_space_path(Peer *peer, const char *directory, PeerSpace *out, GError **error)
{
    peer_begin(peer, AGENT_SPACE_PATH, 0);
    wire_put_text(&peer->out, directory);
    return ask_space(peer, out, error);
}

static void begin_mailbox(Peer *peer, uint8_t type, unsigned volume, uint32_t mailbox_id)
{
    peer_begin(peer, type, 0);
    wire_put_u8(&peer->out, (uint8_t)volume);
    wire_put_u32(&peer->out, mailbox_id);
}

static bool ask_usage(Peer *peer, uint64_t *files, uint64_t *bytes, GError **error)
{
    uint64_t file_count, byte_count;
    WireFrame frame;
    WireIn in;

    if (!ask(peer, AGENT_USAGE_IS, &frame, error))
        return false;
    in = wire_in(&frame);
    file_count = wire_u64(&in);
    byte_count = wire_u64(&in);
    if (!understood(peer, &in, error))
        return false;
    if (files != NULL)
        *files = file_count;
    if (bytes != NULL)
        *bytes = byte_count;
    return true;
}

bool peer_mailbox_usage(Peer *peer, unsigned volume, uint32_t mailbox_id, uint64_t *files,
                        uint64_t *bytes, GError **error)
{
    begin_mailbox(peer, AGENT_USAGE, volume, mailbox_id);
    return ask_usage(peer, files, bytes, error);
}

bool peer_blob_check(Peer *peer, const BlobRef *ref, char **damage, GError **error)
{
    GError *problem = NULL;
    char digest[DIGEST_SIZE];
    uint64_t raw_size;
    WireFrame frame;
    WireIn in;

    *damage = NULL;
    peer_begin(peer, AGENT_BLOB_HASH, 0);
    blob_ref_put(&peer->out, ref);
    if (!ask(peer, AGENT_HASH, &frame, &problem)) {
        if (peer_broken(peer)) {
            g_propagate_error(error, problem);
            return false;
        }
        *damage = g_strdup(problem->message);
        g_error_free(problem);
        return true;
    }
    in = wire_in(&frame);
    wire_u64(&in); /* of the file, which may be compressed */
    raw_size = wire_u64(&in);
    wire_text(&in, digest, sizeof digest);
    if (!understood(peer, &in, error))
        return false;
    if (raw_size != ref->size)
        *damage = g_strdup_printf("%" G_GUINT64_FORMAT " bytes, its row says %" G_GUINT64_FORMAT,
                                  raw_size, ref->size);
    else if (strcmp(digest, ref->digest) != 0)
        *damage = g_strdup("its content is not what its row says");
    return true;
}

bool peer_mailbox_remove(Peer *peer, unsigned volume, uint32_t mailbox_id, uint32_t most,
                         uint64_t *files, uint64_t *bytes, GError **error)
{
    begin_mailbox(peer, AGENT_REMOVE, volume, mailbox_id);
    wire_put_u32(&peer->out, most);
    return ask_usage(peer, files, bytes, error);
}

static void begin_calcache(Peer *peer, uint8_t type, const char *directory, uint32_t mailbox_id)
{
    peer_begin(peer, type, 0);
    wire_put_text(&peer->out, directory);
    wire_put_u32(&peer->out, mailbox_id);
}

bool peer_calcache_exists(Peer *peer, const char *directory, uint32_t mailbox_id, bool *out,
                          GError **error)
{
    begin_calcache(peer, AGENT_CALCACHE_SEEN, directory, mailbox_id);
    return ask_seen(peer, out, error);
}

bool peer_calcache_remove(Peer *peer, const char *directory, uint32_t mailbox_id, GError **error)
{
    begin_calcache(peer, AGENT_CALCACHE_REMOVE, directory, mailbox_id);
    return ask_ok(peer, error);
}

bool peer_syncfs(Peer *peer, unsigned volume, GError **error)
{
    peer_begin(peer, AGENT_SYNCFS, 0);
    wire_put_u8(&peer->out, (uint8_t)volume);
    return ask_ok(peer, error);
}

static void begin_probe(Peer *peer, uint8_t type, unsigned volume, const char *token)
{
    peer_begin(peer, type, 0);
    wire_put_u8(&peer->out, (uint8_t)volume);
    wire_put_text(&peer->out, token);
}

bool peer_probe_put(Peer *peer, unsigned volume, const char *token, GError **error)
{
    begin_probe(peer, AGENT_PROBE_PUT, volume, token);
    return ask_ok(peer, error);
}

bool peer_probe_seen(Peer *peer, unsigned volume, const char *token, bool *out, GError **error)
{
    begin_probe(peer, AGENT_PROBE_SEEN, volume, token);
    return ask_seen(peer, out, error);
}

bool peer_probe_drop(Peer *peer, unsigned volume, const char *token, GError **error)
{
    begin_probe(peer, AGENT_PROBE_DROP, volume, token);
    return ask_ok(peer, error);
}

void index_file_free(IndexFile *file)
{
    g_free(file->name);
    g_free(file);
}

GPtrArray *peer_index_list(Peer *peer, unsigned volume, uint32_t mailbox_id, GError **error)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func((GDestroyNotify)index_file_free);
    WireFrame frame;
    bool ok;

    begin_mailbox(peer, AGENT_INDEX_LIST, volume, mailbox_id);
    wire_finish(&peer->out);
    while ((ok = answer(peer, &frame, error)) && frame.type == AGENT_INDEX_ENTRY) {
        IndexFile *file = g_new0(IndexFile, 1);
        WireIn in = wire_in(&frame);
        char name[NAME_SIZE];

        wire_text(&in, name, sizeof name);
        file->name = g_strdup(name);
        file->size = wire_u64(&in);
        file->mtime_ns = (int64_t)wire_u64(&in);
        g_ptr_array_add(files, file);
        if (!understood(peer, &in, error))
            return NULL;
    }
    if (ok && frame.type != AGENT_OK)
        ok = peer_break(peer, error, "an answer of the wrong kind");
    return ok ? g_steal_pointer(&files) : NULL;
}

bool peer_index_remove(Peer *peer, unsigned volume, uint32_t mailbox_id, GError **error)
{
    begin_mailbox(peer, AGENT_INDEX_REMOVE, volume, mailbox_id);
    return ask_ok(peer, error);
}

static bool take_blob_entry(Peer *peer, const WireFrame *frame, BlobEntry *entry,
                            char path[NAME_SIZE], GError **error)
{
    WireIn in = wire_in(frame);

    entry->in_place = wire_u8(&in) != 0;
    entry->item = wire_u32(&in);
    entry->mod_content = wire_u32(&in);
    entry->length = wire_u64(&in);
    entry->mtime = (int64_t)wire_u64(&in);
    wire_text(&in, path, NAME_SIZE);
    entry->path = path;
    return understood(peer, &in, error);
}

bool peer_blob_list(Peer *peer, unsigned volume, uint32_t mailbox_id, BlobFound *found, void *data,
                    GError **error)
{
    char path[NAME_SIZE];
    WireFrame frame;
    BlobEntry entry;
    bool ok;

    begin_mailbox(peer, AGENT_BLOB_LIST, volume, mailbox_id);
    wire_finish(&peer->out);
    while ((ok = answer(peer, &frame, error)) && frame.type == AGENT_BLOB_ENTRY) {
        if (!take_blob_entry(peer, &frame, &entry, path, error))
            return false;
        if (!found(data, &entry, error)) {
            peer_break(peer, NULL, "given up in the middle of a list");
            return false;
        }
        peer_touch(peer); /* it waited for us */
    }
    return ok && (frame.type == AGENT_OK || peer_break(peer, error, "an answer of the wrong kind"));
}

GArray *peer_mailboxes(Peer *peer, unsigned volume, GError **error)
{
    g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    WireFrame frame;
    bool ok;

    peer_begin(peer, AGENT_MAILBOXES, 0);
    wire_put_u8(&peer->out, (uint8_t)volume);
    wire_finish(&peer->out);
    while ((ok = answer(peer, &frame, error)) && frame.type == AGENT_MAILBOX_ENTRY) {
        WireIn in = wire_in(&frame);
        const uint32_t id = wire_u32(&in);

        g_array_append_val(ids, id);
        if (!understood(peer, &in, error))
            return NULL;
    }
    if (ok && frame.type != AGENT_OK)
        ok = peer_break(peer, error, "an answer of the wrong kind");
    return ok ? g_steal_pointer(&ids) : NULL;
}

bool peer_backup_root(Peer *peer, const char *path, GError **error)
{
    peer_begin(peer, AGENT_BACKUP_ROOT, 0);
    wire_put_text(&peer->out, path);
    return ask_ok(peer, error);
}

bool peer_backup_space(Peer *peer, PeerSpace *out, GError **error)
{
    peer_begin(peer, AGENT_BACKUP_SPACE, 0);
    return ask_space(peer, out, error);
}

static void backup_file_free(BackupFile *file)
{
    g_free(file->name);
    g_free(file);
}

GHashTable *peer_backup_list(Peer *peer, const char *account_id, GError **error)
{
    g_autoptr(GHashTable) files =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)backup_file_free);
    WireFrame frame;
    bool ok;

    peer_begin(peer, AGENT_BACKUP_LIST, 0);
    wire_put_text(&peer->out, account_id);
    wire_finish(&peer->out);
    while ((ok = answer(peer, &frame, error)) && frame.type == AGENT_BACKUP_ENTRY) {
        BackupFile *file = g_new0(BackupFile, 1);
        WireIn in = wire_in(&frame);
        char name[WIRE_TEXT];

        wire_text(&in, name, sizeof name);
        file->name = g_strdup(name);
        file->size = wire_u64(&in);
        file->mtime_ns = (int64_t)wire_u64(&in);
        file->plain = wire_u8(&in) != 0;
        g_hash_table_replace(files, file->name, file);
        if (!understood(peer, &in, error))
            return NULL;
    }
    if (ok && frame.type != AGENT_OK)
        ok = peer_break(peer, error, "an answer of the wrong kind");
    return ok ? g_steal_pointer(&files) : NULL;
}
