/* keeper.h - the thread that stands between an operation and its row: it writes heartbeat, state and
 * board there, and reads what others ask of it (doStopOperation, doSuspend, setOperation). On a
 * connection of its own, so that nothing the mover waits for keeps it; while its store cannot be reached
 * the operation goes on unwatched. The lock it holds tells the living from the dead. */
#ifndef ZX_OPS_KEEPER_H
#define ZX_OPS_KEEPER_H

#include "conf/conf.h"
#include "core/ops/board.h"

typedef struct Keeper Keeper;
/* The operation's row is on the store @where. @board, @conf and @where are borrowed. */
Keeper *keeper_start(const Conf *conf, const ConfStore *where, const char *operation, Board *board);
/* Writes the board a last time. NULL: nothing. */
void keeper_end(Keeper *keeper);

/* All that follows: any thread, at once; NULL is a keeper that nobody asks anything. */

/* Of Wait.order: a stop is wanted. NULL for NULL. */
const volatile sig_atomic_t *keeper_stop(const Keeper *keeper);
/* Is a pause wanted, and in whose words; *@by (g_free) is set if so. */
bool keeper_paused(Keeper *keeper, char **by);
/* doCompleteMove was said, of all mailboxes. */
bool keeper_complete(Keeper *keeper);
/* limits_clear. */
Limits keeper_limits(Keeper *keeper);
/* queued, running, paused, held; and why. */
void keeper_say(Keeper *keeper, const char *state, const char *cause);

#endif
