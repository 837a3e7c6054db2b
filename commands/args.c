/* args.c - the words after a verb to its typed request, by way of its Arg rows; pure, fuzzed.
 *
 * Two rules carry the rest. Names are never abbreviated: "account" is a stage and one letter short
 * of "accounts", so a helpful guess would turn "stages data, account notifications x" into
 * something else. Lists forgive spaces around their commas, because people type them. */
#include "commands/commands.h"
#include "conf/items.h"
#include "conf/units.h"
#include <string.h>

typedef struct Parser {
    const Command *command;
    const char *const *next; /* the word at hand; NULL at the end */
    const char *compat;      /* whose defaults; NULL or "none": ours */
    void *request;
    uint64_t given;  /* a bit for each row */
    const Arg *last; /* the row given last */
    GPtrArray *notes;
} Parser;

const Arg *args_find(const Command *command, const char *name)
{
    for (const Arg *arg = command->args; arg != NULL && arg->name != NULL; arg++)
        if (strcmp(arg->name, name) == 0)
            return arg;
    return NULL;
}

const char *args_nearest(const Command *command, const char *name)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (const Arg *arg = command->args; arg != NULL && arg->name != NULL; arg++) {
        char *known = (char *)(uintptr_t)arg->name; /* GPtrArray knows no const */

        g_ptr_array_add(names, known);
    }
    g_ptr_array_add(names, NULL);
    return units_nearest(name, (const char *const *)names->pdata);
}

const Arg *args_named(const Command *command, const char *word)
{
    g_autofree char *name = g_strndup(word, strcspn(word, "="));

    return args_find(command, name);
}

bool arg_is_list(const Arg *arg)
{
    return arg->type >= ARG_ACCOUNTS && arg->type <= ARG_SET;
}

static bool is_address(const char *text)
{
    const char *at = strchr(text, '@');

    return at != NULL && at != text && at[1] != '\0' && strchr(at + 1, '@') == NULL &&
           strpbrk(text, " \t,;<>\"") == NULL;
}

/* A name as DNS and the directory have it: letters, digits, dot, hyphen, underscore; UTF-8. */
static bool is_name(const char *text)
{
    if (*text == '\0' || *text == '-' || *text == '.')
        return false;
    for (const char *c = text; *c != '\0'; c++)
        if (!g_ascii_isalnum(*c) && strchr(".-_", *c) == NULL && !((unsigned char)*c & 0x80))
            return false;
    return true;
}

/* An address in which * and ? stand for any letters: "*@example.com". */
static bool is_glob(const char *text)
{
    const char *at = strchr(text, '@');

    return (at != NULL || strpbrk(text, "*?") != NULL) &&
           (at == NULL || strchr(at + 1, '@') == NULL) && strpbrk(text, " \t,;<>\"") == NULL;
}

/* "SHA256:..." of a key, or the pairs of a certificate's. */
static bool is_print(const char *text)
{
    return strchr(text, ':') != NULL && strpbrk(text, " \t,;<>\"'@") == NULL;
}

static bool is_value(const char *values, const char *text)
{
    g_auto(GStrv) list = g_strsplit(values, "|", -1);

    return g_strv_contains((const char *const *)list, text);
}

static bool is_legal_item(const Arg *arg, const char *text)
{
    uint64_t number;

    if (arg->type == ARG_ACCOUNTS || arg->type == ARG_ADDRESSES)
        return is_address(text);
    if (arg->type == ARG_DOMAINS)
        return is_name(text);
    if (arg->type == ARG_GLOBS)
        return is_glob(text);
    if (arg->type == ARG_PRINTS)
        return is_print(text);
    if (arg->type == ARG_WORDS)
        return true;
    if (arg->type == ARG_NUMBERS)
        return units_parse_count(text, 1, UINT32_MAX, &number, NULL);
    return is_value(arg->values, text);
}

static bool check_item(const Arg *arg, const char *text, GError **error)
{
    g_autofree char *values = NULL;
    g_auto(GStrv) list = NULL;
    const char *near;

    if (is_legal_item(arg, text))
        return true;
    if (arg->type == ARG_ACCOUNTS || arg->type == ARG_ADDRESSES)
        return fail(error, ZX_ERROR_USAGE, "%s: '%s' is not an address such as john@example.com",
                    arg->name, text);
    if (arg->type == ARG_DOMAINS)
        return fail(error, ZX_ERROR_USAGE, "%s: '%s' is not a domain such as example.com",
                    arg->name, text);
    if (arg->type == ARG_GLOBS)
        return fail(error, ZX_ERROR_USAGE, "%s: '%s' is not an address such as *@example.com",
                    arg->name, text);
    if (arg->type == ARG_PRINTS)
        return fail(error, ZX_ERROR_USAGE,
                    "%s: '%s' is not a fingerprint such as SHA256:... or AB:CD:...", arg->name,
                    text);
    if (arg->type == ARG_NUMBERS)
        return fail(error, ZX_ERROR_USAGE, "%s: '%s' is not a whole number from 1 on", arg->name,
                    text);
    list = g_strsplit(arg->values, "|", -1);
    values = g_strjoinv(", ", list);
    near = units_nearest(text, (const char *const *)list);
    return fail(error, ZX_ERROR_USAGE, "%s: '%s' is none of %s%s%s%s", arg->name, text, values,
                near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                near != NULL ? "?" : "");
}

static char **split_items(const Arg *arg, const char *text, GError **error)
{
    g_auto(GStrv) items = g_strsplit(text, ",", -1);

    for (guint i = 0; items[i] != NULL; i++) {
        g_strstrip(items[i]);
        if (*items[i] == '\0') {
            fail(error, ZX_ERROR_USAGE, "%s: empty item %s", arg->name,
                 items[i + 1] == NULL ? "after the last comma"
                 : i == 0             ? "before the first comma"
                                      : "between two commas");
            return NULL;
        }
        if (!check_item(arg, items[i], error))
            return NULL;
    }
    return g_steal_pointer(&items);
}

static bool set_text(const Arg *arg, char **field, const char *text, GError **error)
{
    if (arg->type == ARG_HOST && !is_name(text))
        return fail(error, ZX_ERROR_USAGE,
                    "%s: '%s' is not the name of a server such as mail2.example.com", arg->name,
                    text);
    if (arg->type == ARG_UUID && strspn(text, "0123456789abcdefABCDEF-") != strlen(text))
        return fail(error, ZX_ERROR_USAGE,
                    "%s: '%s' is not the uuid of an operation or how it begins, such as 6f0c2c1e",
                    arg->name, text);
    if (arg->type == ARG_CHOICE && !is_value(arg->values, text))
        return check_item(arg, text, error);
    g_free(*field);
    /* In a shell of ours nobody else does it. */
    *field = arg->type == ARG_PATH && text[0] == '~' && text[1] == '/'
                 ? g_build_filename(g_get_home_dir(), text + 2, NULL)
                 : g_strdup(text);
    return true;
}

static bool set_number(const Arg *arg, void *field, const char *text, GError **error)
{
    uint64_t number;

    if (!units_parse_count(text, (uint64_t)arg->min, (uint64_t)arg->max, &number, error))
        return fail_prefix(error, "%s", arg->name);
    if (arg->type == ARG_COUNT)
        *(unsigned *)field = (unsigned)number;
    else
        *(long *)field = (long)number;
    return true;
}

static bool set_decimal(const Arg *arg, double *field, const char *text, GError **error)
{
    char *end = NULL;
    double number = g_ascii_strtod(text, &end);

    if ((arg->flags & ARG_OFF) && strcmp(text, "off") == 0) {
        *field = 0;
        return true;
    }
    if (!g_ascii_isdigit(*text) || strspn(text, "0123456789.") != strlen(text) || *end != '\0' ||
        number < (double)arg->min || number > (double)arg->max)
        return fail(error, ZX_ERROR_USAGE, "%s: '%s' is not a number from %ld to %ld%s", arg->name,
                    text, arg->min, arg->max, arg->flags & ARG_OFF ? ", or off" : "");
    *field = number;
    return true;
}

static bool set_duration(const Arg *arg, long *field, const char *text, GError **error)
{
    g_autofree char *expected = NULL;
    uint64_t ms;

    if (!units_parse_time(text, &ms, error))
        return fail_prefix(error, "%s", arg->name);
    if (ms < (uint64_t)arg->min || ms > (uint64_t)arg->max) {
        expected = docs_expected(arg);
        return fail(error, ZX_ERROR_USAGE, "%s: '%s' is not within %s", arg->name, text, expected);
    }
    *field = (long)ms;
    return true;
}

/* A time of day is easily meant for another zone: what was understood is said. */
static bool set_time(Parser *parser, const Arg *arg, int64_t *field, const char *text,
                     GError **error)
{
    g_autofree char *understood = NULL;

    if (!units_parse_date(text, field, error))
        return fail_prefix(error, "%s", arg->name);
    understood = units_format_date(*field);
    g_ptr_array_add(parser->notes, g_strdup_printf("%s: %s", arg->name, understood));
    return true;
}

static bool set_setting(const Arg *arg, long *field, const char *text, GError **error)
{
    uint64_t number;

    if (!conf_parse_number(conf_item(arg->name), text, &number, error))
        return fail_prefix(error, "%s", arg->name);
    *field = (long)number;
    return true;
}

/* Anything may come from a pasted line; nothing that could break a log line, a mail header or a
 * terminal goes further than this. */
static bool check_text(const Arg *arg, const char *text, GError **error)
{
    if (*text == '\0')
        return fail(error, ZX_ERROR_USAGE, "%s: the value is empty", arg->name);
    if (!g_utf8_validate(text, -1, NULL))
        return fail(error, ZX_ERROR_USAGE, "%s: the value is not UTF-8", arg->name);
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++)
        if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] < 0xa0)) /* U+0080 to U+009F */
            return fail(error, ZX_ERROR_USAGE, "%s: the value holds a control character",
                        arg->name);
    return true;
}

static bool set_value(Parser *parser, const Arg *arg, const char *text, GError **error)
{
    void *field = (char *)parser->request + arg->offset;
    g_auto(GStrv) items = NULL;

    if (!check_text(arg, text, error))
        return false;
    switch (arg->type) {
    case ARG_TEXT:
    case ARG_HOST:
    case ARG_PATH:
    case ARG_UUID:
    case ARG_VERB:
    case ARG_CHOICE:
        return set_text(arg, field, text, error);
    case ARG_ACCOUNTS:
    case ARG_ADDRESSES:
    case ARG_DOMAINS:
    case ARG_GLOBS:
    case ARG_PRINTS:
    case ARG_WORDS:
    case ARG_NUMBERS:
        items = split_items(arg, text, error);
        if (items == NULL)
            return false;
        g_strfreev(*(char ***)field);
        *(char ***)field = g_steal_pointer(&items);
        return true;
    case ARG_SET:
        items = split_items(arg, text, error);
        if (items == NULL)
            return false;
        return arg->read_set(items, field, parser->notes, error) ||
               fail_prefix(error, "%s", arg->name);
    case ARG_BOOL:
        return units_parse_bool(text, field, error) || fail_prefix(error, "%s", arg->name);
    case ARG_COUNT:
    case ARG_NUMBER:
        return set_number(arg, field, text, error);
    case ARG_DECIMAL:
        return set_decimal(arg, field, text, error);
    case ARG_SIZE:
        return units_parse_size(text, field, error) || fail_prefix(error, "%s", arg->name);
    case ARG_DURATION:
        return set_duration(arg, field, text, error);
    case ARG_TIME:
        return set_time(parser, arg, field, text, error);
    case ARG_SETTING:
        return set_setting(arg, field, text, error);
    }
    g_assert_not_reached();
}

static bool is_default(const Arg *arg, const char *text)
{
    bool given, fallback;

    if (arg->fallback == NULL)
        return false;
    if (arg->type == ARG_BOOL)
        return units_parse_bool(text, &given, NULL) &&
               units_parse_bool(arg->fallback, &fallback, NULL) && given == fallback;
    return strcmp(text, arg->fallback) == 0;
}

static bool give_absent(const Arg *arg, const char *text, GError **error)
{
    if (is_default(arg, text))
        return true;
    if (arg->fallback == NULL)
        return fail(error, ZX_ERROR_USAGE, "%s is not in this version of zxmove", arg->name);
    return fail(error, ZX_ERROR_USAGE, "%s: '%s' is not in this version of zxmove, only %s is",
                arg->name, text, arg->fallback);
}

static bool give(Parser *parser, const Arg *arg, const char *text, GError **error)
{
    uint64_t bit = G_GUINT64_CONSTANT(1) << (arg - parser->command->args);

    if (parser->given & bit)
        return fail(error, ZX_ERROR_USAGE, "%s is given twice", arg->name);
    parser->given |= bit;
    parser->last = arg;
    if (arg->flags & ARG_ABSENT)
        return check_text(arg, text, error) && give_absent(arg, text, error);
    if ((arg->flags & ARG_READS) && strcmp(text, "?") == 0)
        return true;
    if (!set_value(parser, arg, text, error))
        return false;
    if (arg->no_effect != NULL && !is_default(arg, text))
        g_ptr_array_add(parser->notes,
                        g_strdup_printf("%s %s: %s", arg->name, text, arg->no_effect));
    return true;
}

/* The name of a parameter behind an open list is not its next item, unless it could be one: no
 * account lacks an @, no domain of a mail system lacks a dot. */
static bool arg_cannot_be(const Arg *arg, const char *name)
{
    return !is_legal_item(arg, name) || (arg->type == ARG_DOMAINS && strchr(name, '.') == NULL);
}

static bool no_value(const Arg *arg, const char *next, GError **error)
{
    g_autofree char *expected = docs_expected(arg);

    if (next != NULL)
        return fail(error, ZX_ERROR_USAGE,
                    "%s needs a value, and %s is another parameter\nif it is the value: %s=%s",
                    arg->name, next, arg->name, next);
    return fail(error, ZX_ERROR_USAGE, "%s needs a value%s%s", arg->name,
                *expected != '\0' ? ": " : "", expected);
}

/* A text may be anything, the name of a parameter too; but then it was hardly meant so. */
static bool is_next_name(const Parser *parser, const Arg *arg, const char *word)
{
    return (arg->type == ARG_TEXT || arg->type == ARG_PATH || arg->type == ARG_HOST) &&
           args_find(parser->command, word) != NULL;
}

/* The value of @arg: the next word, or for a list as many as its commas hold together. */
static char *take_value(Parser *parser, const Arg *arg, const char *first, GError **error)
{
    g_autoptr(GString) value = g_string_new(first);
    const char *word;

    if (first == NULL) {
        if (*parser->next == NULL || is_next_name(parser, arg, *parser->next)) {
            no_value(arg, *parser->next, error);
            return NULL;
        }
        g_string_assign(value, *parser->next++);
    }
    while (arg_is_list(arg) && (word = *parser->next) != NULL) {
        bool open = g_str_has_suffix(value->str, ",");

        if (!open && word[0] != ',')
            break;
        if (open && args_named(parser->command, word) != NULL && arg_cannot_be(arg, word)) {
            fail(error, ZX_ERROR_USAGE, "%s: empty item after the last comma, before %s", arg->name,
                 word);
            return NULL;
        }
        g_string_append(value, word);
        parser->next++;
    }
    return g_string_free(g_steal_pointer(&value), FALSE);
}

static bool is_switch(const char *word)
{
    for (const Switch *known = switch_rows; known->name != NULL; known++)
        if (strcmp(word, known->name) == 0 || g_strcmp0(word, known->other) == 0)
            return true;
    return false;
}

/* "accounts a@x b@x": what stands behind a list could be its next item. */
static char *list_hint(const Parser *parser, const char *word)
{
    const Arg *last = parser->last;
    bool could =
        last != NULL && arg_is_list(last) && last->type != ARG_DOMAINS && is_legal_item(last, word);

    return could
               ? g_strdup_printf("\nif it belongs to %s: items are joined by commas, as in ...,%s",
                                 last->name, word)
               : g_strdup("");
}

static bool unknown_name(const Parser *parser, const char *word, GError **error)
{
    g_autofree char *name = g_strndup(word, strcspn(word, "="));
    g_autofree char *hint = list_hint(parser, word);
    const char *near = args_nearest(parser->command, name);

    if (is_switch(name))
        return fail(error, ZX_ERROR_USAGE, "%s stands behind the verb\nwrite: zxmove %s %s ...",
                    name, word, parser->command->name);
    if (near != NULL)
        return fail(error, ZX_ERROR_USAGE, "unknown parameter %s, did you mean %s?%s", name, near,
                    hint);
    return fail(error, ZX_ERROR_USAGE, "unknown parameter %s%s%s", name,
                *hint != '\0' ? hint : "\nsee: help ", *hint != '\0' ? "" : parser->command->name);
}

static bool parse_positional(Parser *parser, GError **error)
{
    const unsigned positional = ARG_REQUIRED | ARG_POSITIONAL;

    for (const Arg *arg = parser->command->args; arg != NULL && arg->name != NULL; arg++) {
        if (!(arg->flags & positional) || *parser->next == NULL ||
            args_named(parser->command, *parser->next) != NULL)
            return true;
        if (!give(parser, arg, *parser->next++, error))
            return false;
    }
    return true;
}

static bool parse_named(Parser *parser, GError **error)
{
    while (*parser->next != NULL) {
        const char *word = *parser->next++;
        const Arg *arg = args_named(parser->command, word);
        const char *equals = strchr(word, '=');
        g_autofree char *value = NULL;

        if (arg == NULL)
            return unknown_name(parser, word, error);
        value = take_value(parser, arg, equals != NULL ? equals + 1 : NULL, error);
        if (value == NULL || !give(parser, arg, value, error))
            return false;
    }
    return true;
}

/* What other versions of the same commands did when it was left out, for scripts that rely on it.
 */
static const char *default_of(const Parser *parser, const Arg *arg)
{
    const char *other = g_strcmp0(parser->compat, "zextras3") == 0   ? arg->zextras3
                        : g_strcmp0(parser->compat, "zextras2") == 0 ? arg->zextras2
                                                                     : NULL;

    return other != NULL ? other : arg->fallback;
}

static bool parse_defaults(Parser *parser, GError **error)
{
    for (const Arg *arg = parser->command->args; arg != NULL && arg->name != NULL; arg++) {
        void *field = (char *)parser->request + arg->offset;
        const char *fallback = default_of(parser, arg);

        if (arg->flags & ARG_ABSENT)
            continue;
        if (arg->type == ARG_NUMBER || arg->type == ARG_DURATION || arg->type == ARG_SETTING)
            *(long *)field = -1;
        else if (arg->type == ARG_DECIMAL)
            *(double *)field = -1;
        else if (arg->type == ARG_TIME)
            *(int64_t *)field = -1;
        if (fallback != NULL && !set_value(parser, arg, fallback, error))
            return fail_prefix(error, "default of %s", arg->name);
    }
    return true;
}

/* A mandatory value that was not given: what stands for it, or the sentence zxsuite says. */
static bool parse_omitted(Parser *parser, bool anything, GError **error)
{
    for (const Arg *arg = parser->command->args; arg != NULL && arg->name != NULL; arg++) {
        uint64_t bit = G_GUINT64_CONSTANT(1) << (arg - parser->command->args);

        if (!(arg->flags & ARG_REQUIRED) || (parser->given & bit))
            continue;
        if (arg->omitted == NULL || !anything)
            return fail_page(error, parser->command, "command %s requires more parameters",
                             parser->command->name);
        if (!give(parser, arg, arg->omitted, error))
            return false;
        g_ptr_array_add(parser->notes,
                        g_strdup_printf("%s left out: taken as %s", arg->name, arg->omitted));
    }
    return true;
}

void *args_parse(const Command *command, const char *const *words, const char *compat,
                 GPtrArray *notes, GError **error)
{
    Parser parser = { .command = command, .next = words, .compat = compat, .notes = notes };

    if (command->recognise != NULL && !command->recognise(words, error))
        return NULL;
    parser.request = g_malloc0(MAX(command->request_size, 1));
    if (parse_defaults(&parser, error) && parse_positional(&parser, error) &&
        parse_named(&parser, error) && parse_omitted(&parser, *words != NULL, error) &&
        (command->check == NULL || command->check(parser.request, error)))
        return parser.request;
    args_free(command, parser.request);
    return NULL;
}

void args_free(const Command *command, void *request)
{
    if (request == NULL)
        return;
    for (const Arg *arg = command->args; arg != NULL && arg->name != NULL; arg++) {
        void *field = (char *)request + arg->offset;

        if (arg->flags & ARG_ABSENT)
            continue;
        if (arg->type >= ARG_ACCOUNTS && arg->type <= ARG_NUMBERS)
            g_strfreev(*(char ***)field);
        else if (arg->type <= ARG_CHOICE)
            g_free(*(char **)field);
    }
    g_free(request);
}
