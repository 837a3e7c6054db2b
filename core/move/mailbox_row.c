/* mailbox_row.c - the one row that makes a mailbox exist: zimbra.mailbox
 * (doc/platform.md 2.1, 2.5). It is written last, in the window; until then a restart of the
 * destination maps nothing. The destination's other connection may be at work meanwhile. */
#include "core/move/catalogue.h"
#include "core/move/move.h"
#include <string.h>

#define ITEM_STEP 20 /* ITEM_CHECKPOINT_INCREMENT */

typedef struct Cell {
    char *column;
    char *bytes; /* NULL: SQL NULL */
    size_t length;
} Cell;

static void cell_free(Cell *cell)
{
    g_free(cell->column);
    g_free(cell->bytes);
    g_free(cell);
}

bool mailbox_row_find(Db *db, const char *account_id, uint32_t *id, unsigned *group,
                      unsigned *index_volume, GError **error)
{
    g_autoptr(Rows) rows = db_query(
        db, error, "SELECT id, group_id, index_volume_id FROM zimbra.mailbox WHERE account_id = ?",
        DB_ARGS(db_text(account_id)));

    if (rows == NULL)
        return false;
    *id = 0;
    if (rows_count(rows) == 0)
        return true;
    *id = (uint32_t)rows_u64(rows, 0, 0);
    if (group != NULL)
        *group = (unsigned)rows_u64(rows, 0, 1);
    if (index_volume != NULL)
        *index_volume = (unsigned)rows_u64(rows, 0, 2);
    return true;
}

/* "`id`, `group_id`, ..." */
static char *column_list(const Move *move)
{
    const GPtrArray *names = move->catalogue->mailbox;
    GString *list = g_string_new(NULL);

    for (guint i = 0; i < names->len; i++)
        g_string_append_printf(list, "%s`%s`", i > 0 ? ", " : "",
                               (const char *)g_ptr_array_index(names, i));
    return g_string_free(list, FALSE);
}

/* What mailboxd would make of a stored checkpoint at its next start: the end of its block (2.5). */
static uint64_t block_end(uint64_t value, unsigned step)
{
    return value - value % step + step - 1;
}

/* The translated value of a column, or NULL to leave it as it is. */
static char *translated(const Move *move, const char *column, uint64_t value)
{
    const RowsMaxima *maxima = &move->proven;

    if (strcmp(column, "id") == 0)
        return g_strdup_printf("%u", move->target_mailbox);
    if (strcmp(column, "group_id") == 0)
        return g_strdup_printf("%u", move->target_group);
    if (strcmp(column, "index_volume_id") == 0)
        return g_strdup_printf("%u", move->index_volume);
    if (strcmp(column, "item_id_checkpoint") == 0)
        return g_strdup_printf("%" G_GUINT64_FORMAT,
                               MAX(block_end(value, ITEM_STEP), maxima->item_id));
    if (strcmp(column, "change_checkpoint") == 0)
        return g_strdup_printf("%" G_GUINT64_FORMAT,
                               MAX(block_end(value, move->source->change_step), maxima->change));
    if (strcmp(column, "itemcache_checkpoint") == 0) /* part of a memcached key (5.7) */
        return g_strdup_printf("%" G_GUINT64_FORMAT, value + 1);
    return NULL;
}

/* The row as it must stand at the destination (of Cell), from the source's: of the snapshot that
 * move->proven was read in. */
static GPtrArray *expected_row(Move *move, GError **error)
{
    const GPtrArray *names = move->catalogue->mailbox;
    g_autofree char *columns = column_list(move);
    g_autoptr(Rows) row =
        db_query_one(move->source->data, error, "SELECT ? FROM zimbra.mailbox WHERE id = ?",
                     DB_ARGS(db_sql(columns), db_u64(move->source_mailbox)));
    GPtrArray *cells;

    if (row == NULL)
        return NULL;
    cells = g_ptr_array_new_with_free_func((GDestroyNotify)cell_free);
    for (unsigned i = 0; i < names->len; i++) {
        Cell *cell = g_new0(Cell, 1);
        const char *bytes = rows_bytes(row, 0, i, &cell->length);

        cell->column = g_strdup(g_ptr_array_index(names, i));
        cell->bytes = translated(move, cell->column, rows_u64(row, 0, i));
        if (cell->bytes != NULL)
            cell->length = strlen(cell->bytes);
        else if (bytes != NULL &&
                 strcmp(cell->column, "last_backup_at") != 0) /* NULL forces a full backup */
            cell->bytes = g_strndup(bytes, cell->length);
        g_ptr_array_add(cells, cell);
    }
    return cells;
}

static void append_assignments(Db *db, GString *sql, const GPtrArray *cells)
{
    for (guint i = 0; i < cells->len; i++) {
        const Cell *cell = g_ptr_array_index(cells, i);

        g_string_append_printf(sql, "%s`%s` = ", i > 0 ? ", " : "", cell->column);
        db_quote(db, sql, cell->bytes, cell->length);
    }
}

/* "2.7" against "2.10": by parts. */
static int compare_versions(const char *a, const char *b)
{
    while (*a != '\0' || *b != '\0') {
        char *after_a, *after_b;
        guint64 left = g_ascii_strtoull(a, &after_a, 10), right = g_ascii_strtoull(b, &after_b, 10);

        if (left != right)
            return left < right ? -1 : 1;
        a = *after_a != '\0' ? after_a + 1 : after_a;
        b = *after_b != '\0' ? after_b + 1 : after_b;
    }
    return 0;
}

bool mailbox_row_version_fits(Move *move, GError **error)
{
    static const char sql[] =
        "SELECT DISTINCT version FROM zimbra.mailbox WHERE version IS NOT NULL";
    g_autoptr(Rows) own =
        db_query(move->source->control, error, "SELECT version FROM zimbra.mailbox WHERE id = ?",
                 DB_ARGS(db_u64(move->source_mailbox)));
    g_autoptr(Rows) there =
        own != NULL ? db_query(move->target->control, error, sql, DB_NONE) : NULL;
    const char *version, *highest = NULL;

    if (there == NULL)
        return false;
    version = rows_count(own) == 1 ? rows_text(own, 0, 0) : NULL;
    for (unsigned i = 0; i < rows_count(there); i++)
        if (highest == NULL || compare_versions(rows_text(there, i, 0), highest) > 0)
            highest = rows_text(there, i, 0);
    /* A store without mailboxes tells nothing of its highest; then db.version alone decides. */
    if (version == NULL || highest == NULL || compare_versions(version, highest) <= 0)
        return true;
    return fail(error, ZX_ERROR_REFUSED,
                "the mailbox has version %s, the newest on %s is %s: it would not open there. "
                "Upgrade %s first, or open"
                " one mailbox there if it is upgraded already",
                version, move->target->name, highest, move->target->name);
}

bool mailbox_row_write(Move *move, GError **error)
{
    Db *db = move->target->control;
    g_autoptr(GPtrArray) cells = expected_row(move, error);
    g_autoptr(GString) sql = g_string_new(NULL);
    uint32_t present;

    if (cells == NULL || !mailbox_row_find(db, move->account->id, &present, NULL, NULL, error))
        return false;
    if (present != 0 && present != move->target_mailbox)
        return fail(error, ZX_ERROR_CHANGED, "%s has a mailbox %u of %s that nothing explains",
                    move->target->name, present, move->account->address);
    g_string_append(sql, present != 0 ? "UPDATE zimbra.mailbox SET "
                                      : "INSERT INTO zimbra.mailbox SET ");
    append_assignments(db, sql, cells);
    if (present != 0)
        g_string_append_printf(sql, " WHERE id = %u", present);
    /* Zimbra does the same when it creates a mailbox (2.4). */
    if (!db_exec(db, NULL, error, "DELETE FROM zimbra.deleted_account WHERE email = ?",
                 DB_ARGS(db_text(move->account->address))))
        return false;
    move->row_inserted |= present == 0;
    return db_exec_bytes(db, NULL, error, sql->str, sql->len);
}

bool mailbox_row_prove(Move *move, bool *equal, char **difference, GError **error)
{
    g_autoptr(GPtrArray) cells = expected_row(move, error);
    g_autofree char *columns = column_list(move);
    g_autoptr(Rows) row = NULL;

    if (cells == NULL)
        return false;
    row =
        db_query(move->target->control, error, "SELECT ? FROM zimbra.mailbox WHERE account_id = ?",
                 DB_ARGS(db_sql(columns), db_text(move->account->id)));
    if (row == NULL)
        return false;
    *equal = rows_count(row) == 1;
    if (!*equal)
        *difference = g_strdup_printf("mailbox: %u rows for the account", rows_count(row));
    for (guint i = 0; i < cells->len && *equal; i++) {
        const Cell *cell = g_ptr_array_index(cells, i);
        size_t length = 0;
        const char *bytes = rows_bytes(row, 0, i, &length);

        *equal =
            (bytes == NULL) == (cell->bytes == NULL) &&
            (bytes == NULL || (length == cell->length && memcmp(bytes, cell->bytes, length) == 0));
        if (!*equal)
            *difference = g_strdup_printf("mailbox: column %s differs", cell->column);
    }
    return true;
}

/* Rows below it stay, for the next attempt: without the checks they neither forbid nor follow. */
bool mailbox_row_delete(Store *store, const char *account_id, uint32_t mailbox_id, GError **error)
{
    GError *ignored = NULL;
    bool done =
        db_exec(store->control, NULL, error, "SET SESSION foreign_key_checks = 0", DB_NONE) &&
        db_exec(store->control, NULL, error,
                "DELETE FROM zimbra.mailbox WHERE account_id = ? AND id = ?",
                DB_ARGS(db_text(account_id), db_u64(mailbox_id)));

    if (!db_exec(store->control, NULL, &ignored, "SET SESSION foreign_key_checks = 1", DB_NONE))
        g_clear_error(&ignored);
    return done;
}
