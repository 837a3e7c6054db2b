/* rescue.h - the parts of a rescue; private to rescue*.c.
 *
 *   rescue         who is meant, whose turn it is, and the order of one account   rescue.c
 *   judge          what must hold before anything is given up; reads only         rescue_judge.c
 *   steps          the one write and what follows it; recovery                    rescue_steps.c
 *
 * A Move carries what other parts need; both its ends are the old store. */
#ifndef ZX_MOVE_RESCUE_H
#define ZX_MOVE_RESCUE_H

#include "core/move/rollback.h"

/* rescue_judge.c */
/* No answer; refusing one is an answer. */
bool rescue_is_silence(const GError *why);
/* Nothing of it answers: neither database, nor agent, nor SOAP. */
bool rescue_home_is_gone(Operation *op, const char *host, GError **error) MUST_USE;
/* By directory and record. */
bool rescue_may_begin(const Departure *departure, const Account *account, GError **error) MUST_USE;
/* The window of the move that led to the home that is gone, in *left; NULL: it was closed. Any
 * other that is open is in the way. */
bool rescue_find_left(Move *move, const Departure *departure, Fence **left,
                      GError **error) MUST_USE;
/* As it is under the lock. @left: of the move that was not finished, or NULL. */
bool rescue_copy_can_serve(Move *move, const Departure *departure, const Fence *left,
                           GError **error) MUST_USE;
/* What a person has to know before. g_free. */
char *rescue_what_is_lost(const Departure *departure, const Account *account, const Fence *left);

/* rescue_steps.c */
/* The old store is home by the master. False with move->in_doubt: it may still become so. */
bool rescue_change_home(Move *move, GError **error) MUST_USE;
/* Everything after that; safe to run twice. */
bool rescue_go_forward(Move *move, GError **error) MUST_USE;
/* Into its result, with what to do. Takes @problem. */
void rescue_set_failed(Move *move, GError *problem);

#endif
