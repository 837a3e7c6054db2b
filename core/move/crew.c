/* crew.c - mailboxes in flight: lanes that take one after the other from a list, each a thread with
 * connections of its own. The first has those of the operation and stays to the end; others are begun
 * and ended as threads asks, which the caller's thread, the foreman, looks at while they work. A lane
 * that cannot open its stores gives its mailbox back and ends: only what the first cannot do has failed. */
#include "core/base/log.h"
#include "core/move/move.h"

#define MOST_LANES 32
#define LOOK_US    (G_USEC_PER_SEC / 2)
#define AGAIN_US   (60 * G_USEC_PER_SEC) /* after a lane that could not open */

typedef struct Crew {
    Operation *op;
    const CrewJob *job;

    /* Under op->common->mutex. */
    GCond changed;
    GArray *queue;      /* of guint: indices of job->places, those given back last */
    guint next;         /* of queue */
    unsigned alive;     /* lanes */
    unsigned busy;      /* those with a mailbox */
    int64_t no_more_until; /* monotonic us: until then no lane is begun */
    GPtrArray *threads; /* of GThread: all that were begun */
} Crew;

static bool open_store(Operation *lane, const char *name, Store **store, GError **error)
{
    *store = operation_store(lane, name, error);
    return *store != NULL && store_revive(*store, error);
}

/* False if a lane but the first cannot have its stores: @account is not tried here. Takes @account. */
static bool move_account(Operation *lane, Account *account, MailboxResult *result, const CrewJob *job,
                         const Event *about, bool first)
{
    GError *problem = NULL;
    Store *source, *target;
    bool opened = open_store(lane, result->destination, &target, &problem) &&
                  open_store(lane, account->mail_host, &source, &problem);
    Move *move;

    if (!opened && !first) {
        operation_note(lane, "fewer mailboxes at a time than threads says: %s", problem->message);
        g_error_free(problem);
        account_free(account);
        return false;
    }
    if (!opened || !plan_check_stores(lane, source, target, &problem)) {
        result_decide(result, OUTCOME_FAILED, problem);
        account_free(account);
        return true;
    }
    move = move_new(lane, account, source, target, result);
    move->index = about->index;
    move->total = about->total;
    move->stages = lane->request->stages;
    move->window_soon = job->account;
    move_run(move);
    move_free(move);
    return true;
}

/* What an earlier pass over a mailbox that is held left in its line. */
static void begin_anew(MailboxResult *result)
{
    result->outcome = OUTCOME_FAILED;
    result->code = ZX_ERROR_USAGE;
    g_clear_pointer(&result->reason, g_free);
    g_ptr_array_set_size(result->notes, 0);
}

void crew_count_moved(Operation *lane, MailboxResult *result)
{
    g_autoptr(GError) problem = NULL;
    Store *target = operation_store(lane, result->destination, &problem);
    g_autoptr(Rows) row = NULL;

    if (lane->again != NULL && result->outcome == OUTCOME_SKIPPED && target != NULL &&
        store_revive(target, &problem))
        row = db_query(target->control, &problem,
                       "SELECT source_mailbox, destination_mailbox,"
                       " CAST(UNIX_TIMESTAMP(changed) * 1000 AS UNSIGNED) FROM zxmove.fence"
                       " WHERE account_id = ? AND operation = ? AND state = 'done'",
                       DB_ARGS(db_text(result->account_id), db_text(lane->uuid)));
    if (problem != NULL)
        log_warning("%s", problem->message);
    if (row == NULL || rows_count(row) == 0)
        return;
    result->outcome = OUTCOME_MOVED;
    g_clear_pointer(&result->reason, g_free);
    result->source_mailbox = (uint32_t)rows_u64(row, 0, 0);
    result->destination_mailbox = (uint32_t)rows_u64(row, 0, 1);
    result->committed = rows_i64(row, 0, 2);
    g_ptr_array_add(result->notes, g_strdup("begun before the operation was interrupted, and "
                                            "finished by its recovery: nothing was counted"));
}

static void tell_end(Operation *lane, const CrewJob *job, guint place, Event *about)
{
    MailboxResult *result = g_ptr_array_index(lane->report->mailboxes, place);

    if (job->last && result->outcome != OUTCOME_NOT_REACHED)
        operation_journal(lane, place);
    about->type = job->last                ? EVENT_MAILBOX_DONE
                  : result->reason != NULL ? EVENT_NOTE
                                           : EVENT_STATE;
    about->text = job->last ? NULL : result->reason != NULL ? result->reason : "held";
    about->result = job->last ? result : NULL;
    operation_emit(lane, about);
}

/* From 1; whoever watches finds the same one (journal_number). */
static guint number_of(const CrewJob *job, guint place)
{
    guint i = 0;

    while (g_array_index(job->all, guint, i) != place)
        i++;
    return i + 1;
}

/* As the directory has it now: it may be hours since it was selected. False if this lane cannot try it. */
static bool run_one(const Crew *crew, Operation *lane, guint index)
{
    const CrewJob *job = crew->job;
    guint place = g_array_index(job->places, guint, index);
    MailboxResult *result = g_ptr_array_index(lane->report->mailboxes, place);
    Event about = { .account = result->address,
                    .index = number_of(job, place),
                    .total = job->all->len,
                    .mailbox_bytes = operation_size(lane, result->account_id) };
    GError *problem = NULL;
    bool tried = true;
    Account *account;

    log_context(lane->uuid, result->address);
    begin_anew(result);
    account = directory_account(lane->directory, result->account_id, &problem);
    if (account == NULL)
        result_decide(result, OUTCOME_FAILED, problem);
    else if (!plan_may_go(lane, account, result)) {
        crew_count_moved(lane, result);
        account_free(account);
    }
    else
        tried = move_account(lane, account, result, job, &about, lane == crew->op);
    log_context(lane->uuid, NULL);
    if (tried)
        tell_end(lane, job, place, &about);
    return tried;
}

/* With the mutex. More than a store takes at once would only wait, with all its connections: the
 * mailboxes of a move all go to the same one. */
static unsigned wanted(const Crew *crew)
{
    const Operation *op = crew->op;
    Limits limits = keeper_limits(op->common->keeper);
    unsigned threads = limits.threads > 0 ? (unsigned)limits.threads : op->request->threads;

    limits_clear(&limits);
    return CLAMP(threads, 1, MIN(op->conf->max_in_flight, MOST_LANES));
}

/* With the mutex. The operation has failed too often to go on. */
static bool is_halted(Crew *crew)
{
    Operation *op = crew->op;
    g_autoptr(GError) problem = NULL;

    if (op->report->halted == NULL && !tally_check(&op->common->tally, &problem))
        op->report->halted = g_strdup(problem->message);
    return op->report->halted != NULL;
}

/* With the mutex. */
static bool is_over(Crew *crew)
{
    return wait_stopped(crew->op->wait) || is_halted(crew);
}

/* With the mutex. Lets others go on for a moment. */
static void look_away(Crew *crew)
{
    g_cond_wait_until(&crew->changed, &crew->op->common->mutex, g_get_monotonic_time() + LOOK_US);
}

/* With the mutex. What another lane gives back is the first one's to do. */
static bool has_work(Crew *crew, bool first)
{
    while (first && crew->next >= crew->queue->len && crew->busy > 0)
        look_away(crew);
    return crew->next < crew->queue->len && !is_over(crew) &&
           (first || crew->alive <= wanted(crew));
}

/* The next place for @lane; false when there is none, or one lane less is wanted: the lane has ended. */
static bool take(Crew *crew, const Operation *lane, guint *index)
{
    bool taken;

    g_mutex_lock(&crew->op->common->mutex);
    taken = has_work(crew, lane == crew->op);
    if (taken) {
        *index = g_array_index(crew->queue, guint, crew->next++);
        crew->busy++;
    } else {
        crew->alive--;
        g_cond_broadcast(&crew->changed);
    }
    g_mutex_unlock(&crew->op->common->mutex);
    return taken;
}

/* With the mutex. A lane that cannot open ends, and another is not tried at once. */
static void lose_lane(Crew *crew)
{
    crew->alive--;
    crew->no_more_until = g_get_monotonic_time() + AGAIN_US;
}

static void give(Crew *crew, guint index, bool tried)
{
    g_mutex_lock(&crew->op->common->mutex);
    if (!tried) {
        g_array_append_val(crew->queue, index);
        lose_lane(crew);
    }
    crew->busy--;
    g_cond_broadcast(&crew->changed);
    g_mutex_unlock(&crew->op->common->mutex);
}

static void work(Crew *crew, Operation *lane)
{
    bool tried = true;
    guint index;

    while (tried) {
        operation_gate(lane, lane->wait, NULL, NULL);
        if (!take(crew, lane, &index))
            return;
        tried = run_one(crew, lane, index);
        give(crew, index, tried);
    }
}

static void *first_lane(void *data)
{
    Crew *crew = data;

    log_context(crew->op->uuid, NULL);
    work(crew, crew->op);
    return NULL;
}

static void *other_lane(void *data)
{
    Crew *crew = data;
    Operation lane;
    g_autoptr(GError) problem = NULL;

    log_context(crew->op->uuid, NULL);
    if (operation_lane(crew->op, &lane, &problem)) {
        work(crew, &lane);
    } else {
        operation_note(crew->op, "fewer mailboxes at a time than threads says: %s",
                       problem->message);
        g_mutex_lock(&crew->op->common->mutex);
        lose_lane(crew);
        g_cond_broadcast(&crew->changed);
        g_mutex_unlock(&crew->op->common->mutex);
    }
    operation_lane_close(&lane);
    return NULL;
}

/* With the mutex. */
static void begin_lanes(Crew *crew)
{
    const unsigned most = wanted(crew);

    while (!is_over(crew) && g_get_monotonic_time() >= crew->no_more_until && crew->alive < most &&
           crew->alive - crew->busy < crew->queue->len - crew->next) {
        g_autoptr(GError) problem = NULL;
        GThread *thread = g_thread_try_new("lane", other_lane, crew, &problem);

        if (thread == NULL) {
            log_warning("no thread for a lane more: %s", problem->message);
            crew->no_more_until = g_get_monotonic_time() + AGAIN_US;
            return;
        }
        g_ptr_array_add(crew->threads, thread);
        crew->alive++;
    }
}

/* Until the last lane has ended. */
static void stand_by(Crew *crew)
{
    GMutex *mutex = &crew->op->common->mutex;

    g_mutex_lock(mutex);
    crew->alive = 1;
    g_ptr_array_add(crew->threads, g_thread_new("lane", first_lane, crew));
    while (crew->alive > 0) {
        begin_lanes(crew);
        look_away(crew);
    }
    g_mutex_unlock(mutex);
    for (guint i = 0; i < crew->threads->len; i++)
        g_thread_join(g_ptr_array_index(crew->threads, i));
}

static void set_not_reached(const Crew *crew, guint index)
{
    const Operation *op = crew->op;
    GError *problem = NULL;

    if (op->report->halted != NULL)
        fail(&problem, ZX_ERROR_DATA, "the operation ended itself before this mailbox was begun");
    else
        fail(&problem, wait_stop_code(op->wait), "stopped before this mailbox was begun");
    result_decide(operation_result(op, crew->job->places, index), OUTCOME_NOT_REACHED, problem);
}

void crew_run(Operation *op, const CrewJob *job)
{
    const unsigned most = op->conf->max_in_flight;
    Crew crew = { .op = op,
                  .job = job,
                  .queue = g_array_new(FALSE, FALSE, sizeof(guint)),
                  .threads = g_ptr_array_new() };

    for (guint i = 0; i < job->places->len; i++)
        g_array_append_val(crew.queue, i);
    if (op->request->threads > most && job->places->len > most)
        operation_note(op, "threads %u: no more than max_in_flight %u are in flight on a store",
                       op->request->threads, most);
    g_cond_init(&crew.changed);
    stand_by(&crew);
    g_cond_clear(&crew.changed);
    (void)is_halted(&crew); /* the last one may have been too much */
    if (op->report->halted != NULL)
        operation_note(op, "%s; mailboxes that were not begun were left alone", op->report->halted);
    for (guint i = crew.next; i < crew.queue->len; i++)
        set_not_reached(&crew, g_array_index(crew.queue, guint, i));
    g_array_unref(crew.queue);
    g_ptr_array_unref(crew.threads);
}
