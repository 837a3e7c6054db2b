/* help.c - help, version, and the texts of the tables: what zxmove can do without any server, at
 * once. */
#include "commands/commands.h"
#include "conf/items.h"
#include <string.h>

typedef struct HelpRequest {
    char *verb, *parameter;
} HelpRequest;

static bool run_help(Session *session G_GNUC_UNUSED, void *data, Result *result, GError **error)
{
    const HelpRequest *request = data;
    const Command *command;
    const Arg *arg = NULL;
    const char *near;

    if (request->verb == NULL) {
        result->text = docs_list();
    } else if (request->parameter == NULL && (result->text = docs_group(request->verb)) != NULL) {
        /* No verb is called as a group is. */
    } else {
        command = command_get(request->verb, error);
        if (command == NULL)
            return false;
        if (request->parameter != NULL && (arg = args_find(command, request->parameter)) == NULL) {
            near = args_nearest(command, request->parameter);
            return fail(error, ZX_ERROR_USAGE, "%s has no parameter %s%s%s%s", command->name,
                        request->parameter, near != NULL ? ", did you mean " : "\nsee: help ",
                        near != NULL ? near : command->name, near != NULL ? "?" : "");
        }
        result->text = arg != NULL ? docs_arg(command, arg) : docs_page(command);
    }
    result->response = json_pack("{s:s}", "help", result->text);
    return true;
}

/* clang-format off */
static const Arg help_args[] = {
    ARG(HelpRequest, verb, .name = "verb", .type = ARG_VERB, .flags = ARG_POSITIONAL,
        .values = "all|moving|operations|old|first|looking|shell", .expected = "doMailboxMove, all, moving",
        .help = "the command to explain, or all of a group"),
    ARG(HelpRequest, parameter, .name = "parameter", .type = ARG_TEXT, .flags = ARG_POSITIONAL,
        .offers = OFFERS_PARAMETERS, .expected = "stages", .help = "the parameter of it to explain"),
    { 0 },
};
/* clang-format on */

const Command cmd_help = {
    .name = "help",
    .group = "Shell",
    .summary = "all verbs; help all; help VERB; help VERB PARAMETER",
    .args = help_args,
    .request_size = sizeof(HelpRequest),
    .examples = (const char *const[]){ "help all", "help doMailboxMove",
                                       "help doMailboxMove stages", NULL },
    .run = run_help,
};

static bool run_version(Session *session G_GNUC_UNUSED, void *data G_GNUC_UNUSED, Result *result,
                        GError **error G_GNUC_UNUSED)
{
    result->text = g_strdup("zxmove " ZX_VERSION "\n");
    result->response = json_pack("{s:s}", "version", ZX_VERSION);
    return true;
}

const Command cmd_version = {
    .name = "version",
    .group = "Shell",
    .summary = "the version of zxmove",
    .examples = (const char *const[]){ "version", NULL },
    .run = run_version,
};

typedef struct DocsRequest {
    char *what;
} DocsRequest;

static bool run_docs(Session *session G_GNUC_UNUSED, void *data, Result *result,
                     GError **error G_GNUC_UNUSED)
{
    const DocsRequest *request = data;

    result->text = strcmp(request->what, "config") == 0       ? conf_reference()
                   : strcmp(request->what, "checks") == 0     ? check_docs()
                   : strcmp(request->what, "man") == 0        ? manual_program()
                   : strcmp(request->what, "parameters") == 0 ? docs_parameters()
                                                              : manual_conf();
    result->response = json_pack("{s:s}", request->what, result->text);
    return true;
}

static const Arg docs_args[] = {
    ARG(DocsRequest, what, .name = "what", .type = ARG_CHOICE, .flags = ARG_REQUIRED,
        .values = "config|man|conf-man|checks|parameters", .help = "the text to print"),
    { 0 },
};

const Command cmd_docs = {
    .name = "__docs",
    .summary = "texts that are generated from the tables",
    .flags = COMMAND_HIDDEN,
    .args = docs_args,
    .request_size = sizeof(DocsRequest),
    .examples = (const char *const[]){ "__docs config", "__docs man", "__docs conf-man", "__docs checks",
                                       NULL },
    .run = run_docs,
};
