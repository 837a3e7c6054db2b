/* core.c - see core.h: one operation from its request to its report. */
#include "core/core.h"
#include "core/base/log.h"
#include "core/check/check.h"
#include "core/look/look.h"
#include "core/move/move.h"
#include "core/move/rollback.h"
#include "core/net/smtp.h"
#include "core/ops/journal.h"
#include "core/ops/limits.h"
#include "core/ops/orders.h"
#include "core/ops/recent.h"
#include "core/zimbra/known.h"
#include <string.h>

struct Core {
    const Conf *conf;
    char *operation; /* what the next one is begun as; NULL: anew */
    char *store;     /* where its row is already; NULL: nowhere */
    GPtrArray *watched; /* of MailboxResult: in events of core_watch */
};

Core *core_open(const Conf *conf, GError **error)
{
    Core *core = g_new0(Core, 1);

    (void)error;
    core->conf = conf;
    core->watched = g_ptr_array_new_with_free_func((GDestroyNotify)result_free);
    return core;
}

void core_close(Core *core)
{
    g_free(core->operation);
    g_free(core->store);
    g_ptr_array_unref(core->watched);
    g_free(core);
}

void core_begin_as(Core *core, const char *operation, const char *store)
{
    g_free(core->operation);
    g_free(core->store);
    core->operation = g_strdup(operation);
    core->store = g_strdup(store);
}

/* Of the operation begun now, the next has one of its own. */
static bool begin(Core *core, Operation *op, const Conf *conf, const char *verb,
                  const char *command, EventSink *sink, void *data, const Wait *wait,
                  GError **error)
{
    g_autofree char *uuid = g_steal_pointer(&core->operation);
    bool opened = operation_open(op, conf, uuid, verb, command, sink, data, wait, error);

    op->again = g_steal_pointer(&core->store);
    return opened;
}

/* Ends the operation: its report, or NULL when it could not be begun. */
static Report *finish(Operation *op, bool began)
{
    Report *report;

    operation_close(op);
    report = op->report;
    if (began)
        return report;
    report_free(report);
    return NULL;
}

static void limit(unsigned *value, long wanted)
{
    if (wanted >= 0)
        *value = (unsigned)wanted;
}

/* @conf with the limits that @request has of its own; everything else is borrowed. */
static Conf limited(const Conf *conf, const MoveRequest *request)
{
    Conf own = *conf;

    limit(&own.max_syncs, request->max_syncs);
    limit(&own.sync_finish_threshold_ms, request->sync_finish_threshold);
    limit(&own.cutover_timeout_ms, request->cutover_timeout);
    limit(&own.cutover_retries, request->cutover_retries);
    limit(&own.min_free_percent, request->min_free);
    limit(&own.resync_interval_s, request->resync_interval);
    if (request->separate_logs >= 0)
        own.separate_logs = request->separate_logs != 0;
    return own;
}

Report *core_move(Core *core, const MoveRequest *request, EventSink *sink, void *data,
                  const Wait *wait, GError **error)
{
    const Conf conf = limited(core->conf, request);
    Operation op;
    bool began = begin(core, &op, &conf, request->dry_run ? "plan" : "doMailboxMove",
                       request->command, sink, data, wait, error);

    op.report->batch_name = g_strdup(request->batch_name);
    op.report->comment = g_strdup(request->comment);
    op.request = request;
    throttle_follow(&op.common->throttle, request->bandwidth);
    op.common->max_load = MAX(request->max_load, 0);
    op.common->tally.read_error_threshold = (uint64_t)MAX(request->read_error_threshold, 0);
    op.looking = request->dry_run;
    return finish(&op, began && batch_run(&op, error));
}

Report *core_purge(Core *core, const PurgeRequest *request, EventSink *sink, void *data,
                   const Wait *wait, GError **error)
{
    Operation op;
    bool began = begin(core, &op, core->conf, "doPurgeMailboxes", request->command, sink, data, wait,
                       error);

    op.looking = request->dry_run;
    return finish(&op, began && purge_run(&op, request, error));
}

Report *core_rollback(Core *core, const RollbackRequest *request, EventSink *sink, void *data,
                      const Wait *wait, GError **error)
{
    Operation op;
    bool began = begin(core, &op, core->conf, request->dry_run ? "plan" : "doRollback",
                       request->command, sink, data, wait, error);

    throttle_follow(&op.common->throttle, request->bandwidth);
    op.common->max_load = MAX(request->max_load, 0);
    op.looking = request->dry_run;
    return finish(&op, began && rollback_run(&op, request, error));
}

Report *core_recover(Core *core, const RecoverRequest *request, EventSink *sink, void *data,
                     const Wait *wait, GError **error)
{
    Operation op;
    bool began =
        begin(core, &op, core->conf, "doRecover", request->command, sink, data, wait, error);

    op.looking = request->dry_run;
    return finish(&op, began && recover_run(&op, request, error));
}

Verification *core_verify(Core *core, const VerifyRequest *request, VerifySink *found,
                          void *found_data, EventSink *sink, void *data, const Wait *wait,
                          GError **error)
{
    Verification *verification = g_new0(Verification, 1);
    Operation op;
    bool began = operation_open(&op, core->conf, NULL, "doVerify", request->command, sink, data, wait,
                                error);
    Report *report;

    op.looking = true;
    verification->copies = g_ptr_array_new_with_free_func(verify_copy_free);
    began = began && verify_run(&op, request, found, found_data, verification, error);
    report = finish(&op, true);
    memcpy(verification->operation, report->operation, sizeof verification->operation);
    verification->log_path = g_steal_pointer(&report->log_path);
    verification->notes = g_ptr_array_ref(report->notes);
    report_free(report);
    if (began)
        return verification;
    verification_free(verification);
    return NULL;
}

Looked *core_moved(Core *core, const char *host, const Wait *wait, GError **error)
{
    return look_moved(core->conf, host, wait, error);
}

static GPtrArray *names_at_store(Core *core, NameKind kind, const char *host, const char *prefix,
                                 unsigned limit, GError **error)
{
    const ConfStore *where = conf_store(core->conf, host != NULL ? host : "");
    g_autoptr(Store) store = where != NULL ? store_open_look(core->conf, where, error) : NULL;

    if (where == NULL)
        return names_new();
    if (store == NULL)
        return NULL;
    if (kind == NAME_VOLUME)
        return known_volumes(store->control, prefix, limit, error);
    if (kind == NAME_OPERATION)
        return recent_operations(store->control, prefix, limit, error);
    return recent_old_copies(store->control, prefix, limit, error);
}

GPtrArray *core_names(Core *core, NameKind kind, const char *host, const char *prefix,
                      unsigned limit, const Wait *wait, GError **error)
{
    static const DirectoryNames of_directory[] = { [NAME_STORE] = DIRECTORY_STORES,
                                                   [NAME_ACCOUNT] = DIRECTORY_ACCOUNTS,
                                                   [NAME_DOMAIN] = DIRECTORY_DOMAINS };
    const unsigned cap = core->conf->net_timeout_s;

    if (!wait_check(wait, "names", error))
        return NULL;
    if (kind > NAME_DOMAIN)
        return names_at_store(core, kind, host, prefix, limit, error);
    return known_in_directory(core->conf, of_directory[kind], prefix, limit,
                              MAX(1, (unsigned)wait_left_ms(wait, (int)cap * 1000) / 1000), error);
}

void core_abandon(void)
{
    ssh_abandon();
}

Looked *core_servers(Core *core, const char *host, const Wait *wait, GError **error)
{
    return look_servers(core->conf, host, wait, error);
}

Looked *core_volumes(Core *core, const char *name, bool walk, const char *host, const Wait *wait,
                     GError **error)
{
    return look_volumes(core->conf, name, walk, host, wait, error);
}

Looked *core_whereabouts(Core *core, char **accounts, const Wait *wait, GError **error)
{
    return look_whereabouts(core->conf, accounts, wait, error);
}

Looked *core_trace(Core *core, const char *operation, const Wait *wait, GError **error)
{
    return look_trace(core->conf, operation, wait, error);
}

Looked *core_nonlocal(Core *core, const char *host, const Wait *wait, GError **error)
{
    return look_nonlocal(core->conf, host, wait, error);
}

Looked *core_check_blobs(Core *core, const BlobsRequest *request, const char *host, EventSink *sink,
                         void *data, const Wait *wait, GError **error)
{
    return look_blobs(core->conf, request, host, sink, data, wait, error);
}

Looked *core_operations(Core *core, const char *operation, unsigned which, const Wait *wait,
                        GError **error)
{
    return look_operations(core->conf, operation, which, wait, error);
}

Looked *core_operation(Core *core, const char *operation, const Wait *wait, GError **error)
{
    return look_operation(core->conf, operation, wait, error);
}

GPtrArray *core_operation_mailboxes(Core *core, const OperationLook *operation, GError **error)
{
    return look_operation_mailboxes(core->conf, operation, error);
}

Looked *core_watch(Core *core, const OperationLook *operation, EventSink *sink, void *data,
                   const Wait *wait, GError **error)
{
    return look_watch(core->conf, operation, core->watched, sink, data, wait, error);
}

static Store *store_of(const Core *core, const OperationLook *operation, GError **error)
{
    return store_open_look(core->conf, conf_store(core->conf, operation->store), error);
}

static bool is_lost(const OperationLook *operation)
{
    return strcmp(operation->state, "lost") == 0;
}

bool core_want(Core *core, const OperationLook *operation, Want want, char **accounts,
               const char *comment, GError **error)
{
    g_autoptr(Store) store = NULL;

    if (operation->ended_yet)
        return fail(error, ZX_ERROR_REFUSED, "operation %s has ended: %s", operation->operation,
                    operation->state);
    if (is_lost(operation))
        return fail(error, ZX_ERROR_REFUSED,
                    "operation %s gives no sign of life since %.0f s: its process on %s is gone, or "
                    "cannot reach %s\ntake it up again with: doResume %s",
                    operation->operation, (double)operation->silent_ms / 1000, operation->host,
                    operation->store, operation->operation);
    store = store_of(core, operation, error);
    return store != NULL &&
           orders_want(store->control, operation->operation, want, accounts, comment, error);
}

bool core_end_lost(Core *core, const OperationLook *operation, GError **error)
{
    g_autoptr(Store) store = NULL;

    if (!is_lost(operation))
        return fail(error, ZX_ERROR_REFUSED, "operation %s is %s", operation->operation,
                    operation->state);
    store = store_of(core, operation, error);
    return store != NULL && orders_end_lost(store->control, operation->operation, error);
}

bool core_limits(Core *core, const OperationLook *operation, const Limits *change, Limits *now,
                 GError **error)
{
    g_autoptr(Store) store = NULL;

    *now = limits_read(NULL);
    if (change != NULL && operation->ended_yet)
        return fail(error, ZX_ERROR_REFUSED, "operation %s has ended: %s", operation->operation,
                    operation->state);
    store = store_of(core, operation, error);
    return store != NULL &&
           orders_limits(store->control, operation->operation, change, now, error);
}

Looked *core_services(Core *core, const char *host, const Wait *wait, GError **error)
{
    return look_services(core->conf, host, wait, error);
}

GPtrArray *core_trust(Core *core, const char *host, const Wait *wait, GError **error)
{
    return trust_look(core->conf, host, wait, error);
}

bool core_trust_again(Core *core, Trust *trust, GError **error)
{
    return trust_judge(core->conf, trust, error);
}

bool core_trust_store(Core *core, Trust *trust, GError **error)
{
    return trust_store(core->conf, trust, error);
}

CheckReport *core_check(Core *core, const MoveRequest *request, const Wait *wait, GError **error)
{
    const Conf conf = limited(core->conf, request);

    return check_run(&conf, request, wait, error);
}

const CheckTest *core_check_test(unsigned n)
{
    return check_test(n);
}

bool core_mail(Core *core, char **to, const char *subject, const char *body,
               const char *attachment_name, const char *attachment, GError **error)
{
    SmtpTarget target = { .url = core->conf->smtp.url,
                          .from = core->conf->smtp.from,
                          .timeout_s = core->conf->net_timeout_s };

    if (target.url == NULL || target.from == NULL)
        return fail(error, ZX_ERROR_REFUSED,
                    "no mail server: set smtp.url and smtp.from in the configuration");
    return smtp_send(&target, (const char *const *)to, subject, body, attachment_name, attachment,
                     error);
}
