/* select.h - who is listed, and of the accounts that were found: which are excluded, which is first, and
 * where an operation ends. Knows what the directory and the stores' rows say of an account, and asks nobody.
 */
#ifndef ZX_MOVE_SELECT_H
#define ZX_MOVE_SELECT_H

#include "core/zimbra/directory.h"

/* Addresses in which * and ? stand for any letters (GPatternSpec), without regard to case. */
typedef struct Globs Globs;
Globs *globs_new(char **patterns); /* may be NULL: matches nothing */
void globs_free(Globs *globs);
/* By its address or one of its aliases. */
bool globs_match(Globs *globs, const Account *account);
/* Those that matched no account so far; of char *, borrowed. */
GPtrArray *globs_idle(const Globs *globs);

typedef enum Order {
    ORDER_GIVEN,
    ORDER_NAME,
    ORDER_SIZE_ASC,
    ORDER_SIZE_DESC,
    ORDER_LAST_LOGIN, /* who never logged in first, then who has not for longest */
} Order;
/* By the word of parameter order; NULL is "given". */
Order select_order(const char *word);
/* @accounts (of Account) in this order; what is equal in it by address. @sizes: account id ->
 * uint64_t *, as in Operation. */
void select_sort(GPtrArray *accounts, Order order, GHashTable *sizes);

/* How much one operation takes. Whoever does not fit into what is left ends it, so that what is
 * skipped comes after what goes; only a mailbox that would never fit lets others pass. */
typedef struct Quota {
    long max_accounts;  /* -1: any number */
    uint64_t max_bytes; /* 0: any */
    long accounts;      /* taken so far */
    uint64_t bytes;
    bool full; /* by bytes */
} Quota;
/* NULL: it was taken; else why it is skipped (g_free). */
char *quota_take(Quota *quota, uint64_t bytes);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Globs, globs_free)

#endif
