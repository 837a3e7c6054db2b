/* json.c - see json.h. */
#include "commands/json.h"
#include "conf/units.h"

void set_text(json_t *object, const char *key, const char *text)
{
    if (text != NULL)
        json_object_set_new(object, key, text_json(text));
}

void set_number(json_t *object, const char *key, int64_t number)
{
    if (number != UNKNOWN)
        json_object_set_new(object, key, json_integer(number));
}

void set_time(json_t *object, const char *key, int64_t ms)
{
    g_autofree char *time = units_format_iso(ms);

    set_text(object, key, time);
}

void set_size(json_t *object, const char *key, int64_t bytes)
{
    g_autofree char *size = bytes != UNKNOWN ? units_format_size((uint64_t)bytes) : NULL;
    g_autofree char *exact = g_strdup_printf("%s_bytes", key);

    set_text(object, key, size);
    set_number(object, exact, bytes);
}
