/* late.c - pending_acl_push and scheduled_task (doc/platform.md 5.6). Mailboxd deletes rows of the
 * first while the mailbox is locked, at both ends, and the second is read only at its start; so
 * both are read before the lock and again inside it, the union is kept durably at the destination
 * in tables like the originals, keyed by the reserved id, and inserted after the commit. After a
 * crash it is nowhere else. */
#include "core/move/move.h"

#define STATEMENT_BYTES (256 * 1024) /* far below any max_allowed_packet */

/* clang-format off */
static const struct {
    const char *table, *columns;
    const char *fresh; /* what goes into the live table; pending_acl_push wants a date of now (ms) */
} late_tables[] = {
    { "scheduled_task", "class_name, name, exec_time, interval_millis, metadata",
      "class_name, name, exec_time, interval_millis, metadata" },
    { "pending_acl_push", "item_id, date",
      "item_id, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS UNSIGNED)" },
};
/* clang-format on */

static char *kept_in(const char *table)
{
    return g_strdup_printf("zxmove.late_%s", table);
}

static bool read_table(Move *move, guint t, GError **error)
{
    g_autofree char *kept = kept_in(late_tables[t].table);
    g_autoptr(Rows) rows =
        db_query(move->source->control, error, "SELECT ? FROM zimbra.? WHERE mailbox_id = ?",
                 DB_ARGS(db_sql(late_tables[t].columns), db_sql(late_tables[t].table),
                         db_u64(move->source_mailbox)));
    g_autoptr(GString) sql = g_string_new(NULL);

    if (rows == NULL)
        return false;
    for (unsigned i = 0; i < rows_count(rows); i++) {
        if (sql->len > STATEMENT_BYTES) {
            if (!db_exec_bytes(move->target->control, NULL, error, sql->str, sql->len))
                return false;
            g_string_truncate(sql, 0);
        }
        if (sql->len == 0)
            g_string_append_printf(sql, "REPLACE INTO %s (mailbox_id, %s) VALUES ", kept,
                                   late_tables[t].columns);
        else
            g_string_append(sql, ", ");
        g_string_append_printf(sql, "(%u", move->target_mailbox);
        for (unsigned c = 0; c < rows_columns(rows); c++) {
            size_t length = 0;
            const char *bytes = rows_bytes(rows, i, c, &length);

            g_string_append(sql, ", ");
            db_quote(move->target->control, sql, bytes, length);
        }
        g_string_append_c(sql, ')');
    }
    return sql->len == 0 || db_exec_bytes(move->target->control, NULL, error, sql->str, sql->len);
}

bool late_read(Move *move, GError **error)
{
    for (guint t = 0; t < G_N_ELEMENTS(late_tables); t++)
        if (!read_table(move, t, error))
            return false;
    return true;
}

bool late_insert(Move *move, GError **error)
{
    for (guint t = 0; t < G_N_ELEMENTS(late_tables); t++) {
        g_autofree char *kept = kept_in(late_tables[t].table);

        /* REPLACE: a second try after a crash finds its own rows. */
        if (!db_exec(move->target->control, NULL, error,
                     "REPLACE INTO zimbra.? (mailbox_id, ?) SELECT mailbox_id, ? FROM ? WHERE "
                     "mailbox_id = ?",
                     DB_ARGS(db_sql(late_tables[t].table), db_sql(late_tables[t].columns),
                             db_sql(late_tables[t].fresh), db_sql(kept),
                             db_u64(move->target_mailbox))))
            return false;
    }
    return true;
}

bool late_forget(Move *move, GError **error)
{
    for (guint t = 0; t < G_N_ELEMENTS(late_tables); t++) {
        g_autofree char *kept = kept_in(late_tables[t].table);

        if (!db_exec(move->target->control, NULL, error, "DELETE FROM ? WHERE mailbox_id = ?",
                     DB_ARGS(db_sql(kept), db_u64(move->target_mailbox))))
            return false;
    }
    return true;
}
