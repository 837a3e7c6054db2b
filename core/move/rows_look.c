/* rows_look.c - numbers a mailbox has handed out, and rows that point nowhere; one statement each.
 */
#include "core/base/log.h"
#include "core/move/rows.h"
#include <inttypes.h>

#define MODS "GREATEST(IFNULL(MAX(mod_metadata),0),IFNULL(MAX(mod_content),0))"

/* Lines (item id, change number, mod_metadata, items, locators); "?" is the group's schema and the
 * mailbox, in turn. Both places of a locator count, so that two that change places show. */
static const char maxima_sql[] =
    "SELECT GREATEST(IFNULL(MAX(id),0),IFNULL(MAX(index_id),0),IFNULL(MAX(imap_id),0))," MODS ","
    "IFNULL(MAX(mod_metadata),0),COUNT(*),IFNULL(SUM(CRC32(CONCAT(id,':',locator))),0)"
    " FROM ?.mail_item WHERE mailbox_id=?"
    " UNION ALL SELECT"
    " GREATEST(IFNULL(MAX(id),0),IFNULL(MAX(index_id),0),IFNULL(MAX(imap_id),0))," MODS ","
    "0,0,IFNULL(SUM(CRC32(CONCAT(id,':',locator))),0) FROM ?.mail_item_dumpster WHERE mailbox_id=?"
    " UNION ALL SELECT IFNULL(MAX(item_id),0)," MODS
    ",0,0,IFNULL(SUM(CRC32(CONCAT(item_id,':',version,':',locator))),0)"
    " FROM ?.revision WHERE mailbox_id=?"
    " UNION ALL SELECT IFNULL(MAX(item_id),0)," MODS
    ",0,0,IFNULL(SUM(CRC32(CONCAT(item_id,':',version,':',locator))),0)"
    " FROM ?.revision_dumpster WHERE mailbox_id=?"
    " UNION ALL SELECT IFNULL(MAX(IF(id>0,id,0)),0),IFNULL(MAX(sequence),0),0,0,0"
    " FROM ?.tag WHERE mailbox_id=?"
    " UNION ALL SELECT 0,IFNULL(MAX(sequence),0),0,0,0 FROM ?.tombstone WHERE mailbox_id=?";

bool rows_maxima(Db *db, unsigned group, uint32_t mailbox, RowsMaxima *out, GError **error)
{
    g_autofree char *schema = g_strdup_printf("mboxgroup%u", group);
    const DbValue s = db_sql(schema), m = db_u64(mailbox);
    g_autoptr(Rows) rows =
        db_query(db, error, maxima_sql, DB_ARGS(s, m, s, m, s, m, s, m, s, m, s, m));

    if (rows == NULL)
        return false;
    *out = (RowsMaxima){ 0 };
    for (unsigned i = 0; i < rows_count(rows); i++) {
        out->item_id = MAX(out->item_id, rows_u64(rows, i, 0));
        out->change = MAX(out->change, rows_u64(rows, i, 1));
        out->mod_metadata += rows_u64(rows, i, 2);
        out->items += rows_u64(rows, i, 3);
        out->locators += rows_u64(rows, i, 4);
    }
    return true;
}

/* What foreign keys would have seen to (doc/platform.md 2.2). */
static const struct Reference {
    const char *from, *column, *to, *key;
    enum {
        EACH_ROW,
        FEW_VALUES, /* an index has the column's values in order, and they are far fewer than rows */
        ITEM_SETS,  /* never NULL: first sets of item ids, which cost a third, then each row */
    } how;
} references[] = {
    { "mail_item", "parent_id", "mail_item", "id", FEW_VALUES },
    { "mail_item", "folder_id", "mail_item", "id", FEW_VALUES },
    { "tagged_item", "tag_id", "tag", "id", FEW_VALUES },
    { "tagged_item", "item_id", "mail_item", "id", ITEM_SETS },
    { "open_conversation", "conv_id", "mail_item", "id", ITEM_SETS },
    { "appointment", "item_id", "mail_item", "id", ITEM_SETS },
    { "revision", "item_id", "mail_item", "id", ITEM_SETS },
    { "appointment_dumpster", "item_id", "mail_item_dumpster", "id", EACH_ROW },
    { "revision_dumpster", "item_id", "mail_item_dumpster", "id", EACH_ROW },
    { "imap_message", "imap_folder_id", "imap_folder", "item_id", EACH_ROW },
};

static const char *const located[] = { "mail_item", "mail_item_dumpster", "revision",
                                       "revision_dumpster" };

static void reference_append(GString *sql, const struct Reference *ref, unsigned group,
                             uint32_t mailbox)
{
    g_string_append_printf(sql, "SELECT '%s.%s',COUNT(*) FROM ", ref->from, ref->column);
    if (ref->how == FEW_VALUES)
        g_string_append_printf(
            sql,
            "(SELECT DISTINCT %s AS v FROM mboxgroup%u.%s WHERE mailbox_id=%" PRIu32
            ") f LEFT JOIN mboxgroup%u.%s t ON t.mailbox_id=%" PRIu32
            " AND t.%s=f.v WHERE f.v IS NOT NULL AND t.%s IS NULL",
            ref->column, group, ref->from, mailbox, group, ref->to, mailbox, ref->key, ref->key);
    else
        g_string_append_printf(sql,
                               "mboxgroup%u.%s f WHERE f.mailbox_id=%" PRIu32
                               " AND NOT EXISTS (SELECT 1 FROM mboxgroup%u.%s t"
                               " WHERE t.mailbox_id=%" PRIu32 " AND t.%s=f.%s)",
                               group, ref->from, mailbox, group, ref->to, mailbox, ref->key,
                               ref->column);
}

/* Lines (64 item ids, which of them are there as bits). */
static void set_append(GString *sql, const char *table, const char *column, unsigned group,
                       uint32_t mailbox)
{
    g_string_append_printf(sql,
                           "SELECT %s>>6 AS b,BIT_OR(1<<(%s&63)) AS ids FROM mboxgroup%u.%s"
                           " WHERE mailbox_id=%" PRIu32 " GROUP BY b",
                           column, column, group, table, mailbox);
}

/* How many item ids are named and are not there: none only if each row has what it names. */
static void sets_append(GString *sql, unsigned group, uint32_t mailbox)
{
    const char *between = "";

    /* Sets have 64 bits and no sign: they meet no other number. */
    g_string_append(sql, "SELECT 'items',IFNULL(SUM(IF(t.ids IS NULL,BIT_COUNT(f.ids),"
                         "BIT_COUNT(f.ids&~t.ids))),0) FROM (");
    for (unsigned i = 0; i < G_N_ELEMENTS(references); i++) {
        if (references[i].how != ITEM_SETS)
            continue;
        g_string_append(sql, between);
        set_append(sql, references[i].from, references[i].column, group, mailbox);
        between = " UNION ALL ";
    }
    g_string_append(sql, ") f LEFT JOIN (");
    set_append(sql, "mail_item", "id", group, mailbox);
    g_string_append(sql, ") t ON t.b=f.b");
}

/* Not @exact: 0 in every line, or there are some. */
static char *orphans_sql(unsigned group, uint32_t mailbox, bool exact)
{
    GString *sql = g_string_new(NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(references); i++) {
        if (!exact && references[i].how == ITEM_SETS)
            continue;
        reference_append(sql, &references[i], group, mailbox);
        g_string_append(sql, " UNION ALL ");
    }
    if (!exact) {
        sets_append(sql, group, mailbox);
        g_string_append(sql, " UNION ALL ");
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(located); i++)
        g_string_append_printf(sql,
                               "%sSELECT '%s.locator',COUNT(*) FROM mboxgroup%u.%s"
                               " WHERE mailbox_id=%" PRIu32 " AND CAST(locator AS BINARY) NOT IN"
                               " (SELECT CAST(id AS BINARY) FROM zimbra.volume)",
                               i > 0 ? " UNION ALL " : "", located[i], group, located[i], mailbox);
    return g_string_free(sql, FALSE);
}

bool rows_orphans_send(Db *db, unsigned group, uint32_t mailbox, GError **error)
{
    g_autofree char *sql = orphans_sql(group, mailbox, false);

    return db_send(db, error, sql, DB_NONE);
}

static bool any_orphans(const Rows *lines)
{
    for (unsigned i = 0; i < rows_count(lines); i++)
        if (rows_u64(lines, i, 1) > 0)
            return true;
    return false;
}

bool rows_orphans_receive(Db *db, unsigned group, uint32_t mailbox, uint64_t *count, GError **error)
{
    g_autoptr(Rows) first = db_receive(db, error);
    g_autoptr(Rows) rows = NULL;
    g_autofree char *sql = NULL;

    if (first == NULL)
        return false;
    *count = 0;
    if (!any_orphans(first))
        return true;
    sql = orphans_sql(group, mailbox, true);
    rows = db_query(db, error, sql, DB_NONE);
    if (rows == NULL)
        return false;
    for (unsigned i = 0; i < rows_count(rows); i++) {
        if (rows_u64(rows, i, 1) == 0)
            continue;
        *count += rows_u64(rows, i, 1);
        log_info("%s, mailbox %" PRIu32 ": %s points nowhere (%s times)", db_name(db), mailbox,
                 rows_text(rows, i, 0), rows_text(rows, i, 1));
    }
    return true;
}

bool rows_orphans(Db *db, unsigned group, uint32_t mailbox, uint64_t *count, GError **error)
{
    return rows_orphans_send(db, group, mailbox, error) &&
           rows_orphans_receive(db, group, mailbox, count, error);
}
