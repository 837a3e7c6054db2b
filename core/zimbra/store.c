/* store.c - see store.h. */
#include "core/zimbra/store.h"
#include "core/ops/schema.h"
#include <string.h>

static bool open_ssh(Store *store, GError **error)
{
    SshTarget target = {
        .name = store->name,
        .address = store->where->address,
        .port = store->where->ssh_port,
        .user = store->conf->ssh.user,
        .key_file = store->conf->ssh.key_file,
        .known_hosts = store->conf->ssh.known_hosts,
        .timeout_s = store->conf->net_timeout_s,
    };

    if (store->where->local || store->ssh != NULL)
        return true;
    store->ssh = ssh_connect_store(&target, error);
    return store->ssh != NULL;
}

static bool password_configured(const Store *store)
{
    return store->where->mariadb_password != NULL || store->conf->mariadb.password != NULL;
}

static bool open_peer(Store *store, GError **error)
{
    if (store->peer != NULL)
        return true;
    store->peer = peer_open(store->name, store->ssh, store->conf->ssh.agent_file,
                            store->conf->net_timeout_s, error);
    if (store->peer == NULL)
        return false;
    if (store->facts == NULL)
        store->facts =
            peer_facts(store->peer, store->where->zimbra_home, !password_configured(store), error);
    return store->facts != NULL;
}

/* The password of the configuration, else the one the store's localconfig has. */
static Secret *mariadb_password(const Store *store)
{
    const char *found;

    if (store->where->mariadb_password != NULL)
        return secret_copy(store->where->mariadb_password);
    if (store->conf->mariadb.password != NULL)
        return secret_copy(store->conf->mariadb.password);
    found = store_fact(store, "zimbra_mysql_password");
    return secret_new(found != NULL ? found : "");
}

static Db *open_db(Store *store, GError **error)
{
    g_autoptr(Secret) password = mariadb_password(store);
    DbTarget target = {
        .name = store->name,
        .host = store->where->mariadb_address,
        .port = store->where->mariadb_port,
        .user = store->conf->mariadb.user,
        .password = password,
        .timeout_s = store->conf->net_timeout_s,
    };

    if (store->ssh != NULL) {
        target.socket = ssh_forward(store->ssh, target.host, target.port, error);
        if (target.socket == NULL)
            return NULL;
    }
    return db_open(&target, error);
}

static bool open_soap(Store *store, GError **error)
{
    SoapTarget target = {
        .name = store->name,
        .address = store->where->address,
        .port = store->where->soap_port,
        .ca_file = store->conf->admin.ca_file,
        .user = store->conf->admin.user,
        .password = store->conf->admin.password,
        .timeout_s = store->conf->admin.timeout_s,
    };

    if (store->soap != NULL)
        return true;
    store->soap = soap_open(&target, error);
    if (store->soap == NULL)
        return false;
    soap_target_server(store->soap, store->server_id);
    return true;
}

static bool open_connections(Store *store, GError **error)
{
    if (!open_ssh(store, error) || !open_peer(store, error))
        return false;
    if (store->control == NULL && (store->control = open_db(store, error)) == NULL)
        return false;
    if (store->data == NULL && (store->data = open_db(store, error)) == NULL)
        return false;
    return true;
}

static unsigned fact_number(const Store *store, const char *name, unsigned fallback)
{
    const char *text = store_fact(store, name);
    guint64 number;

    if (text == NULL || !g_ascii_string_to_unsigned(text, 10, 1, G_MAXUINT, &number, NULL))
        return fallback;
    return (unsigned)number;
}

static bool read_facts(Store *store, GError **error)
{
    g_autoptr(Rows) version = NULL;

    store->groups = fact_number(store, "zimbra_mailbox_groups", 100);
    store->change_step = fact_number(store, "zimbra_mailbox_change_checkpoint_frequency", 100);
    store->lock_timeout_s = fact_number(store, "zimbra_mailbox_lock_timeout", 60);
    version = db_query_one(
        store->control, error,
        "SELECT MAX(IF(name = 'db.version', CAST(value AS UNSIGNED), 0)),"
        " MAX(IF(name = 'index.version', CAST(value AS UNSIGNED), 0)) FROM zimbra.config",
        DB_NONE);
    if (version == NULL)
        return false;
    store->db_version = (unsigned)rows_u64(version, 0, 0);
    store->index_version = (unsigned)rows_u64(version, 0, 1);
    store->volumes = volumes_read(store->control, &store->current, error);
    return store->volumes != NULL;
}

static bool declare_volumes(Store *store, GError **error)
{
    if (store->volumes_declared)
        return true;
    for (guint i = 0; i < store->volumes->len; i++) {
        const Volume *volume = g_ptr_array_index(store->volumes, i);

        if (volume->store_type == 1 && !peer_volume(store->peer, volume, error))
            return false;
    }
    store->volumes_declared = true;
    return true;
}

static Store *store_new(const Conf *conf, const ServerInfo *server, GError **error)
{
    const ConfStore *where = conf_store(conf, server->hostname);
    Store *store;

    if (where == NULL) {
        fail(error, ZX_ERROR_REFUSED, "store %s is not in the configuration: add it under `stores`",
             server->hostname);
        return NULL;
    }
    if (server->id == NULL) {
        fail(error, ZX_ERROR_REFUSED,
             "the zimbraId of server %s cannot be read: give ldap.bind_dn the right to",
             server->hostname);
        return NULL;
    }
    store = g_new0(Store, 1);
    store->conf = conf;
    store->where = where;
    store->name = g_strdup(server->hostname);
    store->server_id = g_strdup(server->id);
    store->groups = 100;
    store->change_step = 100;
    store->lock_timeout_s = 60;
    return store;
}

/* @looks: the database zxmove is not made, nor brought up to date. */
static bool open_all(Store *store, bool looks, GError **error)
{
    bool there = true;

    if (!open_soap(store, error) || !open_connections(store, error) ||
        !(looks ? schema_look(store->control, &there, error)
                : schema_ensure(store->control, error)) ||
        !read_facts(store, error) || !declare_volumes(store, error))
        return false;
    store->bare = !there;
    return true;
}

Store *store_open(const Conf *conf, const ServerInfo *server, Ssh *ssh, GError **error)
{
    g_autoptr(Store) store = store_new(conf, server, error);

    if (store == NULL)
        ssh_close(ssh);
    else
        store->ssh = ssh;
    if (store == NULL || !open_all(store, false, error))
        return NULL;
    return g_steal_pointer(&store);
}

Store *store_open_unchanged(const Conf *conf, const ServerInfo *server, GError **error)
{
    g_autoptr(Store) store = store_new(conf, server, error);

    return store != NULL && open_all(store, true, error) ? g_steal_pointer(&store) : NULL;
}

Store *store_open_rest(const Conf *conf, const ServerInfo *server, bool looks, char **missing,
                       GError **error)
{
    Store *store = store_new(conf, server, error);
    GError *problem = NULL;

    *missing = NULL;
    if (store != NULL && !open_all(store, looks, &problem)) {
        *missing = g_strdup(problem->message);
        g_error_free(problem);
        g_clear_pointer(&store->control, db_close);
        g_clear_pointer(&store->data, db_close);
    }
    return store;
}

Store *store_open_look(const Conf *conf, const ConfStore *where, GError **error)
{
    g_autoptr(Store) store = g_new0(Store, 1);

    store->conf = conf;
    store->where = where;
    store->name = g_strdup(where->name);
    if (!open_ssh(store, error) || (!password_configured(store) && !open_peer(store, error)) ||
        (store->control = open_db(store, error)) == NULL)
        return NULL;
    return g_steal_pointer(&store);
}

static bool open_part_soap(Store *store, const Wait *wait, GError **error)
{
    if (store->server_id == NULL)
        return fail(error, ZX_ERROR_REFUSED, "the directory did not tell the zimbraId of server %s", store->name);
    return open_soap(store, error) && soap_warm(store->soap, wait, error);
}

Store *store_open_parts(const Conf *conf, const ConfStore *where, const ServerInfo *server,
                        unsigned parts, const Wait *wait, GError *why[STORE_PARTS])
{
    Store *store = g_new0(Store, 1);
    bool database = (parts & STORE_PART(STORE_DATABASE)) != 0;

    store->conf = conf;
    store->where = where;
    store->name = g_strdup(where->name);
    store->server_id = server != NULL ? g_strdup(server->id) : NULL;
    for (int part = 0; part < STORE_PARTS; part++)
        why[part] = NULL;
    /* The agent knows the password of the database, if nobody else does. */
    if ((parts & STORE_PART(STORE_AGENT)) != 0 || (database && !password_configured(store)))
        (void)(open_ssh(store, &why[STORE_AGENT]) && open_peer(store, &why[STORE_AGENT]));
    if (database && why[STORE_AGENT] != NULL &&
        (!password_configured(store) || (store->ssh == NULL && !where->local)))
        why[STORE_DATABASE] = g_error_copy(why[STORE_AGENT]);
    else if (database && open_ssh(store, &why[STORE_DATABASE]))
        store->control = open_db(store, &why[STORE_DATABASE]);
    if ((parts & STORE_PART(STORE_SOAP)) != 0 && !open_part_soap(store, wait, &why[STORE_SOAP]))
        g_clear_pointer(&store->soap, soap_close);
    return store;
}

void store_close(Store *store)
{
    if (store == NULL)
        return;
    db_close(store->control);
    db_close(store->data);
    peer_close(store->peer);
    soap_close(store->soap);
    ssh_close(store->ssh);
    g_clear_pointer(&store->facts, g_hash_table_unref);
    g_clear_pointer(&store->volumes, g_ptr_array_unref);
    g_free(store->name);
    g_free(store->server_id);
    g_free(store);
}

static void drop_if_lost(Db **db, bool lost)
{
    GError *ignored = NULL;

    if (*db != NULL && (lost || !db_ping(*db, &ignored)))
        g_clear_pointer(db, db_close);
    g_clear_error(&ignored);
}

bool store_revive(Store *store, GError **error)
{
    bool lost = store->ssh != NULL && !ssh_alive(store->ssh, NULL);

    drop_if_lost(&store->control, lost);
    drop_if_lost(&store->data, lost);
    if (store->peer != NULL && (lost || peer_broken(store->peer))) {
        g_clear_pointer(&store->peer, peer_close);
        store->volumes_declared = false;
    }
    if (lost)
        g_clear_pointer(&store->ssh, ssh_close);
    return open_connections(store, error) && (store->volumes != NULL || read_facts(store, error)) &&
           declare_volumes(store, error);
}

const char *store_fact(const Store *store, const char *name)
{
    return store->facts != NULL ? g_hash_table_lookup(store->facts, name) : NULL;
}

char **store_ldap_urls(const Store *store)
{
    const char *urls = store_fact(store, "ldap_url");
    g_auto(GStrv) words = g_strsplit_set(urls != NULL ? urls : "", " \t\n", -1);
    GPtrArray *found = g_ptr_array_new();

    for (char **word = words; *word != NULL; word++)
        if (**word != '\0')
            g_ptr_array_add(found, g_strdup(*word));
    g_ptr_array_add(found, NULL);
    return (char **)g_ptr_array_free(found, FALSE);
}

bool store_durable(Store *store, GError **error)
{
    return db_exec(store->control, NULL, error, "TRUNCATE zxmove.log_flush", DB_NONE);
}
