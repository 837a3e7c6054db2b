/* tally.c - see tally.h. */
#include "core/move/tally.h"

#define JUDGED_FROM 20 /* items: so that one early error does not stop everything */
#define MAX_PERCENT 5

void tally_init(Tally *tally)
{
    *tally = (Tally){ .bad = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL) };
    g_mutex_init(&tally->lock);
}

void tally_clear(Tally *tally)
{
    if (tally->bad == NULL)
        return;
    g_clear_pointer(&tally->bad, g_hash_table_unref);
    g_clear_pointer(&tally->exceeded, g_free);
    g_mutex_clear(&tally->lock);
}

static char *key_of(const char *account_id, uint32_t item_id, uint32_t mod_content)
{
    return g_strdup_printf("%s %u-%u", account_id, item_id, mod_content);
}

/* Under the lock. What was exceeded stays so. */
static void judge(Tally *tally)
{
    uint64_t bad = g_hash_table_size(tally->bad);

    if (tally->exceeded != NULL)
        return;
    if (tally->read_error_threshold > 0 && tally->unreadable >= tally->read_error_threshold)
        tally->exceeded = g_strdup_printf("%" G_GUINT64_FORMAT " blobs could not be read "
                                          "(read_error_threshold %" G_GUINT64_FORMAT ")",
                                          tally->unreadable, tally->read_error_threshold);
    else if (tally->attempted >= JUDGED_FROM && bad * 100 > tally->attempted * MAX_PERCENT)
        tally->exceeded = g_strdup_printf("%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
                                          " items could not be copied, more than %d %%",
                                          bad, tally->attempted, MAX_PERCENT);
}

void tally_add(Tally *tally, uint64_t items)
{
    g_mutex_lock(&tally->lock);
    tally->attempted += items;
    judge(tally);
    g_mutex_unlock(&tally->lock);
}

void tally_attempt(Tally *tally, const char *account_id, uint32_t item_id, uint32_t mod_content)
{
    g_mutex_lock(&tally->lock);
    if (g_hash_table_size(tally->bad) > 0) {
        g_autofree char *key = key_of(account_id, item_id, mod_content);

        tally->attempted += !g_hash_table_contains(tally->bad, key);
    } else {
        tally->attempted++;
    }
    judge(tally);
    g_mutex_unlock(&tally->lock);
}

void tally_bad(Tally *tally, const char *account_id, uint32_t item_id, uint32_t mod_content,
               bool unreadable)
{
    g_mutex_lock(&tally->lock);
    if (g_hash_table_add(tally->bad, key_of(account_id, item_id, mod_content)) && unreadable)
        tally->unreadable++;
    judge(tally);
    g_mutex_unlock(&tally->lock);
}

bool tally_check(Tally *tally, GError **error)
{
    bool good;

    g_mutex_lock(&tally->lock);
    good = tally->exceeded == NULL ||
           fail(error, ZX_ERROR_DATA, "the operation stops: %s", tally->exceeded);
    g_mutex_unlock(&tally->lock);
    return good;
}
