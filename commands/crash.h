/* crash.h - the mail about an operation whose process has died. */
#ifndef ZX_COMMANDS_CRASH_H
#define ZX_COMMANDS_CRASH_H

#include "commands/commands.h"

/* To @to, or to whom setOperation has named since. Waits until the stores take it for lost. */
bool crash_mail(Session *session, const char *operation, char **to, GError **error) MUST_USE;

#endif
