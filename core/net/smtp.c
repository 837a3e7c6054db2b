/* smtp.c - see smtp.h. libcurl speaks SMTP and encodes the parts; the headers are made here. */
#include "core/net/smtp.h"
#include "core/net/curl_library.h"
#include "core/net/smtp_header.h"
#include <curl/curl.h>
#include <string.h>

typedef struct curl_slist SmtpLines;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SmtpLines, curl_slist_free_all)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(curl_mime, curl_mime_free)

static SmtpLines *append(SmtpLines *lines, char *line)
{
    SmtpLines *longer = curl_slist_append(lines, line);

    if (longer == NULL)
        g_error("out of memory for a message");
    g_free(line);
    return longer;
}

/* "<user@host>", as the envelope wants it. */
static char *in_brackets(const char *address)
{
    return g_strdup_printf("<%s>", address);
}

/* Mail knows lines that end with CRLF only. */
static char *with_crlf(const char *text)
{
    GString *lines = g_string_sized_new(strlen(text));

    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\n' && (p == text || p[-1] != '\r'))
            g_string_append_c(lines, '\r');
        g_string_append_c(lines, *p);
    }
    return g_string_free(lines, FALSE);
}

static void add_part(curl_mime *parts, const char *type, const char *file_name, const char *text)
{
    g_autofree char *lines = with_crlf(text);
    curl_mimepart *part = curl_mime_addpart(parts);

    /* Survives every relay, and plain text stays readable in a spool. */
    if (part == NULL || curl_mime_data(part, lines, CURL_ZERO_TERMINATED) != CURLE_OK ||
        curl_mime_type(part, type) != CURLE_OK ||
        curl_mime_encoder(part, "quoted-printable") != CURLE_OK ||
        (file_name != NULL && curl_mime_filename(part, file_name) != CURLE_OK))
        g_error("out of memory for a message");
}

static SmtpLines *message_headers(const SmtpTarget *target, const char *const *to,
                                  const char *subject)
{
    g_autofree char *everybody = g_strjoinv(",\r\n ", (GStrv)(uintptr_t)to);
    SmtpLines *lines = append(NULL, smtp_header_date(g_get_real_time() / G_USEC_PER_SEC));

    lines = append(lines, g_strdup_printf("From: %s", target->from));
    lines = append(lines, g_strdup_printf("To: %s", everybody));
    lines = append(lines, smtp_header_text("Subject", subject));
    lines = append(lines, smtp_header_message_id(target->from));
    return append(lines, g_strdup("Auto-Submitted: auto-generated")); /* no vacation replies */
}

static bool check_headers(const SmtpTarget *target, const char *const *to, const char *subject,
                          const char *attachment_name, GError **error)
{
    if (to[0] == NULL)
        return fail(error, ZX_ERROR_USAGE, "a mail without a recipient");
    for (const char *const *address = to; *address != NULL; address++)
        if (!smtp_header_address_ok(*address))
            return fail(error, ZX_ERROR_USAGE, "not a mail address: %s", *address);
    if (!smtp_header_address_ok(target->from))
        return fail(error, ZX_ERROR_USAGE, "not a mail address: %s", target->from);
    if (!smtp_header_value_ok(subject) ||
        (attachment_name != NULL && !smtp_header_value_ok(attachment_name)))
        return fail(error, ZX_ERROR_USAGE,
                    "the subject or file name of a mail holds a line break or is no UTF-8");
    return true;
}

static CURLcode perform(CURL *curl, const SmtpTarget *target, const char *const *to,
                        SmtpLines *headers, curl_mime *parts, long *status)
{
    g_autofree char *from = in_brackets(target->from);
    g_autoptr(SmtpLines) recipients = NULL;
    CURLcode rc;

    for (const char *const *address = to; *address != NULL; address++)
        recipients = append(recipients, in_brackets(*address));
    curl_easy_setopt(curl, CURLOPT_URL, target->url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)target->timeout_s);
    curl_easy_setopt(curl, CURLOPT_MAIL_FROM, from);
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers); /* of the message, for SMTP */
    curl_easy_setopt(curl, CURLOPT_MIMEPOST, parts);
    rc = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
    /* The handle points into what is freed now. */
    curl_easy_reset(curl);
    return rc;
}

/* @status: what the server said last. */
static ZxError error_kind(CURLcode rc, long status)
{
    if (status >= 400 && rc != CURLE_LOGIN_DENIED)
        return ZX_ERROR_FAILED;
    switch ((int)rc) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
        return ZX_ERROR_CONNECT;
    case CURLE_OPERATION_TIMEDOUT:
        return ZX_ERROR_TIMEOUT;
    case CURLE_LOGIN_DENIED:
    case CURLE_PEER_FAILED_VERIFICATION:
        return ZX_ERROR_DENIED;
    default:
        return ZX_ERROR_FAILED;
    }
}

bool smtp_send(const SmtpTarget *target, const char *const *to, const char *subject,
               const char *body, const char *attachment_name, const char *attachment,
               GError **error)
{
    char problem[CURL_ERROR_SIZE] = "";
    g_autoptr(SmtpLines) headers = NULL;
    CURL *curl;
    CURLcode rc;
    long status = 0;

    if (!check_headers(target, to, subject, attachment != NULL ? attachment_name : NULL, error))
        return false;
    if (!g_str_has_prefix(target->url, "smtp://") && !g_str_has_prefix(target->url, "smtps://"))
        return fail(error, ZX_ERROR_INPUT, "%s: not an smtp:// URL", target->url);
    curl_library_init();
    curl = curl_easy_init();
    if (curl == NULL)
        g_error("out of memory for libcurl");
    {
        g_autoptr(curl_mime) parts = curl_mime_init(curl);

        if (parts == NULL)
            g_error("out of memory for a message");
        add_part(parts, "text/plain; charset=utf-8", NULL, body);
        if (attachment != NULL)
            add_part(parts, "text/csv; charset=utf-8", attachment_name, attachment);
        headers = message_headers(target, to, subject);
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, problem);
        rc = perform(curl, target, to, headers, parts, &status);
    }
    curl_easy_cleanup(curl);
    if (rc == CURLE_OK)
        return true;
    return fail(error, error_kind(rc, status), "mail through %s: %s", target->url,
                problem[0] != '\0' ? problem : curl_easy_strerror(rc));
}

bool smtp_ping(const char *url, unsigned timeout_s, GError **error)
{
    char problem[CURL_ERROR_SIZE] = "";
    CURL *curl;
    CURLcode rc;
    long status = 0;

    curl_library_init();
    curl = curl_easy_init();
    if (curl == NULL)
        g_error("out of memory for libcurl");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)timeout_s);
    curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L); /* as far as EHLO */
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, problem);
    rc = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    if (rc == CURLE_OK)
        return true;
    return fail(error, error_kind(rc, status), "mail through %s: %s", url,
                problem[0] != '\0' ? problem : curl_easy_strerror(rc));
}
