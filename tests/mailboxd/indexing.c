/* indexing.c - see indexing.h. One worker thread indexes batches; a re-index has a thread of its
 * own. */
#include "tests/mailboxd/indexing.h"
#include "tests/mailboxd/index.h"

enum { BATCH = 20, REINDEX_BATCH = 200 };

typedef struct Reindex {
    ReindexStatus status;
    bool cancelled;
} Reindex;

static GMutex mutex;
static GCond finished;
static GHashTable *deferred; /* mailbox id -> items that wait */
static GHashTable *running;  /* mailbox id -> Reindex */
static GThreadPool *worker;
static bool stopping;

bool indexing_run(Mailbox *mailbox, unsigned limit, unsigned *done, GError **error)
{
    g_auto(Change) change = { 0 };
    g_autoptr(GArray) items = g_array_new(FALSE, FALSE, sizeof(unsigned));

    *done = 0;
    if (!change_begin(&change, mailbox, error))
        return false;
    change.silent = true;
    g_autoptr(DbRows) rows = db_query(change.db, error,
                                      "SELECT id FROM mboxgroup%u.mail_item"
                                      " WHERE mailbox_id = %u AND index_id IN (0, 1)"
                                      " ORDER BY id LIMIT %u",
                                      mailbox->group, mailbox->id, limit);
    if (rows == NULL)
        return false;
    while (rows_next(rows)) {
        unsigned item = rows_uint(rows, 0);
        g_array_append_val(items, item);
    }
    if (items->len == 0)
        return true;
    if (!index_add(mailbox->index, items, error) ||
        !db_exec(change.db, error,
                 "UPDATE mboxgroup%u.mail_item SET index_id = id"
                 " WHERE mailbox_id = %u AND index_id IN (0, 1) AND id <= %u",
                 mailbox->group, mailbox->id, g_array_index(items, unsigned, items->len - 1)) ||
        !change_commit(&change, error))
        return false;
    *done = items->len;
    return true;
}

/* A mailbox that is locked out meanwhile keeps its items deferred. */
static void run_batch(gpointer data, gpointer unused)
{
    g_autoptr(Mailbox) mailbox = data;
    unsigned done;

    (void)unused;
    indexing_run(mailbox, BATCH * 4, &done, NULL);
}

void indexing_init(void)
{
    deferred = g_hash_table_new(NULL, NULL);
    running = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    worker = g_thread_pool_new(run_batch, NULL, 1, FALSE, NULL);
}

void indexing_shutdown(void)
{
    g_mutex_lock(&mutex);
    stopping = true;
    while (g_hash_table_size(running) > 0)
        g_cond_wait(&finished, &mutex);
    g_mutex_unlock(&mutex);
    g_thread_pool_free(worker, FALSE, TRUE);
    index_shutdown();
    g_hash_table_unref(deferred);
    g_hash_table_unref(running);
}

void indexing_note(Mailbox *mailbox)
{
    gpointer key = GUINT_TO_POINTER(mailbox->id);

    g_mutex_lock(&mutex);
    guint waiting = GPOINTER_TO_UINT(g_hash_table_lookup(deferred, key)) + 1;
    bool full = waiting >= BATCH && !stopping;
    g_hash_table_insert(deferred, key, GUINT_TO_POINTER(full ? 0 : waiting));
    g_mutex_unlock(&mutex);
    if (full)
        g_thread_pool_push(worker, mailbox_ref(mailbox), NULL);
}

static bool reset_ids(Mailbox *mailbox, unsigned *count, GError **error)
{
    g_auto(Change) change = { 0 };

    if (!change_begin(&change, mailbox, error))
        return false;
    change.silent = true;
    if (!index_delete(mailbox->index, error) ||
        !db_exec(change.db, error,
                 "UPDATE mboxgroup%u.mail_item SET index_id = 0"
                 " WHERE mailbox_id = %u AND index_id IS NOT NULL",
                 mailbox->group, mailbox->id))
        return false;
    g_autoptr(DbRows) rows = db_query(change.db, error,
                                      "SELECT COUNT(*) FROM mboxgroup%u.mail_item"
                                      " WHERE mailbox_id = %u AND index_id = 0",
                                      mailbox->group, mailbox->id);
    if (rows == NULL || !change_commit(&change, error))
        return false;
    rows_next(rows);
    *count = rows_uint(rows, 0);
    return true;
}

/* Adds to what is told about the run; false if it is to end. */
static bool report(const Mailbox *mailbox, unsigned succeeded, unsigned failed, unsigned remaining)
{
    g_mutex_lock(&mutex);
    Reindex *reindex = g_hash_table_lookup(running, GUINT_TO_POINTER(mailbox->id));
    reindex->status.succeeded += succeeded;
    reindex->status.failed += failed;
    reindex->status.remaining = remaining;
    bool go_on = !reindex->cancelled && !stopping;
    g_mutex_unlock(&mutex);
    return go_on;
}

static gpointer reindex_thread(gpointer data)
{
    g_autoptr(Mailbox) mailbox = data;
    unsigned remaining = 0, done = 0;

    if (reset_ids(mailbox, &remaining, NULL))
        while (report(mailbox, done, 0, remaining) && remaining > 0) {
            if (!indexing_run(mailbox, REINDEX_BATCH, &done, NULL) || done == 0)
                break;
            remaining -= MIN(done, remaining);
        }
    g_mutex_lock(&mutex);
    g_hash_table_remove(running, GUINT_TO_POINTER(mailbox->id));
    g_cond_broadcast(&finished);
    g_mutex_unlock(&mutex);
    return NULL;
}

bool reindex_start(Mailbox *mailbox, GError **error)
{
    g_mutex_lock(&mutex);
    bool free_to_run = !stopping && !g_hash_table_contains(running, GUINT_TO_POINTER(mailbox->id));
    if (free_to_run) {
        Reindex *reindex = g_new0(Reindex, 1);
        reindex->status.running = true;
        g_hash_table_insert(running, GUINT_TO_POINTER(mailbox->id), reindex);
    }
    g_mutex_unlock(&mutex);
    if (!free_to_run)
        return fault(error, FAULT_ALREADY_IN_PROGRESS, "account %s: re-index is in progress",
                     mailbox->account_id);
    g_thread_unref(g_thread_new("reindex", reindex_thread, mailbox_ref(mailbox)));
    return true;
}

ReindexStatus reindex_status(const Mailbox *mailbox)
{
    ReindexStatus status = { 0 };

    g_mutex_lock(&mutex);
    const Reindex *reindex = g_hash_table_lookup(running, GUINT_TO_POINTER(mailbox->id));
    if (reindex != NULL)
        status = reindex->status;
    g_mutex_unlock(&mutex);
    return status;
}

bool reindex_cancel(const Mailbox *mailbox, ReindexStatus *status)
{
    g_mutex_lock(&mutex);
    Reindex *reindex = g_hash_table_lookup(running, GUINT_TO_POINTER(mailbox->id));
    if (reindex != NULL) {
        reindex->cancelled = true;
        *status = reindex->status;
    }
    g_mutex_unlock(&mutex);
    return reindex != NULL;
}
