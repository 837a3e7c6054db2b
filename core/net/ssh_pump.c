/* ssh_pump.c - see ssh_pump.h.
 *
 * libssh sessions are not for several threads: everything that touches the session happens in
 * pump_thread(), which sleeps in one poll over the session, the local descriptors and an eventfd.
 * Other threads leave an Order in a queue, ring the eventfd and wait for it to be carried out. */
#include "core/net/ssh_pump.h"
#include "core/base/log.h"
#include "core/net/ssh_pipe.h"
#include <errno.h>
#include <libssh/server.h> /* ssh_send_keepalive, for clients too */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PROBES = 3,             /* keepalives without any byte in return: the store is gone */
    PACKETS_A_TURN = 64,    /* reads of the session before the channels get their turn */
    LOCAL_BUFFER = 1 << 20, /* asked of the kernel for a program's socket */
    ACCEPT_PAUSE_MS = 10,   /* out of descriptors: the connection waits and poll would not */
};

/* "Run this" or "carry connections of this socket". */
typedef struct Order {
    char *command; /* of a program */
    int listener;  /* or a listening socket, with the place its connections go to */
    char *host;
    unsigned port;
    int answer; /* the descriptor of a program */
    GError *error;
    bool done, abandoned; /* abandoned: nobody waits any more, the pump frees it */
} Order;

typedef struct Listener {
    int fd;
    char *host;
    unsigned port;
} Listener;

typedef struct Carried {
    SshPipe *pipe;
    Order *order; /* of a program that is not started yet */
    int theirs;   /* the descriptor to hand out then */
    char *what;   /* "127.0.0.1:7306", of a connection */
    int slot;     /* in the poll set, -1: not polled */
} Carried;

struct SshPump {
    ssh_session session;
    ssh_event event;
    char *store;
    unsigned timeout_s;
    int bell; /* eventfd */
    GThread *thread;

    GMutex lock; /* of what follows, up to the blank line */
    GCond carried_out;
    GQueue orders;
    bool stop;
    char *lost;

    GPtrArray *channels; /* of Carried */
    GArray *listeners;   /* of Listener */
    GArray *polled;      /* of struct pollfd: session, bell, listeners, channels */
    struct ssh_counter_struct received;
    uint64_t heard; /* bytes received at the last look */
    int64_t next_probe;
    unsigned probes; /* keepalives sent since anything was heard */
};

static void order_free(Order *order)
{
    g_free(order->command);
    g_free(order->host);
    g_clear_error(&order->error);
    if (order->listener >= 0)
        close(order->listener);
    if (order->answer >= 0)
        close(order->answer);
    g_free(order);
}

static void carried_free(Carried *channel)
{
    ssh_pipe_free(channel->pipe);
    if (channel->theirs >= 0)
        close(channel->theirs);
    g_free(channel->what);
    g_free(channel);
}

/* Ends an order, well or with @error; wakes who waits for it. */
static void order_done(SshPump *pump, Order *order, GError *error)
{
    bool abandoned;

    g_mutex_lock(&pump->lock);
    order->error = error;
    order->done = true;
    abandoned = order->abandoned;
    g_cond_broadcast(&pump->carried_out);
    g_mutex_unlock(&pump->lock);
    if (abandoned)
        order_free(order);
}

static void add_channel(SshPump *pump, SshPipe *pipe, Order *order, int theirs, char *what)
{
    Carried *channel = g_new0(Carried, 1);

    channel->pipe = pipe;
    channel->order = order;
    channel->theirs = theirs;
    channel->what = what;
    channel->slot = -1;
    g_ptr_array_add(pump->channels, channel);
}

static void begin_program(SshPump *pump, Order *order)
{
    const int size = LOCAL_BUFFER;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        GError *error = NULL;

        fail(&error, ZX_ERROR_FAILED, "cannot make a socket pair: %s", g_strerror(errno));
        order_done(pump, order, error);
        return;
    }
    for (int i = 0; i < 2; i++)
        (void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    add_channel(pump, ssh_pipe_program(pump->session, pump->store, order->command, pair[0]), order,
                pair[1], NULL);
}

static void begin_listening(SshPump *pump, Order *order)
{
    Listener listener = { .fd = order->listener,
                          .host = g_steal_pointer(&order->host),
                          .port = order->port };

    order->listener = -1;
    g_array_append_val(pump->listeners, listener);
    order_done(pump, order, NULL);
}

/* False when the pump is to stop. */
static bool take_orders(SshPump *pump)
{
    bool stop;

    do {
        Order *order;

        g_mutex_lock(&pump->lock);
        order = g_queue_pop_head(&pump->orders);
        stop = pump->stop;
        g_mutex_unlock(&pump->lock);
        if (order == NULL)
            break;
        if (order->command != NULL)
            begin_program(pump, order);
        else
            begin_listening(pump, order);
    } while (!stop);
    return !stop;
}

static void accept_connection(SshPump *pump, const Listener *listener)
{
    const int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0) {
        log_warning("%s: cannot accept a connection for %s:%u: %s", pump->store, listener->host,
                    listener->port, g_strerror(errno));
        (void)poll(NULL, 0, ACCEPT_PAUSE_MS);
        return;
    }
    add_channel(pump,
                ssh_pipe_connection(pump->session, pump->store, listener->host, listener->port, fd),
                NULL, -1, g_strdup_printf("%s:%u", listener->host, listener->port));
}

static void channel_opened(SshPump *pump, Carried *channel)
{
    Order *order = channel->order;

    if (order == NULL)
        return;
    order->answer = channel->theirs;
    channel->theirs = -1;
    channel->order = NULL;
    order_done(pump, order, NULL);
}

static void channel_refused(SshPump *pump, Carried *channel)
{
    const char *why = ssh_pipe_refusal(channel->pipe);
    GError *error = NULL;

    if (channel->order == NULL) {
        log_warning("%s: ssh cannot reach %s from there: %s", pump->store, channel->what, why);
        return;
    }
    fail(&error, ZX_ERROR_FAILED, "ssh to %s: the command was refused: %s", pump->store, why);
    order_done(pump, channel->order, error);
    channel->order = NULL;
}

static short seen(const SshPump *pump, int slot)
{
    return slot < 0 ? 0 : g_array_index(pump->polled, struct pollfd, slot).revents;
}

static void advance_channels(SshPump *pump)
{
    for (guint i = 0; i < pump->channels->len;) {
        Carried *channel = g_ptr_array_index(pump->channels, i);

        switch (ssh_pipe_advance(channel->pipe, seen(pump, channel->slot))) {
        case SSH_PIPE_OPEN:
            channel_opened(pump, channel);
            i++;
            break;
        case SSH_PIPE_OPENING:
            i++;
            break;
        case SSH_PIPE_REFUSED:
            channel_refused(pump, channel);
            g_ptr_array_remove_index(pump->channels, i);
            break;
        case SSH_PIPE_ENDED:
            channel_opened(pump, channel); /* a short program may be over in one turn */
            g_ptr_array_remove_index(pump->channels, i);
            break;
        }
    }
}

static int add_polled(SshPump *pump, int fd, short events)
{
    struct pollfd entry = { .fd = fd, .events = events };

    g_array_append_val(pump->polled, entry);
    return (int)pump->polled->len - 1;
}

/* Waits at most @limit_ms until something can be done. */
static void wait_for_work(SshPump *pump, int64_t limit_ms)
{
    const bool sending = (ssh_get_poll_flags(pump->session) & SSH_WRITE_PENDING) != 0;

    g_array_set_size(pump->polled, 0);
    add_polled(pump, ssh_get_fd(pump->session), sending ? POLLIN | POLLOUT : POLLIN);
    add_polled(pump, pump->bell, POLLIN);
    for (guint i = 0; i < pump->listeners->len; i++)
        add_polled(pump, g_array_index(pump->listeners, Listener, i).fd, POLLIN);
    for (guint i = 0; i < pump->channels->len; i++) {
        Carried *channel = g_ptr_array_index(pump->channels, i);
        short events;
        int fd = ssh_pipe_interest(channel->pipe, sending, &events);

        channel->slot = fd < 0 ? -1 : add_polled(pump, fd, events);
    }
    if (poll(&g_array_index(pump->polled, struct pollfd, 0), pump->polled->len,
             (int)CLAMP(limit_ms, 0, G_MAXINT)) <= 0)
        for (guint i = 0; i < pump->polled->len; i++)
            g_array_index(pump->polled, struct pollfd, i).revents = 0;
}

/* Lets libssh read and write its socket. False when the connection is gone. */
static bool serve_session(SshPump *pump)
{
    int rc = SSH_OK;

    for (int i = 0; i < PACKETS_A_TURN && rc == SSH_OK; i++)
        rc = ssh_event_dopoll(pump->event, 0);
    return rc != SSH_ERROR && ssh_is_connected(pump->session);
}

/* A peer that answers nothing, not even keepalives, for timeout_s is gone. Counted in probes sent,
 * not by the clock: a suspended process must not take its own sleep for the peer's silence. */
static bool probe(SshPump *pump)
{
    const int64_t now = g_get_monotonic_time();
    const int64_t interval = (int64_t)pump->timeout_s * G_USEC_PER_SEC / (PROBES + 1);

    if (pump->received.in_bytes != pump->heard) {
        pump->heard = pump->received.in_bytes;
        pump->probes = 0;
        pump->next_probe = now + interval;
    }
    if (now < pump->next_probe)
        return true;
    if (pump->probes++ == PROBES)
        return false;
    pump->next_probe = now + interval;
    /* The first call collects the answer to the last keepalive if there was one, the second sends.
     */
    ssh_send_keepalive(pump->session);
    ssh_send_keepalive(pump->session);
    return true;
}

/* Works until told to stop (NULL) or the connection is lost: why. Caller frees. */
static char *work(SshPump *pump)
{
    while (take_orders(pump)) {
        const uint64_t before = pump->received.in_bytes;
        int64_t limit_ms;
        uint64_t rings;

        advance_channels(pump);
        /* A write may have read packets too, perhaps for a channel that had its turn already. */
        limit_ms = pump->received.in_bytes != before
                       ? 0
                       : (pump->next_probe - g_get_monotonic_time()) / 1000 + 1;
        wait_for_work(pump, limit_ms);
        if (seen(pump, 0) != 0 && !serve_session(pump))
            return g_strdup_printf("the connection is lost: %s", ssh_get_error(pump->session));
        if (seen(pump, 1) != 0 && read(pump->bell, &rings, sizeof rings) < 0)
            return g_strdup_printf("cannot read an eventfd: %s", g_strerror(errno));
        for (guint i = 0; i < pump->listeners->len; i++)
            if (seen(pump, 2 + (int)i) != 0)
                accept_connection(pump, &g_array_index(pump->listeners, Listener, i));
        if (!probe(pump))
            return g_strdup_printf("the connection is lost: no answer within %u s",
                                   pump->timeout_s);
    }
    return NULL;
}

/* Nobody may wait for an order that will never be carried out. */
static void refuse_orders(SshPump *pump)
{
    for (;;) {
        Order *order;
        GError *error = NULL;

        g_mutex_lock(&pump->lock);
        order = g_queue_pop_head(&pump->orders);
        g_mutex_unlock(&pump->lock);
        if (order == NULL)
            return;
        fail(&error, ZX_ERROR_CONNECT, "ssh to %s: %s", pump->store, pump->lost);
        order_done(pump, order, error);
    }
}

static gpointer pump_thread(gpointer data)
{
    SshPump *pump = data;
    sigset_t all;
    char *lost;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    lost = work(pump);
    g_mutex_lock(&pump->lock);
    pump->lost = lost != NULL ? lost : g_strdup("closed");
    g_mutex_unlock(&pump->lock);
    for (guint i = 0; i < pump->channels->len; i++) {
        Carried *channel = g_ptr_array_index(pump->channels, i);

        if (channel->order != NULL) {
            g_mutex_lock(&pump->lock);
            g_queue_push_tail(&pump->orders, channel->order);
            g_mutex_unlock(&pump->lock);
        }
    }
    refuse_orders(pump);
    g_ptr_array_set_size(pump->channels, 0);
    for (guint i = 0; i < pump->listeners->len; i++) {
        Listener *listener = &g_array_index(pump->listeners, Listener, i);

        close(listener->fd);
        g_free(listener->host);
    }
    ssh_event_remove_session(pump->event, pump->session);
    ssh_disconnect(pump->session);
    return NULL;
}

SshPump *ssh_pump_start(ssh_session session, const char *store, unsigned timeout_s, GError **error)
{
    SshPump *pump;
    const int bell = eventfd(0, EFD_CLOEXEC);

    if (bell < 0) {
        ssh_disconnect(session);
        ssh_free(session);
        fail(error, ZX_ERROR_FAILED, "cannot make an eventfd: %s", g_strerror(errno));
        return NULL;
    }
    pump = g_new0(SshPump, 1);
    pump->session = session;
    pump->store = g_strdup(store);
    pump->timeout_s = timeout_s;
    pump->bell = bell;
    g_mutex_init(&pump->lock);
    g_cond_init(&pump->carried_out);
    g_queue_init(&pump->orders);
    pump->channels = g_ptr_array_new_with_free_func((GDestroyNotify)carried_free);
    pump->listeners = g_array_new(FALSE, FALSE, sizeof(Listener));
    pump->polled = g_array_new(FALSE, FALSE, sizeof(struct pollfd));
    pump->event = ssh_event_new();
    ssh_set_blocking(session, 0);
    ssh_set_counters(session, &pump->received, NULL);
    ssh_event_add_session(pump->event, session);
    pump->heard = G_MAXUINT64; /* sets the first probe's time */
    pump->thread = g_thread_new("ssh", pump_thread, pump);
    return pump;
}

static void ring(const SshPump *pump)
{
    const uint64_t one = 1;

    if (write(pump->bell, &one, sizeof one) < 0)
        g_error("cannot write to an eventfd: %s", g_strerror(errno));
}

void ssh_pump_stop(SshPump *pump)
{
    g_mutex_lock(&pump->lock);
    pump->stop = true;
    g_mutex_unlock(&pump->lock);
    ring(pump);
    g_thread_join(pump->thread);
    ssh_event_free(pump->event);
    ssh_free(pump->session);
    close(pump->bell);
    g_ptr_array_unref(pump->channels);
    g_array_unref(pump->listeners);
    g_array_unref(pump->polled);
    g_mutex_clear(&pump->lock);
    g_cond_clear(&pump->carried_out);
    g_free(pump->store);
    g_free(pump->lost);
    g_free(pump);
}

/* Hands @order to the thread and waits for it. True: it was carried out, and the caller frees it.
 */
static bool carry_out(SshPump *pump, Order *order, GError **error)
{
    const int64_t until = g_get_monotonic_time() + (int64_t)pump->timeout_s * G_USEC_PER_SEC;
    bool waiting = true;

    g_mutex_lock(&pump->lock);
    if (pump->lost != NULL) {
        g_mutex_unlock(&pump->lock);
        fail(error, ZX_ERROR_CONNECT, "ssh to %s: %s", pump->store, pump->lost);
        order_free(order);
        return false;
    }
    g_queue_push_tail(&pump->orders, order);
    ring(pump);
    while (!order->done && waiting)
        waiting = g_cond_wait_until(&pump->carried_out, &pump->lock, until);
    order->abandoned = !order->done;
    waiting = order->done;
    g_mutex_unlock(&pump->lock);
    if (!waiting)
        return fail(error, ZX_ERROR_TIMEOUT, "ssh to %s: no answer within %u s", pump->store,
                    pump->timeout_s);
    if (order->error == NULL)
        return true;
    g_propagate_error(error, g_steal_pointer(&order->error));
    order_free(order);
    return false;
}

int ssh_pump_run(SshPump *pump, const char *command, GError **error)
{
    Order *order = g_new0(Order, 1);
    int fd;

    order->command = g_strdup(command);
    order->listener = order->answer = -1;
    if (!carry_out(pump, order, error))
        return -1;
    fd = order->answer;
    order->answer = -1;
    order_free(order);
    return fd;
}

bool ssh_pump_listen(SshPump *pump, int fd, const char *host, unsigned port, GError **error)
{
    Order *order = g_new0(Order, 1);

    order->listener = fd;
    order->answer = -1;
    order->host = g_strdup(host);
    order->port = port;
    if (!carry_out(pump, order, error))
        return false;
    order_free(order);
    return true;
}

bool ssh_pump_alive(SshPump *pump, const char **why)
{
    const char *lost;

    g_mutex_lock(&pump->lock);
    lost = pump->lost;
    g_mutex_unlock(&pump->lock);
    if (why != NULL)
        *why = lost;
    return lost == NULL;
}
