/* proxy.c - requests handed on to another store, over HTTPS with its certificate checked against
 * its name. */
#include "tests/mailboxd/config.h"
#include "tests/mailboxd/soap.h"
#include <curl/curl.h>
#include <libxml/parser.h>
#include <string.h>

enum { CONNECT_TIMEOUT_MS = 5000, ANSWER_MARGIN_MS = 15000, ADMIN_PORT = 7071 };

static size_t collect(char *bytes, size_t size, size_t count, void *into)
{
    g_string_append_len(into, bytes, (gssize)(size * count));
    return size * count;
}

/* A request that waits for a mailbox's lock must not be given up before that does. */
static void set_options(CURL *curl, const char *url, struct curl_slist *resolve,
                        struct curl_slist *headers, const char *body, GString *answer)
{
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_RESOLVE, resolve);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_CAINFO, config->ca);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)config->lock_timeout_ms + ANSWER_MARGIN_MS);
}

static bool post(const char *name, const char *body, GString *answer, GError **error)
{
    const char *address = config_address(name);
    g_autoptr(Entry) server = address == NULL ? NULL : server_get(SERVER_BY_HOST, name, NULL);
    unsigned port =
        server == NULL ? ADMIN_PORT : server_port(server, "zimbraAdminPort", ADMIN_PORT);

    if (address == NULL)
        return fault(error, FAULT_PROXY_ERROR,
                     "error while proxying request to target server: "
                     "no address of %s is known",
                     name);
    g_autofree char *url = g_strdup_printf("https://%s:%u/service/admin/soap/", name, port);
    g_autofree char *entry = g_strdup_printf("%s:%u:%s", name, port, address);
    struct curl_slist *resolve = curl_slist_append(NULL, entry);
    struct curl_slist *headers =
        curl_slist_append(NULL, "Content-Type: application/soap+xml; charset=utf-8");
    CURL *curl = curl_easy_init();
    set_options(curl, url, resolve, headers, body, answer);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    curl_slist_free_all(resolve);
    curl_slist_free_all(headers);
    return code == CURLE_OK ||
           fault(error, FAULT_PROXY_ERROR, "error while proxying request to target server: %s: %s",
                 name, curl_easy_strerror(code));
}

/* A copy of the element inside the body. */
static xmlNode *unwrap(const char *name, const GString *answer, GError **error)
{
    xmlDoc *document = xmlReadMemory(answer->str, (int)answer->len, NULL, NULL,
                                     XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    const xmlNode *root = document == NULL ? NULL : xmlDocGetRootElement(document);
    const xmlNode *body = root == NULL ? NULL : xml_child(root, "Body");
    xmlNode *element = body == NULL ? NULL : xmlFirstElementChild((xmlNode *)(gintptr)body);
    xmlNode *copy = element == NULL ? NULL : xmlCopyNode(element, 1);

    if (document != NULL)
        xmlFreeDoc(document);
    if (copy == NULL)
        fault(error, FAULT_PROXY_ERROR,
              "error while proxying request to target server: %s: no SOAP answer", name);
    return copy;
}

xmlNode *proxy_send(const char *name, const Context *context, const xmlNode *request,
                    GError **error)
{
    Context onward = *context;
    g_autoptr(GString) answer = g_string_new(NULL);

    onward.hops++;
    onward.soap11 = false;
    g_autofree char *body =
        soap_envelope(&onward, xmlDocCopyNode((xmlNode *)(gintptr)request, NULL, 1), true);
    return post(name, body, answer, error) ? unwrap(name, answer, error) : NULL;
}

char *proxy_log_in(const char *name, GError **error)
{
    Context context = { 0 };
    g_autoptr(GString) answer = g_string_new(NULL);
    xmlNode *request = xml_new("AuthRequest", NS_ADMIN);

    xml_set(request, "name", "zimbra");
    xml_set(request, "password", config->ldap.password);
    g_autofree char *body = soap_envelope(&context, request, true);
    xmlNode *element = post(name, body, answer, error) ? unwrap(name, answer, error) : NULL;
    char *token = element == NULL ? NULL : xml_get(element, "authToken");
    if (element != NULL)
        xmlFreeNode(element);
    return token;
}

bool proxy_flush_account(const char *name, const char *account_id, GError **error)
{
    Context context = { .token = proxy_log_in(name, error) };
    g_autofree char *token = context.token;

    if (token == NULL)
        return false;

    xmlNode *request = xml_new("FlushCacheRequest", NS_ADMIN);
    xmlNode *cache = xml_add(request, "cache", NULL);
    xml_set(cache, "type", "account");
    xml_set(xml_add(cache, "entry", account_id), "by", "id");
    xmlNode *answer = proxy_send(name, &context, request, error);
    bool done = answer != NULL && xml_is(answer, "FlushCacheResponse");
    xmlFreeNode(request);
    if (answer != NULL)
        xmlFreeNode(answer);
    return done;
}
