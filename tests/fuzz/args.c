/* args.c - fuzzes the grammar on the real tables: the words of any line (one a line of the input)
 * become a request or an error that says why, and completion offers only what fits. */
#include "completion/completion.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_completion(char **words)
{
    static const char *const stores[] = { "mail1.example.com", NULL };
    guint count = g_strv_length(words);
    g_autofree char *current = g_strdup(words[count - 1]);
    g_autofree char *last = words[count - 1];
    g_autoptr(GPtrArray) candidates = NULL;
    g_autoptr(GPtrArray) others = NULL;

    others = complete_bash((const char *const *)words, count - 1, stores);
    words[count - 1] = NULL;
    candidates = complete((const char *const *)words, current, stores);
    for (guint i = 0; i < candidates->len; i++)
        g_assert(g_ascii_strncasecmp(g_ptr_array_index(candidates, i), current, strlen(current)) ==
                 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_auto(GStrv) words = g_strsplit(text, "\n", 64);
    const char *const *rest = (const char *const *)words;
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
    g_auto(Switches) switches = { 0 };
    g_autoptr(GError) error = NULL;
    const Command *command;

    if (!switches_take(&rest, true, &switches, &error)) {
        g_assert(error != NULL);
    } else if (*rest != NULL && (command = command_find(*rest)) != NULL) {
        void *request = args_parse(command, rest + 1, notes, &error);

        g_assert((request == NULL) == (error != NULL));
        args_free(command, request);
    }
    if (words[0] != NULL)
        check_completion(words);
    return 0;
}

/* The verbs are in the tables and are not run here. */
Core *core_open(const Conf *conf G_GNUC_UNUSED, GError **error G_GNUC_UNUSED)
{
    g_assert_not_reached();
}
void core_close(Core *core G_GNUC_UNUSED)
{
    g_assert_not_reached();
}
void report_free(Report *report G_GNUC_UNUSED)
{
    g_assert_not_reached();
}
#define NOT_RUN(type, name, ...)                     \
    type name(Core *core G_GNUC_UNUSED, __VA_ARGS__) \
    {                                                \
        g_assert_not_reached();                      \
    }
#define UNUSED G_GNUC_UNUSED
NOT_RUN(Report *, core_move, const MoveRequest *r UNUSED, EventSink *s UNUSED, void *d UNUSED,
        const Wait *w UNUSED, GError **e UNUSED)
NOT_RUN(Report *, core_purge, const PurgeRequest *r UNUSED, EventSink *s UNUSED, void *d UNUSED,
        const Wait *w UNUSED, GError **e UNUSED)
NOT_RUN(Report *, core_recover, const RecoverRequest *r UNUSED, EventSink *s UNUSED, void *d UNUSED,
        const Wait *w UNUSED, GError **e UNUSED)
NOT_RUN(GPtrArray *, core_moved, const char *h UNUSED, const Wait *w UNUSED, GError **e UNUSED)
NOT_RUN(bool, core_mail, char **to UNUSED, const char *s UNUSED, const char *b UNUSED,
        const char *n UNUSED, const char *a UNUSED, GError **e UNUSED)
