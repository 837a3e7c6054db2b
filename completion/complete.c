/* complete.c - see completion.h. Walks the line as args.c does, by the same rows, but forgives
 * everything: a line that is being typed is wrong most of the time. */
#include "completion/completion.h"
#include <string.h>

typedef struct Line {
    const char *const *words;
    const char *current;
    const char *const *stores;
    GPtrArray *candidates;
} Line;

static void offer(Line *line, const char *prefix, const char *text)
{
    g_autofree char *candidate = g_strconcat(prefix, text, NULL);

    if (g_str_has_prefix(candidate, line->current))
        g_ptr_array_add(line->candidates, g_steal_pointer(&candidate));
}

static void offer_all(Line *line, const char *prefix, const char *const *texts)
{
    for (; texts != NULL && *texts != NULL; texts++)
        offer(line, prefix, *texts);
}

/* Verbs match without regard to case, so they complete without it. */
static void offer_verbs(Line *line)
{
    size_t length = strlen(line->current);

    for (const Command *const *command = commands; *command != NULL; command++)
        if (!((*command)->flags & COMMAND_HIDDEN) &&
            g_ascii_strncasecmp((*command)->name, line->current, length) == 0)
            g_ptr_array_add(line->candidates, g_strdup((*command)->name));
}

/* The items of a set that the list at hand does not have yet, after its last comma. */
static void offer_items(Line *line, const Arg *arg, const char *typed, const char *prefix)
{
    const char *comma = strrchr(typed, ',');
    g_autofree char *head = g_strndup(typed, comma != NULL ? (size_t)(comma - typed) + 1 : 0);
    g_autofree char *before = g_strconcat(prefix, head, NULL);
    g_auto(GStrv) given = g_strsplit(head, ",", -1);
    g_auto(GStrv) values = g_strsplit(arg->values, "|", -1);

    for (guint i = 0; values[i] != NULL; i++)
        if (!g_strv_contains((const char *const *)given, values[i]))
            offer(line, before, values[i]);
}

/* What @arg may be, where @typed of it is there already; @prefix is "name=" if it was written so.
 */
static void offer_values(Line *line, const Arg *arg, const char *typed, const char *prefix)
{
    static const char *const booleans[] = { "true", "false", NULL };
    g_auto(GStrv) values = NULL;

    switch ((int)arg->type) {
    case ARG_HOST:
        offer_all(line, prefix, line->stores);
        break;
    case ARG_BOOL:
        offer_all(line, prefix, booleans);
        break;
    case ARG_SET:
        offer_items(line, arg, typed, prefix);
        break;
    case ARG_VERB:
        offer_verbs(line);
        break;
    case ARG_CHOICE:
        values = g_strsplit(arg->values, "|", -1);
        offer_all(line, prefix, (const char *const *)values);
        break;
    default:
        if (arg->omitted != NULL)
            offer(line, prefix, arg->omitted);
        break;
    }
}

static void offer_names(Line *line, const Command *command, uint64_t given)
{
    for (const Arg *arg = command->args; arg != NULL && arg->name != NULL; arg++) {
        bool taken = given & (G_GUINT64_CONSTANT(1) << (arg - command->args));

        if (!taken && !(arg->flags & (ARG_REQUIRED | ARG_POSITIONAL | ARG_ABSENT)))
            offer(line, "", arg->name);
    }
}

static const Arg *named(const Command *command, const char *word)
{
    g_autofree char *name = g_strndup(word, strcspn(word, "="));

    return args_find(command, name);
}

/* After the verb: finds out what @current is, a value or a name, and of which row. */
static void complete_args(Line *line, const Command *command)
{
    const unsigned positional = ARG_REQUIRED | ARG_POSITIONAL;
    const Arg *place = command->args; /* the next positional row; NULL once names have begun */
    const Arg *row = NULL;            /* the named row at hand */
    bool hungry = false;              /* it wants another word */
    const char *equals = strchr(line->current, '=');
    uint64_t given = 0;

    for (; *line->words != NULL; line->words++) {
        const char *word = *line->words;
        bool list = row != NULL && arg_is_list(row);

        if (row != NULL && (hungry || (list && word[0] == ','))) {
            hungry = list && g_str_has_suffix(word, ",");
            continue;
        }
        row = named(command, word);
        if (row != NULL) {
            given |= G_GUINT64_CONSTANT(1) << (row - command->args);
            hungry = strchr(word, '=') == NULL || (arg_is_list(row) && g_str_has_suffix(word, ","));
            place = NULL;
        } else if (place != NULL && place->name != NULL && (place->flags & positional)) {
            given |= G_GUINT64_CONSTANT(1) << (place - command->args);
            place++;
        }
    }
    if (row != NULL && (hungry || (arg_is_list(row) && line->current[0] == ','))) {
        offer_values(line, row, line->current, "");
        return;
    }
    row = equals != NULL ? named(command, line->current) : NULL;
    if (row != NULL) {
        g_autofree char *prefix = g_strconcat(row->name, "=", NULL);

        offer_values(line, row, equals + 1, prefix);
        return;
    }
    if (place != NULL && place->name != NULL && (place->flags & positional))
        offer_values(line, place, line->current, "");
    if (place == NULL || place->name == NULL || !(place->flags & ARG_REQUIRED) ||
        place->omitted != NULL)
        offer_names(line, command, given);
}

GPtrArray *complete(const char *const *words, const char *current, const char *const *stores)
{
    Line line = { .words = words,
                  .current = current,
                  .stores = stores,
                  .candidates = g_ptr_array_new_with_free_func(g_free) };
    const char *waiting = NULL; /* a switch that wants a value */
    const Command *command;

    for (; *line.words != NULL; line.words++) {
        if (waiting != NULL)
            waiting = NULL;
        else if (switch_wants_value(*line.words))
            waiting = *line.words;
        else if (!is_prefix_word(*line.words) && **line.words != '-')
            break;
    }
    if (*line.words != NULL) {
        command = command_find(*line.words++);
        if (command != NULL)
            complete_args(&line, command);
    } else if (waiting != NULL) {
        if (g_str_has_prefix(waiting, "--host"))
            offer_all(&line, "", stores);
    } else if (current[0] == '-') {
        for (const Switch *known = switch_rows; known->name != NULL; known++)
            offer(&line, "", known->name);
    } else {
        offer_verbs(&line);
    }
    return line.candidates;
}

static bool is_glue(const char *word)
{
    return strcmp(word, "=") == 0 || strcmp(word, ":") == 0 || strcmp(word, "@") == 0;
}

GPtrArray *complete_bash(const char *const *words, unsigned index, const char *const *stores)
{
    g_autoptr(GPtrArray) whole = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *current = NULL;
    GPtrArray *candidates;
    bool glued = false;
    size_t hidden = 0; /* of the current word, what bash holds in earlier words */
    unsigned i;

    for (i = 0; i <= index; i++) {
        const char *word = i < index || words[i] != NULL ? words[i] : "";
        bool glue = is_glue(word);

        if ((glue || glued) && whole->len > 0) {
            char **last = (char **)&g_ptr_array_index(whole, whole->len - 1);
            char *longer = g_strconcat(*last, word, NULL);

            hidden = strlen(*last) + (glue ? 1 : 0);
            g_free(*last);
            *last = longer;
        } else {
            g_ptr_array_add(whole, g_strdup(word));
            hidden = 0;
        }
        glued = glue;
        if (words[i] == NULL)
            break;
    }
    current = g_strdup(g_ptr_array_index(whole, whole->len - 1));
    g_ptr_array_set_size(whole, (int)whole->len - 1);
    g_ptr_array_add(whole, NULL);
    candidates = complete((const char *const *)whole->pdata, current, stores);
    for (guint k = 0; k < candidates->len && hidden > 0; k++) {
        char *candidate = g_ptr_array_index(candidates, k);

        memmove(candidate, candidate + hidden, strlen(candidate + hidden) + 1);
    }
    return candidates;
}

char *complete_common(const GPtrArray *candidates)
{
    const char *first = candidates->len > 0 ? g_ptr_array_index(candidates, 0) : "";
    size_t length = strlen(first);

    for (guint i = 1; i < candidates->len; i++) {
        const char *other = g_ptr_array_index(candidates, i);
        size_t same = 0;

        while (same < length && first[same] == other[same])
            same++;
        length = same;
    }
    return g_strndup(first, length);
}
