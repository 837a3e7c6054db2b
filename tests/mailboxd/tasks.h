/* tasks.h - what mailboxd does on its own: scheduled tasks, read from their table at start and kept
 * in memory, the push of share advertisements, the purge of old traces (doc/platform.md 5.6). */
#ifndef MAILBOXD_TASKS_H
#define MAILBOXD_TASKS_H

#include "tests/mailboxd/mailbox.h"
#include <jansson.h>

bool tasks_start(GError **error);
void tasks_stop(void);

/* The draft goes out at @when (Unix seconds): a row, and an entry in memory. */
bool tasks_schedule_send(Mailbox *mailbox, unsigned draft, int64_t when, GError **error);
/* Everything periodic, now. */
void tasks_tick(void);
/* {"tasks":[..],"sent":[..],"pushed":[..]} */
json_t *tasks_json(void);

#endif
