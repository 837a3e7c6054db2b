/* list.c - fuzzes an input_file: it is refused, or every address in it is one, is in the text, and the
 * addresses alone, one a line, are the same list. */
#include "core/move/list.h"
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_lines(const char *text, const GPtrArray *list)
{
    bool quoted = strpbrk(text, "'\"") != NULL; /* what quotes take in need not stand so in the text */
    unsigned before = 0, count = 1;

    for (const char *c = text; *c != '\0'; c++)
        count += *c == '\n' || *c == '\r';
    for (guint i = 0; i < list->len; i++) {
        const Listed *listed = g_ptr_array_index(list, i);

        g_assert(listed->line > before && listed->line <= count);
        before = listed->line;
        g_assert(strpbrk(listed->who, " \t\r\n\"") == NULL);
        g_assert(strchr(listed->who, '@') != NULL || g_uuid_string_is_valid(listed->who));
        g_assert(quoted || strstr(text, listed->who) != NULL);
    }
}

static void check_again(const GPtrArray *list)
{
    g_autoptr(GString) alone = g_string_new("\n");
    g_autoptr(GPtrArray) again = NULL;

    for (guint i = 0; i < list->len; i++)
        g_string_append_printf(alone, "\"%s\"\r\n",
                               ((const Listed *)g_ptr_array_index(list, i))->who);
    again = list_read("again", alone->str, alone->len, NULL);
    g_assert(again != NULL && again->len == list->len);
    for (guint i = 0; i < list->len; i++)
        g_assert_cmpstr(((const Listed *)g_ptr_array_index(again, i))->who, ==,
                        ((const Listed *)g_ptr_array_index(list, i))->who);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_malloc(size + 1);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) list = NULL;

    memcpy(text, data, size);
    text[size] = '\0';
    list = list_read("list", text, size, &error);
    g_assert((list == NULL) == (error != NULL));
    g_assert(list == NULL || strlen(text) == size);
    if (list == NULL)
        return 0;
    check_lines(text, list);
    check_again(list);
    return 0;
}
