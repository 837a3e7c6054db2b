/* known.c - see known.h. */
#include "core/zimbra/known.h"
#include "core/net/ldap.h"
#include "core/zimbra/directory.h"
#include "core/zimbra/volume.h"
#include <string.h>

static bool begins(const char *text, const char *prefix)
{
    return g_ascii_strncasecmp(text, prefix, strlen(prefix)) == 0;
}

static void add(GPtrArray *names, const char *text, const char *prefix, const char *meaning)
{
    if (text != NULL && begins(text, prefix))
        g_ptr_array_add(names, name_new(text, meaning));
}

/* An account by its own address; by an alias only if that is what was typed. */
static void add_account(GPtrArray *names, const LdapEntry *entry, const char *prefix)
{
    const char *home = ldap_entry_get(entry, "zimbraMailHost");
    const char *const *alias = ldap_entry_all(entry, "zimbraMailAlias");
    g_autofree char *domain = directory_domain_of_dn(ldap_entry_dn(entry));
    g_autofree char *address = g_strdup_printf("%s@%s", ldap_entry_get(entry, "uid") ?: "", domain);

    if (begins(address, prefix)) {
        add(names, address, prefix, home != NULL ? home : "no mail host");
        return;
    }
    for (; *alias != NULL; alias++) {
        g_autofree char *meaning = g_strdup_printf("alias of %s", address);

        add(names, *alias, prefix, meaning);
    }
}

static void add_domain(GPtrArray *names, const LdapEntry *entry, const char *prefix)
{
    const char *status = ldap_entry_get(entry, "zimbraDomainStatus");

    add(names, ldap_entry_get(entry, "zimbraDomainName"), prefix,
        status != NULL ? status : "active");
}

static void add_store(GPtrArray *names, const LdapEntry *entry, const char *prefix)
{
    add(names, ldap_entry_get(entry, "zimbraServiceHostname") ?: ldap_entry_get(entry, "cn"),
        prefix, "mailbox server");
}

/* What is asked for: accounts without those of the system and of guests, domains that have accounts
 * of their own, servers that hold mailboxes. */
static const struct {
    const char *base;
    const char *const *attributes;
    void (*add)(GPtrArray *names, const LdapEntry *entry, const char *prefix);
} looks[] = {
    [DIRECTORY_STORES] = { "cn=servers,cn=zimbra",
                           (const char *const[]){ "cn", "zimbraServiceHostname", NULL },
                           add_store },
    [DIRECTORY_ACCOUNTS] = { "",
                             (const char *const[]){ "uid", "zimbraMailHost", "zimbraMailAlias",
                                                    NULL },
                             add_account },
    [DIRECTORY_DOMAINS] = { "",
                            (const char *const[]){ "zimbraDomainName", "zimbraDomainStatus", NULL },
                            add_domain },
};

static char *filter_of(DirectoryNames what, const char *prefix)
{
    switch (what) {
    case DIRECTORY_STORES:
        return ldap_filter("(&(objectClass=zimbraServer)(|(zimbraServiceEnabled=service)"
                           "(zimbraServiceEnabled=mailbox)))");
    case DIRECTORY_ACCOUNTS:
        return ldap_filter("(&(objectClass=zimbraAccount)(!(zimbraIsSystemResource=TRUE))"
                           "(!(zimbraIsSystemAccount=TRUE))(!(zimbraIsExternalVirtualAccount=TRUE))"
                           "(|(zimbraMailDeliveryAddress=%s*)(mail=%s*)(zimbraMailAlias=%s*)))",
                           prefix, prefix, prefix);
    case DIRECTORY_DOMAINS:
        return ldap_filter("(&(objectClass=zimbraDomain)(!(zimbraDomainType=alias))"
                           "(zimbraDomainName=%s*))",
                           prefix);
    }
    g_assert_not_reached();
}

static int by_text(gconstpointer a, gconstpointer b)
{
    const Name *const *left = a, *const *right = b;

    return strcmp((*left)->text, (*right)->text);
}

GPtrArray *known_in_directory(const Conf *conf, DirectoryNames what, const char *prefix,
                              unsigned limit, unsigned timeout_s, GError **error)
{
    g_autofree char *filter = filter_of(what, prefix);
    LdapTarget target = { .url = conf->ldap.master,
                          .bind_dn = conf->ldap.bind_dn,
                          .password = conf->ldap.password,
                          .ca_file = conf->ldap.ca_file,
                          .starttls = conf->ldap.starttls,
                          .timeout_s = timeout_s };
    g_autoptr(LdapConn) conn = NULL;
    g_autoptr(GPtrArray) found = NULL;
    GPtrArray *names;

    if (target.url == NULL) {
        fail(error, ZX_ERROR_REFUSED, "the configuration names no LDAP master");
        return NULL;
    }
    conn = ldap_conn_open(&target, error);
    if (conn == NULL)
        return NULL;
    found = ldap_conn_search_some(conn, looks[what].base, LDAP_SUB, filter, looks[what].attributes,
                                  limit, error);
    if (found == NULL)
        return NULL;
    names = names_new();
    for (guint i = 0; i < found->len && names->len < limit; i++)
        looks[what].add(names, g_ptr_array_index(found, i), prefix);
    g_ptr_array_sort(names, by_text);
    return names;
}

GPtrArray *known_volumes(Db *db, const char *prefix, unsigned limit, GError **error)
{
    CurrentVolumes current;
    g_autoptr(GPtrArray) volumes = volumes_read(db, &current, error);
    GPtrArray *names;

    if (volumes == NULL)
        return NULL;
    names = names_new();
    for (guint i = 0; i < volumes->len && names->len < limit; i++) {
        const Volume *volume = g_ptr_array_index(volumes, i);
        bool now = volume->id == current.message || volume->id == current.secondary;
        g_autofree char *meaning =
            g_strdup_printf("%s%s, %s", now ? "current " : "",
                            volume->type == VOLUME_PRIMARY ? "primary" : "secondary", volume->path);

        if (volume->type != VOLUME_INDEX && volume->store_type == 1)
            add(names, volume->name, prefix, meaning);
    }
    return names;
}
