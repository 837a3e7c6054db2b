/* deliver.c - see deliver.h. */
#include "tests/mailboxd/deliver.h"
#include "tests/mailboxd/indexing.h"
#include "tests/mailboxd/item.h"

enum { DUPLICATES_KEPT = 3000 };

/* The duplicate filter: Message-ID and mailbox id, in memory only (doc/platform.md 2.4). */
static GMutex mutex;
static GHashTable *seen;
static GQueue seen_order = G_QUEUE_INIT;

void deliver_init(void)
{
    seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

void deliver_shutdown(void)
{
    g_queue_clear(&seen_order);
    g_clear_pointer(&seen, g_hash_table_unref);
}

static char *duplicate_key(const Mailbox *mailbox, const Message *message)
{
    if (message->message_id == NULL || *message->message_id == '\0')
        return NULL;
    return g_strdup_printf("%u %s", mailbox->id, message->message_id);
}

static bool is_duplicate(const char *key)
{
    g_mutex_lock(&mutex);
    bool found = key != NULL && g_hash_table_contains(seen, key);
    g_mutex_unlock(&mutex);
    return found;
}

static void remember(const char *key)
{
    g_mutex_lock(&mutex);
    if (key != NULL && !g_hash_table_contains(seen, key)) {
        char *kept = g_strdup(key);
        g_hash_table_add(seen, kept);
        g_queue_push_tail(&seen_order, kept);
        if (g_queue_get_length(&seen_order) > DUPLICATES_KEPT)
            g_hash_table_remove(seen, g_queue_pop_head(&seen_order));
    }
    g_mutex_unlock(&mutex);
}

bool deliver_check_quota(const Entry *account, Mailbox *mailbox, uint64_t size, GError **error)
{
    g_autofree char *text = account_setting(account, "zimbraMailQuota");
    int64_t quota = text == NULL ? 0 : g_ascii_strtoll(text, NULL, 10);

    if (quota > 0 && mailbox->now.size + (int64_t)size > quota)
        return fault(error, FAULT_QUOTA_EXCEEDED, "mailbox exceeded quota of %" G_GINT64_FORMAT,
                     quota);
    return true;
}

static bool insert(Change *change, const Blob *blob, const Message *message, unsigned *id,
                   GError **error)
{
    g_auto(Item)
        item = { .type = TYPE_MESSAGE, .folder = FOLDER_INBOX, .unread = 1, .indexable = true };
    g_autofree char *hash = message_thread_hash(message);

    item.flags = message->has_attachment ? flag_bit(FLAG_ATTACHED) : 0;
    item.sender = g_strdup(message->sender);
    item.recipients = g_strdup(message->recipients);
    item.subject = g_strdup(message->subject);
    item.metadata = item_metadata(message->fragment, message->sender, message->prefix);
    change->mailbox->now.new_messages++;
    if (!item_insert(change, &item, blob, error) ||
        !item_thread(change, &item, hash, message->prefix != NULL, error))
        return false;
    *id = item.id;
    return true;
}

bool deliver(Mailbox *mailbox, const Blob *blob, const Message *message, unsigned *item,
             GError **error)
{
    g_autofree char *key = duplicate_key(mailbox, message);
    g_auto(Change) change = { 0 };

    *item = 0;
    if (!change_begin(&change, mailbox, error))
        return false;
    if (is_duplicate(key))
        return true;
    if (!insert(&change, blob, message, item, error) || !change_commit(&change, error))
        return false;
    remember(key);
    indexing_note(mailbox);
    return true;
}
