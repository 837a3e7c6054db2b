/* keeper.c - see keeper.h. */
#include "core/ops/keeper.h"
#include "core/base/log.h"
#include "core/base/self.h"
#include "core/ops/journal.h"
#include "core/ops/limits.h"
#include <string.h>

#define BEAT_US G_USEC_PER_SEC

struct Keeper {
    const Conf *conf;
    const ConfStore *where;
    char operation[37];
    Board *board;
    GThread *thread;

    GMutex mutex; /* of what follows, up to the blank line */
    GCond wake;
    bool ending, said; /* said: state or cause are newer than the row */
    char *state, *cause;
    bool pause, complete;
    char *paused_by;
    Limits limits;

    volatile sig_atomic_t stop;
    Store *store;   /* the thread's own; NULL: not connected */
    uint64_t shown; /* of the board */
};

static bool connect(Keeper *keeper, GError **error)
{
    g_autofree char *lock = journal_lock(keeper->operation);
    g_autoptr(Rows) got = NULL;

    if (keeper->store != NULL)
        return true;
    keeper->store = store_open_look(keeper->conf, keeper->where, error);
    if (keeper->store == NULL)
        return false;
    got = db_query_one(keeper->store->control, error, "SELECT GET_LOCK(?, 0)",
                       DB_ARGS(db_text(lock)));
    if (got != NULL && rows_u64(got, 0, 0) != 1)
        log_debug("the lock of the operation is held by its connection of before");
    return got != NULL;
}

static bool write_row(Keeper *keeper, GError **error)
{
    g_autofree char *progress = board_text(keeper->board, &keeper->shown);
    g_autofree char *state = NULL;
    g_autofree char *cause = NULL;

    g_mutex_lock(&keeper->mutex);
    state = g_strdup(keeper->state);
    cause = g_strdup(keeper->cause);
    g_mutex_unlock(&keeper->mutex);
    return db_exec(keeper->store->control, NULL, error,
                   "UPDATE zxmove.operation SET heartbeat = UTC_TIMESTAMP(3), state = ?, cause = ?,"
                   " progress = IFNULL(?, progress)"
                   " WHERE uuid = ? AND ended IS NULL AND process = ?",
                   DB_ARGS(db_text(state), db_text(cause), db_text(progress),
                           db_text(keeper->operation), db_text(self_word())));
}

static void take_orders(Keeper *keeper, const Rows *row)
{
    const char *wanted = rows_text(row, 0, 0), *who = rows_text(row, 0, 1),
               *why = rows_text(row, 0, 2);

    g_mutex_lock(&keeper->mutex);
    keeper->pause = strcmp(wanted, "pause") == 0;
    keeper->complete = keeper->complete || rows_u64(row, 0, 7) != 0;
    g_free(keeper->paused_by);
    keeper->paused_by = g_strdup_printf("by %s%s%s", who != NULL ? who : "somebody",
                                        why != NULL ? ": " : "", why != NULL ? why : "");
    limits_clear(&keeper->limits);
    keeper->limits = limits_read(rows_text(row, 0, 3));
    if (strcmp(wanted, "stop") == 0 && keeper->stop == 0) {
        log_info("stop asked for %s", keeper->paused_by);
        __atomic_store_n(&keeper->stop, 1, __ATOMIC_RELAXED);
    }
    g_mutex_unlock(&keeper->mutex);
}

/* Taken for dead, and another process goes on with it: the accounts that were ours are its own by now, and
 * nothing more is begun here. */
static void give_up(Keeper *keeper, const Rows *row)
{
    if (g_strcmp0(rows_text(row, 0, 6), self_word()) == 0)
        return;
    if (keeper->stop == 0)
        log_error("process %s on %s has taken this operation over", rows_text(row, 0, 5),
                  rows_text(row, 0, 4));
    __atomic_store_n(&keeper->stop, 1, __ATOMIC_RELAXED);
}

static bool read_row(Keeper *keeper, GError **error)
{
    g_autoptr(Rows) row =
        db_query(keeper->store->control, error,
                 "SELECT wanted, wanted_by, wanted_comment, limits, host, pid, process, complete"
                 " FROM zxmove.operation"
                 " WHERE uuid = ?",
                 DB_ARGS(db_text(keeper->operation)));

    if (row != NULL && rows_count(row) == 1) {
        take_orders(keeper, row);
        give_up(keeper, row);
    }
    return row != NULL;
}

static void beat(Keeper *keeper)
{
    g_autoptr(GError) problem = NULL;

    if (connect(keeper, &problem) && write_row(keeper, &problem) && read_row(keeper, &problem))
        return;
    log_debug("the operation's row cannot be kept: %s", problem->message);
    g_clear_pointer(&keeper->store, store_close);
    keeper->shown = 0; /* what was on its way is sent again */
}

static void *keep(void *data)
{
    Keeper *keeper = data;
    bool last = false;

    log_context(keeper->operation, NULL);
    while (!last) {
        g_mutex_lock(&keeper->mutex);
        last = keeper->ending;
        /* Also if the beat fails: a store that is gone is not asked at once again. */
        keeper->said = false;
        g_mutex_unlock(&keeper->mutex);
        if (!last || keeper->store != NULL) /* the end waits for no store that is gone */
            beat(keeper);
        g_mutex_lock(&keeper->mutex);
        if (!last && !keeper->ending && !keeper->said)
            g_cond_wait_until(&keeper->wake, &keeper->mutex, g_get_monotonic_time() + BEAT_US);
        g_mutex_unlock(&keeper->mutex);
    }
    g_clear_pointer(&keeper->store, store_close);
    return NULL;
}

Keeper *keeper_start(const Conf *conf, const ConfStore *where, const char *operation, Board *board)
{
    Keeper *keeper = g_new0(Keeper, 1);

    keeper->conf = conf;
    keeper->where = where;
    keeper->board = board;
    keeper->state = g_strdup("queued");
    keeper->limits = limits_read(NULL);
    g_strlcpy(keeper->operation, operation, sizeof keeper->operation);
    g_mutex_init(&keeper->mutex);
    g_cond_init(&keeper->wake);
    keeper->thread = g_thread_new("keeper", keep, keeper);
    return keeper;
}

void keeper_end(Keeper *keeper)
{
    if (keeper == NULL)
        return;
    g_mutex_lock(&keeper->mutex);
    keeper->ending = true;
    g_cond_signal(&keeper->wake);
    g_mutex_unlock(&keeper->mutex);
    g_thread_join(keeper->thread);
    g_mutex_clear(&keeper->mutex);
    g_cond_clear(&keeper->wake);
    g_free(keeper->state);
    g_free(keeper->cause);
    g_free(keeper->paused_by);
    limits_clear(&keeper->limits);
    g_free(keeper);
}

const volatile sig_atomic_t *keeper_stop(const Keeper *keeper)
{
    return keeper != NULL ? &keeper->stop : NULL;
}

bool keeper_paused(Keeper *keeper, char **by)
{
    bool paused;

    if (keeper == NULL)
        return false;
    g_mutex_lock(&keeper->mutex);
    paused = keeper->pause;
    if (paused)
        *by = g_strdup(keeper->paused_by);
    g_mutex_unlock(&keeper->mutex);
    return paused;
}

bool keeper_complete(Keeper *keeper)
{
    bool complete = false;

    if (keeper == NULL)
        return false;
    g_mutex_lock(&keeper->mutex);
    complete = keeper->complete;
    g_mutex_unlock(&keeper->mutex);
    return complete;
}

Limits keeper_limits(Keeper *keeper)
{
    Limits limits = limits_read(NULL);

    if (keeper == NULL)
        return limits;
    g_mutex_lock(&keeper->mutex);
    limits = limits_copy(&keeper->limits);
    g_mutex_unlock(&keeper->mutex);
    return limits;
}

void keeper_say(Keeper *keeper, const char *state, const char *cause)
{
    if (keeper == NULL)
        return;
    g_mutex_lock(&keeper->mutex);
    if (strcmp(keeper->state, state) != 0 || g_strcmp0(keeper->cause, cause) != 0) {
        g_free(keeper->state);
        g_free(keeper->cause);
        keeper->state = g_strdup(state);
        keeper->cause = g_strdup(cause);
        keeper->said = true;
        g_cond_signal(&keeper->wake);
    }
    g_mutex_unlock(&keeper->mutex);
}
