/* token.c - fuzzes quoting: any line is taken apart or refused, what was taken apart is joined to a
 * line that gives the same words again, and neither the cursor nor the end of a line in the middle
 * of it changes what it means. */
#include "shell/shell.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(char **a, char **b)
{
    g_assert(a != NULL && b != NULL && g_strv_length(a) == g_strv_length(b));
    for (guint i = 0; a[i] != NULL; i++)
        g_assert(strcmp(a[i], b[i]) == 0);
}

static void check_join(char **words)
{
    g_autofree char *joined = token_join((const char *const *)words);
    g_auto(GStrv) again = token_split(joined, NULL);
    TokenState state = { 0 };

    check_same(words, again);
    g_assert(!token_continues(&state, joined));
}

/* With the cursor at its end a line has the words it has, the last of them at hand. */
static void check_typed(const char *line, char **words)
{
    g_autofree char *current = NULL;
    g_auto(GStrv) typed = token_partial(line, strlen(line), &current);
    guint complete = g_strv_length(typed), all = g_strv_length(words);

    g_assert(complete == all || complete + 1 == all);
    g_assert(complete == all ? *current == '\0' : strcmp(current, words[all - 1]) == 0);
    for (guint i = 0; i < complete; i++)
        g_assert(strcmp(typed[i], words[i]) == 0);
}

/* A backslash and the end of the line, put in at @cut, are as if they were not there. */
static void check_continued(const char *line, size_t cut)
{
    g_autofree char *head = g_strndup(line, cut);
    g_autofree char *first = g_strconcat(head, "\\", NULL);
    TokenState whole = { 0 }, pieces = { 0 };

    if (!token_continues(&pieces, first))
        return; /* in a comment, or behind another backslash */
    g_assert(token_continues(&pieces, line + cut) == token_continues(&whole, line));
    g_assert(pieces.quote == whole.quote && pieces.comment == whole.comment &&
             pieces.in_word == whole.in_word && pieces.name == whole.name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *line = g_strndup((const char *)data, size);
    size_t cut = strlen(line) / 2;
    g_autofree char *current = NULL;
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) words = token_split(line, &error);
    g_auto(GStrv) typed = token_partial(line, cut, &current);

    g_assert(typed != NULL && current != NULL);
    g_assert((words == NULL) == (error != NULL));
    if (words != NULL) {
        check_join(words);
        check_typed(line, words);
    }
    check_continued(line, cut);
    return 0;
}
