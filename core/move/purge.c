/* purge.c - the old copy of a mailbox that moved away goes, after everything that makes it
 * superfluous has been proved again (doc/platform.md 5.4); else it is kept and the report says why.
 * Through mailboxd where its memory has the mailbox, behind its back where it has not. */
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/move/move.h"
#include <stdlib.h>
#include <string.h>

static bool is_all(const PurgeRequest *request)
{
    return g_ascii_strcasecmp(request->mailbox, "all") == 0;
}

static bool is_number(const char *text)
{
    return g_ascii_string_to_unsigned(text, 10, 1, G_MAXUINT32, NULL, NULL);
}

/* All, or a batch: there may be copies on every store. */
static bool is_set(const PurgeRequest *request)
{
    return is_all(request) ||
           (strchr(request->mailbox, '@') == NULL && !is_number(request->mailbox));
}

/* A row of zxmove.moved. */
typedef struct Record {
    uint32_t mailbox, new_mailbox;
    char *account_id, *address, *moved_to, *fingerprints, *operation;
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
    g_free(record->operation);
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
    Probe probe;
    bool has_row, begun; /* begun: a purge before this one announced its deletion */
} Purge;

/* The proofs before a deletion. Each false keeps the copy. */

/* Asked of the master, last thing before the locks, after them, and before the deletion. */
static bool home_is_elsewhere(Purge *purge, GError **error)
{
    account_free(purge->account);
    purge->account = directory_account(purge->op->directory, purge->record->account_id, error);
    if (purge->account == NULL)
        return false;
    if (purge->account->mail_host == NULL)
        return fail(error, ZX_ERROR_REFUSED, "the account has no mail host");
    if (g_ascii_strcasecmp(purge->account->mail_host, purge->store->name) == 0)
        return fail(error, ZX_ERROR_REFUSED, "the account lives on %s: this is no old copy",
                    purge->store->name);
    if (purge->home != NULL &&
        g_ascii_strcasecmp(purge->account->mail_host, purge->home->name) != 0)
        return fail(error, ZX_ERROR_CHANGED, "the account moved to %s meanwhile",
                    purge->account->mail_host);
    return true;
}

static bool open_home(Purge *purge, GError **error)
{
    g_free(purge->result->destination);
    purge->result->destination = g_strdup(purge->account->mail_host);
    purge->home = operation_store(purge->op, purge->account->mail_host, error);
    return purge->home != NULL && store_revive(purge->home, error);
}

/* The record as it is under the locks: a move back may have taken the copy meanwhile. */
static bool record_stands(Purge *purge, GError **error)
{
    g_autoptr(Rows) rows = db_query(
        purge->store->control, error,
        "SELECT state FROM zxmove.moved WHERE mailbox_id = ? AND account_id = ? AND operation = ?"
        " AND state IN ('kept', 'purging')",
        DB_ARGS(db_u64(purge->record->mailbox), db_text(purge->record->account_id),
                db_text(purge->record->operation)));

    if (rows == NULL)
        return false;
    if (rows_count(rows) != 1)
        return fail(error, ZX_ERROR_CHANGED, "another operation took this copy meanwhile");
    purge->begun = strcmp(rows_text(rows, 0, 0), "purging") == 0;
    return true;
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

/* Whether mailboxd can write to the copy; what it has not in memory it does not open. */
static bool in_memory(Probe probe)
{
    return probe == PROBE_LOCKED || probe == PROBE_CACHED;
}

static bool ask_mailboxd(Purge *purge, GError **error)
{
    g_autofree char *why = NULL;

    purge->probe =
        admin_probe(purge->store->soap, purge->record->account_id, purge->op->wait, &why);
    return purge->probe != PROBE_UNKNOWN || fail(error, ZX_ERROR_REFUSED, "%s", why);
}

/* Written to since the commit: then it may hold the only copy of a message. A deletion that was
 * begun behind mailboxd's back has rows missing of its own making; mailboxd deletes all or nothing.
 */
static bool copy_is_unchanged(Purge *purge, GError **error)
{
    uint32_t row = 0;
    unsigned group = 0;

    if (!mailbox_row_find(purge->store->control, purge->record->account_id, &row, &group, NULL,
                          error))
        return false;
    purge->has_row = row != 0;
    if (purge->begun && (row == 0 || (row == purge->record->mailbox && !in_memory(purge->probe))))
        return true;
    if (row != purge->record->mailbox || group != purge->record->group)
        return fail(error, ZX_ERROR_REFUSED,
                    "%s has mailbox %u of the account, not the recorded %u", purge->store->name,
                    row, purge->record->mailbox);
    return delete_unchanged(purge->store, row, group, purge->record->fingerprints, error);
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
    return home_is_elsewhere(purge, error) && record_stands(purge, error) &&
           nothing_unfinished(purge, error) && no_data_loss(purge, error) &&
           home_has_the_mailbox(purge, error) && ask_mailboxd(purge, error) &&
           copy_is_unchanged(purge, error) && own_view_names_home(purge, error) &&
           shared_find(purge->op, purge->store, error);
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
 * 41, 43). What mailboxd deleted itself may be cleaned up after at any time. */
static bool late_enough(const Purge *purge, GError **error)
{
    int64_t left = (int64_t)purge->op->conf->purge_wait_s - purge->record->age_s;

    if (left <= 0 || (!purge->has_row && purge->probe == PROBE_UNMAPPED))
        return true;
    return fail(error, ZX_ERROR_REFUSED,
                "mailboxd of %s has not got it in memory, so it is removed behind its back,"
                " and that only in %" G_GINT64_FORMAT " min",
                purge->store->name, left / 60 + 1);
}

static bool count_bytes(Purge *purge, GError **error)
{
    for (guint i = 0; i < purge->store->volumes->len; i++) {
        const Volume *volume = g_ptr_array_index(purge->store->volumes, i);
        uint64_t files, bytes = 0;

        if (volume->store_type == 1 && volume->sharing == VOLUME_OWN &&
            !peer_mailbox_usage(purge->store->peer, volume->id, purge->record->mailbox, &files,
                                &bytes, error))
            return false;
        if (volume->sharing == VOLUME_SHARED)
            g_ptr_array_add(purge->result->notes,
                            g_strdup_printf("volume %s of %s is another store's as well: files on"
                                            " it stay",
                                            volume->name, purge->store->name));
        purge->result->bytes_freed += bytes;
    }
    return true;
}

static bool delete_copy(Purge *purge, GError **error)
{
    const Record *record = purge->record;
    Probe before = purge->probe;

    if (!ask_mailboxd(purge, error))
        return false;
    if (purge->probe != before)
        return fail(error, ZX_ERROR_CHANGED, "mailboxd of %s said %s and now says %s: run it again",
                    purge->store->name, probe_name(before), probe_name(purge->probe));
    if (in_memory(purge->probe) && !purge->has_row)
        return fail(error, ZX_ERROR_REFUSED,
                    "mailboxd of %s has a mailbox of it in memory that is not in its database:"
                    " restart mailboxd there first",
                    purge->store->name);
    if ((!in_memory(purge->probe) && !late_enough(purge, error)) ||
        !set_state(purge, "purging", error) || !failpoint("purge:intent", error) ||
        !claim_check(&purge->claim, error) || !home_is_elsewhere(purge, error))
        return false;
    if (in_memory(purge->probe))
        return delete_through_mailboxd(purge->op, &purge->claim, purge->store, record->mailbox,
                                       record->group, purge->probe == PROBE_LOCKED, error);
    return delete_behind(&purge->claim, purge->store, record->mailbox, record->group, error);
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

    if (!home_is_elsewhere(purge, error) || !open_home(purge, error) ||
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
        "SELECT mailbox_id, new_mailbox, account_id, address, moved_to, fingerprints, operation,"
        " group_id, bad_items, item_checkpoint, change_checkpoint,"
        " CAST(UNIX_TIMESTAMP(committed) * 1000 AS UNSIGNED),"
        " TIMESTAMPDIFF(SECOND, committed, UTC_TIMESTAMP(3)) FROM zxmove.moved"
        " WHERE state IN ('kept', 'purging') AND (? OR address = ? OR account_id = ?"
        " OR CAST(mailbox_id AS CHAR) = ? OR operation = ? OR batch_name = ?) ORDER BY"
        " committed",
        DB_ARGS(db_u64(all), db_text(request->mailbox), db_text(request->mailbox),
                db_text(request->mailbox), db_text(request->mailbox),
                db_text(request->mailbox)));
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
        record->operation = g_strdup(rows_text(rows, i, 6));
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

/* A set is not done while a store could not be asked for its copies. */
static void note_unasked(Operation *op, const char *store, const GError *problem)
{
    MailboxResult *result = operation_add_result(op, store, "", store, "");

    result->outcome = OUTCOME_KEPT;
    result->code = error_code(problem);
    result->reason = g_strdup(problem->message);
}

/* A store that does not answer is said and passed over: what was purged on the others is in the
 * report. */
bool purge_run(Operation *op, const PurgeRequest *request, GError **error)
{
    GError *first = NULL;
    guint unasked = 0;

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
            if (is_set(request))
                note_unasked(op, where->name, problem);
            log_warning("%s", problem->message);
            g_clear_error(&first);
            first = g_steal_pointer(&problem);
            unasked++;
            continue;
        }
        for (guint r = 0; r < records->len && !wait_stopped(op->wait); r++)
            run_one(op, request, store, g_ptr_array_index(records, r));
    }
    if (op->report->mailboxes->len == (is_set(request) ? unasked : 0) && first != NULL) {
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
