/* items.c - every setting of zxmove. A default is written here once, as a person would write it:
 * the loader parses it and the reference prints it. */
#include "conf/items.h"
#include <string.h>

#define IN_CONF(field)  .offset = offsetof(Conf, field)
#define IN_STORE(field) .offset = offsetof(ConfStore, field)

/* clang-format off */
const ConfItem conf_items[] = {
    /* key                        type          default  min     max      help */
    { "state_dir",                CONF_PATH,    NULL,    NULL,   NULL,    "logs and reports; default: /var/lib/zxmove for root, else ~/.local/state/zxmove", IN_CONF(state_dir) },
    { "retention_days",           CONF_COUNT,   "30",    "0",    "3650",  "days an old copy is kept before doPurgeMailboxes takes it", IN_CONF(retention_days) },
    { "net_timeout",              CONF_SECONDS, "30s",   "1s",   "10m",   "one answer of a server", IN_CONF(net_timeout_s) },
    { "lease",                    CONF_SECONDS, "60s",   "10s",  "10m",   "a mover that was silent for so long may be replaced", IN_CONF(lease_s) },
    { "index_settle",             CONF_MILLIS,  "1s",    "0ms",  "30s",   "an index that still changes after this is rebuilt at the destination", IN_CONF(index_settle_ms) },
    { "max_syncs",                CONF_COUNT,   "10",    "1",    "100",   "rounds before the window is opened all the same", IN_CONF(max_syncs) },
    { "sync_finish_threshold",    CONF_MILLIS,  "30s",   "1s",   "1h",    "the window is opened after a round shorter than this", IN_CONF(sync_finish_threshold_ms) },
    { "cutover_timeout",          CONF_MILLIS,  "60s",   "5s",   "1h",    "a window not committed by then is undone", IN_CONF(cutover_timeout_ms) },
    { "cutover_retries",          CONF_COUNT,   "3",     "0",    "20",    "how often a window that was undone is tried again", IN_CONF(cutover_retries) },
    { "min_free",                 CONF_PERCENT, "5",     "0",    "50",    "percent of each disk of the destination that must remain free", IN_CONF(min_free_percent) },
    { "compat_defaults",          CONF_CHOICE,  "none",  NULL,   NULL,    "what a parameter of doMailboxMove that is left out means: as in that version of Zextras Suite", IN_CONF(compat_defaults), .values = "none|zextras3|zextras2" },
    { "separate_logs",            CONF_BOOL,    "false", NULL,   NULL,    "beside the log of an operation one of each mailbox, named by its address", IN_CONF(separate_logs) },
    { "max_in_flight",            CONF_COUNT,   "4",     "1",    "64",    "mailboxes in flight on one store, over all operations", IN_CONF(max_in_flight) },
    { "resync_interval",          CONF_SECONDS, "6h",    "15m",  "30d",   "time between two rounds of an operation that is held", IN_CONF(resync_interval_s) },
    { "purge_wait",               CONF_SECONDS, "15m",   "0s",   "7d",    "no purge behind mailboxd's back sooner after a commit", IN_CONF(purge_wait_s) },

    { "log.target",               CONF_CHOICE,  "file",  NULL,   NULL,    "where the log of an operation goes: a file of its own in log of state_dir, syslog (as mail) or the journal", IN_CONF(log.target), .values = "file|syslog|journald" },
    { "log.level",                CONF_CHOICE,  "debug", NULL,   NULL,    "lines up to this level", IN_CONF(log.level), .values = "error|warning|info|debug" },
    { "log.max_size",             CONF_SIZE,    "100M",  "64K",  "100G",  "a log file that would grow above it is renamed to .1 and begun anew", IN_CONF(log.max_size) },
    { "log.keep",                 CONF_COUNT,   "5",     "0",    "100",   "so many of the renamed ones are kept", IN_CONF(log.keep) },
    { "log.keep_days",            CONF_COUNT,   "90",    "0",    "3650",  "days after which the log files of an operation are removed; 0: never", IN_CONF(log.keep_days) },

    { "stores.*.address",         CONF_TEXT,    NULL,    NULL,   NULL,    "where it is reached; default: its name", IN_STORE(address) },
    { "stores.*.local",           CONF_BOOL,    "false", NULL,   NULL,    "zxmove runs on this store: no ssh", IN_STORE(local) },
    { "stores.*.ssh_port",        CONF_COUNT,   "22",    "1",    "65535", "its sshd", IN_STORE(ssh_port) },
    { "stores.*.mariadb_address", CONF_TEXT,    "127.0.0.1", NULL, NULL,  "its MariaDB, as seen from the store", IN_STORE(mariadb_address) },
    { "stores.*.mariadb_port",    CONF_COUNT,   "7306",  "1",    "65535", "its MariaDB", IN_STORE(mariadb_port) },
    { "stores.*.soap_port",       CONF_COUNT,   "7071",  "1",    "65535", "its admin SOAP", IN_STORE(soap_port) },
    { "stores.*.zimbra_home",     CONF_TEXT,    "/opt/zimbra", NULL, NULL, "where Zimbra is installed", IN_STORE(zimbra_home) },
    { "stores.*.backup_path",     CONF_TEXT,    NULL,    NULL,   NULL,    "the directory of its backup (of accounts, in accounts/ID), for stage backup; default: none", IN_STORE(backup_path) },
    { "stores.*.mariadb_password", CONF_SECRET, NULL,    NULL,   NULL,    "default: mariadb.password", IN_STORE(mariadb_password) },

    { "ssh.user",                 CONF_TEXT,    "zimbra", NULL,  NULL,    "the user zxmove is on a store", IN_CONF(ssh.user) },
    { "ssh.key_file",             CONF_PATH,    "~/.ssh/zxmove", NULL, NULL, "its private key, without a passphrase", IN_CONF(ssh.key_file) },
    { "ssh.known_hosts",          CONF_PATH,    NULL,    NULL,   NULL,    "host keys of the stores; default: known_hosts in state_dir", IN_CONF(ssh.known_hosts) },
    { "ssh.agent_file",           CONF_PATH,    NULL,    NULL,   NULL,    "the agent to upload; default: zxmove-agent beside zxmove", IN_CONF(ssh.agent_file) },

    { "ldap.master",              CONF_TEXT,    NULL,    NULL,   NULL,    "ldap://host:port of the master; it must be set", IN_CONF(ldap.master) },
    { "ldap.bind_dn",             CONF_TEXT,    "uid=zimbra,cn=admins,cn=zimbra", NULL, NULL, "who zxmove is in the directory", IN_CONF(ldap.bind_dn) },
    { "ldap.password",            CONF_SECRET,  NULL,    NULL,   NULL,    "or the environment: ZXMOVE_LDAP_PASSWORD", IN_CONF(ldap.password) },
    { "ldap.ca_file",             CONF_PATH,    NULL,    NULL,   NULL,    "who signed the directory's certificates; default: /opt/zimbra/conf/ca/ca.pem where there is one, else ca.pem in state_dir, which trust makes", IN_CONF(ldap.ca_file) },
    { "ldap.starttls",            CONF_BOOL,    "true",  NULL,   NULL,    "StartTLS on ldap://", IN_CONF(ldap.starttls) },

    { "admin.user",               CONF_TEXT,    "zimbra", NULL,  NULL,    "a global admin, for admin SOAP", IN_CONF(admin.user) },
    { "admin.password",           CONF_SECRET,  NULL,    NULL,   NULL,    "or the environment: ZXMOVE_ADMIN_PASSWORD", IN_CONF(admin.password) },
    { "admin.ca_file",            CONF_PATH,    NULL,    NULL,   NULL,    "who signed the stores' certificates; default: as ldap.ca_file", IN_CONF(admin.ca_file) },
    { "admin.timeout",            CONF_SECONDS, NULL,    "1s",   "10m",   "one answer of mailboxd; default: as net_timeout", IN_CONF(admin.timeout_s) },

    { "mariadb.user",             CONF_TEXT,    "zimbra", NULL,  NULL,    "who zxmove is in the stores' MariaDB", IN_CONF(mariadb.user) },
    { "mariadb.password",         CONF_SECRET,  NULL,    NULL,   NULL,    "or the environment: ZXMOVE_MARIADB_PASSWORD; default: each store's localconfig", IN_CONF(mariadb.password) },

    { "memcached.servers",        CONF_LIST,    NULL,    NULL,   NULL,    "[host:port, ...]; default: those the directory names", IN_CONF(memcached.servers) },

    { "smtp.url",                 CONF_TEXT,    "smtp://127.0.0.1:25", NULL, NULL, "who takes notifications", IN_CONF(smtp.url) },
    { "smtp.from",                CONF_TEXT,    NULL,    NULL,   NULL,    "their sender; default: zxmove at this host", IN_CONF(smtp.from) },

    { "smtp.retry_for",           CONF_SECONDS, "1h",    "0s",   "7d",    "a notification that cannot be sent is tried again for so long", IN_CONF(smtp.retry_for_s) },
    { "smtp.retry_interval",      CONF_SECONDS, "60s",   "1s",   "1h",    "the time between two attempts", IN_CONF(smtp.retry_interval_s) },

    { "addresses.*",              CONF_TEXT,    NULL,    NULL,   NULL,    "where a server that is not in stores is reached; default: its name", .offset = 0 },
    { 0 },
};
/* clang-format on */

const ConfItem *conf_item(const char *key)
{
    for (const ConfItem *item = conf_items; item->key != NULL; item++)
        if (strcmp(item->key, key) == 0)
            return item;
    return NULL;
}

const char *conf_type_name(ConfType type)
{
    switch (type) {
    case CONF_TEXT:
        return "a text";
    case CONF_PATH:
        return "a path";
    case CONF_SECRET:
        return "a password";
    case CONF_BOOL:
        return "true or false";
    case CONF_COUNT:
        return "a whole number";
    case CONF_PERCENT:
        return "a percentage";
    case CONF_SECONDS:
    case CONF_MILLIS:
        return "a duration such as 30s";
    case CONF_LIST:
        return "a list";
    case CONF_CHOICE:
        return "one of several words";
    case CONF_SIZE:
        return "a size such as 100M";
    }
    g_assert_not_reached();
}

static const char reference_head[] =
    "# The settings of zxmove, every one at its default. Read from the first of: --config FILE,\n"
    "# $ZXMOVE_CONFIG, ~/.config/zxmove/zxmove.yaml, /etc/zxmove/zxmove.yaml. A file that holds a\n"
    "# password must be readable by its owner only (chmod 600).\n";

static void reference_line(GString *out, int indent, const char *key, const ConfItem *item)
{
    g_autofree char *value = g_strdup_printf("%s:%s%s", key, item->fallback ? " " : "",
                                             item->fallback ? item->fallback : "");

    g_string_append_printf(out, "#%*s%-*s  # %s", indent, "", MAX(34 - indent, 1), value,
                           item->help);
    if (item->min != NULL && item->max != NULL)
        g_string_append_printf(out, " (%s to %s)", item->min, item->max);
    if (item->values != NULL) {
        g_auto(GStrv) values = g_strsplit(item->values, "|", -1);
        g_autofree char *list = g_strjoinv(", ", values);

        g_string_append_printf(out, " (%s)", list);
    }
    g_string_append_c(out, '\n');
    if (item->type == CONF_SECRET)
        g_string_append_printf(out, "#%*s%s_file:\n", indent, "", key);
}

char *conf_reference(void)
{
    GString *out = g_string_new(reference_head);
    g_autofree char *section = g_strdup("");

    for (const ConfItem *item = conf_items; item->key != NULL; item++) {
        g_auto(GStrv) parts = g_strsplit(item->key, ".", 3);
        guint depth = g_strv_length(parts);

        if (depth > 1 && strcmp(section, parts[0]) != 0) {
            g_string_append_printf(out, "\n#%s:\n", parts[0]);
            if (depth == 3)
                g_string_append(out, "#  mail1.example.com:\n");
        } else if (depth == 1 && *section == '\0' && item == conf_items) {
            g_string_append_c(out, '\n');
        }
        g_free(section);
        section = g_strdup(depth > 1 ? parts[0] : "");
        reference_line(out, (int)(depth - 1) * 2,
                       strcmp(parts[depth - 1], "*") == 0 ? "ldap2.example.com" : parts[depth - 1],
                       item);
    }
    return g_string_free(out, FALSE);
}
