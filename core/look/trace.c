/* trace.c - status operation_uuid: what the stores recorded of one operation. */
#include "core/look/look.h"
#include <string.h>

static void account_free_trace(TraceAccount *account)
{
    g_free(account->store);
    g_free(account->account);
    g_free(account->account_id);
    g_free(account->record);
    g_free(account->state);
    g_free(account);
}

static void trace_free(Trace *trace)
{
    g_free(trace->operation);
    g_free(trace->store);
    g_free(trace->verb);
    g_free(trace->command);
    g_free(trace->host);
    g_free(trace->who);
    g_free(trace->state);
    g_free(trace->verdict);
    g_ptr_array_unref(trace->accounts);
    g_free(trace);
}

static Trace *trace_new(const char *operation, const char *store)
{
    Trace *trace = g_new0(Trace, 1);

    trace->operation = g_strdup(operation);
    trace->store = g_strdup(store);
    trace->accounts = g_ptr_array_new_with_free_func((GDestroyNotify)account_free_trace);
    return trace;
}

/* A site's trace of this operation, made when the first of its rows is read. */
static Trace *trace_at(const Site *site, const char *operation)
{
    for (guint i = 0; i < site->found->len; i++) {
        Trace *trace = g_ptr_array_index(site->found, i);

        if (strcmp(trace->operation, operation) == 0)
            return trace;
    }
    g_ptr_array_add(site->found, trace_new(operation, site->where->name));
    return g_ptr_array_index(site->found, site->found->len - 1);
}

static bool read_operations(const Site *site, const char *prefix, GError **error)
{
    g_autofree char *pattern = g_strdup_printf("%s%%", prefix);
    g_autoptr(Rows) rows =
        db_query(site->store->control, error,
                 "SELECT uuid, verb, parameters, host, pid, who, " LOOK_OPERATION_STATE ","
                 " CAST(UNIX_TIMESTAMP(started) * 1000 AS UNSIGNED),"
                 " CAST(IFNULL(UNIX_TIMESTAMP(ended), 0) * 1000 AS UNSIGNED)"
                 " FROM zxmove.operation WHERE uuid LIKE ?",
                 DB_ARGS(db_text(pattern)));

    if (rows == NULL)
        return false;
    for (unsigned i = 0; i < rows_count(rows); i++) {
        Trace *trace = trace_at(site, rows_text(rows, i, 0));

        trace->verb = g_strdup(rows_text(rows, i, 1));
        trace->command = g_strdup(rows_text(rows, i, 2));
        trace->host = g_strdup(rows_text(rows, i, 3));
        trace->pid = (unsigned)rows_u64(rows, i, 4);
        trace->who = g_strdup(rows_text(rows, i, 5));
        trace->state = g_strdup(rows_text(rows, i, 6));
        trace->started = rows_i64(rows, i, 7);
        trace->ended = rows_i64(rows, i, 8);
    }
    return true;
}

static bool read_accounts(const Site *site, const char *prefix, GError **error)
{
    g_autofree char *pattern = g_strdup_printf("%s%%", prefix);
    g_autoptr(Rows) rows = db_query(
        site->store->control, error,
        "SELECT operation, 'window', account_id, address, state,"
        " CAST(UNIX_TIMESTAMP(made) * 1000 AS UNSIGNED) FROM zxmove.fence WHERE operation LIKE ?"
        " UNION ALL SELECT operation, 'claim', account_id, NULL,"
        " IF(expires < UTC_TIMESTAMP(3), 'expired', 'held'), 0"
        " FROM zxmove.claim WHERE operation LIKE ?"
        " UNION ALL SELECT operation, 'old copy', account_id, address, state,"
        " CAST(UNIX_TIMESTAMP(committed) * 1000 AS UNSIGNED)"
        " FROM zxmove.moved WHERE operation LIKE ?",
        DB_ARGS(db_text(pattern), db_text(pattern), db_text(pattern)));

    if (rows == NULL)
        return false;
    for (unsigned i = 0; i < rows_count(rows); i++) {
        TraceAccount *account = g_new0(TraceAccount, 1);

        account->store = g_strdup(site->where->name);
        account->record = g_strdup(rows_text(rows, i, 1));
        account->account_id = g_strdup(rows_text(rows, i, 2));
        account->account = g_strdup(rows_text(rows, i, 3));
        account->state = g_strdup(rows_text(rows, i, 4));
        account->since = rows_i64(rows, i, 5);
        g_ptr_array_add(trace_at(site, rows_text(rows, i, 0))->accounts, account);
    }
    return true;
}

static void visit(Site *site, const void *prefix)
{
    GError *problem = NULL;

    if (site->store->control != NULL && site->records &&
        (!read_operations(site, prefix, &problem) || !read_accounts(site, prefix, &problem)))
        site_failed(site, problem);
}

/* @other, of another store, over to @trace: the operation has its own row on one of them. */
static void merge(Trace *trace, Trace *other)
{
    if (other->state != NULL) {
        GPtrArray *accounts = trace->accounts;
        Trace swap = *trace;

        *trace = *other;
        *other = swap;
        other->accounts = trace->accounts;
        trace->accounts = accounts;
    }
    g_ptr_array_set_free_func(other->accounts, NULL);
    for (guint i = 0; i < other->accounts->len; i++)
        g_ptr_array_add(trace->accounts, g_ptr_array_index(other->accounts, i));
    g_ptr_array_set_size(other->accounts, 0);
}

static Trace *find(const GPtrArray *traces, const char *operation)
{
    for (guint i = 0; i < traces->len; i++) {
        Trace *trace = g_ptr_array_index(traces, i);

        if (strcmp(trace->operation, operation) == 0)
            return trace;
    }
    return NULL;
}

static void collect(GPtrArray *traces, GPtrArray *visited)
{
    for (guint i = 0; i < visited->len; i++) {
        GPtrArray *found = ((Site *)g_ptr_array_index(visited, i))->found;

        g_ptr_array_set_free_func(found, NULL);
        for (guint j = 0; j < found->len; j++) {
            Trace *trace = g_ptr_array_index(found, j), *known = find(traces, trace->operation);

            if (known == NULL) {
                g_ptr_array_add(traces, trace);
                continue;
            }
            merge(known, trace);
            trace_free(trace);
        }
        g_ptr_array_set_size(found, 0);
    }
}

static char *verdict(const Trace *trace)
{
    bool held = false, unfinished = false;

    for (guint i = 0; i < trace->accounts->len; i++) {
        const TraceAccount *account = g_ptr_array_index(trace->accounts, i);

        held = held || strcmp(account->state, "held") == 0;
        unfinished =
            unfinished || (strcmp(account->record, "window") == 0 &&
                           strcmp(account->state, "done") != 0 &&
                           strcmp(account->state, "undone") != 0);
    }
    if (held)
        return g_strdup("at work");
    if (unfinished)
        return g_strdup_printf("ended in a window: run doRecover operation %s", trace->operation);
    if (g_strcmp0(trace->state, "lost") == 0)
        return g_strdup_printf("gives no sign of life: run doResume %s", trace->operation);
    if (trace->state != NULL && trace->ended == 0)
        return g_strdup("goes on, and has no account in hand at the moment");
    return g_strdup("ended, nothing is left to do");
}

Looked *look_trace(const Conf *conf, const char *operation, const Wait *wait, GError **error)
{
    const unsigned parts = STORE_PART(STORE_DATABASE);
    g_autofree char *prefix = g_ascii_strdown(operation, -1);
    const Sites sites = { .conf = conf,
                          .parts = parts,
                          .visit = visit,
                          .question = prefix,
                          .free_found = (GDestroyNotify)trace_free };
    g_autoptr(Looked) looked = looked_new((GDestroyNotify)trace_free);
    g_autoptr(GPtrArray) visited = sites_visit(&sites, wait, error);

    if (visited == NULL)
        return NULL;
    collect(looked->items, visited);
    looked_miss_sites(looked, visited, parts);
    if (looked->items->len > 1) {
        fail(error, ZX_ERROR_USAGE, "%u operations begin with %s: give more of it",
             looked->items->len, operation);
        return NULL;
    }
    if (looked->items->len == 0 && looked->unreached->len == 0) {
        fail(error, ZX_ERROR_NOT_FOUND, "no store has a record of an operation %s", operation);
        return NULL;
    }
    for (guint i = 0; i < looked->items->len; i++) {
        Trace *trace = g_ptr_array_index(looked->items, i);

        trace->verdict = verdict(trace);
    }
    return g_steal_pointer(&looked);
}
