/* ahead.h - what is found out about a mailbox's blobs before its window, so that the window asks
 * only for the rest.
 *
 * In one snapshot of the source: how the rows that call for blobs look (blob_rows.h), which blobs
 * they call for, and which of those are not recorded as staged. Manifest and rows are functions of
 * the same columns: where, in the window, every bucket of rows has the fingerprint it had, and the
 * records are those that were compared, comparing again would find the same. Everything else is
 * compared anew, and so is what was not staged then. The number of the volume is not among these
 * columns: a blob mover changes where a blob lies, not what it is. */
#ifndef ZX_MOVE_AHEAD_H
#define ZX_MOVE_AHEAD_H

#include "core/move/blob_rows.h"
#include "core/move/manifest.h"

typedef struct Ahead Ahead;

/* The source's connection of @job is inside a snapshot. */
Ahead *ahead_read(const Catalogue *catalogue, const BlobsJob *job, const RowsMap *map,
                  const Wait *wait, GError **error) MUST_USE;
void ahead_free(Ahead *ahead);

/* Are the records at the destination, every column of every one, those that were compared? To be
 * asked under the same claim, before the window opens. */
bool ahead_holds(const Ahead *ahead, const BlobsJob *job, bool *holds, GError **error) MUST_USE;

/* What manifest_compare would find in the snapshot that @now was read in. */
bool ahead_compare(const Ahead *ahead, const BlobsJob *job, const BlobRows *now, ManifestDiff *diff,
                   GError **error) MUST_USE;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ahead, ahead_free)

#endif
