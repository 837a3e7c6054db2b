/* insist.c - a part of the window that must be done: tried again, over connections opened anew,
 * until it succeeds or the patience ends. Parts are safe to run twice. */
#include "core/base/log.h"
#include "core/move/move.h"

bool move_reconnect(Move *move, Store *store, GError **error)
{
    if (!store_revive(store, error) || !claim_again_at(&move->claim, store, error))
        return false;
    slots_again(move, store);
    return true;
}

/* Revives what can be revived; a CONFLICT (somebody took the account over) ends all insisting. */
static bool reconnect_both(Move *move, GError **error)
{
    Store *const stores[] = { move->target, move->source };

    for (guint i = 0; i < G_N_ELEMENTS(stores); i++) {
        GError *problem = NULL;

        if (move_reconnect(move, stores[i], &problem))
            continue;
        if (error_code(problem) == ZX_ERROR_CONFLICT) {
            g_propagate_error(error, problem);
            return false;
        }
        log_warning("%s: %s", stores[i]->name, problem->message);
        g_error_free(problem);
    }
    return true;
}

bool move_insist(Move *move, const char *name, MovePart *part, const Wait *wait, GError **error)
{
    int64_t since = g_get_monotonic_time();
    int pause_ms = 100;

    for (;;) {
        GError *problem = NULL;

        if (part(move, &problem)) {
            move_timed(move, name, since);
            return true;
        }
        if (error_code(problem) == ZX_ERROR_CONFLICT || wait_left_ms(wait, 1) == 0) {
            g_propagate_prefixed_error(error, problem, "%s: ", name);
            return false;
        }
        log_warning("%s: %s; trying again", name, problem->message);
        g_clear_error(&problem);
        wait_pause(wait, pause_ms);
        pause_ms = MIN(pause_ms * 2, 2000);
        if (!reconnect_both(move, error))
            return false;
    }
}
