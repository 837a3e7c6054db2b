/* ldap.h - reading entries from the first directory server that answers, writing to the master.
 * An entry is immutable once read and may be shared by threads. */
#ifndef MAILBOXD_LDAP_H
#define MAILBOXD_LDAP_H

#include "tests/mailboxd/fault.h"

typedef struct EntryAttr {
    char *name;
    GPtrArray *values; /* texts */
} EntryAttr;

typedef struct Entry {
    int refs;
    char *dn;
    GPtrArray *attrs; /* EntryAttr */
} Entry;

typedef enum LdapWhich { LDAP_NEAREST, LDAP_MASTER } LdapWhich;

/* One modification; values NULL removes the attribute (which need not be there). */
typedef struct LdapMod {
    enum { LDAP_SET, LDAP_ADD_VALUE, LDAP_REMOVE_VALUE } kind;
    char *name;
    GPtrArray *values;
} LdapMod;

/* Entries below @base (subtree) matching @filter; NULL on error, an empty array if there are none.
 */
GPtrArray *ldap_find(LdapWhich which, const char *base, const char *filter, GError **error);
/* All modifications in one operation, on the master. Mods as GPtrArray of LdapMod. */
bool ldap_change(const char *dn, GPtrArray *mods, GError **error);
/* A bind as @dn on a connection of its own: true if the password is right; false without @error if
 * it is not. */
bool ldap_password_is(const char *dn, const char *password, GError **error);
void ldap_shutdown(void);

Entry *entry_ref(Entry *entry);
void entry_unref(Entry *entry);
/* First value or NULL. */
const char *entry_get(const Entry *entry, const char *name);
GPtrArray *entry_values(const Entry *entry, const char *name);
bool entry_has(const Entry *entry, const char *name, const char *value);
bool entry_is_true(const Entry *entry, const char *name);

LdapMod *ldap_mod_new(int kind, const char *name);
void ldap_mod_add(LdapMod *mod, const char *value);
void ldap_mod_free(LdapMod *mod);
char *ldap_escape(const char *value);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Entry, entry_unref)

#endif
