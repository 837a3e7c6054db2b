/* leftover.c - copies that no finished move explains: of an account that the directory has no more,
 * of a move that never came to its switch, or of nobody knows what. The first two go on request, the
 * last only when a person names its mailbox id. Nothing here rests on a record of what the copy was,
 * so each kind has its own proof that nobody needs it. */
#include "core/base/failpoint.h"
#include "core/move/purge.h"
#include <string.h>

static bool is_wanted(const PurgeRequest *request)
{
    return leftover_only(request) || request->purge_orphan;
}

/* Finding them. */

typedef struct Search {
    Operation *op;
    Store *store;
    const char *wanted; /* a mailbox id, or NULL: all */
    GHashTable *homed;  /* ids of the accounts that live here */
    GPtrArray *copies;
} Search;

static void add_rows(const Search *search, CopyKind kind, const Rows *rows)
{
    for (unsigned i = 0; i < rows_count(rows); i++) {
        Copy *copy = g_new0(Copy, 1);
        const char *address = rows_text(rows, i, 3);

        copy->kind = kind;
        copy->store = search->store;
        copy->mailbox = (uint32_t)rows_u64(rows, i, 0);
        copy->group = (unsigned)rows_u64(rows, i, 1);
        copy->account_id = g_ascii_strdown(rows_text(rows, i, 2), -1);
        copy->address = g_strdup(address != NULL && *address != '\0' ? address : copy->account_id);
        copy->bytes = rows_u64(rows, i, 4);
        copy->committed = rows_i64(rows, i, 5);
        copy->age_s = rows_i64(rows, i, 6);
        g_ptr_array_add(search->copies, copy);
    }
}

/* Of strays the record says when they moved, of partial copies the reservation when it was made;
 * nothing says it of the others. */
static bool read_rows(const Search *search, CopyKind kind, GError **error)
{
    /* Where there are no records nothing is explained. */
    static const char bare[] =
        "SELECT b.id, b.group_id, b.account_id, b.comment, b.size_checkpoint, 0, 0"
        " FROM zimbra.mailbox b WHERE ? IS NULL OR CAST(b.id AS CHAR) = ? ORDER BY b.id";
    static const char *const sql[] = {
        [COPY_PARTIAL] =
            "SELECT r.mailbox_id, r.group_id, r.account_id, b.comment, IFNULL(s.bytes, 0),"
            " CAST(UNIX_TIMESTAMP(r.made) * 1000 AS UNSIGNED),"
            " TIMESTAMPDIFF(SECOND, r.made, UTC_TIMESTAMP(3)) FROM zxmove.reservation r"
            " LEFT JOIN zimbra.mailbox b ON b.id = r.mailbox_id"
            " LEFT JOIN (SELECT account_id, SUM(disk_size) AS bytes FROM zxmove.staged"
            " GROUP BY account_id) s ON s.account_id = r.account_id"
            " WHERE ? IS NULL OR CAST(r.mailbox_id AS CHAR) = ? ORDER BY r.made",
        [COPY_STRAY] =
            "SELECT m.mailbox_id, m.group_id, m.account_id, m.address, m.bytes,"
            " CAST(UNIX_TIMESTAMP(m.committed) * 1000 AS UNSIGNED),"
            " TIMESTAMPDIFF(SECOND, m.committed, UTC_TIMESTAMP(3)) FROM zxmove.moved m"
            " JOIN zimbra.mailbox b ON b.id = m.mailbox_id AND b.account_id = m.account_id"
            " WHERE m.state = 'stray' AND (? IS NULL OR CAST(m.mailbox_id AS CHAR) = ?)"
            " ORDER BY m.committed",
        [COPY_UNEXPLAINED] =
            "SELECT b.id, b.group_id, b.account_id, b.comment, b.size_checkpoint, 0, 0"
            " FROM zimbra.mailbox b WHERE NOT EXISTS (SELECT 1 FROM zxmove.reservation r"
            " WHERE r.mailbox_id = b.id) AND NOT EXISTS (SELECT 1 FROM zxmove.moved m"
            " WHERE m.mailbox_id = b.id AND m.account_id = b.account_id"
            " AND m.state IN ('kept', 'purging', 'stray'))"
            " AND (? IS NULL OR CAST(b.id AS CHAR) = ?) ORDER BY b.id",
    };
    const bool is_bare = search->store->bare;
    g_autoptr(Rows) rows = NULL;

    if (is_bare && kind != COPY_UNEXPLAINED)
        return true;
    rows = db_query(search->store->control, error, is_bare ? bare : sql[kind],
                    DB_ARGS(db_text(search->wanted), db_text(search->wanted)));
    if (rows != NULL)
        add_rows(search, kind, rows);
    return rows != NULL;
}

/* Every id that a row or a record of ours explains, as keys. */
static GHashTable *known_ids(Store *store, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(store->control, error,
                 store->bare ? "SELECT id FROM zimbra.mailbox"
                             : "SELECT id FROM zimbra.mailbox UNION SELECT mailbox_id FROM"
                               " zxmove.reservation UNION SELECT mailbox_id FROM zxmove.moved"
                               " WHERE state <> 'purged'",
                 DB_NONE);
    GHashTable *known;

    if (rows == NULL)
        return NULL;
    known = g_hash_table_new(NULL, NULL);
    for (unsigned i = 0; i < rows_count(rows); i++)
        g_hash_table_add(known, GUINT_TO_POINTER((guint)rows_u64(rows, i, 0)));
    return known;
}

static void add_directory(const Search *search, uint32_t id)
{
    g_autofree char *text = g_strdup_printf("%u", id);
    Copy *copy;

    if (search->wanted != NULL && strcmp(search->wanted, text) != 0)
        return;
    copy = g_new0(Copy, 1);
    copy->kind = COPY_DIRECTORY;
    copy->store = search->store;
    copy->mailbox = id;
    copy->group = (id - 1) % search->store->groups + 1;
    /* Claimed like an account, which it has none. */
    copy->account_id = g_strdup_printf("mailbox %u", id);
    copy->address = g_strdup(copy->account_id);
    g_ptr_array_add(search->copies, copy);
}

/* Looked for before the rows are, so that a mailbox which is made meanwhile has its row. */
static bool read_directories(const Search *search, GHashTable *found, GError **error)
{
    for (guint i = 0; i < search->store->volumes->len; i++) {
        const Volume *volume = g_ptr_array_index(search->store->volumes, i);
        g_autoptr(GArray) ids = NULL;

        if (volume->store_type != 1 || volume->sharing != VOLUME_OWN)
            continue;
        ids = peer_mailboxes(search->store->peer, volume->id, error);
        if (ids == NULL)
            return false;
        for (guint k = 0; k < ids->len; k++)
            g_hash_table_add(found, GUINT_TO_POINTER(g_array_index(ids, uint32_t, k)));
    }
    return true;
}

static int by_number(gconstpointer a, gconstpointer b)
{
    guint left = GPOINTER_TO_UINT(a), right = GPOINTER_TO_UINT(b);

    return (left > right) - (left < right);
}

/* Directories of mailboxes on volumes that are no other store's as well. */
static bool find_directories(const Search *search, GError **error)
{
    g_autoptr(GHashTable) found = g_hash_table_new(NULL, NULL);
    g_autoptr(GHashTable) known = NULL;
    g_autoptr(GList) ids = NULL;
    GError *problem = NULL;

    if (!shared_find(search->op, search->store, &problem)) {
        operation_note(search->op, "directories on %s were not looked at: %s", search->store->name,
                       problem->message);
        g_error_free(problem);
        return true;
    }
    if (!read_directories(search, found, error) ||
        (known = known_ids(search->store, error)) == NULL)
        return false;
    ids = g_list_sort(g_hash_table_get_keys(found), by_number);
    for (GList *id = ids; id != NULL; id = id->next)
        if (!g_hash_table_contains(known, id->data))
            add_directory(search, GPOINTER_TO_UINT(id->data));
    return true;
}

/* A reservation has no address, and that of a row may be an old one. */
static bool find_address(const Search *search, Copy *copy, GError **error)
{
    GError *problem = NULL;
    g_autoptr(Account) account =
        directory_account(search->op->directory, copy->account_id, &problem);

    if (account != NULL) {
        g_free(copy->address);
        copy->address = g_strdup(account->address);
    } else if (error_code(problem) != ZX_ERROR_NOT_FOUND) { /* no account, but something has its id */
        g_propagate_error(error, problem);
        return false;
    }
    g_clear_error(&problem);
    return true;
}

/* The account lives here, in another mailbox than this: *is_it if it is the same. */
static bool lies_beside(const Copy *copy, bool *is_it, GError **error)
{
    uint32_t row;

    if (!mailbox_row_find(copy->store->control, copy->account_id, &row, NULL, NULL, error))
        return false;
    *is_it = row == 0 || row == copy->mailbox;
    return true;
}

/* Whose account is gone is an orphan; a partial copy stays what it is, for it may be half a mailbox.
 * Whose account lives here is none of ours: *drop. */
static bool sort_out(const Search *search, Copy *copy, bool records, bool *drop, GError **error)
{
    bool absent = false;

    *drop = false;
    if (copy->kind == COPY_DIRECTORY)
        return true;
    if (copy->kind != COPY_MOVED && g_hash_table_contains(search->homed, copy->account_id)) {
        *drop = copy->kind != COPY_PARTIAL;
        return *drop || (lies_beside(copy, drop, error) &&
                         (*drop || find_address(search, copy, error)));
    }
    if (!directory_absent(search->op->directory, search->store->name, copy->account_id, &absent,
                          error))
        return false;
    if (absent && copy->kind != COPY_PARTIAL)
        copy->kind = COPY_ORPHAN;
    *drop = copy->kind == COPY_MOVED && !records;
    return absent || *drop || find_address(search, copy, error);
}

static void set_stray(const Search *search, const Rows *left)
{
    for (unsigned i = 0; i < rows_count(left); i++)
        for (guint k = 0; k < search->copies->len; k++) {
            Copy *copy = g_ptr_array_index(search->copies, k);

            if (copy->store == search->store && copy->mailbox == rows_u64(left, i, 1) &&
                strcmp(copy->account_id, rows_text(left, i, 0)) == 0)
                copy->kind = COPY_STRAY;
        }
}

/* A dry run delivers nothing: what others say was left behind here is taken for the stray copy it
 * will be (left_behind_deliver_all). */
static bool look_at_left_behind(const Search *search, GError **error)
{
    g_autoptr(GList) stores = g_hash_table_get_values(search->op->stores);

    for (GList *at = stores; at != NULL; at = at->next) {
        const Store *from = at->data;
        g_autoptr(Rows) left = NULL;

        if (from->bare || from == search->store)
            continue;
        left = db_query(from->control, error,
                        "SELECT account_id, mailbox_id FROM zxmove.left_behind WHERE store = ?",
                        DB_ARGS(db_text(search->store->name)));
        if (left == NULL)
            return false;
        set_stray(search, left);
    }
    return true;
}

bool leftover_find(Operation *op, const PurgeRequest *request, Store *store, GPtrArray *copies,
                   GError **error)
{
    bool named = purge_names_id(request), records = !leftover_only(request);
    g_autoptr(GHashTable) homed = NULL;
    Search search = { .op = op,
                      .store = store,
                      .wanted = named ? request->mailbox : NULL,
                      .copies = copies };
    guint first = 0;

    /* What another store had is judged already. */
    while (first < copies->len && ((const Copy *)g_ptr_array_index(copies, first))->store != store)
        first++;
    if (!(is_wanted(request) || (named && copies->len == 0)))
        return true;
    search.homed = homed = directory_ids_at(op->directory, store->name, error);
    if (homed == NULL || (!records && !purge_find(store, "all", copies, error)) ||
        !read_rows(&search, COPY_PARTIAL, error) || !read_rows(&search, COPY_STRAY, error) ||
        !read_rows(&search, COPY_UNEXPLAINED, error) || !find_directories(&search, error) ||
        (op->looking && !look_at_left_behind(&search, error)))
        return false;
    while (first < copies->len) {
        bool drop;

        if (!sort_out(&search, g_ptr_array_index(copies, first), records, &drop, error))
            return false;
        if (drop)
            g_ptr_array_remove_index(copies, first);
        else
            first++;
    }
    return true;
}

/* What must hold before one of them goes. */

/* Asked a second time right before the deletion, when it counts. */
static bool account_is_gone(const Purge *purge, GError **error)
{
    bool absent = false;

    return directory_absent(purge->op->directory, purge->store->name, purge->copy->account_id,
                            &absent, error) &&
           (absent || fail(error, ZX_ERROR_CHANGED, "the directory has its account again"));
}

/* The row under the id, if there is one, is of this account. */
static bool row_is_its_own(Purge *purge, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(purge->store->control, error,
                 "SELECT account_id FROM zimbra.mailbox WHERE id = ?",
                 DB_ARGS(db_u64(purge->copy->mailbox)));

    if (rows == NULL)
        return false;
    purge->has_row = rows_count(rows) > 0;
    return !purge->has_row ||
           g_ascii_strcasecmp(rows_text(rows, 0, 0), purge->copy->account_id) == 0 ||
           fail(error, ZX_ERROR_CHANGED, "mailbox %u on %s is another account's",
                purge->copy->mailbox, purge->store->name);
}

/* mailboxd knows no account that the directory has not: nobody reaches what it may still have in
 * memory, and it cannot be asked to delete it. */
static bool purge_orphan(Purge *purge, GError **error)
{
    Deletion deletion;

    g_ptr_array_add(purge->result->notes, g_strdup("an orphan: the directory has no such account"));
    if (!purge_nothing_unfinished(purge, error) || !row_is_its_own(purge, error) ||
        !account_is_gone(purge, error) || !shared_find(purge->op, purge->store, error) ||
        !purge_count_bytes(purge, error))
        return false;
    if (purge->request->dry_run)
        return true;
    deletion = purge_deletion(purge);
    if (!purge_set_state(purge, "purging", error) || !failpoint("purge:intent", error) ||
        !claim_check(&purge->claim, error) || !account_is_gone(purge, error))
        return false;
    purge_state(purge, "delete");
    return delete_behind(&deletion, error) && purge_set_state(purge, "purged", error);
}

/* The lock of an operation tells the living from the dead. */
static bool is_alive(const Purge *purge, const char *operation, bool *alive, GError **error)
{
    g_autofree char *lock = journal_lock(operation);
    g_autoptr(Rows) rows = db_query_one(purge->store->control, error,
                                        "SELECT IS_USED_LOCK(?) IS NOT NULL", DB_ARGS(db_text(lock)));

    if (rows != NULL)
        *alive = rows_u64(rows, 0, 0) != 0;
    return rows != NULL;
}

/* It is on the list of no operation that lives, be it queued, held or at work on others. */
static bool nobody_needs_it(const Purge *purge, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(purge->store->control, error,
                 "SELECT DISTINCT o.uuid FROM zxmove.operation_mailbox m"
                 " JOIN zxmove.operation o ON o.uuid = m.operation"
                 " WHERE m.account_id = ? AND o.ended IS NULL",
                 DB_ARGS(db_text(purge->copy->account_id)));

    for (unsigned i = 0; rows != NULL && i < rows_count(rows); i++) {
        bool alive = false;

        if (!is_alive(purge, rows_text(rows, i, 0), &alive, error))
            return false;
        if (alive)
            return fail(error, ZX_ERROR_CONFLICT, "operation %s still needs it",
                        rows_text(rows, i, 0));
    }
    return rows != NULL;
}

/* The reservation as it is under the lock: a move may have come to its end meanwhile. */
static bool reservation_stands(const Purge *purge, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(purge->store->control, error,
                 "SELECT 1 FROM zxmove.reservation WHERE account_id = ? AND mailbox_id = ?",
                 DB_ARGS(db_text(purge->copy->account_id), db_u64(purge->copy->mailbox)));

    return rows != NULL &&
           (rows_count(rows) > 0 ||
            fail(error, ZX_ERROR_CHANGED, "another operation took this copy meanwhile"));
}

/* mailboxd may map the id: it is one that is used again, or a window left its row. What it has in
 * memory under the id would be written back. */
static bool not_in_memory(Purge *purge, GError **error)
{
    if (!purge->has_row || purge->account == NULL)
        return true;
    if (!purge_ask_mailboxd(purge, error))
        return false;
    return !purge_in_memory(purge) ||
           fail(error, ZX_ERROR_REFUSED,
                "mailboxd of %s has it in memory: restart mailboxd there first",
                purge->store->name);
}

/* A partial copy is none that the account lives in: its home is elsewhere, or it lives here beside it
 * (taken back to an old copy, its home being gone), or there is no such account (then purge->account is
 * NULL). */
static bool nobody_lives_in_it(Purge *purge, GError **error)
{
    GError *problem = NULL;
    bool is_it = false;

    if (purge_home_is_elsewhere(purge, &problem))
        return true;
    if (error_code(problem) == ZX_ERROR_NOT_FOUND) {
        g_error_free(problem);
        return account_is_gone(purge, error);
    }
    if (purge->account != NULL && account_lives_on(purge->account, purge->store->name) &&
        lies_beside(purge->copy, &is_it, NULL) && !is_it) {
        g_error_free(problem);
        return true;
    }
    g_propagate_error(error, problem);
    return false;
}

static bool forget(const Purge *purge, const char *table, GError **error)
{
    g_autofree char *name = g_strdup_printf("zxmove.%s", table);

    return db_exec(purge->store->control, NULL, error, "DELETE FROM ? WHERE account_id = ?",
                   DB_ARGS(db_sql(name), db_text(purge->copy->account_id)));
}

/* A record of an older copy whose id was to be used again promises nothing any more. */
static bool close_record(const Purge *purge, GError **error)
{
    return db_exec(purge->store->control, NULL, error,
                   "UPDATE zxmove.moved SET state = 'purged', purged = UTC_TIMESTAMP(3)"
                   " WHERE mailbox_id = ? AND account_id = ? AND state = 'reused'",
                   DB_ARGS(db_u64(purge->copy->mailbox), db_text(purge->copy->account_id)));
}

/* What was verified goes first, so that nobody builds on it; the reservation last, so that a deletion
 * that is interrupted is found again. */
static bool purge_partial(Purge *purge, GError **error)
{
    Deletion deletion;

    g_ptr_array_add(purge->result->notes,
                    g_strdup("a partial copy: no move has switched the account to it"));
    if (!reservation_stands(purge, error) || !purge_nothing_unfinished(purge, error) ||
        !nobody_needs_it(purge, error) || !row_is_its_own(purge, error) ||
        !not_in_memory(purge, error) || !shared_find(purge->op, purge->store, error) ||
        !purge_count_bytes(purge, error))
        return false;
    if (purge->request->dry_run)
        return true;
    deletion = purge_deletion(purge);
    if (!forget(purge, "staged", error) || !store_durable(purge->store, error) ||
        !failpoint("purge:intent", error) || !claim_check(&purge->claim, error) ||
        !nobody_lives_in_it(purge, error))
        return false;
    purge_state(purge, "delete");
    return delete_behind(&deletion, error) && close_record(purge, error) &&
           forget(purge, "reservation", error) && store_durable(purge->store, error);
}

/* Without a record that says what it was, or against one that says it was written to: a person named
 * it. Everything else that is asked of an old copy is asked of this one. */
static bool purge_named(Purge *purge, GError **error)
{
    const Copy *copy = purge->copy;

    if (!purge_names_id(purge->request))
        return fail(error, ZX_ERROR_REFUSED,
                    copy->kind == COPY_STRAY
                        ? "it was written to after it moved away, and may hold the only copy of a"
                          " message: it goes only by name, --host %s doPurgeMailboxes %u"
                          " accept_data_loss true"
                        : "no record of zxmove explains it: it goes only by name, --host %s"
                          " doPurgeMailboxes %u",
                    purge->store->name, copy->mailbox);
    if (copy->kind == COPY_STRAY && !purge->request->accept_data_loss)
        return fail(error, ZX_ERROR_REFUSED,
                    "it was written to after it moved away, and may hold the only copy of a message."
                    " If that may be lost add: accept_data_loss true");
    if (!purge_nothing_unfinished(purge, error) || !row_is_its_own(purge, error) ||
        !purge_home_has_the_mailbox(purge, error) || !purge_ask_mailboxd(purge, error) ||
        !shared_find(purge->op, purge->store, error) || !purge_count_bytes(purge, error))
        return false;
    if (copy->kind == COPY_UNEXPLAINED && purge->probe == PROBE_LOCKED)
        return fail(error, ZX_ERROR_REFUSED,
                    "somebody else has it locked on %s: LockoutMailbox end, or a restart of mailboxd"
                    " there, comes first",
                    purge->store->name);
    if (purge->request->dry_run)
        return true;
    return purge_delete(purge, error) && purge_set_state(purge, "purged", error);
}

/* No id is given out twice: nobody gets one that is below the next. */
static bool id_is_spent(const Purge *purge, GError **error)
{
    g_autofree char *table = NULL;
    uint64_t rows = 0;
    g_autoptr(Rows) next =
        purge->store->bare
            ? db_query_one(purge->store->control, error,
                           "SELECT next_mailbox_id, 0 FROM zimbra.current_volumes", DB_NONE)
            : db_query_one(purge->store->control, error,
                           "SELECT next_mailbox_id, (SELECT COUNT(*) FROM zxmove.reservation"
                           " WHERE mailbox_id = ?) FROM zimbra.current_volumes",
                           DB_ARGS(db_u64(purge->copy->mailbox)));

    if (next == NULL || !rows_exist(purge->store->control, purge->copy->group, purge->copy->mailbox,
                                    &rows, &table, error))
        return false;
    if (rows_u64(next, 0, 0) <= purge->copy->mailbox || rows_u64(next, 0, 1) != 0)
        return fail(error, ZX_ERROR_REFUSED, "its id is one that somebody may still get");
    return rows == 0 || fail(error, ZX_ERROR_REFUSED, "table %s has rows of it", table);
}

static bool purge_directory(Purge *purge, GError **error)
{
    Deletion deletion;

    if (!purge_names_id(purge->request))
        return fail(error, ZX_ERROR_REFUSED,
                    "files without a mailbox, which no record of zxmove explains: they go only by"
                    " name, --host %s doPurgeMailboxes %u",
                    purge->store->name, purge->copy->mailbox);
    if (!id_is_spent(purge, error) || !shared_find(purge->op, purge->store, error) ||
        !purge_count_bytes(purge, error))
        return false;
    if (purge->request->dry_run)
        return true;
    deletion = purge_deletion(purge);
    purge_state(purge, "delete");
    return failpoint("purge:intent", error) && claim_check(&purge->claim, error) &&
           delete_behind(&deletion, error);
}

static bool open_home(Purge *purge, GError **error)
{
    bool here = purge->account == NULL || account_lives_on(purge->account, purge->store->name);

    return here || purge_open_home(purge, error);
}

/* The account, and the store it lives on if that is another one. */
static bool find_account(Purge *purge, GError **error)
{
    switch (purge->copy->kind) {
    case COPY_ORPHAN:
    case COPY_DIRECTORY:
        return true;
    case COPY_PARTIAL:
        return nobody_lives_in_it(purge, error) && open_home(purge, error);
    case COPY_MOVED:
    case COPY_STRAY:
    case COPY_UNEXPLAINED:
        break;
    }
    return purge_home_is_elsewhere(purge, error) && purge_open_home(purge, error);
}

bool leftover_purge(Purge *purge, GError **error)
{
    bool good = false;

    if (!find_account(purge, error) || !purge_claim(purge, error))
        return false;
    switch (purge->copy->kind) {
    case COPY_ORPHAN:
        good = purge_orphan(purge, error);
        break;
    case COPY_PARTIAL:
        good = purge_partial(purge, error);
        break;
    case COPY_STRAY:
    case COPY_UNEXPLAINED:
        good = purge_named(purge, error);
        break;
    case COPY_DIRECTORY:
        good = purge_directory(purge, error);
        break;
    case COPY_MOVED:
        good = fail(error, ZX_ERROR_BUG, "a copy with a record is no leftover");
        break;
    }
    claim_release(&purge->claim);
    return good;
}
