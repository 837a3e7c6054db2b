/* blobs.c - see blobs.h. The stream copies and syncs; here is decided what has to be copied and
 * what the outcome of each file means. */
#include "core/move/blobs.h"
#include "core/base/failpoint.h"
#include "core/move/manifest.h"
#include "core/move/stream.h"
#include <string.h>

#define PROGRESS_US (100 * 1000)
#define CHECK_ROWS  4096

typedef enum Task { TASK_COPY, TASK_REMOVE, TASK_STAT, TASK_HASH } Task;

typedef struct Blob {
    StreamFile file; /* first: the stream knows it by this */
    Task task;
    ManifestRow row;
    bool ours;    /* recorded before: an older state of it may be replaced */
    bool retried; /* by the locator its row has today */
    bool recorded; /* REMOVE: what its record says stays true: that it is missing */
} Blob;

typedef struct Round {
    const BlobsJob *job;
    BlobsProgress *progress;
    void *progress_data;
    gint64 shown;
    BlobsCount *count;
    GPtrArray *trouble;
    ManifestDiff diff;
    unsigned range;   /* of diff: the next to be read */
    GQueue todo;      /* of Blob */
    GHashTable *live; /* of Blob: owned here until they are settled */
    bool damage_recorded;
} Round;

void blob_trouble_free(BlobTrouble *trouble)
{
    g_free(trouble->what);
    g_free(trouble);
}

static void blob_free(gpointer data)
{
    Blob *blob = data;

    stream_file_clear(&blob->file);
    g_free(blob);
}

/* Takes @what over. Always counted: what was damaged before is added by manifest_damaged. */
static void add_trouble(Round *round, const ManifestRow *row, int kind, bool unreadable, char *what)
{
    BlobTrouble *trouble = g_new0(BlobTrouble, 1);

    trouble->item_id = row->item_id;
    trouble->mod_content = row->mod_content;
    trouble->kind = kind;
    trouble->what = what;
    g_ptr_array_add(round->trouble, trouble);
    if (round->job->tally != NULL)
        tally_bad(round->job->tally, round->job->account_id, row->item_id, row->mod_content, unreadable);
}

static Blob *add_blob(Round *round, Task task, const ManifestRow *row)
{
    Blob *blob = g_new0(Blob, 1);

    blob->task = task;
    blob->row = *row;
    blob->file.ask = true;
    blob->file.ask_only = task != TASK_COPY;
    blob->file.expected = row->size;
    g_hash_table_add(round->live, blob);
    g_queue_push_tail(&round->todo, blob);
    return blob;
}

static void want_copy(void *data, const ManifestRow *row, const ManifestRow *staged)
{
    Round *round = data;

    if (row->conflict == CONFLICT_TWO_FILES) {
        add_trouble(round, row, TROUBLE_CONFLICT, false,
                    g_strdup_printf("two different files of %s have one name on different volumes, "
                                    "and one place at the destination",
                                    peer_store(round->job->source)));
        return;
    }
    add_blob(round, TASK_COPY, row)->ours = staged != NULL;
    if (round->count->already > 0) /* more may have come since they were counted */
        round->count->already--;
}

static void want_removal(void *data, const ManifestRow *row, const ManifestRow *staged)
{
    (void)staged;
    add_blob(data, TASK_REMOVE, row);
}

/* Records on another volume than the one chosen now: their files go, the rows' blobs come again. */
static bool find_elsewhere(Round *round, GError **error)
{
    ManifestRow last = { 0 };
    unsigned found;

    do {
        g_autoptr(GArray) rows =
            manifest_staged(round->job, last.item_id == 0 ? NULL : &last, true, CHECK_ROWS, error);

        if (rows == NULL)
            return false;
        for (unsigned i = 0; i < rows->len; i++)
            add_blob(round, TASK_REMOVE, &g_array_index(rows, ManifestRow, i));
        found = rows->len;
        if (found > 0)
            last = g_array_index(rows, ManifestRow, found - 1);
    } while (found == CHECK_ROWS);
    return true;
}

static StreamFile *next_blob(void *data, GError **error)
{
    Round *round = data;
    Tally *tally = round->job->tally;
    Blob *blob;

    while (round->todo.length == 0 && round->range < round->diff.ranges->len) {
        const ManifestRange *range =
            &g_array_index(round->diff.ranges, ManifestRange, round->range++);
        g_autoptr(GArray) rows = NULL, staged = NULL;

        if (!manifest_read(round->job, round->job->source_db, range->from, range->to, &rows,
                           &staged, error) ||
            !failpoint("blobs:range", error))
            return NULL;
        manifest_merge(rows, staged, want_copy, want_removal, round);
    }
    blob = g_queue_pop_head(&round->todo);
    if (blob != NULL && blob->task == TASK_COPY && tally != NULL)
        tally_attempt(tally, round->job->account_id, blob->row.item_id, blob->row.mod_content);
    if (tally != NULL && !tally_check(tally, error))
        return NULL;
    return blob != NULL ? &blob->file : NULL;
}

static uint8_t durable(const BlobsJob *job)
{
    return job->window ? AGENT_DURABLE : 0;
}

static void put_ref(Peer *peer, const ManifestRow *row, unsigned volume, uint32_t mailbox)
{
    BlobRef ref = { .volume = (uint8_t)volume,
                    .mailbox = mailbox,
                    .item = row->item_id,
                    .mod_content = row->mod_content,
                    .size = row->size };

    g_strlcpy(ref.digest, row->digest, sizeof ref.digest);
    blob_ref_put(peer_out(peer), &ref);
}

static uint8_t overwrite(const BlobsJob *job, const Blob *blob)
{
    return job->overwrite || blob->ours ? AGENT_OVERWRITE : 0;
}

static void ask_blob(void *data, const StreamFile *file, Peer *target)
{
    static const uint8_t requests[] = { [TASK_COPY] = AGENT_BLOB_HAVE,
                                        [TASK_REMOVE] = AGENT_BLOB_UNLINK,
                                        [TASK_STAT] = AGENT_BLOB_STAT,
                                        [TASK_HASH] = AGENT_BLOB_HASH };
    const Round *round = data;
    const Blob *blob = (const Blob *)file;
    const BlobsJob *job = round->job;

    peer_begin(target, requests[blob->task],
               blob->task == TASK_COPY ? durable(job) | overwrite(job, blob) : 0);
    put_ref(target, &blob->row, blob->task == TASK_COPY ? job->target_volume->id : blob->row.volume,
            job->target_mailbox);
    if (blob->task == TASK_COPY)
        wire_put_u32(peer_out(target), job->link_mailbox);
}

static void read_blob(void *data, const StreamFile *file, Peer *source)
{
    const Round *round = data;
    const Blob *blob = (const Blob *)file;

    peer_begin(source, AGENT_BLOB_READ, AGENT_OTHERS | (round->job->digest ? AGENT_DIGEST : 0));
    put_ref(source, &blob->row, blob->row.volume, round->job->source_mailbox);
}

static bool allow_blob(void *data, const StreamFile *file)
{
    const Round *round = data;

    return round->job->throttle == NULL || throttle_take(round->job->throttle, file->expected);
}

static void write_blob(void *data, const StreamFile *file, Peer *target)
{
    const Round *round = data;
    const Blob *blob = (const Blob *)file;
    const BlobsJob *job = round->job;
    bool compress = job->compress && job->target_volume->compress;

    peer_begin(target, AGENT_BLOB_WRITE,
               durable(job) | overwrite(job, blob) | (job->digest ? AGENT_DIGEST : 0) |
                   (compress ? AGENT_COMPRESS : 0));
    put_ref(target, &blob->row, job->target_volume->id, job->target_mailbox);
    wire_put_u64(peer_out(target), file->length);
}

static void sync_blobs(void *data, Peer *target)
{
    const Round *round = data;

    peer_begin(target, round->job->window ? AGENT_FLUSH : AGENT_SYNCFS, 0);
    if (!round->job->window)
        wire_put_u8(peer_out(target), (uint8_t)round->job->target_volume->id);
}

/* What is written counts here, although it is recorded only when it is durable. */
static void show(void *data, uint64_t files, uint64_t bytes)
{
    Round *round = data;
    BlobsCount so_far = *round->count;
    gint64 now = g_get_monotonic_time();

    if (round->progress == NULL || now - round->shown < PROGRESS_US)
        return;
    round->shown = now;
    so_far.copied = files;
    so_far.copied_bytes = bytes;
    round->progress(round->progress_data, &so_far);
}

/* What the source's file has to do with its row; NULL if it is as the row says. */
static char *damage(const Round *round, const Blob *blob)
{
    const char *store = peer_store(round->job->source);

    if (blob->row.conflict == CONFLICT_SAME_FILE)
        return g_strdup_printf("two rows on %s tell different sizes or digests of it", store);
    if (blob->file.result != STREAM_COPIED)
        return NULL; /* verified against the row */
    if (blob->file.raw_size != blob->row.size)
        return g_strdup_printf("%" G_GUINT64_FORMAT " bytes on %s, its row says %" G_GUINT64_FORMAT,
                               blob->file.raw_size, store, blob->row.size);
    if (round->job->digest && strcmp(blob->file.digest, blob->row.digest) != 0)
        return g_strdup_printf("content on %s differs from its row's digest", store);
    return NULL;
}

typedef struct Records {
    GArray *rows;       /* of ManifestRow, to be recorded */
    GPtrArray *damaged; /* of char *, one for each of rows */
    GArray *struck;     /* of ManifestRow, to be deleted */
} Records;

static void record(Records *records, const ManifestRow *row, uint64_t disk_size, char *damaged)
{
    ManifestRow copy = *row;

    copy.disk_size = disk_size;
    g_array_append_val(records->rows, copy);
    g_ptr_array_add(records->damaged, damaged);
}

/* What lies under its name there is an older state of it: better nothing than that. */
static Blob *remove_older(Round *round, const ManifestRow *row)
{
    Blob *blob = add_blob(round, TASK_REMOVE, row);

    blob->row.volume = round->job->target_volume->id;
    return blob;
}

/* A blob that is on none of the source's volumes. The row may have changed since the snapshot (then
 * a later round sees to it), or its file may have been carried to another volume in this moment. */
static bool judge_absent(Round *round, Blob *blob, Records *records, GError **error)
{
    const BlobsJob *job = round->job;
    Db *db = job->source_now != NULL ? job->source_now : job->source_db;
    g_autoptr(GArray) rows = NULL;
    const ManifestRow *now = NULL;

    if (job->source_now == NULL && !job->window)
        return true;
    if (!manifest_read(job, db, blob->row.item_id, blob->row.item_id, &rows, NULL, error))
        return false;
    for (unsigned i = 0; i < rows->len && now == NULL; i++)
        if (manifest_same(&g_array_index(rows, ManifestRow, i), &blob->row))
            now = &g_array_index(rows, ManifestRow, i);
    if (now == NULL)
        return true;
    if (now->volume != blob->row.volume && !blob->retried) {
        Blob *again = add_blob(round, TASK_COPY, now);

        again->ours = blob->ours;
        again->retried = true;
        return true;
    }
    record(records, &blob->row, 0,
           g_strdup_printf("missing on %s, volume %u", peer_store(job->source), blob->row.volume));
    if (blob->ours)
        remove_older(round, &blob->row)->recorded = true;
    return true;
}

static bool judge_copy(Round *round, Blob *blob, Records *records, GError **error)
{
    BlobsCount *count = round->count;
    char *what;

    switch (blob->file.result) {
    case STREAM_COPIED:
        count->copied++;
        count->copied_bytes += blob->file.length;
        break;
    case STREAM_LINKED:
        count->linked++;
        break;
    case STREAM_THERE:
        count->already++;
        break;
    case STREAM_ABSENT:
        return judge_absent(round, blob, records, error);
    case STREAM_DIFFERS:
        add_trouble(round, &blob->row, TROUBLE_CONFLICT, false,
                    g_strdup_printf("another file has its place on %s, and overwrite is false",
                                    peer_store(round->job->target)));
        return true;
    case STREAM_FAILED:
        add_trouble(round, &blob->row, TROUBLE_NOT_COPIED, blob->file.unreadable,
                    g_strdup(blob->file.trouble));
        if (blob->ours)
            remove_older(round, &blob->row);
        return true;
    case STREAM_OPEN:
        g_assert_not_reached();
    }
    what = damage(round, blob);
    record(records, &blob->row, blob->file.disk_size, what);
    return true;
}

static void judge_removal(Round *round, Blob *blob, Records *records)
{
    if (blob->file.result == STREAM_FAILED) {
        add_trouble(round, &blob->row, TROUBLE_CONFLICT, false, g_strdup(blob->file.trouble));
        return;
    }
    round->count->removed++;
    if (!blob->recorded)
        g_array_append_val(records->struck, blob->row);
}

static void records_init(Records *records)
{
    records->rows = g_array_new(FALSE, FALSE, sizeof(ManifestRow));
    records->damaged = g_ptr_array_new_with_free_func(g_free);
    records->struck = g_array_new(FALSE, FALSE, sizeof(ManifestRow));
}

static bool records_write(Records *records, const BlobsJob *job, GError **error)
{
    bool ok = manifest_strike(job, records->struck, error) &&
              manifest_record(job, records->rows, records->damaged, error);

    g_array_free(records->rows, TRUE);
    g_ptr_array_free(records->damaged, TRUE);
    g_array_free(records->struck, TRUE);
    return ok;
}

/* The files are durable: only now they are recorded. */
static bool settle_blobs(void *data, GPtrArray *files, GError **error)
{
    Round *round = data;
    Records records;
    bool ok = true;

    records_init(&records);
    for (unsigned i = 0; i < files->len; i++) {
        Blob *blob = g_ptr_array_index(files, i);

        if (ok && blob->task == TASK_COPY)
            ok = judge_copy(round, blob, &records, error);
        else if (blob->task == TASK_REMOVE)
            judge_removal(round, blob, &records);
        g_hash_table_remove(round->live, blob);
    }
    for (unsigned i = 0; i < records.damaged->len; i++)
        round->damage_recorded |= g_ptr_array_index(records.damaged, i) != NULL;
    /* What was judged is written even if a later judgement failed. */
    return records_write(&records, round->job, ok ? error : NULL) && ok;
}

static bool find_differences(Round *round, GError **error)
{
    const ManifestDiff *found = round->job->found;

    if (found == NULL)
        return manifest_compare(round->job, NULL, &round->diff, error);
    round->diff = *found;
    g_array_ref(round->diff.ranges);
    g_array_ref(round->diff.lines);
    return true;
}

static bool round_begin(Round *round, GError **error)
{
    BlobsCount *count = round->count;
    const ManifestDiff *found = round->job->found;

    g_queue_init(&round->todo);
    round->live = g_hash_table_new_full(NULL, NULL, blob_free, NULL);
    if ((found == NULL || !found->none_elsewhere) && !find_elsewhere(round, error))
        return false;
    if (!find_differences(round, error))
        return false;
    count->blobs = count->already = round->diff.blobs;
    count->bytes = round->diff.bytes;
    for (unsigned i = 0; i < round->diff.ranges->len; i++) {
        const ManifestRange *range = &g_array_index(round->diff.ranges, ManifestRange, i);

        if (range->source_rows > range->staged_rows)
            count->total_to_copy += range->source_rows - range->staged_rows;
        if (range->source_bytes > range->staged_bytes)
            count->bytes_to_copy += range->source_bytes - range->staged_bytes;
    }
    if (round->job->first && round->job->tally != NULL)
        tally_add(round->job->tally, count->blobs - MIN(count->total_to_copy, count->blobs));
    return true;
}

static void round_end(Round *round)
{
    g_queue_clear(&round->todo);
    g_hash_table_destroy(round->live);
    manifest_diff_clear(&round->diff);
}

static bool list_damaged(const Round *round, GError **error)
{
    return (round->diff.none_damaged && !round->damage_recorded) ||
           manifest_damaged(round->job, round->trouble, error);
}

/* In a window the end of a round is looked at once more, so that the proof need not sum up
 * everything again. */
static bool prove_round(Round *round, GError **error)
{
    char *found = NULL;

    if (!round->job->window)
        return true;
    if (!blobs_difference(round->job, &round->diff, round->trouble, &found, error))
        return false;
    round->count->proved = found == NULL;
    g_free(found);
    return true;
}

bool blobs_sync(const BlobsJob *job, BlobsProgress *progress, void *data, const Wait *wait,
                GPtrArray *trouble, BlobsCount *count, GError **error)
{
    static const StreamCalls calls = { .next = next_blob,
                                       .ask = ask_blob,
                                       .read = read_blob,
                                       .write = write_blob,
                                       .sync = sync_blobs,
                                       .settled = settle_blobs,
                                       .allow = allow_blob,
                                       .tick = show };
    Round round = {
        .job = job, .progress = progress, .progress_data = data, .count = count, .trouble = trouble
    };
    bool ok;

    *count = (BlobsCount){ 0 };
    g_ptr_array_set_size(trouble, 0);
    ok = round_begin(&round, error) &&
         stream_run(job->source, job->target, &calls, &round, wait, error) &&
         list_damaged(&round, error) && prove_round(&round, error);
    if (ok && progress != NULL)
        progress(data, count);
    round_end(&round);
    return ok;
}

typedef struct Check {
    Round round; /* first: ask_blob knows it as one */
    BlobsLook *look;
    bool at_end;
    ManifestRow last;
} Check;

/* Read again once after each change: who reads it every night wears the disk, and learns nothing. */
static Task check_task(const BlobsLook *look, const ManifestRow *row)
{
    if (row->damaged)
        return TASK_REMOVE;
    return look->full && !row->reread ? TASK_HASH : TASK_STAT;
}

static StreamFile *next_check(void *data, GError **error)
{
    Check *check = data;
    Round *round = &check->round;

    while (round->todo.length == 0 && !check->at_end) {
        g_autoptr(GArray) rows =
            manifest_staged(round->job, check->last.item_id == 0 ? NULL : &check->last, false,
                            CHECK_ROWS, error);

        if (rows == NULL)
            return NULL;
        for (unsigned i = 0; i < rows->len; i++) {
            check->last = g_array_index(rows, ManifestRow, i);
            if (check->look->damaged || !check->last.damaged)
                add_blob(round, check_task(check->look, &check->last), &check->last);
        }
        check->at_end = rows->len < CHECK_ROWS;
    }
    return g_queue_pop_head(&round->todo);
}

static bool as_recorded(const Blob *blob)
{
    if (blob->task == TASK_REMOVE || blob->file.result != STREAM_THERE ||
        blob->file.disk_size != blob->row.disk_size)
        return false;
    return blob->task == TASK_STAT || (blob->file.raw_size == blob->row.size &&
                                       strcmp(blob->file.digest, blob->row.digest) == 0);
}

static bool settle_checks(void *data, GPtrArray *files, GError **error)
{
    Check *check = data;
    const BlobsJob *job = check->round.job;
    g_autoptr(GArray) reread = g_array_new(FALSE, FALSE, sizeof(ManifestRow));
    Records records;

    records_init(&records);
    for (unsigned i = 0; i < files->len; i++) {
        Blob *blob = g_ptr_array_index(files, i);

        check->look->checked++;
        if (!as_recorded(blob)) {
            check->look->struck++;
            g_array_append_val(records.struck, blob->row);
        } else if (blob->task == TASK_HASH) {
            g_array_append_val(reread, blob->row);
        }
        g_hash_table_remove(check->round.live, blob);
    }
    return records_write(&records, job, error) && manifest_mark_reread(job, reread, error);
}

bool blobs_check(const BlobsJob *job, BlobsLook *look, const Wait *wait, GError **error)
{
    static const StreamCalls calls = { .next = next_check,
                                       .ask = ask_blob,
                                       .settled = settle_checks };
    BlobsCount unused = { 0 };
    Check check = { .round = { .job = job, .count = &unused }, .look = look };
    bool ok;

    look->checked = look->struck = 0;
    g_queue_init(&check.round.todo);
    check.round.live = g_hash_table_new_full(NULL, NULL, blob_free, NULL);
    ok = stream_run(NULL, job->target, &calls, &check, wait, error);
    round_end(&check.round);
    return ok;
}
