/* tls.c - see tls.h. libcurl only makes the connection. */
#include "core/net/tls.h"
#include "core/net/curl_library.h"
#include <lber.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

typedef struct x509_st Certificate;
typedef struct ssl_st Session;
typedef struct ssl_ctx_st Context;
typedef struct x509_store_st Trusted;
typedef struct x509_store_ctx_st Check;
typedef struct bio_st Memory;
typedef struct berelement Ber;
static void ber_done(Ber *ber)
{
    ber_free(ber, 1);
}
static void memory_done(Memory *memory)
{
    BIO_free(memory);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CURL, curl_easy_cleanup)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Certificate, X509_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Session, SSL_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Context, SSL_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Trusted, X509_STORE_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Check, X509_STORE_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Memory, memory_done)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ber, ber_done)

/* One certificate. */

static char *name_text(X509_NAME *name)
{
    g_autoptr(Memory) memory = BIO_new(BIO_s_mem());
    char *bytes;
    long length;

    X509_NAME_print_ex(memory, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    length = BIO_get_mem_data(memory, &bytes);
    return g_strndup(bytes, (gsize)length);
}

static char *hex(const unsigned char *bytes, unsigned length)
{
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < length; i++)
        g_string_append_printf(text, "%s%02X", i > 0 ? ":" : "", bytes[i]);
    return g_string_free(text, FALSE);
}

static char *pem_text(Certificate *x509)
{
    g_autoptr(Memory) memory = BIO_new(BIO_s_mem());
    char *bytes;
    long length;

    PEM_write_bio_X509(memory, x509);
    length = BIO_get_mem_data(memory, &bytes);
    return g_strndup(bytes, (gsize)length);
}

static TlsCertificate *certificate_new(Certificate *x509)
{
    TlsCertificate *certificate = g_new0(TlsCertificate, 1);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;

    certificate->subject = name_text(X509_get_subject_name(x509));
    certificate->issuer = name_text(X509_get_issuer_name(x509));
    X509_digest(x509, EVP_sha256(), digest, &length);
    certificate->fingerprint = hex(digest, length);
    X509_pubkey_digest(x509, EVP_sha256(), digest, &length);
    certificate->key = hex(digest, length);
    certificate->pem = pem_text(x509);
    return certificate;
}

static void certificate_free(TlsCertificate *certificate)
{
    if (certificate == NULL)
        return;
    g_free(certificate->subject);
    g_free(certificate->issuer);
    g_free(certificate->fingerprint);
    g_free(certificate->key);
    g_free(certificate->pem);
    g_free(certificate);
}

bool tls_self_signed(const TlsCertificate *certificate)
{
    return strcmp(certificate->subject, certificate->issuer) == 0;
}

/* What the server shows. */

typedef struct Talk {
    const TlsTarget *target;
    int64_t deadline;
    int fd;
} Talk;

static bool talk_error(const Talk *talk, ZxError code, const char *why, GError **error)
{
    return fail(error, code, "%s port %u: %s", talk->target->address, talk->target->port, why);
}

static bool await(const Talk *talk, short events, GError **error)
{
    struct pollfd fd = { .fd = talk->fd, .events = events };
    int64_t left = (talk->deadline - g_get_monotonic_time()) / 1000;

    if (left > 0 && poll(&fd, 1, (int)left) > 0)
        return true;
    return talk_error(talk, ZX_ERROR_TIMEOUT, "no answer in time", error);
}

static bool connect_server(Talk *talk, CURL *curl, GError **error)
{
    const TlsTarget *target = talk->target;
    const CURLcode rc = curl_library_connect(curl, target->address, target->port,
                                             (long)target->timeout_s * 1000, &talk->fd);

    return rc == CURLE_OK || talk_error(talk, ZX_ERROR_CONNECT, curl_easy_strerror(rc), error);
}

/* ExtendedRequest 1.3.6.1.4.1.1466.20037 (RFC 4511, 4.14), and its answer. */
static bool start_tls(const Talk *talk, GError **error)
{
    static const char request[] = "\x30\x1d\x02\x01\x01\x77\x18\x80\x16" "1.3.6.1.4.1.1466.20037";
    char answer[1024];
    size_t length = 0;

    if (send(talk->fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)sizeof request - 1)
        return talk_error(talk, ZX_ERROR_CONNECT, "the connection broke", error);
    while (length < sizeof answer) {
        struct berval bytes = { .bv_val = answer };
        g_autoptr(Ber) ber = NULL;
        ber_int_t id = 0, result = -1;
        ssize_t got;

        if (!await(talk, POLLIN, error))
            return false;
        got = recv(talk->fd, answer + length, sizeof answer - length, MSG_DONTWAIT);
        if (got <= 0)
            return talk_error(talk, ZX_ERROR_CONNECT, "the connection broke", error);
        length += (size_t)got;
        bytes.bv_len = length;
        ber = ber_init(&bytes);
        if (ber != NULL && ber_scanf(ber, "{i{e", &id, &result) != LBER_ERROR)
            return result == 0 || talk_error(talk, ZX_ERROR_REFUSED, "it has no StartTLS", error);
    }
    return talk_error(talk, ZX_ERROR_CONNECT, "no answer of an LDAP server", error);
}

/* Whoever it is: the certificates are what is asked for. */
static Session *handshake(const Talk *talk, Context *context, GError **error)
{
    g_autoptr(Session) session = SSL_new(context);
    int rc;

    SSL_set_fd(session, talk->fd);
    SSL_set_tlsext_host_name(session, talk->target->name);
    while ((rc = SSL_connect(session)) != 1) {
        int want = SSL_get_error(session, rc);
        const char *why = ERR_reason_error_string(ERR_peek_last_error());

        ERR_clear_error();
        if (want != SSL_ERROR_WANT_READ && want != SSL_ERROR_WANT_WRITE) {
            talk_error(talk, ZX_ERROR_CONNECT, why != NULL ? why : "the TLS handshake failed",
                       error);
            return NULL;
        }
        if (!await(talk, want == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, error))
            return NULL;
    }
    return g_steal_pointer(&session);
}

GPtrArray *tls_shown(const TlsTarget *target, GError **error)
{
    Talk talk = { .target = target,
                  .deadline = g_get_monotonic_time() + (int64_t)target->timeout_s * G_USEC_PER_SEC };
    g_autoptr(Context) context = NULL;
    g_autoptr(CURL) curl = NULL;
    g_autoptr(Session) session = NULL;
    GPtrArray *chain;

    curl_library_init();
    context = SSL_CTX_new(TLS_client_method());
    curl = curl_easy_init();
    if (curl == NULL || context == NULL)
        g_error("out of memory for a TLS connection");
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    if (!connect_server(&talk, curl, error) || (target->ldap && !start_tls(&talk, error)) ||
        (session = handshake(&talk, context, error)) == NULL)
        return NULL;
    chain = g_ptr_array_new_with_free_func((GDestroyNotify)certificate_free);
    for (int i = 0; i < sk_X509_num(SSL_get_peer_cert_chain(session)); i++)
        g_ptr_array_add(chain,
                        certificate_new(sk_X509_value(SSL_get_peer_cert_chain(session), i)));
    SSL_shutdown(session);
    if (chain->len > 0)
        return chain;
    g_ptr_array_unref(chain);
    talk_error(&talk, ZX_ERROR_FAILED, "it shows no certificate", error);
    return NULL;
}

/* What it is worth. */

static Certificate *read_pem(const char *pem)
{
    g_autoptr(Memory) memory = BIO_new_mem_buf(pem, -1);

    return PEM_read_bio_X509(memory, NULL, NULL, NULL);
}

static Trusted *trusted_new(const char *pem)
{
    Trusted *trusted = X509_STORE_new();
    g_autoptr(Memory) memory = BIO_new_mem_buf(pem, -1);
    Certificate *x509;

    while ((x509 = PEM_read_bio_X509(memory, NULL, NULL, NULL)) != NULL) {
        X509_STORE_add_cert(trusted, x509);
        X509_free(x509);
    }
    ERR_clear_error(); /* that there are no more */
    return trusted;
}

/* As the connections that work is done over verify: who is named is enough to believe, a signer of
 * his need not be. */
static int verify(const GPtrArray *chain, const char *pem, const char *name)
{
    g_autoptr(Trusted) trusted = trusted_new(pem);
    g_autoptr(Check) check = X509_STORE_CTX_new();
    STACK_OF(X509) *others = sk_X509_new_null();
    g_autoptr(Certificate) own = NULL;
    X509_VERIFY_PARAM *param;
    int code;

    for (guint i = 0; i < chain->len; i++) {
        Certificate *x509 = read_pem(((const TlsCertificate *)g_ptr_array_index(chain, i))->pem);

        if (i == 0)
            own = x509;
        else
            sk_X509_push(others, x509);
    }
    X509_STORE_CTX_init(check, trusted, own, others);
    X509_STORE_CTX_set_purpose(check, X509_PURPOSE_SSL_SERVER);
    param = X509_STORE_CTX_get0_param(check);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    if (!X509_VERIFY_PARAM_set1_ip_asc(param, name))
        X509_VERIFY_PARAM_set1_host(param, name, 0);
    code = X509_verify_cert(check) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(check);
    sk_X509_pop_free(others, X509_free);
    ERR_clear_error();
    return code;
}

TlsVerdict tls_judge(const GPtrArray *chain, const char *pem, const char *name, char **why)
{
    int code = verify(chain, pem, name);
    g_autoptr(GString) all = g_string_new(pem);

    *why = NULL;
    if (code == X509_V_OK)
        return TLS_ACCEPTED;
    *why = g_strdup(X509_verify_cert_error_string(code));
    for (guint i = 0; i < chain->len; i++)
        g_string_append(all, ((const TlsCertificate *)g_ptr_array_index(chain, i))->pem);
    code = verify(chain, all->str, name);
    if (code == X509_V_OK)
        return TLS_UNKNOWN_SIGNER;
    g_free(*why);
    *why = g_strdup(X509_verify_cert_error_string(code));
    return TLS_UNFIT;
}

static void block_free(TlsBlock *block)
{
    g_free(block->before);
    certificate_free(block->certificate);
    g_free(block);
}

GPtrArray *tls_blocks(const char *text, char **rest, GError **error)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----", end[] = "-----END CERTIFICATE-----";
    g_autoptr(GPtrArray) blocks = g_ptr_array_new_with_free_func((GDestroyNotify)block_free);
    const char *from, *to;

    while ((from = strstr(text, begin)) != NULL) {
        g_autoptr(Certificate) x509 = read_pem(from);
        TlsBlock *block;

        to = strstr(from, end);
        if (x509 == NULL || to == NULL) {
            ERR_clear_error();
            fail(error, ZX_ERROR_DATA, "certificate %u in it cannot be read", blocks->len + 1);
            return NULL;
        }
        block = g_new0(TlsBlock, 1);
        block->before = g_strndup(text, (gsize)(from - text));
        block->certificate = certificate_new(x509);
        g_ptr_array_add(blocks, block);
        text = to + strlen(end);
        text += strspn(text, "\r\n");
    }
    *rest = g_strdup(text);
    return g_steal_pointer(&blocks);
}
