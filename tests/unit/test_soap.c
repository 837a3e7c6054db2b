/* test_soap.c - envelopes out, and the three outcomes of what comes back. */
#include "core/net/soap_xml.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ENVELOPE(body)                                                           \
    "<soap:Envelope xmlns:soap=\"http://www.w3.org/2003/05/soap-envelope\">"     \
    "<soap:Header><context xmlns=\"urn:zimbra\"/></soap:Header><soap:Body>" body \
    "</soap:Body></soap:Envelope>"
#define FAULT(code)                                                                           \
    "<soap:Fault><soap:Code><soap:Value>soap:Sender</soap:Value></soap:Code>"                 \
    "<soap:Reason><soap:Text>the reason</soap:Text></soap:Reason>"                            \
    "<soap:Detail><Error xmlns=\"urn:zimbra\">" code "<Trace>t</Trace></Error></soap:Detail>" \
    "</soap:Fault>"
#define ADMIN(name, content) "<" name " xmlns=\"urn:zimbraAdmin\">" content "</" name ">"

static SoapReply *parse(const char *request, long status, const char *text)
{
    return soap_reply_parse(request, status, text, strlen(text));
}

static void test_outcomes(void **state)
{
    static const struct {
        const char *text;
        long status;
        SoapOutcome outcome;
        const char *code;
    } cases[] = {
        { ENVELOPE(ADMIN("NoOpResponse", "")), 200, SOAP_ANSWER, NULL },
        { ENVELOPE("\n " ADMIN("NoOpResponse", "") "\n"), 200, SOAP_ANSWER, NULL },
        { ENVELOPE(FAULT("<Code>account.NO_SUCH_ACCOUNT</Code>")), 500, SOAP_FAULT,
          "account.NO_SUCH_ACCOUNT" },
        { ENVELOPE(FAULT("<Code> service.WRONG_HOST\n</Code>")), 200, SOAP_FAULT,
          "service.WRONG_HOST" },
        /* Not definite: no code, another request's answer, a status that contradicts, no SOAP. */
        { ENVELOPE(FAULT("")), 500, SOAP_UNKNOWN, NULL },
        { ENVELOPE(FAULT("<Code/>")), 500, SOAP_UNKNOWN, NULL },
        { ENVELOPE(ADMIN("PingResponse", "")), 200, SOAP_UNKNOWN, NULL },
        { ENVELOPE(ADMIN("NoOpResponseX", "")), 200, SOAP_UNKNOWN, NULL },
        { ENVELOPE(ADMIN("NoOpRequest", "")), 200, SOAP_UNKNOWN, NULL },
        { ENVELOPE(ADMIN("NoOpResponse", "")), 503, SOAP_UNKNOWN, NULL },
        { ENVELOPE(""), 200, SOAP_UNKNOWN, NULL },
        { "", 200, SOAP_UNKNOWN, NULL },
        { "garbage", 200, SOAP_UNKNOWN, NULL },
        { "<html><body>503</body></html>", 503, SOAP_UNKNOWN, NULL },
        { "<Envelope><Body><NoOpResponse/></Body></Envelope>", 200, SOAP_UNKNOWN, NULL },
        { "<soap:Envelope xmlns:soap=\"http://www.w3.org/2003/05/soap-envelope\"><soap:Body>"
          "<NoOpResponse xmlns=\"urn:zimbraAdmin\"/>",
          200, SOAP_UNKNOWN, NULL },
        { "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>" ENVELOPE(
              ADMIN("NoOpResponse", "&e;")),
          200, SOAP_UNKNOWN, NULL },
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(SoapReply) reply = parse("NoOpRequest", cases[i].status, cases[i].text);

        assert_int_equal(reply->outcome, cases[i].outcome);
        assert_int_equal(g_strcmp0(reply->fault_code, cases[i].code), 0);
        assert_true((reply->body != NULL) == (reply->outcome == SOAP_ANSWER));
        assert_true((reply->message != NULL) == (reply->outcome != SOAP_ANSWER));
    }
}

static void test_fault_inside_a_batch(void **state)
{
    g_autoptr(SoapReply) reply =
        parse("BatchRequest", 200,
              ENVELOPE("<BatchResponse xmlns=\"urn:zimbra\">" ADMIN("FlushCacheResponse", "")
                           FAULT("<Code>mail.MAINTENANCE</Code>") "</BatchResponse>"));

    (void)state;
    assert_int_equal(reply->outcome, SOAP_ANSWER);
    assert_string_equal(reply->fault_code, "mail.MAINTENANCE");
    assert_string_equal(reply->message, "the reason");
    assert_non_null(soap_child(reply->body, "FlushCacheResponse"));
    assert_null(soap_child(reply->body, "NoOpResponse"));
}

static void test_attributes_of_an_answer(void **state)
{
    g_autoptr(SoapReply) reply =
        parse("GetAccountRequest", 200,
              ENVELOPE(ADMIN("GetAccountResponse",
                             "<account name=\"ann@x\" id=\"1&amp;2\"><a n=\"zimbraMailHost\">s1</a>"
                             "<a n=\"empty\"/><a n=\"text\">a&lt;b&#228;</a></account>")));
    xmlNode *account;
    g_autofree char *id = NULL;
    g_autofree char *none = NULL;
    g_autofree char *host = NULL;
    g_autofree char *empty = NULL;
    g_autofree char *text = NULL;

    (void)state;
    assert_int_equal(reply->outcome, SOAP_ANSWER);
    account = soap_child(reply->body, "account");
    assert_non_null(account);
    id = soap_attribute(account, "id");
    none = soap_attribute(account, "none");
    host = soap_a(account, "zimbraMailHost");
    empty = soap_a(account, "empty");
    text = soap_a(account, "text");
    assert_string_equal(id, "1&2");
    assert_null(none);
    assert_string_equal(host, "s1");
    assert_string_equal(empty, "");
    assert_string_equal(text, "a<b\xc3\xa4");
    assert_null(soap_a(account, "zimbraId"));
}

static void test_envelope(void **state)
{
    static const char expected[] =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<soap:Envelope xmlns:soap=\"http://www.w3.org/2003/05/soap-envelope\"><soap:Header>"
        "<context xmlns=\"urn:zimbra\"><authToken>t&amp;k</authToken><nosession/>"
        "<userAgent name=\"zxmove\" version=\"" ZX_VERSION "\"/><targetServer>id1</targetServer>"
        "</context></soap:Header><soap:Body><BatchRequest xmlns=\"urn:zimbra\" onerror=\"stop\">"
        "<ModifyAccountRequest xmlns=\"urn:zimbraAdmin\" id=\"&quot;&lt;\"><a n=\"x\">a&lt;b</a>"
        "</ModifyAccountRequest></BatchRequest></soap:Body></soap:Envelope>\n";
    xmlNode *batch = soap_batch();
    xmlNode *modify = soap_request("ModifyAccountRequest");
    size_t length;
    xmlChar *text;

    (void)state;
    xmlNewProp(modify, (const xmlChar *)"id", (const xmlChar *)"\"<");
    xmlNewProp(xmlNewTextChild(modify, NULL, (const xmlChar *)"a", (const xmlChar *)"a<b"),
               (const xmlChar *)"n", (const xmlChar *)"x");
    xmlAddChild(batch, modify);
    text = soap_envelope(batch, "t&k", "id1", &length);
    assert_string_equal((const char *)text, expected);
    assert_int_equal(length, strlen(expected));
    xmlFree(text);
    xmlFreeNode(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_fault_inside_a_batch),
        cmocka_unit_test(test_attributes_of_an_answer),
        cmocka_unit_test(test_envelope),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
