/* apply.c - see apply.h. Rows stream from the source's cursor into multi-row INSERTs; only keys of
 * rows that differ are held, and of a chunk of which most rows differ not even those. */
#include "core/move/apply.h"
#include "core/base/log.h"
#include "core/move/difference.h"
#include "core/move/fingerprint.h"
#include <inttypes.h>
#include <string.h>

enum {
    INSERT_BYTES = 1024 * 1024, /* of one statement, rows larger than that apart */
    CONDITION_BYTES = 128 * 1024,
    CHUNK_ROWS = 16 * 1024, /* whose keys and fingerprints are compared at once */
    CHUNK_BUCKETS = 256,
};

/* A multi-row INSERT that is sent when it is full. */
typedef struct Inserter {
    const Sync *sync;
    const Table *table;
    GString *sql;
    size_t head; /* bytes up to VALUES */
    size_t limit;
    uint64_t rows;
    char volume[12]; /* what every locator must have become */
} Inserter;

static void inserter_begin(Inserter *inserter, const Sync *sync, const Table *table)
{
    *inserter = (Inserter){ .sync = sync, .table = table, .sql = g_string_sized_new(INSERT_BYTES) };
    inserter->limit = MIN(INSERT_BYTES, db_max_packet(sync->db[SIDE_TARGET]) - 1);
    g_snprintf(inserter->volume, sizeof inserter->volume, "%u", sync->map->target_blob_volume);
    g_string_printf(inserter->sql, "INSERT INTO %s (mailbox_id", table->name[SIDE_TARGET]);
    for (unsigned i = 0; i < table->columns->len; i++)
        g_string_append_printf(inserter->sql, ",%s",
                               ((const Column *)table->columns->pdata[i])->name);
    g_string_append(inserter->sql, ") VALUES ");
    inserter->head = inserter->sql->len;
}

static void inserter_end(Inserter *inserter)
{
    g_string_free(inserter->sql, TRUE);
}

static void report(const Sync *sync, const Table *table)
{
    if (sync->progress != NULL)
        sync->progress(sync->data, table->policy->table, sync->count);
}

/* Sends the first @length bytes. */
static bool inserter_flush(Inserter *inserter, size_t length, GError **error)
{
    const Sync *sync = inserter->sync;
    Db *target = sync->db[SIDE_TARGET];

    if (inserter->rows == 0)
        return true;
    if (!wait_check(sync->wait, "copying rows", error))
        return false;
    if (length >= db_max_packet(target))
        return fail(error, ZX_ERROR_REFUSED,
                    "a row of %zu bytes exceeds max_allowed_packet (%" PRIu64 ") of %s", length,
                    db_max_packet(target), db_name(target));
    if (!db_exec_bytes(target, NULL, error, inserter->sql->str, length))
        return false;
    sync->count->inserted += inserter->rows;
    inserter->rows = 0;
    g_string_erase(inserter->sql, (gssize)inserter->head, (gssize)(length - inserter->head));
    report(sync, inserter->table);
    return true;
}

static bool append_tuple(Inserter *inserter, const DbCursor *row, GError **error)
{
    Db *target = inserter->sync->db[SIDE_TARGET];
    GString *sql = inserter->sql;

    g_string_append_printf(sql, "(%" PRIu32, inserter->sync->map->target_mailbox);
    for (unsigned i = 0; i < inserter->table->columns->len; i++) {
        const Column *column = inserter->table->columns->pdata[i];
        size_t length;
        const char *bytes = db_cursor_bytes(row, i, &length);

        if (column->locator && bytes != NULL &&
            (length != strlen(inserter->volume) || memcmp(bytes, inserter->volume, length) != 0))
            return fail(error, ZX_ERROR_REFUSED,
                        "locator \"%s\" is not the number of a volume: its blob is no file", bytes);
        g_string_append_c(sql, ',');
        if (column->kind == COLUMN_NUMBER && bytes != NULL)
            g_string_append_len(sql, bytes, (gssize)length);
        else
            db_quote(target, sql, bytes, length);
    }
    g_string_append_c(sql, ')');
    return true;
}

/* A row that would overfill the statement begins the next one. */
static bool inserter_add(Inserter *inserter, const DbCursor *row, GError **error)
{
    const size_t before = inserter->sql->len;

    if (inserter->rows > 0)
        g_string_append_c(inserter->sql, ',');
    if (!append_tuple(inserter, row, error))
        return false;
    if (inserter->sql->len > inserter->limit && inserter->rows > 0) {
        if (!inserter_flush(inserter, before, error))
            return false;
        g_string_erase(inserter->sql, (gssize)inserter->head, 1); /* the comma */
    }
    inserter->rows++;
    return true;
}

/* Reads rows of the source for which @condition holds and writes them to the target. */
static bool copy_rows(const Sync *sync, const Table *table, const char *condition, GError **error)
{
    g_autoptr(GString) sql = g_string_new("SELECT ");
    g_autoptr(DbCursor) cursor = NULL;
    Inserter inserter;
    int more;

    row_columns_append(sql, table, sync->map->target_blob_volume);
    g_string_append_printf(sql, " FROM %s WHERE mailbox_id=%" PRIu32 " AND (%s)",
                           table->name[SIDE_SOURCE], sync->map->source_mailbox, condition);
    cursor = db_cursor(sync->db[SIDE_SOURCE], error, sql->str, DB_NONE);
    if (cursor == NULL)
        return false;
    inserter_begin(&inserter, sync, table);
    while ((more = db_cursor_next(cursor, error)) == 1)
        if (!inserter_add(&inserter, cursor, error)) {
            more = -1;
            break;
        }
    if (more == 0 && !inserter_flush(&inserter, inserter.sql->len, error))
        more = -1;
    inserter_end(&inserter);
    return more == 0;
}

bool apply_all(const Sync *sync, const Table *table, GError **error)
{
    return copy_rows(sync, table, "1", error) ||
           fail_prefix(error, "table %s", table->policy->table);
}

static bool delete_rows(const Sync *sync, const Table *table, const char *condition, GError **error)
{
    uint64_t deleted = 0;
    g_autofree char *sql =
        g_strdup_printf("DELETE FROM %s WHERE mailbox_id=%" PRIu32 " AND (%s)",
                        table->name[SIDE_TARGET], sync->map->target_mailbox, condition);

    if (!db_exec(sync->db[SIDE_TARGET], &deleted, error, sql, DB_NONE))
        return false;
    sync->count->deleted += deleted;
    return true;
}

static char *bucket_condition(const Table *table, const GArray *numbers, unsigned from,
                              unsigned count)
{
    GString *sql = g_string_new("(");

    bucket_condition_append(sql, table, &g_array_index(numbers, int64_t, from), count);
    g_string_append_c(sql, ')');
    return g_string_free(sql, FALSE);
}

/* Conditions that hold for the rows of these keys on one side, each short enough for a statement.
 */
static GPtrArray *key_conditions(const Selection *rows, const char *bucket, const GPtrArray *keys)
{
    GPtrArray *conditions = g_ptr_array_new_with_free_func(g_free);

    for (unsigned i = 0; i < keys->len;) {
        GString *sql = g_string_new(bucket);

        g_string_append(sql, " AND ");
        key_columns_append(sql, rows);
        g_string_append(sql, " IN (");
        for (unsigned n = 0; i < keys->len && sql->len < CONDITION_BYTES; i++, n++)
            g_string_append_printf(sql, "%s%s", n > 0 ? "," : "", (const char *)keys->pdata[i]);
        g_string_append_c(sql, ')');
        g_ptr_array_add(conditions, g_string_free(sql, FALSE));
    }
    return conditions;
}

static void take_conditions(GPtrArray *all, GPtrArray *more)
{
    for (unsigned i = 0; i < more->len; i++)
        g_ptr_array_add(all, g_strdup(more->pdata[i]));
    g_ptr_array_unref(more);
}

/* Deletes what is wrong in a chunk of buckets; @inserts gets conditions for what is missing. */
static bool repair_chunk(const Sync *sync, const Table *table, const char *bucket,
                         GPtrArray *inserts, GError **error)
{
    const Selection source = selection(table, SIDE_SOURCE, sync->map);
    const Selection target = selection(table, SIDE_TARGET, sync->map);
    g_autoptr(GPtrArray) deletes = NULL;
    g_autoptr(Difference) difference = difference_read(sync->db, sync->map, table, bucket, error);

    if (difference == NULL)
        return false;
    if (difference->missing->len > difference->compared / 2) {
        g_ptr_array_add(inserts, g_strdup(bucket));
        return delete_rows(sync, table, bucket, error);
    }
    deletes = key_conditions(&target, bucket, difference->wrong);
    for (unsigned i = 0; i < deletes->len; i++)
        if (!delete_rows(sync, table, deletes->pdata[i], error))
            return false;
    take_conditions(inserts, key_conditions(&source, bucket, difference->missing));
    return true;
}

typedef bool ChunkStep(const Sync *sync, const Table *table, const char *bucket, GPtrArray *inserts,
                       GError **error);

static bool delete_chunk(const Sync *sync, const Table *table, const char *bucket,
                         GPtrArray *inserts, GError **error)
{
    (void)inserts;
    return delete_rows(sync, table, bucket, error);
}

static bool note_chunk(const Sync *sync, const Table *table, const char *bucket, GPtrArray *inserts,
                       GError **error)
{
    (void)sync;
    (void)table;
    (void)error;
    g_ptr_array_add(inserts, g_strdup(bucket));
    return true;
}

/* Which buckets differ, by what has to be done with them. */
typedef struct Plan {
    GArray *numbers; /* of int64_t, ascending */
    GArray *rows;    /* of uint64_t: on both sides together */
    ChunkStep *step;
} Plan;

enum { PLAN_EXTRA, PLAN_FRESH, PLAN_MIXED, PLANS };

static bool run_plan(const Sync *sync, const Table *table, const Plan *plan, GPtrArray *inserts,
                     GError **error)
{
    for (unsigned from = 0, end; from < plan->numbers->len; from = end) {
        g_autofree char *bucket = NULL;
        uint64_t rows = 0;

        if (!wait_check(sync->wait, "comparing rows", error))
            return false;
        for (end = from;
             end < plan->numbers->len && end - from < CHUNK_BUCKETS && rows < CHUNK_ROWS; end++)
            rows += g_array_index(plan->rows, uint64_t, end);
        bucket = bucket_condition(table, plan->numbers, from, end - from);
        if (!plan->step(sync, table, bucket, inserts, error))
            return false;
    }
    return true;
}

static void make_plans(const TableBuckets *buckets, Plan plans[PLANS], GArray *changed)
{
    BucketPair pair = { 0 };

    while (buckets_next(buckets, &pair)) {
        const Bucket *source = pair.side[SIDE_SOURCE], *target = pair.side[SIDE_TARGET];
        const int64_t number = source != NULL ? source->number : target->number;
        const uint64_t rows =
            (source != NULL ? source->rows : 0) + (target != NULL ? target->rows : 0);
        Plan *plan = &plans[source == NULL ? PLAN_EXTRA : target == NULL ? PLAN_FRESH : PLAN_MIXED];

        if (buckets_equal(&pair))
            continue;
        g_array_append_val(plan->numbers, number);
        g_array_append_val(plan->rows, rows);
        g_array_append_val(changed, number);
    }
}

/* Everything that goes, goes before anything comes. */
static bool run_plans(const Sync *sync, const Table *table, const Plan plans[PLANS], GError **error)
{
    g_autoptr(GPtrArray) inserts = g_ptr_array_new_with_free_func(g_free);

    for (int i = 0; i < PLANS; i++)
        if (!run_plan(sync, table, &plans[i], inserts, error))
            return false;
    for (unsigned i = 0; i < inserts->len; i++)
        if (!copy_rows(sync, table, inserts->pdata[i], error))
            return false;
    return true;
}

/* One transaction. A deadlock, or a lock that others keep, has undone it: it is begun anew, unless
 * it was the source that said so, whose snapshot may be gone. */
static bool run_transaction(const Sync *sync, const Table *table, const Plan plans[PLANS],
                            GError **error)
{
    enum { TRIES = 4 };
    Db *target = sync->db[SIDE_TARGET];
    const RowsCount before = *sync->count;

    for (int tries = 1;; tries++) {
        GError *problem = NULL;
        bool contended;

        if (db_begin(target, false, &problem) && run_plans(sync, table, plans, &problem) &&
            db_commit(target, &problem))
            return true;
        contended = db_contended(target) && error_code(problem) == ZX_ERROR_BUSY;
        db_rollback(target);
        if (!contended || tries == TRIES) {
            g_propagate_error(error, problem);
            return false;
        }
        log_info("%s; trying again", problem->message);
        g_clear_error(&problem);
        *sync->count = before;
        wait_pause(sync->wait, g_random_int_range(10, 100));
    }
}

bool apply_buckets(const Sync *sync, const TableBuckets *buckets, GArray *changed, GError **error)
{
    static ChunkStep *const steps[PLANS] = { delete_chunk, note_chunk, repair_chunk };
    Plan plans[PLANS];
    bool ok;

    for (int i = 0; i < PLANS; i++)
        plans[i] = (Plan){ .numbers = g_array_new(FALSE, FALSE, sizeof(int64_t)),
                           .rows = g_array_new(FALSE, FALSE, sizeof(uint64_t)),
                           .step = steps[i] };
    make_plans(buckets, plans, changed);
    ok = changed->len == 0 || run_transaction(sync, buckets->table, plans, error);
    for (int i = 0; i < PLANS; i++) {
        g_array_unref(plans[i].numbers);
        g_array_unref(plans[i].rows);
    }
    return ok || fail_prefix(error, "table %s", buckets->table->policy->table);
}
