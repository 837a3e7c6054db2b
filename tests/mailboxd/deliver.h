/* deliver.h - a message into a mailbox: blob, rows, conversation, counts. */
#ifndef MAILBOXD_DELIVER_H
#define MAILBOXD_DELIVER_H

#include "tests/mailboxd/mailbox.h"
#include "tests/mailboxd/message.h"

void deliver_init(void);
void deliver_shutdown(void);

/* @blob and @message are of the same bytes; @blob may go into several mailboxes. *item is 0 if the
 * duplicate filter swallowed it. */
bool deliver(Mailbox *mailbox, const Blob *blob, const Message *message, unsigned *item,
             GError **error);
/* FAULT_QUOTA_EXCEEDED if @size more does not fit. */
bool deliver_check_quota(const Entry *account, Mailbox *mailbox, uint64_t size, GError **error);

#endif
