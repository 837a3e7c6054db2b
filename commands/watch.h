/* watch.h - what the verbs about operations share: an operation in their answers, and one that is
 * watched to its end. */
#ifndef ZX_COMMANDS_WATCH_H
#define ZX_COMMANDS_WATCH_H

#include "commands/recorded.h"

/* @verbose: its parameters, too. */
json_t *operation_json(const OperationLook *operation, bool verbose);

/* The one whose uuid begins so (NULL: the newest that goes on); *@looked keeps it. */
const OperationLook *operation_find(Session *session, const char *operation, Looked **looked,
                                    GError **error) MUST_USE;
/* The answer of a verb about one operation, as it stands now. */
bool operation_answer(Session *session, const OperationLook *operation, Result *result,
                      GError **error) MUST_USE;

/* The report of it as its process made it, from what the store has of it; a mailbox that has no end
 * of its own says what became of the operation. */
Report *operation_report(Session *session, const OperationLook *operation, GError **error) MUST_USE;
/* What that report says beside, as recorded_text, of the command in @recorded (filled); but for
 * notifications: whether a mail was sent is not recorded. */
void operation_text(Session *session, const OperationLook *operation, const Report *report,
                    Recorded *recorded, ReportText *text);

/* The line at hand in the background, as an operation of this uuid (NULL: a new one), as
 * Session.background wants it; watched with --sync. */
bool operation_start(Session *session, const char *operation, Result *result,
                     GError **error) MUST_USE;

/* Shows what it does until it has ended, and answers as if it had run here; Ctrl-C ends the
 * watching, not the operation. */
bool operation_watch(Session *session, const OperationLook *operation, Result *result,
                     GError **error) MUST_USE;
/* "watch it with: monitor 6f0c2c1e", "stop it with: ...": lines. */
char *operation_ways(const char *operation);

#endif
