/* progress.h - the parts of progress: what is known (flight.c), how it is laid out (meter.c), how
 * it gets on a terminal and off again (screen.c), as JSON (events.c). Only progress.c knows threads
 * and files; what is here is pure, the screen but for the stream it is given. */
#ifndef ZX_SHELL_PROGRESS_H
#define ZX_SHELL_PROGRESS_H

#include "core/core.h"
#include <jansson.h>
#include <stdio.h>

/* columns.c: text in columns of a terminal, wide and combining characters counted as they show. */
int columns_of(const char *text);
/* As much of @text as @columns hold, with "..." at its end if something had to go. */
char *columns_cut(const char *text, int columns);
/* Every character that is no ASCII as one '?': for a terminal that knows no UTF-8. */
char *columns_ascii(const char *text);

/* flight.c: events in, what is known of the operation and of each mailbox out. Times are monotonic
 * microseconds, given by the caller. */

/* Bytes a second over the last moments: what a mean since the beginning hides. */
enum { RATE_SAMPLES = 12 };
typedef struct Rate {
    int64_t at[RATE_SAMPLES];
    uint64_t bytes[RATE_SAMPLES];
    unsigned count, next;
    uint64_t total;
} Rate;

typedef struct FlightMailbox {
    char *account;
    unsigned index;
    char *state, *cause; /* "copy"; why it is so, or NULL */
    char *part;          /* what the items are: "blobs", a table, or NULL */
    char *held_up;       /* what holds the copy up: "throttled, bandwidth 2.0 MB/s", or NULL */
    uint64_t items, items_expected, bytes, bytes_expected; /* of this round; expected 0: unknown */
    uint64_t size; /* of the whole mailbox by its row; 0: unknown */
    double share;  /* of its size, that is done; never falls */
    bool in_bytes; /* what it is at now is counted in bytes: blobs, not rows */
    Rate rate;
} FlightMailbox;

typedef struct Flight {
    char *operation; /* NULL until its first event */
    unsigned mailboxes, done, failed;
    uint64_t size,
        done_size; /* of all mailboxes by their rows, and of those that ended; 0: unknown */
    int64_t begun;
    Rate rate;
    bool stopping;
    GPtrArray *aloft; /* of FlightMailbox: those in flight, by index */
} Flight;

void flight_begin(Flight *flight);
void flight_clear(Flight *flight);
void flight_take(Flight *flight, const Event *event, int64_t now);
/* "commit of anna@company.ru, copy of ivan@company.ru": what a stop waits for. */
char *flight_waits_for(const Flight *flight);
/* Of the whole operation, 0 to 1; negative if its size is unknown. */
double flight_share(const Flight *flight);
double flight_mailbox_share(const FlightMailbox *mailbox);
/* Bytes a second; negative while there is too little to tell. */
double rate_now(const Rate *rate, int64_t now);
/* Seconds left; negative until it means something: 1% is done, and a second has passed. */
double flight_left(const Flight *flight, int64_t now);
double flight_mailbox_left(const FlightMailbox *mailbox, int64_t now);

/* meter.c: a flight to lines. */
typedef struct Look {
    int columns, rows; /* of the terminal */
    bool utf8, colour;
} Look;
/* Of char *, none wider than look->columns - 1 and no more than look->rows - 1. */
GPtrArray *meter_lines(const Flight *flight, const Look *look, int64_t now);
/* The same where nothing can be redrawn: one line for all, one for each in flight, no bar. */
GPtrArray *meter_plain(const Flight *flight, int64_t now);

/* screen.c: the last lines of a terminal, ours to redraw. */
typedef struct Screen {
    FILE *out;
    GArray *widths; /* of int: the columns of each line that stands there */
    int columns;    /* of the terminal when they were drawn */
} Screen;
void screen_open(Screen *screen, FILE *out);
void screen_close(Screen *screen);
/* @columns: of the terminal now; a line that was drawn wider has been broken by it since. */
void screen_draw(Screen *screen, const GPtrArray *lines, int columns);
void screen_erase(Screen *screen, int columns);

/* events.c: doc/json.md says what they hold. NULL where there is nothing to say. */
json_t *events_json(const Event *event);
json_t *events_note(const char *account, const char *text);
json_t *events_progress(const Flight *flight, const FlightMailbox *mailbox, int64_t now);

#endif
