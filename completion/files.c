/* files.c - see files.h. */
#include "completion/files.h"
#include <stdbool.h>
#include <string.h>

enum { FILES_MOST = 300 };

static int by_text(gconstpointer a, gconstpointer b)
{
    const Name *const *left = a, *const *right = b;

    return strcmp((*left)->text, (*right)->text);
}

/* Where the directory of a path is, of which @head is typed ("" or up to its last slash). */
static char *directory_of(const char *head)
{
    if (g_str_has_prefix(head, "~/"))
        return g_build_filename(g_get_home_dir(), head + 2, NULL);
    return g_strdup(*head != '\0' ? head : ".");
}

GPtrArray *files_like(const char *prefix)
{
    const char *slash = strrchr(prefix, '/');
    const char *begin = slash != NULL ? slash + 1 : prefix;
    g_autofree char *head = g_strndup(prefix, (size_t)(begin - prefix));
    g_autofree char *directory = directory_of(head);
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    GPtrArray *names = names_new();
    const char *entry;

    while (dir != NULL && names->len < FILES_MOST && (entry = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(directory, entry, NULL);
        g_autofree char *text = NULL;
        bool below;

        if (!g_str_has_prefix(entry, begin) || (*entry == '.' && *begin != '.'))
            continue;
        below = g_file_test(path, G_FILE_TEST_IS_DIR);
        text = g_strconcat(head, entry, below ? "/" : "", NULL);
        g_ptr_array_add(names, name_new(text, below ? "directory" : "file"));
    }
    g_ptr_array_sort(names, by_text);
    return names;
}
