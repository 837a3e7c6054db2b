/* sql.c - see sql.h. */
#include "core/net/sql.h"
#include <inttypes.h>
#include <string.h>

enum { EXCERPT_BYTES = 120 };

/* Behind the end of the quoted text that begins at @start, or the end of the statement. */
static const char *skip_quoted(const char *start)
{
    const char quote = *start;

    for (const char *p = start + 1; *p != '\0'; p++) {
        if (*p == '\\' && quote != '`' && p[1] != '\0')
            p++;
        else if (*p == quote && p[1] == quote)
            p++;
        else if (*p == quote)
            return p + 1;
    }
    return start + strlen(start);
}

static void append_value(GString *out, const DbValue *value, SqlQuote *quote, void *data)
{
    switch (value->type) {
    case DB_BYTES:
        quote(data, out, value->bytes, value->length);
        break;
    case DB_UNSIGNED:
        g_string_append_printf(out, "%" PRIu64, value->u);
        break;
    case DB_SIGNED:
        g_string_append_printf(out, "%" PRId64, value->i);
        break;
    case DB_SQL:
        g_string_append(out, value->bytes);
        break;
    case DB_NULL:
    case DB_END:
        g_string_append(out, "NULL");
        break;
    }
}

bool sql_bind(GString *out, const char *sql, const DbValue *args, SqlQuote *quote, void *data,
              GError **error)
{
    const DbValue *value = args;
    const char *p = sql;

    while (*p != '\0') {
        const char *end = p + strcspn(p, "?'\"`");

        g_string_append_len(out, p, end - p);
        p = end;
        if (*p == '?') {
            if (value->type == DB_END)
                return fail(error, ZX_ERROR_BUG, "a statement has more '?' than values: %s", sql);
            append_value(out, value++, quote, data);
            p++;
        } else if (*p != '\0') {
            end = skip_quoted(p);
            g_string_append_len(out, p, end - p);
            p = end;
        }
    }
    if (value->type != DB_END)
        return fail(error, ZX_ERROR_BUG, "a statement has more values than '?': %s", sql);
    return true;
}

char *sql_excerpt(const char *sql, size_t length)
{
    GString *text = g_string_new(NULL);
    size_t i;

    for (i = 0; i < length && text->len < EXCERPT_BYTES && strchr("'\"", sql[i]) == NULL; i++) {
        if (g_ascii_isgraph(sql[i]))
            g_string_append_c(text, sql[i]);
        else if (text->len > 0 && text->str[text->len - 1] != ' ')
            g_string_append_c(text, ' ');
    }
    if (i < length)
        g_string_append(text, "...");
    return g_string_free(text, FALSE);
}
