/* test_volume.c - where a blob lies, and whose locator it is. */
#include "core/zimbra/volume.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_paths(void **state)
{
    static const struct {
        unsigned bits[4]; /* file, file group, mailbox, mailbox group */
        uint32_t mailbox, item;
        const char *mailbox_dir, *blob_dir;
    } cases[] = {
        { { 12, 8, 12, 8 }, 3, 270, "0/3", "0/3/msg/0" },
        { { 12, 8, 12, 8 }, 4095, 4095, "0/4095", "0/4095/msg/0" },
        { { 12, 8, 12, 8 }, 4096, 4096, "1/4096", "1/4096/msg/1" },
        { { 12, 8, 12, 8 }, 1048575, 1048575, "255/1048575", "255/1048575/msg/255" },
        { { 12, 8, 12, 8 }, 1048576, 1048576, "0/1048576", "0/1048576/msg/0" },
        { { 12, 8, 12, 8 }, 2147483647, 2147483647, "255/2147483647", "255/2147483647/msg/255" },
        { { 8, 4, 10, 2 }, 5000, 5000, "0/5000", "0/5000/msg/3" },
        { { 0, 1, 0, 3 }, 13, 13, "5/13", "5/13/msg/1" },
        { { 12, 0, 12, 0 }, 9000, 9000, "0/9000", "0/9000/msg/0" },
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Volume volume = { .file_bits = cases[i].bits[0],
                                .file_group_bits = cases[i].bits[1],
                                .mailbox_bits = cases[i].bits[2],
                                .mailbox_group_bits = cases[i].bits[3] };
        g_autofree char *mailbox = volume_mailbox_dir(&volume, cases[i].mailbox);
        g_autofree char *blob = volume_blob_dir(&volume, cases[i].mailbox, cases[i].item);

        assert_string_equal(mailbox, cases[i].mailbox_dir);
        assert_string_equal(blob, cases[i].blob_dir);
    }
}

static void test_name(void **state)
{
    g_autofree char *name = volume_blob_name(270, 13);
    g_autofree char *large = volume_blob_name(4294967295U, 4294967295U);

    (void)state;
    assert_string_equal(name, "270-13.msg");
    assert_string_equal(large, "4294967295-4294967295.msg");
}

static void test_locators(void **state)
{
    static const struct {
        const char *locator;
        unsigned id; /* 0: not a volume */
    } cases[] = {
        { "1", 1 },      { "255", 255 },
        { "10", 10 },    { "256", 0 },
        { "0", 0 },      { "", 0 },
        { "01", 0 },     { "-1", 0 },
        { "1@@key", 0 }, { " 1", 0 },
        { "1 ", 0 },     { "a", 0 },
        { "1000", 0 },   { "99999999999999999999", 0 },
    };
    unsigned id = 77;

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        bool found = volume_from_locator(cases[i].locator, strlen(cases[i].locator), &id);

        assert_true(found == (cases[i].id != 0));
        if (found)
            assert_int_equal(id, cases[i].id);
    }
    assert_false(volume_from_locator(NULL, 0, &id));
    assert_false(volume_from_locator("1\0", 2, &id));
}

static void test_find(void **state)
{
    g_autoptr(GPtrArray) volumes = g_ptr_array_new();
    Volume one = { .id = 1 }, seven = { .id = 7 };

    (void)state;
    assert_null(volumes_find(volumes, 1));
    g_ptr_array_add(volumes, &one);
    g_ptr_array_add(volumes, &seven);
    assert_ptr_equal(volumes_find(volumes, 7), &seven);
    assert_null(volumes_find(volumes, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_locators),
        cmocka_unit_test(test_find),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
