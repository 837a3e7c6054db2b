/* recent.c - see recent.h. */
#include "core/ops/recent.h"
#include <string.h>

/* @prefix as a pattern of LIKE. */
static char *pattern_of(const char *prefix)
{
    GString *pattern = g_string_new(NULL);

    for (; *prefix != '\0'; prefix++) {
        if (strchr("%_\\", *prefix) != NULL)
            g_string_append_c(pattern, '\\');
        g_string_append_c(pattern, *prefix);
    }
    g_string_append_c(pattern, '%');
    return g_string_free(pattern, FALSE);
}

/* Rows of text and meaning to @names. */
static bool add_rows(GPtrArray *names, Db *db, const char *prefix, unsigned limit, const char *sql,
                     GError **error)
{
    g_autofree char *pattern = pattern_of(prefix);
    g_autoptr(Rows) rows = db_query(db, error, sql, DB_ARGS(db_text(pattern), db_u64(limit)));

    if (rows == NULL)
        return false;
    for (unsigned i = 0; i < rows_count(rows) && names->len < limit; i++)
        g_ptr_array_add(names, name_new(rows_text(rows, i, 0), rows_text(rows, i, 1)));
    return true;
}

static bool has_records(Db *db, bool *known, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(db, error,
                 "SELECT TABLE_NAME FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'zxmove'"
                 " AND TABLE_NAME IN ('operation', 'fence', 'moved')",
                 DB_NONE);

    if (rows == NULL)
        return false;
    *known = rows_count(rows) == 3;
    return true;
}

GPtrArray *recent_operations(Db *db, const char *prefix, unsigned limit, GError **error)
{
    g_autoptr(GPtrArray) names = names_new();
    g_autofree char *lower = g_ascii_strdown(prefix, -1);
    bool known;

    if (!has_records(db, &known, error))
        return NULL;
    if (known &&
        (!add_rows(names, db, lower, limit,
                   "SELECT operation, CONCAT('unfinished: ', MIN(address),"
                   " IF(COUNT(*) > 1, CONCAT(' and ', COUNT(*) - 1, ' more'), ''))"
                   " FROM zxmove.fence WHERE state NOT IN ('done', 'undone')"
                   " AND operation LIKE ? GROUP BY operation ORDER BY MIN(made) DESC LIMIT ?",
                   error) ||
         !add_rows(names, db, lower, limit,
                   "SELECT uuid, CONCAT(verb, ', ', state, ', ',"
                   " DATE_FORMAT(started, '%Y-%m-%d %H:%i UTC'))"
                   " FROM zxmove.operation WHERE uuid LIKE ? ORDER BY started DESC LIMIT ?",
                   error)))
        return NULL;
    return g_steal_pointer(&names);
}

GPtrArray *recent_old_copies(Db *db, const char *prefix, unsigned limit, GError **error)
{
    g_autoptr(GPtrArray) names = names_new();
    bool known;

    if (!has_records(db, &known, error))
        return NULL;
    if (known &&
        (!add_rows(names, db, prefix, limit,
                   "SELECT batch_name, CONCAT('batch of ', COUNT(*), IF(COUNT(*) = 1, ' mailbox',"
                   " ' mailboxes')) FROM zxmove.moved WHERE state IN ('kept', 'purging')"
                   " AND batch_name LIKE ? GROUP BY batch_name ORDER BY MAX(committed) DESC LIMIT ?",
                   error) ||
         !add_rows(names, db, prefix, limit,
                   "SELECT address, CONCAT('moved to ', moved_to, ' ',"
                   " DATE_FORMAT(committed, '%Y-%m-%d')) FROM zxmove.moved"
                   " WHERE state IN ('kept', 'purging') AND address LIKE ?"
                   " ORDER BY committed DESC LIMIT ?",
                   error)))
        return NULL;
    return g_steal_pointer(&names);
}
