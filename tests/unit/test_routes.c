/* The keys of doc/platform.md 5.7 and 7, by table. */
#include "core/zimbra/routes.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool has(const GPtrArray *keys, const char *key)
{
    for (guint i = 0; i < keys->len; i++)
        if (g_str_equal(g_ptr_array_index(keys, i), key))
            return true;
    return false;
}

static char uid[] = "ann", id[] = "0f3b9f2e-6d3c-4b3e-8d53-7a5b0c0d1e2f", domain[] = "example.com";
static char written_id[] = "0F3B9F2E-6d3c-4b3e-8d53-7a5b0c0d1e2f";
static char alias_inside[] = "a.smith@example.com", alias_outside[] = "ann@other.org";
static char host[] = "mail.example.com", ip[] = "192.0.2.7", alias_domain[] = "example.net";

static const RouteNames ann = {
    .uid = uid,
    .id = id,
    .written_id = written_id,
    .domain = domain,
    .aliases = (char *[]){ alias_inside, alias_outside, NULL },
    .virtual_hosts = (char *[]){ host, NULL },
    .virtual_ips = (char *[]){ ip, NULL },
    .alias_domains = (char *[]){ alias_domain, NULL },
};

static void test_every_kind_of_route(void **state)
{
    static const char *const expected[] = {
        "route:proto=http;id=0f3b9f2e-6d3c-4b3e-8d53-7a5b0c0d1e2f",
        "route:proto=httpssl;admin=1;id=0f3b9f2e-6d3c-4b3e-8d53-7a5b0c0d1e2f",
        "route:proto=http;id=0F3B9F2E-6d3c-4b3e-8d53-7a5b0c0d1e2f", /* as the directory has it */
        "route:proto=imap;user=ann",
        "route:proto=pop3ssl;user=ann@example.com",
        "alias:user=ann;ip=example.com",
        "route:proto=http;user=ann@192.0.2.7",
        "alias:user=ann;ip=192.0.2.7",
        "alias:user=ann;vhost=mail.example.com",
        "route:proto=imapssl;user=ann@example.net",
        "route:proto=imap;user=a.smith@example.net", /* an alias within the domain, in its alias domain */
        "alias:user=a.smith;ip=example.net",
        "route:proto=http;user=a.smith@example.com",
        "route:proto=http;user=ann@other.org",
        "alias:user=a.smith;vhost=mail.example.com",
        "route:proto=pop3;user=a.smith@192.0.2.7",
    };
    g_autoptr(GPtrArray) keys = route_keys(&ann);

    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(expected); i++)
        assert_true(has(keys, expected[i]));
    assert_false(has(keys, "route:proto=imap;user=ann@example.org"));
}

static void test_hashed_form(void **state)
{
    g_autoptr(GPtrArray) keys = route_keys(&ann);

    (void)state;
    /* printf 'route:proto=imap;user=ann' | sha256sum */
    assert_true(has(keys, "e42dac925105df0422730537e76a2725532e785a59dcd32db7928c8de31b92f2"));
}

static void test_each_key_once(void **state)
{
    g_autoptr(GPtrArray) keys = route_keys(&ann);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    (void)state;
    for (guint i = 0; i < keys->len; i++)
        assert_true(g_hash_table_add(seen, g_ptr_array_index(keys, i)));
}

static void test_key_too_long_for_memcached(void **state)
{
    g_autofree char *long_uid = g_strnfill(260, 'x');
    RouteNames names = ann;
    g_autoptr(GPtrArray) keys = NULL;

    (void)state;
    names.uid = long_uid;
    keys = route_keys(&names);
    for (guint i = 0; i < keys->len; i++)
        assert_true(strlen(g_ptr_array_index(keys, i)) <= 250);
}

static void test_mailboxd_keys(void **state)
{
    char inbox[] = "2", other[] = "257";
    char *folders[] = { inbox, other, NULL };
    g_autoptr(GPtrArray) keys = mailboxd_keys("some-id", "Some-ID", folders);

    (void)state;
    assert_true(has(keys, "zmFldrsTags:some-id"));
    assert_true(has(keys, "zmCalsList:some-id"));
    assert_true(has(keys, "zmEffFolderACL:some-id:257"));
    assert_true(has(keys, "zmCtagInfo:some-id:2"));
    assert_true(has(keys, "zmFldrsTags:Some-ID"));
    assert_true(has(keys, "zmCalSumry:Some-ID:2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_of_route), cmocka_unit_test(test_hashed_form),
        cmocka_unit_test(test_each_key_once),       cmocka_unit_test(test_key_too_long_for_memcached),
        cmocka_unit_test(test_mailboxd_keys),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
