/* slots.c - a mailbox waits until both its stores have a place for one more (max_in_flight). A
 * place is a lock of the connection `control` and goes with it: a mailbox whose connection was
 * opened anew takes one again, but is not made to wait for it, it may be in its window. */
#include "core/base/log.h"
#include "core/move/move.h"
#include "core/ops/slot.h"
#include <string.h>

#define LOOK_MS 500

void slots_release(Move *move)
{
    for (int i = 0; i < 2; i++) {
        if (move->slots[i] != 0)
            slot_release(i == 0 ? move->source : move->target, move->slots[i]);
        move->slots[i] = 0;
    }
}

/* False without an error: a store has no place, and *full says which and who has one. In the order of
 * claims, so that two operations in opposite directions do not keep each other from the second place. */
static bool take_both(Move *move, char **full, GError **error)
{
    Store *const stores[] = { move->source, move->target };
    const int first = strcmp(move->target->server_id, move->source->server_id) < 0;
    unsigned most = move->op->conf->max_in_flight;

    for (int n = 0; n < 2; n++) {
        const int i = n ^ first;
        g_autofree char *holder = NULL;

        if (!slot_take(stores[i], most, &move->slots[i], &holder, error)) {
            move->slots[i] = 0;
            slots_release(move);
            return false;
        }
        if (move->slots[i] != 0)
            continue;
        *full = g_strdup_printf("%s has %u mailboxes in flight%s%s", stores[i]->name, most,
                                holder != NULL ? ", one of operation " : "",
                                holder != NULL ? holder : "");
        slots_release(move); /* whoever has one of two places keeps nobody else waiting */
        return false;
    }
    return true;
}

bool slots_wait(Move *move, GError **error)
{
    g_autofree char *said = NULL;

    for (;;) {
        g_autofree char *full = NULL;
        GError *problem = NULL;

        if (take_both(move, &full, &problem))
            return true;
        if (problem != NULL) {
            g_propagate_error(error, problem);
            return false;
        }
        if (g_strcmp0(full, said) != 0) {
            move_state(move, "queued", full);
            operation_queued(move->op, full);
            g_free(said);
            said = g_steal_pointer(&full);
        }
        wait_pause(&move->wait, LOOK_MS);
        if (!wait_check(&move->wait, "waiting for a place", error))
            return false;
    }
}

static bool take_again(Move *move, Store *store, unsigned *slot, GError **error)
{
    const unsigned most = move->op->conf->max_in_flight;
    g_autofree char *holder = NULL;
    bool held;

    if (!slot_is_held(store, *slot, &held, error))
        return false;
    if (held)
        return true;
    if (!slot_take(store, most, slot, &holder, error))
        return false;
    if (*slot == 0)
        log_warning("%s: the place of this mailbox went with its connection, and all %u are taken "
                    "since: one more than"
                    " max_in_flight is in flight",
                    store->name, most);
    return true;
}

void slots_again(Move *move, Store *store)
{
    g_autoptr(GError) problem = NULL;

    for (int i = 0; i < 2; i++)
        if (move->slots[i] != 0 && store == (i == 0 ? move->source : move->target) &&
            !take_again(move, store, &move->slots[i], &problem))
            log_warning("%s", problem->message);
}
