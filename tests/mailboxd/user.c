/* user.c - see user.h. Each action is one transaction and leaves what the real one leaves, which
 * for many of them is next to nothing: doc/platform.md 2.7. */
#include "tests/mailboxd/user.h"
#include "tests/mailboxd/ben.h"
#include "tests/mailboxd/config.h"
#include "tests/mailboxd/deliver.h"
#include "tests/mailboxd/index.h"
#include "tests/mailboxd/indexing.h"
#include "tests/mailboxd/item.h"
#include "tests/mailboxd/tasks.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { INDEX_LIMIT = 500 };

typedef struct Act {
    const Entry *account;
    Mailbox *mailbox;
    GHashTable *query;
    unsigned item; /* asked for, or 0; then the one acted on */
    json_t *result;
} Act;

typedef bool (*ActFunction)(Act *act, Change *change, GError **error);

static const char *parameter(const Act *act, const char *name)
{
    return g_hash_table_lookup(act->query, name);
}

static unsigned number(const Act *act, const char *name, unsigned fallback)
{
    const char *text = parameter(act, name);

    return text == NULL ? fallback : (unsigned)strtoul(text, NULL, 10);
}

/* The item asked for, else any of that kind. */
static bool choose(Act *act, Change *change, unsigned type, unsigned folder, unsigned flags,
                   Item *item, GError **error)
{
    if (act->item == 0 && !item_pick(change, type, folder, flags, &act->item, error))
        return false;
    if (act->item == 0)
        return fault(error, FAULT_NO_SUCH_ITEM, "no item of type %u to act on", type);
    return item_load(change, act->item, item, error);
}

static bool alter(Act *act, Change *change, int tag, bool on, GError **error)
{
    g_auto(Item) item = { 0 };

    return choose(act, change, TYPE_MESSAGE, 0, 0, &item, error) &&
           item_alter_tag(change, &item, tag, on, error);
}

/* Sets the flag; without an item named, a message that has it loses it. */
static bool do_flag(Act *act, Change *change, GError **error)
{
    g_auto(Item) item = { 0 };
    bool named = act->item != 0;

    if (!choose(act, change, TYPE_MESSAGE, 0, 0, &item, error))
        return false;
    return item_alter_tag(change, &item, FLAG_FLAGGED,
                          named || !(item.flags & flag_bit(FLAG_FLAGGED)), error);
}

static bool do_unread(Act *act, Change *change, GError **error)
{
    return alter(act, change, FLAG_UNREAD, true, error);
}

static bool do_read(Act *act, Change *change, GError **error)
{
    return alter(act, change, FLAG_UNREAD, false, error);
}

static bool ensure_tag(Change *change, const char *name, Tag **out, GError **error)
{
    const Mailbox *mailbox = change->mailbox;

    *out = change_tag_named(change, name);
    if (*out != NULL)
        return true;
    Tag *tag = g_new0(Tag, 1);
    tag->id = (int)change_new_item_id(change);
    tag->name = g_strdup(name);
    tag->sequence = change->number;
    change_add_tag(change, tag);
    *out = tag;
    return db_exec(change->db, error,
                   "INSERT INTO mboxgroup%u.tag (mailbox_id, id, name, listed, sequence)"
                   " VALUES (%u, %d, %s, 1, %u)",
                   mailbox->group, mailbox->id, tag->id, name, change->number);
}

static bool do_tag(Act *act, Change *change, GError **error)
{
    const char *name = parameter(act, "name");
    Tag *tag;

    return ensure_tag(change, name == NULL ? "laboratory" : name, &tag, error) &&
           alter(act, change, tag->id, true, error);
}

static bool do_untag(Act *act, Change *change, GError **error)
{
    const Mailbox *mailbox = change->mailbox;
    g_autoptr(DbRows) rows =
        db_query(change->db, error,
                 "SELECT item_id, tag_id FROM mboxgroup%u.tagged_item WHERE mailbox_id = %u"
                 " AND tag_id > 0 AND (item_id = %u OR %u = 0) ORDER BY item_id DESC LIMIT 1",
                 mailbox->group, mailbox->id, act->item, act->item);

    if (rows == NULL)
        return false;
    if (!rows_next(rows))
        return fault(error, FAULT_NO_SUCH_ITEM, "nothing is tagged");
    act->item = rows_uint(rows, 0);
    return alter(act, change, (int)rows_i64(rows, 1), false, error);
}

static bool dumpster_enabled(const Act *act)
{
    g_autofree char *enabled = account_setting(act->account, "zimbraDumpsterEnabled");

    return g_strcmp0(enabled, "TRUE") == 0;
}

static bool do_delete(Act *act, Change *change, GError **error)
{
    g_auto(Item) item = { 0 };

    return choose(act, change, TYPE_MESSAGE, 0, 0, &item, error) &&
           item_delete(change, &item, dumpster_enabled(act), error);
}

static Folder *folder_named(Change *change, const char *name)
{
    GHashTableIter walk;
    gpointer value;

    g_hash_table_iter_init(&walk, change->mailbox->folders);
    while (g_hash_table_iter_next(&walk, NULL, &value)) {
        Folder *folder = value;
        if (folder->parent == FOLDER_USER_ROOT && g_strcmp0(folder->name, name) == 0)
            return folder;
    }
    return NULL;
}

static bool ensure_folder(Change *change, const char *name, Folder **out, GError **error)
{
    const Mailbox *mailbox = change->mailbox;
    g_autofree char *uuid = g_uuid_string_random();

    *out = folder_named(change, name);
    if (*out != NULL)
        return true;
    Folder *folder = g_new0(Folder, 1);
    static const char metadata[] = "d1:ai0e4:unxti1e1:vi10e2:vti5ee";
    folder->id = change_new_item_id(change);
    folder->parent = FOLDER_USER_ROOT;
    folder->type = TYPE_FOLDER;
    folder->name = g_strdup(name);
    folder->metadata = g_bytes_new_static(metadata, strlen(metadata));
    folder->mod_metadata = folder->mod_content = change->number;
    folder->change_date = change->now;
    change_add_folder(change, folder);
    *out = folder;
    Folder *root = change_folder(change, FOLDER_USER_ROOT);
    if (root != NULL)
        change_count(change, root, 1, 0, 0, 0);
    return db_exec(change->db, error,
                   "INSERT INTO mboxgroup%u.mail_item (mailbox_id, id, type, parent_id, folder_id,"
                   " imap_id, date, size, unread, name, subject, metadata, mod_metadata,"
                   " change_date, mod_content, uuid)"
                   " VALUES (%u, %u, 1, 1, 1, %u, %u, 0, 0, %s, %s, %p, %u, %u, %u, %s)",
                   mailbox->group, mailbox->id, folder->id, folder->id, change->now, name, name,
                   (void *)folder->metadata, change->number, change->now, change->number, uuid);
}

static bool do_move(Act *act, Change *change, GError **error)
{
    g_auto(Item) item = { 0 };
    unsigned to = number(act, "folder", 0);
    Folder *folder;

    if (!choose(act, change, TYPE_MESSAGE, 0, 0, &item, error))
        return false;
    if (to == 0) {
        if (!ensure_folder(change, "Moved by hand", &folder, error))
            return false;
        to = item.folder == folder->id ? FOLDER_INBOX : folder->id;
    }
    json_object_set_new(act->result, "folder", json_integer(to));
    return item_move(change, &item, to, error);
}

static bool do_soft_delete(Act *act, Change *change, GError **error)
{
    g_auto(Item) item = { 0 };

    return choose(act, change, TYPE_MESSAGE, 0, 0, &item, error) &&
           item_move(change, &item, FOLDER_TRASH, error);
}

/* Text nobody has seen before. */
static char *new_text(const Act *act, const char *what)
{
    g_autofree char *name = account_name(act->account);
    g_autofree char *unique = g_uuid_string_random();

    return g_strdup_printf("From: %s\r\nTo: friend@outside.example\r\nSubject: %s %.8s\r\n"
                           "Message-ID: <%s@%s>\r\n\r\nWritten %s by the laboratory.\r\n",
                           name, what, unique, unique, config->name, unique);
}

static GBytes *draft_metadata(const Message *message, int64_t send_at)
{
    g_autoptr(GBytes) plain = item_metadata(message->fragment, message->sender, NULL);
    g_autoptr(Ben) metadata = ben_parse_dict(plain);

    if (send_at > 0)
        ben_set_int(metadata, "das", send_at * 1000);
    return ben_bytes(metadata);
}

/* A new draft, or a new version of one: its blob goes, its row gets a new mod_content. */
static bool save_draft(Act *act, Change *change, int64_t send_at, GError **error)
{
    g_auto(Item) item = { 0 };
    g_autofree char *text = new_text(act, "Draft");
    g_autoptr(Message) message = message_parse(text, strlen(text));
    g_autoptr(Blob) blob = blob_store(text, strlen(text), error);

    if (blob == NULL)
        return false;
    g_autoptr(GBytes) metadata = draft_metadata(message, send_at);
    if (act->item != 0) {
        if (!item_load(change, act->item, &item, error))
            return false;
        if (item.locator != NULL)
            change_old_blob(change, item.locator, item.id, item.mod_content);
        return item_update_content(change, &item, blob, metadata, error);
    }
    item = (Item){ .type = TYPE_MESSAGE,
                   .folder = FOLDER_DRAFTS,
                   .indexable = true,
                   .flags = flag_bit(FLAG_DRAFT) };
    item.sender = g_strdup(message->sender);
    item.recipients = g_strdup(message->recipients);
    item.subject = g_strdup(message->subject);
    item.metadata = g_bytes_ref(metadata);
    bool done = item_insert(change, &item, blob, error);
    act->item = item.id;
    return done;
}

static bool do_draft(Act *act, Change *change, GError **error)
{
    return save_draft(act, change, 0, error);
}

static bool do_schedule_send(Act *act, Change *change, GError **error)
{
    int64_t when = change->now + number(act, "in", 3600);

    if (!save_draft(act, change, when, error))
        return false;
    json_object_set_new(act->result, "send_at", json_integer(when));
    return true;
}

static bool do_contact(Act *act, Change *change, GError **error)
{
    g_autofree char *unique = g_uuid_string_random();
    g_autofree char *name = g_strdup_printf("Contact %.8s", unique);
    g_auto(Item) item = { .type = TYPE_CONTACT, .folder = FOLDER_CONTACTS, .indexable = true };
    g_autoptr(Ben) fields = ben_dict();
    Ben *metadata = ben_dict();

    ben_set_text(metadata, "firstName", name);
    ben_set_text(metadata, "email", "friend@outside.example");
    ben_set(fields, "fld", metadata);
    ben_set_int(fields, "v", 10);
    item.sender = g_strdup(name);
    item.metadata = ben_bytes(fields);
    bool done = item_insert(change, &item, NULL, error);
    act->item = item.id;
    return done;
}

static char *local_time(time_t when)
{
    char text[32];
    struct tm parts;

    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", localtime_r(&when, &parts));
    return g_strdup(text);
}

/* The calendar's summary on disk, keyed by mailbox id (doc/platform.md 5.4). */
static void write_calendar_cache(const Change *change)
{
    g_autofree char *dir = calendar_cache_dir(change->mailbox->id);
    unsigned bucket = (change->mailbox->id >> 12) & 8;
    g_autofree char *path = g_strdup_printf("%s/%u/%u.dat", dir, bucket, FOLDER_CALENDAR);
    g_autofree char *text = g_strdup_printf("calendar of change %u\n", change->number);

    file_write(path, text, strlen(text), NULL);
}

static bool do_appointment(Act *act, Change *change, GError **error)
{
    const Mailbox *mailbox = change->mailbox;
    g_autofree char *uid = g_uuid_string_random();
    g_autofree char *text = new_text(act, "Appointment");
    g_autoptr(Message) message = message_parse(text, strlen(text));
    g_autoptr(Blob) blob = blob_store(text, strlen(text), error);
    g_auto(Item) item = { .type = TYPE_APPOINTMENT, .folder = FOLDER_CALENDAR, .indexable = true };
    g_autofree char *start = local_time((time_t)change->now + 86400);
    g_autofree char *end = local_time((time_t)change->now + 90000);

    if (blob == NULL)
        return false;
    item.subject = g_strdup(message->subject);
    item.metadata = item_metadata(message->fragment, message->sender, NULL);
    if (!item_insert(change, &item, blob, error) ||
        !db_exec(change->db, error,
                 "INSERT INTO mboxgroup%u.appointment (mailbox_id, uid, item_id, start_time,"
                 " end_time) VALUES (%u, %s, %u, %s, %s)",
                 mailbox->group, mailbox->id, uid, item.id, start, end))
        return false;
    act->item = item.id;
    write_calendar_cache(change);
    return true;
}

/* The old version's row in `revision` carries the old numbers (doc/platform.md 2.7 C). */
static bool snapshot_revision(Change *change, const Item *item, GError **error)
{
    const Mailbox *mailbox = change->mailbox;

    return db_exec(change->db, error,
                   "INSERT INTO mboxgroup%u.revision (mailbox_id, item_id, version, date, size,"
                   " locator, blob_digest, name, metadata, mod_metadata, change_date, mod_content)"
                   " SELECT mailbox_id, id, (SELECT COALESCE(MAX(r.version), 0) + 1"
                   " FROM mboxgroup%u.revision r WHERE r.mailbox_id = %u AND r.item_id = %u), date,"
                   " size, locator, blob_digest, name, metadata, mod_metadata, change_date,"
                   " mod_content FROM mboxgroup%u.mail_item WHERE mailbox_id = %u AND id = %u",
                   mailbox->group, mailbox->group, mailbox->id, item->id, mailbox->group,
                   mailbox->id, item->id);
}

/* A new document, or a new version of one, whose old content stays as a revision. */
static bool do_document(Act *act, Change *change, GError **error)
{
    g_auto(Item) item = { 0 };
    g_autofree char *text = new_text(act, "Document");
    g_autoptr(Blob) blob = blob_store(text, strlen(text), error);

    if (blob == NULL)
        return false;
    if (act->item != 0)
        return item_load(change, act->item, &item, error) &&
               snapshot_revision(change, &item, error) &&
               item_update_content(change, &item, blob, NULL, error);
    g_autofree char *unique = g_uuid_string_random();
    item = (Item){ .type = TYPE_DOCUMENT, .folder = FOLDER_BRIEFCASE, .indexable = true };
    item.name = g_strdup_printf("document-%.8s.txt", unique);
    item.metadata = item_metadata("document", "laboratory", NULL);
    bool done = item_insert(change, &item, blob, error);
    act->item = item.id;
    return done;
}

static bool do_rename_folder(Act *act, Change *change, GError **error)
{
    const Mailbox *mailbox = change->mailbox;
    g_autofree char *unique = g_uuid_string_random();
    g_autofree char *fallback = g_strdup_printf("Renamed %.8s", unique);
    const char *name = parameter(act, "name") == NULL ? fallback : parameter(act, "name");
    Folder *folder = change_folder(change, act->item);

    if (folder == NULL && !ensure_folder(change, "To be renamed", &folder, error))
        return false;
    act->item = folder->id;
    g_free(folder->name);
    folder->name = g_strdup(name);
    folder->mod_metadata = change->number;
    folder->change_date = change->now;
    folder->dirty = true;
    return db_exec(change->db, error,
                   "UPDATE mboxgroup%u.mail_item SET name = %s, subject = %s"
                   " WHERE mailbox_id = %u AND id = %u",
                   mailbox->group, name, name, mailbox->id, folder->id);
}

static bool do_empty_dumpster(Act *act, Change *change, GError **error)
{
    unsigned count;

    if (!item_empty_dumpster(change, &count, error))
        return false;
    json_object_set_new(act->result, "count", json_integer(count));
    return true;
}

static bool do_acl_push(Act *act, Change *change, GError **error)
{
    if (act->item == 0)
        act->item = FOLDER_CALENDAR;
    return db_exec(change->db, error,
                   "REPLACE INTO zimbra.pending_acl_push (mailbox_id, item_id, date)"
                   " VALUES (%u, %u, %ld)",
                   change->mailbox->id, act->item, (long)(g_get_real_time() / 1000));
}

/* Opening the mailbox; the counter of new messages starts again. */
static bool do_login(Act *act, Change *change, GError **error)
{
    (void)act;
    change->silent = true;
    change->mailbox->now.new_messages = 0;
    return db_exec(change->db, error,
                   "UPDATE zimbra.mailbox SET last_soap_access = %u"
                   " WHERE id = %u",
                   change->now, change->mailbox->id);
}

/* From now on deletes leave tombstones. */
static bool do_sync(Act *act, Change *change, GError **error)
{
    (void)act;
    if (change->mailbox->tracking_sync == 0)
        change->mailbox->tracking_sync = change->number;
    return db_exec(change->db, error, "UPDATE zimbra.mailbox SET tracking_sync = %u WHERE id = %u",
                   change->mailbox->tracking_sync, change->mailbox->id);
}

/* First IMAP access, and SELECT of the inbox: RECENT is written into its metadata (2.7 B). */
static bool do_imap(Act *act, Change *change, GError **error)
{
    Folder *inbox = change_folder(change, FOLDER_INBOX);
    g_autoptr(Ben) metadata = inbox == NULL ? NULL : ben_parse_dict(inbox->metadata);

    (void)act;
    change->mailbox->tracking_imap = true;
    if (metadata != NULL) {
        ben_set_int(metadata, "i4l", change->mailbox->now.last_item);
        ben_set_int(metadata, "i4r", 0);
        g_bytes_unref(inbox->metadata);
        inbox->metadata = ben_bytes(metadata);
        inbox->dirty = true;
    }
    return db_exec(change->db, error, "UPDATE zimbra.mailbox SET tracking_imap = 1 WHERE id = %u",
                   change->mailbox->id);
}

static const struct {
    const char *name;
    ActFunction run;
} acts[] = {
    { "login", do_login },
    { "flag", do_flag },
    { "unread", do_unread },
    { "read", do_read },
    { "tag", do_tag },
    { "untag", do_untag },
    { "delete", do_delete },
    { "soft-delete", do_soft_delete },
    { "move", do_move },
    { "draft", do_draft },
    { "schedule-send", do_schedule_send },
    { "contact", do_contact },
    { "appointment", do_appointment },
    { "document", do_document },
    { "rename-folder", do_rename_folder },
    { "empty-dumpster", do_empty_dumpster },
    { "acl-push", do_acl_push },
    { "sync", do_sync },
    { "imap", do_imap },
};

/* What happens at the door, with the account as this server's cache has it (doc/platform.md 1.4).
 */
static bool check_status(const Entry *account, bool login, GError **error)
{
    const char *status = account_status(account);

    if (strcmp(status, "active") == 0)
        return true;
    if (!login)
        return fault(error, FAULT_AUTH_EXPIRED, "auth credentials have expired");
    if (strcmp(status, "maintenance") == 0)
        return fault(error, FAULT_MAINTENANCE_MODE, "account is in maintenance mode");
    if (strcmp(status, "lockout") == 0 &&
        entry_get(account, "zimbraPasswordLockoutLockedTime") == NULL)
        return true;
    return fault(error, FAULT_AUTH_FAILED, "authentication failed");
}

static bool run_change(Act *act, ActFunction run, GError **error)
{
    g_auto(Change) change = { 0 };

    return change_begin(&change, act->mailbox, error) && run(act, &change, error) &&
           change_commit(&change, error);
}

/* The task is written by a connection of its own, after the draft (doc/platform.md 2.7 E). */
static bool after_change(Act *act, const char *what, GError **error)
{
    const json_t *send_at = json_object_get(act->result, "send_at");

    if (strcmp(what, "draft") == 0 || strcmp(what, "document") == 0 || strcmp(what, "contact") == 0)
        indexing_note(act->mailbox);
    return send_at == NULL ||
           tasks_schedule_send(act->mailbox, act->item, json_integer_value(send_at), error);
}

static bool act_index(Act *act, GError **error)
{
    unsigned done = 0;

    if (!indexing_run(act->mailbox, INDEX_LIMIT, &done, error))
        return false;
    json_object_set_new(act->result, "count", json_integer(done));
    return true;
}

/* Deferred items are indexed first, as a search does. */
static bool act_search(Act *act, GError **error)
{
    unsigned done;
    bool found;

    if (!indexing_run(act->mailbox, INDEX_LIMIT, &done, error) ||
        !index_find(act->mailbox->index, act->item, &found, error))
        return false;
    json_object_set_new(act->result, "found", json_boolean(found));
    return true;
}

static bool perform(Act *act, const char *what, GError **error)
{
    if (strcmp(what, "index") == 0)
        return act_index(act, error);
    if (strcmp(what, "search") == 0)
        return act_search(act, error);
    for (size_t i = 0; i < G_N_ELEMENTS(acts); i++)
        if (strcmp(acts[i].name, what) == 0)
            return run_change(act, acts[i].run, error) && after_change(act, what, error);
    return fault(error, FAULT_UNKNOWN_DOCUMENT, "unknown action: %s", what);
}

static Mailbox *enter(const Entry *account, bool login, GError **error)
{
    const char *host = entry_get(account, "zimbraMailHost");

    if (!check_status(account, login, error))
        return NULL;
    if (!account_is_local(account)) {
        fault(error, FAULT_WRONG_HOST, "operation sent to wrong host (you want '%s')",
              host == NULL ? "" : host);
        return NULL;
    }
    return manager_get(account_id(account), FETCH_CREATE, error);
}

json_t *user_act(const char *id, GHashTable *query, GError **error)
{
    const char *what = g_hash_table_lookup(query, "do");
    g_autoptr(Entry) account = account_get(BY_ID, id, error);
    bool login = what != NULL && strcmp(what, "login") == 0;
    g_autoptr(Mailbox) mailbox = account == NULL ? NULL : enter(account, login, error);
    Act act = { .account = account, .mailbox = mailbox, .query = query };

    if (mailbox == NULL)
        return NULL;
    act.item = number(&act, "item", 0);
    act.result = json_object();
    if (perform(&act, what == NULL ? "" : what, error)) {
        json_object_set_new(act.result, "item", json_integer(act.item));
        json_object_set_new(act.result, "mailbox", json_integer(mailbox->id));
        return act.result;
    }
    json_decref(act.result);
    return NULL;
}
