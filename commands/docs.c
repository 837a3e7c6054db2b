/* docs.c - help at three depths, from the same rows that the parser reads. The layout of a verb's
 * page is zxsuite's, because that is the page administrators know. */
#include "commands/commands.h"
#include <string.h>

static const char *type_name(const Arg *arg)
{
    switch (arg->type) {
    case ARG_TEXT:
    case ARG_HOST:
    case ARG_PATH:
    case ARG_UUID:
    case ARG_VERB:
    case ARG_CHOICE:
        return "String";
    case ARG_ACCOUNTS:
    case ARG_DOMAINS:
    case ARG_SET:
        return "String[,..]";
    case ARG_ADDRESSES:
        return "Email Address[,..]";
    case ARG_BOOL:
        return "Boolean";
    case ARG_COUNT:
    case ARG_NUMBER:
        return "Integer";
    case ARG_SIZE:
        return "Size";
    }
    g_assert_not_reached();
}

static char *expected_values(const Arg *arg)
{
    if (arg->expected != NULL)
        return g_strdup(arg->expected);
    if (arg->values != NULL) {
        g_auto(GStrv) list = g_strsplit(arg->values, "|", -1);

        return g_strjoinv(", ", list);
    }
    switch ((int)arg->type) {
    case ARG_BOOL:
        return g_strdup("true, false");
    case ARG_COUNT:
    case ARG_NUMBER:
        return g_strdup_printf("%ld-%ld", arg->min, arg->max);
    case ARG_SIZE:
        return g_strdup("10M, 1.5G");
    default:
        return g_strdup("");
    }
}

static const char *default_text(const Arg *arg)
{
    if (arg->fallback != NULL)
        return arg->fallback;
    return arg->unset != NULL ? arg->unset : "";
}

char *docs_list(void)
{
    GString *out = g_string_new("zxmove moves mailboxes between the stores of one Zimbra.\n\n");
    int width = 0;

    for (const Command *const *command = commands; *command != NULL; command++)
        width = MAX(width, (int)strlen((*command)->name));
    for (const Command *const *command = commands; *command != NULL; command++)
        if (!((*command)->flags & COMMAND_HIDDEN))
            g_string_append_printf(out, "  %-*s  %s\n", width, (*command)->name,
                                   (*command)->summary);
    g_string_append(
        out, "\nzxmove [switches] verb [values] [parameter VALUE[,VALUE]] ...   one command\n"
             "zxmove -f FILE                                                 commands of a file\n"
             "zxmove                                                         a shell\n\n"
             "Switches: --host STORE, --json, --quiet, --progress, --yes, --keep-going,\n"
             "--config FILE, -f FILE. Lines written for zxsuite run as they are.\n"
             "help VERB shows its parameters, help VERB PARAMETER explains one.\n");
    return g_string_free(out, FALSE);
}

typedef struct Widths {
    int name, type, expected;
} Widths;

static Widths column_widths(const Command *command)
{
    Widths widths = { 4, 4, 15 };

    for (const Arg *arg = command->args; arg != NULL && arg->name != NULL; arg++) {
        g_autofree char *expected = expected_values(arg);

        widths.name = MAX(widths.name, (int)strlen(arg->name) + 3);
        widths.type = MAX(widths.type, (int)strlen(type_name(arg)));
        widths.expected = MAX(widths.expected, (int)strlen(expected));
    }
    return widths;
}

static void append_row(GString *out, const Widths *widths, const char *name, const char *type,
                       const char *expected, const char *fallback)
{
    g_string_append_printf(out, "%-*s  %-*s  %-*s  %s", widths->name, name, widths->type, type,
                           widths->expected, expected, fallback);
    while (out->str[out->len - 1] == ' ')
        g_string_truncate(out, out->len - 1);
    g_string_append_c(out, '\n');
}

static void append_parameters(GString *out, const Command *command)
{
    Widths widths = column_widths(command);

    g_string_append(out, "PARAMETER LIST\n\n");
    append_row(out, &widths, "NAME", "TYPE", "EXPECTED VALUES", "DEFAULT");
    for (const Arg *arg = command->args; arg->name != NULL; arg++) {
        g_autofree char *expected = expected_values(arg);
        g_autofree char *name =
            g_strdup_printf("%s(%c)", arg->name, (arg->flags & ARG_REQUIRED) ? 'M' : 'O');

        append_row(out, &widths, name, type_name(arg), expected, default_text(arg));
    }
    g_string_append(out, "\n(M) == mandatory parameter, (O) == optional parameter\n\n");
}

char *docs_page(const Command *command)
{
    GString *out = g_string_new(NULL);
    bool optional = false;

    g_string_append_printf(out, "Syntax:\n   zxmove %s", command->name);
    for (const Arg *arg = command->args; arg != NULL && arg->name != NULL; arg++) {
        if (arg->flags & ARG_REQUIRED)
            g_string_append_printf(out, " {%s}", arg->name);
        else if (arg->flags & ARG_POSITIONAL)
            g_string_append_printf(out, " [%s]", arg->name);
        else
            optional = true;
    }
    g_string_append(out, optional ? " [attr1 value1 [attr2 value2...]]\n\n" : "\n\n");
    if (command->args != NULL && command->args->name != NULL)
        append_parameters(out, command);
    if (command->examples != NULL) {
        g_string_append(out, "Usage example:\n\n");
        for (const char *const *example = command->examples; *example != NULL; example++)
            g_string_append_printf(out, "zxmove %s\n", *example);
        g_string_append_c(out, '\n');
    }
    g_string_append_printf(out, "%s\n",
                           command->description ? command->description : command->summary);
    return g_string_free(out, FALSE);
}

char *docs_arg(const Command *command, const Arg *arg)
{
    g_autofree char *expected = expected_values(arg);
    GString *out = g_string_new(NULL);

    g_string_append_printf(out, "%s %s: %s\n", command->name, arg->name, arg->help);
    g_string_append_printf(out, "  type     %s%s\n", type_name(arg),
                           (arg->flags & ARG_REQUIRED) ? ", mandatory" : "");
    if (*expected != '\0')
        g_string_append_printf(out, "  values   %s\n", expected);
    if (*default_text(arg) != '\0')
        g_string_append_printf(out, "  default  %s\n", default_text(arg));
    if (arg->no_effect != NULL)
        g_string_append_printf(out, "  note     %s\n", arg->no_effect);
    if (arg->flags & ARG_ABSENT)
        g_string_append(out, "  note     only its default is in this version of zxmove\n");
    return g_string_free(out, FALSE);
}
