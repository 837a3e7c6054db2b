/* conf.h - the configuration, from a YAML file, the environment and the command line; every setting
 * is one row of conf/items.c (type, default, range, unit, help). Unknown key, duplicate, wrong type
 * or a bare number where a unit belongs stop with file, line and the nearest key. A file that holds
 * a secret and that others may read is refused (DENIED). A secret from the environment
 * (ZXMOVE_LDAP_PASSWORD, ZXMOVE_ADMIN_PASSWORD, ZXMOVE_MARIADB_PASSWORD) is read once and unset at
 * once. */
#ifndef ZX_CONF_H
#define ZX_CONF_H

#include "core/base/error.h"
#include "core/base/secret.h"
#include <stdint.h>

/* A store has a name (directory, certificate) and, apart from it, an address and ports. */
typedef struct ConfStore {
    char *name;            /* zimbraServiceHostname */
    char *address;         /* default: the name */
    bool local;            /* zxmove runs on it: no ssh */
    unsigned ssh_port;     /* 22 */
    char *mariadb_address; /* as seen from the store: 127.0.0.1 */
    unsigned mariadb_port; /* 7306 */
    unsigned soap_port;    /* 7071 */
    char *zimbra_home;     /* /opt/zimbra */
    char *backup_path;     /* of its backup; NULL: it has none */
    Secret
        *mariadb_password; /* NULL: the common one; both NULL: read from the store's localconfig */
} ConfStore;

typedef struct Conf {
    char *path;        /* the file read, NULL if none */
    char *state_dir;   /* logs and reports; ~/.local/state/zxmove or /var/lib/zxmove for root */
    GPtrArray *stores; /* of ConfStore */
    GHashTable *origins; /* name of a setting (lowercase) -> where its value came from; not the defaults */
    struct {
        char *user, *key_file, *known_hosts, *agent_file;
    } ssh; /* agent_file: beside the program */
    struct {
        char *master;
        char *bind_dn;
        Secret *password;
        char *ca_file;
        bool starttls;
    } ldap;
    struct {
        char *user;
        Secret *password;
        char *ca_file;
        unsigned timeout_s; /* one answer of mailboxd */
    } admin;
    struct {
        char *user;
        Secret *password;
    } mariadb;
    struct {
        char **servers;
    } memcached; /* host:port; NULL: from the directory */
    struct {
        char *url, *from;
        unsigned retry_for_s, retry_interval_s;
    } smtp;
    struct {
        char *target, *level;
        uint64_t max_size;
        unsigned keep, keep_days;
    } log;
    bool separate_logs;
    char *compat_defaults;
    GHashTable *addresses;             /* name -> address, for servers that are not in `stores` */
    unsigned retention_days;           /* 30 */
    unsigned net_timeout_s;            /* 30: one network read */
    unsigned lease_s;                  /* 60 */
    unsigned index_settle_ms;          /* 1000 */
    unsigned max_syncs;                /* 10 */
    unsigned sync_finish_threshold_ms; /* 30000 */
    unsigned cutover_timeout_ms;       /* 60000 */
    unsigned cutover_retries;          /* 3 */
    unsigned min_free_percent;         /* 5 */
    unsigned max_in_flight;            /* 4 */
    unsigned resync_interval_s;        /* 21600 */
    unsigned
        purge_wait_s; /* 900: not behind mailboxd's back sooner after a commit (hazards 41, 43) */
} Conf;

/* @path NULL: $ZXMOVE_CONFIG, ~/.config/zxmove/zxmove.yaml, /etc/zxmove/zxmove.yaml, the first
 * there is. */
Conf *conf_load(const char *path, GError **error) MUST_USE;
/* The same once more, after the file was changed: what the environment told @before, which it does not tell
 * twice, still holds. */
Conf *conf_load_again(const Conf *before, const char *path, GError **error) MUST_USE;
void conf_free(Conf *conf);
/* Each secret that came from the environment, with the name of its variable: for another process of ours. */
void conf_environment(const Conf *conf, void (*each)(void *data, const char *name, const Secret *secret), void *data);
/* The file that conf_load would read, there or not; g_free. NULL: there is none. */
char *conf_find(const char *path);
/* Where state lives when no configuration says otherwise. */
char *conf_default_state_dir(void);
const ConfStore *conf_store(const Conf *conf,
                            const char *name); /* without regard to case; NULL if none */
/* The same for a name that a person typed: NOT_FOUND with the one that was probably meant. */
const ConfStore *conf_store_called(const Conf *conf, const char *name, GError **error) MUST_USE;
/* Where a server of this name is reached: its store's address, `addresses`, else the name. */
const char *conf_address(const Conf *conf, const char *name);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Conf, conf_free)

#endif
