/* store.h - one mailbox store as an operation sees it: its connections, opened once and shared by
 * all mailboxes of the operation, and the facts that do not change while it runs.
 *
 * Two MariaDB connections: `data` reads and writes mailboxes (snapshots live there), `control`
 * holds locks, claims, fences and the journal, and is free while `data` works. */
#ifndef ZX_ZIMBRA_STORE_H
#define ZX_ZIMBRA_STORE_H

#include "conf/conf.h"
#include "core/net/peer.h"
#include "core/net/soap.h"
#include "core/zimbra/directory.h"

typedef struct Store {
    const Conf *conf;
    const ConfStore *where;
    char *name;      /* zimbraServiceHostname */
    char *server_id; /* zimbraId of the server entry */
    Ssh *ssh; /* NULL on a local store */
    Db *control, *data;
    Peer *peer;
    Soap *soap;
    GHashTable *facts;     /* peer_facts */
    GPtrArray *volumes;    /* of Volume */
    bool volumes_declared; /* to the agent now running */
    CurrentVolumes current;
    unsigned groups;      /* zimbra_mailbox_groups */
    unsigned change_step; /* zimbra_mailbox_change_checkpoint_frequency */
    unsigned lock_timeout_s;
    unsigned db_version, index_version;
    bool open_source; /* it has no mover of Network Edition's, as it answered */
    bool bare; /* opened to look: there is no database zxmove, and none was made */
} Store;

/* Opens everything and reads the facts; creates the database `zxmove` if it is not there. @ssh: a session to
 * it that others use, too (ssh_share), which goes over to the store; NULL: one of its own. */
Store *store_open(const Conf *conf, const ServerInfo *server, Ssh *ssh, GError **error) MUST_USE;

/* The same for who changes nothing: without a database `zxmove` the store is `bare`. */
Store *store_open_unchanged(const Conf *conf, const ServerInfo *server, GError **error) MUST_USE;

/* For recovery, when part of the store is out of order: what cannot be opened stays NULL, is
 * answered with CONNECT when it is used, and said in *@missing (g_free; NULL if all is well). Only
 * SOAP is there for certain, though it may not answer. @looks: for who changes nothing, as above. */
Store *store_open_rest(const Conf *conf, const ServerInfo *server, bool looks, char **missing,
                       GError **error) MUST_USE;

/* For a look that decides nothing: only `control` is open, nothing is made there, and no directory
 * is asked. */
Store *store_open_look(const Conf *conf, const ConfStore *where, GError **error) MUST_USE;

/* What a look may need of a store. */
typedef enum StorePart { STORE_AGENT, STORE_DATABASE, STORE_SOAP, STORE_PARTS } StorePart;
#define STORE_PART(part) (1u << (part))
/* For a look as well, at whatever answers: of @parts (bits of STORE_PART) each is opened by itself,
 * and why[] says of those that are not what is in the way. Only `control` of the databases; nothing
 * is made there. @server may be NULL: SOAP is not asked then. */
Store *store_open_parts(const Conf *conf, const ConfStore *where, const ServerInfo *server,
                        unsigned parts, const Wait *wait, GError *why[STORE_PARTS]);
void store_close(Store *store);

/* Reopens what broke (ssh, databases, agent). Locks and transactions of the old connections are
 * gone. */
bool store_revive(Store *store, GError **error) MUST_USE;

/* A fact, or NULL. */
const char *store_fact(const Store *store, const char *name);

/* LDAP servers of this store's own ldap_url (5.5), as URLs; g_strfreev. */
char **store_ldap_urls(const Store *store);

/* Makes what is committed on this store durable (hazard 36), by way of `control`. */
bool store_durable(Store *store, GError **error) MUST_USE;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Store, store_close)

#endif
