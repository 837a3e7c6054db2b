/* core.h - what a verb asks of the mover; the only header of core (beside base/) that commands include.
 * No printing, no exit: facts go to the Events sink while they happen and into the Report at the end. */
#ifndef ZX_CORE_H
#define ZX_CORE_H

#include "conf/conf.h"
#include "core/base/name.h"
#include "core/base/wait.h"
#include "core/look/around.h"
#include <jansson.h>

typedef struct Core Core;
Core *core_open(const Conf *conf, GError **error) MUST_USE; /* borrows @conf; connects to nothing yet */
void core_close(Core *core);

typedef enum Stage { STAGE_BLOBS = 1, STAGE_BACKUP = 2, STAGE_ACCOUNT = 4 } Stage;

/* What the administrator asked for, already parsed and checked: the parameters of doMailboxMove. */
typedef struct MoveRequest {
    char *destination;
    char **accounts, **domains; /* either may be NULL */
    char *input_file;
    char *source_host;          /* only accounts that live there; NULL: any */
    char **exclude;             /* globs; NULL: nobody */
    char *order;                /* given, name, size_asc, size_desc, last_login */
    long max_accounts;          /* -1: any number */
    uint64_t max_bytes;         /* 0: any */
    bool strict;                /* an account that is skipped makes the result partial */
    char *batch_name, *comment; /* the administrator's words, NULL: none; a purge knows the name */
    bool dry_run;               /* a plan: look at everything, change nothing */
    unsigned stages;            /* of Stage */
    bool compress, check_digest, overwrite;
    char *verify;               /* how blobs are proved: size, digest (NULL), full */
    char *bandwidth;            /* pace.h; NULL: off */
    double max_load;            /* of a store: above it nothing is copied; 0: off */
    bool ignore_partial;        /* nothing that an earlier attempt recorded is believed */
    long bad_item_limit;        /* a mailbox with more is not cut over */
    bool accept_data_loss;      /* confirms a limit above 50 */
    long read_error_threshold;  /* unreadable blobs that end the operation; 0 or less: any number */
    unsigned threads;
    bool hsm, drop_network_backup;
    /* Instead of the configuration's for this operation; -1: that one. Times in ms. */
    long max_syncs, sync_finish_threshold, cutover_timeout, cutover_retries, min_free, separate_logs;
    long resync_interval;       /* s, while held */
    char *blob_destination_volume;
    char **notifications;
    bool hold;                  /* copies are kept up to date, and nobody moves before doCompleteMove */
    int64_t start_after, complete_after; /* Unix ms; -1: now */
    const char *command;        /* the line as typed, for mail and journal */
} MoveRequest;

typedef struct PurgeRequest {
    char *mailbox;       /* id, address, batch name, "all", "orphans" */
    const char *host;    /* only this store; NULL: every store's records */
    bool ignore_retention, dry_run, accept_data_loss;
    bool purge_orphan;   /* all: what nobody has a use for as well */
    long retention_days; /* -1: the configuration's */
    uint64_t max_delete_bytes; /* 0: any number */
    char **notifications;
    const char *command;
} PurgeRequest;

typedef struct RecoverRequest {
    char **accounts;
    char *operation; /* uuid or its unique prefix */
    bool dry_run, force;
    const char *command;
} RecoverRequest;

typedef struct RollbackRequest {
    char **accounts;
    char *operation; /* uuid or its unique prefix; else accounts */
    const char *host; /* only those that live on this store; NULL: any */
    unsigned threads;
    char *bandwidth;  /* pace.h; NULL: off */
    double max_load;  /* of a store; 0: off */
    bool dry_run;
    bool from_old_copy;    /* the present home is gone: to the old copy as it is */
    bool accept_data_loss; /* also where the way back gives something up */
    char **notifications;
    const char *command;
} RollbackRequest;

typedef enum Outcome {
    OUTCOME_MOVED, OUTCOME_STAGED, OUTCOME_SKIPPED, OUTCOME_FAILED, OUTCOME_IN_DOUBT,
    OUTCOME_PURGED, OUTCOME_KEPT,    /* purge */
    OUTCOME_FINISHED, OUTCOME_UNDONE, OUTCOME_EXPLAINED, /* recover */
    OUTCOME_PLANNED,                 /* a dry run: it can be tried */
    OUTCOME_NOT_REACHED,             /* the operation was stopped before it was this one's turn */
    OUTCOMES
} Outcome;

typedef struct StepTime { const char *name; double ms; } StepTime;

/* What mailboxd reads only when it starts: at the destination it sleeps until then. */
typedef enum Sleeper { SLEEPER_SEND, SLEEPER_REMINDER, SLEEPER_POLL, SLEEPER_GRANT, SLEEPERS } Sleeper;
typedef struct Sleeping {
    uint64_t count;
    char first[20];              /* "2026-03-01 08:00:00" by the store's clock: when the first is due; or "" */
} Sleeping;

/* What the servers say a move of a mailbox would have to do. */
typedef struct Forecast {
    uint64_t mailbox_bytes;      /* by its row */
    uint64_t rows;
    uint64_t blobs_there, bytes_there; /* at the destination already: staged, or in an older copy */
    uint64_t blobs_to_go, bytes_to_go; /* by the rows */
    double window_ms;            /* an estimate; 0: none */
} Forecast;

/* A file system of the destination; what shares one is added up. */
typedef struct DiskForecast {
    char *what;                  /* "volume message1, MariaDB's disk" */
    uint64_t need, free_bytes, total_bytes, keep; /* keep: min_free */
} DiskForecast;

/* An item whose blob is not at the destination as its row says. */
typedef struct BadItem {
    uint32_t item_id, mod_content;
    bool damaged_before;    /* at the source already: carried as it is, not counted */
    char *cause;
    char *folder, *subject; /* what a person knows it by; NULL: not known */
} BadItem;

typedef struct MailboxResult {
    char *address, *account_id;
    char *source, *destination;  /* service host names; purge: store and present home */
    uint32_t source_mailbox, destination_mailbox;
    Outcome outcome;
    bool unfinished;             /* moved, the user is in; a note says what is left for doRecover */
    char *reason;                /* SKIPPED, FAILED, IN_DOUBT, KEPT: why, and what to do; else NULL */
    ZxError code;                /* of a failure */
    const char *test;            /* the test of doCheck that it did not pass, where that is known */
    uint64_t rows, rows_window;  /* proved; changed inside the window */
    uint64_t blobs, bytes, blobs_copied, bytes_copied, blobs_linked;
    unsigned rounds;
    double window_ms;            /* 0: no window was opened */
    GArray *window_steps;        /* of StepTime, in order */
    Sleeping sleeping[SLEEPERS];
    GPtrArray *notes;            /* of char *: what to flush */
    GPtrArray *bad_items;        /* of BadItem */
    int64_t committed;           /* Unix ms, 0 if not */
    uint64_t bytes_freed;        /* purge */
    uint64_t backup_files, backup_bytes; /* that stage backup brought */
    Forecast *forecast;          /* PLANNED, of a mailbox that could be asked; else NULL */
} MailboxResult;

typedef struct Report {
    char operation[37];
    char *verb, *command, *who, *host;
    char *batch_name, *comment;  /* of a move; or NULL */
    int64_t started, ended;      /* Unix ms */
    GPtrArray *mailboxes;        /* of MailboxResult */
    GPtrArray *notes;            /* of char *: what is to be known of them all */
    GPtrArray *disks, *risks;    /* a plan: of DiskForecast; of char *: what may go wrong, or is not known */
    char *halted;                /* why the operation ended itself (too many errors); NULL: it did not */
    double row_us;               /* a plan: what a row costs in the window; 0: not measurable */
    char **notifications;        /* setOperation changed who gets it; NULL: nobody did */
    char *mail_problem;          /* the notification could not be sent: why */
    char *log_path, *report_path;
    char *mailbox_logs;          /* directory of the logs of single mailboxes, or NULL */
} Report;
void report_free(Report *report);
/* For whoever reads a report that was kept: with nothing in it; and a mailbox more, failed until it is
 * known better. */
Report *report_empty(void);
MailboxResult *report_add_mailbox(Report *report, const char *address, const char *account_id, const char *source, const char *destination);

/* Facts while they happen; progress may be dropped by a slow sink, the others not. */
typedef struct Event {
    enum { EVENT_SELECTED, EVENT_STATE, EVENT_PROGRESS, EVENT_NOTE, EVENT_MAILBOX_DONE } type;
    const char *operation;       /* its uuid */
    const char *account;         /* address, NULL for the operation */
    const char *text;            /* STATE: step name; PROGRESS: what is counted; NOTE: sentence */
    const char *cause;           /* STATE: why it is so, PROGRESS: what holds it up; or NULL */
    unsigned index, total;       /* which of the mailboxes; SELECTED: how many will be tried */
    bool listed;                 /* SELECTED: a store has a row of the operation */
    uint64_t done, expected, done_bytes, expected_bytes; /* PROGRESS; SELECTED: bytes of them all, 0: unknown */
    uint64_t mailbox_bytes;      /* STATE, MAILBOX_DONE: of this mailbox by its row, 0: unknown */
    const MailboxResult *result; /* MAILBOX_DONE; NULL: the verb's answer tells */
} Event;
typedef void EventSink(void *data, const Event *event);

/* Each answers a Report whenever the operation began (failures of single mailboxes are in it), and
 * NULL with an error when nothing could be begun. */
Report *core_move(Core *core, const MoveRequest *request, EventSink *sink, void *data, const Wait *wait, GError **error) MUST_USE;
Report *core_purge(Core *core, const PurgeRequest *request, EventSink *sink, void *data, const Wait *wait, GError **error) MUST_USE;
Report *core_rollback(Core *core, const RollbackRequest *request, EventSink *sink, void *data, const Wait *wait, GError **error) MUST_USE;
Report *core_recover(Core *core, const RecoverRequest *request, EventSink *sink, void *data, const Wait *wait, GError **error) MUST_USE;

/* Operations, each a process of its own, by the rows that the stores have of them; from any host. */
enum {
    OPERATIONS_GOING = 1,      /* not ended; also those that are lost */
    OPERATIONS_ENDED = 2,
    OPERATIONS_UNFINISHED = 4, /* only those that need somebody: lost, or not alive with an open window */
};
/* Of OperationLook, the newest first. @operation: a uuid or how it begins; NULL: all. */
Looked *core_operations(Core *core, const char *operation, unsigned which, const Wait *wait, GError **error) MUST_USE;
/* The one whose uuid begins so; NOT_FOUND, or USAGE if there are several. @operation NULL: the newest
 * that goes on. Of OperationLook, one. */
Looked *core_operation(Core *core, const char *operation, const Wait *wait, GError **error) MUST_USE;
/* The mailboxes of an operation by its uuid (of MailboxResult, in their order), for a report of it. */
GPtrArray *core_operation_mailboxes(Core *core, const OperationLook *operation, GError **error) MUST_USE;

/* Of an operation that ended early, or whose process died: this one is still to be tried. */
bool mailbox_is_left(const MailboxResult *mailbox);
/* It went wrong, or it was kept: its reason and code say why. */
bool mailbox_is_bad(const MailboxResult *mailbox);
/* Its code says something: it is bad, or was not reached. */
bool mailbox_has_code(const MailboxResult *mailbox);
/* "moved", "failed", "in doubt". */
const char *mailbox_outcome(Outcome outcome);
/* How a kind is called, and counted: "reminder", "reminders". */
const char *mailbox_sleeper(Sleeper kind, uint64_t count);
/* As reports and the journal keep it; the keys are in doc/json.md. */
json_t *mailbox_result_json(const MailboxResult *mailbox);
json_t *forecast_json(const Forecast *forecast);
/* Into a result that has nothing but its names; DATA if @object is none of mailbox_result_json. */
bool mailbox_result_read(MailboxResult *mailbox, const json_t *object, GError **error) MUST_USE;

typedef enum Want {
    WANT_GO,       /* on, after a pause */
    WANT_PAUSE,
    WANT_STOP,     /* the mailbox in its window is finished or undone first */
    WANT_COMPLETE, /* what is held goes through its window */
} Want;
/* Asks it of the operation; whether it is done shows in its state. @accounts: addresses or ids, of
 * WANT_COMPLETE; NULL: all. REFUSED if there is nobody to ask. */
bool core_want(Core *core, const OperationLook *operation, Want want, char **accounts, const char *comment, GError **error) MUST_USE;
/* Nobody is there any more: the row of one that is lost ends as interrupted. */
bool core_end_lost(Core *core, const OperationLook *operation, GError **error) MUST_USE;

/* What may be changed of an operation while it runs. */
typedef struct Limits {
    long threads;           /* -1: as it was begun */
    int64_t complete_after; /* Unix ms; -1: as it was begun */
    char **notifications;   /* NULL: as it was begun */
    char *bandwidth;        /* pace.h; NULL: as it was begun */
    double max_load;        /* -1: as it was begun; 0: off */
} Limits;
void limits_clear(Limits *limits);
/* @change NULL: only reads. *@now (limits_clear): what holds then. */
bool core_limits(Core *core, const OperationLook *operation, const Limits *change, Limits *now, GError **error) MUST_USE;

/* Tells @sink what the operation does until it has ended, is lost, or @wait is over (INTERRUPTED). The
 * results in its events live until core_close. Of OperationLook, one: how it stands then. */
Looked *core_watch(Core *core, const OperationLook *operation, EventSink *sink, void *data, const Wait *wait, GError **error) MUST_USE;

/* The operation that this Core begins next: under this uuid instead of one of its own; with @store as the
 * one that was begun under it before and has its row there (doResume). */
void core_begin_as(Core *core, const char *operation, const char *store);

/* Names that the servers have, for the Tab key: nothing is decided by them. */
typedef enum NameKind {
    NAME_STORE, NAME_ACCOUNT, NAME_DOMAIN,           /* of the directory */
    NAME_VOLUME, NAME_OPERATION, NAME_OLD_COPY,      /* of the store @host: for messages; its records */
} NameKind;
/* Those that begin with @prefix (of Name), at most @limit: whoever gets so many may not have got all.
 * Any thread may ask, beside everything else; connections are made for the question and closed. */
GPtrArray *core_names(Core *core, NameKind kind, const char *host, const char *prefix, unsigned limit, const Wait *wait, GError **error) MUST_USE;

/* Before a process ends by _exit while a thread is still in core_names: leaves nothing behind. */
void core_abandon(void);

/* Looking around (core/look): no lock is taken, nothing is written. @host NULL: every store. NULL only
 * when nothing could be asked; else what could not is in the answer. */
Looked *core_servers(Core *core, const char *host, const Wait *wait, GError **error) MUST_USE; /* of ServerLook */
/* The old copies that are still kept, of MovedMailbox. */
Looked *core_moved(Core *core, const char *host, const Wait *wait, GError **error) MUST_USE;
/* Of VolumeLook. @name NULL: all; @walk counts the files of each on its disk, which takes its time. */
Looked *core_volumes(Core *core, const char *name, bool walk, const char *host, const Wait *wait, GError **error) MUST_USE;

/* Of Whereabouts, by address, alias or id; NOT_FOUND for an address that nobody has. */
Looked *core_whereabouts(Core *core, char **accounts, const Wait *wait, GError **error) MUST_USE;
/* Of Trace: the one operation whose uuid begins so. */
Looked *core_trace(Core *core, const char *operation, const Wait *wait, GError **error) MUST_USE;

/* doVerify: old copies against the mailboxes in use. */
typedef enum VerifyMode { VERIFY_COUNTS, VERIFY_CHECKSUM, VERIFY_FULL } VerifyMode;
typedef struct VerifyRequest {
    char **accounts;
    char *operation; /* uuid or how it begins */
    VerifyMode mode;
    char *command;
} VerifyRequest;

typedef enum Mark {
    MARK_EQUAL,   /* = */
    MARK_OLD,     /* - only in the old copy */
    MARK_NEW,     /* + only in the mailbox in use */
    MARK_CHANGED, /* * in both and different */
    MARK_BAD,     /* ! damaged, unreadable, or in contradiction to something else */
    MARKS
} Mark;

/* A row, or a blob, that is not equal. */
typedef struct VerifyItem {
    Mark mark;
    bool alarm;                /* nothing explains it */
    const char *table;         /* "blob" for a file */
    const char *key;           /* its key within the mailbox */
    const char *folder, *name; /* what a person knows it by; or NULL */
    uint64_t size;
    int64_t date;              /* Unix s; 0: it has none */
    const char *reason;
    char *columns;             /* that differ: "flags, unread", or NULL */
} VerifyItem;

typedef struct VerifyTable {
    char *name;                   /* "blob": files, of mode full */
    uint64_t old_rows, new_rows;
    uint64_t marks[MARKS], alarms; /* mode counts marks nothing */
} VerifyTable;

/* One old copy. */
typedef struct VerifyCopy {
    char *account, *account_id;
    char *old_store, *new_store;
    char *operation, *state; /* of the record: kept, purging, stray, reused, purged */
    uint32_t old_mailbox, new_mailbox;
    int64_t moved_at;        /* Unix ms */
    bool compared;
    char *reason;            /* why it was not */
    ZxError code;
    GPtrArray *tables;       /* of VerifyTable */
    uint64_t marks[MARKS], alarms;
    GPtrArray *notes;        /* of char * */
} VerifyCopy;

typedef struct Verification {
    char operation[37]; /* of doVerify itself: its log */
    char *log_path;
    GPtrArray *copies;  /* of VerifyCopy */
    GPtrArray *notes;   /* of char *: stores that could not be asked for records */
} Verification;
void verification_free(Verification *verification);
/* Told of each item that is not equal, while it is found; false ends it. */
typedef bool VerifySink(void *data, const VerifyCopy *copy, const VerifyItem *item, GError **error);
/* Reads only; users may work on. NULL when nothing could be begun. */
Verification *core_verify(Core *core, const VerifyRequest *request, VerifySink *found, void *found_data, EventSink *sink, void *data, const Wait *wait, GError **error) MUST_USE;

typedef struct BlobsRequest {
    char **volumes;     /* names or ids; NULL: all */
    char **mailbox_ids; /* NULL: all */
    bool crosscheck, digests, traced;
} BlobsRequest;
/* Of StoreBlobs. Events are about stores, each as if it were one mailbox. */
Looked *core_check_blobs(Core *core, const BlobsRequest *request, const char *host, EventSink *sink, void *data, const Wait *wait, GError **error) MUST_USE;
Looked *core_nonlocal(Core *core, const char *host, const Wait *wait, GError **error) MUST_USE; /* of NonLocal */

/* Of ServiceLook; what does not run is no failure of asking. */
Looked *core_services(Core *core, const char *host, const Wait *wait, GError **error) MUST_USE;

/* First contact (core/check/trust.c): what servers show to prove who they are, and whether zxmove
 * believes it. */
typedef enum TrustState {
    TRUST_KNOWN,
    TRUST_NEW,
    TRUST_CHANGED,   /* another one was believed until now: .recorded */
    TRUST_UNFIT,     /* nobody should believe it: .problem */
    TRUST_UNREACHED, /* .problem */
    TRUST_STATES
} TrustState;
typedef struct Trust {
    char *server, *address;
    const char *kind;    /* "ssh host key", "SOAP certificate", "LDAP certificate" */
    TrustState state;
    char *what;          /* "ssh-ed25519"; of a certificate whose it is */
    char *fingerprint;   /* as @compare prints it */
    char *recorded;      /* CHANGED: what is believed now */
    char *compare;       /* the command that prints the fingerprint on the server itself */
    char *file;          /* where what is believed stands */
    char *problem;
    struct TrustShown *shown; /* core's own */
} Trust;
/* Of Trust: the LDAP master and every store, or only the one called @host. Nothing is written, and
 * nobody is logged in to. */
GPtrArray *core_trust(Core *core, const char *host, const Wait *wait, GError **error) MUST_USE;
/* What the file says by now of what the server showed. */
bool core_trust_again(Core *core, Trust *trust, GError **error) MUST_USE;
/* Believes it from now on; what was believed of that server before is not any more. */
bool core_trust_store(Core *core, Trust *trust, GError **error) MUST_USE;

/* doCheck (core/check): what a move stands on, each thing by itself. */
typedef enum CheckState { CHECK_OK, CHECK_WARN, CHECK_FAIL, CHECK_NOT_POSSIBLE, CHECK_STATES } CheckState;
typedef struct CheckTest {
    const char *name, *looks_at;
    const char *remedy;  /* of all that it may find; NULL: each finding says its own */
} CheckTest;
typedef struct CheckFinding {
    const CheckTest *test;
    CheckState state;
    char *subject;       /* a store, an account, both stores */
    char *text;
} CheckFinding;
typedef struct CheckReport {
    unsigned accounts;   /* that would be tried */
    unsigned skipped;    /* already there, excluded, .. */
    GPtrArray *findings; /* of CheckFinding, in the order of the tests */
} CheckReport;
/* Looks at everything, changes nothing. NULL only for what was asked wrongly: an account or a store
 * that is none. */
CheckReport *core_check(Core *core, const MoveRequest *request, const Wait *wait, GError **error) MUST_USE;
void check_report_free(CheckReport *report);
/* The @n-th test there is, NULL behind the last. */
const CheckTest *core_check_test(unsigned n);

/* Sends a mail; @attachment NULL: without one. */
bool core_mail(Core *core, char **to, const char *subject, const char *body, const char *attachment_name, const char *attachment, GError **error) MUST_USE;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Core, core_close)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Report, report_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CheckReport, check_report_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Verification, verification_free)

#endif
