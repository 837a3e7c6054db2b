/* operation.c - what the mailboxes of one operation share: directory, stores, report. */
#include "core/base/log.h"
#include "core/move/move.h"
#include <string.h>

/* A random UUID, as RFC 4122 version 4 has it. */
static void new_uuid(char out[37])
{
    g_autofree char *uuid = g_uuid_string_random();

    g_strlcpy(out, uuid, 37);
}

static void bad_item_free(BadItem *item)
{
    g_free(item->cause);
    g_free(item->folder);
    g_free(item->subject);
    g_free(item);
}

static void result_free(MailboxResult *result)
{
    g_free(result->address);
    g_free(result->account_id);
    g_free(result->source);
    g_free(result->destination);
    g_free(result->reason);
    g_free(result->forecast);
    g_array_unref(result->window_steps);
    g_ptr_array_unref(result->notes);
    g_ptr_array_unref(result->bad_items);
    g_free(result);
}

MailboxResult *operation_add_result(Operation *op, const char *address, const char *account_id,
                                    const char *source, const char *destination)
{
    MailboxResult *result = g_new0(MailboxResult, 1);

    result->address = g_strdup(address);
    result->account_id = g_strdup(account_id);
    result->source = g_strdup(source);
    result->destination = g_strdup(destination);
    result->outcome = OUTCOME_FAILED;
    result->window_steps = g_array_new(FALSE, FALSE, sizeof(StepTime));
    result->notes = g_ptr_array_new_with_free_func(g_free);
    result->bad_items = g_ptr_array_new_with_free_func((GDestroyNotify)bad_item_free);
    g_ptr_array_add(op->report->mailboxes, result);
    return result;
}

static void disk_free(DiskForecast *disk)
{
    g_free(disk->what);
    g_free(disk);
}

void report_free(Report *report)
{
    if (report == NULL)
        return;
    g_free(report->verb);
    g_free(report->command);
    g_free(report->who);
    g_free(report->host);
    g_free(report->batch_name);
    g_free(report->comment);
    g_ptr_array_unref(report->mailboxes);
    g_ptr_array_unref(report->notes);
    g_ptr_array_unref(report->disks);
    g_ptr_array_unref(report->risks);
    g_free(report->mail_problem);
    g_free(report->halted);
    g_free(report->log_path);
    g_free(report->mailbox_logs);
    g_free(report->report_path);
    g_free(report);
}

bool operation_open(Operation *op, const Conf *conf, const char *verb, const char *command,
                    EventSink *sink, void *data, const Wait *wait, GError **error)
{
    Report *report = g_new0(Report, 1);

    *op = (Operation){
        .conf = conf, .sink = sink, .sink_data = data, .wait = wait, .report = report
    };
    tally_init(&op->tally);
    new_uuid(op->uuid);
    memcpy(report->operation, op->uuid, sizeof report->operation);
    report->verb = g_strdup(verb);
    report->command = g_strdup(command);
    report->who = g_strdup(g_get_user_name());
    report->host = g_strdup(g_get_host_name());
    report->started = g_get_real_time() / 1000;
    report->mailboxes = g_ptr_array_new_with_free_func((GDestroyNotify)result_free);
    report->notes = g_ptr_array_new_with_free_func(g_free);
    report->disks = g_ptr_array_new_with_free_func((GDestroyNotify)disk_free);
    report->risks = g_ptr_array_new_with_free_func(g_free);
    op->gone = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_error_free);
    op->stores =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)store_close);
    if (!operation_log_open(op, error))
        return false;
    op->directory = directory_open(conf, error);
    if (op->directory == NULL)
        return false;
    op->servers = directory_servers(op->directory, error);
    if (op->servers == NULL)
        return false;
    op->client_memcached = directory_client_memcached(op->directory, error);
    return op->client_memcached != NULL;
}

void operation_close(Operation *op)
{
    if (op->report != NULL)
        op->report->ended = g_get_real_time() / 1000;
    g_clear_pointer(&op->stores, g_hash_table_unref);
    g_clear_pointer(&op->gone, g_hash_table_unref);
    g_clear_pointer(&op->silent, g_hash_table_unref);
    g_clear_pointer(&op->sizes, g_hash_table_unref);
    g_clear_pointer(&op->client_memcached, g_strfreev);
    directory_close(op->directory);
    op->directory = NULL;
    operation_log_close(op);
    tally_clear(&op->tally);
}

static const ServerInfo *server_called(Operation *op, const char *hostname, GError **error)
{
    const ServerInfo *server = directory_server(op->servers, hostname);

    if (server == NULL)
        fail(error, ZX_ERROR_NOT_FOUND, "no server %s in the directory", hostname);
    return server;
}

void operation_gone(Operation *op, const char *hostname, GError *why)
{
    g_hash_table_replace(op->gone, g_ascii_strdown(hostname, -1), why);
}

/* One that does not answer costs its timeout once. */
static Store *look_into(Operation *op, const ServerInfo *server, const char *key, GError **error)
{
    const GError *why = g_hash_table_lookup(op->gone, key);
    GError *problem = why != NULL ? g_error_copy(why) : NULL;
    Store *store = why == NULL ? store_open_unchanged(op->conf, server, &problem) : NULL;

    if (store != NULL) {
        g_hash_table_insert(op->stores, g_strdup(key), store);
        return store;
    }
    if (why == NULL)
        operation_gone(op, key, g_error_copy(problem));
    g_propagate_error(error, problem);
    return NULL;
}

Store *operation_store(Operation *op, const char *hostname, GError **error)
{
    g_autofree char *key = g_ascii_strdown(hostname, -1);
    Store *store = g_hash_table_lookup(op->stores, key);
    const ServerInfo *server;

    if (store != NULL || (server = server_called(op, hostname, error)) == NULL)
        return store;
    if (op->looking)
        return look_into(op, server, key, error);
    store = store_open(op->conf, server, error);
    if (store != NULL)
        g_hash_table_insert(op->stores, g_steal_pointer(&key), store);
    return store;
}

Store *operation_store_rest(Operation *op, const char *hostname, char **missing, GError **error)
{
    g_autofree char *key = g_ascii_strdown(hostname, -1);
    Store *store = g_hash_table_lookup(op->stores, key);
    const ServerInfo *server;

    *missing = NULL;
    if (store != NULL || (server = server_called(op, hostname, error)) == NULL)
        return store;
    store = store_open_rest(op->conf, server, missing, error);
    if (store != NULL)
        g_hash_table_insert(op->stores, g_steal_pointer(&key), store);
    return store;
}

void operation_note(Operation *op, const char *fmt, ...)
{
    GPtrArray *notes = op->report->notes;
    va_list args;
    char *note;

    va_start(args, fmt);
    note = g_strdup_vprintf(fmt, args);
    va_end(args);
    if (g_ptr_array_find_with_equal_func(notes, note, g_str_equal, NULL)) {
        g_free(note);
        return;
    }
    log_info("note: %s", note);
    g_ptr_array_add(notes, note);
}

uint64_t operation_size(const Operation *op, const char *account_id)
{
    const uint64_t *size = op->sizes != NULL ? g_hash_table_lookup(op->sizes, account_id) : NULL;

    return size != NULL ? *size : 0;
}

void operation_emit(Operation *op, const Event *event)
{
    Event whole = *event;

    if (op->sink == NULL)
        return;
    whole.operation = op->uuid;
    op->sink(op->sink_data, &whole);
}
