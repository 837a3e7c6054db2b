/* copy.c - rounds while the user works: blobs, rows and index under the reserved id, without the
 * zimbra.mailbox row. Every round costs what changed since the one before. Rows are of one moment;
 * blobs, which may take hours, are read without a snapshot, for an open one makes the source keep
 * the history of every mailbox (hazard 40): what changes meanwhile comes in a later round. */
#include "core/base/log.h"
#include "core/move/ahead.h"
#include "core/move/move.h"

/* A round that changed no more than this goes into the window: the window then does as little. */
#define FEW_CHANGES 200
/* At the whole copy before the window, with verify full. */
#define LOOKS 3

static bool proves_by_digest(const MoveRequest *request)
{
    return g_strcmp0(request->verify, "full") == 0 ||
           (g_strcmp0(request->verify, "size") != 0 && request->check_digest);
}

/* From here on it is only finished, whatever becomes of the operation. */
static bool committing(const Move *move)
{
    return move->committed || move->in_doubt ||
           (move->fence != NULL && move->fence->state >= FENCE_COMMITTING);
}

BlobsJob copy_blobs_job(Move *move, bool window)
{
    const MoveRequest *request = move->op->request;
    bool link =
        move->old_copy == OLD_LOCKED || move->old_copy == OLD_ROWS || move->old_copy == OLD_CACHED;

    return (BlobsJob){
        .account_id = move->account->id,
        .source_db = move->source->data,
        .source_now = move->source->control,
        .target_db = move->target->data,
        .source = move->source->peer,
        .target = move->target->peer,
        .source_volumes = move->source->volumes,
        .target_volume = move->blob_volume,
        .source_group = move->source_group,
        .source_mailbox = move->source_mailbox,
        .target_mailbox = move->target_mailbox,
        .link_mailbox = link && !window ? move->old_mailbox : 0,
        .compress = request == NULL || request->compress,
        .digest = request == NULL || proves_by_digest(request),
        .overwrite = request == NULL || request->overwrite,
        .window = window,
        .bad_item_limit = move->bad_item_limit,
        .tally = committing(move) ? NULL : &move->op->common->tally,
        .throttle = window ? NULL : &move->op->common->throttle,
        .first = move->result->rounds == 1,
    };
}

IndexJob copy_index_job(Move *move, bool window)
{
    return (IndexJob){
        .source = move->source->peer,
        .target = move->target->peer,
        .source_volume = move->source_index_volume,
        .target_volume = move->index_volume,
        .source_mailbox = move->source_mailbox,
        .target_mailbox = move->target_mailbox,
        .window = window,
        .throttle = window ? NULL : &move->op->common->throttle,
    };
}

RowsMap copy_rows_map(const Move *move)
{
    return (RowsMap){
        .source_mailbox = move->source_mailbox,
        .target_mailbox = move->target_mailbox,
        .target_blob_volume = move->blob_volume->id,
    };
}

/* Between two pieces of copying. Whoever was held up says again what it does. */
static void rest(Move *move)
{
    if (move->window_began == 0 && move_gate(move))
        move_state(move, "copy", NULL);
}

static void on_blobs(void *data, const BlobsCount *count)
{
    Move *move = data;
    g_autofree char *cause =
        move->window_began == 0 ? throttle_cause(&move->op->common->throttle) : NULL;

    operation_pace(move->op);
    space_written(move, COMING_BLOBS, count->copied_bytes);
    rest(move);
    operation_emit(move->op, &(Event){ .type = EVENT_PROGRESS,
                                       .account = move->account->address,
                                       .text = "blobs",
                                       .cause = cause,
                                       .index = move->index,
                                       .total = move->total,
                                       .done = count->copied,
                                       .expected = count->total_to_copy,
                                       .done_bytes = count->copied_bytes,
                                       .expected_bytes = count->bytes_to_copy });
}

static void on_rows(void *data, const char *table, const RowsCount *count)
{
    Move *move = data;

    /* The window might be waiting for its locks. */
    if (!db_in_transaction(move->target->data))
        turn_stand_aside(move);
    operation_emit(move->op, &(Event){ .type = EVENT_PROGRESS,
                                       .account = move->account->address,
                                       .text = table,
                                       .index = move->index,
                                       .total = move->total,
                                       .done = count->inserted });
}

static bool copy_blobs(Move *move, BlobsCount *blobs, GError **error)
{
    BlobsJob job = copy_blobs_job(move, false);
    int64_t since = g_get_monotonic_time();
    bool copied = blobs_sync(&job, on_blobs, move, &move->wait, move->trouble, blobs, error);

    move_timed(move, "blobs", since);
    return copied;
}

/* Limits hold it back before the snapshot, never in it: while it is open the source keeps the history of
 * every mailbox. */
static bool copy_rows(Move *move, RowsCount *rows, GError **error)
{
    RowsMap map = copy_rows_map(move);
    int64_t since = g_get_monotonic_time();
    bool copied;

    rest(move);
    if (!db_begin(move->source->data, true, error))
        return false;
    copied = rows_sync(move->catalogue, move->source->data, move->target->data, &map, false,
                       on_rows, move, &move->wait, rows, NULL, error);
    db_rollback(move->source->data); /* a snapshot that only read */
    move_timed(move, "rows", since);
    return copied;
}

bool copy_one_round(Move *move, uint64_t *changed, GError **error)
{
    IndexJob index_job = copy_index_job(move, false);
    IndexCount index = { 0 };
    BlobsCount blobs = { 0 };
    RowsCount rows = { 0 };
    bool stable;

    g_clear_pointer(&move->ahead, ahead_free);
    if (!claim_check(&move->claim, error) || !copy_blobs(move, &blobs, error))
        return false;
    space_arrived(move, COMING_BLOBS);
    if (!copy_rows(move, &rows, error))
        return false;
    space_arrived(move, COMING_ROWS);
    rest(move);
    if (!index_sync(&index_job, move->op->conf->index_settle_ms, &stable, &move->wait, &index,
                    error))
        return false;
    space_forget(move);
    if (!stable)
        log_debug("the index did not hold still in this round");
    move->blob_count = blobs.blobs;
    move->blob_bytes = blobs.bytes;
    move->result->blobs = blobs.blobs;
    move->result->bytes = blobs.bytes;
    move->result->blobs_copied += blobs.copied;
    move->result->bytes_copied += blobs.copied_bytes;
    move->result->blobs_linked += blobs.linked;
    move->result->rows = rows.rows;
    *changed = blobs.copied + blobs.linked + blobs.removed + rows.inserted + rows.deleted;
    return true;
}

bool copy_look_ahead(Move *move, GError **error)
{
    BlobsJob job = copy_blobs_job(move, false);
    RowsMap map = copy_rows_map(move);

    g_clear_pointer(&move->ahead, ahead_free);
    move->ahead_holds = false;
    rest(move);
    if (!db_begin(move->source->data, true, error))
        return false;
    move->ahead = ahead_read(move->catalogue, &job, &map, &move->wait, error);
    db_rollback(move->source->data);
    return move->ahead != NULL;
}

static bool begin_rounds(Move *move, GError **error)
{
    const MoveRequest *request = move->op->request;
    BlobsJob job = copy_blobs_job(move, false);

    if (!items_forget(move, error))
        return false;
    return request == NULL || !request->ignore_partial || move->result->rounds > 0 ||
           manifest_doubt(&job, error);
}

/* The last look at what lies there before the window: what is not as it was recorded comes again,
 * and is looked at once more where each blob has to be read. */
static bool look_over(Move *move, GError **error)
{
    const MoveRequest *request = move->op->request;
    BlobsLook look = { .full = request != NULL && g_strcmp0(request->verify, "full") == 0,
                       .damaged = true };

    for (unsigned i = 0; i < LOOKS; i++) {
        BlobsJob job = copy_blobs_job(move, false);
        uint64_t changed;

        if (!blobs_check(&job, &look, &move->wait, error))
            return false;
        if (look.struck == 0)
            return true;
        if (!copy_one_round(move, &changed, error))
            return false;
        if (!look.full)
            return true;
        look.damaged = false;
    }
    return fail(error, ZX_ERROR_DATA,
                "%" G_GUINT64_FORMAT " blobs on %s are read otherwise than they were written, and"
                " again after they were copied anew: is its disk in order?",
                look.struck, move->target->name);
}

bool copy_rounds(Move *move, GError **error)
{
    const Conf *conf = move->op->conf;
    unsigned rounds = 0; /* of this pass: one that is held has made others before */
    uint64_t changed;
    int64_t began;

    if (move->source_mailbox == 0)
        return true;
    if (!mailbox_row_version_fits(move, error))
        return false;
    g_clear_pointer(&move->ahead, ahead_free);
    g_clear_pointer(&move->catalogue, catalogue_free);
    move->catalogue = catalogue_read(move->source->data, move->target->data, move->source_group,
                                     move->target_group, move->source_mailbox, error);
    if (move->catalogue == NULL || !begin_rounds(move, error) || !space_check(move, error))
        return false;
    do {
        rounds++;
        move->result->rounds++;
        began = g_get_monotonic_time();
        if (!copy_one_round(move, &changed, error))
            return false;
        log_info("round %u: %" G_GUINT64_FORMAT " changes in %.1f s", move->result->rounds, changed,
                 (double)(g_get_monotonic_time() - began) / G_USEC_PER_SEC);
    } while (move->window_soon && rounds < conf->max_syncs &&
             (changed > FEW_CHANGES ||
              g_get_monotonic_time() - began > (int64_t)conf->sync_finish_threshold_ms * 1000));
    return (!move->window_soon || (look_over(move, error) && copy_look_ahead(move, error))) &&
           items_gate(move, error);
}
