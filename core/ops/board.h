/* board.h - what an operation shows of itself while it runs: a digest of its events that fits into
 * its row, and from which whoever watches makes events again. What is done and by whom is in the
 * rows of its mailboxes. */
#ifndef ZX_OPS_BOARD_H
#define ZX_OPS_BOARD_H

#include "core/core.h"

typedef struct Board Board;
Board *board_new(void);
void board_free(Board *board);

/* Any thread. */
void board_take(Board *board, const Event *event);

/* As JSON, if it has changed since @seen (0 at first), which is brought up to date; else NULL. */
char *board_text(Board *board, uint64_t *seen);

/* The counts of a board's text. */
typedef struct BoardSum {
    unsigned mailboxes, done, failed;
    /* Of the mailboxes by their rows; what is there of those in flight counts. 0: unknown. */
    uint64_t bytes, bytes_done;
    char *held_up; /* what holds a copy up; NULL: nothing. g_free */
} BoardSum;
/* NULL or what is no board: all zero. */
BoardSum board_sum(const char *text);

/* Tells @sink what is in flight by @text. @told (of char * to char *, empty at first) remembers what need
 * not be told again: how much there is, and the state of each mailbox. */
void board_tell(const char *text, const char *operation, GHashTable *told, EventSink *sink,
                void *data);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Board, board_free)

#endif
