/* soap.c - fuzzes the answers of admin SOAP: every answer is one of the three outcomes, with what
 * belongs to it; and a text that is sent arrives as it is. The first byte says what was asked, the
 * rest is what the server answers. */
#include "core/net/soap_xml.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const requests[] = {
    "AuthRequest",           "GetMailboxRequest",    "BatchRequest",
    "LockoutMailboxRequest", "DeleteMailboxRequest", "ReIndexRequest",
    "PingRequest",           "GetAccountRequest",    "GetAccountInfoRequest",
};

/* What the callers look for, in every element. */
static void walk(const xmlNode *node, unsigned depth)
{
    static const char *const names[] = { "mbox",   "account", "authToken", "Fault",
                                         "status", "mbxid",   "id" };

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *attribute = soap_attribute(node, names[i]);
        g_autofree char *a = soap_a(node, names[i]);
        const xmlNode *child = soap_child(node, names[i]);

        g_assert(child == NULL || child->type == XML_ELEMENT_NODE);
    }
    for (const xmlNode *below = node->children; below != NULL && depth < 64; below = below->next)
        if (below->type == XML_ELEMENT_NODE)
            walk(below, depth + 1);
}

static void check_answer(const char *request, long status, const char *bytes, size_t size)
{
    g_autoptr(SoapReply) reply = soap_reply_parse(request, status, bytes, size);

    g_assert((reply->document != NULL) == (reply->outcome == SOAP_ANSWER));
    g_assert((reply->body != NULL) == (reply->outcome == SOAP_ANSWER));
    switch (reply->outcome) {
    case SOAP_ANSWER:
        g_assert(status == 200 && !reply->untrusted);
        walk(reply->body, 0);
        break;
    case SOAP_FAULT:
        g_assert(reply->fault_code != NULL && *reply->fault_code != '\0' && reply->message != NULL);
        break;
    case SOAP_UNKNOWN:
        g_assert(reply->fault_code == NULL && reply->message != NULL);
        break;
    }
}

/* XML has no control characters, nor some others; and an attribute's blanks are one blank. */
static bool may_be_sent(const char *text)
{
    if (!g_utf8_validate(text, -1, NULL))
        return false;
    for (const char *at = text; *at != '\0'; at += g_utf8_skip[(guchar)*at]) {
        gunichar letter = g_utf8_get_char(at);

        if (letter < ' ' || letter == 0xfffe || letter == 0xffff)
            return false;
    }
    return true;
}

static void check_sent(const char *text)
{
    xmlNode *request = soap_request("EchoResponse"), *a;
    g_autoptr(SoapReply) reply = NULL;
    g_autofree char *attribute = NULL;
    g_autofree char *content = NULL;
    xmlChar *envelope;
    size_t length;

    xmlNewProp(request, XML_TEXT("name"), XML_TEXT(text));
    a = xmlNewTextChild(request, NULL, XML_TEXT("a"), XML_TEXT(text));
    xmlNewProp(a, XML_TEXT("n"), XML_TEXT("same"));
    envelope = soap_envelope(request, text, text, &length);
    reply = soap_reply_parse("EchoRequest", 200, (const char *)envelope, length);
    g_assert(reply->outcome == SOAP_ANSWER);
    attribute = soap_attribute(reply->body, "name");
    content = soap_a(reply->body, "same");
    g_assert_cmpstr(attribute, ==, text);
    g_assert_cmpstr(content, ==, text);
    xmlFree(envelope);
    xmlFreeNode(request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = NULL;

    if (size == 0)
        return 0;
    check_answer(requests[data[0] % G_N_ELEMENTS(requests)], data[0] & 0x80 ? 500 : 200,
                 (const char *)data + 1, size - 1);
    text = g_strndup((const char *)data + 1, size - 1);
    if (may_be_sent(text))
        check_sent(text);
    return 0;
}
