/* verify.c - doVerify: each old copy that is still kept against the mailbox in use, which may have
 * moved on since. No claim, no lock, nothing is written; rows are compared in a snapshot on either
 * side, blobs outside of any. */
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/move/inspect.h"
#include "core/move/move.h"
#include "core/move/versus.h"
#include <inttypes.h>
#include <string.h>

#define BAD_MAX 100000 /* blobs of one side that are held against the other's */

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

/* An old copy and how it is compared. */
typedef struct Verify {
    Operation *op;
    const VerifyRequest *request;
    VerifySink *found;
    void *found_data;
    VerifyCopy *copy;
    unsigned index, total;
    unsigned old_group, new_group;
    uint64_t change; /* the record's */
    Store *old, *new;
    uint64_t rows; /* compared so far */
} Verify;

/* Beside the copy what only the comparison asks for. */
typedef struct Record {
    VerifyCopy *copy;
    uint64_t change; /* 0: it does not say */
} Record;

static void note(VerifyCopy *copy, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
static void note(VerifyCopy *copy, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    g_ptr_array_add(copy->notes, g_strdup_vprintf(fmt, args));
    va_end(args);
}

static void emit(const Verify *verify, Event event)
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
    emit(verify, (Event){ .type = EVENT_PROGRESS, .text = table, .done = verify->rows });
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

/* A blob that is not as its row says. */
typedef struct BadBlob {
    BlobFault fault;
    uint32_t item, mod_content;
    uint64_t size;
    char *what;
} BadBlob;

/* One side's blobs, looked at by a thread of its own. */
typedef struct BlobSide {
    const Verify *verify;
    bool shown; /* it is this side whose progress is told */
    Store *store;
    unsigned group;
    uint32_t mailbox;
    Wait wait;
    InspectCount count;
    GPtrArray *bad;    /* of BadBlob */
    GHashTable *known; /* "item-mod_content" of @bad -> BadBlob */
    GError *error;
    bool ok;
} BlobSide;

static void on_blobs(void *data, const InspectCount *so_far)
{
    const BlobSide *side = data;

    if (side->shown)
        emit(side->verify,
             (Event){ .type = EVENT_PROGRESS, .text = "blobs", .done = so_far->blobs });
}

static void bad_blob_free(gpointer data)
{
    g_free(((BadBlob *)data)->what);
    g_free(data);
}

static char *fault_text(const BlobFinding *finding)
{
    static const char *const texts[BLOB_FAULTS] = {
        [BLOB_MISSING] = "its file is missing",
        [BLOB_ELSEWHERE] = "its file is not where its row says",
        [BLOB_NAME] = "its file has another name",
        [BLOB_CONTENT] = "its content is not that of its digest",
        [BLOB_UNREADABLE] = "its file cannot be read",
        [BLOB_VOLUME] = "its row names no volume of files",
    };

    if (finding->fault == BLOB_SIZE)
        return g_strdup_printf("its content has %" PRIu64 " bytes", finding->found_size);
    return finding->detail != NULL
               ? g_strdup_printf("%s: %s", texts[finding->fault], finding->detail)
               : g_strdup(texts[finding->fault]);
}

static void on_bad(void *data, const BlobFinding *finding)
{
    BlobSide *side = data;
    BadBlob *bad;

    if (side->bad->len == BAD_MAX)
        return;
    bad = g_new0(BadBlob, 1);
    *bad = (BadBlob){ .fault = finding->fault,
                      .item = finding->item,
                      .mod_content = finding->mod_content,
                      .size = finding->size,
                      .what = fault_text(finding) };
    g_ptr_array_add(side->bad, bad);
    g_hash_table_insert(side->known,
                        g_strdup_printf("%" PRIu32 "-%" PRIu32, bad->item, bad->mod_content), bad);
}

static gpointer inspect_side(gpointer data)
{
    BlobSide *side = data;
    const Inspect job = { .db = side->store->data,
                          .peer = side->store->peer,
                          .volumes = side->store->volumes,
                          .locators = true,
                          .group = side->group,
                          .mailbox = side->mailbox,
                          .digests = true,
                          .crosscheck = true,
                          .old_names = true,
                          .wait = &side->wait,
                          .tick = on_blobs,
                          .found = on_bad,
                          .data = side };

    log_context(side->verify->op->uuid, side->verify->copy->account);
    side->ok = inspect_rows(&job, &side->count, &side->error);
    log_context(NULL, NULL);
    return NULL;
}

static void side_init(BlobSide *side, const Verify *verify, Store *store, unsigned group,
                      uint32_t mailbox)
{
    *side = (BlobSide){ .verify = verify, .store = store, .group = group, .mailbox = mailbox };
    side->shown = store == verify->new;
    if (verify->op->wait != NULL)
        side->wait = *verify->op->wait;
    side->wait.tick = NULL; /* of the thread that runs the operation */
    side->bad = g_ptr_array_new_with_free_func(bad_blob_free);
    side->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

static void side_clear(BlobSide *side)
{
    g_ptr_array_unref(side->bad);
    g_hash_table_unref(side->known);
    g_clear_error(&side->error);
}

static bool tell_blob(const Versus *versus, const BadBlob *bad, bool alarm, const char *reason,
                      GError **error)
{
    g_autofree char *key = g_strdup_printf("%" PRIu32 "-%" PRIu32, bad->item, bad->mod_content);

    return versus_tell(versus,
                       &(VerifyItem){ .mark = MARK_BAD,
                                      .alarm = alarm,
                                      .table = "blob",
                                      .key = key,
                                      .size = bad->size,
                                      .reason = reason },
                       error);
}

/* What was so in the old copy already came that way. */
static bool tell_new_side(const Versus *versus, const BlobSide *old, const BlobSide *new,
                          GError **error)
{
    for (guint i = 0; i < new->bad->len; i++) {
        const BadBlob *bad = g_ptr_array_index(new->bad, i);
        g_autofree char *key = g_strdup_printf("%" PRIu32 "-%" PRIu32, bad->item, bad->mod_content);
        const BadBlob *was = g_hash_table_lookup(old->known, key);
        g_autofree char *reason =
            was != NULL ? g_strdup_printf("%s, as in the old copy: %s", bad->what, was->what)
                        : g_strdup(bad->what);

        if (!tell_blob(versus, bad, was == NULL, reason, error))
            return false;
    }
    return true;
}

static bool tell_old_side(const Versus *versus, const BlobSide *old, const BlobSide *new,
                          GError **error)
{
    for (guint i = 0; i < old->bad->len; i++) {
        const BadBlob *bad = g_ptr_array_index(old->bad, i);
        g_autofree char *key = g_strdup_printf("%" PRIu32 "-%" PRIu32, bad->item, bad->mod_content);
        g_autofree char *reason = g_strdup_printf("only in the old copy: %s", bad->what);

        if (!g_hash_table_contains(new->known, key) &&
            !tell_blob(versus, bad, false, reason, error))
            return false;
    }
    return true;
}

static bool tell_blobs(const Versus *versus, const BlobSide *old, const BlobSide *new,
                       GError **error)
{
    VerifyTable *table = versus_table(versus->copy, "blob");

    table->old_rows = old->count.blobs;
    table->new_rows = new->count.blobs;
    table->marks[MARK_EQUAL] = new->count.blobs - MIN(new->bad->len, new->count.blobs);
    versus->copy->marks[MARK_EQUAL] += table->marks[MARK_EQUAL];
    if (old->count.external + new->count.external > 0)
        note(versus->copy, "blobs on external storage were not looked at");
    return tell_new_side(versus, old, new, error) && tell_old_side(versus, old, new, error);
}

/* Every blob of both sides is read and hashed beside its disk, both stores at the same time. */
static bool compare_blobs(const Verify *verify, const Versus *versus, GError **error)
{
    BlobSide old, new;
    GThread *thread;
    bool ok;

    emit(verify, (Event){ .type = EVENT_STATE, .text = "blobs" });
    side_init(&old, verify, verify->old, verify->old_group, verify->copy->old_mailbox);
    side_init(&new, verify, verify->new, verify->new_group, verify->copy->new_mailbox);
    thread = g_thread_new("verify", inspect_side, &old);
    inspect_side(&new);
    g_thread_join(thread);
    log_context(verify->op->uuid, verify->copy->account);
    ok = old.ok && new.ok;
    if (!ok)
        g_propagate_error(error, g_steal_pointer(old.error != NULL ? &old.error : &new.error));
    ok = ok && tell_blobs(versus, &old, &new, error);
    side_clear(&old);
    side_clear(&new);
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
    emit(verify, (Event){ .type = EVENT_STATE, .text = "rows" });
    return compare_in_snapshot(verify, &versus, error) &&
           (verify->request->mode != VERIFY_FULL || compare_blobs(verify, &versus, error));
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
        note(verify->copy, "its purge was begun: the old copy is not whole any more");
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
        copy->reason =
            g_strdup_printf("no store has a record of an old copy of it; it lives on %s",
                            account->mail_host != NULL ? account->mail_host : "no store");
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
    emit(&verify, (Event){ .type = EVENT_MAILBOX_DONE });
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
