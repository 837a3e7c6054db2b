/* list.c - see list.h. */
#include "core/move/list.h"
#include <string.h>

typedef struct List {
    const char *path;
    GPtrArray *found; /* of Listed */
    GHashTable *seen; /* folded, owned */
    unsigned line;
    char separator; /* of the first line that has one; 0: none so far */
    int column;     /* where the addresses are; -1: wherever one is */
    bool begun;     /* the first line that counts is behind us */
} List;

void listed_free(Listed *listed)
{
    g_free(listed->who);
    g_free(listed);
}

static bool is_person(const char *word)
{
    const char *at = strchr(word, '@');

    if (g_uuid_string_is_valid(word))
        return true;
    return at != NULL && at != word && at[1] != '\0' && strchr(at + 1, '@') == NULL &&
           strpbrk(word, " \t<>()\"") == NULL;
}

/* The first of the characters that separate fields, outside quotes and before a comment; 0 if there
 * is none. */
static char find_separator(const char *line)
{
    const char *at = line + strspn(line, " ");

    if (*at == '"' || *at == '\'') {
        const char *end = strchr(at + 1, *at);

        at = end != NULL ? end : at;
    }
    for (; *at != '\0'; at++) {
        if (*at == '#' && (at == line || g_ascii_isspace(at[-1])))
            break;
        if (strchr(",;\t", *at) != NULL)
            return *at;
    }
    return '\0';
}

/* A quoted field at *@at, which is left behind its closing quote; a doubled quote is one. */
static void take_quoted(const char **at, GString *field)
{
    char quote = *(*at)++;

    for (; **at != '\0'; (*at)++) {
        if (**at == quote && (*at)[1] != quote) {
            (*at)++;
            return;
        }
        if (**at == quote)
            (*at)++;
        g_string_append_c(field, **at);
    }
}

/* The fields of a line (of char *), without quotes and blanks around them; a comment ends it. */
static GPtrArray *split(const char *line, char separator)
{
    GPtrArray *fields = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GString) field = g_string_new(NULL);

    for (const char *at = line;; at++) {
        while (*at == ' ')
            at++;
        if (*at == '"' || *at == '\'')
            take_quoted(&at, field);
        for (; *at != '\0' && (separator == '\0' || *at != separator); at++) {
            if (*at == '#' && (at == line || g_ascii_isspace(at[-1])))
                break;
            g_string_append_c(field, *at);
        }
        g_ptr_array_add(fields, g_strstrip(g_strdup(field->str)));
        g_string_truncate(field, 0);
        if (*at != separator || separator == '\0')
            return fields;
    }
}

static bool is_blank(const GPtrArray *fields)
{
    for (guint i = 0; i < fields->len; i++)
        if (*(const char *)g_ptr_array_index(fields, i) != '\0')
            return false;
    return true;
}

static unsigned count_people(const GPtrArray *fields, int *first)
{
    unsigned count = 0;

    for (guint i = 0; i < fields->len; i++)
        if (is_person(g_ptr_array_index(fields, i)) && count++ == 0)
            *first = (int)i;
    return count;
}

/* A line of a table that names its columns. */
static bool read_header(List *list, const GPtrArray *fields)
{
    static const char *const names[] = { "account", "email", "e-mail",   "mail", "email address",
                                         "address", "user",  "username", "name" };

    for (guint n = 0; n < G_N_ELEMENTS(names); n++)
        for (guint i = 0; i < fields->len; i++)
            if (g_ascii_strcasecmp(g_ptr_array_index(fields, i), names[n]) == 0) {
                list->column = (int)i;
                return true;
            }
    return false;
}

static void add(List *list, const char *who)
{
    Listed *listed;

    if (!g_hash_table_add(list->seen, g_ascii_strdown(who, -1)))
        return;
    listed = g_new(Listed, 1);
    *listed = (Listed){ .who = g_strdup(who), .line = list->line };
    g_ptr_array_add(list->found, listed);
}

static bool read_fields(List *list, const GPtrArray *fields, GError **error)
{
    int first = 0;
    unsigned people = count_people(fields, &first);
    bool is_first = !list->begun;

    list->begun = true;
    if (people == 0 && is_first && read_header(list, fields))
        return true;
    if (list->column >= 0)
        first = list->column;
    else if (people > 1)
        return fail(error, ZX_ERROR_INPUT,
                    "%s:%u: more than one address in a line: write one a line, or name the columns "
                    "in the first line, theirs account",
                    list->path, list->line);
    if ((guint)first >= fields->len || !is_person(g_ptr_array_index(fields, (guint)first)))
        return fail(
            error, ZX_ERROR_INPUT, "%s:%u: '%s' is not an address such as john@example.com%s",
            list->path, list->line,
            (guint)first < fields->len ? (char *)g_ptr_array_index(fields, (guint)first) : "",
            is_first && fields->len > 1 ? "; the column of a table that has them is called "
                                          "account, address, email or mail"
                                        : "");
    add(list, g_ptr_array_index(fields, (guint)first));
    return true;
}

static bool read_line(List *list, const char *line, GError **error)
{
    g_autoptr(GPtrArray) fields = NULL;

    if (list->separator == '\0')
        list->separator = find_separator(line);
    fields = split(line, list->separator);
    return is_blank(fields) || read_fields(list, fields, error);
}

static bool check_text(const char *path, const char *text, gsize length, GError **error)
{
    if (length >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
        return fail(error, ZX_ERROR_INPUT, "%s: is written in UTF-16: save it as UTF-8", path);
    if (memchr(text, '\0', length) != NULL)
        return fail(error, ZX_ERROR_INPUT, "%s: is not a text file", path);
    return true;
}

GPtrArray *list_read(const char *path, const char *text, gsize length, GError **error)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func((GDestroyNotify)listed_free);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    List list = { .path = path, .found = found, .seen = seen, .column = -1 };

    if (!check_text(path, text, length, error))
        return NULL;
    if (g_str_has_prefix(text, "\xef\xbb\xbf"))
        text += strlen("\xef\xbb\xbf");
    for (const char *at = text, *end; *at != '\0'; at = *end == '\0' ? end : end + 1) {
        g_autofree char *line = NULL;

        end = at + strcspn(at, "\r\n");
        line = g_strndup(at, (gsize)(end - at));
        if (end[0] == '\r' && end[1] == '\n')
            end++;
        list.line++;
        if (!read_line(&list, line, error))
            return NULL;
    }
    return g_steal_pointer(&found);
}
