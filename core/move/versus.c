/* versus.c - see versus.h. Buckets that are equal cost a line; the rows of the others are read with
 * their fingerprints, and of rows that differ also what a person knows them by and what the mailbox
 * in use has to say of their absence. */
#include "core/move/versus.h"
#include "core/move/buckets.h"
#include "core/move/evidence.h"
#include "core/move/fingerprint.h"
#include <inttypes.h>
#include <string.h>

#define BATCH_BUCKETS 32   /* differing buckets read together, */
#define BATCH_ROWS    4096 /* and about so many rows */

typedef struct Judge {
    const Versus *versus;
    Evidence evidence;
    GHashTable *differing; /* of item ids: not equal in both */
} Judge;

VerifyTable *versus_table(VerifyCopy *copy, const char *name)
{
    VerifyTable *table;

    for (guint i = 0; i < copy->tables->len; i++) {
        table = g_ptr_array_index(copy->tables, i);
        if (strcmp(table->name, name) == 0)
            return table;
    }
    table = g_new0(VerifyTable, 1);
    table->name = g_strdup(name);
    g_ptr_array_add(copy->tables, table);
    return table;
}

static void add_marks(const Versus *versus, const char *name, Mark mark, uint64_t count)
{
    versus_table(versus->copy, name)->marks[mark] += count;
    versus->copy->marks[mark] += count;
}

bool versus_tell(const Versus *versus, const VerifyItem *item, GError **error)
{
    add_marks(versus, item->table, item->mark, 1);
    if (item->alarm) {
        versus_table(versus->copy, item->table)->alarms++;
        versus->copy->alarms++;
    }
    return versus->found(versus->found_data, versus->copy, item, error);
}

bool versus_ask(const Versus *versus, GString *const text[2], Rows *answers[2], GError **error)
{
    const bool ok =
        ask_both(versus->db, (const char *const[2]){ text[0]->str, text[1]->str }, answers, error);

    g_string_free(text[0], TRUE);
    g_string_free(text[1], TRUE);
    return ok;
}

bool versus_counts(const Versus *versus, GError **error)
{
    const GPtrArray *tables = versus->catalogue->tables;
    GString *text[2] = { g_string_new(NULL), g_string_new(NULL) };
    Rows *counts[2];

    for (int side = 0; side < 2; side++)
        for (unsigned i = 0; i < tables->len; i++) {
            const Selection rows = selection(tables->pdata[i], side, versus->map);

            g_string_append_printf(
                text[side], "%sSELECT %u,COUNT(*) FROM %s WHERE mailbox_id=%" PRIu32,
                i > 0 ? " UNION ALL " : "", i, rows.table->name[side], rows.mailbox);
        }
    if (!versus_ask(versus, text, counts, error))
        return false;
    for (int side = 0; side < 2; side++)
        for (unsigned i = 0; i < rows_count(counts[side]); i++) {
            const Table *table = tables->pdata[rows_u64(counts[side], i, 0)];
            VerifyTable *sums = versus_table(versus->copy, table->policy->table);

            *(side == SIDE_SOURCE ? &sums->old_rows : &sums->new_rows) =
                rows_u64(counts[side], i, 1);
        }
    rows_free_both(counts);
    return true;
}

static bool is_items(const Table *table)
{
    return strcmp(table->policy->table, "mail_item") == 0;
}

/* Tables whose rows are items: facts of them can be had. */
static bool has_facts(const Table *table)
{
    return is_items(table) || strcmp(table->policy->table, "mail_item_dumpster") == 0;
}

/* A row that is an item, and what a person knows it by. */
typedef struct Item {
    ItemFacts facts;
    char *folder, *name;
    int64_t date;
} Item;

static void item_free(gpointer data)
{
    Item *item = data;

    g_free(item->folder);
    g_free(item->name);
    g_free(item);
}

/* As it can be shown: anybody may have written it. */
static char *valid_text(const Rows *rows, unsigned row, unsigned column)
{
    const char *text = rows_text(rows, row, column);
    char *valid;

    if (text == NULL)
        return NULL;
    valid = g_utf8_make_valid(text, (gssize)strlen(text));
    for (char *c = valid; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    return valid;
}

/* Items of a batch by id. */
static GHashTable *items_of(const Rows *rows)
{
    GHashTable *items = g_hash_table_new_full(NULL, NULL, NULL, item_free);

    for (unsigned i = 0; i < rows_count(rows); i++) {
        Item *item = g_new0(Item, 1);
        const char *digest = rows_text(rows, i, 8);

        item->facts = (ItemFacts){ .type = (unsigned)rows_u64(rows, i, 1),
                                   .folder = (uint32_t)rows_u64(rows, i, 2),
                                   .size = rows_u64(rows, i, 4),
                                   .mod_metadata = rows_u64(rows, i, 5),
                                   .mod_content = rows_u64(rows, i, 6),
                                   .flags = rows_i64(rows, i, 7) };
        g_strlcpy(item->facts.digest, digest != NULL ? digest : "", DIGEST_SIZE);
        item->date = rows_i64(rows, i, 3);
        item->name = valid_text(rows, i, 9);
        item->folder = valid_text(rows, i, 10);
        g_hash_table_insert(items, GUINT_TO_POINTER((guint)rows_u64(rows, i, 0)), item);
    }
    return items;
}

/* What was read of a batch of buckets of a table. */
typedef struct Batch {
    Judge *judge;
    const Table *table;
    const char *condition;
    Rows *lines[2];       /* keys and fingerprints */
    Rows *columns[2];     /* keys and columns; NULL: not read */
    GHashTable *rows[2];  /* key -> line of @columns + 1 */
    GHashTable *items[2]; /* id -> Item; NULL: no items */
    GHashTable *named;    /* ids that rows of the mailbox in use name as folder or parent */
    GHashTable *dumpster; /* ids that are in the dumpster there */
} Batch;

static bool read_both(const Batch *batch,
                      void (*append)(GString *sql, const Selection *rows, const char *where),
                      Rows *answers[2], GError **error)
{
    const Versus *versus = batch->judge->versus;
    GString *text[2] = { g_string_new(NULL), g_string_new(NULL) };

    for (int side = 0; side < 2; side++) {
        const Selection rows = selection(batch->table, side, versus->map);

        append(text[side], &rows, batch->condition);
    }
    return versus_ask(versus, text, answers, error);
}

static void facts_append(GString *sql, const Selection *rows, const char *where)
{
    const char *table = rows->table->name[rows->side];
    g_autofree char *schema = g_strndup(table, strcspn(table, "."));

    g_string_append_printf(
        sql,
        "SELECT i.id,i.type,i.folder_id,i.date,i.size,i.mod_metadata,i.mod_content,i.flags,"
        "i.blob_digest,COALESCE(i.name,i.subject),f.name FROM (SELECT * FROM %s WHERE "
        "mailbox_id=%" PRIu32
        " AND (%s)) i LEFT JOIN %s.mail_item f ON f.mailbox_id=i.mailbox_id AND"
        " f.id=i.folder_id",
        table, rows->mailbox, where, schema);
}

static bool read_facts(Batch *batch, GError **error)
{
    Rows *rows[2];

    if (!read_both(batch, facts_append, rows, error))
        return false;
    for (int side = 0; side < 2; side++)
        batch->items[side] = items_of(rows[side]);
    rows_free_both(rows);
    return true;
}

/* Of @ids ("1,2,3"): those the mailbox in use answers to @sql. */
static GHashTable *ids_there(const Batch *batch, const char *sql, const char *ids, GError **error)
{
    const Versus *versus = batch->judge->versus;
    g_autofree char *group = g_strdup_printf("mboxgroup%u", versus->group[SIDE_TARGET]);
    const DbValue g = db_sql(group), m = db_u64(versus->map->target_mailbox), i = db_sql(ids);
    g_autoptr(Rows) rows = db_query(versus->db[SIDE_TARGET], error, sql, DB_ARGS(g, m, i, g, m, i));
    GHashTable *set;

    if (rows == NULL)
        return NULL;
    set = g_hash_table_new(NULL, NULL);
    for (unsigned row = 0; row < rows_count(rows); row++)
        id_set_add(set, rows_u64(rows, row, 0));
    return set;
}

/* What the mailbox in use has to say of items that only the old copy has (lines @gone of it). */
static bool read_witnesses(Batch *batch, const GArray *gone, GError **error)
{
    g_autoptr(GString) ids = g_string_new("0");

    for (guint i = 0; i < gone->len; i++)
        g_string_append_printf(
            ids, ",%s", rows_text(batch->lines[SIDE_SOURCE], g_array_index(gone, unsigned, i), 0));
    batch->named = ids_there(batch,
                             "SELECT DISTINCT folder_id FROM ?.mail_item WHERE mailbox_id = ?"
                             " AND folder_id IN (?) UNION SELECT DISTINCT parent_id FROM"
                             " ?.mail_item WHERE mailbox_id = ? AND parent_id IN (?)",
                             ids->str, error);
    if (batch->named == NULL)
        return false;
    batch->dumpster = ids_there(batch,
                                "SELECT id FROM ?.mail_item_dumpster WHERE mailbox_id = ? AND id IN"
                                " (?) UNION SELECT id FROM ?.mail_item_dumpster WHERE mailbox_id ="
                                " ? AND id IN (?)",
                                ids->str, error);
    return batch->dumpster != NULL;
}

/* "270", or "-10, 270" of several columns; bytes as text. */
static char *key_text(const Table *table, const Rows *lines, unsigned line)
{
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < table->key_count; i++) {
        g_autofree char *part = valid_text(lines, line, i);

        g_string_append_printf(text, "%s%s", i > 0 ? ", " : "", part != NULL ? part : "");
    }
    return g_string_free(text, FALSE);
}

static bool read_columns(Batch *batch, GError **error)
{
    if (!read_both(batch, column_lines_append, batch->columns, error))
        return false;
    for (int side = 0; side < 2; side++) {
        const Rows *lines = batch->columns[side];

        batch->rows[side] = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        for (unsigned i = 0; i < rows_count(lines); i++)
            g_hash_table_insert(batch->rows[side], key_literal(batch->table, lines, i),
                                GUINT_TO_POINTER(i + 1));
    }
    return true;
}

static bool same_cell(const Rows *a, unsigned i, const Rows *b, unsigned j, unsigned column)
{
    size_t left, right;
    const char *one = rows_bytes(a, i, column, &left), *other = rows_bytes(b, j, column, &right);

    if (one == NULL || other == NULL)
        return one == other;
    return left == right && memcmp(one, other, left) == 0;
}

/* The names of the columns that differ; g_strfreev. */
static char **columns_differing(const Batch *batch, const char *key)
{
    const Table *table = batch->table;
    GPtrArray *names = g_ptr_array_new();
    const unsigned i = GPOINTER_TO_UINT(g_hash_table_lookup(batch->rows[SIDE_SOURCE], key));
    const unsigned j = GPOINTER_TO_UINT(g_hash_table_lookup(batch->rows[SIDE_TARGET], key));

    if (i != 0 && j != 0)
        for (unsigned c = 0; c < table->columns->len; c++) {
            const char *name = ((const Column *)table->columns->pdata[c])->name;

            if (!same_cell(batch->columns[SIDE_SOURCE], i - 1, batch->columns[SIDE_TARGET], j - 1,
                           table->key_count + c))
                g_ptr_array_add(names, g_strndup(name + 1, strlen(name) - 2)); /* backticks */
        }
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(names, FALSE);
}

static const Item *item_at(const Batch *batch, Side side, uint64_t id)
{
    return batch->items[side] != NULL
               ? g_hash_table_lookup(batch->items[side], GUINT_TO_POINTER((guint)id))
               : NULL;
}

static Judgement judge_item(const Batch *batch, Mark mark, uint64_t id, const Item *old,
                            const Item *new, char *const *columns)
{
    const Judge *judge = batch->judge;
    const Since *since = &judge->evidence.since;

    if (mark == MARK_OLD) {
        const Witness witness = {
            .tombstone = id_set_has(judge->evidence.tombstones, id),
            .dumpster = id_set_has(batch->dumpster, id),
            .named = id_set_has(batch->named, id),
            .counted = !id_set_has(judge->evidence.miscounted, old->facts.folder),
        };

        return mark_gone(&old->facts, since, &witness);
    }
    if (mark == MARK_NEW)
        return mark_come(&new->facts, since);
    return mark_changed(&old->facts, &new->facts, (const char *const *)columns, since);
}

/* The item a row of another table belongs to: in the last number of its key. */
static uint64_t item_of(const Table *table, const Rows *lines, unsigned line)
{
    return table->key_count > 0 ? rows_u64(lines, line, table->key_count - 1) : 0;
}

/* Tells of the row at @line of @side's lines. */
static bool tell(Batch *batch, Mark mark, Side side, unsigned line, GError **error)
{
    const Table *table = batch->table;
    Judge *judge = batch->judge;
    const Rows *lines = batch->lines[side];
    g_autofree char *literal = key_literal(table, lines, line);
    g_autofree char *key = key_text(table, lines, line);
    g_auto(GStrv) columns =
        mark == MARK_CHANGED ? columns_differing(batch, literal) : g_new0(char *, 1);
    g_autofree char *list = columns[0] != NULL ? g_strjoinv(", ", columns) : NULL;
    const uint64_t id = item_of(table, lines, line);
    const Item *old = item_at(batch, SIDE_SOURCE, id), *new = item_at(batch, SIDE_TARGET, id);
    const Item *item = new != NULL ? new : old;
    Judgement judgement;

    /* An item of the dumpster leaves it without a trace. */
    if (is_items(table) && (mark == MARK_NEW || old != NULL) && (mark == MARK_OLD || new != NULL)) {
        id_set_add(judge->differing, id);
        judgement = judge_item(batch, mark, id, old, new, columns);
    } else {
        judgement = mark_row(table->policy->table, mark, !id_set_has(judge->differing, id),
                             rows_i64(lines, line, 0) < 0);
    }
    return versus_tell(judge->versus,
                       &(VerifyItem){ .mark = judgement.mark,
                                      .alarm = judgement.alarm,
                                      .table = table->policy->table,
                                      .key = key,
                                      .folder = item != NULL ? item->folder : NULL,
                                      .name = item != NULL ? item->name : NULL,
                                      .size = item != NULL ? item->facts.size : 0,
                                      .date = item != NULL ? item->date : 0,
                                      .reason = judgement.reason,
                                      .columns = list },
                       error);
}

/* What is compared beside the key: the last column. */
static const char *line_value(const Rows *lines, unsigned line)
{
    return rows_text(lines, line, rows_columns(lines) - 1);
}

static bool tell_all(Batch *batch, Mark mark, Side side, const GArray *lines, GError **error)
{
    for (guint i = 0; i < lines->len; i++)
        if (!tell(batch, mark, side, g_array_index(lines, unsigned, i), error))
            return false;
    return true;
}

/* What differs of a table with a key. */
static bool tell_rows(Batch *batch, GError **error)
{
    g_autoptr(GHashTable) there = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GArray) gone = g_array_new(FALSE, FALSE, sizeof(unsigned)),
                      changed = g_array_new(FALSE, FALSE, sizeof(unsigned)),
                      come = g_array_new(FALSE, FALSE, sizeof(unsigned));
    const Rows *old = batch->lines[SIDE_SOURCE], *new = batch->lines[SIDE_TARGET];
    uint64_t equal = 0;
    GHashTableIter iter;
    gpointer line;

    for (unsigned i = 0; i < rows_count(new); i++)
        g_hash_table_insert(there, key_literal(batch->table, new, i), GUINT_TO_POINTER(i + 1));
    for (unsigned i = 0; i < rows_count(old); i++) {
        g_autofree char *key = key_literal(batch->table, old, i);
        const unsigned found = GPOINTER_TO_UINT(g_hash_table_lookup(there, key));

        if (found == 0)
            g_array_append_val(gone, i);
        else if (g_strcmp0(line_value(new, found - 1), line_value(old, i)) != 0)
            g_array_append_val(changed, i);
        else
            equal++;
        g_hash_table_remove(there, key);
    }
    g_hash_table_iter_init(&iter, there);
    while (g_hash_table_iter_next(&iter, NULL, &line)) {
        const unsigned at = GPOINTER_TO_UINT(line) - 1;

        g_array_append_val(come, at);
    }
    add_marks(batch->judge->versus, batch->table->policy->table, MARK_EQUAL, equal);
    return (!has_facts(batch->table) || read_facts(batch, error)) &&
           (!is_items(batch->table) || gone->len == 0 || read_witnesses(batch, gone, error)) &&
           (changed->len == 0 || read_columns(batch, error)) &&
           tell_all(batch, MARK_OLD, SIDE_SOURCE, gone, error) &&
           tell_all(batch, MARK_CHANGED, SIDE_SOURCE, changed, error) &&
           tell_all(batch, MARK_NEW, SIDE_TARGET, come, error);
}

/* Of a table without a key: how often each row is there. A line for each kind of row. */
static bool tell_multiset(Batch *batch, GError **error)
{
    const Versus *versus = batch->judge->versus;
    const char *name = batch->table->policy->table;
    g_autoptr(GHashTable) more = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GHashTableIter iter;
    gpointer key, value;
    uint64_t old = 0, common = 0;

    for (unsigned i = 0; i < rows_count(batch->lines[SIDE_SOURCE]); i++) {
        const int64_t count = rows_i64(batch->lines[SIDE_SOURCE], i, 1);

        old += (uint64_t)count;
        g_hash_table_insert(more, g_strdup(rows_text(batch->lines[SIDE_SOURCE], i, 0)),
                            GINT_TO_POINTER((gint)count));
    }
    common = old;
    for (unsigned i = 0; i < rows_count(batch->lines[SIDE_TARGET]); i++) {
        const char *print = rows_text(batch->lines[SIDE_TARGET], i, 0);
        const gint had = GPOINTER_TO_INT(g_hash_table_lookup(more, print));

        g_hash_table_insert(more, g_strdup(print),
                            GINT_TO_POINTER(had - (gint)rows_i64(batch->lines[SIDE_TARGET], i, 1)));
    }
    g_hash_table_iter_init(&iter, more);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        const gint count = GPOINTER_TO_INT(value);
        const Judgement judgement = mark_row(name, count > 0 ? MARK_OLD : MARK_NEW, false, false);

        if (count > 0)
            common -= (uint64_t)count;
        for (gint i = 0; i < ABS(count); i++)
            if (!versus_tell(versus,
                             &(VerifyItem){ .mark = judgement.mark,
                                            .table = name,
                                            .key = key,
                                            .reason = judgement.reason },
                             error))
                return false;
    }
    add_marks(versus, name, MARK_EQUAL, common);
    return true;
}

static void batch_clear(Batch *batch)
{
    rows_free_both(batch->lines);
    rows_free_both(batch->columns);
    for (int side = 0; side < 2; side++) {
        g_clear_pointer(&batch->items[side], g_hash_table_unref);
        g_clear_pointer(&batch->rows[side], g_hash_table_unref);
    }
    g_clear_pointer(&batch->named, g_hash_table_unref);
    g_clear_pointer(&batch->dumpster, g_hash_table_unref);
}

static bool compare_batch(Judge *judge, const Table *table, const GArray *buckets, GError **error)
{
    g_autoptr(GString) condition = g_string_new(NULL);
    Batch batch = { .judge = judge, .table = table };
    bool ok;

    if (buckets->len == 0)
        return true;
    bucket_condition_append(condition, table, &g_array_index(buckets, int64_t, 0), buckets->len);
    batch.condition = condition->str;
    ok = wait_check(judge->versus->wait, "comparing rows", error) &&
         read_both(&batch, row_lines_append, batch.lines, error) &&
         (table->key_count == 0 ? tell_multiset(&batch, error) : tell_rows(&batch, error));
    batch_clear(&batch);
    return ok;
}

static uint64_t bucket_rows(const Bucket *bucket)
{
    return bucket != NULL ? bucket->rows : 0;
}

static bool compare_table(Judge *judge, const TableBuckets *buckets, GError **error)
{
    const Versus *versus = judge->versus;
    const char *name = buckets->table->policy->table;
    g_autoptr(GArray) batch = g_array_new(FALSE, FALSE, sizeof(int64_t));
    VerifyTable *sums = versus_table(versus->copy, name);
    uint64_t rows = 0, equal = 0;
    BucketPair pair = { 0 };

    while (buckets_next(buckets, &pair)) {
        const Bucket *any =
            pair.side[SIDE_SOURCE] != NULL ? pair.side[SIDE_SOURCE] : pair.side[SIDE_TARGET];

        sums->old_rows += bucket_rows(pair.side[SIDE_SOURCE]);
        sums->new_rows += bucket_rows(pair.side[SIDE_TARGET]);
        if (buckets_equal(&pair)) {
            equal += any->rows;
            continue;
        }
        g_array_append_val(batch, any->number);
        rows += MAX(bucket_rows(pair.side[SIDE_SOURCE]), bucket_rows(pair.side[SIDE_TARGET]));
        if (batch->len < BATCH_BUCKETS && rows < BATCH_ROWS)
            continue;
        if (!compare_batch(judge, buckets->table, batch, error))
            return false;
        g_array_set_size(batch, 0);
        rows = 0;
    }
    add_marks(versus, name, MARK_EQUAL, equal);
    if (!compare_batch(judge, buckets->table, batch, error))
        return false;
    if (versus->tick != NULL)
        versus->tick(versus->tick_data, name, sums->new_rows);
    return true;
}

static bool differs(const TableBuckets *buckets)
{
    BucketPair pair = { 0 };

    while (buckets_next(buckets, &pair))
        if (!buckets_equal(&pair))
            return true;
    return false;
}

/* Before the first item is judged: items come first, and rows of other tables are held against
 * them. */
static bool read_evidence(Judge *judge, const GPtrArray *tables, GError **error)
{
    for (unsigned i = 0; i < tables->len; i++) {
        const TableBuckets *buckets = tables->pdata[i];

        if (is_items(buckets->table) && differs(buckets))
            return evidence_read(&judge->evidence, judge->versus, error);
    }
    return true;
}

bool versus_rows(const Versus *versus, GError **error)
{
    g_autoptr(GPtrArray) tables =
        g_ptr_array_new_with_free_func((GDestroyNotify)table_buckets_free);
    Judge judge = { .versus = versus,
                    .evidence = evidence_new(versus),
                    .differing = g_hash_table_new(NULL, NULL) };
    bool ok;

    for (unsigned i = 0; i < versus->catalogue->tables->len; i++)
        g_ptr_array_add(tables, table_buckets_new(versus->catalogue->tables->pdata[i]));
    ok = buckets_read(versus->db, versus->map, tables, versus->wait, error) &&
         read_evidence(&judge, tables, error);
    for (unsigned i = 0; i < tables->len && ok; i++)
        ok = compare_table(&judge, tables->pdata[i], error);
    g_hash_table_unref(judge.differing);
    evidence_clear(&judge.evidence);
    return ok;
}
