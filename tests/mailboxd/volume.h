/* volume.h - the store's volumes as mailboxd read them at start, and where things lie on them
 * (doc/platform.md 3.1, 3.2). */
#ifndef MAILBOXD_VOLUME_H
#define MAILBOXD_VOLUME_H

#include "tests/mailboxd/db.h"

enum { VOLUME_PRIMARY = 1, VOLUME_SECONDARY = 2, VOLUME_INDEX = 10 };

typedef struct Volume {
    unsigned id, type;
    char *name, *path;
    char *root; /* the path made absolute */
    unsigned file_bits, file_group_bits, mailbox_bits, mailbox_group_bits;
    bool compress;
    uint64_t threshold;
    unsigned store_type;
    char *manager;
} Volume;

bool volumes_load(GError **error);
void volumes_free(void);
const GPtrArray *volumes_all(void);
/* NULL if there is none. */
const Volume *volume_get(unsigned id);
/* Of the current volume of @type; 0 if none is set. */
unsigned volume_current(unsigned type);

char *volume_mailbox_dir(const Volume *volume, unsigned mailbox);
char *volume_blob_path(const Volume *volume, unsigned mailbox, unsigned item, unsigned revision);
char *volume_index_dir(const Volume *volume, unsigned mailbox);
/* The mailbox's directory of the calendar cache. */
char *calendar_cache_dir(unsigned mailbox);

#endif
