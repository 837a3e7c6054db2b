/* verify_blobs.c - the blobs of an old copy and of the mailbox in use: which of them are not as
 * their rows say, and whether that was so before. */
#include "core/base/log.h"
#include "core/move/inspect.h"
#include "core/move/verify.h"
#include <inttypes.h>

#define BAD_MAX 100000 /* blobs of one side that are held against the other's */

/* A blob that is not as its row says. */
typedef struct BadBlob {
    BlobFault fault;
    uint32_t item, mod_content;
    uint64_t size;
    char *what;
} BadBlob;

/* One side's blobs, looked at by a thread of its own. */
typedef struct BlobSide {
    const Verify *verify;
    bool shown; /* it is this side whose progress is told */
    Store *store;
    unsigned group;
    uint32_t mailbox;
    Wait wait;
    InspectCount count;
    GPtrArray *bad;    /* of BadBlob */
    GHashTable *known; /* "item-mod_content" of @bad -> BadBlob */
    GError *error;
    bool ok;
} BlobSide;

static void on_blobs(void *data, const InspectCount *so_far)
{
    const BlobSide *side = data;

    if (side->shown)
        verify_emit(side->verify,
                    (Event){ .type = EVENT_PROGRESS, .text = "blobs", .done = so_far->blobs });
}

static void bad_blob_free(gpointer data)
{
    g_free(((BadBlob *)data)->what);
    g_free(data);
}

static char *fault_text(const BlobFinding *finding)
{
    static const char *const texts[BLOB_FAULTS] = {
        [BLOB_MISSING] = "its file is missing",
        [BLOB_ELSEWHERE] = "its file is not where its row says",
        [BLOB_NAME] = "its file has another name",
        [BLOB_CONTENT] = "its content is not that of its digest",
        [BLOB_UNREADABLE] = "its file cannot be read",
        [BLOB_VOLUME] = "its row names no volume of files",
    };

    if (finding->fault == BLOB_SIZE)
        return g_strdup_printf("its content has %" PRIu64 " bytes", finding->found_size);
    return finding->detail != NULL
               ? g_strdup_printf("%s: %s", texts[finding->fault], finding->detail)
               : g_strdup(texts[finding->fault]);
}

static void on_bad(void *data, const BlobFinding *finding)
{
    BlobSide *side = data;
    BadBlob *bad;

    if (side->bad->len == BAD_MAX)
        return;
    bad = g_new0(BadBlob, 1);
    *bad = (BadBlob){ .fault = finding->fault,
                      .item = finding->item,
                      .mod_content = finding->mod_content,
                      .size = finding->size,
                      .what = fault_text(finding) };
    g_ptr_array_add(side->bad, bad);
    g_hash_table_insert(side->known,
                        g_strdup_printf("%" PRIu32 "-%" PRIu32, bad->item, bad->mod_content), bad);
}

static gpointer inspect_side(gpointer data)
{
    BlobSide *side = data;
    const Inspect job = { .db = side->store->data,
                          .peer = side->store->peer,
                          .volumes = side->store->volumes,
                          .locators = true,
                          .group = side->group,
                          .mailbox = side->mailbox,
                          .digests = true,
                          .crosscheck = true,
                          .old_names = true,
                          .wait = &side->wait,
                          .tick = on_blobs,
                          .found = on_bad,
                          .data = side };

    log_context(side->verify->op->uuid, side->verify->copy->account);
    side->ok = inspect_rows(&job, &side->count, &side->error);
    log_context(NULL, NULL);
    return NULL;
}

static void side_init(BlobSide *side, const Verify *verify, Store *store, unsigned group,
                      uint32_t mailbox)
{
    *side = (BlobSide){ .verify = verify, .store = store, .group = group, .mailbox = mailbox };
    side->shown = store == verify->new;
    if (verify->op->wait != NULL)
        side->wait = *verify->op->wait;
    side->wait.tick = NULL; /* of the thread that runs the operation */
    side->bad = g_ptr_array_new_with_free_func(bad_blob_free);
    side->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

static void side_clear(BlobSide *side)
{
    g_ptr_array_unref(side->bad);
    g_hash_table_unref(side->known);
    g_clear_error(&side->error);
}

static bool tell_blob(const Versus *versus, const BadBlob *bad, bool alarm, const char *reason,
                      GError **error)
{
    g_autofree char *key = g_strdup_printf("%" PRIu32 "-%" PRIu32, bad->item, bad->mod_content);

    return versus_tell(versus,
                       &(VerifyItem){ .mark = MARK_BAD,
                                      .alarm = alarm,
                                      .table = "blob",
                                      .key = key,
                                      .size = bad->size,
                                      .reason = reason },
                       error);
}

/* What was so in the old copy already came that way. */
static bool tell_new_side(const Versus *versus, const BlobSide *old, const BlobSide *new,
                          GError **error)
{
    for (guint i = 0; i < new->bad->len; i++) {
        const BadBlob *bad = g_ptr_array_index(new->bad, i);
        g_autofree char *key = g_strdup_printf("%" PRIu32 "-%" PRIu32, bad->item, bad->mod_content);
        const BadBlob *was = g_hash_table_lookup(old->known, key);
        g_autofree char *reason =
            was != NULL ? g_strdup_printf("%s, as in the old copy: %s", bad->what, was->what)
                        : g_strdup(bad->what);

        if (!tell_blob(versus, bad, was == NULL, reason, error))
            return false;
    }
    return true;
}

static bool tell_old_side(const Versus *versus, const BlobSide *old, const BlobSide *new,
                          GError **error)
{
    for (guint i = 0; i < old->bad->len; i++) {
        const BadBlob *bad = g_ptr_array_index(old->bad, i);
        g_autofree char *key = g_strdup_printf("%" PRIu32 "-%" PRIu32, bad->item, bad->mod_content);
        g_autofree char *reason = g_strdup_printf("only in the old copy: %s", bad->what);

        if (!g_hash_table_contains(new->known, key) &&
            !tell_blob(versus, bad, false, reason, error))
            return false;
    }
    return true;
}

static bool tell_blobs(const Versus *versus, const BlobSide *old, const BlobSide *new,
                       GError **error)
{
    VerifyTable *table = versus_table(versus->copy, "blob");

    table->old_rows = old->count.blobs;
    table->new_rows = new->count.blobs;
    table->marks[MARK_EQUAL] = new->count.blobs - MIN(new->bad->len, new->count.blobs);
    versus->copy->marks[MARK_EQUAL] += table->marks[MARK_EQUAL];
    if (old->count.external + new->count.external > 0)
        verify_note(versus->copy, "blobs on external storage were not looked at");
    return tell_new_side(versus, old, new, error) && tell_old_side(versus, old, new, error);
}

bool verify_blobs(const Verify *verify, const Versus *versus, GError **error)
{
    BlobSide old, new;
    GThread *thread;
    bool ok;

    verify_emit(verify, (Event){ .type = EVENT_STATE, .text = "blobs" });
    side_init(&old, verify, verify->old, verify->old_group, verify->copy->old_mailbox);
    side_init(&new, verify, verify->new, verify->new_group, verify->copy->new_mailbox);
    thread = g_thread_new("verify", inspect_side, &old);
    inspect_side(&new);
    g_thread_join(thread);
    log_context(verify->op->uuid, verify->copy->account);
    ok = old.ok && new.ok;
    if (!ok)
        g_propagate_error(error, g_steal_pointer(old.error != NULL ? &old.error : &new.error));
    ok = ok && tell_blobs(versus, &old, &new, error);
    side_clear(&old);
    side_clear(&new);
    return ok;
}
