/* facts.c - what the agent tells about its host: a fixed list of localconfig keys
 * (doc/platform.md 1.6), the time zone mailboxd writes its DATETIME columns in (hazard 29), the
 * clock, and the load. */
#include "core/agent/agent.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOCALCONFIG_MAX (1024 * 1024)
#define EXPAND_DEPTH    8
#define CMDLINE_MAX     (64 * 1024)
#define PASSWORD_KEY    "zimbra_mysql_password"

/* Zimbra's built-in value; NULL: none. Told if it is asked for; the others only serve to expand
 * these. */
static const struct {
    const char *key, *value;
    bool told;
} defaults[] = {
    { "zimbra_home", NULL, true }, /* where the configuration of zxmove says it is */
    { "zimbra_user", "zimbra", true },
    { "zimbra_server_hostname", NULL, true },
    { "ldap_url", NULL, true },
    { "ldap_master_url", NULL, true },
    { "ldap_host", NULL, true },
    { "ldap_port", "389", true },
    { "ldap_starttls_supported", "0", true },
    { "ldap_starttls_required", "true", true },
    { "zimbra_ldap_userdn", "uid=zimbra,cn=admins,cn=zimbra", true },
    { "zimbra_mysql_user", "zimbra", true },
    { PASSWORD_KEY, NULL, false },
    { "mysql_port", "7306", true },
    { "mysql_bind_address", NULL, true },
    { "mysql_socket", "${zimbra_home}/data/tmp/mysql/mysql.sock", true },
    { "mysql_data_directory", "${zimbra_db_directory}/data", true },
    { "zimbra_mailbox_groups", "100", true },
    { "zimbra_mailbox_change_checkpoint_frequency", "100", true },
    { "zimbra_mailbox_lock_timeout", "60", true },
    { "zimbra_class_store", "com.zimbra.cs.store.file.FileBlobStore", true },
    { "zimbra_class_database", "com.zimbra.cs.db.MariaDB", true },
    { "zimbra_class_index_store_factory", "com.zimbra.cs.index.LuceneIndex$Factory", true },
    { "zimbra_store_directory", "${zimbra_home}/store", false },
    { "zimbra_index_directory", "${zimbra_home}/index", false },
    { "zimbra_db_directory", "${zimbra_home}/db", true },
    { "zimbra_tmp_directory", "${zimbra_home}/data/tmp", false },
    { "zimbra_relative_volume_path", "false", true },
    { "calendar_cache_directory", "${zimbra_tmp_directory}/calcache", true },
    { "zimbra_admin_service_port", "7071", true },
    { "mailboxd_directory", "${zimbra_home}/mailboxd", false },
    { "debug_disable_mailbox_group", "false", true },
    { "debug_external_mailbox_directory", "false", true },
};

/* The file as it is read: <localconfig><key name="K"><value>V</value></key>... */
typedef struct Reading {
    GHashTable *values;
    char *key;
    GString *value; /* NULL outside <value> */
} Reading;

static void element_begins(GMarkupParseContext *context, const char *element, const char **names,
                           const char **values, gpointer data, GError **error)
{
    Reading *reading = data;

    (void)context;
    (void)error;
    if (strcmp(element, "key") == 0) {
        g_clear_pointer(&reading->key, g_free);
        for (unsigned i = 0; names[i] != NULL; i++)
            if (strcmp(names[i], "name") == 0)
                reading->key = g_strdup(values[i]);
    } else if (strcmp(element, "value") == 0 && reading->key != NULL && reading->value == NULL) {
        reading->value = g_string_new(NULL);
    }
}

static void element_ends(GMarkupParseContext *context, const char *element, gpointer data,
                         GError **error)
{
    Reading *reading = data;

    (void)context;
    (void)error;
    if (strcmp(element, "value") != 0 || reading->value == NULL)
        return;
    g_hash_table_replace(reading->values, g_steal_pointer(&reading->key),
                         g_string_free(g_steal_pointer(&reading->value), FALSE));
}

static void text_comes(GMarkupParseContext *context, const char *text, gsize length, gpointer data,
                       GError **error)
{
    Reading *reading = data;

    (void)context;
    (void)error;
    if (reading->value != NULL)
        g_string_append_len(reading->value, text, (gssize)length);
}

static void wipe_free(gpointer text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    g_free(text);
}

/* A whole small file; NULL and @error. */
static char *slurp(const char *path, size_t limit, size_t *length, GError **error)
{
    char *bytes = g_malloc(limit + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got = 0;

    *length = 0;
    while (fd >= 0 && *length < limit && (got = read(fd, bytes + *length, limit - *length)) > 0)
        *length += (size_t)got;
    if (fd < 0 || got < 0)
        fail_errno(error, errno, path);
    else if (*length == limit)
        fail(error, ZX_ERROR_REFUSED, "%s: too long", path);
    if (fd >= 0)
        close(fd);
    if (fd < 0 || got < 0 || *length == limit) {
        g_free(bytes);
        return NULL;
    }
    bytes[*length] = '\0';
    return bytes;
}

static GHashTable *read_localconfig(const char *path, GError **error)
{
    static const GMarkupParser parser = { .start_element = element_begins,
                                          .end_element = element_ends,
                                          .text = text_comes };
    Reading reading = { .values =
                            g_hash_table_new_full(g_str_hash, g_str_equal, g_free, wipe_free) };
    g_autoptr(GError) problem = NULL;
    GMarkupParseContext *context;
    size_t length;
    char *text = slurp(path, LOCALCONFIG_MAX, &length, error);

    if (text == NULL) {
        g_hash_table_unref(reading.values);
        return NULL;
    }
    context = g_markup_parse_context_new(&parser, 0, &reading, NULL);
    if (!g_markup_parse_context_parse(context, text, (gssize)length, &problem) ||
        !g_markup_parse_context_end_parse(context, &problem)) {
        /* The message of the parser may quote a value: the place is enough. */
        int line = 0, column = 0;

        g_markup_parse_context_get_position(context, &line, &column);
        fail(error, ZX_ERROR_DATA, "%s:%d:%d: not well-formed XML", path, line, column);
        g_clear_pointer(&reading.values, g_hash_table_unref);
    }
    g_markup_parse_context_free(context);
    explicit_bzero(text, length);
    g_free(text);
    g_free(reading.key);
    if (reading.value != NULL)
        g_string_free(reading.value, TRUE);
    return reading.values;
}

static const char *lookup(GHashTable *values, const char *key)
{
    const char *value = g_hash_table_lookup(values, key);

    for (unsigned i = 0; value == NULL && i < G_N_ELEMENTS(defaults); i++)
        if (strcmp(defaults[i].key, key) == 0)
            value = defaults[i].value;
    return value;
}

/* Appends @value with ${key} replaced; a key nobody knows stays as it is written. */
static bool expand(GHashTable *values, const char *value, unsigned depth, GString *out)
{
    const char *open, *close;

    while ((open = strstr(value, "${")) != NULL && (close = strchr(open, '}')) != NULL) {
        g_autofree char *key = g_strndup(open + 2, (size_t)(close - open) - 2);
        const char *inner = lookup(values, key);

        g_string_append_len(out, value, open - value);
        if (inner == NULL)
            g_string_append_len(out, open, close - open + 1);
        else if (depth == EXPAND_DEPTH || out->len > WIRE_TEXT ||
                 !expand(values, inner, depth + 1, out))
            return false;
        value = close + 1;
    }
    g_string_append(out, value);
    return out->len < WIRE_TEXT;
}

static void tell(Agent *agent, const WireFrame *frame, const char *name, const char *value)
{
    wire_begin(&agent->out, AGENT_FACT, 0, frame->stream);
    wire_put_text(&agent->out, name);
    wire_put_text(&agent->out, value);
    wire_finish(&agent->out);
}

static bool tell_keys(Agent *agent, const WireFrame *frame, GHashTable *values, bool password,
                      GError **error)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(defaults); i++) {
        const char *key = defaults[i].key;
        const char *value = lookup(values, key);
        GString *text;
        bool ok;

        if (value == NULL || !(defaults[i].told || (password && strcmp(key, PASSWORD_KEY) == 0)))
            continue;
        text = g_string_new(NULL);
        ok = expand(values, value, 0, text);
        if (ok)
            tell(agent, frame, key, text->str);
        wipe_free(g_string_free(text, FALSE));
        if (!ok)
            return fail(error, ZX_ERROR_DATA, "localconfig.xml: %s does not end", key);
    }
    return true;
}

/* -Duser.timezone of a process of our user that is a mailboxd of this home; NULL if there is none.
 */
static char *zone_of_process(const char *pid, const char *home)
{
    static const char option[] = "-Duser.timezone=";
    g_autofree char *path = g_strdup_printf("/proc/%s/cmdline", pid);
    g_autofree char *line = NULL;
    const char *zone = NULL;
    bool mailboxd = false, ours = false;
    size_t length;

    line = slurp(path, CMDLINE_MAX, &length, NULL);
    if (line == NULL)
        return NULL;
    for (const char *arg = line; arg < line + length; arg += strlen(arg) + 1) {
        mailboxd = mailboxd || strstr(arg, "mailboxd") != NULL;
        ours = ours || strstr(arg, home) != NULL;
        if (g_str_has_prefix(arg, option) && arg[sizeof option - 1] != '\0')
            zone = arg + sizeof option - 1;
    }
    return mailboxd && ours ? g_strdup(zone) : NULL;
}

static char *zone_of_mailboxd(const char *home)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    struct stat st;
    char *zone = NULL;

    while (proc != NULL && zone == NULL && (entry = readdir(proc)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]) &&
            fstatat(dirfd(proc), entry->d_name, &st, 0) == 0 && st.st_uid == geteuid())
            zone = zone_of_process(entry->d_name, home);
    if (proc != NULL)
        closedir(proc);
    return zone;
}

/* The name in /etc/localtime's link or /etc/timezone; without either, the rule at the end of the
 * zone's file; without that, UTC, as the C library would have it. */
static char *zone_of_host(void)
{
    g_autofree char *real = realpath("/etc/localtime", NULL);
    g_autofree char *name = NULL, *file = NULL;
    const char *at = real == NULL ? NULL : strstr(real, "/zoneinfo/");
    size_t length;

    if (at != NULL)
        return g_strdup(at + strlen("/zoneinfo/"));
    name = slurp("/etc/timezone", WIRE_TEXT, &length, NULL);
    if (name != NULL && g_strstrip(name)[0] != '\0')
        return g_steal_pointer(&name);
    file = real == NULL ? NULL : slurp(real, CMDLINE_MAX, &length, NULL);
    if (file != NULL && length > 2 && file[length - 1] == '\n') {
        file[length - 1] = '\0';
        at = memrchr(file, '\n', length - 1);
        if (at != NULL && at[1] != '\0')
            return g_strdup(at + 1);
    }
    return g_strdup("UTC");
}

/* Zones that are one under several names get one name. */
static const char *zone_name(const char *zone)
{
    static const char *const utc[] = { "Etc/UTC",  "Etc/UCT",   "Etc/Universal", "Etc/Zulu", "UCT",
                                       "GMT",      "Universal", "Zulu",          "Etc/GMT",  "UTC0",
                                       "Etc/GMT0", "GMT0",      "Etc/Greenwich" };

    for (unsigned i = 0; i < G_N_ELEMENTS(utc); i++)
        if (strcmp(zone, utc[i]) == 0)
            return "UTC";
    return zone;
}

bool agent_facts(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    g_autoptr(GHashTable) values = NULL;
    g_autofree char *path = NULL, *zone = NULL, *clock = NULL;
    char home[WIRE_TEXT];
    bool password;

    wire_text(in, home, sizeof home);
    password = wire_u8(in) != 0;
    if (!wire_end(in, error))
        return false;
    if (home[0] != '/')
        return fail(error, ZX_ERROR_REFUSED, "'%s' is not an absolute path", home);
    path = g_strdup_printf("%s/conf/localconfig.xml", home);
    values = read_localconfig(path, error);
    if (values == NULL)
        return false;
    if (g_hash_table_lookup(values, "zimbra_home") == NULL)
        g_hash_table_replace(values, g_strdup("zimbra_home"), g_strdup(home));
    if (!tell_keys(agent, frame, values, password, error))
        return false;
    zone = zone_of_mailboxd(home);
    if (zone == NULL)
        zone = zone_of_host();
    tell(agent, frame, "timezone", zone_name(zone));
    clock = g_strdup_printf("%" G_GINT64_FORMAT, g_get_real_time() / 1000);
    tell(agent, frame, "clock", clock);
    agent_ok(agent, frame);
    if (password) { /* not left behind in the buffer */
        size_t length = agent->out.bytes->len;

        agent_send(agent);
        explicit_bzero(agent->out.bytes->data, length);
    }
    return true;
}

bool agent_load(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    double load;

    if (!wire_end(in, error))
        return false;
    if (getloadavg(&load, 1) != 1)
        return fail(error, ZX_ERROR_DATA, "this host does not tell it");
    wire_begin(&agent->out, AGENT_LOAD_IS, 0, frame->stream);
    wire_put_u32(&agent->out, (uint32_t)(load * 100));
    wire_finish(&agent->out);
    return true;
}
