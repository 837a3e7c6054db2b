/* space.c - does what is still to come fit? Asked before each mailbox: bytes of blobs not yet
 * staged, of the index, and an estimate of rows, each on the disk it goes to; what shares a file
 * system is added up (hazard 59).
 *
 * What the other mailboxes in flight have not written yet counts like what is written: those of
 * this operation exactly, those of others by what they say in zxmove.coming on the destination, while
 * their claims live. Who is let in says so there before the next one is: operations are let in one
 * after the other, under a lock of that database. A mailbox that fits only without the others waits
 * until they have written it, or need it no more: only then is it known. */
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/move/move.h"
#include <string.h>

/* What a row of mail_item and those that hang on it take in InnoDB with their indexes: 2,530 bytes
 * were measured on a seeded mailbox of 20,000 messages. */
#define BYTES_PER_ITEM 4096

#define LOOK_MS 1000
#define TELL_US G_USEC_PER_SEC /* how often others are told how much is written */
#define LOCK    "zxmove.space"

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

/* What an older copy there has is linked, or used as it lies. */
static bool blobs_need(Move *move, Disk *disk, GError **error)
{
    BlobsJob job = copy_blobs_job(move, false);
    OlderCopy copy = { .group = move->old_group,
                       .mailbox = move->old_mailbox,
                       .volumes = move->target->volumes };
    uint64_t blobs, there = 0;

    if (!blobs_missing(&job, &blobs, &disk->need, error) ||
        (copy.mailbox != 0 && !blobs_in_older_copy(&job, &copy, &blobs, &there, error)))
        return false;
    disk->need -= MIN(there, disk->need);
    return true;
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

/* Adds the same of other operations. */
static bool coming_of_operations(const Move *move, GArray *found, GError **error)
{
    g_autoptr(Rows) rows = db_query(
        move->target->control, error,
        "SELECT c.device, c.bytes FROM zxmove.coming c JOIN zxmove.claim k"
        " ON k.account_id = c.account_id AND k.operation = c.operation"
        " WHERE c.operation <> ? AND k.expires > UTC_TIMESTAMP(3)",
        DB_ARGS(db_text(move->op->uuid)));

    for (unsigned i = 0; rows != NULL && i < rows_count(rows); i++) {
        Coming coming = { .device = rows_u64(rows, i, 0), .bytes = rows_u64(rows, i, 1) };

        g_array_append_val(found, coming);
    }
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

/* With mutex and lock. First what others will write, then what is free: what they write in between
 * counts twice, and not never. */
static Fit judge(Move *move, Disk disks[COMING], GError **error)
{
    g_autoptr(GArray) others = coming_of_others(move);
    Fit worst = FITS;

    for (int i = 0; i < COMING; i++)
        disks[i].others = 0;
    if (!coming_of_operations(move, others, error) || !look_at_disks(move, disks, error))
        return FITS_NOT;
    add_others(disks, others);
    for (int i = 0; i < COMING && worst != FITS_NOT; i++)
        worst = MAX(worst, fits(move, disks, i, error));
    return worst;
}

/* Other operations are told what is still to come, one row a file system. */
static bool tell(Move *move, GError **error)
{
    for (int i = 0; i < COMING; i++) {
        const uint64_t device = move->coming[i].device;
        uint64_t bytes = 0;

        for (int k = 0; k < COMING; k++)
            bytes += move->coming[k].device == device ? still_coming(&move->coming[k]) : 0;
        if (!db_exec(move->target->control, NULL, error,
                     "REPLACE INTO zxmove.coming (account_id, operation, device, bytes)"
                     " VALUES (?, ?, ?, ?)",
                     DB_ARGS(db_text(move->account->id), db_text(move->op->uuid), db_u64(device),
                             db_u64(bytes))))
            return false;
    }
    move->coming_told = g_get_monotonic_time();
    return true;
}

/* Whoever is not told only waits for longer. */
static void tell_if_possible(Move *move)
{
    GError *problem = NULL;

    if (move->coming_told == 0 || tell(move, &problem))
        return;
    log_debug("%s", problem->message);
    g_error_free(problem);
}

/* With the mutex: lets it in, or says why not. */
static Fit enter_locked(Move *move, Disk disks[COMING], GError **error)
{
    Fit fit = judge(move, disks, error);

    if (fit != FITS)
        return fit;
    for (int i = 0; i < COMING; i++)
        move->coming[i] = (Coming){ .device = disks[i].space.device, .bytes = disks[i].need };
    if (!tell(move, error))
        return FITS_NOT;
    g_ptr_array_add(move->op->common->coming, move);
    return FITS;
}

/* One mailbox after the other, whoever moves it. */
static Fit enter(Move *move, Disk disks[COMING], GError **error)
{
    Db *db = move->target->control;
    Common *common = move->op->common;
    g_autoptr(Rows) got = NULL;
    Fit fit = FITS_NOT;

    g_mutex_lock(&common->space_mutex);
    got = db_query_one(db, error, "SELECT GET_LOCK('" LOCK "', ?)",
                       DB_ARGS(db_u64(MAX(move->op->conf->net_timeout_s / 2, 1))));
    if (got != NULL && rows_u64(got, 0, 0) != 1)
        fail(error, ZX_ERROR_BUSY, "%s: others are asking for space for too long",
             move->target->name);
    else if (got != NULL)
        fit = enter_locked(move, disks, error);
    if (got != NULL)
        rows_free(db_query(db, NULL, "SELECT RELEASE_LOCK('" LOCK "')", DB_NONE));
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
    return fit == FITS && failpoint("space:fits", error);
}

void space_written(Move *move, int kind, uint64_t bytes)
{
    __atomic_store_n(&move->coming[kind].written, bytes, __ATOMIC_RELAXED);
    if (g_get_monotonic_time() - move->coming_told > TELL_US)
        tell_if_possible(move);
}

void space_arrived(Move *move, int kind)
{
    __atomic_store_n(&move->coming[kind].written, move->coming[kind].bytes, __ATOMIC_RELAXED);
    tell_if_possible(move);
}

void space_forget(Move *move)
{
    Common *common = move->op->common;
    GError *problem = NULL;

    g_mutex_lock(&common->space_mutex);
    g_ptr_array_remove(common->coming, move);
    g_mutex_unlock(&common->space_mutex);
    if (move->coming_told == 0)
        return;
    move->coming_told = 0;
    /* Without its claim it counts for nobody. */
    if (!db_exec(move->target->control, NULL, &problem,
                 "DELETE FROM zxmove.coming WHERE account_id = ?",
                 DB_ARGS(db_text(move->account->id)))) {
        log_debug("%s", problem->message);
        g_error_free(problem);
    }
}
