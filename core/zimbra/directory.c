/* directory.c - see directory.h: the connection to the master, its configuration and servers.
 * Accounts are read in accounts.c, replicas asked in replicas.c. */
#include "core/zimbra/directory_inside.h"
#include "conf/units.h"
#include <string.h>

LdapConn *directory_connect(const Conf *conf, const char *url, unsigned timeout_s, GError **error)
{
    LdapTarget target = {
        .url = url,
        .bind_dn = conf->ldap.bind_dn,
        .password = conf->ldap.password,
        .ca_file = conf->ldap.ca_file,
        .starttls = conf->ldap.starttls,
        .timeout_s = timeout_s,
    };
    GError *problem = NULL;
    LdapConn *conn = ldap_conn_open(&target, &problem);

    if (conn != NULL)
        return conn;
    if (error_code(problem) == ZX_ERROR_DENIED) {
        fail(error, ZX_ERROR_DENIED, "%s (ldap.bind_dn and its password)", problem->message);
        g_error_free(problem);
    } else {
        g_propagate_error(error, problem);
    }
    return NULL;
}

GPtrArray *directory_search(Directory *directory, const char *base, LdapScope scope,
                            const char *filter, const char *const *attributes, GError **error)
{
    GError *lost = NULL;
    GPtrArray *found = NULL;

    if (directory->master != NULL)
        found = ldap_conn_search(directory->master, base, scope, filter, attributes, &lost);
    if (found != NULL)
        return found;
    if (lost != NULL && error_code(lost) != ZX_ERROR_CONNECT) {
        g_propagate_error(error, lost);
        return NULL;
    }
    g_clear_error(&lost);
    g_clear_pointer(&directory->master, ldap_conn_close);
    directory->master = directory_connect(directory->conf, directory->conf->ldap.master,
                                          directory->conf->net_timeout_s, error);
    if (directory->master == NULL)
        return NULL;
    return ldap_conn_search(directory->master, base, scope, filter, attributes, error);
}

static bool read_config(Directory *directory, GError **error)
{
    static const char *const wanted[] = { "*", NULL };

    directory->config_answer = directory_search(directory, "cn=config,cn=zimbra", LDAP_BASE,
                                                "(objectClass=*)", wanted, error);
    if (directory->config_answer == NULL)
        return false;
    if (directory->config_answer->len != 1)
        return fail(error, ZX_ERROR_REFUSED,
                    "%s has no cn=config,cn=zimbra: not a Zimbra directory",
                    directory->conf->ldap.master);
    directory->config = g_ptr_array_index(directory->config_answer, 0);
    return true;
}

Directory *directory_open(const Conf *conf, GError **error)
{
    g_autoptr(Directory) directory = g_new0(Directory, 1);

    if (conf->path == NULL && conf->ldap.master == NULL) {
        fail(
            error, ZX_ERROR_REFUSED,
            "there is no configuration: neither ~/.config/zxmove/zxmove.yaml nor "
            "/etc/zxmove/zxmove.yaml\n--config FILE names another; what it holds: man zxmove.conf");
        return NULL;
    }
    if (conf->ldap.master == NULL) {
        fail(error, ZX_ERROR_REFUSED,
             "the configuration names no LDAP master: set ldap.master to ldap://host:port");
        return NULL;
    }
    directory->conf = conf;
    directory->silent = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    directory->others =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)ldap_conn_close);
    if (!read_config(directory, error))
        return NULL;
    return g_steal_pointer(&directory);
}

void directory_close(Directory *directory)
{
    if (directory == NULL)
        return;
    ldap_conn_close(directory->master);
    g_clear_pointer(&directory->others, g_hash_table_unref);
    g_clear_pointer(&directory->silent, g_hash_table_unref);
    g_clear_pointer(&directory->servers, g_ptr_array_unref);
    g_clear_pointer(&directory->config_answer, g_ptr_array_unref);
    g_free(directory);
}

/* Servers. */

static void server_free(ServerInfo *server)
{
    g_free(server->name);
    g_free(server->id);
    g_free(server->hostname);
    g_free(server);
}

/* The server's own value, else the one of cn=config (1.2, inheritance). */
static const char *inherited(const Directory *directory, const LdapEntry *server,
                             const char *attribute)
{
    const char *own = ldap_entry_get(server, attribute);

    return own != NULL ? own : ldap_entry_get(directory->config, attribute);
}

static unsigned inherited_port(const Directory *directory, const LdapEntry *server,
                               const char *attribute, unsigned fallback)
{
    const char *text = inherited(directory, server, attribute);
    guint64 port;

    if (text == NULL || !g_ascii_string_to_unsigned(text, 10, 1, 65535, &port, NULL))
        return fallback;
    return (unsigned)port;
}

static bool has_value(const LdapEntry *entry, const char *attribute, const char *value)
{
    const char *const *values = ldap_entry_all(entry, attribute);

    for (; *values != NULL; values++)
        if (g_ascii_strcasecmp(*values, value) == 0)
            return true;
    return false;
}

static ServerInfo *server_from(const Directory *directory, const LdapEntry *entry)
{
    ServerInfo *server = g_new0(ServerInfo, 1);
    const char *blob_dir = inherited(directory, entry, "zimbraConfiguredServerIDForBlobDirEnabled");
    const char *hostname = ldap_entry_get(entry, "zimbraServiceHostname");

    server->name = g_strdup(ldap_entry_get(entry, "cn"));
    server->id = g_strdup(ldap_entry_get(entry, "zimbraId"));
    server->hostname = g_strdup(hostname != NULL ? hostname : server->name);
    server->mailbox = has_value(entry, "zimbraServiceEnabled", "service") ||
                      has_value(entry, "zimbraServiceEnabled", "mailbox");
    server->memcached = has_value(entry, "zimbraServiceEnabled", "memcached");
    server->always_on = ldap_entry_get(entry, "zimbraAlwaysOnClusterId") != NULL;
    server->server_id_blob_dir = g_strcmp0(blob_dir, "TRUE") == 0;
    server->lmtp_port = inherited_port(directory, entry, "zimbraLmtpBindPort", 7025);
    server->memcached_port = inherited_port(directory, entry, "zimbraMemcachedBindPort", 11211);
    return server;
}

static GPtrArray *search_servers(Directory *directory, GError **error)
{
    static const char *const wanted[] = { "cn",
                                          "zimbraId",
                                          "zimbraServiceHostname",
                                          "zimbraServiceEnabled",
                                          "zimbraAlwaysOnClusterId",
                                          "zimbraConfiguredServerIDForBlobDirEnabled",
                                          "zimbraLmtpBindPort",
                                          "zimbraMemcachedBindPort",
                                          "zimbraMemcachedClientServerList",
                                          NULL };

    return directory_search(directory, "cn=servers,cn=zimbra", LDAP_ONE,
                            "(objectClass=zimbraServer)", wanted, error);
}

const GPtrArray *directory_servers(Directory *directory, GError **error)
{
    g_autoptr(GPtrArray) found = NULL;

    if (directory->servers != NULL)
        return directory->servers;
    found = search_servers(directory, error);
    if (found == NULL)
        return NULL;
    directory->servers = g_ptr_array_new_with_free_func((GDestroyNotify)server_free);
    for (guint i = 0; i < found->len; i++)
        g_ptr_array_add(directory->servers, server_from(directory, g_ptr_array_index(found, i)));
    return directory->servers;
}

const ServerInfo *directory_server(const GPtrArray *servers, const char *hostname)
{
    for (guint i = 0; i < servers->len; i++) {
        const ServerInfo *server = g_ptr_array_index(servers, i);

        if (g_ascii_strcasecmp(server->hostname, hostname) == 0)
            return server;
    }
    return NULL;
}

const ServerInfo *directory_server_called(const GPtrArray *servers, const char *hostname,
                                          GError **error)
{
    const ServerInfo *server = directory_server(servers, hostname);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const char *near;

    if (server != NULL)
        return server;
    for (guint i = 0; i < servers->len; i++)
        g_ptr_array_add(names, ((const ServerInfo *)g_ptr_array_index(servers, i))->hostname);
    g_ptr_array_add(names, NULL);
    near = units_nearest(hostname, (const char *const *)names->pdata);
    if (near != NULL)
        fail(error, ZX_ERROR_NOT_FOUND, "no server %s in the directory, did you mean %s?", hostname,
             near);
    else
        fail(error, ZX_ERROR_NOT_FOUND, "no server %s in the directory: see getServers", hostname);
    return NULL;
}

static void add_new_values(GPtrArray *list, const LdapEntry *entry, const char *attribute)
{
    const char *const *values = ldap_entry_all(entry, attribute);

    for (; *values != NULL; values++)
        if (!g_ptr_array_find_with_equal_func(list, *values, g_str_equal, NULL))
            g_ptr_array_add(list, g_strdup(*values));
}

char **directory_client_memcached(Directory *directory, GError **error)
{
    g_autoptr(GPtrArray) servers = search_servers(directory, error);
    GPtrArray *list;

    if (servers == NULL)
        return NULL;
    list = g_ptr_array_new();
    add_new_values(list, directory->config, "zimbraMemcachedClientServerList");
    for (guint i = 0; i < servers->len; i++)
        add_new_values(list, g_ptr_array_index(servers, i), "zimbraMemcachedClientServerList");
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(list, FALSE);
}

bool directory_absent(Directory *directory, const char *server, const char *account_id,
                      bool *absent, GError **error)
{
    static const char *const wanted[] = { "zimbraId", NULL };
    g_autofree char *of_server = ldap_filter(
        "(&(objectClass=zimbraServer)(|(zimbraServiceHostname=%s)(cn=%s)))", server, server);
    g_autofree char *of_account = ldap_filter("(zimbraId=%s)", account_id);
    g_autoptr(GPtrArray) servers =
        directory_search(directory, "cn=servers,cn=zimbra", LDAP_ONE, of_server, wanted, error);
    g_autoptr(GPtrArray) found = NULL;

    if (servers == NULL)
        return false;
    if (servers->len == 0)
        return fail(error, ZX_ERROR_REFUSED,
                    "%s does not show server %s: what else it does not show decides nothing",
                    directory->conf->ldap.master, server);
    found = ldap_conn_search(directory->master, "", LDAP_SUB, of_account, wanted, error);
    if (found != NULL)
        *absent = found->len == 0;
    return found != NULL;
}
