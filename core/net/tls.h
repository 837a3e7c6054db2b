/* tls.h - the certificates a server shows, and whether a file of CA certificates has them accepted
 * (OpenSSL; the only module that includes <openssl/ssl.h>). For who compares them: nothing is sent to
 * the server but the handshake, and a connection that work is done over is never made here. */
#ifndef ZX_NET_TLS_H
#define ZX_NET_TLS_H

#include "core/base/error.h"

typedef struct TlsTarget {
    const char *address; /* where to connect */
    unsigned port;
    const char *name; /* whom the certificate must be made out to */
    bool ldap;        /* StartTLS of LDAP comes before the handshake */
    unsigned timeout_s;
} TlsTarget;

typedef struct TlsCertificate {
    char *subject, *issuer;
    char *fingerprint; /* of SHA-256: "AB:CD:..", as openssl x509 -fingerprint writes it */
    char *key;         /* the same of the public key alone */
    char *pem;
} TlsCertificate;

/* What the server shows (of TlsCertificate), its own first, as they come. */
GPtrArray *tls_shown(const TlsTarget *target, GError **error) MUST_USE;
bool tls_self_signed(const TlsCertificate *certificate);

/* Whether a server that shows @chain as @name is believed, with the certificates of @pem ("": none)
 * believed. *why (g_free) says why not. */
typedef enum TlsVerdict {
    TLS_ACCEPTED,
    TLS_UNKNOWN_SIGNER, /* to believe one of the chain helps */
    TLS_UNFIT,          /* expired, of another name, ..: nobody should believe it */
} TlsVerdict;
TlsVerdict tls_judge(const GPtrArray *chain, const char *pem, const char *name, char **why);

/* A file of certificates: each with the lines that stand before it. */
typedef struct TlsBlock {
    char *before;
    TlsCertificate *certificate;
} TlsBlock;
/* Of TlsBlock; *@rest is what stands behind the last. DATA if one of them cannot be read. */
GPtrArray *tls_blocks(const char *text, char **rest, GError **error) MUST_USE;

#endif
