/* rollback.h - who can go back, and where to (doRollback); the move itself is one like any other. */
#ifndef ZX_MOVE_ROLLBACK_H
#define ZX_MOVE_ROLLBACK_H

#include "core/move/move.h"

/* One operation, to as many stores as its accounts came from. Who cannot go back gets a result that says
 * why. */
bool rollback_run(Operation *op, const RollbackRequest *request, GError **error) MUST_USE;

#endif
