/* inspect.c - see inspect.h. */
#include "core/move/inspect.h"
#include "core/move/stream.h"
#include <inttypes.h>
#include <string.h>

#define CHUNK_ROWS   4096 /* of each table at a time */
#define CONFIRM_ROWS 512  /* doubtful ones, read again together */
#define YOUNG_S      60   /* a file may be there before its row: deliveries link it first */

/* A blob as a row tells it, and what the agent says of it. */
typedef struct Question {
    StreamFile file; /* first: the stream knows it by this */
    uint32_t item, mod_content;
    unsigned volume;
    uint64_t size;
    char digest[DIGEST_SIZE];
    bool again; /* looked at before */
} Question;

/* A file that may be among no rows. */
typedef struct Stray {
    bool in_place;
    uint32_t item, mod_content;
    uint64_t length;
    char *path; /* below the mailbox's msg */
} Stray;

typedef struct Inspection {
    const Inspect *job;
    InspectCount *count;
    char schema[24];
    uint32_t after; /* items up to here were read */
    bool at_end;    /* of the rows */
    GQueue todo;
    GHashTable *live;    /* of Question: owned here until they are settled */
    GPtrArray *doubtful; /* of Question: to be looked at again */
    GPtrArray *bad;      /* of Question: looked at again */
    unsigned walked;     /* the volume whose files are listed */
    GPtrArray *strays;   /* of Stray: to be looked for among the rows */
    GPtrArray *homeless; /* of Stray: no row called for them */
    int64_t young;       /* Unix s: files that are younger are left alone */
} Inspection;

/* clang-format off */
#define HAS_BLOB "blob_digest IS NOT NULL AND locator IS NOT NULL"

/* The largest item id such that no table has more than CHUNK_ROWS rows up to it; NULL: all the rest.
 * "?" is the schema, the mailbox, the item after which, the limit. */
static const char bound_sql[] =
    "SELECT MIN(m) FROM ("
    "SELECT MAX(i) AS m, COUNT(*) AS n FROM"
    " (SELECT id AS i FROM ?.mail_item WHERE mailbox_id = ? AND id > ? ORDER BY id LIMIT ?) a"
    " UNION ALL SELECT MAX(i), COUNT(*) FROM"
    " (SELECT id AS i FROM ?.mail_item_dumpster WHERE mailbox_id = ? AND id > ? ORDER BY id LIMIT ?) b"
    " UNION ALL SELECT MAX(i), COUNT(*) FROM"
    " (SELECT item_id AS i FROM ?.revision WHERE mailbox_id = ? AND item_id > ? ORDER BY item_id LIMIT ?) c"
    " UNION ALL SELECT MAX(i), COUNT(*) FROM"
    " (SELECT item_id AS i FROM ?.revision_dumpster WHERE mailbox_id = ? AND item_id > ? ORDER BY item_id LIMIT ?) d"
    ") parts WHERE n = ?";

/* A file that several rows name is one line. "?" is the schema, the mailbox, a condition on ids. */
static const char rows_sql[] =
    "SELECT id, mod_content, size, blob_digest, locator FROM ?.mail_item"
    " WHERE mailbox_id = ? AND (?) AND " HAS_BLOB
    " UNION SELECT id, mod_content, size, blob_digest, locator FROM ?.mail_item_dumpster"
    " WHERE mailbox_id = ? AND (?) AND " HAS_BLOB
    " UNION SELECT item_id, mod_content, size, blob_digest, locator FROM ?.revision"
    " WHERE mailbox_id = ? AND (?) AND " HAS_BLOB
    " UNION SELECT item_id, mod_content, size, blob_digest, locator FROM ?.revision_dumpster"
    " WHERE mailbox_id = ? AND (?) AND " HAS_BLOB
    " ORDER BY 1, 2";
/* clang-format on */

static Rows *read_rows(const Inspection *in, const char *of_items, const char *of_revisions,
                       GError **error)
{
    const DbValue s = db_sql(in->schema), m = db_u64(in->job->mailbox), i = db_sql(of_items),
                  r = db_sql(of_revisions);

    return db_query(in->job->db, error, rows_sql, DB_ARGS(s, m, i, s, m, i, s, m, r, s, m, r));
}

/* Rows of these items (of uint32_t). */
static Rows *read_items(const Inspection *in, const GArray *items, GError **error)
{
    g_autoptr(GString) of_items = g_string_new("id IN (");
    g_autoptr(GString) of_revisions = g_string_new("item_id IN (");

    for (guint i = 0; i < items->len; i++) {
        const uint32_t item = g_array_index(items, uint32_t, i);

        g_string_append_printf(of_items, "%s%" PRIu32, i > 0 ? "," : "", item);
        g_string_append_printf(of_revisions, "%s%" PRIu32, i > 0 ? "," : "", item);
    }
    g_string_append_c(of_items, ')');
    g_string_append_c(of_revisions, ')');
    return read_rows(in, of_items->str, of_revisions->str, error);
}

static bool wanted(const Inspect *job, unsigned volume)
{
    return job->only == NULL || (volume <= UINT8_MAX && job->only[volume]);
}

static void report(Inspection *in, BlobFinding finding)
{
    const Inspect *job = in->job;
    const Volume *volume = volumes_find(job->volumes, finding.volume);
    g_autofree char *dir = NULL, *name = NULL, *file = NULL;

    finding.mailbox = job->mailbox;
    if (finding.file == NULL && volume != NULL && finding.fault != BLOB_VOLUME) {
        dir = volume_blob_dir(volume, job->mailbox, finding.item);
        name = volume_blob_name(finding.item, finding.mod_content);
        file = g_build_filename(dir, name, NULL);
        finding.file = file;
    }
    in->count->faults[finding.fault]++;
    job->found(job->data, &finding);
}

static void question_free(gpointer data)
{
    Question *question = data;

    stream_file_clear(&question->file);
    g_free(question);
}

/* The volume of files that a row names; reports a row that names none. False: there is nothing to
 * look at. */
static bool row_volume(Inspection *in, const Rows *rows, unsigned row, unsigned *id)
{
    const Volume *volume = NULL;
    size_t length;
    const char *locator = rows_bytes(rows, row, 4, &length);
    g_autofree char *detail = NULL;

    if (volume_from_locator(locator, length, id))
        volume = volumes_find(in->job->volumes, *id);
    if (volume != NULL && volume->store_type == 1 && volume->type != VOLUME_INDEX)
        return wanted(in->job, *id);
    if (!in->job->locators)
        return false;
    if ((volume != NULL && volume->store_type != 1) || memmem(locator, length, "@@", 2) != NULL) {
        in->count->external++;
        return false;
    }
    detail = g_strdup_printf("its row has the locator '%.100s'", locator);
    report(in, (BlobFinding){ .fault = BLOB_VOLUME,
                              .item = (uint32_t)rows_u64(rows, row, 0),
                              .mod_content = (uint32_t)rows_u64(rows, row, 1),
                              .size = rows_u64(rows, row, 2),
                              .digest = rows_text(rows, row, 3),
                              .detail = detail });
    return false;
}

/* False for a row that gives nothing to look at. */
static bool question_set(Inspection *in, const Rows *rows, unsigned row, Question *question)
{
    *question = (Question){ .item = (uint32_t)rows_u64(rows, row, 0),
                            .mod_content = (uint32_t)rows_u64(rows, row, 1),
                            .size = rows_u64(rows, row, 2),
                            .file.ask_only = true };
    g_strlcpy(question->digest, rows_text(rows, row, 3), sizeof question->digest);
    return row_volume(in, rows, row, &question->volume);
}

static void add_chunk(Inspection *in, const Rows *rows)
{
    for (unsigned i = 0; i < rows_count(rows); i++) {
        Question *question = g_new0(Question, 1);

        if (!question_set(in, rows, i, question)) {
            question_free(question);
            continue;
        }
        in->count->blobs++;
        in->count->bytes += question->size;
        g_hash_table_add(in->live, question);
        g_queue_push_tail(&in->todo, question);
    }
}

static bool read_chunk(Inspection *in, GError **error)
{
    const DbValue s = db_sql(in->schema), m = db_u64(in->job->mailbox), a = db_u64(in->after),
                  n = db_u64(CHUNK_ROWS);
    g_autoptr(Rows) bound = db_query_one(
        in->job->db, error, bound_sql, DB_ARGS(s, m, a, n, s, m, a, n, s, m, a, n, s, m, a, n, n));
    g_autoptr(Rows) rows = NULL;
    g_autofree char *of_items = NULL, *of_revisions = NULL;
    uint32_t last;

    if (bound == NULL)
        return false;
    in->at_end = rows_text(bound, 0, 0) == NULL;
    last = in->at_end ? UINT32_MAX : (uint32_t)rows_u64(bound, 0, 0);
    of_items = g_strdup_printf("id > %" PRIu32 " AND id <= %" PRIu32, in->after, last);
    of_revisions =
        g_strdup_printf("item_id > %" PRIu32 " AND item_id <= %" PRIu32, in->after, last);
    rows = read_rows(in, of_items, of_revisions, error);
    if (rows == NULL)
        return false;
    add_chunk(in, rows);
    in->after = last;
    return true;
}

/* What a row says: whether two are of the same file, and tell the same of it. */
static char *row_key(uint32_t item, uint32_t mod_content, uint64_t size, const char *digest)
{
    return g_strdup_printf("%" PRIu32 "-%" PRIu32 " %" PRIu64 " %s", item, mod_content, size,
                           digest);
}

/* The volumes of the rows as they are now: key -> volume. Of a file on several volumes one counts.
 */
static GHashTable *rows_now(const Inspection *in, const GPtrArray *questions, GError **error)
{
    g_autoptr(GArray) items = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    g_autoptr(Rows) rows = NULL;
    GHashTable *now;

    for (guint i = 0; i < questions->len; i++)
        g_array_append_val(items, ((Question *)g_ptr_array_index(questions, i))->item);
    rows = read_items(in, items, error);
    if (rows == NULL)
        return NULL;
    now = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (unsigned i = 0; i < rows_count(rows); i++) {
        unsigned volume = 0;
        size_t length;
        const char *locator = rows_bytes(rows, i, 4, &length);

        if (volume_from_locator(locator, length, &volume))
            g_hash_table_insert(now,
                                row_key((uint32_t)rows_u64(rows, i, 0),
                                        (uint32_t)rows_u64(rows, i, 1), rows_u64(rows, i, 2),
                                        rows_text(rows, i, 3)),
                                GUINT_TO_POINTER(volume));
    }
    return now;
}

/* The volume on which @question's blob is to be by its row of now; 0: the row is gone or another.
 */
static unsigned volume_now(GHashTable *now, const Question *question)
{
    g_autofree char *key =
        row_key(question->item, question->mod_content, question->size, question->digest);

    return GPOINTER_TO_UINT(g_hash_table_lookup(now, key));
}

/* The doubtful are asked about again, as their rows are now. */
static bool ask_again(Inspection *in, GError **error)
{
    g_autoptr(GHashTable) now = rows_now(in, in->doubtful, error);

    if (now == NULL)
        return false;
    for (guint i = 0; i < in->doubtful->len; i++) {
        Question *question = g_ptr_array_index(in->doubtful, i);

        question->volume = volume_now(now, question);
        if (question->volume == 0 || !wanted(in->job, question->volume)) {
            g_hash_table_remove(in->live, question);
            continue;
        }
        stream_file_clear(&question->file);
        question->file = (StreamFile){ .ask_only = true };
        question->again = true;
        g_queue_push_tail(&in->todo, question);
    }
    g_ptr_array_set_size(in->doubtful, 0);
    return true;
}

/* What is wrong; false if nothing is. */
static bool judge(const Inspect *job, const Question *question, BlobFault *fault)
{
    const StreamFile *file = &question->file;

    if (file->result == STREAM_ABSENT)
        *fault = BLOB_MISSING;
    else if (file->result != STREAM_THERE)
        *fault = BLOB_UNREADABLE;
    else if (file->look.is == LOOK_ELSEWHERE)
        *fault = BLOB_ELSEWHERE;
    else if (file->raw_size != question->size)
        *fault = BLOB_SIZE;
    else if (job->digests && strcmp(file->digest, question->digest) != 0)
        *fault = BLOB_CONTENT;
    else if (file->look.is == LOOK_REVISION || (file->look.is == LOOK_OLD_NAME && !job->old_names))
        *fault = BLOB_NAME;
    else
        return false;
    return true;
}

static char *detail_of(const Inspect *job, const Question *question, BlobFault fault)
{
    const StreamFile *file = &question->file;
    const Volume *volume = volumes_find(job->volumes, file->look.volume);

    if (fault == BLOB_UNREADABLE)
        return g_strdup(file->trouble);
    if (fault == BLOB_ELSEWHERE)
        return g_strdup_printf("its content is on volume %s",
                               volume != NULL ? volume->name : "unknown");
    if (fault == BLOB_NAME && file->look.is == LOOK_OLD_NAME)
        return g_strdup_printf("it is there by its old name, %" PRIu32 ".msg", question->item);
    if (fault == BLOB_NAME)
        return g_strdup_printf("its content is there as %" PRIu32 "-%" PRIu32 ".msg",
                               question->item, file->look.mod_content);
    return NULL;
}

/* What is bad still, by rows that are still there. */
static bool report_bad(Inspection *in, GError **error)
{
    g_autoptr(GHashTable) now = NULL;

    if (in->bad->len == 0)
        return true;
    now = rows_now(in, in->bad, error);
    if (now == NULL)
        return false;
    for (guint i = 0; i < in->bad->len; i++) {
        Question *question = g_ptr_array_index(in->bad, i);
        BlobFault fault = BLOB_MISSING;

        if (judge(in->job, question, &fault) && volume_now(now, question) == question->volume) {
            g_autofree char *detail = detail_of(in->job, question, fault);

            report(in, (BlobFinding){ .fault = fault,
                                      .volume = question->volume,
                                      .item = question->item,
                                      .mod_content = question->mod_content,
                                      .size = question->size,
                                      .found_size = question->file.raw_size,
                                      .digest = question->digest,
                                      .detail = detail });
        }
        g_hash_table_remove(in->live, question);
    }
    g_ptr_array_set_size(in->bad, 0);
    return true;
}

static StreamFile *next_question(void *data, GError **error)
{
    Inspection *in = data;

    while (in->todo.length == 0) {
        const bool pressing = in->doubtful->len >= CONFIRM_ROWS || in->at_end;

        if (in->doubtful->len > 0 && pressing) {
            if (!ask_again(in, error))
                return NULL;
        } else if (in->at_end) {
            return NULL;
        } else if (!read_chunk(in, error)) {
            return NULL;
        }
    }
    return g_queue_pop_head(&in->todo);
}

static void ask(void *data, const StreamFile *file, Peer *peer)
{
    const Inspection *in = data;
    const Question *question = (const Question *)file;
    BlobRef ref = { .volume = (uint8_t)question->volume,
                    .mailbox = in->job->mailbox,
                    .item = question->item,
                    .mod_content = question->mod_content,
                    .size = question->size };

    g_strlcpy(ref.digest, question->digest, sizeof ref.digest);
    peer_begin(peer, AGENT_BLOB_LOOK,
               (in->job->digests ? AGENT_DIGEST : 0) |
                   (in->job->crosscheck && question->again ? AGENT_OTHERS : 0));
    blob_ref_put(peer_out(peer), &ref);
}

static bool settled(void *data, GPtrArray *files, GError **error)
{
    Inspection *in = data;

    for (guint i = 0; i < files->len; i++) {
        Question *question = g_ptr_array_index(files, i);
        BlobFault fault;

        if (!judge(in->job, question, &fault))
            g_hash_table_remove(in->live, question);
        else
            g_ptr_array_add(question->again ? in->bad : in->doubtful, question);
    }
    return in->bad->len < CONFIRM_ROWS || report_bad(in, error);
}

static void tick(void *data, uint64_t files G_GNUC_UNUSED, uint64_t bytes G_GNUC_UNUSED)
{
    const Inspection *in = data;

    if (in->job->tick != NULL)
        in->job->tick(in->job->data, in->count);
}

static void inspection_init(Inspection *in, const Inspect *job, InspectCount *count)
{
    *in = (Inspection){ .job = job, .count = count };
    g_snprintf(in->schema, sizeof in->schema, "mboxgroup%u", job->group);
}

bool inspect_rows(const Inspect *job, InspectCount *count, GError **error)
{
    static const StreamCalls calls = {
        .next = next_question, .ask = ask, .settled = settled, .tick = tick
    };
    Inspection in;
    bool ok;

    inspection_init(&in, job, count);
    g_queue_init(&in.todo);
    in.live = g_hash_table_new_full(NULL, NULL, question_free, NULL);
    in.doubtful = g_ptr_array_new();
    in.bad = g_ptr_array_new();
    ok = stream_run(NULL, job->peer, &calls, &in, job->wait, error) && report_bad(&in, error);
    g_queue_clear(&in.todo);
    g_ptr_array_unref(in.doubtful);
    g_ptr_array_unref(in.bad);
    g_hash_table_destroy(in.live);
    return ok;
}

static void stray_free(gpointer data)
{
    Stray *stray = data;

    g_free(stray->path);
    g_free(stray);
}

/* "item-mod_content", and "item" for the old name. */
static char *file_key(uint32_t item, uint32_t mod_content)
{
    return mod_content == 0 ? g_strdup_printf("%" PRIu32, item)
                            : g_strdup_printf("%" PRIu32 "-%" PRIu32, item, mod_content);
}

/* Which files rows of these items call for on the volume being walked: keys. */
static GHashTable *called_for(const Inspection *in, const GPtrArray *strays, GError **error)
{
    g_autoptr(GArray) items = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    g_autoptr(Rows) rows = NULL;
    GHashTable *keys;

    for (guint i = 0; i < strays->len; i++)
        g_array_append_val(items, ((Stray *)g_ptr_array_index(strays, i))->item);
    rows = read_items(in, items, error);
    if (rows == NULL)
        return NULL;
    keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (unsigned i = 0; i < rows_count(rows); i++) {
        const uint32_t item = (uint32_t)rows_u64(rows, i, 0);
        unsigned volume = 0;
        size_t length;
        const char *locator = rows_bytes(rows, i, 4, &length);

        if (!volume_from_locator(locator, length, &volume) || volume != in->walked)
            continue;
        g_hash_table_add(keys, file_key(item, (uint32_t)rows_u64(rows, i, 1)));
        g_hash_table_add(keys, file_key(item, 0));
    }
    return keys;
}

/* Leaves in @strays those that no row calls for. */
static bool leave_homeless(Inspection *in, GPtrArray *strays, GError **error)
{
    g_autoptr(GHashTable) keys = strays->len > 0 ? called_for(in, strays, error) : NULL;

    if (keys == NULL)
        return strays->len == 0;
    for (guint i = strays->len; i-- > 0;) {
        const Stray *stray = g_ptr_array_index(strays, i);
        g_autofree char *key = file_key(stray->item, stray->mod_content);

        if (stray->in_place && g_hash_table_contains(keys, key))
            g_ptr_array_remove_index_fast(strays, i);
    }
    return true;
}

/* Looked for once more: their rows may have been written since. */
static bool report_homeless(Inspection *in, GError **error)
{
    const Volume *volume = volumes_find(in->job->volumes, in->walked);
    g_autofree char *dir = volume_mailbox_dir(volume, in->job->mailbox);

    if (!leave_homeless(in, in->homeless, error))
        return false;
    for (guint i = 0; i < in->homeless->len; i++) {
        const Stray *stray = g_ptr_array_index(in->homeless, i);
        g_autofree char *file = g_build_filename(dir, "msg", stray->path, NULL);

        report(in, (BlobFinding){ .fault = BLOB_UNEXPECTED,
                                  .volume = in->walked,
                                  .item = stray->item,
                                  .mod_content = stray->mod_content,
                                  .found_size = stray->length,
                                  .digest = "",
                                  .file = file,
                                  .detail =
                                      stray->in_place ? NULL : "mailboxd looks for it elsewhere" });
    }
    g_ptr_array_set_size(in->homeless, 0);
    return true;
}

static bool look_for_strays(Inspection *in, GError **error)
{
    if (!leave_homeless(in, in->strays, error))
        return false;
    for (guint i = 0; i < in->strays->len; i++)
        g_ptr_array_add(in->homeless, g_steal_pointer(&in->strays->pdata[i]));
    g_ptr_array_set_free_func(in->strays, NULL);
    g_ptr_array_set_size(in->strays, 0);
    g_ptr_array_set_free_func(in->strays, stray_free);
    return in->homeless->len < CONFIRM_ROWS || report_homeless(in, error);
}

static bool on_file(void *data, const BlobEntry *entry, GError **error)
{
    Inspection *in = data;
    Stray *stray;

    in->count->files++;
    tick(in, 0, 0);
    if (!wait_check(in->job->wait, "looking at files", error))
        return false;
    if (entry->mtime > in->young)
        return true;
    stray = g_new0(Stray, 1);
    *stray = (Stray){ .in_place = entry->in_place,
                      .item = entry->item,
                      .mod_content = entry->mod_content,
                      .length = entry->length,
                      .path = g_strdup(entry->path) };
    g_ptr_array_add(in->strays, stray);
    return in->strays->len < CONFIRM_ROWS || look_for_strays(in, error);
}

static bool walk_volume(Inspection *in, const Volume *volume, GError **error)
{
    in->walked = volume->id;
    return peer_blob_list(in->job->peer, volume->id, in->job->mailbox, on_file, in, error) &&
           look_for_strays(in, error) && report_homeless(in, error);
}

bool inspect_files(const Inspect *job, InspectCount *count, GError **error)
{
    Inspection in;
    bool ok = true;

    inspection_init(&in, job, count);
    in.strays = g_ptr_array_new_with_free_func(stray_free);
    in.homeless = g_ptr_array_new_with_free_func(stray_free);
    in.young = g_get_real_time() / G_USEC_PER_SEC - YOUNG_S;
    for (guint i = 0; i < job->volumes->len && ok; i++) {
        const Volume *volume = g_ptr_array_index(job->volumes, i);

        if (volume->store_type == 1 && volume->type != VOLUME_INDEX && wanted(job, volume->id))
            ok = walk_volume(&in, volume, error);
    }
    g_ptr_array_unref(in.strays);
    g_ptr_array_unref(in.homeless);
    return ok;
}
