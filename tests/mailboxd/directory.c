/* directory.c - see directory.h. One cache for everything, keyed by "kind:key"; an account is found
 * under its id, its name and its aliases. */
#include "tests/mailboxd/directory.h"
#include "tests/mailboxd/config.h"
#include <ldap.h>
#include <string.h>

enum { CACHE_LIMIT = 20000 };

typedef struct Cached {
    Entry *entry;
    gint64 since_us;
} Cached;

static GMutex mutex;
static GHashTable
    *cache; /* "account:ID", "name:ADDRESS", "domain:NAME", "server:DN", "cos:ID", "config:" */

static void cached_free(gpointer data)
{
    Cached *cached = data;

    entry_unref(cached->entry);
    g_free(cached);
}

void directory_init(void)
{
    cache = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, cached_free);
}

void directory_shutdown(void)
{
    g_clear_pointer(&cache, g_hash_table_unref);
    ldap_shutdown();
}

static char *cache_key(const char *kind, const char *key)
{
    g_autofree char *lower = g_ascii_strdown(key, -1);

    return g_strconcat(kind, ":", lower, NULL);
}

static void put(const char *kind, const char *key, Entry *entry)
{
    Cached *cached = g_new0(Cached, 1);

    cached->entry = entry_ref(entry);
    cached->since_us = g_get_monotonic_time();
    g_mutex_lock(&mutex);
    if (g_hash_table_size(cache) >= CACHE_LIMIT)
        g_hash_table_remove_all(cache);
    g_hash_table_replace(cache, cache_key(kind, key), cached);
    g_mutex_unlock(&mutex);
}

static Entry *look(const char *kind, const char *key)
{
    g_autofree char *full = cache_key(kind, key);
    Entry *entry = NULL;

    g_mutex_lock(&mutex);
    const Cached *cached = g_hash_table_lookup(cache, full);
    if (cached != NULL &&
        g_get_monotonic_time() - cached->since_us < (gint64)config->account_cache_ms * 1000)
        entry = entry_ref(cached->entry);
    g_mutex_unlock(&mutex);
    return entry;
}

static void forget(const char *kind, const char *key)
{
    g_autofree char *full = cache_key(kind, key);

    g_mutex_lock(&mutex);
    g_hash_table_remove(cache, full);
    g_mutex_unlock(&mutex);
}

static gboolean has_prefix(gpointer key, gpointer value, gpointer data)
{
    const char *const *prefix = data;

    (void)value;
    return g_str_has_prefix(key, *prefix);
}

static void forget_kind(const char *prefix)
{
    g_mutex_lock(&mutex);
    g_hash_table_foreach_remove(cache, has_prefix, &prefix);
    g_mutex_unlock(&mutex);
}

/* The first entry found, or NULL without error. */
static Entry *find_one(LdapWhich which, const char *base, const char *filter, GError **error)
{
    g_autoptr(GPtrArray) found = ldap_find(which, base, filter, error);

    return found == NULL || found->len == 0 ? NULL : entry_ref(found->pdata[0]);
}

static void cache_account(Entry *account)
{
    g_autofree char *name = account_name(account);
    GPtrArray *aliases = entry_values(account, "zimbraMailAlias");

    put("account", account_id(account), account);
    put("name", name, account);
    for (guint i = 0; aliases != NULL && i < aliases->len; i++)
        put("name", aliases->pdata[i], account);
}

static void forget_account(const Entry *account)
{
    g_autofree char *name = account_name(account);
    GPtrArray *aliases = entry_values(account, "zimbraMailAlias");

    forget("account", account_id(account));
    forget("name", name);
    for (guint i = 0; aliases != NULL && i < aliases->len; i++)
        forget("name", aliases->pdata[i]);
}

static Entry *search_account(LdapWhich which, AccountBy by, const char *key, GError **error)
{
    static const char *const filters[] = {
        [BY_ID] = "(&(objectClass=zimbraAccount)(zimbraId=%s))",
        [BY_NAME] = ("(&(objectClass=zimbraAccount)(|(zimbraMailDeliveryAddress=%s)"
                     "(zimbraMailAlias=%s)(mail=%s)))"),
        [BY_ADMIN_NAME] = "(&(objectClass=zimbraAccount)(uid=%s))",
    };
    g_autofree char *escaped = ldap_escape(key);
    g_auto(GStrv) parts = g_strsplit(filters[by], "%s", -1);
    g_autofree char *filter = g_strjoinv(escaped, parts);

    return find_one(which, by == BY_ADMIN_NAME ? "cn=admins,cn=zimbra" : "", filter, error);
}

/* The same address in the domain that @address's domain is an alias of; NULL if it is none. */
static char *in_real_domain(const char *address)
{
    const char *at = strchr(address, '@');
    g_autofree char *domain = at == NULL ? NULL : ldap_escape(at + 1);
    g_autofree char *filter =
        at == NULL ? NULL
                   : g_strdup_printf("(&(objectClass=zimbraDomain)(zimbraDomainType=alias)"
                                     "(zimbraDomainName=%s))",
                                     domain);
    g_autoptr(Entry) alias = filter == NULL ? NULL : find_one(LDAP_NEAREST, "", filter, NULL);
    const char *target = alias == NULL ? NULL : entry_get(alias, "zimbraDomainAliasTargetId");

    if (target == NULL)
        return NULL;
    g_autofree char *target_filter =
        g_strdup_printf("(&(objectClass=zimbraDomain)(zimbraId=%s))", target);
    g_autoptr(Entry) real = find_one(LDAP_NEAREST, "", target_filter, NULL);
    const char *name = real == NULL ? NULL : entry_get(real, "zimbraDomainName");
    return name == NULL ? NULL : g_strdup_printf("%.*s%s", (int)(at + 1 - address), address, name);
}

static Entry *read_account(LdapWhich which, AccountBy by, const char *key, GError **error)
{
    GError *inner = NULL;
    Entry *account = search_account(which, by, key, &inner);
    g_autofree char *elsewhere =
        account == NULL && inner == NULL && by == BY_NAME ? in_real_domain(key) : NULL;

    if (elsewhere != NULL)
        account = search_account(which, by, elsewhere, &inner);
    if (inner != NULL)
        g_propagate_error(error, inner);
    else if (account == NULL)
        fault(error, FAULT_NO_SUCH_ACCOUNT, "no such account: %s", key);
    else if (account_id(account) == NULL) {
        fault(error, FAULT_FAILURE, "account without zimbraId: %s", account->dn);
        g_clear_pointer(&account, entry_unref);
    }
    if (account != NULL)
        cache_account(account);
    return account;
}

Entry *account_get(AccountBy by, const char *key, GError **error)
{
    Entry *account = by == BY_ADMIN_NAME ? NULL : look(by == BY_ID ? "account" : "name", key);

    return account != NULL ? account : read_account(LDAP_NEAREST, by, key, error);
}

Entry *account_reload(const char *id, GError **error)
{
    return read_account(LDAP_MASTER, BY_ID, id, error);
}

Entry *account_cached(const char *id)
{
    return look("account", id);
}

void account_flush(AccountBy by, const char *key)
{
    g_autoptr(Entry) account = look(by == BY_ID ? "account" : "name", key);

    if (account != NULL)
        forget_account(account);
}

void directory_flush(const char *type)
{
    static const char *const kinds[][2] = { { "account", "account:" }, { "account", "name:" },
                                            { "domain", "domain:" },   { "server", "server:" },
                                            { "cos", "cos:" },         { "config", "config:" } };

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
        if (strcmp(type, "all") == 0 || strcmp(type, kinds[i][0]) == 0)
            forget_kind(kinds[i][1]);
}

GPtrArray *accounts_of_this_server(GError **error)
{
    g_autofree char *host = ldap_escape(config->name);
    g_autofree char *filter =
        g_strdup_printf("(&(objectClass=zimbraAccount)(zimbraMailHost=%s))", host);

    return ldap_find(LDAP_NEAREST, "", filter, error);
}

const char *account_id(const Entry *account)
{
    return entry_get(account, "zimbraId");
}

/* "example.com" for a DN that ends in dc=example,dc=com; NULL for one without dc. */
static char *domain_name(const char *text)
{
    LDAPDN dn = NULL;
    GString *name = g_string_new(NULL);

    if (ldap_str2dn(text, &dn, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS)
        dn = NULL;
    for (int i = 0; dn != NULL && dn[i] != NULL; i++) {
        const LDAPAVA *ava = dn[i][0];
        if (ava->la_attr.bv_len != 2 || g_ascii_strncasecmp(ava->la_attr.bv_val, "dc", 2) != 0)
            continue;
        g_string_append(name, name->len == 0 ? "" : ".");
        g_string_append_len(name, ava->la_value.bv_val, (gssize)ava->la_value.bv_len);
    }
    ldap_dnfree(dn);
    return g_string_free(name, name->len == 0);
}

char *account_name(const Entry *account)
{
    g_autofree char *domain = domain_name(account->dn);
    const char *uid = entry_get(account, "uid");

    if (domain == NULL)
        return g_strdup(uid == NULL ? "" : uid);
    return g_strconcat(uid == NULL ? "" : uid, "@", domain, NULL);
}

bool account_is_local(const Entry *account)
{
    return entry_has(account, "zimbraMailHost", config->name);
}

bool account_is_admin(const Entry *account)
{
    return entry_is_true(account, "zimbraIsAdminAccount");
}

/* As Server.mailTransportMatches: the port is not compared. */
static bool transport_matches(const char *transport, const char *host)
{
    if (transport == NULL)
        return true;
    g_auto(GStrv) parts = g_strsplit(transport, ":", -1);
    return g_strv_length(parts) == 3 && strcmp(parts[0], "lmtp") == 0 &&
           strcmp(parts[1], host) == 0;
}

bool account_is_external(const Entry *account)
{
    const char *host = entry_get(account, "zimbraMailHost");
    g_autoptr(Entry) server = host == NULL ? NULL : server_get(SERVER_BY_HOST, host, NULL);

    return server == NULL || !transport_matches(entry_get(account, "zimbraMailTransport"),
                                                entry_get(server, "zimbraServiceHostname"));
}

static Entry *cached_or_found(const char *kind, const char *key, const char *base,
                              const char *filter, GError **error)
{
    Entry *entry = look(kind, key);

    if (entry == NULL) {
        entry = find_one(LDAP_NEAREST, base, filter, error);
        if (entry != NULL)
            put(kind, key, entry);
    }
    return entry;
}

static Entry *domain_of(const Entry *account)
{
    g_autofree char *name = domain_name(account->dn);

    if (name == NULL)
        return NULL;
    g_autofree char *escaped = ldap_escape(name);
    g_autofree char *filter =
        g_strdup_printf("(&(objectClass=zimbraDomain)(zimbraDomainName=%s))", escaped);
    return cached_or_found("domain", name, "", filter, NULL);
}

Entry *global_config(GError **error)
{
    return cached_or_found("config", "", "cn=config,cn=zimbra", "(objectClass=zimbraGlobalConfig)",
                           error);
}

/* Inherited from the global config; "active" if neither has it. Free it. */
static char *domain_status(const Entry *account)
{
    g_autoptr(Entry) domain = domain_of(account);
    g_autoptr(Entry) global = domain == NULL ? NULL : global_config(NULL);
    const char *status = domain == NULL ? NULL : entry_get(domain, "zimbraDomainStatus");

    if (status == NULL && global != NULL)
        status = entry_get(global, "zimbraDomainStatus");
    return g_strdup(status == NULL ? "active" : status);
}

const char *account_status(const Entry *account)
{
    g_autofree char *domain = domain_status(account);
    const char *own = entry_get(account, "zimbraAccountStatus");

    if (own == NULL)
        own = "active";
    if (account_is_admin(account) || strcmp(domain, "active") == 0)
        return own;
    if (strcmp(domain, "closed") == 0)
        return "closed";
    bool gone = strcmp(own, "closed") == 0 || strcmp(own, "pending") == 0;
    if (strcmp(domain, "locked") == 0)
        return gone || strcmp(own, "maintenance") == 0 ? own : "locked";
    return gone ? own : "maintenance";
}

bool account_domain_allows(const Entry *account, GError **error)
{
    g_autofree char *status = domain_status(account);

    if (strcmp(status, "suspended") == 0 || strcmp(status, "shutdown") == 0)
        return fault(error, FAULT_PERM_DENIED, "permission denied: domain is %s", status);
    return true;
}

Entry *account_cos(const Entry *account)
{
    g_autoptr(Entry) domain = domain_of(account);
    const char *id = entry_get(account, "zimbraCOSId");

    if (id == NULL && domain != NULL)
        id = entry_get(domain, "zimbraDomainDefaultCOSId");
    g_autofree char *escaped = id == NULL ? NULL : ldap_escape(id);
    g_autofree char *filter =
        id == NULL ? g_strdup("(&(objectClass=zimbraCOS)(cn=default))")
                   : g_strdup_printf("(&(objectClass=zimbraCOS)(zimbraId=%s))", escaped);
    return cached_or_found("cos", id == NULL ? "default" : id, "cn=cos,cn=zimbra", filter, NULL);
}

char *account_setting(const Entry *account, const char *name)
{
    const char *own = entry_get(account, name);

    if (own != NULL)
        return g_strdup(own);
    g_autoptr(Entry) cos = account_cos(account);
    return g_strdup(cos == NULL ? NULL : entry_get(cos, name));
}

Entry *server_get(ServerBy by, const char *key, GError **error)
{
    static const char *const attrs[] = { [SERVER_BY_NAME] = "cn",
                                         [SERVER_BY_ID] = "zimbraId",
                                         [SERVER_BY_HOST] = "zimbraServiceHostname" };
    g_autofree char *escaped = ldap_escape(key);
    g_autofree char *filter =
        g_strdup_printf("(&(objectClass=zimbraServer)(%s=%s))", attrs[by], escaped);
    g_autofree char *cache_name = g_strconcat(attrs[by], "=", key, NULL);
    GError *inner = NULL;
    Entry *server = cached_or_found("server", cache_name, "cn=servers,cn=zimbra", filter, &inner);

    if (inner != NULL)
        g_propagate_error(error, inner);
    else if (server == NULL)
        fault(error, FAULT_NO_SUCH_SERVER, "no such server: %s", key);
    return server;
}

GPtrArray *servers_all(GError **error)
{
    return ldap_find(LDAP_NEAREST, "cn=servers,cn=zimbra", "(objectClass=zimbraServer)", error);
}

char *server_setting(const Entry *server, const char *name)
{
    const char *own = entry_get(server, name);

    if (own != NULL)
        return g_strdup(own);
    g_autoptr(Entry) global = global_config(NULL);
    return g_strdup(global == NULL ? NULL : entry_get(global, name));
}

unsigned server_port(const Entry *server, const char *name, unsigned fallback)
{
    g_autofree char *value = server_setting(server, name);

    return value == NULL ? fallback : (unsigned)g_ascii_strtoull(value, NULL, 10);
}
