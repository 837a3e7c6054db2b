/* result.h - what became of a mailbox, and how the journal keeps it, so that who resumes or watches an
 * operation has what its process knew: as reports have it (mailbox_result_json of core.h). */
#ifndef ZX_OPS_RESULT_H
#define ZX_OPS_RESULT_H

#include "core/core.h"

MailboxResult *result_new(const char *address, const char *account_id, const char *source,
                          const char *destination);
void result_free(MailboxResult *result);
/* It ended so, because of @problem, which is taken. */
void result_decide(MailboxResult *result, Outcome outcome, GError *problem);

/* g_free. */
char *result_text(const MailboxResult *result);
/* Into a result that is fresh but for its names; DATA if @text is none of result_text. */
bool result_read(MailboxResult *result, const char *text, GError **error) MUST_USE;

/* The same of what a report says of the whole operation: its notes, and why it ended itself. NULL:
 * nothing. */
char *result_whole_text(const Report *report);
/* Adds to @notes (of char *). NULL, or what is none of result_whole_text: nothing. */
void result_whole_read(const char *text, GPtrArray *notes, char **halted);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(MailboxResult, result_free)

#endif
