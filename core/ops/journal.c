/* journal.c - see journal.h. */
#include "core/ops/journal.h"
#include "core/base/self.h"
#include "core/ops/result.h"
#include <unistd.h>

/* Rows of a list that go in one statement: their texts are short. */
#define LIST_ROWS 100

bool journal_begin(Store *store, const JournalEntry *entry, GError **error)
{
    return db_exec(
        store->control, NULL, error,
        "INSERT INTO zxmove.operation (uuid, verb, parameters, host, pid, process, who,"
        " batch_name, comment, state, started, heartbeat)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', UTC_TIMESTAMP(3), UTC_TIMESTAMP(3))",
        DB_ARGS(db_text(entry->operation), db_text(entry->verb), db_text(entry->parameters),
                db_text(g_get_host_name()), db_u64((uint64_t)getpid()), db_text(self_word()),
                db_text(g_get_user_name()), db_text(entry->batch_name), db_text(entry->comment)));
}

bool journal_begin_again(Store *store, const char *operation, GError **error)
{
    g_autofree char *lock = journal_lock(operation);
    uint64_t changed = 0;

    /* Of two that take it up at the same time, one finds it alive. */
    if (!db_exec(
            store->control, &changed, error,
            "UPDATE zxmove.operation SET state = 'queued', cause = NULL, ended = NULL,"
            " result = NULL, notes = NULL, wanted = 'go',"
            " wanted_by = NULL, wanted_comment = NULL,"
            " host = ?, pid = ?, process = ?, who = ?, heartbeat = UTC_TIMESTAMP(3) WHERE uuid = ?"
            " AND IS_FREE_LOCK(?) AND (ended IS NOT NULL"
            " OR heartbeat < UTC_TIMESTAMP(3) - INTERVAL 5 SECOND)",
            DB_ARGS(db_text(g_get_host_name()), db_u64((uint64_t)getpid()), db_text(self_word()),
                    db_text(g_get_user_name()), db_text(operation), db_text(lock))))
        return false;
    return changed == 1 ||
           fail(error, ZX_ERROR_CONFLICT, "operation %s goes on already in another process",
                operation);
}

bool journal_batch(Store *store, const char *operation, char **batch_name, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(store->control, error, "SELECT batch_name FROM zxmove.operation WHERE uuid = ?",
                 DB_ARGS(db_text(operation)));

    if (rows != NULL)
        *batch_name = rows_count(rows) > 0 ? g_strdup(rows_text(rows, 0, 0)) : NULL;
    return rows != NULL;
}

bool journal_end(Store *store, const char *state, const char *result, const Report *report,
                 GError **error)
{
    g_autofree char *notes = result_whole_text(report);

    return db_exec(store->control, NULL, error,
                   "UPDATE zxmove.operation SET state = ?, cause = NULL, result = ?, notes = ?,"
                   " ended = UTC_TIMESTAMP(3), heartbeat = UTC_TIMESTAMP(3)"
                   " WHERE uuid = ? AND process = ?",
                   DB_ARGS(db_text(state), db_text(result), db_text(notes),
                           db_text(report->operation), db_text(self_word())));
}

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

static bool list_some(Store *store, const char *operation, const GPtrArray *mailboxes, guint from,
                      guint to, unsigned *seq, GError **error)
{
    GString *sql = g_string_new("INSERT INTO zxmove.operation_mailbox (operation, account_id, place,"
                                " address, source, destination, seq, ended, result) VALUES");
    GArray *args = g_array_new(FALSE, FALSE, sizeof(DbValue));
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    const DbValue end = { .type = DB_END };
    bool done;

    for (guint i = from; i < to; i++) {
        const MailboxResult *result = g_ptr_array_index(mailboxes, i);
        bool ended = result->reason != NULL;
        char *text = ended ? result_text(result) : NULL;
        const DbValue row[] = {
            db_text(operation),
            db_text(or_empty(result->account_id)),
            db_u64(i),
            db_text(result->address),
            db_text(or_empty(result->source)),
            db_text(or_empty(result->destination)),
            ended ? db_u64(++*seq) : db_text(NULL),
            ended ? db_sql("UTC_TIMESTAMP(3)") : db_text(NULL),
            db_text(text),
        };

        g_ptr_array_add(texts, text);
        g_string_append(sql, i > from ? ", (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                                      : " (?, ?, ?, ?, ?, ?, ?, ?, ?)");
        g_array_append_vals(args, row, G_N_ELEMENTS(row));
    }
    g_array_append_val(args, end);
    done = db_exec(store->control, NULL, error, sql->str, (const DbValue *)(void *)args->data);
    g_array_free(args, TRUE);
    g_string_free(sql, TRUE);
    return done;
}

bool journal_list(Store *store, const char *operation, const GPtrArray *mailboxes, GError **error)
{
    unsigned seq = 0;

    for (guint from = 0; from < mailboxes->len; from += LIST_ROWS)
        if (!list_some(store, operation, mailboxes, from, MIN(from + LIST_ROWS, mailboxes->len),
                       &seq, error))
            return false;
    return true;
}

bool journal_mailbox(Store *store, const char *operation, unsigned place, unsigned seq,
                     const MailboxResult *result, GError **error)
{
    g_autofree char *text = result_text(result);

    return db_exec(store->control, NULL, error,
                   "INSERT INTO zxmove.operation_mailbox (operation, place, account_id, address,"
                   " source, destination, seq, ended, result)"
                   " SELECT uuid, ?, ?, ?, ?, ?, ?, UTC_TIMESTAMP(3), ? FROM zxmove.operation"
                   " WHERE uuid = ? AND process = ? ON DUPLICATE KEY UPDATE"
                   " seq = VALUES(seq), ended = VALUES(ended), result = VALUES(result)",
                   DB_ARGS(db_u64(place), db_text(or_empty(result->account_id)),
                           db_text(result->address), db_text(or_empty(result->source)),
                           db_text(or_empty(result->destination)), db_u64(seq), db_text(text),
                           db_text(operation), db_text(self_word())));
}

static void mailbox_free(JournalMailbox *mailbox)
{
    result_free(mailbox->result);
    g_free(mailbox);
}

GPtrArray *journal_mailboxes(Db *db, const char *operation, int after, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)mailbox_free);
    g_autoptr(Rows) rows = db_query(
        db, error,
        "SELECT address, account_id, source, destination, seq, released, result, place"
        " FROM zxmove.operation_mailbox WHERE operation = ? AND (? < 0 OR seq > ?)"
        " ORDER BY IF(? < 0, place, seq)",
        DB_ARGS(db_text(operation), db_i64(after), db_i64(after), db_i64(after)));

    if (rows == NULL)
        return NULL;
    for (unsigned i = 0; i < rows_count(rows); i++) {
        JournalMailbox *mailbox = g_new0(JournalMailbox, 1);

        mailbox->result = result_new(rows_text(rows, i, 0), rows_text(rows, i, 1),
                                     rows_text(rows, i, 2), rows_text(rows, i, 3));
        mailbox->result->outcome = OUTCOME_NOT_REACHED;
        mailbox->seq = (unsigned)rows_u64(rows, i, 4);
        mailbox->released = rows_u64(rows, i, 5) != 0;
        mailbox->place = (unsigned)rows_u64(rows, i, 7);
        g_ptr_array_add(list, mailbox);
        if (mailbox->seq != 0 && !result_read(mailbox->result, rows_text(rows, i, 6), error))
            return NULL;
    }
    return g_steal_pointer(&list);
}

bool journal_number(Db *db, const char *operation, const JournalMailbox *mailbox, unsigned total,
                    unsigned *number, GError **error)
{
    g_autoptr(Rows) all = db_query_one(
        db, error, "SELECT COUNT(*) FROM zxmove.operation_mailbox WHERE operation = ?",
        DB_ARGS(db_text(operation)));
    g_autoptr(Rows) before = NULL;
    uint64_t decided;

    if (all == NULL)
        return false;
    *number = 0;
    decided = rows_u64(all, 0, 0) - MIN(total, rows_u64(all, 0, 0)); /* they were the first to end */
    if (mailbox->seq <= decided)
        return true;
    before = db_query_one(db, error,
                          "SELECT COUNT(*) FROM zxmove.operation_mailbox WHERE operation = ?"
                          " AND place <= ? AND (seq IS NULL OR seq > ?)",
                          DB_ARGS(db_text(operation), db_u64(mailbox->place), db_u64(decided)));
    if (before != NULL)
        *number = (unsigned)rows_u64(before, 0, 0);
    return before != NULL;
}

bool journal_intent(Store *store, const char *operation, const char *account_id, const char *step,
                    GError **error)
{
    return db_exec(store->control, NULL, error,
                   "INSERT INTO zxmove.step (operation, account_id, name, intent) VALUES (?, ?, ?, "
                   "UTC_TIMESTAMP(3))"
                   " ON DUPLICATE KEY UPDATE intent = UTC_TIMESTAMP(3), done = NULL",
                   DB_ARGS(db_text(operation), db_text(account_id), db_text(step)));
}

bool journal_done(Store *store, const char *operation, const char *account_id, const char *step,
                  GError **error)
{
    return db_exec(store->control, NULL, error,
                   "UPDATE zxmove.step SET done = UTC_TIMESTAMP(3) WHERE operation = ? AND "
                   "account_id = ? AND name = ?",
                   DB_ARGS(db_text(operation), db_text(account_id), db_text(step)));
}

#define DOUBT "doubt"

bool journal_doubt(Store *store, const char *operation, const char *account_id, GError **error)
{
    return journal_intent(store, operation, account_id, DOUBT, error);
}

bool journal_doubted(Store *store, const char *account_id, unsigned seconds, int64_t *ago,
                     GError **error)
{
    /* By way of the account's windows: the steps are found by their operation. */
    g_autoptr(Rows) rows = db_query(
        store->control, error,
        "SELECT MIN(TIMESTAMPDIFF(SECOND, s.intent, UTC_TIMESTAMP(3))) FROM zxmove.fence f"
        " JOIN zxmove.step s ON s.operation = f.operation AND s.account_id = f.account_id"
        " AND s.name = '" DOUBT "' WHERE f.account_id = ?"
        " AND s.intent > UTC_TIMESTAMP(3) - INTERVAL ? SECOND",
        DB_ARGS(db_text(account_id), db_u64(seconds)));

    if (rows == NULL)
        return false;
    *ago = rows_count(rows) > 0 && rows_text(rows, 0, 0) != NULL ? rows_i64(rows, 0, 0) : -1;
    return true;
}

char *journal_lock(const char *operation)
{
    return g_strdup_printf("zxmove.operation.%s", operation);
}
