/* smtp.h - sends one message through the configured mail server (libcurl). */
#ifndef ZX_NET_SMTP_H
#define ZX_NET_SMTP_H

#include "core/base/error.h"

typedef struct SmtpTarget {
    const char *url; /* smtp://host:port */
    const char *from;
    unsigned timeout_s;
} SmtpTarget;

/* @to ends with NULL. @attachment (CSV) may be NULL; @attachment_name is its file name. UTF-8
 * throughout; header values that hold a line break are refused (USAGE). */
bool smtp_send(const SmtpTarget *target, const char *const *to, const char *subject,
               const char *body, const char *attachment_name, const char *attachment,
               GError **error) MUST_USE;

/* Greets the server, sends nothing. */
bool smtp_ping(const char *url, unsigned timeout_s, GError **error) MUST_USE;

#endif
