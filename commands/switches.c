/* switches.c - the words before the verb: switches of ours, and the names of the programs that the
 * line may have been written for. They may stand in any order, because runbooks have them so:
 * "zxsuite --progress hsm doMailboxMove ...". */
#include "commands/commands.h"
#include "conf/units.h"
#include <string.h>

typedef struct Switch {
    const char *name, *other;
    bool value;
    bool process; /* of the whole process, not of one line */
    size_t offset;
} Switch;

#define FIELD(field) offsetof(Switches, field)

static const Switch switches[] = {
    { "--host", "--hostname", true, false, FIELD(host) },
    { "--json", NULL, false, false, FIELD(json) },
    { "--progress", NULL, false, false, FIELD(progress) },
    { "--sync", NULL, false, false, FIELD(sync) },
    { "--async", NULL, false, false, FIELD(async) },
    { "--yes", "-y", false, false, FIELD(yes) },
    { "--quiet", "-q", false, false, FIELD(quiet) },
    { "--keep-going", NULL, false, true, FIELD(keep_going) },
    { "--config", NULL, true, true, FIELD(config) },
    { "-f", "--file", true, true, FIELD(file) },
    { "--help", "-h", false, false, FIELD(help) },
    { "--version", NULL, false, false, FIELD(version) },
};

const char *const switch_names[] = { "--host",   "--json", "--progress", "--sync",
                                     "--async",  "--yes",  "--quiet",    "--keep-going",
                                     "--config", "-f",     "--help",     "--version",
                                     NULL };

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
    for (size_t i = 0; i < G_N_ELEMENTS(switches); i++) {
        const char *names[] = { switches[i].name, switches[i].other };

        for (size_t k = 0; k < G_N_ELEMENTS(names); k++)
            if (names[k] != NULL && strlen(names[k]) == length &&
                strncmp(names[k], word, length) == 0)
                return &switches[i];
    }
    return NULL;
}

bool switch_wants_value(const char *word)
{
    const char *value;
    const Switch *found = find_switch(word, &value);

    return found != NULL && found->value && value == NULL;
}

static bool unknown_switch(const char *word, GError **error)
{
    const char *near = units_nearest(word, switch_names);

    if (near == NULL)
        return fail(error, ZX_ERROR_USAGE, "unknown switch %s", word);
    return fail(error, ZX_ERROR_USAGE, "unknown switch %s, did you mean %s?", word, near);
}

bool switches_take(const char *const **words, bool process, Switches *out, GError **error)
{
    for (; **words != NULL; ++*words) {
        const char *word = **words, *value;
        const Switch *found;

        if (is_prefix_word(word))
            continue;
        if (word[0] != '-' || word[1] == '\0')
            return true;
        found = find_switch(word, &value);
        if (found == NULL)
            return unknown_switch(word, error);
        if (found->process && !process)
            return fail(error, ZX_ERROR_USAGE, "%s belongs to the command line of zxmove itself",
                        found->name);
        if (!found->value) {
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
            return fail(error, ZX_ERROR_USAGE, "%s needs a value", found->name);
        g_free(*(char **)(void *)((char *)out + found->offset));
        *(char **)(void *)((char *)out + found->offset) = g_strdup(value);
    }
    return true;
}
