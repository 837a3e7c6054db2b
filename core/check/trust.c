/* trust.c - first contact: what servers show to prove who they are, what the files of known host
 * keys and CA certificates say of it, and how that is changed by an administrator's word, never
 * otherwise. A question has connections of its own; nobody logs in. */
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/threads.h"
#include "core/check/check.h"
#include "core/net/ldap.h"
#include "core/net/ssh.h"
#include "core/net/tls.h"
#include <stdlib.h>
#include <string.h>

typedef struct TrustShown {
    const Conf *conf;
    const ConfStore *store; /* NULL: the directory */
    SshHostKey *key;
    GPtrArray *chain; /* of TlsCertificate */
    const TlsCertificate *anchor; /* of the chain: the one to believe by */
    unsigned port;
    bool ldap, starttls;
    GError *why; /* nothing was shown */
} TrustShown;

static void trust_free(Trust *trust)
{
    TrustShown *shown = trust->shown;

    ssh_host_key_free(shown->key);
    g_clear_pointer(&shown->chain, g_ptr_array_unref);
    g_clear_error(&shown->why);
    g_free(shown);
    g_free(trust->server);
    g_free(trust->address);
    g_free(trust->what);
    g_free(trust->fingerprint);
    g_free(trust->recorded);
    g_free(trust->compare);
    g_free(trust->file);
    g_free(trust->problem);
    g_free(trust);
}

static Trust *trust_new(const Conf *conf, const char *kind, const char *server,
                        const char *address, unsigned port, const char *file)
{
    Trust *trust = g_new0(Trust, 1);

    trust->kind = kind;
    trust->server = g_strdup(server);
    trust->address = g_strdup(address);
    trust->file = g_strdup(file);
    trust->shown = g_new0(TrustShown, 1);
    trust->shown->conf = conf;
    trust->shown->port = port;
    return trust;
}

/* Whose to look at. */

static bool add_directory(const Conf *conf, const char *host, GPtrArray *list, GError **error)
{
    g_autofree char *name = NULL;
    bool tls;
    unsigned port;
    Trust *trust;

    if (conf->ldap.master == NULL)
        return true; /* every other verb says that it is missing */
    if (!ldap_url_place(conf->ldap.master, &name, &port, &tls, error))
        return false;
    if ((!tls && !conf->ldap.starttls) || (host != NULL && g_ascii_strcasecmp(host, name) != 0 &&
                                           conf_store(conf, host) == NULL))
        return true;
    trust = trust_new(conf, "LDAP certificate", name, name, port, conf->ldap.ca_file);
    trust->shown->ldap = true;
    trust->shown->starttls = !tls;
    g_ptr_array_add(list, trust);
    return true;
}

static void add_store(const Conf *conf, const ConfStore *store, GPtrArray *list)
{
    Trust *trust;

    if (!store->local) {
        trust = trust_new(conf, "ssh host key", store->name, store->address, store->ssh_port,
                          conf->ssh.known_hosts);
        trust->shown->store = store;
        g_ptr_array_add(list, trust);
    }
    trust = trust_new(conf, "SOAP certificate", store->name, store->address, store->soap_port,
                      conf->admin.ca_file);
    trust->shown->store = store;
    g_ptr_array_add(list, trust);
}

/* What they show. */

static bool is_ssh(const Trust *trust)
{
    return trust->shown->store != NULL && strcmp(trust->kind, "ssh host key") == 0;
}

static void look_at_key(Trust *trust)
{
    TrustShown *shown = trust->shown;
    SshTarget target = { .name = trust->server,
                         .address = trust->address,
                         .port = shown->port,
                         .known_hosts = shown->conf->ssh.known_hosts,
                         .timeout_s = shown->conf->net_timeout_s };

    shown->key = ssh_host_key(&target, &shown->why);
    if (shown->key == NULL)
        return;
    trust->what = g_strdup(shown->key->type);
    trust->fingerprint = g_strdup(shown->key->fingerprint);
    trust->compare = g_strdup_printf(
        "ssh-keygen -lf /etc/ssh/ssh_host_%s_key.pub",
        g_str_has_prefix(shown->key->type, "ssh-ed25519")     ? "ed25519"
        : g_str_has_prefix(shown->key->type, "ecdsa")         ? "ecdsa"
        : g_str_has_prefix(shown->key->type, "ssh-rsa")       ? "rsa"
                                                              : "*");
}

/* The signer at the top if it is shown: its certificate serves for every server it signs. Else the
 * server's own. */
static const TlsCertificate *anchor_of(const GPtrArray *chain)
{
    const TlsCertificate *top = g_ptr_array_index(chain, chain->len - 1);

    return tls_self_signed(top) ? top : g_ptr_array_index(chain, 0);
}

static void look_at_certificate(Trust *trust)
{
    TrustShown *shown = trust->shown;
    TlsTarget target = { .address = trust->address,
                         .port = shown->port,
                         .name = trust->server,
                         .ldap = shown->starttls,
                         .timeout_s = shown->conf->net_timeout_s };
    const char *home = shown->store != NULL ? shown->store->zimbra_home : "/opt/zimbra";
    const TlsCertificate *own;

    shown->chain = tls_shown(&target, &shown->why);
    if (shown->chain == NULL)
        return;
    own = g_ptr_array_index(shown->chain, 0);
    shown->anchor = anchor_of(shown->chain);
    trust->fingerprint = g_strdup(shown->anchor->fingerprint);
    trust->what = shown->anchor == own
                      ? g_strdup_printf("%s, signed by %s", own->subject, own->issuer)
                      : g_strdup_printf("%s, which signed %s", shown->anchor->subject, own->subject);
    trust->compare =
        g_strdup_printf("openssl x509 -noout -fingerprint -sha256 -in %s/%s", home,
                        shown->anchor != own || tls_self_signed(own) ? "conf/ca/ca.pem"
                        : shown->ldap                                ? "conf/slapd.crt"
                                      : "ssl/zimbra/server/server.crt (or commercial/commercial.crt)");
}

static void *look_at(void *data)
{
    Trust *trust = data;

    if (is_ssh(trust))
        look_at_key(trust);
    else
        look_at_certificate(trust);
    return NULL;
}

/* What the files say of it. */

/* Of libldap, to which a server's own certificate is not enough. */
static bool has_no_anchor(const Trust *trust)
{
    return trust->shown->ldap && !tls_self_signed(trust->shown->anchor);
}

static bool judge_certificate(Trust *trust, const char *text, GError **error)
{
    const TrustShown *shown = trust->shown;
    TlsVerdict verdict = tls_judge(shown->chain, text, trust->server, &trust->problem);

    if (verdict == TLS_UNKNOWN_SIGNER && !has_no_anchor(trust)) {
        g_clear_pointer(&trust->problem, g_free);
        if (!anchors_recorded(text, trust->kind, trust->server, shown->anchor, &trust->recorded,
                              error))
            return fail_prefix(error, "%s", trust->file);
        trust->state = trust->recorded != NULL ? TRUST_CHANGED : TRUST_NEW;
        return true;
    }
    trust->state = verdict == TLS_ACCEPTED ? TRUST_KNOWN : TRUST_UNFIT;
    if (verdict == TLS_UNKNOWN_SIGNER) {
        g_free(trust->problem);
        trust->problem = g_strdup_printf("the server does not show who signed it; add that "
                                         "certificate to %s by hand",
                                         trust->file);
    }
    return true;
}

bool trust_judge(const Conf *conf G_GNUC_UNUSED, Trust *trust, GError **error)
{
    const TrustShown *shown = trust->shown;
    g_autofree char *text = NULL;

    g_clear_pointer(&trust->problem, g_free);
    g_clear_pointer(&trust->recorded, g_free);
    if (shown->why != NULL) {
        trust->state = TRUST_UNREACHED;
        trust->problem = g_strdup(shown->why->message);
        return true;
    }
    text = file_text(trust->file, error);
    if (text == NULL)
        return false;
    if (!is_ssh(trust))
        return judge_certificate(trust, text, error);
    switch (ssh_key_known(text, shown->key, &trust->recorded)) {
    case SSH_KEY_KNOWN:
        trust->state = TRUST_KNOWN;
        break;
    case SSH_KEY_NEW:
        trust->state = TRUST_NEW;
        break;
    case SSH_KEY_CHANGED:
        trust->state = TRUST_CHANGED;
        break;
    }
    return true;
}

GPtrArray *trust_look(const Conf *conf, const char *host, const Wait *wait, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)trust_free);

    if ((host != NULL && conf_store_called(conf, host, error) == NULL) ||
        !add_directory(conf, host, list, error))
        return NULL;
    for (guint i = 0; i < conf->stores->len; i++) {
        const ConfStore *store = g_ptr_array_index(conf->stores, i);

        if (host == NULL || g_ascii_strcasecmp(host, store->name) == 0)
            add_store(conf, store, list);
    }
    if (list->len == 0) {
        fail(error, ZX_ERROR_NOT_FOUND, "the configuration has no store");
        return NULL;
    }
    threads_join(threads_start(list, look_at));
    if (!wait_check(wait, "trust", error))
        return NULL;
    for (guint i = 0; i < list->len; i++)
        if (!trust_judge(conf, g_ptr_array_index(list, i), error))
            return NULL;
    return g_steal_pointer(&list);
}

/* Believing. */

static bool is_below(const char *path, const char *directory)
{
    g_autofree char *real = realpath(directory, NULL);
    const char *root = real != NULL ? real : directory;
    size_t length = strlen(root);

    return strncmp(path, root, length) == 0 && path[length] == '/';
}

/* Zimbra writes its own anew, and what the system believes is for all programs. */
static bool is_ours(const Conf *conf, const char *path, GError **error)
{
    static const char *const theirs[] = { "/opt/zimbra", "/opt/zextras", "/etc/ssl", "/etc/pki",
                                          "/usr" };
    bool ours = true;

    for (guint i = 0; i < G_N_ELEMENTS(theirs); i++)
        ours = ours && !is_below(path, theirs[i]);
    for (guint i = 0; i < conf->stores->len; i++)
        ours = ours &&
               !is_below(path, ((const ConfStore *)g_ptr_array_index(conf->stores, i))->zimbra_home);
    return ours || fail(error, ZX_ERROR_REFUSED,
                        "%s belongs to Zimbra or to the system, zxmove does not write there: set "
                        "ldap.ca_file and admin.ca_file to a file of its own such as %s/ca.pem",
                        path, conf->state_dir);
}

static char *changed_text(const Trust *trust, const char *text, GError **error)
{
    return is_ssh(trust) ? ssh_key_put(text, trust->shown->key, error)
                         : anchors_put(text, trust->kind, trust->server, trust->shown->anchor, error);
}

bool trust_store(const Conf *conf, Trust *trust, GError **error)
{
    /* A link is followed, not replaced. */
    g_autofree char *real = realpath(trust->file, NULL);
    const char *path = real != NULL ? real : trust->file;
    g_autofree char *directory = g_path_get_dirname(path);
    const TrustState asked = trust->state;
    g_autofree char *text = NULL, *changed = NULL;

    if (!trust_judge(conf, trust, error) || !is_ours(conf, path, error))
        return false;
    if (trust->state == TRUST_KNOWN)
        return true;
    if (trust->state != asked)
        return fail(error, ZX_ERROR_CHANGED, "%s was changed in the meantime: look again", path);
    text = file_text(path, error);
    changed = text != NULL ? changed_text(trust, text, error) : NULL;
    if (changed == NULL)
        return fail_prefix(error, "%s", path);
    g_mkdir_with_parents(directory, 0700); /* a failure is file_replace's to tell */
    if (!file_replace(path, changed, is_ssh(trust) ? 0600 : 0644, error))
        return false;
    log_info("trust: %s of %s is believed: %s", trust->kind, trust->server, trust->fingerprint);
    return trust_judge(conf, trust, error);
}
