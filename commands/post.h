/* post.h - notifications that could not be sent: kept in state_dir, and tried again by a process of
 * their own while smtp.retry_for lasts. */
#ifndef ZX_COMMANDS_POST_H
#define ZX_COMMANDS_POST_H

#include "commands/commands.h"

typedef struct Post {
    char **to;
    const char *operation, *subject, *body, *table; /* table: the CSV that goes with it */
} Post;

bool post_send(Core *core, const Post *post, GError **error) MUST_USE;
/* Keeps it, and sees to it that somebody tries again. False with STATE if it cannot be kept. */
bool post_later(const Conf *conf, const Post *post, GError **error) MUST_USE;
/* What was left behind when that process died is taken up again. */
void post_resume(const Conf *conf);

#endif
