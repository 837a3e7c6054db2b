/* lookup.c - see lookup.h. */
#include "shell/lookup.h"
#include "completion/files.h"
#include "completion/names.h"

/* A server that takes longer than this is not asked on: its thread ends. */
#define ASK_MS 5000

struct Lookups {
    const Conf *conf;
    Core *core; /* NULL without a configuration */
    Names *names;
    bool (*impatient)(void *data);
    void *data;
};

static void close_core(void *data)
{
    core_close(data);
}

static GPtrArray *ask(void *data, NameKind kind, const char *host, const char *prefix,
                      unsigned limit)
{
    Wait wait = wait_within(NULL, ASK_MS);
    GError *ignored = NULL;
    GPtrArray *found = core_names(data, kind, host, prefix, limit, &wait, &ignored);

    g_clear_error(&ignored);
    return found;
}

Lookups *lookups_open(const Conf *conf, bool (*impatient)(void *data), void *data)
{
    Lookups *lookups = g_new0(Lookups, 1);

    lookups->conf = conf;
    lookups->core = conf != NULL ? core_open(conf, NULL) : NULL;
    if (lookups->core != NULL)
        lookups->names = names_open(ask, close_core, lookups->core, NAMES_TIMES);
    lookups->impatient = impatient;
    lookups->data = data;
    return lookups;
}

void lookups_close(Lookups *lookups)
{
    names_close(lookups->names);
    g_free(lookups);
}

/* Of @host, or of every store of the configuration; NULL-terminated. */
static GPtrArray *stores_of(const Lookups *lookups, const char *host)
{
    GPtrArray *stores = g_ptr_array_new();

    for (guint i = 0; i < lookups->conf->stores->len; i++) {
        char *name = ((ConfStore *)g_ptr_array_index(lookups->conf->stores, i))->name;

        if (host == NULL || g_ascii_strcasecmp(host, name) == 0)
            g_ptr_array_add(stores, name);
    }
    g_ptr_array_add(stores, NULL);
    return stores;
}

/* The configuration's, whatever the directory says; then what only the directory has. */
static void put_configured_first(const Lookups *lookups, GPtrArray *names)
{
    guint n = 0;

    for (guint i = 0; i < lookups->conf->stores->len; i++) {
        const ConfStore *store = g_ptr_array_index(lookups->conf->stores, i);

        for (guint k = n; k < names->len; k++)
            if (g_ascii_strcasecmp(((Name *)g_ptr_array_index(names, k))->text, store->name) == 0)
                g_ptr_array_remove_index(names, k--);
        g_ptr_array_insert(names, (int)n++, name_new(store->name, "configured store"));
    }
    for (guint k = n; k < names->len; k++) {
        Name *name = g_ptr_array_index(names, k);

        g_free(name->meaning);
        name->meaning = g_strdup("not in the configuration");
    }
}

static GPtrArray *names(void *data, NameKind kind, const char *host, const char *prefix)
{
    static const char *const directory[] = { "", NULL };
    const Lookups *lookups = data;
    g_autoptr(GPtrArray) stores = NULL;
    const char *const *hosts = directory;
    GPtrArray *found;

    if (lookups->core == NULL)
        return NULL;
    if (kind > NAME_DOMAIN) {
        stores = stores_of(lookups, host);
        hosts = (const char *const *)stores->pdata;
    }
    found = names_get(lookups->names, kind, hosts, prefix, lookups->impatient, lookups->data);
    if (kind == NAME_STORE)
        put_configured_first(lookups, found);
    return found;
}

static GPtrArray *files(void *data G_GNUC_UNUSED, const char *prefix)
{
    return files_like(prefix);
}

Lookup lookups_lookup(Lookups *lookups)
{
    return (Lookup){ .names = names, .files = files, .data = lookups };
}
