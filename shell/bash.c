/* bash.c - "__complete INDEX WORD...": what completion/zxmove.bash asks at each TAB. It never says
 * anything but candidates and never fails. */
#include "completion/names.h"
#include "shell/lookup.h"
#include "shell/shell.h"
#include <string.h>
#include <unistd.h>

/* bash hands words over as they are typed, with their quotes. */
static char *unquoted(const char *word)
{
    char *current;
    g_auto(GStrv) words = token_partial(word, strlen(word), &current);

    return current;
}

/* What bash reads as @text. Inside a quote it puts the candidate there as it is. */
static char *quoted(const char *text, bool in_quotes)
{
    static const char plain[] = "%+,-./:=@_~"; /* beside letters and digits */
    GString *out = g_string_new(NULL);

    for (const char *c = text; *c != '\0'; c++) {
        if (!in_quotes && !g_ascii_isalnum(*c) && !((unsigned char)*c & 0x80) &&
            strchr(plain, *c) == NULL)
            g_string_append_c(out, '\\');
        g_string_append_c(out, *c);
    }
    return g_string_free(out, FALSE);
}

static const char *config_of(char **words)
{
    for (; *words != NULL; words++) {
        if (strcmp(*words, "--config") == 0)
            return words[1];
        if (g_str_has_prefix(*words, "--config="))
            return *words + strlen("--config=");
    }
    return NULL;
}

int bash_complete(int argc, const char *const *argv)
{
    guint64 index = argc > 0 ? g_ascii_strtoull(argv[0], NULL, 10) : 0;
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) candidates = NULL;
    const char *current;
    Lookups *lookups;
    Lookup lookup;
    Conf *conf;

    if (index < 1 || index > (guint64)argc)
        return 0;
    for (int i = 1; i < argc; i++)
        g_ptr_array_add(words, unquoted(argv[i]));
    g_ptr_array_add(words, NULL);
    conf = conf_load(config_of((char **)words->pdata), NULL);
    lookups = lookups_open(conf, NULL, NULL);
    lookup = lookups_lookup(lookups);
    candidates = complete_bash((const char *const *)words->pdata, (unsigned)index - 1, &lookup);
    current = (int)index < argc ? argv[index] : "";
    for (guint i = 0; i < candidates->len; i++) {
        const Candidate *candidate = g_ptr_array_index(candidates, i);
        g_autofree char *text = quoted(candidate->text, *current == '"' || *current == '\'');

        puts(text);
    }
    lookups_close(lookups);
    if (names_busy()) { /* with the configuration in its hands */
        fflush(stdout);
        core_abandon();
        _exit(0);
    }
    conf_free(conf);
    return 0;
}
