/* indexing.h - which items go into the index, and when: in batches after they came, at a search, or
 * all again at ReIndexRequest. index_id is set without a change number (doc/platform.md 2.7 B). */
#ifndef MAILBOXD_INDEXING_H
#define MAILBOXD_INDEXING_H

#include "tests/mailboxd/mailbox.h"

void indexing_init(void);
/* Ends re-indexing and waits for what is under way. */
void indexing_shutdown(void);

/* An indexable item came; every batch of them is indexed in the background. */
void indexing_note(Mailbox *mailbox);
/* Indexes up to @limit deferred items now. */
bool indexing_run(Mailbox *mailbox, unsigned limit, unsigned *done, GError **error);

typedef struct ReindexStatus {
    bool running;
    unsigned succeeded, failed, remaining;
} ReindexStatus;

/* FAULT_ALREADY_IN_PROGRESS if it runs. */
bool reindex_start(Mailbox *mailbox, GError **error);
ReindexStatus reindex_status(const Mailbox *mailbox);
/* False if none was running. */
bool reindex_cancel(const Mailbox *mailbox, ReindexStatus *status);

#endif
