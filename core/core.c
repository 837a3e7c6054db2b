/* core.c - see core.h: one operation from its request to its report. */
#include "core/core.h"
#include "core/base/log.h"
#include "core/check/check.h"
#include "core/look/look.h"
#include "core/move/move.h"
#include "core/move/rollback.h"
#include "core/net/smtp.h"
#include "core/ops/journal.h"
#include "core/ops/recent.h"
#include "core/zimbra/known.h"
#include <string.h>

struct Core {
    const Conf *conf;
};

Core *core_open(const Conf *conf, GError **error)
{
    Core *core = g_new0(Core, 1);

    (void)error;
    core->conf = conf;
    return core;
}

void core_close(Core *core)
{
    g_free(core);
}

static MailboxResult *result_with_id(const Operation *op, const char *account_id)
{
    for (guint i = 0; i < op->report->mailboxes->len; i++) {
        MailboxResult *result = g_ptr_array_index(op->report->mailboxes, i);

        if (strcmp(result->account_id, account_id) == 0)
            return result;
    }
    return NULL;
}

static MailboxResult *result_of(const Operation *op, const Account *account)
{
    return result_with_id(op, account->id);
}

static void set_failed(MailboxResult *result, GError *problem)
{
    result->outcome = OUTCOME_FAILED;
    result->code = error_code(problem);
    result->reason = g_strdup(problem->message);
    g_error_free(problem);
}

/* The operation has to end: the user asked for it, or it has failed too often. */
static bool has_to_end(Operation *op)
{
    g_autoptr(GError) problem = NULL;

    if (op->report->halted == NULL && !tally_check(&op->tally, &problem)) {
        op->report->halted = g_strdup(problem->message);
        operation_note(op, "%s; mailboxes that were not begun were left alone", problem->message);
    }
    return op->report->halted != NULL || wait_stopped(op->wait);
}

static void set_not_reached(const Operation *op, MailboxResult *result)
{
    bool halted = op->report->halted != NULL;

    result->outcome = OUTCOME_NOT_REACHED;
    result->code = halted ? ZX_ERROR_DATA : ZX_ERROR_INTERRUPTED;
    result->reason = g_strdup(halted ? "the operation ended itself before this mailbox was begun"
                                     : "interrupted before this mailbox was begun");
}

/* Takes @account. A failure is this mailbox's, and the next one is tried. */
static void move_account(Operation *op, Account *account, Store *target, unsigned index,
                         unsigned total)
{
    MailboxResult *result = result_of(op, account);
    GError *problem = NULL;
    Store *source = operation_store(op, account->mail_host, &problem);
    Move *move;

    log_context(op->uuid, account->address);
    if (source == NULL || !store_revive(source, &problem) || !store_revive(target, &problem) ||
        !plan_check_stores(op, source, target, &problem)) {
        set_failed(result, problem);
        account_free(account);
    } else {
        move = move_new(op, account, source, target, result);
        move->index = index;
        move->total = total;
        move->window_soon = (op->request->stages & STAGE_ACCOUNT) != 0;
        move_run(move);
        move_free(move);
    }
    log_context(op->uuid, NULL);
    operation_emit(op, &(Event){ .type = EVENT_MAILBOX_DONE,
                                 .account = result->address,
                                 .index = index,
                                 .total = total,
                                 .mailbox_bytes = operation_size(op, result->account_id),
                                 .result = result });
}

static const char *end_state(const Operation *op)
{
    unsigned failed = 0, others = 0;
    bool unfinished = false, missed = false; /* missed: strict, and one was skipped */

    for (guint i = 0; i < op->report->mailboxes->len; i++) {
        const MailboxResult *result = g_ptr_array_index(op->report->mailboxes, i);

        unfinished = unfinished || result->unfinished;
        if (result->outcome == OUTCOME_FAILED || result->outcome == OUTCOME_IN_DOUBT ||
            result->outcome == OUTCOME_KEPT)
            failed++;
        else if (result->outcome == OUTCOME_SKIPPED && op->request != NULL && op->request->strict)
            missed = true;
        else
            others++;
    }
    if (wait_stopped(op->wait))
        return "interrupted";
    if (op->report->halted != NULL)
        return "failed";
    if (failed == 0 && !unfinished)
        return missed ? "partial" : "done";
    return others > 0 ? "partial" : "failed";
}

/* The operation's own row may be out of reach when its store is; the report is not. */
static void end_journal(Operation *op, Store *store)
{
    GError *problem = NULL;

    if (store_revive(store, &problem) &&
        journal_end(store, op->uuid, end_state(op), NULL, &problem))
        return;
    log_warning("%s: %s", store->name, problem->message);
    g_error_free(problem);
}

static bool move_all(Operation *op, GError **error)
{
    Store *target;
    g_autoptr(GPtrArray) accounts = NULL;

    if (directory_server(op->servers, op->request->destination) == NULL)
        return fail(error, ZX_ERROR_NOT_FOUND, "no server %s in the directory",
                    op->request->destination);
    accounts = plan_select(op, error);
    if (accounts == NULL)
        return false;
    if (op->looking)
        return forecast_all(op, accounts, error);
    g_ptr_array_set_free_func(accounts, NULL); /* each goes over to its move */
    if (accounts->len == 0) {
        operation_emit(op, &(Event){ .type = EVENT_SELECTED });
        return true;
    }
    target = operation_store(op, op->request->destination, error);
    if (target == NULL ||
        !journal_begin(target, op->uuid, op->report->verb, op->request->command,
                       op->request->batch_name, op->request->comment, error)) {
        g_ptr_array_set_free_func(accounts, (GDestroyNotify)account_free);
        return false;
    }
    /* Of a single mailbox its own progress says it all. */
    operation_emit(op,
                   &(Event){ .type = EVENT_SELECTED,
                             .total = accounts->len,
                             .expected_bytes = accounts->len > 1 ? plan_sizes(op, accounts) : 0 });
    for (guint i = 0; i < accounts->len; i++) {
        Account *account = g_ptr_array_index(accounts, i);

        if (has_to_end(op)) {
            set_not_reached(op, result_of(op, account));
            account_free(account);
            continue;
        }
        move_account(op, account, target, i + 1, accounts->len);
    }
    has_to_end(op); /* the last one may have been too much */
    end_journal(op, target);
    return true;
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
    if (request->separate_logs >= 0)
        own.separate_logs = request->separate_logs != 0;
    return own;
}

Report *core_move(Core *core, const MoveRequest *request, EventSink *sink, void *data,
                  const Wait *wait, GError **error)
{
    const Conf conf = limited(core->conf, request);
    Operation op;
    bool began = operation_open(&op, &conf, request->dry_run ? "plan" : "doMailboxMove",
                                request->command, sink, data, wait, error);

    op.report->batch_name = g_strdup(request->batch_name);
    op.report->comment = g_strdup(request->comment);
    op.request = request;
    op.tally.read_error_threshold = (uint64_t)MAX(request->read_error_threshold, 0);
    op.looking = request->dry_run;
    return finish(&op, began && move_all(&op, error));
}

Report *core_purge(Core *core, const PurgeRequest *request, EventSink *sink, void *data,
                   const Wait *wait, GError **error)
{
    Operation op;
    bool began = operation_open(&op, core->conf, "doPurgeMailboxes", request->command, sink, data,
                                wait, error);

    return finish(&op, began && purge_run(&op, request, error));
}

/* A store that cannot be gone back to is the failure of those that would have. */
static void none_went(Operation *op, const WayBack *way, const GError *problem)
{
    for (guint i = 0; way->ids->pdata[i] != NULL; i++) {
        const char *id = g_ptr_array_index(way->ids, i);
        MailboxResult *result = result_with_id(op, id);

        if (result == NULL)
            result = operation_add_result(op, id, id, NULL, way->move.destination);
        if (result->outcome != OUTCOME_FAILED || result->reason != NULL)
            continue;
        result->code = error_code(problem);
        result->reason = g_strdup(problem->message);
    }
}

/* One operation, to as many stores as its accounts came from. */
static bool roll_back(Operation *op, const RollbackRequest *request, GError **error)
{
    g_autoptr(GPtrArray) ways = rollback_select(op, request, error);

    if (ways == NULL)
        return false;
    for (guint i = 0; i < ways->len; i++) {
        WayBack *way = g_ptr_array_index(ways, i);
        GError *problem = NULL;

        way->move.command = request->command;
        op->request = &way->move;
        if (!move_all(op, &problem)) {
            none_went(op, way, problem);
            g_error_free(problem);
        }
    }
    op->request = NULL;
    return true;
}

Report *core_rollback(Core *core, const RollbackRequest *request, EventSink *sink, void *data,
                      const Wait *wait, GError **error)
{
    Operation op;
    bool began = operation_open(&op, core->conf, request->dry_run ? "plan" : "doRollback",
                                request->command, sink, data, wait, error);

    op.looking = request->dry_run;
    return finish(&op, began && roll_back(&op, request, error));
}

Report *core_recover(Core *core, const RecoverRequest *request, EventSink *sink, void *data,
                     const Wait *wait, GError **error)
{
    Operation op;
    bool began =
        operation_open(&op, core->conf, "doRecover", request->command, sink, data, wait, error);

    return finish(&op, began && recover_run(&op, request, error));
}

static void moved_free(MovedMailbox *moved)
{
    g_free(moved->store);
    g_free(moved->account_id);
    g_free(moved->address);
    g_free(moved->moved_to);
    g_free(moved->operation);
    g_free(moved->state);
    g_free(moved->batch_name);
    g_free(moved);
}

static bool add_moved(const Core *core, Store *store, GPtrArray *list, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(store->control, error,
                 "SELECT mailbox_id, account_id, address, moved_to, new_mailbox, operation, state,"
                 " CAST(UNIX_TIMESTAMP(committed) * 1000 AS UNSIGNED), bytes, bad_items,"
                 " batch_name FROM zxmove.moved WHERE state IN ('kept', 'purging') ORDER BY committed",
                 DB_NONE);

    if (rows == NULL)
        return false;
    for (unsigned i = 0; i < rows_count(rows); i++) {
        MovedMailbox *moved = g_new0(MovedMailbox, 1);

        moved->store = g_strdup(store->name);
        moved->mailbox_id = (uint32_t)rows_u64(rows, i, 0);
        moved->account_id = g_strdup(rows_text(rows, i, 1));
        moved->address = g_strdup(rows_text(rows, i, 2));
        moved->moved_to = g_strdup(rows_text(rows, i, 3));
        moved->new_mailbox = (uint32_t)rows_u64(rows, i, 4);
        moved->operation = g_strdup(rows_text(rows, i, 5));
        moved->state = g_strdup(rows_text(rows, i, 6));
        moved->moved_at = rows_i64(rows, i, 7);
        moved->purge_after = moved->moved_at + (int64_t)core->conf->retention_days * 86400000;
        moved->bytes = rows_u64(rows, i, 8);
        moved->bad_items = (unsigned)rows_u64(rows, i, 9);
        moved->batch_name = g_strdup(rows_text(rows, i, 10));
        g_ptr_array_add(list, moved);
    }
    return true;
}

GPtrArray *core_moved(Core *core, const char *host, const Wait *wait, GError **error)
{
    Operation op;
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)moved_free);
    bool good = operation_open(&op, core->conf, "getMovedMailboxes", NULL, NULL, NULL, wait, error);

    for (guint i = 0; good && i < core->conf->stores->len; i++) {
        const ConfStore *where = g_ptr_array_index(core->conf->stores, i);
        Store *store;

        if (host != NULL && g_ascii_strcasecmp(host, where->name) != 0)
            continue;
        store = operation_store(&op, where->name, error);
        good = store != NULL && add_moved(core, store, list, error);
    }
    report_free(finish(&op, true));
    return good ? g_steal_pointer(&list) : NULL;
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
