/* accounts.c - see directory.h: accounts, with what their domain and class of service say of them.
 */
#include "core/zimbra/directory_inside.h"
#include <string.h>

static const char *const account_attributes[] = { "uid",
                                                  "zimbraId",
                                                  "zimbraMailHost",
                                                  "zimbraMailTransport",
                                                  "zimbraAccountStatus",
                                                  "zimbraMailStatus",
                                                  "zimbraMailAlias",
                                                  "zimbraCOSId",
                                                  "zimbraLastLogonTimestamp",
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
