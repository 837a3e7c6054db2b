/* The configuration: what is read, and that every mistake is told with its file, line and remedy.
 */
#include "conf/items.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char *directory;

static char *write_file(const char *name, const char *text, mode_t mode)
{
    char *path = g_build_filename(directory, name, NULL);

    assert_true(g_file_set_contents(path, text, -1, NULL));
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static Conf *load(const char *text, GError **error)
{
    g_autofree char *path = write_file("zxmove.yaml", text, 0600);

    return conf_load(path, error);
}

static void check_message(GError *error, ZxError code, const char *part)
{
    assert_non_null(error);
    if (strstr(error->message, part) == NULL)
        fail_msg("'%s' lacks '%s'", error->message, part);
    assert_int_equal(error_code(error), code);
    g_error_free(error);
}

static void defaults(void **state G_GNUC_UNUSED)
{
    g_autoptr(Conf) conf = load("", NULL);

    assert_non_null(conf);
    assert_int_equal(conf->retention_days, 30);
    assert_int_equal(conf->net_timeout_s, 30);
    assert_int_equal(conf->lease_s, 60);
    assert_int_equal(conf->index_settle_ms, 1000);
    assert_int_equal(conf->max_syncs, 10);
    assert_int_equal(conf->sync_finish_threshold_ms, 30000);
    assert_int_equal(conf->cutover_timeout_ms, 60000);
    assert_int_equal(conf->cutover_retries, 3);
    assert_int_equal(conf->min_free_percent, 5);
    assert_int_equal(conf->purge_wait_s, 900);
    assert_false(conf->separate_logs);
    assert_string_equal(conf->log.target, "file");
    assert_true(conf->log.max_size == (uint64_t)100 << 20);
    assert_true(conf->ldap.starttls);
    assert_null(conf->ldap.master);
    assert_null(conf->ldap.password);
    assert_null(conf->memcached.servers);
    assert_string_equal(conf->ssh.user, "zimbra");
    assert_true(g_str_has_suffix(conf->ssh.known_hosts, "/known_hosts"));
    assert_true(g_str_has_suffix(conf->ssh.agent_file, "/zxmove-agent"));
    assert_true(g_path_is_absolute(conf->ssh.key_file));
    assert_true(g_path_is_absolute(conf->state_dir));
    assert_true(g_str_has_prefix(conf->smtp.from, "zxmove@"));
    assert_int_equal(conf->stores->len, 0);
    assert_string_equal(conf_address(conf, "mail9.example.com"), "mail9.example.com");
}

static void everything(void **state G_GNUC_UNUSED)
{
    static const char text[] = "# a comment\n"
                               "state_dir: state\n"
                               "retention_days: 7\n"
                               "index_settle: 250ms\n"
                               "net_timeout: 2m\n"
                               "min_free: 10%\n"
                               "stores:\n"
                               "  Store1.lab.test:\n"
                               "    address: 127.27.0.11\n"
                               "    ssh_port: 2222\n"
                               "    mariadb_address: 127.27.0.11\n"
                               "    zimbra_home: /lab/store1\n"
                               "    mariadb_password: 'one: two'\n"
                               "  store2.lab.test:\n"
                               "    local: yes\n"
                               "  store3.lab.test:\n"
                               "ssh: { user: me, key_file: ~/keys/id, known_hosts: /k/known }\n"
                               "ldap:\n"
                               "  master: ldap://127.27.0.2:3890\n"
                               "  password_file: ldap.secret\n"
                               "  starttls: false\n"
                               "admin: { user: admin@lab.test, password: \"s3cret\" }\n"
                               "memcached: { servers: [127.27.0.4:11211, 127.27.0.5:11211] }\n"
                               "smtp: { url: 'smtp://127.27.0.5:2525', from: zxmove@lab.test }\n"
                               "addresses: { Store9.lab.test: 127.27.0.19 }\n";
    g_autofree char *secret = write_file("ldap.secret", "from a file\n", 0600);
    g_autofree char *key = g_build_filename(g_get_home_dir(), "keys/id", NULL);
    g_autofree char *state_dir = g_build_filename(directory, "state", NULL);
    GError *error = NULL;
    g_autoptr(Conf) conf = load(text, &error);
    const ConfStore *store;

    if (conf == NULL)
        fail_msg("%s", error->message);
    assert_string_equal(conf->state_dir, state_dir);
    assert_int_equal(conf->retention_days, 7);
    assert_int_equal(conf->index_settle_ms, 250);
    assert_int_equal(conf->net_timeout_s, 120);
    assert_int_equal(conf->min_free_percent, 10);
    assert_int_equal(conf->stores->len, 3);
    store = conf_store(conf, "store1.LAB.test");
    assert_non_null(store);
    assert_string_equal(store->address, "127.27.0.11");
    assert_int_equal(store->ssh_port, 2222);
    assert_int_equal(store->mariadb_port, 7306);
    assert_string_equal(secret_reveal(store->mariadb_password), "one: two");
    store = conf_store(conf, "store2.lab.test");
    assert_true(store->local);
    assert_string_equal(store->address, "store2.lab.test");
    assert_string_equal(store->zimbra_home, "/opt/zimbra");
    assert_null(store->mariadb_password);
    assert_non_null(conf_store(conf, "store3.lab.test"));
    assert_null(conf_store(conf, "store4.lab.test"));
    assert_string_equal(conf->ssh.user, "me");
    assert_string_equal(conf->ssh.key_file, key);
    assert_string_equal(conf->ssh.known_hosts, "/k/known");
    assert_string_equal(secret_reveal(conf->ldap.password), "from a file");
    assert_false(conf->ldap.starttls);
    assert_string_equal(secret_reveal(conf->admin.password), "s3cret");
    assert_string_equal(conf->memcached.servers[1], "127.27.0.5:11211");
    assert_null(conf->memcached.servers[2]);
    assert_string_equal(conf_address(conf, "store9.lab.TEST"), "127.27.0.19");
    assert_string_equal(conf_address(conf, "store1.lab.test"), "127.27.0.11");
}

static void mistakes(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        { "retention: 3\n", "yaml:1: unknown key retention, did you mean retention_days?" },
        { "\nldap:\n  mastre: x\n", "yaml:3: unknown key ldap.mastre, did you mean master?" },
        { "ldap:\n  passwd: x\n", "yaml:2: unknown key ldap.passwd, did you mean password?" },
        { "stores:\n  a:\n    adress: x\n",
          "yaml:3: unknown key stores.a.adress, did you mean address?" },
        { "bogus: 1\n", "yaml:1: unknown key bogus" },
        { "ldap.master: x\n", "yaml:1: unknown key ldap.master" },
        { "lease: 60s\nlease: 60s\n", "yaml:2: lease is given twice (first in line 1)" },
        { "ldap:\n  password: a\n  password_file: b\n", "yaml:3: ldap.password is given twice" },
        { "stores:\n  a:\n  A:\n", "yaml:3: stores.A is given twice" },
        { "lease: 60\n", "yaml:1: lease: '60' has no unit; write it like 500ms, 30s or 15m" },
        { "lease: 1500ms\n", "yaml:1: lease: 1500ms is not between 10s and 10m" },
        { "net_timeout: 1500ms\n", "yaml:1: net_timeout: 1500ms is not a whole number of seconds" },
        { "max_syncs: many\n", "yaml:1: max_syncs: 'many' is not a whole number" },
        { "max_syncs: 101\n", "yaml:1: max_syncs: 101 is above 100" },
        { "min_free: 60%\n", "yaml:1: min_free: 60 is above 50" },
        { "log: {level: loud}\n", "yaml:1: log.level: 'loud' is none of error, warning, info" },
        { "log: {max_size: 1K}\n", "yaml:1: log.max_size: 1K is not between 64K and 100G" },
        { "separate_logs: 3\n", "yaml:1: separate_logs: '3' is neither true nor false" },
        { "max_syncs: [1, 2]\n", "yaml:1: max_syncs must be a whole number, not a list" },
        { "state_dir: {a: b}\n", "yaml:1: state_dir must be a path, not a map" },
        { "state_dir:\n", "yaml:1: state_dir has no value; it must be a path" },
        { "ldap: text\n", "yaml:1: ldap must be a map of settings" },
        { "ldap: {starttls: maybe}\n", "yaml:1: ldap.starttls: 'maybe' is neither true nor false" },
        { "stores: [a, b]\n", "yaml:1: stores must be a map of settings" },
        { "stores:\n  'a b':\n", "yaml:2: 'a b' is not the name of a server" },
        { "stores:\n  '*':\n", "yaml:2: '*' is not the name of a server" },
        { "memcached: {servers: [[a]]}\n",
          "yaml:1: memcached.servers: an item of the list is no text" },
        { "smtp: {from: \"a\\nb\"}\n", "yaml:1: smtp.from: the value holds a control character" },
        { "ssh: &x {user: a}\nldap: *x\n", "yaml:2: aliases" },
        { "lease: 60s\n---\nlease: 60s\n", "yaml:2: a second document" },
        { "- a\n- b\n", "yaml:1: expected a map of settings" },
        { "lease 60s\n", "yaml:1: expected a map of settings" },
        { "\nlease: 60s: 3\n", "yaml:2: not valid YAML: mapping values are not allowed" },
        { "ldap: {\n", "not valid YAML" },
        { "? [a]\n: b\n", "yaml:1: a key must be a plain word" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        GError *error = NULL;
        g_autoptr(Conf) conf = load(cases[i].text, &error);

        if (conf != NULL)
            fail_msg("accepted: %s", cases[i].text);
        check_message(error, ZX_ERROR_INPUT, cases[i].message);
    }
}

static void secrets_of_others(void **state G_GNUC_UNUSED)
{
    static const mode_t open_modes[] = { 0640, 0604, 0644, 0620 };
    g_autofree char *good = write_file("good.yaml", "admin: {password: x}\n", 0400);
    g_autoptr(Conf) fine = conf_load(good, NULL);

    assert_non_null(fine);
    for (size_t i = 0; i < G_N_ELEMENTS(open_modes); i++) {
        g_autofree char *path = write_file("open.yaml", "\nadmin: {password: x}\n", open_modes[i]);
        g_autofree char *secret = write_file("open.secret", "x\n", open_modes[i]);
        g_autofree char *user =
            write_file("user.yaml", "ldap: {password_file: open.secret}\n", 0644);
        g_autofree char *remedy = g_strdup_printf("run: chmod 600 %s", path);
        g_autofree char *remedy2 = g_strdup_printf("run: chmod 600 %s", secret);
        GError *error = NULL;

        assert_null(conf_load(path, &error));
        assert_non_null(strstr(error->message, "admin.password in line 2"));
        check_message(error, ZX_ERROR_DENIED, remedy);
        error = NULL;
        assert_null(conf_load(user, &error));
        check_message(error, ZX_ERROR_DENIED, remedy2);
    }
    {
        g_autofree char *path = write_file("plain.yaml", "lease: 30s\n", 0644);
        g_autoptr(Conf) conf = conf_load(path, NULL);

        assert_non_null(conf); /* no secret in it: others may read it */
    }
}

static void open_to_others_is_said_first(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = write_file("open.yaml", "admin: {password: x}\nbogus: 1\n", 0644);
    GError *error = NULL;

    assert_null(conf_load(path, &error));
    check_message(error, ZX_ERROR_DENIED, "chmod 600");
}

static void secret_files(void **state G_GNUC_UNUSED)
{
    g_autofree char *empty = write_file("empty.secret", "\n", 0600);
    GError *error = NULL;

    assert_null(load("admin: {password_file: empty.secret}\n", &error));
    check_message(error, ZX_ERROR_INPUT, "is empty");
    error = NULL;
    assert_null(load("\nadmin: {password_file: none.secret}\n", &error));
    check_message(error, ZX_ERROR_INPUT, "yaml:2: admin.password: ");
    error = NULL;
    assert_null(load("admin: {password_file: /dev/null}\n", &error));
    check_message(error, ZX_ERROR_INPUT, "not a regular file");
}

static void environment(void **state G_GNUC_UNUSED)
{
    setenv("ZXMOVE_ADMIN_PASSWORD", "from outside", 1);
    setenv("ZXMOVE_MARIADB_PASSWORD", "", 1);
    {
        g_autoptr(Conf) conf = load("admin: {password: inside}\nmariadb: {password: kept}\n", NULL);

        assert_string_equal(secret_reveal(conf->admin.password), "from outside");
        assert_string_equal(secret_reveal(conf->mariadb.password), "kept");
        assert_null(getenv("ZXMOVE_ADMIN_PASSWORD"));
        assert_null(getenv("ZXMOVE_MARIADB_PASSWORD"));
    }
}

static void which_file(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = write_file("env.yaml", "lease: 33s\n", 0600);
    GError *error = NULL;

    setenv("ZXMOVE_CONFIG", path, 1);
    {
        g_autoptr(Conf) conf = conf_load(NULL, NULL);

        assert_int_equal(conf->lease_s, 33);
        assert_string_equal(conf->path, path);
    }
    unsetenv("ZXMOVE_CONFIG");
    assert_null(conf_load("/nonexistent/zxmove.yaml", &error));
    check_message(error, ZX_ERROR_INPUT, "/nonexistent/zxmove.yaml: No such file");
    error = NULL;
    assert_null(conf_load("/proc/self/mem", &error)); /* a regular file that cannot be read */
    check_message(error, ZX_ERROR_INPUT, "/proc/self/mem: Input/output error");
}

/* conf/zxmove.yaml is printed from the table; taken out of its comments it means the defaults. */
static void reference(void **state G_GNUC_UNUSED)
{
    g_autofree char *printed = conf_reference();
    g_autofree char *kept = NULL;
    g_auto(GStrv) lines = g_strsplit(printed, "\n", -1);
    g_autoptr(GString) open = g_string_new(NULL);
    g_autoptr(Conf) conf = NULL, plain = NULL;
    GError *error = NULL;

    assert_true(g_file_get_contents("conf/zxmove.yaml", &kept, NULL, NULL));
    assert_string_equal(kept, printed);
    for (char **line = lines; *line != NULL; line++) {
        bool prose = g_str_has_prefix(*line, "# ") && (*line)[2] != ' ';
        char *comment = strstr(*line, "  # ");
        bool section = comment == NULL && !g_str_has_suffix(*line, "_file:");

        if (comment != NULL)
            *comment = '\0';
        g_strchomp(*line);
        if (!prose && (section || !g_str_has_suffix(*line, ":")))
            g_string_append_printf(open, "%s\n", **line == '\0' ? "" : *line + 1);
    }
    conf = load(open->str, &error);
    plain = load("", NULL);
    if (conf == NULL)
        fail_msg("%s in\n%s", error->message, open->str);
    assert_int_equal(conf->stores->len, 1);
    for (const ConfItem *item = conf_items; item->key != NULL; item++) {
        const char *a = (const char *)conf + item->offset, *b = (const char *)plain + item->offset;

        if (strchr(item->key, '*') != NULL)
            continue;
        if (item->type == CONF_TEXT || item->type == CONF_PATH || item->type == CONF_CHOICE)
            assert_true(
                g_strcmp0(*(char *const *)(const void *)a, *(char *const *)(const void *)b) == 0);
        else if (item->type == CONF_SIZE)
            assert_true(*(const uint64_t *)(const void *)a == *(const uint64_t *)(const void *)b);
        else if (item->type == CONF_BOOL)
            assert_true(*(const bool *)a == *(const bool *)b);
        else if (item->type != CONF_SECRET && item->type != CONF_LIST)
            assert_int_equal(*(const unsigned *)(const void *)a,
                             *(const unsigned *)(const void *)b);
    }
}

static int set_up(void **state G_GNUC_UNUSED)
{
    directory = g_dir_make_tmp("zxmove-conf-XXXXXX", NULL);
    return directory == NULL;
}

static int tear_down(void **state G_GNUC_UNUSED)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(directory, name, NULL);

        unlink(path);
    }
    rmdir(directory);
    g_free(directory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(everything),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(secrets_of_others),
        cmocka_unit_test(open_to_others_is_said_first),
        cmocka_unit_test(secret_files),
        cmocka_unit_test(environment),
        cmocka_unit_test(which_file),
        cmocka_unit_test(reference),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
