/* render.c - results and errors as text or JSON; stdout carries results, stderr the talk. */
#include "conf/units.h"
#include "shell/shell.h"
#include <string.h>

char *render_plain(const char *text)
{
    GString *out = g_string_new(NULL);

    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        bool control = (*c < 0x20 && *c != '\n') || *c == 0x7f;

        if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) { /* U+0080 to U+009F */
            control = true;
            c++;
        }
        g_string_append_c(out, control ? '?' : (char)*c);
    }
    return g_string_free(out, FALSE);
}

static char *scalar_text(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        return g_strdup(json_string_value(value));
    case JSON_INTEGER:
        return g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    case JSON_REAL:
        return g_strdup_printf("%g", json_real_value(value));
    case JSON_TRUE:
        return g_strdup("true");
    case JSON_FALSE:
        return g_strdup("false");
    case JSON_NULL:
        return g_strdup("-");
    case JSON_OBJECT:
    case JSON_ARRAY:
        return NULL;
    }
    g_assert_not_reached();
}

/* Bytes by the name of their key: "bytes", "bytes_done", "free_bytes". */
static bool is_size(const char *key)
{
    return strcmp(key, "bytes") == 0 || g_str_has_prefix(key, "bytes_") ||
           g_str_has_suffix(key, "_bytes");
}

/* Which is there for programs only: the same is beside it as people write it. */
static bool is_double(json_t *object, const char *key)
{
    g_autofree char *shown = strcmp(key, "bytes") == 0 ? g_strdup("size")
                             : g_str_has_suffix(key, "_bytes")
                                 ? g_strndup(key, strlen(key) - strlen("_bytes"))
                                 : NULL;

    return shown != NULL && json_object_get(object, shown) != NULL;
}

/* A list of plain values as one would type it; NULL if it holds more. */
static char *list_text(const json_t *list)
{
    GString *out = g_string_new(NULL);

    for (size_t i = 0; i < json_array_size(list); i++) {
        g_autofree char *text = scalar_text(json_array_get(list, i));

        if (text == NULL) {
            g_string_free(out, TRUE);
            return NULL;
        }
        g_string_append_printf(out, "%s%s", i > 0 ? "," : "", text);
    }
    return g_string_free(out, FALSE);
}

/* What stands beside a name on its line; NULL if it needs lines of its own. */
static char *value_text(const char *key, const json_t *value)
{
    if (json_is_array(value))
        return json_array_size(value) > 0 ? list_text(value) : g_strdup("-");
    if (json_is_string(value) && json_string_length(value) == 0)
        return g_strdup("-");
    if (json_is_integer(value) && is_size(key))
        return units_format_size((uint64_t)MAX(json_integer_value(value), 0));
    return scalar_text(value);
}

/* zxsuite's layout: a block for each object, indented, names padded to one width. */
static void walk(GString *out, json_t *value, int depth)
{
    const int indent = depth * 8;
    const char *key;
    json_t *member;
    size_t i;
    int width = 0;

    if (json_is_array(value)) {
        json_array_foreach(value, i, member)
        {
            if (i > 0 && json_is_object(member))
                g_string_append_c(out, '\n');
            walk(out, member, depth);
        }
        return;
    }
    if (!json_is_object(value)) {
        g_autofree char *text = scalar_text(value);

        g_string_append_printf(out, "%*s%s\n", indent, "", text);
        return;
    }
    json_object_foreach(value, key, member)
    {
        g_autofree char *text = value_text(key, member);

        if (text != NULL && !is_double(value, key))
            width = MAX(width, (int)strlen(key));
    }
    json_object_foreach(value, key, member)
    {
        g_autofree char *text = value_text(key, member);

        if (is_double(value, key))
            continue;
        if (text != NULL) {
            g_string_append_printf(out, "%*s%-*s  %s\n", indent, "", width, key, text);
            continue;
        }
        g_string_append_printf(out, "%*s%s\n\n", indent, "", key);
        walk(out, member, depth + 1);
    }
}

char *render_text(const Result *result)
{
    GString *out = g_string_new(result->text);

    if (result->text == NULL && result->response != NULL)
        walk(out, result->response, 0);
    return g_string_free(out, FALSE);
}

/* The first line is the message, the rest a hint. */
static json_t *error_json(const GError *error)
{
    const char *hint = strchr(error->message, '\n');
    size_t length = hint != NULL ? (size_t)(hint - error->message) : strlen(error->message);
    g_autofree char *message = g_strndup(error->message, length);
    json_t *object = json_pack("{s:s, s:o}", "code", error_name(error_code(error)), "message",
                               text_json(message));

    while (hint != NULL && *hint == '\n')
        hint++;
    if (hint != NULL)
        json_object_set_new(object, "hint", text_json(hint));
    return object;
}

static void print_json(FILE *out, json_t *object)
{
    json_object_set_new(object, "schema", json_integer(JSON_SCHEMA));
    json_dumpf(object, out, JSON_COMPACT | JSON_DECIMALS);
    fputc('\n', out);
    fflush(out);
    json_decref(object);
}

void render_result(FILE *out, const Result *result, bool json)
{
    if (json) {
        json_t *object = json_object();

        if (result->response != NULL)
            json_object_set(object, "response", result->response);
        json_object_set_new(object, "ok", json_boolean(result->status == 0));
        if (result->problem != NULL)
            json_object_set_new(object, "error", error_json(result->problem));
        print_json(out, object);
    } else {
        g_autofree char *text = render_text(result);
        g_autofree char *plain = render_plain(text);

        fputs(plain, out);
        fflush(out);
    }
}

void render_error(const GError *error, const char *where, bool json)
{
    if (json) {
        json_t *object = json_pack("{s:b, s:o}", "ok", 0, "error", error_json(error));

        if (where != NULL)
            json_object_set_new(object, "where", text_json(where));
        print_json(stdout, object);
    } else {
        g_autofree char *plain = render_plain(error->message);
        bool ends = g_str_has_suffix(plain, "\n");

        fprintf(stderr, "%s%s%s%s", where != NULL ? where : "zxmove", ": ", plain,
                ends ? "" : "\n");
    }
}
