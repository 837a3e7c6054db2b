/* modify.c - see modify.h. */
#include "tests/mailboxd/modify.h"
#include "tests/mailboxd/config.h"
#include "tests/mailboxd/soap.h"
#include <string.h>

enum { LMTP_PORT = 7025 };

static LdapMod *find_mod(const GPtrArray *mods, const char *name)
{
    for (guint i = 0; i < mods->len; i++) {
        LdapMod *mod = mods->pdata[i];
        if (g_ascii_strcasecmp(mod->name, name) == 0)
            return mod;
    }
    return NULL;
}

/* First value that @mods sets @name to; NULL if it is not set, or removed. */
static const char *new_value(const GPtrArray *mods, const char *name)
{
    const LdapMod *mod = find_mod(mods, name);

    return mod == NULL || mod->values->len == 0 ? NULL : mod->values->pdata[0];
}

static void set_value(GPtrArray *mods, const char *name, const char *value)
{
    LdapMod *mod = find_mod(mods, name);

    if (mod == NULL) {
        mod = ldap_mod_new(LDAP_SET, name);
        g_ptr_array_add(mods, mod);
    }
    mod->kind = LDAP_SET;
    g_ptr_array_set_size(mod->values, 0);
    if (value != NULL)
        ldap_mod_add(mod, value);
}

/* As callback MailHost: the new host must be a server that can hold mailboxes, the transport
 * follows, and one that somebody set by hand is not overwritten. */
static bool before_mail_host(const Entry *account, GPtrArray *mods, GError **error)
{
    const char *host = new_value(mods, "zimbraMailHost");
    const char *old = entry_get(account, "zimbraMailHost");

    if (host == NULL)
        return true;
    if (new_value(mods, "zimbraMailTransport") != NULL)
        return fault(error, FAULT_INVALID_REQUEST,
                     "invalid request: setting both zimbraMailHost and zimbraMailTransport in the "
                     "same request is not allowed");
    g_autoptr(Entry) known = old == NULL ? NULL : server_get(SERVER_BY_HOST, old, NULL);
    if (known != NULL && account_is_external(account))
        return fault(error, FAULT_INVALID_REQUEST,
                     "invalid request: current value of zimbraMailTransport does not match "
                     "zimbraMailHost %s",
                     old);
    g_autoptr(Entry) server = server_get(SERVER_BY_HOST, host, NULL);
    if (server == NULL)
        return fault(error, FAULT_INVALID_REQUEST,
                     "invalid request: specified zimbraMailHost does not correspond to a valid "
                     "server service hostname: %s",
                     host);
    if (!entry_has(server, "zimbraServiceEnabled", "service"))
        return fault(error, FAULT_INVALID_REQUEST,
                     "invalid request: specified zimbraMailHost does not have the service enabled: "
                     "%s",
                     host);
    g_autofree char *transport =
        g_strdup_printf("lmtp:%s:%u", entry_get(server, "zimbraServiceHostname"),
                        server_port(server, "zimbraLmtpBindPort", LMTP_PORT));
    set_value(mods, "zimbraMailTransport", transport);
    return true;
}

/* As callback AccountStatus. */
static bool before_status(const Entry *account, GPtrArray *mods, GError **error)
{
    static const char *const known[] = { "active", "maintenance", "locked",
                                         "closed", "lockout",     "pending" };
    const char *status = new_value(mods, "zimbraAccountStatus");
    const char *old = entry_get(account, "zimbraAccountStatus");
    bool valid = false;

    if (find_mod(mods, "zimbraAccountStatus") == NULL)
        return true;
    for (size_t i = 0; status != NULL && i < G_N_ELEMENTS(known); i++)
        valid |= strcmp(known[i], status) == 0;
    if (!valid)
        return fault(error, FAULT_INVALID_ATTR_VALUE,
                     "zimbraAccountStatus must be one of active,"
                     "maintenance,locked,closed,lockout,pending");
    if (strcmp(status, "closed") == 0 || strcmp(status, "pending") == 0)
        set_value(mods, "zimbraMailStatus", "disabled");
    else if (new_value(mods, "zimbraMailStatus") == NULL)
        set_value(mods, "zimbraMailStatus", "enabled");
    if (strcmp(status, "active") != 0)
        return true;
    static const char *const cleared[] = { "zimbraPasswordLockoutFailureTime",
                                           "zimbraPasswordLockoutLockedTime",
                                           "zimbraAccountSuspensionReason" };
    for (size_t i = 0; i < G_N_ELEMENTS(cleared); i++)
        if (entry_get(account, cleared[i]) != NULL && (i < 2 || g_strcmp0(old, "active") != 0))
            set_value(mods, cleared[i], NULL);
    return true;
}

static void remove_from_lists(const char *address)
{
    g_autofree char *escaped = ldap_escape(address);
    g_autofree char *filter = g_strdup_printf(
        "(&(objectClass=zimbraDistributionList)(zimbraMailForwardingAddress=%s))", escaped);
    g_autoptr(GPtrArray) lists = ldap_find(LDAP_MASTER, "", filter, NULL);

    for (guint i = 0; lists != NULL && i < lists->len; i++) {
        const Entry *list = lists->pdata[i];
        g_autoptr(GPtrArray) mods = g_ptr_array_new_with_free_func((GDestroyNotify)ldap_mod_free);
        LdapMod *mod = ldap_mod_new(LDAP_REMOVE_VALUE, "zimbraMailForwardingAddress");
        ldap_mod_add(mod, address);
        g_ptr_array_add(mods, mod);
        ldap_change(list->dn, mods, NULL);
    }
}

/* Goes by the effective status: in a closed domain every account is closed, whatever was written.
 */
static void after_status(const Entry *account)
{
    GPtrArray *aliases = entry_values(account, "zimbraMailAlias");
    g_autofree char *name = account_name(account);

    if (strcmp(account_status(account), "closed") != 0)
        return;
    remove_from_lists(name);
    for (guint i = 0; aliases != NULL && i < aliases->len; i++)
        remove_from_lists(aliases->pdata[i]);
}

/* A slow new home delays our answer to a change that has already happened. */
static void after_mail_host(const Entry *account, const char *host)
{
    g_autoptr(GError) error = NULL;

    if (!account_is_local(account) && !proxy_flush_account(host, account_id(account), &error))
        g_message("%s was not flushed for %s: %s", host, account_id(account),
                  error == NULL ? "it refused" : error->message);
}

bool modify_account(const Entry *account, GPtrArray *mods, Entry **changed, GError **error)
{
    if (!before_mail_host(account, mods, error) || !before_status(account, mods, error) ||
        !ldap_change(account->dn, mods, error))
        return false;
    *changed = account_reload(account_id(account), error);
    if (*changed == NULL)
        return false;
    if (find_mod(mods, "zimbraAccountStatus") != NULL)
        after_status(*changed);
    const char *host = new_value(mods, "zimbraMailHost");
    if (host != NULL)
        after_mail_host(*changed, host);
    return true;
}
