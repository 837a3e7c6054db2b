/* requests_mailbox.c - requests that act on a mailbox: lockout, existence, deletion, index. */
#include "tests/mailboxd/config.h"
#include "tests/mailboxd/consistency.h"
#include "tests/mailboxd/indexing.h"
#include "tests/mailboxd/mailbox.h"
#include "tests/mailboxd/soap.h"
#include <string.h>

static bool missing_element(const char *name, GError **error)
{
    return fault(error, FAULT_INVALID_REQUEST, "invalid request: missing required element: %s",
                 name);
}

/* The account that <mbox id> or <account> names, if its domain lets admins touch it. */
static Entry *named_account(const xmlNode *request, const char *element, GError **error)
{
    const xmlNode *node = xml_child(request, element);
    g_autoptr(Entry) account = NULL;

    if (node == NULL)
        missing_element(element, error);
    else
        account = request_account(node, FAULT_NO_SUCH_ACCOUNT, error);
    if (account == NULL || !account_domain_allows(account, error))
        return NULL;
    return g_steal_pointer(&account);
}

/* Executed by the server that receives it (doc/platform.md 5.2). */
static xmlNode *lockout_mailbox(const xmlNode *request, GError **error)
{
    g_autofree char *op = xml_get(request, "op");
    g_autoptr(Entry) account = named_account(request, "account", error);
    bool start = op == NULL || strcmp(op, "start") == 0;

    if (account == NULL)
        return NULL;
    if (!start && strcmp(op, "end") != 0) {
        fault(error, FAULT_INVALID_REQUEST, "invalid request: bad op: %s", op);
        return NULL;
    }
    if (start) {
        g_autoptr(Entry) fresh = account_reload(account_id(account), error);
        if (fresh == NULL)
            return NULL;
    }
    bool done = start ? manager_lock_out(account_id(account), error)
                      : manager_end_lockout(account_id(account), error);
    return done ? xml_new("LockoutMailboxResponse", NS_ADMIN) : NULL;
}

static xmlNode *get_mailbox(const xmlNode *request, GError **error)
{
    g_autoptr(Entry) account = named_account(request, "mbox", error);
    g_autoptr(Mailbox) mailbox =
        account == NULL ? NULL : manager_get(account_id(account), FETCH_CREATE, error);

    if (mailbox == NULL)
        return NULL;
    xmlNode *answer = xml_new("GetMailboxResponse", NS_ADMIN);
    xmlNode *node = xml_add(answer, "mbox", NULL);
    xml_setf(node, "mbxid", "%u", mailbox->id);
    xml_setf(node, "s", "%" G_GINT64_FORMAT, mailbox->now.size);
    return answer;
}

/* Success without <mbox> if the account has no mailbox here (doc/platform.md 6.4). An account that
 * is gone from LDAP may still have one. */
static xmlNode *delete_mailbox(const xmlNode *request, GError **error)
{
    const xmlNode *node = xml_child(request, "mbox");
    g_autofree char *id = node == NULL ? NULL : xml_get(node, "id");
    g_autoptr(GError) inner = NULL;
    unsigned deleted;

    if (id == NULL) {
        missing_element("mbox", error);
        return NULL;
    }
    g_autoptr(Entry) account = account_get(BY_ID, id, &inner);
    if (account == NULL && !fault_is(inner, FAULT_NO_SUCH_ACCOUNT)) {
        g_propagate_error(error, g_steal_pointer(&inner));
        return NULL;
    }
    if ((account != NULL && !account_domain_allows(account, error)) ||
        !manager_delete(id, &deleted, error))
        return NULL;
    xmlNode *answer = xml_new("DeleteMailboxResponse", NS_ADMIN);
    if (deleted != 0)
        xml_setf(xml_add(answer, "mbox", NULL), "mbxid", "%u", deleted);
    return answer;
}

static const char mailbox_columns[] =
    "id groupId accountId indexVolumeId itemIdCheckPoint contactCount sizeCheckPoint"
    " changeCheckPoint trackingSync trackingImap lastbackupat lastSoapAccess newMessages";

/* From the rows, whatever this process believes. */
static xmlNode *get_all_mailboxes(const xmlNode *request, GError **error)
{
    g_autofree char *limit_text = xml_get(request, "limit");
    g_autofree char *offset_text = xml_get(request, "offset");
    unsigned limit = limit_text == NULL ? 0 : (unsigned)g_ascii_strtoull(limit_text, NULL, 10);
    unsigned offset = offset_text == NULL ? 0 : (unsigned)g_ascii_strtoull(offset_text, NULL, 10);
    g_autoptr(Db) db = db_take(error);

    if (db == NULL)
        return NULL;
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT id, group_id, account_id, index_volume_id, item_id_checkpoint,"
                 " contact_count, size_checkpoint, change_checkpoint, tracking_sync,"
                 " tracking_imap, last_backup_at, last_soap_access, new_messages"
                 " FROM zimbra.mailbox ORDER BY id");
    if (rows == NULL)
        return NULL;
    xmlNode *answer = xml_new("GetAllMailboxesResponse", NS_ADMIN);
    g_auto(GStrv) names = g_strsplit(mailbox_columns, " ", -1);
    unsigned total = (unsigned)rows_count(rows);
    for (unsigned n = 0; rows_next(rows); n++) {
        if (n < offset || (limit > 0 && n >= offset + limit))
            continue;
        xmlNode *node = xml_add(answer, "mbox", NULL);
        for (unsigned column = 0; names[column] != NULL; column++) {
            g_autofree char *value = rows_text(rows, column);
            xml_set(node, names[column], value == NULL ? "0" : value);
        }
    }
    xml_set(answer, "more", limit > 0 && total > offset + limit ? "1" : "0");
    xml_setf(answer, "searchTotal", "%u", total);
    return answer;
}

static xmlNode *reindex_answer(const char *status, const ReindexStatus *progress)
{
    xmlNode *answer = xml_new("ReIndexResponse", NS_ADMIN);

    xml_set(answer, "status", status);
    if (progress != NULL) {
        xmlNode *node = xml_add(answer, "progress", NULL);
        xml_setf(node, "numSucceeded", "%u", progress->succeeded);
        xml_setf(node, "numFailed", "%u", progress->failed);
        xml_setf(node, "numRemaining", "%u", progress->remaining);
    }
    return answer;
}

static xmlNode *reindex_act(Mailbox *mailbox, const char *action, GError **error)
{
    ReindexStatus status = { 0 };

    if (strcmp(action, "start") == 0)
        return reindex_start(mailbox, error) ? reindex_answer("started", NULL) : NULL;
    if (strcmp(action, "status") == 0) {
        status = reindex_status(mailbox);
        if (config->reindexing != NULL &&
            g_strv_contains((const char *const *)config->reindexing, mailbox->account_id))
            status.running = true;
        return status.running ? reindex_answer("running", &status) : reindex_answer("idle", NULL);
    }
    if (strcmp(action, "cancel") == 0)
        return reindex_cancel(mailbox, &status) ? reindex_answer("cancelled", &status)
                                                : reindex_answer("idle", NULL);
    fault(error, FAULT_INVALID_REQUEST, "invalid request: Unknown action: %s", action);
    return NULL;
}

/* Its answers tell what this process knows of the account: the probe of doc/platform.md 5.1. */
static xmlNode *reindex(const xmlNode *request, GError **error)
{
    g_autofree char *action = xml_get(request, "action");
    g_autoptr(Entry) account = named_account(request, "mbox", error);
    GError *inner = NULL;

    if (account == NULL)
        return NULL;
    g_autoptr(Mailbox) mailbox = manager_get(account_id(account), FETCH_EXISTING, &inner);
    if (inner != NULL)
        g_propagate_error(error, inner);
    else if (mailbox == NULL)
        fault(error, FAULT_FAILURE, "mailbox not found for account ID %s", account_id(account));
    return mailbox == NULL ? NULL : reindex_act(mailbox, action == NULL ? "" : action, error);
}

static xmlNode *purge_calendar_cache(const xmlNode *request, GError **error)
{
    g_autoptr(Entry) account = request_account(request, FAULT_NO_SUCH_ACCOUNT, error);

    if (account == NULL || !account_domain_allows(account, error))
        return NULL;
    g_autoptr(Mailbox) mailbox = manager_get(account_id(account), FETCH_CREATE, error);
    if (mailbox == NULL)
        return NULL;
    g_autofree char *dir = calendar_cache_dir(mailbox->id);
    remove_tree(dir);
    return xml_new("PurgeAccountCalendarCacheResponse", NS_ADMIN);
}

/* <mbox id> is the numeric id here; the mailbox must be homed at this server. */
static xmlNode *check_blobs(const xmlNode *request, GError **error)
{
    g_autofree char *check_size = xml_get(request, "checkSize");
    xmlNode *answer = xml_new("CheckBlobConsistencyResponse", NS_ADMIN);
    bool done = true;

    for (const xmlNode *node = xml_child(request, "mbox"); done && node != NULL;
         node = xml_next(node)) {
        g_autofree char *id = xml_get(node, "id");
        done = consistency_check(id == NULL ? 0 : (unsigned)g_ascii_strtoull(id, NULL, 10),
                                 g_strcmp0(check_size, "0") != 0, answer, error);
    }
    if (done)
        return answer;
    xmlFreeNode(answer);
    return NULL;
}

/* Network Edition alone knows it (doc/platform.md 8); its handler is closed, the shape is public. */
static xmlNode *query_mailbox_move(const xmlNode *request, GError **error)
{
    const xmlNode *account = xml_child(request, "account");
    g_autofree char *name = account != NULL ? xml_get(account, "name") : NULL;
    xmlNode *answer, *move;

    if (config->network_moves == NULL || name == NULL) {
        if (name == NULL)
            missing_element("account", error);
        else
            fault(error, FAULT_UNKNOWN_DOCUMENT, "unknown document: %s", request->name);
        return NULL;
    }
    answer = xml_new("QueryMailboxMoveResponse", NS_ADMIN);
    if (g_strv_contains((const char *const *)config->network_moves, name)) {
        move = xml_add(answer, "account", NULL);
        xml_set(move, "name", name);
        xml_set(move, "type", "out");
        xml_set(move, "src", config->name);
    }
    return answer;
}

const RequestHandler mailbox_requests[] = {
    { "LockoutMailboxRequest", lockout_mailbox, HOME_HERE, false },
    { "GetMailboxRequest", get_mailbox, HOME_MBOX, false },
    { "GetAllMailboxesRequest", get_all_mailboxes, HOME_HERE, false },
    { "DeleteMailboxRequest", delete_mailbox, HOME_MBOX, false },
    { "ReIndexRequest", reindex, HOME_MBOX, false },
    { "PurgeAccountCalendarCacheRequest", purge_calendar_cache, HOME_ID, false },
    { "CheckBlobConsistencyRequest", check_blobs, HOME_HERE, false },
    { "QueryMailboxMoveRequest", query_mailbox_move, HOME_HERE, false },
    { 0 },
};
