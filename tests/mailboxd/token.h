/* token.h - auth tokens. Signed with a key that all stores of an installation share, so that a
 * token got from one is good at every other. */
#ifndef MAILBOXD_TOKEN_H
#define MAILBOXD_TOKEN_H

#include "tests/mailboxd/fault.h"

enum { TOKEN_LIFETIME_MS = 12 * 3600 * 1000 };

char *token_new(const char *account_id);
/* Signature and age only. NULL with FAULT_AUTH_EXPIRED; else the account id. */
char *token_account(const char *token, GError **error);

#endif
