/* fields.c - see fields.h. */
#include "core/fields.h"
#include "conf/units.h"

char *json_line(json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);

    json_decref(object);
    return text;
}

json_t *text_json(const char *text)
{
    g_autofree char *valid = text != NULL ? g_utf8_make_valid(text, -1) : NULL;

    return valid != NULL ? json_string(valid) : json_null();
}

json_t *tenths_json(double number)
{
    return json_real((double)(int64_t)(number * 10 + 0.5) / 10);
}

static json_t *text_value(const void *at)
{
    const char *text = *(char *const *)at;

    return text != NULL ? text_json(text) : NULL;
}

static bool read_text(void *at, const json_t *value)
{
    g_free(*(char **)at);
    *(char **)at = g_strdup(json_string_value(value));
    return json_is_string(value);
}

static json_t *unsigned_value(const void *at)
{
    return json_integer(*(const unsigned *)at);
}

static bool read_unsigned(void *at, const json_t *value)
{
    *(unsigned *)at = (unsigned)json_integer_value(value);
    return json_is_integer(value);
}

static json_t *count_value(const void *at)
{
    return json_integer((json_int_t) * (const uint64_t *)at);
}

static bool read_count(void *at, const json_t *value)
{
    *(uint64_t *)at = (uint64_t)json_integer_value(value);
    return json_is_integer(value);
}

static json_t *tenths_value(const void *at)
{
    const double number = *(const double *)at;

    return number > 0 ? tenths_json(number) : NULL;
}

static bool read_tenths(void *at, const json_t *value)
{
    const double number = json_number_value(value);

    *(double *)at = number;
    return json_is_number(value) && number >= 0 && number < (double)G_MAXINT32 * 1000;
}

static json_t *time_value(const void *at)
{
    g_autofree char *time = units_format_iso(*(const int64_t *)at);

    return time != NULL ? json_string(time) : NULL;
}

static bool read_time(void *at, const json_t *value)
{
    int64_t *time = at;

    return json_is_string(value) && units_parse_date(json_string_value(value), time, NULL) &&
           *time >= 0;
}

static json_t *flag_value(const void *at)
{
    return json_boolean(*(const bool *)at);
}

static json_t *mark_value(const void *at)
{
    return *(const bool *)at ? json_true() : NULL;
}

static bool read_flag(void *at, const json_t *value)
{
    *(bool *)at = json_is_true(value);
    return json_is_boolean(value);
}

static json_t *texts_value(const void *at)
{
    const GPtrArray *texts = *(GPtrArray *const *)at;
    json_t *list = json_array();

    for (guint i = 0; i < texts->len; i++)
        json_array_append_new(list, text_json(g_ptr_array_index(texts, i)));
    return list;
}

static json_t *notes_value(const void *at)
{
    const GPtrArray *texts = *(GPtrArray *const *)at;

    return texts != NULL && texts->len > 0 ? texts_value(at) : NULL;
}

static bool read_texts(void *at, const json_t *value)
{
    const json_t *item;
    size_t i;

    json_array_foreach(value, i, item)
    {
        if (!json_is_string(item))
            return false;
        g_ptr_array_add(*(GPtrArray **)at, g_strdup(json_string_value(item)));
    }
    return json_is_array(value);
}

const FieldKind field_text = { text_value, read_text };
const FieldKind field_unsigned = { unsigned_value, read_unsigned };
const FieldKind field_count = { count_value, read_count };
const FieldKind field_tenths = { tenths_value, read_tenths };
const FieldKind field_time = { time_value, read_time };
const FieldKind field_flag = { flag_value, read_flag };
const FieldKind field_mark = { mark_value, read_flag };
const FieldKind field_texts = { texts_value, read_texts };
const FieldKind field_notes = { notes_value, read_texts };

void fields_write(const Field *fields, const void *from, json_t *object)
{
    for (const Field *field = fields; field->key != NULL; field++) {
        json_t *value = field->kind->value((const char *)from + field->offset);

        if (value != NULL)
            json_object_set_new(object, field->key, value);
    }
}

bool fields_read(const Field *fields, void *to, const json_t *object)
{
    for (const Field *field = fields; field->key != NULL; field++) {
        const json_t *value = json_object_get(object, field->key);

        if (value != NULL && !field->kind->read((char *)to + field->offset, value))
            return false;
    }
    return json_is_object(object);
}

json_t *fields_list(const Field *fields, const GPtrArray *from)
{
    json_t *list = json_array();

    for (guint i = 0; i < from->len; i++) {
        json_t *object = json_object();

        fields_write(fields, g_ptr_array_index(from, i), object);
        json_array_append_new(list, object);
    }
    return list;
}

bool fields_read_list(const Field *fields, size_t size, GPtrArray *to, const json_t *list)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        void *one = g_malloc0(size);

        g_ptr_array_add(to, one);
        if (!fields_read(fields, one, item))
            return false;
    }
    return json_is_array(list);
}
