/* show.c - a request as JSON, from its rows: what --parse answers, and what tests compare. */
#include "commands/commands.h"
#include "conf/items.h"
#include "conf/units.h"

/* NULL for what was not given: it is left out. */
static json_t *given_json(const char *text)
{
    return text != NULL ? text_json(text) : NULL;
}

static json_t *list_json(char **items)
{
    json_t *list = items != NULL ? json_array() : NULL;

    for (; items != NULL && *items != NULL; items++)
        json_array_append_new(list, text_json(*items));
    return list;
}

/* The values that stand for one bit each, of those that are set. */
static json_t *set_json(const Arg *arg, unsigned set)
{
    g_auto(GStrv) values = g_strsplit(arg->values, "|", -1);
    json_t *list = json_array();

    for (char **value = values; *value != NULL; value++) {
        g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
        char *single[] = { *value, NULL };
        unsigned bits = 0;

        if (arg->read_set(single, &bits, notes, NULL) && (bits & (bits - 1)) == 0 && (bits & set))
            json_array_append_new(list, json_string(*value));
    }
    return list;
}

static json_t *number_json(long number)
{
    return number != -1 ? json_integer(number) : NULL;
}

static json_t *duration_json(long ms)
{
    /* As one could type it. */
    return ms == -1         ? NULL
           : ms % 1000 == 0 ? json_sprintf("%lds", ms / 1000)
                            : json_sprintf("%ldms", ms);
}

static json_t *time_json(int64_t unix_ms)
{
    g_autofree char *text = unix_ms != -1 ? units_format_date(unix_ms) : NULL;

    return given_json(text);
}

static json_t *setting_json(const char *name, long number)
{
    ConfType type = conf_item(name)->type;

    if (type == CONF_SECONDS)
        return duration_json(number != -1 ? number * 1000 : -1);
    if (type == CONF_BOOL)
        return number != -1 ? json_boolean(number != 0) : NULL;
    return type == CONF_MILLIS ? duration_json(number) : number_json(number);
}

static json_t *field_json(const Arg *arg, const void *field)
{
    switch (arg->type) {
    case ARG_TEXT:
    case ARG_HOST:
    case ARG_PATH:
    case ARG_UUID:
    case ARG_VERB:
    case ARG_CHOICE:
        return given_json(*(char *const *)field);
    case ARG_ACCOUNTS:
    case ARG_ADDRESSES:
    case ARG_DOMAINS:
    case ARG_GLOBS:
    case ARG_PRINTS:
    case ARG_WORDS:
    case ARG_NUMBERS:
        return list_json(*(char **const *)field);
    case ARG_SET:
        return set_json(arg, *(const unsigned *)field);
    case ARG_BOOL:
        return json_boolean(*(const bool *)field);
    case ARG_COUNT:
        return json_integer(*(const unsigned *)field);
    case ARG_NUMBER:
        return number_json(*(const long *)field);
    case ARG_DECIMAL:
        return *(const double *)field >= 0 ? json_real(*(const double *)field) : NULL;
    case ARG_SIZE:
        return *(const uint64_t *)field != 0 ? json_integer((json_int_t) * (const uint64_t *)field)
                                             : NULL;
    case ARG_DURATION:
        return duration_json(*(const long *)field);
    case ARG_TIME:
        return time_json(*(const int64_t *)field);
    case ARG_SETTING:
        return setting_json(arg->name, *(const long *)field);
    }
    g_assert_not_reached();
}

json_t *args_show(const Command *command, const void *request)
{
    json_t *object = json_object();

    for (const Arg *arg = command->args; arg != NULL && arg->name != NULL; arg++) {
        json_t *value =
            arg->flags & ARG_ABSENT ? NULL : field_json(arg, (const char *)request + arg->offset);

        if (value != NULL)
            json_object_set_new(object, arg->name, value);
    }
    return object;
}
