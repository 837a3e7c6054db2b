/* ldap.c - see ldap.h.
 *
 * libldap would open a lost connection again by itself and go on anonymously, to whom the directory
 * may look empty. "Not there" decides things, so a connection that failed once answers CONNECT for
 * ever. */
#include "core/net/ldap.h"
#include <ldap.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

enum { PAGE_ENTRIES = 500 };

/* libldap's timeouts do not cover the TLS handshake. While a connection is opened, a thread waits
 * for the end of it and otherwise ends the socket, after which libldap gives up by itself. */
typedef struct Watchdog {
    GMutex lock;
    GCond over;
    bool done, fired;
    int fd; /* -1: not connected yet; libldap's own timeout covers that */
    int64_t deadline;
} Watchdog;

struct LdapConn {
    LDAP *ld;
    char *url, *ca_file;
    unsigned timeout_s;
    bool lost;
    bool connected; /* TCP stands */
    bool tls;
    Watchdog *watchdog; /* while opening */
    struct ldap_conncb callbacks;
};

struct LdapEntry {
    char *dn;
    GHashTable *attributes; /* lower-case name -> GPtrArray of char *, NULL at its end */
};

static bool needs_escape(unsigned char c)
{
    return c < 0x20 || c >= 0x7f || strchr("*()\\", c) != NULL;
}

char *ldap_filter(const char *format, ...)
{
    GString *filter = g_string_new(NULL);
    va_list args;

    va_start(args, format);
    for (const char *p = format; *p != '\0'; p++) {
        if (*p != '%') {
            g_string_append_c(filter, *p);
            continue;
        }
        p++;
        if (*p == '%') {
            g_string_append_c(filter, '%');
            continue;
        }
        if (*p != 's')
            g_error("ldap_filter knows %%s and %%%% only: %s", format);
        for (const char *value = va_arg(args, const char *); *value != '\0'; value++) {
            if (needs_escape((unsigned char)*value))
                g_string_append_printf(filter, "\\%02x", (unsigned)(unsigned char)*value);
            else
                g_string_append_c(filter, *value);
        }
    }
    va_end(args);
    return g_string_free(filter, FALSE);
}

bool ldap_url_place(const char *url, char **host, unsigned *port, bool *tls, GError **error)
{
    LDAPURLDesc *place = NULL;

    if (ldap_url_parse(url, &place) != LDAP_URL_SUCCESS || place->lud_host == NULL ||
        *place->lud_host == '\0') {
        ldap_free_urldesc(place);
        return fail(error, ZX_ERROR_INPUT, "LDAP server %s: ldap://host:port is wanted", url);
    }
    *host = g_strdup(place->lud_host);
    *port = (unsigned)place->lud_port;
    *tls = g_ascii_strcasecmp(place->lud_scheme, "ldaps") == 0;
    ldap_free_urldesc(place);
    return true;
}

static ZxError error_kind(int code)
{
    switch (code) {
    case LDAP_SERVER_DOWN:
    case LDAP_CONNECT_ERROR:
    case LDAP_UNAVAILABLE:
    case LDAP_BUSY:
        return ZX_ERROR_CONNECT;
    case LDAP_TIMEOUT:
    case LDAP_TIMELIMIT_EXCEEDED:
        return ZX_ERROR_TIMEOUT;
    case LDAP_INVALID_CREDENTIALS:
    case LDAP_INSUFFICIENT_ACCESS:
    case LDAP_INAPPROPRIATE_AUTH:
    case LDAP_STRONG_AUTH_REQUIRED:
    case LDAP_CONFIDENTIALITY_REQUIRED:
        return ZX_ERROR_DENIED;
    default:
        return ZX_ERROR_FAILED;
    }
}

static bool conn_error(LdapConn *conn, int code, const char *what, GError **error)
{
    char *diagnostic = NULL;

    ldap_get_option(conn->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &diagnostic);
    if (diagnostic != NULL && *diagnostic == '\0')
        g_clear_pointer(&diagnostic, ldap_memfree);
    fail(error, error_kind(code), "LDAP server %s: %s: %s%s%s", conn->url, what,
         ldap_err2string(code), diagnostic != NULL ? ": " : "",
         diagnostic != NULL ? diagnostic : "");
    ldap_memfree(diagnostic);
    return false;
}

/* Everything that ldap.conf, .ldaprc or the environment might have set otherwise. */
static bool set_options(LdapConn *conn, const LdapTarget *target)
{
    const struct timeval limit = { .tv_sec = target->timeout_s };
    const int version = LDAP_VERSION3, never = LDAP_DEREF_NEVER, none = LDAP_NO_LIMIT;
    const int demand = LDAP_OPT_X_TLS_DEMAND, client = 0;
    const int tls = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2;
    LDAP *ld = conn->ld;

    return ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version) == LDAP_OPT_SUCCESS &&
           ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &limit) == LDAP_OPT_SUCCESS &&
           ldap_set_option(ld, LDAP_OPT_TIMEOUT, &limit) == LDAP_OPT_SUCCESS &&
           ldap_set_option(ld, LDAP_OPT_CONNECT_CB, &conn->callbacks) == LDAP_OPT_SUCCESS &&
           ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) == LDAP_OPT_SUCCESS &&
           ldap_set_option(ld, LDAP_OPT_DEREF, &never) == LDAP_OPT_SUCCESS &&
           ldap_set_option(ld, LDAP_OPT_SIZELIMIT, &none) == LDAP_OPT_SUCCESS &&
           ldap_set_option(ld, LDAP_OPT_TIMELIMIT, &none) == LDAP_OPT_SUCCESS &&
           ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand) == LDAP_OPT_SUCCESS &&
           ldap_set_option(ld, LDAP_OPT_X_TLS_PROTOCOL_MIN, &tls) == LDAP_OPT_SUCCESS &&
           (target->ca_file == NULL ||
            ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE, target->ca_file) == LDAP_OPT_SUCCESS) &&
           ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &client) == LDAP_OPT_SUCCESS;
}

/* A wish for another identity than nobody's must not end as nobody: a bind with a name and an empty
 * password succeeds anonymously (RFC 4513, 5.1.2). */
static bool log_in(LdapConn *conn, const LdapTarget *target, GError **error)
{
    const char *password =
        target->bind_dn != NULL && target->password != NULL ? secret_reveal(target->password) : "";
    struct berval credentials = { .bv_len = strlen(password), .bv_val = g_strdup(password) };
    int rc;

    if (target->bind_dn != NULL && *password == '\0')
        rc = LDAP_INAPPROPRIATE_AUTH;
    else
        rc = ldap_sasl_bind_s(conn->ld, target->bind_dn != NULL ? target->bind_dn : "",
                              LDAP_SASL_SIMPLE, &credentials, NULL, NULL, NULL);
    secret_wipe(credentials.bv_val);
    g_free(credentials.bv_val);
    if (target->bind_dn != NULL && *password == '\0')
        return fail(error, ZX_ERROR_DENIED, "LDAP server %s: no password for %s", conn->url,
                    target->bind_dn);
    if (rc != LDAP_SUCCESS)
        return conn_error(conn, rc, target->bind_dn != NULL ? target->bind_dn : "anonymous bind",
                          error);
    return true;
}

static int note_connection(LDAP *ld, Sockbuf *buffer, LDAPURLDesc *server, struct sockaddr *address,
                           struct ldap_conncb *callbacks)
{
    LdapConn *conn = callbacks->lc_arg;

    (void)ld;
    (void)server;
    (void)address;
    if (conn->connected)
        return -1; /* a second one would be nobody's */
    conn->connected = true;
    if (conn->watchdog != NULL) {
        g_mutex_lock(&conn->watchdog->lock);
        ber_sockbuf_ctrl(buffer, LBER_SB_OPT_GET_FD, &conn->watchdog->fd);
        g_mutex_unlock(&conn->watchdog->lock);
    }
    return 0;
}

static void note_disconnection(LDAP *ld, Sockbuf *buffer, struct ldap_conncb *callbacks)
{
    LdapConn *conn = callbacks->lc_arg;

    (void)ld;
    (void)buffer;
    if (conn->watchdog != NULL) {
        g_mutex_lock(&conn->watchdog->lock);
        conn->watchdog->fd = -1;
        g_mutex_unlock(&conn->watchdog->lock);
    }
}

static gpointer watch(gpointer data)
{
    Watchdog *dog = data;
    bool waiting = true;

    g_mutex_lock(&dog->lock);
    while (!dog->done && waiting)
        waiting = g_cond_wait_until(&dog->over, &dog->lock, dog->deadline);
    if (!dog->done && dog->fd >= 0) {
        dog->fired = true;
        shutdown(dog->fd, SHUT_RDWR);
    }
    g_mutex_unlock(&dog->lock);
    return NULL;
}

static bool handshake_and_log_in(LdapConn *conn, const LdapTarget *target, GError **error)
{
    int rc;

    if (target->starttls && (rc = ldap_start_tls_s(conn->ld, NULL, NULL)) != LDAP_SUCCESS)
        return conn_error(conn, rc, "StartTLS", error);
    return log_in(conn, target, error);
}

/* handshake_and_log_in() within the time limit. */
static bool open_watched(LdapConn *conn, const LdapTarget *target, GError **error)
{
    Watchdog dog = { .fd = -1,
                     .deadline =
                         g_get_monotonic_time() + (int64_t)conn->timeout_s * G_USEC_PER_SEC };
    g_autoptr(GError) problem = NULL;
    GThread *thread;
    bool ok;

    g_mutex_init(&dog.lock);
    g_cond_init(&dog.over);
    conn->watchdog = &dog;
    thread = g_thread_new("ldap", watch, &dog);
    ok = handshake_and_log_in(conn, target, &problem);
    g_mutex_lock(&dog.lock);
    dog.done = true;
    g_cond_signal(&dog.over);
    g_mutex_unlock(&dog.lock);
    g_thread_join(thread);
    conn->watchdog = NULL;
    g_cond_clear(&dog.over);
    g_mutex_clear(&dog.lock);
    if (ok)
        return true;
    if (dog.fired)
        return fail(error, ZX_ERROR_TIMEOUT, "LDAP server %s: no answer within %u s", conn->url,
                    conn->timeout_s);
    if (conn->connected && conn->tls && error_code(problem) == ZX_ERROR_CONNECT)
        return fail(error, ZX_ERROR_DENIED,
                    "%s; the TLS handshake failed: is the server's certificate made out to this "
                    "host name and signed by %s? Look at it with: trust",
                    problem->message, conn->ca_file != NULL ? conn->ca_file : "a CA of the system");
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

LdapConn *ldap_conn_open(const LdapTarget *target, GError **error)
{
    g_autoptr(LdapConn) conn = g_new0(LdapConn, 1);
    int rc;

    conn->url = g_strdup(target->url);
    conn->ca_file = g_strdup(target->ca_file);
    conn->timeout_s = target->timeout_s;
    conn->tls = target->starttls || g_ascii_strncasecmp(target->url, "ldaps:", 6) == 0;
    conn->callbacks = (struct ldap_conncb){ .lc_add = note_connection,
                                            .lc_del = note_disconnection,
                                            .lc_arg = conn };
    rc = ldap_initialize(&conn->ld, target->url);
    if (rc != LDAP_SUCCESS) {
        fail(error, ZX_ERROR_INPUT, "LDAP server %s: %s", target->url, ldap_err2string(rc));
        return NULL;
    }
    if (!set_options(conn, target)) {
        fail(error, ZX_ERROR_INPUT,
             "LDAP server %s: the TLS settings are not accepted (CA file %s). If the file is not "
             "there yet, it is made with: trust",
             target->url, target->ca_file != NULL ? target->ca_file : "of the system");
        return NULL;
    }
    return open_watched(conn, target, error) ? g_steal_pointer(&conn) : NULL;
}

void ldap_conn_close(LdapConn *conn)
{
    if (conn == NULL)
        return;
    if (conn->ld != NULL)
        ldap_unbind_ext_s(conn->ld, NULL, NULL);
    g_free(conn->url);
    g_free(conn->ca_file);
    g_free(conn);
}

static void entry_free(LdapEntry *entry)
{
    g_hash_table_unref(entry->attributes);
    g_free(entry->dn);
    g_free(entry);
}

const char *ldap_entry_dn(const LdapEntry *entry)
{
    return entry->dn;
}

const char *const *ldap_entry_all(const LdapEntry *entry, const char *attribute)
{
    static const char *const none[] = { NULL };
    g_autofree char *name = g_ascii_strdown(attribute, -1);
    const GPtrArray *values = g_hash_table_lookup(entry->attributes, name);

    return values != NULL ? (const char *const *)values->pdata : none;
}

const char *ldap_entry_get(const LdapEntry *entry, const char *attribute)
{
    return ldap_entry_all(entry, attribute)[0];
}

static LdapEntry *entry_new(LDAP *ld, LDAPMessage *message)
{
    LdapEntry *entry = g_new0(LdapEntry, 1);
    BerElement *ber = NULL;
    char *dn = ldap_get_dn(ld, message);

    entry->dn = g_strdup(dn);
    ldap_memfree(dn);
    entry->attributes =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
    for (char *name = ldap_first_attribute(ld, message, &ber); name != NULL;
         name = ldap_next_attribute(ld, message, ber)) {
        GPtrArray *values = g_ptr_array_new_with_free_func(g_free);
        struct berval **found = ldap_get_values_len(ld, message, name);

        for (struct berval **value = found; value != NULL && *value != NULL; value++)
            g_ptr_array_add(values, g_strndup((*value)->bv_val, (*value)->bv_len));
        g_ptr_array_add(values, NULL);
        g_hash_table_insert(entry->attributes, g_ascii_strdown(name, -1), values);
        ldap_value_free_len(found);
        ldap_memfree(name);
    }
    ber_free(ber, 0);
    return entry;
}

typedef struct Search {
    const char *base, *filter;
    int scope;
    char **attributes;
    ber_int_t page_entries;
    bool some; /* the first page is enough, even if the server cut it */
} Search;

/* One page of the answer into *@page; the caller frees it. */
static bool fetch_page(LdapConn *conn, const Search *search, struct berval *cookie,
                       LDAPMessage **page, GError **error)
{
    struct timeval limit = { .tv_sec = conn->timeout_s };
    LDAPControl *paging = NULL;
    LDAPControl *controls[] = { NULL, NULL };
    int id = 0;
    int rc = ldap_create_page_control(conn->ld, search->page_entries, cookie, 1, &paging);

    if (rc == LDAP_SUCCESS) {
        controls[0] = paging;
        rc = ldap_search_ext(conn->ld, search->base, search->scope, search->filter,
                             search->attributes, 0, controls, NULL, &limit, LDAP_NO_LIMIT, &id);
        ldap_control_free(paging);
    }
    if (rc == LDAP_SUCCESS) {
        int type = ldap_result(conn->ld, id, LDAP_MSG_ALL, &limit, page);

        if (type > 0)
            return true;
        if (type < 0)
            ldap_get_option(conn->ld, LDAP_OPT_RESULT_CODE, &rc);
        else
            rc = LDAP_TIMEOUT;
    }
    conn->lost = rc != LDAP_FILTER_ERROR;
    return conn_error(conn, rc, search->filter, error);
}

/* Adds the entries of @page; *@more says whether another page follows (@cookie). */
static bool read_page(LdapConn *conn, const Search *search, LDAPMessage *page, GPtrArray *entries,
                      struct berval *cookie, bool *more, GError **error)
{
    LDAPControl **controls = NULL;
    LDAPControl *paging;
    ber_int_t estimate;
    int code = LDAP_OTHER;
    int rc = ldap_parse_result(conn->ld, page, &code, NULL, NULL, NULL, &controls, 0);

    *more = false;
    ber_memfree(cookie->bv_val);
    *cookie = (struct berval){ 0 };
    if (rc == LDAP_SUCCESS && code == LDAP_SUCCESS) {
        paging = ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, NULL);
        if (paging != NULL)
            rc = ldap_parse_pageresponse_control(conn->ld, paging, &estimate, cookie);
        *more = cookie->bv_len > 0;
    }
    ldap_controls_free(controls);
    if (rc != LDAP_SUCCESS)
        return conn_error(conn, rc, search->filter, error);
    if (code == LDAP_NO_SUCH_OBJECT)
        return true;
    if (code != LDAP_SUCCESS && !(search->some && code == LDAP_SIZELIMIT_EXCEEDED))
        return conn_error(conn, code, search->filter, error);
    if (ldap_count_references(conn->ld, page) > 0)
        return fail(error, ZX_ERROR_FAILED, "LDAP server %s: %s: part of the answer is elsewhere",
                    conn->url, search->filter);
    for (LDAPMessage *entry = ldap_first_entry(conn->ld, page); entry != NULL;
         entry = ldap_next_entry(conn->ld, entry))
        g_ptr_array_add(entries, entry_new(conn->ld, entry));
    return true;
}

static GPtrArray *run_search(LdapConn *conn, const Search *search, GError **error)
{
    g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func((GDestroyNotify)entry_free);
    struct berval cookie = { 0 };
    bool more = true;
    bool ok = true;

    if (conn->lost) {
        fail(error, ZX_ERROR_CONNECT, "LDAP server %s: the connection is lost", conn->url);
        return NULL;
    }
    while (ok && more) {
        LDAPMessage *page = NULL;

        ok = fetch_page(conn, search, &cookie, &page, error) &&
             read_page(conn, search, page, entries, &cookie, &more, error);
        ldap_msgfree(page);
        more = more && !search->some;
    }
    ber_memfree(cookie.bv_val);
    return ok ? g_steal_pointer(&entries) : NULL;
}

static const int scopes[] = {
    [LDAP_BASE] = LDAP_SCOPE_BASE, [LDAP_ONE] = LDAP_SCOPE_ONELEVEL, [LDAP_SUB] = LDAP_SCOPE_SUBTREE
};

GPtrArray *ldap_conn_search(LdapConn *conn, const char *base, LdapScope scope, const char *filter,
                            const char *const *attributes, GError **error)
{
    g_auto(GStrv) wanted = g_strdupv((char **)(uintptr_t)attributes);

    return run_search(conn,
                      &(Search){ .base = base,
                                 .filter = filter,
                                 .scope = scopes[scope],
                                 .attributes = wanted,
                                 .page_entries = PAGE_ENTRIES },
                      error);
}

GPtrArray *ldap_conn_search_some(LdapConn *conn, const char *base, LdapScope scope,
                                 const char *filter, const char *const *attributes, unsigned most,
                                 GError **error)
{
    g_auto(GStrv) wanted = g_strdupv((char **)(uintptr_t)attributes);

    return run_search(conn,
                      &(Search){ .base = base,
                                 .filter = filter,
                                 .scope = scopes[scope],
                                 .attributes = wanted,
                                 .page_entries = (ber_int_t)most,
                                 .some = true },
                      error);
}

/* By the values themselves: one that is not there cannot be deleted, and a second one of these
 * attributes is not allowed. */
static LDAPMod *mod_new(int op, const char *attribute, const char *value)
{
    LDAPMod *mod = g_new0(LDAPMod, 1);
    char **values = g_new0(char *, 2);

    values[0] = g_strdup(value);
    mod->mod_op = op;
    mod->mod_type = g_strdup(attribute);
    mod->mod_values = values;
    return mod;
}

static void mod_free(LDAPMod *mod)
{
    if (mod == NULL)
        return;
    g_strfreev(mod->mod_values);
    g_free(mod->mod_type);
    g_free(mod);
}

bool ldap_conn_change(LdapConn *conn, const char *dn, const LdapChange *changes, GError **error)
{
    g_autoptr(GPtrArray) mods = g_ptr_array_new_with_free_func((GDestroyNotify)mod_free);
    int rc;

    if (conn->lost)
        return fail(error, ZX_ERROR_CONNECT, "LDAP server %s: the connection is lost", conn->url);
    for (; changes->attribute != NULL; changes++) {
        if (changes->from != NULL)
            g_ptr_array_add(mods, mod_new(LDAP_MOD_DELETE, changes->attribute, changes->from));
        g_ptr_array_add(mods, mod_new(LDAP_MOD_ADD, changes->attribute, changes->to));
    }
    g_ptr_array_add(mods, NULL);
    rc = ldap_modify_ext_s(conn->ld, dn, (LDAPMod **)mods->pdata, NULL, NULL);
    if (rc == LDAP_SUCCESS)
        return true;
    if (rc == LDAP_NO_SUCH_ATTRIBUTE || rc == LDAP_TYPE_OR_VALUE_EXISTS)
        return fail(error, ZX_ERROR_CHANGED,
                    "LDAP server %s: %s has not the values any more that were to be changed",
                    conn->url, dn);
    conn->lost = error_kind(rc) == ZX_ERROR_CONNECT || error_kind(rc) == ZX_ERROR_TIMEOUT;
    return conn_error(conn, rc, dn, error);
}
