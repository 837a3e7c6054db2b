/* blobs.h - brings the blobs a mailbox's rows refer to onto the destination's volume
 * (doc/platform.md 3). The source's database says which blobs must exist; zxmove.staged at the
 * destination says which are there, verified and durable; the two are compared by buckets as rows
 * are (rows.h), so that a round costs what changed. What is missing or different streams agent to
 * agent through us, many blobs in flight, hashed at both ends on the way. Existence of a file with
 * the right name proves nothing. */
#ifndef ZX_MOVE_BLOBS_H
#define ZX_MOVE_BLOBS_H

#include "core/base/wait.h"
#include "core/move/tally.h"
#include "core/move/throttle.h"
#include "core/net/db.h"
#include "core/net/peer.h"

typedef struct ManifestDiff ManifestDiff;

typedef struct BlobsJob {
    const char *account_id;
    Db *source_db; /* in a window, and for blobs_proved, inside the caller's snapshot */
    /* Another connection there, outside any snapshot and idle during the call: a blob that is
     * missing is judged by its row of today (hazard 18). NULL: outside a window it stays open until
     * a later round. */
    Db *source_now;
    Db *target_db;
    Peer *source, *target;
    const GPtrArray *source_volumes; /* of Volume */
    const Volume *target_volume;
    unsigned source_group;
    uint32_t source_mailbox, target_mailbox;
    uint32_t link_mailbox; /* an older copy of the account there whose blobs may be hard-linked; 0 =
                              none */
    bool compress;         /* gzip what the destination's volume would compress */
    bool digest;           /* verify = digest; false: size only */
    bool overwrite;
    bool window; /* new files fdatasync'ed one by one with their directories; no syncfs */
    unsigned bad_item_limit; /* so many counted ones are no difference to the proof */
    Tally *tally;            /* of the operation; NULL: nothing ends it any more */
    Throttle *throttle;      /* of the operation; NULL: as fast as it goes, as in a window */
    const ManifestDiff *found; /* of a window: what may differ, known from elsewhere (ahead.h);
                                  NULL: everything is compared */
    bool first;              /* round of the operation: what is staged already counts as attempted */
} BlobsJob;

/* A blob that is not as its row says. */
typedef struct BlobTrouble {
    uint32_t item_id, mod_content;
    enum {
        TROUBLE_BEFORE,     /* at the source already: carried or absent, listed, not counted */
        TROUBLE_NOT_COPIED, /* counted: not readable, not writable; nothing is there under its name */
        TROUBLE_CONFLICT,   /* counted, and never accepted: another file has its place */
    } kind;
    char *what; /* "missing on store1 volume 3", "read error: ..." */
} BlobTrouble;

/* How many of @trouble are counted, and the first of them (NULL for none). */
unsigned blobs_bad(const GPtrArray *trouble, const BlobTrouble **first);

typedef struct BlobsCount {
    uint64_t blobs, bytes;                 /* the rows call for, all volumes */
    uint64_t already;                      /* staged before */
    uint64_t copied, copied_bytes;         /* this call; bytes as on the source's disk */
    uint64_t linked;                       /* hard-linked from an older copy */
    uint64_t removed;                      /* staged before, no row any more: files taken away */
    uint64_t total_to_copy, bytes_to_copy; /* for progress */
    bool proved; /* of a window's round: it ended as blobs_proved would find it, of the same snapshot */
} BlobsCount;

typedef void BlobsProgress(void *data, const BlobsCount *so_far);

/* One round. Blobs that no row calls for any more are removed from the destination's copy. @trouble
 * (of BlobTrouble) is made anew: all that is wrong after this round. Errors: NO_SPACE, CONNECT,
 * DATA, INTERRUPTED; what was staged and synced by then stays recorded. A locator that is no file
 * of ours is REFUSED by name. */
bool blobs_sync(const BlobsJob *job, BlobsProgress *progress, void *data, const Wait *wait,
                GPtrArray *trouble, BlobsCount *count, GError **error) MUST_USE;

typedef struct BlobsLook {
    bool full;    /* reads and hashes, from the disk, what was not read again since it was written */
    bool damaged; /* strikes also what was damaged at the source: a round looks whether it was mended */
    uint64_t checked, struck;
} BlobsLook;

/* Looks at every staged blob on the destination's disk: there, with the length recorded? Pipelined.
 * Those that are not are struck from zxmove.staged, so that the next round brings them. */
bool blobs_check(const BlobsJob *job, BlobsLook *look, const Wait *wait, GError **error) MUST_USE;

/* Bytes and number of blobs still to come (for the space check of a plan), by SQL alone. */
bool blobs_missing(const BlobsJob *job, uint64_t *blobs, uint64_t *bytes, GError **error) MUST_USE;
/* Those of the missing that an older copy of the account has on the same volume, by its rows: they
 * are linked, or used as they lie. */
typedef struct OlderCopy {
    unsigned group;
    uint32_t mailbox;
    const GPtrArray *volumes; /* of Volume: of that store */
} OlderCopy;
bool blobs_in_older_copy(const BlobsJob *job, const OlderCopy *copy, uint64_t *blobs,
                         uint64_t *bytes, GError **error) MUST_USE;

/* True if manifest and staged records agree: every expected blob is recorded with size and digest
 * (what was damaged before is recorded, too), but for those in @trouble that could not be copied and
 * are no more than the job's limit. One line a bucket from each side. */
bool blobs_proved(const BlobsJob *job, const GPtrArray *trouble, bool *equal, char **difference,
                  GError **error) MUST_USE;

/* The same of what a comparison found, after that was seen to: *found (g_free) is what is left of
 * it; NULL: nothing. */
bool blobs_difference(const BlobsJob *job, const ManifestDiff *diff, const GPtrArray *trouble,
                      char **found, GError **error) MUST_USE;

/* Why a mailbox with this trouble must not be cut over; NULL: it may. */
char *blobs_refusal(const BlobsJob *job, const GPtrArray *trouble);

void blob_trouble_free(BlobTrouble *trouble);

#endif
