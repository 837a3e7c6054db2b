/* rows_id.c - what lies under a mailbox id on one store: asking, and removing it. */
#include "core/move/catalogue.h"
#include <inttypes.h>

enum { BATCH_ROWS = 5000 }; /* of one transaction: a store has other things to do */

/* Lines (index in @tables, rows); the zimbra.mailbox row is the line behind the last table. */
static Rows *count_rows(Db *db, const GPtrArray *tables, uint32_t mailbox, GError **error)
{
    g_autoptr(GString) sql = g_string_new(NULL);

    for (unsigned i = 0; i < tables->len; i++) {
        const KeyedTable *table = tables->pdata[i];

        if (table->policy == NULL || !table->policy->forever)
            g_string_append_printf(
                sql, "SELECT %u,COUNT(*) FROM %s WHERE mailbox_id=%" PRIu32 " UNION ALL ", i,
                table->name, mailbox);
    }
    g_string_append_printf(sql, "SELECT %u,COUNT(*) FROM zimbra.mailbox WHERE id=%" PRIu32,
                           tables->len, mailbox);
    return db_query(db, error, sql->str, DB_NONE);
}

bool rows_exist(Db *db, unsigned group, uint32_t mailbox, uint64_t *rows, char **table,
                GError **error)
{
    g_autoptr(GPtrArray) tables = keyed_tables_read(db, group, error);
    g_autoptr(Rows) counts = tables != NULL ? count_rows(db, tables, mailbox, error) : NULL;
    g_autofree char *some = NULL;

    if (counts == NULL)
        return false;
    *rows = 0;
    for (unsigned i = 0; i < rows_count(counts); i++) {
        const uint64_t which = rows_u64(counts, i, 0), count = rows_u64(counts, i, 1);

        *rows += count;
        if (count > 0 && some == NULL)
            some = g_strdup(which < tables->len ? ((KeyedTable *)tables->pdata[which])->name
                                                : "zimbra.mailbox");
    }
    if (table != NULL)
        *table = g_steal_pointer(&some);
    return true;
}

static bool check_unknown(Db *db, const GPtrArray *tables, uint32_t mailbox, GError **error)
{
    for (unsigned i = 0; i < tables->len; i++) {
        const KeyedTable *table = tables->pdata[i];
        g_autoptr(Rows) any = NULL;

        if (table->policy != NULL)
            continue;
        any = db_query(db, error, "SELECT 1 FROM ? WHERE mailbox_id = ? LIMIT 1",
                       DB_ARGS(db_sql(table->name), db_u64(mailbox)));
        if (any == NULL)
            return false;
        if (rows_count(any) > 0)
            return fail(error, ZX_ERROR_REFUSED,
                        "table %s of %s has rows of mailbox %" PRIu32
                        " and is not known to zxmove: nothing is removed",
                        table->name, db_name(db), mailbox);
    }
    return true;
}

static bool remove_table(Db *db, const KeyedTable *table, uint32_t mailbox, const Wait *wait,
                         uint64_t *removed, GError **error)
{
    uint64_t batch;

    for (;;) {
        int64_t since = g_get_monotonic_time();

        wait_tick(wait);
        if (!db_exec(db, &batch, error, "DELETE FROM ? WHERE mailbox_id = ? LIMIT ?",
                     DB_ARGS(db_sql(table->name), db_u64(mailbox), db_u64(BATCH_ROWS))))
            return false;
        *removed += batch;
        if (batch < BATCH_ROWS)
            return true;
        wait_rest(wait, since);
    }
}

static bool remove_all(Db *db, const GPtrArray *tables, uint32_t mailbox, const Wait *wait,
                       uint64_t *removed, GError **error)
{
    uint64_t row = 0;

    for (unsigned i = tables->len; i-- > 0;) {
        const KeyedTable *table = tables->pdata[i];

        if (table->policy != NULL && !table->policy->forever &&
            !remove_table(db, table, mailbox, wait, removed, error))
            return false;
    }
    if (!db_exec(db, &row, error, "DELETE FROM zimbra.mailbox WHERE id = ?",
                 DB_ARGS(db_u64(mailbox))))
        return false;
    *removed += row;
    return true;
}

bool rows_remove(Db *db, unsigned group, uint32_t mailbox, const Wait *wait, uint64_t *removed,
                 GError **error)
{
    g_autoptr(GPtrArray) tables = keyed_tables_read(db, group, error);
    uint64_t count = 0;
    bool ok;

    if (tables == NULL || !check_unknown(db, tables, mailbox, error) ||
        !db_exec(db, NULL, error, "SET SESSION foreign_key_checks = 0", DB_NONE))
        return false;
    ok = remove_all(db, tables, mailbox, wait, &count, error);
    if (removed != NULL)
        *removed = count;
    return db_exec(db, NULL, ok ? error : NULL, "SET SESSION foreign_key_checks = 1", DB_NONE) &&
           ok;
}

bool rows_remove_uncopied(Db *db, unsigned group, uint32_t mailbox, const Wait *wait,
                          GError **error)
{
    g_autoptr(GPtrArray) tables = keyed_tables_read(db, group, error);
    uint64_t count = 0;

    for (unsigned i = 0; tables != NULL && i < tables->len; i++) {
        const KeyedTable *table = tables->pdata[i];
        const Policy *policy = table->policy;

        if (policy != NULL && !policy->forever &&
            (policy->phase == ROWS_LATE || policy->phase == ROWS_SKIP) &&
            !remove_table(db, table, mailbox, wait, &count, error))
            return false;
    }
    return tables != NULL;
}
