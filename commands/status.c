/* status.c - status: where an account really is, or what became of an operation. */
#include "commands/around.h"

typedef struct StatusRequest {
    char **accounts;
    char *account_id, *operation;
} StatusRequest;

static void set_list(json_t *object, const char *key, json_t *list)
{
    if (json_array_size(list) > 0)
        json_object_set(object, key, list);
    json_decref(list);
}

static json_t *copies_json(const GPtrArray *copies)
{
    json_t *list = json_array();

    for (guint i = 0; i < copies->len; i++) {
        const CopyLook *copy = g_ptr_array_index(copies, i);
        json_t *object = json_object();

        set_number(object, "mailbox_id", copy->mailbox_id);
        set_text(object, "state", copy->state);
        set_text(object, "moved_to", copy->moved_to);
        set_number(object, "new_mailbox_id", copy->new_mailbox);
        set_time(object, "moved_at", copy->moved_at);
        if (copy->left_on == NULL)
            set_time(object, "purge_after", copy->purge_after);
        set_text(object, "left_on", copy->left_on);
        set_text(object, "operation", copy->operation);
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *window_json(const StoreView *view)
{
    json_t *object = json_object();

    set_text(object, "state", view->window_state);
    set_text(object, "operation", view->window_operation);
    set_text(object, "from", view->window_from);
    set_text(object, "to", view->window_to);
    set_time(object, "since", view->window_since);
    return object;
}

static json_t *claim_json(const StoreView *view)
{
    json_t *object = json_object();

    set_text(object, "operation", view->claim_operation);
    set_text(object, "host", view->claim_host);
    set_number(object, "process", view->claim_pid);
    json_object_set_new(object, "expired", json_boolean(view->claim_expired));
    json_object_set_new(object, "locked", json_boolean(view->claim_locked));
    return object;
}

static json_t *view_json(const StoreView *view)
{
    json_t *object = json_object();

    set_text(object, "store", view->store);
    json_object_set_new(object, "asked", json_boolean(view->asked));
    set_number(object, "mailbox_id", view->mailbox_id);
    set_size(object, "size", view->bytes);
    set_text(object, "mailboxd", view->mailboxd);
    if (view->reserved > 0)
        set_number(object, "reserved", view->reserved);
    if (view->window_state != NULL)
        json_object_set_new(object, "window", window_json(view));
    if (view->claim_operation != NULL)
        json_object_set_new(object, "claim", claim_json(view));
    set_list(object, "old_copies", copies_json(view->copies));
    return object;
}

static json_t *route_json(const RouteView *route)
{
    json_t *object = json_object();

    set_text(object, "memcached", route->server);
    set_number(object, "routes", route->routes);
    set_text(object, "points_to", route->points_to);
    set_number(object, "mailboxd_keys", route->caches);
    return object;
}

static void set_last_move(json_t *object, const Whereabouts *where)
{
    const StoreView *last = NULL;
    json_t *move;

    for (guint i = 0; i < where->stores->len; i++) {
        const StoreView *view = g_ptr_array_index(where->stores, i);

        if (view->last_moved > (last != NULL ? last->last_moved : 0))
            last = view;
    }
    if (last == NULL)
        return;
    move = json_object();
    set_text(move, "from", last->store);
    set_text(move, "to", last->last_moved_to);
    set_time(move, "at", last->last_moved);
    set_text(move, "operation", last->last_operation);
    json_object_set_new(object, "last_move", move);
}

static json_t *where_json(const void *item)
{
    const Whereabouts *where = item;
    json_t *object = json_object(), *stores = json_array(), *routes = json_array();

    set_text(object, "account", where->account);
    set_text(object, "verdict", where->verdict);
    set_text(object, "account_id", where->account_id);
    json_object_set_new(object, "in_directory", json_boolean(where->in_directory));
    set_text(object, "home", where->home);
    set_text(object, "transport", where->transport);
    if (where->in_directory)
        json_object_set_new(object, "transport_fits", json_boolean(where->transport_fits));
    set_text(object, "status", where->status);
    set_text(object, "mail_status", where->mail_status);
    set_text(object, "domain_status", where->domain_status);
    set_last_move(object, where);
    for (guint i = 0; i < where->stores->len; i++)
        json_array_append_new(stores, view_json(g_ptr_array_index(where->stores, i)));
    set_list(object, "stores", stores);
    for (guint i = 0; i < where->routes->len; i++)
        json_array_append_new(routes, route_json(g_ptr_array_index(where->routes, i)));
    set_list(object, "caches", routes);
    return object;
}

static json_t *trace_json(const void *item)
{
    const Trace *trace = item;
    json_t *object = json_object(), *accounts = json_array();

    set_text(object, "operation", trace->operation);
    set_text(object, "verdict", trace->verdict);
    set_text(object, "recorded_on", trace->store);
    set_text(object, "verb", trace->verb);
    set_text(object, "command", trace->command);
    set_text(object, "who", trace->who);
    set_text(object, "host", trace->host);
    if (trace->pid != 0)
        set_number(object, "process", trace->pid);
    set_text(object, "state", trace->state);
    set_time(object, "started", trace->started);
    set_time(object, "ended", trace->ended);
    for (guint i = 0; i < trace->accounts->len; i++) {
        const TraceAccount *account = g_ptr_array_index(trace->accounts, i);
        json_t *entry = json_object();

        set_text(entry, "store", account->store);
        set_text(entry, "account", account->account);
        set_text(entry, "account_id", account->account_id);
        set_text(entry, "record", account->record);
        set_text(entry, "state", account->state);
        set_time(entry, "since", account->since);
        json_array_append_new(accounts, entry);
    }
    set_list(object, "records", accounts);
    return object;
}

static bool check(void *data, GError **error)
{
    const StatusRequest *request = data;

    if ((request->accounts != NULL) + (request->account_id != NULL) +
            (request->operation != NULL) !=
        1)
        return fail_page(error, &cmd_status, "status needs account, account_id or operation_uuid");
    if (request->account_id != NULL && !g_uuid_string_is_valid(request->account_id))
        return fail(error, ZX_ERROR_USAGE, "account_id: '%s' is not a zimbraId",
                    request->account_id);
    return true;
}

static bool run(Session *session, void *data, Result *result, GError **error)
{
    const StatusRequest *request = data;
    char *single[] = { request->account_id, NULL };
    Core *core = session_core(session, error);
    g_autoptr(Looked) looked = NULL;

    if (core == NULL)
        return false;
    if (request->operation != NULL)
        looked = core_trace(core, request->operation, &session->wait, error);
    else
        looked = core_whereabouts(core, request->accounts != NULL ? request->accounts : single,
                                  &session->wait, error);
    if (request->operation != NULL)
        return around_finish(looked, "operations", trace_json, "no such operation", result);
    return around_finish(looked, "accounts", where_json, "no such account", result);
}

/* clang-format off */
static const Arg args[] = {
    ARG(StatusRequest, accounts, .name = "account", .type = ARG_ACCOUNTS,
        .expected = "anna@company.ru", .help = "where this account really is"),
    ARG(StatusRequest, account_id, .name = "account_id", .type = ARG_TEXT, .expected = "zimbraId",
        .help = "the same by its id: of one that the directory no longer has, too"),
    ARG(StatusRequest, operation, .name = "operation_uuid", .type = ARG_UUID,
        .expected = "uuid, or how it begins", .help = "what the stores recorded of this operation"),
    { 0 },
};
/* clang-format on */

const Command cmd_status = {
    .name = "status",
    .group = "Looking around",
    .summary = "tell where an account really is, and why",
    .description =
        "Of an account: what the directory says, the mailbox rows in every store's database,\n"
        "what each mailboxd knows, zxmove's own records (window, claim, old copies), and the\n"
        "routes that proxies and mailboxd have cached; above all, what it means, in a sentence.\n"
        "Of an operation: its record, and where it stands with each account.\n"
        "Nothing is changed, and no mailbox is made by asking.\n"
        "Exit status: 0 done, 1 unknown account or operation, 5 a server could not be asked.",
    .args = args,
    .request_size = sizeof(StatusRequest),
    .examples = (const char *const[]){ "status account anna@company.ru",
                                       "status operation_uuid 6f0c2c1e", NULL },
    .check = check,
    .run = run,
};
