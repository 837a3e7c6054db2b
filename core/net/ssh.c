/* ssh.c - see ssh.h: reaches a store, makes sure who it is, logs in, and hands the session to its
 * pump (ssh_pump.c). */
#include "core/net/ssh.h"
#include "core/net/ssh_pump.h"
#include <errno.h>
#include <fcntl.h>
#include <libssh/libssh.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct Ssh {
    char *name;
    SshPump *pump;
    gint users;           /* atomic; who has to close it */
    GMutex lock;          /* of what follows */
    char *directory;      /* of the forwards' sockets; NULL while there are none */
    GHashTable *forwards; /* "host:port" -> path */
};

/* Directories of all sessions, for who ends the process without closing them. */
static GMutex directories_lock;
static GHashTable *directories;

typedef struct ssh_key_struct SshKey;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SshKey, ssh_key_free)
typedef struct ssh_session_struct SshSession;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SshSession, ssh_free)

/* AES-GCM first: with AES instructions it is the fastest by far. Nothing of the user's own ssh
 * configuration takes part: the same command means the same on every host. */
static bool set_options(ssh_session session, const SshTarget *target, GError **error)
{
    static const char ciphers[] =
        "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,"
        "aes128-ctr,aes256-ctr";
    const long timeout = target->timeout_s;
    const unsigned port = target->port;
    const int on = 1;
    const bool off = false;

    if (ssh_options_set(session, SSH_OPTIONS_PROCESS_CONFIG, &off) == 0 &&
        ssh_options_set(session, SSH_OPTIONS_HOST, target->address) == 0 &&
        ssh_options_set(session, SSH_OPTIONS_PORT, &port) == 0 &&
        (target->user == NULL || ssh_options_set(session, SSH_OPTIONS_USER, target->user) == 0) &&
        ssh_options_set(session, SSH_OPTIONS_KNOWNHOSTS, target->known_hosts) == 0 &&
        ssh_options_set(session, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null") == 0 &&
        ssh_options_set(session, SSH_OPTIONS_TIMEOUT, &timeout) == 0 &&
        ssh_options_set(session, SSH_OPTIONS_NODELAY, &on) == 0 &&
        ssh_options_set(session, SSH_OPTIONS_CIPHERS_C_S, ciphers) == 0 &&
        ssh_options_set(session, SSH_OPTIONS_CIPHERS_S_C, ciphers) == 0)
        return true;
    return fail(error, ZX_ERROR_FAILED, "%s", ssh_get_error(session));
}

void ssh_host_key_free(SshHostKey *key)
{
    if (key == NULL)
        return;
    g_free(key->type);
    g_free(key->fingerprint);
    g_free(key->host);
    g_free(key->line);
    g_free(key);
}

/* libssh's texts are not of our allocator. */
static char *taken(char *text)
{
    char *copy = g_strdup(text);

    ssh_string_free_char(text);
    return copy;
}

/* What the host showed, or NULL if it cannot be read. */
static SshHostKey *offered_key(ssh_session session, const SshTarget *target)
{
    g_autoptr(SshHostKey) offered = g_new0(SshHostKey, 1);
    g_autoptr(SshKey) key = NULL;
    unsigned char *hash = NULL;
    char *line = NULL;
    size_t length = 0;

    if (ssh_get_server_publickey(session, &key) != SSH_OK ||
        ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &length) != 0)
        return NULL;
    offered->type = g_strdup(ssh_key_type_to_char(ssh_key_type(key)));
    offered->fingerprint =
        taken(ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, length));
    ssh_clean_pubkey_hash(&hash);
    offered->host = target->port == 22 ? g_strdup(target->address)
                                       : g_strdup_printf("[%s]:%u", target->address, target->port);
    if (ssh_session_export_known_hosts_entry(session, &line) != SSH_OK)
        return NULL;
    offered->line = taken(line);
    return g_steal_pointer(&offered);
}

/* An unknown key is never believed here: the one who can compare it says so to `trust`. */
static bool check_host_key(ssh_session session, const SshTarget *target, GError **error)
{
    const enum ssh_known_hosts_e known = ssh_session_is_known_server(session);
    g_autoptr(SshHostKey) key = offered_key(session, target);
    const char *type = key != NULL ? key->type : "a key", *fingerprint = key != NULL ? key->fingerprint : "that cannot be read";

    switch (known) {
    case SSH_KNOWN_HOSTS_OK:
        return true;
    case SSH_KNOWN_HOSTS_NOT_FOUND:
    case SSH_KNOWN_HOSTS_UNKNOWN:
        return fail(error, ZX_ERROR_DENIED,
                    "the host key is not in %s. The host offers %s %s: compare and store it with: "
                    "trust %s",
                    target->known_hosts, type, fingerprint, target->name);
    case SSH_KNOWN_HOSTS_CHANGED:
    case SSH_KNOWN_HOSTS_OTHER:
        return fail(error, ZX_ERROR_DENIED,
                    "THE HOST KEY HAS CHANGED: %s holds another one, the host offers %s %s. Either "
                    "the store was reinstalled or somebody is in between: find out which, then: "
                    "trust %s",
                    target->known_hosts, type, fingerprint, target->name);
    case SSH_KNOWN_HOSTS_ERROR:
        break;
    }
    return fail(error, ZX_ERROR_DENIED, "the host key cannot be checked with %s: %s",
                target->known_hosts, ssh_get_error(session));
}

/* A key with a passphrase cannot be used unattended. */
static int no_passphrase(const char *prompt, char *buffer, size_t length, int echo, int verify,
                         void *data)
{
    bool *asked = data;

    (void)prompt;
    (void)buffer;
    (void)length;
    (void)echo;
    (void)verify;
    *asked = true;
    return -1;
}

static bool read_key(const char *file, ssh_key *key, GError **error)
{
    struct stat st;
    bool asked = false;

    if (stat(file, &st) != 0)
        return fail(error, ZX_ERROR_INPUT, "%s: %s", file, g_strerror(errno));
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return fail(error, ZX_ERROR_DENIED,
                    "%s: others may read this private key; correct it with: chmod 600 %s", file,
                    file);
    if (ssh_pki_import_privkey_file(file, NULL, no_passphrase, &asked, key) == SSH_OK)
        return true;
    if (asked)
        return fail(error, ZX_ERROR_INPUT,
                    "%s: the key has a passphrase; zxmove needs a key of its own without one",
                    file);
    return fail(error, ZX_ERROR_INPUT, "%s: not a private key", file);
}

static bool log_in(ssh_session session, const SshTarget *target, GError **error)
{
    g_autoptr(SshKey) key = NULL;
    int rc;

    if (!read_key(target->key_file, &key, error))
        return false;
    rc = ssh_userauth_publickey(session, NULL, key);
    if (rc == SSH_AUTH_SUCCESS)
        return true;
    if (rc == SSH_AUTH_DENIED)
        return fail(error, ZX_ERROR_DENIED,
                    "%s is refused for user %s; put its public half into authorized_keys of that "
                    "user on the store",
                    target->key_file, target->user != NULL ? target->user : g_get_user_name());
    if (rc == SSH_AUTH_PARTIAL)
        return fail(error, ZX_ERROR_DENIED,
                    "%s is accepted for user %s, but the store demands a second way to log in",
                    target->key_file, target->user != NULL ? target->user : g_get_user_name());
    return fail(error, ZX_ERROR_CONNECT, "cannot log in: %s", ssh_get_error(session));
}

/* libssh leaves the socket blocking, which would stop the pump in the middle of a large send. */
static bool unblock(ssh_session session, GError **error)
{
    const int fd = ssh_get_fd(session);
    const int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return fail(error, ZX_ERROR_FAILED, "cannot set up the socket: %s", g_strerror(errno));
    return true;
}

Ssh *ssh_connect_store(const SshTarget *target, GError **error)
{
    g_autoptr(SshSession) session = ssh_new();
    g_autoptr(Ssh) ssh = NULL;
    SshPump *pump;

    if (session == NULL)
        g_error("out of memory for an ssh session");
    if (!set_options(session, target, error))
        goto failed;
    if (ssh_connect(session) != SSH_OK) {
        fail(error, ZX_ERROR_CONNECT, "%s", ssh_get_error(session));
        goto failed;
    }
    if (!check_host_key(session, target, error) || !log_in(session, target, error) ||
        !unblock(session, error)) {
        ssh_disconnect(session);
        goto failed;
    }
    pump = ssh_pump_start(g_steal_pointer(&session), target->name, target->timeout_s, error);
    if (pump == NULL)
        goto failed;
    ssh = g_new0(Ssh, 1);
    ssh->name = g_strdup(target->name);
    ssh->pump = pump;
    ssh->users = 1;
    g_mutex_init(&ssh->lock);
    ssh->forwards = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return g_steal_pointer(&ssh);

failed:
    fail_prefix(error, "ssh to %s (%s port %u)", target->name, target->address, target->port);
    return NULL;
}

SshHostKey *ssh_host_key(const SshTarget *target, GError **error)
{
    g_autoptr(SshSession) session = ssh_new();
    g_autoptr(SshHostKey) key = NULL;

    if (session == NULL)
        g_error("out of memory for an ssh session");
    if (set_options(session, target, error)) {
        if (ssh_connect(session) != SSH_OK)
            fail(error, ZX_ERROR_CONNECT, "%s", ssh_get_error(session));
        else if ((key = offered_key(session, target)) == NULL)
            fail(error, ZX_ERROR_FAILED, "its host key cannot be read");
        ssh_disconnect(session);
    }
    if (key == NULL)
        fail_prefix(error, "ssh to %s (%s port %u)", target->name, target->address, target->port);
    return g_steal_pointer(&key);
}

static bool make_directory(Ssh *ssh, GError **error)
{
    ssh->directory = g_dir_make_tmp("zxmove-XXXXXX", NULL);
    if (ssh->directory == NULL)
        return fail(error, ZX_ERROR_STATE, "cannot make a private directory in %s: %s",
                    g_get_tmp_dir(), g_strerror(errno));
    g_mutex_lock(&directories_lock);
    if (directories == NULL)
        directories = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_hash_table_add(directories, g_strdup(ssh->directory));
    g_mutex_unlock(&directories_lock);
    return true;
}

static void remove_directory(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *entry = g_build_filename(path, name, NULL);

        unlink(entry);
    }
    rmdir(path);
}

void ssh_abandon(void)
{
    GHashTableIter iter;
    gpointer path;

    g_mutex_lock(&directories_lock);
    if (directories != NULL) {
        g_hash_table_iter_init(&iter, directories);
        while (g_hash_table_iter_next(&iter, &path, NULL))
            remove_directory(path);
    }
    g_mutex_unlock(&directories_lock);
}

void ssh_close(Ssh *ssh)
{
    if (ssh == NULL || !g_atomic_int_dec_and_test(&ssh->users))
        return;
    ssh_pump_stop(ssh->pump);
    if (ssh->directory != NULL) {
        g_mutex_lock(&directories_lock);
        remove_directory(ssh->directory);
        g_hash_table_remove(directories, ssh->directory);
        g_mutex_unlock(&directories_lock);
    }
    g_hash_table_unref(ssh->forwards);
    g_mutex_clear(&ssh->lock);
    g_free(ssh->directory);
    g_free(ssh->name);
    g_free(ssh);
}

Ssh *ssh_share(Ssh *ssh, int most)
{
    if (!ssh_alive(ssh, NULL) || g_atomic_int_get(&ssh->users) >= most)
        return NULL;
    g_atomic_int_inc(&ssh->users);
    return ssh;
}

int ssh_run(Ssh *ssh, const char *command, GError **error)
{
    return ssh_pump_run(ssh->pump, command, error);
}

/* A listening unix socket of its own name in our private directory, or -1. */
static int listen_at(const char *path, GError **error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd;

    if (g_strlcpy(address.sun_path, path, sizeof address.sun_path) >= sizeof address.sun_path) {
        fail(error, ZX_ERROR_STATE,
             "%s: too long for the name of a socket; set TMPDIR to a shorter one", path);
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        listen(fd, SOMAXCONN) == 0)
        return fd;
    fail(error, ZX_ERROR_STATE, "%s: cannot make a socket: %s", path, g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static const char *forward(Ssh *ssh, const char *host, unsigned port, GError **error)
{
    g_autofree char *place = g_strdup_printf("%s:%u", host, port);
    g_autofree char *path = NULL;
    const char *known = g_hash_table_lookup(ssh->forwards, place);
    int fd;

    if (known != NULL)
        return known;
    if (ssh->directory == NULL && !make_directory(ssh, error))
        return NULL;
    path = g_strdup_printf("%s/%u", ssh->directory, g_hash_table_size(ssh->forwards) + 1);
    fd = listen_at(path, error);
    if (fd < 0)
        return NULL;
    if (!ssh_pump_listen(ssh->pump, fd, host, port, error)) {
        unlink(path);
        return NULL;
    }
    known = path;
    g_hash_table_insert(ssh->forwards, g_steal_pointer(&place), g_steal_pointer(&path));
    return known;
}

const char *ssh_forward(Ssh *ssh, const char *host, unsigned port, GError **error)
{
    const char *path;

    g_mutex_lock(&ssh->lock);
    path = forward(ssh, host, port, error);
    g_mutex_unlock(&ssh->lock);
    return path;
}

bool ssh_alive(Ssh *ssh, const char **why)
{
    return ssh_pump_alive(ssh->pump, why);
}
