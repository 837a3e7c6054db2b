/* log_journal.h - lines for systemd's journal, over its own socket (systemd.io: Native Journal
 * Protocol), with operation and account as fields to ask for:
 * journalctl ZXMOVE_OPERATION=6f0c2c1e-... */
#ifndef ZX_BASE_LOG_JOURNAL_H
#define ZX_BASE_LOG_JOURNAL_H

#include "core/base/log.h"

/* -1 when nobody listens at @path; NULL: the journal. */
int log_journal_open(const char *path);
/* @text is one line. */
void log_journal_write(int fd, int priority, const char *operation, const char *account,
                       const char *text);

#endif
