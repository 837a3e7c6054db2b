/* error.h - one list of errors: the code decides the exit status, the message says what, where and what
 * was expected. */
#ifndef ZX_BASE_ERROR_H
#define ZX_BASE_ERROR_H

#include <glib.h>
#include <stdbool.h>

#define MUST_USE __attribute__((warn_unused_result))

/* clang-format off */
#define ZX_ERRORS(X)                                                                \
    /* code       exit  what it tells the operator */                               \
    X(USAGE,       64,  "the command line is wrong")                                \
    X(INPUT,       66,  "a file cannot be read")                                    \
    X(CONNECT,     69,  "a host or service cannot be reached")                      \
    X(BUG,         70,  "zxmove broke a rule of its own; please report it")         \
    X(STATE,       73,  "the state directory cannot be written")                    \
    X(CONFLICT,    75,  "locked by another operation")                              \
    X(DENIED,      77,  "not permitted")                                            \
    X(FAILED,       1,  "the command failed")                                       \
    X(REFUSED,      1,  "a precondition is not met; nothing was changed")           \
    X(CHANGED,      1,  "something changed under the operation")                    \
    X(DATA,         1,  "data does not match its count or checksum")                \
    X(NO_SPACE,     1,  "not enough space")                                         \
    X(TIMEOUT,      1,  "no answer in time")                                        \
    X(BUSY,         1,  "a database lock was not to be had, or a deadlock")         \
    X(IN_DOUBT,     1,  "sent, but not known whether it took effect")               \
    X(NOT_FOUND,    1,  "no such thing")                                            \
    X(STOPPED,      2,  "stopped by doStopOperation")                               \
    X(REMOVED,      3,  "removed from the queue by doStopOperation")                \
    X(LOST,         4,  "the process of the operation has ended")                   \
    X(PARTIAL,      5,  "finished, but some mailboxes failed or were held back")    \
    X(INTERRUPTED,130,  "interrupted by the user")

/* What the exit statuses tell, for the manual and the tests. An unknown status is a failure. */
#define ZX_STATUSES(X)                                                              \
    /* status  meaning */                                                           \
    X(0,   "done, also when there was nothing to do")                               \
    X(1,   "failed")                                                                \
    X(2,   "stopped by doStopOperation")                                            \
    X(3,   "removed from the queue by doStopOperation")                             \
    X(4,   "interrupted: the process of the operation has ended")                   \
    X(5,   "finished, but some mailboxes failed or were held back")                 \
    X(64,  "the command line is wrong")                                             \
    X(66,  "a file that was named cannot be read")                                  \
    X(69,  "a server cannot be reached")                                            \
    X(70,  "zxmove broke a rule of its own: please report it")                      \
    X(73,  "the state directory cannot be written")                                 \
    X(75,  "locked by another operation")                                           \
    X(77,  "not permitted")                                                         \
    X(130, "interrupted by the user (Ctrl-C)")
/* clang-format on */

typedef struct ErrorStatus {
    int status;
    const char *meaning;
} ErrorStatus;
extern const ErrorStatus error_statuses[]; /* ends with a NULL meaning */

typedef enum ZxError {
#define X(code, exit, text) ZX_ERROR_##code,
    ZX_ERRORS(X)
#undef X
} ZxError;

#define ZX_ERROR (zx_error_quark())
GQuark zx_error_quark(void);

/* "CONNECT": the stable name used in JSON and reports. */
const char *error_name(ZxError code);
/* The code of such a name; false if there is none. */
bool error_named(const char *name, ZxError *code);
int error_exit_status(ZxError code);
/* The code of @error; FAILED for an error that is not ours. */
ZxError error_code(const GError *error);
/* g_error_free, of tables that have NULL where there is none. */
void error_free_any(GError *error);

/* Sets @error and returns false, so that a failed check is one line. */
bool fail(GError **error, ZxError code, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

/* Puts "what: " before the message of an error already set; returns false. */
bool fail_prefix(GError **error, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

#endif
