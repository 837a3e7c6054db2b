/* manager.c - which mailbox belongs to an account, as this process believes: exactly the rules of
 * doc/platform.md 5.1 and 5.2. The map is read once at start; entries come by a creating access and
 * leave only when this process deletes the mailbox. An object once loaded stays, and only loading
 * checks that the account is homed here. */
#include "tests/mailboxd/config.h"
#include "tests/mailboxd/index.h"
#include "tests/mailboxd/mailbox.h"

typedef struct Slot {
    Mailbox *mailbox;
    bool locked; /* lockout registered: the object waits inside for its end */
} Slot;

static GMutex mutex;
static GMutex creating;   /* one creation at a time, as under the JVM's lock */
static GHashTable *ids;   /* lowercase account id -> mailbox id */
static GHashTable *slots; /* mailbox id -> Slot */

static void slot_free(gpointer data)
{
    Slot *slot = data;

    mailbox_unref(slot->mailbox);
    g_free(slot);
}

bool manager_init(GError **error)
{
    g_autoptr(Db) db = db_take(error);

    if (db == NULL)
        return false;
    g_autoptr(DbRows) rows = db_query(db, error, "SELECT account_id, id FROM zimbra.mailbox");
    if (rows == NULL)
        return false;
    ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    slots = g_hash_table_new_full(NULL, NULL, NULL, slot_free);
    while (rows_next(rows)) {
        g_autofree char *account = rows_text(rows, 0);
        g_hash_table_replace(ids, g_ascii_strdown(account, -1),
                             GUINT_TO_POINTER(rows_uint(rows, 1)));
    }
    return true;
}

void manager_shutdown(void)
{
    g_clear_pointer(&slots, g_hash_table_unref);
    g_clear_pointer(&ids, g_hash_table_unref);
}

static unsigned mapped(const char *account)
{
    g_autofree char *key = g_ascii_strdown(account, -1);

    g_mutex_lock(&mutex);
    unsigned id = GPOINTER_TO_UINT(g_hash_table_lookup(ids, key));
    g_mutex_unlock(&mutex);
    return id;
}

static void map(const char *account, unsigned id)
{
    g_mutex_lock(&mutex);
    g_hash_table_replace(ids, g_ascii_strdown(account, -1), GUINT_TO_POINTER(id));
    g_mutex_unlock(&mutex);
}

static bool maintenance_fault(unsigned id, GError **error)
{
    return fault(error, FAULT_MAINTENANCE, "mailbox in maintenance mode: %u", id);
}

/* True if the cache decided: @out is the object, or @error is set because it is locked out. */
static bool from_cache(unsigned id, Mailbox **out, GError **error)
{
    bool locked;

    g_mutex_lock(&mutex);
    Slot *slot = g_hash_table_lookup(slots, GUINT_TO_POINTER(id));
    locked = slot != NULL && slot->locked;
    *out = slot == NULL || locked ? NULL : mailbox_ref(slot->mailbox);
    g_mutex_unlock(&mutex);
    if (locked)
        maintenance_fault(id, error);
    return slot != NULL;
}

static bool check_host(const Entry *account, GError **error)
{
    const char *host = entry_get(account, "zimbraMailHost");

    if (account_is_local(account))
        return true;
    return fault(error, FAULT_WRONG_HOST, "operation sent to wrong host (you want '%s')",
                 host == NULL ? "" : host);
}

/* Two threads may load the same mailbox; the first to put it into the cache wins. */
static Mailbox *cache_loaded(Mailbox *mailbox, GError **error)
{
    Mailbox *cached;

    g_mutex_lock(&mutex);
    if (g_hash_table_lookup(slots, GUINT_TO_POINTER(mailbox->id)) == NULL) {
        Slot *slot = g_new0(Slot, 1);
        slot->mailbox = mailbox_ref(mailbox);
        g_hash_table_insert(slots, GUINT_TO_POINTER(mailbox->id), slot);
    }
    g_mutex_unlock(&mutex);
    from_cache(mailbox->id, &cached, error);
    return cached;
}

Mailbox *manager_by_id(unsigned id, GError **error)
{
    Mailbox *cached;

    if (from_cache(id, &cached, error))
        return cached;
    g_autoptr(Mailbox) mailbox = mailbox_load(id, error);
    if (mailbox == NULL)
        return NULL;
    g_autoptr(Entry) account = account_get(BY_ID, mailbox->account_id, error);
    if (account == NULL || !check_host(account, error))
        return NULL;
    return cache_loaded(mailbox, error);
}

/* A row that somebody inserted behind our back is found before a second mailbox is made. */
static bool row_of(const char *account, unsigned *id, GError **error)
{
    g_autoptr(Db) db = db_take(error);
    g_autofree char *key = g_ascii_strdown(account, -1);

    if (db == NULL)
        return false;
    g_autoptr(DbRows) rows =
        db_query(db, error, "SELECT id FROM zimbra.mailbox WHERE account_id = %s", key);
    if (rows == NULL)
        return false;
    *id = rows_next(rows) ? rows_uint(rows, 0) : 0;
    return true;
}

static bool find_or_create(const Entry *account, unsigned *id, GError **error)
{
    *id = mapped(account_id(account));
    if (*id != 0)
        return true;
    if (!row_of(account_id(account), id, error) ||
        (*id == 0 && !mailbox_create(account, id, error)))
        return false;
    map(account_id(account), *id);
    return true;
}

Mailbox *manager_get(const char *account_key, MailboxFetch fetch, GError **error)
{
    unsigned id = mapped(account_key);

    if (id != 0)
        return manager_by_id(id, error);
    if (fetch == FETCH_EXISTING)
        return NULL;

    g_autoptr(Entry) account = account_get(BY_ID, account_key, error);
    if (account == NULL || !check_host(account, error))
        return NULL;
    g_mutex_lock(&creating);
    bool found = find_or_create(account, &id, error);
    g_mutex_unlock(&creating);
    return found ? manager_by_id(id, error) : NULL;
}

bool manager_lock_out(const char *account_key, GError **error)
{
    g_autoptr(Mailbox) mailbox = manager_get(account_key, FETCH_CREATE, error);

    if (mailbox == NULL)
        return false;
    /* Registered only once the write lock is held, whoever may have hung up meanwhile. */
    if (!lock_take(&mailbox->lock, config->lock_timeout_ms))
        return fault(error, FAULT_FAILURE, "failed to lock mailbox %u in time", mailbox->id);
    bool free_to_lock = !mailbox->in_maintenance && !mailbox->deleted;
    if (free_to_lock) {
        mailbox->in_maintenance = true;
        g_mutex_lock(&mutex);
        Slot *slot = g_hash_table_lookup(slots, GUINT_TO_POINTER(mailbox->id));
        slot->locked = true;
        g_mutex_unlock(&mutex);
    }
    lock_release(&mailbox->lock);
    return free_to_lock || maintenance_fault(mailbox->id, error);
}

bool manager_end_lockout(const char *account_key, GError **error)
{
    unsigned id = mapped(account_key);
    g_autoptr(Mailbox) mailbox = NULL;

    g_mutex_lock(&mutex);
    Slot *slot = g_hash_table_lookup(slots, GUINT_TO_POINTER(id));
    if (slot != NULL && slot->locked)
        mailbox = mailbox_ref(slot->mailbox);
    g_mutex_unlock(&mutex);
    if (mailbox == NULL)
        return fault(error, FAULT_NOT_FOUND, "mailbox of account %s is not locked out",
                     account_key);
    if (!lock_take(&mailbox->lock, config->lock_timeout_ms))
        return fault(error, FAULT_FAILURE, "failed to lock mailbox %u in time", mailbox->id);
    /* The same object with its old state, and no look at where the account is homed. */
    mailbox->in_maintenance = false;
    g_mutex_lock(&mutex);
    slot = g_hash_table_lookup(slots, GUINT_TO_POINTER(id));
    if (slot != NULL)
        slot->locked = false;
    g_mutex_unlock(&mutex);
    lock_release(&mailbox->lock);
    return true;
}

static void forget(const Mailbox *mailbox)
{
    g_autofree char *key = g_ascii_strdown(mailbox->account_id, -1);

    g_mutex_lock(&mutex);
    g_hash_table_remove(ids, key);
    g_hash_table_remove(slots, GUINT_TO_POINTER(mailbox->id));
    g_mutex_unlock(&mutex);
}

bool manager_delete(const char *account_key, unsigned *id, GError **error)
{
    GError *inner = NULL;
    g_autoptr(Mailbox) mailbox = manager_get(account_key, FETCH_EXISTING, &inner);

    *id = mailbox == NULL ? 0 : mailbox->id;
    if (inner != NULL)
        g_propagate_error(error, inner);
    if (mailbox == NULL)
        return inner == NULL;
    if (!lock_take(&mailbox->lock, config->lock_timeout_ms))
        return fault(error, FAULT_FAILURE, "failed to lock mailbox %u in time", mailbox->id);
    bool done = !mailbox->in_maintenance && !mailbox->deleted;
    if (!done)
        maintenance_fault(mailbox->id, error);
    else if ((done = mailbox_erase(mailbox, error))) {
        mailbox->deleted = true;
        forget(mailbox);
    }
    lock_release(&mailbox->lock);
    return done;
}

MailboxState manager_state(const char *account_key)
{
    MailboxState state = { .mapped = mapped(account_key) };

    g_mutex_lock(&mutex);
    const Slot *slot = g_hash_table_lookup(slots, GUINT_TO_POINTER(state.mapped));
    state.cached = slot != NULL;
    state.locked = slot != NULL && slot->locked;
    state.merging = slot != NULL && slot->mailbox->index != NULL && index_merges(slot->mailbox->index);
    g_mutex_unlock(&mutex);
    return state;
}
