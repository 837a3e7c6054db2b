/* item.c - see item.h. */
#include "tests/mailboxd/item.h"
#include "tests/mailboxd/ben.h"
#include "tests/mailboxd/config.h"
#include "tests/mailboxd/indexing.h"
#include <string.h>

enum { PREV_FOLDERS_KEPT = 10 };

void item_clear(Item *item)
{
    char *texts[] = { item->locator, item->digest, item->sender, item->recipients,
                      item->subject, item->name,   item->uuid,   item->prev_folders };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        g_free(texts[i]);
    g_clear_pointer(&item->metadata, g_bytes_unref);
    g_clear_pointer(&item->tag_names, g_bytes_unref);
    *item = (Item){ 0 };
}

bool item_load(Change *change, unsigned id, Item *item, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(change->db, error,
                 "SELECT type, parent_id, folder_id, flags, mod_metadata, mod_content, date,"
                 " imap_id, unread, size, locator, blob_digest, sender, recipients, subject, name,"
                 " uuid, metadata, tag_names, prev_folders, index_id"
                 " FROM mboxgroup%u.mail_item WHERE mailbox_id = %u AND id = %u",
                 change->mailbox->group, change->mailbox->id, id);

    *item = (Item){ .id = id };
    if (rows == NULL)
        return false;
    if (!rows_next(rows))
        return fault(error, FAULT_NO_SUCH_ITEM, "no such item: %u", id);
    item->type = rows_uint(rows, 0);
    item->parent = rows_uint(rows, 1);
    item->folder = rows_uint(rows, 2);
    item->flags = rows_uint(rows, 3);
    item->mod_metadata = rows_uint(rows, 4);
    item->mod_content = rows_uint(rows, 5);
    item->date = rows_uint(rows, 6);
    item->imap_id = rows_uint(rows, 7);
    item->unread = (int)rows_i64(rows, 8);
    item->size = rows_i64(rows, 9);
    item->locator = rows_text(rows, 10);
    item->digest = rows_text(rows, 11);
    item->sender = rows_text(rows, 12);
    item->recipients = rows_text(rows, 13);
    item->subject = rows_text(rows, 14);
    item->name = rows_text(rows, 15);
    item->uuid = rows_text(rows, 16);
    item->metadata = rows_bytes(rows, 17);
    item->tag_names = rows_bytes(rows, 18);
    item->prev_folders = rows_text(rows, 19);
    item->indexable = !rows_is_null(rows, 20);
    return true;
}

static bool pick_from(Change *change, unsigned type, unsigned folder, unsigned flags, unsigned from,
                      unsigned *id, GError **error)
{
    g_autoptr(DbRows) rows = db_query(
        change->db, error,
        "SELECT id FROM mboxgroup%u.mail_item WHERE mailbox_id = %u AND id >= %u"
        " AND type = %u AND (folder_id = %u OR (%u = 0 AND folder_id <> 3))"
        " AND flags & %u = %u ORDER BY id LIMIT 1",
        change->mailbox->group, change->mailbox->id, from, type, folder, folder, flags, flags);

    if (rows == NULL)
        return false;
    *id = rows_next(rows) ? rows_uint(rows, 0) : 0;
    return true;
}

bool item_pick(Change *change, unsigned type, unsigned folder, unsigned flags, unsigned *id,
               GError **error)
{
    unsigned from = (unsigned)g_random_int_range(0, (gint32)change->mailbox->now.last_item + 1);

    return pick_from(change, type, folder, flags, from, id, error) &&
           (*id != 0 || pick_from(change, type, folder, flags, 0, id, error));
}

GBytes *item_metadata(const char *fragment, const char *sender, const char *prefix)
{
    g_autoptr(Ben) metadata = ben_dict();

    ben_set_text(metadata, "f", fragment);
    ben_set_text(metadata, "s", sender);
    if (prefix != NULL)
        ben_set_text(metadata, "p", prefix);
    ben_set_int(metadata, "v", 10);
    return ben_bytes(metadata);
}

static bool insert_tagged(Change *change, unsigned item, int tag, GError **error)
{
    if (change_tag(change, tag) == NULL) /* only what is reified has rows */
        return true;
    return db_exec(change->db, error,
                   "REPLACE INTO mboxgroup%u.tagged_item (mailbox_id, tag_id, item_id)"
                   " VALUES (%u, %d, %u)",
                   change->mailbox->group, change->mailbox->id, tag, item);
}

static bool insert_flags(Change *change, const Item *item, GError **error)
{
    for (int flag = -1; flag >= -31; flag--) {
        bool on = flag == FLAG_UNREAD ? item->unread > 0 : (item->flags & flag_bit(flag)) != 0;
        if (!on)
            continue;
        change_tag_count(change, flag, 1, item->unread > 0);
        if (!insert_tagged(change, item->id, flag, error))
            return false;
    }
    return true;
}

bool item_insert(Change *change, Item *item, const Blob *blob, GError **error)
{
    Mailbox *mailbox = change->mailbox;
    Folder *folder = change_folder(change, item->folder);
    g_autofree char *locator = blob == NULL ? NULL : g_strdup_printf("%u", blob->volume->id);
    g_autofree char *uuid = g_uuid_string_random();

    if (folder == NULL)
        return fault(error, FAULT_FAILURE, "no such folder: %u", item->folder);
    item->id = change_new_item_id(change);
    item->imap_id = mailbox->tracking_imap ? 0 : item->id;
    if (blob != NULL)
        item->size = (int64_t)blob->size;
    if (item->date == 0)
        item->date = change->now;
    if (!db_exec(
            change->db, error,
            "INSERT INTO mboxgroup%u.mail_item (mailbox_id, id, type, folder_id, imap_id, date,"
            " size, locator, blob_digest, flags, sender, recipients, subject, name, metadata,"
            " mod_metadata, change_date, mod_content, uuid) VALUES (%u, %u, %u, %u, %u, %u,"
            " %ld, %s, %s, %u, %s, %s, %s, %s, %p, %u, %u, %u, %s)",
            mailbox->group, mailbox->id, item->id, item->type, item->folder, item->imap_id,
            item->date, (long)item->size, locator, blob == NULL ? NULL : blob->digest, item->flags,
            item->sender, item->recipients, item->subject, item->name, (void *)item->metadata,
            change->number, change->now, change->number, uuid))
        return false;
    if (item->type == TYPE_MESSAGE &&
        !db_exec(change->db, error,
                 "UPDATE mboxgroup%u.mail_item SET unread = %d WHERE mailbox_id = %u AND id = %u",
                 mailbox->group, item->unread, mailbox->id, item->id))
        return false;
    if (item->indexable &&
        !db_exec(change->db, error,
                 "UPDATE mboxgroup%u.mail_item SET index_id = 0 WHERE mailbox_id = %u AND id = %u",
                 mailbox->group, mailbox->id, item->id))
        return false;
    if (blob != NULL && !blob_link(blob, mailbox->id, item->id, change->number, error))
        return false;
    mailbox->now.size += item->size;
    mailbox->now.contacts += item->type == TYPE_CONTACT;
    change_count(change, folder, 1, item->unread, item->size, item->imap_id);
    return insert_flags(change, item, error);
}

/* The row of a real conversation, and everything that was the virtual one moved below it. */
static bool make_conversation(Change *change, unsigned first, const Item *item, const char *hash,
                              unsigned *conversation, GError **error)
{
    const Mailbox *mailbox = change->mailbox;
    g_autofree char *uuid = g_uuid_string_random();

    *conversation = change_new_item_id(change);
    return db_exec(change->db, error,
                   "INSERT INTO mboxgroup%u.mail_item (mailbox_id, id, type, folder_id, date, size,"
                   " subject, metadata, mod_metadata, change_date, mod_content, uuid)"
                   " VALUES (%u, %u, 4, 9, %u, 1, %s, 'd4:prtcle1:vi10ee', %u, %u, %u, %s)",
                   mailbox->group, mailbox->id, *conversation, change->now, item->subject,
                   change->number, change->now, change->number, uuid) &&
           db_exec(change->db, error,
                   "UPDATE mboxgroup%u.mail_item SET parent_id = %u, mod_metadata = %u,"
                   " change_date = %u WHERE mailbox_id = %u AND id = %u",
                   mailbox->group, *conversation, change->number, change->now, mailbox->id,
                   first) &&
           db_exec(change->db, error,
                   "UPDATE mboxgroup%u.open_conversation SET conv_id = %u"
                   " WHERE mailbox_id = %u AND hash = %s",
                   mailbox->group, *conversation, mailbox->id, hash);
}

static bool join_conversation(Change *change, Item *item, unsigned conversation, GError **error)
{
    const Mailbox *mailbox = change->mailbox;

    item->parent = conversation;
    return db_exec(change->db, error,
                   "UPDATE mboxgroup%u.mail_item SET parent_id = %u"
                   " WHERE mailbox_id = %u AND id = %u",
                   mailbox->group, conversation, mailbox->id, item->id) &&
           db_exec(change->db, error,
                   "UPDATE mboxgroup%u.mail_item SET size = size + 1, date = %u, mod_metadata = %u,"
                   " change_date = %u WHERE mailbox_id = %u AND id = %u",
                   mailbox->group, item->date, change->number, change->now, mailbox->id,
                   conversation);
}

bool item_thread(Change *change, Item *item, const char *hash, bool is_reply, GError **error)
{
    const Mailbox *mailbox = change->mailbox;
    g_autoptr(DbRows) rows =
        db_query(change->db, error,
                 "SELECT o.conv_id, i.type FROM mboxgroup%u.open_conversation o"
                 " JOIN mboxgroup%u.mail_item i ON i.mailbox_id = o.mailbox_id AND i.id = o.conv_id"
                 " WHERE o.mailbox_id = %u AND o.hash = %s",
                 mailbox->group, mailbox->group, mailbox->id, hash);

    if (rows == NULL)
        return false;
    if (!is_reply || !rows_next(rows)) /* a virtual conversation: the message itself */
        return db_exec(change->db, error,
                       "REPLACE INTO mboxgroup%u.open_conversation (mailbox_id, hash, conv_id)"
                       " VALUES (%u, %s, %u)",
                       mailbox->group, mailbox->id, hash, item->id);
    unsigned conversation = rows_uint(rows, 0);
    if (rows_uint(rows, 1) != TYPE_CONVERSATION &&
        !make_conversation(change, conversation, item, hash, &conversation, error))
        return false;
    return join_conversation(change, item, conversation, error);
}

/* Text of tag_names with @name added or taken out: \0name\0name\0, NULL when empty. */
static GBytes *tag_names_with(GBytes *old, const char *name, bool on)
{
    g_autoptr(GString) out = g_string_new(NULL);
    size_t length = 0;
    const char *bytes = old == NULL ? NULL : g_bytes_get_data(old, &length);

    for (size_t at = 0; at < length;) {
        const char *end = memchr(bytes + at, '\0', length - at);
        size_t part = end == NULL ? length - at : (size_t)(end - bytes) - at;
        bool same = part == strlen(name) && memcmp(bytes + at, name, part) == 0;
        if (part > 0 && !same) {
            g_string_append_c(out, '\0');
            g_string_append_len(out, bytes + at, (gssize)part);
        }
        at += part + 1;
    }
    if (on) {
        g_string_append_c(out, '\0');
        g_string_append(out, name);
    }
    if (out->len == 0)
        return NULL;
    g_string_append_c(out, '\0');
    return g_string_free_to_bytes(g_steal_pointer(&out));
}

static bool update_tag_column(Change *change, const Item *item, int tag, bool on, GError **error)
{
    const Mailbox *mailbox = change->mailbox;

    if (tag == FLAG_UNREAD)
        return db_exec(change->db, error,
                       "UPDATE mboxgroup%u.mail_item SET unread = %d, mod_metadata = %u,"
                       " change_date = %u WHERE mailbox_id = %u AND id = %u",
                       mailbox->group, on, change->number, change->now, mailbox->id, item->id);
    if (tag < 0)
        return db_exec(change->db, error,
                       "UPDATE mboxgroup%u.mail_item SET flags = %u, mod_metadata = %u,"
                       " change_date = %u WHERE mailbox_id = %u AND id = %u",
                       mailbox->group,
                       on ? item->flags | flag_bit(tag) : item->flags & ~flag_bit(tag),
                       change->number, change->now, mailbox->id, item->id);
    g_autoptr(GBytes) names = tag_names_with(item->tag_names, change_tag(change, tag)->name, on);
    return db_exec(change->db, error,
                   "UPDATE mboxgroup%u.mail_item SET tag_names = %p, mod_metadata = %u,"
                   " change_date = %u WHERE mailbox_id = %u AND id = %u",
                   mailbox->group, (void *)names, change->number, change->now, mailbox->id,
                   item->id);
}

/* Tags and flags that tagged_item names for @item. */
static bool tags_of(Change *change, unsigned item, GArray *tags, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(change->db, error,
                 "SELECT tag_id FROM mboxgroup%u.tagged_item WHERE mailbox_id = %u"
                 " AND item_id = %u",
                 change->mailbox->group, change->mailbox->id, item);

    while (rows != NULL && rows_next(rows)) {
        int tag = (int)rows_i64(rows, 0);
        g_array_append_val(tags, tag);
    }
    return rows != NULL;
}

/* Read or unread changes the unread count of every tag the item has. */
static bool count_unread(Change *change, const Item *item, int delta, GError **error)
{
    g_autoptr(GArray) tags = g_array_new(FALSE, FALSE, sizeof(int));
    Folder *folder = change_folder(change, item->folder);

    if (folder != NULL)
        change_count(change, folder, 0, delta, 0, 0);
    if (!tags_of(change, item->id, tags, error))
        return false;
    for (guint i = 0; i < tags->len; i++)
        if (g_array_index(tags, int, i) != FLAG_UNREAD)
            change_tag_count(change, g_array_index(tags, int, i), 0, delta);
    return true;
}

bool item_alter_tag(Change *change, const Item *item, int tag, bool on, GError **error)
{
    const Mailbox *mailbox = change->mailbox;
    int delta = on ? 1 : -1;

    if (change_tag(change, tag) == NULL && tag > 0)
        return fault(error, FAULT_NO_SUCH_ITEM, "no such tag: %d", tag);
    if (!update_tag_column(change, item, tag, on, error))
        return false;
    g_autoptr(GArray) tags = g_array_new(FALSE, FALSE, sizeof(int));
    if (!tags_of(change, item->id, tags, error))
        return false;
    bool had = false;
    for (guint i = 0; i < tags->len; i++)
        had |= g_array_index(tags, int, i) == tag;
    if (had == on)
        return true;
    if (tag == FLAG_UNREAD && item->unread != on && !count_unread(change, item, delta, error))
        return false;
    change_tag_count(change, tag, delta, tag == FLAG_UNREAD ? delta : delta * (item->unread > 0));
    if (on)
        return insert_tagged(change, item->id, tag, error);
    return db_exec(change->db, error,
                   "DELETE FROM mboxgroup%u.tagged_item WHERE mailbox_id = %u AND tag_id = %d"
                   " AND item_id = %u",
                   mailbox->group, mailbox->id, tag, item->id);
}

/* "modseq:folder;..." with the newest last, the last ten kept. */
static char *prev_folders_with(const Item *item, unsigned number)
{
    g_auto(GStrv) old = g_strsplit(item->prev_folders == NULL ? "" : item->prev_folders, ";", -1);
    guint count = g_strv_length(old);
    GString *out = g_string_new(NULL);

    for (guint i = count > PREV_FOLDERS_KEPT ? count - PREV_FOLDERS_KEPT : 0; i < count; i++)
        if (*old[i] != '\0')
            g_string_append_printf(out, "%s;", old[i]);
    g_string_append_printf(out, "%u:%u;", number, item->folder);
    return g_string_free(out, FALSE);
}

bool item_move(Change *change, const Item *item, unsigned to, GError **error)
{
    const Mailbox *mailbox = change->mailbox;
    Folder *source = change_folder(change, item->folder), *target = change_folder(change, to);
    g_autofree char *prev = prev_folders_with(item, change->number);
    unsigned imap_id = mailbox->tracking_imap ? 0 : item->imap_id;

    if (source == NULL || target == NULL)
        return fault(error, FAULT_FAILURE, "no such folder: %u or %u", item->folder, to);
    change_count(change, source, -1, -item->unread, -item->size, 0);
    change_count(change, target, 1, item->unread, item->size, imap_id);
    return db_exec(change->db, error,
                   "UPDATE mboxgroup%u.mail_item SET folder_id = %u, prev_folders = %s,"
                   " imap_id = %u, mod_metadata = %u, change_date = %u"
                   " WHERE mailbox_id = %u AND id = %u",
                   mailbox->group, to, prev, imap_id, change->number, change->now, mailbox->id,
                   item->id);
}

bool item_update_content(Change *change, Item *item, const Blob *blob, GBytes *metadata,
                         GError **error)
{
    Mailbox *mailbox = change->mailbox;
    g_autofree char *locator = g_strdup_printf("%u", blob->volume->id);
    Folder *folder = change_folder(change, item->folder);
    int64_t grown = (int64_t)blob->size - item->size;

    if (!blob_link(blob, mailbox->id, item->id, change->number, error) ||
        !db_exec(change->db, error,
                 "UPDATE mboxgroup%u.mail_item SET size = %ld, locator = %s, blob_digest = %s,"
                 " date = %u, metadata = %p, index_id = IF(index_id IS NULL, NULL, 0),"
                 " imap_id = %u, mod_metadata = %u, change_date = %u, mod_content = %u"
                 " WHERE mailbox_id = %u AND id = %u",
                 mailbox->group, (long)blob->size, locator, blob->digest, change->now,
                 (void *)(metadata == NULL ? item->metadata : metadata),
                 mailbox->tracking_imap ? 0 : item->imap_id, change->number, change->now,
                 change->number, mailbox->id, item->id))
        return false;
    mailbox->now.size += grown;
    if (folder != NULL)
        change_count(change, folder, 0, 0, grown, 0);
    return true;
}
