/* script.c - see script.h. */
#include "conf/script.h"
#include "core/base/file.h"
#include <string.h>

typedef struct Reader {
    const char *path;
    unsigned line;
    char *section, *store;
    GPtrArray *items;
} Reader;

static void item_free(void *data)
{
    ScriptItem *item = data;

    g_free(item->section);
    g_free(item->store);
    g_free(item->key);
    g_free(item->value);
    secret_free(item->secret);
    g_free(item);
}

static bool at_line(const Reader *reader, GError **error, const char *what)
{
    return fail(error, ZX_ERROR_INPUT, "%s:%u: %s", reader->path, reader->line, what);
}

static bool is_password(const char *key)
{
    g_autofree char *lower = g_ascii_strdown(key, -1);

    return strstr(lower, "password") != NULL;
}

/* What stands between quotes, or up to a comment; *@rest: what follows. NULL if the quotes stay
 * open. */
static char *unquoted(const char *text, const char **rest)
{
    const char quote = *text == '\'' || *text == '"' ? *text : '\0';
    const char *end;

    if (quote != '\0') {
        end = strchr(text + 1, quote);
        *rest = end != NULL ? end + 1 : NULL;
        return end != NULL ? g_strndup(text + 1, (size_t)(end - text - 1)) : NULL;
    }
    *rest = text + strcspn(text, "#");
    return g_strchomp(g_strndup(text, (size_t)(*rest - text)));
}

static bool is_end(const char *text)
{
    text += strspn(text, " \t");
    return *text == '\0' || *text == '#';
}

/* "[zimbra-config]", "[[mail1.example.com]]". */
static bool read_heading(Reader *reader, const char *text, GError **error)
{
    const size_t depth = strspn(text, "[");
    const char *end = strchr(text + depth, ']'), *rest;
    g_autofree char *inside =
        end != NULL ? g_strndup(text + depth, (size_t)(end - text) - depth) : NULL;
    g_autofree char *name = NULL;

    if (end == NULL || depth > 2 || strspn(end, "]") != depth || !is_end(end + depth))
        return at_line(reader, error, "a section is written [so] or [[so]]");
    name = unquoted(g_strstrip(inside), &rest);
    if (name == NULL || *name == '\0')
        return at_line(reader, error, "a section without a name");
    if (depth == 2 && reader->section == NULL)
        return at_line(reader, error, "a store stands below [store-config]");
    g_free(depth == 1 ? reader->section : reader->store);
    if (depth == 2) {
        reader->store = g_steal_pointer(&name);
        return true;
    }
    reader->section = g_steal_pointer(&name);
    g_clear_pointer(&reader->store, g_free);
    return true;
}

static bool read_pair(Reader *reader, char *text, GError **error)
{
    char *equals = strchr(text, '=');
    g_autofree char *value = NULL;
    const char *begin, *rest;
    ScriptItem *item;

    if (equals == NULL || equals == text)
        return at_line(reader, error, "neither a section nor key = value");
    begin = equals + 1 + strspn(equals + 1, " \t");
    if (g_str_has_prefix(begin, "'''") || g_str_has_prefix(begin, "\"\"\""))
        return at_line(reader, error, "a value of several lines is not read");
    value = unquoted(begin, &rest);
    if (value == NULL || !is_end(rest))
        return at_line(reader, error, "a value with an open quote, or with something behind it");
    item = g_new0(ScriptItem, 1);
    item->section = g_strdup(reader->section != NULL ? reader->section : "");
    item->store = g_strdup(reader->store);
    item->key = g_strchomp(g_strndup(text, (size_t)(equals - text)));
    item->line = reader->line;
    if (!is_password(item->key))
        item->value = g_strdup(value);
    else if (*value != '\0')
        item->secret = secret_new(value);
    secret_wipe(value);
    g_ptr_array_add(reader->items, item);
    return true;
}

static bool read_line(Reader *reader, char *text, GError **error)
{
    g_strstrip(text);
    if (*text == '\0' || *text == '#')
        return true;
    return *text == '[' ? read_heading(reader, text, error) : read_pair(reader, text, error);
}

GPtrArray *script_read(const char *path, GError **error)
{
    g_autoptr(GPtrArray) items = g_ptr_array_new_with_free_func(item_free);
    Reader reader = { .path = path, .items = items };
    g_autofree char *text = NULL;
    gsize length;
    bool ok = true;

    if (!file_read(path, &text, &length, error))
        return NULL;
    if (strlen(text) != length || !g_utf8_validate(text, -1, NULL)) {
        fail(error, ZX_ERROR_INPUT, "%s: not a text file", path);
        return NULL;
    }
    for (char *line = text, *end; ok && line != NULL; line = end) {
        end = strchr(line, '\n');
        if (end != NULL)
            *end++ = '\0';
        reader.line++;
        ok = read_line(&reader, line, error);
    }
    explicit_bzero(text, length); /* it holds passwords */
    g_free(reader.section);
    g_free(reader.store);
    return ok ? g_steal_pointer(&items) : NULL;
}

const char *script_value(const GPtrArray *items, const char *section, const char *key)
{
    for (guint i = 0; i < items->len; i++) {
        const ScriptItem *item = g_ptr_array_index(items, i);

        if (item->store == NULL && strcmp(item->section, section) == 0 &&
            strcmp(item->key, key) == 0)
            return item->value != NULL ? item->value : "";
    }
    return NULL;
}
