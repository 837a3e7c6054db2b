/* lmtp.c - see lmtp.h. A thread per connection. What a session must refuse for ever, what it must
 * ask to be tried again, is the point of this file: doc/platform.md 1.4. */
#include "tests/mailboxd/lmtp.h"
#include "tests/mailboxd/config.h"
#include "tests/mailboxd/deliver.h"
#include "tests/mailboxd/directory.h"
#include "tests/mailboxd/stream.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    IDLE_TIMEOUT_MS = 300000,
    MESSAGE_LIMIT = 64 * 1024 * 1024,
    HOP_LIMIT = 30, /* of our own: two stale account caches relay in a circle (5.5) */
    RECIPIENT_LIMIT = 1000,
    DESCRIPTOR_PAUSE_US = 20000,
};

typedef struct Recipient {
    char *address;
    char *account_id;
    char *relay_host; /* NULL: delivered here */
} Recipient;

typedef struct Session {
    Stream *stream;
    char *client, *sender;
    GPtrArray *recipients;
} Session;

static int listener = -1;
static GThread *acceptor;
static GMutex mutex;
static GCond ended;
static GHashTable *streams; /* of the sessions that run */
static bool stopping;

static void recipient_free(gpointer data)
{
    Recipient *recipient = data;

    g_free(recipient->address);
    g_free(recipient->account_id);
    g_free(recipient->relay_host);
    g_free(recipient);
}

static void reset(Session *session)
{
    g_clear_pointer(&session->sender, g_free);
    g_ptr_array_set_size(session->recipients, 0);
}

/* "a@b" of "<a@b> SIZE=12" or "a@b". */
static char *path_of(const char *text)
{
    while (*text == ' ')
        text++;
    if (*text == '<') {
        const char *end = strchr(text, '>');
        return end == NULL ? NULL : g_strndup(text + 1, (size_t)(end - text) - 1);
    }
    return g_strndup(text, strcspn(text, " "));
}

/* 450 for an account in maintenance, 550 for one that takes no mail; NULL if it does. */
static const char *status_reply(const Entry *account)
{
    const char *status = account_status(account);

    if (strcmp(status, "maintenance") == 0)
        return "450 4.2.1 Mailbox disabled, not accepting messages";
    if (strcmp(status, "active") == 0 || strcmp(status, "locked") == 0 ||
        strcmp(status, "lockout") == 0)
        return NULL;
    return "550 5.1.1 No such user here";
}

/* The answer to RCPT; sets who takes it if that is 250. */
static const char *check_recipient(const char *address, Recipient *recipient)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Entry) account = account_get(BY_NAME, address, &error);

    if (account == NULL)
        return fault_is(error, FAULT_NO_SUCH_ACCOUNT)
                   ? "550 5.1.1 No such user here"
                   : "450 4.0.0 Directory not available, try again later";
    const char *refusal = status_reply(account);
    if (refusal != NULL)
        return refusal;
    if (!account_is_local(account)) {
        const char *host = entry_get(account, "zimbraMailHost");
        g_autoptr(Entry) server = host == NULL ? NULL : server_get(SERVER_BY_HOST, host, NULL);
        if (server == NULL)
            return "450 4.2.0 Home server of the mailbox is not known";
        recipient->relay_host = g_strdup(host);
    }
    recipient->account_id = g_strdup(account_id(account));
    return "250 2.1.5 OK";
}

static void command_rcpt(Session *session, const char *text)
{
    g_autofree char *address = path_of(text);

    if (session->sender == NULL) {
        stream_printf(session->stream, "503 5.5.1 Missing MAIL command\r\n");
        return;
    }
    if (address == NULL || session->recipients->len >= RECIPIENT_LIMIT) {
        stream_printf(session->stream, "452 4.5.3 Bad or too many recipients\r\n");
        return;
    }
    Recipient *recipient = g_new0(Recipient, 1);
    const char *reply = check_recipient(address, recipient);
    recipient->address = g_steal_pointer(&address);
    if (*reply == '2')
        g_ptr_array_add(session->recipients, recipient);
    else
        recipient_free(recipient);
    stream_printf(session->stream, "%s\r\n", reply);
}

/* The message between DATA and the dot; NULL if the connection broke or it is too long. */
static GBytes *read_data(Session *session, unsigned *hops)
{
    g_autoptr(GString) message = g_string_new(NULL);
    char date[64];
    time_t now = time(NULL);
    struct tm when;

    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S %z", localtime_r(&now, &when));
    g_string_append_printf(message,
                           "Return-Path: <%s>\r\nReceived: from %s by %s with LMTP; %s\r\n",
                           session->sender, session->client, config->name, date);
    for (bool header = true; message->len <= MESSAGE_LIMIT;) {
        g_autofree char *line = stream_line(session->stream);
        if (line == NULL)
            return NULL;
        if (strcmp(line, ".") == 0)
            return g_string_free_to_bytes(g_steal_pointer(&message));
        header = header && *line != '\0';
        *hops +=
            header && g_str_has_prefix(line, "Received:") && strstr(line, " with LMTP;") != NULL;
        g_string_append(message, *line == '.' ? line + 1 : line);
        g_string_append(message, "\r\n");
    }
    return NULL;
}

static const char *fault_reply(const Entry *account, const GError *error)
{
    if (fault_is(error, FAULT_QUOTA_EXCEEDED)) {
        g_autofree char *permanent =
            account_setting(account, "zimbraLmtpPermanentFailureWhenOverQuota");
        return g_strcmp0(permanent, "TRUE") == 0 ? "552 5.2.2 Over quota" : "452 4.2.2 Over quota";
    }
    if (fault_is_receivers(error))
        return "451 4.0.0 Temporary message delivery failure try again";
    return "554 5.0.0 Permanent message delivery failure";
}

/* One mailbox's share of a message. The home is not looked at again: what RCPT accepted is
 * delivered unless loading the mailbox says otherwise. */
static const char *deliver_local(const Recipient *recipient, const Blob *blob,
                                 const Message *parsed)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Entry) account = account_get(BY_ID, recipient->account_id, &error);
    g_autoptr(Mailbox) mailbox =
        account == NULL ? NULL : manager_get(recipient->account_id, FETCH_CREATE, &error);
    unsigned item;

    if (mailbox != NULL && deliver_check_quota(account, mailbox, blob->size, &error) &&
        deliver(mailbox, blob, parsed, &item, &error))
        return "250 2.1.5 Delivery OK";
    g_message("LMTP: %s: %s", recipient->address, error->message);
    return fault_reply(account, error);
}

static char *deliver_one(const Session *session, const Recipient *recipient, GBytes *message,
                         const Message *parsed, Blob **blob, unsigned hops)
{
    g_autoptr(GError) error = NULL;

    if (recipient->relay_host != NULL && hops > HOP_LIMIT)
        return g_strdup("451 4.4.6 relay: too many hops");
    if (recipient->relay_host != NULL)
        return relay_message(recipient->relay_host, session->sender, recipient->address, message);
    if (*blob == NULL)
        *blob = blob_store(g_bytes_get_data(message, NULL), g_bytes_get_size(message), &error);
    if (*blob == NULL) {
        g_message("LMTP: %s", error->message);
        return g_strdup("451 4.0.0 Temporary message delivery failure try again");
    }
    return g_strdup(deliver_local(recipient, *blob, parsed));
}

static void command_data(Session *session)
{
    unsigned hops = 0;
    g_autoptr(Blob) blob = NULL;

    if (session->recipients->len == 0) {
        stream_printf(session->stream, "503 5.5.1 No recipients\r\n");
        return;
    }
    stream_printf(session->stream, "354 End data with <CR><LF>.<CR><LF>\r\n");
    g_autoptr(GBytes) message = read_data(session, &hops);
    if (message == NULL) {
        stream_abort(session->stream);
        return;
    }
    g_autoptr(Message) parsed =
        message_parse(g_bytes_get_data(message, NULL), g_bytes_get_size(message));
    for (guint i = 0; i < session->recipients->len; i++) {
        g_autofree char *reply =
            deliver_one(session, session->recipients->pdata[i], message, parsed, &blob, hops);
        stream_printf(session->stream, "%s\r\n", reply);
    }
    reset(session);
}

static void command_mail(Session *session, const char *text)
{
    g_autofree char *sender = path_of(text);

    if (sender == NULL) {
        stream_printf(session->stream, "501 5.5.4 Syntax error\r\n");
        return;
    }
    reset(session);
    session->sender = g_steal_pointer(&sender);
    stream_printf(session->stream, "250 2.0.0 Sender OK\r\n");
}

static void command_lhlo(Session *session, const char *text)
{
    g_free(session->client);
    session->client = g_strdup(*text == '\0' ? "unknown" : text);
    reset(session);
    stream_printf(session->stream,
                  "250-%s\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-SIZE\r\n"
                  "250 PIPELINING\r\n",
                  config->name);
}

/* False when the session ends. */
static bool command(Session *session, const char *line)
{
    if (g_ascii_strncasecmp(line, "LHLO ", 5) == 0)
        command_lhlo(session, line + 5);
    else if (g_ascii_strncasecmp(line, "MAIL FROM:", 10) == 0)
        command_mail(session, line + 10);
    else if (g_ascii_strncasecmp(line, "RCPT TO:", 8) == 0)
        command_rcpt(session, line + 8);
    else if (g_ascii_strcasecmp(line, "DATA") == 0)
        command_data(session);
    else if (g_ascii_strcasecmp(line, "RSET") == 0) {
        reset(session);
        stream_printf(session->stream, "250 2.0.0 OK\r\n");
    } else if (g_ascii_strncasecmp(line, "NOOP", 4) == 0)
        stream_printf(session->stream, "250 2.0.0 OK\r\n");
    else if (g_ascii_strcasecmp(line, "QUIT") == 0) {
        stream_printf(session->stream, "221 2.0.0 %s closing connection\r\n", config->name);
        return false;
    } else
        stream_printf(session->stream, "500 5.5.2 Invalid command\r\n");
    return !stream_failed(session->stream);
}

/* Registered before anybody waits on it, so that lmtp_stop cannot miss it. */
bool lmtp_watch(Stream *stream)
{
    g_mutex_lock(&mutex);
    bool running = !stopping;
    if (running)
        g_hash_table_add(streams, stream);
    g_mutex_unlock(&mutex);
    return running;
}

void lmtp_unwatch(Stream *stream)
{
    g_mutex_lock(&mutex);
    g_hash_table_remove(streams, stream);
    g_cond_broadcast(&ended);
    g_mutex_unlock(&mutex);
}

static gpointer run_session(gpointer data)
{
    Session session = { .stream = data,
                        .client = g_strdup("unknown"),
                        .recipients = g_ptr_array_new_with_free_func(recipient_free) };
    bool open = stream_printf(session.stream, "220 %s LMTP ready\r\n", config->name);

    while (open) {
        g_autofree char *line = stream_line(session.stream);
        open = line != NULL && command(&session, line);
    }
    reset(&session);
    g_ptr_array_unref(session.recipients);
    g_free(session.client);
    lmtp_unwatch(session.stream);
    stream_close(session.stream);
    return NULL;
}

static void start_session(int fd)
{
    Stream *stream = stream_new(fd, IDLE_TIMEOUT_MS);

    if (lmtp_watch(stream))
        g_thread_unref(g_thread_new("lmtp", run_session, stream));
    else
        stream_close(stream);
}

static gpointer accept_loop(gpointer data)
{
    (void)data;
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            start_session(fd);
        else if (errno == EINVAL || errno == EBADF) /* shut down */
            return NULL;
        else if (errno == EMFILE || errno == ENFILE)
            g_usleep(DESCRIPTOR_PAUSE_US);
    }
}

bool lmtp_start(GError **error)
{
    listener = stream_listen(config->address, config->lmtp_port, error);
    if (listener < 0)
        return false;
    streams = g_hash_table_new(NULL, NULL);
    acceptor = g_thread_new("lmtp-accept", accept_loop, NULL);
    return true;
}

void lmtp_stop(void)
{
    GHashTableIter walk;
    gpointer stream;

    if (listener < 0)
        return;
    shutdown(listener, SHUT_RDWR);
    g_thread_join(acceptor);
    close(listener);
    g_mutex_lock(&mutex);
    stopping = true;
    g_hash_table_iter_init(&walk, streams);
    while (g_hash_table_iter_next(&walk, &stream, NULL))
        stream_abort(stream);
    while (g_hash_table_size(streams) > 0)
        g_cond_wait(&ended, &mutex);
    g_mutex_unlock(&mutex);
    g_hash_table_unref(streams);
}
