/* appeared.c - an account without a mailbox gets one while it is moved: by a first log-in, or by a
 * message whose recipient was accepted earlier (doc/platform.md 9.5, hazard 67). Before the commit
 * that undoes the window, and the next one moves the mailbox; after it the mailbox is locked,
 * copied and proven while the user is still out. The destination cannot have made one: nobody was
 * let in. */
#include "core/base/log.h"
#include "core/move/move.h"

static bool find(Move *move, uint32_t *id, unsigned *group, unsigned *index_volume, GError **error)
{
    return mailbox_row_find(move->source->control, move->account->id, id, group, index_volume,
                            error);
}

bool appeared_not_yet(Move *move, GError **error)
{
    g_autofree char *why = NULL;
    uint32_t mailbox;

    /* A request that may still land is sent again, whatever the source has got: the look after the
     * commit finds it. */
    if (move->in_doubt)
        return true;
    if (!find(move, &mailbox, NULL, NULL, error))
        return false;
    if (mailbox == 0 &&
        admin_probe(move->source->soap, move->account->id, &move->wait, &why) == PROBE_UNMAPPED)
        return true;
    return fail(error, ZX_ERROR_CHANGED, "%s: a mailbox appeared on %s meanwhile",
                move->account->address, move->source->name);
}

/* Only a source that knows the new home makes no mailbox any more. */
static bool source_is_told(Move *move, GError **error)
{
    const char *status = move->fence->status_touched && !move->let_in ? "maintenance" : NULL;
    Wait wait = wait_through(&move->wait, 2000);

    return caches_flush_store(move, move->source, status, move->target->name, &wait, error);
}

bool appeared_move(Move *move, GError **error)
{
    Fence *fence = move->fence;
    uint32_t mailbox;

    /* The record gets the ids when all is copied: until then every try begins anew. */
    if (fence->source_mailbox != 0 || fence->opened)
        return true;
    if (!source_is_told(move, error) ||
        !find(move, &mailbox, &move->source_group, &move->source_index_volume, error))
        return false;
    if (mailbox == 0)
        return true;
    log_warning("mailbox %u appeared on %s while its account was moved; moving it", mailbox,
                move->source->name);
    move->source_mailbox = move->result->source_mailbox = mailbox;
    if (!reserve_apply(move, error) || !copy_rounds(move, error) || !lock_out(move, error) ||
        !caches_drop_mailboxd_keys(move, error) || !delta_apply(move, error) ||
        !prove_content(move, error))
        return false;
    fence->source_mailbox = mailbox;
    fence->destination_mailbox = move->target_mailbox;
    return fence_note_mailboxes(move->target, fence, error) &&
           fence_note_mailboxes(move->source, fence, error);
}
