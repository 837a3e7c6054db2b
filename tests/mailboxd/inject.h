/* inject.h - what tests may make go wrong, and the log of what was asked of this server. */
#ifndef MAILBOXD_INJECT_H
#define MAILBOXD_INJECT_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

typedef enum InjectMode {
    INJECT_NONE,
    INJECT_DELAY,         /* wait, then execute */
    INJECT_FAULT,         /* answer a fault, do nothing */
    INJECT_GARBAGE,       /* execute, answer noise */
    INJECT_SILENCE,       /* do nothing, hold the connection without an answer */
    INJECT_SILENCE_AFTER, /* execute, then the same */
    INJECT_CLOSE_AFTER,   /* execute, close without an answer */
    INJECT_DROP,          /* do nothing, close */
} InjectMode;

typedef struct Injection {
    InjectMode mode;
    unsigned ms;
    char code[64];
} Injection;

/* False if @mode is no mode. @op, @account and @code may be NULL. @count 0: until cleared. */
bool inject_add(const char *request, const char *op, const char *account, const char *mode,
                unsigned ms, const char *code, unsigned count);
void inject_clear(void);
Injection inject_take(const char *request, const char *op, const char *account);
/* How many of the faults planted for @account (NULL: in all) have not been met yet. */
unsigned inject_left(const char *account);
/* Waits @ms, or until faults are cleared or the server stops. */
void inject_hold(unsigned ms);
/* Wakes all that hold, for good. */
void inject_stop(void);
void inject_free(void);

void request_log(const char *request, const char *op, const char *account, bool executed,
                 const char *proxied_to, const char *fault);
json_t *request_log_json(void);

#endif
