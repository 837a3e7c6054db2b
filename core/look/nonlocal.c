/* nonlocal.c - getNonLocalMailboxes: mailboxes on a store that is not their account's home, whoever
 * left them there. */
#include "core/look/look.h"
#include <string.h>

static void nonlocal_free(NonLocal *mailbox)
{
    g_free(mailbox->store);
    g_free(mailbox->account);
    g_free(mailbox->account_id);
    g_free(mailbox->home);
    g_free(mailbox->because);
    g_free(mailbox);
}

/* What the site knows of each of its mailboxes by itself; who is at home here is sorted out later.
 */
static void add_row(const Site *site, const Rows *rows, unsigned i, const char *reason)
{
    NonLocal *mailbox = g_new0(NonLocal, 1);

    mailbox->store = g_strdup(site->where->name);
    mailbox->mailbox_id = (unsigned)rows_u64(rows, i, 0);
    mailbox->account_id = g_ascii_strdown(rows_text(rows, i, 1), -1);
    mailbox->account = g_strdup(rows_text(rows, i, 2));
    mailbox->bytes = rows_text(rows, i, 3) != NULL ? rows_i64(rows, i, 3) : UNKNOWN;
    mailbox->reason = reason;
    mailbox->because = g_strdup(rows_text(rows, i, 4));
    g_ptr_array_add(site->found, mailbox);
}

static bool read_rows(const Site *site, const char *sql, const char *reason, GError **error)
{
    g_autoptr(Rows) rows = db_query(site->store->control, error, sql, DB_NONE);

    for (unsigned i = 0; rows != NULL && i < rows_count(rows); i++)
        add_row(site, rows, i, reason);
    return rows != NULL;
}

/* Each mailbox once, with the best that the records say of it. */
static bool read_mailboxes(const Site *site, GError **error)
{
    if (!site->records)
        return read_rows(site,
                         "SELECT id, account_id, comment, size_checkpoint, NULL FROM"
                         " zimbra.mailbox ORDER BY id",
                         "unknown", error);
    return read_rows(site,
                     "SELECT b.id, b.account_id, b.comment, b.size_checkpoint,"
                     " CONCAT('moved to ', m.moved_to, ' by operation ', m.operation)"
                     " FROM zimbra.mailbox b JOIN zxmove.moved m ON m.mailbox_id = b.id"
                     " AND m.account_id = b.account_id AND m.state IN ('kept', 'purging', 'stray')"
                     " ORDER BY b.id",
                     "moved", error) &&
           read_rows(site,
                     "SELECT r.mailbox_id, r.account_id, b.comment, b.size_checkpoint,"
                     " 'copied by a move that has not switched the account'"
                     " FROM zxmove.reservation r LEFT JOIN zimbra.mailbox b ON b.id = r.mailbox_id"
                     " ORDER BY r.mailbox_id",
                     "partial", error) &&
           read_rows(site,
                     "SELECT b.id, b.account_id, b.comment, b.size_checkpoint, NULL"
                     " FROM zimbra.mailbox b WHERE b.id NOT IN (SELECT mailbox_id FROM"
                     " zxmove.reservation) AND NOT EXISTS (SELECT 1 FROM zxmove.moved m"
                     " WHERE m.mailbox_id = b.id AND m.account_id = b.account_id"
                     " AND m.state IN ('kept', 'purging', 'stray')) ORDER BY b.id",
                     "unknown", error);
}

static void visit(Site *site, const void *question G_GNUC_UNUSED)
{
    GError *problem = NULL;

    if (site->store->control != NULL && !read_mailboxes(site, &problem))
        site_failed(site, problem);
}

/* Nowhere is what the master says when it has answered that there is none. */
static bool find_home(Directory *directory, NonLocal *mailbox, GError **error)
{
    GError *problem = NULL;
    g_autoptr(Account) account = directory_account(directory, mailbox->account_id, &problem);

    if (account != NULL) {
        g_free(mailbox->account);
        mailbox->account = g_strdup(account->address);
        mailbox->home = g_strdup(account->mail_host);
        if (mailbox->because == NULL)
            mailbox->because = g_strdup("no record of zxmove explains it");
        return true;
    }
    if (error_code(problem) != ZX_ERROR_NOT_FOUND) {
        g_propagate_error(error, problem);
        return false;
    }
    g_error_free(problem);
    mailbox->reason = "orphan";
    g_free(mailbox->because);
    mailbox->because = g_strdup("the directory has no such account");
    return true;
}

static bool sort_out(Directory *directory, const Site *site, Looked *looked, GError **error)
{
    g_autoptr(GHashTable) at_home = NULL;

    if (site->found->len == 0)
        return true;
    at_home = directory_ids_at(directory, site->where->name, error);
    if (at_home == NULL)
        return false;
    g_ptr_array_set_free_func(site->found, NULL);
    for (guint i = 0; i < site->found->len; i++) {
        NonLocal *mailbox = g_ptr_array_index(site->found, i);

        if (g_hash_table_contains(at_home, mailbox->account_id))
            nonlocal_free(mailbox);
        else
            g_ptr_array_add(looked->items, mailbox);
    }
    g_ptr_array_set_size(site->found, 0);
    return true;
}

Looked *look_nonlocal(const Conf *conf, const char *host, const Wait *wait, GError **error)
{
    const unsigned parts = STORE_PART(STORE_DATABASE);
    const Sites sites = { .conf = conf,
                          .host = host,
                          .parts = parts,
                          .visit = visit,
                          .free_found = (GDestroyNotify)nonlocal_free };
    g_autoptr(Directory) directory = directory_open(conf, error);
    g_autoptr(Looked) looked = looked_new((GDestroyNotify)nonlocal_free);
    g_autoptr(GPtrArray) visited = NULL;

    if (directory == NULL || (visited = sites_visit(&sites, wait, error)) == NULL)
        return NULL;
    for (guint i = 0; i < visited->len; i++)
        if (!sort_out(directory, g_ptr_array_index(visited, i), looked, error))
            return NULL;
    for (guint i = 0; i < looked->items->len; i++)
        if (!wait_check(wait, "the directory", error) ||
            !find_home(directory, g_ptr_array_index(looked->items, i), error))
            return NULL;
    looked_miss_sites(looked, visited, parts);
    return g_steal_pointer(&looked);
}
