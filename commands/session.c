/* session.c - source, history, quit: verbs about the shell that they are typed in. What they ask
 * for, the shell does when they have ended. */
#include "commands/commands.h"
#include <string.h>

typedef struct SourceRequest {
    char *file;
} SourceRequest;

static bool run_source(Session *session, void *data, Result *result, GError **error)
{
    const SourceRequest *request = data;

    if (strcmp(request->file, "-") == 0)
        return fail(error, ZX_ERROR_USAGE,
                    "source needs a file\ncommands from stdin: zxmove -f - <FILE");
    session->source = g_strdup(request->file);
    result->text = g_strdup("");
    return true;
}

static const Arg source_args[] = {
    ARG(SourceRequest, file, .name = "file", .type = ARG_PATH, .flags = ARG_REQUIRED,
        .expected = "path", .help = "a file with one command in a line"),
    { 0 },
};

const Command cmd_source = {
    .name = "source",
    .group = "Shell",
    .summary = "run the commands of a file",
    .description = "Runs the commands of a file, one in a line, until the first error (to the end\n"
                   "with --keep-going). A file may source others. The exit status is that of the\n"
                   "command that stopped it. Switches before source hold for every line.",
    .args = source_args,
    .request_size = sizeof(SourceRequest),
    .examples = (const char *const[]){ "source moves.txt", NULL },
    .run = run_source,
};

typedef struct HistoryRequest {
    long count;
} HistoryRequest;

static bool run_history(Session *session, void *data, Result *result, GError **error)
{
    const HistoryRequest *request = data;
    GString *text;
    json_t *list, *line;
    size_t i;

    if (session->history == NULL)
        return fail(error, ZX_ERROR_USAGE, "only the interactive shell has a history");
    list =
        session->history(session->data, request->count < 0 ? G_MAXUINT : (unsigned)request->count);
    text = g_string_new(NULL);
    json_array_foreach(list, i, line)
    {
        g_string_append_printf(text, "%5" JSON_INTEGER_FORMAT "  %s\n",
                               json_integer_value(json_object_get(line, "number")),
                               json_string_value(json_object_get(line, "line")));
    }
    result->text = g_string_free(text, FALSE);
    result->response = json_pack("{s:o}", "history", list);
    return true;
}

static const Arg history_args[] = {
    ARG(HistoryRequest, count, .name = "count", .type = ARG_NUMBER, .flags = ARG_POSITIONAL,
        .min = 1, .max = 1000, .unset = "all", .help = "so many of the last lines"),
    { 0 },
};

const Command cmd_history = {
    .name = "history",
    .group = "Shell",
    .summary = "what was typed before",
    .description =
        "Lists the lines that arrow-up brings back. Into the file, for the next shell,\n"
        "go only lines that zxmove understood; what it did not (a command of another\n"
        "program, pasted, perhaps with a password) is gone with this shell. A line that\n"
        "begins with a blank is kept nowhere.",
    .flags = COMMAND_AT_PROMPT,
    .args = history_args,
    .request_size = sizeof(HistoryRequest),
    .examples = (const char *const[]){ "history", "history 20", NULL },
    .run = run_history,
};

static bool run_quit(Session *session, void *data G_GNUC_UNUSED, Result *result,
                     GError **error G_GNUC_UNUSED)
{
    session->leave = true;
    result->text = g_strdup("");
    result->response = json_object();
    return true;
}

const Command cmd_quit = {
    .name = "quit",
    .alias = "exit",
    .group = "Shell",
    .summary = "leave the shell",
    .flags = COMMAND_AT_PROMPT,
    .examples = (const char *const[]){ "quit", NULL },
    .run = run_quit,
};
