/* values.c - see items.h: the text of a setting into the field of its type. */
#include "conf/items.h"
#include "conf/units.h"
#include <stdlib.h>
#include <string.h>

char *conf_expand_path(const char *text, const char *directory)
{
    if (text[0] == '~' && text[1] == '/')
        return g_build_filename(g_get_home_dir(), text + 2, NULL);
    if (g_path_is_absolute(text) || directory == NULL)
        return g_strdup(text);
    return g_build_filename(directory, text, NULL);
}

bool conf_parse_number(const ConfItem *item, const char *text, uint64_t *out, GError **error)
{
    bool timed = item->type == CONF_SECONDS || item->type == CONF_MILLIS;
    g_autofree char *digits = g_strdup(text);
    uint64_t low, high;
    bool yes;

    if (item->type == CONF_BOOL) {
        if (!units_parse_bool(text, &yes, error))
            return false;
        *out = yes;
        return true;
    }
    if (item->type == CONF_SIZE) {
        if (!units_parse_size(text, out, error) || !units_parse_size(item->min, &low, error) ||
            !units_parse_size(item->max, &high, error))
            return false;
        return (*out >= low && *out <= high) ||
               fail(error, ZX_ERROR_USAGE, "%s is not between %s and %s", text, item->min,
                    item->max);
    }
    if (!timed) {
        low = g_ascii_strtoull(item->min, NULL, 10);
        high = g_ascii_strtoull(item->max, NULL, 10);
        if (item->type == CONF_PERCENT && g_str_has_suffix(digits, "%"))
            digits[strlen(digits) - 1] = '\0';
        return units_parse_count(digits, low, high, out, error);
    }
    if (!units_parse_time(text, out, error) || !units_parse_time(item->min, &low, error) ||
        !units_parse_time(item->max, &high, error))
        return false;
    if (*out < low || *out > high)
        return fail(error, ZX_ERROR_USAGE, "%s is not between %s and %s", text, item->min,
                    item->max);
    if (item->type == CONF_SECONDS) {
        if (*out % 1000 != 0)
            return fail(error, ZX_ERROR_USAGE, "%s is not a whole number of seconds", text);
        *out /= 1000;
    }
    return true;
}

static char **split_list(const char *text)
{
    char **items = g_strsplit(text, ",", -1);

    for (char **item = items; *item != NULL; item++)
        g_strstrip(*item);
    return items;
}

static bool check_choice(const ConfItem *item, const char *text, GError **error)
{
    g_auto(GStrv) values = g_strsplit(item->values, "|", -1);
    g_autofree char *list = g_strjoinv(", ", values);

    return g_strv_contains((const char *const *)values, text) ||
           fail(error, ZX_ERROR_USAGE, "'%s' is none of %s", text, list);
}

bool conf_set_value(const ConfItem *item, void *base, const char *text, const char *directory,
                    GError **error)
{
    void *field = (char *)base + item->offset;
    uint64_t number = 0;

    if (*text == '\0')
        return fail(error, ZX_ERROR_USAGE, "the value is empty");
    for (const char *c = text; *c != '\0'; c++)
        if (g_ascii_iscntrl(*c))
            return fail(error, ZX_ERROR_USAGE, "the value holds a control character");
    switch (item->type) {
    case CONF_CHOICE:
        if (!check_choice(item, text, error))
            return false;
        g_free(*(char **)field);
        *(char **)field = g_strdup(text);
        return true;
    case CONF_TEXT:
        g_free(*(char **)field);
        *(char **)field = g_strdup(text);
        return true;
    case CONF_PATH:
        g_free(*(char **)field);
        *(char **)field = conf_expand_path(text, directory);
        return true;
    case CONF_SECRET:
        secret_set(field, text);
        return true;
    case CONF_BOOL:
        return units_parse_bool(text, field, error);
    case CONF_COUNT:
    case CONF_PERCENT:
    case CONF_SECONDS:
    case CONF_MILLIS:
        if (!conf_parse_number(item, text, &number, error))
            return false;
        *(unsigned *)field = (unsigned)number;
        return true;
    case CONF_SIZE:
        return conf_parse_number(item, text, field, error);
    case CONF_LIST:
        g_strfreev(*(char ***)field);
        *(char ***)field = split_list(text);
        return true;
    }
    g_assert_not_reached();
}

bool conf_is_server(const char *name)
{
    return *name != '\0' && strpbrk(name, " */@") == NULL;
}

bool conf_check_value(const ConfItem *item, const char *text, GError **error)
{
    g_autofree void *scratch = g_malloc0(MAX(sizeof(Conf), sizeof(ConfStore)));
    void *field = (char *)scratch + item->offset;
    bool ok = conf_set_value(item, scratch, text, NULL, error);

    if (item->type == CONF_TEXT || item->type == CONF_PATH || item->type == CONF_CHOICE)
        g_free(*(char **)field);
    else if (item->type == CONF_LIST)
        g_strfreev(*(char ***)field);
    else if (item->type == CONF_SECRET)
        secret_free(*(Secret **)field);
    return ok;
}

void conf_set_defaults(void *base, const char *prefix)
{
    for (const ConfItem *item = conf_items; item->key != NULL; item++) {
        GError *error = NULL;
        bool wanted =
            *prefix != '\0' ? g_str_has_prefix(item->key, prefix) : strchr(item->key, '*') == NULL;

        if (wanted && item->fallback != NULL &&
            !conf_set_value(item, base, item->fallback, NULL, &error))
            g_error("default of %s: %s", item->key, error->message);
    }
}
