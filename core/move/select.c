/* select.c - see select.h. */
#include "core/move/select.h"
#include "conf/units.h"
#include <string.h>

typedef struct Glob {
    char *text;
    GPatternSpec *pattern;
    bool used;
} Glob;

struct Globs {
    GPtrArray *list; /* of Glob */
};

static void glob_free(Glob *glob)
{
    g_pattern_spec_free(glob->pattern);
    g_free(glob->text);
    g_free(glob);
}

/* GPatternSpec walks over UTF-8 and trusts it. */
static char *folded(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);

    return g_utf8_strdown(valid, -1);
}

Globs *globs_new(char **patterns)
{
    Globs *globs = g_new0(Globs, 1);

    globs->list = g_ptr_array_new_with_free_func((GDestroyNotify)glob_free);
    for (char **pattern = patterns; pattern != NULL && *pattern != NULL; pattern++) {
        g_autofree char *lower = folded(*pattern);
        Glob *glob = g_new0(Glob, 1);

        glob->text = g_strdup(*pattern);
        glob->pattern = g_pattern_spec_new(lower);
        g_ptr_array_add(globs->list, glob);
    }
    return globs;
}

void globs_free(Globs *globs)
{
    g_ptr_array_unref(globs->list);
    g_free(globs);
}

static bool match(Globs *globs, const char *address)
{
    g_autofree char *lower = folded(address);
    bool any = false;

    for (guint i = 0; i < globs->list->len; i++) {
        Glob *glob = g_ptr_array_index(globs->list, i);

        if (g_pattern_match_string(glob->pattern, lower))
            glob->used = any = true;
    }
    return any;
}

bool globs_match(Globs *globs, const Account *account)
{
    bool any = match(globs, account->address);

    for (char **alias = account->aliases; *alias != NULL; alias++)
        any |= match(globs, *alias);
    return any;
}

GPtrArray *globs_idle(const Globs *globs)
{
    GPtrArray *idle = g_ptr_array_new();

    for (guint i = 0; i < globs->list->len; i++) {
        Glob *glob = g_ptr_array_index(globs->list, i);

        if (!glob->used)
            g_ptr_array_add(idle, glob->text);
    }
    return idle;
}

Order select_order(const char *word)
{
    static const char *const words[] = { "given", "name", "size_asc", "size_desc", "last_login" };

    for (guint i = 0; i < G_N_ELEMENTS(words); i++)
        if (g_strcmp0(word, words[i]) == 0)
            return (Order)i;
    return ORDER_GIVEN;
}

typedef struct Sorting {
    Order order;
    GHashTable *sizes;
} Sorting;

static uint64_t size_of(const Sorting *sorting, const Account *account)
{
    const uint64_t *size =
        sorting->sizes != NULL ? g_hash_table_lookup(sorting->sizes, account->id) : NULL;

    return size != NULL ? *size : 0;
}

/* Generalized time, always UTC in Zimbra; newer versions have a fraction of the second as well,
 * which decides nothing here: "20260301220000.123Z". */
static int by_login(const Account *a, const Account *b)
{
    enum { TO_THE_SECOND = 14 };

    return strncmp(a->last_logon != NULL ? a->last_logon : "",
                   b->last_logon != NULL ? b->last_logon : "", TO_THE_SECOND);
}

static int compare(gconstpointer left, gconstpointer right, gpointer data)
{
    const Account *a = *(const Account *const *)left, *b = *(const Account *const *)right;
    const Sorting *sorting = data;
    uint64_t x = size_of(sorting, a), y = size_of(sorting, b);
    int found = 0;

    if (sorting->order == ORDER_SIZE_ASC)
        found = (x > y) - (x < y);
    else if (sorting->order == ORDER_SIZE_DESC)
        found = (x < y) - (x > y);
    else if (sorting->order == ORDER_LAST_LOGIN)
        found = by_login(a, b);
    if (found == 0)
        found = g_ascii_strcasecmp(a->address, b->address);
    return found != 0 ? found : strcmp(a->id, b->id);
}

void select_sort(GPtrArray *accounts, Order order, GHashTable *sizes)
{
    Sorting sorting = { .order = order, .sizes = sizes };

    if (order != ORDER_GIVEN)
        g_ptr_array_sort_with_data(accounts, compare, &sorting);
}

char *quota_take(Quota *quota, uint64_t bytes)
{
    g_autofree char *limit = units_format_size(quota->max_bytes);
    g_autofree char *size = units_format_size(bytes);

    if (quota->max_bytes != 0 && bytes > quota->max_bytes)
        return g_strdup_printf("its %s alone are over max_bytes %s", size, limit);
    if (quota->max_bytes != 0 && (quota->full || bytes > quota->max_bytes - quota->bytes)) {
        quota->full = true;
        return g_strdup_printf("over max_bytes %s", limit);
    }
    if (quota->max_accounts >= 0 && quota->accounts >= quota->max_accounts)
        return g_strdup_printf("over max_accounts %ld", quota->max_accounts);
    quota->accounts++;
    quota->bytes += bytes;
    return NULL;
}
