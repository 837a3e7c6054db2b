/* ready.c - before an operation begins: what would fail all its mailboxes, or all of one store, one after
 * the other, fails them at once, and is waited for once. What breaks later is each mailbox's own. */
#include "core/move/move.h"
#include <string.h>

static bool answers(Operation *op, const char *name, GError **error)
{
    Store *store = operation_store(op, name, error);

    return store != NULL && store_revive(store, error) && operation_login(op, store, error);
}

/* NULL: nothing. @asked: store -> what it was, or NULL. */
static const GError *hindrance_of(Operation *op, GHashTable *asked, const char *name)
{
    void *known = NULL;
    GError *why = NULL;

    if (g_hash_table_lookup_extended(asked, name, NULL, &known))
        return known;
    (void)answers(op, name, &why);
    g_hash_table_insert(asked, g_strdup(name), why);
    return why;
}

/* By the time that it begins, who is silent now may be back. */
static bool may_be_over(const Operation *op, const GError *why)
{
    return op->request->start_after > g_get_real_time() / 1000 &&
           (error_code(why) == ZX_ERROR_CONNECT || error_code(why) == ZX_ERROR_TIMEOUT);
}

/* Of one that is taken up again: what had been begun may be finished by now, or have been moved on, and its
 * old home is not needed for it. */
static bool lives_elsewhere(Operation *op, const MailboxResult *result)
{
    g_autoptr(Account) now =
        op->again != NULL ? directory_account(op->directory, result->account_id, NULL) : NULL;

    return now != NULL && !account_lives_on(now, result->source);
}

static const GError *obstacle(Operation *op, GHashTable *asked, const MailboxResult *result)
{
    const GError *why = hindrance_of(op, asked, result->destination);

    if (why == NULL && (why = hindrance_of(op, asked, result->source)) != NULL &&
        lives_elsewhere(op, result))
        return NULL;
    if (why == NULL || !may_be_over(op, why))
        return why;
    operation_note(op, "not now: %s", why->message);
    return NULL;
}

static void drop_decided(const Operation *op, GArray *places)
{
    for (guint i = places->len; i-- > 0;)
        if (operation_result(op, places, i)->reason != NULL)
            g_array_remove_index(places, i);
}

static bool stores_answer(Operation *op, const GArray *places, GError **error)
{
    g_autoptr(GHashTable) asked =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)error_free_any);
    const GError *first = NULL;
    guint good = 0;

    for (guint i = 0; i < places->len; i++) {
        MailboxResult *result = operation_result(op, places, i);
        const GError *why;

        if (result->reason != NULL)
            continue;
        why = obstacle(op, asked, result);
        if (why == NULL) {
            good++;
            continue;
        }
        result_decide(result, OUTCOME_FAILED, g_error_copy(why));
        if (first == NULL)
            first = why;
    }
    return first == NULL || good > 0 ||
           fail(error, error_code(first), "nothing was begun: %s", first->message);
}

bool ready_volume(Operation *op, GError **error)
{
    const char *wanted = op->request->blob_destination_volume;
    Store *store;

    /* Who has a place there already stays on it, whatever is current by now. */
    if (wanted == NULL || strcmp(wanted, "current_primary") == 0)
        return true;
    store = operation_store(op, op->request->destination, error);
    return store != NULL && reserve_choose_volume(store, wanted, error) != NULL;
}

bool ready_all(Operation *op, GArray *places, GError **error)
{
    if (!stores_answer(op, places, error))
        return false;
    if (op->again == NULL) /* else they are listed already, and are journalled one by one */
        drop_decided(op, places);
    return places->len == 0 || ready_volume(op, error);
}
