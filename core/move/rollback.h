/* rollback.h - who can go back, and where to (doRollback); the move itself is one like any other. */
#ifndef ZX_MOVE_ROLLBACK_H
#define ZX_MOVE_ROLLBACK_H

#include "core/move/move.h"

/* Accounts that go back to the same store. */
typedef struct WayBack {
    MoveRequest move;
    GPtrArray *ids; /* of char *, NULL at its end: move.accounts */
} WayBack;

/* Of WayBack. Who cannot go back gets a result that says why. NULL with an error if nothing can be
 * begun. */
GPtrArray *rollback_select(Operation *op, const RollbackRequest *request, GError **error) MUST_USE;

#endif
