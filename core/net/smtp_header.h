/* smtp_header.h - header lines of a mail (RFC 5322, RFC 2047); pure. */
#ifndef ZX_NET_SMTP_HEADER_H
#define ZX_NET_SMTP_HEADER_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* UTF-8 without line breaks and other control characters. */
bool smtp_header_value_ok(const char *value);
/* Something@something of printable ASCII, with nothing in it that means something to SMTP. */
bool smtp_header_address_ok(const char *address);

/* "@name: @text", as encoded words where @text is not plain ASCII; folded. Caller frees all of
 * these. */
char *smtp_header_text(const char *name, const char *text);
/* "Date: Mon, 02 Jan 2006 15:04:05 +0000"; independent of the locale. */
char *smtp_header_date(int64_t unix_s);
/* "Message-ID: <random@domain of @from>" */
char *smtp_header_message_id(const char *from);

#endif
