/* vanished.h - recovery of an account that the directory has no more. */
#ifndef ZX_MOVE_VANISHED_H
#define ZX_MOVE_VANISHED_H

#include "core/move/move.h"

/* Whether the directory has no account with the fence's id. */
bool vanished(Operation *op, const Fence *fence);
/* Closes its records and says what stays where. @known is taken. */
void vanished_recover(Operation *op, const RecoverRequest *request, Fence *known,
                      MailboxResult *result, unsigned index, unsigned total);

#endif
