/* Settings by name: values and where they came from; and one of them written into the file, of
 * which everything else stays as it is. */
#include "conf/settings.h"
#include "tests/unit/files.h"
#include <stdlib.h>

static char *directory;

static char *path_of(const char *name)
{
    return g_build_filename(directory, name, NULL);
}

/* A private file zxmove.yaml of this text; its path. */
static char *conf_file(const char *text)
{
    char *path = path_of("zxmove.yaml");

    write_file(directory, "zxmove.yaml", text, strlen(text));
    assert_int_equal(chmod(path, 0600), 0);
    return path;
}

static Conf *loaded(const char *path)
{
    GError *error = NULL;
    Conf *conf = conf_load(path, &error);

    if (conf == NULL)
        fail_msg("%s", error->message);
    return conf;
}

/* "value, from origin" without the directory. */
static char *told(const Conf *conf, const char *name)
{
    GError *error = NULL;
    g_autoptr(Setting) setting = settings_get(conf, name, &error);
    g_autofree char *slash = g_strconcat(directory, "/", NULL);
    g_auto(GStrv) parts = NULL;
    g_autofree char *origin = NULL;

    if (setting == NULL)
        fail_msg("%s", error->message);
    parts = g_strsplit(setting->origin, slash, -1);
    origin = g_strjoinv("", parts);
    return g_strdup_printf("%s, from %s",
                           setting->value != NULL ? setting->value
                           : setting->present     ? "secret"
                                                  : "nothing",
                           origin);
}

static void values_and_origins(void **state G_GNUC_UNUSED)
{
    static const char text[] = "lease: 90s\n"
                               "net_timeout: 120s\n"
                               "stores:\n"
                               "  Mail1.example.com:\n"
                               "    local: yes\n"
                               "    mariadb_password: x\n"
                               "ldap: { master: ldap://a, password_file: secret }\n"
                               "memcached: { servers: [a:1, b:2] }\n"
                               "log: { max_size: 3M, level: info }\n"
                               "addresses: { proxy.example.com: 10.0.0.9 }\n";
    static const struct {
        const char *name, *told;
    } cases[] = {
        { "lease", "90s, from zxmove.yaml:1" },
        { "net_timeout", "2m, from zxmove.yaml:2" },
        { "cutover_timeout", "60s, from default" },
        { "min_free", "5, from default" },
        { "stores.mail1.example.com.local", "true, from zxmove.yaml:5" },
        { "stores.Mail1.example.com.ssh_port", "22, from default" },
        { "stores.mail1.example.com.mariadb_password", "secret, from zxmove.yaml:6" },
        { "ldap.master", "ldap://a, from zxmove.yaml:7" },
        { "ldap.password", "secret, from secret, by zxmove.yaml:7" },
        { "ldap.password_file", "secret, from secret, by zxmove.yaml:7" },
        { "admin.password", "secret, from environment ZXMOVE_ADMIN_PASSWORD" },
        { "mariadb.password", "nothing, from default" },
        { "memcached.servers", "a:1,b:2, from zxmove.yaml:8" },
        { "log.max_size", "3M, from zxmove.yaml:9" },
        { "log.level", "info, from zxmove.yaml:9" },
        { "addresses.proxy.example.com", "10.0.0.9, from zxmove.yaml:10" },
    };
    g_autofree char *path = conf_file(text);
    g_autofree char *secret = path_of("secret");
    g_autoptr(Conf) conf = NULL;
    g_autoptr(GPtrArray) all = NULL;
    GError *error = NULL;

    write_file(directory, "secret", "s\n", 2);
    assert_int_equal(chmod(secret, 0600), 0);
    setenv("ZXMOVE_ADMIN_PASSWORD", "e", 1);
    conf = loaded(path);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *found = told(conf, cases[i].name);

        assert_string_equal(found, cases[i].told);
    }
    all = settings_list(conf);
    for (guint i = 0; i < all->len; i++) /* no password ever has a value */
        assert_true(((const Setting *)all->pdata[i])->item->type != CONF_SECRET ||
                    ((const Setting *)all->pdata[i])->value == NULL);

    assert_null(settings_get(conf, "ldap.mastr", &error));
    assert_non_null(strstr(error->message, "did you mean ldap.master?"));
    g_clear_error(&error);
    assert_null(settings_get(conf, "stores.other.example.com.address", &error));
    assert_int_equal(error_code(error), ZX_ERROR_NOT_FOUND);
    g_clear_error(&error);
    assert_null(settings_get(conf, "stores.*.address", &error));
    g_clear_error(&error);
}

static void written(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *before, *name, *value, *after;
    } cases[] = {
        { "", "retention_days", "7", "retention_days: 7\n" },
        { "# nothing yet\n", "retention_days", "7", "# nothing yet\nretention_days: 7\n" },
        { "lease: 60s", "retention_days", "7", "lease: 60s\nretention_days: 7\n" },
        /* What is there is replaced, its comment stays. */
        { "lease: 60s   # long\nmin_free: 3\n", "lease", "2m",
          "lease: 2m   # long\nmin_free: 3\n" },
        { "# f\xc3\xbcr alle \xe2\x82\xac\nlease: '60s' # \xc3\xbc\n", "lease", "2m",
          "# f\xc3\xbcr alle \xe2\x82\xac\nlease: 2m # \xc3\xbc\n" },
        { "ldap: { master: ldap://a, starttls: true } # here\n", "ldap.starttls", "false",
          "ldap: { master: ldap://a, starttls: false } # here\n" },
        { "stores:\n  a.b:\n    address: 1.2.3.4\n  c:\n", "stores.a.b.address", "5.6.7.8",
          "stores:\n  a.b:\n    address: 5.6.7.8\n  c:\n" },
        { "memcached:\n  servers:\n    - a:1\n    - b:2\nlease: 60s\n", "memcached.servers",
          "c:3, d:4", "memcached:\n  servers:\n    [c:3, d:4]\nlease: 60s\n" },
        { "memcached: { servers: [a:1] }\n", "memcached.servers", "c:3",
          "memcached: { servers: [c:3] }\n" },
        /* What is not is put at the end of its section. */
        { "ldap:\n  # the master\n  master: ldap://a  # ours\n\n# admin\nadmin:\n  user: z\n",
          "ldap.starttls", "false",
          "ldap:\n  # the master\n  master: ldap://a  # ours\n  starttls: false\n\n# "
          "admin\nadmin:\n"
          "  user: z\n" },
        { "ldap:\n    master: ldap://a\n", "ldap.starttls", "no",
          "ldap:\n    master: ldap://a\n    starttls: no\n" },
        { "ldap: { master: ldap://a }\n", "ldap.starttls", "no",
          "ldap: { master: ldap://a, starttls: no }\n" },
        { "ldap: {}\nlease: 60s\n", "ldap.starttls", "no", "ldap: { starttls: no }\nlease: 60s\n" },
        { "lease: 60s\n# the end\n", "smtp.from", "z@x",
          "lease: 60s\n# the end\nsmtp:\n  from: z@x\n" },
        { "stores:\n  a:\n  b:\nlease: 60s\n", "stores.a.ssh_port", "2222",
          "stores:\n  a:\n    ssh_port: 2222\n  b:\nlease: 60s\n" },
        { "stores:\n  a: { address: 1.2.3.4 }\nlease: 60s\n", "stores.b.c.address", "5.6.7.8",
          "stores:\n  a: { address: 1.2.3.4 }\n  b.c:\n    address: 5.6.7.8\nlease: 60s\n" },
        { "{ lease: 60s }\n", "admin.user", "a@x", "{ lease: 60s, admin: { user: a@x } }\n" },
        /* Quoted where YAML would read something else. */
        { "", "ldap.bind_dn", "uid=z, cn=\"a\\b\" # c",
          "ldap:\n  bind_dn: \"uid=z, cn=\\\"a\\\\b\\\" # c\"\n" },
        { "", "smtp.from", "- x", "smtp:\n  from: \"- x\"\n" },
        { "", "ssh.user", "null", "ssh:\n  user: \"null\"\n" },
        { "", "state_dir", "~/state", "state_dir: \"~/state\"\n" },
        { "admin:\n  password: old\n  user: a\n", "admin.user", "b",
          "admin:\n  password: old\n  user: b\n" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = NULL;
        g_autofree char *text = NULL;
        g_autoptr(Conf) conf = NULL;
        GError *error = NULL;
        struct stat st;

        path = conf_file(cases[i].before);
        conf = loaded(path);
        if (!settings_write(conf, path, cases[i].name, cases[i].value, &error))
            fail_msg("%s in '%s': %s", cases[i].name, cases[i].before, error->message);
        text = read_file(directory, "zxmove.yaml", NULL);
        assert_string_equal(text, cases[i].after);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

static void refused(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *before, *name, *value, *message;
    } cases[] = {
        { "admin:\n  password: x\n", "admin.password_file", "secret",
          "admin.password is given twice" },
        { "", "admin.password_file", "/nowhere", "zxmove.yaml:2: admin.password" },
        { "lease: 60s\n", "lease", "1s", "zxmove.yaml:1: lease: 1s is not between" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = NULL;
        g_autofree char *text = NULL;
        g_autoptr(Conf) conf = NULL;
        g_autoptr(GDir) dir = NULL;
        const char *name;
        GError *error = NULL;

        path = conf_file(cases[i].before);
        conf = loaded(path);
        assert_false(settings_write(conf, path, cases[i].name, cases[i].value, &error));
        if (strstr(error->message, cases[i].message) == NULL)
            fail_msg("'%s' lacks '%s'", error->message, cases[i].message);
        g_error_free(error);
        text = read_file(directory, "zxmove.yaml", NULL);
        assert_string_equal(text, cases[i].before);
        dir = g_dir_open(directory, 0, NULL);
        while ((name = g_dir_read_name(dir)) != NULL) /* no draft is left */
            assert_false(g_str_has_prefix(name, "zxmove.yaml."));
    }
}

static void links_and_modes(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = conf_file("lease: 60s\n");
    g_autofree char *link = path_of("link.yaml");
    g_autofree char *text = NULL;
    g_autoptr(Conf) conf = loaded(path);
    struct stat st;

    assert_int_equal(symlink(path, link), 0);
    assert_true(settings_write(conf, link, "lease", "90s", NULL));
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    text = read_file(directory, "zxmove.yaml", NULL);
    assert_string_equal(text, "lease: 90s\n");

    assert_int_equal(chmod(path, 0644),
                     0); /* no password in it: others may read it, and still may */
    assert_true(settings_write(conf, path, "lease", "60s", NULL));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
}

/* Every default can be written and reads as itself. */
static void every_default(void **state G_GNUC_UNUSED)
{
    g_autofree char *path = conf_file("");
    g_autoptr(Conf) conf = loaded(path), after = NULL;

    for (const ConfItem *item = conf_items; item->key != NULL; item++) {
        if (strchr(item->key, '*') == NULL && item->fallback != NULL)
            assert_true(settings_write(conf, path, item->key, item->fallback, NULL));
    }
    after = loaded(path);
    for (const ConfItem *item = conf_items; item->key != NULL; item++) {
        g_autoptr(Setting) setting = NULL;

        if (strchr(item->key, '*') != NULL || item->fallback == NULL || item->type == CONF_PATH)
            continue;
        setting = settings_get(after, item->key, NULL);
        assert_string_equal(setting->value, item->fallback);
        assert_string_not_equal(setting->origin, "default");
    }
}

static int set_up(void **state G_GNUC_UNUSED)
{
    directory = temporary_dir();
    return 0;
}

static int tear_down(void **state G_GNUC_UNUSED)
{
    remove_dir(directory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_origins),
        cmocka_unit_test(written),
        cmocka_unit_test(refused),
        cmocka_unit_test(links_and_modes),
        cmocka_unit_test(every_default),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
