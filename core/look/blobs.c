/* blobs.c - doCheckBlobs: the files of a store's mailboxes against their rows. One mailbox after
 * the other, and one disk at a time: a thread a store is hard enough on them. */
#include "core/look/look.h"
#include "core/move/inspect.h"
#include <string.h>

#define FOUND_MAX 10000 /* findings of a store that are kept; all are counted */

typedef struct Question {
    const BlobsRequest *request;
    EventSink *sink;
    void *sink_data;
} Question;

/* A store while it is gone through. */
typedef struct Round {
    Site *site;
    const Question *question;
    StoreBlobs *look;
    GPtrArray
        *volumes; /* of Volume; those whose root the agent cannot open are left out of @only */
    bool only[UINT8_MAX + 1];
    unsigned mailbox, total; /* the how many-th of how many */
    InspectCount before;     /* when the mailbox at hand was begun */
} Round;

static void trace_free(BlobTrace *trace)
{
    g_free(trace->file);
    g_free(trace->detail);
    g_free(trace);
}

static void volume_blobs_free(VolumeBlobs *volume)
{
    g_free(volume->name);
    g_free(volume->path);
    g_free(volume);
}

static void mailbox_blobs_free(MailboxBlobs *mailbox)
{
    g_free(mailbox->account);
    g_free(mailbox);
}

static StoreBlobs *store_blobs_new(const char *store)
{
    StoreBlobs *look = g_new0(StoreBlobs, 1);

    look->store = g_strdup(store);
    look->volumes = g_ptr_array_new_with_free_func((GDestroyNotify)volume_blobs_free);
    look->found = g_ptr_array_new_with_free_func((GDestroyNotify)trace_free);
    look->homeless = g_array_new(FALSE, FALSE, sizeof(HomelessLook));
    look->mailboxes = g_ptr_array_new_with_free_func((GDestroyNotify)mailbox_blobs_free);
    return look;
}

static void store_blobs_free(StoreBlobs *look)
{
    g_free(look->store);
    g_ptr_array_unref(look->volumes);
    g_ptr_array_unref(look->found);
    g_array_unref(look->homeless);
    g_ptr_array_unref(look->mailboxes);
    g_free(look);
}

static void on_found(void *data, const BlobFinding *finding)
{
    Round *round = data;
    StoreBlobs *look = round->look;
    BlobTrace *trace;

    for (guint i = 0; i < look->volumes->len; i++) {
        VolumeBlobs *volume = g_ptr_array_index(look->volumes, i);

        volume->faults[finding->fault] += volume->id == finding->volume;
    }
    if (look->found->len == FOUND_MAX) {
        look->found_more++;
        return;
    }
    trace = g_new0(BlobTrace, 1);
    *trace = (BlobTrace){ .fault = finding->fault,
                          .volume = finding->volume,
                          .mailbox = finding->mailbox,
                          .item = finding->item,
                          .mod_content = finding->mod_content,
                          .size = finding->size,
                          .found_size = finding->found_size,
                          .file = g_strdup(finding->file),
                          .detail = g_strdup(finding->detail) };
    g_ptr_array_add(look->found, trace);
}

static void emit(const Round *round, Event event)
{
    const Question *question = round->question;

    event.account = round->site->where->name;
    if (question->sink != NULL)
        question->sink(question->sink_data, &event);
}

static void on_tick(void *data, const InspectCount *so_far)
{
    const Round *round = data;

    emit(round, (Event){ .type = EVENT_PROGRESS, .text = "blobs", .done = so_far->blobs });
}

/* By name, or by id. */
static bool asked_for(const Volume *volume, char **names)
{
    g_autofree char *id = g_strdup_printf("%u", volume->id);

    for (char **name = names; *name != NULL; name++)
        if (strcmp(*name, volume->name) == 0 || strcmp(*name, id) == 0)
            return true;
    return false;
}

/* The agent is told of every volume of files, because what is missing on one may be on another. */
static bool take_volumes(Round *round, GError **error)
{
    char **names = round->question->request->volumes;
    CurrentVolumes current;

    round->volumes = volumes_read(round->site->store->control, &current, error);
    if (round->volumes == NULL)
        return false;
    for (guint i = 0; i < round->volumes->len; i++) {
        const Volume *volume = g_ptr_array_index(round->volumes, i);
        GError *problem = NULL;
        VolumeBlobs *blobs;

        if (volume->store_type != 1 || volume->type == VOLUME_INDEX)
            continue;
        if (!peer_volume(round->site->store->peer, volume, &problem)) {
            if (names == NULL || asked_for(volume, names)) {
                g_prefix_error(&problem, "volume %s: ", volume->name);
                site_failed(round->site, problem);
            } else {
                g_error_free(problem);
            }
            continue;
        }
        if (names != NULL && !asked_for(volume, names))
            continue;
        round->only[volume->id] = true;
        blobs = g_new0(VolumeBlobs, 1);
        blobs->id = volume->id;
        blobs->name = g_strdup(volume->name);
        blobs->path = g_strdup(volume->path);
        g_ptr_array_add(round->look->volumes, blobs);
    }
    return true;
}

static Rows *mailbox_rows(const Round *round, GError **error)
{
    char **ids = round->question->request->mailbox_ids;
    g_autofree char *list = ids != NULL ? g_strjoinv(",", ids) : NULL; /* digits: args.c */
    g_autofree char *where = list != NULL ? g_strdup_printf("id IN (%s)", list) : g_strdup("TRUE");

    return db_query(round->site->store->control, error,
                    "SELECT id, group_id, comment FROM zimbra.mailbox WHERE ? ORDER BY id",
                    DB_ARGS(db_sql(where)));
}

static void keep_mailbox(Round *round, unsigned id, const char *account)
{
    const InspectCount *now = &round->look->count, *before = &round->before;
    MailboxBlobs *mailbox = g_new0(MailboxBlobs, 1);

    mailbox->mailbox = id;
    mailbox->account = g_strdup(account);
    mailbox->count = (InspectCount){ .blobs = now->blobs - before->blobs,
                                     .bytes = now->bytes - before->bytes,
                                     .external = now->external - before->external,
                                     .files = now->files - before->files };
    for (int fault = 0; fault < BLOB_FAULTS; fault++)
        mailbox->count.faults[fault] = now->faults[fault] - before->faults[fault];
    g_ptr_array_add(round->look->mailboxes, mailbox);
}

static bool check_mailbox(Round *round, unsigned id, unsigned group, const char *account,
                          GError **error)
{
    const BlobsRequest *request = round->question->request;
    const Inspect job = { .db = round->site->store->control,
                          .peer = round->site->store->peer,
                          .volumes = round->volumes,
                          .only = round->only,
                          .locators = request->volumes == NULL,
                          .group = group,
                          .mailbox = id,
                          .digests = request->digests,
                          .crosscheck = request->crosscheck,
                          .wait = round->site->wait,
                          .tick = on_tick,
                          .found = on_found,
                          .data = round };

    g_autofree char *which =
        g_strdup_printf("mailbox %u, %u of %u", id, ++round->mailbox, round->total);

    emit(round, (Event){ .type = EVENT_STATE, .text = "look", .cause = which });
    round->before = round->look->count;
    if (!inspect_rows(&job, &round->look->count, error) ||
        !inspect_files(&job, &round->look->count, error))
        return fail_prefix(error, "mailbox %u", id);
    round->look->checked++;
    if (request->traced)
        keep_mailbox(round, id, account);
    return true;
}

/* Whose directories are explained: mailboxes, what is being copied here, what is being deleted. */
static GHashTable *known_ids(const Round *round, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(round->site->store->control, error,
                 round->site->records ? "SELECT id FROM zimbra.mailbox"
                                        " UNION SELECT mailbox_id FROM zxmove.reservation"
                                        " UNION SELECT mailbox_id FROM zxmove.moved"
                                        " WHERE state = 'purging'"
                                      : "SELECT id FROM zimbra.mailbox",
                 DB_NONE);
    GHashTable *ids;

    if (rows == NULL)
        return NULL;
    ids = g_hash_table_new(NULL, NULL);
    for (unsigned i = 0; i < rows_count(rows); i++)
        g_hash_table_add(ids, GUINT_TO_POINTER((guint)rows_u64(rows, i, 0)));
    return ids;
}

static bool find_homeless_on(Round *round, unsigned volume, GError **error)
{
    Peer *peer = round->site->store->peer;
    g_autoptr(GArray) there = peer_mailboxes(peer, volume, error);
    /* After the directories: a mailbox has its row first. */
    g_autoptr(GHashTable) known = there != NULL ? known_ids(round, error) : NULL;

    if (known == NULL)
        return false;
    for (guint i = 0; i < there->len; i++) {
        const uint32_t id = g_array_index(there, uint32_t, i);
        HomelessLook found = { .volume = volume, .mailbox = id };

        if (g_hash_table_contains(known, GUINT_TO_POINTER(id)))
            continue;
        if (!peer_mailbox_usage(peer, volume, id, &found.files, &found.bytes, error))
            return false;
        if (found.files > 0)
            g_array_append_val(round->look->homeless, found);
    }
    return true;
}

static bool find_homeless(Round *round, GError **error)
{
    for (guint i = 0; i < round->look->volumes->len; i++)
        if (!find_homeless_on(
                round, ((VolumeBlobs *)g_ptr_array_index(round->look->volumes, i))->id, error))
            return false;
    return true;
}

static bool check_mailboxes(Round *round, GError **error)
{
    g_autoptr(Rows) rows = mailbox_rows(round, error);

    if (rows == NULL)
        return false;
    round->total = rows_count(rows);
    for (unsigned i = 0; i < rows_count(rows); i++)
        if (!check_mailbox(round, (unsigned)rows_u64(rows, i, 0), (unsigned)rows_u64(rows, i, 1),
                           rows_text(rows, i, 2), error))
            return false;
    return round->question->request->mailbox_ids != NULL || find_homeless(round, error);
}

static void visit(Site *site, const void *data)
{
    Round round = { .site = site, .question = data };
    GError *problem = NULL;

    if (site->store->control == NULL || site->store->peer == NULL)
        return;
    round.look = store_blobs_new(site->where->name);
    g_ptr_array_add(site->found, round.look);
    if (!take_volumes(&round, &problem) || !check_mailboxes(&round, &problem))
        site_failed(site, problem);
    emit(&round, (Event){ .type = EVENT_MAILBOX_DONE });
    g_clear_pointer(&round.volumes, g_ptr_array_unref);
}

/* A name that no store knows is a slip of the pen, not a clean bill. */
static bool all_known(const Looked *looked, const BlobsRequest *request, GError **error)
{
    unsigned checked = 0, volumes = 0;

    if (looked->unreached->len > 0)
        return true;
    for (guint i = 0; i < looked->items->len; i++) {
        const StoreBlobs *look = g_ptr_array_index(looked->items, i);

        checked += look->checked;
        volumes += look->volumes->len;
    }
    if (request->volumes != NULL && volumes == 0)
        return fail(error, ZX_ERROR_NOT_FOUND, "no such volume for messages\nsee: getAllVolumes");
    if (request->mailbox_ids != NULL && checked < g_strv_length(request->mailbox_ids))
        return fail(error, ZX_ERROR_NOT_FOUND, "%u of these mailbox ids are not there",
                    g_strv_length(request->mailbox_ids) - checked);
    return true;
}

Looked *look_blobs(const Conf *conf, const BlobsRequest *request, const char *host, EventSink *sink,
                   void *data, const Wait *wait, GError **error)
{
    const unsigned parts = STORE_PART(STORE_AGENT) | STORE_PART(STORE_DATABASE);
    const Question question = { request, sink, data };
    const Sites sites = { .conf = conf,
                          .host = host,
                          .parts = parts,
                          .visit = visit,
                          .question = &question,
                          .free_found = (GDestroyNotify)store_blobs_free };
    g_autoptr(Looked) looked = looked_new((GDestroyNotify)store_blobs_free);
    g_autoptr(GPtrArray) visited = NULL;

    if (request->mailbox_ids != NULL && host == NULL && conf->stores->len > 1) {
        fail(error, ZX_ERROR_USAGE, "mailbox ids are per store: say which with --host STORE");
        return NULL;
    }
    visited = sites_visit(&sites, wait, error);
    if (visited == NULL)
        return NULL;
    looked_take(looked, visited);
    looked_miss_sites(looked, visited, parts);
    return all_known(looked, request, error) ? g_steal_pointer(&looked) : NULL;
}
