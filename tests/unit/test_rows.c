/* test_rows.c - rows between two real servers, whose sockets tests/lab/rows.t gives in the
 * environment; without them everything is skipped. What is equal is not asked of the code under
 * test: same_rows() reads both sides column by column. */
#include "core/move/blob_rows.h"
#include "core/move/move.h"
#include "core/move/rows.h"
#include "tests/unit/rows_data.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SOURCE_GROUP = 1, TARGET_GROUP = 2, VOLUME = 5 };

static Db *db[2];
static RowsMap map = { .target_blob_volume = VOLUME };

static Db *open_side(int side)
{
    g_autoptr(Secret) password = secret_new("");
    g_autoptr(GError) error = NULL;
    const DbTarget target = { .name = side == SOURCE ? "store1" : "store2",
                              .socket =
                                  g_getenv(side == SOURCE ? "ZX_ROWS_SOURCE" : "ZX_ROWS_TARGET"),
                              .user = "root",
                              .password = password,
                              .timeout_s = 60 };
    Db *opened = db_open(&target, &error);

    if (opened == NULL)
        fail_msg("%s", error->message);
    return opened;
}

/* A macro: the error is looked at after the call. */
#define must(call, error)                                                        \
    do {                                                                         \
        if (!(call))                                                             \
            fail_msg("%s", (error) != NULL ? (error)->message : "no error set"); \
    } while (0)

/* "@G" is the group's schema and "@M" the mailbox; several statements are parted by ";;". */
static void run(int side, const char *text)
{
    g_auto(GStrv) statements = g_strsplit(text, ";;", -1);
    g_autofree char *group =
        g_strdup_printf("mboxgroup%d", side == SOURCE ? SOURCE_GROUP : TARGET_GROUP);
    g_autofree char *mailbox =
        g_strdup_printf("%" PRIu32, side == SOURCE ? map.source_mailbox : map.target_mailbox);

    for (char **statement = statements; *statement != NULL; statement++) {
        g_auto(GStrv) groups = g_strsplit(*statement, "@G", -1);
        g_autofree char *grouped = g_strjoinv(group, groups);
        g_auto(GStrv) mailboxes = g_strsplit(grouped, "@M", -1);
        g_autofree char *sql = g_strjoinv(mailbox, mailboxes);
        g_autoptr(GError) error = NULL;

        must(db_exec_bytes(db[side], NULL, &error, sql, strlen(sql)), error);
    }
}

static const char *const tables[] = {
    "@G.mail_item",
    "@G.mail_item_dumpster",
    "@G.revision",
    "@G.revision_dumpster",
    "@G.tag",
    "@G.tagged_item",
    "@G.open_conversation",
    "@G.appointment",
    "@G.appointment_dumpster",
    "@G.tombstone",
    "@G.pop3_message",
    "@G.imap_folder",
    "@G.imap_message",
    "@G.data_source_item",
    "@G.purged_conversations",
    "@G.purged_messages",
    "@G.event",
    "@G.watch",
    "zimbra.mailbox_metadata",
    "zimbra.out_of_office",
    "zimbra.mobile_devices",
    "zimbra.zmg_devices",
};

/* A table's rows as hexadecimal text, one line a row, sorted; what a locator must be by its own
 * rule. */
static char *dump(int side, const char *table)
{
    const bool grouped = g_str_has_prefix(table, "@G.");
    g_autofree char *schema =
        grouped ? g_strdup_printf("mboxgroup%d", side == SOURCE ? SOURCE_GROUP : TARGET_GROUP)
                : g_strdup("zimbra");
    const char *name = strchr(table, '.') + 1;
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) sql = g_string_new("SELECT CONCAT(''");
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(Rows) rows = NULL;
    g_autoptr(Rows) columns =
        db_query(db[side], &error,
                 "SELECT COLUMN_NAME FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA=? AND"
                 " TABLE_NAME=? AND COLUMN_NAME<>'mailbox_id' ORDER BY COLUMN_NAME",
                 DB_ARGS(db_text(schema), db_text(name)));

    must(columns != NULL, error);
    for (unsigned i = 0; i < rows_count(columns); i++) {
        const char *column = rows_text(columns, i, 0);

        if (strcmp(column, "locator") == 0)
            g_string_append_printf(sql, ",'|',IF(%s IS NULL,'NULL',%s)", column,
                                   side == SOURCE ? "HEX('5')" : "HEX(locator)");
        else
            g_string_append_printf(sql, ",'|',IFNULL(HEX(CAST(`%s` AS BINARY)),'NULL')", column);
    }
    g_string_append_printf(sql, ") AS line FROM %s.%s WHERE mailbox_id=%" PRIu32 " ORDER BY line",
                           schema, name, side == SOURCE ? map.source_mailbox : map.target_mailbox);
    rows = db_query(db[side], &error, sql->str, DB_NONE);
    must(rows != NULL, error);
    for (unsigned i = 0; i < rows_count(rows); i++)
        g_string_append_printf(text, "%s\n", rows_text(rows, i, 0));
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void same_rows(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(tables); i++) {
        g_autofree char *ours = dump(SOURCE, tables[i]), *theirs = dump(TARGET, tables[i]);

        if (strcmp(ours, theirs) != 0)
            fail_msg("%s:\n%s\nis not\n%s", tables[i], theirs, ours);
    }
}

static Catalogue *catalogue(void)
{
    g_autoptr(GError) error = NULL;
    Catalogue *read = catalogue_read(db[SOURCE], db[TARGET], SOURCE_GROUP, TARGET_GROUP,
                                     map.source_mailbox, &error);

    must(read != NULL, error);
    return read;
}

static RowsCount sync_rows(bool window)
{
    g_autoptr(Catalogue) both = catalogue();
    g_autoptr(GError) error = NULL;
    RowsCount count;

    must(db_begin(db[SOURCE], true, &error) &&
             rows_sync(both, db[SOURCE], db[TARGET], &map, window, NULL, NULL, NULL, &count, NULL,
                       &error) &&
             db_commit(db[SOURCE], &error),
         error);
    return count;
}

/* A failed sync: the error's code and a word of its text. */
static void sync_fails(ZxError code, const char *word)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Rows) checks = NULL;
    g_autoptr(Catalogue) both = catalogue_read(db[SOURCE], db[TARGET], SOURCE_GROUP, TARGET_GROUP,
                                               map.source_mailbox, &error);

    if (both != NULL)
        assert_false(rows_sync(both, db[SOURCE], db[TARGET], &map, true, NULL, NULL, NULL, NULL,
                               NULL, &error));
    assert_non_null(error);
    if (error_code(error) != code || strstr(error->message, word) == NULL)
        fail_msg("%s (expected %s, \"%s\")", error->message, error_name(code), word);
    g_clear_error(&error);
    checks =
        db_query_one(db[TARGET], &error, "SELECT @@foreign_key_checks, @@in_transaction", DB_NONE);
    must(checks != NULL, error);
    assert_int_equal(rows_u64(checks, 0, 0), 1);
    assert_int_equal(rows_u64(checks, 0, 1), 0);
}

static char *difference(void)
{
    g_autoptr(Catalogue) both = catalogue();
    g_autoptr(GError) error = NULL;
    char *text = NULL;
    bool equal;

    must(rows_compare(both, db[SOURCE], db[TARGET], &map, &equal, &text, NULL, NULL, &error),
         error);
    assert_true(equal == (text == NULL));
    return text;
}

static void equal_now(void)
{
    g_autofree char *text = difference();

    if (text != NULL)
        fail_msg("%s", text);
    same_rows();
}

/* Every test has mailbox ids of its own. */
static int fresh_ids(void **state)
{
    (void)state;
    map.source_mailbox = map.source_mailbox == 0 ? 1001 : map.source_mailbox + 1;
    map.target_mailbox = map.source_mailbox + 4000;
    return 0;
}

static void seed_and_copy(void)
{
    run(SOURCE, seed);
    sync_rows(true);
}

static void test_copy(void **state)
{
    RowsCount count, again;
    g_autofree char *text = NULL;
    uint64_t here, there;

    (void)state;
    run(SOURCE, seed);
    count = sync_rows(false);
    assert_int_equal(count.inserted, count.rows);
    assert_int_equal(count.deleted, 0);
    text = difference();
    assert_string_equal(text, "table pop3_message: row 127 is missing on store2");
    count = sync_rows(true);
    assert_int_equal(count.inserted, 3);
    assert_int_equal(count.buckets_differing, 3);
    equal_now();
    for (int window = 0; window < 2; window++) {
        again = sync_rows(window);
        assert_int_equal(again.inserted + again.deleted + again.buckets_differing, 0);
    }
    assert_int_equal(again.rows, count.rows);
    assert_true(rows_orphans(db[SOURCE], SOURCE_GROUP, map.source_mailbox, &here, NULL));
    assert_true(rows_orphans(db[TARGET], TARGET_GROUP, map.target_mailbox, &there, NULL));
    assert_true(here > 0);
    assert_int_equal(here, there);
}

static void test_planted(void **state)
{
    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(planted); i++) {
        const struct Planted *one = &planted[i];
        g_autofree char *found = NULL, *table = g_strdup_printf("table %s: row ", one->table);
        RowsCount count;

        fresh_ids(NULL);
        seed_and_copy();
        run(one->side, "SET foreign_key_checks=0");
        run(one->side, one->sql);
        run(one->side, "SET foreign_key_checks=1");
        found = difference();
        if (found == NULL || !g_str_has_prefix(found, table))
            fail_msg("%s: %s", one->what, found != NULL ? found : "not found");
        count = sync_rows(true);
        assert_true(count.inserted + count.deleted > 0);
        assert_true(count.buckets_differing > 0);
        equal_now();
    }
}

/* Altered in the middle of what no packet holds, and found without moving it. */
static void test_large_row(void **state)
{
    g_autofree char *found = NULL;

    (void)state;
    run(SOURCE, seed);
    run(SOURCE,
        "UPDATE @G.mail_item SET metadata=REPEAT('0123456789abcdef',200000)"
        " WHERE mailbox_id=@M AND id=128;;"
        "UPDATE @G.mail_item SET metadata=REPEAT('x',262145) WHERE mailbox_id=@M AND id=127;;"
        "UPDATE @G.mail_item SET metadata=REPEAT('x',262144) WHERE mailbox_id=@M AND id=255");
    sync_rows(false);
    sync_rows(true);
    equal_now();
    run(TARGET, "UPDATE @G.mail_item SET metadata=INSERT(metadata,1600000,1,'X')"
                " WHERE mailbox_id=@M AND id=128");
    found = difference();
    assert_string_equal(found, "table mail_item: row 128 differs");
    sync_rows(true);
    equal_now();
}

static void reopen(int side)
{
    db_close(db[side]);
    db[side] = open_side(side);
}

static void set_packet(int side, const char *bytes)
{
    g_autofree char *sql = g_strdup_printf("SET GLOBAL max_allowed_packet=%s", bytes);

    run(side, sql);
    reopen(side);
}

/* A text that exceeds max_allowed_packet is NULL to the server, and NULL equals nothing. */
static void test_small_packet(void **state)
{
    g_autofree char *found = NULL;

    (void)state;
    run(SOURCE, seed);
    run(SOURCE, "UPDATE @G.mail_item SET metadata=REPEAT('0123456789abcdef',200000)"
                " WHERE mailbox_id=@M AND id=128");
    sync_rows(false);
    sync_rows(true);
    set_packet(SOURCE, "1048576");
    set_packet(TARGET, "1048576");
    found = difference();
    assert_null(found);
    run(TARGET, "UPDATE @G.mail_item SET metadata=NULL WHERE mailbox_id=@M AND id=128");
    found = difference();
    assert_string_equal(found, "table mail_item: row 128 differs");
    sync_fails(ZX_ERROR_REFUSED, "max_allowed_packet");
    set_packet(TARGET, "65536");
    sync_fails(ZX_ERROR_REFUSED, "max_allowed_packet");
    set_packet(SOURCE, "16777216");
    set_packet(TARGET, "16777216");
    sync_rows(true);
    equal_now();
}

/* Statements are cut so that each fits into a packet, however many rows there are. */
static void test_batches(void **state)
{
    RowsCount count;

    (void)state;
    run(SOURCE, seed);
    run(SOURCE, "UPDATE @G.mail_item SET metadata=REPEAT('x',200000) WHERE mailbox_id=@M");
    set_packet(TARGET, "1048576");
    count = sync_rows(false);
    assert_int_equal(count.inserted, count.rows);
    run(TARGET, "UPDATE @G.mail_item SET metadata='' WHERE mailbox_id=@M");
    sync_rows(true);
    equal_now();
    set_packet(TARGET, "16777216");
}

static void test_unknown_table(void **state)
{
    (void)state;
    run(SOURCE, seed);
    run(SOURCE, "CREATE TABLE @G.stickers (mailbox_id INT UNSIGNED NOT NULL)");
    sync_fails(ZX_ERROR_REFUSED, "mboxgroup1.stickers of store1");
    run(SOURCE, "DROP TABLE @G.stickers");
    run(TARGET, "CREATE TABLE zimbra.tag (mailbox_id INT UNSIGNED NOT NULL)");
    sync_fails(ZX_ERROR_REFUSED, "zimbra.tag of store2");
    run(TARGET, "DROP TABLE zimbra.tag");
    run(SOURCE,
        "CREATE TABLE zimbra.harmless (id INT);;CREATE VIEW @G.seen AS SELECT * FROM @G.tag");
    sync_rows(false);
    run(SOURCE, "DROP TABLE zimbra.harmless;;DROP VIEW @G.seen");
    run(SOURCE, "CREATE TABLE @G.`odd name` (mailbox_id INT)");
    sync_fails(ZX_ERROR_REFUSED, "odd name");
    run(SOURCE, "DROP TABLE @G.`odd name`");
}

static void test_missing_table(void **state)
{
    (void)state;
    run(SOURCE, seed);
    run(TARGET, "RENAME TABLE @G.event TO zimbra.event_kept");
    run(TARGET, "ALTER TABLE zimbra.event_kept CHANGE mailbox_id kept INT UNSIGNED NOT NULL");
    sync_fails(ZX_ERROR_REFUSED, "mboxgroup1.event of store1 holds rows of this mailbox");
    run(SOURCE, "DELETE FROM @G.event WHERE mailbox_id=@M");
    sync_rows(false);
    run(TARGET, "ALTER TABLE zimbra.event_kept CHANGE kept mailbox_id INT UNSIGNED NOT NULL");
    run(TARGET, "RENAME TABLE zimbra.event_kept TO @G.event");
    sync_rows(true);
    equal_now();
}

static void test_columns(void **state)
{
    (void)state;
    run(SOURCE, seed);
    run(SOURCE, "ALTER TABLE @G.tag ADD shape INT NOT NULL DEFAULT 3");
    sync_rows(false);
    run(SOURCE, "UPDATE @G.tag SET shape=4 WHERE mailbox_id=@M AND id=64");
    sync_fails(ZX_ERROR_REFUSED, "mboxgroup1.tag.shape of store1 holds data");
    run(TARGET, "ALTER TABLE @G.tag ADD shape INT AS (1) VIRTUAL");
    sync_fails(ZX_ERROR_REFUSED, "mboxgroup1.tag.shape holds data on store1 and is computed");
    run(TARGET, "ALTER TABLE @G.tag DROP shape, ADD shape BIGINT NOT NULL DEFAULT 9 FIRST");
    sync_rows(true);
    equal_now();
    run(SOURCE, "ALTER TABLE @G.tag DROP shape");
    sync_rows(true);
    run(TARGET, "ALTER TABLE @G.tag MODIFY shape VARCHAR(9) NOT NULL");
    sync_fails(ZX_ERROR_REFUSED, "mboxgroup2.tag.shape of store2 has no default");
    run(SOURCE, "ALTER TABLE @G.tag ADD shape INT NOT NULL DEFAULT 3");
    sync_fails(ZX_ERROR_REFUSED,
               "mboxgroup1.tag.shape is int(11) on store1 and varchar(9) on store2");
    run(SOURCE, "ALTER TABLE @G.tag DROP shape");
    run(TARGET, "ALTER TABLE @G.tag DROP shape");
}

static void test_narrow_column(void **state)
{
    (void)state;
    run(SOURCE, seed);
    run(TARGET, "ALTER TABLE @G.revision_dumpster MODIFY version TINYINT UNSIGNED NOT NULL");
    run(SOURCE, "SET foreign_key_checks=0;;UPDATE @G.revision_dumpster SET version=256"
                " WHERE mailbox_id=@M;;SET foreign_key_checks=1");
    sync_fails(ZX_ERROR_DATA, "'version'");
    sync_fails(ZX_ERROR_DATA, "table revision_dumpster");
    run(TARGET, "ALTER TABLE @G.revision_dumpster MODIFY version INT UNSIGNED NOT NULL");
}

static void test_character_sets(void **state)
{
    (void)state;
    run(SOURCE, seed);
    run(SOURCE, "ALTER TABLE @G.mail_item_dumpster MODIFY name VARCHAR(255) CHARACTER SET latin1,"
                " MODIFY sender VARCHAR(128) CHARACTER SET utf8mb4;;"
                "UPDATE @G.mail_item_dumpster SET name=CHAR(0xE9), sender=CHAR(0xC3,0xA9)"
                " WHERE mailbox_id=@M AND id=200");
    sync_rows(false);
    run(SOURCE, "ALTER TABLE @G.mail_item_dumpster MODIFY name VARCHAR(255) CHARACTER SET utf8");
    sync_rows(true);
    equal_now();
    run(SOURCE, "UPDATE @G.mail_item_dumpster SET sender=CHAR(0xF0,0x9F,0x98,0x80)"
                " WHERE mailbox_id=@M AND id=200");
    sync_fails(ZX_ERROR_REFUSED, "mail_item_dumpster.sender holds characters of 4 bytes");
    run(SOURCE,
        "ALTER TABLE @G.mail_item_dumpster MODIFY sender VARCHAR(128) CHARACTER SET utf8mb4;;"
        "UPDATE @G.mail_item_dumpster SET sender=NULL WHERE mailbox_id=@M");
    run(SOURCE, "ALTER TABLE @G.mail_item_dumpster MODIFY sender VARCHAR(128) CHARACTER SET utf8");
    run(TARGET,
        "ALTER TABLE @G.mail_item_dumpster MODIFY sender VARCHAR(128) CHARACTER SET latin1");
    sync_fails(ZX_ERROR_REFUSED,
               "mail_item_dumpster.sender is utf8 on store1 and latin1 on store2");
    run(TARGET, "ALTER TABLE @G.mail_item_dumpster MODIFY sender VARCHAR(128) CHARACTER SET utf8");
}

static void test_foreign_locator(void **state)
{
    static const char *const locators[] = { "1@@key", "0", "256", "01", "1 ", "-", "", "s3://x" };

    (void)state;
    run(SOURCE, seed);
    for (unsigned i = 0; i < G_N_ELEMENTS(locators); i++) {
        g_autofree char *sql = g_strdup_printf(
            "UPDATE @G.mail_item SET locator='%s' WHERE mailbox_id=@M AND id=127", locators[i]);

        run(SOURCE, sql);
        sync_fails(ZX_ERROR_REFUSED, "is not the number of a volume");
    }
    run(SOURCE, "UPDATE @G.mail_item SET locator='255' WHERE mailbox_id=@M AND id=127");
    sync_rows(true);
    equal_now();
}

/* Two mailboxes of the store must not notice. */
static void test_clash_with_another_mailbox(void **state)
{
    g_autofree char *clash =
        g_strdup_printf("SET foreign_key_checks=0;;INSERT INTO @G.pop3_message "
                        "(mailbox_id,data_source_id,uid,item_id)"
                        " VALUES (77,'ds%" PRIu32 "','UID 1 ',5);;SET foreign_key_checks=1",
                        map.source_mailbox);

    (void)state;
    run(SOURCE, seed);
    run(TARGET, clash);
    sync_rows(false);
    sync_fails(ZX_ERROR_DATA, "table pop3_message");
    run(TARGET, "DELETE FROM @G.pop3_message WHERE mailbox_id=77");
    sync_rows(true);
    equal_now();
}

static void test_many_rows(void **state)
{
    RowsCount count;
    int64_t since;

    (void)state;
    run(SOURCE,
        "SET foreign_key_checks=0;;INSERT INTO @G.mail_item (mailbox_id,id,type,folder_id,date,"
        "size,locator,blob_digest,subject,metadata,mod_metadata,mod_content)"
        " SELECT @M,256+seq*2,5,2,seq,seq,'1','d',CONCAT('Subject ',seq),REPEAT('m',seq%700),"
        "seq,seq FROM @G.seq_1_to_20000;;"
        "INSERT INTO @G.tagged_item (mailbox_id,tag_id,item_id) SELECT @M,-10,256+seq*2"
        " FROM @G.seq_1_to_20000;;INSERT INTO @G.event (mailbox_id,account_id,item_id,folder_id,op,"
        "ts) SELECT @M,'a',seq DIV 3,2,1,1 FROM @G.seq_1_to_20000;;SET foreign_key_checks=1");
    count = sync_rows(false);
    assert_int_equal(count.inserted, 60000);
    equal_now();
    run(SOURCE, "UPDATE @G.mail_item SET flags=2 WHERE mailbox_id=@M AND id%2000=0;;"
                "DELETE FROM @G.tagged_item WHERE mailbox_id=@M AND item_id%2000=0;;"
                "UPDATE @G.event SET op=2 WHERE mailbox_id=@M AND item_id=7");
    since = g_get_monotonic_time();
    count = sync_rows(true);
    print_message("# 60,000 rows brought up to date in %.0f ms\n",
                  (double)(g_get_monotonic_time() - since) / 1000);
    assert_int_equal(count.deleted, 20 + 20 + 3);
    assert_int_equal(count.inserted, 20 + 3);
    equal_now();
    /* Most rows differ: no list of keys, whole buckets. */
    run(SOURCE, "UPDATE @G.mail_item SET flags=flags+1 WHERE mailbox_id=@M AND id%5<>0");
    count = sync_rows(true);
    equal_now();
}

static void test_stopped(void **state)
{
    const volatile sig_atomic_t stop = 1;
    const Wait wait = { .stop = &stop };
    g_autoptr(Catalogue) both = NULL;
    g_autoptr(GError) error = NULL;
    RowsCount count;

    (void)state;
    run(SOURCE, seed);
    both = catalogue();
    assert_false(rows_sync(both, db[SOURCE], db[TARGET], &map, false, NULL, NULL, &wait, &count,
                           NULL, &error));
    assert_int_equal(error_code(error), ZX_ERROR_INTERRUPTED);
    sync_rows(true);
    equal_now();
}

static uint64_t existing(int side, unsigned group, char **table)
{
    g_autoptr(GError) error = NULL;
    uint64_t rows;

    must(rows_exist(db[side], group, side == SOURCE ? map.source_mailbox : map.target_mailbox,
                    &rows, table, &error),
         error);
    return rows;
}

static void test_remove(void **state)
{
    static const char others[] =
        "SET foreign_key_checks=0;;INSERT INTO zimbra.mailbox "
        "(id,group_id,account_id,index_volume_id)"
        " VALUES (@M,2,'acc-@M',7);;SET foreign_key_checks=1;;"
        "INSERT INTO zimbra.volume_blobs (volume_id,mailbox_id,item_id,revision) VALUES "
        "(5,@M,1,1);;"
        "INSERT INTO zimbra.scheduled_task (class_name,name,mailbox_id) VALUES ('c','n',@M);;"
        "INSERT INTO zimbra.pending_acl_push (mailbox_id,item_id,date) VALUES (@M,1,1);;"
        "REPLACE INTO zimbra.deleted_account (email,account_id,mailbox_id,deleted_at)"
        " VALUES ('x','y',@M,1)";
    g_autoptr(GError) error = NULL;
    g_autofree char *table = NULL;
    uint64_t removed, rows;

    (void)state;
    assert_int_equal(existing(TARGET, TARGET_GROUP, &table), 0);
    assert_null(table);
    run(SOURCE, seed);
    rows = sync_rows(true).rows;
    run(TARGET, others);
    assert_int_equal(existing(TARGET, TARGET_GROUP, &table), rows + 4);
    assert_non_null(table);
    g_clear_pointer(&table, g_free);
    assert_true(existing(TARGET, 0, &table) < rows);
    g_clear_pointer(&table, g_free);

    run(TARGET, "CREATE TABLE @G.stickers (mailbox_id INT UNSIGNED NOT NULL);;"
                "INSERT INTO @G.stickers VALUES (@M)");
    assert_int_equal(existing(TARGET, TARGET_GROUP, NULL), rows + 5);
    assert_false(
        rows_remove(db[TARGET], TARGET_GROUP, map.target_mailbox, NULL, &removed, &error));
    assert_int_equal(error_code(error), ZX_ERROR_REFUSED);
    assert_int_equal(existing(TARGET, TARGET_GROUP, NULL), rows + 5);
    run(TARGET, "DROP TABLE @G.stickers");
    g_clear_error(&error);

    must(rows_remove(db[TARGET], TARGET_GROUP, map.target_mailbox, NULL, &removed, &error), error);
    assert_int_equal(removed, rows + 4);
    assert_int_equal(existing(TARGET, TARGET_GROUP, NULL), 0);
    run(TARGET, "DELETE FROM zimbra.deleted_account WHERE mailbox_id=@M");

    /* The mailbox of the same number in another group, and those of others, are as they were. */
    assert_int_equal(existing(SOURCE, SOURCE_GROUP, NULL), rows);
    map.source_mailbox--;
    map.target_mailbox--;
    equal_now();
    fresh_ids(NULL);
}

/* What was planted in rows that call for blobs shows; that a blob lies elsewhere does not. */
static void test_blob_rows(void **state)
{
    static const struct {
        const char *sql;
        unsigned changed;
    } plants[] = {
        { "UPDATE @G.mail_item SET mod_content=mod_content+1 WHERE mailbox_id=@M AND id=127", 1 },
        { "UPDATE @G.mail_item SET size=size+1 WHERE mailbox_id=@M AND id=127", 1 },
        { "UPDATE @G.mail_item SET blob_digest='other' WHERE mailbox_id=@M AND id=127", 1 },
        { "UPDATE @G.mail_item SET locator=NULL WHERE mailbox_id=@M AND id=127", 1 },
        { "UPDATE @G.mail_item SET mod_content=9 WHERE mailbox_id=@M AND id IN (127,128,600001)", 3 },
        { "DELETE FROM @G.mail_item WHERE mailbox_id=@M AND id=600001", 1 },
        { "UPDATE @G.mail_item_dumpster SET mod_content=mod_content+1 WHERE mailbox_id=@M AND id=200", 1 },
        { "UPDATE @G.revision SET size=size+1 WHERE mailbox_id=@M AND version=2", 1 },
        { "DELETE FROM @G.revision WHERE mailbox_id=@M AND version=2", 1 },
        { "UPDATE @G.revision_dumpster SET mod_content=mod_content+1 WHERE mailbox_id=@M", 1 },
        { "UPDATE @G.mail_item SET locator='4' WHERE mailbox_id=@M AND id=127", 0 },
        { "DELETE FROM @G.tagged_item WHERE mailbox_id=@M", 0 },
    };
    g_autoptr(GError) error = NULL;

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(plants); i++) {
        g_autoptr(Catalogue) both = NULL;
        g_autoptr(BlobRows) before = NULL;
        g_autoptr(BlobRows) after = NULL;
        g_autoptr(GArray) changed = NULL;

        fresh_ids(NULL);
        seed_and_copy();
        both = catalogue_read(db[SOURCE], db[TARGET], SOURCE_GROUP, TARGET_GROUP,
                              map.source_mailbox, &error);
        must(both != NULL, error);
        before = blob_rows_read(both, db[SOURCE], &map, NULL, &error);
        must(before != NULL, error);
        run(SOURCE, "SET foreign_key_checks=0");
        run(SOURCE, plants[i].sql);
        run(SOURCE, "SET foreign_key_checks=1");
        after = blob_rows_read(both, db[SOURCE], &map, NULL, &error);
        must(after != NULL, error);
        changed = blob_rows_changed(before, after);
        if (changed->len != plants[i].changed)
            fail_msg("%s: %u buckets", plants[i].sql, changed->len);
        if (changed->len == 3) {
            assert_int_equal(g_array_index(changed, uint64_t, 0), 0);
            assert_int_equal(g_array_index(changed, uint64_t, 1), 128);
            assert_int_equal(g_array_index(changed, uint64_t, 2), 600001 / 128 * 128);
        }
    }
    fresh_ids(NULL);
}

static void test_maxima(void **state)
{
    RowsMaxima here, there;
    g_autoptr(GError) error = NULL;

    (void)state;
    must(rows_maxima(db[SOURCE], SOURCE_GROUP, map.source_mailbox, &here, &error), error);
    assert_int_equal(here.item_id + here.change + here.mod_metadata + here.items + here.locators,
                     0);
    run(SOURCE, seed);
    must(rows_maxima(db[SOURCE], SOURCE_GROUP, map.source_mailbox, &here, &error), error);
    assert_int_equal(here.item_id, 600001);
    assert_int_equal(here.change, 4294967295);
    assert_int_equal(here.mod_metadata, 4294967295);
    assert_int_equal(here.items, 10);
    run(SOURCE, "SET foreign_key_checks=0;;"
                "UPDATE @G.mail_item SET mod_metadata=5,mod_content=5 WHERE mailbox_id=@M;;"
                "UPDATE @G.mail_item_dumpster SET imap_id=700000 WHERE mailbox_id=@M AND id=200;;"
                "UPDATE @G.tombstone SET sequence=7001 WHERE mailbox_id=@M AND sequence=700;;"
                "SET foreign_key_checks=1");
    must(rows_maxima(db[SOURCE], SOURCE_GROUP, map.source_mailbox, &here, &error), error);
    assert_int_equal(here.item_id, 700000);
    assert_int_equal(here.change, 7001);
    assert_int_equal(here.mod_metadata, 5);
    run(SOURCE, "UPDATE @G.mail_item SET locator=IF(id=127,'4','1') WHERE mailbox_id=@M AND id IN "
                "(127,128)");
    must(rows_maxima(db[SOURCE], SOURCE_GROUP, map.source_mailbox, &there, &error), error);
    assert_int_not_equal(here.locators, there.locators);
    assert_false(maxima_equal(&here, &there));
}

static void test_orphans(void **state)
{
    static const char *const plants[] = {
        "UPDATE @G.mail_item SET parent_id=999999 WHERE mailbox_id=@M AND id=300000",
        "UPDATE @G.mail_item SET folder_id=999999 WHERE mailbox_id=@M AND id=300000",
        "INSERT INTO @G.tagged_item VALUES (@M,999999,127)",
        "INSERT INTO @G.tagged_item VALUES (@M,64,999999)",
        "UPDATE @G.open_conversation SET conv_id=999999 WHERE mailbox_id=@M AND conv_id=127",
        "INSERT INTO @G.appointment (mailbox_id,uid,item_id,start_time) VALUES "
        "(@M,'o',999999,'2024-01-01')",
        "UPDATE @G.revision SET item_id=999999 WHERE mailbox_id=@M AND version=1",
        "INSERT INTO @G.appointment_dumpster (mailbox_id,uid,item_id,start_time) VALUES "
        "(@M,'o',999999,'2024-01-01')",
        "UPDATE @G.revision_dumpster SET item_id=999999 WHERE mailbox_id=@M",
        "UPDATE @G.imap_message SET imap_folder_id=999999 WHERE mailbox_id=@M AND item_id=410",
        "UPDATE @G.mail_item SET locator='99' WHERE mailbox_id=@M AND id=127",
        "UPDATE @G.mail_item_dumpster SET locator='5x' WHERE mailbox_id=@M AND id=200",
    };
    g_autoptr(GError) error = NULL;
    uint64_t before, after;

    (void)state;
    run(SOURCE, seed);
    must(rows_orphans(db[SOURCE], SOURCE_GROUP, map.source_mailbox, &before, &error), error);
    run(SOURCE, "SET foreign_key_checks=0");
    for (unsigned i = 0; i < G_N_ELEMENTS(plants); i++) {
        run(SOURCE, plants[i]);
        must(rows_orphans(db[SOURCE], SOURCE_GROUP, map.source_mailbox, &after, &error), error);
        if (after != before + 1)
            fail_msg("%s: %" PRIu64 " after %" PRIu64, plants[i], after, before);
        before = after;
    }
    run(SOURCE, "SET foreign_key_checks=1");
}

static char *fingerprints(void)
{
    g_autoptr(GError) error = NULL;
    char *json = rows_fingerprints_alone(db[SOURCE], SOURCE_GROUP, map.source_mailbox, &error);

    must(json != NULL, error);
    return json;
}

static void test_fingerprints(void **state)
{
    static const char allowed[] =
        "UPDATE @G.mail_item SET locator='9',blob_digest='other' WHERE mailbox_id=@M AND id=127;;"
        "UPDATE @G.revision SET locator='9' WHERE mailbox_id=@M;;"
        "DELETE FROM @G.event WHERE mailbox_id=@M;;DELETE FROM @G.pop3_message WHERE "
        "mailbox_id=@M;;"
        "DELETE FROM zimbra.out_of_office WHERE mailbox_id=@M;;"
        "DELETE FROM zimbra.zmg_devices WHERE mailbox_id=@M;;"
        "SET foreign_key_checks=0;;INSERT INTO zimbra.scheduled_task (class_name,name,mailbox_id) "
        "VALUES"
        " ('c','n',@M);;SET foreign_key_checks=1;;DELETE FROM zimbra.scheduled_task WHERE "
        "mailbox_id=@M";
    static const char *const telling[] = {
        "UPDATE @G.mail_item SET flags=flags+1 WHERE mailbox_id=@M AND id=127",
        "UPDATE @G.tagged_item SET item_id=item_id+128 WHERE mailbox_id=@M AND item_id=191",
        "DELETE FROM @G.tombstone WHERE mailbox_id=@M AND ids='7,8' LIMIT 1",
        "UPDATE zimbra.mailbox_metadata SET metadata='' WHERE mailbox_id=@M AND section='null'",
        "DELETE FROM @G.watch WHERE mailbox_id=@M AND item_id=-1",
    };
    g_autofree char *before = NULL;

    (void)state;
    run(SOURCE, seed);
    before = fingerprints();
    assert_non_null(strstr(before, "\"mail_item\": \"10:"));
    run(SOURCE, allowed);
    for (unsigned i = 0; i < 2; i++) {
        g_autofree char *after = fingerprints();

        assert_string_equal(before, after);
        run(SOURCE, "ALTER TABLE @G.mail_item MODIFY sender VARCHAR(128) FIRST");
    }
    run(SOURCE, "SET foreign_key_checks=0");
    for (unsigned i = 0; i < G_N_ELEMENTS(telling); i++) {
        g_autofree char *after = NULL;

        run(SOURCE, telling[i]);
        after = fingerprints();
        assert_string_not_equal(before, after);
        g_free(before);
        before = g_steal_pointer(&after);
    }
    run(SOURCE, "SET foreign_key_checks=1");
}

static int open_both(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++)
        db[side] = open_side(side);
    run(SOURCE,
        "INSERT INTO zimbra.volume (id,type,name,path,file_bits,file_group_bits,mailbox_bits,"
        "mailbox_group_bits,compress_blobs,compression_threshold) VALUES"
        " (1,1,'m1','/1',12,8,12,8,0,4096),(4,2,'m4','/4',12,8,12,8,0,4096)");
    run(TARGET,
        "INSERT INTO zimbra.volume (id,type,name,path,file_bits,file_group_bits,mailbox_bits,"
        "mailbox_group_bits,compress_blobs,compression_threshold) VALUES"
        " (5,1,'m5','/5',12,8,12,8,0,4096),(7,10,'i7','/7',12,8,12,8,0,4096)");
    return 0;
}

static int close_both(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++)
        db_close(db[side]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_copy, fresh_ids),
        cmocka_unit_test_setup(test_planted, fresh_ids),
        cmocka_unit_test_setup(test_large_row, fresh_ids),
        cmocka_unit_test_setup(test_small_packet, fresh_ids),
        cmocka_unit_test_setup(test_batches, fresh_ids),
        cmocka_unit_test_setup(test_unknown_table, fresh_ids),
        cmocka_unit_test_setup(test_missing_table, fresh_ids),
        cmocka_unit_test_setup(test_columns, fresh_ids),
        cmocka_unit_test_setup(test_narrow_column, fresh_ids),
        cmocka_unit_test_setup(test_character_sets, fresh_ids),
        cmocka_unit_test_setup(test_foreign_locator, fresh_ids),
        cmocka_unit_test_setup(test_clash_with_another_mailbox, fresh_ids),
        cmocka_unit_test_setup(test_many_rows, fresh_ids),
        cmocka_unit_test_setup(test_stopped, fresh_ids),
        cmocka_unit_test_setup(test_remove, fresh_ids),
        cmocka_unit_test_setup(test_blob_rows, fresh_ids),
        cmocka_unit_test_setup(test_maxima, fresh_ids),
        cmocka_unit_test_setup(test_orphans, fresh_ids),
        cmocka_unit_test_setup(test_fingerprints, fresh_ids),
    };

    if (g_getenv("ZX_ROWS_SOURCE") == NULL || g_getenv("ZX_ROWS_TARGET") == NULL) {
        g_print("1..0 # SKIP tests/lab/rows.t runs it with two servers\n");
        return 0;
    }
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("rows", tests, open_both, close_both);
}
