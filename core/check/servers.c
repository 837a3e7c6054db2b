/* servers.c - doCheck: this host, the directory, first contact, and the servers beside the stores. */
#include "conf/units.h"
#include "core/check/check.h"
#include "core/net/ldap.h"
#include "core/net/memcached.h"
#include "core/net/smtp.h"
#include "core/zimbra/memcacheds.h"
#include <netdb.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <unistd.h>

/* This host. */

#define STATE_BYTES (UINT64_C(256) << 20)

void test_state_dir(Check *check, const CheckTest *test)
{
    static const long remote[] = { 0x6969 /* NFS */, 0x517B /* SMB */, (long)0xFF534D42 /* CIFS */,
                                   (long)0xFE534D42 /* SMB2 */, 0x65735546 /* FUSE */ };
    const char *path = check->conf->state_dir;
    g_autofree char *free_text = NULL;
    struct statfs fs;
    uint64_t available;

    if (statfs(path, &fs) != 0 && statfs("/", &fs) != 0)
        return;
    available = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
    free_text = units_format_size(available);
    for (guint i = 0; i < G_N_ELEMENTS(remote); i++)
        if ((long)fs.f_type == remote[i])
            check_add(check, test, CHECK_WARN, path, "it is not on a local disk");
    if (available < STATE_BYTES)
        check_add(check, test, CHECK_WARN, path, "%s are free", free_text);
    else
        check_add(check, test, CHECK_OK, path, "%s are free", free_text);
}

/* For each store: ssh, agent, databases with their forwards, SOAP; what a mailbox in flight has beside. */
void test_file_handles(Check *check, const CheckTest *test)
{
    const rlim_t need =
        64 + 32 * (rlim_t)check->conf->stores->len + 16 * (rlim_t)check->request->threads;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    check_add(check, test, limit.rlim_cur < need ? CHECK_WARN : CHECK_OK, "this process",
              "%lu may be open, about %lu are needed", (unsigned long)limit.rlim_cur,
              (unsigned long)need);
}

/* The directory. */

/* One that could not be opened was told before all others. */
void test_directory(Check *check, const CheckTest *test)
{
    if (check->open)
        check_add(check, test, CHECK_OK, check->conf->ldap.master, "it answers");
}

void test_directory_tls(Check *check, const CheckTest *test)
{
    const char *master = check->conf->ldap.master;
    bool safe = check->conf->ldap.starttls ||
                (master != NULL && g_ascii_strncasecmp(master, "ldaps:", 6) == 0);

    check_add(check, test, safe ? CHECK_OK : CHECK_WARN, master,
              safe ? "it is used" : "the connection is in clear");
}

static struct addrinfo *addresses_of(const char *host)
{
    const struct addrinfo wanted = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;

    return getaddrinfo(host, NULL, &wanted, &found) == 0 ? found : NULL;
}

/* By name, else by address: both may be written in several ways. */
static bool same_host(const char *a, const char *b)
{
    struct addrinfo *left = NULL, *right = NULL;
    bool same = g_ascii_strcasecmp(a, b) == 0;

    if (!same) {
        left = addresses_of(a);
        right = addresses_of(b);
    }
    for (const struct addrinfo *one = left; one != NULL && !same; one = one->ai_next)
        for (const struct addrinfo *other = right; other != NULL && !same; other = other->ai_next)
            same = one->ai_addrlen == other->ai_addrlen &&
                   memcmp(one->ai_addr, other->ai_addr, one->ai_addrlen) == 0;
    if (left != NULL)
        freeaddrinfo(left);
    if (right != NULL)
        freeaddrinfo(right);
    return same;
}

static bool knows_master(Check *check, Store *store, GError **error)
{
    const char *urls = store_fact(store, "ldap_master_url");
    g_auto(GStrv) words = g_strsplit_set(urls != NULL ? urls : "", " \t\n", -1);
    g_autofree char *ours = NULL;
    unsigned port;
    bool tls;

    if (!ldap_url_place(check->conf->ldap.master, &ours, &port, &tls, error))
        return false;
    for (char **word = words; *word != NULL; word++) {
        g_autofree char *theirs = NULL;

        if (**word != '\0' && ldap_url_place(*word, &theirs, &port, &tls, NULL) &&
            same_host(ours, theirs))
            return true;
    }
    return fail(error, ZX_ERROR_REFUSED, "its ldap_master_url is %s, ldap.master is %s",
                urls != NULL ? urls : "unknown", check->conf->ldap.master);
}

void test_master(Check *check, const CheckTest *test)
{
    check_stores(check, test, CHECK_WARN, knows_master);
}

void test_admin(Check *check, const CheckTest *test)
{
    const char *user = check->conf->admin.user;
    GError *problem = NULL;
    bool is;

    if (!directory_is_admin(check->op.directory, user, &is, &problem))
        check_judge(check, test, CHECK_WARN, user, false, problem);
    else
        check_add(check, test, is ? CHECK_OK : CHECK_WARN, user,
                  is ? "is a global administrator" : "is no global administrator");
}

/* First contact. */

static bool takes_part(const Check *check, const char *name)
{
    for (guint i = 0; i < check->names->len; i++)
        if (g_ascii_strcasecmp(g_ptr_array_index(check->names, i), name) == 0)
            return true;
    return !check->open; /* not known yet: all do */
}

static void judge_trust(Check *check, const CheckTest *test, const Trust *trust)
{
    g_autofree char *subject = g_strdup_printf("%s, %s", trust->server, trust->kind);

    switch (trust->state) {
    case TRUST_KNOWN:
        check_add(check, test, CHECK_OK, subject, "%s", trust->fingerprint);
        break;
    case TRUST_NEW:
        check_add(check, test, CHECK_FAIL, subject,
                  "it is not known yet: compare and store it with: trust %s", trust->server);
        break;
    case TRUST_CHANGED:
        check_add(check, test, CHECK_FAIL, subject,
                  "IT HAS CHANGED: find out why, then: trust %s", trust->server);
        break;
    case TRUST_UNFIT:
        check_add(check, test, CHECK_FAIL, subject, "%s: deploy another one", trust->problem);
        break;
    case TRUST_UNREACHED:
    case TRUST_STATES:
        check_add(check, test, CHECK_NOT_POSSIBLE, subject, "%s", trust->problem);
        break;
    }
}

static void judge_trusts(Check *check, const CheckTest *test, bool keys)
{
    for (guint i = 0; i < check->trusts->len; i++) {
        const Trust *trust = g_ptr_array_index(check->trusts, i);
        bool key = strcmp(trust->kind, "ssh host key") == 0;

        if (key == keys && (takes_part(check, trust->server) ||
                            conf_store(check->conf, trust->server) == NULL))
            judge_trust(check, test, trust);
    }
}

void test_host_keys(Check *check, const CheckTest *test)
{
    judge_trusts(check, test, true);
}

void test_certificates(Check *check, const CheckTest *test)
{
    judge_trusts(check, test, false);
}

void test_configured(Check *check, const CheckTest *test)
{
    for (guint i = 0; i < check->names->len; i++) {
        const char *name = g_ptr_array_index(check->names, i);
        bool there = conf_store(check->conf, name) != NULL;

        check_add(check, test, there ? CHECK_OK : CHECK_FAIL, name,
                  there ? "it is there" : "it is not in the configuration");
    }
}

/* What does not answer is a failure of its own here: everything else depends on it. */
static void judge_part(Check *check, const CheckTest *test, StorePart part)
{
    for (guint i = 0; i < check->names->len; i++) {
        const char *name = g_ptr_array_index(check->names, i);
        const Reach *reach = reach_of(check, name);

        if (reach == NULL)
            continue;
        if (reach->why[part] == NULL)
            check_add(check, test, CHECK_OK, name, "it works");
        else
            check_add(check, test, CHECK_FAIL, name, "%s", reach->why[part]->message);
    }
}

void test_ssh(Check *check, const CheckTest *test)
{
    judge_part(check, test, STORE_AGENT);
}

void test_soap(Check *check, const CheckTest *test)
{
    judge_part(check, test, STORE_SOAP);
}

/* Without ssh there is no way to it, which is told there. */
void test_database(Check *check, const CheckTest *test)
{
    for (guint i = 0; i < check->names->len; i++) {
        const char *name = g_ptr_array_index(check->names, i);
        const Reach *reach = reach_of(check, name);
        const GError *why = reach != NULL ? reach->why[STORE_DATABASE] : NULL;

        if (reach == NULL)
            continue;
        if (why == NULL)
            check_add(check, test, CHECK_OK, name, "it works");
        else if (reach->why[STORE_AGENT] != NULL &&
                 strcmp(reach->why[STORE_AGENT]->message, why->message) == 0)
            check_add(check, test, CHECK_NOT_POSSIBLE, name, "%s could not be asked", name);
        else
            check_add(check, test, CHECK_FAIL, name, "%s", why->message);
    }
}

static bool is_own_user(Check *check, Store *store, GError **error)
{
    const char *user = store->where->local ? g_get_user_name() : check->conf->ssh.user;
    const char *theirs = store_fact(store, "zimbra_user");

    return g_strcmp0(user, theirs) == 0 ||
           fail(error, ZX_ERROR_REFUSED, "zxmove is %s there, Zimbra is %s", user,
                theirs != NULL ? theirs : "unknown");
}

void test_ssh_user(Check *check, const CheckTest *test)
{
    check_stores(check, test, CHECK_WARN, is_own_user);
}

/* Beside the stores. */

#define IN_STEP_MS 3000

static bool ldap_in_step(Check *check, Store *store, GError **error)
{
    g_auto(GStrv) urls = store_ldap_urls(store);
    const Wait wait = wait_within(check->wait, IN_STEP_MS);
    const char *id = check->accounts->len > 0
                         ? ((const Account *)g_ptr_array_index(check->accounts, 0))->id
                         : "";

    if (urls[0] == NULL)
        return fail(error, ZX_ERROR_REFUSED, "its localconfig names none (ldap_url)");
    for (char **url = urls; *url != NULL; url++) {
        GError *problem = NULL;

        if (directory_in_step(check->op.directory, *url, id, &wait, &problem))
            continue;
        fail(error, ZX_ERROR_REFUSED, "%s: %s", *url, problem->message);
        g_error_free(problem);
        return false;
    }
    return true;
}

void test_ldap_servers(Check *check, const CheckTest *test)
{
    check_stores(check, test, CHECK_WARN, ldap_in_step);
}

static void ping_memcached(Check *check, const CheckTest *test, const char *server)
{
    unsigned port;
    g_autofree char *address = memcacheds_address(check->conf, server, &port);
    GError *problem = NULL;

    if (memcached_ping(address, port, check->conf->net_timeout_s * 1000, &problem))
        check_add(check, test, CHECK_OK, server, "it answers");
    else
        check_add(check, test, CHECK_WARN, server, "%s", problem->message);
    g_clear_error(&problem);
}

void test_memcached(Check *check, const CheckTest *test)
{
    g_autoptr(GPtrArray) servers = memcacheds_of_routes(check->conf, check->op.servers);

    for (char **client = check->op.client_memcached; *client != NULL; client++)
        if (!g_ptr_array_find_with_equal_func(servers, *client, g_str_equal, NULL))
            g_ptr_array_add(servers, g_strdup(*client));
    for (guint i = 0; i < servers->len; i++)
        ping_memcached(check, test, g_ptr_array_index(servers, i));
    if (servers->len == 0)
        check_add(check, test, CHECK_OK, NULL, "there are none");
}

void test_other_stores(Check *check, const CheckTest *test)
{
    unsigned others = 0;

    for (guint i = 0; i < check->op.servers->len; i++) {
        const ServerInfo *server = g_ptr_array_index(check->op.servers, i);
        const Reach *reach = reach_of(check, server->hostname);

        if (!server->mailbox || takes_part(check, server->hostname))
            continue;
        others++;
        if (reach == NULL)
            check_add(check, test, CHECK_WARN, server->hostname, "it is not in the configuration");
        else if (reach->why[STORE_SOAP] != NULL)
            check_add(check, test, CHECK_WARN, server->hostname, "%s",
                      reach->why[STORE_SOAP]->message);
        else
            check_add(check, test, CHECK_OK, server->hostname, "it answers");
    }
    if (others == 0)
        check_add(check, test, CHECK_OK, NULL, "there are none");
}

static const Account *account_called(const Check *check, const char *address)
{
    for (guint i = 0; i < check->accounts->len; i++) {
        const Account *account = g_ptr_array_index(check->accounts, i);

        if (g_ascii_strcasecmp(account->address, address) == 0)
            return account;
        for (char **alias = account->aliases; *alias != NULL; alias++)
            if (g_ascii_strcasecmp(*alias, address) == 0)
                return account;
    }
    return NULL;
}

void test_notifications(Check *check, const CheckTest *test)
{
    char **to = check->request->notifications;
    GError *problem = NULL;

    if (to == NULL || *to == NULL) {
        check_add(check, test, CHECK_OK, NULL, "none are asked for");
        return;
    }
    for (; *to != NULL; to++)
        if (account_called(check, *to) != NULL)
            check_add(check, test, CHECK_WARN, *to, "it is being moved itself");
    if (account_called(check, check->conf->smtp.from) != NULL)
        check_add(check, test, CHECK_WARN, check->conf->smtp.from,
                  "the sender is being moved itself");
    if (smtp_ping(check->conf->smtp.url, check->conf->net_timeout_s, &problem))
        check_add(check, test, CHECK_OK, check->conf->smtp.url, "it answers");
    else
        check_add(check, test, CHECK_WARN, check->conf->smtp.url, "%s", problem->message);
    g_clear_error(&problem);
}
