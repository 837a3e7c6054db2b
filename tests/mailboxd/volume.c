/* volume.c - see volume.h. */
#include "tests/mailboxd/volume.h"
#include "tests/mailboxd/config.h"
#include "tests/mailboxd/directory.h"

static GPtrArray *volumes;
static unsigned current_primary, current_secondary, current_index;
static char *server_level; /* "<server id>/" or "" */

static void volume_free(gpointer data)
{
    Volume *volume = data;

    g_free(volume->name);
    g_free(volume->path);
    g_free(volume->root);
    g_free(volume->manager);
    g_free(volume);
}

static Volume *volume_new(const DbRows *rows)
{
    Volume *v = g_new0(Volume, 1);

    v->id = rows_uint(rows, 0);
    v->type = rows_uint(rows, 1);
    v->name = rows_text(rows, 2);
    v->path = rows_text(rows, 3);
    v->file_bits = rows_uint(rows, 4);
    v->file_group_bits = rows_uint(rows, 5);
    v->mailbox_bits = rows_uint(rows, 6);
    v->mailbox_group_bits = rows_uint(rows, 7);
    v->compress = rows_uint(rows, 8) != 0;
    v->threshold = rows_u64(rows, 9);
    v->store_type = rows_uint(rows, 10);
    v->manager = rows_text(rows, 11);
    v->root = config->relative_volumes ? g_build_filename(config->home, v->path, NULL)
                                       : g_strdup(v->path);
    return v;
}

static bool load_current(Db *db, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT message_volume_id, secondary_message_volume_id, index_volume_id"
                 " FROM zimbra.current_volumes");

    if (rows == NULL)
        return false;
    if (!rows_next(rows))
        return fault(error, FAULT_FAILURE, "current_volumes is empty");
    current_primary = rows_uint(rows, 0);
    current_secondary = rows_uint(rows, 1);
    current_index = rows_uint(rows, 2);
    return true;
}

/* The level of the server's id exists only where the server asks for it (doc/platform.md 3.2). */
static bool load_server_level(GError **error)
{
    g_autoptr(Entry) server = server_get(SERVER_BY_ID, config->server_id, error);

    if (server == NULL)
        return false;
    g_autofree char *enabled = server_setting(server, "zimbraConfiguredServerIDForBlobDirEnabled");
    server_level =
        g_strcmp0(enabled, "TRUE") == 0 ? g_strconcat(config->server_id, "/", NULL) : g_strdup("");
    return true;
}

bool volumes_load(GError **error)
{
    g_autoptr(Db) db = db_take(error);

    if (db == NULL)
        return false;
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT id, type, name, path, file_bits, file_group_bits, mailbox_bits,"
                 " mailbox_group_bits, compress_blobs, compression_threshold, store_type,"
                 " store_manager_class FROM zimbra.volume ORDER BY id");
    if (rows == NULL)
        return false;
    volumes = g_ptr_array_new_with_free_func(volume_free);
    while (rows_next(rows))
        g_ptr_array_add(volumes, volume_new(rows));
    return load_current(db, error) && load_server_level(error);
}

void volumes_free(void)
{
    g_clear_pointer(&volumes, g_ptr_array_unref);
    g_clear_pointer(&server_level, g_free);
}

const GPtrArray *volumes_all(void)
{
    return volumes;
}

const Volume *volume_get(unsigned id)
{
    for (guint i = 0; i < volumes->len; i++) {
        const Volume *volume = volumes->pdata[i];
        if (volume->id == id)
            return volume;
    }
    return NULL;
}

unsigned volume_current(unsigned type)
{
    return type == VOLUME_PRIMARY     ? current_primary
           : type == VOLUME_SECONDARY ? current_secondary
           : type == VOLUME_INDEX     ? current_index
                                      : 0;
}

char *volume_mailbox_dir(const Volume *v, unsigned mailbox)
{
    unsigned dir = (mailbox >> v->mailbox_bits) & ((1U << v->mailbox_group_bits) - 1);

    return g_strdup_printf("%s/%s%u/%u", v->root, server_level, dir, mailbox);
}

char *volume_blob_path(const Volume *v, unsigned mailbox, unsigned item, unsigned revision)
{
    unsigned dir = (item >> v->file_bits) & ((1U << v->file_group_bits) - 1);
    g_autofree char *base = volume_mailbox_dir(v, mailbox);

    return g_strdup_printf("%s/msg/%u/%u-%u.msg", base, dir, item, revision);
}

char *volume_index_dir(const Volume *v, unsigned mailbox)
{
    g_autofree char *base = volume_mailbox_dir(v, mailbox);

    return g_strconcat(base, "/index", NULL);
}

char *calendar_cache_dir(unsigned mailbox)
{
    unsigned dir = (mailbox >> 12) & 8; /* a literal 8, doc/platform.md 5.4 */

    return g_strdup_printf("%s/%u/%u", config->calendar_cache, dir, mailbox);
}
