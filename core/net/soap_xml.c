/* soap_xml.c - see soap_xml.h. */
#include "core/net/soap_xml.h"
#include <libxml/parser.h>
#include <string.h>

#define NS_SOAP   "http://www.w3.org/2003/05/soap-envelope"
#define NS_ZIMBRA "urn:zimbra"
#define NS_ADMIN  "urn:zimbraAdmin"

/* libxml2's own char type differs from ours in sign only. */
static const xmlChar *xml(const char *text)
{
    return (const xmlChar *)text;
}

static bool is_called(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static bool is_soap(const xmlNode *node, const char *name)
{
    return is_called(node, name) && node->ns != NULL &&
           strcmp((const char *)node->ns->href, NS_SOAP) == 0;
}

static xmlNode *element_new(const char *name, const char *namespace)
{
    xmlNode *node = xmlNewNode(NULL, xml(name));

    xmlSetNs(node, xmlNewNs(node, xml(namespace), NULL));
    return node;
}

xmlNode *soap_request(const char *name)
{
    return element_new(name, NS_ADMIN);
}

xmlNode *soap_batch(void)
{
    xmlNode *node = element_new("BatchRequest", NS_ZIMBRA);

    xmlNewProp(node, xml("onerror"), xml("stop"));
    return node;
}

xmlNode *soap_child(const xmlNode *parent, const char *name)
{
    for (xmlNode *node = parent->children; node != NULL; node = node->next)
        if (is_called(node, name))
            return node;
    return NULL;
}

static char *take_text(xmlChar *text)
{
    char *copy = g_strdup((const char *)text);

    xmlFree(text);
    return copy;
}

char *soap_attribute(const xmlNode *node, const char *name)
{
    return take_text(xmlGetNoNsProp(node, xml(name)));
}

char *soap_a(const xmlNode *parent, const char *name)
{
    for (xmlNode *node = parent->children; node != NULL; node = node->next) {
        g_autofree char *n = is_called(node, "a") ? soap_attribute(node, "n") : NULL;

        if (g_strcmp0(n, name) == 0)
            return take_text(xmlNodeGetContent(node));
    }
    return NULL;
}

static xmlNode *context_new(const char *token, const char *target_server)
{
    xmlNode *context = element_new("context", NS_ZIMBRA);
    xmlNode *agent;

    if (token != NULL)
        xmlNewTextChild(context, NULL, xml("authToken"), xml(token));
    xmlNewChild(context, NULL, xml("nosession"), NULL);
    agent = xmlNewChild(context, NULL, xml("userAgent"), NULL);
    xmlNewProp(agent, xml("name"), xml("zxmove"));
    xmlNewProp(agent, xml("version"), xml(ZX_VERSION));
    if (target_server != NULL)
        xmlNewTextChild(context, NULL, xml("targetServer"), xml(target_server));
    return context;
}

xmlChar *soap_envelope(xmlNode *request, const char *token, const char *target_server,
                       size_t *length)
{
    xmlDoc *document = xmlNewDoc(xml("1.0"));
    xmlNode *envelope = xmlNewNode(NULL, xml("Envelope"));
    xmlNs *soap = xmlNewNs(envelope, xml(NS_SOAP), xml("soap"));
    xmlChar *text = NULL;
    int size = 0;

    xmlSetNs(envelope, soap);
    xmlDocSetRootElement(document, envelope);
    xmlAddChild(xmlNewChild(envelope, soap, xml("Header"), NULL),
                context_new(token, target_server));
    xmlAddChild(xmlNewChild(envelope, soap, xml("Body"), NULL),
                xmlDocCopyNode(request, document, 1));
    xmlDocDumpMemoryEnc(document, &text, &size, "UTF-8");
    xmlFreeDoc(document);
    if (text == NULL)
        g_error("out of memory for a SOAP request");
    *length = (size_t)size;
    return text;
}

static SoapReply *reply_new(SoapOutcome outcome)
{
    SoapReply *reply = g_new0(SoapReply, 1);

    reply->outcome = outcome;
    return reply;
}

void soap_reply_free(SoapReply *reply)
{
    if (reply == NULL)
        return;
    xmlFreeDoc(reply->document);
    g_free(reply->fault_code);
    g_free(reply->message);
    g_free(reply);
}

SoapReply *soap_reply_unknown(const char *message, ...)
{
    SoapReply *reply = reply_new(SOAP_UNKNOWN);
    va_list args;

    va_start(args, message);
    reply->message = g_strdup_vprintf(message, args);
    va_end(args);
    return reply;
}

/* The node at the end of a path of child names, or NULL. */
static xmlNode *descend(xmlNode *node, const char *const *names)
{
    while (node != NULL && *names != NULL)
        node = soap_child(node, *names++);
    return node;
}

static char *text_at(xmlNode *node, const char *const *names)
{
    xmlNode *end = descend(node, names);

    return end != NULL ? g_strstrip(take_text(xmlNodeGetContent(end))) : NULL;
}

/* The code decides, the text is for people. False for a fault that names none. */
static bool read_fault(SoapReply *reply, xmlNode *fault)
{
    static const char *const code_path[] = { "Detail", "Error", "Code", NULL };
    static const char *const text_path[] = { "Reason", "Text", NULL };
    g_autofree char *code = text_at(fault, code_path);

    if (code == NULL || *code == '\0')
        return false;
    g_free(reply->fault_code);
    g_free(reply->message);
    reply->fault_code = g_steal_pointer(&code);
    reply->message = text_at(fault, text_path);
    if (reply->message == NULL)
        reply->message = g_strdup("no reason given");
    return true;
}

static xmlNode *first_element(const xmlNode *parent)
{
    xmlNode *node = parent->children;

    while (node != NULL && node->type != XML_ELEMENT_NODE)
        node = node->next;
    return node;
}

/* "XxxRequest" is answered by "XxxResponse". */
static bool answers(const xmlNode *body, const char *request)
{
    const size_t stem = strlen(request) - strlen("Request");
    const char *name = (const char *)body->name;

    return g_str_has_suffix(request, "Request") && strncmp(name, request, stem) == 0 &&
           strcmp(name + stem, "Response") == 0;
}

static SoapReply *read_body(const char *request, long http_status, xmlDoc *document, xmlNode *body)
{
    g_autoptr(SoapReply) reply = reply_new(SOAP_ANSWER);
    xmlNode *fault;

    if (is_soap(body, "Fault")) {
        if (!read_fault(reply, body))
            return soap_reply_unknown("a fault without a code");
        reply->outcome = SOAP_FAULT;
        return g_steal_pointer(&reply);
    }
    if (!answers(body, request) || http_status != 200)
        return soap_reply_unknown("an answer that does not belong to the request: %s, HTTP %ld",
                                  (const char *)body->name, http_status);
    fault = soap_child(body, "Fault");
    if (fault != NULL && is_soap(fault, "Fault") && !read_fault(reply, fault))
        return soap_reply_unknown("a fault without a code");
    reply->document = document;
    reply->body = body;
    return g_steal_pointer(&reply);
}

SoapReply *soap_reply_parse(const char *request, long http_status, const char *bytes, size_t length)
{
    xmlDoc *document =
        length > G_MAXINT
            ? NULL
            : xmlReadMemory(bytes, (int)length, "answer", NULL,
                            XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    xmlNode *root = document != NULL ? xmlDocGetRootElement(document) : NULL;
    xmlNode *body = NULL;
    SoapReply *reply;

    /* A document type has no place in SOAP; what it could define is never looked at. */
    if (root != NULL && document->intSubset == NULL && is_soap(root, "Envelope"))
        body = soap_child(root, "Body");
    if (body != NULL)
        body = is_soap(body, "Body") ? first_element(body) : NULL;
    reply = body != NULL
                ? read_body(request, http_status, document, body)
                : soap_reply_unknown("something that is no SOAP (HTTP status %ld, %zu bytes)",
                                     http_status, length);
    if (reply->document == NULL)
        xmlFreeDoc(document);
    return reply;
}
