/* token.c - see shell.h. */
#include "shell/shell.h"
#include <string.h>

typedef struct Scanner {
    const char *at, *end;
    GPtrArray *words;
    GString *word; /* the one at hand; NULL between words */
    char quote;    /* open: ' or ", else 0 */
    const char *quote_at;
    bool escape; /* ends in a backslash */
    bool comment;
} Scanner;

static void word_begin(Scanner *scanner)
{
    if (scanner->word == NULL)
        scanner->word = g_string_new(NULL);
}

static void word_end(Scanner *scanner)
{
    if (scanner->word != NULL)
        g_ptr_array_add(scanner->words, g_string_free(scanner->word, FALSE));
    scanner->word = NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

static void scan_char(Scanner *scanner, char c)
{
    if (scanner->escape) {
        scanner->escape = false;
        g_string_append_c(scanner->word, c);
    } else if (c == '\\') {
        word_begin(scanner);
        scanner->escape = true;
    } else if (scanner->quote != 0) {
        if (c == scanner->quote)
            scanner->quote = 0;
        else
            g_string_append_c(scanner->word, c);
    } else if (c == '\'' || c == '"') {
        word_begin(scanner);
        scanner->quote = c;
        scanner->quote_at = scanner->at;
    } else if (is_blank(c)) {
        word_end(scanner);
    } else if (c == '#' && scanner->word == NULL) {
        scanner->comment = true;
    } else {
        word_begin(scanner);
        g_string_append_c(scanner->word, c);
    }
}

static Scanner scan(const char *line, size_t length)
{
    Scanner scanner = { .at = line,
                        .end = line + length,
                        .words = g_ptr_array_new_with_free_func(g_free) };

    for (; scanner.at < scanner.end && !scanner.comment; scanner.at++)
        scan_char(&scanner, *scanner.at);
    return scanner;
}

static void scanner_clear(Scanner *scanner)
{
    if (scanner->word != NULL)
        g_string_free(scanner->word, TRUE);
    g_ptr_array_unref(scanner->words);
}

static char **take_words(Scanner *scanner)
{
    g_ptr_array_add(scanner->words, NULL);
    return (char **)g_ptr_array_free(scanner->words, FALSE);
}

bool token_continues(const char *line)
{
    Scanner scanner = scan(line, strlen(line));
    bool continues = scanner.escape;

    scanner_clear(&scanner);
    return continues;
}

char **token_split(const char *line, GError **error)
{
    Scanner scanner = scan(line, strlen(line));

    if (scanner.quote != 0) {
        fail(error, ZX_ERROR_USAGE, "the quote %c in column %u is never closed", scanner.quote,
             (unsigned)(scanner.quote_at - line) + 1);
        scanner_clear(&scanner);
        return NULL;
    }
    word_end(&scanner);
    return take_words(&scanner);
}

char **token_partial(const char *line, size_t cursor, char **current)
{
    Scanner scanner = scan(line, MIN(cursor, strlen(line)));

    *current = scanner.word != NULL ? g_string_free(scanner.word, FALSE) : g_strdup("");
    scanner.word = NULL;
    return take_words(&scanner);
}

static bool needs_quotes(const char *word)
{
    if (*word == '\0' || *word == '#')
        return true;
    for (; *word != '\0'; word++)
        if (is_blank(*word) || strchr("'\"\\", *word) != NULL)
            return true;
    return false;
}

char *token_join(const char *const *words)
{
    GString *line = g_string_new(NULL);

    for (; *words != NULL; words++) {
        if (line->len > 0)
            g_string_append_c(line, ' ');
        if (!needs_quotes(*words)) {
            g_string_append(line, *words);
            continue;
        }
        g_string_append_c(line, '"');
        for (const char *c = *words; *c != '\0'; c++) {
            if (*c == '"' || *c == '\\')
                g_string_append_c(line, '\\');
            g_string_append_c(line, *c);
        }
        g_string_append_c(line, '"');
    }
    return g_string_free(line, FALSE);
}
