/* config.c - see config.h. */
#include "tests/mailboxd/config.h"
#include "tests/mailboxd/fault.h"
#include <jansson.h>
#include <libxml/parser.h>
#include <string.h>

static Config loaded;
const Config *config = &loaded;

static bool text(json_t *root, const char *key, char **out, GError **error)
{
    const char *value = json_string_value(json_object_get(root, key));

    if (value == NULL)
        return fault(error, FAULT_FAILURE, "configuration: %s: a text is required", key);
    *out = g_strdup(value);
    return true;
}

static char *optional_text(json_t *root, const char *key, const char *fallback)
{
    const char *value = json_string_value(json_object_get(root, key));

    return g_strdup(value == NULL ? fallback : value);
}

static bool number(json_t *root, const char *key, unsigned fallback, unsigned *out, GError **error)
{
    json_t *value = json_object_get(root, key);

    if (value == NULL && fallback == 0)
        return fault(error, FAULT_FAILURE, "configuration: %s: a number is required", key);
    if (value != NULL && (!json_is_integer(value) || json_integer_value(value) < 0 ||
                          json_integer_value(value) > G_MAXINT))
        return fault(error, FAULT_FAILURE, "configuration: %s: not a positive number", key);
    *out = value == NULL ? fallback : (unsigned)json_integer_value(value);
    return true;
}

static bool list(json_t *root, const char *key, char ***out, GError **error)
{
    json_t *values = json_object_get(root, key), *value;
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    size_t i;

    if (!json_is_array(values))
        return fault(error, FAULT_FAILURE, "configuration: %s: a list is required", key);
    json_array_foreach(values, i, value)
    {
        if (!json_is_string(value))
            return fault(error, FAULT_FAILURE, "configuration: %s: not a list of texts", key);
        g_ptr_array_add(texts, g_strdup(json_string_value(value)));
    }
    g_ptr_array_add(texts, NULL);
    *out = (char **)g_ptr_array_free(g_steal_pointer(&texts), FALSE);
    return true;
}

static bool addresses(json_t *root, GError **error)
{
    json_t *values = json_object_get(root, "addresses"), *value;
    const char *name;

    loaded.addresses = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    json_object_foreach(values, name, value)
    {
        if (!json_is_string(value))
            return fault(error, FAULT_FAILURE, "configuration: addresses: %s is no text", name);
        g_hash_table_insert(loaded.addresses, g_ascii_strdown(name, -1),
                            g_strdup(json_string_value(value)));
    }
    return true;
}

static bool from_json(json_t *root, GError **error)
{
    json_t *db = json_object_get(root, "mariadb"), *ldap = json_object_get(root, "ldap");
    json_t *hashed = json_object_get(root, "memcached_hashed");

    loaded.memcached_hashed = hashed == NULL || json_is_true(hashed);
    loaded.version = optional_text(root, "version", "10.1.0");
    loaded.db_version = optional_text(root, "db_version", "118");
    return text(root, "name", &loaded.name, error) &&
           text(root, "server_id", &loaded.server_id, error) &&
           text(root, "address", &loaded.address, error) &&
           number(root, "admin_port", 7071, &loaded.admin_port, error) &&
           number(root, "lmtp_port", 7025, &loaded.lmtp_port, error) &&
           number(root, "control_port", 7099, &loaded.control_port, error) &&
           text(root, "certificate", &loaded.certificate, error) &&
           text(root, "key", &loaded.key, error) && text(root, "ca", &loaded.ca, error) &&
           text(root, "zimbra_home", &loaded.home, error) &&
           text(db, "address", &loaded.mariadb.address, error) &&
           number(db, "port", 7306, &loaded.mariadb.port, error) &&
           text(db, "user", &loaded.mariadb.user, error) &&
           text(db, "password", &loaded.mariadb.password, error) &&
           text(ldap, "master", &loaded.ldap.master, error) &&
           list(ldap, "urls", &loaded.ldap.urls, error) &&
           text(ldap, "bind_dn", &loaded.ldap.bind_dn, error) &&
           text(ldap, "password", &loaded.ldap.password, error) &&
           list(root, "memcached", &loaded.memcached, error) &&
           (json_object_get(root, "reindexing") == NULL ||
            list(root, "reindexing", &loaded.reindexing, error)) &&
           (json_object_get(root, "network_moves") == NULL ||
            list(root, "network_moves", &loaded.network_moves, error)) &&
           addresses(root, error) &&
           number(root, "account_cache_ms", 900000, &loaded.account_cache_ms, error) &&
           number(root, "lock_timeout_ms", 60000, &loaded.lock_timeout_ms, error) &&
           number(root, "index_merge_ms", 200, &loaded.index_merge_ms, error);
}

/* <key name="K"><value>V</value></key>, doc/platform.md 1.6. */
static GHashTable *read_localconfig(const char *path, GError **error)
{
    xmlDoc *document = xmlReadFile(path, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR);
    GHashTable *keys = g_hash_table_new_full(g_str_hash, g_str_equal, xmlFree, xmlFree);

    if (document == NULL) {
        fault(error, FAULT_FAILURE, "%s: no such file, or not XML", path);
        g_hash_table_unref(keys);
        return NULL;
    }
    xmlNode *root = xmlDocGetRootElement(document);
    for (xmlNode *key = root->children; key != NULL; key = key->next) {
        if (key->type != XML_ELEMENT_NODE || strcmp((const char *)key->name, "key") != 0)
            continue;
        xmlChar *name = xmlGetProp(key, (const xmlChar *)"name");
        xmlNode *value = xmlFirstElementChild(key);
        if (name != NULL && value != NULL)
            g_hash_table_replace(keys, name, xmlNodeGetContent(value));
        else
            xmlFree(name);
    }
    xmlFreeDoc(document);
    return keys;
}

/* Expands ${other_key}, at most a few levels deep: a file may refer to itself. */
static char *expand(GHashTable *keys, const char *value, int depth)
{
    GString *out = g_string_new(NULL);

    for (const char *p = value; *p != '\0'; p++) {
        const char *end = strncmp(p, "${", 2) == 0 ? strchr(p, '}') : NULL;
        if (end == NULL || depth == 0) {
            g_string_append_c(out, *p);
            continue;
        }
        g_autofree char *name = g_strndup(p + 2, (size_t)(end - p) - 2);
        const char *inner = g_hash_table_lookup(keys, name);
        g_autofree char *expanded = expand(keys, inner == NULL ? "" : inner, depth - 1);
        g_string_append(out, expanded);
        p = end;
    }
    return g_string_free(out, FALSE);
}

static char *localconfig(GHashTable *keys, const char *key, const char *fallback)
{
    const char *value = g_hash_table_lookup(keys, key);

    return expand(keys, value == NULL ? fallback : value, 8);
}

static unsigned localconfig_number(GHashTable *keys, const char *key, const char *fallback)
{
    g_autofree char *value = localconfig(keys, key, fallback);

    return (unsigned)g_ascii_strtoull(value, NULL, 10);
}

static bool from_localconfig(GError **error)
{
    g_autofree char *path = g_build_filename(loaded.home, "conf", "localconfig.xml", NULL);
    g_autoptr(GHashTable) keys = read_localconfig(path, error);

    if (keys == NULL)
        return false;
    static const char *const defaults[][2] = {
        { "zimbra_tmp_directory", "${zimbra_home}/data/tmp" },
        { "mailboxd_directory", "${zimbra_home}/mailboxd" },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(defaults); i++)
        if (!g_hash_table_contains(keys, defaults[i][0]))
            g_hash_table_insert(keys, xmlStrdup((const xmlChar *)defaults[i][0]),
                                xmlStrdup((const xmlChar *)defaults[i][1]));
    if (!g_hash_table_contains(keys, "zimbra_home"))
        g_hash_table_insert(keys, xmlStrdup((const xmlChar *)"zimbra_home"),
                            xmlStrdup((const xmlChar *)loaded.home));

    g_autofree char *relative = localconfig(keys, "zimbra_relative_volume_path", "false");
    loaded.mailbox_groups = localconfig_number(keys, "zimbra_mailbox_groups", "100");
    loaded.change_increment =
        localconfig_number(keys, "zimbra_mailbox_change_checkpoint_frequency", "100");
    loaded.relative_volumes = g_ascii_strcasecmp(relative, "true") == 0;
    loaded.calendar_cache =
        localconfig(keys, "calendar_cache_directory", "${zimbra_tmp_directory}/calcache");
    loaded.schema_template = g_build_filename(loaded.home, "db", "create_database.sql", NULL);
    if (loaded.mailbox_groups == 0 || loaded.change_increment == 0)
        return fault(error, FAULT_FAILURE, "%s: mailbox groups or checkpoint frequency is 0", path);
    return true;
}

bool config_load(const char *path, GError **error)
{
    json_error_t where;
    json_t *root = json_load_file(path, 0, &where);

    if (root == NULL)
        return fault(error, FAULT_FAILURE, "%s:%d: %s", path, where.line, where.text);
    bool done = from_json(root, error) && from_localconfig(error);
    json_decref(root);
    return done;
}

void config_free(void)
{
    char *texts[] = { loaded.name,
                      loaded.server_id,
                      loaded.address,
                      loaded.certificate,
                      loaded.key,
                      loaded.ca,
                      loaded.home,
                      loaded.mariadb.address,
                      loaded.mariadb.user,
                      loaded.mariadb.password,
                      loaded.ldap.master,
                      loaded.ldap.bind_dn,
                      loaded.ldap.password,
                      loaded.calendar_cache,
                      loaded.schema_template,
                      loaded.version,
                      loaded.db_version };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        g_free(texts[i]);
    g_strfreev(loaded.ldap.urls);
    g_strfreev(loaded.memcached);
    g_strfreev(loaded.reindexing);
    g_strfreev(loaded.network_moves);
    g_clear_pointer(&loaded.addresses, g_hash_table_unref);
    loaded = (Config){ 0 };
}

const char *config_address(const char *name)
{
    g_autofree char *key = g_ascii_strdown(name, -1);

    if (g_ascii_strcasecmp(name, config->name) == 0)
        return config->address;
    return g_hash_table_lookup(config->addresses, key);
}
