/* buckets.c - see buckets.h. A line is (table, bucket, rows, fingerprints, sum, sum); the line of a
 * wide table without a bucket says how far its numbers go. */
#include "core/move/buckets.h"
#include "core/move/fingerprint.h"
#include <inttypes.h>
#include <string.h>

/* Numbers of a wide table's bucket column that one statement reads: about a second of work. */
enum { WIDE_SPAN = 256 * 1024 };

TableBuckets *table_buckets_new(const Table *table)
{
    TableBuckets *buckets = g_new0(TableBuckets, 1);

    buckets->table = table;
    for (int side = 0; side < 2; side++)
        buckets->side[side] = g_array_new(FALSE, FALSE, sizeof(Bucket));
    return buckets;
}

void table_buckets_free(TableBuckets *buckets)
{
    if (buckets == NULL)
        return;
    g_free(buckets->where);
    g_array_unref(buckets->side[SIDE_SOURCE]);
    g_array_unref(buckets->side[SIDE_TARGET]);
    g_free(buckets);
}

bool ask_both(Db *const db[2], const char *const sql[2], Rows *answers[2], GError **error)
{
    bool sent[2] = { false, false }, ok = true;

    answers[SIDE_SOURCE] = answers[SIDE_TARGET] = NULL;
    for (int side = 0; side < 2 && ok; side++)
        if (db[side] != NULL)
            ok = sent[side] = db_send(db[side], error, sql[side], DB_NONE);
    /* An answer under way is read even when it is no longer wanted: the connection lives on. */
    for (int side = 0; side < 2; side++) {
        if (!sent[side])
            continue;
        answers[side] = db_receive(db[side], ok ? error : NULL);
        ok = ok && answers[side] != NULL;
    }
    if (ok)
        return true;
    for (int side = 0; side < 2; side++)
        g_clear_pointer(&answers[side], rows_free);
    return false;
}

static bool is_wide(const TableBuckets *buckets)
{
    return buckets->table->policy->wide && buckets->where == NULL;
}

/* The first statement: whole tables, and the first span of the wide ones with how far they go. */
static char *first_statement(const GPtrArray *tables, Side side, const RowsMap *map)
{
    GString *sql = g_string_new(NULL);
    g_autofree char *span = NULL;

    for (unsigned i = 0; i < tables->len; i++) {
        const TableBuckets *buckets = tables->pdata[i];
        const Selection rows = selection(buckets->table, side, map);
        const char *column = buckets->table->bucket->name;

        if (i > 0)
            g_string_append(sql, " UNION ALL ");
        if (!is_wide(buckets)) {
            bucket_lines_append(sql, &rows, i, buckets->where != NULL ? buckets->where : "1");
            continue;
        }
        g_free(span);
        span = g_strdup_printf("%s<%d", column, WIDE_SPAN);
        bucket_lines_append(sql, &rows, i, span);
        g_string_append_printf(
            sql, " UNION ALL SELECT %u,NULL,0,0,MAX(%s),NULL FROM %s WHERE mailbox_id=%" PRIu32, i,
            column, buckets->table->name[side], rows.mailbox);
    }
    return g_string_free(sql, FALSE);
}

static RowsSum parse_sum(const char *text)
{
    RowsSum sum = 0;

    for (; text != NULL && g_ascii_isdigit(*text); text++)
        sum = sum * 10 + (unsigned)(*text - '0');
    return sum;
}

static bool take_lines(const Rows *lines, Db *db, Side side, GPtrArray *tables, uint64_t *highest,
                       GError **error)
{
    for (unsigned i = 0; i < rows_count(lines); i++) {
        TableBuckets *buckets = tables->pdata[rows_u64(lines, i, 0)];
        const Bucket bucket = { .number = rows_i64(lines, i, 1),
                                .rows = rows_u64(lines, i, 2),
                                .sums = { parse_sum(rows_text(lines, i, 4)),
                                          parse_sum(rows_text(lines, i, 5)) } };

        if (rows_text(lines, i, 1) == NULL) {
            *highest = MAX(*highest, (uint64_t)bucket.sums[0]);
            continue;
        }
        if (rows_u64(lines, i, 3) != bucket.rows)
            return fail(error, ZX_ERROR_DATA,
                        "MariaDB of %s: a row of mailbox table %s has no fingerprint", db_name(db),
                        buckets->table->name[side]);
        g_array_append_val(buckets->side[side], bucket);
    }
    return true;
}

static bool read_statement(Db *const db[2], char *sql[2], GPtrArray *tables, uint64_t *highest,
                           GError **error)
{
    Rows *lines[2];
    bool ok = ask_both(db, (const char *const[2]){ sql[0], sql[1] }, lines, error);

    for (int side = 0; side < 2; side++) {
        ok = ok && (lines[side] == NULL ||
                    take_lines(lines[side], db[side], side, tables, highest, error));
        rows_free(lines[side]);
        g_free(sql[side]);
    }
    return ok;
}

static char *span_statement(const TableBuckets *buckets, unsigned tag, Side side,
                            const RowsMap *map, uint64_t low)
{
    const Selection rows = selection(buckets->table, side, map);
    const char *column = buckets->table->bucket->name;
    g_autofree char *span =
        g_strdup_printf("%s>=%" PRIu64 " AND %s<%" PRIu64, column, low, column, low + WIDE_SPAN);
    GString *sql = g_string_new(NULL);

    bucket_lines_append(sql, &rows, tag, span);
    return g_string_free(sql, FALSE);
}

static int compare_buckets(const void *a, const void *b)
{
    const Bucket *left = a, *right = b;

    return (left->number > right->number) - (left->number < right->number);
}

bool buckets_read(Db *const db[2], const RowsMap *map, GPtrArray *tables, const Wait *wait,
                  GError **error)
{
    char *sql[2];
    uint64_t highest = 0;

    if (tables->len == 0)
        return true;
    for (int side = 0; side < 2; side++)
        sql[side] = first_statement(tables, side, map);
    if (!read_statement(db, sql, tables, &highest, error))
        return false;
    for (uint64_t low = WIDE_SPAN; low <= highest; low += WIDE_SPAN) {
        for (unsigned i = 0; i < tables->len; i++) {
            if (!is_wide(tables->pdata[i]))
                continue;
            if (!wait_check(wait, "comparing rows", error))
                return false;
            for (int side = 0; side < 2; side++)
                sql[side] = span_statement(tables->pdata[i], i, side, map, low);
            if (!read_statement(db, sql, tables, &highest, error))
                return false;
        }
    }
    for (unsigned i = 0; i < tables->len; i++)
        for (int side = 0; side < 2; side++)
            g_array_sort(((TableBuckets *)tables->pdata[i])->side[side], compare_buckets);
    return true;
}

static const Bucket *bucket_at(const TableBuckets *buckets, Side side, unsigned index)
{
    return index < buckets->side[side]->len ? &g_array_index(buckets->side[side], Bucket, index)
                                            : NULL;
}

bool buckets_next(const TableBuckets *buckets, BucketPair *pair)
{
    const Bucket *source = bucket_at(buckets, SIDE_SOURCE, pair->next[SIDE_SOURCE]);
    const Bucket *target = bucket_at(buckets, SIDE_TARGET, pair->next[SIDE_TARGET]);

    if (source != NULL && target != NULL && source->number != target->number) {
        if (source->number < target->number)
            target = NULL;
        else
            source = NULL;
    }
    pair->side[SIDE_SOURCE] = source;
    pair->side[SIDE_TARGET] = target;
    pair->next[SIDE_SOURCE] += source != NULL;
    pair->next[SIDE_TARGET] += target != NULL;
    return source != NULL || target != NULL;
}

bool bucket_same(const Bucket *a, const Bucket *b)
{
    return a->rows == b->rows && a->sums[0] == b->sums[0] && a->sums[1] == b->sums[1];
}

bool buckets_equal(const BucketPair *pair)
{
    const Bucket *source = pair->side[SIDE_SOURCE], *target = pair->side[SIDE_TARGET];

    return source != NULL && target != NULL && bucket_same(source, target);
}
