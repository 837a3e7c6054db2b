/* ahead.c - see ahead.h. */
#include "core/move/ahead.h"
#include "core/base/log.h"
#include <string.h>

/* More are not worth naming in a statement: everything is compared. */
enum { NAMED_SPANS = 1000 };

struct Ahead {
    BlobRows *rows;
    ManifestDiff diff; /* of the same snapshot */
    ManifestRecords records;
};

Ahead *ahead_read(const Catalogue *catalogue, const BlobsJob *job, const RowsMap *map,
                  const Wait *wait, GError **error)
{
    g_autoptr(Ahead) ahead = g_new0(Ahead, 1);

    /* The records first: what changes while the rest is read shows later. */
    if (!manifest_records(job, &ahead->records, error))
        return NULL;
    ahead->rows = blob_rows_read(catalogue, job->source_db, map, wait, error);
    if (ahead->rows == NULL || !manifest_compare(job, NULL, &ahead->diff, error))
        return NULL;
    return g_steal_pointer(&ahead);
}

void ahead_free(Ahead *ahead)
{
    if (ahead == NULL)
        return;
    blob_rows_free(ahead->rows);
    manifest_diff_clear(&ahead->diff);
    g_free(ahead);
}

bool ahead_holds(const Ahead *ahead, const BlobsJob *job, bool *holds, GError **error)
{
    ManifestRecords now;

    if (!manifest_records(job, &now, error))
        return false;
    *holds = now.records == ahead->records.records && now.elsewhere == ahead->records.elsewhere &&
             now.damaged == ahead->records.damaged &&
             strcmp(now.sums[0], ahead->records.sums[0]) == 0 &&
             strcmp(now.sums[1], ahead->records.sums[1]) == 0;
    return true;
}

static void add_span(GArray *spans, ManifestSpan span)
{
    const ManifestSpan *last =
        spans->len > 0 ? &g_array_index(spans, ManifestSpan, spans->len - 1) : NULL;

    if (last == NULL || last->from != span.from)
        g_array_append_val(spans, span);
}

static int compare_spans(const void *a, const void *b)
{
    const ManifestSpan *left = a, *right = b;

    return (left->from > right->from) - (left->from < right->from);
}

/* Every bucket of the manifest that may not be as it was, and those that differed then. */
static GArray *open_spans(const Ahead *ahead, const BlobRows *now)
{
    g_autoptr(GArray) items = blob_rows_changed(ahead->rows, now);
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(ManifestSpan));
    GArray *spans = g_array_new(FALSE, FALSE, sizeof(ManifestSpan));

    for (unsigned i = 0; i < items->len; i++)
        add_span(all, manifest_span(g_array_index(items, uint64_t, i)));
    for (unsigned i = 0; i < ahead->diff.ranges->len; i++) {
        const ManifestRange *range = &g_array_index(ahead->diff.ranges, ManifestRange, i);

        for (uint64_t item = range->from; item <= range->to; item = manifest_span(item).to + 1ULL)
            add_span(all, manifest_span(item));
    }
    g_array_sort(all, compare_spans);
    for (unsigned i = 0; i < all->len; i++)
        add_span(spans, g_array_index(all, ManifestSpan, i));
    return spans;
}

/* Of @then what lies outside of @spans; its rows and bytes are added to those of @diff. */
static void add_untouched(const GArray *then, const GArray *spans, ManifestDiff *diff)
{
    unsigned j = 0;

    for (unsigned i = 0; i < then->len; i++) {
        const ManifestLine *line = &g_array_index(then, ManifestLine, i);

        while (j < spans->len &&
               manifest_bucket(g_array_index(spans, ManifestSpan, j).from) < line->bucket)
            j++;
        if (j < spans->len &&
            manifest_bucket(g_array_index(spans, ManifestSpan, j).from) == line->bucket)
            continue;
        diff->blobs += line->rows;
        diff->bytes += line->bytes;
    }
}

bool ahead_compare(const Ahead *ahead, const BlobsJob *job, const BlobRows *now, ManifestDiff *diff,
                   GError **error)
{
    g_autoptr(GArray) spans = open_spans(ahead, now);
    const GArray *within = spans->len <= NAMED_SPANS ? spans : NULL;

    log_debug("blobs: those that may have changed are compared, %u of %u buckets", spans->len,
              ahead->diff.lines->len);
    if (!manifest_compare(job, within, diff, error))
        return false;
    if (within != NULL)
        add_untouched(ahead->diff.lines, spans, diff);
    diff->none_elsewhere = ahead->records.elsewhere == 0;
    diff->none_damaged = ahead->records.damaged == 0;
    return true;
}
