/* fault.h - what a request of mailboxd can fail with: the codes of doc/platform.md 6.1. They travel
 * as GErrors inside the stand-in, as SOAP faults or LMTP replies outside. */
#ifndef MAILBOXD_FAULT_H
#define MAILBOXD_FAULT_H

#include <glib.h>
#include <stdbool.h>

/* clang-format off */
#define FAULTS(X) /* name, code, is it the receiver's fault */ \
    X(FAILURE,              "service.FAILURE",              true)  \
    X(INVALID_REQUEST,      "service.INVALID_REQUEST",      false) \
    X(UNKNOWN_DOCUMENT,     "service.UNKNOWN_DOCUMENT",     false) \
    X(AUTH_REQUIRED,        "service.AUTH_REQUIRED",        false) \
    X(AUTH_EXPIRED,         "service.AUTH_EXPIRED",         false) \
    X(PERM_DENIED,          "service.PERM_DENIED",          false) \
    X(WRONG_HOST,           "service.WRONG_HOST",           false) \
    X(PROXY_ERROR,          "service.PROXY_ERROR",          true)  \
    X(TOO_MANY_HOPS,        "service.TOO_MANY_HOPS",        false) \
    X(NOT_FOUND,            "service.NOT_FOUND",            true)  \
    X(ALREADY_IN_PROGRESS,  "service.ALREADY_IN_PROGRESS",  false) \
    X(NO_SUCH_ACCOUNT,      "account.NO_SUCH_ACCOUNT",      false) \
    X(NO_SUCH_RESOURCE,     "account.NO_SUCH_CALENDAR_RESOURCE", false) \
    X(NO_SUCH_SERVER,       "account.NO_SUCH_SERVER",       false) \
    X(NO_SUCH_DOMAIN,       "account.NO_SUCH_DOMAIN",       false) \
    X(AUTH_FAILED,          "account.AUTH_FAILED",          false) \
    X(MAINTENANCE_MODE,     "account.MAINTENANCE_MODE",     false) \
    X(INVALID_ATTR_VALUE,   "account.INVALID_ATTR_VALUE",   false) \
    X(INVALID_ATTR_NAME,    "account.INVALID_ATTR_NAME",    false) \
    X(MAINTENANCE,          "mail.MAINTENANCE",             true)  \
    X(NO_SUCH_MBOX,         "mail.NO_SUCH_MBOX",            false) \
    X(NO_SUCH_ITEM,         "mail.NO_SUCH_ITEM",            false) \
    X(NO_SUCH_BLOB,         "mail.NO_SUCH_BLOB",            true)  \
    X(QUOTA_EXCEEDED,       "mail.QUOTA_EXCEEDED",          false)
/* clang-format on */

typedef enum FaultCode {
#define X(name, code, receiver) FAULT_##name,
    FAULTS(X)
#undef X
} FaultCode;

#define FAULT (fault_quark())
GQuark fault_quark(void);

/* Sets @error and returns false, so that a failed check is one line. */
bool fault(GError **error, FaultCode code, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

bool fault_is(const GError *error, FaultCode code);
/* "service.FAILURE"; the same for an error that is not ours. */
const char *fault_code(const GError *error);
bool fault_is_receivers(const GError *error);

#endif
