/* http.h - a small HTTP server, a thread per connection (libmicrohttpd). */
#ifndef MAILBOXD_HTTP_H
#define MAILBOXD_HTTP_H

#include "tests/mailboxd/fault.h"

typedef struct HttpServer HttpServer;

typedef struct HttpRequest {
    const char *path;
    GString *body;
    GHashTable *query; /* name -> value */
} HttpRequest;

typedef struct HttpAnswer {
    unsigned status;
    const char *type;
    char *body;
    bool hang_up; /* close the connection without an answer */
} HttpAnswer;

typedef HttpAnswer (*HttpFunction)(const HttpRequest *request);

HttpServer *http_start(const char *address, unsigned port, bool tls, HttpFunction function,
                       GError **error);
/* Waits for requests under way. */
void http_stop(HttpServer *server);

#endif
