/* switches.c - the words before the verb: switches of ours, and the names of the programs that the
 * line may have been written for. They may stand in any order, because runbooks have them so:
 * "zxsuite --progress hsm doMailboxMove ...". */
#include "commands/commands.h"
#include "conf/units.h"
#include <string.h>

#define PLACE(field) offsetof(Switches, field)

/* clang-format off */
const Switch switch_rows[] = {
    { "--host", "--hostname", "STORE", false, PLACE(host), "only this store" },
    { "--json", NULL, NULL, false, PLACE(json), "results, errors and progress as JSON, one object a line" },
    { "--quiet", "-q", NULL, false, PLACE(quiet), "results and errors only" },
    { "--progress", NULL, NULL, false, PLACE(progress), "every step, not only how far it is" },
    { "--yes", "-y", NULL, false, PLACE(yes), "ask nothing" },
    { "--parse", NULL, NULL, false, PLACE(parse), "show how the line is understood, and do nothing" },
    { "--sync", NULL, NULL, false, PLACE(sync), "wait for the end: as on a command line; in the shell: watch it" },
    { "--async", NULL, NULL, false, PLACE(async), "do not wait: the operation goes on in the background" },
    { "--keep-going", NULL, NULL, true, PLACE(keep_going), "a batch goes on after an error, and ends with the worst" },
    { "--config", NULL, "FILE", true, PLACE(config), "the configuration" },
    { "-f", "--file", "FILE", true, PLACE(file), "run the commands of a file" },
    { "--help", "-h", NULL, false, PLACE(help), "the list of commands, or the page of one" },
    { "--version", NULL, NULL, false, PLACE(version), "the version of zxmove" },
    { 0 },
};
/* clang-format on */

void switches_clear(Switches *out)
{
    g_free(out->host);
    g_free(out->config);
    g_free(out->file);
    memset(out, 0, sizeof *out);
}

bool is_prefix_word(const char *word)
{
    static const char *const words[] = { "zxsuite", "carbonio", "zxmove", "powerstore", "hsm" };

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
        if (g_ascii_strcasecmp(word, words[i]) == 0)
            return true;
    return false;
}

/* The switch that @word is, and in *@value what follows its '='. */
static const Switch *find_switch(const char *word, const char **value)
{
    size_t length = strcspn(word, "=");

    *value = word[length] == '=' ? word + length + 1 : NULL;
    for (const Switch *found = switch_rows; found->name != NULL; found++) {
        const char *names[] = { found->name, found->other };

        for (size_t k = 0; k < G_N_ELEMENTS(names); k++)
            if (names[k] != NULL && strlen(names[k]) == length &&
                strncmp(names[k], word, length) == 0)
                return found;
    }
    return NULL;
}

bool switch_wants_value(const char *word)
{
    const char *value;
    const Switch *found = find_switch(word, &value);

    return found != NULL && found->value != NULL && value == NULL;
}

static bool unknown_switch(const char *word, GError **error)
{
    g_autofree char *name = g_strndup(word, strcspn(word, "="));
    const char *names[32] = { 0 }, *near;

    for (size_t i = 0; switch_rows[i].name != NULL && i + 1 < G_N_ELEMENTS(names); i++)
        names[i] = switch_rows[i].name;
    near = units_nearest(name, names);
    if (near == NULL)
        return fail(error, ZX_ERROR_USAGE, "unknown switch %s\nsee: zxmove --help", name);
    return fail(error, ZX_ERROR_USAGE, "unknown switch %s, did you mean %s?", name, near);
}

bool switches_take(const char *const **words, bool process, Switches *out, GError **error)
{
    for (; **words != NULL; ++*words) {
        const char *word = **words, *value;
        const Switch *found;
        char **field;

        if (is_prefix_word(word))
            continue;
        if (word[0] != '-' || word[1] == '\0')
            return true;
        found = find_switch(word, &value);
        if (found == NULL) /* "-setHsmPolicy" is a verb */
            return foreign_verb(word, error) ? false : unknown_switch(word, error);
        if (found->process && !process)
            return fail(error, ZX_ERROR_USAGE, "%s belongs to the command line of zxmove itself",
                        found->name);
        if (found->value == NULL) {
            if (value != NULL)
                return fail(error, ZX_ERROR_USAGE, "%s takes no value", found->name);
            *(bool *)((char *)out + found->offset) = true;
            continue;
        }
        if (value == NULL) {
            value = (*words)[1];
            if (value != NULL)
                ++*words;
        }
        if (value == NULL || *value == '\0')
            return fail(error, ZX_ERROR_USAGE, "%s needs a value: %s", found->name, found->value);
        field = (void *)((char *)out + found->offset);
        if (*field != NULL)
            return fail(error, ZX_ERROR_USAGE, "%s is given twice", found->name);
        *field = g_strdup(value);
    }
    return true;
}
