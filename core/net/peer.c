/* peer.c - see peer.h: the conversation itself. What is asked in it is in peer_ask.c. */
#include "core/net/peer.h"
#include "core/agent/protocol.h"
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
    const Wait *wait;     /* of a claim: its tick renews it; NULL: under none */
    const int64_t *until; /* where it ends */
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

void peer_claimed(Peer *peer, const Wait *wait, const int64_t *until)
{
    peer->wait = wait;
    peer->until = until;
}

int peer_fd(Peer *peer)
{
    return peer->process.fd;
}

WireOut *peer_out(Peer *peer)
{
    return &peer->out;
}

/* Whatever it is, with the claim's end before the rest: a claim that has grown old is renewed
 * first. */
static void begin(Peer *peer, uint8_t type, uint8_t flags, uint16_t stream)
{
    wait_tick(peer->wait);
    wire_begin(&peer->out, type, flags, stream);
    wire_put_u64(&peer->out, peer->until != NULL ? (uint64_t)*peer->until : 0);
}

void peer_begin(Peer *peer, uint8_t type, uint8_t flags)
{
    begin(peer, type, flags, ++peer->stream);
    peer_touch(peer);
}

void peer_begin_end(Peer *peer, uint16_t stream)
{
    begin(peer, AGENT_END, 0, stream);
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

bool peer_answer(Peer *peer, WireFrame *frame, GError **error)
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

bool peer_understood(Peer *peer, const WireIn *in, GError **error)
{
    g_autoptr(GError) problem = NULL;

    return wire_end(in, &problem) || peer_break(peer, error, problem->message);
}

void peer_wipe(Peer *peer)
{
    size_t room;
    uint8_t *at = wire_room(&peer->in, &room);

    explicit_bzero(at, room);
}
