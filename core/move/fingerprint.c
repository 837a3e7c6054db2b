/* fingerprint.c - see fingerprint.h. Written for speed where it stays exact: MariaDB evaluates what
 * is written twice twice, so numbers and lengths share one separator, and a row is hashed in a
 * derived table whose LIMIT keeps the server from merging it into the sums. */
#include "core/move/fingerprint.h"
#include <inttypes.h>
#include <string.h>

/* Of a row with more large bytes than this each column is hashed by itself: the text to be hashed
 * would exceed max_allowed_packet, and the server would answer NULL (doc/platform.md 2.7). */
enum { LARGE_BYTES = 256 * 1024 };

/* tag ids have 31 bits and a sign, buckets of item ids 25 bits. */
#define PAIR_SHIFT ((int64_t)1 << 25)

/* Two sums over 64 bits of each hash. */
static const char half_sums[] =
    "COUNT(*),COUNT(h),SUM(" FINGERPRINT_HIGH("h") "),SUM(" FINGERPRINT_LOW("h") ")";

Selection selection(const Table *table, Side side, const RowsMap *map)
{
    return (Selection){ .table = table,
                        .side = side,
                        .mailbox = side == SIDE_SOURCE ? map->source_mailbox : map->target_mailbox,
                        .volume = map->target_blob_volume };
}

/* A volume's number as Zimbra writes it; anything else is no file (3.4). Binary, else "1 " is "1".
 */
static void plain_locator_append(GString *sql, const Column *column)
{
    g_string_append_printf(sql, "CAST(%s AS BINARY) IN ('1'", column->name);
    for (unsigned id = 2; id <= 255; id++)
        g_string_append_printf(sql, ",'%u'", id);
    g_string_append_c(sql, ')');
}

static void locator_append(GString *sql, const Selection *rows, const Column *column)
{
    g_string_append(sql, "IFNULL(IF(");
    if (rows->side == SIDE_SOURCE)
        plain_locator_append(sql, column);
    else
        g_string_append_printf(sql, "CAST(%s AS BINARY)='%u'", column->name, rows->volume);
    g_string_append_printf(sql, ",'%u',CONCAT('?',HEX(%s))),'-')", rows->volume, column->name);
}

static void bytes_append(GString *sql, Side side, const Column *column)
{
    if (side == SIDE_SOURCE && column->convert != NULL)
        g_string_append_printf(sql, "CAST(CONVERT(%s USING %s) AS BINARY)", column->name,
                               column->convert);
    else
        g_string_append_printf(sql, "CAST(%s AS BINARY)", column->name);
}

/* Of the column itself: a cast would copy what is only to be measured. */
static void length_append(GString *sql, Side side, const Column *column)
{
    g_string_append(sql, column->nullable ? "IFNULL(OCTET_LENGTH(" : "OCTET_LENGTH(");
    if (side == SIDE_SOURCE && column->convert != NULL)
        bytes_append(sql, side, column);
    else
        g_string_append(sql, column->name);
    g_string_append(sql, column->nullable ? "),'-')" : ")");
}

static bool counts_as_bytes(const Column *column)
{
    return column->kind == COLUMN_BYTES && !column->locator;
}

/* The readable part: numbers, dates, lengths. */
static void header_append(GString *sql, const Selection *rows)
{
    for (unsigned i = 0; i < rows->table->columns->len; i++) {
        const Column *column = rows->table->columns->pdata[i];

        g_string_append_c(sql, ',');
        if (column->locator) {
            locator_append(sql, rows, column);
        } else if (counts_as_bytes(column)) {
            length_append(sql, rows->side, column);
        } else {
            g_string_append_printf(sql, column->nullable ? "IFNULL(%s,'-')" : "%s", column->name);
        }
    }
}

/* The bytes, or, when they may be too many for one text, a digest of each column's: what the server
 * computes it truncates at max_allowed_packet, a column it does not. */
static void body_append(GString *sql, const Selection *rows, bool digests)
{
    for (unsigned i = 0; i < rows->table->columns->len; i++) {
        const Column *column = rows->table->columns->pdata[i];

        if (!counts_as_bytes(column))
            continue;
        g_string_append(sql, digests ? ",IFNULL(SHA1(" : ",IFNULL(");
        if (digests && column->convert == NULL)
            g_string_append(sql, column->name);
        else
            bytes_append(sql, rows->side, column);
        g_string_append(sql, digests ? "),'')" : ",'')");
    }
}

static bool large_bytes_append(GString *sql, const Table *table)
{
    bool any = false;

    for (unsigned i = 0; i < table->columns->len; i++) {
        const Column *column = table->columns->pdata[i];

        if (column->large) {
            g_string_append_printf(sql, "%sIFNULL(OCTET_LENGTH(%s),0)", any ? "+" : "IF(",
                                   column->name);
            any = true;
        }
    }
    return any;
}

/* "SHA1(..)" */
static void fingerprint_append(GString *sql, const Selection *rows)
{
    const bool large = large_bytes_append(sql, rows->table);

    if (large) {
        g_string_append_printf(sql, ">%d,SHA1(CONCAT_WS(','", LARGE_BYTES);
        header_append(sql, rows);
        body_append(sql, rows, true);
        g_string_append(sql, ")),");
    }
    /* CONCAT_WS leaves NULL out, and here nothing is NULL. */
    g_string_append(sql, "SHA1(CONCAT_WS(','");
    header_append(sql, rows);
    body_append(sql, rows, false);
    g_string_append(sql, large ? ")))" : "))");
}

static void bucket_number_append(GString *sql, const Table *table)
{
    const char *column = table->bucket->name;

    switch (table->policy->bucket) {
    case BUCKET_RANGE:
        g_string_append_printf(sql, "%s DIV %d", column, BUCKET_WIDTH);
        break;
    case BUCKET_PAIR:
        g_string_append_printf(sql, "%s*%" PRId64 "+CAST(%s DIV %d AS SIGNED)",
                               table->keys[0]->name, PAIR_SHIFT, column, BUCKET_WIDTH);
        break;
    case BUCKET_HASH:
        g_string_append_printf(sql, "CRC32(CAST(%s AS BINARY)) %% %d", column, BUCKET_HASHES);
        break;
    }
}

void bucket_lines_append(GString *sql, const Selection *rows, unsigned tag, const char *where)
{
    const Table *table = rows->table;
    const char *item = table->bucket->name;

    g_string_append_printf(sql, "SELECT %u,b,", tag);
    if (table->bitmap) /* item ids are unique in a bucket, so that a sum of bits is a set */
        g_string_append_printf(
            sql, "COUNT(*),COUNT(*),SUM(IF(i&64,0,1<<(i&63))),SUM(IF(i&64,1<<(i&63),0))"
                 " FROM (SELECT ");
    else
        g_string_append_printf(sql, "%s FROM (SELECT ", half_sums);
    bucket_number_append(sql, table);
    g_string_append(sql, " AS b,");
    if (table->bitmap)
        g_string_append_printf(sql, "%s AS i", item);
    else {
        fingerprint_append(sql, rows);
        g_string_append(sql, " AS h");
    }
    g_string_append_printf(sql, " FROM %s WHERE mailbox_id=%" PRIu32 " AND (%s)",
                           table->name[rows->side], rows->mailbox, where);
    g_string_append_printf(sql, "%s) r GROUP BY b",
                           table->bitmap ? "" : " LIMIT 18446744073709551615");
}

void row_lines_append(GString *sql, const Selection *rows, const char *where)
{
    const Table *table = rows->table;

    g_string_append(sql, "SELECT ");
    for (unsigned i = 0; i < table->key_count; i++)
        g_string_append_printf(sql, "%s,", table->keys[i]->name);
    fingerprint_append(sql, rows);
    g_string_append_printf(sql, "%s FROM %s WHERE mailbox_id=%" PRIu32 " AND (%s)",
                           table->key_count == 0 ? " AS h,COUNT(*)" : "", table->name[rows->side],
                           rows->mailbox, where);
    if (table->key_count == 0)
        g_string_append(sql, " GROUP BY h");
}

void column_lines_append(GString *sql, const Selection *rows, const char *where)
{
    const Table *table = rows->table;

    g_string_append(sql, "SELECT ");
    for (unsigned i = 0; i < table->key_count; i++)
        g_string_append_printf(sql, "%s%s", i > 0 ? "," : "", table->keys[i]->name);
    for (unsigned i = 0; i < table->columns->len; i++) {
        const Column *column = table->columns->pdata[i];

        g_string_append_c(sql, ',');
        if (column->locator) {
            locator_append(sql, rows, column);
        } else if (counts_as_bytes(column)) {
            g_string_append(sql, "MD5(");
            bytes_append(sql, rows->side, column);
            g_string_append_c(sql, ')');
        } else {
            g_string_append(sql, column->name);
        }
    }
    g_string_append_printf(sql, " FROM %s WHERE mailbox_id=%" PRIu32 " AND (%s)",
                           table->name[rows->side], rows->mailbox, where);
}

void row_columns_append(GString *sql, const Table *table, unsigned volume)
{
    for (unsigned i = 0; i < table->columns->len; i++) {
        const Column *column = table->columns->pdata[i];

        if (i > 0)
            g_string_append_c(sql, ',');
        if (column->locator) {
            g_string_append(sql, "IF(");
            plain_locator_append(sql, column);
            g_string_append_printf(sql, ",'%u',%s)", volume, column->name);
        } else if (column->convert != NULL) {
            bytes_append(sql, SIDE_SOURCE, column);
        } else {
            g_string_append(sql, column->name);
        }
    }
}

/* Numbers whose DIV BUCKET_WIDTH is @bucket; DIV rounds towards zero. */
static int64_t bucket_low(const Column *column, int64_t bucket)
{
    if (bucket > 0 || !column->negative)
        return bucket * BUCKET_WIDTH;
    return bucket * BUCKET_WIDTH - (BUCKET_WIDTH - 1);
}

static int64_t bucket_high(int64_t bucket)
{
    return bucket >= 0 ? bucket * BUCKET_WIDTH + (BUCKET_WIDTH - 1) : bucket * BUCKET_WIDTH;
}

/* Buckets that follow each other become one range: the server's optimiser thinks about each. */
static void ranges_append(GString *sql, const Column *column, const int64_t *buckets, size_t count)
{
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && buckets[end] == buckets[end - 1] + 1;)
            end++;
        g_string_append_printf(sql, "%s%s BETWEEN %" PRId64 " AND %" PRId64, i > 0 ? " OR " : "",
                               column->name, bucket_low(column, buckets[i]),
                               bucket_high(buckets[end - 1]));
    }
}

/* The halves of a BUCKET_PAIR number; the second is never negative. */
static int64_t pair_first(int64_t bucket)
{
    return bucket >> 25;
}

static void pairs_append(GString *sql, const Table *table, const int64_t *buckets, size_t count)
{
    g_autoptr(GArray) seconds = g_array_new(FALSE, FALSE, sizeof(int64_t));

    for (size_t i = 0; i < count;) {
        const int64_t first = pair_first(buckets[i]);

        g_string_append_printf(sql, "%s(%s=%" PRId64 " AND (", i > 0 ? " OR " : "",
                               table->keys[0]->name, first);
        g_array_set_size(seconds, 0);
        for (; i < count && pair_first(buckets[i]) == first; i++) {
            const int64_t second = buckets[i] - first * PAIR_SHIFT;

            g_array_append_val(seconds, second);
        }
        ranges_append(sql, table->bucket, (const int64_t *)(void *)seconds->data, seconds->len);
        g_string_append(sql, "))");
    }
}

void bucket_condition_append(GString *sql, const Table *table, const int64_t *buckets, size_t count)
{
    switch (table->policy->bucket) {
    case BUCKET_RANGE:
        ranges_append(sql, table->bucket, buckets, count);
        break;
    case BUCKET_PAIR:
        pairs_append(sql, table, buckets, count);
        break;
    case BUCKET_HASH:
        bucket_number_append(sql, table);
        g_string_append(sql, " IN (");
        for (size_t i = 0; i < count; i++)
            g_string_append_printf(sql, "%s%" PRId64, i > 0 ? "," : "", buckets[i]);
        g_string_append_c(sql, ')');
        break;
    }
}

static void hex_append(GString *sql, const char *bytes, size_t length)
{
    g_string_append(sql, "CAST(X'");
    for (size_t i = 0; i < length; i++)
        g_string_append_printf(sql, "%02X", (unsigned char)bytes[i]);
    g_string_append(sql, "' AS BINARY)");
}

char *key_literal(const Table *table, const Rows *lines, unsigned line)
{
    GString *sql = g_string_new(table->key_count > 1 ? "(" : NULL);

    if (table->key_count == 0)
        g_string_append_printf(sql, "'%s'", rows_text(lines, line, 0));
    for (unsigned i = 0; i < table->key_count; i++) {
        size_t length;
        const char *bytes = rows_bytes(lines, line, i, &length);

        if (i > 0)
            g_string_append_c(sql, ',');
        if (table->keys[i]->kind == COLUMN_NUMBER)
            g_string_append(sql, bytes);
        else
            hex_append(sql, bytes, length);
    }
    if (table->key_count > 1)
        g_string_append_c(sql, ')');
    return g_string_free(sql, FALSE);
}

void key_columns_append(GString *sql, const Selection *rows)
{
    const Table *table = rows->table;

    if (table->key_count == 0) {
        fingerprint_append(sql, rows);
        return;
    }
    g_string_append(sql, table->key_count > 1 ? "(" : "");
    for (unsigned i = 0; i < table->key_count; i++)
        g_string_append_printf(sql, "%s%s", i > 0 ? "," : "", table->keys[i]->name);
    g_string_append(sql, table->key_count > 1 ? ")" : "");
}
