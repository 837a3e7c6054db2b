/* load.c - a YAML file and the environment into one Conf; the only file that includes <yaml.h>.
 *
 * Read as a stream of events rather than as a tree, because events know their line, and a message
 * without a line is no help in a file of a hundred. Nothing is ignored: what no row of items.c
 * explains is an error. */
#include "conf/items.h"
#include "conf/units.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

/* A configuration of every store there is stays far below this. */
#define FILE_MAX ((size_t)1 << 20)

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(yaml_event_t, yaml_event_delete)

typedef struct Loader {
    yaml_parser_t parser;
    const char *path;
    char *directory; /* of the file: where relative paths start */
    Conf *conf;
    GHashTable *seen;   /* "ldap.master" -> its line */
    size_t secret_line; /* of the first password written in the file itself; 0 if none */
    const char *secret_key;
} Loader;

/* The text of one regular file; the caller wipes and frees it. @mode is what fstat said of the very
 * file that was read. */
static char *read_file(const char *path, mode_t *mode, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    g_autofree char *text = NULL;
    struct stat st;
    ssize_t got;
    size_t length = 0;

    if (fd < 0) {
        fail(error, errno == EACCES ? ZX_ERROR_DENIED : ZX_ERROR_INPUT, "%s: %s", path,
             g_strerror(errno));
        return NULL;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        fail(error, ZX_ERROR_INPUT, "%s: not a regular file", path);
        return NULL;
    }
    text = g_malloc(FILE_MAX + 1);
    while ((got = read(fd, text + length, FILE_MAX - length)) != 0) {
        if (got > 0)
            length += (size_t)got;
        else if (errno != EINTR)
            break;
    }
    text[length] = '\0';
    if (got < 0) { /* the half of a configuration is another configuration */
        fail(error, ZX_ERROR_INPUT, "%s: %s", path, g_strerror(errno));
        close(fd);
        secret_wipe(text);
        return NULL;
    }
    close(fd);
    if (length == FILE_MAX || strlen(text) != length) {
        secret_wipe(text);
        fail(error, ZX_ERROR_INPUT, "%s: %s", path,
             length == FILE_MAX ? "larger than 1 MB" : "not a text file");
        return NULL;
    }
    *mode = st.st_mode;
    return g_steal_pointer(&text);
}

/* A password that others may read is no secret any more: said before it is used. */
static bool check_private(const char *path, mode_t mode, const char *key, GError **error)
{
    if ((mode & (S_IRWXG | S_IRWXO)) == 0)
        return true;
    return fail(error, ZX_ERROR_DENIED,
                "%s: holds %s and is open to others (mode %04o); run: chmod 600 %s", path, key,
                (unsigned)mode & 07777, path);
}

static bool at_line(const Loader *loader, size_t line, GError **error, const char *fmt, ...)
    G_GNUC_PRINTF(4, 5);

static bool at_line(const Loader *loader, size_t line, GError **error, const char *fmt, ...)
{
    g_autofree char *message = NULL;
    va_list args;

    va_start(args, fmt);
    message = g_strdup_vprintf(fmt, args);
    va_end(args);
    return fail(error, ZX_ERROR_INPUT, "%s:%zu: %s", loader->path, line, message);
}

static size_t line_of(const yaml_event_t *event)
{
    return event->start_mark.line + 1;
}

static const char *text_of(const yaml_event_t *event)
{
    return (const char *)event->data.scalar.value;
}

static bool next_event(Loader *loader, yaml_event_t *event, GError **error)
{
    if (!yaml_parser_parse(&loader->parser, event)) {
        size_t line = MAX(loader->parser.problem_mark.line, loader->parser.context_mark.line);

        return at_line(loader, line + 1, error, "not valid YAML: %s",
                       loader->parser.problem != NULL ? loader->parser.problem : "unreadable");
    }
    if (event->type == YAML_ALIAS_EVENT)
        return at_line(loader, line_of(event), error, "aliases (*name) are not understood here");
    return true;
}

/* "key:" with nothing behind it, or null. */
static bool is_null(const yaml_event_t *event)
{
    static const char *const words[] = { "", "~", "null", "Null", "NULL", NULL };

    return event->type == YAML_SCALAR_EVENT &&
           event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           g_strv_contains(words, text_of(event));
}

static ConfStore *store_new(const char *name)
{
    ConfStore *store = g_new0(ConfStore, 1);

    store->name = g_strdup(name);
    store->address = g_strdup(name);
    conf_set_defaults(store, "stores.*.");
    return store;
}

static void store_free(void *data)
{
    ConfStore *store = data;

    g_free(store->name);
    g_free(store->address);
    g_free(store->mariadb_address);
    g_free(store->zimbra_home);
    g_free(store->backup_path);
    secret_free(store->mariadb_password);
    g_free(store);
}

static const ConfItem *find_item(const char *pattern)
{
    for (const ConfItem *item = conf_items; item->key != NULL; item++)
        if (strcmp(item->key, pattern) == 0)
            return item;
    return NULL;
}

static bool is_section(const char *pattern)
{
    g_autofree char *prefix = g_strconcat(pattern, ".", NULL);

    for (const ConfItem *item = conf_items; item->key != NULL; item++)
        if (g_str_has_prefix(item->key, prefix))
            return true;
    return false;
}

/* What may stand where @pattern ("ldap.") goes on: for "did you mean". */
static GPtrArray *names_below(const char *pattern)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

    for (const ConfItem *item = conf_items; item->key != NULL; item++) {
        const char *rest = item->key + strlen(pattern);

        if (!g_str_has_prefix(item->key, pattern) || *rest == '*')
            continue;
        g_ptr_array_add(names, g_strndup(rest, strcspn(rest, ".")));
        if (item->type == CONF_SECRET)
            g_ptr_array_add(names, g_strconcat(rest, "_file", NULL));
    }
    g_ptr_array_add(names, NULL);
    return names;
}

static bool unknown_key(const Loader *loader, size_t line, const char *key, const char *pattern,
                        const char *name, GError **error)
{
    g_autoptr(GPtrArray) names = names_below(pattern);
    const char *near = units_nearest(name, (const char *const *)names->pdata);

    if (near == NULL)
        return at_line(loader, line, error, "unknown key %s", key);
    return at_line(loader, line, error, "unknown key %s, did you mean %s?", key, near);
}

/* Names of servers are equal without regard to case, so their keys are. */
static bool remember(Loader *loader, size_t line, const char *key, GError **error)
{
    g_autofree char *lower = g_ascii_strdown(key, -1);
    gpointer before = g_hash_table_lookup(loader->seen, lower);

    if (before != NULL)
        return at_line(loader, line, error, "%s is given twice (first in line %zu)", key,
                       GPOINTER_TO_SIZE(before));
    g_hash_table_insert(loader->conf->origins, g_strdup(lower),
                        g_strdup_printf("%s:%zu", loader->path, line));
    g_hash_table_insert(loader->seen, g_steal_pointer(&lower), GSIZE_TO_POINTER(line));
    return true;
}

/* A sequence, or one text with commas: servers: [a, b] and servers: a, b mean the same. */
static bool load_list(Loader *loader, const char *key, char ***field, GError **error)
{
    g_autoptr(GPtrArray) items = g_ptr_array_new_with_free_func(g_free);

    for (;;) {
        g_auto(yaml_event_t) event = { 0 };

        if (!next_event(loader, &event, error))
            return false;
        if (event.type == YAML_SEQUENCE_END_EVENT)
            break;
        if (event.type != YAML_SCALAR_EVENT || is_null(&event))
            return at_line(loader, line_of(&event), error, "%s: an item of the list is no text",
                           key);
        g_ptr_array_add(items, g_strdup(text_of(&event)));
    }
    g_ptr_array_add(items, NULL);
    g_strfreev(*field);
    *field = (char **)g_ptr_array_free(g_steal_pointer(&items), FALSE);
    return true;
}

static bool load_secret_file(const Loader *loader, size_t line, const char *key, const char *name,
                             Secret **field, GError **error)
{
    g_autofree char *path = conf_expand_path(name, loader->directory);
    g_autofree char *text = NULL;
    g_autofree char *what = g_strdup_printf("the password of %s", key);
    mode_t mode = 0;
    bool ok;

    text = read_file(path, &mode, error);
    if (text == NULL)
        return fail_prefix(error, "%s:%zu: %s", loader->path, line, key);
    ok = check_private(path, mode, what, error);
    if (ok) {
        g_strdelimit(text, "\r\n", '\0'); /* the first line */
        ok = *text != '\0' || at_line(loader, line, error, "%s: %s is empty", key, path);
    }
    if (ok) {
        secret_set(field, text);
        g_hash_table_insert(loader->conf->origins, g_ascii_strdown(key, -1),
                            g_strdup_printf("%s, by %s:%zu", path, loader->path, line));
    }
    secret_wipe(text);
    return ok;
}

static bool load_item(Loader *loader, const ConfItem *item, const char *key, bool in_file,
                      void *base, yaml_event_t *value, GError **error)
{
    size_t line = line_of(value);
    GError *problem = NULL;

    if (item->type == CONF_LIST && value->type == YAML_SEQUENCE_START_EVENT)
        return load_list(loader, key, (char ***)((char *)base + item->offset), error);
    if (value->type != YAML_SCALAR_EVENT)
        return at_line(loader, line, error, "%s must be %s, not a %s", key,
                       in_file ? "a path" : conf_type_name(item->type),
                       value->type == YAML_MAPPING_START_EVENT ? "map" : "list");
    if (is_null(value))
        return at_line(loader, line, error, "%s has no value; it must be %s", key,
                       in_file ? "a path" : conf_type_name(item->type));
    if (in_file)
        return load_secret_file(loader, line, key, text_of(value),
                                (Secret **)(void *)((char *)base + item->offset), error);
    if (strchr(item->key, '*') != NULL && g_str_has_suffix(item->key, "*")) {
        g_hash_table_insert(loader->conf->addresses, g_ascii_strdown(strchr(key, '.') + 1, -1),
                            g_strdup(text_of(value)));
        return true;
    }
    if (item->type == CONF_SECRET && loader->secret_line == 0) {
        loader->secret_line = line;
        loader->secret_key = item->key;
    }
    if (!conf_set_value(item, base, text_of(value), loader->directory, &problem)) {
        at_line(loader, line, error, "%s: %s", key, problem->message);
        g_error_free(problem);
        return false;
    }
    return true;
}

static bool load_mapping(Loader *loader, const char *prefix, const char *pattern, void *base,
                         GError **error);

/* One "name: value" of the mapping @prefix, which items.c knows as @pattern. */
static bool load_pair(Loader *loader, const char *prefix, const char *pattern, void *base,
                      const yaml_event_t *name_event, GError **error)
{
    g_auto(yaml_event_t) value = { 0 };
    const char *name = text_of(name_event);
    size_t line = line_of(name_event);
    g_autofree char *key = g_strconcat(prefix, name, NULL);
    g_autofree char *exact = g_strconcat(pattern, name, NULL);
    g_autofree char *any = g_strconcat(pattern, "*", NULL);
    bool plain = strpbrk(name, ".*") == NULL; /* these two are the table's own */
    const ConfItem *item = plain ? find_item(exact) : NULL;
    const char *known = exact;
    bool in_file = false, ok;

    if (item == NULL && plain && g_str_has_suffix(exact, "_file")) {
        g_autofree char *secret = g_strndup(exact, strlen(exact) - strlen("_file"));
        const ConfItem *holder = find_item(secret);

        if (holder != NULL && holder->type == CONF_SECRET) {
            item = holder;
            in_file = true;
            key[strlen(key) - strlen("_file")] = '\0';
        }
    }
    if (item == NULL && !(plain && is_section(exact))) {
        item = find_item(any);
        known = any;
        if (item == NULL && !is_section(any))
            return unknown_key(loader, line, key, pattern, name, error);
        if (!conf_is_server(name))
            return at_line(loader, line, error, "'%s' is not the name of a server", name);
    }
    if (!remember(loader, line, key, error) || !next_event(loader, &value, error))
        return false;

    if (item != NULL) {
        ok = load_item(loader, item, key, in_file, base, &value, error);
        if (value.type == YAML_SCALAR_EVENT && item->type == CONF_SECRET)
            secret_wipe((char *)value.data.scalar.value);
        return ok;
    }
    if (known == any) {
        base = store_new(name);
        g_ptr_array_add(loader->conf->stores, base);
    }
    if (is_null(&value))
        return true;
    if (value.type != YAML_MAPPING_START_EVENT)
        return at_line(loader, line_of(&value), error, "%s must be a map of settings", key);
    {
        g_autofree char *below = g_strconcat(key, ".", NULL);
        g_autofree char *below_pattern = g_strconcat(known, ".", NULL);

        return load_mapping(loader, below, below_pattern, base, error);
    }
}

static bool load_mapping(Loader *loader, const char *prefix, const char *pattern, void *base,
                         GError **error)
{
    for (;;) {
        g_auto(yaml_event_t) name = { 0 };

        if (!next_event(loader, &name, error))
            return false;
        if (name.type == YAML_MAPPING_END_EVENT)
            return true;
        if (name.type != YAML_SCALAR_EVENT)
            return at_line(loader, line_of(&name), error, "a key must be a plain word");
        if (!load_pair(loader, prefix, pattern, base, &name, error))
            return false;
    }
}

static bool load_stream(Loader *loader, GError **error)
{
    bool seen_document = false;

    for (;;) {
        g_auto(yaml_event_t) event = { 0 };

        if (!next_event(loader, &event, error))
            return false;
        switch ((int)event.type) {
        case YAML_STREAM_END_EVENT:
            return true;
        case YAML_DOCUMENT_START_EVENT:
            if (seen_document)
                return at_line(loader, line_of(&event), error, "a second document begins here");
            seen_document = true;
            break;
        case YAML_MAPPING_START_EVENT:
            if (!load_mapping(loader, "", "", loader->conf, error))
                return false;
            break;
        case YAML_SCALAR_EVENT:
        case YAML_SEQUENCE_START_EVENT:
            if (!is_null(&event))
                return at_line(loader, line_of(&event), error,
                               "expected a map of settings such as state_dir: /var/lib/zxmove");
            break;
        default:
            break;
        }
    }
}

static bool load_file(Conf *conf, const char *path, GError **error)
{
    Loader loader = { .path = path, .conf = conf };
    mode_t mode = 0;
    char *text = read_file(path, &mode, error);
    bool ok;

    if (text == NULL)
        return fail_prefix(error, "the configuration");
    loader.seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    loader.directory = g_path_get_dirname(path);
    if (!yaml_parser_initialize(&loader.parser))
        g_error("libyaml: out of memory");
    yaml_parser_set_input_string(&loader.parser, (const unsigned char *)text, strlen(text));
    ok = load_stream(&loader, error);
    if (loader.secret_line != 0) {
        g_autofree char *what =
            g_strdup_printf("%s in line %zu", loader.secret_key, loader.secret_line);

        /* Said before any other complaint: the file is open to others while it is being mended. */
        if ((mode & (S_IRWXG | S_IRWXO)) != 0) {
            g_clear_error(error);
            ok = check_private(path, mode, what, error);
        }
    }
    yaml_parser_delete(&loader.parser);
    g_hash_table_unref(loader.seen);
    g_free(loader.directory);
    secret_wipe(text);
    g_free(text);
    return ok;
}

/* The password of an environment variable, which is gone afterwards, from /proc too. */
static void take_environment(Conf *conf, Secret **field, const char *key, const char *name)
{
    char *value = getenv(name);

    if (value == NULL)
        return;
    if (*value != '\0') {
        secret_set(field, value);
        g_hash_table_insert(conf->origins, g_strdup(key), g_strconcat("environment ", name, NULL));
    }
    secret_wipe(value);
    unsetenv(name);
}

/* Passwords that the environment may tell. */
static const struct {
    const char *key, *name;
    size_t offset;
} from_environment[] = {
    { "ldap.password", "ZXMOVE_LDAP_PASSWORD", offsetof(Conf, ldap.password) },
    { "admin.password", "ZXMOVE_ADMIN_PASSWORD", offsetof(Conf, admin.password) },
    { "mariadb.password", "ZXMOVE_MARIADB_PASSWORD", offsetof(Conf, mariadb.password) },
};

static Secret **secret_at(Conf *conf, size_t offset)
{
    return (Secret **)(void *)((char *)conf + offset);
}

/* The one of @conf, if it came from there; else NULL. */
static const Secret *told(const Conf *conf, guint i)
{
    const char *origin = g_hash_table_lookup(conf->origins, from_environment[i].key);

    if (origin == NULL || !g_str_has_prefix(origin, "environment "))
        return NULL;
    return *(Secret *const *)(const void *)((const char *)conf + from_environment[i].offset);
}

void conf_environment(const Conf *conf,
                      void (*each)(void *data, const char *name, const Secret *secret), void *data)
{
    for (guint i = 0; i < G_N_ELEMENTS(from_environment); i++)
        if (told(conf, i) != NULL)
            each(data, from_environment[i].name, told(conf, i));
}

Conf *conf_load_again(const Conf *before, const char *path, GError **error)
{
    Conf *conf = conf_load(path, error);

    for (guint i = 0; conf != NULL && i < G_N_ELEMENTS(from_environment); i++) {
        Secret **field = secret_at(conf, from_environment[i].offset);

        if (told(before, i) == NULL)
            continue;
        secret_free(*field);
        *field = secret_copy(told(before, i));
        g_hash_table_insert(conf->origins, g_strdup(from_environment[i].key),
                            g_strconcat("environment ", from_environment[i].name, NULL));
    }
    return conf;
}

/* On a Zimbra server the file that its own programs believe by; elsewhere one that `trust` makes. */
static char *default_ca_file(const Conf *conf)
{
    static const char zimbra[] = "/opt/zimbra/conf/ca/ca.pem";

    return access(zimbra, R_OK) == 0 ? g_strdup(zimbra)
                                     : g_build_filename(conf->state_dir, "ca.pem", NULL);
}

/* Defaults that depend on who and where we are. */
static void set_computed(Conf *conf)
{
    if (conf->state_dir == NULL)
        conf->state_dir = conf_default_state_dir();
    if (conf->ssh.known_hosts == NULL)
        conf->ssh.known_hosts = g_build_filename(conf->state_dir, "known_hosts", NULL);
    if (conf->ldap.ca_file == NULL)
        conf->ldap.ca_file = default_ca_file(conf);
    if (conf->admin.ca_file == NULL)
        conf->admin.ca_file = g_strdup(conf->ldap.ca_file);
    if (conf->admin.timeout_s == 0)
        conf->admin.timeout_s = conf->net_timeout_s;
    if (conf->ssh.agent_file == NULL) {
        g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
        g_autofree char *directory = g_path_get_dirname(program != NULL ? program : ".");

        conf->ssh.agent_file = g_build_filename(directory, "zxmove-agent", NULL);
    }
    if (conf->smtp.from == NULL)
        conf->smtp.from = g_strconcat("zxmove@", g_get_host_name(), NULL);
}

char *conf_default_state_dir(void)
{
    if (geteuid() == 0)
        return g_strdup("/var/lib/zxmove");
    return g_build_filename(g_get_home_dir(), ".local", "state", "zxmove", NULL);
}

char *conf_find(const char *path)
{
    g_autofree char *own =
        g_build_filename(g_get_home_dir(), ".config", "zxmove", "zxmove.yaml", NULL);

    if (path == NULL)
        path = g_getenv("ZXMOVE_CONFIG");
    if (path != NULL && *path != '\0')
        return g_strdup(path);
    if (access(own, F_OK) == 0)
        return g_steal_pointer(&own);
    if (access("/etc/zxmove/zxmove.yaml", F_OK) == 0)
        return g_strdup("/etc/zxmove/zxmove.yaml");
    return NULL;
}

Conf *conf_load(const char *path, GError **error)
{
    g_autoptr(Conf) conf = g_new0(Conf, 1);

    conf->stores = g_ptr_array_new_with_free_func(store_free);
    conf->addresses = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    conf->origins = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    conf_set_defaults(conf, "");
    conf->path = conf_find(path);
    if (conf->path != NULL && !load_file(conf, conf->path, error))
        return NULL;
    for (guint i = 0; i < G_N_ELEMENTS(from_environment); i++)
        take_environment(conf, secret_at(conf, from_environment[i].offset), from_environment[i].key,
                         from_environment[i].name);
    set_computed(conf);
    return g_steal_pointer(&conf);
}

void conf_free(Conf *conf)
{
    if (conf == NULL)
        return;
    g_ptr_array_unref(conf->stores);
    g_hash_table_unref(conf->addresses);
    g_hash_table_unref(conf->origins);
    secret_free(conf->ldap.password);
    secret_free(conf->admin.password);
    secret_free(conf->mariadb.password);
    g_strfreev(conf->memcached.servers);
    for (const ConfItem *item = conf_items; item->key != NULL; item++) {
        bool text = item->type == CONF_TEXT || item->type == CONF_PATH ||
                    item->type == CONF_CHOICE;

        if (text && strchr(item->key, '*') == NULL)
            g_free(*(char **)(void *)((char *)conf + item->offset));
    }
    g_free(conf->path);
    g_free(conf);
}

const ConfStore *conf_store(const Conf *conf, const char *name)
{
    for (guint i = 0; i < conf->stores->len; i++) {
        const ConfStore *store = g_ptr_array_index(conf->stores, i);

        if (g_ascii_strcasecmp(store->name, name) == 0)
            return store;
    }
    return NULL;
}

const ConfStore *conf_store_called(const Conf *conf, const char *name, GError **error)
{
    const ConfStore *store = conf_store(conf, name);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const char *near;

    if (store != NULL)
        return store;
    for (guint i = 0; i < conf->stores->len; i++)
        g_ptr_array_add(names, ((const ConfStore *)g_ptr_array_index(conf->stores, i))->name);
    g_ptr_array_add(names, NULL);
    near = units_nearest(name, (const char *const *)names->pdata);
    if (near != NULL)
        fail(error, ZX_ERROR_NOT_FOUND, "store %s is not in the configuration, did you mean %s?",
             name, near);
    else
        fail(error, ZX_ERROR_NOT_FOUND,
             "store %s is not in the configuration\nits stores: config list", name);
    return NULL;
}

const char *conf_address(const Conf *conf, const char *name)
{
    const ConfStore *store = conf_store(conf, name);
    g_autofree char *lower = g_ascii_strdown(name, -1);
    const char *address = g_hash_table_lookup(conf->addresses, lower);

    if (store != NULL)
        return store->address;
    return address != NULL ? address : name;
}
