/* soap.c - see soap.h. */
#include "tests/mailboxd/soap.h"
#include "tests/mailboxd/config.h"
#include "tests/mailboxd/http.h"
#include "tests/mailboxd/token.h"
#include <libxml/parser.h>
#include <string.h>

enum { HOP_LIMIT = 3, HOLD_MS = 600000 };

#define NS_SOAP12 "http://www.w3.org/2003/05/soap-envelope"
#define NS_SOAP11 "http://schemas.xmlsoap.org/soap/envelope/"

static HttpServer *server;

static void context_clear(Context *context)
{
    g_free(context->token);
    g_free(context->target_server);
}

/* ---- writing ---- */

xmlNode *soap_fault_element(const Context *context, const char *code, const char *text,
                            bool receivers)
{
    const char *ns = context->soap11 ? NS_SOAP11 : NS_SOAP12;
    xmlNode *fault_node = xmlNewNode(NULL, (const xmlChar *)"Fault");
    xmlNode *detail;

    xmlSetNs(fault_node, xmlNewNs(fault_node, (const xmlChar *)ns, (const xmlChar *)"soap"));
    if (context->soap11) {
        xmlNewTextChild(fault_node, NULL, (const xmlChar *)"faultcode",
                        (const xmlChar *)(receivers ? "soap:Server" : "soap:Client"));
        xmlNewTextChild(fault_node, NULL, (const xmlChar *)"faultstring", (const xmlChar *)text);
        detail = xmlNewChild(fault_node, NULL, (const xmlChar *)"detail", NULL);
    } else {
        xml_add(xml_add(fault_node, "Code", NULL), "Value",
                receivers ? "soap:Receiver" : "soap:Sender");
        xml_add(xml_add(fault_node, "Reason", NULL), "Text", text);
        detail = xml_add(fault_node, "Detail", NULL);
    }
    xmlNode *inner = xml_new("Error", NS_ZIMBRA);
    xmlAddChild(detail, inner);
    xml_add(inner, "Code", code);
    g_autofree char *trace = g_strdup_printf("%s:%s", config->name, code);
    xml_add(inner, "Trace", trace);
    return fault_node;
}

char *soap_fault_code(const xmlNode *node)
{
    const xmlNode *detail = xml_child(node, "Detail");

    if (detail == NULL)
        detail = xml_child(node, "detail");
    const xmlNode *inner = detail == NULL ? NULL : xml_child(detail, "Error");
    return inner == NULL ? NULL : xml_get(inner, "Code");
}

static void add_request_context(xmlNode *header, const Context *context)
{
    xmlNode *node = xml_new("context", NS_ZIMBRA);

    xmlAddChild(header, node);
    if (context->hops > 0)
        xml_setf(node, "hops", "%u", context->hops);
    if (context->token != NULL)
        xml_add(node, "authToken", context->token);
    if (context->target_server != NULL)
        xml_add(node, "targetServer", context->target_server);
    xml_add(node, "nosession", NULL);
}

char *soap_envelope(const Context *context, xmlNode *body, bool is_request)
{
    const char *ns = context->soap11 ? NS_SOAP11 : NS_SOAP12;
    xmlDoc *document = xmlNewDoc((const xmlChar *)"1.0");
    xmlNode *root = xmlNewNode(NULL, (const xmlChar *)"Envelope");
    xmlChar *text = NULL;
    int length = 0;

    xmlSetNs(root, xmlNewNs(root, (const xmlChar *)ns, (const xmlChar *)"soap"));
    xmlDocSetRootElement(document, root);
    xmlNode *header = xml_add(root, "Header", NULL);
    if (is_request)
        add_request_context(header, context);
    else
        xmlAddChild(header, xml_new("context", NS_ZIMBRA));
    xmlAddChild(xml_add(root, "Body", NULL), body);
    xmlDocDumpMemoryEnc(document, &text, &length, "UTF-8");
    xmlFreeDoc(document);
    char *copy = g_strndup((const char *)text, (size_t)length);
    xmlFree(text);
    return copy;
}

static xmlNode *error_element(const Context *context, const GError *error)
{
    return soap_fault_element(context, fault_code(error), error->message,
                              fault_is_receivers(error));
}

/* ---- who may, and where ---- */

/* Tokens of accounts that are not active are refused as expired (doc/platform.md 1.4). */
static bool check_token(const Context *context, GError **error)
{
    if (context->token == NULL)
        return fault(error, FAULT_AUTH_REQUIRED, "no valid authtoken present");
    g_autofree char *id = token_account(context->token, error);
    if (id == NULL)
        return false;
    g_autoptr(GError) inner = NULL;
    g_autoptr(Entry) account = account_get(BY_ID, id, &inner);
    if (account == NULL && !fault_is(inner, FAULT_NO_SUCH_ACCOUNT)) {
        g_propagate_error(error, g_steal_pointer(&inner));
        return false;
    }
    if (account == NULL || strcmp(account_status(account), "active") != 0)
        return fault(error, FAULT_AUTH_EXPIRED, "auth credentials have expired");
    if (!account_is_admin(account))
        return fault(error, FAULT_PERM_DENIED, "permission denied: need adequate admin rights");
    return true;
}

static const RequestHandler *find_handler(const xmlNode *request)
{
    static const RequestHandler *const tables[] = { account_requests, mailbox_requests,
                                                    server_requests };

    if (request->ns == NULL || strcmp((const char *)request->ns->href, NS_ADMIN) != 0)
        return NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(tables); i++)
        for (const RequestHandler *handler = tables[i]; handler->name != NULL; handler++)
            if (xml_is(request, handler->name))
                return handler;
    return NULL;
}

/* The element that names the account, by the handler's kind. */
static const xmlNode *account_node(const RequestHandler *handler, const xmlNode *request)
{
    switch (handler->home) {
    case HOME_MBOX:
        return xml_child(request, "mbox");
    case HOME_CALRESOURCE:
        return xml_child(request, "calresource");
    case HOME_ID:
        return request;
    case HOME_ACCOUNT:
        return xml_child(request, "account");
    case HOME_HERE:
        break;
    }
    const xmlNode *cache = xml_child(request, "cache"); /* FlushCacheRequest names it there */
    return cache != NULL ? xml_child(cache, "entry") : xml_child(request, "account");
}

/* The store this request belongs to, if that is another one and known; NULL to execute it here. */
static char *proxy_target(const Context *context, const RequestHandler *handler,
                          const Entry *account)
{
    if (handler->home == HOME_HERE || context->target_server != NULL || account == NULL)
        return NULL;
    const char *host = entry_get(account, "zimbraMailHost");
    if (host == NULL || account_is_local(account))
        return NULL;
    g_autoptr(Entry) home = server_get(SERVER_BY_NAME, host, NULL);
    return home == NULL ? NULL : g_strdup(host);
}

/* ---- executing ---- */

typedef struct Execution {
    const xmlNode *request;
    const RequestHandler *handler;
    Entry *account; /* that it names; NULL if none or unknown */
    char *op;
    char *proxied_to;
    bool executed;
} Execution;

static xmlNode *run_here(Execution *run, GError **error)
{
    run->executed = true;
    return run->handler->run(run->request, error);
}

static xmlNode *run_somewhere(const Context *context, Execution *run, GError **error)
{
    run->proxied_to = proxy_target(context, run->handler, run->account);
    if (run->proxied_to == NULL)
        return run_here(run, error);
    if (context->hops >= HOP_LIMIT) {
        fault(error, FAULT_TOO_MANY_HOPS, "mountpoint or proxy loop detected: %s", run->proxied_to);
        return NULL;
    }
    xmlNode *answer = proxy_send(run->proxied_to, context, run->request, error);
    if (answer != NULL || !fault_is(*error, FAULT_PROXY_ERROR))
        return answer;
    /* A home that cannot be reached is no reason to give up (doc/platform.md 6.2, point 3). */
    g_clear_error(error);
    return run_here(run, error);
}

/* What a test wants done before the request; true if the request is not to be executed. */
static bool inject_before(Context *context, const Injection *injection)
{
    if (injection->mode == INJECT_DELAY)
        inject_hold(injection->ms);
    if (injection->mode == INJECT_NONE || injection->mode == INJECT_DELAY ||
        injection->mode == INJECT_FAULT)
        return injection->mode == INJECT_FAULT;
    context->ending = injection->mode;
    context->ending_ms = injection->ms == 0 ? HOLD_MS : injection->ms;
    return injection->mode == INJECT_SILENCE || injection->mode == INJECT_DROP;
}

static xmlNode *execute_prepared(Context *context, Execution *run)
{
    GError *error = NULL;
    Injection injection = inject_take((const char *)run->request->name, run->op,
                                      run->account == NULL ? NULL : account_id(run->account));
    xmlNode *answer = NULL;

    if (inject_before(context, &injection))
        answer = soap_fault_element(context, injection.code, "injected by a test", true);
    else if (run->handler == NULL)
        fault(&error, FAULT_UNKNOWN_DOCUMENT, "unknown document: %s", run->request->name);
    else if (run->handler->without_login || check_token(context, &error))
        answer = run_somewhere(context, run, &error);
    if (answer == NULL && error == NULL)
        fault(&error, FAULT_FAILURE, "no answer");
    if (answer == NULL)
        answer = error_element(context, error);
    g_clear_error(&error);
    return answer;
}

/* Answer or Fault of one request; never NULL. */
static xmlNode *execute(Context *context, const xmlNode *request)
{
    Execution run = { .request = request,
                      .handler = find_handler(request),
                      .op = xml_get(request, "op") };

    if (run.op == NULL)
        run.op = xml_get(request, "action");
    const xmlNode *named = run.handler == NULL ? NULL : account_node(run.handler, request);
    if (named != NULL && !run.handler->without_login)
        run.account = request_account(named, FAULT_NO_SUCH_ACCOUNT, NULL);
    xmlNode *answer = execute_prepared(context, &run);
    g_autofree char *fault_text = xml_is(answer, "Fault") ? soap_fault_code(answer) : NULL;
    g_autofree char *named_id = named == NULL ? NULL : xml_get(named, "id");
    request_log((const char *)request->name, run.op,
                run.account != NULL ? account_id(run.account) : named_id, run.executed,
                run.proxied_to, fault_text);
    g_clear_pointer(&run.account, entry_unref);
    g_free(run.op);
    g_free(run.proxied_to);
    return answer;
}

/* One after the other on this thread, to the end even if the client hangs up. */
static xmlNode *execute_batch(Context *context, const xmlNode *batch)
{
    g_autofree char *on_error = xml_get(batch, "onerror");
    bool stop = g_strcmp0(on_error, "stop") == 0;
    xmlNode *response = xml_new("BatchResponse", NS_ZIMBRA);
    Injection injection = inject_take("BatchRequest", NULL, NULL);

    if (inject_before(context, &injection)) {
        request_log("BatchRequest", NULL, NULL, false, NULL, injection.code);
        xmlFreeNode(response);
        return soap_fault_element(context, injection.code, "injected by a test", true);
    }
    request_log("BatchRequest", NULL, NULL, true, NULL, NULL);
    for (const xmlNode *child = batch->children; child != NULL; child = child->next) {
        if (child->type != XML_ELEMENT_NODE)
            continue;
        xmlNode *answer = execute(context, child);
        g_autofree char *id = xml_get(child, "requestId");
        if (id != NULL)
            xml_set(answer, "requestId", id);
        xmlAddChild(response, answer);
        if ((stop && xml_is(answer, "Fault")) || context->ending == INJECT_SILENCE ||
            context->ending == INJECT_DROP)
            break;
    }
    return response;
}

/* The whole request goes to the server that the header names, if that is not this one. */
static xmlNode *forward(const Context *context, const xmlNode *element)
{
    GError *error = NULL;
    g_autoptr(Entry) target = server_get(SERVER_BY_ID, context->target_server, &error);
    const char *name = target == NULL ? NULL : entry_get(target, "cn");
    xmlNode *answer = name == NULL ? NULL : proxy_send(name, context, element, &error);
    g_autofree char *code = answer == NULL            ? g_strdup(fault_code(error))
                            : xml_is(answer, "Fault") ? soap_fault_code(answer)
                                                      : NULL;

    request_log((const char *)element->name, NULL, NULL, false, name, code);
    if (answer == NULL)
        answer = error_element(context, error);
    g_clear_error(&error);
    return answer;
}

static xmlNode *dispatch(Context *context, const xmlNode *element)
{
    if (context->target_server != NULL &&
        g_ascii_strcasecmp(context->target_server, config->server_id) != 0)
        return forward(context, element);
    if (xml_is(element, "BatchRequest"))
        return execute_batch(context, element);
    return execute(context, element);
}

/* ---- envelope in, envelope out ---- */

static void read_context(const xmlNode *root, Context *context)
{
    const xmlNode *header = xml_child(root, "Header");
    const xmlNode *node = header == NULL ? NULL : xml_child(header, "context");

    context->soap11 = root->ns != NULL && strcmp((const char *)root->ns->href, NS_SOAP11) == 0;
    if (node == NULL)
        return;
    g_autofree char *hops = xml_get(node, "hops");
    context->hops = hops == NULL ? 0 : (unsigned)g_ascii_strtoull(hops, NULL, 10);
    context->token = xml_get(node, "authToken");
    context->target_server = xml_get(node, "targetServer");
    if (context->target_server != NULL && *context->target_server == '\0')
        g_clear_pointer(&context->target_server, g_free);
}

static xmlNode *answer_document(Context *context, xmlDoc *document)
{
    const xmlNode *root = document == NULL ? NULL : xmlDocGetRootElement(document);
    const xmlNode *body = root == NULL ? NULL : xml_child(root, "Body");
    const xmlNode *element = body == NULL ? NULL : body->children;

    while (element != NULL && element->type != XML_ELEMENT_NODE)
        element = element->next;
    if (element == NULL)
        return soap_fault_element(context, "service.INVALID_REQUEST",
                                  "invalid request: no SOAP envelope with a body", false);
    read_context(root, context);
    return dispatch(context, element);
}

static HttpAnswer answer_http(const HttpRequest *request)
{
    static const char noise[] = "\x15\x03\x01 this is \xff\xfe not <SOAP";
    Context context = { 0 };
    HttpAnswer answer = { .status = 200 };

    if (!g_str_has_prefix(request->path, "/service/admin/soap"))
        return (HttpAnswer){ .status = 404, .body = g_strdup(""), .type = "text/plain" };
    xmlDoc *document = xmlReadMemory(request->body->str, (int)request->body->len, NULL, NULL,
                                     XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    xmlNode *element = answer_document(&context, document);
    if (document != NULL)
        xmlFreeDoc(document);

    if (xml_is(element, "Fault"))
        answer.status = 500;
    answer.type =
        context.soap11 ? "text/xml; charset=utf-8" : "application/soap+xml; charset=utf-8";
    answer.body = soap_envelope(&context, element, false);
    if (context.ending == INJECT_SILENCE || context.ending == INJECT_SILENCE_AFTER)
        inject_hold(context.ending_ms);
    if (context.ending == INJECT_GARBAGE) {
        g_free(answer.body);
        answer = (HttpAnswer){ .status = 200, .type = "text/xml", .body = g_strdup(noise) };
    } else if (context.ending != INJECT_NONE) {
        answer.hang_up = true;
    }
    context_clear(&context);
    return answer;
}

bool soap_start(GError **error)
{
    server = http_start(config->address, config->admin_port, true, answer_http, error);
    return server != NULL;
}

void soap_stop(void)
{
    g_clear_pointer(&server, http_stop);
}
