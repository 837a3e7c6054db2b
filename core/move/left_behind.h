/* left_behind.h - mailboxes that rescues gave up on stores that were gone. A dead store cannot be
 * written, so the record waits on the store that took the user back, and goes to the mailbox's own
 * store as soon as an operation has both open. */
#ifndef ZX_MOVE_LEFT_BEHIND_H
#define ZX_MOVE_LEFT_BEHIND_H

#include "core/move/move.h"

/* Of the mailbox that @fence, of a rescue, gives up; not durable yet. */
bool left_behind_note(Store *store, const Fence *fence, GError **error) MUST_USE;

/* Records on @from of mailboxes on @to go there; or between all stores that the operation has open.
 * What fails is tried by the next one. True: there was one. */
bool left_behind_deliver(Store *from, Store *to);
bool left_behind_deliver_all(Operation *op);

#endif
