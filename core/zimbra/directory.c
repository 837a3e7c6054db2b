/* directory.c - see directory.h: what the master says. Replicas are asked in replicas.c. */
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

/* Accounts. */

static const char *const account_attributes[] = { "uid",
                                                  "zimbraId",
                                                  "zimbraMailHost",
                                                  "zimbraMailTransport",
                                                  "zimbraAccountStatus",
                                                  "zimbraMailStatus",
                                                  "zimbraMailAlias",
                                                  "zimbraMailDeliveryAddress",
                                                  "zimbraIsSystemResource",
                                                  "zimbraIsSystemAccount",
                                                  "zimbraIsExternalVirtualAccount",
                                                  "zimbraCOSId",
                                                  "zimbraLastLogonTimestamp",
                                                  "objectClass",
                                                  NULL };

char *directory_domain_of_dn(const char *dn)
{
    GString *domain = g_string_new(NULL);
    g_auto(GStrv) parts = g_strsplit(dn, ",", -1);

    for (char **part = parts; *part != NULL; part++) {
        const char *rdn = g_strstrip(*part);

        if (g_ascii_strncasecmp(rdn, "dc=", 3) != 0)
            continue;
        if (domain->len > 0)
            g_string_append_c(domain, '.');
        g_string_append(domain, rdn + 3);
    }
    return g_string_free(domain, FALSE);
}

static char **values_of(const LdapEntry *entry, const char *attribute)
{
    const char *const *values = ldap_entry_all(entry, attribute);
    GPtrArray *copy = g_ptr_array_new();

    for (; *values != NULL; values++)
        g_ptr_array_add(copy, g_strdup(*values));
    g_ptr_array_add(copy, NULL);
    return (char **)g_ptr_array_free(copy, FALSE);
}

static bool is_true(const LdapEntry *entry, const char *attribute)
{
    return g_strcmp0(ldap_entry_get(entry, attribute), "TRUE") == 0;
}

static char *lowercase(const char *text)
{
    return text != NULL ? g_ascii_strdown(text, -1) : NULL;
}

static Account *account_from(const LdapEntry *entry)
{
    Account *account = g_new0(Account, 1);
    const char *id = ldap_entry_get(entry, "zimbraId");
    const char *uid = ldap_entry_get(entry, "uid");
    const char *status = ldap_entry_get(entry, "zimbraAccountStatus");

    account->id = g_ascii_strdown(id != NULL ? id : "", -1);
    account->written_id = g_strdup(id != NULL ? id : "");
    account->uid = g_strdup(uid != NULL ? uid : "");
    account->domain = directory_domain_of_dn(ldap_entry_dn(entry));
    account->address = g_strdup_printf("%s@%s", account->uid, account->domain);
    account->mail_host = g_strdup(ldap_entry_get(entry, "zimbraMailHost"));
    account->transport = g_strdup(ldap_entry_get(entry, "zimbraMailTransport"));
    account->status = g_strdup(status != NULL ? status : "");
    account->mail_status = g_strdup(ldap_entry_get(entry, "zimbraMailStatus"));
    account->aliases = values_of(entry, "zimbraMailAlias");
    account->cos_id = lowercase(ldap_entry_get(entry, "zimbraCOSId"));
    account->last_logon = g_strdup(ldap_entry_get(entry, "zimbraLastLogonTimestamp"));
    account->system =
        is_true(entry, "zimbraIsSystemResource") || is_true(entry, "zimbraIsSystemAccount");
    account->guest = is_true(entry, "zimbraIsExternalVirtualAccount");
    account->resource = has_value(entry, "objectClass", "zimbraCalendarResource");
    return account;
}

void account_free(Account *account)
{
    if (account == NULL)
        return;
    g_free(account->id);
    g_free(account->written_id);
    g_free(account->address);
    g_free(account->uid);
    g_free(account->domain);
    g_free(account->mail_host);
    g_free(account->transport);
    g_free(account->status);
    g_free(account->mail_status);
    g_free(account->domain_status);
    g_free(account->cos_id);
    g_free(account->last_logon);
    g_strfreev(account->aliases);
    g_free(account);
}

static GPtrArray *search_domain(Directory *directory, const char *name, GError **error)
{
    static const char *const wanted[] = { "zimbraId",
                                          "zimbraDomainName",
                                          "zimbraDomainStatus",
                                          "zimbraDomainDefaultCOSId",
                                          "zimbraVirtualHostname",
                                          "zimbraVirtualIPAddress",
                                          NULL };
    g_autofree char *filter =
        ldap_filter("(&(objectClass=zimbraDomain)(zimbraDomainName=%s))", name);

    return directory_search(directory, "", LDAP_SUB, filter, wanted, error);
}

/* zimbraDomainStatus, inherited from config (1.5: attribute 535). */
static char *domain_status(const Directory *directory, const GPtrArray *found)
{
    const char *status = NULL;

    if (found->len > 0)
        status = ldap_entry_get(g_ptr_array_index(found, 0), "zimbraDomainStatus");
    if (status == NULL)
        status = ldap_entry_get(directory->config, "zimbraDomainStatus");
    return g_strdup(status != NULL ? status : "active");
}

static void add_of_domain(Account *account, const Directory *directory, const GPtrArray *found)
{
    account->domain_status = domain_status(directory, found);
    if (account->cos_id == NULL && found->len > 0)
        account->cos_id =
            lowercase(ldap_entry_get(g_ptr_array_index(found, 0), "zimbraDomainDefaultCOSId"));
}

Account *directory_account(Directory *directory, const char *who, GError **error)
{
    g_autofree char *filter =
        ldap_filter("(&(objectClass=zimbraAccount)(|(zimbraMailDeliveryAddress=%s)(mail=%s)"
                    "(zimbraMailAlias=%s)(zimbraId=%s)))",
                    who, who, who, who);
    g_autoptr(GPtrArray) found = NULL;
    g_autoptr(GPtrArray) domains = NULL;
    g_autoptr(Account) account = NULL;

    found = directory_search(directory, "", LDAP_SUB, filter, account_attributes, error);
    if (found == NULL)
        return NULL;
    if (found->len != 1) {
        if (found->len == 0)
            fail(error, ZX_ERROR_NOT_FOUND, "no account %s in the directory", who);
        else
            fail(error, ZX_ERROR_REFUSED, "%u accounts in the directory answer to %s", found->len,
                 who);
        return NULL;
    }
    account = account_from(g_ptr_array_index(found, 0));
    domains = search_domain(directory, account->domain, error);
    if (domains == NULL)
        return NULL;
    add_of_domain(account, directory, domains);
    return g_steal_pointer(&account);
}

static int by_address(gconstpointer a, gconstpointer b)
{
    const Account *const *left = a, *const *right = b;

    return strcmp((*left)->address, (*right)->address);
}

GPtrArray *directory_domain(Directory *directory, const char *domain, GError **error)
{
    g_autoptr(GPtrArray) domains = search_domain(directory, domain, error);
    g_autoptr(GPtrArray) found = NULL;
    g_autofree char *base = NULL;
    GPtrArray *accounts;

    if (domains == NULL)
        return NULL;
    if (domains->len == 0) {
        fail(error, ZX_ERROR_NOT_FOUND, "no domain %s in the directory", domain);
        return NULL;
    }
    base = g_strdup_printf("ou=people,%s", ldap_entry_dn(g_ptr_array_index(domains, 0)));
    found = directory_search(directory, base, LDAP_SUB, "(objectClass=zimbraAccount)",
                             account_attributes, error);
    if (found == NULL)
        return NULL;
    accounts = g_ptr_array_new_with_free_func((GDestroyNotify)account_free);
    for (guint i = 0; i < found->len; i++) {
        Account *account = account_from(g_ptr_array_index(found, i));

        add_of_domain(account, directory, domains);
        g_ptr_array_add(accounts, account);
    }
    g_ptr_array_sort(accounts, by_address);
    return accounts;
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

bool directory_is_admin(Directory *directory, const char *login, bool *is, GError **error)
{
    static const char *const wanted[] = { "uid", NULL };
    /* A bare name is one of the admins that have no mailbox. */
    const bool bare = strchr(login, '@') == NULL;
    g_autofree char *filter =
        ldap_filter("(&(objectClass=zimbraAccount)(zimbraIsAdminAccount=TRUE)(|(uid=%s)(mail=%s)"
                    "(zimbraMailDeliveryAddress=%s)(zimbraMailAlias=%s)))",
                    bare ? login : "", login, login, login);
    g_autoptr(GPtrArray) found = directory_search(directory, bare ? "cn=admins,cn=zimbra" : "",
                                                  LDAP_SUB, filter, wanted, error);

    *is = found != NULL && found->len > 0;
    return found != NULL;
}

GHashTable *directory_host_pools(Directory *directory, GError **error)
{
    static const char *const wanted[] = { "cn", "zimbraId", "zimbraMailHostPool", NULL };
    g_autoptr(GPtrArray) found =
        directory_search(directory, "cn=cos,cn=zimbra", LDAP_ONE,
                         "(&(objectClass=zimbraCOS)(zimbraMailHostPool=*))", wanted, error);
    GHashTable *pools;

    if (found == NULL)
        return NULL;
    pools = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_strfreev);
    for (guint i = 0; i < found->len; i++) {
        const LdapEntry *cos = g_ptr_array_index(found, i);
        char *id = lowercase(ldap_entry_get(cos, "zimbraId"));

        if (g_strcmp0(ldap_entry_get(cos, "cn"), "default") == 0)
            g_hash_table_insert(pools, g_strdup(""), values_of(cos, "zimbraMailHostPool"));
        if (id != NULL)
            g_hash_table_insert(pools, id, values_of(cos, "zimbraMailHostPool"));
    }
    return pools;
}

bool directory_change_home(Directory *directory, const Account *account, const ServerInfo *to,
                           GError **error)
{
    static const char *const wanted[] = { "zimbraId", NULL };
    g_autofree char *transport = g_strdup_printf("lmtp:%s:%u", to->hostname, to->lmtp_port);
    g_autofree char *filter =
        ldap_filter("(&(objectClass=zimbraAccount)(zimbraId=%s))", account->id);
    const LdapChange changes[] = { { "zimbraMailHost", account->mail_host, to->hostname },
                                   { "zimbraMailTransport", account->transport, transport },
                                   { 0 } };
    g_autoptr(GPtrArray) found = directory_search(directory, "", LDAP_SUB, filter, wanted, error);

    if (found == NULL)
        return false;
    if (found->len != 1)
        return fail(error, ZX_ERROR_NOT_FOUND, "no account %s in the directory", account->address);
    return ldap_conn_change(directory->master, ldap_entry_dn(g_ptr_array_index(found, 0)), changes,
                            error);
}

GHashTable *directory_ids_at(Directory *directory, const char *host, GError **error)
{
    static const char *const wanted[] = { "zimbraId", NULL };
    g_autofree char *filter =
        ldap_filter("(&(objectClass=zimbraAccount)(zimbraMailHost=%s))", host);
    g_autoptr(GPtrArray) found = directory_search(directory, "", LDAP_SUB, filter, wanted, error);
    GHashTable *ids;

    if (found == NULL)
        return NULL;
    ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < found->len; i++) {
        const char *id = ldap_entry_get(g_ptr_array_index(found, i), "zimbraId");

        if (id != NULL)
            g_hash_table_add(ids, g_ascii_strdown(id, -1));
    }
    return ids;
}

bool account_lives_on(const Account *account, const char *host)
{
    return account->mail_host != NULL && g_ascii_strcasecmp(account->mail_host, host) == 0;
}

const char *account_home(const Account *account)
{
    return account->mail_host != NULL ? account->mail_host : "no store";
}

bool account_status_may_change(const Account *account)
{
    static const char *const changeable[] = { "active", "locked", "lockout", "maintenance", NULL };

    return g_strv_contains(changeable, account->status) &&
           strcmp(account->domain_status, "closed") != 0;
}

bool account_domain_blocks(const Account *account)
{
    return strcmp(account->domain_status, "suspended") == 0 ||
           strcmp(account->domain_status, "shutdown") == 0;
}

bool account_transport_matches(const Account *account, const char *host)
{
    g_auto(GStrv) parts = NULL;

    if (account->transport == NULL)
        return true;
    parts = g_strsplit(account->transport, ":", -1);
    return g_strv_length(parts) == 3 && strcmp(parts[0], "lmtp") == 0 &&
           strcmp(parts[1], host) == 0; /* as Zimbra compares */
}

/* Routes. */

static char **alias_domains(Directory *directory, const char *domain_id, GError **error)
{
    static const char *const wanted[] = { "zimbraDomainName", NULL };
    g_autofree char *filter = ldap_filter("(&(objectClass=zimbraDomain)(zimbraDomainType=alias)"
                                          "(zimbraDomainAliasTargetId=%s))",
                                          domain_id);
    g_autoptr(GPtrArray) found = directory_search(directory, "", LDAP_SUB, filter, wanted, error);
    GPtrArray *names;

    if (found == NULL)
        return NULL;
    names = g_ptr_array_new();
    for (guint i = 0; i < found->len; i++)
        g_ptr_array_add(names,
                        g_strdup(ldap_entry_get(g_ptr_array_index(found, i), "zimbraDomainName")));
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(names, FALSE);
}

RouteNames *directory_route_names(Directory *directory, const Account *account, GError **error)
{
    g_autoptr(GPtrArray) domains = search_domain(directory, account->domain, error);
    g_autoptr(RouteNames) names = NULL;
    const LdapEntry *domain;

    if (domains == NULL)
        return NULL;
    if (domains->len != 1) {
        fail(error, ZX_ERROR_NOT_FOUND, "no domain %s in the directory", account->domain);
        return NULL;
    }
    domain = g_ptr_array_index(domains, 0);
    names = g_new0(RouteNames, 1);
    names->uid = g_strdup(account->uid);
    names->id = g_strdup(account->id);
    names->written_id = g_strdup(account->written_id);
    names->domain = g_strdup(account->domain);
    names->aliases = g_strdupv(account->aliases);
    names->virtual_hosts = values_of(domain, "zimbraVirtualHostname");
    names->virtual_ips = values_of(domain, "zimbraVirtualIPAddress");
    names->alias_domains = alias_domains(directory, ldap_entry_get(domain, "zimbraId"), error);
    if (names->alias_domains == NULL)
        return NULL;
    return g_steal_pointer(&names);
}

void route_names_free(RouteNames *names)
{
    if (names == NULL)
        return;
    g_free(names->uid);
    g_free(names->id);
    g_free(names->written_id);
    g_free(names->domain);
    g_strfreev(names->aliases);
    g_strfreev(names->virtual_hosts);
    g_strfreev(names->virtual_ips);
    g_strfreev(names->alias_domains);
    g_free(names);
}
