/* conf.c - fuzzes zxmove.yaml, read and edited. The first line names a setting, the second is its
 * new value, the rest is the file: it is refused, or it is read; the value is refused and the file
 * stays as it was, or it is what the file says afterwards, and every other setting is what it was.
 */
#include "conf/settings.h"
#include "tests/fuzz/files.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* By name: the value as it is shown. */
static GHashTable *values_of(const Conf *conf)
{
    GHashTable *values = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GPtrArray) settings = settings_list(conf);

    for (guint i = 0; i < settings->len; i++) {
        const Setting *setting = g_ptr_array_index(settings, i);
        char *name = g_ascii_strdown(setting->name, -1);

        g_assert(g_hash_table_insert(values, name,
                                     g_strdup_printf("%d %s", setting->present, setting->value)));
    }
    return values;
}

/* Of a setting that follows from another one is said so only where it comes from. */
static bool follows(const Conf *conf, const char *name)
{
    g_autoptr(Setting) setting = settings_get(conf, name, NULL);

    return setting != NULL && strcmp(setting->origin, "default") == 0;
}

static void check_others(const Conf *before, const Conf *after, const char *name)
{
    g_autoptr(GHashTable) old = values_of(before);
    g_autoptr(GHashTable) new = values_of(after);
    g_autofree char *lower = g_ascii_strdown(name, -1);
    GHashTableIter iter;
    gpointer key, value;

    g_hash_table_iter_init(&iter, old);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        if (g_str_has_prefix(lower, key) || (follows(before, key) && follows(after, key)))
            continue;
        if (g_strcmp0(g_hash_table_lookup(new, key), value) != 0)
            g_error("%s: %s became %s", (char *)key, (char *)value,
                    (char *)g_hash_table_lookup(new, key));
    }
}

static void check_written(const Conf *before, const char *path, const ConfItem *item, bool in_file,
                          const char *name, const char *value)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Conf) after = conf_load(path, &error);
    g_autoptr(Setting) setting = NULL;

    if (after == NULL)
        g_error("%s", error->message);
    setting = settings_get(after, name, &error);
    if (setting == NULL)
        g_error("%s", error->message);
    g_assert(setting->present);
    if (!in_file && item->type == CONF_TEXT)
        g_assert_cmpstr(setting->value, ==, value);
    check_others(before, after, name);
}

static void edit(const Conf *conf, const char *path, const char *name, const char *value)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    bool in_file;
    const ConfItem *item = settings_item(conf, name, &in_file, &error);

    g_assert((item == NULL) == (error != NULL));
    if (item == NULL || (!in_file && !conf_check_value(item, value, &error)))
        return;
    g_assert(g_file_get_contents(path, &before, NULL, NULL));
    if (settings_write(conf, path, name, value, &error)) {
        check_written(conf, path, item, in_file, name, value);
        return;
    }
    g_assert(error != NULL);
    g_assert(g_file_get_contents(path, &after, NULL, NULL));
    g_assert_cmpstr(after, ==, before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_auto(GStrv) parts = g_strsplit(text, "\n", 3);
    g_autoptr(GError) error = NULL;
    g_autoptr(Conf) conf = NULL;
    g_autofree char *path = NULL;

    if (g_strv_length(parts) < 3)
        return 0;
    path = fuzz_file("zxmove.yaml", parts[2], strlen(parts[2]));
    conf = conf_load(path, &error);
    g_assert((conf == NULL) == (error != NULL));
    if (conf != NULL)
        edit(conf, path, parts[0], parts[1]);
    return 0;
}
