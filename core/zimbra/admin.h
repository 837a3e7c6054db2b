/* admin.h - the admin requests a move needs, each with its answers as values (doc/platform.md 5,
 * 6). Every one is sent to the store it is meant for, with that store's id as targetServer
 * (soap_target_server), so that the store itself executes it. Decisions rest on the fault code,
 * never on text (one exception: the probe). */
#ifndef ZX_ZIMBRA_ADMIN_H
#define ZX_ZIMBRA_ADMIN_H

#include "core/net/soap.h"
#include <stdint.h>

/* What a store's mailboxd knows of an account (5.1). Creates nothing. */
typedef enum Probe {
    PROBE_UNMAPPED,     /* not in the account map: safe */
    PROBE_WRONG_HOST,   /* mapped, row there, object not cached */
    PROBE_NO_SUCH_MBOX, /* mapped, row gone */
    PROBE_LOCKED,       /* mail.MAINTENANCE */
    PROBE_CACHED,       /* object cached and not locked, or homed there */
    PROBE_UNKNOWN,      /* anything else: *why says what */
} Probe;
Probe admin_probe(Soap *soap, const char *account_id, const Wait *wait, char **why);
const char *probe_name(Probe probe);

typedef enum Lockout {
    LOCKOUT_DONE,    /* start: the lock is ours now; end: released */
    LOCKOUT_ALREADY, /* start: mail.MAINTENANCE, locked before */
    LOCKOUT_NONE,    /* end: service.NOT_FOUND, there was no lock */
    LOCKOUT_REFUSED, /* a definite fault: nothing was locked */
    LOCKOUT_UNKNOWN, /* no answer: the lock may be taken later (5.2) */
} Lockout;
/* @error is set for REFUSED and UNKNOWN only. */
Lockout admin_lockout(Soap *soap, const char *account_id, bool start, const Wait *wait,
                      GError **error);

/* One ModifyAccountRequest; @pairs is name, value, ..., NULL; an empty value removes the attribute.
 * FAULT and UNKNOWN set @error. */
SoapOutcome admin_modify(Soap *soap, const char *account_id, const char *const *pairs,
                         const Wait *wait, GError **error) MUST_USE;

/* The receiving store forgets what it knows of the account, and with @imapd every imapd does (5.5). */
bool admin_flush(Soap *soap, const char *account_id, bool imapd, const Wait *wait,
                 GError **error) MUST_USE;

/* The receiving store's cached view (5.5). g_free both; either may be NULL. */
bool admin_view(Soap *soap, const char *account_id, const Wait *wait, char **status, char **host,
                GError **error) MUST_USE;
bool admin_view_host(Soap *soap, const char *account_id, const Wait *wait, char **host,
                     GError **error) MUST_USE;

/* GetMailboxRequest: auto-creates, so only where the mailbox must exist. */
bool admin_mailbox_id(Soap *soap, const char *account_id, const Wait *wait, uint32_t *id,
                      GError **error) MUST_USE;

/* Of the server software, as its GetVersionInfoResponse says it. g_free. */
bool admin_version(Soap *soap, const Wait *wait, char **version, GError **error) MUST_USE;

/* What Network Edition's own mover does with an account there, "in" or "out" (g_free); NULL: nothing.
 * *@known: there is such a mover at all. */
bool admin_network_move(Soap *soap, const char *address, const Wait *wait, bool *known,
                        char **direction, GError **error) MUST_USE;
/* Whether the mailbox is being indexed anew there; not of one that mailboxd does not serve. */
bool admin_reindexing(Soap *soap, const char *account_id, const Wait *wait, bool *running,
                      GError **error) MUST_USE;
bool admin_reindex(Soap *soap, const char *account_id, const Wait *wait, GError **error) MUST_USE;

/* Section 5.4: DeleteMailbox at this store, together with `end` in one batch when @locked.
 * *deleted_id is the id the server says it deleted, 0 for an empty body (nothing was done). */
SoapOutcome admin_delete_mailbox(Soap *soap, const char *account_id, bool locked, const Wait *wait,
                                 uint32_t *deleted_id, GError **error) MUST_USE;

#endif
