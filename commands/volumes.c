/* volumes.c - getAllVolumes, getVolumeStats. */
#include "commands/around.h"

static json_t *volume_json(const void *item)
{
    const VolumeLook *volume = item;
    json_t *object = json_object();

    set_text(object, "store", volume->store);
    set_number(object, "id", volume->id);
    set_text(object, "name", volume->name);
    set_text(object, "type", volume->type);
    set_text(object, "path", volume->path);
    json_object_set_new(object, "external", json_boolean(volume->external));
    json_object_set_new(object, "compressed", json_boolean(volume->compressed));
    set_number(object, "threshold", (int64_t)volume->threshold);
    json_object_set_new(object, "current", json_boolean(volume->current));
    set_size(object, "free", volume->free);
    set_size(object, "total", volume->total);
    /* Finding out takes a probe file on each of them: a deletion does that, a look does not. */
    set_text(object, "shared_with", "not asked");
    return object;
}

typedef struct VolumesRequest {
    bool all_servers; /* zxsuite's word for what is always so here */
} VolumesRequest;

static bool run_all(Session *session, void *data G_GNUC_UNUSED, Result *result, GError **error)
{
    Core *core = session_core(session, error);
    g_autoptr(Looked) looked = NULL;

    if (core != NULL)
        looked = core_volumes(core, NULL, false, session->switches->host, &session->wait, error);
    return around_finish(looked, "volumes", volume_json, "no volume", result);
}

/* clang-format off */
static const Arg all_args[] = {
    ARG(VolumesRequest, all_servers, .name = "all_servers", .type = ARG_BOOL, .fallback = "true",
        .no_effect = "one store alone is --host STORE", .help = "every store is asked in any case"),
    { 0 },
};
/* clang-format on */

const Command cmd_get_all_volumes = {
    .name = "getAllVolumes",
    .group = "Looking around",
    .summary = "list the volumes of every store",
    .description =
        "Lists the volumes of every store of the configuration, or of the one that --host\n"
        "names. Whether a volume is shared with another store is not asked here: that takes\n"
        "a probe file on each, which doPurgeMailboxes writes before it deletes.\n"
        "Exit status: 0 done, 5 a store or a part of it could not be asked, 69 none could.",
    .args = all_args,
    .request_size = sizeof(VolumesRequest),
    .examples = (const char *const[]){ "getAllVolumes", NULL },
    .run = run_all,
};

typedef struct StatsRequest {
    char *volume_name;
    bool show_volume_size, show_blob_num;
} StatsRequest;

static json_t *stats_json(const VolumeLook *volume, const StatsRequest *request)
{
    static const char *const never[] = { "lastMoveOutcome", "lastMoveTimestamp",
                                         "lastMoveDuration", "lastItemMovedCount", "bytesSaved",
                                         "bytesSavedLast" };
    json_t *object = json_object();

    set_text(object, "store", volume->store);
    set_number(object, "id", volume->id);
    set_text(object, "name", volume->name);
    set_text(object, "path", volume->path);
    json_object_set_new(object, "compressed", json_boolean(volume->compressed));
    set_number(object, "threshold", (int64_t)volume->threshold);
    for (guint i = 0; i < G_N_ELEMENTS(never); i++)
        set_text(object, never[i], "n/a"); /* of HSM, which zxmove does not do */
    if (request->show_volume_size)
        set_number(object, "totSize", volume->size);
    if (request->show_blob_num)
        set_number(object, "blobNumber", volume->blobs);
    return object;
}

static bool run_stats(Session *session, void *data, Result *result, GError **error)
{
    const StatsRequest *request = data;
    const bool walk = request->show_volume_size || request->show_blob_num;
    Core *core = session_core(session, error);
    g_autoptr(Looked) looked = NULL;
    json_t *list;

    if (core == NULL)
        return false;
    if (walk)
        session_note(session, "every directory of the volume is read: this is hard on its disk");
    looked = core_volumes(core, request->volume_name, walk, session->switches->host,
                          &session->wait, error);
    if (looked == NULL)
        return false;
    list = json_array();
    for (guint i = 0; i < looked->items->len; i++)
        json_array_append_new(list, stats_json(g_ptr_array_index(looked->items, i), request));
    result->response = json_pack("{s:o}", "volumes", list);
    around_unreached(looked, result);
    return true;
}

/* clang-format off */
static const Arg stats_args[] = {
    ARG(StatsRequest, volume_name, .name = "volume_name", .type = ARG_TEXT, .flags = ARG_REQUIRED,
        .offers = OFFERS_VOLUMES, .expected = "message1",
        .help = "name of the volume; of every store that has one called so"),
    ARG(StatsRequest, show_volume_size, .name = "show_volume_size", .type = ARG_BOOL, .fallback = "false",
        .help = "add up what its files take; reads the whole disk"),
    ARG(StatsRequest, show_blob_num, .name = "show_blob_num", .type = ARG_BOOL, .fallback = "false",
        .help = "count its files; reads the whole disk"),
    { 0 },
};
/* clang-format on */

const Command cmd_get_volume_stats = {
    .name = "getVolumeStats",
    .group = "Looking around",
    .summary = "tell a volume's settings, and count its files",
    .description =
        "Tells what a volume is, on every store that has one of this name (--host: on one).\n"
        "totSize and blobNumber are counted on the disk, only on request: what lies there of\n"
        "mailboxes, of old copies and of copies under way. Files of a mailbox that neither the\n"
        "database nor zxmove knows any more are not counted.\n"
        "Exit status: 0 done, 5 a store or a part of it could not be asked, 69 none could.",
    .args = stats_args,
    .request_size = sizeof(StatsRequest),
    .examples = (const char *const[]){ "getVolumeStats message1 show_blob_num true", NULL },
    .run = run_stats,
};
