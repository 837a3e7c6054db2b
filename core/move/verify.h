/* verify.h - what the files of doVerify share. */
#ifndef ZX_MOVE_VERIFY_H
#define ZX_MOVE_VERIFY_H

#include "core/move/move.h"
#include "core/move/versus.h"

/* An old copy and how it is compared. */
typedef struct Verify {
    Operation *op;
    const VerifyRequest *request;
    VerifySink *found;
    void *found_data;
    VerifyCopy *copy;
    unsigned index, total;
    unsigned old_group, new_group;
    uint64_t change; /* the record's */
    Store *old, *new;
    uint64_t rows; /* compared so far */
} Verify;

void verify_emit(const Verify *verify, Event event);
void verify_note(VerifyCopy *copy, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* verify_blobs.c: every blob of both sides is read and hashed beside its disk, both stores at the
 * same time. */
bool verify_blobs(const Verify *verify, const Versus *versus, GError **error) MUST_USE;

#endif
