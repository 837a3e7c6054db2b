/* soap.c - see soap.h: the conversation with one store.
 *
 * libcurl sends a request again by itself when a kept-alive connection dies before it answers. Such
 * a request may have been executed, so the body comes from a callback that cannot be rewound:
 * libcurl then reports an error instead (post(), refuse_rewind()). */
#include "core/net/soap.h"
#include "core/net/curl_library.h"
#include "core/net/soap_xml.h"
#include <curl/curl.h>
#include <errno.h>
#include <libxml/parser.h>
#include <string.h>
#include <unistd.h>

enum { REPLY_LIMIT = 64 * 1024 * 1024 };

struct Soap {
    char *name, *user, *server_id, *place; /* @place: for messages */
    Secret *password, *token;
    unsigned timeout_s;
    CURLM *multi; /* keeps the connection */
    CURL *easy;
    struct curl_slist *connect_to, *headers;
    char problem[CURL_ERROR_SIZE];
};

typedef struct Body {
    const char *bytes;
    size_t left;
} Body;

static size_t give_body(char *to, size_t size, size_t count, void *data)
{
    Body *body = data;
    const size_t given = MIN(size * count, body->left);

    memcpy(to, body->bytes, given);
    body->bytes += given;
    body->left -= given;
    return given;
}

static int refuse_rewind(void *data, curl_off_t offset, int origin)
{
    (void)data;
    (void)offset;
    (void)origin;
    return CURL_SEEKFUNC_FAIL;
}

static size_t take_answer(char *bytes, size_t size, size_t count, void *data)
{
    GString *answer = data;

    if (answer->len + size * count > REPLY_LIMIT)
        return 0;
    g_string_append_len(answer, bytes, (gssize)(size * count));
    return size * count;
}

const char *soap_name(const Soap *soap)
{
    return soap->name;
}

void soap_target_server(Soap *soap, const char *server_id)
{
    g_free(soap->server_id);
    soap->server_id = g_strdup(server_id);
}

static void set_options(Soap *soap, const SoapTarget *target)
{
    const bool v6 = strchr(target->address, ':') != NULL;
    g_autofree char *url =
        g_strdup_printf("https://%s:%u/service/admin/soap/", target->name, target->port);
    g_autofree char *connect_to =
        g_strdup_printf("%s:%u:%s%s%s:%u", target->name, target->port, v6 ? "[" : "",
                        target->address, v6 ? "]" : "", target->port);
    CURL *easy = soap->easy;

    soap->connect_to = curl_slist_append(NULL, connect_to);
    soap->headers = curl_slist_append(NULL, "Content-Type: text/xml; charset=utf-8");
    soap->headers = curl_slist_append(soap->headers, "Expect:"); /* would cost a round trip */
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, soap->connect_to);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, soap->headers);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* not even one of the environment */
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (target->ca_file != NULL)
        curl_easy_setopt(easy, CURLOPT_CAINFO, target->ca_file);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, refuse_rewind);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, soap->problem);
}

Soap *soap_open(const SoapTarget *target, GError **error)
{
    g_autoptr(Soap) soap = NULL;

    if (target->ca_file != NULL && access(target->ca_file, R_OK) != 0) {
        fail(error, ZX_ERROR_INPUT,
             "%s: the file of CA certificates cannot be read: %s. If it is not there yet, it is "
             "made with: trust %s",
             target->ca_file, g_strerror(errno), target->name);
        return NULL;
    }
    curl_library_init();
    xmlInitParser();
    soap = g_new0(Soap, 1);
    soap->name = g_strdup(target->name);
    soap->place =
        g_strdup_printf("SOAP of %s (%s port %u)", target->name, target->address, target->port);
    soap->user = g_strdup(target->user);
    soap->password = secret_copy(target->password);
    soap->timeout_s = target->timeout_s;
    soap->multi = curl_multi_init();
    soap->easy = curl_easy_init();
    if (soap->multi == NULL || soap->easy == NULL)
        g_error("out of memory for libcurl");
    set_options(soap, target);
    return g_steal_pointer(&soap);
}

void soap_close(Soap *soap)
{
    if (soap == NULL)
        return;
    curl_easy_cleanup(soap->easy);
    curl_multi_cleanup(soap->multi);
    curl_slist_free_all(soap->connect_to);
    curl_slist_free_all(soap->headers);
    secret_free(soap->password);
    secret_free(soap->token);
    g_free(soap->name);
    g_free(soap->place);
    g_free(soap->user);
    g_free(soap->server_id);
    g_free(soap);
}

/* Runs the transfer that was set up. False with @error when @wait ends first. */
static bool transfer(Soap *soap, const Wait *wait, CURLcode *result, GError **error)
{
    bool in_time = true;
    int running = 1;
    CURLMsg *message;

    *result = CURLE_FAILED_INIT;
    curl_multi_add_handle(soap->multi, soap->easy);
    while (running != 0) {
        int events = 0;

        in_time = wait_check(wait, "the request", error);
        if (!in_time || curl_multi_perform(soap->multi, &running) != CURLM_OK || running == 0)
            break;
        curl_multi_wait(soap->multi, NULL, 0, wait_left_ms(wait, WAIT_SLICE_MS), &events);
        if (events == 0) /* it returns at once where there is no socket to wait for yet */
            wait_pause(wait, 1);
    }
    while ((message = curl_multi_info_read(soap->multi, &running)) != NULL)
        if (message->msg == CURLMSG_DONE)
            *result = message->data.result;
    curl_multi_remove_handle(soap->multi, soap->easy); /* closes what is not finished */
    return in_time;
}

static SoapReply *transfer_failed(const Soap *soap, CURLcode result)
{
    SoapReply *reply;

    if (result == CURLE_WRITE_ERROR)
        return soap_reply_unknown("an answer of more than %d bytes", REPLY_LIMIT);
    if (result == CURLE_SEND_FAIL_REWIND)
        return soap_reply_unknown("the connection broke before the answer came");
    reply = soap_reply_unknown("%s", soap->problem[0] != '\0' ? soap->problem
                                                              : curl_easy_strerror(result));
    reply->untrusted =
        result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_CACERT_BADFILE;
    return reply;
}

static SoapReply *post(Soap *soap, const char *request, const xmlChar *text, size_t length,
                       const Wait *wait)
{
    Body body = { .bytes = (const char *)text, .left = length };
    /* A lock-out may rightly take longer than any other call: then its Wait says so. */
    const Wait limit = wait != NULL && wait->deadline != 0
                           ? *wait
                           : wait_within(wait, (int64_t)soap->timeout_s * 1000);
    g_autoptr(GString) answer = g_string_new(NULL);
    g_autoptr(GError) late = NULL;
    CURLcode result;
    long status = 0;

    soap->problem[0] = '\0';
    curl_easy_setopt(soap->easy, CURLOPT_READDATA, &body);
    curl_easy_setopt(soap->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
    curl_easy_setopt(soap->easy, CURLOPT_WRITEDATA, answer);
    if (!transfer(soap, &limit, &result, &late))
        return soap_reply_unknown("%s", late->message);
    if (result != CURLE_OK)
        return transfer_failed(soap, result);
    curl_easy_getinfo(soap->easy, CURLINFO_RESPONSE_CODE, &status);
    return soap_reply_parse(request, status, answer->str, answer->len);
}

/* The request that gets a token. NULL when there is one, else the reply that explains why not. */
static SoapReply *log_in(Soap *soap, const Wait *wait)
{
    static const char name[] = "AuthRequest";
    xmlNode *request = soap_request(name);
    xmlAttr *password;
    g_autoptr(SoapReply) reply = NULL;
    xmlNode *node;
    xmlChar *text, *token;
    size_t length;

    xmlNewProp(request, (const xmlChar *)"name", (const xmlChar *)soap->user);
    password = xmlNewProp(request, (const xmlChar *)"password",
                          (const xmlChar *)secret_reveal(soap->password));
    text = soap_envelope(request, NULL, NULL, &length);
    if (password->children != NULL)
        secret_wipe((char *)password->children->content);
    xmlFreeNode(request);
    reply = post(soap, name, text, length, wait);
    explicit_bzero(text, length);
    xmlFree(text);
    if (reply->outcome != SOAP_ANSWER) {
        g_autofree char *message = g_steal_pointer(&reply->message);

        reply->message = g_strdup_printf("cannot log in as %s (admin.user and its password): %s",
                                         soap->user, message);
        return g_steal_pointer(&reply);
    }
    node = soap_child(reply->body, "authToken");
    if (node == NULL)
        return soap_reply_unknown("cannot log in as %s: an answer without a token", soap->user);
    token = xmlNodeGetContent(node);
    secret_free(soap->token);
    soap->token = secret_new((const char *)token);
    secret_wipe((char *)token);
    xmlFree(token);
    return NULL;
}

static SoapReply *post_request(Soap *soap, xmlNode *request, const Wait *wait)
{
    SoapReply *reply = soap->token == NULL ? log_in(soap, wait) : NULL;
    xmlChar *text;
    size_t length;

    if (reply != NULL)
        return reply;
    text = soap_envelope(request, secret_reveal(soap->token), soap->server_id, &length);
    reply = post(soap, (const char *)request->name, text, length, wait);
    explicit_bzero(text, length); /* the token is as good as the password while it lasts */
    xmlFree(text);
    return reply;
}

/* The server looks at the token before it looks at the request (doc/platform.md 6.1). */
static bool token_refused(const SoapReply *reply)
{
    return reply->outcome == SOAP_FAULT &&
           (strcmp(reply->fault_code, "service.AUTH_EXPIRED") == 0 ||
            strcmp(reply->fault_code, "service.AUTH_REQUIRED") == 0);
}

SoapReply *soap_call(Soap *soap, xmlNode *request, const Wait *wait)
{
    SoapReply *reply = post_request(soap, request, wait);

    if (token_refused(reply)) {
        g_clear_pointer(&soap->token, secret_free);
        soap_reply_free(reply);
        reply = post_request(soap, request, wait);
    }
    xmlFreeNode(request);
    return reply;
}

bool soap_warm(Soap *soap, const Wait *wait, GError **error)
{
    /* Any answer does: the connection stands and the token is good. */
    g_autoptr(SoapReply) reply = soap_call(soap, soap_request("PingRequest"), wait);

    if (soap->token != NULL && reply->outcome != SOAP_UNKNOWN)
        return true;
    return soap_fail(soap, "PingRequest", reply, error);
}

bool soap_fail(const Soap *soap, const char *request, const SoapReply *reply, GError **error)
{
    ZxError code = ZX_ERROR_FAILED;

    if (reply->untrusted)
        return fail(error, ZX_ERROR_DENIED, "%s: %s: %s. Look at its certificate with: trust %s",
                    soap->place, request, reply->message, soap->name);
    if (reply->outcome == SOAP_UNKNOWN)
        return fail(error, ZX_ERROR_CONNECT, "%s: %s: %s", soap->place, request, reply->message);
    g_return_val_if_fail(reply->fault_code != NULL, false);
    if (strcmp(reply->fault_code, "service.PERM_DENIED") == 0 ||
        strcmp(reply->fault_code, "account.AUTH_FAILED") == 0)
        code = ZX_ERROR_DENIED;
    return fail(error, code, "%s: %s: %s (%s)", soap->place, request, reply->message,
                reply->fault_code);
}
