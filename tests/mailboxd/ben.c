/* ben.c - see ben.h. Dictionaries are written with their keys sorted. */
#include "tests/mailboxd/ben.h"
#include <string.h>

enum { DEPTH_LIMIT = 20 };

struct Ben {
    enum { INT, STRING, LIST, DICT } type;
    int64_t number;
    GString *string;
    GPtrArray *list;
    GTree *dict;
};

static gint compare_keys(gconstpointer a, gconstpointer b, gpointer data)
{
    (void)data;
    return strcmp(a, b);
}

static void free_value(gpointer ben)
{
    ben_free(ben);
}

static Ben *new_value(int type)
{
    Ben *ben = g_new0(Ben, 1);

    ben->type = type;
    if (type == STRING)
        ben->string = g_string_new(NULL);
    if (type == LIST)
        ben->list = g_ptr_array_new_with_free_func(free_value);
    if (type == DICT)
        ben->dict = g_tree_new_full(compare_keys, NULL, g_free, free_value);
    return ben;
}

Ben *ben_dict(void)
{
    return new_value(DICT);
}

Ben *ben_list(void)
{
    return new_value(LIST);
}

void ben_free(Ben *ben)
{
    if (ben->string != NULL)
        g_string_free(ben->string, TRUE);
    if (ben->list != NULL)
        g_ptr_array_unref(ben->list);
    if (ben->dict != NULL)
        g_tree_unref(ben->dict);
    g_free(ben);
}

typedef struct Input {
    const char *at, *end;
} Input;

/* A decimal number up to @stop, which is skipped. */
static bool read_number(Input *in, char stop, int64_t *out)
{
    const char *close = memchr(in->at, stop, (size_t)(in->end - in->at));
    char *end;

    if (close == NULL || close == in->at || close - in->at > 20)
        return false;
    g_autofree char *digits = g_strndup(in->at, (size_t)(close - in->at));
    *out = g_ascii_strtoll(digits, &end, 10);
    in->at = close + 1;
    return *end == '\0';
}

static bool read_string(Input *in, Ben **out)
{
    int64_t length;

    if (!read_number(in, ':', &length) || length < 0 || length > in->end - in->at)
        return false;
    *out = new_value(STRING);
    g_string_append_len((*out)->string, in->at, (gssize)length);
    in->at += length;
    return true;
}

static bool read_value(Input *in, int depth, Ben **out);

static bool read_items(Input *in, int depth, Ben *into)
{
    while (in->at < in->end && *in->at != 'e') {
        Ben *key = NULL, *value = NULL;
        bool good = (into->type == LIST || read_string(in, &key)) &&
                    (key == NULL || strlen(key->string->str) == key->string->len) &&
                    read_value(in, depth, &value);
        if (good && into->type == LIST)
            g_ptr_array_add(into->list, value);
        else if (good)
            g_tree_replace(into->dict, g_strdup(key->string->str), value);
        g_clear_pointer(&key, ben_free);
        if (!good)
            return false;
    }
    if (in->at == in->end)
        return false;
    in->at++;
    return true;
}

static bool read_value(Input *in, int depth, Ben **out)
{
    if (in->at == in->end || depth > DEPTH_LIMIT)
        return false;
    switch (*in->at) {
    case 'i':
        in->at++;
        *out = new_value(INT);
        if (read_number(in, 'e', &(*out)->number))
            return true;
        break;
    case 'l':
    case 'd':
        *out = new_value(*in->at++ == 'l' ? LIST : DICT);
        if (read_items(in, depth + 1, *out))
            return true;
        break;
    default:
        return read_string(in, out);
    }
    g_clear_pointer(out, ben_free);
    return false;
}

Ben *ben_parse(const char *bytes, size_t length)
{
    Input in = { bytes, bytes + length };
    Ben *ben = NULL;

    if (read_value(&in, 0, &ben) && in.at == in.end)
        return ben;
    g_clear_pointer(&ben, ben_free);
    return NULL;
}

Ben *ben_parse_dict(GBytes *bytes)
{
    Ben *ben =
        bytes == NULL ? NULL : ben_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));

    if (ben != NULL && ben->type != DICT)
        g_clear_pointer(&ben, ben_free);
    return ben;
}

static void write_value(const Ben *ben, GString *out);

static gboolean write_member(gpointer key, gpointer value, gpointer out)
{
    g_string_append_printf(out, "%zu:%s", strlen(key), (const char *)key);
    write_value(value, out);
    return FALSE;
}

static void write_value(const Ben *ben, GString *out)
{
    if (ben->type == INT)
        g_string_append_printf(out, "i%" G_GINT64_FORMAT "e", ben->number);
    if (ben->type == STRING) {
        g_string_append_printf(out, "%zu:", ben->string->len);
        g_string_append_len(out, ben->string->str, (gssize)ben->string->len);
    }
    if (ben->type == LIST) {
        g_string_append_c(out, 'l');
        for (guint i = 0; i < ben->list->len; i++)
            write_value(ben->list->pdata[i], out);
        g_string_append_c(out, 'e');
    }
    if (ben->type == DICT) {
        g_string_append_c(out, 'd');
        g_tree_foreach(ben->dict, write_member, out);
        g_string_append_c(out, 'e');
    }
}

GBytes *ben_bytes(const Ben *ben)
{
    GString *out = g_string_new(NULL);

    write_value(ben, out);
    return g_string_free_to_bytes(out);
}

void ben_set(Ben *dict, const char *key, Ben *value)
{
    g_tree_replace(dict->dict, g_strdup(key), value);
}

void ben_set_int(Ben *dict, const char *key, int64_t value)
{
    Ben *ben = new_value(INT);

    ben->number = value;
    ben_set(dict, key, ben);
}

void ben_set_text(Ben *dict, const char *key, const char *value)
{
    Ben *ben = new_value(STRING);

    g_string_append(ben->string, value);
    ben_set(dict, key, ben);
}

void ben_set_bytes(Ben *dict, const char *key, GBytes *value)
{
    Ben *ben = new_value(STRING);

    g_string_append_len(ben->string, g_bytes_get_data(value, NULL),
                        (gssize)g_bytes_get_size(value));
    ben_set(dict, key, ben);
}

void ben_append(Ben *list, Ben *value)
{
    g_ptr_array_add(list->list, value);
}

static const Ben *member(const Ben *dict, const char *key, int type)
{
    const Ben *value = g_tree_lookup(dict->dict, key);

    return value != NULL && (int)value->type == type ? value : NULL;
}

int64_t ben_int(const Ben *dict, const char *key)
{
    const Ben *value = member(dict, key, INT);

    return value == NULL ? 0 : value->number;
}

char *ben_text(const Ben *dict, const char *key)
{
    const Ben *value = member(dict, key, STRING);

    return value == NULL ? NULL : g_strndup(value->string->str, value->string->len);
}

GBytes *ben_get_bytes(const Ben *dict, const char *key)
{
    const Ben *value = member(dict, key, STRING);

    return value == NULL ? NULL : g_bytes_new(value->string->str, value->string->len);
}

const GPtrArray *ben_items(const Ben *dict, const char *key)
{
    const Ben *value = member(dict, key, LIST);

    return value == NULL ? NULL : value->list;
}
