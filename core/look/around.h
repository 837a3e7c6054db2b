/* around.h - what there is to see when one looks around; the part of core.h that says so. Numbers
 * that could not be found out are UNKNOWN; texts NULL. */
#ifndef ZX_LOOK_AROUND_H
#define ZX_LOOK_AROUND_H

#include "core/base/error.h"
#include <stdint.h>

#define UNKNOWN (-1)

/* A server, or a part of it, that could not be asked. */
typedef struct Unreached {
    char *server, *part, *reason;
    ZxError code;
} Unreached;

typedef struct Looked {
    GPtrArray *items;     /* of what was asked for */
    GPtrArray *unreached; /* of Unreached */
    bool answered;        /* by some store at least, if only that it has nothing */
} Looked;
void looked_free(Looked *looked);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Looked, looked_free)

/* A mailbox server of the directory, or a store of the configuration. */
typedef struct ServerLook {
    char *name;
    bool in_directory, configured;
    bool reachable;            /* database, agent and SOAP answer */
    char *version;             /* of the server software */
    int64_t db_version;        /* of the database's tables */
    int64_t accounts;          /* whose home it is by the directory */
    int64_t mailboxes, bytes;  /* by the rows of its database */
    int64_t volume_free, volume_total; /* of the volume for new messages */
    int64_t old_copies, old_bytes;     /* of mailboxes that moved away */
    int64_t arriving;                  /* mailboxes that are partly copied here */
    int64_t windows_out, windows_in;   /* unfinished windows from here, to here */
} ServerLook;

/* An old copy that a move left behind. */
typedef struct MovedMailbox {
    char *store, *account_id, *address, *moved_to, *operation, *state;
    char *batch_name; /* or NULL */
    uint32_t mailbox_id, new_mailbox;
    int64_t moved_at, purge_after; /* Unix ms */
    uint64_t bytes;
    unsigned bad_items;
} MovedMailbox;

typedef struct VolumeLook {
    char *store, *name, *path;
    const char *type; /* primary, secondary, index */
    unsigned id;
    bool external; /* not of files: space and contents are not ours to know */
    bool compressed, current;
    uint64_t threshold;
    int64_t free, total;
    int64_t size, blobs; /* of its files, counted on the disk on request */
} VolumeLook;

/* What zxmove needs to work. */
typedef struct ServiceLook {
    char *name, *address;
    bool running;                  /* something answers there */
    bool could_start;              /* and zxmove can work with it */
    char *could_not_start_because; /* NULL: it can */
} ServiceLook;

typedef struct CopyLook {
    unsigned mailbox_id, new_mailbox;
    char *moved_to, *operation, *state;
    char *left_on; /* it lies on that store, which was gone when it was left behind; NULL: here */
    int64_t moved_at, purge_after; /* Unix ms */
} CopyLook;

/* What one store says of an account. */
typedef struct StoreView {
    char *store;
    bool asked;            /* its database answered: what follows is known */
    int64_t mailbox_id;    /* 0: no mailbox row */
    int64_t bytes;
    int64_t reserved;      /* an id for a mailbox that is being copied here; 0: none */
    char *mailboxd;        /* what its mailboxd answers when asked for the mailbox; NULL: nothing */
    bool mailboxd_locked;
    char *window_state, *window_operation, *window_from, *window_to; /* NULL: no unfinished window */
    int64_t window_since;
    char *claim_operation, *claim_host; /* NULL: nobody claims to work on it */
    unsigned claim_pid;
    bool claim_expired, claim_locked; /* its lease is over; its connection lives */
    GPtrArray *copies;                /* of CopyLook, those that are still kept */
    int64_t last_moved;               /* when one left here last; 0: never */
    char *last_moved_to, *last_operation;
} StoreView;

typedef struct RouteView {
    char *server;
    int64_t routes, caches; /* keys of the proxy and of mailboxd that name the account */
    char *points_to;        /* where the routes lead; NULL: none there */
} RouteView;

/* Where an account is, in every place that says so. */
typedef struct Whereabouts {
    char *account, *account_id; /* the id: NULL if nobody knows it */
    bool in_directory;
    char *home, *transport, *status, *mail_status, *domain_status;
    bool transport_fits;
    GPtrArray *stores; /* of StoreView */
    GPtrArray *routes; /* of RouteView */
    char *verdict;
} Whereabouts;

/* An operation, by what stores recorded of it. */
typedef struct TraceAccount {
    char *store, *account, *account_id, *record, *state;
    int64_t since;
} TraceAccount;
typedef struct Trace {
    char *operation, *store, *verb, *command, *host, *who, *state, *verdict;
    unsigned pid;
    int64_t started, ended;
    GPtrArray *accounts; /* of TraceAccount */
} Trace;

/* An operation, by its row. */
typedef struct OperationLook {
    char *operation, *store, *verb, *command, *host, *who;
    char *state; /* queued, running, paused, held; done, partial, failed, stopped, removed, interrupted;
                    lost: it has not ended, and gives no sign of life */
    char *cause;                    /* what it waits for, or NULL */
    char *batch_name, *comment;     /* or NULL */
    char *result;                   /* of one that ended, or NULL */
    char *wanted, *wanted_by;       /* "stop", what is asked of it, and by whom; or NULL */
    char *halted;                   /* why it ended itself, or NULL */
    GPtrArray *notes; /* of char *: of one that ended, what is to be known of all its mailboxes */
    unsigned pid;
    char *process; /* self.h; or NULL */
    bool ended_yet;
    int64_t started, ended;         /* Unix ms */
    int64_t silent_ms;              /* since its last sign of life, by the store's clock */
    unsigned mailboxes, done, failed; /* those that were to be tried */
    uint64_t bytes, bytes_done;     /* by their rows; 0: unknown */
    unsigned windows;               /* of its accounts, that are unfinished by the stores' records */
} OperationLook;

/* A mailbox on a store that is not its account's home. */
typedef struct NonLocal {
    char *store, *account, *account_id, *home;
    const char *reason; /* moved, partial, orphan, unknown */
    char *because;
    unsigned mailbox_id;
    int64_t bytes;
} NonLocal;

/* What may be wrong with a blob. */
typedef enum BlobFault {
    BLOB_MISSING,
    BLOB_ELSEWHERE,  /* on another volume than its row says */
    BLOB_NAME,       /* under another name: another revision's, or the old one without */
    BLOB_SIZE,       /* its content is not as long as its row says */
    BLOB_CONTENT,    /* its digest is not that of its row */
    BLOB_UNREADABLE,
    BLOB_VOLUME,     /* its row names no volume of files of this store */
    BLOB_UNEXPECTED, /* a file that no row calls for */
    BLOB_FAULTS
} BlobFault;

typedef struct BlobFinding {
    BlobFault fault;
    unsigned volume; /* by the row; of an unexpected file where it lies; 0: none */
    unsigned mailbox;
    uint32_t item, mod_content;
    uint64_t size, found_size; /* uncompressed: by the row, by the file; unexpected: of the file */
    const char *digest;        /* of the row, "" if none */
    const char *file;          /* below the volume's root, or NULL */
    const char *detail;        /* in words, or NULL */
} BlobFinding;

typedef struct InspectCount {
    uint64_t blobs, bytes;     /* that rows call for, looked at; uncompressed */
    uint64_t external;         /* on volumes that hold no files: not looked at */
    uint64_t files;            /* found by walking */
    uint64_t faults[BLOB_FAULTS];
} InspectCount;

/* A BlobFinding that is kept. */
typedef struct BlobTrace {
    BlobFault fault;
    unsigned volume, mailbox;
    uint32_t item, mod_content;
    uint64_t size, found_size;
    char *file, *detail;
} BlobTrace;

/* Of a mailbox directory whose number no mailbox has. */
typedef struct HomelessLook {
    unsigned volume, mailbox;
    uint64_t files, bytes;
} HomelessLook;

typedef struct MailboxBlobs {
    unsigned mailbox;
    char *account; /* as its row calls it */
    InspectCount count;
} MailboxBlobs;

/* The blobs of a store against its rows. */
typedef struct StoreBlobs {
    char *store;
    unsigned checked; /* mailboxes */
    InspectCount count;
    GPtrArray *volumes;   /* of VolumeBlobs */
    GPtrArray *found;     /* of BlobTrace: the first ones */
    uint64_t found_more;  /* not kept */
    GArray *homeless;     /* of HomelessLook */
    GPtrArray *mailboxes; /* of MailboxBlobs, if they were asked for */
} StoreBlobs;

typedef struct VolumeBlobs {
    unsigned id;
    char *name, *path;
    uint64_t faults[BLOB_FAULTS];
} VolumeBlobs;

#endif
