/* crew.c - mailboxes in flight: lanes that take one after the other from a list, each with connections of
 * its own. The first lane is the operation itself; others are begun when threads asks for them, and end
 * when it asks for fewer. */
#include "core/base/log.h"
#include "core/move/move.h"

#define MOST_LANES 32

typedef struct Crew {
    Operation *op;
    const CrewJob *job;

    /* Under op->common->mutex. */
    guint next;             /* of job->places */
    bool begun[MOST_LANES]; /* [0], the caller's thread, is never asked */
    GPtrArray *threads;     /* of GThread: all that were begun */
} Crew;

typedef struct Hand {
    Crew *crew;
    unsigned number;
} Hand;

static void work(Crew *crew, Operation *lane, unsigned number);

static void set_problem(MailboxResult *result, Outcome outcome, GError *problem)
{
    result->outcome = outcome;
    result->code = error_code(problem);
    g_free(result->reason);
    result->reason = g_strdup(problem->message);
    g_error_free(problem);
}

static bool prepare_stores(Operation *lane, Store *source, Store *target, GError **error)
{
    return store_revive(source, error) && store_revive(target, error) &&
           plan_check_stores(lane, source, target, error);
}

/* Takes @account. */
static void move_account(Operation *lane, Account *account, MailboxResult *result,
                         const CrewJob *job, const Event *about)
{
    GError *problem = NULL;
    Store *target = operation_store(lane, lane->request->destination, &problem);
    Store *source = target != NULL ? operation_store(lane, account->mail_host, &problem) : NULL;
    Move *move;

    if (source == NULL || !prepare_stores(lane, source, target, &problem)) {
        set_problem(result, OUTCOME_FAILED, problem);
        account_free(account);
        return;
    }
    move = move_new(lane, account, source, target, result);
    move->index = about->index;
    move->total = about->total;
    move->stages = lane->request->stages;
    move->window_soon = job->account;
    move_run(move);
    move_free(move);
}

/* What an earlier pass over a mailbox that is held left in its line. */
static void begin_anew(MailboxResult *result)
{
    result->outcome = OUTCOME_FAILED;
    result->code = ZX_ERROR_USAGE;
    g_clear_pointer(&result->reason, g_free);
    g_ptr_array_set_size(result->notes, 0);
}

static void journal(Operation *lane, guint place, const MailboxResult *result)
{
    Store *target = g_hash_table_size(lane->stores) > 0
                        ? operation_store(lane, lane->request->destination, NULL)
                        : NULL;
    g_autoptr(GError) problem = NULL;
    unsigned seq;

    g_mutex_lock(&lane->common->mutex);
    seq = ++lane->common->ended;
    g_mutex_unlock(&lane->common->mutex);
    if (target == NULL || !store_revive(target, &problem) ||
        !journal_mailbox(target, lane->uuid, place - lane->common->first, seq, result, &problem))
        log_warning("how %s ended is not in the journal: %s", result->address,
                    problem != NULL ? problem->message : "its store is out of reach");
}

/* As the directory has it now: it may be hours since it was selected. */
static void run_one(Operation *lane, const CrewJob *job, guint place, unsigned index,
                    unsigned total)
{
    MailboxResult *result = g_ptr_array_index(lane->report->mailboxes, place);
    Event about = { .account = result->address,
                    .index = index,
                    .total = total,
                    .mailbox_bytes = operation_size(lane, result->account_id) };
    GError *problem = NULL;
    Account *account;

    log_context(lane->uuid, result->address);
    begin_anew(result);
    account = directory_account(lane->directory, result->account_id, &problem);
    if (account == NULL)
        set_problem(result, OUTCOME_FAILED, problem);
    else if (!plan_may_go(lane, account, result))
        account_free(account);
    else
        move_account(lane, account, result, job, &about);
    log_context(lane->uuid, NULL);
    if (!job->last && result->reason == NULL) {
        about.type = EVENT_STATE;
        about.text = "held";
        operation_emit(lane, &about);
        return;
    }
    if (!job->last) {
        about.type = EVENT_NOTE;
        about.text = result->reason;
        operation_emit(lane, &about);
        return;
    }
    if (result->outcome != OUTCOME_NOT_REACHED)
        journal(lane, place, result);
    about.type = EVENT_MAILBOX_DONE;
    about.result = result;
    operation_emit(lane, &about);
}

static void *lane_main(void *data)
{
    Hand *hand = data;
    Crew *crew = hand->crew;
    Operation lane;
    g_autoptr(GError) problem = NULL;

    log_context(crew->op->uuid, NULL);
    if (operation_lane(crew->op, &lane, &problem))
        work(crew, &lane, hand->number);
    else
        log_warning("lane %u: %s", hand->number, problem->message);
    operation_lane_close(&lane);
    g_free(hand);
    return NULL;
}

/* With the mutex: as many lanes as are wanted now. One that ended for want of work stays ended. */
static unsigned adjust(Crew *crew)
{
    Limits limits = keeper_limits(crew->op->common->keeper);
    unsigned wanted = limits.threads > 0 ? (unsigned)limits.threads : crew->op->request->threads;
    guint left = crew->job->places->len - crew->next;

    limits_clear(&limits);
    wanted = CLAMP(wanted, 1, MOST_LANES);
    for (unsigned i = 1; i < wanted && i <= left; i++) {
        Hand *hand;

        if (crew->begun[i])
            continue;
        hand = g_new(Hand, 1);
        *hand = (Hand){ .crew = crew, .number = i };
        crew->begun[i] = true;
        g_ptr_array_add(crew->threads, g_thread_new("lane", lane_main, hand));
    }
    return wanted;
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

/* The next place for lane @number; false when there is no work for it. */
static bool take(Crew *crew, unsigned number, guint *place, unsigned *index)
{
    Common *common = crew->op->common;
    bool taken = false;

    g_mutex_lock(&common->mutex);
    if (!wait_stopped(crew->op->wait) && !is_halted(crew) && crew->next < crew->job->places->len) {
        crew->next++;
        if (number < adjust(crew)) {
            *place = g_array_index(crew->job->places, guint, crew->next - 1);
            *index = crew->next;
            taken = true;
        } else {
            crew->next--;
            crew->begun[number] = false;
        }
    }
    g_mutex_unlock(&common->mutex);
    return taken;
}

static void work(Crew *crew, Operation *lane, unsigned number)
{
    unsigned index;
    guint place;

    operation_gate(lane, lane->wait, NULL, NULL);
    while (take(crew, number, &place, &index)) {
        run_one(lane, crew->job, place, index, crew->job->places->len);
        operation_gate(lane, lane->wait, NULL, NULL);
    }
}

static GThread *next_thread(Crew *crew)
{
    Common *common = crew->op->common;
    GThread *thread = NULL;

    g_mutex_lock(&common->mutex);
    if (crew->threads->len > 0)
        thread = g_ptr_array_remove_index(crew->threads, crew->threads->len - 1);
    g_mutex_unlock(&common->mutex);
    return thread;
}

void crew_run(Operation *op, const CrewJob *job)
{
    Crew crew = { .op = op, .job = job, .threads = g_ptr_array_new() };
    GThread *thread;

    work(&crew, op, 0);
    while ((thread = next_thread(&crew)) != NULL)
        g_thread_join(thread);
    g_ptr_array_unref(crew.threads);
    (void)is_halted(&crew); /* the last one may have been too much */
    if (op->report->halted != NULL)
        operation_note(op, "%s; mailboxes that were not begun were left alone", op->report->halted);
    for (guint i = crew.next; i < job->places->len; i++) {
        MailboxResult *result =
            g_ptr_array_index(op->report->mailboxes, g_array_index(job->places, guint, i));
        GError *problem = NULL;

        if (op->report->halted != NULL)
            fail(&problem, ZX_ERROR_DATA, "the operation ended itself before this mailbox was begun");
        else
            fail(&problem, wait_stop_code(op->wait), "stopped before this mailbox was begun");
        set_problem(result, OUTCOME_NOT_REACHED, problem);
    }
}
