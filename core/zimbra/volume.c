/* volume.c - see volume.h. */
#include "core/zimbra/volume.h"
#include <inttypes.h>

enum { VOLUME_MAX = 255, BITS_MAX = 31 };

void volume_free(Volume *volume)
{
    if (volume == NULL)
        return;
    g_free(volume->name);
    g_free(volume->path);
    g_free(volume);
}

const Volume *volumes_find(const GPtrArray *volumes, unsigned id)
{
    for (guint i = 0; i < volumes->len; i++) {
        const Volume *volume = g_ptr_array_index(volumes, i);

        if (volume->id == id)
            return volume;
    }
    return NULL;
}

/* Exactly the decimal text Zimbra writes; "01" or "1@@x" belongs to somebody else. */
bool volume_from_locator(const char *locator, size_t length, unsigned *id)
{
    unsigned number = 0;

    if (locator == NULL || length == 0 || length > 3 || locator[0] == '0')
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!g_ascii_isdigit(locator[i]))
            return false;
        number = number * 10 + (unsigned)(locator[i] - '0');
    }
    if (number > VOLUME_MAX)
        return false;
    *id = number;
    return true;
}

/* The formula of doc/platform.md 3.2. */
static uint32_t directory_of(uint32_t id, unsigned bits, unsigned group_bits)
{
    return (id >> bits) & (((uint32_t)1 << group_bits) - 1);
}

char *volume_mailbox_dir(const Volume *volume, uint32_t mailbox_id)
{
    return g_strdup_printf(
        "%" PRIu32 "/%" PRIu32,
        directory_of(mailbox_id, volume->mailbox_bits, volume->mailbox_group_bits), mailbox_id);
}

char *volume_blob_dir(const Volume *volume, uint32_t mailbox_id, uint32_t item_id)
{
    g_autofree char *mailbox = volume_mailbox_dir(volume, mailbox_id);

    return g_strdup_printf("%s/msg/%" PRIu32, mailbox,
                           directory_of(item_id, volume->file_bits, volume->file_group_bits));
}

char *volume_blob_name(uint32_t item_id, uint32_t mod_content)
{
    return g_strdup_printf("%" PRIu32 "-%" PRIu32 ".msg", item_id, mod_content);
}

static bool check_volume(const Volume *volume, const Db *db, GError **error)
{
    if (volume->id == 0 || volume->id > VOLUME_MAX || volume->file_bits > BITS_MAX ||
        volume->file_group_bits > BITS_MAX || volume->mailbox_bits > BITS_MAX ||
        volume->mailbox_group_bits > BITS_MAX)
        return fail(error, ZX_ERROR_DATA, "volume %u of %s: its numbers cannot be right",
                    volume->id, db_name(db));
    /* Relative ones (zimbra_relative_volume_path) would have to be looked up beside zimbra_home. */
    if (volume->store_type == 1 && (volume->path == NULL || volume->path[0] != '/'))
        return fail(error, ZX_ERROR_REFUSED, "volume %u of %s: its path is not absolute: %s",
                    volume->id, db_name(db), volume->path != NULL ? volume->path : "NULL");
    return true;
}

/* The number in store_type's place is the column, or 1 where there is none yet. */
static Rows *query_volumes(Db *db, GError **error)
{
    g_autoptr(Rows) column =
        db_query(db, error,
                 "SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'zimbra'"
                 " AND TABLE_NAME = 'volume' AND COLUMN_NAME = 'store_type'",
                 DB_NONE);

    if (column == NULL)
        return NULL;
    return db_query(db, error,
                    "SELECT id, type, name, path, file_bits, file_group_bits, mailbox_bits,"
                    " mailbox_group_bits, compress_blobs, compression_threshold, ?"
                    " FROM zimbra.volume ORDER BY id",
                    DB_ARGS(db_sql(rows_count(column) > 0 ? "store_type" : "1")));
}

static Volume *volume_new(const Rows *rows, unsigned row)
{
    Volume *volume = g_new0(Volume, 1);

    volume->id = (unsigned)rows_u64(rows, row, 0);
    volume->type = (VolumeType)rows_u64(rows, row, 1);
    volume->name = g_strdup(rows_text(rows, row, 2));
    volume->path = g_strdup(rows_text(rows, row, 3));
    volume->file_bits = (unsigned)rows_u64(rows, row, 4);
    volume->file_group_bits = (unsigned)rows_u64(rows, row, 5);
    volume->mailbox_bits = (unsigned)rows_u64(rows, row, 6);
    volume->mailbox_group_bits = (unsigned)rows_u64(rows, row, 7);
    volume->compress = rows_u64(rows, row, 8) != 0;
    volume->compression_threshold = rows_u64(rows, row, 9);
    volume->store_type = (unsigned)rows_u64(rows, row, 10);
    return volume;
}

GPtrArray *volumes_read(Db *db, CurrentVolumes *current, GError **error)
{
    g_autoptr(GPtrArray) volumes = g_ptr_array_new_with_free_func((GDestroyNotify)volume_free);
    g_autoptr(Rows) rows = query_volumes(db, error);
    g_autoptr(Rows) now = NULL;

    if (rows == NULL)
        return NULL;
    for (unsigned i = 0; i < rows_count(rows); i++) {
        Volume *volume = volume_new(rows, i);

        g_ptr_array_add(volumes, volume);
        if (!check_volume(volume, db, error))
            return NULL;
    }
    now = db_query_one(db, error,
                       "SELECT message_volume_id, secondary_message_volume_id, index_volume_id"
                       " FROM zimbra.current_volumes",
                       DB_NONE);
    if (now == NULL)
        return NULL;
    *current = (CurrentVolumes){ .message = (unsigned)rows_u64(now, 0, 0),
                                 .secondary = (unsigned)rows_u64(now, 0, 1),
                                 .index = (unsigned)rows_u64(now, 0, 2) };
    return g_steal_pointer(&volumes);
}
