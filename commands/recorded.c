/* recorded.c - see recorded.h. */
#include "commands/recorded.h"
#include "commands/operate.h"
#include <string.h>

bool recorded_read(Session *session, const char *line, Recorded *out, GError **error)
{
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
    const char *const *next;

    memset(out, 0, sizeof *out);
    if (line == NULL)
        return fail(error, ZX_ERROR_DATA, "its command is not recorded");
    out->words = session->split(line, error);
    if (out->words == NULL)
        return false;
    next = (const char *const *)out->words;
    if (!switches_take(&next, false, &out->switches, error) || *next == NULL)
        return fail_prefix(error, "its recorded command");
    out->verb = out->words + (next - (const char *const *)out->words);
    out->command = command_get(*next, error);
    if (out->command != NULL)
        out->request = args_parse(out->command, next + 1, args_compat(session, out->command),
                                  notes, error);
    return out->request != NULL || fail_prefix(error, "its recorded command");
}

void recorded_clear(Recorded *recorded)
{
    if (recorded->request != NULL)
        args_free(recorded->command, recorded->request);
    switches_clear(&recorded->switches);
    g_strfreev(recorded->words);
    memset(recorded, 0, sizeof *recorded);
}

void recorded_text(const Recorded *recorded, ReportText *text)
{
    if (recorded->command->operating != NULL)
        recorded->command->operating->text(recorded->request, text);
}
