/* space.c - does what is still to come fit? Asked before each mailbox: bytes of blobs not yet
 * staged, of the index, and an estimate of rows, each on the disk it goes to; what shares a file
 * system is added up (hazard 59).
 *
 * What the other mailboxes in flight have not written yet counts like what is written: those of
 * this operation exactly, blobs of other operations by what their rows show. A mailbox that fits
 * only without them waits until they have written it, or need it no more: only then is it known. */
#include "core/base/log.h"
#include "core/move/move.h"
#include "core/ops/board.h"
#include <string.h>

/* What a row of mail_item and those that hang on it take in InnoDB with their indexes: 2,530 bytes
 * were measured on a seeded mailbox of 20,000 messages. */
#define BYTES_PER_ITEM 4096

#define LOOK_MS 1000

typedef struct Disk {
    const char *what;
    PeerSpace space;
    uint64_t need, others; /* of this mailbox; of others in flight */
} Disk;

static bool index_bytes(Peer *peer, unsigned volume, uint32_t mailbox, uint64_t *bytes,
                        GError **error)
{
    g_autoptr(GPtrArray) files = peer_index_list(peer, volume, mailbox, error);

    *bytes = 0;
    for (guint i = 0; files != NULL && i < files->len; i++)
        *bytes += ((const IndexFile *)g_ptr_array_index(files, i))->size;
    return files != NULL;
}

static bool blobs_need(Move *move, Disk *disk, GError **error)
{
    BlobsJob job = copy_blobs_job(move, false);
    uint64_t blobs;

    return blobs_missing(&job, &blobs, &disk->need, error);
}

bool space_of_index(const SpaceMailbox *source, const SpaceMailbox *target, uint64_t *bytes,
                    GError **error)
{
    uint64_t here, there = 0;

    if (!index_bytes(source->store->peer, source->index_volume, source->mailbox, &here, error) ||
        (target->mailbox != 0 &&
         !index_bytes(target->store->peer, target->index_volume, target->mailbox, &there, error)))
        return false;
    *bytes = here > there ? here - there : 0;
    return true;
}

static bool items(Db *db, unsigned group, uint32_t mailbox, uint64_t *count, GError **error)
{
    g_autofree char *table = g_strdup_printf("mboxgroup%u.mail_item", group);
    g_autoptr(Rows) rows = db_query_one(db, error, "SELECT COUNT(*) FROM ? WHERE mailbox_id = ?",
                                        DB_ARGS(db_sql(table), db_u64(mailbox)));

    if (rows != NULL)
        *count = rows_u64(rows, 0, 0);
    return rows != NULL;
}

bool space_of_rows(const SpaceMailbox *source, const SpaceMailbox *target, uint64_t *bytes,
                   GError **error)
{
    uint64_t here, there = 0;

    if (!items(source->store->control, source->group, source->mailbox, &here, error) ||
        (target->mailbox != 0 &&
         !items(target->store->control, target->group, target->mailbox, &there, error)))
        return false;
    *bytes = here > there ? (here - there) * BYTES_PER_ITEM : 0;
    return true;
}

bool space_database(Store *store, PeerSpace *out, GError **error)
{
    g_autoptr(Rows) directory = db_query_one(store->control, error, "SELECT @@datadir", DB_NONE);

    return directory != NULL &&
           peer_space_path(store->peer, rows_text(directory, 0, 0), out, error);
}

static bool rest_need(Move *move, Disk *index, Disk *rows, GError **error)
{
    SpaceMailbox source = { move->source, move->source_mailbox, move->source_group,
                            move->source_index_volume };
    SpaceMailbox target = { move->target, move->target_mailbox, move->target_group,
                            move->index_volume };

    return space_of_index(&source, &target, &index->need, error) &&
           space_of_rows(&source, &target, &rows->need, error);
}

static uint64_t still_coming(const Coming *coming)
{
    uint64_t written = __atomic_load_n(&coming->written, __ATOMIC_RELAXED);

    return coming->bytes > written ? coming->bytes - written : 0;
}

/* With the mutex. What the others on this store will write, as it is now: of Coming. */
static GArray *coming_of_others(const Move *move)
{
    const GPtrArray *all = move->op->common->coming;
    GArray *found = g_array_new(FALSE, FALSE, sizeof(Coming));

    for (guint i = 0; i < all->len; i++) {
        const Move *other = g_ptr_array_index(all, i);

        for (int kind = 0; kind < COMING && strcmp(other->target->name, move->target->name) == 0;
             kind++) {
            Coming coming = { .device = other->coming[kind].device,
                              .bytes = still_coming(&other->coming[kind]) };

            g_array_append_val(found, coming);
        }
    }
    return found;
}

/* The same of blobs of other operations. Where they put them their rows do not say: where most do,
 * on the current volume. */
static bool coming_of_operations(const Move *move, uint64_t *bytes, GError **error)
{
    const Store *store = move->target;
    g_autoptr(Rows) rows = NULL;

    *bytes = 0;
    if (move->blob_volume->id != store->current.message)
        return true;
    rows = db_query(store->control, error,
                    "SELECT progress FROM zxmove.operation WHERE uuid <> ? AND ended IS NULL"
                    " AND state = 'running' AND heartbeat > UTC_TIMESTAMP(3) - INTERVAL 5 SECOND",
                    DB_ARGS(db_text(move->op->uuid)));
    for (unsigned i = 0; rows != NULL && i < rows_count(rows); i++)
        *bytes += board_coming(rows_text(rows, i, 0));
    return rows != NULL;
}

static bool look_at_disks(Move *move, Disk disks[COMING], GError **error)
{
    return peer_space(move->target->peer, move->blob_volume->id, &disks[COMING_BLOBS].space,
                      error) &&
           peer_space(move->target->peer, move->index_volume, &disks[COMING_INDEX].space, error) &&
           space_database(move->target, &disks[COMING_ROWS].space, error);
}

static void add_others(Disk disks[COMING], const GArray *others)
{
    for (guint i = 0; i < others->len; i++) {
        const Coming *coming = &g_array_index(others, Coming, i);

        for (int kind = 0; kind < COMING; kind++)
            if (disks[kind].space.device == coming->device) {
                disks[kind].others += coming->bytes;
                break; /* what shares a file system is added up */
            }
    }
}

typedef enum Fit { FITS, FITS_ALONE, FITS_NOT } Fit;

/* FITS_NOT with an error. */
static Fit fits(const Move *move, const Disk disks[COMING], int i, GError **error)
{
    const Disk *disk = &disks[i];
    uint64_t keep = disk->space.total_bytes / 100 * move->op->conf->min_free_percent;
    uint64_t need = 0, others = 0;
    g_autofree char *needed = NULL, *available = NULL;

    for (int other = 0; other < COMING; other++)
        if (disks[other].space.device == disk->space.device) {
            need += disks[other].need;
            others += disks[other].others;
        }
    if (need == 0 || need + others + keep <= disk->space.free_bytes)
        return FITS;
    if (need + keep <= disk->space.free_bytes)
        return FITS_ALONE;
    needed = g_format_size_full(need, G_FORMAT_SIZE_IEC_UNITS);
    available = g_format_size_full(disk->space.free_bytes, G_FORMAT_SIZE_IEC_UNITS);
    fail(error, ZX_ERROR_NO_SPACE,
         "%s, %s: %s still to come, %s free, and %u%% must remain (min_free): make room there%s",
         move->target->name, disk->what, needed, available, move->op->conf->min_free_percent,
         i == COMING_BLOBS ? ", or choose another volume with blob_destination_volume" : "");
    return FITS_NOT;
}

/* With the mutex. First what others will write, then what is free: what they write in between
 * counts twice, and not never. */
static Fit judge(Move *move, Disk disks[COMING], GError **error)
{
    g_autoptr(GArray) others = coming_of_others(move);
    Fit worst = FITS;

    for (int i = 0; i < COMING; i++)
        disks[i].others = 0;
    if (!coming_of_operations(move, &disks[COMING_BLOBS].others, error) ||
        !look_at_disks(move, disks, error))
        return FITS_NOT;
    add_others(disks, others);
    for (int i = 0; i < COMING && worst != FITS_NOT; i++)
        worst = MAX(worst, fits(move, disks, i, error));
    return worst;
}

/* Lets it in, or says why not: one mailbox after the other. */
static Fit enter(Move *move, Disk disks[COMING], GError **error)
{
    Common *common = move->op->common;
    Fit fit;

    g_mutex_lock(&common->space_mutex);
    fit = judge(move, disks, error);
    for (int i = 0; i < COMING && fit == FITS; i++)
        move->coming[i] = (Coming){ .device = disks[i].space.device, .bytes = disks[i].need };
    if (fit == FITS)
        g_ptr_array_add(common->coming, move);
    g_mutex_unlock(&common->space_mutex);
    return fit;
}

bool space_check(Move *move, GError **error)
{
    g_autofree char *blobs = g_strdup_printf("volume %s", move->blob_volume->name);
    g_autofree char *index = g_strdup_printf("index volume %u", move->index_volume);
    Disk disks[COMING] = { [COMING_BLOBS] = { .what = blobs },
                           [COMING_INDEX] = { .what = index },
                           [COMING_ROWS] = { .what = "MariaDB's disk" } };
    bool said = false;
    Fit fit;

    if (!blobs_need(move, &disks[COMING_BLOBS], error) ||
        !rest_need(move, &disks[COMING_INDEX], &disks[COMING_ROWS], error))
        return false;
    while ((fit = enter(move, disks, error)) == FITS_ALONE) {
        if (!said) {
            move_state(move, "waiting", "others in flight may need the space there is");
            log_info("waits: with what others in flight will still write it does not fit");
        }
        said = true;
        wait_pause(&move->wait, LOOK_MS);
        if (!wait_check(&move->wait, "waiting for space", error))
            return false;
    }
    if (said && fit == FITS)
        move_state(move, "copy", NULL);
    return fit == FITS;
}

void space_written(Move *move, int kind, uint64_t bytes)
{
    __atomic_store_n(&move->coming[kind].written, bytes, __ATOMIC_RELAXED);
}

void space_arrived(Move *move, int kind)
{
    space_written(move, kind, move->coming[kind].bytes);
}

void space_forget(Move *move)
{
    Common *common = move->op->common;

    g_mutex_lock(&common->space_mutex);
    g_ptr_array_remove(common->coming, move);
    g_mutex_unlock(&common->space_mutex);
}
