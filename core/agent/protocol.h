/* protocol.h - what zxmove and its agent say to each other (frames: core/base/wire.h).
 *
 * The agent's first line is "ZXAGENT <version> <protocol>". Then every request is answered in
 * order; the stream number of a request comes back in its answers. A request, and END, begins with
 * u64: until when whoever asks has the account, in Unix ms of the store's own clock, or 0. What
 * would change something on the disk and comes later, out of a connection that stood still, is not
 * done and answered with BUSY: somebody else may have the account by then. A request names a volume
 * and numbers, never a path below a volume: the agent computes it (doc/platform.md 3.2). The places
 * it is told as paths are the roots of the volumes and of the backup, and what localconfig names.
 *
 * Any request may be answered by ERROR. While one takes long, ALIVE comes every few seconds. */
#ifndef ZX_AGENT_PROTOCOL_H
#define ZX_AGENT_PROTOCOL_H

#include "core/base/wire.h"

#define AGENT_GREETING "ZXAGENT"
#define AGENT_PROTOCOL 4
#define AGENT_NOISE    4096 /* bytes a login shell may print before the greeting */
#define AGENT_ALIVE_S  5    /* between two ALIVE */

#define DIGEST_SIZE 45 /* 44 characters (SHA-256) or 28 (SHA-1) and a NUL: doc/platform.md 3.5 */
#define NAME_SIZE   256

/* A number never changes its meaning: two builds of different age must notice that they differ. */
enum {
    /* requests                       payload, after the u64 -> answer */
    AGENT_FACTS = 1,       /* text zimbra_home, u8 with the MariaDB password -> FACT..., OK */
    AGENT_VOLUME,          /* AgentVolumeInfo -> OK */
    AGENT_SPACE,           /* u8 volume -> SPACE */
    AGENT_SPACE_PATH,      /* text absolute directory -> SPACE */
    AGENT_USAGE,           /* u8 volume, u32 mailbox -> USAGE */
    AGENT_REMOVE,          /* u8 volume, u32 mailbox, u32 at most so many files -> USAGE (what was
                              removed; fewer files: all is gone) */
    AGENT_CALCACHE_SEEN,   /* text directory, u32 mailbox -> SEEN */
    AGENT_CALCACHE_REMOVE, /* text directory, u32 mailbox -> OK */
    AGENT_SYNCFS,          /* u8 volume -> OK: everything written there is durable */
    AGENT_FLUSH,           /* -> OK: everything written with AGENT_DURABLE is durable */
    AGENT_PROBE_PUT,       /* u8 volume, text 32 hex digits -> OK */
    AGENT_PROBE_SEEN,      /* the same -> SEEN */
    AGENT_PROBE_DROP,      /* the same -> OK */
    AGENT_INDEX_LIST,      /* u8 volume, u32 mailbox -> INDEX_ENTRY..., OK */
    AGENT_INDEX_REMOVE,    /* u8 volume, u32 mailbox -> OK: the whole index directory */
    AGENT_INDEX_DROP,      /* u8 volume, u32 mailbox, text name -> OK: one file */
    AGENT_INDEX_READ,      /* u8 volume, u32 mailbox, text name -> HEAD, DATA..., TAIL */
    AGENT_INDEX_WRITE, /* u8 volume, u32 mailbox, text name, u64 mtime in ns, u64 length; DATA...;
                          END -> WRITTEN */
    AGENT_BLOB_HAVE,   /* BlobRef, u32 older mailbox id or 0 -> HAVE */
    AGENT_BLOB_READ,   /* BlobRef -> HEAD, DATA..., TAIL */
    AGENT_BLOB_WRITE,  /* BlobRef, u64 length of the file to come; DATA...; END -> WRITTEN */
    AGENT_BLOB_STAT,   /* BlobRef -> HAVE (THERE or NEED) */
    AGENT_BLOB_HASH,   /* BlobRef -> HASH */
    AGENT_BLOB_UNLINK, /* BlobRef -> OK, also when it is not there */
    AGENT_BLOB_LOOK,   /* BlobRef -> LOOKED: what is there, whatever it is */
    AGENT_BLOB_LIST,   /* u8 volume, u32 mailbox -> BLOB_ENTRY..., OK */
    AGENT_MAILBOXES,   /* u8 volume -> MAILBOX_ENTRY..., OK: who has a directory there */
    AGENT_BACKUP_ROOT,  /* text absolute directory -> OK */
    AGENT_BACKUP_SPACE, /* -> SPACE */
    AGENT_BACKUP_LIST,  /* text account id -> BACKUP_ENTRY..., OK */
    AGENT_BACKUP_READ,  /* text account id, text name as listed -> HEAD, DATA..., TAIL */
    AGENT_BACKUP_WRITE, /* text account id, text name, u64 mtime in ns, u64 length; DATA...; END -> WRITTEN */
    AGENT_BACKUP_SYNC,  /* -> OK: everything written there is durable */
    AGENT_LOAD,         /* -> LOAD_IS */
    AGENT_REQUESTS,     /* no request: their end */

    /* in both directions */
    AGENT_DATA = 64, /* content */
    AGENT_END,       /* to a writer, after the u64: u8 keep, u64 raw size, text digest as the reader
                        saw them */

    /* answers */
    AGENT_OK = 96,
    AGENT_ERROR, /* u8 ZxError, text */
    AGENT_ALIVE,
    AGENT_FACT,        /* text name, text value */
    AGENT_SPACE_IS,    /* u64 free, u64 total, u64 device */
    AGENT_USAGE_IS,    /* u64 files, u64 bytes */
    AGENT_SEEN,        /* u8 */
    AGENT_INDEX_ENTRY, /* text name, u64 size, u64 mtime in ns */
    AGENT_HEAD,        /* u64 length of the file, u64 mtime in ns */
    AGENT_TAIL,        /* u64 raw size, text digest */
    AGENT_WRITTEN,     /* u64 length of the file as written */
    AGENT_HAVE,        /* u8 AgentHave, u64 length of the file */
    AGENT_HASH,        /* u64 length of the file, u64 raw size, text digest */
    AGENT_LOOKED,      /* u8 AgentLook, u8 volume, u32 mod_content as its name has it, u64 length of the
                          file, u64 raw size, text digest */
    AGENT_BLOB_ENTRY,  /* u8 it is where its number puts it, u32 item, u32 mod_content or 0 (the old
                          name), u64 length, u64 mtime in s, text path below msg */
    AGENT_MAILBOX_ENTRY, /* u32 mailbox */
    AGENT_BACKUP_ENTRY, /* text name with '/' in it, u64 size, u64 mtime in ns, u8 a plain file */
    AGENT_LOAD_IS,      /* u32 hundredths: the host's load, the average of a minute */
};

/* flags of requests */
enum {
    AGENT_DIGEST = 1,    /* hash the content; without it TAIL and END carry "" */
    AGENT_OTHERS = 2,    /* not in its place, so look on the other volumes; BLOB_LOOK: and under
                            another revision */
    AGENT_OVERWRITE = 4, /* a different file there may be replaced */
    AGENT_DURABLE = 8,   /* to be made durable by FLUSH, one by one, not by SYNCFS */
    AGENT_COMPRESS = 16, /* as mailboxd would store a new one on this volume */
};

typedef enum AgentHave {
    HAVE_NEED,    /* not there, or may be replaced */
    HAVE_THERE,   /* there, size and digest verified (STAT: there) */
    HAVE_LINKED,  /* was hard-linked from the older mailbox id, size and digest verified */
    HAVE_DIFFERS, /* a different file is there and may not be replaced */
} AgentHave;

typedef enum AgentLook {
    LOOK_ABSENT,
    LOOK_THERE,
    LOOK_OLD_NAME,  /* by the name of very old stores, without a revision */
    LOOK_REVISION,  /* its content, under another revision */
    LOOK_ELSEWHERE, /* its content, on another volume */
} AgentLook;

/* A blob as its row tells it. */
typedef struct BlobRef {
    uint8_t volume;
    uint32_t mailbox, item, mod_content;
    uint64_t size; /* uncompressed */
    char digest[DIGEST_SIZE];
} BlobRef;

static inline void blob_ref_put(WireOut *out, const BlobRef *ref)
{
    wire_put_u8(out, ref->volume);
    wire_put_u32(out, ref->mailbox);
    wire_put_u32(out, ref->item);
    wire_put_u32(out, ref->mod_content);
    wire_put_u64(out, ref->size);
    wire_put_text(out, ref->digest);
}

static inline BlobRef blob_ref_get(WireIn *in)
{
    BlobRef ref;

    ref.volume = wire_u8(in);
    ref.mailbox = wire_u32(in);
    ref.item = wire_u32(in);
    ref.mod_content = wire_u32(in);
    ref.size = wire_u64(in);
    wire_text(in, ref.digest, sizeof ref.digest);
    return ref;
}

/* A volume as the database of its store describes it. */
typedef struct AgentVolumeInfo {
    uint8_t id, blobs; /* blobs: holds messages, not an index */
    uint8_t file_bits, file_group_bits, mailbox_bits, mailbox_group_bits;
    uint64_t compression_threshold;
    char path[WIRE_TEXT];
} AgentVolumeInfo;

static inline void agent_volume_put(WireOut *out, const AgentVolumeInfo *info)
{
    wire_put_u8(out, info->id);
    wire_put_u8(out, info->blobs);
    wire_put_u8(out, info->file_bits);
    wire_put_u8(out, info->file_group_bits);
    wire_put_u8(out, info->mailbox_bits);
    wire_put_u8(out, info->mailbox_group_bits);
    wire_put_u64(out, info->compression_threshold);
    wire_put_text(out, info->path);
}

static inline void agent_volume_get(WireIn *in, AgentVolumeInfo *info)
{
    info->id = wire_u8(in);
    info->blobs = wire_u8(in);
    info->file_bits = wire_u8(in);
    info->file_group_bits = wire_u8(in);
    info->mailbox_bits = wire_u8(in);
    info->mailbox_group_bits = wire_u8(in);
    info->compression_threshold = wire_u64(in);
    wire_text(in, info->path, sizeof info->path);
}

#endif
