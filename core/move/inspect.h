/* inspect.h - the blobs of a mailbox on one store, against its rows: every blob that a row calls
 * for is looked at by the agent, many questions under way, and every file is looked for among the
 * rows. Reads only, in memory that does not grow with the mailbox; no transaction is open while a
 * disk is read (hazard 40), and whatever is not as it should be is looked at twice, with its row
 * read again before and after, because a user may be at work. */
#ifndef ZX_MOVE_INSPECT_H
#define ZX_MOVE_INSPECT_H

#include "core/look/around.h"
#include "core/net/db.h"
#include "core/net/peer.h"

typedef struct Inspect {
    Db *db;
    Peer *peer;
    const GPtrArray *volumes; /* of Volume; those of files are declared to the agent */
    const bool *only;         /* by volume id: those to be looked at; NULL: all */
    bool locators;            /* tell of rows that name no volume of files */
    unsigned group;
    uint32_t mailbox;
    bool digests;    /* read each whole and compare its digest */
    bool crosscheck; /* look for what is missing under other revisions and on other volumes */
    bool old_names;  /* the name of very old stores will do */
    const Wait *wait;
    void (*tick)(void *data, const InspectCount *so_far); /* NULL: nobody looks */
    void (*found)(void *data, const BlobFinding *finding);
    void *data;
} Inspect;

/* Adds to @count. */
bool inspect_rows(const Inspect *job, InspectCount *count, GError **error) MUST_USE;
bool inspect_files(const Inspect *job, InspectCount *count, GError **error) MUST_USE;

#endif
