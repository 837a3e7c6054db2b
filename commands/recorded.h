/* recorded.h - a command as the journal keeps it, taken apart again. */
#ifndef ZX_COMMANDS_RECORDED_H
#define ZX_COMMANDS_RECORDED_H

#include "commands/report.h"

typedef struct Recorded {
    Switches switches;
    char **words, **verb; /* verb: in words */
    const Command *command;
    void *request;
} Recorded;
/* False with USAGE if this version reads it differently. */
bool recorded_read(Session *session, const char *line, Recorded *out, GError **error) MUST_USE;
void recorded_clear(Recorded *recorded);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Recorded, recorded_clear)

/* What a report of it says beside what happened; text->selection is g_free'd by the caller, the
 * rest borrows from @recorded. */
void recorded_text(const Recorded *recorded, ReportText *text);

#endif
