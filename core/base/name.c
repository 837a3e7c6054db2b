/* name.c - see name.h. */
#include "core/base/name.h"

Name *name_new(const char *text, const char *meaning)
{
    Name *name = g_new0(Name, 1);

    name->text = g_strdup(text);
    name->meaning = g_strdup(meaning);
    return name;
}

void name_free(Name *name)
{
    if (name == NULL)
        return;
    g_free(name->text);
    g_free(name->meaning);
    g_free(name);
}

GPtrArray *names_new(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)name_free);
}
