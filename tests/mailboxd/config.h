/* config.h - what the stand-in is told: its JSON file and the localconfig.xml of its home. Read
 * once at start; immutable and shared by all threads afterwards. */
#ifndef MAILBOXD_CONFIG_H
#define MAILBOXD_CONFIG_H

#include <glib.h>
#include <stdbool.h>

typedef struct Config {
    char *name; /* service host name */
    char *server_id;
    char *address;
    unsigned admin_port, lmtp_port, control_port;
    char *certificate, *key, *ca; /* files */
    char *home;
    struct {
        char *address, *user, *password;
        unsigned port;
    } mariadb;
    struct {
        char *master;
        char **urls; /* replicas first, as ldap_url has them */
        char *bind_dn, *password;
    } ldap;
    char **memcached;
    bool memcached_hashed; /* keys as lowercase hex SHA-256, as versions since spring 2022 do */
    GHashTable *addresses; /* name of another store -> IP address */
    unsigned account_cache_ms;
    unsigned lock_timeout_ms;
    char *version, *db_version; /* what it claims to be: "10.1.0", "118" */
    char **reindexing;          /* accounts whose mailboxes are being indexed anew for as long as it runs */
    char **network_moves;       /* accounts that Network Edition's mover is at work on; NULL: open source */
    unsigned index_merge_ms;    /* how long a merge takes, so that tests can meet one */

    /* from localconfig.xml */
    unsigned mailbox_groups;
    unsigned change_increment;
    bool relative_volumes;
    char *calendar_cache;
    char *schema_template; /* create_database.sql */
} Config;

extern const Config *config;

/* Sets the global. Errors name file and key. */
bool config_load(const char *path, GError **error);
void config_free(void);

/* IP address of the store called @name, this one included; NULL if unknown. */
const char *config_address(const char *name);

#endif
