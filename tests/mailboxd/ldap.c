/* ldap.c - see ldap.h. Two pools of bound connections: one for the first of the configured servers
 * that can be reached (replicas first), one for the master. A pooled connection that turns out dead
 * is replaced once. */
#include "tests/mailboxd/ldap.h"
#include "tests/mailboxd/config.h"
#include <ldap.h>
#include <string.h>
#include <sys/time.h>

enum { NETWORK_TIMEOUT_S = 5, ANSWER_TIMEOUT_S = 15 };

static GMutex mutex;
static GQueue pools[2] = { G_QUEUE_INIT, G_QUEUE_INIT };

static bool is_dead(int code)
{
    return code == LDAP_SERVER_DOWN || code == LDAP_TIMEOUT || code == LDAP_UNAVAILABLE ||
           code == LDAP_CONNECT_ERROR || code == LDAP_BUSY;
}

static int bind_simple(LDAP *ldap, const char *dn, const char *password)
{
    struct berval secret = { .bv_len = strlen(password), .bv_val = g_strdup(password) };
    int code = ldap_sasl_bind_s(ldap, dn, LDAP_SASL_SIMPLE, &secret, NULL, NULL, NULL);

    g_free(secret.bv_val);
    return code;
}

/* A connection with StartTLS done, not yet bound. */
static LDAP *connect_url(const char *url, GError **error)
{
    struct timeval network = { .tv_sec = NETWORK_TIMEOUT_S };
    struct timeval answer = { .tv_sec = ANSWER_TIMEOUT_S };
    int version = LDAP_VERSION3, demand = LDAP_OPT_X_TLS_DEMAND, zero = 0, code;
    LDAP *ldap = NULL;

    code = ldap_initialize(&ldap, url);
    if (code == LDAP_SUCCESS) {
        ldap_set_option(ldap, LDAP_OPT_PROTOCOL_VERSION, &version);
        ldap_set_option(ldap, LDAP_OPT_NETWORK_TIMEOUT, &network);
        ldap_set_option(ldap, LDAP_OPT_TIMEOUT, &answer);
        ldap_set_option(ldap, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
        ldap_set_option(ldap, LDAP_OPT_X_TLS_CACERTFILE, config->ca);
        ldap_set_option(ldap, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);
        ldap_set_option(ldap, LDAP_OPT_X_TLS_NEWCTX, &zero);
        code = ldap_start_tls_s(ldap, NULL, NULL);
    }
    if (code == LDAP_SUCCESS)
        return ldap;
    fault(error, FAULT_FAILURE, "LDAP error: %s: %s", url, ldap_err2string(code));
    if (ldap != NULL)
        ldap_unbind_ext_s(ldap, NULL, NULL);
    return NULL;
}

static LDAP *connect_bound(const char *url, GError **error)
{
    LDAP *ldap = connect_url(url, error);

    if (ldap == NULL)
        return NULL;
    int code = bind_simple(ldap, config->ldap.bind_dn, config->ldap.password);
    if (code == LDAP_SUCCESS)
        return ldap;
    fault(error, FAULT_FAILURE, "LDAP error: %s: bind: %s", url, ldap_err2string(code));
    ldap_unbind_ext_s(ldap, NULL, NULL);
    return NULL;
}

static LDAP *connect_which(LdapWhich which, GError **error)
{
    LDAP *ldap = NULL;

    if (which == LDAP_MASTER)
        return connect_bound(config->ldap.master, error);
    for (char **url = config->ldap.urls; *url != NULL && ldap == NULL; url++) {
        g_clear_error(error);
        ldap = connect_bound(*url, error);
    }
    if (ldap != NULL)
        g_clear_error(error);
    else if (error != NULL && *error == NULL)
        fault(error, FAULT_FAILURE, "LDAP error: no server is configured");
    return ldap;
}

static LDAP *take(LdapWhich which)
{
    g_mutex_lock(&mutex);
    LDAP *ldap = g_queue_pop_head(&pools[which]);
    g_mutex_unlock(&mutex);
    return ldap;
}

static void give(LdapWhich which, LDAP *ldap, int code)
{
    if (is_dead(code)) {
        ldap_unbind_ext_s(ldap, NULL, NULL);
        return;
    }
    g_mutex_lock(&mutex);
    g_queue_push_head(&pools[which], ldap);
    g_mutex_unlock(&mutex);
}

typedef int (*Operation)(LDAP *ldap, void *data);

/* Runs @operation on a pooled connection; once more on a new one if the pooled one was dead, which
 * all that idled through a restart of slapd are. */
static bool with_connection(LdapWhich which, Operation operation, void *data, GError **error)
{
    LDAP *ldap = take(which);
    int code = LDAP_SERVER_DOWN;

    if (ldap != NULL) {
        code = operation(ldap, data);
        give(which, ldap, code);
    }
    if (code == LDAP_SERVER_DOWN) {
        ldap = connect_which(which, error);
        if (ldap == NULL)
            return false;
        code = operation(ldap, data);
        give(which, ldap, code);
    }
    if (code == LDAP_SUCCESS)
        return true;
    return fault(error,
                 code == LDAP_INVALID_SYNTAX   ? FAULT_INVALID_ATTR_VALUE
                 : code == LDAP_UNDEFINED_TYPE ? FAULT_INVALID_ATTR_NAME
                                               : FAULT_FAILURE,
                 "LDAP error: %s", ldap_err2string(code));
}

static void attr_free(gpointer data)
{
    EntryAttr *attr = data;

    g_free(attr->name);
    g_ptr_array_unref(attr->values);
    g_free(attr);
}

static void add_attribute(Entry *entry, LDAP *ldap, LDAPMessage *message, const char *name)
{
    struct berval **values = ldap_get_values_len(ldap, message, name);
    EntryAttr *attr = g_new0(EntryAttr, 1);

    attr->name = g_strdup(name);
    attr->values = g_ptr_array_new_with_free_func(g_free);
    for (int i = 0; values != NULL && values[i] != NULL; i++)
        g_ptr_array_add(attr->values, g_strndup(values[i]->bv_val, values[i]->bv_len));
    g_ptr_array_add(entry->attrs, attr);
    ldap_value_free_len(values);
}

static Entry *entry_new(LDAP *ldap, LDAPMessage *message)
{
    Entry *entry = g_new0(Entry, 1);
    BerElement *walk = NULL;
    char *dn = ldap_get_dn(ldap, message);

    entry->refs = 1;
    entry->dn = g_strdup(dn);
    entry->attrs = g_ptr_array_new_with_free_func(attr_free);
    ldap_memfree(dn);
    for (char *name = ldap_first_attribute(ldap, message, &walk); name != NULL;
         name = ldap_next_attribute(ldap, message, walk)) {
        add_attribute(entry, ldap, message, name);
        ldap_memfree(name);
    }
    ber_free(walk, 0);
    return entry;
}

typedef struct Search {
    const char *base, *filter;
    GPtrArray *entries;
} Search;

static int search(LDAP *ldap, void *data)
{
    Search *s = data;
    LDAPMessage *result = NULL;
    int code = ldap_search_ext_s(ldap, s->base, LDAP_SCOPE_SUBTREE, s->filter, NULL, 0, NULL, NULL,
                                 NULL, LDAP_NO_LIMIT, &result);

    g_ptr_array_set_size(s->entries, 0);
    if (code == LDAP_NO_SUCH_OBJECT)
        code = LDAP_SUCCESS;
    else if (code == LDAP_SUCCESS)
        for (LDAPMessage *m = ldap_first_entry(ldap, result); m != NULL;
             m = ldap_next_entry(ldap, m))
            g_ptr_array_add(s->entries, entry_new(ldap, m));
    ldap_msgfree(result);
    return code;
}

GPtrArray *ldap_find(LdapWhich which, const char *base, const char *filter, GError **error)
{
    Search s = { base, filter, g_ptr_array_new_with_free_func((GDestroyNotify)entry_unref) };

    if (!with_connection(which, search, &s, error))
        g_clear_pointer(&s.entries, g_ptr_array_unref);
    return s.entries;
}

typedef struct Modify {
    const char *dn;
    LDAPMod **mods;
} Modify;

static int modify(LDAP *ldap, void *data)
{
    Modify *m = data;

    return ldap_modify_ext_s(ldap, m->dn, m->mods, NULL, NULL);
}

bool ldap_change(const char *dn, GPtrArray *mods, GError **error)
{
    static const int ops[] = { [LDAP_SET] = LDAP_MOD_REPLACE,
                               [LDAP_ADD_VALUE] = LDAP_MOD_ADD,
                               [LDAP_REMOVE_VALUE] = LDAP_MOD_DELETE };
    g_autofree LDAPMod *array = g_new0(LDAPMod, mods->len);
    g_autofree LDAPMod **pointers = g_new0(LDAPMod *, mods->len + 1);
    g_autoptr(GPtrArray) lists = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < mods->len; i++) {
        const LdapMod *mod = mods->pdata[i];
        guint n = mod->values->len;
        char **values = g_new0(char *, n + 1);
        g_ptr_array_add(lists, values);
        for (guint v = 0; v < n; v++)
            values[v] = mod->values->pdata[v];
        array[i] = (LDAPMod){ .mod_op = ops[mod->kind], .mod_type = mod->name };
        array[i].mod_values = n == 0 ? NULL : values;
        pointers[i] = &array[i];
    }
    Modify m = { dn, pointers };
    return mods->len == 0 || with_connection(LDAP_MASTER, modify, &m, error);
}

bool ldap_password_is(const char *dn, const char *password, GError **error)
{
    LDAP *ldap = NULL;

    if (*password == '\0') /* LDAP would take it for an anonymous bind, and agree */
        return false;
    for (char **url = config->ldap.urls; *url != NULL && ldap == NULL; url++) {
        g_clear_error(error);
        ldap = connect_url(*url, error);
    }
    if (ldap == NULL)
        return false;
    g_clear_error(error);
    int code = bind_simple(ldap, dn, password);
    ldap_unbind_ext_s(ldap, NULL, NULL);
    if (code != LDAP_SUCCESS && code != LDAP_INVALID_CREDENTIALS)
        fault(error, FAULT_FAILURE, "LDAP error: bind: %s", ldap_err2string(code));
    return code == LDAP_SUCCESS;
}

void ldap_shutdown(void)
{
    for (int i = 0; i < 2; i++)
        for (LDAP *ldap = take((LdapWhich)i); ldap != NULL; ldap = take((LdapWhich)i))
            ldap_unbind_ext_s(ldap, NULL, NULL);
}

Entry *entry_ref(Entry *entry)
{
    g_atomic_int_inc(&entry->refs);
    return entry;
}

void entry_unref(Entry *entry)
{
    if (!g_atomic_int_dec_and_test(&entry->refs))
        return;
    g_ptr_array_unref(entry->attrs);
    g_free(entry->dn);
    g_free(entry);
}

GPtrArray *entry_values(const Entry *entry, const char *name)
{
    for (guint i = 0; i < entry->attrs->len; i++) {
        const EntryAttr *attr = entry->attrs->pdata[i];
        if (g_ascii_strcasecmp(attr->name, name) == 0)
            return attr->values;
    }
    return NULL;
}

const char *entry_get(const Entry *entry, const char *name)
{
    GPtrArray *values = entry_values(entry, name);

    return values == NULL || values->len == 0 ? NULL : values->pdata[0];
}

bool entry_has(const Entry *entry, const char *name, const char *value)
{
    GPtrArray *values = entry_values(entry, name);

    for (guint i = 0; values != NULL && i < values->len; i++)
        if (g_ascii_strcasecmp(values->pdata[i], value) == 0)
            return true;
    return false;
}

bool entry_is_true(const Entry *entry, const char *name)
{
    return entry_has(entry, name, "TRUE");
}

LdapMod *ldap_mod_new(int kind, const char *name)
{
    LdapMod *mod = g_new0(LdapMod, 1);

    mod->kind = kind;
    mod->name = g_strdup(name);
    mod->values = g_ptr_array_new_with_free_func(g_free);
    return mod;
}

void ldap_mod_add(LdapMod *mod, const char *value)
{
    g_ptr_array_add(mod->values, g_strdup(value));
}

void ldap_mod_free(LdapMod *mod)
{
    g_free(mod->name);
    g_ptr_array_unref(mod->values);
    g_free(mod);
}

char *ldap_escape(const char *value)
{
    GString *out = g_string_new(NULL);

    for (const char *p = value; *p != '\0'; p++)
        if (strchr("\\*()", *p) != NULL)
            g_string_append_printf(out, "\\%02x", (unsigned char)*p);
        else
            g_string_append_c(out, *p);
    return g_string_free(out, FALSE);
}
