/* rows.h - copies, compares and removes the rows of one mailbox between two stores (doc/platform.md 2).
 *
 * One mechanism serves the first copy, every round, the last difference in the window and the proof:
 * a table is cut into buckets; each side answers one line a bucket (rows, rows with a fingerprint, the
 * sums of two 64-bit parts of the fingerprints); only buckets that differ are looked at row by row,
 * and only rows that differ travel. Both servers work at the same time. Memory is bounded by the
 * bucket batch, not by the mailbox.
 *
 * Tables, columns and keys come from both catalogues at run time; what is done with each known table
 * is one row of the policy table in policy.c. An unknown table with a mailbox_id column, or a column
 * difference that 2.9 does not allow, stops catalogue_read by name. */
#ifndef ZX_MOVE_ROWS_H
#define ZX_MOVE_ROWS_H

#include "core/base/wait.h"
#include "core/net/db.h"

/* When a table travels. */
typedef enum RowsPhase {
    ROWS_AHEAD,  /* any time: rounds, and again in the window */
    ROWS_WINDOW, /* only inside the window: unique keys that ignore mailbox_id (pop3_message, zmg_devices) */
    ROWS_LATE,   /* scheduled_task, pending_acl_push: through late.c, never by rows_sync */
    ROWS_SKIP,   /* stays with its store */
} RowsPhase;

typedef struct Catalogue Catalogue;

/* What both stores have, joined with the policies. @source_group and @target_group: group schema numbers.
 * REFUSED names the table or column in the way; for columns missing at the target, the source's rows
 * of this mailbox are asked whether they hold anything but the default. */
Catalogue *catalogue_read(Db *source, Db *target, unsigned source_group, unsigned target_group,
                          uint32_t source_mailbox, GError **error) MUST_USE;
void catalogue_free(Catalogue *catalogue);

/* Where a mailbox's rows go: ids and the columns that are translated. */
typedef struct RowsMap {
    uint32_t source_mailbox, target_mailbox;
    unsigned target_blob_volume; /* locator of every row that has a blob */
} RowsMap;

typedef struct RowsCount {
    uint64_t rows;      /* rows of the mailbox at the source, all tables of this call */
    uint64_t inserted, deleted; /* what was changed at the target; a replaced row counts in both */
    uint64_t buckets, buckets_differing;
} RowsCount;

/* How the rows that call for blobs looked at the source, by buckets (ahead.h). */
typedef struct BlobRows BlobRows;

typedef void RowsProgress(void *data, const char *table, const RowsCount *so_far);

/* Makes the target's rows of these phases equal to the source's. The source is read inside the
 * transaction the caller has open there (a snapshot); changes at the target are committed table by
 * table, session foreign_key_checks off. @window false: ROWS_AHEAD only; true: both, and every
 * changed bucket is read again on both sides after the change, so that a true return is the proof
 * that every bucket of every table was equal while the lock was held. @blob_rows (NULL outside a
 * window, and where nobody asks) is what the snapshot said of the rows with blobs. */
bool rows_sync(const Catalogue *catalogue, Db *source, Db *target, const RowsMap *map, bool window,
               RowsProgress *progress, void *data, const Wait *wait, RowsCount *count,
               BlobRows **blob_rows, GError **error) MUST_USE;

/* Compares only. True and *equal = false with the first difference named in *difference (g_free). */
bool rows_compare(const Catalogue *catalogue, Db *source, Db *target, const RowsMap *map, bool *equal,
                  char **difference, RowsCount *count, const Wait *wait, GError **error) MUST_USE;

/* What a mailbox holds on one store, as a JSON object {"table": "rows:sum:sum", ..}: what the moved-away
 * record keeps, to show weeks later that the old copy was not written to. Tables and columns that are
 * written without the mailbox's lock (2.7 E) are left out: policy.c says which, and why. */
char *rows_fingerprints_alone(Db *db, unsigned group, uint32_t mailbox, GError **error) MUST_USE;

/* Counts what points nowhere, and foreign keys would have refused (2.3): parents, folders, tags and
 * items that rows name and that are not there, and volumes that locators name. The log says which. A
 * faithful copy has those of its source, so the caller counts on both sides. */
bool rows_orphans(Db *db, unsigned group, uint32_t mailbox, uint64_t *count, GError **error) MUST_USE;
/* The same in two halves, while another server works. */
bool rows_orphans_send(Db *db, unsigned group, uint32_t mailbox, GError **error) MUST_USE;
bool rows_orphans_receive(Db *db, unsigned group, uint32_t mailbox, uint64_t *count,
                          GError **error) MUST_USE;

/* Removes every row of a mailbox id, children before parents (2.3), in batches, `watch` and `volume_blobs`
 * included, the zimbra.mailbox row last. No deleted_account entry: we are not deleting an account. The tick of
 * @wait runs between batches; nothing stops it half-way. REFUSED, with nothing removed, if a table zxmove does not know has
 * rows of it. What a failure interrupts is finished by the next call. */
bool rows_remove(Db *db, unsigned group, uint32_t mailbox, const Wait *wait, uint64_t *removed,
                 GError **error) MUST_USE;

/* Removes the rows that no move copies, or only after the commit: of an older copy whose id is used again. */
bool rows_remove_uncopied(Db *db, unsigned group, uint32_t mailbox, const Wait *wait,
                          GError **error) MUST_USE;

/* How many rows of any table carry this mailbox id, known or not, the zimbra.mailbox row included and
 * deleted_account left out (0 is asserted before an id is used). Group 0: the tables of schema zimbra
 * only. @table (g_free) names one that has some, or is NULL. */
bool rows_exist(Db *db, unsigned group, uint32_t mailbox, uint64_t *rows, char **table, GError **error) MUST_USE;

/* Largest numbers in use (2.5): item ids (id, index_id, imap_id, tag.id, revision.item_id) and change numbers
 * (mod_metadata, mod_content, tombstone.sequence, tag.sequence, revision.mod_*). One round trip. */
typedef struct RowsMaxima {
    uint64_t item_id, change;
    uint64_t mod_metadata, items; /* max(mod_metadata) and count of mail_item, to look at twice */
    uint64_t locators;            /* a sum over items and their locators, to see a blob mover at work */
} RowsMaxima;
bool rows_maxima(Db *db, unsigned group, uint32_t mailbox, RowsMaxima *out, GError **error) MUST_USE;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Catalogue, catalogue_free)

#endif
