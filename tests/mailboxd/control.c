/* control.c - see control.h. Plain HTTP GET, answers in JSON. */
#include "tests/mailboxd/control.h"
#include "tests/mailboxd/config.h"
#include "tests/mailboxd/http.h"
#include "tests/mailboxd/inject.h"
#include "tests/mailboxd/mailbox.h"
#include "tests/mailboxd/tasks.h"
#include "tests/mailboxd/user.h"
#include <stdlib.h>
#include <string.h>

static HttpServer *server;

static const char *parameter(const HttpRequest *request, const char *name)
{
    return g_hash_table_lookup(request->query, name);
}

static unsigned number(const HttpRequest *request, const char *name, unsigned fallback)
{
    const char *text = parameter(request, name);

    return text == NULL ? fallback : (unsigned)strtoul(text, NULL, 10);
}

static json_t *refused(const char *message)
{
    return json_pack("{s:b, s:s, s:s}", "ok", 0, "code", "control", "message", message);
}

static json_t *done(void)
{
    return json_pack("{s:b}", "ok", 1);
}

static json_t *ready(const HttpRequest *request)
{
    (void)request;
    return json_pack("{s:b, s:s}", "ready", 1, "name", config->name);
}

static json_t *add_fault(const HttpRequest *request)
{
    const char *name = parameter(request, "request"), *mode = parameter(request, "mode");

    if (name == NULL || mode == NULL ||
        !inject_add(name, parameter(request, "op"), parameter(request, "account"), mode,
                    number(request, "ms", 0), parameter(request, "code"),
                    number(request, "count", 1)))
        return refused("request= and a known mode= are required");
    return done();
}

static json_t *clear_faults(const HttpRequest *request)
{
    (void)request;
    inject_clear();
    return done();
}

static json_t *faults_left(const HttpRequest *request)
{
    return json_pack("{s:i}", "left", (int)inject_left(parameter(request, "account")));
}

static json_t *state(const HttpRequest *request)
{
    const char *id = parameter(request, "account");

    if (id == NULL)
        return refused("account= is required");
    MailboxState state_now = manager_state(id);
    g_autoptr(Entry) account = account_cached(id);
    json_t *cache = account == NULL ? json_null()
                                    : json_pack("{s:s?, s:s?}", "status",
                                                entry_get(account, "zimbraAccountStatus"), "host",
                                                entry_get(account, "zimbraMailHost"));
    json_t *mapped = state_now.mapped == 0 ? json_null() : json_integer(state_now.mapped);
    return json_pack("{s:o, s:b, s:b, s:b, s:o}", "mapped", mapped, "cached", state_now.cached,
                     "locked", state_now.locked, "merging", state_now.merging, "account_cache",
                     cache);
}

static json_t *log_of_requests(const HttpRequest *request)
{
    (void)request;
    return request_log_json();
}

static json_t *user(const HttpRequest *request)
{
    const char *id = parameter(request, "account");
    g_autoptr(GError) error = NULL;

    if (id == NULL)
        return refused("account= is required");
    json_t *result = user_act(id, request->query, &error);
    if (result == NULL)
        return json_pack("{s:b, s:s, s:s}", "ok", 0, "code", fault_code(error), "message",
                         error->message);
    json_object_set_new(result, "ok", json_true());
    return result;
}

static json_t *show_tasks(const HttpRequest *request)
{
    (void)request;
    return tasks_json();
}

static json_t *tick(const HttpRequest *request)
{
    (void)request;
    tasks_tick();
    return done();
}

static const struct {
    const char *path;
    json_t *(*run)(const HttpRequest *request);
} pages[] = {
    { "/ready", ready },
    { "/fault", add_fault },
    { "/fault/clear", clear_faults },
    { "/fault/left", faults_left },
    { "/state", state },
    { "/log", log_of_requests },
    { "/user", user },
    { "/tasks", show_tasks },
    { "/tick", tick },
};

static HttpAnswer answer(const HttpRequest *request)
{
    json_t *json = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(pages) && json == NULL; i++)
        if (strcmp(pages[i].path, request->path) == 0)
            json = pages[i].run(request);
    HttpAnswer given = { .status = json == NULL ? 404 : 200, .type = "application/json" };
    if (json == NULL)
        json = refused("no such page");
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    given.body = g_strdup(text);
    free(text);
    return given;
}

bool control_start(GError **error)
{
    server = http_start(config->address, config->control_port, false, answer, error);
    return server != NULL;
}

void control_stop(void)
{
    g_clear_pointer(&server, http_stop);
}
