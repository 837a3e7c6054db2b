/* item.h - rows of mail_item in a change: creating, reading, the side rows that go with them. */
#ifndef MAILBOXD_ITEM_H
#define MAILBOXD_ITEM_H

#include "tests/mailboxd/mailbox.h"

typedef struct Item {
    unsigned id, type, parent, folder, flags, mod_metadata, mod_content, date, imap_id;
    int unread; /* of messages */
    int64_t size;
    char *locator, *digest; /* both NULL without a blob */
    char *sender, *recipients, *subject, *name, *uuid;
    GBytes *metadata, *tag_names;
    char *prev_folders;
    bool indexable;
} Item;

void item_clear(Item *item);
/* FAULT_NO_SUCH_ITEM if there is none. */
bool item_load(Change *change, unsigned id, Item *item, GError **error);
/* Any item of @type in @folder (0: everywhere but in Trash) with all of @flags; 0 if there is none.
 */
bool item_pick(Change *change, unsigned type, unsigned folder, unsigned flags, unsigned *id,
               GError **error);

/* A row with a new change number, its flags' tagged_item rows, and the counts. With @blob, links
 * it. */
bool item_insert(Change *change, Item *item, const Blob *blob, GError **error);
/* Sets flag or tag @tag on or off, with its tagged_item row and counts; numbers the item. */
bool item_alter_tag(Change *change, const Item *item, int tag, bool on, GError **error);
bool item_move(Change *change, const Item *item, unsigned folder, GError **error);
/* New content under a new mod_content; the old blob goes after the commit. @metadata may be NULL.
 */
bool item_update_content(Change *change, Item *item, const Blob *blob, GBytes *metadata,
                         GError **error);
/* For good: into the dumpster if the account has one, else no trace but a tombstone while somebody
 * syncs (doc/platform.md 2.7 A). */
bool item_delete(Change *change, const Item *item, bool dumpster, GError **error);
bool item_empty_dumpster(Change *change, unsigned *count, GError **error);
/* Runs a message into its conversation. */
bool item_thread(Change *change, Item *item, const char *hash, bool is_reply, GError **error);

/* Metadata of a message row. */
GBytes *item_metadata(const char *fragment, const char *sender, const char *prefix);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Item, item_clear)

#endif
