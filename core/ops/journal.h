/* journal.h - what an operation is and how far it got, for people and for other zxmove: one row an
 * operation, one row a step (intent before effect, completion after). What a recovery needs is not
 * here but in the fence (fence.h): a journal row that a power cut took away costs a line of
 * history, no more. */
#ifndef ZX_OPS_JOURNAL_H
#define ZX_OPS_JOURNAL_H

#include "core/zimbra/store.h"

/* @store keeps the journal: the destination of a move, the store purged. @batch_name and @comment:
 * the administrator's words, NULL without. */
bool journal_begin(Store *store, const char *operation, const char *verb, const char *parameters,
                   const char *batch_name, const char *comment, GError **error) MUST_USE;
/* The batch name of an operation whose journal @store keeps (g_free); NULL: none, or it is not
 * known here. */
bool journal_batch(Store *store, const char *operation, char **batch_name,
                   GError **error) MUST_USE;
/* @state: done, partial, failed, interrupted. */
bool journal_end(Store *store, const char *operation, const char *state, const char *result,
                 GError **error) MUST_USE;

bool journal_intent(Store *store, const char *operation, const char *account_id, const char *step,
                    GError **error) MUST_USE;
bool journal_done(Store *store, const char *operation, const char *account_id, const char *step,
                  GError **error) MUST_USE;

#endif
