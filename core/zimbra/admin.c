/* admin.c - see admin.h. */
#include "core/zimbra/admin.h"
#include <string.h>

static void add_prop(xmlNode *node, const char *name, const char *value)
{
    xmlNewProp(node, XML_TEXT(name), XML_TEXT(value));
}

static xmlNode *add_text(xmlNode *parent, const char *name, const char *text)
{
    return xmlNewTextChild(parent, NULL, XML_TEXT(name), XML_TEXT(text));
}

/* <account by="id">ID</account> */
static void add_account(xmlNode *request, const char *account_id)
{
    add_prop(add_text(request, "account", account_id), "by", "id");
}

/* <mbox id="ACCOUNT-ID"/> */
static void add_mbox(xmlNode *request, const char *account_id)
{
    add_prop(add_text(request, "mbox", NULL), "id", account_id);
}

static bool answered(const Soap *soap, const char *request, const SoapReply *reply, GError **error)
{
    return reply->outcome == SOAP_ANSWER || soap_fail(soap, request, reply, error);
}

const char *probe_name(Probe probe)
{
    static const char *const names[] = {
        [PROBE_UNMAPPED] = "not in the map",
        [PROBE_WRONG_HOST] = "service.WRONG_HOST",
        [PROBE_NO_SUCH_MBOX] = "mail.NO_SUCH_MBOX",
        [PROBE_LOCKED] = "mail.MAINTENANCE",
        [PROBE_CACHED] = "cached",
        [PROBE_UNKNOWN] = "unknown",
    };

    return names[probe];
}

Probe admin_probe(Soap *soap, const char *account_id, const Wait *wait, char **why)
{
    xmlNode *request = soap_request("ReIndexRequest");
    g_autoptr(SoapReply) reply = NULL;
    GError *error = NULL;

    add_prop(request, "action", "status");
    add_mbox(request, account_id);
    reply = soap_call(soap, request, wait);
    if (reply->outcome == SOAP_ANSWER)
        return PROBE_CACHED;
    if (reply->outcome == SOAP_FAULT) {
        if (strcmp(reply->fault_code, "service.WRONG_HOST") == 0)
            return PROBE_WRONG_HOST;
        if (strcmp(reply->fault_code, "mail.NO_SUCH_MBOX") == 0)
            return PROBE_NO_SUCH_MBOX;
        if (strcmp(reply->fault_code, "mail.MAINTENANCE") == 0)
            return PROBE_LOCKED;
        /* The one answer the code alone does not tell (5.1): both the sentence and the id are
         * demanded. */
        if (strcmp(reply->fault_code, "service.FAILURE") == 0 && reply->message != NULL &&
            strstr(reply->message, "mailbox not found for account") != NULL &&
            strcasestr(reply->message, account_id) != NULL)
            return PROBE_UNMAPPED;
    }
    soap_fail(soap, "ReIndexRequest status", reply, &error);
    if (why != NULL)
        *why = g_strdup(error->message);
    g_error_free(error);
    return PROBE_UNKNOWN;
}

static xmlNode *lockout_request(const char *account_id, bool start)
{
    xmlNode *request = soap_request("LockoutMailboxRequest");

    add_prop(request, "op", start ? "start" : "end");
    add_account(request, account_id);
    return request;
}

Lockout admin_lockout(Soap *soap, const char *account_id, bool start, const Wait *wait,
                      GError **error)
{
    g_autoptr(SoapReply) reply = soap_call(soap, lockout_request(account_id, start), wait);

    if (reply->outcome == SOAP_ANSWER)
        return LOCKOUT_DONE;
    if (reply->outcome == SOAP_FAULT) {
        if (start && strcmp(reply->fault_code, "mail.MAINTENANCE") == 0)
            return LOCKOUT_ALREADY;
        if (!start && strcmp(reply->fault_code, "service.NOT_FOUND") == 0)
            return LOCKOUT_NONE;
    }
    soap_fail(soap, start ? "LockoutMailboxRequest start" : "LockoutMailboxRequest end", reply,
              error);
    return reply->outcome == SOAP_FAULT ? LOCKOUT_REFUSED : LOCKOUT_UNKNOWN;
}

SoapOutcome admin_modify(Soap *soap, const char *account_id, const char *const *pairs,
                         const Wait *wait, GError **error)
{
    xmlNode *request = soap_request("ModifyAccountRequest");
    g_autoptr(SoapReply) reply = NULL;

    add_prop(request, "id", account_id);
    for (; pairs[0] != NULL; pairs += 2)
        add_prop(add_text(request, "a", pairs[1]), "n", pairs[0]);
    reply = soap_call(soap, request, wait);
    if (reply->outcome != SOAP_ANSWER)
        soap_fail(soap, "ModifyAccountRequest", reply, error);
    return reply->outcome;
}

bool admin_flush(Soap *soap, const char *account_id, bool imapd, const Wait *wait, GError **error)
{
    xmlNode *request = soap_request("FlushCacheRequest");
    xmlNode *cache = add_text(request, "cache", NULL);
    g_autoptr(SoapReply) reply = NULL;

    add_prop(cache, "type", "account");
    if (imapd)
        add_prop(cache, "imapServers", "1");
    add_prop(add_text(cache, "entry", account_id), "by", "id");
    reply = soap_call(soap, request, wait);
    return answered(soap, "FlushCacheRequest", reply, error);
}

bool admin_view(Soap *soap, const char *account_id, const Wait *wait, char **status, char **host,
                GError **error)
{
    xmlNode *request = soap_request("GetAccountRequest");
    g_autoptr(SoapReply) reply = NULL;
    const xmlNode *account;

    add_prop(request, "applyCos", "0");
    add_prop(request, "attrs", "zimbraAccountStatus,zimbraMailHost");
    add_account(request, account_id);
    reply = soap_call(soap, request, wait);
    if (!answered(soap, "GetAccountRequest", reply, error))
        return false;
    account = soap_child(reply->body, "account");
    if (account == NULL)
        return fail(error, ZX_ERROR_CONNECT, "%s: GetAccountResponse without an account",
                    soap_name(soap));
    *status = soap_a(account, "zimbraAccountStatus");
    *host = soap_a(account, "zimbraMailHost");
    return true;
}

bool admin_view_host(Soap *soap, const char *account_id, const Wait *wait, char **host,
                     GError **error)
{
    xmlNode *request = soap_request("GetAccountInfoRequest");
    g_autoptr(SoapReply) reply = NULL;

    add_account(request, account_id);
    reply = soap_call(soap, request, wait);
    if (!answered(soap, "GetAccountInfoRequest", reply, error))
        return false;
    *host = soap_a(reply->body, "zimbraMailHost");
    return true;
}

/* The number in <mbox mbxid="N"/>; 0 if there is none. */
static uint32_t mbox_id(const xmlNode *body)
{
    const xmlNode *mbox = soap_child(body, "mbox");
    g_autofree char *text = mbox != NULL ? soap_attribute(mbox, "mbxid") : NULL;
    guint64 number = 0;

    if (text == NULL || !g_ascii_string_to_unsigned(text, 10, 1, G_MAXUINT32, &number, NULL))
        return 0;
    return (uint32_t)number;
}

bool admin_mailbox_id(Soap *soap, const char *account_id, const Wait *wait, uint32_t *id,
                      GError **error)
{
    xmlNode *request = soap_request("GetMailboxRequest");
    g_autoptr(SoapReply) reply = NULL;

    add_mbox(request, account_id);
    reply = soap_call(soap, request, wait);
    if (!answered(soap, "GetMailboxRequest", reply, error))
        return false;
    *id = mbox_id(reply->body);
    return *id != 0 ||
           fail(error, ZX_ERROR_CONNECT, "%s: GetMailboxResponse without an id", soap_name(soap));
}

bool admin_version(Soap *soap, const Wait *wait, char **version, GError **error)
{
    g_autoptr(SoapReply) reply = soap_call(soap, soap_request("GetVersionInfoRequest"), wait);
    const xmlNode *info;

    if (!answered(soap, "GetVersionInfoRequest", reply, error))
        return false;
    info = soap_child(reply->body, "info");
    *version = info != NULL ? soap_attribute(info, "version") : NULL;
    return true;
}

bool admin_network_move(Soap *soap, const char *address, const Wait *wait, bool *known,
                        char **direction, GError **error)
{
    xmlNode *request = soap_request("QueryMailboxMoveRequest");
    g_autoptr(SoapReply) reply = NULL;
    const xmlNode *account;

    *direction = NULL;
    add_prop(request, "checkPeer", "0");
    add_prop(add_text(request, "account", NULL), "name", address);
    reply = soap_call(soap, request, wait);
    *known = reply->outcome != SOAP_FAULT ||
             strcmp(reply->fault_code, "service.UNKNOWN_DOCUMENT") != 0;
    if (reply->outcome == SOAP_UNKNOWN)
        return answered(soap, "QueryMailboxMoveRequest", reply, error);
    account = reply->outcome == SOAP_ANSWER ? soap_child(reply->body, "account") : NULL;
    if (account != NULL && (*direction = soap_attribute(account, "type")) == NULL)
        *direction = g_strdup("unknown");
    return true;
}

bool admin_reindexing(Soap *soap, const char *account_id, const Wait *wait, bool *running,
                      GError **error)
{
    xmlNode *request = soap_request("ReIndexRequest");
    g_autoptr(SoapReply) reply = NULL;
    g_autofree char *status = NULL;

    add_prop(request, "action", "status");
    add_mbox(request, account_id);
    *running = false;
    reply = soap_call(soap, request, wait);
    if (reply->outcome == SOAP_UNKNOWN)
        return answered(soap, "ReIndexRequest status", reply, error);
    status = reply->outcome == SOAP_ANSWER ? soap_attribute(reply->body, "status") : NULL;
    *running = g_strcmp0(status, "running") == 0;
    return true;
}

bool admin_reindex(Soap *soap, const char *account_id, const Wait *wait, GError **error)
{
    xmlNode *request = soap_request("ReIndexRequest");
    g_autoptr(SoapReply) reply = NULL;

    add_prop(request, "action", "start");
    add_mbox(request, account_id);
    reply = soap_call(soap, request, wait);
    if (reply->outcome == SOAP_FAULT &&
        strcmp(reply->fault_code, "service.ALREADY_IN_PROGRESS") == 0)
        return true;
    return answered(soap, "ReIndexRequest start", reply, error);
}

/* A BatchResponse is an answer even when a request in it failed: the Fault stands among its
 * children. */
static bool batch_fault(const Soap *soap, const xmlNode *batch, GError **error)
{
    const xmlNode *fault = soap_child(batch, "Fault");
    g_autofree char *text = NULL;

    if (fault == NULL)
        return false;
    text = (char *)xmlNodeGetContent(fault);
    fail(error, ZX_ERROR_FAILED, "%s: DeleteMailboxRequest: %.300s", soap_name(soap), text);
    return true;
}

SoapOutcome admin_delete_mailbox(Soap *soap, const char *account_id, bool locked, const Wait *wait,
                                 uint32_t *deleted_id, GError **error)
{
    xmlNode *delete = soap_request("DeleteMailboxRequest");
    xmlNode *request = delete;
    g_autoptr(SoapReply) reply = NULL;
    const xmlNode *response;

    add_mbox(delete, account_id);
    if (locked) {
        request = soap_batch();
        xmlAddChild(request, lockout_request(account_id, false));
        xmlAddChild(request, delete);
    }
    reply = soap_call(soap, request, wait);
    if (reply->outcome != SOAP_ANSWER) {
        soap_fail(soap, "DeleteMailboxRequest", reply, error);
        return reply->outcome;
    }
    if (locked && batch_fault(soap, reply->body, error))
        return SOAP_FAULT;
    response = locked ? soap_child(reply->body, "DeleteMailboxResponse") : reply->body;
    *deleted_id = response != NULL ? mbox_id(response) : 0;
    return SOAP_ANSWER;
}
