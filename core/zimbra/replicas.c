/* replicas.c - see directory.h: whether other LDAP servers have caught up with the master. They
 * decide nothing. */
#include "core/zimbra/directory_inside.h"
#include <string.h>

/* One that does not answer must not cost a window its timeout again and again. */
#define REPLICA_TIMEOUT_S 3
#define SILENT_FOR_US     (60 * G_USEC_PER_SEC)

static bool is_silent(const Directory *directory, const char *url)
{
    const int64_t *since = g_hash_table_lookup(directory->silent, url);

    return since != NULL && g_get_monotonic_time() - *since < SILENT_FOR_US;
}

/* Whatever the reason, to us it is a server that does not answer. */
static bool set_silent(Directory *directory, const char *url, GError *problem, GError **error)
{
    int64_t *since = g_new(int64_t, 1);

    *since = g_get_monotonic_time();
    g_hash_table_replace(directory->silent, g_strdup(url), since);
    g_hash_table_remove(directory->others, url);
    fail(error, ZX_ERROR_CONNECT, "%s", problem->message);
    g_error_free(problem);
    return false;
}

static LdapConn *other_server(Directory *directory, const char *url, GError **error)
{
    LdapConn *conn = g_hash_table_lookup(directory->others, url);

    if (conn == NULL &&
        (conn = directory_connect(directory->conf, url, REPLICA_TIMEOUT_S, error)) != NULL)
        g_hash_table_insert(directory->others, g_strdup(url), conn);
    return conn;
}

/* Whether a server shows what is @wanted by now. */
typedef bool Look(LdapConn *conn, const void *wanted, bool *shown, GError **error);

/* Again and again until it does, or @wait is over. */
static bool look_until(Directory *directory, const char *url, Look *look, const void *wanted,
                       const Wait *wait, GError **error)
{
    GError *problem = NULL;
    bool shown = false;
    LdapConn *conn;

    if (is_silent(directory, url))
        return fail(error, ZX_ERROR_CONNECT, "%s did not answer a moment ago", url);
    conn = other_server(directory, url, &problem);
    while (conn != NULL && look(conn, wanted, &shown, &problem)) {
        if (shown)
            return true;
        if (!wait_check(wait, url, error))
            return false;
        wait_pause(wait, 20);
    }
    return set_silent(directory, url, problem, error);
}

typedef struct Value {
    const char *filter, *attribute, *value;
} Value;

static bool look_for_value(LdapConn *conn, const void *data, bool *shown, GError **error)
{
    const Value *wanted = data;
    const char *attributes[] = { wanted->attribute, NULL };
    g_autoptr(GPtrArray) found =
        ldap_conn_search(conn, "", LDAP_SUB, wanted->filter, attributes, error);
    const char *value;

    if (found == NULL)
        return false;
    value = found->len == 1 ? ldap_entry_get(g_ptr_array_index(found, 0), wanted->attribute) : NULL;
    *shown = value != NULL && g_ascii_strcasecmp(value, wanted->value) == 0;
    return true;
}

bool directory_caught_up(Directory *directory, const char *url, const char *account_id,
                         const char *attribute, const char *value, const Wait *wait, GError **error)
{
    g_autofree char *filter =
        ldap_filter("(&(objectClass=zimbraAccount)(zimbraId=%s))", account_id);
    const Value wanted = { .filter = filter, .attribute = attribute, .value = value };

    return look_until(directory, url, look_for_value, &wanted, wait, error);
}

/* The server id of a CSN: "20261122035817.218986Z#000000#000#000000". */
static char *csn_server(const char *csn)
{
    g_auto(GStrv) parts = g_strsplit(csn, "#", 4);

    return g_strdup(g_strv_length(parts) == 4 ? parts[2] : "");
}

/* Whether one of the values is of the same server and not older: CSNs sort as text. */
static bool has_reached(const char *const *values, const char *csn)
{
    g_autofree char *server = csn_server(csn);

    for (; *values != NULL; values++) {
        g_autofree char *other = csn_server(*values);

        if (strcmp(other, server) == 0 && strcmp(*values, csn) >= 0)
            return true;
    }
    return false;
}

/* contextCSN of the tree and entryCSN of the account, an answer each. */
typedef struct Marks {
    GPtrArray *tree, *account;
} Marks;

static void marks_clear(Marks *marks)
{
    g_clear_pointer(&marks->tree, g_ptr_array_unref);
    g_clear_pointer(&marks->account, g_ptr_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Marks, marks_clear)

static const char *const tree_wanted[] = { "contextCSN", NULL };
static const char *const account_wanted[] = { "entryCSN", NULL };

static const char *const *csns_of(const GPtrArray *found, const char *attribute)
{
    static const char *const none[] = { NULL };

    return found->len == 1 ? ldap_entry_all(g_ptr_array_index(found, 0), attribute) : none;
}

static bool in_step(const Marks *master, const Marks *other)
{
    const char *const *reached = csns_of(other->tree, "contextCSN");
    const char *const *csn = csns_of(master->account, "entryCSN");

    for (; *csn != NULL; csn++)
        if (!has_reached(csns_of(other->account, "entryCSN"), *csn))
            return false;
    if (*reached == NULL) /* it does not say */
        return true;
    for (csn = csns_of(master->tree, "contextCSN"); *csn != NULL; csn++)
        if (!has_reached(reached, *csn))
            return false;
    return true;
}

typedef struct Step {
    const char *filter; /* of the account */
    const Marks *master;
} Step;

static bool look_for_step(LdapConn *conn, const void *data, bool *shown, GError **error)
{
    const Step *wanted = data;
    g_auto(Marks) other = { 0 };

    other.tree = ldap_conn_search(conn, "", LDAP_BASE, "(objectClass=*)", tree_wanted, error);
    if (other.tree != NULL)
        other.account = ldap_conn_search(conn, "", LDAP_SUB, wanted->filter, account_wanted, error);
    if (other.account == NULL)
        return false;
    *shown = in_step(wanted->master, &other);
    return true;
}

bool directory_in_step(Directory *directory, const char *url, const char *account_id,
                       const Wait *wait, GError **error)
{
    g_autofree char *filter =
        ldap_filter("(&(objectClass=zimbraAccount)(zimbraId=%s))", account_id);
    g_auto(Marks) master = { 0 };

    master.tree = directory_search(directory, "", LDAP_BASE, "(objectClass=*)", tree_wanted, error);
    if (master.tree != NULL)
        master.account = directory_search(directory, "", LDAP_SUB, filter, account_wanted, error);
    return master.account != NULL &&
           look_until(directory, url, look_for_step,
                      &(const Step){ .filter = filter, .master = &master }, wait, error);
}
