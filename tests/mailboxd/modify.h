/* modify.h - ModifyAccountRequest with all its side effects (doc/platform.md 6.6). */
#ifndef MAILBOXD_MODIFY_H
#define MAILBOXD_MODIFY_H

#include "tests/mailboxd/directory.h"

/* @mods (of LdapMod) gets the attributes that follow from others. LDAP is written first; what comes
 * after that cannot fail the request. @changed is the account as the master has it then. */
bool modify_account(const Entry *account, GPtrArray *mods, Entry **changed, GError **error);

#endif
