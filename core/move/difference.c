/* difference.c - see difference.h. Both sides send key and fingerprint of each row; no row travels.
 * Of a multiset the key is the fingerprint, and what is compared is how many rows have it. */
#include "core/move/difference.h"
#include "core/move/buckets.h"
#include "core/move/fingerprint.h"
#include <string.h>

void difference_free(Difference *difference)
{
    if (difference == NULL)
        return;
    g_ptr_array_unref(difference->wrong);
    g_ptr_array_unref(difference->missing);
    g_free(difference);
}

/* What is compared beside the key: the last column. */
static const char *line_value(const Rows *lines, unsigned line)
{
    return rows_text(lines, line, rows_columns(lines) - 1);
}

static Difference *compare_lines(const Table *table, const Rows *source, const Rows *target)
{
    g_autoptr(GHashTable) theirs =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL); /* key -> line + 1 */
    Difference *difference = g_new0(Difference, 1);
    GHashTableIter iter;
    gpointer key;

    difference->wrong = g_ptr_array_new_with_free_func(g_free);
    difference->missing = g_ptr_array_new_with_free_func(g_free);
    difference->compared = rows_count(source);
    for (unsigned i = 0; i < rows_count(target); i++)
        g_hash_table_insert(theirs, key_literal(table, target, i), GUINT_TO_POINTER(i + 1));
    for (unsigned i = 0; i < rows_count(source); i++) {
        g_autofree char *ours = key_literal(table, source, i);
        const unsigned found = GPOINTER_TO_UINT(g_hash_table_lookup(theirs, ours));

        if (found == 0) {
            g_ptr_array_add(difference->missing, g_steal_pointer(&ours));
            continue;
        }
        if (strcmp(line_value(target, found - 1), line_value(source, i)) != 0) {
            g_ptr_array_add(difference->wrong, g_strdup(ours));
            g_ptr_array_add(difference->missing, g_strdup(ours));
        }
        g_hash_table_remove(theirs, ours);
    }
    g_hash_table_iter_init(&iter, theirs);
    while (g_hash_table_iter_next(&iter, &key, NULL))
        g_ptr_array_add(difference->wrong, g_strdup(key));
    return difference;
}

/* An answer without a fingerprint would compare as equal to nothing, or to anything. */
static bool check_lines(Db *db, const Table *table, const Rows *lines, GError **error)
{
    for (unsigned i = 0; i < rows_count(lines); i++)
        if (rows_text(lines, i, 0) == NULL || line_value(lines, i) == NULL)
            return fail(error, ZX_ERROR_DATA, "MariaDB of %s: a row of %s has no fingerprint",
                        db_name(db), table->policy->table);
    return true;
}

Difference *difference_read(Db *const db[2], const RowsMap *map, const Table *table,
                            const char *condition, GError **error)
{
    Difference *difference = NULL;
    Rows *lines[2];
    char *sql[2];
    bool ok;

    for (int side = 0; side < 2; side++) {
        const Selection rows = selection(table, side, map);
        GString *text = g_string_new(NULL);

        row_lines_append(text, &rows, condition);
        sql[side] = g_string_free(text, FALSE);
    }
    ok = ask_both(db, (const char *const[2]){ sql[0], sql[1] }, lines, error) &&
         check_lines(db[SIDE_SOURCE], table, lines[SIDE_SOURCE], error) &&
         check_lines(db[SIDE_TARGET], table, lines[SIDE_TARGET], error);
    if (ok)
        difference = compare_lines(table, lines[SIDE_SOURCE], lines[SIDE_TARGET]);
    for (int side = 0; side < 2; side++) {
        rows_free(lines[side]);
        g_free(sql[side]);
    }
    return difference;
}

char *difference_describe(const Difference *difference, Db *const db[2])
{
    const char *first;

    if (difference->missing->len > 0) {
        first = difference->missing->pdata[0];
        for (unsigned i = 0; i < difference->wrong->len; i++)
            if (strcmp(difference->wrong->pdata[i], first) == 0)
                return g_strdup_printf("row %s differs", first);
        return g_strdup_printf("row %s is missing on %s", first, db_name(db[SIDE_TARGET]));
    }
    if (difference->wrong->len > 0)
        return g_strdup_printf("row %s is on %s only", (char *)difference->wrong->pdata[0],
                               db_name(db[SIDE_TARGET]));
    return NULL;
}
