/* items.c - blobs of a mailbox that are not as their rows say: the gate before the window, the
 * record that a purge of the old copy asks for, and the list for the report. */
#include "core/base/log.h"
#include "core/move/move.h"
#include <string.h>

#define WHAT_MAX        255          /* zxmove.bad_item.what */
#define STATEMENT_BYTES (256 * 1024) /* far below any max_allowed_packet */
#define LISTED_MAX      1000 /* of a mailbox: folder and subject are asked for in one question */

bool items_gate(Move *move, GError **error)
{
    BlobsJob job = copy_blobs_job(move, false);
    g_autofree char *refusal = blobs_refusal(&job, move->trouble);

    return refusal == NULL || fail(error, ZX_ERROR_DATA, "%s", refusal);
}

static bool forget(Move *move, GError **error)
{
    return db_exec(move->target->data, NULL, error,
                   "DELETE FROM zxmove.bad_item WHERE account_id = ?",
                   DB_ARGS(db_text(move->account->id)));
}

bool items_forget(Move *move, GError **error)
{
    move->bad_recorded = false;
    return forget(move, error);
}

static void append_row(const Move *move, GString *sql, const BlobTrouble *one)
{
    g_autofree char *what = g_utf8_make_valid(one->what, (gssize)strnlen(one->what, WHAT_MAX));

    g_string_append(sql, sql->len > 0 ? ", ("
                                      : "REPLACE INTO zxmove.bad_item (account_id, item_id,"
                                        " mod_content, what) VALUES (");
    db_quote(move->target->data, sql, move->account->id, strlen(move->account->id));
    g_string_append_printf(sql, ", %u, %u, ", one->item_id, one->mod_content);
    db_quote(move->target->data, sql, what, strlen(what));
    g_string_append_c(sql, ')');
}

/* What the old copy has and the new one has not: durable before the commit, for the old copy must
 * not be purged by anybody who does not know of it. The user waits for it: many in one statement.
 */
bool items_record(Move *move, GError **error)
{
    Db *db = move->target->data;
    g_autoptr(GString) sql = g_string_new(NULL);

    if (move->bad_recorded && !forget(move, error))
        return false;
    move->bad_recorded = false;
    for (guint i = 0; i < move->trouble->len; i++) {
        const BlobTrouble *one = g_ptr_array_index(move->trouble, i);

        if (one->kind == TROUBLE_BEFORE)
            continue;
        move->bad_recorded = true;
        append_row(move, sql, one);
        if (sql->len < STATEMENT_BYTES)
            continue;
        if (!db_exec_bytes(db, NULL, error, sql->str, sql->len))
            return false;
        g_string_truncate(sql, 0);
    }
    return sql->len == 0 || db_exec_bytes(db, NULL, error, sql->str, sql->len);
}

bool items_recorded(Move *move, unsigned *count, GError **error)
{
    g_autoptr(Rows) rows = db_query_one(move->target->control, error,
                                        "SELECT COUNT(*) FROM zxmove.bad_item WHERE account_id = ?",
                                        DB_ARGS(db_text(move->account->id)));

    if (rows != NULL)
        *count = (unsigned)rows_u64(rows, 0, 0);
    return rows != NULL;
}

static void add_item(Move *move, uint32_t item_id, uint32_t mod_content, bool before,
                     const char *cause)
{
    BadItem *item = g_new0(BadItem, 1);

    item->item_id = item_id;
    item->mod_content = mod_content;
    item->damaged_before = before;
    item->cause = g_strdup(cause);
    g_ptr_array_add(move->result->bad_items, item);
}

/* By its row at the source, or in the dumpster there: what a person knows it by. */
static void name_items(Move *move)
{
    g_autoptr(GString) ids = g_string_new(NULL);
    g_autofree char *group = g_strdup_printf("mboxgroup%u", move->source_group);
    g_autoptr(Rows) rows = NULL;
    GPtrArray *items = move->result->bad_items;
    GError *problem = NULL;

    for (guint i = 0; i < MIN(items->len, LISTED_MAX); i++)
        g_string_append_printf(ids, "%s%u", i > 0 ? "," : "",
                               ((const BadItem *)g_ptr_array_index(items, i))->item_id);
    rows = db_query(
        move->source->control, &problem,
        "SELECT i.id, COALESCE(i.name, i.subject), f.name FROM"
        " (SELECT id, mailbox_id, folder_id, name, subject FROM ?.mail_item"
        "   WHERE mailbox_id = ? AND id IN (?)"
        "  UNION ALL SELECT id, mailbox_id, folder_id, name, subject FROM ?.mail_item_dumpster"
        "   WHERE mailbox_id = ? AND id IN (?)) i"
        " LEFT JOIN ?.mail_item f ON f.mailbox_id = i.mailbox_id AND f.id = i.folder_id",
        DB_ARGS(db_sql(group), db_u64(move->source_mailbox), db_sql(ids->str), db_sql(group),
                db_u64(move->source_mailbox), db_sql(ids->str), db_sql(group)));
    if (rows == NULL) {
        log_debug("names of items: %s", problem->message);
        g_error_free(problem);
        return;
    }
    for (unsigned r = 0; r < rows_count(rows); r++)
        for (guint i = 0; i < MIN(items->len, LISTED_MAX); i++) {
            BadItem *item = g_ptr_array_index(items, i);

            if (item->item_id != rows_u64(rows, r, 0) || item->subject != NULL)
                continue;
            item->subject = g_strdup(rows_text(rows, r, 1));
            item->folder = g_strdup(rows_text(rows, r, 2));
        }
}

void items_list(Move *move)
{
    g_ptr_array_set_size(move->result->bad_items, 0);
    for (guint i = 0; i < move->trouble->len; i++) {
        const BlobTrouble *one = g_ptr_array_index(move->trouble, i);

        add_item(move, one->item_id, one->mod_content, one->kind == TROUBLE_BEFORE, one->what);
    }
    if (move->result->bad_items->len > 0 && move->source->control != NULL)
        name_items(move);
}

/* Both kinds as the last round recorded them: a recovery has seen no round. */
bool items_restore(Move *move, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(move->target->control, error,
                 "SELECT item_id, mod_content, what, 0 FROM zxmove.bad_item WHERE account_id = ?"
                 " UNION ALL SELECT item_id, mod_content, damaged, 1 FROM zxmove.staged"
                 " WHERE account_id = ? AND damaged IS NOT NULL ORDER BY 4, 1, 2",
                 DB_ARGS(db_text(move->account->id), db_text(move->account->id)));

    if (rows == NULL)
        return false;
    g_ptr_array_set_size(move->trouble, 0);
    for (unsigned i = 0; i < rows_count(rows); i++) {
        BlobTrouble *one = g_new0(BlobTrouble, 1);

        one->item_id = (uint32_t)rows_u64(rows, i, 0);
        one->mod_content = (uint32_t)rows_u64(rows, i, 1);
        one->what = g_strdup(rows_text(rows, i, 2));
        one->kind = rows_u64(rows, i, 3) != 0 ? TROUBLE_BEFORE : TROUBLE_NOT_COPIED;
        g_ptr_array_add(move->trouble, one);
    }
    return true;
}
