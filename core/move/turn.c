/* turn.c - whose turn it is. One window of an operation at a time: they share the destination, and
 * each is as short as it can be. While it is open the lanes that copy stand aside at their next
 * step, for the user who is out waits for the same processors and disks as they do. */
#include "core/base/log.h"
#include "core/move/move.h"

/* A copy that waited longer than this for its window is brought up to date first. */
#define STALE_US (2 * G_USEC_PER_SEC)

/* Who copies stands aside no longer than it has worked before, and never longer than this: a
 * snapshot that is open, or an agent, must not wait for long. */
#define LONGEST_US (2 * G_USEC_PER_SEC)

/* So long a mailbox is worked on before it makes way for anybody. Where they are small one window
 * follows the other, and lanes are there to copy meanwhile. */
#define SMALL_US (G_USEC_PER_SEC / 2)

/* With the mutex, which is left meanwhile: until something changed, or for a moment. */
static void look_away(Common *common, const Wait *wait, int64_t until)
{
    const int64_t moment = g_get_monotonic_time() + WAIT_SLICE_MS * 1000;

    g_cond_wait_until(&common->window_changed, &common->mutex, MIN(until, moment));
    g_mutex_unlock(&common->mutex);
    wait_tick(wait);
    g_mutex_lock(&common->mutex);
}

bool turn_take(Move *move, GError **error)
{
    Common *common = move->op->common;
    const int64_t since = g_get_monotonic_time();
    uint64_t changed;

    g_mutex_lock(&common->mutex);
    while (common->window_taken && !wait_stopped(&move->wait))
        look_away(common, &move->wait, G_MAXINT64);
    move->window_ours = !wait_stopped(&move->wait);
    common->window_taken = common->window_taken || move->window_ours;
    g_mutex_unlock(&common->mutex);
    if (!move->window_ours)
        return wait_check(&move->wait, "waiting for the window", error);
    return g_get_monotonic_time() - since < STALE_US || move->source_mailbox == 0 ||
           (copy_one_round(move, &changed, error) && copy_look_ahead(move, error));
}

void turn_begin(Move *move)
{
    Common *common = move->op->common;

    g_mutex_lock(&common->mutex);
    common->window_stores[0] = move->source->where;
    common->window_stores[1] = move->target->where;
    g_mutex_unlock(&common->mutex);
}

void turn_leave(Move *move)
{
    Common *common = move->op->common;

    if (!move->window_ours)
        return;
    g_mutex_lock(&common->mutex);
    move->window_ours = common->window_taken = false;
    common->window_stores[0] = common->window_stores[1] = NULL;
    g_cond_broadcast(&common->window_changed);
    g_mutex_unlock(&common->mutex);
}

/* With the mutex. Another mailbox's user is out on one of its stores. */
static bool in_the_way(const Move *move)
{
    const ConfStore *const *out = move->op->common->window_stores;

    for (int i = 0; i < 2 && !move->window_ours; i++)
        if (out[i] != NULL && (out[i] == move->source->where || out[i] == move->target->where))
            return true;
    return false;
}

void turn_stand_aside(Move *move)
{
    Common *common = move->op->common;
    const int64_t began = g_get_monotonic_time();
    const int64_t worked = began - move->working_since - SMALL_US;
    const int64_t until = began + CLAMP(worked, 0, LONGEST_US);
    int64_t now = began;

    g_mutex_lock(&common->mutex);
    while (now < until && in_the_way(move) && !wait_stopped(&move->wait)) {
        look_away(common, &move->wait, until);
        now = g_get_monotonic_time();
    }
    g_mutex_unlock(&common->mutex);
    if (now == began)
        return;
    log_debug("stood aside for a user who is out: %.0f ms", (double)(now - began) / 1000);
    move->working_since = now - SMALL_US - MAX(until - now, 0);
}
