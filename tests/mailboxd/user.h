/* user.h - what the account's own web client would do, on behalf of tests. */
#ifndef MAILBOXD_USER_H
#define MAILBOXD_USER_H

#include "tests/mailboxd/fault.h"
#include <jansson.h>

/* @query: do, item, folder, name, in. The result's members, or NULL. */
json_t *user_act(const char *account_id, GHashTable *query, GError **error);

#endif
