/* blob_rows.h - how the rows that call for blobs looked at the source in one snapshot: the buckets
 * of their tables (buckets.h), to be held against those of a later snapshot. A fingerprint covers
 * all that a blob is known by: item, mod_content, size, digest, and whether there is a locator. */
#ifndef ZX_MOVE_BLOB_ROWS_H
#define ZX_MOVE_BLOB_ROWS_H

#include "core/move/buckets.h"

/* Of @tables (of TableBuckets, as buckets_read left them) those with blobs. */
BlobRows *blob_rows_of(const GPtrArray *tables);
/* Asks the source alone, inside the caller's snapshot. */
BlobRows *blob_rows_read(const Catalogue *catalogue, Db *source, const RowsMap *map,
                         const Wait *wait, GError **error) MUST_USE;
void blob_rows_free(BlobRows *rows);

/* The first item id (uint64_t, ascending, each once) of every bucket in which a row may not be as
 * it was. Both are of one catalogue. */
GArray *blob_rows_changed(const BlobRows *before, const BlobRows *now);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlobRows, blob_rows_free)

#endif
