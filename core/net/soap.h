/* soap.h - Zimbra's admin SOAP of one store over HTTPS (libcurl, libxml2); doc/platform.md 6.
 *
 * A call has three outcomes and no other: an answer, a definite fault of the server, or unknown (no
 * answer, broken connection, garbage: the request may have taken effect or may still). Nothing here
 * ever repeats a request by itself, except once after service.AUTH_EXPIRED / AUTH_REQUIRED, which
 * are answered before anything is done. */
#ifndef ZX_NET_SOAP_H
#define ZX_NET_SOAP_H

#include "core/base/error.h"
#include "core/base/secret.h"
#include "core/base/wait.h"
#include <libxml/tree.h>

typedef struct Soap Soap;

/* A C string as libxml2 wants it. */
#define XML_TEXT(text) ((const xmlChar *)(text))

typedef struct SoapTarget {
    const char *name;    /* the store: its certificate is checked against this */
    const char *address; /* where to connect */
    unsigned port;
    const char *ca_file;
    const char *user; /* AuthRequest name */
    const Secret *password;
    unsigned timeout_s; /* of one call whose Wait has no deadline of its own */
} SoapTarget;

/* Remembers the target; the first call connects and logs in. One connection, kept alive. */
Soap *soap_open(const SoapTarget *target, GError **error) MUST_USE;
void soap_close(Soap *soap);
const char *soap_name(const Soap *soap);

/* zimbraId sent as targetServer with every request: the store executes them itself (6.2). */
void soap_target_server(Soap *soap, const char *server_id);

/* Connects and logs in now, so that the first real call costs one round trip. */
bool soap_warm(Soap *soap, const Wait *wait, GError **error) MUST_USE;

/* A request under construction: an element in namespace urn:zimbraAdmin. Owned by the caller until
 * soap_call, which frees it. Build with xmlNewProp / xmlNewTextChild on it (both escape). */
xmlNode *soap_request(const char *name);
/* urn:zimbra BatchRequest onerror="stop"; add requests made by soap_request with xmlAddChild. */
xmlNode *soap_batch(void);

typedef enum SoapOutcome { SOAP_ANSWER, SOAP_FAULT, SOAP_UNKNOWN } SoapOutcome;

typedef struct SoapReply {
    SoapOutcome outcome;
    xmlDoc *document; /* ANSWER: the envelope */
    xmlNode *body;    /* ANSWER: the response element (e.g. GetAccountResponse) */
    char *fault_code; /* FAULT: "service.WRONG_HOST"; also of the fault inside a BatchResponse */
    char *message;    /* FAULT: the reason text; UNKNOWN: what happened */
    bool untrusted;   /* UNKNOWN: the certificate was not accepted; nothing was sent */
} SoapReply;

/* Takes @request. Never NULL. A BatchResponse that holds a Fault is an ANSWER: look at its
 * children. */
SoapReply *soap_call(Soap *soap, xmlNode *request, const Wait *wait);
void soap_reply_free(SoapReply *reply);

/* Sets @error from a reply that is no answer: DENIED for service.PERM_DENIED, a refused login or
 * certificate, CONNECT for the rest of UNKNOWN, else FAILED, with store, request and fault code in
 * the message. Returns false. */
bool soap_fail(const Soap *soap, const char *request, const SoapReply *reply, GError **error);

/* First child element called @name, or NULL. */
xmlNode *soap_child(const xmlNode *parent, const char *name);
/* Attribute or NULL; caller frees with g_free. */
char *soap_attribute(const xmlNode *node, const char *name);
/* Text of the child <a n="@name"> (as in <account><a n="zimbraMailHost">..</a>), or NULL. g_free.
 */
char *soap_a(const xmlNode *parent, const char *name);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Soap, soap_close)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SoapReply, soap_reply_free)

#endif
