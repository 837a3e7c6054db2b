/* tab.c - see tab.h. Completion is a pure function elsewhere: here its answer is only made into
 * text to insert or to list. */
#include "shell/tab.h"
#include "shell/shell.h"
#include <string.h>

/* In a comment a letter more makes no word. */
static bool in_comment(const char *text)
{
    g_autofree char *more = g_strconcat(text, "x", NULL);
    g_autofree char *current = NULL;
    g_auto(GStrv) words = token_partial(more, strlen(more), &current);

    return *current == '\0';
}

/* Where the word at hand begins, its quotes included: the nearest place behind a blank at which no
 * word is begun. */
static size_t word_begin(const char *text, guint words_before)
{
    for (size_t at = strlen(text); at > 0; at--) {
        g_autofree char *current = NULL;
        g_auto(GStrv) words = NULL;

        if (strchr(" \t\n\r\v\f", text[at - 1]) == NULL)
            continue;
        words = token_partial(text, at, &current);
        if (*current == '\0' && g_strv_length(words) == words_before)
            return at;
    }
    return 0;
}

/* As it is typed, so that token_split reads it back; one that goes on keeps its quote open. */
static char *quoted(const char *word, bool closed)
{
    const char *const words[] = { word, NULL };
    char *text = token_join(words);

    if (!closed && g_str_has_suffix(text, "\"") && strcmp(text, word) != 0)
        text[strlen(text) - 1] = '\0';
    return text;
}

static TabAnswer insert(const TabLine *line, const GPtrArray *candidates, const char *common,
                        size_t remove)
{
    const Candidate *first = g_ptr_array_index(candidates, 0);
    bool closed = candidates->len == 1 && !first->open;
    bool blank = closed && *line->after != ' ';
    g_autofree char *word = *common != '\0' ? quoted(common, closed) : g_strdup("");

    return (TabAnswer){ .action = TAB_INSERT,
                        .remove = remove,
                        .text = g_strconcat(word, blank ? " " : "", NULL) };
}

/* What a next press will find. */
static void remember(char **last, const char *text, const TabAnswer *answer)
{
    g_autofree char *kept =
        g_strndup(text, strlen(text) - (answer->action == TAB_INSERT ? answer->remove : 0));

    g_free(*last);
    *last = g_strconcat(kept, answer->action == TAB_INSERT ? answer->text : "", NULL);
}

TabAnswer tab_press(const TabLine *line, const Lookup *lookup, char **last)
{
    g_autofree char *text = g_strconcat(line->pending, line->before, NULL);
    g_autofree char *current = NULL;
    g_auto(GStrv) words = token_partial(text, strlen(text), &current);
    g_autoptr(GPtrArray) candidates = NULL;
    g_autofree char *common = NULL;
    TabAnswer answer = { .action = TAB_NOTHING };
    size_t begin;

    if (in_comment(text))
        return answer;
    begin = word_begin(text, g_strv_length(words));
    if (begin < strlen(line->pending)) /* the word began on another line */
        return answer;
    candidates = complete((const char *const *)words, current, false, lookup);
    if (candidates->len == 0)
        return answer;
    common = complete_common(candidates);
    if (strlen(common) > strlen(current) || candidates->len == 1) {
        /* What is typed may differ in case from what it means: it is replaced, not continued. */
        answer = insert(line, candidates, common, strlen(text) - begin);
    } else if (g_strcmp0(*last, text) == 0) {
        answer.action = TAB_LIST;
        answer.text = complete_list(candidates, line->width, line->height);
    } else {
        answer.action = TAB_BEEP;
    }
    remember(last, text, &answer);
    return answer;
}
