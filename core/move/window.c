/* window.c - the user is out from here on: record, maintenance, lock-out, last differences, proof
 * (doc/platform.md 9.6, steps 4 to 7). Everything is open and warm before it begins; every failure
 * leads to undo.c. */
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/move/ahead.h"
#include "core/move/move.h"
#include <string.h>

#define LOCK_RETRIES 3

#define REPLICAS_MS 10000 /* how long LDAP servers may lag before the window is opened */

/* Nothing between here and the plan is taken on trust: home, transport, status and mailbox are read
 * again. */
static bool look_again(Move *move, GError **error)
{
    g_autoptr(Account) now = directory_account(move->op->directory, move->account->id, error);
    uint32_t mailbox;

    if (now == NULL)
        return false;
    if (!account_lives_on(now, move->source->name))
        return fail(error, ZX_ERROR_CHANGED, "%s lives on %s now, not on %s", now->address,
                    account_home(now), move->source->name);
    if (!account_transport_matches(now, move->source->name))
        return fail(error, ZX_ERROR_REFUSED, "%s: its transport became %s", now->address,
                    now->transport);
    if (account_domain_blocks(now))
        return fail(error, ZX_ERROR_REFUSED, "domain %s became %s", now->domain,
                    now->domain_status);
    if (!mailbox_row_find(move->source->control, now->id, &mailbox, NULL, NULL, error))
        return false;
    if (mailbox != move->source_mailbox)
        return fail(error, ZX_ERROR_CHANGED, "%s: a mailbox appeared on %s meanwhile", now->address,
                    move->source->name);
    account_free(move->account);
    move->account = g_steal_pointer(&now);
    return true;
}

/* The LDAP servers both stores ask: asked now, so that the window finds the connections open, and
 * that one which lags keeps nobody out. */
static bool warm_ldap(Move *move, GError **error)
{
    Wait wait = wait_within(&move->wait, REPLICAS_MS);

    return caches_replicas_in_step(move, move->source, &wait, error) &&
           caches_replicas_in_step(move, move->target, &wait, error);
}

/* What was found out ahead counts if the records are still those. */
static bool still_ahead(Move *move, GError **error)
{
    BlobsJob job;

    move->ahead_holds = false;
    if (move->ahead == NULL)
        return true;
    job = copy_blobs_job(move, true);
    return ahead_holds(move->ahead, &job, &move->ahead_holds, error);
}

static bool warm(Move *move, GError **error)
{
    return warm_ldap(move, error) && claim_check(&move->claim, error) &&
           db_ping(move->source->data, error) && db_ping(move->target->data, error) &&
           soap_warm(move->source->soap, &move->wait, error) &&
           soap_warm(move->target->soap, &move->wait, error) && still_ahead(move, error);
}

static bool record(Move *move, GError **error)
{
    const Account *account = move->account;

    g_clear_pointer(&move->fence, fence_free);
    move->fence = fence_new(account, move->op->uuid, move->source->name, move->target->name);
    move->fence->status_touched =
        account_status_may_change(account) && strcmp(account->status, "maintenance") != 0;
    move->fence->source_mailbox = move->source_mailbox;
    move->fence->destination_mailbox = move->target_mailbox;
    return fence_begin(move->fence, move->source, move->target, error);
}

static bool set_maintenance(Move *move, GError **error)
{
    const char *mail_status = move->fence->mail_status != NULL ? move->fence->mail_status : "";
    /* zimbraMailStatus always goes along: alone, a status re-enables delivery (6.6). */
    const char *const pairs[] = { "zimbraAccountStatus", "maintenance", "zimbraMailStatus",
                                  mail_status, NULL };

    SoapOutcome outcome;

    if (!move->fence->status_touched)
        return true;
    if (!failpoint("fence:maintenance", error))
        return false;
    move->status_written = true;
    outcome = admin_modify(move->source->soap, move->account->id, pairs, &move->wait, error);
    if (outcome == SOAP_UNKNOWN)
        move->status_doubt_until = g_get_monotonic_time() + STATUS_GRACE_US;
    return outcome == SOAP_ANSWER && failpoint("fence:status", error);
}

static bool flush_both(Move *move, GError **error)
{
    const char *status = move->fence->status_touched ? "maintenance" : NULL;
    Wait wait = wait_within(&move->wait, 10000);

    return caches_flush_store(move, move->source, status, move->source->name, &wait, error) &&
           caches_flush_store(move, move->target, status, move->source->name, &wait, error);
}

/* After the commit a source that has not got the object in memory cannot load it any more: nobody
 * can write there. */
static bool is_out_of_reach(Move *move)
{
    g_autofree char *why = NULL;

    return move->committed &&
           admin_probe(move->source->soap, move->account->id, &move->claim.wait, &why) ==
               PROBE_WRONG_HOST;
}

/* Waits for the answer whatever the user or the clock say: an abandoned start locks the mailbox
 * later (5.2). */
static Lockout send_start(Move *move, GError **error)
{
    int64_t patience_s = move->source->lock_timeout_s + LOCK_GRACE_S;
    int64_t until = g_get_monotonic_time() + patience_s * G_USEC_PER_SEC;
    Wait wait = wait_through(&move->wait, patience_s * 1000);
    Lockout outcome = admin_lockout(move->source->soap, move->account->id, true, &wait, error);

    if (outcome == LOCKOUT_UNKNOWN)
        move->lock_doubt_until = until;
    return outcome;
}

bool lock_out(Move *move, GError **error)
{
    if (!late_read(move, error) || !claim_check(&move->claim, error) ||
        !fence_mark(move->source, move->fence, FENCE_LOCK_TRIED, error) ||
        !failpoint("fence:lock", error))
        return false;
    move->lock_tried = true;
    switch (send_start(move, error)) {
    case LOCKOUT_DONE:
        move->lock_ours = true;
        return fence_mark(move->source, move->fence, FENCE_LOCKED, error) &&
               failpoint("fence:locked", error) && late_read(move, error);
    case LOCKOUT_ALREADY:
        move->lock_tried = false;
        if (move->committed) /* ours of an earlier try; and whose it is matters no more */
            return late_read(move, error);
        return fail(error, ZX_ERROR_CHANGED,
                    "%s: the mailbox of %s is locked out by somebody else (zmmailboxmove?"
                    " maintenance?); zmprov can end it: LockoutMailbox end",
                    move->source->name, move->account->address);
    case LOCKOUT_REFUSED:
        move->lock_tried = false;
        if (!is_out_of_reach(move))
            return false;
        g_clear_error(error);
        return true;
    case LOCKOUT_NONE:
    case LOCKOUT_UNKNOWN:
        break;
    }
    return false;
}

bool fence_apply(Move *move, GError **error)
{
    int64_t since;

    if (!look_again(move, error) || !warm(move, error) || !record(move, error) ||
        !failpoint("fence:recorded", error) || !claim_check(&move->claim, error))
        return false;
    turn_begin(move);
    since = move->window_began = g_get_monotonic_time();
    if (!set_maintenance(move, error))
        return false;
    move_timed(move, "maintenance", since);
    since = g_get_monotonic_time();
    if (!flush_both(move, error))
        return false;
    move_timed(move, "flush", since);
    since = g_get_monotonic_time();
    /* Without a mailbox there is nothing to lock: `start` would create one. */
    if (move->source_mailbox != 0 && !lock_out(move, error))
        return false;
    if (!caches_drop_mailboxd_keys(move, error))
        return false;
    move_timed(move, "lock-out", since);
    return true;
}

static bool index_differences(Move *move, GError **error)
{
    IndexJob job = copy_index_job(move, true);
    IndexCount count = { 0 };
    bool stable = false;

    if (fit_index(move->source, move->target) &&
        !index_sync(&job, move->op->conf->index_settle_ms, &stable, NULL, &count, error))
        return false;
    if (stable)
        return true;
    /* Left out rather than copied half: a partial index makes every search fail (4). */
    move->fence->reindex = true;
    move_note(move,
              "the search index did not hold still, or is of another kind, and is rebuilt on %s: "
              "search is complete only "
              "when that"
              " is done (zmprov rim %s status)",
              move->target->name, move->account->address);
    return peer_index_remove(move->target->peer, move->index_volume, move->target_mailbox, error) &&
           fence_mark(move->source, move->fence, FENCE_REINDEX, error) &&
           fence_mark(move->target, move->fence, FENCE_REINDEX, error);
}

static bool rows_differences(Move *move, BlobRows **blob_rows, GError **error)
{
    RowsMap map = copy_rows_map(move);
    RowsCount count = { 0 };

    if (!rows_sync(move->catalogue, move->source->data, move->target->data, &map, true, NULL, NULL,
                   NULL, &count, blob_rows, error))
        return false;
    move->result->rows = count.rows + 1; /* and the zimbra.mailbox row */
    move->result->rows_window = count.inserted + count.deleted;
    return true;
}

/* Once: with the first blob that is recorded the records are not those any more. */
static bool compare_blobs(Move *move, const BlobsJob *job, const BlobRows *rows, ManifestDiff *diff,
                          GError **error)
{
    g_autoptr(Ahead) ahead = g_steal_pointer(&move->ahead);

    if (ahead != NULL && move->ahead_holds)
        return ahead_compare(ahead, job, rows, diff, error);
    log_debug("blobs: all are compared");
    return manifest_compare(job, NULL, diff, error);
}

static bool blob_differences(Move *move, const BlobRows *rows, GError **error)
{
    BlobsJob job = copy_blobs_job(move, true);
    BlobsCount count = { 0 };
    ManifestDiff diff;
    bool ok = compare_blobs(move, &job, rows, &diff, error);

    job.found = &diff;
    ok = ok && blobs_sync(&job, NULL, NULL, NULL, move->trouble, &count, error);
    manifest_diff_clear(&diff);
    if (!ok)
        return false;
    move->result->blobs = move->blob_count = count.blobs;
    move->result->bytes = move->blob_bytes = count.bytes;
    move->result->blobs_copied += count.copied;
    move->result->bytes_copied += count.copied_bytes;
    move->blobs_proved = count.proved;
    return true;
}

/* The destination looks for orphans while the source is asked: from here to the proof its connection
 * for data is busy. */
static bool ask_for_orphans(Move *move, GError **error)
{
    move->orphans_asked =
        rows_orphans_send(move->target->data, move->target_group, move->target_mailbox, error);
    return move->orphans_asked;
}

static bool hear_of_orphans(Move *move, uint64_t *orphans, GError **error)
{
    move->orphans_asked = false;
    return rows_orphans_receive(move->target->data, move->target_group, move->target_mailbox, orphans,
                                error);
}

void delta_abandon(Move *move)
{
    move->orphans_asked = false;
    db_discard(move->target->data);
}

/* What is left when rows and blobs are as they have to be. */
static bool write_mailbox_row(Move *move, GError **error)
{
    return rows_maxima(move->source->data, move->source_group, move->source_mailbox, &move->proven,
                       error) &&
           mailbox_row_write(move, error) && store_durable(move->target, error);
}

bool delta_apply(Move *move, GError **error)
{
    int64_t since = g_get_monotonic_time();
    g_autoptr(BlobRows) blob_rows = NULL;

    if (move->source_mailbox == 0)
        return true;
    delta_abandon(move);
    db_rollback(move->source->data);
    if (!db_begin(move->source->data, true, error) || !rows_differences(move, &blob_rows, error))
        return false;
    move_timed(move, "rows", since);
    since = g_get_monotonic_time();
    if (!blob_differences(move, blob_rows, error))
        return false;
    move_timed(move, "blobs", since);
    since = g_get_monotonic_time();
    if (!items_record(move, error) || !ask_for_orphans(move, error))
        return false;
    if (!index_differences(move, error)) {
        delta_abandon(move);
        return false;
    }
    move_timed(move, "index", since);
    since = g_get_monotonic_time();
    if (!write_mailbox_row(move, error)) {
        delta_abandon(move);
        return false;
    }
    move_timed(move, "mailbox row, durable", since);
    return true;
}

/* Of the snapshot; the tables were proven by the last delta. */
static bool content_is_equal(Move *move, GError **error)
{
    BlobsJob job = copy_blobs_job(move, true);
    g_autofree char *difference = NULL;
    bool equal = false;

    if (!mailbox_row_prove(move, &equal, &difference, error))
        return false;
    if (equal && !move->blobs_proved &&
        !blobs_proved(&job, move->trouble, &equal, &difference, error))
        return false;
    if (!equal)
        return fail(error, ZX_ERROR_DATA, "the copy on %s is not proven equal: %s",
                    move->target->name, difference);
    return items_gate(move, error);
}

/* Orphans the source has as well came with it; ours would be more than those. */
static bool no_orphans_of_ours(Move *move, uint64_t orphans, GError **error)
{
    uint64_t here = 0;

    if (orphans > 0 &&
        !rows_orphans(move->source->data, move->source_group, move->source_mailbox, &here, error))
        return false;
    return orphans <= here ||
           fail(error, ZX_ERROR_DATA,
                "the copy on %s has %" G_GUINT64_FORMAT " rows that point nowhere",
                move->target->name, orphans - here);
}

/* A second start must find the lock. *held = false: it had been lost, and is taken anew. */
static bool lock_holds(Move *move, bool *held, GError **error)
{
    if (!fence_mark_quickly(move->source, move->fence, FENCE_LOCK_TRIED, error) ||
        !failpoint("prove:lock", error))
        return false;
    switch (send_start(move, error)) {
    case LOCKOUT_ALREADY:
        *held = true;
        return true;
    case LOCKOUT_DONE:
        log_warning("the lock-out on %s had been lost (mailboxd restarted?) and was taken anew",
                    move->source->name);
        *held = false;
        return fence_mark_quickly(move->source, move->fence, FENCE_LOCKED, error);
    case LOCKOUT_REFUSED:
        *held = is_out_of_reach(move);
        if (*held)
            g_clear_error(error);
        return *held;
    case LOCKOUT_NONE:
    case LOCKOUT_UNKNOWN:
        break;
    }
    return false;
}

/* The old copy's record is judged by this, also by a recovery long after. */
static bool note_proven(Move *move, GError **error)
{
    g_autofree char *text = maxima_text(&move->proven);

    return fence_note_proven(move->source, move->fence, text, error);
}

/* *held: the lock was there, and nothing changed under it since it was taken. */
static bool source_holds_still(Move *move, bool *held, GError **error)
{
    RowsMaxima now;

    db_rollback(move->source->data); /* ends the snapshot: what follows reads the present */
    if (!lock_holds(move, held, error) ||
        !rows_maxima(move->source->data, move->source_group, move->source_mailbox, &now, error))
        return false;
    *held = *held && maxima_equal(&now, &move->proven);
    return true;
}

/* Orphans are asked for again where the delta's question was answered too early, or never asked. */
static bool prove_once(Move *move, bool *held, GError **error)
{
    uint64_t orphans = 0;
    bool asked;

    if (!move->blobs_proved)
        delta_abandon(move); /* the connection is needed */
    if (!content_is_equal(move, error)) {
        delta_abandon(move);
        return false;
    }
    if (!move->orphans_asked && !ask_for_orphans(move, error))
        return false;
    asked = source_holds_still(move, held, error);
    return hear_of_orphans(move, &orphans, asked ? error : NULL) && asked &&
           no_orphans_of_ours(move, orphans, error);
}

bool prove_content(Move *move, GError **error)
{
    bool held = false;

    if (move->source_mailbox == 0)
        return appeared_not_yet(move, error);
    for (int i = 0; i < LOCK_RETRIES; i++) {
        if (!prove_once(move, &held, error))
            return false;
        if (held)
            return note_proven(move, error);
        if (!caches_drop_mailboxd_keys(move, error) || !delta_apply(move, error))
            return false;
    }
    return fail(error, ZX_ERROR_CHANGED,
                "the mailbox on %s changes although it is locked out: is a blob mover (HSM,"
                " dedupe) at work? Stop it and try again",
                move->source->name);
}

bool prove_apply(Move *move, GError **error)
{
    int64_t since = g_get_monotonic_time();

    if (!prove_content(move, error) || !claim_check(&move->claim, error) ||
        !fence_advance(move->source, move->fence, FENCE_FENCED, FENCE_PROVEN, error) ||
        !fence_advance(move->target, move->fence, FENCE_FENCED, FENCE_PROVEN, error))
        return false;
    move->fence->state = FENCE_PROVEN;
    move_timed(move, "proof", since);
    return true;
}
