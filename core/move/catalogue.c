/* catalogue.c - reads the tables of both stores from INFORMATION_SCHEMA and joins them with the
 * policies. The one idea: whatever would be lost or changed on the way is found here, before the
 * first row travels, and refused with the name of its column (doc/platform.md 2.9, hazards 14, 27).
 */
#include "core/move/catalogue.h"
#include <string.h>

/* Statements carry what one row may hold, and a fingerprint is made of a string as long as that. */
enum { PACKET_NEEDED = 1024 * 1024 };

enum { CATALOGUE_TRIES = 20, CATALOGUE_PAUSE_US = 50 * 1000 };

typedef struct StoreColumn {
    char *name, *data_type, *full_type, *charset;  /* charset NULL: bytes or no text */
    bool nullable, has_default, generated, counts; /* counts: AUTO_INCREMENT */
} StoreColumn;

typedef struct StoreTable {
    char *schema, *name;
    bool store_wide;
    GPtrArray *columns; /* of StoreColumn */
} StoreTable;

static void store_column_free(StoreColumn *column)
{
    g_free(column->name);
    g_free(column->data_type);
    g_free(column->full_type);
    g_free(column->charset);
    g_free(column);
}

static void store_table_free(StoreTable *table)
{
    g_free(table->schema);
    g_free(table->name);
    g_ptr_array_unref(table->columns);
    g_free(table);
}

static void column_free(Column *column)
{
    g_free(column->name);
    g_free(column->convert);
    g_free(column);
}

static void table_free(Table *table)
{
    g_free(table->name[SIDE_SOURCE]);
    g_free(table->name[SIDE_TARGET]);
    g_ptr_array_unref(table->columns);
    g_free(table);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Table, table_free)

static void keyed_table_free(KeyedTable *table)
{
    g_free(table->name);
    g_free(table);
}

/* An identifier that needs no escaping anywhere. */
static bool check_name(Db *db, const char *name, GError **error)
{
    for (const char *p = name; *p != '\0'; p++)
        if (!g_ascii_isalnum(*p) && *p != '_' && *p != '$')
            return fail(
                error, ZX_ERROR_REFUSED,
                "MariaDB of %s: a table or column is called \"%s\": only letters, digits, _ "
                "and $ are expected",
                db_name(db), name);
    return *name != '\0' ||
           fail(error, ZX_ERROR_REFUSED, "MariaDB of %s: a name is empty", db_name(db));
}

static StoreColumn *store_column(const Rows *rows, unsigned row)
{
    StoreColumn *column = g_new0(StoreColumn, 1);
    g_autofree char *extra = g_ascii_strup(rows_text(rows, row, 8), -1);

    column->name = g_strdup(rows_text(rows, row, 2));
    column->data_type = g_ascii_strdown(rows_text(rows, row, 3), -1);
    column->full_type = g_ascii_strdown(rows_text(rows, row, 4), -1);
    column->nullable = g_ascii_strcasecmp(rows_text(rows, row, 5), "YES") == 0;
    column->has_default = rows_u64(rows, row, 6) != 0;
    column->charset = g_strdup(rows_text(rows, row, 7));
    if (g_strcmp0(column->charset, "utf8mb3") == 0) { /* the name newer servers give it */
        g_free(column->charset);
        column->charset = g_strdup("utf8");
    }
    column->generated = strstr(extra, "GENERATED") != NULL || strstr(extra, "VIRTUAL") != NULL ||
                        strstr(extra, "PERSISTENT") != NULL;
    column->counts = strstr(extra, "AUTO_INCREMENT") != NULL;
    return column;
}

static bool take_columns(Db *db, const Rows *rows, GPtrArray *tables, GError **error)
{
    StoreTable *table = NULL;

    for (unsigned i = 0; i < rows_count(rows); i++) {
        const char *in = rows_text(rows, i, 0), *name = rows_text(rows, i, 1);

        if (!check_name(db, name, error) || !check_name(db, rows_text(rows, i, 2), error))
            return false;
        if (table == NULL || strcmp(table->name, name) != 0) {
            table = g_new0(StoreTable, 1);
            table->schema = g_strdup(in);
            table->name = g_strdup(name);
            table->store_wide = strcmp(in, "zimbra") == 0;
            table->columns = g_ptr_array_new_with_free_func((GDestroyNotify)store_column_free);
            g_ptr_array_add(tables, table);
        }
        g_ptr_array_add(table->columns, store_column(rows, i));
    }
    return true;
}

/* One schema by its name: asked for several at once the server opens every table it has. One that
 * is just being altered (flush_enforcer, by mailboxd itself) it leaves out, with a warning: asked
 * again. */
static Rows *columns_read(Db *db, const char *schema, GError **error)
{
    for (int i = 1;; i++) {
        GError *problem = NULL;
        Rows *rows =
            db_query(db, &problem,
                     "SELECT c.TABLE_SCHEMA, c.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE,"
                     " c.COLUMN_TYPE, c.IS_NULLABLE, c.COLUMN_DEFAULT IS NOT NULL,"
                     " c.CHARACTER_SET_NAME, c.EXTRA"
                     " FROM INFORMATION_SCHEMA.COLUMNS c JOIN INFORMATION_SCHEMA.TABLES t"
                     " ON t.TABLE_NAME = c.TABLE_NAME"
                     " WHERE c.TABLE_SCHEMA = ? AND t.TABLE_SCHEMA = ?"
                     " AND t.TABLE_TYPE = 'BASE TABLE' ORDER BY c.TABLE_NAME, c.COLUMN_NAME",
                     DB_ARGS(db_text(schema), db_text(schema)));

        if (rows != NULL)
            return rows;
        if (error_code(problem) != ZX_ERROR_DATA || i == CATALOGUE_TRIES) {
            g_propagate_error(error, problem);
            return NULL;
        }
        g_error_free(problem);
        g_usleep(CATALOGUE_PAUSE_US);
    }
}

static GPtrArray *store_tables_read(Db *db, unsigned group, GError **error)
{
    g_autofree char *schema = g_strdup_printf("mboxgroup%u", group);
    g_autoptr(GPtrArray) tables = g_ptr_array_new_with_free_func((GDestroyNotify)store_table_free);
    const char *const schemas[] = { schema, "zimbra" };

    for (unsigned i = 0; i < G_N_ELEMENTS(schemas); i++) {
        g_autoptr(Rows) rows = columns_read(db, schemas[i], error);

        if (rows == NULL || !take_columns(db, rows, tables, error))
            return NULL;
    }
    return g_steal_pointer(&tables);
}

static const StoreColumn *store_table_column(const StoreTable *table, const char *name)
{
    for (unsigned i = 0; i < table->columns->len; i++) {
        const StoreColumn *column = table->columns->pdata[i];

        if (g_ascii_strcasecmp(column->name, name) == 0)
            return column;
    }
    return NULL;
}

static const StoreTable *store_tables_find(const GPtrArray *tables, bool store_wide,
                                           const char *name)
{
    for (unsigned i = 0; i < tables->len; i++) {
        const StoreTable *table = tables->pdata[i];

        if (table->store_wide == store_wide && strcmp(table->name, name) == 0)
            return table;
    }
    return NULL;
}

static const StoreTable *find_of(const GPtrArray *tables, const Policy *policy)
{
    return store_tables_find(tables, policy->store_wide, policy->table);
}

static bool check_all_known(Db *db, const GPtrArray *tables, GError **error)
{
    for (unsigned i = 0; i < tables->len; i++) {
        const StoreTable *table = tables->pdata[i];

        if (store_table_column(table, "mailbox_id") != NULL &&
            policy_find(table->store_wide, table->name) == NULL)
            return fail(error, ZX_ERROR_REFUSED,
                        "table %s.%s of %s has a mailbox_id and is not known to zxmove: its rows "
                        "would stay behind",
                        table->schema, table->name, db_name(db));
    }
    return true;
}

/* Whether any row of the source's mailbox fulfils @condition. */
static bool any_row(Db *db, const StoreTable *table, uint32_t mailbox, const char *condition,
                    bool *any, GError **error)
{
    g_autofree char *name = g_strdup_printf("`%s`.`%s`", table->schema, table->name);
    g_autoptr(Rows) rows =
        db_query(db, error, "SELECT 1 FROM ? WHERE mailbox_id = ? AND (?) LIMIT 1",
                 DB_ARGS(db_sql(name), db_u64(mailbox), db_sql(condition)));

    if (rows == NULL)
        return false;
    *any = rows_count(rows) > 0;
    return true;
}

static bool check_absent_at_target(Db *source, Db *target, const StoreTable *table,
                                   const StoreColumn *column, uint32_t mailbox, GError **error)
{
    const bool may_default = column->has_default || column->nullable;
    g_autofree char *condition =
        may_default ? g_strdup_printf("NOT (`%s` <=> DEFAULT(`%s`))", column->name, column->name)
                    : g_strdup("1");
    bool any;

    if (column->generated)
        return true;
    if (!any_row(source, table, mailbox, condition, &any, error))
        return false;
    return !any || fail(error, ZX_ERROR_REFUSED,
                        "column %s.%s.%s of %s holds data of this mailbox and is missing on %s",
                        table->schema, table->name, column->name, db_name(source), db_name(target));
}

static ColumnKind column_kind(const StoreColumn *column)
{
    static const char *const numbers[] = {
        "tinyint", "smallint", "mediumint", "int", "bigint", NULL
    };
    static const char *const times[] = { "date", "datetime", "timestamp", "time", "year", NULL };

    if (g_strv_contains(numbers, column->data_type))
        return COLUMN_NUMBER;
    return g_strv_contains(times, column->data_type) ? COLUMN_TIME : COLUMN_BYTES;
}

static bool holds_text(const StoreColumn *column)
{
    static const char *const types[] = { "char",       "varchar",   "tinytext", "text",
                                         "mediumtext", "longtext",  "enum",     "set",
                                         "binary",     "varbinary", "tinyblob", "blob",
                                         "mediumblob", "longblob",  NULL };

    return g_strv_contains(types, column->data_type);
}

/* Do the texts of equal values look equal on both sides? */
static bool types_agree(const StoreColumn *a, const StoreColumn *b)
{
    if (strcmp(a->full_type, b->full_type) == 0)
        return true;
    if (strstr(a->full_type, "zerofill") != NULL || strstr(b->full_type, "zerofill") != NULL)
        return false;
    if (column_kind(a) == COLUMN_NUMBER || column_kind(b) == COLUMN_NUMBER)
        return column_kind(a) == column_kind(b);
    return holds_text(a) && holds_text(b);
}

static bool is_unicode(const char *charset)
{
    return g_strcmp0(charset, "utf8") == 0 || g_strcmp0(charset, "utf8mb4") == 0;
}

/* Characters of 4 bytes begin with F0 to F4, and no other character contains these. */
static char *four_byte_condition(const char *column)
{
    GString *sql = g_string_new("0");

    for (unsigned lead = 0xF0; lead <= 0xF4; lead++)
        g_string_append_printf(sql, " OR LOCATE(X'%X',CAST(`%s` AS BINARY))", lead, column);
    return g_string_free(sql, FALSE);
}

/* Bytes travel as they are where they mean the same at the target, are converted where every
 * character exists there, and are refused otherwise. */
static bool join_charsets(Db *source, Db *target, const StoreTable *table, const StoreColumn *from,
                          const StoreColumn *to, uint32_t mailbox, Column *column, GError **error)
{
    g_autofree char *outside = NULL;
    bool any = false;

    if (from->charset == NULL || to->charset == NULL || strcmp(from->charset, to->charset) == 0)
        return true;
    if (!is_unicode(to->charset))
        return fail(error, ZX_ERROR_REFUSED, "column %s.%s.%s is %s on %s and %s on %s",
                    table->schema, table->name, from->name, from->charset, db_name(source),
                    to->charset, db_name(target));
    if (!is_unicode(from->charset)) {
        column->convert = g_strdup(to->charset);
        return true;
    }
    if (strcmp(from->charset, "utf8mb4") == 0) {
        outside = four_byte_condition(from->name);
        if (!any_row(source, table, mailbox, outside, &any, error))
            return false;
    }
    return !any || fail(error, ZX_ERROR_REFUSED,
                        "column %s.%s.%s holds characters of 4 bytes, which %s cannot keep in utf8",
                        table->schema, table->name, from->name, db_name(target));
}

static bool join_column(Db *source, Db *target, const StoreTable *table, const StoreColumn *from,
                        const StoreColumn *to, uint32_t mailbox, Table *out, GError **error)
{
    static const char *const large[] = { "mediumtext", "longtext", "mediumblob",
                                         "longblob",   "json",     NULL };
    Column *column;

    if (to->generated && from->generated)
        return true;
    if (to->generated)
        return fail(error, ZX_ERROR_REFUSED,
                    "column %s.%s.%s holds data on %s and is computed on %s", table->schema,
                    table->name, from->name, db_name(source), db_name(target));
    if (!types_agree(from, to))
        return fail(error, ZX_ERROR_REFUSED, "column %s.%s.%s is %s on %s and %s on %s",
                    table->schema, table->name, from->name, from->full_type, db_name(source),
                    to->full_type, db_name(target));
    column = g_new0(Column, 1);
    g_ptr_array_add(out->columns, column);
    column->name = g_strdup_printf("`%s`", from->name);
    column->kind = column_kind(from);
    column->nullable = from->nullable || to->nullable;
    column->negative =
        strstr(from->full_type, "unsigned") == NULL || strstr(to->full_type, "unsigned") == NULL;
    column->large =
        g_strv_contains(large, from->data_type) || g_strv_contains(large, to->data_type);
    column->locator = strcmp(from->name, "locator") == 0;
    return join_charsets(source, target, table, from, to, mailbox, column, error);
}

/* A column only the target has gets its default, if it has one. */
static bool check_only_at_target(Db *target, const StoreTable *from, const StoreTable *to,
                                 GError **error)
{
    for (unsigned i = 0; i < to->columns->len; i++) {
        const StoreColumn *column = to->columns->pdata[i];

        if (store_table_column(from, column->name) == NULL && !column->nullable &&
            !column->has_default && !column->generated && !column->counts)
            return fail(error, ZX_ERROR_REFUSED,
                        "column %s.%s.%s of %s has no default and the source has no such column",
                        to->schema, to->name, column->name, db_name(target));
    }
    return true;
}

static const Column *table_column(const Table *table, const char *name)
{
    for (unsigned i = 0; i < table->columns->len; i++) {
        const Column *column = table->columns->pdata[i];

        if (strncmp(column->name + 1, name, strlen(name)) == 0 &&
            strlen(column->name) == strlen(name) + 2)
            return column;
    }
    return NULL;
}

/* A column that identifies rows must be there, never NULL, and of the same bytes on both sides. */
static const Column *identifying_column(const Table *table, const char *name, ColumnKind kind,
                                        GError **error)
{
    const Column *column = table_column(table, name);

    if (column != NULL && !column->nullable && column->convert == NULL && column->kind == kind)
        return column;
    fail(error, ZX_ERROR_REFUSED, "table %s is not as zxmove knows it: column %s",
         table->name[SIDE_SOURCE], name);
    return NULL;
}

static bool find_keys(Table *table, GError **error)
{
    const Policy *policy = table->policy;

    table->bucket =
        identifying_column(table, policy->bucket_column,
                           policy->bucket == BUCKET_HASH ? COLUMN_BYTES : COLUMN_NUMBER, error);
    if (table->bucket == NULL)
        return false;
    for (; table->key_count < BUCKET_KEYS && policy->keys[table->key_count] != NULL;
         table->key_count++) {
        const char *name = policy->keys[table->key_count];
        const Column *column = table_column(table, name);

        table->keys[table->key_count] =
            identifying_column(table, name, column != NULL ? column->kind : COLUMN_NUMBER, error);
        if (table->keys[table->key_count] == NULL)
            return false;
    }
    table->bitmap = policy->bucket == BUCKET_PAIR && table->columns->len == table->key_count;
    return true;
}

static Table *join_tables(Db *source, Db *target, const Policy *policy, const StoreTable *from,
                          const StoreTable *to, uint32_t mailbox, GError **error)
{
    g_autoptr(Table) table = g_new0(Table, 1);

    table->policy = policy;
    table->name[SIDE_SOURCE] = g_strdup_printf("`%s`.`%s`", from->schema, from->name);
    table->name[SIDE_TARGET] = g_strdup_printf("`%s`.`%s`", to->schema, to->name);
    table->columns = g_ptr_array_new_with_free_func((GDestroyNotify)column_free);
    if (!check_only_at_target(target, from, to, error))
        return NULL;
    for (unsigned i = 0; i < from->columns->len; i++) {
        const StoreColumn *column = from->columns->pdata[i];
        const StoreColumn *other = store_table_column(to, column->name);

        if (strcmp(column->name, "mailbox_id") == 0)
            continue;
        if (other == NULL
                ? !check_absent_at_target(source, target, from, column, mailbox, error)
                : !join_column(source, target, from, column, other, mailbox, table, error))
            return NULL;
    }
    return find_keys(table, error) ? g_steal_pointer(&table) : NULL;
}

/* A table that only one side has is left out, unless rows would be lost. */
static bool check_missing_table(Db *source, Db *target, const StoreTable *from, uint32_t mailbox,
                                GError **error)
{
    bool any;

    if (from == NULL)
        return true;
    if (!any_row(source, from, mailbox, "1", &any, error))
        return false;
    return !any || fail(error, ZX_ERROR_REFUSED,
                        "table %s.%s of %s holds rows of this mailbox and is missing on %s",
                        from->schema, from->name, db_name(source), db_name(target));
}

static Catalogue *catalogue_new(void)
{
    Catalogue *catalogue = g_new0(Catalogue, 1);

    catalogue->tables = g_ptr_array_new_with_free_func((GDestroyNotify)table_free);
    catalogue->mailbox = g_ptr_array_new_with_free_func(g_free);
    return catalogue;
}

void catalogue_free(Catalogue *catalogue)
{
    if (catalogue == NULL)
        return;
    g_ptr_array_unref(catalogue->tables);
    g_ptr_array_unref(catalogue->mailbox);
    g_free(catalogue);
}

/* Columns that blob movers rewrite without the mailbox's lock (2.7 E). */
static void drop_unsealed_columns(Table *table)
{
    for (unsigned i = table->columns->len; i-- > 0;) {
        const Column *column = table->columns->pdata[i];

        if (column->locator || strcmp(column->name, "`blob_digest`") == 0)
            g_ptr_array_remove_index(table->columns, i);
    }
}

Catalogue *catalogue_read_alone(Db *db, unsigned group, GError **error)
{
    g_autoptr(Catalogue) catalogue = catalogue_new();
    g_autoptr(GPtrArray) tables = store_tables_read(db, group, error);

    if (tables == NULL)
        return NULL;
    for (const Policy *policy = row_policies; policy->table != NULL; policy++) {
        const StoreTable *store = find_of(tables, policy);
        Table *table;

        if (!policy->sealed || store == NULL)
            continue;
        table = join_tables(db, db, policy, store, store, 0, error);
        if (table == NULL)
            return NULL;
        drop_unsealed_columns(table);
        table->bitmap = false;
        g_ptr_array_add(catalogue->tables, table);
    }
    return g_steal_pointer(&catalogue);
}

static bool check_store(Db *db, unsigned group, const GPtrArray *tables, GError **error)
{
    if (db_max_packet(db) < PACKET_NEEDED)
        return fail(error, ZX_ERROR_REFUSED,
                    "MariaDB of %s: max_allowed_packet is %" G_GUINT64_FORMAT
                    " bytes, at least %d are needed",
                    db_name(db), db_max_packet(db), PACKET_NEEDED);
    if (store_tables_find(tables, false, "mail_item") == NULL)
        return fail(error, ZX_ERROR_REFUSED, "MariaDB of %s: there is no mboxgroup%u.mail_item",
                    db_name(db), group);
    return check_all_known(db, tables, error);
}

/* Its one row is written by itself (mailbox_row.c), in the window, where nobody asks for columns.
 */
static void join_mailbox(const GPtrArray *at_source, const GPtrArray *at_target, GPtrArray *columns)
{
    const StoreTable *from = store_tables_find(at_source, true, "mailbox");
    const StoreTable *to = store_tables_find(at_target, true, "mailbox");

    for (unsigned i = 0; from != NULL && to != NULL && i < from->columns->len; i++) {
        const StoreColumn *column = from->columns->pdata[i];

        if (store_table_column(to, column->name) != NULL)
            g_ptr_array_add(columns, g_strdup(column->name));
    }
}

Catalogue *catalogue_read(Db *source, Db *target, unsigned source_group, unsigned target_group,
                          uint32_t source_mailbox, GError **error)
{
    g_autoptr(Catalogue) catalogue = catalogue_new();
    g_autoptr(GPtrArray) at_source = store_tables_read(source, source_group, error);
    g_autoptr(GPtrArray) at_target =
        at_source != NULL ? store_tables_read(target, target_group, error) : NULL;

    if (at_target == NULL || !check_store(source, source_group, at_source, error) ||
        !check_store(target, target_group, at_target, error))
        return NULL;
    join_mailbox(at_source, at_target, catalogue->mailbox);
    for (const Policy *policy = row_policies; policy->table != NULL; policy++) {
        const StoreTable *from = find_of(at_source, policy);
        const StoreTable *to = find_of(at_target, policy);
        Table *table;

        if (policy->phase == ROWS_SKIP)
            continue;
        if (from == NULL || to == NULL) {
            if (!check_missing_table(source, target, from, source_mailbox, error))
                return NULL;
            continue;
        }
        if (policy->phase == ROWS_LATE)
            continue;
        table = join_tables(source, target, policy, from, to, source_mailbox, error);
        if (table == NULL)
            return NULL;
        g_ptr_array_add(catalogue->tables, table);
    }
    return g_steal_pointer(&catalogue);
}

GPtrArray *keyed_tables_read(Db *db, unsigned group, GError **error)
{
    g_autoptr(GPtrArray) tables = store_tables_read(db, group, error);
    g_autoptr(GPtrArray) known = g_ptr_array_new_with_free_func((GDestroyNotify)keyed_table_free);

    if (tables == NULL)
        return NULL;
    for (const Policy *policy = row_policies;; policy++) {
        for (unsigned i = 0; i < tables->len; i++) {
            const StoreTable *table = tables->pdata[i];
            const Policy *own = policy_find(table->store_wide, table->name);
            KeyedTable *keyed;

            /* The last turn, without a policy, takes the unknown ones. */
            if (store_table_column(table, "mailbox_id") == NULL ||
                own != (policy->table != NULL ? policy : NULL))
                continue;
            keyed = g_new0(KeyedTable, 1);
            keyed->name = g_strdup_printf("`%s`.`%s`", table->schema, table->name);
            keyed->policy = own;
            g_ptr_array_add(known, keyed);
        }
        if (policy->table == NULL)
            break;
    }
    return g_steal_pointer(&known);
}
