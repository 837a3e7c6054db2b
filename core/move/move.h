/* move.h - one mailbox on its way, and the functions that take it there; private to core/move.
 *
 *   plan      what is selected, what is refused; changes nothing           plan.c, select.c
 *   fit       do two stores fit together; changes nothing                  fit.c
 *   forecast  what a move would have to do; changes nothing                forecast.c
 *   ready     what would fail every mailbox fails the operation            ready.c
 *   reserve   the id at the destination, by what its mailboxd knows        reserve.c
 *   batch     the mailboxes of a move, so many in flight; held, resumed    batch.c, crew.c, slots.c
 *   copy      rounds of blobs, rows and index while the user works         copy.c, items.c, tally.c
 *   backup    the account's entries in the backup of its store             backup.c
 *   clear     an older copy at the destination                             clear.c
 *   delete    an old copy, through mailboxd or behind its back             delete.c, shared.c
 *   window    fence, delta, prove                                          window.c
 *   commit    the one write, and what to do in doubt                       commit.c
 *   open      flush, late rows, status: the user is in again               open.c
 *   settle    other stores, routes, the moved-away record                  settle.c
 *   verify    an old copy against the mailbox in use                      verify.c, versus.c, marks.c
 *   undo      the way back before the commit                               undo.c
 *   turn      one window at a time, and who copies stands aside             turn.c
 *   machine   the table of steps that walks through all this               machine.c
 */
#ifndef ZX_MOVE_MOVE_H
#define ZX_MOVE_MOVE_H

#include "core/core.h"
#include "core/move/blobs.h"
#include "core/move/index.h"
#include "core/move/load.h"
#include "core/move/rows.h"
#include "core/ops/claim.h"
#include "core/ops/fence.h"
#include "core/ops/journal.h"
#include "core/ops/keeper.h"
#include "core/ops/limits.h"
#include "core/ops/result.h"
#include "core/zimbra/admin.h"
#include "core/zimbra/directory.h"
#include "core/zimbra/store.h"

/* What all lanes of an operation share and change. */
typedef struct Common {
    GMutex mutex;         /* of what follows, and of the notes in the report */
    GCond window_changed;
    bool window_taken;    /* one window at a time: the destination is the same for all */
    const ConfStore *window_stores[2]; /* where a user is out now; NULL: nobody is */
    unsigned ended;       /* mailboxes, for journal_mailbox */
    bool begun;           /* one was */
    GHashTable *sessions; /* store (lowercase) -> Ssh, for the next lane to share */
    Tally tally;          /* errors of all mailboxes together */
    Throttle throttle;    /* what they may copy together, but for windows */
    double max_load;      /* of a store, above which nothing is copied; 0: off */
    LoadWatch *load;
    int64_t pace_read;    /* monotonic us: when its limits were last asked for */
    GMutex space_mutex;   /* of the following; held while disks are asked */
    GPtrArray *coming; /* of Move: what has been let in by space_check and is still to be written */
    Board *board;         /* what the operation shows */
    const ConfStore *row; /* the store that has the operation's row; NULL: none has */
    Keeper *keeper;       /* of the row */
    Wait wait;            /* the caller's, with the orders that the keeper takes */
} Common;

/* An operation, or one of its lanes: mailboxes in flight at the same time have each its own connections
 * to directory and stores. What is not borrowed from the operation belongs to the lane. */
typedef struct Operation {
    const Conf *conf;
    const MoveRequest *request; /* NULL in recovery and purge; of a rollback without a destination */
    bool rolling_back;          /* who has moved on since it was selected stays there */
    bool looking;               /* a plan: nothing is made on any store */
    bool checking;              /* doCheck: as a plan, and nothing is estimated */
    char *again;                /* the store with its row, as another process began it (doResume); NULL: it is new */
    char uuid[37];
    Common *common;             /* borrowed by a lane, as are sizes, report and sink */
    Directory *directory;
    const GPtrArray *servers; /* of ServerInfo, borrowed from the directory */
    GHashTable *stores;       /* name (lowercase) -> Store, opened when first needed */
    char **client_memcached;  /* mailboxd's own servers, "host:port" */
    GHashTable *gone;         /* looking: name (lowercase) -> GError why it cannot be opened */
    GHashTable *silent;       /* store -> why it could not be reached (operation_reach) */
    GHashTable *bystanders;   /* store -> Bystander (settle.c); NULL: none was told anything yet */
    GHashTable *logins;       /* store -> GError why its mailboxd does not let us in; NULL: it does */
    GHashTable *sizes;        /* account id -> uint64_t *: what its row says; NULL: not asked */
    Report *report;
    EventSink *sink;
    void *sink_data;
    const Wait *wait;
} Operation;

/* @uuid NULL: a new one. */
bool operation_open(Operation *op, const Conf *conf, const char *uuid, const char *verb,
                    const char *command, EventSink *sink, void *data, const Wait *wait,
                    GError **error) MUST_USE;
void operation_close(Operation *op);
/* oplog.c: from now on log.h's lines are this operation's; the logs of old ones are thinned out. */
bool operation_log_open(Operation *op, GError **error) MUST_USE;
void operation_log_close(Operation *op);
/* Another lane of @op, for another thread. */
bool operation_lane(const Operation *op, Operation *lane, GError **error) MUST_USE;
void operation_lane_close(Operation *lane);
/* Its row on @store, with the mailboxes of the report, and a keeper that stands by it until operation_end
 * writes how it ended. Without a row operation_journal and operation_end do nothing. */
bool operation_begin(Operation *op, Store *store, GError **error) MUST_USE;
void operation_end(Operation *op, const char *state);
/* By its report: "done", "partial", ... */
const char *operation_end_state(const Operation *op);
/* How the mailbox at @place of the report ended, beside the row. What cannot be written is logged. */
void operation_journal(Operation *op, guint place);
/* A mailbox is begun: it waits for nobody any more. */
void operation_running(Operation *op);
/* One waits; the operation does so while none is begun. */
void operation_queued(Operation *op, const char *cause);
/* Between two items, never in a window: returns when nothing keeps it from going on (any more). True if
 * something did: it was "paused", or "throttled", of which @held_up is told with the cause (may be NULL).
 * @wait keeps alive what has to live through it. */
typedef void HeldUp(void *data, const char *state, const char *cause);
bool operation_gate(Operation *op, const Wait *wait, HeldUp *held_up, void *data);
/* Follows the limits that were set while it runs; asks once a second. */
void operation_pace(Operation *op);
/* Opened once, kept for the operation; an error names the store. */
Store *operation_store(Operation *op, const char *hostname, GError **error) MUST_USE;
/* Of one who looks: this store is known to be out of reach. Takes @why. */
void operation_gone(Operation *op, const char *hostname, GError *why);
/* The same of a store that may be down: it is tried once in an operation, so that its patience is not paid
 * for every mailbox. */
Store *operation_reach(Operation *op, const char *name, GError **error) MUST_USE;
/* Its mailboxd answers and lets us in: asked once in an operation, too. */
bool operation_login(Operation *op, Store *store, GError **error) MUST_USE;
/* The same with whatever can be opened of it (store_open_rest), for recovery. */
Store *operation_store_rest(Operation *op, const char *hostname, char **missing,
                            GError **error) MUST_USE;
/* The mailbox at the @i-th of @places (of guint) of the report. */
MailboxResult *operation_result(const Operation *op, const GArray *places, guint i);
/* A new line of the report, failed until it is known better. */
MailboxResult *operation_add_result(Operation *op, const char *address, const char *account_id,
                                    const char *source, const char *destination);
void operation_emit(Operation *op, const Event *event);
/* Tells how a mailbox ended, the @index-th of @total. */
void operation_done(Operation *op, const MailboxResult *result, unsigned index, unsigned total);
/* Bytes of an account's mailbox for progress; 0 if unknown. */
uint64_t operation_size(const Operation *op, const char *account_id);
/* What is to be known of all its mailboxes; said once. */
void operation_note(Operation *op, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* How long a change of status whose answer did not come may still land: a server that works on it
 * has it done long before. */
#define STATUS_GRACE_US (15 * G_USEC_PER_SEC)
/* The same of a lock-out, beyond the time for which the server waits for the write lock (5.2). */
#define LOCK_GRACE_S 15

/* How long an account stays where a commit in doubt led it: so long the unanswered request, if it lands
 * at all, finds it there. */
#define DOUBT_S (15 * 60)

typedef struct Ahead Ahead; /* ahead.h */

/* What is at the destination when the move begins, and so what to do about it (the table of
 * doc/architecture.md, "a store that knew the account"). */
typedef enum OldCopy {
    OLD_NONE,        /* nothing there */
    OLD_ROWS,        /* not mapped, rows of ours: removed by us in clear */
    OLD_LOCKED,      /* still locked by us: hard links, then purged through mailboxd in clear */
    OLD_CACHED,      /* object cached, not locked: DeleteMailbox in clear */
    OLD_REUSE_ROWS,  /* the recorded id again, rows are there: brought up to date in place */
    OLD_REUSE_EMPTY, /* the recorded id again, nothing is there */
} OldCopy;

/* What a mailbox will still write, as far as space.c counted on it. */
enum { COMING_BLOBS, COMING_INDEX, COMING_ROWS, COMING };
typedef struct Coming {
    uint64_t device, bytes;
    uint64_t written; /* of these; set by its lane, read by others */
} Coming;

typedef struct Move {
    Operation *op;
    Account *account;
    Store *source, *target;
    MailboxResult *result; /* in the report */
    unsigned index, total; /* for events */

    Claim claim;
    unsigned slots[2]; /* places in flight on source and target; 0: none */
    Wait wait;               /* the operation's; keeps the claim young while something takes its time */
    uint32_t source_mailbox; /* 0: the account has no mailbox */
    unsigned source_group;
    uint32_t target_mailbox;
    unsigned target_group;
    const Volume *blob_volume; /* at the destination */
    unsigned index_volume;
    unsigned source_index_volume;
    OldCopy old_copy;
    uint32_t old_mailbox; /* id of the older copy there; 0 if none */
    unsigned old_group;   /* its group, by the record */
    unsigned stages;      /* of Stage */
    bool window_soon;     /* stages has account */
    bool window_ours;     /* of the operation's windows, it is this mailbox's turn */

    Catalogue *catalogue;
    Ahead *ahead;       /* of the last round; NULL: the window compares every blob */
    bool ahead_holds;   /* right before the window */
    GPtrArray *trouble; /* of BlobTrouble, of the last round */
    unsigned bad_item_limit;
    bool bad_recorded; /* zxmove.bad_item has some of this account */
    Fence *fence;       /* from `fence` on */
    RowsMaxima proven;  /* what the source showed when it was proven */
    uint64_t blob_bytes, blob_count;

    Coming coming[COMING]; /* to the destination's disks, in the first round */
    int64_t coming_told; /* monotonic us: when other operations last were; 0: they know of nothing */
    bool blobs_proved;  /* by the last delta, of the snapshot now open */
    bool orphans_asked; /* by the last delta: the answer is still to be read from target->data */
    /* How far the window got, for undo. */
    bool status_written, lock_tried, lock_ours, row_inserted, in_doubt, committed;
    bool doubted; /* a commit was sent and not answered: it may land whatever came of the others */
    /* Monotonic us: until then what was sent without an answer may land; 0: nothing was. */
    int64_t status_doubt_until, lock_doubt_until;
    int64_t late_until; /* the same of what the undo sent */
    bool let_in; /* the status is not the maintenance we set any more */
    int64_t window_began, window_ended;
    int64_t committed_at; /* monotonic us */
    int64_t working_since; /* monotonic us: how long it may stand aside (turn.c) */
} Move;

/* batch.c */
/* All mailboxes of op->request, from selection to the last one's end, into the report. */
bool batch_run(Operation *op, GError **error) MUST_USE;
/* What the journal has of an operation that is begun again, into the report: the places (of guint) of
 * those that are still to be tried. */
GArray *batch_take_up(Operation *op, GError **error) MUST_USE;
/* Places of those of the report that nothing is decided of. */
GArray *batch_undecided(const Operation *op);
/* The mailboxes at @places, each to its destination; those that are decided meanwhile (by a reason) are not
 * tried. */
bool batch_go(Operation *op, GArray *places, GError **error) MUST_USE;

/* ready.c */
/* Of the mailboxes at @places those whose stores do not answer, or do not let us in, fail at once; of an
 * operation that is new they are dropped from @places. False if that is all of them, or if there is no such
 * volume as was asked for. */
bool ready_all(Operation *op, GArray *places, GError **error) MUST_USE;
/* The destination has the volume that was asked for. */
bool ready_volume(Operation *op, GError **error) MUST_USE;

/* crew.c */
typedef struct CrewJob {
    const GArray *places; /* of guint: which of the report's mailboxes, in this order */
    const GArray *all;    /* all that the operation tries: by their place there events number them */
    bool account;         /* with stage account; else only what goes before it */
    bool last;            /* how it ends is how the mailbox ends; false: it is held */
} CrewJob;
/* So many at a time as threads says, which setOperation may change meanwhile. What it did not come to is
 * NOT_REACHED. */
void crew_run(Operation *op, const CrewJob *job);
/* Of an operation that is begun again: one that was skipped, because a recovery has finished what the
 * process before us had begun, counts as moved by it. */
void crew_count_moved(Operation *lane, MailboxResult *result);

/* plan.c */
/* Fills report->mailboxes with what is selected, one result each; those that are skipped or refused
 * are marked, the rest is returned (of Account, owned by the array). An unknown name is an error.
 */
GPtrArray *plan_select(Operation *op, GError **error) MUST_USE;
/* Can it be tried, as the directory shows it now? If not, @result says why. */
bool plan_may_go(Operation *op, const Account *account, MailboxResult *result);
/* What the stores' rows say that the mailboxes at @places of the report hold, all together. A guess
 * for progress: a store that does not answer adds nothing. */
uint64_t plan_sizes(Operation *op, const GArray *places);

/* fit.c */
/* Everything that must hold between two stores before any mailbox moves between them (2.9, hazards
 * 29, 71, 72): all of the following. */
bool plan_check_stores(Operation *op, Store *source, Store *target, GError **error) MUST_USE;
bool fit_destination(const Operation *op, const char *name, GError **error) MUST_USE;
bool fit_version(const Store *source, const Store *target, GError **error) MUST_USE;
bool fit_layout(const Operation *op, const Store *store, GError **error) MUST_USE;
bool fit_time_zone(const Store *source, const Store *target, GError **error) MUST_USE;
bool fit_groups(const Store *store, GError **error) MUST_USE;
bool fit_clocks(Store *source, Store *target, GError **error) MUST_USE;
bool fit_ids(const Store *store, GError **error) MUST_USE; /* new ones are free */
/* Not among them: of an account, no mover of Network Edition's is at work on it there (8). */
bool fit_alone(Store *store, const Account *account, const Wait *wait, GError **error) MUST_USE;
/* Nor: another kind or version of index cannot be copied, and is rebuilt (4). */
bool fit_index(const Store *source, const Store *target);

/* machine.c */
/* Runs all steps asked for. Never fails as a function: the outcome is in move->result. */
void move_run(Move *move);
/* Takes @account. */
Move *move_new(Operation *op, Account *account, Store *source, Store *target,
               MailboxResult *result);
void move_free(Move *move);
/* Tells what is done with the mailbox now, and with @cause why. */
void move_state(Move *move, const char *state, const char *cause);
/* operation_gate and turn_stand_aside, between two items of this mailbox. */
bool move_gate(Move *move);
/* Times a part of the window under the step now running. */
void move_timed(Move *move, const char *name, int64_t since);
bool move_begin_claims(Move *move, GError **error) MUST_USE;
/* An account with an unfinished window is refused to everybody but doRecover. */
bool move_nothing_unfinished(Store *store, const Account *account, GError **error) MUST_USE;
/* A commit that was never answered may still land, and would bring the account back from where it goes
 * now: to an old copy. CONFLICT as long as it may (DOUBT_S), by what its home @store says. */
bool move_nothing_late(Store *store, const Account *account, GError **error) MUST_USE;
void move_note(Move *move, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* slots.c */
bool slots_wait(Move *move, GError **error) MUST_USE;
void slots_release(Move *move);
/* After the connection to @store was opened anew: its place there went with the old one. */
void slots_again(Move *move, Store *store);

/* turn.c */
/* Waits for the window of @move; a copy that has waited for long is brought up to date. */
bool turn_take(Move *move, GError **error) MUST_USE;
/* From here on a user is out. */
void turn_begin(Move *move);
/* Whatever became of it; nothing without a turn. */
void turn_leave(Move *move);
/* Between two pieces of copying: while another mailbox of these stores is in its window, and bounded, however
 * many follow each other. A stop ends it. */
void turn_stand_aside(Move *move);

/* insist.c */
typedef bool MovePart(Move *move, GError **error);
bool move_insist(Move *move, const char *name, MovePart *part, const Wait *wait,
                 GError **error) MUST_USE;
/* Opens what broke on one store and takes the account's lock there again. */
bool move_reconnect(Move *move, Store *store, GError **error) MUST_USE;

/* Steps: true, or an error. Safe to run twice. */
bool reserve_apply(Move *move, GError **error) MUST_USE;
bool copy_rounds(Move *move, GError **error) MUST_USE;
bool backup_apply(Move *move, GError **error) MUST_USE;
bool clear_apply(Move *move, GError **error) MUST_USE;
/* REFUSED if the older copy holds what may be nowhere else. */
bool clear_allowed(Move *move, GError **error) MUST_USE;
bool fence_apply(Move *move, GError **error) MUST_USE;
bool delta_apply(Move *move, GError **error) MUST_USE;
/* Of a delta that no proof follows: target->data is free again. */
void delta_abandon(Move *move);
bool prove_apply(Move *move, GError **error) MUST_USE;
/* Content, lock and checkpoints once more, without touching the fence; delta_apply comes before it.
 */
bool prove_content(Move *move, GError **error) MUST_USE;
/* Waits for the answer whatever the user or the clock say: an abandoned start locks the mailbox
 * later (5.2). */
bool lock_out(Move *move, GError **error) MUST_USE;
/* Resumes a commit another process left in doubt. */
bool commit_in_doubt(Move *move, GError **error) MUST_USE;
bool commit_apply(Move *move, GError **error) MUST_USE;
bool open_apply(Move *move, GError **error) MUST_USE;
bool settle_apply(Move *move, GError **error) MUST_USE;
/* Account caches of the stores, but for @except (may be NULL); what fails becomes a note. */
void settle_tell_others(Move *move, const char *except);

/* settle.c: delayed sends, reminders and polling sleep until the destination's mailboxd restarts
 * (5.6). */
bool sleepers_count(Db *db, uint32_t mailbox, Sleeping counts[SLEEPERS], GError **error) MUST_USE;

/* appeared.c: an account without a mailbox that gets one (hazard 67). */
/* The second look, just before the commit: CHANGED if there is one. */
bool appeared_not_yet(Move *move, GError **error) MUST_USE;
/* The third look, after the commit: one that is there is moved like any other. */
bool appeared_move(Move *move, GError **error) MUST_USE;

/* copy.c */
BlobsJob copy_blobs_job(Move *move, bool window);
IndexJob copy_index_job(Move *move, bool window);
RowsMap copy_rows_map(const Move *move);
bool copy_one_round(Move *move, uint64_t *changed, GError **error) MUST_USE;
/* After the last round: what the window need not ask again. */
bool copy_look_ahead(Move *move, GError **error) MUST_USE;

/* items.c */
/* DATA if the mailbox has more bad items than it may, or one that is never accepted. */
bool items_gate(Move *move, GError **error) MUST_USE;
/* zxmove.bad_item at the destination: emptied before the first round, written with the rows of the
 * window, counted for the old copy's record. */
bool items_forget(Move *move, GError **error) MUST_USE;
bool items_record(Move *move, GError **error) MUST_USE;
bool items_recorded(Move *move, unsigned *count, GError **error) MUST_USE;
/* The trouble of a mailbox from what was recorded of it. */
bool items_restore(Move *move, GError **error) MUST_USE;
/* Into the report. */
void items_list(Move *move);

/* backup.c: says that there is a backup that the stages leave alone. */
void backup_not_asked_for(Move *move);

/* forecast.c: what it would take to move @accounts (of Account, borrowed), into their results; the
 * disks and the risks into the report. Reads only. */
bool forecast_all(Operation *op, const GPtrArray *accounts, GError **error) MUST_USE;

/* reserve.c: the volume of @store that is asked for by blob_destination_volume (NULL: its current
 * one). */
const Volume *reserve_choose_volume(const Store *store, const char *wanted,
                                    GError **error) MUST_USE;
/* Of account, target, wait and source_mailbox alone: whether what the destination knows of the
 * account is explained. Nothing is reserved. */
bool reserve_explained(Move *move, const char **probe, GError **error) MUST_USE;
/* The number of the fullest group the store has. */
bool reserve_model_group(Db *db, unsigned *group, GError **error) MUST_USE;
/* Nothing lies under the id that the next mailbox there will get. */
bool reserve_next_empty(Store *store, GError **error) MUST_USE;

/* space.c: what is still to come fits on the destination's three disks, beside what others in
 * flight will write, and min_free remains on each (hazard 59). Waits for others where it may fit
 * when they are done. */
bool space_check(Move *move, GError **error) MUST_USE;
/* So much of it is written; or all that was to come, of one kind; or of all, whatever became of it.
 */
void space_written(Move *move, int kind, uint64_t bytes);
void space_arrived(Move *move, int kind);
void space_forget(Move *move);
typedef struct SpaceMailbox {
    Store *store;
    uint32_t mailbox; /* 0: none */
    unsigned group, index_volume;
} SpaceMailbox;
/* Bytes still to come, estimated: of the index; of rows. */
bool space_of_index(const SpaceMailbox *source, const SpaceMailbox *target, uint64_t *bytes,
                    GError **error) MUST_USE;
bool space_of_rows(const SpaceMailbox *source, const SpaceMailbox *target, uint64_t *bytes,
                   GError **error) MUST_USE;
/* The disk that @store's MariaDB writes to. */
bool space_database(Store *store, PeerSpace *out, GError **error) MUST_USE;

/* mailbox_row.c: the zimbra.mailbox row, translated column by column (2.1, 2.5). */
/* mailbox.version must not be higher than any the destination has (2.9). */
bool mailbox_row_version_fits(Move *move, GError **error) MUST_USE;
bool mailbox_row_write(Move *move, GError **error) MUST_USE;
bool mailbox_row_prove(Move *move, bool *equal, char **difference, GError **error) MUST_USE;
bool mailbox_row_delete(Store *store, const char *account_id, uint32_t mailbox_id,
                        GError **error) MUST_USE;
/* id, group and index volume of the account's mailbox on a store; *id = 0 if it has none. */
bool mailbox_row_find(Db *db, const char *account_id, uint32_t *id, unsigned *group,
                      unsigned *index_volume, GError **error) MUST_USE;

/* maxima.c */
bool maxima_equal(const RowsMaxima *a, const RowsMaxima *b);
char *maxima_text(const RowsMaxima *maxima);
bool maxima_parse(const char *text, RowsMaxima *out);

/* late.c: pending_acl_push and scheduled_task (5.6). */
bool late_read(Move *move, GError **error) MUST_USE;
bool late_insert(Move *move, GError **error) MUST_USE;
bool late_forget(Move *move, GError **error) MUST_USE;

/* caches.c */
/* Waits for the LDAP servers of @store's own ldap_url to have what the master has now (5.5). */
bool caches_replicas_in_step(Move *move, Store *store, const Wait *wait, GError **error) MUST_USE;
/* Waits for the LDAP servers of @store to show @attribute = @value, flushes it and looks. */
bool caches_flush_store(Move *move, Store *store, const char *status, const char *host,
                        const Wait *wait, GError **error) MUST_USE;
/* This account's zm* keys on mailboxd's memcached servers; a server that refuses the connection has
 * lost its memory with its process and is only noted. */
bool caches_drop_mailboxd_keys(Move *move, GError **error) MUST_USE;
/* Route keys on every memcached; problems become notes that say what to delete where. */
void caches_drop_routes(Move *move);

/* undo.c */
/* Ends the lock-out at @store, and sees that it is gone. */
bool lock_end(Move *move, Store *store, GError **error) MUST_USE;
/* Leads back: lock released, status restored, rows invisible. An undo that could not be completed
 * says so in
 * @error and leaves the fence unfinished for doRecover. */
bool undo_window(Move *move, GError **error) MUST_USE;

/* verify.c: the old copies that @request names against the mailboxes in use. */
void verify_copy_free(void *copy);
bool verify_run(Operation *op, const VerifyRequest *request, VerifySink *found, void *found_data,
                Verification *verification, GError **error) MUST_USE;

/* purge.c, recover.c */
bool purge_run(Operation *op, const PurgeRequest *request, GError **error) MUST_USE;
bool recover_run(Operation *op, const RecoverRequest *request, GError **error) MUST_USE;
/* Reads what comparing and copying again needs, unless it is known; for a move restored from its
 * record. */
bool recover_copying(Move *move, GError **error) MUST_USE;

/* shared.c: finds out which volumes of @store are another store's as well; each deletion of files
 * demands it. CONNECT if a mailbox server of the directory cannot be asked. */
bool shared_find(Operation *op, Store *store, GError **error) MUST_USE;

/* delete.c, used by purge and clear; files on shared volumes stay. @claim is that on the account; it is
 * kept young however long a deletion takes. */
typedef struct Deletion {
    Operation *op;
    const char *address; /* of the account, for progress */
    Claim *claim;
    Store *store;
    uint32_t mailbox;
    unsigned group;
    uint64_t expected_bytes; /* 0: unknown */
    uint64_t files, bytes;   /* gone so far */
} Deletion;
/* REFUSED if the old copy is not what its record's @fingerprints say. */
bool delete_unchanged(Store *store, uint32_t mailbox_id, unsigned group, const char *fingerprints,
                      GError **error) MUST_USE;
/* REFUSED with a shared volume: mailboxd deletes files on all of them. */
bool delete_allowed(const Store *store, uint32_t mailbox_id, GError **error) MUST_USE;
/* Deletes an old copy through mailboxd (5.4) and verifies that nothing is left of it. */
bool delete_through_mailboxd(Deletion *deletion, bool locked, GError **error) MUST_USE;
/* Rows and files of an id that mailboxd has not in memory. */
bool delete_behind(Deletion *deletion, GError **error) MUST_USE;
/* Of an id that is used again: what the older copy has and no move brings, files on other volumes
 * than @blobs and @index among it. */
bool delete_remains(Deletion *deletion, unsigned blobs, unsigned index, GError **error) MUST_USE;

#endif
