/* slot.h - how many mailboxes are in flight on a store, over all operations of all hosts: numbered
 * GET_LOCKs, that go with the connection that holds them. A limit for the store's sake; nothing that
 * must not happen depends on it. */
#ifndef ZX_OPS_SLOT_H
#define ZX_OPS_SLOT_H

#include "core/zimbra/store.h"

/* Does not wait: *slot is 0 if all @most are taken, and then *holder (g_free) the operation that has one of
 * them, or NULL if that cannot be told. */
bool slot_take(Store *store, unsigned most, unsigned *slot, char **holder, GError **error) MUST_USE;
/* Does this connection still have it? */
bool slot_is_held(Store *store, unsigned slot, bool *held, GError **error) MUST_USE;
void slot_release(Store *store, unsigned slot);

#endif
