/* list.c - fuzzes an input_file: it is refused as no text, or every address in it is what its line
 * says, and the addresses alone, one a line, are the same list. */
#include "core/move/select.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_lines(const char *text, const GPtrArray *list)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    unsigned before = 0, count = g_strv_length(lines);

    for (guint i = 0; i < list->len; i++) {
        const Listed *listed = g_ptr_array_index(list, i);

        g_assert(listed->line > before && listed->line <= count);
        before = listed->line;
        g_assert(strstr(lines[before - 1], listed->address) != NULL);
        g_assert(*listed->address != '\0' && *listed->address != '#');
        g_assert(!g_ascii_isspace(*listed->address));
        g_assert(!g_ascii_isspace(listed->address[strlen(listed->address) - 1]));
    }
}

static void check_again(const GPtrArray *list)
{
    g_autoptr(GString) alone = g_string_new("\n");
    g_autoptr(GPtrArray) again = NULL;

    for (guint i = 0; i < list->len; i++)
        g_string_append_printf(alone, "%s\r\n",
                               ((const Listed *)g_ptr_array_index(list, i))->address);
    again = select_listed(alone->str, alone->len, NULL);
    g_assert(again != NULL && again->len == list->len);
    for (guint i = 0; i < list->len; i++)
        g_assert_cmpstr(((const Listed *)g_ptr_array_index(again, i))->address, ==,
                        ((const Listed *)g_ptr_array_index(list, i))->address);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_malloc(size + 1);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) list = NULL;

    memcpy(text, data, size);
    text[size] = '\0';
    list = select_listed(text, size, &error);
    g_assert((list == NULL) == (strlen(text) != size));
    g_assert((list == NULL) == (error != NULL));
    if (list == NULL)
        return 0;
    check_lines(text, list);
    check_again(list);
    return 0;
}
