/* batch.c - the mailboxes of a move: selected, listed in the journal, waited with, held, and given to the
 * crew; or taken up again where another process left them. */
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/move/move.h"
#include <string.h>

#define LOOK_MS 1000

typedef struct Batch {
    Operation *op;
    Store *row;     /* has the operation's row */
    GArray *places; /* of guint: those of the report's mailboxes that are to be tried */
} Batch;

/* Skips and refusals are decided; the others are tried in the order of the report. */
GArray *batch_undecided(const Operation *op)
{
    GArray *places = g_array_new(FALSE, FALSE, sizeof(guint));

    for (guint i = 0; i < op->report->mailboxes->len; i++)
        if (((const MailboxResult *)g_ptr_array_index(op->report->mailboxes, i))->reason == NULL)
            g_array_append_val(places, i);
    return places;
}

/* How much mail is to be moved; 0 of a single mailbox, of which its own progress says it all. */
static uint64_t sum_of(const Batch *batch)
{
    if (batch->places->len < 2 && batch->op->again == NULL)
        return 0;
    return plan_sizes(batch->op, batch->places);
}

/* The limits of an operation are of the whole of it, however many processes it took. */
static void tally_ended(Operation *op, const MailboxResult *result)
{
    tally_add(&op->common->tally, result->blobs);
    for (guint i = 0; i < result->bad_items->len; i++) {
        const BadItem *item = g_ptr_array_index(result->bad_items, i);

        if (!item->damaged_before)
            tally_bad(&op->common->tally, result->account_id, item->item_id, item->mod_content, true);
    }
}

/* What the process before us had finished stays so. */
GArray *batch_take_up(Operation *op, GError **error)
{
    Store *store = operation_store(op, op->again, error);
    g_autoptr(GPtrArray) listed =
        store != NULL ? journal_mailboxes(store->control, op->uuid, -1, error) : NULL;
    GArray *places;

    if (listed != NULL && listed->len == 0)
        fail(error, ZX_ERROR_NOT_FOUND,
             "operation %s has no list of mailboxes on %s: it ended before it began", op->uuid,
             store->name);
    if (listed == NULL || listed->len == 0)
        return NULL;
    places = g_array_new(FALSE, FALSE, sizeof(guint));
    for (guint i = 0; i < listed->len; i++) {
        JournalMailbox *mailbox = g_ptr_array_index(listed, i);

        op->common->ended = MAX(op->common->ended, mailbox->seq);
        if (mailbox_is_left(mailbox->result)) {
            g_clear_pointer(&mailbox->result->reason, g_free);
            g_array_append_val(places, i);
        } else
            tally_ended(op, mailbox->result);
        g_ptr_array_add(op->report->mailboxes, g_steal_pointer(&mailbox->result));
    }
    return places;
}

static void note(Operation *op, const char *text)
{
    log_info("%s", text);
    operation_emit(op, &(Event){ .type = EVENT_NOTE, .text = text });
}

static char *time_text(int64_t ms)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(ms / 1000);

    return time != NULL ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S %Z") : g_strdup("?");
}

static int64_t now_ms(void)
{
    return g_get_real_time() / 1000;
}

/* False if it is stopped before. */
static bool wait_for_start(Operation *op)
{
    int64_t start = op->request->start_after;
    g_autofree char *when = NULL;
    g_autofree char *cause = NULL;

    if (start <= now_ms())
        return !wait_stopped(op->wait);
    when = time_text(start);
    cause = g_strdup_printf("begins at %s", when);
    keeper_say(op->common->keeper, "queued", cause);
    note(op, cause);
    while (!wait_stopped(op->wait) && now_ms() < start)
        wait_pause(op->wait, (int)MIN(start - now_ms(), LOOK_MS));
    return !wait_stopped(op->wait);
}

static int64_t complete_at(const Operation *op)
{
    Limits limits = keeper_limits(op->common->keeper);
    int64_t at =
        limits.complete_after >= 0 ? limits.complete_after : op->request->complete_after;

    limits_clear(&limits);
    return at;
}

/* Places that doCompleteMove named. What cannot be asked now is asked again a moment later. */
static GHashTable *released(Batch *batch)
{
    GHashTable *places = g_hash_table_new(NULL, NULL);
    g_autoptr(GError) problem = NULL;
    g_autoptr(Rows) rows = NULL;

    if (store_revive(batch->row, &problem))
        rows = db_query(batch->row->control, &problem,
                        "SELECT place FROM zxmove.operation_mailbox"
                        " WHERE operation = ? AND released AND seq IS NULL",
                        DB_ARGS(db_text(batch->op->uuid)));
    if (rows == NULL)
        log_debug("%s", problem->message);
    for (unsigned i = 0; rows != NULL && i < rows_count(rows); i++)
        g_hash_table_add(places, GUINT_TO_POINTER((guint)rows_u64(rows, i, 0)));
    return places;
}

/* Those of @waiting that may go now; taken out of it. */
static GArray *take_released(Batch *batch, GArray *waiting)
{
    Operation *op = batch->op;
    GArray *go = g_array_new(FALSE, FALSE, sizeof(guint));
    int64_t at = complete_at(op);
    bool all = keeper_complete(op->common->keeper) || (at >= 0 && now_ms() >= at);
    g_autoptr(GHashTable) some = all ? NULL : released(batch);

    for (guint i = waiting->len; i > 0; i--) {
        guint place = g_array_index(waiting, guint, i - 1);

        if (!all && !g_hash_table_contains(some, GUINT_TO_POINTER(place)))
            continue;
        g_array_prepend_val(go, place);
        g_array_remove_index(waiting, i - 1);
    }
    return go;
}

static void say_held(Operation *op, guint count, int64_t resync)
{
    int64_t at = complete_at(op);
    g_autofree char *until = at >= 0 ? time_text(at) : NULL;
    g_autofree char *next = time_text(resync);
    g_autofree char *cause = g_strdup_printf(
        "%u mailbox%s wait%s for %s%s, kept up to date; next round at %s", count,
        count == 1 ? "" : "es", count == 1 ? "s" : "", until != NULL ? "" : "doCompleteMove",
        until != NULL ? until : "", next);

    keeper_say(op->common->keeper, "held", cause);
    operation_emit(op, &(Event){ .type = EVENT_STATE, .text = "held", .cause = cause });
    note(op, cause);
}

/* Until some of @waiting may go (they are answered), or it is time for a round, or it is stopped. */
static GArray *wait_held(Batch *batch, GArray *waiting, int64_t resync)
{
    Operation *op = batch->op;
    GArray *go = take_released(batch, waiting);

    if (go->len == 0)
        say_held(op, waiting->len, resync);
    while (go->len == 0 && !wait_stopped(op->wait) && now_ms() < resync) {
        wait_pause(op->wait, LOOK_MS);
        operation_gate(op, op->wait, NULL, NULL);
        g_array_unref(go);
        go = take_released(batch, waiting);
    }
    return go;
}

static void set_held_back(const Operation *op, const GArray *waiting)
{
    for (guint i = 0; i < waiting->len; i++) {
        MailboxResult *result = operation_result(op, waiting, i);

        result->outcome = OUTCOME_NOT_REACHED;
        result->code = op->report->halted != NULL ? ZX_ERROR_DATA : wait_stop_code(op->wait);
        g_free(result->reason);
        result->reason = g_strdup("it ended while this mailbox was held; what was copied stays");
    }
}

/* Tests do not wait for a quarter of an hour. */
static int64_t next_round(const Operation *op)
{
    g_autoptr(GError) soon = NULL;

    if (!failpoint("hold:soon", &soon))
        return now_ms();
    return now_ms() + (int64_t)op->conf->resync_interval_s * 1000;
}

/* Rounds for all that wait, as often as resync_interval says, and the window for those that may go. In
 * between nobody is claimed: an account may be moved by another operation meanwhile, which is what its
 * next round or its window then finds. */
static void hold(Batch *batch)
{
    Operation *op = batch->op;
    g_autoptr(GArray) waiting = g_array_new(FALSE, FALSE, sizeof(guint));
    int64_t resync = 0;

    g_array_append_vals(waiting, batch->places->data, batch->places->len);
    while (waiting->len > 0 && !wait_stopped(op->wait) && op->report->halted == NULL) {
        g_autoptr(GArray) go = NULL;

        if (now_ms() >= resync) {
            crew_run(op, &(CrewJob){ .places = waiting, .all = batch->places });
            resync = next_round(op);
        }
        go = wait_held(batch, waiting, resync);
        if (go->len > 0)
            crew_run(op, &(CrewJob){
                             .places = go, .all = batch->places, .account = true, .last = true });
    }
    set_held_back(op, waiting);
}

static void run_all(Batch *batch)
{
    Operation *op = batch->op;
    bool account = (op->request->stages & STAGE_ACCOUNT) != 0;
    CrewJob job = { .places = batch->places, .all = batch->places, .last = true };

    if (!wait_for_start(op)) {
        crew_run(op, &job); /* says so of each */
    } else if (account && (op->request->hold || op->request->complete_after > now_ms())) {
        hold(batch);
    } else {
        job.account = account;
        crew_run(op, &job);
    }
}

/* Stopped before anything was begun, it never was more than a place in the queue. */
static void set_removed(const Operation *op)
{
    for (guint i = 0; i < op->report->mailboxes->len; i++) {
        MailboxResult *result = g_ptr_array_index(op->report->mailboxes, i);

        if (result->code == ZX_ERROR_STOPPED)
            result->code = ZX_ERROR_REMOVED;
    }
}

/* Of one that is begun again: what was decided since is in no list yet. */
static void tell_decided(Batch *batch)
{
    for (guint i = batch->places->len; i > 0; i--) {
        const guint place = g_array_index(batch->places, guint, i - 1);
        const MailboxResult *result = operation_result(batch->op, batch->places, i - 1);

        if (result->reason == NULL)
            continue;
        operation_journal(batch->op, place);
        g_array_remove_index(batch->places, i - 1);
    }
}

static bool run_listed(Batch *batch, GError **error)
{
    Operation *op = batch->op;
    const uint64_t bytes = sum_of(batch);
    const char *state;

    if (!operation_begin(op, batch->row, error))
        return false;
    tell_decided(batch);
    operation_emit(op, &(Event){ .type = EVENT_SELECTED,
                                 .total = batch->places->len,
                                 .expected_bytes = bytes });
    run_all(batch);
    state = operation_end_state(op);
    if (strcmp(state, "removed") == 0)
        set_removed(op);
    operation_end(op, state);
    return true;
}

bool batch_go(Operation *op, GArray *places, GError **error)
{
    Batch batch = { .op = op, .places = places };
    const char *where;

    if (!ready_all(op, places, error))
        return false;
    where = op->again != NULL ? op->again
            : places->len > 0 ? operation_result(op, places, 0)->destination
                              : NULL;
    if (where == NULL) {
        operation_emit(op, &(Event){ .type = EVENT_SELECTED });
        return true;
    }
    batch.row = operation_store(op, where, error);
    return batch.row != NULL && run_listed(&batch, error);
}

/* A look tries none. */
static GArray *select_all(Operation *op, GError **error)
{
    g_autoptr(GPtrArray) accounts = plan_select(op, error);

    if (accounts == NULL || (op->looking && !forecast_all(op, accounts, error)))
        return NULL;
    return batch_undecided(op);
}

bool batch_run(Operation *op, GError **error)
{
    g_autoptr(GArray) places = NULL;

    if (directory_server_called(op->servers, op->request->destination, error) == NULL)
        return false;
    places = op->again != NULL ? batch_take_up(op, error) : select_all(op, error);
    return places != NULL && (op->looking || batch_go(op, places, error));
}
