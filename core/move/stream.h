/* stream.h - many files from one agent to another through us.
 *
 * Requests are sent ahead of their answers (credit, not acknowledgements), content is passed on as
 * it comes, and no agent is ever waited for with a blocking write: both descriptors are polled, and
 * the source is read only while the destination takes what it is given. So memory is bounded and
 * nothing can lock up. What is said to be settled is durable. */
#ifndef ZX_MOVE_STREAM_H
#define ZX_MOVE_STREAM_H

#include "core/agent/protocol.h"
#include "core/base/wait.h"
#include "core/net/peer.h"

typedef enum StreamResult {
    STREAM_OPEN,   /* under way */
    STREAM_THERE,  /* was there already, verified; for a question: yes, done */
    STREAM_LINKED, /* hard-linked from an older copy, verified */
    STREAM_COPIED,
    STREAM_ABSENT,  /* the source has no such file; for a question: not there */
    STREAM_DIFFERS, /* a different file is at the destination and may not be replaced */
    STREAM_FAILED,  /* @trouble says why */
} StreamResult;

/* One file; callers put it first in a struct of their own. */
typedef struct StreamFile {
    bool ask;          /* calls->ask first: the destination may have it */
    bool ask_only;     /* a question to the destination, nothing is copied */
    uint64_t expected; /* length, about: for the credit */

    StreamResult result;
    uint64_t length;    /* at the source */
    uint64_t disk_size; /* at the destination */
    uint64_t raw_size;  /* COPIED, and what a hash was asked for: as read */
    char digest[DIGEST_SIZE];
    char *trouble;   /* FAILED, DIFFERS; freed by stream_file_clear */
    bool unreadable; /* FAILED: at the source, not at the destination */
    struct {
        AgentLook is;
        unsigned volume;
        uint32_t mod_content;
    } look; /* what BLOB_LOOK was answered, beside disk_size, raw_size and digest */
} StreamFile;

void stream_file_clear(StreamFile *file);

typedef struct StreamCalls {
    /* The next file, which stays the caller's; NULL when there is no more, or an error. */
    StreamFile *(*next)(void *data, GError **error);
    /* Each begins a request (peer_begin, wire_put_...); the stream ends and sends it. */
    void (*ask)(void *data, const StreamFile *file, Peer *target);
    void (*read)(void *data, const StreamFile *file, Peer *source);
    void (*write)(void *data, const StreamFile *file, Peer *target);
    void (*sync)(void *data, Peer *target);
    /* Files (of StreamFile) whose result is final and durable. */
    bool (*settled)(void *data, GPtrArray *files, GError **error);
    /* May this file be read now? It is asked again until it may. NULL: always. */
    bool (*allow)(void *data, const StreamFile *file);
    /* Called often, with files written and content passed on so far. May be NULL. */
    void (*tick)(void *data, uint64_t files, uint64_t bytes);
} StreamCalls;

/* Runs until next() has no more and everything is settled. After an error what was on its way is
 * still settled where that is possible, and both peers are usable again unless they broke. @source
 * may be NULL when every file is a question. */
bool stream_run(Peer *source, Peer *target, const StreamCalls *calls, void *data, const Wait *wait,
                GError **error) MUST_USE;

#endif
