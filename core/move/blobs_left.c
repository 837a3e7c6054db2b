/* blobs_left.c - see blobs.h: what a mailbox's rows call for and its records have not, before it is
 * brought and after. */
#include "core/move/manifest.h"
#include <string.h>

unsigned blobs_bad(const GPtrArray *trouble, const BlobTrouble **first)
{
    unsigned count = 0;

    *first = NULL;
    for (unsigned i = 0; i < trouble->len; i++) {
        const BlobTrouble *one = g_ptr_array_index(trouble, i);

        if (one->kind == TROUBLE_BEFORE)
            continue;
        if (count++ == 0)
            *first = one;
    }
    return count;
}

typedef struct Differences {
    const GPtrArray *trouble;
    char **first; /* that neither damage nor a bad item explains */
} Differences;

static bool is_bad_item(const GPtrArray *trouble, const ManifestRow *row)
{
    for (unsigned i = 0; i < trouble->len; i++) {
        const BlobTrouble *one = g_ptr_array_index(trouble, i);

        if (one->kind == TROUBLE_NOT_COPIED && one->item_id == row->item_id &&
            one->mod_content == row->mod_content)
            return true;
    }
    return false;
}

static void first_difference(void *data, const ManifestRow *row, const ManifestRow *staged)
{
    const Differences *differences = data;

    if (*differences->first == NULL && !(staged == NULL && is_bad_item(differences->trouble, row)))
        *differences->first =
            g_strdup_printf("blob %u-%u %s", row->item_id, row->mod_content,
                            staged == NULL  ? "is not staged"
                            : staged == row ? "is staged, and no row calls for it"
                                            : "is staged with another size or digest");
}

static void find_two_files(const GArray *rows, char **difference)
{
    for (unsigned i = 0; i < rows->len && *difference == NULL; i++) {
        const ManifestRow *row = &g_array_index(rows, ManifestRow, i);

        if (row->conflict == CONFLICT_TWO_FILES)
            *difference = g_strdup_printf("blob %u-%u is two different files", row->item_id,
                                          row->mod_content);
    }
}

char *blobs_refusal(const BlobsJob *job, const GPtrArray *trouble)
{
    const BlobTrouble *one;
    unsigned count = blobs_bad(trouble, &one);

    if (count > job->bad_item_limit)
        return g_strdup_printf("%u item%s could not be copied, more than bad_item_limit %u allows; "
                               "the first is item %u: %s",
                               count, count == 1 ? "" : "s", job->bad_item_limit, one->item_id,
                               one->what);
    for (unsigned i = 0; i < trouble->len; i++) {
        one = g_ptr_array_index(trouble, i);
        if (one->kind == TROUBLE_CONFLICT)
            return g_strdup_printf("item %u: %s", one->item_id, one->what);
    }
    return NULL;
}

bool blobs_difference(const BlobsJob *job, const ManifestDiff *diff, const GPtrArray *trouble,
                      char **found, GError **error)
{
    Differences differences = { .trouble = trouble, .first = found };

    *found = blobs_refusal(job, trouble);
    for (unsigned i = 0; *found == NULL && i < diff->ranges->len; i++) {
        const ManifestRange *range = &g_array_index(diff->ranges, ManifestRange, i);
        g_autoptr(GArray) rows = NULL, staged = NULL;

        /* Buckets differ although their rows do not where several rows name one damaged file. */
        if (!manifest_read(job, job->source_db, range->from, range->to, &rows, &staged, error))
            return false;
        manifest_merge(rows, staged, first_difference, first_difference, &differences);
        find_two_files(rows, found);
    }
    return true;
}

bool blobs_proved(const BlobsJob *job, const GPtrArray *trouble, bool *equal, char **difference,
                  GError **error)
{
    char *found = NULL;
    ManifestDiff diff;
    bool ok = manifest_compare(job, NULL, &diff, error) &&
              blobs_difference(job, &diff, trouble, &found, error);

    manifest_diff_clear(&diff);
    if (!ok) {
        g_free(found);
        return false;
    }
    *equal = found == NULL;
    if (found != NULL)
        *difference = found;
    return true;
}

typedef struct Missing {
    uint64_t blobs, bytes;
} Missing;

static void count_missing(void *data, const ManifestRow *row, const ManifestRow *staged)
{
    Missing *missing = data;

    (void)staged;
    missing->blobs++;
    missing->bytes += row->size;
}

bool blobs_missing(const BlobsJob *job, uint64_t *blobs, uint64_t *bytes, GError **error)
{
    Missing missing = { 0 };
    ManifestDiff diff;
    bool ok = manifest_compare(job, NULL, &diff, error);

    for (unsigned i = 0; ok && i < diff.ranges->len; i++) {
        const ManifestRange *range = &g_array_index(diff.ranges, ManifestRange, i);
        g_autoptr(GArray) rows = NULL, staged = NULL;

        if (range->staged_rows == 0) { /* all of them: the sums say it */
            missing.blobs += range->source_rows;
            missing.bytes += range->source_bytes;
            continue;
        }
        ok = manifest_read(job, job->source_db, range->from, range->to, &rows, &staged, error);
        if (ok)
            manifest_merge(rows, staged, count_missing, NULL, &missing);
    }
    manifest_diff_clear(&diff);
    if (!ok)
        return false;
    *blobs = missing.blobs;
    *bytes = missing.bytes;
    return true;
}

static void take_row(void *data, const ManifestRow *row, const ManifestRow *staged)
{
    (void)staged;
    g_array_append_val((GArray *)data, *row);
}

/* Which rows of an older copy's range lie on the volume of the job. */
static GArray *rows_of_copy(const BlobsJob *job, const OlderCopy *copy, const ManifestRange *range,
                            GError **error)
{
    BlobsJob older = *job;
    g_autoptr(GArray) rows = NULL;
    GArray *found;

    older.source_group = copy->group;
    older.source_mailbox = copy->mailbox;
    older.source_volumes = copy->volumes;
    older.source = job->target;
    if (!manifest_read(&older, job->target_db, range->from, range->to, &rows, NULL, error))
        return NULL;
    found = g_array_new(FALSE, FALSE, sizeof(ManifestRow));
    for (unsigned i = 0; i < rows->len; i++)
        if (g_array_index(rows, ManifestRow, i).volume == job->target_volume->id)
            g_array_append_val(found, g_array_index(rows, ManifestRow, i));
    return found;
}

bool blobs_in_older_copy(const BlobsJob *job, const OlderCopy *copy, uint64_t *blobs,
                         uint64_t *bytes, GError **error)
{
    ManifestDiff diff;
    bool ok = manifest_compare(job, NULL, &diff, error);

    *blobs = *bytes = 0;
    for (unsigned i = 0; ok && i < diff.ranges->len; i++) {
        const ManifestRange *range = &g_array_index(diff.ranges, ManifestRange, i);
        g_autoptr(GArray) missing = g_array_new(FALSE, FALSE, sizeof(ManifestRow));
        g_autoptr(GArray) rows = NULL, staged = NULL, there = NULL;
        Missing neither = { 0 };

        ok = manifest_read(job, job->source_db, range->from, range->to, &rows, &staged, error) &&
             (there = rows_of_copy(job, copy, range, error)) != NULL;
        if (!ok)
            break;
        manifest_merge(rows, staged, take_row, NULL, missing);
        manifest_merge(missing, there, count_missing, NULL, &neither);
        *blobs += missing->len - neither.blobs;
        for (unsigned k = 0; k < missing->len; k++)
            *bytes += g_array_index(missing, ManifestRow, k).size;
        *bytes -= neither.bytes;
    }
    manifest_diff_clear(&diff);
    return ok;
}
