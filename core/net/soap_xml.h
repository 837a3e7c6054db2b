/* soap_xml.h - envelopes out and in (doc/platform.md 6.1); pure, the conversation is soap.c's. */
#ifndef ZX_NET_SOAP_XML_H
#define ZX_NET_SOAP_XML_H

#include "core/net/soap.h"

/* @request in an envelope, as UTF-8 text; @token and @target_server may be NULL. The caller wipes
 * it if it holds a password, and frees it with xmlFree. */
xmlChar *soap_envelope(xmlNode *request, const char *token, const char *target_server,
                       size_t *length);

/* What the server's bytes mean as an answer to a request called @request. Anything but a
 * well-formed answer to just that request, or a fault with a code, is UNKNOWN. Never NULL. */
SoapReply *soap_reply_parse(const char *request, long http_status, const char *bytes,
                            size_t length);

SoapReply *soap_reply_unknown(const char *message, ...) G_GNUC_PRINTF(1, 2);

#endif
