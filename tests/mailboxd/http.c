/* http.c - see http.h. */
#include "tests/mailboxd/http.h"
#include "tests/mailboxd/config.h"
#include <arpa/inet.h>
#include <microhttpd.h>
#include <string.h>

enum { BODY_LIMIT = 16 * 1024 * 1024 };

struct HttpServer {
    struct MHD_Daemon *daemon;
    HttpFunction function;
    char *key, *certificate;
};

static enum MHD_Result add_query(void *into, enum MHD_ValueKind kind, const char *key,
                                 const char *value)
{
    (void)kind;
    g_hash_table_replace(into, g_strdup(key), g_strdup(value == NULL ? "" : value));
    return MHD_YES;
}

static enum MHD_Result answer(HttpServer *server, struct MHD_Connection *connection,
                              const char *path, GString *body)
{
    g_autoptr(GHashTable) query = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_query, query);
    HttpRequest request = { .path = path, .body = body, .query = query };
    HttpAnswer given = server->function(&request);
    if (given.hang_up) {
        g_free(given.body);
        return MHD_NO;
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(given.body), given.body, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(response, "Content-Type", given.type);
    enum MHD_Result queued = MHD_queue_response(connection, given.status, response);
    MHD_destroy_response(response);
    g_free(given.body);
    return queued;
}

static enum MHD_Result handle(void *data, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    GString *body = *state;

    (void)method;
    (void)version;
    if (body == NULL) {
        *state = g_string_new(NULL);
        return MHD_YES;
    }
    if (*upload_size == 0)
        return answer(data, connection, path, body);
    if (body->len + *upload_size > BODY_LIMIT)
        return MHD_NO;
    g_string_append_len(body, upload, (gssize)*upload_size);
    *upload_size = 0;
    return MHD_YES;
}

static void completed(void *data, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode code)
{
    (void)data;
    (void)connection;
    (void)code;
    if (*state != NULL)
        g_string_free(*state, TRUE);
    *state = NULL;
}

static bool read_certificate(HttpServer *server, GError **error)
{
    return g_file_get_contents(config->key, &server->key, NULL, error) &&
           g_file_get_contents(config->certificate, &server->certificate, NULL, error);
}

HttpServer *http_start(const char *address, unsigned port, bool tls, HttpFunction function,
                       GError **error)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION;
    HttpServer *server = g_new0(HttpServer, 1);

    server->function = function;
    inet_pton(AF_INET, address, &at.sin_addr);
    if (tls && !read_certificate(server, error)) {
        http_stop(server);
        return NULL;
    }
    const struct MHD_OptionItem options[] = {
        { tls ? MHD_OPTION_HTTPS_MEM_KEY : MHD_OPTION_END, 0, server->key },
        { MHD_OPTION_HTTPS_MEM_CERT, 0, server->certificate },
        { MHD_OPTION_END, 0, NULL },
    };
    server->daemon = MHD_start_daemon(
        flags | (tls ? MHD_USE_TLS : 0), (uint16_t)port, NULL, NULL, handle, server,
        MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_NOTIFY_COMPLETED, completed, NULL,
        MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (server->daemon != NULL)
        return server;
    fault(error, FAULT_FAILURE, "cannot listen on %s:%u", address, port);
    http_stop(server);
    return NULL;
}

void http_stop(HttpServer *server)
{
    if (server->daemon != NULL)
        MHD_stop_daemon(server->daemon);
    g_free(server->key);
    g_free(server->certificate);
    g_free(server);
}
