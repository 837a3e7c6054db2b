/* crash.h - the mail about an operation whose process has died. */
#ifndef ZX_COMMANDS_CRASH_H
#define ZX_COMMANDS_CRASH_H

#include "commands/commands.h"

/* To @to, or to whom setOperation has named since. Waits until the stores take it for lost; says
 * nothing of one that another process than @process (self.h) has taken up. */
bool crash_mail(Session *session, const char *operation, const char *process, char **to,
                GError **error) MUST_USE;

#endif
