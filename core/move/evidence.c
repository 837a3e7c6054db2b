/* evidence.c - see evidence.h. */
#include "core/move/evidence.h"
#include "core/move/buckets.h"
#include <inttypes.h>

/* Items that a folder certainly counts; of folders, conversations, comments it may depend. */
#define COUNTED_TYPES "5,6,8,11,14,15,16"

/* "257,258:uuid,259": ids that are gone since the commit. */
static bool read_tombstones(Evidence *evidence, const Versus *versus, GError **error)
{
    g_autofree char *group = g_strdup_printf("mboxgroup%u", versus->group[SIDE_TARGET]);
    DbCursor *cursor = db_cursor(
        versus->db[SIDE_TARGET], error,
        "SELECT ids FROM ?.tombstone WHERE mailbox_id = ? AND sequence > ?",
        DB_ARGS(db_sql(group), db_u64(versus->map->target_mailbox), db_u64(versus->change)));
    int more = -1;

    while (cursor != NULL && (more = db_cursor_next(cursor, error)) == 1) {
        size_t length;
        const char *ids = db_cursor_bytes(cursor, 0, &length);
        g_auto(GStrv) parts = g_strsplit(ids != NULL ? ids : "", ",", -1);

        for (char **part = parts; *part != NULL; part++)
            id_set_add(evidence->tombstones, g_ascii_strtoull(*part, NULL, 10));
    }
    if (cursor != NULL)
        db_cursor_free(cursor);
    return more == 0;
}

/* Whether each deletion since the commit left a tombstone (2.6). */
static bool read_tracking(Evidence *evidence, const Versus *versus, GError **error)
{
    g_autoptr(Rows) rows = db_query_one(versus->db[SIDE_TARGET], error,
                                        "SELECT tracking_sync FROM zimbra.mailbox WHERE id = ?",
                                        DB_ARGS(db_u64(versus->map->target_mailbox)));

    if (rows == NULL)
        return false;
    evidence->since.tracking = rows_u64(rows, 0, 0) > 0 && rows_u64(rows, 0, 0) <= versus->change;
    return true;
}

typedef struct Count {
    int64_t says, has, others; /* others: rows in it that it may count or not */
    char *name;
} Count;

static void count_free(gpointer data)
{
    g_free(((Count *)data)->name);
    g_free(data);
}

static GHashTable *folder_counts(const Rows *rows)
{
    GHashTable *counts = g_hash_table_new_full(NULL, NULL, NULL, count_free);

    for (unsigned i = 0; i < rows_count(rows); i++) {
        Count *count = g_new0(Count, 1);

        *count = (Count){ .says = rows_i64(rows, i, 1),
                          .has = rows_i64(rows, i, 2),
                          .others = rows_i64(rows, i, 3),
                          .name = g_strdup(rows_text(rows, i, 4)) };
        g_hash_table_insert(counts, GUINT_TO_POINTER((guint)rows_u64(rows, i, 0)), count);
    }
    return counts;
}

static bool tell_miscounted(Evidence *evidence, const Versus *versus, uint32_t folder,
                            const Count *count, const Count *old, GError **error)
{
    g_autofree char *key = g_strdup_printf("%" PRIu32, folder);
    g_autofree char *reason = g_strdup_printf(
        "its count says %" G_GINT64_FORMAT " items and %" G_GINT64_FORMAT
        " are there; in the old copy it said %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT,
        count->says, count->has, old->says, old->has);

    id_set_add(evidence->miscounted, folder);
    return versus_tell(versus,
                       &(VerifyItem){ .mark = MARK_BAD,
                                      .alarm = true,
                                      .table = "mail_item",
                                      .key = key,
                                      .name = count->name,
                                      .reason = reason },
                       error);
}

/* A folder whose count is off by as much as in the old copy was so before. */
static bool counts_fit(const Count *count, const Count *was)
{
    const int64_t off = (count->says - count->has) - (was->says - was->has);
    const int64_t others = count->others - was->others;

    return off >= MIN(others, 0) && off <= MAX(others, 0);
}

static bool count_folders(Evidence *evidence, const Versus *versus, GError **error)
{
    g_autoptr(GHashTable) old = NULL, new = NULL;
    GString *text[2] = { g_string_new(NULL), g_string_new(NULL) };
    GHashTableIter iter;
    gpointer folder, value;
    bool ok = true;
    Rows *rows[2];

    for (int side = 0; side < 2; side++) {
        const uint32_t mailbox =
            side == SIDE_SOURCE ? versus->map->source_mailbox : versus->map->target_mailbox;

        g_string_append_printf(text[side],
                               "SELECT f.id,f.size,IFNULL(c.n,0),IFNULL(c.o,0),f.name FROM"
                               " mboxgroup%u.mail_item f LEFT JOIN (SELECT folder_id,"
                               "SUM(type IN (" COUNTED_TYPES ")) AS n,"
                               "SUM(type NOT IN (" COUNTED_TYPES
                               ")) AS o FROM mboxgroup%u.mail_item"
                               " WHERE mailbox_id=%" PRIu32 " GROUP BY folder_id) c"
                               " ON c.folder_id=f.id WHERE f.mailbox_id=%" PRIu32 " AND f.type=1",
                               versus->group[side], versus->group[side], mailbox, mailbox);
    }
    if (!versus_ask(versus, text, rows, error))
        return false;
    old = folder_counts(rows[SIDE_SOURCE]);
    new = folder_counts(rows[SIDE_TARGET]);
    rows_free_both(rows);
    g_hash_table_iter_init(&iter, new);
    while (ok && g_hash_table_iter_next(&iter, &folder, &value)) {
        const Count *count = value, *was = g_hash_table_lookup(old, folder);

        if (was != NULL && !counts_fit(count, was))
            ok = tell_miscounted(evidence, versus, GPOINTER_TO_UINT(folder), count, was, error);
    }
    return ok;
}

Evidence evidence_new(const Versus *versus)
{
    return (Evidence){ .since = { .change = versus->change, .stray = versus->stray },
                       .tombstones = g_hash_table_new(NULL, NULL),
                       .miscounted = g_hash_table_new(NULL, NULL) };
}

void evidence_clear(Evidence *evidence)
{
    g_hash_table_unref(evidence->tombstones);
    g_hash_table_unref(evidence->miscounted);
}

bool evidence_read(Evidence *evidence, const Versus *versus, GError **error)
{
    return read_tombstones(evidence, versus, error) && read_tracking(evidence, versus, error) &&
           (versus->stray || count_folders(evidence, versus, error));
}
