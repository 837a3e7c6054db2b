/* mailbox.c - one mailbox in memory and the transactions that change it; see mailbox.h. Numbers
 * follow doc/platform.md 2.5: the row of the mailbox is written only when size, contacts or new
 * messages changed or a number crossed a multiple of its increment, so it may lag the truth. */
#include "tests/mailboxd/mailbox.h"
#include "tests/mailboxd/ben.h"
#include "tests/mailboxd/config.h"
#include "tests/mailboxd/index.h"
#include "tests/mailboxd/memcached.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ITEM_INCREMENT = 20 };

static const char newest_version[] = "2.7";

/* A blob that the transaction made superfluous. */
typedef struct OldBlob {
    char *locator;
    unsigned item, revision;
} OldBlob;

Mailbox *mailbox_ref(Mailbox *mailbox)
{
    g_atomic_int_inc(&mailbox->refs);
    return mailbox;
}

void mailbox_unref(Mailbox *mailbox)
{
    if (!g_atomic_int_dec_and_test(&mailbox->refs))
        return;
    lock_clear(&mailbox->lock);
    g_clear_pointer(&mailbox->folders, g_hash_table_unref);
    g_clear_pointer(&mailbox->tags, g_hash_table_unref);
    g_clear_pointer(&mailbox->index, index_free);
    g_free(mailbox->account_id);
    g_free(mailbox);
}

/* The end of the block that a stored number lies in: what was handed out may have got that far. */
static unsigned round_up(unsigned stored, unsigned increment)
{
    return stored + increment - 1 - stored % increment;
}

static bool version_is_known(const char *version, unsigned id, GError **error)
{
    if (version != NULL && g_ascii_strtod(version, NULL) > g_ascii_strtod(newest_version, NULL))
        return fault(error, FAULT_FAILURE, "mailbox %u: version %s is too high", id, version);
    return true;
}

static char *index_dir(const Mailbox *mailbox)
{
    const Volume *volume = volume_get(mailbox->index_volume);
    g_autofree char *dir = volume == NULL ? NULL : volume_index_dir(volume, mailbox->id);

    return dir == NULL ? NULL : g_build_filename(dir, "0", NULL);
}

Mailbox *mailbox_load(unsigned id, GError **error)
{
    g_autoptr(Db) db = db_take(error);

    if (db == NULL)
        return NULL;
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT group_id, account_id, index_volume_id, item_id_checkpoint, contact_count,"
                 " size_checkpoint, change_checkpoint, tracking_sync, tracking_imap, new_messages,"
                 " version FROM zimbra.mailbox WHERE id = %u",
                 id);
    if (rows == NULL)
        return NULL;
    if (!rows_next(rows)) {
        fault(error, FAULT_NO_SUCH_MBOX, "no such mailbox: %u", id);
        return NULL;
    }
    g_autofree char *version = rows_text(rows, 10);
    if (!version_is_known(version, id, error))
        return NULL;

    Mailbox *mailbox = g_new0(Mailbox, 1);
    mailbox->refs = 1;
    mailbox->id = id;
    mailbox->group = rows_uint(rows, 0);
    mailbox->account_id = rows_text(rows, 1);
    mailbox->index_volume = rows_uint(rows, 2);
    mailbox->stored = (Counters){ .size = rows_i64(rows, 5),
                                  .contacts = rows_uint(rows, 4),
                                  .new_messages = rows_uint(rows, 9),
                                  .last_item = rows_uint(rows, 3),
                                  .last_change = rows_uint(rows, 6) };
    mailbox->now = mailbox->stored;
    mailbox->now.last_item = round_up(mailbox->now.last_item, ITEM_INCREMENT);
    mailbox->now.last_change = round_up(mailbox->now.last_change, config->change_increment);
    mailbox->tracking_sync = rows_uint(rows, 7);
    mailbox->tracking_imap = rows_uint(rows, 8) != 0;
    mailbox->index = index_new(index_dir(mailbox));
    lock_init(&mailbox->lock);
    return mailbox;
}

static bool load_folders(Mailbox *mailbox, Db *db, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT id, parent_id, type, name, size, unread, metadata, mod_metadata,"
                 " change_date, mod_content FROM mboxgroup%u.mail_item"
                 " WHERE mailbox_id = %u AND type IN (1, 2, 13)",
                 mailbox->group, mailbox->id);

    if (rows == NULL)
        return false;
    mailbox->folders = g_hash_table_new_full(NULL, NULL, NULL, folder_free);
    while (rows_next(rows)) {
        Folder *folder = g_new0(Folder, 1);
        folder->id = rows_uint(rows, 0);
        folder->parent = rows_uint(rows, 1);
        folder->type = rows_uint(rows, 2);
        folder->name = rows_text(rows, 3);
        folder->count = rows_i64(rows, 4);
        folder->unread = rows_i64(rows, 5);
        folder->metadata = rows_bytes(rows, 6);
        folder->mod_metadata = rows_uint(rows, 7);
        folder->change_date = rows_uint(rows, 8);
        folder->mod_content = rows_uint(rows, 9);
        g_hash_table_replace(mailbox->folders, GUINT_TO_POINTER(folder->id), folder);
    }
    return true;
}

static bool load_tags(Mailbox *mailbox, Db *db, GError **error)
{
    g_autoptr(DbRows) rows = db_query(db, error,
                                      "SELECT id, name, item_count, unread, sequence"
                                      " FROM mboxgroup%u.tag WHERE mailbox_id = %u",
                                      mailbox->group, mailbox->id);

    if (rows == NULL)
        return false;
    mailbox->tags = g_hash_table_new_full(NULL, NULL, NULL, tag_free);
    while (rows_next(rows)) {
        Tag *tag = g_new0(Tag, 1);
        tag->id = (int)rows_i64(rows, 0);
        tag->name = rows_text(rows, 1);
        tag->count = rows_i64(rows, 2);
        tag->unread = rows_i64(rows, 3);
        tag->sequence = rows_uint(rows, 4);
        g_hash_table_replace(mailbox->tags, GINT_TO_POINTER(tag->id), tag);
    }
    return true;
}

static void forget_folders_tags(Mailbox *mailbox)
{
    g_clear_pointer(&mailbox->folders, g_hash_table_unref);
    g_clear_pointer(&mailbox->tags, g_hash_table_unref);
}

static void publish_folders_tags(const Mailbox *mailbox)
{
    g_autofree char *key = folders_tags_key(mailbox);
    g_autoptr(GBytes) value = folders_tags_encode(mailbox);

    memcached_set(key, value);
}

static bool open_folders_tags(Mailbox *mailbox, Db *db, GError **error)
{
    g_autofree char *key = folders_tags_key(mailbox);

    if (mailbox->folders != NULL)
        return true;
    g_autoptr(GBytes) value = memcached_get(key);
    if (value != NULL && folders_tags_decode(mailbox, value))
        return true;
    if (!load_folders(mailbox, db, error) || !load_tags(mailbox, db, error)) {
        forget_folders_tags(mailbox);
        return false;
    }
    publish_folders_tags(mailbox);
    return true;
}

static void old_blob_free(gpointer data)
{
    OldBlob *old = data;

    g_free(old->locator);
    g_free(old);
}

bool change_begin(Change *change, Mailbox *mailbox, GError **error)
{
    Db *db;

    *change = (Change){ 0 };
    if (!lock_take(&mailbox->lock, config->lock_timeout_ms))
        return fault(error, FAULT_FAILURE, "failed to lock mailbox %u in time", mailbox->id);
    if (mailbox->in_maintenance || mailbox->deleted) {
        bool deleted = mailbox->deleted;
        lock_release(&mailbox->lock);
        return deleted ? fault(error, FAULT_NO_SUCH_MBOX, "no such mailbox: %u", mailbox->id)
                       : fault(error, FAULT_MAINTENANCE, "mailbox in maintenance mode: %u",
                               mailbox->id);
    }
    db = db_take(error);
    if (db == NULL || !open_folders_tags(mailbox, db, error)) {
        g_clear_pointer(&db, db_give);
        lock_release(&mailbox->lock);
        return false;
    }
    change->mailbox = mailbox_ref(mailbox);
    change->db = db;
    change->number = mailbox->now.last_change + 1;
    change->now = (unsigned)time(NULL);
    change->before = mailbox->now;
    change->old_blobs = g_ptr_array_new_with_free_func(old_blob_free);
    return true;
}

/* The folder's own numbers are written back as they were (doc/platform.md 2.7 B). */
static bool persist_folder(Change *change, Folder *folder, GError **error)
{
    return db_exec(change->db, error,
                   "UPDATE mboxgroup%u.mail_item SET size = %ld, unread = %ld, metadata = %p,"
                   " mod_metadata = %u, change_date = %u, mod_content = %u"
                   " WHERE mailbox_id = %u AND id = %u",
                   change->mailbox->group, (long)folder->count, (long)folder->unread,
                   (void *)folder->metadata, folder->mod_metadata, folder->change_date,
                   folder->mod_content, change->mailbox->id, folder->id);
}

static bool persist_counts(Change *change, bool *any, GError **error)
{
    GHashTableIter walk;
    gpointer value;

    g_hash_table_iter_init(&walk, change->mailbox->folders);
    while (g_hash_table_iter_next(&walk, NULL, &value)) {
        Folder *folder = value;
        *any |= folder->dirty;
        if (folder->dirty && !persist_folder(change, folder, error))
            return false;
        folder->dirty = false;
    }
    g_hash_table_iter_init(&walk, change->mailbox->tags);
    while (g_hash_table_iter_next(&walk, NULL, &value)) {
        Tag *tag = value;
        *any |= tag->dirty;
        if (tag->dirty && !db_exec(change->db, error,
                                   "UPDATE mboxgroup%u.tag SET item_count = %ld, unread = %ld"
                                   " WHERE mailbox_id = %u AND id = %d",
                                   change->mailbox->group, (long)tag->count, (long)tag->unread,
                                   change->mailbox->id, tag->id))
            return false;
        tag->dirty = false;
    }
    return true;
}

static bool crossed(unsigned stored, unsigned now, unsigned increment)
{
    return now / increment > stored / increment;
}

static bool persist_mailbox(Change *change, GError **error)
{
    const Mailbox *mailbox = change->mailbox;
    const Counters *now = &mailbox->now, *stored = &mailbox->stored;

    if (now->size == stored->size && now->contacts == stored->contacts &&
        now->new_messages == stored->new_messages &&
        !crossed(stored->last_item, now->last_item, ITEM_INCREMENT) &&
        !crossed(stored->last_change, now->last_change, config->change_increment))
        return true;
    if (!db_exec(change->db, error,
                 "UPDATE zimbra.mailbox SET item_id_checkpoint = %u, contact_count = %u,"
                 " change_checkpoint = %u, size_checkpoint = %ld, new_messages = %u"
                 " WHERE id = %u",
                 now->last_item, now->contacts, now->last_change, (long)now->size,
                 now->new_messages, mailbox->id))
        return false;
    change->mailbox->stored = *now;
    return true;
}

bool change_commit(Change *change, GError **error)
{
    Mailbox *mailbox = change->mailbox;
    Counters stored = mailbox->stored;
    bool counted = false;

    if (!change->silent)
        mailbox->now.last_change = change->number;
    change->committed = persist_counts(change, &counted, error) && persist_mailbox(change, error) &&
                        db_commit(change->db, error);
    if (!change->committed)
        mailbox->stored = stored;
    else if (counted)
        publish_folders_tags(mailbox);
    return change->committed;
}

void change_end(Change *change)
{
    Mailbox *mailbox = change->mailbox;

    if (mailbox == NULL)
        return;
    if (!change->committed) {
        /* Number and ids are handed out again, as doc/platform.md 2.6 has it; the counts in memory
         * are not to be trusted any more. */
        mailbox->now = change->before;
        if (!change->silent)
            forget_folders_tags(mailbox);
    }
    db_give(change->db);
    lock_release(&mailbox->lock);
    for (guint i = 0; change->committed && i < change->old_blobs->len; i++) {
        const OldBlob *old = change->old_blobs->pdata[i];
        blob_delete(old->locator, mailbox->id, old->item, old->revision);
    }
    g_ptr_array_unref(change->old_blobs);
    mailbox_unref(mailbox);
    *change = (Change){ 0 };
}

unsigned change_new_item_id(Change *change)
{
    return ++change->mailbox->now.last_item;
}

Folder *change_folder(Change *change, unsigned id)
{
    return g_hash_table_lookup(change->mailbox->folders, GUINT_TO_POINTER(id));
}

Tag *change_tag(Change *change, int id)
{
    return g_hash_table_lookup(change->mailbox->tags, GINT_TO_POINTER(id));
}

Tag *change_tag_named(Change *change, const char *name)
{
    GHashTableIter walk;
    gpointer value;

    g_hash_table_iter_init(&walk, change->mailbox->tags);
    while (g_hash_table_iter_next(&walk, NULL, &value)) {
        Tag *tag = value;
        if (tag->id > 0 && strcmp(tag->name, name) == 0)
            return tag;
    }
    return NULL;
}

void change_old_blob(Change *change, const char *locator, unsigned item, unsigned revision)
{
    OldBlob *old = g_new0(OldBlob, 1);

    old->locator = g_strdup(locator);
    old->item = item;
    old->revision = revision;
    g_ptr_array_add(change->old_blobs, old);
}

void change_count(Change *change, Folder *folder, int items, int unread, int64_t size,
                  unsigned imap_id)
{
    g_autoptr(Ben) metadata = ben_parse_dict(folder->metadata);

    folder->count = MAX(folder->count + items, 0);
    folder->unread = MAX(folder->unread + unread, 0);
    folder->dirty = true;
    if (metadata == NULL)
        return;
    ben_set_int(metadata, "mseq", change->number);
    ben_set_int(metadata, "sz", MAX(ben_int(metadata, "sz") + size, 0));
    if (items > 0 && imap_id > 0)
        ben_set_int(metadata, "unxt", MAX(ben_int(metadata, "unxt"), (int64_t)imap_id + 1));
    if (items > 0)
        ben_set_int(metadata, "i4r", ben_int(metadata, "i4r") + 1);
    g_bytes_unref(folder->metadata);
    folder->metadata = ben_bytes(metadata);
}

void change_tag_count(Change *change, int id, int items, int unread)
{
    Tag *tag = change_tag(change, id);

    if (tag == NULL)
        return;
    tag->count = MAX(tag->count + items, 0);
    tag->unread = MAX(tag->unread + unread, 0);
    tag->dirty = true;
}

void change_add_folder(Change *change, Folder *folder)
{
    g_hash_table_replace(change->mailbox->folders, GUINT_TO_POINTER(folder->id), folder);
    folder->dirty = true;
}

void change_add_tag(Change *change, Tag *tag)
{
    g_hash_table_replace(change->mailbox->tags, GINT_TO_POINTER(tag->id), tag);
    tag->dirty = true;
}
