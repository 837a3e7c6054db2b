/* test_fingerprint.c - the policies hang together, and the text of statements over numbers that are
 * cut into buckets. What the statements answer is tested on servers (test_rows). */
#include "core/move/fingerprint.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static Column id = { .name = (char[]){ "`id`" }, .kind = COLUMN_NUMBER };
static Column event_item = { .name = (char[]){ "`item_id`" },
                             .kind = COLUMN_NUMBER,
                             .negative = true };
static Column tag_id = { .name = (char[]){ "`tag_id`" }, .kind = COLUMN_NUMBER, .negative = true };
static Column item_id = { .name = (char[]){ "`item_id`" }, .kind = COLUMN_NUMBER };
static Column hash = { .name = (char[]){ "`hash`" }, .kind = COLUMN_BYTES };

static Table table_of(const char *name, const Column *bucket, const Column *first_key)
{
    return (Table){ .policy = policy_find(false, name),
                    .bucket = bucket,
                    .keys = { first_key },
                    .key_count = first_key != NULL };
}

static void check(const Table *table, const int64_t *buckets, size_t count, const char *expected)
{
    g_autoptr(GString) sql = g_string_new(NULL);

    bucket_condition_append(sql, table, buckets, count);
    assert_string_equal(sql->str, expected);
}

#define CHECK(table, expected, ...)                \
    check(table, (const int64_t[]){ __VA_ARGS__ }, \
          sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), expected)

static void test_ranges(void **state)
{
    const Table items = table_of("mail_item", &id, &id);

    (void)state;
    CHECK(&items, "`id` BETWEEN 0 AND 127", 0);
    CHECK(&items, "`id` BETWEEN 128 AND 511", 1, 2, 3);
    CHECK(&items, "`id` BETWEEN 0 AND 127 OR `id` BETWEEN 256 AND 383", 0, 2);
    CHECK(&items, "`id` BETWEEN 4294967168 AND 4294967295", 33554431);
}

/* The server's DIV rounds towards zero, so that bucket 0 is twice as wide. */
static void test_negative_ranges(void **state)
{
    const Table events = table_of("event", &event_item, NULL);

    (void)state;
    CHECK(&events, "`item_id` BETWEEN -127 AND 127", 0);
    CHECK(&events, "`item_id` BETWEEN -255 AND -128", -1);
    CHECK(&events, "`item_id` BETWEEN -255 AND 255", -1, 0, 1);
}

static void test_pairs(void **state)
{
    const Table taggings = table_of("tagged_item", &item_id, &tag_id);
    const int64_t shift = 1 << 25;

    (void)state;
    CHECK(&taggings,
          "(`tag_id`=-10 AND (`item_id` BETWEEN 0 AND 127 OR `item_id` BETWEEN 256 AND 383)) OR "
          "(`tag_id`=-1 AND (`item_id` BETWEEN 4294967168 AND 4294967295)) OR "
          "(`tag_id`=0 AND (`item_id` BETWEEN 0 AND 127)) OR "
          "(`tag_id`=64 AND (`item_id` BETWEEN 128 AND 383))",
          -10 * shift, -10 * shift + 2, -1, 0, 64 * shift + 1, 64 * shift + 2);
}

static void test_hashes(void **state)
{
    const Table conversations = table_of("open_conversation", &hash, &hash);

    (void)state;
    CHECK(&conversations, "CRC32(CAST(`hash` AS BINARY)) % 64 IN (0,63)", 0, 63);
}

/* A row must not lie in different buckets of two sides: the bucket follows from the key, or the
 * table is a multiset and all of the row is its key. */
static void test_policies(void **state)
{
    (void)state;
    for (const Policy *policy = row_policies; policy->table != NULL; policy++) {
        bool found = policy->keys[0] == NULL;

        assert_ptr_equal(policy_find(policy->store_wide, policy->table), policy);
        assert_non_null(policy->why);
        if (policy->phase != ROWS_AHEAD && policy->phase != ROWS_WINDOW) {
            assert_null(policy->bucket_column);
            continue;
        }
        assert_non_null(policy->bucket_column);
        for (unsigned i = 0; i < BUCKET_KEYS && policy->keys[i] != NULL; i++)
            found = found || strcmp(policy->keys[i], policy->bucket_column) == 0;
        assert_true(found);
        assert_false(policy->forever);
    }
    assert_null(policy_find(true, "mail_item"));
    assert_null(policy_find(false, "mailbox"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),   cmocka_unit_test(test_negative_ranges),
        cmocka_unit_test(test_pairs),    cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_policies),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("fingerprint", tests, NULL, NULL);
}
