/* mailbox.h - mailboxes in memory: the map from account to mailbox id, the object cache, the
 * lockout, and the transactions that change one mailbox (doc/platform.md 2.5, 2.6, 5.1, 5.2). */
#ifndef MAILBOXD_MAILBOX_H
#define MAILBOXD_MAILBOX_H

#include "tests/mailboxd/blob.h"
#include "tests/mailboxd/directory.h"
#include "tests/mailboxd/lock.h"

enum { /* item types, doc/platform.md 2.8 */
       TYPE_FOLDER = 1,
       TYPE_TAG = 3,
       TYPE_CONVERSATION = 4,
       TYPE_MESSAGE = 5,
       TYPE_CONTACT = 6,
       TYPE_DOCUMENT = 8,
       TYPE_APPOINTMENT = 11,
       TYPE_MOUNTPOINT = 13,
};

enum { /* fixed folders */
       FOLDER_USER_ROOT = 1,
       FOLDER_INBOX = 2,
       FOLDER_TRASH = 3,
       FOLDER_JUNK = 4,
       FOLDER_SENT = 5,
       FOLDER_DRAFTS = 6,
       FOLDER_CONTACTS = 7,
       FOLDER_CONVERSATIONS = 9,
       FOLDER_CALENDAR = 10,
       FOLDER_ROOT = 11,
       FOLDER_BRIEFCASE = 16,
};

enum { /* flags are tags with negative ids; the bit of flag -n is 1 << (n - 1) */
       FLAG_ATTACHED = -2,
       FLAG_FLAGGED = -6,
       FLAG_DRAFT = -7,
       FLAG_UNREAD = -10,
       FLAG_VERSIONED = -13,
};

static inline unsigned flag_bit(int flag)
{
    return 1U << (-flag - 1);
}

typedef struct Folder {
    unsigned id, parent, type;
    char *name;
    int64_t count, unread;
    GBytes *metadata; /* may be NULL */
    unsigned mod_metadata, change_date, mod_content;
    bool dirty;
} Folder;

typedef struct Tag {
    int id;
    char *name;
    int64_t count, unread;
    unsigned sequence;
    bool dirty;
} Tag;

/* What the row of a mailbox says, and where the truth has got to in memory. */
typedef struct Counters {
    int64_t size;
    unsigned contacts, new_messages, last_item, last_change;
} Counters;

typedef struct IndexState IndexState;

typedef struct Mailbox {
    int refs;
    unsigned id, group, index_volume;
    char *account_id;
    FairLock lock;       /* the write lock; guards all below */
    bool in_maintenance; /* locked out: whoever got the lock must leave again */
    bool deleted;
    Counters now, stored; /* stored: what the row of zimbra.mailbox holds */
    unsigned tracking_sync;
    bool tracking_imap;
    GHashTable *folders; /* id -> Folder; NULL until loaded */
    GHashTable *tags;
    IndexState *index;
} Mailbox;

Mailbox *mailbox_ref(Mailbox *mailbox);
void mailbox_unref(Mailbox *mailbox);
/* Reads the row; FAULT_NO_SUCH_MBOX if it is gone. Opens nothing else. */
Mailbox *mailbox_load(unsigned id, GError **error);
/* A new, empty mailbox in the database, under the next id. */
bool mailbox_create(const Entry *account, unsigned *id, GError **error);
/* Rows, blobs on all volumes, index, memcached; the write lock is held (doc/platform.md 2.3, 6.4).
 */
bool mailbox_erase(Mailbox *mailbox, GError **error);

/* One write transaction: the mailbox's lock is held, one change number for everything in it. */
typedef struct Change {
    Mailbox *mailbox;
    Db *db;
    unsigned number, now;
    Counters before;
    GPtrArray *old_blobs; /* removed after the commit, outside the lock */
    bool silent;          /* takes no change number: what indexing writes */
    bool committed;
} Change;

/* FAULT_MAINTENANCE if the mailbox is locked out, also when it becomes so while this waits. */
bool change_begin(Change *change, Mailbox *mailbox, GError **error);
bool change_commit(Change *change, GError **error);
/* Always called after a change_begin that succeeded; rolls back what was not committed. */
void change_end(Change *change);

unsigned change_new_item_id(Change *change);
Folder *change_folder(Change *change, unsigned id);
Tag *change_tag(Change *change, int id);
Tag *change_tag_named(Change *change, const char *name);
void change_old_blob(Change *change, const char *locator, unsigned item, unsigned revision);
/* An item comes (+1) or goes (-1): counts, unread, size and IMAP state of the folder, whose own
 * change number stays as it is (doc/platform.md 2.7 B). */
void change_count(Change *change, Folder *folder, int items, int unread, int64_t size,
                  unsigned imap_id);
void change_tag_count(Change *change, int tag, int items, int unread);
void change_add_folder(Change *change, Folder *folder);
void change_add_tag(Change *change, Tag *tag);

void folder_free(gpointer folder);
void tag_free(gpointer tag);
/* memcached's copy of folders and tags (foldertags.c). */
GBytes *folders_tags_encode(const Mailbox *mailbox);
/* False if @bytes cannot be read; then nothing is set. */
bool folders_tags_decode(Mailbox *mailbox, GBytes *bytes);
char *folders_tags_key(const Mailbox *mailbox);

/* manager.c */
bool manager_init(GError **error);
void manager_shutdown(void);

typedef enum MailboxFetch { FETCH_EXISTING, FETCH_CREATE } MailboxFetch;
/* The rules of doc/platform.md 5.1. With FETCH_EXISTING, NULL without @error if the account is not
 * in the map. */
Mailbox *manager_get(const char *account_id, MailboxFetch fetch, GError **error);
/* As background tasks have it: by mailbox id, the map not asked. */
Mailbox *manager_by_id(unsigned id, GError **error);
bool manager_lock_out(const char *account_id, GError **error);
bool manager_end_lockout(const char *account_id, GError **error);
/* 0 if the account has no mailbox in the map. Deletes only what manager_get would give. */
bool manager_delete(const char *account_id, unsigned *id, GError **error);

typedef struct MailboxState {
    unsigned mapped;
    bool cached, locked, merging;
} MailboxState;
MailboxState manager_state(const char *account_id);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Mailbox, mailbox_unref)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Change, change_end)

#endif
