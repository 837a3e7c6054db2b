/* plan.c - which accounts are meant, which of them cannot go and why. Changes nothing. Every refusal says what an administrator can do about it. */
#include "core/base/file.h"
#include "core/move/list.h"
#include "core/move/move.h"
#include "core/move/select.h"
#include <string.h>
#include <unistd.h>

static void skip(MailboxResult *result, const char *why)
{
    result->outcome = OUTCOME_SKIPPED;
    result->reason = g_strdup(why);
}

/* @test: which of doCheck's it did not pass. */
static void refuse(MailboxResult *result, const char *test, const char *fmt, ...)
    G_GNUC_PRINTF(3, 4);
static void refuse(MailboxResult *result, const char *test, const char *fmt, ...)
{
    va_list args;

    result->test = test;
    va_start(args, fmt);
    result->outcome = OUTCOME_FAILED;
    result->code = ZX_ERROR_REFUSED;
    result->reason = g_strdup_vprintf(fmt, args);
    va_end(args);
}

static bool is_called(const Account *account, const char *name)
{
    bool called = g_ascii_strcasecmp(name, account->address) == 0 ||
                  g_ascii_strcasecmp(name, account->id) == 0;

    for (char **alias = account->aliases; *alias != NULL && !called; alias++)
        called = g_ascii_strcasecmp(name, *alias) == 0;
    return called;
}

/* What it sends would come from a mailbox in maintenance. */
static bool is_sender(const Operation *op, const Account *account)
{
    return op->request->notifications != NULL && (op->request->stages & STAGE_ACCOUNT) &&
           op->conf->smtp.from != NULL && is_called(account, op->conf->smtp.from);
}

/* Being there is not enough: a mover that died after the commit may have left the user out. */
static void skip_if_finished(Operation *op, const Account *account, MailboxResult *result)
{
    GError *problem = NULL;
    Store *store = operation_store(op, account->mail_host, &problem);

    /* It may be hours since it was last asked. */
    if (store != NULL && (op->looking || store_revive(store, &problem)) &&
        (store->bare || move_nothing_unfinished(store, account, &problem))) {
        skip(result, "already there");
        return;
    }
    refuse(result, "unfinished", "%s", problem->message);
    result->code = error_code(problem);
    g_error_free(problem);
}

bool plan_may_go(Operation *op, const Account *account, MailboxResult *result)
{
    const char *wanted = op->request->source_host;
    const ServerInfo *server;

    if (account->mail_host == NULL) {
        skip(result, "external account: it has no mail host");
        return false;
    }
    if (account_lives_on(account, result->destination)) {
        skip_if_finished(op, account, result);
        return false;
    }
    if (op->rolling_back && !account_lives_on(account, result->source)) {
        refuse(result, NULL,
               "it lives on %s by now, and was to be taken back from %s. To take it to %s: "
               "doMailboxMove %s accounts %s",
               account->mail_host, result->source, result->destination, result->destination,
               account->address);
        return false;
    }
    if (wanted != NULL && !account_lives_on(account, wanted)) {
        g_autofree char *why = g_strdup_printf("home is %s", account->mail_host);

        skip(result, why);
        return false;
    }
    server = directory_server(op->servers, account->mail_host);
    if (server == NULL)
        refuse(result, "home",
               "its home %s is no server of this directory: an external account cannot be moved",
               account->mail_host);
    else if (*account->status == '\0')
        refuse(result, "account_status",
               "its zimbraAccountStatus cannot be read: give ldap.bind_dn the right to");
    else if (!account_transport_matches(account, server->hostname))
        refuse(result, "transport",
               "custom mail transport %s: moving would overwrite it. Set it to lmtp:%s:%u first "
               "(zmprov ma %s"
               " zimbraMailTransport ...), if that is right",
               account->transport, server->hostname, server->lmtp_port, account->address);
    else if (account_domain_blocks(account))
        refuse(result, "domain",
               "domain %s is %s: the servers refuse every request on its accounts. If you may, "
               "run: zmprov md"
               " %s zimbraDomainStatus maintenance",
               account->domain, account->domain_status, account->domain);
    else if (is_sender(op, account))
        refuse(result, "notifications",
               "the notification's sender (smtp.from) is this account: set another sender, or move "
               "it without notifications");
    /* Our own login must not lose its token in mid-window (hazard 52b). */
    else if (is_called(account, op->conf->admin.user))
        refuse(result, "own_login",
               "zxmove itself logs in as this account: log in as another administrator "
               "(admin.user) to move it");
    else
        return true;
    return false;
}

/* Accounts. */

/* What was asked for, each account once. */
typedef struct Found {
    Operation *op;
    GHashTable *seen;    /* ids, borrowed from the accounts */
    GPtrArray *accounts; /* of Account */
} Found;

static void add_account(Found *found, Account *account)
{
    if (g_hash_table_contains(found->seen, account->id)) {
        account_free(account);
        return;
    }
    g_hash_table_add(found->seen, account->id);
    g_ptr_array_add(found->accounts, account);
}

static bool add_address(Found *found, const char *address, GError **error)
{
    Account *account = directory_account(found->op->directory, address, error);

    if (account == NULL)
        return false;
    add_account(found, account);
    return true;
}

static bool add_domain(Found *found, const char *domain, GError **error)
{
    g_autoptr(GPtrArray) accounts = directory_domain(found->op->directory, domain, error);

    if (accounts == NULL)
        return false;
    g_ptr_array_set_free_func(accounts, NULL); /* each goes over to add_account */
    for (guint i = 0; i < accounts->len; i++)
        add_account(found, g_ptr_array_index(accounts, i));
    return true;
}

/* What a file asks for that the directory does not know: the first few by name, to be mended at
 * once. */
typedef struct Unknown {
    guint count;
    GString *text;
} Unknown;

static void add_unknown(Unknown *unknown, const Listed *listed)
{
    enum { NAMED = 10 };

    if (unknown->count++ < NAMED)
        g_string_append_printf(unknown->text, "\nline %u: %s", listed->line, listed->who);
    else if (unknown->count == NAMED + 1)
        g_string_append(unknown->text, "\n...");
}

static bool add_list(Found *found, const char *path, const GPtrArray *list, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    Unknown unknown = { .text = text };

    for (guint i = 0; i < list->len; i++) {
        const Listed *listed = g_ptr_array_index(list, i);
        GError *problem = NULL;

        if (add_address(found, listed->who, &problem))
            continue;
        if (!g_error_matches(problem, ZX_ERROR, ZX_ERROR_NOT_FOUND)) {
            g_propagate_error(error, problem);
            return fail_prefix(error, "%s:%u", path, listed->line);
        }
        g_error_free(problem);
        add_unknown(&unknown, listed);
    }
    return unknown.count == 0 || fail(error, ZX_ERROR_NOT_FOUND,
                                      "%s: no account in the directory for %u of %u addresses%s",
                                      path, unknown.count, list->len, text->str);
}

static bool add_file(Found *found, const char *file, GError **error)
{
    bool is_stdin = strcmp(file, "-") == 0;
    const char *path = is_stdin ? "stdin" : file;
    g_autoptr(GPtrArray) list = NULL;
    g_autofree char *text = NULL;
    gsize length;

    if (is_stdin ? !file_read_fd(STDIN_FILENO, path, &text, &length, error)
                 : !file_read(path, &text, &length, error))
        return fail_prefix(error, "input_file");
    list = list_read(path, text, length, error);
    if (list == NULL)
        return false;
    if (list->len == 0)
        operation_note(found->op, "input_file %s has no address", path);
    return add_list(found, path, list, error);
}

static bool find_accounts(Found *found, GError **error)
{
    const MoveRequest *request = found->op->request;

    for (char **address = request->accounts; address != NULL && *address != NULL; address++)
        if (!add_address(found, *address, error))
            return false;
    for (char **domain = request->domains; domain != NULL && *domain != NULL; domain++)
        if (!add_domain(found, *domain, error))
            return false;
    return request->input_file == NULL || add_file(found, request->input_file, error);
}

static bool read_sizes(Operation *op, Store *store, GError **error)
{
    g_autoptr(Rows) rows = db_query(
        store->control, error, "SELECT account_id, size_checkpoint FROM zimbra.mailbox", DB_NONE);

    for (unsigned i = 0; rows != NULL && i < rows_count(rows); i++) {
        uint64_t *size = g_new(uint64_t, 1);

        *size = rows_u64(rows, i, 1);
        g_hash_table_insert(op->sizes, g_strdup(rows_text(rows, i, 0)), size);
    }
    return rows != NULL;
}

/* One question a store; @hosts (of char *, with NULLs) is what the accounts have as their home.
 * @decide: something depends on the answer. */
static void ask_sizes(Operation *op, const GPtrArray *hosts, bool decide)
{
    g_autoptr(GHashTable) asked = g_hash_table_new(g_str_hash, g_str_equal);

    if (op->sizes != NULL)
        return;
    op->sizes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (guint i = 0; i < hosts->len; i++) {
        char *host = g_ptr_array_index(hosts, i);
        g_autoptr(GError) problem = NULL;
        Store *store;

        if (host == NULL || !g_hash_table_add(asked, host))
            continue;
        store = operation_store(op, host, &problem);
        if ((store == NULL || !read_sizes(op, store, &problem)) && decide)
            operation_note(op,
                           "%s does not tell the sizes of its mailboxes, they count as empty: %s",
                           host, problem->message);
    }
}

uint64_t plan_sizes(Operation *op, const GArray *places)
{
    g_autoptr(GPtrArray) hosts = g_ptr_array_new();
    uint64_t all = 0;

    for (guint i = 0; i < places->len; i++)
        g_ptr_array_add(hosts, operation_result(op, places, i)->source);
    ask_sizes(op, hosts, false);
    for (guint i = 0; i < places->len; i++)
        all += operation_size(op, operation_result(op, places, i)->account_id);
    return all;
}

static void arrange(Operation *op, GPtrArray *accounts)
{
    Order order = select_order(op->request->order);
    g_autoptr(GPtrArray) hosts = g_ptr_array_new();
    bool any = false;

    for (guint i = 0; i < accounts->len; i++) {
        const Account *account = g_ptr_array_index(accounts, i);

        g_ptr_array_add(hosts, account->mail_host);
        any |= account->last_logon != NULL;
    }
    if (order == ORDER_SIZE_ASC || order == ORDER_SIZE_DESC || op->request->max_bytes != 0)
        ask_sizes(op, hosts, true);
    if (order == ORDER_LAST_LOGIN && !any)
        operation_note(op, "order last_login: the directory knows of no login of these accounts, "
                           "they go by name");
    select_sort(accounts, order, op->sizes);
}

/* Takes the accounts that can be tried and still fit; every account gets its line in the report. */
static GPtrArray *choose(Operation *op, GPtrArray *accounts)
{
    g_autoptr(Globs) exclude = globs_new(op->request->exclude);
    g_autoptr(GPtrArray) idle = NULL;
    GPtrArray *chosen = g_ptr_array_new_with_free_func((GDestroyNotify)account_free);
    Quota quota = { .max_accounts = op->request->max_accounts,
                    .max_bytes = op->request->max_bytes };

    for (guint i = 0; i < accounts->len; i++) {
        Account *account = g_ptr_array_index(accounts, i);
        MailboxResult *result = operation_add_result(op, account->address, account->id,
                                                     account->mail_host, op->request->destination);
        g_autofree char *over = NULL;
        bool go = false;

        if (globs_match(exclude, account))
            skip(result, "excluded");
        else if (plan_may_go(op, account, result)) {
            over = quota_take(&quota, operation_size(op, account->id));
            if (over != NULL)
                skip(result, over);
            go = over == NULL;
        }
        if (go)
            g_ptr_array_add(chosen, account);
        else
            account_free(account);
    }
    idle = globs_idle(exclude);
    for (guint i = 0; i < idle->len; i++)
        operation_note(op, "exclude %s matches none of these accounts",
                       (const char *)g_ptr_array_index(idle, i));
    return chosen;
}

GPtrArray *plan_select(Operation *op, GError **error)
{
    g_autoptr(GPtrArray) accounts = g_ptr_array_new_with_free_func((GDestroyNotify)account_free);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    Found found = { .op = op, .seen = seen, .accounts = accounts };

    if (op->request->source_host != NULL &&
        directory_server_called(op->servers, op->request->source_host, error) == NULL)
        return NULL;
    if (!find_accounts(&found, error))
        return NULL;
    arrange(op, accounts);
    g_ptr_array_set_free_func(accounts, NULL); /* each goes over to choose */
    return choose(op, accounts);
}
