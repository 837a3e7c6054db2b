/* soap.h - admin SOAP over HTTPS: envelopes, tokens, batches, where a request is executed
 * (doc/platform.md 6.1, 6.2). The requests themselves are in requests_*.c. */
#ifndef MAILBOXD_SOAP_H
#define MAILBOXD_SOAP_H

#include "tests/mailboxd/directory.h"
#include "tests/mailboxd/inject.h"
#include "tests/mailboxd/xml.h"

#define NS_ADMIN  "urn:zimbraAdmin"
#define NS_ZIMBRA "urn:zimbra"

typedef struct Context {
    char *token;         /* NULL without */
    char *target_server; /* zimbraId or NULL */
    unsigned hops;
    bool soap11;
    InjectMode ending; /* how a test wants the connection to end */
    unsigned ending_ms;
} Context;

/* The answer's element, or NULL and @error. */
typedef xmlNode *(*RequestFunction)(const xmlNode *request, GError **error);

typedef enum RequestHome {
    HOME_HERE,        /* executed where received */
    HOME_ID,          /* at the home of the account named by "id" */
    HOME_MBOX,        /* ... by <mbox id> */
    HOME_ACCOUNT,     /* ... by <account by> */
    HOME_CALRESOURCE, /* ... by <calresource by> */
} RequestHome;

typedef struct RequestHandler {
    const char *name;
    RequestFunction run;
    RequestHome home;
    bool without_login;
} RequestHandler;

/* One table per file of requests, ended by a row without a name. */
extern const RequestHandler account_requests[], mailbox_requests[], server_requests[];

bool soap_start(GError **error);
void soap_stop(void);

/* proxy.c: sends @request to the store called @name. Its answer element, which may be a Fault; NULL
 * with FAULT_PROXY_ERROR if it could not be had. */
xmlNode *proxy_send(const char *name, const Context *context, const xmlNode *request,
                    GError **error);
/* Logs in at @name as the LDAP admin. The token, or NULL. */
char *proxy_log_in(const char *name, GError **error);
/* Logs in at @name as this server and has it forget what it knows of the account. */
bool proxy_flush_account(const char *name, const char *account_id, GError **error);

xmlNode *soap_fault_element(const Context *context, const char *code, const char *text,
                            bool receivers);
/* The code inside a Fault element, or NULL. */
char *soap_fault_code(const xmlNode *fault);
/* Writes an envelope. Takes @body. */
char *soap_envelope(const Context *context, xmlNode *body, bool is_request);

/* requests_account.c: the account a request is about, by the rules above or LockoutMailbox's. NULL
 * with @error. */
Entry *request_account(const xmlNode *node, FaultCode missing, GError **error);

#endif
