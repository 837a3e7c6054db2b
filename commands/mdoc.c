/* mdoc.c - see mdoc.h. */
#include "commands/mdoc.h"
#include <stdbool.h>
#include <string.h>

#define WIDTH 78

/* One word. A hyphen that begins it is an option's, which must stay one when it is copied. */
static void append_word(GString *out, const char *word)
{
    bool option = true;

    for (const char *c = word; *c != '\0'; c++) {
        option = option && *c == '-';
        if (*c == '\\')
            g_string_append(out, "\\e");
        else if (option)
            g_string_append(out, "\\-");
        else
            g_string_append_c(out, *c);
    }
}

void mdoc_text(GString *out, const char *text)
{
    g_auto(GStrv) words = g_strsplit_set(text, " \n", -1);
    size_t column = 0;

    for (char **word = words; *word != NULL; word++) {
        if (**word == '\0')
            continue;
        if (column > 0 && column + 1 + strlen(*word) > WIDTH) {
            g_string_append_c(out, '\n');
            column = 0;
        } else if (column > 0) {
            g_string_append_c(out, ' ');
            column++;
        }
        if (column == 0 && (**word == '.' || **word == '\''))
            g_string_append(out, "\\&");
        append_word(out, *word);
        column += strlen(*word);
        if (g_str_has_suffix(*word, ".") && word[1] != NULL) { /* a sentence, a line */
            g_string_append_c(out, '\n');
            column = 0;
        }
    }
    if (column > 0)
        g_string_append_c(out, '\n');
}

/* A word of text on a macro's line: never a macro, one even with blanks. */
static void append_argument(GString *out, const char *word)
{
    g_string_append(out, "\"\\&");
    for (const char *c = word; *c != '\0'; c++) {
        if (*c == '"')
            g_string_append(out, "\\(dq");
        else if (*c == '\\')
            g_string_append(out, "\\e");
        else if (*c == '-')
            g_string_append(out, "\\-");
        else
            g_string_append_c(out, *c);
    }
    g_string_append_c(out, '"');
}

void mdoc_macro(GString *out, const char *macro, ...)
{
    const char *word;
    va_list args;

    g_string_append_printf(out, ".%s", macro);
    va_start(args, macro);
    while ((word = va_arg(args, const char *)) != NULL) {
        g_string_append_c(out, ' ');
        if (*word == '.')
            g_string_append(out, word + 1);
        else
            append_argument(out, word);
    }
    va_end(args);
    g_string_append_c(out, '\n');
}
