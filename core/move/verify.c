/* verify.c - doVerify: each old copy that is still kept against the mailbox in use, which may have
 * moved on since. No claim, no lock, nothing is written; rows are compared in a snapshot on either
 * side, blobs outside of any. */
#include "core/move/verify.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include <inttypes.h>
#include <string.h>

static void table_free(VerifyTable *table)
{
    g_free(table->name);
    g_free(table);
}

void verify_copy_free(void *data)
{
    VerifyCopy *copy = data;

    g_free(copy->account);
    g_free(copy->account_id);
    g_free(copy->old_store);
    g_free(copy->new_store);
    g_free(copy->operation);
    g_free(copy->state);
    g_free(copy->reason);
    g_ptr_array_unref(copy->tables);
    g_ptr_array_unref(copy->notes);
    g_free(copy);
}

static VerifyCopy *copy_new(Verification *verification, const char *account, const char *id)
{
    VerifyCopy *copy = g_new0(VerifyCopy, 1);

    copy->account = g_strdup(account);
    copy->account_id = g_strdup(id);
    copy->tables = g_ptr_array_new_with_free_func((GDestroyNotify)table_free);
    copy->notes = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(verification->copies, copy);
    return copy;
}

void verification_free(Verification *verification)
{
    if (verification == NULL)
        return;
    g_free(verification->log_path);
    g_ptr_array_unref(verification->copies);
    g_ptr_array_unref(verification->notes);
    g_free(verification);
}

/* Beside the copy what only the comparison asks for. */
typedef struct Record {
    VerifyCopy *copy;
    uint64_t change; /* 0: it does not say */
} Record;

void verify_note(VerifyCopy *copy, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    g_ptr_array_add(copy->notes, g_strdup_vprintf(fmt, args));
    va_end(args);
}

void verify_emit(const Verify *verify, Event event)
{
    event.account = verify->copy->account;
    event.index = verify->index;
    event.total = verify->total;
    operation_emit(verify->op, &event);
}

static void on_rows(void *data, const char *table, uint64_t rows)
{
    Verify *verify = data;

    verify->rows += rows;
    verify_emit(verify, (Event){ .type = EVENT_PROGRESS, .text = table, .done = verify->rows });
}

/* Each store has locators of its own; what they name is looked at by rows_orphans. */
static void drop_locators(Catalogue *catalogue)
{
    for (unsigned i = 0; i < catalogue->tables->len; i++) {
        Table *table = catalogue->tables->pdata[i];

        for (unsigned c = table->columns->len; c-- > 0;)
            if (((const Column *)table->columns->pdata[c])->locator)
                g_ptr_array_remove_index(table->columns, c);
    }
}

/* What points nowhere in the mailbox in use and did not in the old copy. */
static bool compare_orphans(const Verify *verify, const Versus *versus, GError **error)
{
    uint64_t old, new;
    g_autofree char *reason = NULL;

    if (!rows_orphans(verify->old->data, verify->old_group, verify->copy->old_mailbox, &old,
                      error) ||
        !rows_orphans(verify->new->data, verify->new_group, verify->copy->new_mailbox, &new, error))
        return false;
    if (new <= old)
        return true;
    reason = g_strdup_printf("%" PRIu64 " rows of the mailbox in use name a folder, an item or a "
                             "volume that is not there; in the old copy %" PRIu64 " did",
                             new, old);
    return versus_tell(versus,
                       &(VerifyItem){ .mark = MARK_BAD,
                                      .alarm = true,
                                      .table = "mail_item",
                                      .key = "references",
                                      .reason = reason },
                       error);
}

static bool compare_in_snapshot(const Verify *verify, const Versus *versus, GError **error)
{
    bool ok = db_begin(verify->old->data, true, error) && db_begin(verify->new->data, true, error);

    if (ok && verify->request->mode == VERIFY_COUNTS)
        ok = versus_counts(versus, error);
    else if (ok)
        ok = versus_rows(versus, error) && compare_orphans(verify, versus, error);
    db_rollback(verify->new->data);
    db_rollback(verify->old->data);
    return ok;
}

static bool compare(Verify *verify, GError **error)
{
    const VerifyCopy *copy = verify->copy;
    Db *const db[2] = { verify->old->data, verify->new->data };
    const unsigned group[2] = { verify->old_group, verify->new_group };
    const RowsMap map = { .source_mailbox = copy->old_mailbox,
                          .target_mailbox = copy->new_mailbox,
                          .target_blob_volume = verify->new->current.message };
    g_autoptr(Catalogue) catalogue = catalogue_read(db[SIDE_SOURCE], db[SIDE_TARGET], group[0],
                                                    group[1], copy->old_mailbox, error);
    const Versus versus = { .db = db,
                            .catalogue = catalogue,
                            .map = &map,
                            .group = group,
                            .change = verify->change,
                            .stray = strcmp(copy->state, "stray") == 0,
                            .copy = verify->copy,
                            .found = verify->found,
                            .found_data = verify->found_data,
                            .tick = on_rows,
                            .tick_data = verify,
                            .wait = verify->op->wait };

    if (catalogue == NULL)
        return false;
    drop_locators(catalogue);
    verify_emit(verify, (Event){ .type = EVENT_STATE, .text = "rows" });
    return compare_in_snapshot(verify, &versus, error) &&
           (verify->request->mode != VERIFY_FULL || verify_blobs(verify, &versus, error));
}

static bool is_kept(const VerifyCopy *copy)
{
    return strcmp(copy->state, "kept") == 0 || strcmp(copy->state, "purging") == 0 ||
           strcmp(copy->state, "stray") == 0;
}

/* Both ends, as they are now. */
static bool find_ends(Verify *verify, GError **error)
{
    VerifyCopy *copy = verify->copy;
    g_autoptr(Account) account = directory_account(verify->op->directory, copy->account_id, error);
    g_autoptr(Rows) row = NULL;

    if (account == NULL)
        return false;
    if (account->mail_host == NULL)
        return fail(error, ZX_ERROR_REFUSED, "it has no home in the directory");
    g_free(copy->new_store);
    copy->new_store = g_strdup(account->mail_host);
    if (g_ascii_strcasecmp(copy->new_store, copy->old_store) == 0)
        return fail(error, ZX_ERROR_REFUSED, "it lives on %s again: there is no other copy",
                    copy->old_store);
    verify->old = operation_store(verify->op, copy->old_store, error);
    verify->new = verify->old != NULL ? operation_store(verify->op, copy->new_store, error) : NULL;
    if (verify->new == NULL || !store_revive(verify->old, error) ||
        !store_revive(verify->new, error) ||
        !mailbox_row_find(verify->new->data, copy->account_id, &copy->new_mailbox,
                          &verify->new_group, NULL, error))
        return false;
    row = db_query(verify->old->data, error,
                   "SELECT group_id FROM zimbra.mailbox WHERE id = ? AND account_id = ?",
                   DB_ARGS(db_u64(copy->old_mailbox), db_text(copy->account_id)));
    if (row == NULL)
        return false;
    if (rows_count(row) == 0)
        return fail(error, ZX_ERROR_NOT_FOUND,
                    "the record on %s names mailbox %u, and there is none of this account",
                    copy->old_store, copy->old_mailbox);
    verify->old_group = (unsigned)rows_u64(row, 0, 0);
    return copy->new_mailbox != 0 ||
           fail(error, ZX_ERROR_DATA,
                "its home %s has no mailbox of it: the old copy is all there is", copy->new_store);
}

/* What can be looked at when there is nothing to compare with. */
static bool nothing_kept(const VerifyCopy *copy, GError **error)
{
    const char *why =
        strcmp(copy->state, "purged") == 0 ? "was purged" : "was used again by a later move";

    return fail(
        error, ZX_ERROR_NOT_FOUND,
        "the old copy on %s (mailbox %u) %s, there is nothing to compare with. The files of "
        "the mailbox in use can be held against its rows on its home: doCheckBlobs start "
        "mailbox_ids ID check_digests true (the id: status account %s)",
        copy->old_store, copy->old_mailbox, why, copy->account);
}

static bool verify_copy(Verify *verify, const Record *record, GError **error)
{
    verify->change = record->change;
    if (!is_kept(verify->copy))
        return nothing_kept(verify->copy, error);
    if (!find_ends(verify, error) || !compare(verify, error))
        return false;
    verify->copy->compared = true;
    if (strcmp(verify->copy->state, "purging") == 0)
        verify_note(verify->copy, "its purge was begun: the old copy is not whole any more");
    return true;
}

static void add_record(Verification *verification, GArray *records, const char *store,
                       const Rows *rows, unsigned i)
{
    Record record = { .copy = copy_new(verification, rows_text(rows, i, 2), rows_text(rows, i, 1)),
                      .change = rows_u64(rows, i, 7) };

    record.copy->old_store = g_strdup(store);
    record.copy->old_mailbox = (uint32_t)rows_u64(rows, i, 0);
    record.copy->new_store = g_strdup(rows_text(rows, i, 3));
    record.copy->operation = g_strdup(rows_text(rows, i, 4));
    record.copy->state = g_strdup(rows_text(rows, i, 5));
    record.copy->moved_at = rows_i64(rows, i, 6);
    g_array_append_val(records, record);
}

/* Copies on @store; and what was left behind on others, which were gone then and have no record of
 * it yet. */
static bool read_records(Store *store, const char *account_id, const char *operation,
                         Verification *verification, GArray *records, GError **error)
{
    g_autofree char *pattern = operation != NULL ? g_strdup_printf("%s%%", operation) : NULL;
    g_autoptr(Rows) moved = NULL;
    g_autoptr(Rows) left = NULL;

    if (store->bare)
        return true;
    moved = db_query(store->control, error,
                     "SELECT mailbox_id, account_id, address, moved_to, operation, state,"
                     " CAST(UNIX_TIMESTAMP(committed) * 1000 AS UNSIGNED), change_checkpoint"
                     " FROM zxmove.moved WHERE account_id = ? OR operation LIKE ?"
                     " ORDER BY committed",
                     DB_ARGS(db_text(account_id), db_text(pattern)));
    if (moved == NULL)
        return false;
    left = db_query(store->control, error,
                    "SELECT mailbox_id, account_id, address, NULL, operation, 'stray',"
                    " CAST(UNIX_TIMESTAMP(since) * 1000 AS UNSIGNED), 0, store"
                    " FROM zxmove.left_behind WHERE account_id = ? OR operation LIKE ?",
                    DB_ARGS(db_text(account_id), db_text(pattern)));
    for (unsigned i = 0; i < rows_count(moved); i++)
        add_record(verification, records, store->name, moved, i);
    for (unsigned i = 0; left != NULL && i < rows_count(left); i++)
        add_record(verification, records, rows_text(left, i, 8), left, i);
    return left != NULL;
}

/* Of every store that can be asked; one that cannot is said. */
static bool find_records(Operation *op, const char *account_id, const char *operation,
                         Verification *verification, GArray *records, GError **error)
{
    const guint before = records->len;
    GError *first = NULL;

    for (guint i = 0; i < op->conf->stores->len; i++) {
        const char *name = ((const ConfStore *)g_ptr_array_index(op->conf->stores, i))->name;
        GError *problem = NULL;
        Store *store = operation_store(op, name, &problem);

        if (store != NULL &&
            read_records(store, account_id, operation, verification, records, &problem))
            continue;
        operation_note(op, "%s could not be asked for old copies: %s", name, problem->message);
        if (first == NULL)
            first = problem;
        else
            g_error_free(problem);
    }
    if (records->len == before && first != NULL) {
        g_propagate_error(error, first);
        return false;
    }
    g_clear_error(&first);
    return true;
}

/* Records of one operation only. */
static bool one_operation(const GArray *records, const char *operation, GError **error)
{
    const char *first = NULL;

    for (guint i = 0; i < records->len; i++) {
        const VerifyCopy *copy = g_array_index(records, Record, i).copy;

        if (first != NULL && strcmp(first, copy->operation) != 0)
            return fail(error, ZX_ERROR_USAGE,
                        "several operations begin with %s, %s and %s among them: give more of it",
                        operation, first, copy->operation);
        first = copy->operation;
    }
    return first != NULL || fail(error, ZX_ERROR_NOT_FOUND,
                                 "no store has the record of an old copy of operation %s\nsee: "
                                 "status operation_uuid %s",
                                 operation, operation);
}

/* Of an account each copy that is kept; if there is none, the last one that was. */
static bool choose(Operation *op, char *const *accounts, Verification *verification,
                   GArray *records, GError **error)
{
    for (; *accounts != NULL; accounts++) {
        g_autoptr(Account) account = directory_account(op->directory, *accounts, error);
        const guint before = records->len;
        VerifyCopy *copy;

        if (account == NULL || !find_records(op, account->id, NULL, verification, records, error))
            return false;
        if (records->len > before)
            continue;
        copy = copy_new(verification, account->address, account->id);
        copy->old_store = g_strdup("");
        copy->new_store = g_strdup(account->mail_host);
        copy->code = ZX_ERROR_NOT_FOUND;
        copy->reason = g_strdup_printf("no store has a record of an old copy of it; it lives on %s",
                                       account_home(account));
    }
    return true;
}

static bool other_is_kept(const GArray *records, const VerifyCopy *copy)
{
    for (guint i = 0; i < records->len; i++) {
        const VerifyCopy *other = g_array_index(records, Record, i).copy;

        if (other != copy && strcmp(other->account_id, copy->account_id) == 0 && is_kept(other))
            return true;
    }
    return false;
}

static void run_one(Operation *op, const VerifyRequest *request, VerifySink *found, void *data,
                    const Record *record, unsigned index, unsigned total)
{
    Verify verify = { .op = op,
                      .request = request,
                      .found = found,
                      .found_data = data,
                      .copy = record->copy,
                      .index = index,
                      .total = total };
    GError *problem = NULL;

    log_context(op->uuid, record->copy->account);
    if (failpoint("verify:copy", &problem) && wait_stopped(op->wait))
        fail(&problem, ZX_ERROR_INTERRUPTED, "interrupted before it was compared");
    else if (problem == NULL && verify_copy(&verify, record, &problem))
        log_info("compared with the copy on %s: %" PRIu64 " alarms", record->copy->old_store,
                 record->copy->alarms);
    if (problem != NULL) {
        record->copy->code = error_code(problem);
        record->copy->reason = g_strdup(problem->message);
        log_warning("not compared: %s", problem->message);
        g_error_free(problem);
    }
    verify_emit(&verify, (Event){ .type = EVENT_MAILBOX_DONE });
    log_context(op->uuid, NULL);
}

/* A record of what is not kept any more says nothing beside one that is. */
static void drop_superfluous(Verification *verification, GArray *records)
{
    for (guint i = records->len; i-- > 0;) {
        VerifyCopy *copy = g_array_index(records, Record, i).copy;

        if (is_kept(copy) || !other_is_kept(records, copy))
            continue;
        g_array_remove_index(records, i);
        g_ptr_array_remove(verification->copies, copy);
    }
}

bool verify_run(Operation *op, const VerifyRequest *request, VerifySink *found, void *found_data,
                Verification *verification, GError **error)
{
    g_autoptr(GArray) records = g_array_new(FALSE, FALSE, sizeof(Record));
    g_autofree char *operation =
        request->operation != NULL ? g_ascii_strdown(request->operation, -1) : NULL;

    if (operation != NULL) {
        if (!find_records(op, NULL, operation, verification, records, error) ||
            !one_operation(records, operation, error))
            return false;
    } else if (!choose(op, request->accounts, verification, records, error)) {
        return false;
    } else {
        drop_superfluous(verification, records);
    }
    operation_emit(op, &(Event){ .type = EVENT_SELECTED, .total = records->len });
    for (guint i = 0; i < records->len; i++)
        run_one(op, request, found, found_data, &g_array_index(records, Record, i), i + 1,
                records->len);
    return true;
}
