/* remove.c - how items go: with hardly a trace (doc/platform.md 2.7 A). A hard delete leaves a
 * tombstone only while somebody syncs; the dumpster takes a copy of the row and keeps the blob;
 * what leaves the dumpster leaves nothing at all. */
#include "tests/mailboxd/item.h"

/* A conversation that loses a message is numbered; one that loses its last goes too. */
static bool shrink_conversation(Change *change, unsigned conversation, GError **error)
{
    const Mailbox *mailbox = change->mailbox;

    return db_exec(change->db, error,
                   "UPDATE mboxgroup%u.mail_item SET size = IF(size > 0, size - 1, 0),"
                   " mod_metadata = %u, change_date = %u"
                   " WHERE mailbox_id = %u AND id = %u AND type = 4",
                   mailbox->group, change->number, change->now, mailbox->id, conversation) &&
           db_exec(change->db, error,
                   "DELETE c FROM mboxgroup%u.mail_item c LEFT JOIN mboxgroup%u.mail_item m"
                   " ON m.mailbox_id = c.mailbox_id AND m.parent_id = c.id"
                   " WHERE c.mailbox_id = %u AND c.id = %u AND c.type = 4 AND m.id IS NULL",
                   mailbox->group, mailbox->group, mailbox->id, conversation);
}

static bool insert_tombstone(Change *change, const Item *item, GError **error)
{
    const Mailbox *mailbox = change->mailbox;
    g_autofree char *ids = item->uuid == NULL ? g_strdup_printf("%u", item->id)
                                              : g_strdup_printf("%u:%s", item->id, item->uuid);

    if (mailbox->tracking_sync == 0)
        return true;
    return db_exec(change->db, error,
                   "INSERT INTO mboxgroup%u.tombstone (mailbox_id, sequence, date, type, ids)"
                   " VALUES (%u, %u, %u, %u, %s)",
                   mailbox->group, mailbox->id, change->number, change->now, item->type, ids);
}

#define ITEM_COLUMNS                                                                            \
    "mailbox_id, id, type, parent_id, folder_id, prev_folders, index_id, imap_id, date, size,"  \
    " locator, blob_digest, unread, flags, tags, tag_names, sender, recipients, subject, name," \
    " metadata, mod_metadata, change_date, mod_content, uuid"

/* The row gets the number of this change, its revisions keep their old ones (2.7 C). */
static bool copy_to_dumpster(Change *change, const Item *item, GError **error)
{
    const Mailbox *mailbox = change->mailbox;

    if (!db_exec(change->db, error,
                 "INSERT INTO mboxgroup%u.mail_item_dumpster (" ITEM_COLUMNS
                 ") SELECT " ITEM_COLUMNS
                 " FROM mboxgroup%u.mail_item WHERE mailbox_id = %u AND id = %u",
                 mailbox->group, mailbox->group, mailbox->id, item->id) ||
        !db_exec(change->db, error,
                 "UPDATE mboxgroup%u.mail_item_dumpster SET mod_metadata = %u, change_date = %u"
                 " WHERE mailbox_id = %u AND id = %u",
                 mailbox->group, change->number, change->now, mailbox->id, item->id))
        return false;
    return db_exec(change->db, error,
                   "INSERT INTO mboxgroup%u.revision_dumpster (mailbox_id, item_id, version, date,"
                   " size, locator, blob_digest, name, metadata, mod_metadata, change_date,"
                   " mod_content) SELECT mailbox_id, item_id, version, date, size, locator,"
                   " blob_digest, name, metadata, mod_metadata, change_date, mod_content"
                   " FROM mboxgroup%u.revision WHERE mailbox_id = %u AND item_id = %u",
                   mailbox->group, mailbox->group, mailbox->id, item->id) &&
           db_exec(change->db, error,
                   "INSERT INTO mboxgroup%u.appointment_dumpster (mailbox_id, uid, item_id,"
                   " start_time, end_time) SELECT mailbox_id, uid, item_id, start_time, end_time"
                   " FROM mboxgroup%u.appointment WHERE mailbox_id = %u AND item_id = %u",
                   mailbox->group, mailbox->group, mailbox->id, item->id);
}

static bool drop_revision_blobs(Change *change, unsigned item, bool dumpster, GError **error)
{
    const Mailbox *mailbox = change->mailbox;
    g_autoptr(DbRows) rows =
        db_query(change->db, error,
                 dumpster ? "SELECT locator, mod_content FROM mboxgroup%u.revision_dumpster"
                            " WHERE mailbox_id = %u AND item_id = %u AND locator IS NOT NULL"
                          : "SELECT locator, mod_content FROM mboxgroup%u.revision"
                            " WHERE mailbox_id = %u AND item_id = %u AND locator IS NOT NULL",
                 mailbox->group, mailbox->id, item);

    while (rows != NULL && rows_next(rows)) {
        g_autofree char *locator = rows_text(rows, 0);
        change_old_blob(change, locator, item, rows_uint(rows, 1));
    }
    return rows != NULL;
}

static bool uncount_tags(Change *change, const Item *item, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(change->db, error,
                 "SELECT tag_id FROM mboxgroup%u.tagged_item WHERE mailbox_id = %u"
                 " AND item_id = %u",
                 change->mailbox->group, change->mailbox->id, item->id);

    while (rows != NULL && rows_next(rows))
        change_tag_count(change, (int)rows_i64(rows, 0), -1, -item->unread);
    return rows != NULL;
}

/* The dumpster takes mail, contacts, documents and calendar items, no drafts and no spam. */
static bool goes_to_dumpster(const Item *item)
{
    return item->folder != FOLDER_DRAFTS && item->folder != FOLDER_JUNK &&
           (item->type == TYPE_MESSAGE || item->type == TYPE_CONTACT ||
            item->type == TYPE_DOCUMENT || item->type == TYPE_APPOINTMENT);
}

bool item_delete(Change *change, const Item *item, bool dumpster, GError **error)
{
    Mailbox *mailbox = change->mailbox;
    Folder *folder = change_folder(change, item->folder);
    bool kept = dumpster && goes_to_dumpster(item);

    if (kept && !copy_to_dumpster(change, item, error))
        return false;
    if (!kept && !drop_revision_blobs(change, item->id, false, error))
        return false;
    if (!uncount_tags(change, item, error) || !insert_tombstone(change, item, error) ||
        !db_exec(change->db, error,
                 "DELETE FROM mboxgroup%u.mail_item WHERE mailbox_id = %u AND id = %u",
                 mailbox->group, mailbox->id, item->id))
        return false;
    if (item->parent != 0 && !shrink_conversation(change, item->parent, error))
        return false;
    if (!kept && item->locator != NULL)
        change_old_blob(change, item->locator, item->id, item->mod_content);
    mailbox->now.size -= item->size;
    mailbox->now.contacts -= item->type == TYPE_CONTACT && mailbox->now.contacts > 0;
    if (folder != NULL)
        change_count(change, folder, -1, -item->unread, -item->size, 0);
    return true;
}

bool item_empty_dumpster(Change *change, unsigned *count, GError **error)
{
    const Mailbox *mailbox = change->mailbox;
    g_autoptr(DbRows) rows =
        db_query(change->db, error,
                 "SELECT id, locator, mod_content FROM mboxgroup%u.mail_item_dumpster"
                 " WHERE mailbox_id = %u",
                 mailbox->group, mailbox->id);

    *count = 0;
    if (rows == NULL)
        return false;
    while (rows_next(rows)) {
        g_autofree char *locator = rows_text(rows, 1);
        if (locator != NULL)
            change_old_blob(change, locator, rows_uint(rows, 0), rows_uint(rows, 2));
        if (!drop_revision_blobs(change, rows_uint(rows, 0), true, error))
            return false;
        (*count)++;
    }
    return db_exec(change->db, error,
                   "DELETE FROM mboxgroup%u.mail_item_dumpster WHERE mailbox_id = %u",
                   mailbox->group, mailbox->id);
}
