/* token.c - see shell.h. */
#include "shell/shell.h"
#include <string.h>

typedef struct Scanner {
    const char *at, *end;
    GPtrArray *words;
    GString *word; /* the one at hand; NULL between words */
    TokenState state;
    const char *quote_at;
} Scanner;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

/* What one character is: a letter of the word at hand, the end of it, or only a sign. */
typedef enum Meaning { LETTER, SIGN, BLANK } Meaning;

static Meaning letter(TokenState *state, char c)
{
    state->in_word = true;
    state->name = g_ascii_isalnum(c) || ((unsigned char)c & 0x80);
    return LETTER;
}

static Meaning sign(TokenState *state)
{
    state->in_word = true;
    state->name = false;
    return SIGN;
}

static Meaning step(TokenState *state, char c)
{
    if (state->comment)
        return BLANK;
    if (state->escape) {
        state->escape = false;
        return letter(state, c);
    }
    if (c == '\\') {
        state->escape = true;
        return SIGN;
    }
    if (state->quote != 0) {
        if (c != state->quote)
            return LETTER;
        state->quote = 0;
        return sign(state);
    }
    /* As zmprov has it: o'brien@example.com is one word with nothing quoted. */
    if (c == '"' || (c == '\'' && !state->name)) {
        state->quote = c;
        return sign(state);
    }
    if (is_blank(c) || (c == '#' && !state->in_word)) {
        state->comment = c == '#';
        state->in_word = state->name = false;
        return BLANK;
    }
    return letter(state, c);
}

static void word_end(Scanner *scanner)
{
    if (scanner->word != NULL)
        g_ptr_array_add(scanner->words, g_string_free(scanner->word, FALSE));
    scanner->word = NULL;
}

/* What stands for @c behind a backslash, zmprov's: most characters for themselves. */
static char unescaped(char c)
{
    return c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
}

static void scan_char(Scanner *scanner, char c)
{
    bool quoted = scanner->state.quote != 0, escaped = scanner->state.escape;
    Meaning meaning = step(&scanner->state, c);

    if (meaning == BLANK) {
        word_end(scanner);
        return;
    }
    if (scanner->word == NULL)
        scanner->word = g_string_new(NULL);
    if (meaning == LETTER)
        g_string_append_c(scanner->word, escaped ? unescaped(c) : c);
    if (!quoted && scanner->state.quote != 0)
        scanner->quote_at = scanner->at;
}

static Scanner scan(const char *line, size_t length)
{
    Scanner scanner = { .at = line,
                        .end = line + length,
                        .words = g_ptr_array_new_with_free_func(g_free) };

    for (; scanner.at < scanner.end && !scanner.state.comment; scanner.at++)
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

bool token_continues(TokenState *state, const char *text)
{
    bool continues;

    for (; *text != '\0'; text++)
        step(state, *text);
    continues = state->escape;
    state->escape = false; /* the backslash is dropped with the end of the line */
    return continues;
}

char **token_split(const char *line, GError **error)
{
    Scanner scanner = scan(line, strlen(line));

    if (scanner.state.quote != 0) {
        fail(error, ZX_ERROR_USAGE, "the quote %c in column %u is never closed",
             scanner.state.quote, (unsigned)(scanner.quote_at - line) + 1);
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

static void append_quoted(GString *line, char c)
{
    static const char plain[] = "\"\\\n\t\r", escaped[] = "\"\\ntr";
    const char *at = strchr(plain, c);

    if (at != NULL)
        g_string_append_c(line, '\\');
    g_string_append_c(line, at != NULL ? escaped[at - plain] : c);
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
        for (const char *c = *words; *c != '\0'; c++)
            append_quoted(line, *c);
        g_string_append_c(line, '"');
    }
    return g_string_free(line, FALSE);
}
