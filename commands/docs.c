/* docs.c - help at three depths, from the same rows that the parser reads. The layout of a verb's
 * page is zxsuite's, because that is the page administrators know. */
#include "commands/commands.h"
#include "conf/items.h"
#include "conf/units.h"
#include <string.h>

static const char *setting_type(ConfType type)
{
    switch ((int)type) {
    case CONF_PERCENT:
        return "Percent";
    case CONF_SECONDS:
    case CONF_MILLIS:
        return "Duration";
    case CONF_BOOL:
        return "Boolean";
    default:
        return "Integer";
    }
}

const char *docs_type(const Arg *arg)
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
    case ARG_GLOBS:
    case ARG_PRINTS:
    case ARG_WORDS:
    case ARG_SET:
        return "String[,..]";
    case ARG_NUMBERS:
        return "Integer[,..]";
    case ARG_ADDRESSES:
        return "Email Address[,..]";
    case ARG_BOOL:
        return "Boolean";
    case ARG_COUNT:
    case ARG_NUMBER:
        return "Integer";
    case ARG_DECIMAL:
        return "Number";
    case ARG_SIZE:
        return "Size";
    case ARG_DURATION:
        return "Duration";
    case ARG_TIME:
        return "Time";
    case ARG_SETTING:
        return setting_type(conf_item(arg->name)->type);
    }
    g_assert_not_reached();
}

char *docs_expected(const Arg *arg)
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
    case ARG_DECIMAL:
        return g_strdup_printf("%ld-%ld", arg->min, arg->max);
    case ARG_SIZE:
        return g_strdup("10M, 1.5G");
    case ARG_DURATION: {
        g_autofree char *low = units_format_time((double)arg->min);
        g_autofree char *high = units_format_time((double)arg->max);

        return g_strdup_printf("%s to %s", low, high);
    }
    case ARG_TIME:
        return g_strdup("2026-03-01T22:00+01:00");
    case ARG_SETTING: {
        const ConfItem *item = conf_item(arg->name);

        if (item->type == CONF_BOOL)
            return g_strdup("true, false");
        return g_strdup_printf("%s-%s", item->min, item->max);
    }
    default:
        return g_strdup("");
    }
}

char *docs_default(const Arg *arg)
{
    if (arg->type == ARG_SETTING)
        return g_strdup_printf("conf: %s", conf_item(arg->name)->fallback);
    if (arg->fallback != NULL)
        return g_strdup(arg->fallback);
    return g_strdup(arg->unset != NULL ? arg->unset : "");
}

#define PAGE_WIDTH 78

/* A word of a sentence: after a blank, or on a new line where this one is full. */
static void append_item(GString *out, const char *item, int indent)
{
    const char *line = strrchr(out->str, '\n');
    size_t column = line != NULL ? strlen(line + 1) : out->len;

    if (column + strlen(item) > PAGE_WIDTH)
        g_string_append_printf(out, "\n%*s%s", indent, "", item);
    else
        g_string_append_printf(out, " %s", item);
}

/* The groups, in the table's order (of char *, borrowed). */
static GPtrArray *groups(void)
{
    GPtrArray *list = g_ptr_array_new();

    for (const Command *const *command = commands; *command != NULL; command++)
        if (!((*command)->flags & COMMAND_HIDDEN) &&
            !g_ptr_array_find_with_equal_func(list, (*command)->group, g_str_equal, NULL))
            g_ptr_array_add(list, (char *)(uintptr_t)(*command)->group); /* never changed */
    return list;
}

static bool is_of(const Command *command, const char *group)
{
    return !(command->flags & COMMAND_HIDDEN) && strcmp(command->group, group) == 0;
}

/* The verbs of a group in a few lines, by name only. */
static void append_names(GString *out, const char *group)
{
    enum { NAMES_AT = 15 };

    g_string_append_printf(out, "%-*s", NAMES_AT - 1, group);
    for (const Command *const *command = commands; *command != NULL; command++)
        if (is_of(*command, group))
            append_item(out, (*command)->name, NAMES_AT);
    g_string_append_c(out, '\n');
}

static void append_switches(GString *out)
{
    g_string_append(out, "Switches, before the verb:");
    for (const Switch *known = switch_rows; known->name != NULL; known++) {
        g_autofree char *item =
            g_strjoin(" ", known->name, known->value, NULL); /* value: NULL ends it */

        append_item(out, item, 0);
    }
    g_string_append_c(out, '\n');
}

char *docs_list(void)
{
    GString *out = g_string_new("zxmove moves mailboxes between the stores of one Zimbra.\n\n");
    g_autoptr(GPtrArray) list = groups();

    for (guint i = 0; i < list->len; i++)
        append_names(out, g_ptr_array_index(list, i));
    g_string_append(
        out, "\nzxmove [switches] verb [values] [parameter VALUE[,VALUE]] ...  one command\n"
             "zxmove -f FILE                                                commands of a file\n"
             "zxmove                                                        a shell\n");
    append_switches(out);
    g_string_append(out,
                    "\nhelp all      what each of these verbs does (help moving: of one group)\n"
                    "help VERB     its parameters; help VERB PARAMETER: what one of them means\n"
                    "Lines written for zxsuite run as they are. More: man zxmove, "
                    "man zxmove.conf.\n");
    return g_string_free(out, FALSE);
}

static void append_group(GString *out, const char *group, int width)
{
    g_string_append_printf(out, "%s\n", group);
    for (const Command *const *command = commands; *command != NULL; command++)
        if (is_of(*command, group))
            g_string_append_printf(out, "  %-*s  %s\n", width, (*command)->name,
                                   (*command)->summary);
}

char *docs_group(const char *word)
{
    bool all = g_ascii_strcasecmp(word, "all") == 0;
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GPtrArray) list = groups();
    int width = 0;

    for (const Command *const *command = commands; *command != NULL; command++)
        width = MAX(width, (int)strlen((*command)->name));
    for (guint i = 0; i < list->len; i++) {
        const char *group = g_ptr_array_index(list, i);
        g_autofree char *first = g_strndup(group, strcspn(group, " "));

        if (all || g_ascii_strcasecmp(word, first) == 0)
            append_group(out, group, width);
    }
    return out->len > 0 ? g_string_free(g_steal_pointer(&out), FALSE) : NULL;
}

/* Longer ones go on in the next row: with the other columns a page is 100 wide. */
#define EXPECTED_WIDEST 30

typedef struct Widths {
    int name, type, expected;
} Widths;

static Widths column_widths(const Command *command)
{
    Widths widths = { 4, 4, 15 };

    for (const Arg *arg = command->args; arg != NULL && arg->name != NULL; arg++) {
        g_autofree char *expected = docs_expected(arg);

        if (arg->flags & ARG_ABSENT)
            continue;
        widths.name = MAX(widths.name, (int)strlen(arg->name) + 3);
        widths.type = MAX(widths.type, (int)strlen(docs_type(arg)));
        widths.expected = MAX(widths.expected, MIN((int)strlen(expected), EXPECTED_WIDEST));
    }
    return widths;
}

/* How much of @text stands in a row: whole words, as many as fit. */
static size_t row_part(const char *text)
{
    size_t length = strlen(text), part = 0;

    if (length <= EXPECTED_WIDEST)
        return length;
    for (size_t i = 0; i <= EXPECTED_WIDEST; i++)
        if (text[i] == ' ')
            part = i;
    return part > 0 ? part : strcspn(text, " ");
}

static void append_row(GString *out, const Widths *widths, const char *name, const char *type,
                       const char *expected, const char *fallback)
{
    size_t part = row_part(expected);

    g_string_append_printf(out, "%-*s  %-*s  %-*.*s  %s", widths->name, name, widths->type, type,
                           widths->expected, (int)part, expected, fallback);
    while (out->str[out->len - 1] == ' ')
        g_string_truncate(out, out->len - 1);
    g_string_append_c(out, '\n');
    if (expected[part] != '\0')
        append_row(out, widths, "", "", expected + part + 1, "");
}

static void append_parameters(GString *out, const Command *command)
{
    Widths widths = column_widths(command);

    g_string_append(out, "PARAMETER LIST\n\n");
    append_row(out, &widths, "NAME", "TYPE", "EXPECTED VALUES", "DEFAULT");
    for (const Arg *arg = command->args; arg->name != NULL; arg++) {
        g_autofree char *expected = docs_expected(arg);
        g_autofree char *fallback = docs_default(arg);
        g_autofree char *name =
            g_strdup_printf("%s(%c)", arg->name, (arg->flags & ARG_REQUIRED) ? 'M' : 'O');

        if (!(arg->flags & ARG_ABSENT))
            append_row(out, &widths, name, docs_type(arg), expected, fallback);
    }
    g_string_append_printf(out,
                           "\n(M) == mandatory parameter, (O) == optional parameter\n"
                           "help %s PARAMETER: what one of them means\n\n",
                           command->name);
}

/* What other versions have: named, so that nobody looks for it. */
static void append_absent(GString *out, const Command *command)
{
    bool any = false;

    for (const Arg *arg = command->args; arg != NULL && arg->name != NULL; arg++) {
        g_autofree char *fallback = docs_default(arg);
        g_autofree char *item =
            g_strdup_printf("%s%s%s", arg->name, *fallback != '\0' ? " " : "", fallback);

        if (!(arg->flags & ARG_ABSENT))
            continue;
        g_string_append(out,
                        any ? "," : "Not in this version, only the default where one is shown:");
        append_item(out, item, 0);
        any = true;
    }
    if (any)
        g_string_append(out, "\n\n");
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
    append_absent(out, command);
    if (command->examples != NULL) {
        g_string_append(out, "Usage example:\n\n");
        for (const char *const *example = command->examples; *example != NULL; example++)
            g_string_append_printf(out, "zxmove%s %s\n",
                                   command->flags & COMMAND_AT_PROMPT ? ">" : "", *example);
        g_string_append_c(out, '\n');
    }
    g_string_append_printf(out, "%s\n",
                           command->description ? command->description : command->summary);
    return g_string_free(out, FALSE);
}

#define SCREEN_LINES 22

static unsigned count_lines(const char *text)
{
    unsigned count = 0;

    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

bool fail_page(GError **error, const Command *command, const char *fmt, ...)
{
    g_autofree char *page = docs_page(command);
    g_autofree char *message = NULL;
    va_list args;

    va_start(args, fmt);
    message = g_strdup_vprintf(fmt, args);
    va_end(args);
    /* Of a page that is longer than a screen only the end is seen. */
    if (count_lines(page) > SCREEN_LINES)
        return fail(error, ZX_ERROR_USAGE, "%s\n\n%s\n%s", message, page, message);
    return fail(error, ZX_ERROR_USAGE, "%s\n\n%s", message, page);
}

char *docs_arg(const Command *command, const Arg *arg)
{
    g_autofree char *expected = docs_expected(arg);
    g_autofree char *fallback = docs_default(arg);
    GString *out = g_string_new(NULL);

    g_string_append_printf(out, "%s %s: %s\n", command->name, arg->name, arg->help);
    g_string_append_printf(out, "  type     %s%s\n", docs_type(arg),
                           (arg->flags & ARG_REQUIRED) ? ", mandatory" : "");
    if (*expected != '\0')
        g_string_append_printf(out, "  values   %s\n", expected);
    if (*fallback != '\0')
        g_string_append_printf(out, "  default  %s\n", fallback);
    if (arg->no_effect != NULL)
        g_string_append_printf(out, "  note     %s\n", arg->no_effect);
    if (arg->flags & ARG_ABSENT)
        g_string_append_printf(out, "  note     %s in this version of zxmove\n",
                               arg->fallback != NULL ? "only its default is" : "not");
    return g_string_free(out, FALSE);
}

static const char *state_of(const Arg *arg)
{
    if (arg->flags & ARG_ABSENT)
        return arg->fallback != NULL ? "default only" : "not yet";
    return arg->no_effect != NULL ? "no effect" : "works";
}

char *docs_parameters(void)
{
    GString *out = g_string_new(NULL);

    for (const Switch *known = switch_rows; known->name != NULL; known++)
        g_string_append_printf(out, "zxmove | %s | works\n", known->name);
    for (const Command *const *command = commands; *command != NULL; command++) {
        if ((*command)->flags & COMMAND_HIDDEN)
            continue;
        g_string_append_printf(out, "%s | - | works\n", (*command)->name);
        if ((*command)->args == cmd_do_mailbox_move.args && *command != &cmd_do_mailbox_move) {
            g_string_append_printf(out, "%s | * | as doMailboxMove\n", (*command)->name);
            continue;
        }
        for (const Arg *arg = (*command)->args; arg != NULL && arg->name != NULL; arg++)
            g_string_append_printf(out, "%s | %s | %s\n", (*command)->name, arg->name,
                                   state_of(arg));
    }
    foreign_parameters(out);
    return g_string_free(out, FALSE);
}
