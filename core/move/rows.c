/* rows.c - see rows.h. Which tables, in which order, and what makes the result a proof: the buckets
 * of every table equal on both sides, read after the last change. */
#include "core/base/failpoint.h"
#include "core/move/apply.h"
#include "core/move/blob_rows.h"
#include "core/move/difference.h"
#include "core/move/fingerprint.h"
#include <inttypes.h>

static GPtrArray *bucket_list(const Catalogue *catalogue, bool window)
{
    GPtrArray *tables = g_ptr_array_new_with_free_func((GDestroyNotify)table_buckets_free);

    for (unsigned i = 0; i < catalogue->tables->len; i++) {
        const Table *table = catalogue->tables->pdata[i];

        if (window || table->policy->phase == ROWS_AHEAD)
            g_ptr_array_add(tables, table_buckets_new(table));
    }
    return tables;
}

/* Tables without a row at the target leave @tables for @empty: they need no comparison, and copying
 * them whole reads each row once. */
static bool split_empty(const Sync *sync, GPtrArray *tables, GPtrArray *empty, GError **error)
{
    g_autoptr(GString) sql = g_string_new(NULL);
    g_autofree bool *filled = g_new0(bool, tables->len);
    g_autoptr(Rows) rows = NULL;

    for (unsigned i = 0; i < tables->len; i++) {
        const TableBuckets *buckets = tables->pdata[i];

        g_string_append_printf(sql, "%s(SELECT %u FROM %s WHERE mailbox_id=%" PRIu32 " LIMIT 1)",
                               i > 0 ? " UNION ALL " : "", i, buckets->table->name[SIDE_TARGET],
                               sync->map->target_mailbox);
    }
    rows = db_query(sync->db[SIDE_TARGET], error, sql->str, DB_NONE);
    if (rows == NULL)
        return false;
    for (unsigned i = 0; i < rows_count(rows); i++)
        filled[rows_u64(rows, i, 0)] = true;
    for (unsigned i = tables->len; i-- > 0;)
        if (!filled[i]) {
            TableBuckets *buckets = tables->pdata[i];

            g_ptr_array_insert(empty, 0, (gpointer)(uintptr_t)buckets->table);
            g_ptr_array_remove_index(tables, i);
        }
    return true;
}

static void count_buckets(const TableBuckets *buckets, RowsCount *count)
{
    BucketPair pair = { 0 };

    while (buckets_next(buckets, &pair)) {
        count->buckets++;
        count->rows += pair.side[SIDE_SOURCE] != NULL ? pair.side[SIDE_SOURCE]->rows : 0;
        count->buckets_differing += !buckets_equal(&pair);
    }
}

/* What has to be read again of a table some buckets of which were changed. */
static TableBuckets *changed_buckets(const Table *table, const GArray *changed)
{
    enum { SEPARATE_BUCKETS = 2000 };
    TableBuckets *buckets = table_buckets_new(table);
    GString *where;

    if (changed->len > SEPARATE_BUCKETS)
        return buckets;
    where = g_string_new(NULL);
    bucket_condition_append(where, table, &g_array_index(changed, int64_t, 0), changed->len);
    buckets->where = g_string_free(where, FALSE);
    return buckets;
}

static int compare_numbers(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

static bool apply_tables(const Sync *sync, const GPtrArray *tables, GPtrArray *again,
                         GError **error)
{
    for (unsigned i = 0; i < tables->len; i++) {
        const TableBuckets *buckets = tables->pdata[i];
        g_autoptr(GArray) changed = g_array_new(FALSE, FALSE, sizeof(int64_t));

        count_buckets(buckets, sync->count);
        if (!apply_buckets(sync, buckets, changed, error) || !failpoint("rows:table", error))
            return false;
        g_array_sort(changed, compare_numbers);
        if (changed->len > 0)
            g_ptr_array_add(again, changed_buckets(buckets->table, changed));
        if (sync->progress != NULL)
            sync->progress(sync->data, buckets->table->policy->table, sync->count);
    }
    return true;
}

static bool copy_tables(const Sync *sync, const GPtrArray *empty, GError **error)
{
    for (unsigned i = 0; i < empty->len; i++) {
        const uint64_t before = sync->count->inserted;

        if (!apply_all(sync, empty->pdata[i], error) || !failpoint("rows:table", error))
            return false;
        sync->count->rows += sync->count->inserted - before;
    }
    return true;
}

/* Names the first difference in @tables, or NULL. */
static bool first_difference(Db *const db[2], const RowsMap *map, const GPtrArray *tables,
                             char **difference, GError **error)
{
    *difference = NULL;
    for (unsigned i = 0; i < tables->len; i++) {
        const TableBuckets *buckets = tables->pdata[i];
        g_autoptr(Difference) rows = NULL;
        g_autoptr(GString) condition = NULL;
        g_autofree char *row = NULL;
        BucketPair pair = { 0 };
        bool differs = false;
        int64_t number;

        while (!differs && buckets_next(buckets, &pair))
            differs = !buckets_equal(&pair);
        if (!differs)
            continue;
        number = pair.side[SIDE_SOURCE] != NULL ? pair.side[SIDE_SOURCE]->number
                                                : pair.side[SIDE_TARGET]->number;
        condition = g_string_new(NULL);
        bucket_condition_append(condition, buckets->table, &number, 1);
        rows = difference_read(db, map, buckets->table, condition->str, error);
        if (rows == NULL)
            return false;
        row = difference_describe(rows, db);
        *difference = g_strdup_printf("table %s: %s", buckets->table->policy->table,
                                      row != NULL ? row : "changed while it was looked at");
        return true;
    }
    return true;
}

/* A change is believed when the buckets are equal after it. */
static bool prove_changes(const Sync *sync, GPtrArray *again, GError **error)
{
    g_autofree char *difference = NULL;

    if (!buckets_read(sync->db, sync->map, again, sync->wait, error) ||
        !first_difference(sync->db, sync->map, again, &difference, error))
        return false;
    return difference == NULL || fail(error, ZX_ERROR_DATA, "%s after it was copied", difference);
}

static bool sync_tables(const Sync *sync, GPtrArray *tables, bool window, GError **error)
{
    g_autoptr(GPtrArray) empty = g_ptr_array_new();
    g_autoptr(GPtrArray) again = g_ptr_array_new_with_free_func((GDestroyNotify)table_buckets_free);

    if (!window && !split_empty(sync, tables, empty, error))
        return false;
    return buckets_read(sync->db, sync->map, tables, sync->wait, error) &&
           copy_tables(sync, empty, error) && apply_tables(sync, tables, again, error) &&
           (!window || prove_changes(sync, again, error));
}

bool rows_sync(const Catalogue *catalogue, Db *source, Db *target, const RowsMap *map, bool window,
               RowsProgress *progress, void *data, const Wait *wait, RowsCount *count,
               BlobRows **blob_rows, GError **error)
{
    RowsCount none = { 0 };
    const Sync sync = { .db = { source, target },
                        .map = map,
                        .progress = progress,
                        .data = data,
                        .wait = wait,
                        .count = count != NULL ? count : &none };
    g_autoptr(GPtrArray) tables = bucket_list(catalogue, window);
    bool ok;

    *sync.count = none;
    /* Rows come before those they refer to, and before the mailbox (doc/platform.md 2.3, 9.6). */
    if (!db_exec(target, NULL, error, "SET SESSION foreign_key_checks = 0", DB_NONE))
        return false;
    ok = sync_tables(&sync, tables, window, error);
    if (ok && blob_rows != NULL)
        *blob_rows = blob_rows_of(tables);
    return db_exec(target, NULL, ok ? error : NULL, "SET SESSION foreign_key_checks = 1",
                   DB_NONE) &&
           ok;
}

bool rows_compare(const Catalogue *catalogue, Db *source, Db *target, const RowsMap *map,
                  bool *equal, char **difference, RowsCount *count, const Wait *wait,
                  GError **error)
{
    Db *const db[2] = { source, target };
    g_autoptr(GPtrArray) tables = bucket_list(catalogue, true);
    g_autofree char *first = NULL;

    if (!buckets_read(db, map, tables, wait, error) ||
        !first_difference(db, map, tables, &first, error))
        return false;
    if (count != NULL)
        *count = (RowsCount){ 0 };
    for (unsigned i = 0; i < tables->len && count != NULL; i++)
        count_buckets(tables->pdata[i], count);
    *equal = first == NULL;
    if (difference != NULL)
        *difference = g_steal_pointer(&first);
    return true;
}

static void sum_append(GString *text, RowsSum sum)
{
    char digits[40];
    int i = sizeof digits;

    do
        digits[--i] = (char)('0' + (int)(sum % 10));
    while ((sum /= 10) > 0);
    g_string_append_len(text, digits + i, (gssize)sizeof digits - i);
}

char *rows_fingerprints_alone(Db *db, unsigned group, uint32_t mailbox, GError **error)
{
    Db *const one[2] = { db, NULL };
    const RowsMap map = { .source_mailbox = mailbox };
    g_autoptr(Catalogue) alone = catalogue_read_alone(db, group, error);
    g_autoptr(GPtrArray) tables = alone != NULL ? bucket_list(alone, true) : NULL;
    GString *json;

    if (tables == NULL || !buckets_read(one, &map, tables, NULL, error))
        return NULL;
    json = g_string_new("{");
    for (unsigned i = 0; i < tables->len; i++) {
        const TableBuckets *buckets = tables->pdata[i];
        const GArray *side = buckets->side[SIDE_SOURCE];
        Bucket all = { 0 };

        for (unsigned k = 0; k < side->len; k++) {
            const Bucket *bucket = &g_array_index(side, Bucket, k);

            all.rows += bucket->rows;
            all.sums[0] += bucket->sums[0];
            all.sums[1] += bucket->sums[1];
        }
        g_string_append_printf(json, "%s\"%s\": \"%" PRIu64 ":", i > 0 ? ", " : "",
                               buckets->table->policy->table, all.rows);
        sum_append(json, all.sums[0]);
        g_string_append_c(json, ':');
        sum_append(json, all.sums[1]);
        g_string_append_c(json, '"');
    }
    g_string_append_c(json, '}');
    return g_string_free(json, FALSE);
}
