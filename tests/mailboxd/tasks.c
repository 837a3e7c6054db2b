/* tasks.c - see tasks.h. */
#include "tests/mailboxd/tasks.h"
#include "tests/mailboxd/item.h"
#include <string.h>
#include <time.h>

enum {
    LOOK_EVERY_US = 500 * 1000,
    PUSH_EVERY_S = 15 * 60,
    PURGE_EVERY_S = 30 * 60,
    TOMBSTONE_MAX_AGE_S = 92 * 86400,
    CONVERSATION_MAX_AGE_S = 31 * 86400,
    HISTORY_KEPT = 1000,
};

static const char autosend[] = "com.zimbra.cs.mailbox.AutoSendDraftTask";

typedef struct Task {
    char *class_name, *name;
    unsigned mailbox;
    int64_t due;       /* Unix seconds */
    unsigned interval; /* seconds; 0: once */
} Task;

static GMutex mutex;   /* guards the lists below */
static GMutex running; /* one round at a time */
static GCond wake;
static GList *tasks;
static json_t *sent, *pushed;
static GThread *thread;
static bool stopping;

static void task_free(gpointer data)
{
    Task *task = data;

    g_free(task->class_name);
    g_free(task->name);
    g_free(task);
}

static void remember(json_t *history, const char *what, unsigned mailbox, unsigned item)
{
    g_mutex_lock(&mutex);
    json_array_append_new(history, json_pack("{s:s, s:i, s:i}", "what", what, "mailbox",
                                             (int)mailbox, "item", (int)item));
    if (json_array_size(history) > HISTORY_KEPT)
        json_array_remove(history, 0);
    g_mutex_unlock(&mutex);
}

/* ---- scheduled tasks ---- */

/* Out of Drafts into Sent, with a new row and blob as sending makes them. */
static bool send_draft(Mailbox *mailbox, unsigned id, GError **error)
{
    g_auto(Change) change = { 0 };
    g_auto(Item) draft = { 0 };

    if (!change_begin(&change, mailbox, error) || !item_load(&change, id, &draft, error))
        return false;
    if (draft.folder != FOLDER_DRAFTS || draft.locator == NULL)
        return fault(error, FAULT_NO_SUCH_ITEM, "no such draft: %u", id);
    g_autoptr(GBytes) text =
        blob_read(draft.locator, mailbox->id, id, draft.mod_content, (uint64_t)draft.size, error);
    g_autoptr(Blob) blob =
        text == NULL ? NULL
                     : blob_store(g_bytes_get_data(text, NULL), g_bytes_get_size(text), error);
    if (blob == NULL)
        return false;
    g_auto(Item) message = {
        .type = TYPE_MESSAGE, .folder = FOLDER_SENT, .flags = flag_bit(-1), .indexable = true
    };
    message.sender = g_strdup(draft.sender);
    message.recipients = g_strdup(draft.recipients);
    message.subject = g_strdup(draft.subject);
    message.metadata = draft.metadata == NULL ? NULL : g_bytes_ref(draft.metadata);
    return item_insert(&change, &message, blob, error) &&
           item_delete(&change, &draft, false, error) && change_commit(&change, error);
}

/* By class and name, whatever mailbox the row belongs to (doc/platform.md 5.6). */
static void delete_row(const Task *task)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Db) db = db_take(&error);

    if (db == NULL ||
        !db_exec(db, &error,
                 "DELETE FROM zimbra.scheduled_task WHERE class_name = %s AND name = %s",
                 task->class_name, task->name) ||
        !db_commit(db, &error))
        g_message("task %s: %s", task->name, error->message);
}

/* A task that fails keeps its row and is tried again after the next start. */
static void run_task(const Task *task)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Mailbox) mailbox = manager_by_id(task->mailbox, &error);
    bool done = mailbox != NULL;

    if (done && strcmp(task->class_name, autosend) == 0) {
        unsigned draft =
            (unsigned)g_ascii_strtoull(task->name + strcspn(task->name, "0123456789"), NULL, 10);
        done = send_draft(mailbox, draft, &error);
        if (done)
            remember(sent, task->name, task->mailbox, draft);
        else
            done = fault_is(error, FAULT_NO_SUCH_ITEM); /* gone: nothing to send any more */
    }
    if (!done)
        g_message("task %s of mailbox %u: %s", task->name, task->mailbox, error->message);
    else if (task->interval == 0)
        delete_row(task);
}

/* Takes the first task that is due out of the list; a recurring one is put back for next time. */
static Task *take_due(int64_t now)
{
    Task *due = NULL;

    g_mutex_lock(&mutex);
    for (GList *link = tasks; link != NULL && due == NULL; link = link->next) {
        Task *task = link->data;
        if (task->due > now)
            continue;
        due = g_new0(Task, 1);
        *due = (Task){ .class_name = g_strdup(task->class_name),
                       .name = g_strdup(task->name),
                       .mailbox = task->mailbox,
                       .interval = task->interval };
        task->due = now + task->interval;
        if (task->interval == 0) {
            tasks = g_list_delete_link(tasks, link);
            task_free(task);
        }
    }
    g_mutex_unlock(&mutex);
    return due;
}

static void run_due(void)
{
    int64_t now = (int64_t)time(NULL);

    for (Task *task = take_due(now); task != NULL; task = take_due(now)) {
        run_task(task);
        task_free(task);
    }
}

static void add_task(Task *task)
{
    g_mutex_lock(&mutex);
    for (GList *link = tasks; link != NULL; link = link->next) {
        Task *old = link->data;
        if (old->mailbox != task->mailbox || strcmp(old->name, task->name) != 0)
            continue;
        tasks = g_list_delete_link(tasks, link);
        task_free(old);
        break;
    }
    tasks = g_list_append(tasks, task);
    g_mutex_unlock(&mutex);
}

bool tasks_schedule_send(Mailbox *mailbox, unsigned draft, int64_t when, GError **error)
{
    g_autoptr(Db) db = db_take(error);
    Task *task = g_new0(Task, 1);
    g_autofree char *metadata = g_strdup_printf("d7:draftIdi%ue5:mboxIi%uee", draft, mailbox->id);

    task->class_name = g_strdup(autosend);
    task->name = g_strdup_printf("autoSendDraftTask%u", draft);
    task->mailbox = mailbox->id;
    task->due = when;
    bool done = db != NULL &&
                db_exec(db, error,
                        "REPLACE INTO zimbra.scheduled_task (class_name, name, mailbox_id,"
                        " exec_time, interval_millis, metadata)"
                        " VALUES (%s, %s, %u, FROM_UNIXTIME(%ld), 0, %s)",
                        task->class_name, task->name, task->mailbox, (long)when, metadata) &&
                db_commit(db, error);
    if (done)
        add_task(task);
    else
        task_free(task);
    return done;
}

static bool load_tasks(GError **error)
{
    g_autoptr(Db) db = db_take(error);

    if (db == NULL)
        return false;
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT class_name, name, mailbox_id, UNIX_TIMESTAMP(exec_time), interval_millis"
                 " FROM zimbra.scheduled_task");
    while (rows != NULL && rows_next(rows)) {
        Task *task = g_new0(Task, 1);
        task->class_name = rows_text(rows, 0);
        task->name = rows_text(rows, 1);
        task->mailbox = rows_uint(rows, 2);
        task->due = rows_i64(rows, 3);
        task->interval = rows_uint(rows, 4) / 1000;
        tasks = g_list_append(tasks, task);
    }
    return rows != NULL;
}

/* ---- share advertisements ---- */

/* A mailbox that cannot be had is skipped, and in the end its entries are deleted with the others.
 */
static void push_acls(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Db) db = db_take(&error);
    int64_t now = g_get_real_time() / 1000;

    if (db == NULL)
        return;
    g_autoptr(DbRows) rows = db_query(
        db, &error, "SELECT mailbox_id, item_id FROM zimbra.pending_acl_push WHERE date <= %ld",
        (long)now);
    while (rows != NULL && rows_next(rows)) {
        g_autoptr(GError) skipped = NULL;
        g_autoptr(Mailbox) mailbox = manager_by_id(rows_uint(rows, 0), &skipped);
        if (mailbox == NULL)
            g_message("ACL push: mailbox %u is skipped: %s", rows_uint(rows, 0), skipped->message);
        else
            remember(pushed, "acl", mailbox->id, rows_uint(rows, 1));
    }
    if (rows != NULL &&
        db_exec(db, &error, "DELETE FROM zimbra.pending_acl_push WHERE date <= %ld", (long)now))
        db_commit(db, &error);
}

/* ---- purge ---- */

static bool purge_mailbox(Mailbox *mailbox, GError **error)
{
    g_auto(Change) change = { 0 };

    if (!change_begin(&change, mailbox, error))
        return false;
    change.silent = true;
    if (!db_exec(change.db, error, "UPDATE zimbra.mailbox SET last_purge_at = %u WHERE id = %u",
                 change.now, mailbox->id) ||
        !db_exec(change.db, error,
                 "DELETE FROM mboxgroup%u.open_conversation WHERE mailbox_id = %u AND conv_id IN"
                 " (SELECT id FROM mboxgroup%u.mail_item WHERE mailbox_id = %u AND date < %u)",
                 mailbox->group, mailbox->id, mailbox->group, mailbox->id,
                 change.now - CONVERSATION_MAX_AGE_S))
        return false;
    g_autoptr(DbRows) rows =
        db_query(change.db, error,
                 "SELECT MAX(sequence) FROM mboxgroup%u.tombstone WHERE mailbox_id = %u"
                 " AND date < %u",
                 mailbox->group, mailbox->id, change.now - TOMBSTONE_MAX_AGE_S);
    if (rows == NULL)
        return false;
    rows_next(rows);
    unsigned last = rows_uint(rows, 0);
    if (last > 0) {
        mailbox->tracking_sync = MAX(mailbox->tracking_sync, last + 1);
        if (!db_exec(change.db, error,
                     "DELETE FROM mboxgroup%u.tombstone WHERE mailbox_id = %u AND sequence <= %u",
                     mailbox->group, mailbox->id, last) ||
            !db_exec(change.db, error, "UPDATE zimbra.mailbox SET tracking_sync = %u WHERE id = %u",
                     mailbox->tracking_sync, mailbox->id))
            return false;
    }
    return change_commit(&change, error);
}

/* Accounts that are homed here, mapped, and not in maintenance. */
static void purge(void)
{
    g_autoptr(GPtrArray) accounts = accounts_of_this_server(NULL);

    for (guint i = 0; accounts != NULL && i < accounts->len; i++) {
        const Entry *account = accounts->pdata[i];
        g_autoptr(GError) error = NULL;
        if (account_id(account) == NULL || strcmp(account_status(account), "maintenance") == 0)
            continue;
        g_autoptr(Mailbox) mailbox = manager_get(account_id(account), FETCH_EXISTING, &error);
        if (mailbox != NULL && !purge_mailbox(mailbox, &error))
            g_message("purge of mailbox %u: %s", mailbox->id, error->message);
    }
}

void tasks_tick(void)
{
    g_mutex_lock(&running);
    run_due();
    push_acls();
    purge();
    g_mutex_unlock(&running);
}

static gpointer loop(gpointer data)
{
    int64_t next_push = (int64_t)time(NULL) + PUSH_EVERY_S;
    int64_t next_purge = (int64_t)time(NULL) + PURGE_EVERY_S;

    (void)data;
    g_mutex_lock(&mutex);
    while (!stopping) {
        g_mutex_unlock(&mutex);
        int64_t now = (int64_t)time(NULL);
        g_mutex_lock(&running);
        run_due();
        if (now >= next_push) {
            push_acls();
            next_push = now + PUSH_EVERY_S;
        }
        if (now >= next_purge) {
            purge();
            next_purge = now + PURGE_EVERY_S;
        }
        g_mutex_unlock(&running);
        g_mutex_lock(&mutex);
        if (!stopping)
            g_cond_wait_until(&wake, &mutex, g_get_monotonic_time() + LOOK_EVERY_US);
    }
    g_mutex_unlock(&mutex);
    return NULL;
}

bool tasks_start(GError **error)
{
    sent = json_array();
    pushed = json_array();
    if (!load_tasks(error))
        return false;
    thread = g_thread_new("tasks", loop, NULL);
    return true;
}

void tasks_stop(void)
{
    g_mutex_lock(&mutex);
    stopping = true;
    g_cond_broadcast(&wake);
    g_mutex_unlock(&mutex);
    if (thread != NULL)
        g_thread_join(thread);
    g_list_free_full(tasks, task_free);
    g_clear_pointer(&sent, json_decref);
    g_clear_pointer(&pushed, json_decref);
}

json_t *tasks_json(void)
{
    json_t *list = json_array();

    g_mutex_lock(&mutex);
    for (const GList *link = tasks; link != NULL; link = link->next) {
        const Task *task = link->data;
        json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:I}", "class", task->class_name,
                                              "name", task->name, "mailbox", (int)task->mailbox,
                                              "due", (json_int_t)task->due));
    }
    json_t *all = json_pack("{s:o, s:o, s:o}", "tasks", list, "sent", json_deep_copy(sent),
                            "pushed", json_deep_copy(pushed));
    g_mutex_unlock(&mutex);
    return all;
}
