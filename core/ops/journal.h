/* journal.h - what an operation is and how far it got, for people and for other zxmove: one row an
 * operation, one row a mailbox, one row a step (intent before effect, completion after). What a recovery
 * needs is not here but in the fence (fence.h): a journal row that a power cut took away costs a line of
 * history, no more. */
#ifndef ZX_OPS_JOURNAL_H
#define ZX_OPS_JOURNAL_H

#include "core/core.h"
#include "core/zimbra/store.h"

/* What is known of an operation when it begins. @parameters: the line as it was typed. */
typedef struct JournalEntry {
    const char *operation, *verb, *parameters;
    const char *batch_name, *comment; /* the administrator's words; NULL: none */
} JournalEntry;

/* @store keeps the journal: the destination of a move; of a purge or a recovery, the first store that
 * it works on. The state is `queued`. */
bool journal_begin(Store *store, const JournalEntry *entry, GError **error) MUST_USE;
/* The same operation in another process: nobody has stopped it, and it has not ended. CONFLICT if the
 * one before is alive, or another has taken it up. */
bool journal_begin_again(Store *store, const char *operation, GError **error) MUST_USE;
/* The batch name of an operation whose journal @store keeps (g_free); NULL: none, or it is not
 * known here. */
bool journal_batch(Store *store, const char *operation, char **batch_name,
                   GError **error) MUST_USE;
/* @state: done, partial, failed, stopped, removed, interrupted. Like journal_mailbox it writes nothing
 * when another process has taken the operation over. */
bool journal_end(Store *store, const char *state, const char *result, const Report *report,
                 GError **error) MUST_USE;

/* The mailboxes of an operation (of MailboxResult) in their order; those that are decided already, that
 * were skipped, as ended. */
bool journal_list(Store *store, const char *operation, const GPtrArray *mailboxes,
                  GError **error) MUST_USE;
/* @place: in that order, from 0. @seq: how many ended before it, and one. */
bool journal_mailbox(Store *store, const char *operation, unsigned place, unsigned seq,
                     const MailboxResult *result, GError **error) MUST_USE;
/* What journal_list and journal_mailbox wrote. One that did not end is OUTCOME_NOT_REACHED. */
typedef struct JournalMailbox {
    MailboxResult *result;
    unsigned place;
    unsigned seq;  /* 0: not ended */
    bool released; /* doCompleteMove named it */
} JournalMailbox;
/* Of JournalMailbox: all, or with @after those that ended after so many, in that order. */
GPtrArray *journal_mailboxes(Db *db, const char *operation, int after, GError **error) MUST_USE;
/* The number that the events of the operation have for one that ended: its place among the @total that
 * it tries. 0: it was decided before the operation began, and has none. */
bool journal_number(Db *db, const char *operation, const JournalMailbox *mailbox, unsigned total,
                    unsigned *number, GError **error) MUST_USE;

/* A change of the account's home was sent and never answered; the account moved all the same, and the
 * request may still land. */
bool journal_doubt(Store *store, const char *operation, const char *account_id,
                   GError **error) MUST_USE;
/* How many seconds ago that was, of the last one that is recorded here within @seconds; -1: none is. */
bool journal_doubted(Store *store, const char *account_id, unsigned seconds, int64_t *ago,
                     GError **error) MUST_USE;

bool journal_intent(Store *store, const char *operation, const char *account_id, const char *step,
                    GError **error) MUST_USE;
bool journal_done(Store *store, const char *operation, const char *account_id, const char *step,
                  GError **error) MUST_USE;

/* The name of the lock that a living operation's keeper holds. g_free. */
char *journal_lock(const char *operation);

#endif
