/* purge.c - the old copy of a mailbox that moved away goes, after everything that makes it
 * superfluous has been proved again (doc/platform.md 5.4); else it is kept and the report says why.
 * Through mailboxd where its memory has the mailbox, behind its back where it has not. */
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/move/move.h"
#include <stdlib.h>
#include <string.h>

#define DELETE_TRIES 5

static bool is_all(const PurgeRequest *request)
{
    return g_ascii_strcasecmp(request->mailbox, "all") == 0;
}

/* A row of zxmove.moved. */
typedef struct Record {
    uint32_t mailbox, new_mailbox;
    char *account_id, *address, *moved_to, *fingerprints, *state;
    unsigned group, bad_items;
    uint64_t item_checkpoint, change_checkpoint;
    int64_t committed, age_s; /* Unix ms; by the store's clock */
} Record;

static void record_free(Record *record)
{
    g_free(record->account_id);
    g_free(record->address);
    g_free(record->moved_to);
    g_free(record->fingerprints);
    g_free(record->state);
    g_free(record);
}

/* One copy on its way out. */
typedef struct Purge {
    Operation *op;
    const PurgeRequest *request;
    Store *store, *home;
    const Record *record;
    Account *account;
    MailboxResult *result;
    Claim claim;
    bool shared; /* some volume is another store's as well: rows go, files stay */
    bool has_row;
} Purge;

static bool remove_files(Store *store, uint32_t mailbox_id, uint64_t *bytes, GError **error)
{
    const char *calcache = store_fact(store, "calendar_cache_directory");

    for (guint i = 0; i < store->volumes->len; i++) {
        const Volume *volume = g_ptr_array_index(store->volumes, i);
        uint64_t freed = 0;

        if (volume->store_type == 1 &&
            !peer_mailbox_remove(store->peer, volume->id, mailbox_id, &freed, error))
            return false;
        *bytes += freed;
    }
    return calcache == NULL || peer_calcache_remove(store->peer, calcache, mailbox_id, error);
}

bool purge_behind(Store *store, uint32_t mailbox_id, unsigned group, uint64_t *bytes,
                  GError **error)
{
    uint64_t rows;

    *bytes = 0;
    return rows_remove(store->control, group, mailbox_id, false, &rows, error) &&
           failpoint("purge:rows", error) && remove_files(store, mailbox_id, bytes, error);
}

/* Nothing of the id may be left, in any table or on any volume. */
static bool assert_gone(Store *store, uint32_t mailbox_id, unsigned group, GError **error)
{
    g_autofree char *table = NULL;
    uint64_t rows, files, bytes;

    if (!rows_exist(store->control, group, mailbox_id, &rows, &table, error))
        return false;
    if (rows > 0)
        return fail(error, ZX_ERROR_FAILED, "%s: table %s still has rows of mailbox %u",
                    store->name, table, mailbox_id);
    for (guint i = 0; i < store->volumes->len; i++) {
        const Volume *volume = g_ptr_array_index(store->volumes, i);

        if (volume->store_type != 1)
            continue;
        if (!peer_mailbox_usage(store->peer, volume->id, mailbox_id, &files, &bytes, error))
            return false;
        if (files > 0)
            return fail(error, ZX_ERROR_FAILED, "%s: volume %s still has files of mailbox %u",
                        store->name, volume->name, mailbox_id);
    }
    return true;
}

/* The request would reach the live mailbox if this store were home: asked of the master, last
 * thing. */
static bool is_not_home(Operation *op, const Store *store, const char *account_id, GError **error)
{
    g_autoptr(Account) now = directory_account(op->directory, account_id, error);

    if (now == NULL)
        return false;
    if (now->mail_host == NULL || g_ascii_strcasecmp(now->mail_host, store->name) == 0)
        return fail(error, ZX_ERROR_CHANGED, "%s lives on %s: its mailbox there is not an old copy",
                    now->address, store->name);
    return true;
}

/* The request that names an account and not a mailbox (6.4): after an answer that never came, the
 * probe says how far it got. True when the server says it deleted exactly this id, or no longer
 * knows it. */
static bool delete_in_memory(Operation *op, Store *store, const char *account_id,
                             uint32_t mailbox_id, bool locked, GError **error)
{
    for (int i = 0; i < DELETE_TRIES; i++) {
        GError *problem = NULL;
        uint32_t deleted = 0;
        SoapOutcome outcome =
            admin_delete_mailbox(store->soap, account_id, locked, NULL, &deleted, &problem);
        Probe probe;

        if (outcome == SOAP_ANSWER && deleted == mailbox_id)
            return true;
        if (outcome == SOAP_ANSWER)
            return fail(error, ZX_ERROR_FAILED, "%s deleted mailbox %u where %u was meant",
                        store->name, deleted, mailbox_id);
        if (outcome == SOAP_FAULT) {
            g_propagate_error(error, problem);
            return false;
        }
        log_warning("%s: %s", store->name, problem->message);
        g_error_free(problem);
        if (!is_not_home(op, store, account_id, error))
            return false;
        probe = admin_probe(store->soap, account_id, NULL, NULL);
        if (probe == PROBE_UNMAPPED)
            return true;
        if (probe == PROBE_CACHED) /* unlocked and in memory: without any host check, so at once */
            locked = false;
        else if (probe != PROBE_LOCKED)
            wait_pause(NULL, 1000);
    }
    return fail(error, ZX_ERROR_CONNECT, "%s does not answer DeleteMailboxRequest", store->name);
}

bool purge_through_mailboxd(Operation *op, Store *store, const char *account_id,
                            uint32_t mailbox_id, unsigned group, bool locked, GError **error)
{
    uint64_t bytes;

    if (!is_not_home(op, store, account_id, error))
        return false;
    /* `watch` and the calendar cache are what mailboxd leaves behind. */
    return delete_in_memory(op, store, account_id, mailbox_id, locked, error) &&
           purge_behind(store, mailbox_id, group, &bytes, error) &&
           assert_gone(store, mailbox_id, group, error);
}

/* The proofs before a deletion. Each false keeps the copy. */

static bool home_is_elsewhere(Purge *purge, GError **error)
{
    purge->account = directory_account(purge->op->directory, purge->record->account_id, error);
    if (purge->account == NULL)
        return false;
    if (purge->account->mail_host == NULL)
        return fail(error, ZX_ERROR_REFUSED, "the account has no mail host");
    if (g_ascii_strcasecmp(purge->account->mail_host, purge->store->name) == 0)
        return fail(error, ZX_ERROR_REFUSED, "the account lives on %s: this is no old copy",
                    purge->store->name);
    g_free(purge->result->destination);
    purge->result->destination = g_strdup(purge->account->mail_host);
    purge->home = operation_store(purge->op, purge->account->mail_host, error);
    return purge->home != NULL && store_revive(purge->home, error);
}

static bool nothing_unfinished(const Purge *purge, GError **error)
{
    Store *const stores[] = { purge->store, purge->home };

    for (guint i = 0; i < G_N_ELEMENTS(stores); i++) {
        GError *problem = NULL;
        g_autoptr(Fence) fence = fence_find(stores[i], purge->record->account_id, &problem);

        if (problem != NULL) {
            g_propagate_error(error, problem);
            return false;
        }
        if (fence != NULL)
            return fail(error, ZX_ERROR_CONFLICT,
                        "operation %s left the account unfinished: zxmove doRecover accounts"
                        " %s dry_run false",
                        fence->operation, purge->record->address);
    }
    return true;
}

static bool home_has_the_mailbox(const Purge *purge, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(purge->home->control, error,
                 "SELECT id, item_id_checkpoint, change_checkpoint FROM zimbra.mailbox"
                 " WHERE account_id = ?",
                 DB_ARGS(db_text(purge->record->account_id)));
    uint32_t answered;

    if (rows == NULL)
        return false;
    if (rows_count(rows) != 1)
        return fail(error, ZX_ERROR_REFUSED, "its home %s has no mailbox of it", purge->home->name);
    if (rows_u64(rows, 0, 1) < purge->record->item_checkpoint ||
        rows_u64(rows, 0, 2) < purge->record->change_checkpoint)
        return fail(error, ZX_ERROR_REFUSED, "the mailbox on %s is older than this copy",
                    purge->home->name);
    if (!admin_mailbox_id(purge->home->soap, purge->record->account_id, NULL, &answered, error))
        return false;
    if (answered != (uint32_t)rows_u64(rows, 0, 0))
        return fail(error, ZX_ERROR_REFUSED, "%s answers mailbox %u, its database says %s",
                    purge->home->name, answered, rows_text(rows, 0, 0));
    return true;
}

/* Written to since the commit: then it may hold the only copy of a message. A purge that was begun
 * has rows missing of its own making. */
static bool copy_is_unchanged(Purge *purge, GError **error)
{
    g_autofree char *sums = NULL;
    uint32_t row = 0;
    unsigned group = 0;

    if (!mailbox_row_find(purge->store->control, purge->record->account_id, &row, &group, NULL,
                          error))
        return false;
    purge->has_row = row != 0;
    if (strcmp(purge->record->state, "purging") == 0 && (row == 0 || row == purge->record->mailbox))
        return true;
    if (row != purge->record->mailbox || group != purge->record->group)
        return fail(error, ZX_ERROR_REFUSED,
                    "%s has mailbox %u of the account, not the recorded %u", purge->store->name,
                    row, purge->record->mailbox);
    sums = rows_fingerprints_alone(purge->store->data, group, row, error);
    if (sums == NULL)
        return false;
    if (strcmp(sums, purge->record->fingerprints) != 0)
        return fail(error, ZX_ERROR_REFUSED,
                    "this copy was written to after it moved: it may hold the only copy of a"
                    " message, and is kept");
    return true;
}

static bool own_view_names_home(Purge *purge, GError **error)
{
    Wait wait = wait_within(purge->op->wait, 10000);

    for (;;) {
        g_autofree char *host = NULL;

        if (!admin_view_host(purge->store->soap, purge->record->account_id, &wait, &host, error))
            return false;
        if (host != NULL && g_ascii_strcasecmp(host, purge->home->name) == 0)
            return true;
        if (!wait_check(&wait, "the account's cache there", error) ||
            !admin_flush(purge->store->soap, purge->record->account_id, true, &wait, error))
            return false;
        wait_pause(&wait, 100);
    }
}

static bool pair_shared(Purge *purge, unsigned here, unsigned there, bool *shared, GError **error)
{
    g_autofree char *uuid = g_uuid_string_random();
    g_auto(GStrv) parts = g_strsplit(uuid, "-", -1);
    g_autofree char *token = g_strjoinv("", parts);
    GError *drop = NULL;
    bool good;

    if (!peer_probe_put(purge->store->peer, here, token, error))
        return false;
    good = peer_probe_seen(purge->home->peer, there, token, shared, error);
    if (!peer_probe_drop(purge->store->peer, here, token, &drop)) {
        log_warning("%s", drop->message);
        g_error_free(drop);
    }
    return good;
}

static bool find_shared(Purge *purge, GError **error)
{
    const GPtrArray *here = purge->store->volumes, *there = purge->home->volumes;

    for (guint i = 0; i < here->len * there->len && !purge->shared; i++) {
        const Volume *a = g_ptr_array_index(here, i / there->len),
                     *b = g_ptr_array_index(there, i % there->len);

        if (a->store_type == 1 && b->store_type == 1 &&
            !pair_shared(purge, a->id, b->id, &purge->shared, error))
            return false;
    }
    return true;
}

static bool no_data_loss(const Purge *purge, GError **error)
{
    if (purge->record->bad_items == 0 || purge->request->accept_data_loss)
        return true;
    return fail(error, ZX_ERROR_REFUSED,
                "it was moved with %u bad items: this copy may have them. Purge it with"
                " accept_data_loss true",
                purge->record->bad_items);
}

static bool prove_again(Purge *purge, GError **error)
{
    return nothing_unfinished(purge, error) && no_data_loss(purge, error) &&
           home_has_the_mailbox(purge, error) && copy_is_unchanged(purge, error) &&
           own_view_names_home(purge, error) && find_shared(purge, error);
}

static bool set_state(Purge *purge, const char *state, GError **error)
{
    return db_exec(
               purge->store->control, NULL, error,
               "UPDATE zxmove.moved SET state = ?, purged = UTC_TIMESTAMP(3) WHERE mailbox_id = ?",
               DB_ARGS(db_text(state), db_u64(purge->record->mailbox))) &&
           store_durable(purge->store, error);
}

/* Not soon after the commit: the redo log and queued mail may still name the old mailbox (hazards
 * 41, 43). */
static bool late_enough(const Purge *purge, GError **error)
{
    int64_t left = (int64_t)purge->op->conf->purge_wait_s - purge->record->age_s;

    if (left <= 0)
        return true;
    return fail(error, ZX_ERROR_REFUSED,
                "mailboxd of %s has not got it in memory, so it is removed behind its back,"
                " and that only in %" G_GINT64_FORMAT " min",
                purge->store->name, left / 60 + 1);
}

static bool delete_behind(Purge *purge, GError **error)
{
    uint64_t rows, bytes = 0;

    if (!late_enough(purge, error) || !set_state(purge, "purging", error))
        return false;
    if (purge->shared)
        return rows_remove(purge->store->control, purge->record->group, purge->record->mailbox,
                           false, &rows, error);
    return purge_behind(purge->store, purge->record->mailbox, purge->record->group, &bytes,
                        error) &&
           assert_gone(purge->store, purge->record->mailbox, purge->record->group, error);
}

static bool count_bytes(Purge *purge, GError **error)
{
    for (guint i = 0; i < purge->store->volumes->len; i++) {
        const Volume *volume = g_ptr_array_index(purge->store->volumes, i);
        uint64_t files, bytes = 0;

        if (volume->store_type == 1 &&
            !peer_mailbox_usage(purge->store->peer, volume->id, purge->record->mailbox, &files,
                                &bytes, error))
            return false;
        purge->result->bytes_freed += purge->shared ? 0 : bytes;
    }
    return true;
}

static bool delete_copy(Purge *purge, GError **error)
{
    g_autofree char *why = NULL;
    Probe probe = admin_probe(purge->store->soap, purge->record->account_id, purge->op->wait, &why);

    if (probe == PROBE_UNKNOWN)
        return fail(error, ZX_ERROR_REFUSED, "%s", why);
    if (!claim_check(&purge->claim, error))
        return false;
    if (purge->has_row && !purge->shared && (probe == PROBE_LOCKED || probe == PROBE_CACHED))
        return set_state(purge, "purging", error) && failpoint("purge:intent", error) &&
               purge_through_mailboxd(purge->op, purge->store, purge->record->account_id,
                                      purge->record->mailbox, purge->record->group,
                                      probe == PROBE_LOCKED, error);
    if (probe == PROBE_CACHED || probe == PROBE_LOCKED)
        return fail(error, ZX_ERROR_REFUSED,
                    "%s has it in memory on a shared volume: restart mailboxd there first",
                    purge->store->name);
    return delete_behind(purge, error);
}

static bool within_retention(const Purge *purge, long days, GError **error)
{
    g_autoptr(GDateTime) due = NULL;
    g_autofree char *text = NULL;

    if (purge->request->ignore_retention || purge->record->age_s >= days * 86400L)
        return false;
    due = g_date_time_new_from_unix_local(purge->record->committed / 1000 + days * 86400L);
    text = g_date_time_format(due, "%Y-%m-%d %H:%M");
    fail(error, ZX_ERROR_REFUSED,
         "in retention until %s; to purge it now add: ignore_retention true", text);
    return true;
}

static bool purge_copy(Purge *purge, GError **error)
{
    bool good;

    if (!home_is_elsewhere(purge, error) ||
        !claim_take(&purge->claim, purge->record->account_id, purge->op->uuid, purge->store,
                    purge->home, purge->op->conf->lease_s, error))
        return false;
    good = prove_again(purge, error) && count_bytes(purge, error);
    if (good && !purge->request->dry_run)
        good = delete_copy(purge, error) && set_state(purge, "purged", error);
    claim_release(&purge->claim);
    return good;
}

static void run_one(Operation *op, const PurgeRequest *request, Store *store, const Record *record)
{
    MailboxResult *result = operation_add_result(op, record->address, record->account_id,
                                                 store->name, record->moved_to);
    Purge purge = {
        .op = op, .request = request, .store = store, .record = record, .result = result
    };
    long days =
        request->retention_days >= 0 ? request->retention_days : (long)op->conf->retention_days;
    GError *problem = NULL;

    log_context(op->uuid, record->address);
    result->source_mailbox = record->mailbox;
    result->destination_mailbox = record->new_mailbox;
    result->committed = record->committed;
    if (within_retention(&purge, days, &problem))
        result->outcome = is_all(request) ? OUTCOME_SKIPPED : OUTCOME_KEPT;
    else if (purge_copy(&purge, &problem))
        result->outcome = request->dry_run ? OUTCOME_EXPLAINED : OUTCOME_PURGED;
    else
        result->outcome = OUTCOME_KEPT;
    if (problem != NULL) {
        result->code = error_code(problem);
        result->reason = g_strdup(problem->message);
        result->bytes_freed = 0;
        log_warning("kept: %s", problem->message);
        g_error_free(problem);
    }
    account_free(purge.account);
    operation_emit(
        op, &(Event){ .type = EVENT_MAILBOX_DONE, .account = record->address, .result = result });
    log_context(op->uuid, NULL);
}

static GPtrArray *records_of(Store *store, const PurgeRequest *request, GError **error)
{
    bool all = is_all(request);
    g_autoptr(Rows) rows = db_query(
        store->control, error,
        "SELECT mailbox_id, new_mailbox, account_id, address, moved_to, fingerprints, state,"
        " group_id, bad_items, item_checkpoint, change_checkpoint,"
        " CAST(UNIX_TIMESTAMP(committed) * 1000 AS UNSIGNED),"
        " TIMESTAMPDIFF(SECOND, committed, UTC_TIMESTAMP(3)) FROM zxmove.moved"
        " WHERE state IN ('kept', 'purging') AND (? OR address = ? OR account_id = ?"
        " OR CAST(mailbox_id AS CHAR) = ? OR operation = ?) ORDER BY committed",
        DB_ARGS(db_u64(all), db_text(request->mailbox), db_text(request->mailbox),
                db_text(request->mailbox), db_text(request->mailbox)));
    GPtrArray *records;

    if (rows == NULL)
        return NULL;
    records = g_ptr_array_new_with_free_func((GDestroyNotify)record_free);
    for (unsigned i = 0; i < rows_count(rows); i++) {
        Record *record = g_new0(Record, 1);

        record->mailbox = (uint32_t)rows_u64(rows, i, 0);
        record->new_mailbox = (uint32_t)rows_u64(rows, i, 1);
        record->account_id = g_strdup(rows_text(rows, i, 2));
        record->address = g_strdup(rows_text(rows, i, 3));
        record->moved_to = g_strdup(rows_text(rows, i, 4));
        record->fingerprints = g_strdup(rows_text(rows, i, 5));
        record->state = g_strdup(rows_text(rows, i, 6));
        record->group = (unsigned)rows_u64(rows, i, 7);
        record->bad_items = (unsigned)rows_u64(rows, i, 8);
        record->item_checkpoint = rows_u64(rows, i, 9);
        record->change_checkpoint = rows_u64(rows, i, 10);
        record->committed = rows_i64(rows, i, 11);
        record->age_s = rows_i64(rows, i, 12);
        g_ptr_array_add(records, record);
    }
    return records;
}

static bool is_number(const char *text)
{
    return g_ascii_string_to_unsigned(text, 10, 1, G_MAXUINT32, NULL, NULL);
}

/* A store that does not answer is said and passed over: what was purged on the others is in the
 * report. */
bool purge_run(Operation *op, const PurgeRequest *request, GError **error)
{
    GError *first = NULL;

    if (request->host == NULL && is_number(request->mailbox) && op->conf->stores->len > 1)
        return fail(error, ZX_ERROR_USAGE,
                    "mailbox ids are per store: say which with --host STORE, or give the address");
    for (guint i = 0; i < op->conf->stores->len; i++) {
        const ConfStore *where = g_ptr_array_index(op->conf->stores, i);
        g_autoptr(GPtrArray) records = NULL;
        GError *problem = NULL;
        Store *store;

        if (request->host != NULL && g_ascii_strcasecmp(request->host, where->name) != 0)
            continue;
        store = operation_store(op, where->name, &problem);
        if (store == NULL || (records = records_of(store, request, &problem)) == NULL) {
            operation_emit(op, &(Event){ .type = EVENT_NOTE, .text = problem->message });
            log_warning("%s", problem->message);
            g_clear_error(&first);
            first = g_steal_pointer(&problem);
            continue;
        }
        for (guint r = 0; r < records->len && !wait_stopped(op->wait); r++)
            run_one(op, request, store, g_ptr_array_index(records, r));
    }
    if (op->report->mailboxes->len == 0 && first != NULL) {
        g_propagate_error(error, first);
        return false;
    }
    g_clear_error(&first);
    if (op->report->mailboxes->len == 0 && !is_all(request))
        return fail(error, ZX_ERROR_NOT_FOUND,
                    "no retained copy of %s on %s: see getMovedMailboxes", request->mailbox,
                    request->host != NULL ? request->host : "any store");
    return true;
}
