/* orders.c - what may be asked of an operation that is going on, from wherever it is seen:
 * doStopOperation, doStopAllOperations, doSuspend, doCompleteMove, setOperation. Its process finds
 * it in its row; whether it is done yet shows in its state. */
#include "commands/around.h"
#include "commands/operate.h"
#include "commands/watch.h"
#include "conf/pace.h"
#include <string.h>

typedef struct OrderRequest {
    char *operation, *when, *comment;
    char **accounts;
} OrderRequest;

/* What its verb never does would be asked for in vain. */
static bool can_do(const OperationLook *operation, Want want, GError **error)
{
    const Operating *way = operate_of(operation);

    if (way != NULL && want == WANT_PAUSE && !way->pauses)
        return fail(error, ZX_ERROR_REFUSED,
                    "operation %s is a %s, which lets users in and does not pause\n"
                    "to end it: doStopOperation %s",
                    operation->operation, operation->verb, operation->operation);
    return way == NULL || want != WANT_COMPLETE || way->holds ||
           fail(error, ZX_ERROR_REFUSED, "operation %s is a %s: nothing of it is ever held",
                operation->operation, operation->verb);
}

static bool order(Session *session, const OrderRequest *request, Want want, Result *result,
                  GError **error)
{
    g_autoptr(Looked) looked = NULL;
    const OperationLook *operation =
        operation_find(session, request->operation, &looked, error);

    return operation != NULL && can_do(operation, want, error) &&
           core_want(session->core, operation, want, request->accounts, request->comment, error) &&
           operation_answer(session, operation, result, error);
}

/* clang-format off */
#define OPERATION                                                                          \
    .name = "operation_uuid", .type = ARG_UUID, .flags = ARG_REQUIRED,                     \
    .expected = "uuid, or how it begins", .help = "the operation"
#define COMMENT                                                                            \
    .name = "comment", .type = ARG_TEXT, .help = "why, for those who see it in the list"

static const Arg stop_args[] = {
    ARG(OrderRequest, operation, OPERATION),
    ARG(OrderRequest, when, .name = "when", .type = ARG_CHOICE, .values = "safe|now",
        .fallback = "safe",
        .no_effect = "a copy is stopped at once in any case, a window in none",
        .help = "a copy is stopped at once; a mailbox in its window is finished or undone first"),
    ARG(OrderRequest, comment, COMMENT),
    { 0 },
};

static const Arg suspend_args[] = {
    ARG(OrderRequest, operation, OPERATION),
    ARG(OrderRequest, comment, COMMENT),
    { 0 },
};

static const Arg complete_args[] = {
    ARG(OrderRequest, operation, OPERATION),
    ARG(OrderRequest, accounts, .name = "accounts", .type = ARG_ACCOUNTS,
        .expected = "john@example.com,smith@example.com", .unset = "all that wait",
        .help = "only these are moved now; the others go on waiting"),
    { 0 },
};
/* clang-format on */

static bool run_stop(Session *session, void *data, Result *result, GError **error)
{
    return order(session, data, WANT_STOP, result, error);
}

const Command cmd_do_stop_operation = {
    .name = "doStopOperation",
    .group = "Operations",
    .summary = "stop an operation",
    .description =
        "Asks an operation to end. One that waits in the queue is removed; a copy stops, and what\n"
        "was copied stays for the next run; a mailbox in its window is finished or undone first,\n"
        "and a commit in doubt is only finished; a purge and a recovery end after the mailbox at\n"
        "hand. doResume takes it up again later, or says how that is done.\n"
        "Exit status: 0 it was asked, 1 it has ended, or there is nobody to ask.",
    .args = stop_args,
    .request_size = sizeof(OrderRequest),
    .examples = (const char *const[]){ "doStopOperation 30ed9eb9", NULL },
    .run = run_stop,
};

static bool run_suspend(Session *session, void *data, Result *result, GError **error)
{
    return order(session, data, WANT_PAUSE, result, error);
}

const Command cmd_do_suspend = {
    .name = "doSuspend",
    .group = "Operations",
    .summary = "let an operation pause until doResume",
    .description =
        "The operation pauses as soon as it is between two steps of its copies, never in a\n"
        "window; it keeps its accounts, so that nobody else begins with them meanwhile. A purge\n"
        "pauses between two old copies; a recovery, for which users wait, does not.\n"
        "Exit status: 0 it was asked, 1 it has ended, or there is nobody to ask.",
    .args = suspend_args,
    .request_size = sizeof(OrderRequest),
    .examples = (const char *const[]){ "doSuspend 6f0c2c1e comment \"backup window\"", NULL },
    .run = run_suspend,
};

static bool run_complete(Session *session, void *data, Result *result, GError **error)
{
    return order(session, data, WANT_COMPLETE, result, error);
}

const Command cmd_do_complete_move = {
    .name = "doCompleteMove",
    .group = "Operations",
    .summary = "move now what is held",
    .description =
        "Ends the waiting of a move that was begun with hold true or complete_after: of all its\n"
        "mailboxes, or of those that accounts names.\n"
        "Exit status: 0 it was asked, 1 it has ended, or an account does not wait in it.",
    .args = complete_args,
    .request_size = sizeof(OrderRequest),
    .examples =
        (const char *const[]){ "doCompleteMove 6f0c2c1e",
                               "doCompleteMove 6f0c2c1e accounts anna@company.ru", NULL },
    .run = run_complete,
};

/* One that has ended meanwhile needs no stop. */
static bool stop_one(Core *core, const OperationLook *operation, json_t *list, GError **error)
{
    json_t *object = operation_json(operation, false);
    g_autoptr(GError) problem = NULL;

    if (core_want(core, operation, WANT_STOP, NULL, NULL, &problem)) {
        json_object_set_new(object, "asked", json_string("stop"));
    } else {
        set_text(object, "problem", problem->message);
        if (error != NULL && *error == NULL)
            fail(error, error_code(problem), "%s: %s", operation->operation, problem->message);
    }
    json_array_append_new(list, object);
    return problem == NULL;
}

static bool run_stop_all(Session *session, void *data G_GNUC_UNUSED, Result *result,
                         GError **error)
{
    Core *core = session_core(session, error);
    g_autoptr(Looked) looked = NULL;
    json_t *list;

    if (core == NULL)
        return false;
    looked = core_operations(core, NULL, OPERATIONS_GOING, &session->wait, error);
    if (looked == NULL)
        return false;
    list = json_array();
    result->response = json_pack("{s:o}", "operations", list);
    for (guint i = 0; i < looked->items->len; i++)
        if (!stop_one(core, g_ptr_array_index(looked->items, i), list, &result->problem))
            result->status = error_exit_status(ZX_ERROR_PARTIAL);
    if (looked->items->len == 0 && looked->unreached->len == 0)
        result->text = g_strdup("no operation is going on\n");
    if (result->problem == NULL)
        around_unreached(looked, result);
    return true;
}

const Command cmd_do_stop_all_operations = {
    .name = "doStopAllOperations",
    .group = "Operations",
    .summary = "stop every operation",
    .description =
        "doStopOperation of every operation that is going on or queued, of any host. Old copies\n"
        "are not touched.\n"
        "Exit status: 0 all were asked, 5 some could not be, or a store could not be.",
    .examples = (const char *const[]){ "doStopAllOperations", NULL },
    .run = run_stop_all,
};

typedef struct SetRequest {
    char *operation;
    long threads;
    int64_t complete_after;
    char **notifications;
    char *bandwidth;
    double max_load;
} SetRequest;

/* clang-format off */
static const Arg set_args[] = {
    ARG(SetRequest, operation, OPERATION),
    ARG(SetRequest, threads, .name = "threads", .type = ARG_NUMBER, .flags = ARG_READS, .min = 1,
        .max = 32, .help = "mailboxes in flight at the same time, from the next mailbox on"),
    ARG(SetRequest, complete_after, .name = "complete_after", .type = ARG_TIME, .flags = ARG_READS,
        .help = "move nobody before, of a move that is held"),
    ARG(SetRequest, notifications, .name = "notifications", .type = ARG_ADDRESSES,
        .flags = ARG_READS, .expected = "admin@example.com", .help = "who gets the completion mail"),
    ARG(SetRequest, bandwidth, .name = "bandwidth", .type = ARG_TEXT, .flags = ARG_READS,
        .expected = "20M, 'Mon-08:00,4M Mon-19:00,off'", .help = "bytes a second, or a timetable of them"),
    ARG(SetRequest, max_load, .name = "max_load", .type = ARG_DECIMAL, .flags = ARG_READS | ARG_OFF,
        .min = 0, .max = 10000, .expected = "8, off", .help = "copy nothing while a store's load is above"),
    NO_ARG(.name = "max_replica_lag", .type = ARG_DURATION, .min = 1000, .max = 3600000,
           .help = "pause while a replica is further behind"),
    NO_ARG(.name = "priority", .type = ARG_CHOICE, .values = "low|normal|high",
           .help = "which operation waits for which"),
    { 0 },
};
/* clang-format on */

/* The value of @name in the request that it was begun with; NULL if its verb has no such parameter,
 * or is not known any more. */
static const void *begun_with(const Recorded *recorded, const char *name)
{
    const Arg *arg = recorded->request != NULL ? args_find(recorded->command, name) : NULL;

    return arg != NULL ? (const char *)recorded->request + arg->offset : NULL;
}

/* What holds now: what was set, else what it was begun with. */
static json_t *limits_json(const OperationLook *operation, const Limits *now,
                           const Recorded *recorded)
{
    const unsigned *threads = begun_with(recorded, "threads");
    const int64_t *complete_after = begun_with(recorded, "complete_after");
    const double *max_load = begun_with(recorded, "max_load");
    char *const *bandwidth = begun_with(recorded, "bandwidth");
    char **const *to = begun_with(recorded, "notifications");
    char **notifications = now->notifications != NULL ? now->notifications
                           : to != NULL               ? *to
                                                      : NULL;
    int64_t after = now->complete_after >= 0 ? now->complete_after
                    : complete_after != NULL ? *complete_after
                                             : -1;
    double load = now->max_load >= 0 ? now->max_load : max_load != NULL ? *max_load : -1;
    json_t *object = json_object(), *list = json_array();

    set_text(object, "operation", operation->operation);
    set_text(object, "state", operation->state);
    if (now->threads > 0 || threads != NULL)
        set_number(object, "threads", now->threads > 0 ? now->threads : (long)*threads);
    set_text(object, "bandwidth",
             now->bandwidth != NULL ? now->bandwidth
             : bandwidth != NULL    ? *bandwidth
                                    : NULL);
    if (load >= 0)
        json_object_set_new(object, "max_load", load > 0 ? json_real(load) : json_string("off"));
    if (after >= 0)
        set_time(object, "complete_after", after);
    for (; notifications != NULL && *notifications != NULL; notifications++)
        json_array_append_new(list, text_json(*notifications));
    json_object_set_new(object, "notifications", list);
    return object;
}

/* A verb that has no such parameter would not look at it. */
static bool can_change(const OperationLook *operation, const Recorded *recorded,
                       const Limits *change, GError **error)
{
    const struct {
        const char *name;
        bool changed;
    } all[] = { { "threads", change->threads > 0 },
                { "complete_after", change->complete_after >= 0 },
                { "notifications", change->notifications != NULL },
                { "bandwidth", change->bandwidth != NULL },
                { "max_load", change->max_load >= 0 } };

    for (guint i = 0; i < G_N_ELEMENTS(all); i++)
        if (all[i].changed && begun_with(recorded, all[i].name) == NULL)
            return fail(error, ZX_ERROR_REFUSED, "operation %s is a %s, which has no %s",
                        operation->operation, operation->verb, all[i].name);
    return true;
}

static bool check_set(void *data, GError **error)
{
    const SetRequest *request = data;
    Pace pace;

    return request->bandwidth == NULL || pace_parse(request->bandwidth, &pace, error) ||
           fail_prefix(error, "bandwidth");
}

static bool run_set(Session *session, void *data, Result *result, GError **error)
{
    const SetRequest *request = data;
    g_autoptr(Looked) looked = NULL;
    const OperationLook *operation =
        operation_find(session, request->operation, &looked, error);
    const Limits change = { .threads = request->threads,
                            .complete_after = request->complete_after,
                            .notifications = request->notifications,
                            .bandwidth = request->bandwidth,
                            .max_load = request->max_load };
    bool any = change.threads > 0 || change.complete_after >= 0 ||
               change.notifications != NULL || change.bandwidth != NULL || change.max_load >= 0;
    g_auto(Recorded) recorded = { 0 };
    Limits now;

    if (operation == NULL)
        return false;
    if ((recorded_read(session, operation->command, &recorded, NULL) &&
         !can_change(operation, &recorded, &change, error)) ||
        !core_limits(session->core, operation, any ? &change : NULL, &now, error))
        return false;
    result->response = json_pack("{s:[o]}", "operations", limits_json(operation, &now, &recorded));
    limits_clear(&now);
    return true;
}

const Command cmd_set_operation = {
    .name = "setOperation",
    .group = "Operations",
    .summary = "change or read what an operation was begun with",
    .description =
        "Changes an operation while it runs, and says what holds from now on; without a\n"
        "parameter, or with ? for a value, it only says so. What its verb has no parameter for\n"
        "cannot be changed.\n"
        "Exit status: 0 done, 1 it has ended, or has no such parameter.",
    .args = set_args,
    .request_size = sizeof(SetRequest),
    .examples = (const char *const[]){ "setOperation 6f0c2c1e threads 4",
                                       "setOperation 6f0c2c1e threads ?", NULL },
    .check = check_set,
    .run = run_set,
};
