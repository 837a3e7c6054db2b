/* rescue.c - doRollback from_old_copy: the user of a home that is gone gets the old copy back, as
 * it was when it was left (doc/platform.md 9.6, hazard 47; the order: doc/architecture.md). Only
 * when nothing of that home answers, and a person has accepted what is lost. The old store's fence
 * is the only record: before the directory changes everything leads back, after it only forward.
 *
 * A home may die in the middle of the move that led to it, after the commit: the window of that
 * move is still open, there may be no record of the old copy yet, and its user is in maintenance or
 * was just let in. Then the fence of the move is the record: what the source showed when it was
 * proven, and the status to give back. It stays open until the directory has the old home again,
 * and is closed with that.
 *
 * A Move carries what other parts need; both its ends are the old store. */
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/move/rollback.h"
#include <string.h>

#define PATIENCE_MS 60000
#define DEAD_FOR_US (30 * G_USEC_PER_SEC) /* so long what was found out holds for the next account */

typedef struct Rescue {
    GHashTable
        *turns; /* account id -> its place in the report, and 1: of those whose turn is to come */
    unsigned index, total;
    char *dead; /* the home that was asked last, and gave no answer */
    int64_t asked;
} Rescue;

/* The home is gone. */

/* Refusing to answer is an answer. */
static bool is_silence(const GError *why)
{
    return why != NULL &&
           (error_code(why) == ZX_ERROR_CONNECT || error_code(why) == ZX_ERROR_TIMEOUT);
}

/* Nothing of it may answer: neither database, nor agent, nor SOAP. */
static bool is_gone(Operation *op, const char *host, GError **error)
{
    static const char *const names[] = { [STORE_AGENT] = "agent",
                                         [STORE_DATABASE] = "database",
                                         [STORE_SOAP] = "SOAP" };
    const ConfStore *where = conf_store(op->conf, host);
    unsigned parts =
        STORE_PART(STORE_AGENT) | STORE_PART(STORE_DATABASE) | STORE_PART(STORE_SOAP);
    Wait wait = wait_within(op->wait, (int64_t)op->conf->net_timeout_s * 1000);
    GError *why[STORE_PARTS] = { NULL };
    const char *alive = NULL;
    Store *store;

    if (where == NULL)
        return fail(error, ZX_ERROR_REFUSED,
                    "its home %s is not in the configuration, so nobody can ask whether it is gone:"
                    " add it under `stores`",
                    host);
    store = store_open_parts(op->conf, where, directory_server(op->servers, host), parts, &wait, why);
    for (int part = 0; part < STORE_PARTS; part++) {
        if (!is_silence(why[part]) && alive == NULL)
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

static bool home_is_gone(Operation *op, Rescue *rescue, const char *host, GError **error)
{
    if (rescue->dead != NULL && g_ascii_strcasecmp(host, rescue->dead) == 0 &&
        g_get_monotonic_time() - rescue->asked < DEAD_FOR_US)
        return true;
    if (!is_gone(op, host, error))
        return false;
    g_free(rescue->dead);
    rescue->dead = g_strdup(host);
    rescue->asked = g_get_monotonic_time();
    return true;
}

/* The old copy can serve. */

static bool may_be_rescued(const Departure *departure, const Account *account, GError **error)
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
        return fail(error, ZX_ERROR_REFUSED, "domain %s is %s: the servers refuse every request on its"
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
        return fail(error, ZX_ERROR_REFUSED,
                    "rows of its old copy were changed while mailboxd of %s has it locked in memory:"
                    " restart mailboxd there, then try again",
                    move->source->name);
    move_note(move, "the old copy was written to after it was left: it is served as it is");
    return true;
}

/* As it is under the lock. @left: of the move that was not finished, or NULL. */
static bool copy_can_serve(Move *move, const Departure *departure, const Fence *left,
                           GError **error)
{
    g_autoptr(Rows) record = db_query(
        move->source->control, error,
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

/* The window of the move that led to the home that is gone, in *left; NULL: it was closed. Any
 * other that is open is in the way. */
static bool find_left(Move *move, const Departure *departure, Fence **left, GError **error)
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

/* Its mover, should it still sleep somewhere, can change nothing there any more. */
static bool take_left_over(Move *move, Fence **left, GError **error)
{
    Fence *now;

    if (*left == NULL)
        return true;
    now = fence_take_over(*left, move->target, NULL, true, error);
    fence_free(*left);
    *left = now;
    return now != NULL;
}

/* Nobody was let in at the home that is gone. */
static bool was_never_let_in(const Account *account, const Fence *left)
{
    return left != NULL && left->status_touched && strcmp(account->status, "maintenance") == 0;
}

/* What a person has to know before. Neither records nor directory count what arrived. */
static char *what_is_lost(const Departure *departure, const Account *account, const Fence *left)
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
                    "everything that arrived or changed on %s since %s (%" G_GINT64_FORMAT " h %02"
                    G_GINT64_FORMAT " min) is given up; how many messages is unknown, %s does not"
                    " answer",
                    departure->to, since, minutes / 60, minutes % 60, departure->to);
    if (account->last_logon != NULL && strncmp(account->last_logon, utc, 14) > 0)
        g_string_append_printf(text, "; its user has logged in there since (%.8s)",
                               account->last_logon);
    return g_string_free(text, FALSE);
}

/* The one write. */

static Account *by_master(Move *move, GError **error)
{
    return directory_account(move->op->directory, move->account->id, error);
}

typedef enum Sent { SENT_DONE, SENT_REFUSED, SENT_UNKNOWN } Sent;

/* mailboxd executes it itself, targetServer being itself (6.2): it is not passed on to the home that is
 * gone. What it refuses the master is asked for, if host and transport are still the old ones. */
static Sent send_home(Move *move, const Account *now, GError **error)
{
    const char *const pairs[] = { "zimbraMailHost", move->target->name, NULL };
    const ServerInfo *server = directory_server(move->op->servers, move->target->name);
    SoapOutcome outcome = admin_modify(move->target->soap, move->account->id, pairs,
                                       &move->claim.wait, error);

    if (outcome == SOAP_ANSWER)
        return SENT_DONE;
    if (outcome == SOAP_UNKNOWN)
        return SENT_UNKNOWN;
    log_warning("%s; asking the LDAP master", (*error)->message);
    g_clear_error(error);
    if (failpoint("rescue:master", error) &&
        directory_change_home(move->op->directory, now, server, error)) {
        move_note(move, "mailboxd of %s refused the change of the directory: it was made on the LDAP"
                        " master",
                  move->target->name);
        return SENT_DONE;
    }
    return is_silence(*error) ? SENT_UNKNOWN : SENT_REFUSED;
}

static bool shows_home(Move *move)
{
    g_autoptr(GError) ignored = NULL;
    g_autoptr(Account) now = by_master(move, &ignored);

    return now != NULL && account_lives_on(now, move->target->name);
}

/* Only what the master shows counts. A refusal is one if nothing before it may still land. */
static bool change_home(Move *move, GError **error)
{
    Wait wait = wait_through(&move->wait, PATIENCE_MS);
    int pause_ms = 200;

    for (;;) {
        GError *problem = NULL;
        g_autoptr(Account) now = by_master(move, &problem);
        Sent sent = SENT_UNKNOWN;

        if (now != NULL && account_lives_on(now, move->target->name))
            return true;
        if (now != NULL && !account_lives_on(now, move->fence->source_host))
            return fail(error, ZX_ERROR_CHANGED, "the directory says that it lives on %s now",
                        account_home(now));
        if (now != NULL && claim_check(&move->claim, &problem))
            sent = send_home(move, now, &problem);
        if (sent == SENT_DONE && failpoint("rescue:sent", &problem)) {
            if (shows_home(move))
                return true;
            fail(&problem, ZX_ERROR_IN_DOUBT, "answered, but the directory does not show it");
        }
        if (sent == SENT_REFUSED && !move->in_doubt) {
            g_propagate_error(error, problem);
            return false;
        }
        move->in_doubt = true;
        log_warning("in doubt: %s", problem->message);
        if (error_code(problem) == ZX_ERROR_CONFLICT || wait_left_ms(&wait, 1) == 0) {
            fail(error, ZX_ERROR_IN_DOUBT,
                 "the change of the directory was sent and not answered (%s). Run:\n"
                 "  zxmove doRecover accounts %s dry_run false",
                 problem->message, move->account->address);
            g_error_free(problem);
            return false;
        }
        g_error_free(problem);
        wait_pause(&wait, pause_ms);
        pause_ms = MIN(pause_ms * 2, 5000);
    }
}

/* After it: each part is safe to run twice. */

/* The old copy is no old copy any more, and what was the mailbox is a stray one: of its store's own
 * records that has to wait until the store is back. A move that had not ended is over. */
static bool record_home(Move *move, GError **error)
{
    Store *store = move->target;
    const Fence *fence = move->fence;

    return fence_set(store, fence, FENCE_COMMITTED, error) &&
           db_exec(
               store->control, NULL, error,
               "UPDATE zxmove.moved SET state = 'reused' WHERE mailbox_id = ? AND account_id = ?",
               DB_ARGS(db_u64(fence->destination_mailbox), db_text(fence->account_id))) &&
           db_exec(store->control, NULL, error,
                   "REPLACE INTO zxmove.left_behind (account_id, store, mailbox_id, address,"
                   " operation, since) VALUES (?, ?, ?, ?, ?, UTC_TIMESTAMP(3))",
                   DB_ARGS(db_text(fence->account_id), db_text(fence->source_host),
                           db_u64(fence->source_mailbox), db_text(fence->address),
                           db_text(fence->operation))) &&
           db_exec(store->control, NULL, error,
                   "UPDATE zxmove.fence SET state = 'undone', changed = UTC_TIMESTAMP(3)"
                   " WHERE account_id = ? AND operation <> ? AND role = 'source'"
                   " AND destination_host = ? AND state IN ('committing', 'committed')",
                   DB_ARGS(db_text(fence->account_id), db_text(fence->operation),
                           db_text(fence->source_host))) &&
           store_durable(store, error) && failpoint("rescue:recorded home", error);
}

static bool forget_caches(Move *move, GError **error)
{
    Wait wait = wait_through(&move->wait, PATIENCE_MS / 6);

    if (!caches_drop_mailboxd_keys(move, error) ||
        !caches_flush_store(move, move->target, NULL, move->target->name, &wait, error))
        return false;
    caches_drop_routes(move);
    return failpoint("rescue:flushed", error);
}

/* The rows were not touched while it was locked, so what is in memory is right; after a restart there
 * is no lock, and nothing to end. */
static bool end_lock(Move *move, GError **error)
{
    return lock_end(move, move->target, error) && failpoint("rescue:unlocked", error);
}

static bool answers(Move *move, GError **error)
{
    uint32_t id, row;

    /* Asked without a row, mailboxd would make a new, empty mailbox (hazard 1). */
    if (!mailbox_row_find(move->target->control, move->account->id, &row, NULL, NULL, error))
        return false;
    if (row != move->fence->destination_mailbox)
        return fail(error, ZX_ERROR_CHANGED, "%s has mailbox %u of it, not %u", move->target->name,
                    row, move->fence->destination_mailbox);
    if (!admin_mailbox_id(move->target->soap, move->account->id, &move->claim.wait, &id, error))
        return false;
    return id == row || fail(error, ZX_ERROR_CHANGED, "%s answers mailbox %u, not %u: restart mailboxd"
                                                      " there",
                             move->target->name, id, row);
}

/* Of a move that was not finished: the maintenance that it set, if it is still that. */
static bool give_status_back(Move *move, GError **error)
{
    const Fence *fence = move->fence;
    const char *const pairs[] = { "zimbraAccountStatus", fence->account_status, "zimbraMailStatus",
                                  fence->mail_status != NULL ? fence->mail_status : "", NULL };
    Wait wait = wait_through(&move->wait, PATIENCE_MS / 6);
    g_autoptr(Account) now = NULL;

    if (!fence->status_touched)
        return true;
    now = by_master(move, error);
    if (now == NULL)
        return false;
    if (strcmp(now->status, "maintenance") != 0)
        return true;
    return admin_modify(move->target->soap, move->account->id, pairs, NULL, error) == SOAP_ANSWER &&
           caches_flush_store(move, move->target, fence->account_status, move->target->name, &wait,
                              error);
}

static bool close_fence(Move *move, GError **error)
{
    return fence_set(move->target, move->fence, FENCE_DONE, error);
}

static bool insist(Move *move, const char *name, MovePart *part, GError **error)
{
    Wait wait = wait_through(&move->wait, PATIENCE_MS);

    return move_insist(move, name, part, &wait, error);
}

static bool forward(Move *move, GError **error)
{
    const Fence *fence = move->fence;

    move->committed = true;
    move->result->committed = g_get_real_time() / 1000;
    move_state(move, "open", NULL);
    if (!insist(move, "record", record_home, error) ||
        !insist(move, "caches", forget_caches, error) ||
        !insist(move, "lock-out end", end_lock, error) || !insist(move, "answer", answers, error) ||
        !insist(move, "status", give_status_back, error))
        return false;
    move_state(move, "settle", NULL);
    settle_tell_others(move, fence->source_host);
    move_note(move,
              "mailbox %u on %s is left behind: when %s is back nobody is served it, and doVerify lists"
              " what it has that the user lacks",
              fence->source_mailbox, fence->source_host, fence->source_host);
    return insist(move, "fence", close_fence, error);
}

/* One account. */

static bool begin_fence(Move *move, const Departure *departure, const Fence *left, GError **error)
{
    Fence *fence = fence_new(move->account, move->op->uuid, departure->to, departure->from);

    fence->rescue = true;
    fence->source_mailbox = departure->new_mailbox;
    fence->destination_mailbox = departure->mailbox;
    if (left != NULL && left->status_touched) {
        g_free(fence->account_status);
        g_free(fence->mail_status);
        fence->account_status = g_strdup(left->account_status);
        fence->mail_status = g_strdup(left->mail_status);
        fence->status_touched = true;
    }
    move->fence = fence;
    return fence_begin(fence, NULL, move->target, error) && failpoint("rescue:fenced", error) &&
           claim_check(&move->claim, error);
}

/* The directory was not changed, and will not be: nothing else was touched. */
static void lead_back(Move *move)
{
    GError *problem = NULL;

    if (fence_set(move->target, move->fence, FENCE_UNDONE, &problem))
        return;
    log_warning("%s: %s", move->target->name, problem->message);
    g_error_free(problem);
}

static bool commit(Move *move, GError **error)
{
    if (!fence_advance(move->target, move->fence, FENCE_FENCED, FENCE_COMMITTING, error) ||
        !failpoint("rescue:committing", error))
        return false;
    move->fence->state = FENCE_COMMITTING;
    return change_home(move, error) && failpoint("rescue:changed", error);
}

static bool rescue_claimed(Move *move, Rescue *rescue, const Departure *departure, GError **error)
{
    g_autoptr(Fence) left = NULL;

    account_free(move->account);
    move->account = directory_account(move->op->directory, departure->account_id, error);
    if (move->account == NULL || !may_be_rescued(departure, move->account, error) ||
        !find_left(move, departure, &left, error) ||
        !copy_can_serve(move, departure, left, error) ||
        !home_is_gone(move->op, rescue, departure->to, error))
        return false;
    move->result->source_mailbox = departure->new_mailbox;
    move->result->destination_mailbox = departure->mailbox;
    if (move->op->looking) {
        move->result->outcome = OUTCOME_PLANNED;
        move->result->reason = what_is_lost(departure, move->account, left);
        return true;
    }
    move_state(move, "commit", NULL);
    if (!take_left_over(move, &left, error) || !begin_fence(move, departure, left, error) ||
        !commit(move, error)) {
        if (move->fence != NULL && !move->in_doubt)
            lead_back(move);
        return false;
    }
    move->in_doubt = false;
    {
        g_autofree char *lost = what_is_lost(departure, move->account, left);

        move_note(move, "%s", lost);
    }
    if (!forward(move, error))
        return false;
    move->result->outcome = OUTCOME_MOVED;
    return true;
}

static void set_failed(Move *move, GError *problem)
{
    bool open = move->in_doubt || move->committed;

    log_error("%s", problem->message);
    if (move->committed)
        move_note(move, "%s is home; finish with: zxmove doRecover accounts %s dry_run false",
                  move->target->name, move->account->address);
    result_decide(move->result, open ? OUTCOME_IN_DOUBT : OUTCOME_FAILED, problem);
}

/* A look takes no claim. */
static bool take(Move *move, GError **error)
{
    return move->op->looking || claim_take(&move->claim, move->account->id, move->op->uuid,
                                           move->target, NULL, move->op->conf->lease_s, error);
}

/* Why there is nothing to do; NULL: there is. */
static const char *nothing_to_do(const Candidate *candidate)
{
    if (candidate->nothing != NULL)
        return candidate->nothing;
    return account_lives_on(candidate->account, candidate->departure->from) ? "already there"
                                                                            : NULL;
}

/* Who is to be tried has a line in the report of which nothing is decided. */
static void select_one(Operation *op, const RollbackRequest *request G_GNUC_UNUSED,
                       const Candidate *candidate, void *data G_GNUC_UNUSED)
{
    const Departure *departure = candidate->departure;
    GError *problem = candidate->problem;
    const char *nothing = problem == NULL ? nothing_to_do(candidate) : NULL;

    if (problem == NULL && nothing == NULL &&
        may_be_rescued(departure, candidate->account, &problem) &&
        operation_reach(op, departure->from, &problem) != NULL)
        operation_add_result(op, candidate->account->address, candidate->account->id, departure->to,
                             departure->from);
    else
        rollback_tell(op, candidate, nothing, problem);
}

static void rescue_account(Operation *op, Rescue *rescue, const Candidate *candidate,
                           MailboxResult *result)
{
    const Departure *departure = candidate->departure;
    GError *problem = candidate->problem;
    Store *store = problem == NULL ? operation_store(op, departure->from, &problem) : NULL;
    Account *account = NULL;
    Move *move;

    if (store != NULL && store_revive(store, &problem))
        account = directory_account(op->directory, departure->account_id, &problem);
    if (account == NULL) {
        result_decide(result, OUTCOME_FAILED, problem);
        return;
    }
    move = move_new(op, account, store, store, result);
    move->index = rescue->index;
    move->total = rescue->total;
    if (!take(move, &problem) || !rescue_claimed(move, rescue, departure, &problem))
        set_failed(move, problem);
    claim_release(&move->claim);
    move_free(move);
}

/* One after the other: they are few, and each gives something up. */
static void rescue_one(Operation *op, const RollbackRequest *request G_GNUC_UNUSED,
                       const Candidate *candidate, void *data)
{
    Rescue *rescue = data;
    const char *id =
        candidate->account != NULL ? candidate->account->id : candidate->departure->account_id;
    guint place = GPOINTER_TO_UINT(g_hash_table_lookup(rescue->turns, id));
    GError *problem = candidate->problem;
    MailboxResult *result;

    operation_gate(op, op->wait, NULL, NULL);
    if (place == 0 || wait_stopped(op->wait)) {
        g_clear_error(&problem);
        return;
    }
    g_hash_table_remove(rescue->turns, id);
    result = g_ptr_array_index(op->report->mailboxes, place - 1);
    rescue->index++;
    operation_running(op);
    log_context(op->uuid, result->address);
    if (problem == NULL && nothing_to_do(candidate) != NULL) {
        result->outcome = OUTCOME_SKIPPED;
        result->reason = g_strdup(nothing_to_do(candidate));
        crew_count_moved(op, result);
    } else
        rescue_account(op, rescue, candidate, result);
    operation_journal(op, place - 1);
    operation_emit(op, &(Event){ .type = EVENT_MAILBOX_DONE,
                                 .account = result->address,
                                 .index = rescue->index,
                                 .total = rescue->total,
                                 .result = result });
    log_context(op->uuid, NULL);
}

static void set_not_reached(Operation *op, const Rescue *rescue)
{
    GHashTableIter iter;
    void *place;

    g_hash_table_iter_init(&iter, rescue->turns);
    while (g_hash_table_iter_next(&iter, NULL, &place)) {
        GError *problem = NULL;

        if (wait_stopped(op->wait))
            fail(&problem, wait_stop_code(op->wait), "stopped before its turn");
        else
            fail(&problem, ZX_ERROR_CHANGED, "no store has a record any more of a move of it");
        result_decide(g_ptr_array_index(op->report->mailboxes, GPOINTER_TO_UINT(place) - 1),
                      wait_stopped(op->wait) ? OUTCOME_NOT_REACHED : OUTCOME_FAILED, problem);
    }
}

static bool begin(Operation *op, const GArray *places, GError **error)
{
    const MailboxResult *first;
    const char *where = op->again;
    Store *store;

    if (op->looking || (places->len == 0 && where == NULL))
        return true;
    if (where == NULL) {
        first = g_ptr_array_index(op->report->mailboxes, g_array_index(places, guint, 0));
        where = first->destination;
    }
    store = operation_store(op, where, error);
    return store != NULL && operation_begin(op, store, error);
}

static bool rescue_all(Operation *op, const RollbackRequest *request, const GArray *places,
                       Rescue *rescue, GError **error)
{
    bool good = begin(op, places, error);

    rescue->total = places->len;
    for (guint i = 0; i < places->len; i++) {
        guint place = g_array_index(places, guint, i);
        const MailboxResult *result = g_ptr_array_index(op->report->mailboxes, place);

        g_hash_table_insert(rescue->turns, g_strdup(result->account_id),
                            GUINT_TO_POINTER(place + 1));
    }
    if (!good)
        return false;
    operation_emit(op, &(Event){ .type = EVENT_SELECTED, .total = places->len });
    good = rollback_each(op, request, rescue_one, rescue, error);
    if (good)
        set_not_reached(op, rescue);
    operation_end(op, good ? operation_end_state(op) : "failed");
    return good;
}

bool rescue_run(Operation *op, const RollbackRequest *request, GError **error)
{
    Rescue rescue = { .turns = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL) };
    g_autoptr(GArray) places = NULL;
    bool good;

    if (op->again != NULL)
        places = batch_take_up(op, error);
    else if (rollback_each(op, request, select_one, NULL, error))
        places = batch_undecided(op);
    good = places != NULL && rescue_all(op, request, places, &rescue, error);
    g_hash_table_unref(rescue.turns);
    g_free(rescue.dead);
    return good;
}

/* Recovery. */

bool rescue_is_over(Store *store, const char *account_id, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(store->control, error,
                 "SELECT operation FROM zxmove.fence WHERE account_id = ? AND rescue"
                 " AND state NOT IN ('done', 'undone')",
                 DB_ARGS(db_text(account_id)));

    if (rows == NULL)
        return false;
    return rows_count(rows) == 0 ||
           fail(error, ZX_ERROR_CONFLICT,
                "operation %s was taking the user back to the old copy on %s. Run:\n"
                "  zxmove doRecover operation %s dry_run false",
                rows_text(rows, 0, 0), store->name, rows_text(rows, 0, 0));
}

/* The person who began it accepted what is lost; a home that is back since makes it another question. */
static bool may_go_on(Move *move, const RecoverRequest *request, GError **error)
{
    g_autoptr(GError) why = NULL;

    if (account_lives_on(move->account, move->fence->destination_host))
        return true;
    if (!account_lives_on(move->account, move->fence->source_host))
        return fail(error, ZX_ERROR_REFUSED,
                    "the directory says that %s is home, which operation %s did not do: nothing is"
                    " touched",
                    account_home(move->account), move->fence->operation);
    if (move->fence->state != FENCE_COMMITTING || request->force)
        return true;
    return is_gone(move->op, move->fence->source_host, &why) ||
           fail(error, ZX_ERROR_REFUSED,
                "operation %s ended while it gave up %s for the old copy, and may still have changed"
                " the directory; %s is back since. To leave the user there: force true",
                move->fence->operation, move->fence->source_host, move->fence->source_host);
}

static bool goes_back(const Move *move, const RecoverRequest *request)
{
    return !account_lives_on(move->account, move->fence->destination_host) &&
           (move->fence->state != FENCE_COMMITTING || request->force);
}

static bool go(Move *move, const RecoverRequest *request, GError **error)
{
    const Fence *fence = move->fence;

    move->source_mailbox = move->target_mailbox = fence->destination_mailbox;
    if (goes_back(move, request)) {
        move_state(move, "undo", NULL);
        move->result->outcome = OUTCOME_UNDONE;
        return fence_set(move->target, fence, FENCE_UNDONE, error);
    }
    move->result->outcome = OUTCOME_FINISHED;
    move->in_doubt = !account_lives_on(move->account, fence->destination_host);
    if (!mailbox_row_find(move->target->control, fence->account_id, &move->source_mailbox,
                          &move->source_group, NULL, error) ||
        (move->in_doubt && !change_home(move, error)))
        return false;
    move->in_doubt = false;
    return forward(move, error);
}

static char *explain(const Move *move, const RecoverRequest *request)
{
    return goes_back(move, request)
               ? g_strdup_printf("operation %s ended before it gave up %s for the old copy: would"
                                 " leave the user on %s",
                                 move->fence->operation, move->fence->source_host,
                                 move->fence->source_host)
               : g_strdup_printf("operation %s gives up %s, which is gone, for the old copy on %s:"
                                 " would let the user in there and finish",
                                 move->fence->operation, move->fence->source_host,
                                 move->fence->destination_host);
}

static bool recover(Move *move, const RecoverRequest *request, Fence *known, GError **error)
{
    if (request->dry_run) {
        move->fence = known;
        if (!may_go_on(move, request, error))
            return false;
        move->result->outcome = OUTCOME_EXPLAINED;
        move->result->reason = explain(move, request);
        return true;
    }
    if (claim_take(&move->claim, known->account_id, move->op->uuid, move->target, NULL,
                   move->op->conf->lease_s, error))
        move->fence = fence_take_over(known, NULL, move->target, false, error);
    fence_free(known);
    if (move->fence == NULL)
        return false;
    account_free(move->account);
    move->account = directory_account(move->op->directory, move->fence->account_id, error);
    return move->account != NULL && may_go_on(move, request, error) && go(move, request, error);
}

void rescue_recover(Operation *op, const RecoverRequest *request, Fence *known,
                    MailboxResult *result, unsigned index, unsigned total)
{
    GError *problem = NULL;
    Store *store = operation_store(op, known->destination_host, &problem);
    Account *account = NULL;
    Move *move;

    log_context(op->uuid, known->address);
    result->source_mailbox = known->source_mailbox;
    result->destination_mailbox = known->destination_mailbox;
    if (store != NULL && store_revive(store, &problem))
        account = directory_account(op->directory, known->account_id, &problem);
    if (account == NULL) {
        fence_free(known);
        result_decide(result, OUTCOME_FAILED, problem);
    } else {
        move = move_new(op, account, store, store, result);
        move->index = index;
        move->total = total;
        if (!recover(move, request, known, &problem))
            set_failed(move, problem);
        claim_release(&move->claim);
        move_free(move);
    }
    operation_emit(op, &(Event){ .type = EVENT_MAILBOX_DONE,
                                 .account = result->address,
                                 .index = index,
                                 .total = total,
                                 .result = result });
    log_context(op->uuid, NULL);
}

/* What was left behind. */

/* Its own record is what every verb looks at: neither used again, nor cleared, nor purged unasked. */
static bool deliver_one(Store *from, Store *to, const Rows *rows, unsigned i, GError **error)
{
    const char *account = rows_text(rows, i, 0);
    g_autoptr(Rows) there = db_query(to->control, error,
                                     "SELECT group_id FROM zimbra.mailbox WHERE id = ?"
                                     " AND account_id = ?",
                                     DB_ARGS(db_u64(rows_u64(rows, i, 1)), db_text(account)));

    if (there == NULL)
        return false;
    if (rows_count(there) == 1 &&
        !(db_exec(to->control, NULL, error,
                  "REPLACE INTO zxmove.moved (mailbox_id, account_id, address, group_id, moved_to,"
                  " new_mailbox, operation, committed, bytes, blobs, item_checkpoint,"
                  " change_checkpoint, fingerprints, state)"
                  " VALUES (?, ?, ?, ?, ?, 0, ?, ?, 0, 0, 0, 0, '', 'stray')",
                  DB_ARGS(db_u64(rows_u64(rows, i, 1)), db_text(account),
                          db_text(rows_text(rows, i, 2)), db_u64(rows_u64(there, 0, 0)),
                          db_text(from->name), db_text(rows_text(rows, i, 3)),
                          db_text(rows_text(rows, i, 4)))) &&
          store_durable(to, error)))
        return false;
    /* The move that led there is over, and what it had left open there too. */
    if (!db_exec(to->control, NULL, error,
                 "UPDATE zxmove.fence SET state = 'undone', changed = UTC_TIMESTAMP(3)"
                 " WHERE account_id = ? AND role = 'destination' AND made <= ?"
                 " AND state NOT IN ('done', 'undone')",
                 DB_ARGS(db_text(account), db_text(rows_text(rows, i, 4)))) ||
        !store_durable(to, error))
        return false;
    log_info("%s: mailbox %s of %s, left behind there, is recorded as stray", to->name,
             rows_text(rows, i, 1), rows_text(rows, i, 2));
    return db_exec(from->control, NULL, error,
                   "DELETE FROM zxmove.left_behind WHERE account_id = ? AND store = ?",
                   DB_ARGS(db_text(account), db_text(to->name)));
}

static bool deliver(Store *from, Store *to, bool *any, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(from->control, error,
                 "SELECT account_id, mailbox_id, address, operation, since FROM zxmove.left_behind"
                 " WHERE store = ?",
                 DB_ARGS(db_text(to->name)));

    for (unsigned i = 0; rows != NULL && i < rows_count(rows); i++)
        if (!deliver_one(from, to, rows, i, error))
            return false;
    *any = rows != NULL && rows_count(rows) > 0;
    return rows != NULL;
}

bool rescue_deliver(Store *from, Store *to)
{
    g_autoptr(GError) problem = NULL;
    bool any = false;

    if (from != to && !from->bare && !to->bare && from->control != NULL && to->control != NULL &&
        !deliver(from, to, &any, &problem))
        log_warning("what was left behind on %s: %s", to->name, problem->message);
    return any;
}

bool rescue_deliver_all(Operation *op)
{
    g_autoptr(GList) stores = g_hash_table_get_values(op->stores);
    bool any = false;

    for (GList *from = stores; from != NULL; from = from->next)
        for (GList *to = stores; to != NULL; to = to->next)
            any |= rescue_deliver(from->data, to->data);
    return any;
}
