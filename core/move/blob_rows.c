/* blob_rows.c - see blob_rows.h. */
#include "core/move/blob_rows.h"

/* Of each table with blobs, in the order of the policies, its buckets (of Bucket, ascending). */
struct BlobRows {
    GPtrArray *tables;
};

static GPtrArray *bucket_arrays(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)g_array_unref);
}

BlobRows *blob_rows_of(const GPtrArray *tables)
{
    BlobRows *rows = g_new0(BlobRows, 1);

    rows->tables = bucket_arrays();
    for (unsigned i = 0; i < tables->len; i++) {
        const TableBuckets *buckets = tables->pdata[i];

        if (buckets->table->policy->blobs)
            g_ptr_array_add(rows->tables, g_array_ref(buckets->side[SIDE_SOURCE]));
    }
    return rows;
}

BlobRows *blob_rows_read(const Catalogue *catalogue, Db *source, const RowsMap *map,
                         const Wait *wait, GError **error)
{
    Db *const one[2] = { source, NULL };
    g_autoptr(GPtrArray) tables =
        g_ptr_array_new_with_free_func((GDestroyNotify)table_buckets_free);

    for (unsigned i = 0; i < catalogue->tables->len; i++) {
        const Table *table = catalogue->tables->pdata[i];

        if (table->policy->blobs)
            g_ptr_array_add(tables, table_buckets_new(table));
    }
    return buckets_read(one, map, tables, wait, error) ? blob_rows_of(tables) : NULL;
}

void blob_rows_free(BlobRows *rows)
{
    if (rows == NULL)
        return;
    g_ptr_array_unref(rows->tables);
    g_free(rows);
}

static void add_changed(GArray *items, const GArray *before, const GArray *now)
{
    for (unsigned i = 0, j = 0; i < before->len || j < now->len;) {
        const Bucket *old = i < before->len ? &g_array_index(before, Bucket, i) : NULL;
        const Bucket *new = j < now->len ? &g_array_index(now, Bucket, j) : NULL;
        const bool both = old != NULL && new != NULL && old->number == new->number;
        const bool first = new == NULL || (old != NULL && old->number < new->number);
        const uint64_t item = (uint64_t)(first ? old : new)->number * BUCKET_WIDTH;

        if (!both || !bucket_same(old, new))
            g_array_append_val(items, item);
        i += both || first;
        j += both || !first;
    }
}

static int compare_items(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return (left > right) - (left < right);
}

GArray *blob_rows_changed(const BlobRows *before, const BlobRows *now)
{
    GArray *items = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    unsigned kept = 0;

    g_assert(before->tables->len == now->tables->len);
    for (unsigned i = 0; i < before->tables->len; i++)
        add_changed(items, before->tables->pdata[i], now->tables->pdata[i]);
    g_array_sort(items, compare_items);
    for (unsigned i = 0; i < items->len; i++) {
        const uint64_t item = g_array_index(items, uint64_t, i);

        if (kept == 0 || g_array_index(items, uint64_t, kept - 1) != item)
            g_array_index(items, uint64_t, kept++) = item;
    }
    g_array_set_size(items, kept);
    return items;
}
