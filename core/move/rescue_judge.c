/* rescue_judge.c - see rescue.h: the home is gone, the old copy can serve, and what is lost. Reads
 * only. */
#include "core/base/log.h"
#include "core/move/rescue.h"
#include <string.h>

/* The home is gone. */

bool rescue_is_silence(const GError *why)
{
    return why != NULL &&
           (error_code(why) == ZX_ERROR_CONNECT || error_code(why) == ZX_ERROR_TIMEOUT);
}

bool rescue_home_is_gone(Operation *op, const char *host, GError **error)
{
    static const char *const names[] = {
        [STORE_AGENT] = "agent", [STORE_DATABASE] = "database", [STORE_SOAP] = "SOAP"
    };
    const ConfStore *where = conf_store(op->conf, host);
    unsigned parts = STORE_PART(STORE_AGENT) | STORE_PART(STORE_DATABASE) | STORE_PART(STORE_SOAP);
    Wait wait = wait_within(op->wait, (int64_t)op->conf->net_timeout_s * 1000);
    GError *why[STORE_PARTS] = { NULL };
    const char *alive = NULL;
    Store *store;

    if (where == NULL)
        return fail(error, ZX_ERROR_REFUSED,
                    "its home %s is not in the configuration, so nobody can ask whether it is gone:"
                    " add it under `stores`",
                    host);
    store =
        store_open_parts(op->conf, where, directory_server(op->servers, host), parts, &wait, why);
    for (int part = 0; part < STORE_PARTS; part++) {
        if (!rescue_is_silence(why[part]) && alive == NULL)
            alive = names[part];
        g_clear_error(&why[part]);
    }
    store_close(store);
    return alive == NULL ||
           fail(error, ZX_ERROR_REFUSED,
                "its home %s answers (%s): this is the way back from a home that is gone. From one"
                " that is there, with everything that arrived: doRollback without from_old_copy",
                host, alive);
}

/* The old copy can serve. */

bool rescue_may_begin(const Departure *departure, const Account *account, GError **error)
{
    if (!account_lives_on(account, departure->to))
        return fail(error, ZX_ERROR_REFUSED,
                    "it lives on %s, where operation %s did not put it (that was %s)",
                    account_home(account), departure->operation, departure->to);
    if (!departure->finished && !departure->past_commit)
        return fail(error, ZX_ERROR_CONFLICT,
                    "operation %s left this account unfinished. Run:\n"
                    "  zxmove doRecover accounts %s dry_run false",
                    departure->operation, departure->address);
    if (account_domain_blocks(account))
        return fail(error, ZX_ERROR_REFUSED,
                    "domain %s is %s: the servers refuse every request on its"
                    " accounts",
                    account->domain, account->domain_status);
    if (departure->mailbox == 0)
        return fail(error, ZX_ERROR_REFUSED,
                    "it had no mailbox when it left %s: there is no old copy", departure->from);
    return g_strcmp0(departure->copy, "kept") == 0 ||
           (departure->copy == NULL && !departure->finished) ||
           fail(error, ZX_ERROR_REFUSED, "its old copy on %s is %s: it cannot serve",
                departure->from,
                departure->copy == NULL                   ? "used for a later move"
                : strcmp(departure->copy, "reused") == 0  ? "being brought up to date by a way back"
                : strcmp(departure->copy, "stray") == 0   ? "one that was written to after the move"
                : strcmp(departure->copy, "purging") == 0 ? "being purged"
                                                          : "purged");
}

/* Are its rows what its record says? Without one yet (@fingerprints NULL), what the fence of the
 * move says. */
static bool is_as_left(Move *move, const char *fingerprints, const Fence *left, bool *same,
                       GError **error)
{
    g_autofree char *sums = NULL;
    RowsMaxima now, proven;

    if (fingerprints == NULL) {
        if (!rows_maxima(move->source->data, move->source_group, move->source_mailbox, &now, error))
            return false;
        *same = maxima_parse(left->proven, &proven) && maxima_equal(&now, &proven);
        return true;
    }
    sums = rows_fingerprints_alone(move->source->data, move->source_group, move->source_mailbox,
                                   error);
    *same = sums != NULL && strcmp(sums, fingerprints) == 0;
    return sums != NULL;
}

/* What mailboxd has of it in memory must be what its rows say: nobody reloads it (5.2). */
static bool memory_is_right(Move *move, const char *fingerprints, const Fence *left, GError **error)
{
    g_autofree char *why = NULL;
    Probe probe = admin_probe(move->source->soap, move->account->id, &move->wait, &why);
    bool same;

    if (!is_as_left(move, fingerprints, left, &same, error))
        return false;
    if (probe == PROBE_UNKNOWN)
        return fail(error, ZX_ERROR_CONNECT, "mailboxd of %s does not say what it knows of it: %s",
                    move->source->name, why);
    if (same)
        return true;
    if (probe == PROBE_LOCKED)
        return fail(
            error, ZX_ERROR_REFUSED,
            "rows of its old copy were changed while mailboxd of %s has it locked in memory:"
            " restart mailboxd there, then try again",
            move->source->name);
    move_note(move, "the old copy was written to after it was left: it is served as it is");
    return true;
}

bool rescue_copy_can_serve(Move *move, const Departure *departure, const Fence *left,
                           GError **error)
{
    g_autoptr(Rows) record =
        db_query(move->source->control, error,
                 "SELECT fingerprints FROM zxmove.moved WHERE mailbox_id = ? AND account_id = ?"
                 " AND operation = ? AND state = 'kept'",
                 DB_ARGS(db_u64(departure->mailbox), db_text(move->account->id),
                         db_text(departure->operation)));
    uint32_t row;

    if (record == NULL)
        return false;
    if (rows_count(record) != 1 && left == NULL)
        return fail(error, ZX_ERROR_CHANGED, "another operation took the old copy meanwhile");
    if (!mailbox_row_find(move->source->control, move->account->id, &row, &move->source_group,
                          &move->source_index_volume, error))
        return false;
    if (row != departure->mailbox)
        return fail(error, ZX_ERROR_REFUSED, "%s has mailbox %u of it, not the recorded %u",
                    move->source->name, row, departure->mailbox);
    move->source_mailbox = move->target_mailbox = row;
    move->target_group = move->source_group;
    return memory_is_right(move, rows_count(record) == 1 ? rows_text(record, 0, 0) : NULL, left,
                           error);
}

bool rescue_find_left(Move *move, const Departure *departure, Fence **left, GError **error)
{
    GError *problem = NULL;

    *left = fence_find(move->target, move->account->id, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return false;
    }
    return *left == NULL ||
           (!departure->finished && strcmp((*left)->operation, departure->operation) == 0 &&
            (*left)->on_source &&
            ((*left)->state == FENCE_COMMITTING || (*left)->state == FENCE_COMMITTED)) ||
           move_nothing_unfinished(move->target, move->account, error);
}

/* Nobody was let in at the home that is gone. */
static bool was_never_let_in(const Account *account, const Fence *left)
{
    return left != NULL && left->status_touched && strcmp(account->status, "maintenance") == 0;
}

/* Neither records nor directory count what arrived. */
char *rescue_what_is_lost(const Departure *departure, const Account *account, const Fence *left)
{
    g_autoptr(GDateTime) when = g_date_time_new_from_unix_local(departure->at / 1000);
    g_autofree char *since = g_date_time_format(when, "%Y-%m-%d %H:%M:%S");
    g_autofree char *utc = NULL;
    g_autoptr(GDateTime) when_utc = g_date_time_to_utc(when);
    int64_t minutes = (g_get_real_time() / 1000 - departure->at) / 60000;
    GString *text = g_string_new(NULL);

    if (was_never_let_in(account, left)) {
        g_string_printf(
            text,
            "the move to %s was not finished: since %s it is in maintenance, where nothing is"
            " accepted, and nothing is given up",
            departure->to, since);
        return g_string_free(text, FALSE);
    }
    utc = g_date_time_format(when_utc, "%Y%m%d%H%M%S");
    g_string_printf(text,
                    "everything that arrived or changed on %s since %s (%" G_GINT64_FORMAT
                    " h %02" G_GINT64_FORMAT
                    " min) is given up; how many messages is unknown, %s does not"
                    " answer",
                    departure->to, since, minutes / 60, minutes % 60, departure->to);
    if (account->last_logon != NULL && strncmp(account->last_logon, utc, 14) > 0)
        g_string_append_printf(text, "; its user has logged in there since (%.8s)",
                               account->last_logon);
    return g_string_free(text, FALSE);
}
