/* delete.c - how an old copy goes: through mailboxd where its memory has the mailbox, behind its
 * back where it has not (doc/platform.md 5.4). Whether it may go has been proved before, by purge
 * or by clear. */
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/move/move.h"
#include <string.h>

#define DELETE_TRIES 5
#define BATCH_FILES  1000
#define GRACE_S      15 /* as of a lock-out (5.2): over the lock timeout of the store */

/* Whether files of the id may be removed from the volume; an error if nobody asked the other
 * stores. */
static bool is_ours(const Store *store, const Volume *volume, bool *ours, GError **error)
{
    *ours = volume->store_type == 1 && volume->sharing == VOLUME_OWN;
    if (volume->store_type == 1 && volume->sharing == VOLUME_NOT_ASKED)
        return fail(error, ZX_ERROR_BUG,
                    "%s: nobody asked whether volume %s is another store's as well", store->name,
                    volume->name);
    return true;
}

static bool remove_calendar_cache(Store *store, uint32_t mailbox_id, GError **error)
{
    const char *directory = store_fact(store, "calendar_cache_directory");

    return directory == NULL || peer_calcache_remove(store->peer, directory, mailbox_id, error);
}

/* Many at a time, with a rest after each time: a store has other things to do. */
static bool remove_from(Deletion *deletion, const Volume *volume, GError **error)
{
    for (;;) {
        int64_t since = g_get_monotonic_time();
        uint64_t files = 0, bytes = 0;

        if (!peer_mailbox_remove(deletion->store->peer, volume->id, deletion->mailbox, BATCH_FILES,
                                 &files, &bytes, error) ||
            !failpoint("delete:files", error))
            return false;
        deletion->files += files;
        deletion->bytes += bytes;
        operation_emit(deletion->op, &(Event){ .type = EVENT_PROGRESS,
                                               .account = deletion->address,
                                               .text = "blobs",
                                               .done = deletion->files,
                                               .done_bytes = deletion->bytes,
                                               .expected_bytes = deletion->expected_bytes });
        if (files < BATCH_FILES)
            return true;
        wait_rest(&deletion->claim->wait, since);
    }
}

/* From all volumes but the two named; 0 is none. */
static bool remove_files(Deletion *deletion, unsigned keep, unsigned keep_too, GError **error)
{
    Store *store = deletion->store;

    for (guint i = 0; i < store->volumes->len; i++) {
        const Volume *volume = g_ptr_array_index(store->volumes, i);
        bool ours;

        if (volume->id == keep || volume->id == keep_too)
            continue;
        if (!is_ours(store, volume, &ours, error) || (ours && !remove_from(deletion, volume, error)))
            return false;
    }
    return remove_calendar_cache(store, deletion->mailbox, error);
}

/* Nothing of the id may be left, in any table or on any volume of its own. */
static bool assert_gone(Store *store, uint32_t mailbox_id, unsigned group, GError **error)
{
    g_autofree char *table = NULL;
    uint64_t rows, files, bytes;

    if (!rows_exist(store->control, group, mailbox_id, &rows, &table, error))
        return false;
    if (rows > 0)
        return fail(error, ZX_ERROR_FAILED, "%s: table %s still has rows of mailbox %u",
                    store->name, table, mailbox_id);
    for (guint i = 0; i < store->volumes->len; i++) {
        const Volume *volume = g_ptr_array_index(store->volumes, i);
        bool ours;

        if (!is_ours(store, volume, &ours, error))
            return false;
        if (!ours)
            continue;
        if (!peer_mailbox_usage(store->peer, volume->id, mailbox_id, &files, &bytes, error))
            return false;
        if (files > 0)
            return fail(error, ZX_ERROR_FAILED, "%s: volume %s still has files of mailbox %u",
                        store->name, volume->name, mailbox_id);
    }
    return true;
}

bool delete_unchanged(Store *store, uint32_t mailbox_id, unsigned group, const char *fingerprints,
                      GError **error)
{
    g_autofree char *sums = rows_fingerprints_alone(store->data, group, mailbox_id, error);

    if (sums == NULL)
        return false;
    return strcmp(sums, fingerprints) == 0 ||
           fail(error, ZX_ERROR_REFUSED,
                "the old copy %u on %s was written to after it moved away: it may hold the only copy"
                " of a message, and is kept",
                mailbox_id, store->name);
}

bool delete_behind(Deletion *deletion, GError **error)
{
    Store *store = deletion->store;
    uint64_t rows;

    return rows_remove(store->control, deletion->group, deletion->mailbox, &deletion->claim->wait,
                       &rows, error) &&
           failpoint("purge:rows", error) && remove_files(deletion, 0, 0, error) &&
           assert_gone(store, deletion->mailbox, deletion->group, error);
}

bool delete_remains(Deletion *deletion, unsigned blobs, unsigned index, GError **error)
{
    return rows_remove_uncopied(deletion->store->control, deletion->group, deletion->mailbox,
                                &deletion->claim->wait, error) &&
           remove_files(deletion, blobs, index, error);
}

/* The request would reach the live mailbox if this store were home: asked of the master, last
 * thing before every single one. */
static bool is_not_home(Operation *op, const Store *store, const char *account_id, GError **error)
{
    g_autoptr(Account) now = directory_account(op->directory, account_id, error);

    if (now == NULL)
        return false;
    if (now->mail_host == NULL)
        return fail(error, ZX_ERROR_CHANGED, "%s has no home any more", now->address);
    if (account_lives_on(now, store->name))
        return fail(error, ZX_ERROR_CHANGED, "%s lives on %s: its mailbox there is not an old copy",
                    now->address, store->name);
    return true;
}

/* What became of a deletion that was not answered as it should. One without the lock-out's `end`
 * before it may still land, on whatever is the account's mailbox there by then: it is waited for
 * as long as the server may work on it. A batch that comes late finds no lock and stops at that. */
static Probe look_after(const Claim *claim, Store *store, bool locked, SoapOutcome outcome,
                        int64_t sent)
{
    int64_t until = sent + (int64_t)(store->lock_timeout_s + GRACE_S) * G_USEC_PER_SEC;

    for (;;) {
        Probe probe = admin_probe(store->soap, claim->account_id, &claim->wait, NULL);
        bool over = outcome == SOAP_ANSWER || outcome == SOAP_FAULT || locked;

        if (probe == PROBE_UNMAPPED || (over && probe != PROBE_UNKNOWN) ||
            g_get_monotonic_time() > until)
            return probe;
        wait_pause(&claim->wait, 500);
    }
}

/* Unlocked and in memory it would live on beside the real one, without any host check. */
static void lock_again(const Claim *claim, Store *store)
{
    GError *problem = NULL;

    switch (admin_lockout(store->soap, claim->account_id, true, &claim->wait, &problem)) {
    case LOCKOUT_DONE:
    case LOCKOUT_ALREADY:
        return;
    case LOCKOUT_NONE:
    case LOCKOUT_REFUSED:
    case LOCKOUT_UNKNOWN:
        break;
    }
    log_error("%s: the old copy could not be locked again: %s", store->name,
              problem != NULL ? problem->message : "no lock");
    g_clear_error(&problem);
}

/* The request names an account and not a mailbox (6.4): after anything but the one right answer,
 * the probe says how far it got. True when the server says it deleted exactly this id, or no longer
 * knows it. */
static bool delete_in_memory(Operation *op, const Claim *claim, Store *store,
                             uint32_t mailbox_id, bool locked, GError **error)
{
    bool lock_opened = false;

    for (int i = 0;; i++) {
        g_autoptr(GError) problem = NULL;
        uint32_t deleted = 0;
        int64_t sent = g_get_monotonic_time();
        SoapOutcome outcome;
        Probe probe;

        if (!failpoint(i > 0 ? "delete:again" : "delete:ask", &problem) ||
            !is_not_home(op, store, claim->account_id, &problem)) {
            /* Of a live mailbox, which it is by the directory, nobody takes the use. */
            if (lock_opened && error_code(problem) != ZX_ERROR_CHANGED)
                lock_again(claim, store);
            g_propagate_error(error, g_steal_pointer(&problem));
            return false;
        }
        outcome = admin_delete_mailbox(store->soap, claim->account_id, locked, &claim->wait,
                                       &deleted, &problem);
        if (outcome == SOAP_ANSWER && deleted == mailbox_id)
            return true;
        if (outcome == SOAP_ANSWER && deleted != 0)
            return fail(error, ZX_ERROR_FAILED, "%s deleted mailbox %u where %u was meant",
                        store->name, deleted, mailbox_id);
        if (outcome == SOAP_ANSWER)
            fail(&problem, ZX_ERROR_FAILED, "%s deleted nothing", store->name);
        log_warning("%s", problem->message);
        probe = look_after(claim, store, locked, outcome, sent);
        if (probe == PROBE_UNMAPPED)
            return true;
        /* The lock went and the mailbox did not: at once again, without `end`. */
        if (probe == PROBE_CACHED && locked) {
            lock_opened = true;
            locked = false;
        } else if (outcome == SOAP_FAULT || probe == PROBE_WRONG_HOST ||
                   probe == PROBE_NO_SUCH_MBOX)
            i = DELETE_TRIES;
        if (i < DELETE_TRIES)
            continue;
        if (lock_opened && probe != PROBE_LOCKED)
            lock_again(claim, store);
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
}

static bool any_shared(const Store *store)
{
    for (guint i = 0; i < store->volumes->len; i++)
        if (((const Volume *)g_ptr_array_index(store->volumes, i))->sharing == VOLUME_SHARED)
            return true;
    return false;
}

bool delete_allowed(const Store *store, uint32_t mailbox_id, GError **error)
{
    if (!any_shared(store))
        return true;
    return fail(error, ZX_ERROR_REFUSED,
                "mailboxd of %s has the old copy %u in memory, and would delete files of volumes"
                " that another store has as well: restart mailboxd there, then run the command"
                " again",
                store->name, mailbox_id);
}

bool delete_through_mailboxd(Deletion *deletion, bool locked, GError **error)
{
    /* `watch` and the calendar cache are what mailboxd leaves behind. */
    return delete_allowed(deletion->store, deletion->mailbox, error) &&
           delete_in_memory(deletion->op, deletion->claim, deletion->store, deletion->mailbox,
                            locked, error) &&
           delete_behind(deletion, error);
}
