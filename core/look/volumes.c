/* volumes.c - getAllVolumes and getVolumeStats. The directory is not asked: volumes are a store's
 * own. */
#include "core/look/look.h"
#include <string.h>

typedef struct Question {
    const char *name; /* only volumes of this name; NULL: all */
    bool walk;        /* count their files */
} Question;

static void volume_look_free(VolumeLook *look)
{
    g_free(look->store);
    g_free(look->name);
    g_free(look->path);
    g_free(look);
}

static const char *type_name(VolumeType type)
{
    return type == VOLUME_PRIMARY ? "primary" : type == VOLUME_SECONDARY ? "secondary" : "index";
}

static VolumeLook *look_of(const Site *site, const Volume *volume, const CurrentVolumes *current)
{
    VolumeLook *look = g_new0(VolumeLook, 1);

    *look = (VolumeLook){ .store = g_strdup(site->where->name),
                          .name = g_strdup(volume->name),
                          .path = g_strdup(volume->path),
                          .type = type_name(volume->type),
                          .id = volume->id,
                          .external = volume->store_type != 1,
                          .compressed = volume->compress,
                          .current = volume->id == current->message ||
                                     volume->id == current->secondary ||
                                     volume->id == current->index,
                          .threshold = volume->compression_threshold,
                          .free = UNKNOWN,
                          .total = UNKNOWN,
                          .size = UNKNOWN,
                          .blobs = UNKNOWN };
    return look;
}

static bool read_space(const Site *site, const Volume *volume, VolumeLook *look, GError **error)
{
    PeerSpace space;

    if (!peer_volume(site->store->peer, volume, error) ||
        !peer_space(site->store->peer, volume->id, &space, error))
        return false;
    look->free = (int64_t)space.free_bytes;
    look->total = (int64_t)space.total_bytes;
    return true;
}

/* Every id that may have files here: mailboxes, old copies, and what is being copied. */
static Rows *mailbox_ids(const Site *site, GError **error)
{
    return db_query(site->store->control, error,
                    site->records ? "SELECT id FROM zimbra.mailbox"
                                    " UNION SELECT mailbox_id FROM zxmove.moved"
                                    " UNION SELECT mailbox_id FROM zxmove.reservation"
                                  : "SELECT id FROM zimbra.mailbox",
                    DB_NONE);
}

static bool count_files(const Site *site, const Volume *volume, VolumeLook *look, GError **error)
{
    g_autoptr(Rows) ids = mailbox_ids(site, error);
    int64_t size = 0, blobs = 0;

    if (ids == NULL)
        return false;
    for (unsigned i = 0; i < rows_count(ids); i++) {
        uint64_t files, bytes;

        if (!wait_check(site->wait, "counting files", error) ||
            !peer_mailbox_usage(site->store->peer, volume->id, (uint32_t)rows_u64(ids, i, 0),
                                &files, &bytes, error))
            return false;
        size += (int64_t)bytes;
        blobs += (int64_t)files;
    }
    look->size = size;
    look->blobs = blobs;
    return true;
}

static void visit(Site *site, const void *data)
{
    const Question *question = data;
    CurrentVolumes current;
    g_autoptr(GPtrArray) volumes = NULL;
    GError *problem = NULL;

    if (site->store->control == NULL)
        return;
    volumes = volumes_read(site->store->control, &current, &problem);
    if (volumes == NULL) {
        site_failed(site, problem);
        return;
    }
    for (guint i = 0; i < volumes->len; i++) {
        const Volume *volume = g_ptr_array_index(volumes, i);
        VolumeLook *look;

        if (question->name != NULL && strcmp(question->name, volume->name) != 0)
            continue;
        look = look_of(site, volume, &current);
        g_ptr_array_add(site->found, look);
        if (!look->external && site->why[STORE_AGENT] == NULL &&
            (!read_space(site, volume, look, &problem) ||
             (question->walk && !count_files(site, volume, look, &problem)))) {
            g_prefix_error(&problem, "volume %s: ", volume->name);
            site_failed(site, g_steal_pointer(&problem));
        }
    }
}

Looked *look_volumes(const Conf *conf, const char *name, bool walk, const char *host,
                     const Wait *wait, GError **error)
{
    const unsigned parts = STORE_PART(STORE_AGENT) | STORE_PART(STORE_DATABASE);
    const Question question = { name, walk };
    const Sites sites = { .conf = conf,
                          .host = host,
                          .parts = parts,
                          .visit = visit,
                          .question = &question,
                          .free_found = (GDestroyNotify)volume_look_free };
    g_autoptr(Looked) looked = looked_new((GDestroyNotify)volume_look_free);
    g_autoptr(GPtrArray) visited = sites_visit(&sites, wait, error);

    if (visited == NULL)
        return NULL;
    looked_take(looked, visited);
    looked_miss_sites(looked, visited, parts);
    if (name == NULL || looked->items->len > 0 || looked->unreached->len > 0)
        return g_steal_pointer(&looked);
    fail(error, ZX_ERROR_NOT_FOUND, "no store has a volume called %s\nsee: getAllVolumes", name);
    return NULL;
}
