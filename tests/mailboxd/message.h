/* message.h - what mailboxd takes from the header of a message for its row. */
#ifndef MAILBOXD_MESSAGE_H
#define MAILBOXD_MESSAGE_H

#include <glib.h>
#include <stdbool.h>

typedef struct Message {
    char *sender, *recipients; /* as the columns hold them, at most 128 bytes */
    char *subject;             /* without reply prefixes */
    char *message_id;          /* NULL if there is none */
    char *fragment;
    char *prefix; /* "Re:" or NULL */
    bool has_attachment;
} Message;

Message *message_parse(const char *bytes, size_t length);
void message_free(Message *message);
/* Key of open_conversation: 28 characters. */
char *message_thread_hash(const Message *message);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Message, message_free)

#endif
