/* tab.c - see tab.h. Completion is a pure function elsewhere: here its answer is only made into text
 * to insert or to list. */
#include "shell/tab.h"
#include "completion/completion.h"
#include <string.h>

struct Tab {
    Shell *shell;
    bool listed; /* the last press found several */
};

Tab *tab_new(Shell *shell)
{
    Tab *tab = g_new0(Tab, 1);

    tab->shell = shell;
    return tab;
}

void tab_free(Tab *tab)
{
    g_free(tab);
}

static GPtrArray *store_names(const Shell *shell)
{
    GPtrArray *names = g_ptr_array_new();
    const Conf *conf = shell->session.conf;

    for (guint i = 0; conf != NULL && i < conf->stores->len; i++)
        g_ptr_array_add(names, ((ConfStore *)g_ptr_array_index(conf->stores, i))->name);
    g_ptr_array_add(names, NULL);
    return names;
}

static char *list_text(const GPtrArray *candidates)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < candidates->len; i++)
        g_string_append_printf(text, "%s%s", (const char *)g_ptr_array_index(candidates, i),
                               i + 1 < candidates->len ? "  " : "\n");
    return g_string_free(text, FALSE);
}

TabAnswer tab_press(Tab *tab, const char *before)
{
    g_autofree char *current = NULL;
    g_autofree char *common = NULL;
    g_auto(GStrv) words = token_partial(before, strlen(before), &current);
    g_autoptr(GPtrArray) stores = store_names(tab->shell);
    g_autoptr(GPtrArray) candidates =
        complete((const char *const *)words, current, (const char *const *)stores->pdata);

    if (candidates->len == 0)
        return (TabAnswer){ .action = TAB_NOTHING };
    common = complete_common(candidates);
    if (strlen(common) > strlen(current) || candidates->len == 1) {
        /* What is typed may differ in case from what it means: it is replaced, not continued. A
         * word with quotes in it is left alone: its letters are not those on the line. */
        if (!g_str_has_suffix(before, current))
            return (TabAnswer){ .action = TAB_NOTHING };
        tab->listed = false;
        return (TabAnswer){ .action = TAB_INSERT,
                            .remove = strlen(current),
                            .text = g_strconcat(common, candidates->len == 1 ? " " : "", NULL) };
    }
    if (!tab->listed) {
        tab->listed = true;
        return (TabAnswer){ .action = TAB_BEEP };
    }
    tab->listed = false;
    return (TabAnswer){ .action = TAB_LIST, .text = list_text(candidates) };
}
