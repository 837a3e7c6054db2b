/* volume.h - volumes of a store and the place of a blob on them (doc/platform.md 3.1, 3.2). Pure.
 */
#ifndef ZX_ZIMBRA_VOLUME_H
#define ZX_ZIMBRA_VOLUME_H

#include "core/net/db.h"

typedef enum VolumeType { VOLUME_PRIMARY = 1, VOLUME_SECONDARY = 2, VOLUME_INDEX = 10 } VolumeType;

/* Whether another store has the volume as well; core/move/shared.c finds out. */
typedef enum VolumeSharing { VOLUME_NOT_ASKED, VOLUME_OWN, VOLUME_SHARED } VolumeSharing;

typedef struct Volume {
    unsigned id; /* 1-255, private to its store */
    VolumeType type;
    char *name;
    char *path; /* absolute root */
    unsigned file_bits, file_group_bits, mailbox_bits, mailbox_group_bits;
    bool compress;
    uint64_t compression_threshold;
    unsigned store_type; /* 1 files, 2 external */
    VolumeSharing sharing;
} Volume;

typedef struct CurrentVolumes {
    unsigned message, secondary, index; /* secondary: 0 if none */
} CurrentVolumes;

/* Volumes of the store (of Volume), read from zimbra.volume. Servers before db.version 116 have no
 * store_type: then 1. */
GPtrArray *volumes_read(Db *db, CurrentVolumes *current, GError **error) MUST_USE;
void volume_free(Volume *volume);
const Volume *volumes_find(const GPtrArray *volumes, unsigned id); /* NULL if none */

/* A locator that is a plain volume id; anything else (external stores) is not. */
bool volume_from_locator(const char *locator, size_t length, unsigned *id);

/* Paths below Volume.path, without leading slash: "0/3", "0/3/msg/0", "270-13.msg". Caller frees.
 */
char *volume_mailbox_dir(const Volume *volume, uint32_t mailbox_id);
char *volume_blob_dir(const Volume *volume, uint32_t mailbox_id, uint32_t item_id);
char *volume_blob_name(uint32_t item_id, uint32_t mod_content);

#endif
