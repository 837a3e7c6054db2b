/* space.c - does what is still to come fit? Asked before each mailbox: bytes of blobs not yet
 * staged, of the index, and an estimate of rows, each on the disk it goes to; what shares a file
 * system is added up (hazard 59). */
#include "core/move/move.h"

/* What a row of mail_item and those that hang on it take in InnoDB with their indexes: 2,530 bytes
 * were measured on a seeded mailbox of 20,000 messages. */
#define BYTES_PER_ITEM 4096

typedef struct Disk {
    const char *what;
    PeerSpace space;
    uint64_t need;
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

    return blobs_missing(&job, &blobs, &disk->need, error) &&
           peer_space(move->target->peer, move->blob_volume->id, &disk->space, error);
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
           peer_space(move->target->peer, move->index_volume, &index->space, error) &&
           space_of_rows(&source, &target, &rows->need, error) &&
           space_database(move->target, &rows->space, error);
}

static bool fits(const Move *move, const Disk *disks, guint count, guint i, GError **error)
{
    const Disk *disk = &disks[i];
    uint64_t keep = disk->space.total_bytes / 100 * move->op->conf->min_free_percent;
    uint64_t need = 0;
    g_autofree char *needed = NULL, *available = NULL;

    for (guint other = 0; other < count; other++)
        if (disks[other].space.device == disk->space.device)
            need += disks[other].need;
    if (need == 0 || need + keep <= disk->space.free_bytes)
        return true;
    needed = g_format_size_full(need, G_FORMAT_SIZE_IEC_UNITS);
    available = g_format_size_full(disk->space.free_bytes, G_FORMAT_SIZE_IEC_UNITS);
    return fail(
        error, ZX_ERROR_NO_SPACE,
        "%s, %s: %s still to come, %s free, and %u%% must remain (min_free): make room there%s",
        move->target->name, disk->what, needed, available, move->op->conf->min_free_percent,
        i == 0 ? ", or choose another volume with blob_destination_volume" : "");
}

bool space_check(Move *move, GError **error)
{
    g_autofree char *blobs = g_strdup_printf("volume %s", move->blob_volume->name);
    g_autofree char *index = g_strdup_printf("index volume %u", move->index_volume);
    Disk disks[] = { { .what = blobs }, { .what = index }, { .what = "MariaDB's disk" } };

    if (!blobs_need(move, &disks[0], error) || !rest_need(move, &disks[1], &disks[2], error))
        return false;
    for (guint i = 0; i < G_N_ELEMENTS(disks); i++)
        if (!fits(move, disks, G_N_ELEMENTS(disks), i, error))
            return false;
    return true;
}
