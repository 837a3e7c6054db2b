/* consistency.h - CheckBlobConsistencyRequest: rows without file, files of the wrong size, files
 * without row. */
#ifndef MAILBOXD_CONSISTENCY_H
#define MAILBOXD_CONSISTENCY_H

#include "tests/mailboxd/fault.h"
#include "tests/mailboxd/xml.h"

/* Adds <mbox> to @answer if something is wrong with mailbox @id. */
bool consistency_check(unsigned id, bool check_size, xmlNode *answer, GError **error);

#endif
