/* index.h - the search index as files (doc/platform.md 4): write-once files first, segments_N last,
 * compared by name, size and mtime, so that a second pass copies what is new. */
#ifndef ZX_MOVE_INDEX_H
#define ZX_MOVE_INDEX_H

#include "core/base/wait.h"
#include "core/move/throttle.h"
#include "core/net/peer.h"

typedef struct IndexJob {
    Peer *source, *target;
    unsigned source_volume, target_volume;
    uint32_t source_mailbox, target_mailbox;
    bool window; /* fsync every file and the directory */
    Throttle *throttle; /* NULL: as fast as it goes, as in a window */
} IndexJob;

typedef struct IndexCount {
    uint64_t files, bytes, copied, copied_bytes, removed;
} IndexCount;

/* Copies until two listings of the source agree and every file was copied as listed, for at most @settle_ms.
 * *stable = false (and true returned) when the source's index did not hold still: the caller leaves it out. */
bool index_sync(const IndexJob *job, int settle_ms, bool *stable, const Wait *wait, IndexCount *count,
                GError **error) MUST_USE;

#endif
