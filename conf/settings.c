/* settings.c - see settings.h. */
#include "conf/settings.h"
#include "conf/units.h"
#include <string.h>

#define STORES    "stores."
#define ADDRESSES "addresses."
#define FILE_KEY  "_file"

void setting_free(Setting *setting)
{
    g_free(setting->name);
    g_free(setting->value);
    g_free(setting);
}

/* In the largest unit in which it is whole: "15m". */
static char *in_units(uint64_t number, const char *const *units, const unsigned *sizes)
{
    unsigned i = 0;

    while (sizes[i] != 0 && number != 0 && number % sizes[i] == 0)
        number /= sizes[i++];
    return g_strdup_printf("%" G_GUINT64_FORMAT "%s", number, units[i]);
}

static char *time_text(uint64_t ms)
{
    static const char *const units[] = { "ms", "s", "m", "h", "d" };
    static const unsigned sizes[] = { 1000, 60, 60, 24, 0 };

    return in_units(ms, units, sizes);
}

static char *size_text(uint64_t bytes)
{
    static const char *const units[] = { "B", "K", "M", "G", "T" };
    static const unsigned sizes[] = { 1024, 1024, 1024, 1024, 0 };

    return in_units(bytes, units, sizes);
}

/* As the default is written, if it is that: "60s", not "1m". */
static char *number_text(const ConfItem *item, uint64_t number)
{
    uint64_t fallback;

    if (item->fallback != NULL && conf_parse_number(item, item->fallback, &fallback, NULL) &&
        fallback == number)
        return g_strdup(item->fallback);
    if (item->type == CONF_SIZE)
        return size_text(number);
    return time_text(item->type == CONF_SECONDS ? number * 1000 : number);
}

/* Of @base, a Conf or a ConfStore; NULL if there is none. */
static char *value_text(const ConfItem *item, const void *base)
{
    const void *field = (const char *)base + item->offset;

    switch (item->type) {
    case CONF_TEXT:
    case CONF_PATH:
    case CONF_CHOICE:
        return g_strdup(*(char *const *)field);
    case CONF_SECRET:
        return NULL;
    case CONF_BOOL:
        return g_strdup(*(const bool *)field ? "true" : "false");
    case CONF_COUNT:
    case CONF_PERCENT:
        return g_strdup_printf("%u", *(const unsigned *)field);
    case CONF_SECONDS:
    case CONF_MILLIS:
        return number_text(item, *(const unsigned *)field);
    case CONF_SIZE:
        return number_text(item, *(const uint64_t *)field);
    case CONF_LIST:
        return *(char **const *)field != NULL ? g_strjoinv(",", *(char **const *)field) : NULL;
    }
    g_assert_not_reached();
}

static Setting *setting_new(const Conf *conf, const ConfItem *item, char *name, const void *base)
{
    Setting *setting = g_new0(Setting, 1);
    g_autofree char *key = g_ascii_strdown(name, -1);
    const char *origin = g_hash_table_lookup(conf->origins, key);

    setting->name = name;
    setting->item = item;
    setting->value = value_text(item, base);
    setting->present =
        item->type == CONF_SECRET
            ? *(Secret *const *)(const void *)((const char *)base + item->offset) != NULL
            : setting->value != NULL;
    setting->origin = origin != NULL ? origin : "default";
    return setting;
}

static void add_stores(const Conf *conf, const ConfItem *item, GPtrArray *list)
{
    const char *key = item->key + strlen(STORES "*");

    for (guint i = 0; i < conf->stores->len; i++) {
        const ConfStore *store = g_ptr_array_index(conf->stores, i);

        g_ptr_array_add(
            list, setting_new(conf, item, g_strconcat(STORES, store->name, key, NULL), store));
    }
}

static void add_addresses(const Conf *conf, const ConfItem *item, GPtrArray *list)
{
    g_autoptr(GList) names =
        g_list_sort(g_hash_table_get_keys(conf->addresses), (GCompareFunc)strcmp);

    for (GList *name = names; name != NULL; name = name->next) {
        const char *address = g_hash_table_lookup(conf->addresses, name->data);

        g_ptr_array_add(
            list, setting_new(conf, item, g_strconcat(ADDRESSES, name->data, NULL), &address));
    }
}

GPtrArray *settings_list(const Conf *conf)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)setting_free);

    for (const ConfItem *item = conf_items; item->key != NULL; item++) {
        if (g_str_has_prefix(item->key, STORES))
            add_stores(conf, item, list);
        else if (g_str_has_prefix(item->key, ADDRESSES))
            add_addresses(conf, item, list);
        else
            g_ptr_array_add(list, setting_new(conf, item, g_strdup(item->key), conf));
    }
    return list;
}

/* "stores.mail1.example.com.address" is of the row "stores.*.address": no key of a store has a dot,
 * its name may. */
static const ConfItem *row_of(const char *name)
{
    const char *last = strrchr(name, '.');
    g_autofree char *pattern = NULL;

    if (g_str_has_prefix(name, ADDRESSES) && name[strlen(ADDRESSES)] != '\0')
        return conf_item(ADDRESSES "*");
    if (strchr(name, '*') != NULL)
        return NULL;
    if (!g_str_has_prefix(name, STORES))
        return conf_item(name);
    if (last <= name + strlen(STORES))
        return NULL;
    pattern = g_strconcat(STORES "*", last, NULL);
    return conf_item(pattern);
}

static const char *nearest(const GPtrArray *settings, const char *name)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (guint i = 0; i < settings->len; i++)
        g_ptr_array_add(names, ((const Setting *)g_ptr_array_index(settings, i))->name);
    g_ptr_array_add(names, NULL);
    return units_nearest(name, (const char *const *)names->pdata);
}

const ConfItem *settings_row(const char *name, bool *path)
{
    const ConfItem *item = row_of(name);
    g_autofree char *secret = NULL;

    *path = false;
    if (item != NULL || !g_str_has_suffix(name, FILE_KEY))
        return item;
    secret = g_strndup(name, strlen(name) - strlen(FILE_KEY));
    item = row_of(secret);
    *path = item != NULL && item->type == CONF_SECRET;
    return *path ? item : NULL;
}

const ConfItem *settings_item(const Conf *conf, const char *name, bool *path, GError **error)
{
    const ConfItem *item = settings_row(name, path);
    g_autoptr(GPtrArray) settings = NULL;
    const char *near;

    if (item != NULL)
        return item;
    settings = settings_list(conf);
    near = nearest(settings, name);
    if (near != NULL)
        fail(error, ZX_ERROR_USAGE, "no setting %s, did you mean %s?", name, near);
    else
        fail(error, ZX_ERROR_USAGE, "no setting %s\nsee: config list", name);
    return NULL;
}

Setting *settings_get(const Conf *conf, const char *name, GError **error)
{
    bool path;
    const ConfItem *item = settings_item(conf, name, &path, error);
    g_autoptr(GPtrArray) settings = NULL;

    if (item == NULL)
        return NULL;
    settings = settings_list(conf);
    for (guint i = 0; i < settings->len; i++) {
        Setting *setting = g_ptr_array_index(settings, i);
        size_t length = strlen(setting->name);

        if (g_ascii_strncasecmp(setting->name, name, length) == 0 &&
            strcmp(name + length, path ? FILE_KEY : "") == 0) {
            g_ptr_array_set_free_func(settings, NULL);
            for (guint k = 0; k < settings->len; k++)
                if (k != i)
                    setting_free(g_ptr_array_index(settings, k));
            return setting;
        }
    }
    fail(error, ZX_ERROR_NOT_FOUND, "%s: the configuration does not name this server", name);
    return NULL;
}
