/* index.h - the search index of a mailbox: opaque files with Lucene's life cycle and no more
 * meaning than "which items were indexed" (doc/platform.md 4). Files are write-once, segments_N
 * names the ones that count and is written last, merges run in the background after a commit. */
#ifndef MAILBOXD_INDEX_H
#define MAILBOXD_INDEX_H

#include "tests/mailboxd/fault.h"

typedef struct IndexState IndexState;

/* Takes @dir, the mailbox's index/0; NULL if its volume is gone. */
IndexState *index_new(char *dir);
void index_free(IndexState *index);

/* A new segment with these items, committed; may start a merge. */
bool index_add(IndexState *index, const GArray *items, GError **error);
/* Fails on an index without a valid segments file; an empty directory is an empty index. */
bool index_find(IndexState *index, unsigned item, bool *found, GError **error);
/* Deletes all files and begins anew. */
bool index_delete(IndexState *index, GError **error);
/* Ends merging for good, before the directory goes. */
void index_stop(IndexState *index);
/* Whether a merge is under way. */
bool index_merges(IndexState *index);
/* Waits for merges of all indexes to end. */
void index_shutdown(void);

#endif
