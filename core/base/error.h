/* error.h - one list of errors: the code decides the exit status and whether a retry may help, the
 * message says what, where and what was expected. */
#ifndef ZX_BASE_ERROR_H
#define ZX_BASE_ERROR_H

#include <glib.h>
#include <stdbool.h>

#define MUST_USE __attribute__((warn_unused_result))

/* clang-format off */
#define ZX_ERRORS(X)                                                                        \
    /* code       exit  retry  what it tells the operator */                                \
    X(USAGE,       64,  false, "the command line is wrong")                                 \
    X(INPUT,       66,  false, "a file cannot be read")                                     \
    X(CONNECT,     69,  true,  "a host or service cannot be reached")                       \
    X(BUG,         70,  false, "zxmove broke a rule of its own; please report it")          \
    X(STATE,       73,  false, "the state directory cannot be written")                     \
    X(CONFLICT,    75,  false, "locked by another operation")                               \
    X(DENIED,      77,  false, "not permitted")                                             \
    X(FAILED,       1,  false, "the command failed")                                        \
    X(REFUSED,      1,  false, "a precondition is not met; nothing was changed")            \
    X(CHANGED,      1,  false, "something changed under the operation")                     \
    X(DATA,         1,  false, "data does not match its count or checksum")                 \
    X(NO_SPACE,     1,  false, "not enough space")                                          \
    X(TIMEOUT,      1,  true,  "no answer in time")                                         \
    X(BUSY,         1,  true,  "a database lock was not to be had, or a deadlock")          \
    X(IN_DOUBT,     1,  false, "sent, but not known whether it took effect")                \
    X(NOT_FOUND,    1,  false, "no such thing")                                             \
    X(STOPPED,      2,  false, "stopped by doStopOperation")                                \
    X(REMOVED,      3,  false, "removed from the queue by doStopOperation")                 \
    X(LOST,         4,  false, "the process of the operation has ended")                    \
    X(PARTIAL,      5,  false, "finished, but some mailboxes failed or were held back")     \
    X(INTERRUPTED,130,  false, "interrupted by the user")

/* What the exit statuses tell, for the manual and the tests. An unknown status is a failure. */
#define ZX_STATUSES(X)                                                                      \
    /* status  occurs  meaning */                                                           \
    X(0,   true,  "done, also when there was nothing to do")                                \
    X(1,   true,  "failed")                                                                 \
    X(2,   true,  "stopped by doStopOperation")                                             \
    X(3,   true,  "removed from the queue by doStopOperation")                              \
    X(4,   true,  "interrupted: the process of the operation has ended")                    \
    X(5,   true,  "finished, but some mailboxes failed or were held back")                  \
    X(64,  true,  "the command line is wrong")                                              \
    X(66,  true,  "a file that was named cannot be read")                                   \
    X(69,  true,  "a server cannot be reached")                                             \
    X(70,  true,  "zxmove broke a rule of its own: please report it")                       \
    X(73,  true,  "the state directory cannot be written")                                  \
    X(75,  true,  "locked by another operation")                                            \
    X(77,  true,  "not permitted")                                                          \
    X(130, true,  "interrupted by the user (Ctrl-C)")
/* clang-format on */

typedef struct ErrorStatus {
    int status;
    bool occurs; /* in this version */
    const char *meaning;
} ErrorStatus;
extern const ErrorStatus error_statuses[]; /* ends with a NULL meaning */

typedef enum ZxError {
#define X(code, exit, retry, text) ZX_ERROR_##code,
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
bool error_may_retry(ZxError code);
/* The code of @error; FAILED for an error that is not ours. */
ZxError error_code(const GError *error);

/* Sets @error and returns false, so that a failed check is one line. */
bool fail(GError **error, ZxError code, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

/* Puts "what: " before the message of an error already set; returns false. */
bool fail_prefix(GError **error, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

#endif
