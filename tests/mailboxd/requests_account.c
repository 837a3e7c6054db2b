/* requests_account.c - logging in; accounts and calendar resources, read and changed. */
#include "tests/mailboxd/config.h"
#include "tests/mailboxd/modify.h"
#include "tests/mailboxd/soap.h"
#include "tests/mailboxd/token.h"
#include <string.h>

Entry *request_account(const xmlNode *node, FaultCode missing, GError **error)
{
    g_autofree char *by = xml_get(node, "by");
    g_autofree char *id = by == NULL ? xml_get(node, "id") : NULL;
    g_autofree char *name = by == NULL && id == NULL ? xml_get(node, "name") : NULL;
    g_autofree char *key = by == NULL ? g_strdup(id != NULL ? id : name) : xml_text(node);
    GError *inner = NULL;

    if (key == NULL || *key == '\0') {
        fault(error, FAULT_INVALID_REQUEST, "invalid request: no account named");
        return NULL;
    }
    AccountBy how = by == NULL                     ? (id != NULL ? BY_ID : BY_NAME)
                    : strcmp(by, "id") == 0        ? BY_ID
                    : strcmp(by, "adminName") == 0 ? BY_ADMIN_NAME
                                                   : BY_NAME;
    Entry *account = account_get(how, key, &inner);
    if (account != NULL)
        return account;
    if (fault_is(inner, FAULT_NO_SUCH_ACCOUNT) && missing != FAULT_NO_SUCH_ACCOUNT) {
        fault(error, missing, "no such calendar resource: %s", key);
        g_clear_error(&inner);
    } else {
        g_propagate_error(error, inner);
    }
    return NULL;
}

/* The account an element names, if this server may touch it at all. */
static Entry *allowed_account(const xmlNode *node, FaultCode missing, GError **error)
{
    g_autoptr(Entry) account = NULL;

    if (node == NULL)
        fault(error, FAULT_INVALID_REQUEST, "invalid request: no account named");
    else
        account = request_account(node, missing, error);
    if (account == NULL || !account_domain_allows(account, error))
        return NULL;
    return g_steal_pointer(&account);
}

static xmlNode *auth_answer(const Entry *account, GError **error)
{
    if (strcmp(account_status(account), "active") != 0 || !account_is_admin(account)) {
        fault(error, FAULT_PERM_DENIED, "permission denied: not an active admin account");
        return NULL;
    }
    xmlNode *answer = xml_new("AuthResponse", NS_ADMIN);
    g_autofree char *token = token_new(account_id(account));
    xml_add(answer, "authToken", token);
    g_autofree char *lifetime = g_strdup_printf("%d", TOKEN_LIFETIME_MS);
    xml_add(answer, "lifetime", lifetime);
    return answer;
}

static xmlNode *auth_by_token(const char *token, GError **error)
{
    g_autofree char *id = token_account(token, error);
    g_autoptr(Entry) account = id == NULL ? NULL : account_get(BY_ID, id, error);

    return account == NULL ? NULL : auth_answer(account, error);
}

/* A bare name is an LDAP admin, uid=NAME,cn=admins,cn=zimbra. The password is proven by a bind. */
static xmlNode *auth_by_password(const char *name, const char *password, GError **error)
{
    GError *inner = NULL;
    g_autoptr(Entry) account =
        account_get(strchr(name, '@') == NULL ? BY_ADMIN_NAME : BY_NAME, name, &inner);
    bool right = account != NULL && ldap_password_is(account->dn, password, &inner);

    if (inner != NULL && !fault_is(inner, FAULT_NO_SUCH_ACCOUNT)) {
        g_propagate_error(error, inner);
        return NULL;
    }
    g_clear_error(&inner);
    if (!right) {
        fault(error, FAULT_AUTH_FAILED, "authentication failed for [%s]", name);
        return NULL;
    }
    return auth_answer(account, error);
}

static xmlNode *auth(const xmlNode *request, GError **error)
{
    const xmlNode *account = xml_child(request, "account");
    g_autofree char *token = xml_get(request, "authToken");
    g_autofree char *name = account == NULL ? xml_get(request, "name") : xml_text(account);
    g_autofree char *password = xml_get(request, "password");

    if (token != NULL)
        return auth_by_token(token, error);
    if (name == NULL || password == NULL) {
        fault(error, FAULT_INVALID_REQUEST, "invalid request: name and password are required");
        return NULL;
    }
    return auth_by_password(name, password, error);
}

static bool is_wanted(char **wanted, const char *name)
{
    for (char **w = wanted; w != NULL && *w != NULL; w++)
        if (g_ascii_strcasecmp(*w, name) == 0)
            return true;
    return wanted == NULL;
}

static bool is_private(const char *name)
{
    static const char *const names[] = { "userPassword", "objectClass", "cn", "zimbraId" };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        if (g_ascii_strcasecmp(names[i], name) == 0)
            return true;
    return false;
}

static void add_attributes(xmlNode *node, const Entry *entry, char **wanted)
{
    for (guint i = 0; i < entry->attrs->len; i++) {
        const EntryAttr *attr = entry->attrs->pdata[i];
        if (g_ascii_strcasecmp(attr->name, "userPassword") == 0 || !is_wanted(wanted, attr->name))
            continue;
        for (guint v = 0; v < attr->values->len; v++)
            xml_add_a(node, attr->name, attr->values->pdata[v]);
    }
}

/* What the class of service says where the account says nothing. */
static void add_cos_attributes(xmlNode *node, const Entry *account, char **wanted)
{
    g_autoptr(Entry) cos = account_cos(account);

    for (guint i = 0; cos != NULL && i < cos->attrs->len; i++) {
        const EntryAttr *attr = cos->attrs->pdata[i];
        if (is_private(attr->name) || !is_wanted(wanted, attr->name) ||
            entry_values(account, attr->name) != NULL)
            continue;
        for (guint v = 0; v < attr->values->len; v++)
            xml_add_a(node, attr->name, attr->values->pdata[v]);
    }
}

static xmlNode *account_answer(const char *response, const char *element, const Entry *account,
                               char **wanted, bool apply_cos)
{
    xmlNode *answer = xml_new(response, NS_ADMIN);
    xmlNode *node = xml_add(answer, element, NULL);
    g_autofree char *name = account_name(account);

    xml_set(node, "name", name);
    xml_set(node, "id", account_id(account));
    if (account_is_external(account))
        xml_set(node, "isExternal", "1");
    add_attributes(node, account, wanted);
    if (apply_cos)
        add_cos_attributes(node, account, wanted);
    return answer;
}

static xmlNode *get(const xmlNode *request, const char *element, const char *response,
                    FaultCode missing, GError **error)
{
    g_autoptr(Entry) account = allowed_account(xml_child(request, element), missing, error);
    g_autofree char *attrs = xml_get(request, "attrs");
    g_autofree char *apply_cos = xml_get(request, "applyCos");
    g_auto(GStrv) wanted = attrs == NULL || *attrs == '\0' ? NULL : g_strsplit(attrs, ",", -1);

    if (account == NULL)
        return NULL;
    return account_answer(response, element, account, wanted,
                          g_strcmp0(apply_cos, "0") != 0 && g_strcmp0(apply_cos, "false") != 0);
}

static xmlNode *get_account(const xmlNode *request, GError **error)
{
    return get(request, "account", "GetAccountResponse", FAULT_NO_SUCH_ACCOUNT, error);
}

static xmlNode *get_resource(const xmlNode *request, GError **error)
{
    return get(request, "calresource", "GetCalendarResourceResponse", FAULT_NO_SUCH_RESOURCE,
               error);
}

/* <a n="X">v</a>: repeated for several values, empty to remove, +X and -X for single values. */
static GPtrArray *read_mods(const xmlNode *request)
{
    GPtrArray *mods = g_ptr_array_new_with_free_func((GDestroyNotify)ldap_mod_free);

    for (const xmlNode *a = xml_child(request, "a"); a != NULL; a = xml_next(a)) {
        g_autofree char *full = xml_get(a, "n");
        g_autofree char *value = xml_text(a);
        if (full == NULL || *full == '\0')
            continue;
        int kind = *full == '+' ? LDAP_ADD_VALUE : *full == '-' ? LDAP_REMOVE_VALUE : LDAP_SET;
        const char *name = kind == LDAP_SET ? full : full + 1;
        LdapMod *mod = NULL;
        for (guint i = 0; i < mods->len && mod == NULL; i++) {
            LdapMod *other = mods->pdata[i];
            if ((int)other->kind == kind && g_ascii_strcasecmp(other->name, name) == 0)
                mod = other;
        }
        if (mod == NULL) {
            mod = ldap_mod_new(kind, name);
            g_ptr_array_add(mods, mod);
        }
        if (*value != '\0')
            ldap_mod_add(mod, value);
    }
    return mods;
}

static xmlNode *modify(const xmlNode *request, const char *element, const char *response,
                       FaultCode missing, GError **error)
{
    g_autoptr(Entry) account = allowed_account(request, missing, error);
    g_autoptr(GPtrArray) mods = read_mods(request);
    g_autoptr(Entry) changed = NULL;

    if (account == NULL || !modify_account(account, mods, &changed, error))
        return NULL;
    return account_answer(response, element, changed, NULL, false);
}

static xmlNode *modify_account_request(const xmlNode *request, GError **error)
{
    return modify(request, "account", "ModifyAccountResponse", FAULT_NO_SUCH_ACCOUNT, error);
}

static xmlNode *modify_resource(const xmlNode *request, GError **error)
{
    return modify(request, "calresource", "ModifyCalendarResourceResponse", FAULT_NO_SUCH_RESOURCE,
                  error);
}

/* The view of the server that was asked, never proxied. */
static xmlNode *get_account_info(const xmlNode *request, GError **error)
{
    const xmlNode *node = xml_child(request, "account");
    g_autoptr(Entry) account =
        node == NULL ? NULL : request_account(node, FAULT_NO_SUCH_ACCOUNT, error);

    if (account == NULL) {
        if (node == NULL)
            fault(error, FAULT_INVALID_REQUEST, "invalid request: no account named");
        return NULL;
    }
    xmlNode *answer = xml_new("GetAccountInfoResponse", NS_ADMIN);
    g_autofree char *name = account_name(account);
    const char *host = entry_get(account, "zimbraMailHost");
    g_autoptr(Entry) cos = account_cos(account);
    xml_add(answer, "name", name);
    xml_add_a(answer, "zimbraId", account_id(account));
    xml_add_a(answer, "zimbraMailHost", host);
    if (cos != NULL) {
        xmlNode *node_cos = xml_add(answer, "cos", NULL);
        const char *cos_id = entry_get(cos, "zimbraId"), *cos_name = entry_get(cos, "cn");
        xml_set(node_cos, "id", cos_id == NULL ? "" : cos_id);
        xml_set(node_cos, "name", cos_name == NULL ? "" : cos_name);
    }
    g_autoptr(Entry) server = host == NULL ? NULL : server_get(SERVER_BY_HOST, host, NULL);
    if (server != NULL) {
        g_autofree char *admin = g_strdup_printf("https://%s:%u/service/admin/soap/", host,
                                                 server_port(server, "zimbraAdminPort", 7071));
        g_autofree char *soap = g_strdup_printf("http://%s:80/service/soap/", host);
        xml_add(answer, "soapURL", soap);
        xml_add(answer, "adminSoapURL", admin);
    }
    return answer;
}

const RequestHandler account_requests[] = {
    { "AuthRequest", auth, HOME_HERE, true },
    { "GetAccountRequest", get_account, HOME_ACCOUNT, false },
    { "ModifyAccountRequest", modify_account_request, HOME_ID, false },
    { "GetCalendarResourceRequest", get_resource, HOME_CALRESOURCE, false },
    { "ModifyCalendarResourceRequest", modify_resource, HOME_ID, false },
    { "GetAccountInfoRequest", get_account_info, HOME_HERE, false },
    { 0 },
};
