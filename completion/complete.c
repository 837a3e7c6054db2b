/* complete.c - see completion.h. Walks the line as args.c does, by the same rows, but forgives
 * everything: a line that is being typed is wrong most of the time. */
#include "completion/completion.h"
#include "conf/settings.h"
#include <string.h>

typedef struct Line {
    const char *const *words;
    const char *current;
    const Lookup *lookup;
    char *host;             /* of --host */
    char *destination;      /* of the verb: the store that its volumes are of */
    const Command *subject; /* of help: the verb asked about */
    char *setting;          /* of config: the one that was named */
    GPtrArray *candidates;
} Line;

static void candidate_free(Candidate *candidate)
{
    g_free(candidate->text);
    g_free(candidate->meaning);
    g_free(candidate);
}

static void clear_line(Line *line)
{
    g_free(line->host);
    g_free(line->destination);
    g_free(line->setting);
}

/* No name may play tricks on a terminal or break the line it is put on: such a one is not offered
 * (args.c would refuse it as well). */
static bool is_plain(const char *text)
{
    if (!g_utf8_validate(text, -1, NULL))
        return false;
    for (; *text != '\0'; text += g_utf8_skip[(guchar)*text])
        if (g_unichar_iscntrl(g_utf8_get_char(text)))
            return false;
    return true;
}

static char *plain_meaning(const char *meaning)
{
    char *text = meaning != NULL ? g_utf8_make_valid(meaning, -1) : NULL;

    for (char *c = text; c != NULL && *c != '\0'; c = g_utf8_next_char(c))
        if (g_unichar_iscntrl(g_utf8_get_char(c)))
            memset(c, '?', (size_t)(g_utf8_next_char(c) - c));
    return text;
}

static void add(Line *line, const char *prefix, const char *text, const char *meaning)
{
    Candidate *candidate = g_new0(Candidate, 1);

    candidate->text = g_strconcat(prefix, text, NULL);
    candidate->meaning = plain_meaning(meaning);
    candidate->shown = strlen(prefix);
    g_ptr_array_add(line->candidates, candidate);
}

/* @typed is what @text is to begin with, @prefix what stands before it in the same word. */
static void offer(Line *line, const char *prefix, const char *typed, const char *text,
                  const char *meaning)
{
    if (g_str_has_prefix(text, typed))
        add(line, prefix, text, meaning);
}

static void offer_folded(Line *line, const char *prefix, const char *typed, const char *text,
                         const char *meaning)
{
    if (g_ascii_strncasecmp(text, typed, strlen(typed)) == 0)
        add(line, prefix, text, meaning);
}

/* Verbs match without regard to case, so they complete without it. Another generation's name is
 * offered to those who begin to type it. */
static void offer_verbs(Line *line)
{
    for (const Command *const *command = commands; *command != NULL; command++) {
        const char *alias = (*command)->alias;

        if ((*command)->flags & COMMAND_HIDDEN)
            continue;
        offer_folded(line, "", line->current, (*command)->name, (*command)->summary);
        if (alias != NULL && *line->current != '\0')
            offer_folded(line, "", line->current, alias, (*command)->name);
    }
}

/* Names of servers: nobody types their case. @given (may be NULL) are in the list already. */
static void offer_names(Line *line, NameKind kind, const char *host, const char *prefix,
                        const char *typed, const char *const *given)
{
    g_autoptr(GPtrArray) names = line->lookup->names != NULL && is_plain(typed)
                                     ? line->lookup->names(line->lookup->data, kind, host, typed)
                                     : NULL;

    for (guint i = 0; names != NULL && i < names->len; i++) {
        const Name *name = g_ptr_array_index(names, i);

        if (!is_plain(name->text) || *name->text == '\0' ||
            (given != NULL &&
             (strchr(name->text, ',') != NULL || g_strv_contains(given, name->text))))
            continue;
        offer_folded(line, prefix, typed, name->text, name->meaning);
    }
}

static void offer_files(Line *line, const char *prefix, const char *typed)
{
    g_autoptr(GPtrArray) names =
        line->lookup->files != NULL ? line->lookup->files(line->lookup->data, typed) : NULL;
    const char *slash = strrchr(typed, '/');
    size_t directory = slash != NULL ? (size_t)(slash - typed) + 1 : 0;

    for (guint i = 0; names != NULL && i < names->len; i++) {
        const Name *name = g_ptr_array_index(names, i);
        guint before = line->candidates->len;

        if (is_plain(name->text))
            offer(line, prefix, typed, name->text, name->meaning);
        if (line->candidates->len > before) {
            Candidate *candidate = g_ptr_array_index(line->candidates, before);

            candidate->shown += directory;
            candidate->open = g_str_has_suffix(name->text, "/");
        }
    }
}

/* Those of .values that are not @given yet. */
static void offer_values(Line *line, const Arg *arg, const char *prefix, const char *typed,
                         const char *const *given)
{
    g_auto(GStrv) values = g_strsplit(arg->values, "|", -1);
    g_auto(GStrv) meanings = g_strsplit(arg->meanings != NULL ? arg->meanings : "", "|", -1);

    for (guint i = 0; values[i] != NULL; i++) {
        const char *meaning = arg->meanings != NULL                      ? meanings[i]
                              : g_strcmp0(arg->fallback, values[i]) == 0 ? "default"
                                                                         : NULL;

        if (given == NULL || !g_strv_contains(given, values[i]))
            offer(line, prefix, typed, values[i], meaning);
    }
}

static void offer_booleans(Line *line, const Arg *arg, const char *prefix, const char *typed)
{
    static const char *const booleans[] = { "true", "false" };

    for (size_t i = 0; i < G_N_ELEMENTS(booleans); i++)
        offer(line, prefix, typed, booleans[i],
              g_strcmp0(arg->fallback, booleans[i]) == 0 ? "default" : NULL);
}

/* One item of a list, after its last comma; @before is what earlier words hold of the list. */
static void offer_items(Line *line, const Arg *arg, const char *prefix, const char *typed,
                        const char *before)
{
    const char *comma = strrchr(typed, ',');
    const char *item = comma != NULL ? comma + 1 : typed;
    g_autofree char *head = NULL;
    g_autofree char *whole = NULL;
    g_autofree char *list = NULL;
    g_auto(GStrv) given = NULL;

    while (*item == ' ')
        item++;
    head = g_strndup(typed, (size_t)(item - typed));
    whole = g_strconcat(prefix, head, NULL);
    list = g_strconcat(before, ",", head, NULL);
    given = g_strsplit(list, ",", -1);
    for (char **one = given; *one != NULL; one++)
        g_strstrip(*one);
    if (arg->type == ARG_SET)
        offer_values(line, arg, whole, item, (const char *const *)given);
    else if (arg->offers == OFFERS_VOLUMES && line->host != NULL)
        offer_names(line, NAME_VOLUME, line->host, whole, item, (const char *const *)given);
    else if (arg->type != ARG_PRINTS && arg->type != ARG_WORDS && arg->type != ARG_NUMBERS)
        offer_names(line, arg->type == ARG_DOMAINS ? NAME_DOMAIN : NAME_ACCOUNT, NULL, whole, item,
                    (const char *const *)given);
}

/* Names of parameters that are not @given yet. A mandatory one has its place at the beginning; once
 * names have begun (@late), only its name is left. */
static void offer_parameters(Line *line, const Command *command, uint64_t given, bool late)
{
    for (const Arg *arg = command->args; arg != NULL && arg->name != NULL; arg++) {
        bool taken = given & (G_GUINT64_CONSTANT(1) << (arg - command->args));
        bool placed = (arg->flags & ARG_POSITIONAL) || ((arg->flags & ARG_REQUIRED) && !late);

        if (!taken && !placed && !(arg->flags & ARG_ABSENT))
            offer(line, "", line->current, arg->name, arg->help);
    }
}

/* A store's settings for each store that the configuration names. */
static void offer_settings(Line *line, const char *prefix, const char *typed)
{
    g_autoptr(GPtrArray) stores =
        line->lookup->names != NULL ? line->lookup->names(line->lookup->data, NAME_STORE, NULL, "")
                                    : NULL;

    for (const ConfItem *item = conf_items; item->key != NULL; item++) {
        const char *star = strchr(item->key, '*');
        const char *key = item->type == CONF_SECRET ? "_file" : "";

        if (star == NULL) {
            g_autofree char *name = g_strconcat(item->key, key, NULL);

            offer(line, prefix, typed, name, item->help);
        }
        for (guint i = 0; star != NULL && star[1] == '.' && stores != NULL && i < stores->len; i++) {
            const Name *store = g_ptr_array_index(stores, i);
            g_autofree char *name = g_strdup_printf("%.*s%s%s%s", (int)(star - item->key),
                                                    item->key, store->text, star + 1, key);

            if (is_plain(store->text))
                offer(line, prefix, typed, name, item->help);
        }
    }
}

static void offer_setting_values(Line *line, const char *prefix, const char *typed)
{
    bool path;
    const ConfItem *item = line->setting != NULL ? settings_row(line->setting, &path) : NULL;
    g_auto(GStrv) values = NULL;

    if (item == NULL)
        return;
    if (path || item->type == CONF_PATH) {
        offer_files(line, prefix, typed);
        return;
    }
    values = g_strsplit(item->values != NULL          ? item->values
                        : item->type == CONF_BOOL     ? "true|false"
                        : item->fallback != NULL      ? item->fallback
                                                      : "",
                        "|", -1);
    for (char **value = values; *value != NULL; value++)
        offer(line, prefix, typed, *value,
              g_strcmp0(item->fallback, *value) == 0 ? "default" : NULL);
}

/* What @arg may be, where @typed of it is there already; @prefix is "name=" if it was written so,
 * @before what earlier words hold of it if it is a list. */
static void offer_value(Line *line, const Arg *arg, const char *prefix, const char *typed,
                        const char *before)
{
    if (arg_is_list(arg)) {
        offer_items(line, arg, prefix, typed, before);
        return;
    }
    if (arg->omitted != NULL)
        offer(line, prefix, typed, arg->omitted, "as if left out");
    if (arg->values != NULL)
        offer_values(line, arg, prefix, typed, NULL);
    switch ((int)arg->type) {
    case ARG_HOST:
        offer_names(line, NAME_STORE, NULL, prefix, typed, NULL);
        break;
    case ARG_PATH:
        offer_files(line, prefix, typed);
        break;
    case ARG_UUID:
        offer_names(line, NAME_OPERATION, line->host, prefix, typed, NULL);
        break;
    case ARG_VERB:
        offer_verbs(line);
        break;
    case ARG_BOOL:
        offer_booleans(line, arg, prefix, typed);
        break;
    case ARG_SETTING:
        if (conf_item(arg->name)->type == CONF_BOOL)
            offer_booleans(line, arg, prefix, typed);
        break;
    default:
        break;
    }
    switch (arg->offers) {
    case OFFERS_BY_TYPE:
        break;
    case OFFERS_VOLUMES:
        if (line->destination != NULL)
            offer_names(line, NAME_VOLUME, line->destination, prefix, typed, NULL);
        break;
    case OFFERS_OLD_COPIES:
        offer_names(line, NAME_OLD_COPY, line->host, prefix, typed, NULL);
        break;
    case OFFERS_SETTINGS:
        offer_settings(line, prefix, typed);
        break;
    case OFFERS_SETTING_VALUES:
        offer_setting_values(line, prefix, typed);
        break;
    case OFFERS_PARAMETERS:
        for (const Arg *other = line->subject != NULL ? line->subject->args : NULL;
             other != NULL && other->name != NULL; other++)
            offer(line, prefix, typed, other->name, other->help);
        break;
    }
}

/* Values that say what others may be. */
static void remember(Line *line, const Arg *arg, const char *value)
{
    if (arg->type == ARG_HOST && (arg->flags & ARG_REQUIRED)) {
        g_free(line->destination);
        line->destination = g_strdup(value);
    } else if (arg->type == ARG_VERB) {
        line->subject = command_find(value);
    } else if (arg->offers == OFFERS_SETTINGS) {
        g_free(line->setting);
        line->setting = g_strdup(value);
    }
}

/* After the verb: finds out what @current is, a value or a name, and of which row. */
static void complete_args(Line *line, const Command *command)
{
    const unsigned positional = ARG_REQUIRED | ARG_POSITIONAL;
    const Arg *place = command->args; /* the next positional row; NULL once names have begun */
    const Arg *row = NULL;            /* the named row at hand */
    bool hungry = false;              /* it wants another word */
    const char *equals = strchr(line->current, '=');
    g_autoptr(GString) value = g_string_new(NULL); /* what it has so far */
    uint64_t given = 0;

    for (; *line->words != NULL; line->words++) {
        const char *word = *line->words;
        bool list = row != NULL && arg_is_list(row);

        if (row != NULL && (hungry || (list && word[0] == ','))) {
            hungry = list && g_str_has_suffix(word, ",");
            g_string_append(value, word);
            remember(line, row, word);
            continue;
        }
        row = args_named(command, word);
        if (row != NULL) {
            const char *given_value = strchr(word, '=');

            given |= G_GUINT64_CONSTANT(1) << (row - command->args);
            hungry =
                given_value == NULL || (arg_is_list(row) && g_str_has_suffix(given_value, ","));
            g_string_assign(value, given_value != NULL ? given_value + 1 : "");
            remember(line, row, value->str);
            place = NULL;
        } else if (command == &cmd_help && is_prefix_word(word)) {
            continue; /* "help powerstore doMailboxMove" */
        } else if (place != NULL && place->name != NULL && (place->flags & positional)) {
            given |= G_GUINT64_CONSTANT(1) << (place - command->args);
            remember(line, place, word);
            place++;
        }
    }
    if (row != NULL && (hungry || (arg_is_list(row) && line->current[0] == ','))) {
        offer_value(line, row, "", line->current, value->str);
        return;
    }
    row = equals != NULL ? args_named(command, line->current) : NULL;
    if (row != NULL) {
        g_autofree char *prefix = g_strconcat(row->name, "=", NULL);

        offer_value(line, row, prefix, equals + 1, "");
        return;
    }
    if (place != NULL && place->name != NULL && (place->flags & positional))
        offer_value(line, place, "", line->current, "");
    if (place == NULL || place->name == NULL || !(place->flags & ARG_REQUIRED) ||
        place->omitted != NULL)
        offer_parameters(line, command, given, place == NULL);
}

static bool is_host(const char *word)
{
    g_autofree char *name = g_strndup(word, strcspn(word, "="));

    return strcmp(name, "--host") == 0 || strcmp(name, "--hostname") == 0;
}

static void complete_switch_value(Line *line, const char *name, const char *prefix,
                                  const char *typed)
{
    if (is_host(name))
        offer_names(line, NAME_STORE, NULL, prefix, typed, NULL);
    else
        offer_files(line, prefix, typed); /* --config, -f */
}

static void complete_switch(Line *line, bool process)
{
    const char *equals = strchr(line->current, '=');

    if (equals != NULL) {
        g_autofree char *name = g_strndup(line->current, (size_t)(equals - line->current));
        g_autofree char *prefix = g_strconcat(name, "=", NULL);

        if (switch_wants_value(name))
            complete_switch_value(line, name, prefix, equals + 1);
        return;
    }
    for (const Switch *known = switch_rows; known->name != NULL; known++)
        if (process || !known->process)
            offer(line, "", line->current, known->name, known->help);
}

/* The switch that wants the next word; NULL if none does. */
static const char *skip_switches(Line *line)
{
    const char *waiting = NULL;

    for (; *line->words != NULL; line->words++) {
        const char *word = *line->words;
        const char *value = NULL;

        if (waiting != NULL) {
            value = is_host(waiting) ? word : NULL;
            waiting = NULL;
        } else if (switch_wants_value(word)) {
            waiting = word;
        } else if (is_host(word) && strchr(word, '=') != NULL) {
            value = strchr(word, '=') + 1;
        } else if (!is_prefix_word(word) && *word != '-') {
            break;
        }
        if (value != NULL) {
            g_free(line->host);
            line->host = g_strdup(value);
        }
    }
    return waiting;
}

GPtrArray *complete(const char *const *words, const char *current, bool process,
                    const Lookup *lookup)
{
    Line line = { .words = words,
                  .current = current,
                  .lookup = lookup,
                  .candidates = g_ptr_array_new_with_free_func((GDestroyNotify)candidate_free) };
    const char *waiting = skip_switches(&line);
    const Command *command = *line.words != NULL ? command_find(*line.words) : NULL;

    if (*line.words != NULL) {
        line.words++;
        if (command != NULL)
            complete_args(&line, command);
    } else if (waiting != NULL) {
        complete_switch_value(&line, waiting, "", current);
    } else if (current[0] == '-') {
        complete_switch(&line, process);
    } else {
        offer_verbs(&line);
    }
    clear_line(&line);
    return line.candidates;
}

static bool is_glue(const char *word)
{
    return strcmp(word, "=") == 0 || strcmp(word, ":") == 0 || strcmp(word, "@") == 0;
}

GPtrArray *complete_bash(const char *const *words, unsigned index, const Lookup *lookup)
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
    candidates = complete((const char *const *)whole->pdata, current, true, lookup);
    for (guint k = 0; k < candidates->len && hidden > 0; k++) {
        Candidate *candidate = g_ptr_array_index(candidates, k);

        memmove(candidate->text, candidate->text + hidden, strlen(candidate->text + hidden) + 1);
        candidate->shown -= MIN(candidate->shown, hidden);
    }
    return candidates;
}

char *complete_common(const GPtrArray *candidates)
{
    const char *first =
        candidates->len > 0 ? ((const Candidate *)g_ptr_array_index(candidates, 0))->text : "";
    size_t length = strlen(first);

    for (guint i = 1; i < candidates->len; i++) {
        const char *other = ((const Candidate *)g_ptr_array_index(candidates, i))->text;
        size_t same = 0;

        while (same < length && first[same] == other[same])
            same++;
        length = same;
    }
    while (length > 0 && ((unsigned char)first[length] & 0xc0) == 0x80)
        length--; /* in the middle of a letter */
    return g_strndup(first, length);
}
