/* manifest.c - see manifest.h. */
#include "core/move/manifest.h"
#include "core/move/fingerprint.h"
#include <inttypes.h>
#include <string.h>

#define BUCKET_BITS 8 /* item ids of a bucket */
#define RECORD_ROWS 1000
#define DAMAGED_MAX 255  /* zxmove.staged.damaged */
#define RANGE_ROWS  4096 /* neighbouring buckets are joined up to this many rows */

/* clang-format off */
/* Keeps the server from merging a derived table into the sums, where it would hash a row three times. */
#define UNMERGED " LIMIT 18446744073709551615"

#define HAS_BLOB "blob_digest IS NOT NULL AND locator IS NOT NULL"

/* Of a row: NULL only when a column is, which COUNT(f) then shows. */
#define FINGERPRINT "SHA1(CONCAT(item_id, ':', mod_content, ':', size, ':', CAST(blob_digest AS BINARY)))"

#define SUMS \
    "COUNT(*) AS n, COUNT(f) AS f, SUM(size) AS bytes," \
    " SUM(" FINGERPRINT_HIGH("f") ") AS hi, SUM(" FINGERPRINT_LOW("f") ") AS lo"

#define ADD_SUMS "SUM(n), SUM(f), SUM(bytes), SUM(hi), SUM(lo)"

/* Of the rows for which a condition on the item id holds. mail_item is read as it is, by its primary key; of the
 * other three tables only what it does not say as well: a blob that several rows share is one blob. */
static const char source_sums[] =
    "SELECT b, " ADD_SUMS " FROM ("
    " SELECT b, " SUMS " FROM ("
    "  SELECT id >> ? AS b, size,"
    "   SHA1(CONCAT(id, ':', mod_content, ':', size, ':', CAST(blob_digest AS BINARY))) AS f"
    "  FROM ?.mail_item WHERE mailbox_id = ? AND ? AND " HAS_BLOB UNMERGED ") live GROUP BY b"
    " UNION ALL"
    " SELECT b, " SUMS " FROM ("
    "  SELECT item_id >> ? AS b, size, " FINGERPRINT " AS f FROM ("
    "   SELECT id AS item_id, mod_content, size, blob_digest"
    "    FROM ?.mail_item_dumpster WHERE mailbox_id = ? AND ? AND " HAS_BLOB
    "   UNION SELECT item_id, mod_content, size, blob_digest"
    "    FROM ?.revision WHERE mailbox_id = ? AND ? AND " HAS_BLOB
    "   UNION SELECT item_id, mod_content, size, blob_digest"
    "    FROM ?.revision_dumpster WHERE mailbox_id = ? AND ? AND " HAS_BLOB
    "  ) old WHERE NOT EXISTS (SELECT 1 FROM ?.mail_item live"
    "   WHERE live.mailbox_id = ? AND live.id = old.item_id AND live.mod_content = old.mod_content"
    "   AND live.size = old.size AND live.blob_digest = old.blob_digest AND live.locator IS NOT NULL)"
    UNMERGED
    " ) only_old GROUP BY b"
    ") both_parts GROUP BY b ORDER BY b";

static const char staged_sums[] =
    "SELECT b, " SUMS " FROM ("
    " SELECT item_id >> ? AS b, size, " FINGERPRINT " AS f"
    " FROM zxmove.staged WHERE account_id = ? AND volume_id = ? AND ?" UNMERGED ") staged GROUP BY b ORDER BY b";

/* Every column of every record: NULL only where one of those is that never may be. */
static const char records_sums[] =
    "SELECT COALESCE(SUM(volume_id <> ?), 0), COUNT(damaged), COUNT(*), COUNT(f),"
    " SUM(" FINGERPRINT_HIGH("f") "), SUM(" FINGERPRINT_LOW("f") ") FROM ("
    " SELECT volume_id, damaged, SHA1(CONCAT(item_id, ':', mod_content, ':', volume_id, ':', size, ':', disk_size,"
    "  ':', reread, ':', CAST(blob_digest AS BINARY), ':', IFNULL(CAST(damaged AS BINARY), '-'))) AS f"
    " FROM zxmove.staged WHERE account_id = ?" UNMERGED ") records";

static const char source_rows[] =
    "SELECT item_id, mod_content, size, blob_digest, locator FROM ("
    " SELECT 0 AS part, id AS item_id, mod_content, size, blob_digest, locator"
    "  FROM ?.mail_item WHERE mailbox_id = ? AND id BETWEEN ? AND ? AND " HAS_BLOB
    " UNION ALL SELECT 1, id, mod_content, size, blob_digest, locator"
    "  FROM ?.mail_item_dumpster WHERE mailbox_id = ? AND id BETWEEN ? AND ? AND " HAS_BLOB
    " UNION ALL SELECT 2, item_id, mod_content, size, blob_digest, locator"
    "  FROM ?.revision WHERE mailbox_id = ? AND item_id BETWEEN ? AND ? AND " HAS_BLOB
    " UNION ALL SELECT 3, item_id, mod_content, size, blob_digest, locator"
    "  FROM ?.revision_dumpster WHERE mailbox_id = ? AND item_id BETWEEN ? AND ? AND " HAS_BLOB
    ") all_parts ORDER BY item_id, mod_content, part";

/* As source_rows, one row for each locator. */
static const char source_locators[] =
    "SELECT MIN(item_id), 0, 0, '', locator FROM ("
    " SELECT id AS item_id, locator FROM ?.mail_item WHERE mailbox_id = ? AND " HAS_BLOB
    " UNION ALL SELECT id, locator FROM ?.mail_item_dumpster WHERE mailbox_id = ? AND " HAS_BLOB
    " UNION ALL SELECT item_id, locator FROM ?.revision WHERE mailbox_id = ? AND " HAS_BLOB
    " UNION ALL SELECT item_id, locator FROM ?.revision_dumpster WHERE mailbox_id = ? AND " HAS_BLOB
    ") all_parts GROUP BY locator";

#define STAGED_COLUMNS "item_id, mod_content, size, blob_digest, volume_id, disk_size, damaged IS NOT NULL, reread"

static const char staged_rows[] =
    "SELECT " STAGED_COLUMNS " FROM zxmove.staged"
    " WHERE account_id = ? AND volume_id = ? AND item_id BETWEEN ? AND ?"
    " ORDER BY item_id, mod_content";
/* clang-format on */

static DbValue group_schema(const BlobsJob *job, char name[24])
{
    g_snprintf(name, 24, "mboxgroup%u", job->source_group);
    return db_sql(name);
}

/* A line of sums: everything after the bucket's number is compared as text. */
static bool read_line(const Rows *rows, unsigned at, ManifestLine *line)
{
    *line = (ManifestLine){ .bucket = UINT64_MAX };
    if (at >= rows_count(rows))
        return false;
    *line = (ManifestLine){ .bucket = rows_u64(rows, at, 0),
                            .rows = rows_u64(rows, at, 1),
                            .bytes = rows_u64(rows, at, 3) };
    return true;
}

static bool equal_lines(const Rows *a, unsigned i, const Rows *b, unsigned j)
{
    /* A row without a fingerprint proves nothing: such a bucket is always looked at. */
    if (rows_u64(a, i, 1) != rows_u64(a, i, 2))
        return false;
    for (unsigned column = 1; column < rows_columns(a); column++)
        if (g_strcmp0(rows_text(a, i, column), rows_text(b, j, column)) != 0)
            return false;
    return true;
}

static void add_range(GArray *ranges, const ManifestLine *source, const ManifestLine *staged)
{
    uint64_t bucket = MIN(source->bucket, staged->bucket);
    ManifestRange range = { .from = (uint32_t)(bucket << BUCKET_BITS),
                            .to = (uint32_t)((bucket << BUCKET_BITS) +
                                             ((uint64_t)1 << BUCKET_BITS) - 1) };
    ManifestRange *last =
        ranges->len == 0 ? NULL : &g_array_index(ranges, ManifestRange, ranges->len - 1);

    if (source->bucket == bucket) {
        range.source_rows = source->rows;
        range.source_bytes = source->bytes;
    }
    if (staged->bucket == bucket) {
        range.staged_rows = staged->rows;
        range.staged_bytes = staged->bytes;
    }
    if (last != NULL && last->to + 1 == range.from &&
        last->source_rows + last->staged_rows + range.source_rows + range.staged_rows <=
            RANGE_ROWS) {
        last->to = range.to;
        last->source_rows += range.source_rows;
        last->source_bytes += range.source_bytes;
        last->staged_rows += range.staged_rows;
        last->staged_bytes += range.staged_bytes;
    } else {
        g_array_append_val(ranges, range);
    }
}

static void join_lines(const Rows *source, const Rows *staged, ManifestDiff *diff)
{
    unsigned i = 0, j = 0;

    for (;;) {
        ManifestLine a, b;
        bool more_a = read_line(source, i, &a), more_b = read_line(staged, j, &b);

        if (!more_a && !more_b)
            return;
        if (a.bucket <= b.bucket) {
            diff->blobs += a.rows;
            diff->bytes += a.bytes;
            g_array_append_val(diff->lines, a);
        }
        if (a.bucket != b.bucket || !equal_lines(source, i, staged, j))
            add_range(diff->ranges, &a, &b);
        i += a.bucket <= b.bucket && more_a;
        j += b.bucket <= a.bucket && more_b;
    }
}

/* "(id BETWEEN 256 AND 511 OR ..)" */
static char *span_condition(const char *column, const GArray *spans)
{
    GString *sql;

    if (spans == NULL)
        return g_strdup("TRUE");
    if (spans->len == 0)
        return g_strdup("FALSE");
    sql = g_string_new("(");
    for (unsigned i = 0; i < spans->len; i++) {
        const ManifestSpan *span = &g_array_index(spans, ManifestSpan, i);

        g_string_append_printf(sql, "%s%s BETWEEN %" PRIu32 " AND %" PRIu32, i > 0 ? " OR " : "",
                               column, span->from, span->to);
    }
    g_string_append_c(sql, ')');
    return g_string_free(sql, FALSE);
}

static bool send_source_sums(const BlobsJob *job, const GArray *within, GError **error)
{
    char schema[24];
    g_autofree char *ids = span_condition("id", within);
    g_autofree char *item_ids = span_condition("item_id", within);
    DbValue group = group_schema(job, schema), bits = db_u64(BUCKET_BITS),
            mailbox = db_u64(job->source_mailbox), by_id = db_sql(ids), by_item = db_sql(item_ids);

    return db_send(job->source_db, error, source_sums,
                   DB_ARGS(bits, group, mailbox, by_id, bits, group, mailbox, by_id, group, mailbox,
                           by_item, group, mailbox, by_item, group, mailbox));
}

bool manifest_total(const BlobsJob *job, uint64_t *blobs, uint64_t *bytes, GError **error)
{
    g_autoptr(Rows) rows =
        send_source_sums(job, NULL, error) ? db_receive(job->source_db, error) : NULL;

    *blobs = *bytes = 0;
    for (unsigned i = 0; rows != NULL && i < rows_count(rows); i++) {
        *blobs += rows_u64(rows, i, 1);
        *bytes += rows_u64(rows, i, 3);
    }
    return rows != NULL;
}

bool manifest_compare(const BlobsJob *job, const GArray *within, ManifestDiff *diff, GError **error)
{
    g_autoptr(Rows) source = NULL;
    g_autoptr(Rows) staged = NULL;
    g_autofree char *item_ids = span_condition("item_id", within);

    *diff = (ManifestDiff){ 0 };
    if (!send_source_sums(job, within, error))
        return false;
    if (db_send(job->target_db, error, staged_sums,
                DB_ARGS(db_u64(BUCKET_BITS), db_text(job->account_id),
                        db_u64(job->target_volume->id), db_sql(item_ids))))
        staged = db_receive(job->target_db, error);
    source = db_receive(job->source_db, staged == NULL ? NULL : error);
    if (source == NULL || staged == NULL)
        return false;
    diff->ranges = g_array_new(FALSE, FALSE, sizeof(ManifestRange));
    diff->lines = g_array_new(FALSE, FALSE, sizeof(ManifestLine));
    join_lines(source, staged, diff);
    return true;
}

void manifest_diff_clear(ManifestDiff *diff)
{
    if (diff->ranges != NULL)
        g_array_unref(diff->ranges);
    if (diff->lines != NULL)
        g_array_unref(diff->lines);
    *diff = (ManifestDiff){ 0 };
}

ManifestSpan manifest_span(uint64_t item_id)
{
    const uint64_t first = item_id >> BUCKET_BITS << BUCKET_BITS;

    return (ManifestSpan){ .from = (uint32_t)first,
                           .to = (uint32_t)(first + ((uint64_t)1 << BUCKET_BITS) - 1) };
}

uint64_t manifest_bucket(uint32_t item_id)
{
    return item_id >> BUCKET_BITS;
}

bool manifest_records(const BlobsJob *job, ManifestRecords *out, GError **error)
{
    g_autoptr(Rows) rows =
        db_query_one(job->target_db, error, records_sums,
                     DB_ARGS(db_u64(job->target_volume->id), db_text(job->account_id)));

    if (rows == NULL)
        return false;
    if (rows_u64(rows, 0, 2) != rows_u64(rows, 0, 3))
        return fail(error, ZX_ERROR_DATA,
                    "MariaDB of %s: a record of what is staged has no fingerprint",
                    db_name(job->target_db));
    *out = (ManifestRecords){ .elsewhere = rows_u64(rows, 0, 0),
                              .damaged = rows_u64(rows, 0, 1),
                              .records = rows_u64(rows, 0, 2) };
    for (unsigned i = 0; i < G_N_ELEMENTS(out->sums) && out->records > 0; i++)
        g_strlcpy(out->sums[i], rows_text(rows, 0, 4 + i), sizeof out->sums[i]);
    return true;
}

static int order_of(const ManifestRow *a, const ManifestRow *b)
{
    if (a->item_id != b->item_id)
        return a->item_id < b->item_id ? -1 : 1;
    return a->mod_content < b->mod_content ? -1 : a->mod_content > b->mod_content;
}

bool manifest_same(const ManifestRow *a, const ManifestRow *b)
{
    return order_of(a, b) == 0 && a->size == b->size && strcmp(a->digest, b->digest) == 0;
}

void manifest_merge(const GArray *rows, const GArray *staged, ManifestOnRow *copy,
                    ManifestOnRow *remove, void *data)
{
    unsigned i = 0, j = 0;

    while (i < rows->len || j < staged->len) {
        const ManifestRow *row = i < rows->len ? &g_array_index(rows, ManifestRow, i) : NULL;
        const ManifestRow *have = j < staged->len ? &g_array_index(staged, ManifestRow, j) : NULL;
        int order = row == NULL ? 1 : have == NULL ? -1 : order_of(row, have);

        if (order > 0 && remove != NULL)
            remove(data, have, have);
        if (order <= 0 && copy != NULL && (order < 0 || !manifest_same(row, have)))
            copy(data, row, order < 0 ? NULL : have);
        i += order <= 0;
        j += order >= 0;
    }
}

static bool fill_row(const Rows *rows, unsigned at, ManifestRow *row, GError **error)
{
    size_t length;
    const char *digest = rows_bytes(rows, at, 3, &length);

    *row = (ManifestRow){ .item_id = (uint32_t)rows_u64(rows, at, 0),
                          .mod_content = (uint32_t)rows_u64(rows, at, 1),
                          .size = rows_u64(rows, at, 2) };
    if (digest == NULL || length >= sizeof row->digest || strlen(digest) != length)
        return fail(error, ZX_ERROR_DATA, "item %u: its blob_digest is no digest", row->item_id);
    memcpy(row->digest, digest, length + 1);
    return true;
}

/* Volume of files the locator names. */
static bool find_volume(const BlobsJob *job, const Rows *rows, unsigned at, ManifestRow *row,
                        GError **error)
{
    const Volume *volume = NULL;
    size_t length;
    const char *locator = rows_bytes(rows, at, 4, &length);

    if (volume_from_locator(locator, length, &row->volume))
        volume = volumes_find(job->source_volumes, row->volume);
    if (volume == NULL || volume->store_type != 1 || volume->type == VOLUME_INDEX)
        return fail(error, ZX_ERROR_REFUSED,
                    "item %u on %s has the locator '%.100s', which is no volume of files there: "
                    "external storage is not supported",
                    row->item_id, peer_store(job->source), locator);
    return true;
}

bool manifest_locators_fit(const BlobsJob *job, GError **error)
{
    char name[24];
    DbValue group = group_schema(job, name), mailbox = db_u64(job->source_mailbox);
    g_autoptr(Rows) rows = db_query(job->source_db, error, source_locators,
                                    DB_ARGS(group, mailbox, group, mailbox, group, mailbox, group,
                                            mailbox));
    ManifestRow row = { 0 };

    for (unsigned i = 0; rows != NULL && i < rows_count(rows); i++) {
        row.item_id = (uint32_t)rows_u64(rows, i, 0);
        if (!find_volume(job, rows, i, &row, error))
            return false;
    }
    return rows != NULL;
}

/* Rows that name one file become one; the first table's counts. */
static void add_source_row(GArray *rows, const ManifestRow *row)
{
    ManifestRow *last = rows->len == 0 ? NULL : &g_array_index(rows, ManifestRow, rows->len - 1);

    if (last == NULL || order_of(last, row) != 0) {
        g_array_append_val(rows, *row);
        return;
    }
    if (!manifest_same(last, row))
        last->conflict = last->volume == row->volume && last->conflict != CONFLICT_TWO_FILES
                             ? CONFLICT_SAME_FILE
                             : CONFLICT_TWO_FILES;
}

static void fill_staged(const Rows *rows, unsigned at, ManifestRow *row)
{
    row->volume = (unsigned)rows_u64(rows, at, 4);
    row->disk_size = rows_u64(rows, at, 5);
    row->damaged = rows_u64(rows, at, 6) != 0;
    row->reread = rows_u64(rows, at, 7) != 0;
}

static GArray *row_array(void)
{
    return g_array_new(FALSE, FALSE, sizeof(ManifestRow));
}

/* Takes @from over. */
static GArray *staged_array(Rows *from, GError **error)
{
    g_autoptr(Rows) rows = from;
    g_autoptr(GArray) staged = row_array();
    ManifestRow row;

    if (rows == NULL)
        return NULL;
    for (unsigned i = 0; i < rows_count(rows); i++) {
        if (!fill_row(rows, i, &row, error))
            return NULL;
        fill_staged(rows, i, &row);
        g_array_append_val(staged, row);
    }
    return g_steal_pointer(&staged);
}

static GArray *source_array(const BlobsJob *job, Rows *from, GError **error)
{
    g_autoptr(Rows) rows = from;
    g_autoptr(GArray) source = row_array();
    ManifestRow row;

    if (rows == NULL)
        return NULL;
    for (unsigned i = 0; i < rows_count(rows); i++) {
        if (!fill_row(rows, i, &row, error) || !find_volume(job, rows, i, &row, error))
            return NULL;
        add_source_row(source, &row);
    }
    return g_steal_pointer(&source);
}

bool manifest_read(const BlobsJob *job, Db *source, uint32_t from, uint32_t to, GArray **rows,
                   GArray **staged, GError **error)
{
    g_autoptr(GArray) here = NULL, there = NULL;
    char schema[24];
    DbValue group = group_schema(job, schema), mailbox = db_u64(job->source_mailbox),
            first = db_u64(from), last = db_u64(to);

    if (!db_send(source, error, source_rows,
                 DB_ARGS(group, mailbox, first, last, group, mailbox, first, last, group, mailbox,
                         first, last, group, mailbox, first, last)))
        return false;
    if (staged == NULL) {
        *rows = source_array(job, db_receive(source, error), error);
        return *rows != NULL;
    }
    if (db_send(job->target_db, error, staged_rows,
                DB_ARGS(db_text(job->account_id), db_u64(job->target_volume->id), first, last)))
        there = staged_array(db_receive(job->target_db, error), error);
    if (there == NULL) {
        rows_free(db_receive(source, NULL));
        return false;
    }
    here = source_array(job, db_receive(source, error), error);
    if (here == NULL)
        return false;
    *rows = g_steal_pointer(&here);
    *staged = g_steal_pointer(&there);
    return true;
}

GArray *manifest_staged(const BlobsJob *job, const ManifestRow *after, bool elsewhere,
                        unsigned limit, GError **error)
{
    DbValue item = db_u64(after == NULL ? 0 : after->item_id),
            mod = db_i64(after == NULL ? -1 : (int64_t)after->mod_content);

    return staged_array(
        db_query(job->target_db, error,
                 "SELECT " STAGED_COLUMNS " FROM zxmove.staged"
                 " WHERE account_id = ? AND item_id >= ? AND (item_id > ? OR mod_content > ?)"
                 " AND (? = 0 OR volume_id <> ?)"
                 " ORDER BY item_id, mod_content LIMIT ?",
                 DB_ARGS(db_text(job->account_id), item, item, mod, db_u64(elsewhere),
                         db_u64(job->target_volume->id), db_u64(limit))),
        error);
}

/* A blob_digest no row has: such a record never equals a row, so its file is looked at, or goes. */
bool manifest_adopt(Db *db, const char *account_id, unsigned group, uint32_t mailbox,
                    unsigned volume, GError **error)
{
    static const char *const tables[][2] = { { "mail_item", "id" },
                                             { "mail_item_dumpster", "id" },
                                             { "revision", "item_id" },
                                             { "revision_dumpster", "item_id" } };

    for (unsigned i = 0; i < G_N_ELEMENTS(tables); i++) {
        g_autofree char *table = g_strdup_printf("mboxgroup%u.%s", group, tables[i][0]);

        if (!db_exec(db, NULL, error,
                     "INSERT INTO zxmove.staged (account_id, item_id, mod_content,"
                     " volume_id, size, blob_digest, disk_size)"
                     " SELECT ?, ?, mod_content, ?, 0, '', 0 FROM ? WHERE mailbox_id = ?"
                     " AND " HAS_BLOB " AND locator = CAST(? AS CHAR)"
                     " ON DUPLICATE KEY UPDATE account_id = VALUES(account_id)",
                     DB_ARGS(db_text(account_id), db_sql(tables[i][1]), db_u64(volume),
                             db_sql(table), db_u64(mailbox), db_u64(volume))))
            return false;
    }
    return true;
}

bool manifest_record(const BlobsJob *job, const GArray *rows, const GPtrArray *damaged,
                     GError **error)
{
    for (unsigned begin = 0; begin < rows->len; begin += RECORD_ROWS) {
        unsigned end = MIN(begin + RECORD_ROWS, rows->len);
        g_autoptr(GString) sql =
            g_string_new("INSERT INTO zxmove.staged (account_id, item_id, mod_content, volume_id,"
                         " size, blob_digest, disk_size, damaged) VALUES ");

        for (unsigned i = begin; i < end; i++) {
            const ManifestRow *row = &g_array_index(rows, ManifestRow, i);
            const char *full = g_ptr_array_index(damaged, i);
            g_autofree char *what =
                full == NULL ? NULL : g_utf8_make_valid(full, (gssize)strnlen(full, DAMAGED_MAX));

            g_string_append(sql, i == begin ? "(" : ",(");
            db_quote(job->target_db, sql, job->account_id, strlen(job->account_id));
            g_string_append_printf(sql, ",%u,%u,%u,%" G_GUINT64_FORMAT ",", row->item_id,
                                   row->mod_content, job->target_volume->id, row->size);
            db_quote(job->target_db, sql, row->digest, strlen(row->digest));
            g_string_append_printf(sql, ",%" G_GUINT64_FORMAT ",", row->disk_size);
            db_quote(job->target_db, sql, what, what == NULL ? 0 : strlen(what));
            g_string_append_c(sql, ')');
        }
        g_string_append(sql, " ON DUPLICATE KEY UPDATE volume_id = VALUES(volume_id),"
                             " size = VALUES(size), blob_digest = VALUES(blob_digest),"
                             " disk_size = VALUES(disk_size), damaged = VALUES(damaged),"
                             " reread = FALSE");
        if (!db_exec_bytes(job->target_db, NULL, error, sql->str, sql->len))
            return false;
    }
    return true;
}

/* @what is done with each of @rows, many in one statement. */
static bool each_staged(const BlobsJob *job, const char *what, const GArray *rows, GError **error)
{
    for (unsigned begin = 0; begin < rows->len; begin += RECORD_ROWS) {
        unsigned end = MIN(begin + RECORD_ROWS, rows->len);
        g_autoptr(GString) sql = g_string_new(what);

        g_string_append(sql, " WHERE account_id = ");
        db_quote(job->target_db, sql, job->account_id, strlen(job->account_id));
        g_string_append(sql, " AND (");
        for (unsigned i = begin; i < end; i++) {
            const ManifestRow *row = &g_array_index(rows, ManifestRow, i);

            g_string_append_printf(sql, "%s(item_id = %u AND mod_content = %u)",
                                   i == begin ? "" : " OR ", row->item_id, row->mod_content);
        }
        g_string_append_c(sql, ')');
        if (!db_exec_bytes(job->target_db, NULL, error, sql->str, sql->len))
            return false;
    }
    return true;
}

bool manifest_strike(const BlobsJob *job, const GArray *rows, GError **error)
{
    return each_staged(job, "DELETE FROM zxmove.staged", rows, error);
}

bool manifest_mark_reread(const BlobsJob *job, const GArray *rows, GError **error)
{
    return each_staged(job, "UPDATE zxmove.staged SET reread = TRUE", rows, error);
}

bool manifest_doubt(const BlobsJob *job, GError **error)
{
    return db_exec(job->target_db, NULL, error,
                   "UPDATE zxmove.staged SET size = 0, blob_digest = '', damaged = NULL,"
                   " reread = FALSE WHERE account_id = ?",
                   DB_ARGS(db_text(job->account_id)));
}

bool manifest_damaged(const BlobsJob *job, GPtrArray *trouble, GError **error)
{
    g_autoptr(Rows) rows = db_query(job->target_db, error,
                                    "SELECT item_id, mod_content, damaged FROM zxmove.staged"
                                    " WHERE account_id = ? AND damaged IS NOT NULL"
                                    " ORDER BY item_id, mod_content",
                                    DB_ARGS(db_text(job->account_id)));

    if (rows == NULL)
        return false;
    for (unsigned i = 0; i < rows_count(rows); i++) {
        BlobTrouble *one = g_new0(BlobTrouble, 1);

        one->item_id = (uint32_t)rows_u64(rows, i, 0);
        one->mod_content = (uint32_t)rows_u64(rows, i, 1);
        one->kind = TROUBLE_BEFORE;
        one->what = g_strdup(rows_text(rows, i, 2));
        g_ptr_array_add(trouble, one);
    }
    return true;
}
