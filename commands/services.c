/* services.c - getServices: what zxmove needs to work, and whether it is there. */
#include "commands/around.h"

static json_t *service_json(const ServiceLook *service)
{
    json_t *object = json_object();

    set_text(object, "service", service->name);
    set_text(object, "address", service->address);
    json_object_set_new(object, "running", json_boolean(service->running));
    json_object_set_new(object, "could_start", json_boolean(service->could_start));
    set_text(object, "could_not_start_because",
             service->could_not_start_because != NULL ? service->could_not_start_because : "");
    return object;
}

/* Nobody needs a mail server that was not asked for. */
static bool is_missing(const ServiceLook *service)
{
    return !service->could_start && service->address != NULL;
}

static void set_status(const Looked *looked, Result *result)
{
    const ServiceLook *first = NULL;
    guint missing = 0;

    for (guint i = 0; i < looked->items->len; i++) {
        const ServiceLook *service = g_ptr_array_index(looked->items, i);

        if (!is_missing(service))
            continue;
        if (missing++ == 0)
            first = service;
    }
    if (missing == 0)
        return;
    fail(&result->problem, missing < looked->items->len ? ZX_ERROR_PARTIAL : ZX_ERROR_CONNECT,
         "%u of %u cannot be worked with, the first: %s: %s", missing, looked->items->len,
         first->name, first->could_not_start_because);
    result->status = error_exit_status(error_code(result->problem));
}

static bool run(Session *session, void *data G_GNUC_UNUSED, Result *result, GError **error)
{
    Core *core = session_core(session, error);
    g_autoptr(Looked) looked = NULL;
    json_t *list;

    if (core == NULL)
        return false;
    looked = core_services(core, session->switches->host, &session->wait, error);
    if (looked == NULL)
        return false;
    list = json_array();
    for (guint i = 0; i < looked->items->len; i++)
        json_array_append_new(list, service_json(g_ptr_array_index(looked->items, i)));
    result->response = json_pack("{s:o}", "services", list);
    set_status(looked, result);
    return true;
}

const Command cmd_get_services = {
    .name = "getServices",
    .group = "Looking around",
    .summary = "tell whether everything zxmove needs is running",
    .description =
        "One block for each thing zxmove works with: the directory, the agent, database and\n"
        "SOAP of every store (--host: of one), memcached, the mail server. running: something\n"
        "answers there; could_start: zxmove can work with it; could_not_start_because: why not.\n"
        "They are asked at the same time, each for as long as net_timeout at most.\n"
        "Exit status: 0 all well, 5 something is not, 69 nothing is.",
    .examples = (const char *const[]){ "getServices", NULL },
    .run = run,
};
