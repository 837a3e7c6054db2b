/* create.c - a mailbox comes into being, and is taken out of the store (doc/platform.md 2.3, 2.4,
 * 6.4). */
#include "tests/mailboxd/config.h"
#include "tests/mailboxd/index.h"
#include "tests/mailboxd/mailbox.h"
#include "tests/mailboxd/memcached.h"
#include <string.h>
#include <time.h>

enum { FIRST_USER_ID = 256 };

static const struct {
    unsigned id, parent;
    const char *name;
} system_folders[] = {
    { FOLDER_ROOT, FOLDER_ROOT, "ROOT" },
    { FOLDER_USER_ROOT, FOLDER_ROOT, "USER_ROOT" },
    { 8, FOLDER_ROOT, "Tags" },
    { FOLDER_CONVERSATIONS, FOLDER_ROOT, "Conversations" },
    { 17, FOLDER_ROOT, "Comments" },
    { FOLDER_INBOX, FOLDER_USER_ROOT, "Inbox" },
    { FOLDER_TRASH, FOLDER_USER_ROOT, "Trash" },
    { FOLDER_JUNK, FOLDER_USER_ROOT, "Junk" },
    { FOLDER_SENT, FOLDER_USER_ROOT, "Sent" },
    { FOLDER_DRAFTS, FOLDER_USER_ROOT, "Drafts" },
    { FOLDER_CONTACTS, FOLDER_USER_ROOT, "Contacts" },
    { FOLDER_CALENDAR, FOLDER_USER_ROOT, "Calendar" },
    { 13, FOLDER_USER_ROOT, "Emailed Contacts" },
    { 14, FOLDER_USER_ROOT, "Chats" },
    { 15, FOLDER_USER_ROOT, "Tasks" },
    { FOLDER_BRIEFCASE, FOLDER_USER_ROOT, "Briefcase" },
};

static const struct {
    int id;
    const char *name;
} system_flags[] = {
    { -1, "\\Sent" },     { -2, "\\Attached" }, { -3, "\\Answered" },  { -4, "\\Forwarded" },
    { -5, "\\Copied" },   { -6, "\\Flagged" },  { -7, "\\Draft" },     { -8, "\\Deleted" },
    { -9, "\\Notified" }, { -10, "\\Unread" },  { -11, "\\Urgent" },   { -13, "\\Versioned" },
    { -15, "\\Popped" },  { -16, "\\Note" },    { -17, "\\Priority" }, { -18, "\\Post" },
    { -19, "\\Muted" },   { -24, "\\Invite" },
};

/* Only whether the schema is there is looked at (doc/platform.md 2.4). */
static bool ensure_schema(Db *db, unsigned group, GError **error)
{
    g_autofree char *name = g_strdup_printf("mboxgroup%u", group);
    g_autoptr(DbRows) rows = db_query(
        db, error, "SELECT 1 FROM INFORMATION_SCHEMA.SCHEMATA WHERE SCHEMA_NAME = %s", name);
    g_autofree char *script = NULL;

    if (rows == NULL || rows_count(rows) > 0)
        return rows != NULL;
    if (!g_file_get_contents(config->schema_template, &script, NULL, NULL))
        return fault(error, FAULT_FAILURE, "%s is missing", config->schema_template);
    g_auto(GStrv) parts = g_strsplit(script, "${DATABASE_NAME}", -1);
    g_autofree char *sql = g_strjoinv(name, parts);
    return db_script(db, sql, error);
}

static bool next_id(Db *db, unsigned *id, GError **error)
{
    if (!db_exec(db, error,
                 "UPDATE zimbra.current_volumes SET next_mailbox_id = next_mailbox_id + 1"))
        return false;
    g_autoptr(DbRows) rows =
        db_query(db, error, "SELECT next_mailbox_id - 1 FROM zimbra.current_volumes");
    if (rows == NULL)
        return false;
    if (!rows_next(rows))
        return fault(error, FAULT_FAILURE, "current_volumes is empty");
    *id = rows_uint(rows, 0);
    return true;
}

static bool insert_folders(Db *db, unsigned group, unsigned id, GError **error)
{
    unsigned now = (unsigned)time(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(system_folders); i++) {
        g_autofree char *uuid = g_uuid_string_random();
        if (!db_exec(db, error,
                     "INSERT INTO mboxgroup%u.mail_item (mailbox_id, id, type, parent_id,"
                     " folder_id, date, size, unread, name, subject, metadata, mod_metadata,"
                     " change_date, mod_content, uuid) VALUES (%u, %u, 1, %u, %u, %u, 0, 0, %s,"
                     " %s, 'd1:ai1e4:mseqi1e4:unxti1e1:vi10e2:vti0ee', 1, %u, 1, %s)",
                     group, id, system_folders[i].id, system_folders[i].parent,
                     system_folders[i].parent, now, system_folders[i].name, system_folders[i].name,
                     now, uuid))
            return false;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(system_flags); i++)
        if (!db_exec(db, error,
                     "INSERT INTO mboxgroup%u.tag (mailbox_id, id, name, listed, sequence)"
                     " VALUES (%u, %d, %s, 0, 1)",
                     group, id, system_flags[i].id, system_flags[i].name))
            return false;
    return true;
}

bool mailbox_create(const Entry *account, unsigned *id, GError **error)
{
    g_autoptr(Db) db = db_take(error);
    g_autofree char *name = account_name(account);
    g_autofree char *lower = g_ascii_strdown(account_id(account), -1);

    if (db == NULL || !next_id(db, id, error))
        return false;
    unsigned group = (*id - 1) % config->mailbox_groups + 1;
    g_autoptr(Db) other = db_take(error); /* CREATE commits what its connection has open */
    return other != NULL && ensure_schema(other, group, error) &&
           db_exec(db, error,
                   "INSERT INTO zimbra.mailbox (id, group_id, account_id, index_volume_id,"
                   " item_id_checkpoint, change_checkpoint, comment, version)"
                   " VALUES (%u, %u, %s, %u, %u, 1, %s, '2.7')",
                   *id, group, lower, volume_current(VOLUME_INDEX), FIRST_USER_ID - 1, name) &&
           db_exec(db, error, "DELETE FROM zimbra.deleted_account WHERE email = %s", name) &&
           insert_folders(db, group, *id, error) && db_commit(db, error);
}

/* The order and the omissions of DbMailbox: `watch` stays behind (doc/platform.md 2.3). */
static bool delete_items(Db *db, const Mailbox *mailbox, GError **error)
{
#define DELETE_FROM(table)                                                                        \
    db_exec(db, error, "DELETE FROM mboxgroup%u." table " WHERE mailbox_id = %u", mailbox->group, \
            mailbox->id)
    return DELETE_FROM("tagged_item") && DELETE_FROM("open_conversation") &&
           DELETE_FROM("tombstone") && DELETE_FROM("revision") &&
           DELETE_FROM("revision_dumpster") && DELETE_FROM("appointment") &&
           DELETE_FROM("appointment_dumpster") && DELETE_FROM("pop3_message") &&
           DELETE_FROM("imap_message") && DELETE_FROM("imap_folder") &&
           DELETE_FROM("data_source_item") && DELETE_FROM("mail_item") &&
           DELETE_FROM("mail_item_dumpster") && DELETE_FROM("tag");
#undef DELETE_FROM
}

static bool delete_rows(Db *db, const Mailbox *mailbox, GError **error)
{
    if (!db_exec(db, error, "SET SESSION FOREIGN_KEY_CHECKS = 0"))
        return false;
    bool done = delete_items(db, mailbox, error);
    return db_exec(db, done ? error : NULL, "SET SESSION FOREIGN_KEY_CHECKS = 1") && done;
}

static bool delete_mailbox_row(Db *db, const Mailbox *mailbox, GError **error)
{
    return db_exec(db, error,
                   "REPLACE INTO zimbra.deleted_account (email, account_id, mailbox_id, deleted_at)"
                   " SELECT LOWER(comment), account_id, id, %u FROM zimbra.mailbox"
                   " WHERE id = %u AND comment IS NOT NULL",
                   (unsigned)time(NULL), mailbox->id) &&
           db_exec(db, error, "DELETE FROM zimbra.mailbox WHERE id = %u", mailbox->id) &&
           db_exec(db, error, "DELETE FROM zimbra.volume_blobs WHERE mailbox_id = %u", mailbox->id);
}

static void forget_in_memcached(const Mailbox *mailbox)
{
    g_autofree char *folders = folders_tags_key(mailbox);
    g_autofree char *calendars = g_strconcat("zmCalsList:", mailbox->account_id, NULL);

    memcached_delete(folders);
    memcached_delete(calendars);
}

bool mailbox_erase(Mailbox *mailbox, GError **error)
{
    g_autoptr(Db) db = db_take(error);

    if (db == NULL || !delete_rows(db, mailbox, error) || !delete_mailbox_row(db, mailbox, error) ||
        !db_commit(db, error))
        return false;
    index_stop(mailbox->index);
    const GPtrArray *volumes = volumes_all();
    for (guint i = 0; i < volumes->len; i++) {
        g_autofree char *dir = volume_mailbox_dir(volumes->pdata[i], mailbox->id);
        remove_tree(dir);
    }
    forget_in_memcached(mailbox);
    return true;
}
