/* token.c - fuzzes quoting: any line is taken apart or refused, and what was taken apart is joined
 * to a line that gives the same words again. */
#include "shell/shell.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *line = g_strndup((const char *)data, size);
    g_autofree char *current = NULL;
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) words = token_split(line, &error);
    g_auto(GStrv) typed = token_partial(line, size / 2, &current);

    g_assert(typed != NULL && current != NULL);
    g_assert((words == NULL) == (error != NULL));
    token_continues(line);
    if (words != NULL) {
        g_autofree char *joined = token_join((const char *const *)words);
        g_auto(GStrv) again = token_split(joined, NULL);

        g_assert(again != NULL && g_strv_length(again) == g_strv_length(words));
        for (guint i = 0; words[i] != NULL; i++)
            g_assert(strcmp(words[i], again[i]) == 0);
    }
    return 0;
}
