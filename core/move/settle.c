/* settle.c - after the window: other stores and proxies learn the new home, the old copy gets its
 * record (doc/platform.md 9.6, step 12). The user is in; whatever fails here is reported with what
 * to do. */
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/move/move.h"

#define SETTLE_MS 10000
#define RECORD_MS 20000
#define SILENT_FOR_US (60 * G_USEC_PER_SEC)

/* A store that is neither end: only its account cache matters. It is logged in to once for all
 * mailboxes, and one that does not answer does not cost each of them its patience. */
typedef struct Bystander {
    Soap *soap;
    bool told;            /* the last time */
    int64_t silent_until; /* monotonic us */
} Bystander;

static void bystander_free(Bystander *bystander)
{
    soap_close(bystander->soap);
    g_free(bystander);
}

static Bystander *bystander_of(Operation *op, const ServerInfo *server, GError **error)
{
    const Conf *conf = op->conf;
    const ConfStore *where = conf_store(conf, server->hostname);
    SoapTarget target = {
        .name = server->hostname,
        .address = where != NULL ? where->address : conf_address(conf, server->hostname),
        .port = where != NULL ? where->soap_port : 7071,
        .ca_file = conf->admin.ca_file,
        .user = conf->admin.user,
        .password = conf->admin.password,
        .timeout_s = SETTLE_MS / 1000,
    };
    Bystander *bystander;
    Soap *soap;

    if (op->bystanders == NULL)
        op->bystanders =
            g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)bystander_free);
    bystander = g_hash_table_lookup(op->bystanders, server->hostname);
    if (bystander != NULL || (soap = soap_open(&target, error)) == NULL)
        return bystander;
    soap_target_server(soap, server->id);
    bystander = g_new0(Bystander, 1);
    bystander->soap = soap;
    g_hash_table_insert(op->bystanders, g_strdup(server->hostname), bystander);
    return bystander;
}

static bool flush_there(Move *move, Soap *soap, GError **error)
{
    g_autofree char *host = NULL;
    Wait wait = wait_through(&move->wait, SETTLE_MS);

    /* What it reads after a flush may come from a replica that lags. */
    for (;; wait_pause(&wait, 200)) {
        g_clear_pointer(&host, g_free);
        if (!admin_flush(soap, move->account->id, true, &wait, error) ||
            !admin_view_host(soap, move->account->id, &wait, &host, error))
            return false;
        if (host != NULL && g_ascii_strcasecmp(host, move->target->name) == 0)
            return true;
        if (wait_left_ms(&wait, 1) == 0)
            return fail(error, ZX_ERROR_FAILED, "it still says %s", host != NULL ? host : "nothing");
    }
}

static bool flush_bystander(Move *move, const ServerInfo *server, GError **error)
{
    Bystander *bystander = bystander_of(move->op, server, error);
    GError *problem = NULL;
    bool done;

    if (bystander == NULL)
        return false;
    if (g_get_monotonic_time() < bystander->silent_until)
        return fail(error, ZX_ERROR_CONNECT, "it did not answer a moment ago");
    done = flush_there(move, bystander->soap, &problem);
    /* The connection of the mailbox before, hours ago maybe, need not be there any more. */
    if (!done && bystander->told && error_code(problem) == ZX_ERROR_CONNECT) {
        g_clear_error(&problem);
        done = flush_there(move, bystander->soap, &problem);
    }
    bystander->told = done;
    if (done)
        return true;
    if (error_code(problem) == ZX_ERROR_CONNECT)
        bystander->silent_until = g_get_monotonic_time() + SILENT_FOR_US;
    g_propagate_error(error, problem);
    return false;
}

static void note_unflushed(Move *move, const char *store, GError *problem)
{
    move_note(move,
              "%s could not be told of the new home (%s); within 15 minutes it finds out by "
              "itself, or run"
              " there: zmprov fc -a account %s",
              store, problem->message, move->account->address);
    g_error_free(problem);
}

void settle_tell_others(Move *move, const char *except)
{
    Wait wait = wait_through(&move->wait, SETTLE_MS);
    GError *problem = NULL;

    if (!caches_flush_store(move, move->source, NULL, move->target->name, &wait, &problem))
        note_unflushed(move, move->source->name, g_steal_pointer(&problem));
    for (guint i = 0; i < move->op->servers->len; i++) {
        const ServerInfo *server = g_ptr_array_index(move->op->servers, i);

        if (!server->mailbox || g_ascii_strcasecmp(server->hostname, move->source->name) == 0 ||
            g_ascii_strcasecmp(server->hostname, move->target->name) == 0 ||
            (except != NULL && g_ascii_strcasecmp(server->hostname, except) == 0))
            continue;
        if (!flush_bystander(move, server, &problem))
            note_unflushed(move, server->hostname, g_steal_pointer(&problem));
    }
}

bool sleepers_count(Db *db, uint32_t mailbox, Sleeping counts[SLEEPERS], GError **error)
{
    /* The kinds are numbered as Sleeper is. */
    g_autoptr(Rows) rows =
        db_query(db, error,
                 "SELECT CASE WHEN class_name LIKE '%AutoSendDraftTask' THEN 0"
                 " WHEN class_name LIKE '%ReminderTask' THEN 1"
                 " WHEN class_name LIKE '%DataSourceTask' THEN 2 ELSE 3 END AS kind,"
                 " COUNT(*), MIN(exec_time) FROM zimbra.scheduled_task WHERE mailbox_id = ?"
                 " GROUP BY kind",
                 DB_ARGS(db_u64(mailbox)));

    for (unsigned i = 0; rows != NULL && i < rows_count(rows); i++) {
        Sleeping *sleeping = &counts[rows_u64(rows, i, 0)];
        const char *first = rows_text(rows, i, 2);

        sleeping->count = rows_u64(rows, i, 1);
        g_strlcpy(sleeping->first, first != NULL ? first : "", sizeof sleeping->first);
    }
    return rows != NULL;
}

static void count_sleepers(Move *move)
{
    g_autoptr(GError) problem = NULL;

    if (!sleepers_count(move->target->control, move->target_mailbox, move->result->sleeping,
                        &problem))
        log_warning("%s: %s", move->target->name, problem->message);
}

/* A schema of its own that is not keyed by mailbox (doc/platform.md 2, hazard 35). */
static void note_chat(Move *move)
{
    GError *problem = NULL;
    g_autoptr(Rows) rows =
        db_query(move->source->control, &problem,
                 "SELECT 1 FROM INFORMATION_SCHEMA.SCHEMATA WHERE SCHEMA_NAME = 'chat'", DB_NONE);

    if (rows != NULL && rows_count(rows) > 0)
        operation_note(move->op, "the chat history of %s (schema chat) does not move",
                       move->source->name);
    g_clear_error(&problem);
}

/* Before their records go with the staging. */
static void list_items(Move *move)
{
    GError *problem = NULL;

    if (!items_restore(move, &problem)) {
        log_warning("bad items are not listed: %s", problem->message);
        g_error_free(problem);
    }
    items_list(move);
}

/* A recovery that found the destination open has compared nothing: what the comparison would have
 * shown is read from the old copy and the list of what was staged. */
static bool look_back(Move *move, GError **error)
{
    g_autoptr(Rows) staged = db_query_one(
        move->target->control, error,
        "SELECT COUNT(*), IFNULL(SUM(size), 0) FROM zxmove.staged WHERE account_id = ?",
        DB_ARGS(db_text(move->account->id)));

    if (staged == NULL)
        return false;
    move->blob_count = rows_u64(staged, 0, 0);
    move->blob_bytes = rows_u64(staged, 0, 1);
    return true;
}

/* What purge will ask for, long after: durable before anything may be deleted. */
static bool record_moved(Move *move, GError **error)
{
    g_autofree char *sums = NULL, *batch_name = NULL;
    const char *state = "kept";
    unsigned bad_items;
    RowsMaxima now;
    g_autoptr(Rows) before =
        db_query(move->source->control, error,
                 "SELECT 1 FROM zxmove.moved WHERE mailbox_id = ? AND operation = ?",
                 DB_ARGS(db_u64(move->source_mailbox), db_text(move->fence->operation)));

    if (before == NULL || rows_count(before) > 0)
        return before != NULL;
    /* A recovery knows only the operation that it finishes. */
    if (!journal_batch(move->target, move->fence->operation, &batch_name, error) ||
        (move->blob_count == 0 && !look_back(move, error)) ||
        !items_recorded(move, &bad_items, error) ||
        !rows_maxima(move->source->data, move->source_group, move->source_mailbox, &now, error))
        return false;
    sums = rows_fingerprints_alone(move->source->data, move->source_group, move->source_mailbox,
                                   error);
    if (sums == NULL)
        return false;
    /* Written to since it was proven: never to be purged by its fingerprints, which are those of
     * now. */
    if (!maxima_equal(&now, &move->proven)) {
        state = "stray";
        move_note(move,
                  "the old copy on %s (mailbox %u) was written to after the proof: it may hold the "
                  "only copy of"
                  " a message and is never purged by zxmove",
                  move->source->name, move->source_mailbox);
    }
    return db_exec(move->source->control, NULL, error,
                   "REPLACE INTO zxmove.moved (mailbox_id, account_id, address, group_id, moved_to,"
                   " new_mailbox, operation, committed, bytes, blobs, item_checkpoint,"
                   " change_checkpoint, fingerprints, bad_items, batch_name, state)"
                   " VALUES (?, ?, ?, ?, ?, ?, ?, UTC_TIMESTAMP(3) - INTERVAL ? MICROSECOND,"
                   " ?, ?, ?, ?, ?, ?, ?, ?)",
                   DB_ARGS(db_u64(move->source_mailbox), db_text(move->account->id),
                           db_text(move->account->address), db_u64(move->source_group),
                           db_text(move->target->name), db_u64(move->target_mailbox),
                           db_text(move->fence->operation),
                           db_i64(g_get_monotonic_time() - move->committed_at),
                           db_u64(move->blob_bytes), db_u64(move->blob_count),
                           db_u64(move->proven.item_id), db_u64(move->proven.change), db_text(sums),
                           db_u64(bad_items), db_text(batch_name), db_text(state)));
}

/* The reservation and the list of staged blobs have become the live mailbox. */
static bool forget_staging(Move *move, GError **error)
{
    return db_exec(move->target->control, NULL, error,
                   "DELETE FROM zxmove.reservation WHERE account_id = ?",
                   DB_ARGS(db_text(move->account->id))) &&
           db_exec(move->target->control, NULL, error,
                   "DELETE FROM zxmove.staged WHERE account_id = ?",
                   DB_ARGS(db_text(move->account->id))) &&
           db_exec(move->target->control, NULL, error,
                   "DELETE FROM zxmove.bad_item WHERE account_id = ?",
                   DB_ARGS(db_text(move->account->id))) &&
           late_forget(move, error);
}

/* What the record was made from goes when the record is safe: a source that loses it would be asked for
 * it in vain. */
static bool keep_records(Move *move, GError **error)
{
    return move->source_mailbox == 0 ||
           (record_moved(move, error) && store_durable(move->source, error) &&
            forget_staging(move, error));
}

static bool close_fences(Move *move, GError **error)
{
    return fence_set(move->source, move->fence, FENCE_DONE, error) &&
           fence_set(move->target, move->fence, FENCE_DONE, error);
}

/* The user is in: a store that is out of reach for a moment is waited for. */
static bool insist(Move *move, const char *name, MovePart *part, GError **error)
{
    Wait wait = wait_through(&move->wait, RECORD_MS);

    return move_insist(move, name, part, &wait, error);
}

bool settle_apply(Move *move, GError **error)
{
    settle_tell_others(move, NULL);
    caches_drop_routes(
        move); /* once more: a look-up in between may have cached the old route (7) */
    if (move->source_mailbox != 0) {
        list_items(move);
        count_sleepers(move);
        note_chat(move);
    }
    return insist(move, "records", keep_records, error) && failpoint("settle:recorded", error) &&
           insist(move, "fence", close_fences, error);
}
