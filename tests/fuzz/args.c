/* args.c - fuzzes the grammar on the real tables. An input that begins with a letter is words, one
 * a line: they become a request or an error that says why, and completion offers only what fits.
 * Another is instructions to make up a command from the rows, spelt in two ways, as help shows
 * it and as people type it: both must be understood alike, or neither. */
#include "completion/completion.h"
#include "shell/shell.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static GPtrArray *known(void *data G_GNUC_UNUSED, NameKind kind G_GNUC_UNUSED,
                        const char *host G_GNUC_UNUSED, const char *prefix G_GNUC_UNUSED)
{
    GPtrArray *names = names_new();

    g_ptr_array_add(names, name_new("mail1.example.com", "a store"));
    return names;
}

static void check_completion(char **words)
{
    static const Lookup lookup = { .names = known };
    guint count = g_strv_length(words);
    g_autofree char *current = g_strdup(words[count - 1]);
    g_autofree char *last = words[count - 1];
    g_autoptr(GPtrArray) candidates = NULL;
    g_autoptr(GPtrArray) others = NULL;

    others = complete_bash((const char *const *)words, count - 1, &lookup);
    words[count - 1] = NULL;
    candidates = complete((const char *const *)words, current, true, &lookup);
    for (guint i = 0; i < candidates->len; i++) {
        const Candidate *candidate = g_ptr_array_index(candidates, i);

        g_assert(g_ascii_strncasecmp(candidate->text, current, strlen(current)) == 0);
        g_assert(candidate->shown <= strlen(candidate->text));
    }
}

/* What @words are understood as: the request as JSON, or NULL. */
static char *understood(const char *const *words)
{
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
    g_auto(Switches) now = { 0 };
    g_autoptr(GError) error = NULL;
    const Command *command;
    void *request = NULL;
    json_t *shown;
    char *text = NULL;

    if (switches_take(&words, true, &now, &error) && *words != NULL &&
        (command = command_get(*words, &error)) != NULL) {
        request = args_parse(command, words + 1, NULL, notes, &error);
        if (request != NULL) {
            shown = args_show(command, request);
            g_assert(shown != NULL);
            text = json_dumps(shown, JSON_COMPACT);
            json_decref(shown);
        }
        args_free(command, request);
    }
    g_assert(*words == NULL || (request == NULL) == (error != NULL));
    if (error != NULL)
        g_assert(error_code(error) == ZX_ERROR_USAGE && *error->message != '\0');
    return text;
}

typedef struct Bytes {
    const uint8_t *at, *end;
} Bytes;

static unsigned take(Bytes *bytes, unsigned below)
{
    return bytes->at < bytes->end && below > 0 ? *bytes->at++ % below : 0;
}

static const char *const odd[] = {
    "a@x.com",
    "b@x.com",
    "anna@company.ru",
    "o'brien@x.com",
    "company.ru",
    "x.com",
    "mail2",
    "mail2.example.com",
    "true",
    "no",
    "0",
    "1",
    "32",
    "33",
    "99999999999999999999",
    "10M",
    "1.5G",
    "30s",
    "15m",
    "60",
    "5%",
    "2026-03-01T22:00",
    "6f0c2c1e",
    "all",
    "-",
    "--json",
    "ture",
    "=",
    "@",
    "a@",
    "\xc3\xb6@x.com",
    "\xff",
    "\x1b[2J",
    "a b",
    "#",
    "'",
    "\"",
    "\\",
    "doMailboxMove",
    "off",
};

/* A value for @arg: one of its own, or anything. */
static char *make_item(const Arg *arg, Bytes *bytes)
{
    g_auto(GStrv) own = g_strsplit(arg->values != NULL ? arg->values : "", "|", -1);
    unsigned count = g_strv_length(own), choice = take(bytes, count + G_N_ELEMENTS(odd));

    return g_strdup(choice < count ? own[choice] : odd[choice - count]);
}

/* The items as one list word, or with blanks where people leave them. */
static void add_list(GPtrArray *words, char **items, const char *name, Bytes *style)
{
    GString *word = g_string_new(name);

    for (; *items != NULL; items++) {
        unsigned blank = style != NULL ? take(style, 4) : 0;

        g_string_append(word, *items);
        if (items[1] == NULL)
            break;
        if (blank & 1) { /* before the comma */
            g_ptr_array_add(words, g_string_free(word, FALSE));
            word = g_string_new(NULL);
        }
        g_string_append_c(word, ',');
        if (blank & 2) { /* behind it */
            g_ptr_array_add(words, g_string_free(word, FALSE));
            word = g_string_new(NULL);
        }
    }
    g_ptr_array_add(words, g_string_free(word, FALSE));
}

/* A parameter, exactly and as people type it; false if its value is also a name, which is one thing
 * behind "=" and another behind a blank. */
static bool add_parameter(const Command *command, const Arg *arg, GPtrArray *exact,
                          GPtrArray *typed, bool *by_name, Bytes *bytes)
{
    unsigned count = arg_is_list(arg) ? take(bytes, 4) + 1 : 1, style = take(bytes, 4);
    g_autoptr(GPtrArray) items = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *assigned = g_strconcat(arg->name, "=", NULL);
    bool positional = arg->flags & (ARG_REQUIRED | ARG_POSITIONAL);
    bool named = !positional || *by_name || (style & 1);

    *by_name = named; /* behind a name no value stands alone */

    for (unsigned i = 0; i < count; i++) {
        char *item = make_item(arg, bytes);

        g_ptr_array_add(items, item);
        if (args_find(command, item) != NULL || *item == '=')
            return false;
    }
    g_ptr_array_add(items, NULL);
    if (!positional)
        g_ptr_array_add(exact, g_strdup(arg->name));
    add_list(exact, (char **)items->pdata, NULL, NULL);
    if (named && !(style & 2))
        g_ptr_array_add(typed, g_strdup(arg->name));
    add_list(typed, (char **)items->pdata, named && (style & 2) ? assigned : NULL, bytes);
    return true;
}

static void check_spellings(const uint8_t *data, size_t size)
{
    static const char *const before[] = { "zxsuite",    "carbonio", "zxmove", "powerstore", "hsm",
                                          "--progress", "--quiet",  "-y",     "--json" };
    g_autoptr(GPtrArray) exact = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) typed = g_ptr_array_new_with_free_func(g_free);
    Bytes bytes = { data, data + size };
    g_autofree char *one = NULL, *two = NULL, *three = NULL, *line = NULL;
    g_auto(GStrv) again = NULL;
    const Command *command;
    unsigned count = 0, rows = 0;
    bool by_name = false;

    while (commands[count] != NULL)
        count++;
    command = commands[take(&bytes, count)];
    while (command->args != NULL && command->args[rows].name != NULL)
        rows++;
    for (unsigned i = take(&bytes, 4); i > 0; i--)
        g_ptr_array_add(typed, g_strdup(before[take(&bytes, G_N_ELEMENTS(before))]));
    g_ptr_array_add(exact, g_strdup(command->name));
    g_ptr_array_add(typed,
                    take(&bytes, 2) ? g_ascii_strup(command->name, -1) : g_strdup(command->name));
    for (unsigned i = 0; i < rows; i++) { /* positional ones have a place */
        if (!(command->args[i].flags & (ARG_REQUIRED | ARG_POSITIONAL)) || take(&bytes, 8) == 7)
            break;
        if (!add_parameter(command, &command->args[i], exact, typed, &by_name, &bytes))
            return;
    }
    while (bytes.at < bytes.end && rows > 0) {
        const Arg *arg = &command->args[take(&bytes, rows)];

        if (!(arg->flags & (ARG_REQUIRED | ARG_POSITIONAL)) &&
            !add_parameter(command, arg, exact, typed, &by_name, &bytes))
            return;
    }
    g_ptr_array_add(exact, NULL);
    g_ptr_array_add(typed, NULL);
    one = understood((const char *const *)exact->pdata);
    two = understood((const char *const *)typed->pdata);
    if (g_strcmp0(one, two) != 0) {
        g_autofree char *a = token_join((const char *const *)exact->pdata);
        g_autofree char *b = token_join((const char *const *)typed->pdata);

        g_error("read differently:\n%s\n%s\n%s\n%s", a, one, b, two);
    }

    line = token_join((const char *const *)typed->pdata);
    again = token_split(line, NULL);
    g_assert(again != NULL);
    three = understood((const char *const *)again);
    g_assert_cmpstr(two, ==, three);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_auto(GStrv) words = g_strsplit(text, "\n", 64);
    g_autofree char *first = NULL;

    if (size == 0 || (!g_ascii_isalpha(data[0]) && data[0] != '-')) {
        check_spellings(data, size);
        return 0;
    }
    first = understood((const char *const *)words);
    if (words[0] != NULL)
        check_completion(words);
    return 0;
}
