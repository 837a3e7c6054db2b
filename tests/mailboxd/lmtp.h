/* lmtp.h - the LMTP server, with the answers of doc/platform.md 1.4, and the relay to other stores.
 */
#ifndef MAILBOXD_LMTP_H
#define MAILBOXD_LMTP_H

#include "tests/mailboxd/stream.h"

bool lmtp_start(GError **error);
/* Ends all sessions and waits for them. */
void lmtp_stop(void);

/* lmtp_stop aborts streams that are watched and waits until they are not. False if it is too late.
 */
bool lmtp_watch(Stream *stream);
void lmtp_unwatch(Stream *stream);

/* Hands a message to the LMTP server of another store. @reply is that server's answer line, also
 * when it refuses; on a broken connection a 451 of our own. Free it. */
char *relay_message(const char *host, const char *sender, const char *recipient, GBytes *message);

#endif
