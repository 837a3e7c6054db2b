/* manual.c - the manual pages zxmove(1) and zxmove.conf(5), from the tables of verbs, switches,
 * errors and settings. Section 1 and not 8: it lies in bin, and whoever has the key may run it, as
 * with doveadm(1) and pgbackrest(1). */
#include "commands/commands.h"
#include "commands/mdoc.h"
#include "conf/items.h"
#include <string.h>

typedef struct Entry {
    const char *name, *text;
} Entry;

static const Entry environment[] = {
    { "ZXMOVE_CONFIG", "the configuration, unless --config names another" },
    { "ZXMOVE_LDAP_PASSWORD", "instead of ldap.password; read once and unset at once" },
    { "ZXMOVE_ADMIN_PASSWORD", "instead of admin.password; the same" },
    { "ZXMOVE_MARIADB_PASSWORD", "instead of mariadb.password; the same" },
    { "NO_COLOR", "if it is set and not empty, nothing is coloured or bold" },
    { "EDITRC", "see editrc(5)" },
    { NULL, NULL },
};

static const Entry files[] = {
    { "/etc/zxmove/zxmove.yaml", "the configuration, see zxmove.conf(5)" },
    { "~/.config/zxmove/zxmove.yaml", "the user's own, which comes first" },
    { "/var/lib/zxmove", "the state directory of root; of others it is ~/.local/state/zxmove" },
    { "STATE/history", "lines typed at the prompt that zxmove understood" },
    { "STATE/log", "a log of each operation, named by its uuid" },
    { "STATE/reports", "a report of each operation as JSON" },
    { "STATE/known_hosts", "the host keys of the stores" },
    { "~/.editrc", "keys of the prompt, see editrc(5)" },
    { NULL, NULL },
};

static void begin(GString *out, const char *name, const char *section, const char *summary)
{
    g_autofree char *title = g_ascii_strup(name, -1);

    g_string_append(out, ".\\\" Printed by zxmove from its tables; not to be edited.\n.Dd " ZX_DATE
                         "\n");
    g_string_append_printf(out, ".Dt %s %s\n", title, section);
    mdoc_macro(out, "Os", "zxmove " ZX_VERSION, NULL);
    g_string_append(out, ".Sh NAME\n");
    mdoc_macro(out, "Nm", name, NULL);
    mdoc_macro(out, "Nd", summary, NULL);
}

static void list_begin(GString *out)
{
    g_string_append(out, ".Bl -tag -width Ds\n");
}

static void list_end(GString *out)
{
    g_string_append(out, ".El\n");
}

static void append_entries(GString *out, const char *title, const char *macro, const Entry *entry)
{
    mdoc_macro(out, "Sh", title, NULL);
    list_begin(out);
    for (; entry->name != NULL; entry++) {
        mdoc_macro(out, "It", macro, entry->name, NULL);
        mdoc_text(out, entry->text);
    }
    list_end(out);
}

static void append_switches(GString *out)
{
    list_begin(out);
    for (const Switch *known = switch_rows; known->name != NULL; known++) {
        const char *value = known->value != NULL ? ".Ar" : NULL;

        /* .Fl brings the first hyphen itself. */
        if (known->other == NULL)
            mdoc_macro(out, "It", ".Fl", known->name + 1, value, known->value, NULL);
        else if (value == NULL)
            mdoc_macro(out, "It", ".Fl", known->name + 1, ".,", ".Fl", known->other + 1, NULL);
        else
            mdoc_macro(out, "It", ".Fl", known->name + 1, value, known->value, ".,", ".Fl",
                       known->other + 1, value, known->value, NULL);
        mdoc_text(out, known->help);
    }
    list_end(out);
}

static void append_parameter(GString *out, const Arg *arg)
{
    g_autofree char *expected = docs_expected(arg);
    g_autofree char *fallback = docs_default(arg);
    g_autoptr(GString) text = g_string_new(arg->help);

    mdoc_macro(out, "It", ".Ar", arg->name, ".Pq", docs_type(arg), NULL);
    if (*expected != '\0')
        g_string_append_printf(text, "; expected: %s", expected);
    if (*fallback != '\0')
        g_string_append_printf(text, "; default: %s", fallback);
    if (arg->no_effect != NULL)
        g_string_append_printf(text, "; %s", arg->no_effect);
    mdoc_text(out, text->str);
}

static void append_parameters(GString *out, const Command *command)
{
    g_autoptr(GString) absent = g_string_new(NULL);

    if (command->args == NULL || command->args->name == NULL)
        return;
    list_begin(out);
    for (const Arg *arg = command->args; arg->name != NULL; arg++) {
        if (!(arg->flags & ARG_ABSENT))
            append_parameter(out, arg);
        else
            g_string_append_printf(absent, "%s%s%s%s", absent->len > 0 ? ", " : "", arg->name,
                                   arg->fallback != NULL ? " " : "",
                                   arg->fallback != NULL ? arg->fallback : "");
    }
    list_end(out);
    if (absent->len > 0) {
        g_string_append(out, ".Pp\n");
        mdoc_text(out,
                  "Known by name and not in this version, only the default where one is shown:");
        mdoc_text(out, absent->str);
    }
}

static void append_command(GString *out, const Command *command)
{
    g_autoptr(GString) syntax = g_string_new(NULL);
    bool optional = false;

    mdoc_macro(out, "Ss", command->name, NULL);
    for (const Arg *arg = command->args; arg != NULL && arg->name != NULL; arg++) {
        if (arg->flags & ARG_REQUIRED)
            g_string_append_printf(syntax, " %s", arg->name);
        else if (arg->flags & ARG_POSITIONAL)
            g_string_append_printf(syntax, " [%s]", arg->name);
        else
            optional = true;
    }
    mdoc_macro(out, "D1", ".Ic", command->name, ".No", syntax->str + (syntax->len > 0),
               optional ? "[parameter value] ..." : "", NULL);
    if (command->description != NULL) {
        mdoc_text(out, command->description);
    } else {
        g_autofree char *sentence = g_strdup_printf("%s.", command->summary);

        *sentence = g_ascii_toupper(*sentence);
        mdoc_text(out, sentence);
    }
    if (command->alias != NULL) {
        g_autofree char *also = g_strdup_printf("The same as %s.", command->alias);

        mdoc_text(out, also);
    }
    append_parameters(out, command);
}

static void append_exit_status(GString *out)
{
    static const struct {
        int status;
        const char *text;
    } rows[] = { { 0, "the command succeeded, and every mailbox with it" },
#define X(code, exit, text) { exit, text },
                 ZX_ERRORS(X)
#undef X
    };

    g_string_append(out, ".Sh EXIT STATUS\n");
    list_begin(out);
    for (int status = 0; status < 256; status++) {
        g_autoptr(GString) text = g_string_new(NULL);
        g_autofree char *number = g_strdup_printf("%d", status);

        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
            if (rows[i].status == status)
                g_string_append_printf(text, "%s%s", text->len > 0 ? "; or " : "", rows[i].text);
        if (text->len == 0)
            continue;
        mdoc_macro(out, "It", number, NULL);
        mdoc_text(out, text->str);
    }
    list_end(out);
    g_string_append(out, ".Pp\n");
    mdoc_text(out, "Any other status is a failure as well.");
}

static void append_examples(GString *out)
{
    g_string_append(out, ".Sh EXAMPLES\n.Bd -literal -offset indent\n");
    for (const Command *const *command = commands; *command != NULL; command++)
        for (const char *const *example = (*command)->examples;
             !((*command)->flags & (COMMAND_HIDDEN | COMMAND_AT_PROMPT)) && *example != NULL;
             example++)
            g_string_append_printf(out, "zxmove %s\n", *example);
    g_string_append(out, ".Ed\n");
}

static const char description[] =
    ".Sh DESCRIPTION\n"
    ".Nm\n"
    "moves mailboxes from one mailbox server (a store) of a Zimbra to another.\n"
    "Users go on working while their mail is copied; only the last differences,\n"
    "the proof that both copies are equal, and the change of the directory happen\n"
    "while a user is locked out.\n"
    "Verbs and parameters are those of PowerStore's\n"
    ".Ic doMailboxMove .\n"
    ".Pp\n"
    "With a verb one command is run.\n"
    "Without one, commands are read from a terminal by an interactive shell, and\n"
    "from anything else, or from the\n"
    ".Ar file\n"
    "of\n"
    ".Fl f ,\n"
    "as a batch.\n"
    "The words are the same everywhere.\n"
    ".Pp\n"
    "Verbs match without regard to case.\n"
    "Before a verb the names of the programs a line may have been written for are\n"
    "dropped: zxsuite, carbonio, zxmove, powerstore, hsm.\n"
    "Mandatory values come first, then parameters as\n"
    ".Ar name value\n"
    "or\n"
    ".Ar name Ns = Ns Ar value ,\n"
    "whose names are never abbreviated.\n"
    "Blanks around the commas of a list are forgiven.\n"
    "A boolean is true, false, yes, no, 1 or 0; a size 10M or 1.5G (1024 based);\n"
    "a duration 30s, 15m, 6h or 30d; a time is ISO 8601 with its offset, or local\n"
    "time.\n"
    ".Pp\n"
    "Switches stand before the verb:\n";

static const char shell_and_batches[] =
    ".Sh THE SHELL\n"
    "Lines are edited as\n"
    ".Xr editrc 5\n"
    "says; Tab completes, arrow-up and Ctrl-R go back to earlier lines, Ctrl-C\n"
    "gives a line up, Ctrl-D leaves.\n"
    "The prompt names the store of\n"
    ".Fl -host .\n"
    "A move, a rollback, a purge and a recovery go on in a process of their own,\n"
    "and the prompt is back at once; what has to be asked is asked before.\n"
    "With\n"
    ".Fl -sync\n"
    "it is watched, and Ctrl-C ends the watching, not the operation.\n"
    "Leaving the shell ends no operation.\n"
    "Quoting is zmprov's: single and double quotes, a backslash before one\n"
    "character, a trailing backslash to continue the line; an apostrophe inside a\n"
    "word is a letter.\n"
    "A # at the beginning of a word starts a comment.\n"
    ".Pp\n"
    "The history file holds only lines that\n"
    ".Nm\n"
    "understood, and of them the words, not the comments; a line that it did not,\n"
    "such as a command of another program with a password in it, is forgotten with\n"
    "the shell.\n"
    "A line that begins with a blank is not remembered at all.\n"
    ".Sh BATCHES\n"
    "A batch stops at the first command that fails, and ends with its status; with\n"
    ".Fl -keep-going\n"
    "it runs on and ends with the worst.\n"
    "An error names file and line.\n"
    "A line has up to 1 MiB; for longer lists there is\n"
    ".Ar input_file .\n"
    "Nothing is asked; purge commands run as they are written.\n";

char *manual_program(void)
{
    GString *out = g_string_new(NULL);

    begin(out, "zxmove", "1", "move Zimbra mailboxes between mailbox servers");
    g_string_append(out, ".Sh SYNOPSIS\n"
                         ".Nm\n.Op Ar switch ...\n.Ar verb\n.Op Ar value ...\n"
                         ".Op Ar parameter value Ns Op , Ns Ar value ...\n"
                         ".Nm\n.Op Ar switch ...\n.Fl f Ar file\n"
                         ".Nm\n.Op Ar switch ...\n");
    g_string_append(out, description);
    append_switches(out);
    g_string_append(out, ".Sh COMMANDS\n");
    for (const Command *const *command = commands; *command != NULL; command++)
        if (!((*command)->flags & COMMAND_HIDDEN))
            append_command(out, *command);
    g_string_append(out, shell_and_batches);
    append_entries(out, "ENVIRONMENT", ".Ev", environment);
    append_entries(out, "FILES", ".Pa", files);
    append_exit_status(out);
    append_examples(out);
    g_string_append(out, ".Sh SEE ALSO\n.Xr editrc 5 ,\n.Xr zxmove.conf 5\n");
    return g_string_free(out, FALSE);
}

static void append_setting(GString *out, const ConfItem *item)
{
    g_auto(GStrv) parts = g_strsplit(item->key, "*", -1);
    g_autofree char *key = g_strjoinv("NAME", parts);
    g_autoptr(GString) text = g_string_new(item->help);

    mdoc_macro(out, "It", ".Cm", key, ".Pq", conf_type_name(item->type), NULL);
    if (item->fallback != NULL)
        g_string_append_printf(text, "; default: %s", item->fallback);
    if (item->min != NULL && item->max != NULL)
        g_string_append_printf(text, "; %s to %s", item->min, item->max);
    if (item->values != NULL) {
        g_auto(GStrv) values = g_strsplit(item->values, "|", -1);
        g_autofree char *list = g_strjoinv(", ", values);

        g_string_append_printf(text, "; one of %s", list);
    }
    if (item->type == CONF_SECRET)
        g_string_append_printf(text, "; %s_file names a file that holds it", key);
    mdoc_text(out, text->str);
}

static const char conf_description[] =
    ".Sh DESCRIPTION\n"
    "The settings of\n"
    ".Xr zxmove 1 ,\n"
    "in YAML.\n"
    "The file is the first of: the one of\n"
    ".Fl -config ,\n"
    "the one that\n"
    ".Ev ZXMOVE_CONFIG\n"
    "names,\n"
    ".Pa ~/.config/zxmove/zxmove.yaml ,\n"
    ".Pa /etc/zxmove/zxmove.yaml .\n"
    "An unknown key, one that is there twice and a value out of its range are\n"
    "errors that name the line.\n"
    "A file that holds a password must be readable by its owner only.\n"
    "A relative path starts at the file's own directory.\n"
    ".Pp\n"
    "Keys are written here with a dot between section and key; NAME stands for a\n"
    "name of one's own, such as a store's:\n"
    ".Bd -literal -offset indent\n"
    "stores:\n"
    "  mail1.example.com: { address: 10.0.0.11 }\n"
    "  mail2.example.com:\n"
    "ssh: { key_file: ~/.ssh/zxmove }\n"
    ".Ed\n";

char *manual_conf(void)
{
    GString *out = g_string_new(NULL);
    g_autofree char *section = NULL;

    begin(out, "zxmove.conf", "5", "settings of zxmove");
    g_string_append(out, conf_description);
    g_string_append(out, ".Sh SETTINGS\n");
    list_begin(out);
    for (const ConfItem *item = conf_items; item->key != NULL; item++) {
        g_autofree char *begins = g_strndup(item->key, strcspn(item->key, "."));
        bool sectioned = strchr(item->key, '.') != NULL;

        if (sectioned && g_strcmp0(section, begins) != 0) {
            list_end(out);
            mdoc_macro(out, "Ss", begins, NULL);
            list_begin(out);
            g_free(section);
            section = g_strdup(begins);
        }
        append_setting(out, item);
    }
    list_end(out);
    append_entries(out, "ENVIRONMENT", ".Ev", environment);
    append_entries(out, "FILES", ".Pa", files);
    g_string_append(out, ".Sh EXAMPLES\n"
                         "Every setting at its default, to begin from:\n"
                         ".Dl zxmove __docs config\n"
                         ".Sh SEE ALSO\n.Xr zxmove 1\n");
    return g_string_free(out, FALSE);
}
