/* manifest.h - which blobs a mailbox's rows call for, and which are recorded as staged
 * (doc/platform.md 3.3).
 *
 * Both sides are cut into buckets of item ids, and each side answers one line a bucket: how many
 * blobs, how many bytes, two sums over a SHA-1 of item, mod_content, size and digest.
 * Only buckets that differ are read row by row, so that a round costs what changed. */
#ifndef ZX_MOVE_MANIFEST_H
#define ZX_MOVE_MANIFEST_H

#include "core/agent/protocol.h"
#include "core/move/blobs.h"

/* A blob of one side. */
typedef struct ManifestRow {
    uint32_t item_id, mod_content;
    uint64_t size;
    char digest[DIGEST_SIZE];
    unsigned volume;    /* of the source by the locator; of a staged one where it was put */
    uint64_t disk_size; /* staged: length of the file */
    bool damaged;       /* staged: it was not as its row says at the source already */
    bool reread;        /* staged: and read again from the disk since it was written */
    /* Source: rows of several tables that name one file tell different sizes or digests. */
    enum { CONFLICT_NONE, CONFLICT_SAME_FILE, CONFLICT_TWO_FILES } conflict;
} ManifestRow;

/* Neighbouring buckets that differ. */
typedef struct ManifestRange {
    uint32_t from, to; /* item ids, inclusive */
    uint64_t source_rows, source_bytes, staged_rows, staged_bytes;
} ManifestRange;

/* What the rows of one bucket call for. */
typedef struct ManifestLine {
    uint64_t bucket, rows, bytes;
} ManifestLine;

struct ManifestDiff {
    GArray *ranges;        /* of ManifestRange, ascending */
    GArray *lines;         /* of ManifestLine, ascending */
    uint64_t blobs, bytes; /* all that the rows call for */
    /* Known already: nothing is recorded on another volume; nothing is recorded as damaged. */
    bool none_elsewhere, none_damaged;
};

/* Item ids of whole buckets, inclusive. */
typedef struct ManifestSpan {
    uint32_t from, to;
} ManifestSpan;
ManifestSpan manifest_span(uint64_t item_id); /* of the bucket it is in */
uint64_t manifest_bucket(uint32_t item_id);

/* One query on each side at the same time; of the items in @within alone (of ManifestSpan,
 * ascending; NULL: all). */
bool manifest_compare(const BlobsJob *job, const GArray *within, ManifestDiff *diff,
                      GError **error) MUST_USE;
void manifest_diff_clear(ManifestDiff *diff);
/* All that the rows call for; only the source is asked. */
bool manifest_total(const BlobsJob *job, uint64_t *blobs, uint64_t *bytes, GError **error) MUST_USE;

/* Every locator is of a volume of files; REFUSED names an item with another one. Only the source is
 * asked. */
bool manifest_locators_fit(const BlobsJob *job, GError **error) MUST_USE;

/* Rows of both sides (of ManifestRow, by item id and mod_content) in a range of item ids; REFUSED
 * for a locator that is no volume of files. The source's rows are read through @source, which may
 * be another connection than the job's. */
bool manifest_read(const BlobsJob *job, Db *source, uint32_t from, uint32_t to, GArray **rows,
                   GArray **staged, GError **error) MUST_USE;

/* What both sides of a range mean: @copy is told of rows whose blob has to come (@staged: another
 * state of it that is recorded, or NULL), @remove of records that no row calls for (both are the
 * record). Either may be NULL. */
typedef void ManifestOnRow(void *data, const ManifestRow *row, const ManifestRow *staged);
void manifest_merge(const GArray *rows, const GArray *staged, ManifestOnRow *copy,
                    ManifestOnRow *remove, void *data);
/* The same blob with the same content? */
bool manifest_same(const ManifestRow *a, const ManifestRow *b);

/* Staged rows after @after (NULL: from the beginning), at most @limit, on any volume, or, with
 * @elsewhere, only those on another volume than the job's. */
GArray *manifest_staged(const BlobsJob *job, const ManifestRow *after, bool elsewhere,
                        unsigned limit, GError **error) MUST_USE;

/* Before an id is used again: what the older copy's rows have on @volume is recorded as ours and not
 * known, so that a round looks at it, and removes what no row calls for any more. */
bool manifest_adopt(Db *db, const char *account_id, unsigned group, uint32_t mailbox,
                    unsigned volume, GError **error) MUST_USE;

/* Records of zxmove.staged, many in one statement. @damaged (of char *, as many as @rows) is NULL
 * for what is as its row says. */
bool manifest_record(const BlobsJob *job, const GArray *rows, const GPtrArray *damaged,
                     GError **error) MUST_USE;
bool manifest_strike(const BlobsJob *job, const GArray *rows, GError **error) MUST_USE;
/* All that is recorded of the account: what is equal was not written to. */
typedef struct ManifestRecords {
    uint64_t records, elsewhere, damaged;
    char sums[2][44]; /* of two parts of a fingerprint over every column */
} ManifestRecords;
bool manifest_records(const BlobsJob *job, ManifestRecords *out, GError **error) MUST_USE;

/* Those of @rows were read again and are as they are recorded. */
bool manifest_mark_reread(const BlobsJob *job, const GArray *rows, GError **error) MUST_USE;
/* Nothing that is recorded of the account is believed any more: the next round looks at each file, and
 * removes what no row calls for. */
bool manifest_doubt(const BlobsJob *job, GError **error) MUST_USE;
/* What is recorded as damaged, of BlobTrouble, appended to @trouble. */
bool manifest_damaged(const BlobsJob *job, GPtrArray *trouble, GError **error) MUST_USE;

#endif
