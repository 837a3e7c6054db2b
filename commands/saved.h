/* saved.h - the report of an operation as it was kept, as the struct that it was made from. */
#ifndef ZX_COMMANDS_SAVED_H
#define ZX_COMMANDS_SAVED_H

#include "commands/report.h"

typedef struct Saved {
    Report *report;
    ReportText text; /* its strings are in @json */
    json_t *json;
} Saved;
void saved_clear(Saved *saved);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Saved, saved_clear)

/* The file of the one operation whose uuid begins so (g_free). NULL with NOT_FOUND, or with USAGE
 * when there are several. */
char *saved_find(const char *state_dir, const char *operation, GError **error) MUST_USE;
/* DATA if @path is no report of ours. */
bool saved_read(const char *path, Saved *out, GError **error) MUST_USE;

#endif
