/* look.h - looking around: what directory, stores and memcached say at this moment. Nothing is
 * written, no lock is taken, and a server that does not answer keeps nobody else's answer back.
 * Private to core/look.
 *
 *   sites        the stores of the configuration, each asked by a thread of its own   sites.c
 *   servers      getServers                                                           servers.c
 *   volumes      getAllVolumes, getVolumeStats                                        volumes.c
 *   services     getServices                                                          services.c
 *   whereabouts  status account                                                       whereabouts.c
 *   verdict      the same in one sentence                                             verdict.c
 *   trace        status operation_uuid                                                trace.c
 *   operations   getAllOperations, monitor, and whoever names an operation           operations.c
 *   nonlocal     getNonLocalMailboxes                                                 nonlocal.c
 *   moved        getMovedMailboxes                                                    moved.c
 *   blobs        doCheckBlobs                                                         blobs.c
 *   records      what zxmove itself has written on a store                            records.c
 */
#ifndef ZX_LOOK_LOOK_H
#define ZX_LOOK_LOOK_H

#include "core/core.h"
#include "core/look/around.h"
#include "core/zimbra/directory.h"
#include "core/zimbra/store.h"

/* Of a row of zxmove.operation in SQL: its state, or `lost`. A living keeper writes every second and holds a
 * lock, which it takes again after its connection broke. */
#define LOOK_OPERATION_STATE                                                                      \
    "IF(ended IS NULL AND heartbeat < UTC_TIMESTAMP(3) - INTERVAL 5 SECOND"                       \
    " AND IS_FREE_LOCK(CONCAT('zxmove.operation.', uuid)), 'lost', state)"

/* A store as one look sees it, and what was found there. */
typedef struct Site {
    const Conf *conf;
    const ConfStore *where;
    const Wait *wait;
    Store *store;
    GError *why[STORE_PARTS]; /* NULL: that part is open */
    GError *problem;          /* of the visit: the first thing that was asked and not answered */
    bool records;             /* there is a database zxmove */
    GPtrArray *found;         /* what the visit makes; it belongs to the site until it is taken */
} Site;
typedef void Visit(Site *site, const void *question);

typedef struct Sites {
    const Conf *conf;
    const GPtrArray *servers; /* of ServerInfo; NULL: the directory was not asked */
    const char *host;         /* only this store; NULL: all */
    unsigned parts;           /* bits of STORE_PART */
    Visit *visit;
    const void *question;
    GDestroyNotify free_found;
} Sites;
/* Visits them all at the same time; of Site, in the order of the configuration. NOT_FOUND if the
 * configuration has no such host. */
GPtrArray *sites_visit(const Sites *sites, const Wait *wait, GError **error) MUST_USE;
/* A question at the database of the site failed: said once, the rest of the visit goes on. */
void site_failed(Site *site, GError *problem);

Looked *looked_new(GDestroyNotify free_item);
void looked_miss(Looked *looked, const char *server, const char *part, const GError *why);
/* Everything of @sites that could not be asked goes to @looked, of @parts. */
void looked_miss_sites(Looked *looked, const GPtrArray *sites, unsigned parts);
/* What the sites found, over to @looked. */
void looked_take(Looked *looked, GPtrArray *sites);

/* The id of the account that had this address when it was last in a window; NULL without error:
 * nobody was. */
char *records_find(const Site *site, const char *address, GError **error);
/* zxmove's own rows of an account; nothing if there are none. */
bool records_read(const Site *site, const char *account_id, StoreView *view,
                  GError **error) MUST_USE;
/* g_free. */
char *verdict_of(const Whereabouts *where);

/* The verbs, as core.h has them. */
Looked *look_servers(const Conf *conf, const char *host, const Wait *wait, GError **error) MUST_USE;
/* @name NULL: all; @walk: count files. */
Looked *look_volumes(const Conf *conf, const char *name, bool walk, const char *host,
                     const Wait *wait, GError **error) MUST_USE;
/* Of Whereabouts. Addresses, aliases or ids. */
Looked *look_whereabouts(const Conf *conf, char **accounts, const Wait *wait,
                         GError **error) MUST_USE;
/* Of Trace, one at most; @operation may be how it begins. */
Looked *look_trace(const Conf *conf, const char *operation, const Wait *wait,
                   GError **error) MUST_USE;
/* Of NonLocal. */
Looked *look_nonlocal(const Conf *conf, const char *host, const Wait *wait,
                      GError **error) MUST_USE;
/* Of MovedMailbox. */
Looked *look_moved(const Conf *conf, const char *host, const Wait *wait, GError **error) MUST_USE;
/* Of StoreBlobs. */
Looked *look_blobs(const Conf *conf, const BlobsRequest *request, const char *host, EventSink *sink,
                   void *data, const Wait *wait, GError **error) MUST_USE;
/* Of OperationLook; core.h has what each answers. */
Looked *look_operations(const Conf *conf, const char *operation, unsigned which, const Wait *wait,
                        GError **error) MUST_USE;
Looked *look_operation(const Conf *conf, const char *operation, const Wait *wait,
                       GError **error) MUST_USE;
/* The results in its events go to @results (of MailboxResult), where they stay. */
Looked *look_watch(const Conf *conf, const OperationLook *operation, GPtrArray *results,
                   EventSink *sink, void *data, const Wait *wait, GError **error) MUST_USE;
GPtrArray *look_operation_mailboxes(const Conf *conf, const OperationLook *operation,
                                    GError **error) MUST_USE;
/* Of ServiceLook. The directory may be silent, too. */
Looked *look_services(const Conf *conf, const char *host, const Wait *wait,
                      GError **error) MUST_USE;

#endif
