/* load.h - how busy the stores are that an operation works on: a thread beside it asks an agent of its own
 * on each, since those that copy are busy while they do. Any thread. */
#ifndef ZX_MOVE_LOAD_H
#define ZX_MOVE_LOAD_H

#include "conf/conf.h"

typedef struct LoadWatch LoadWatch;
/* @conf is borrowed; its log lines are @operation's. Nothing is asked before load_above. */
LoadWatch *load_watch_new(const Conf *conf, const char *operation);
/* NULL: nothing. */
void load_watch_free(LoadWatch *watch);

/* Is the load (the average of a minute) of @where above @most, by what was last seen? Then *cause (g_free)
 * says so. From the first call on it is looked at every few seconds; until it was seen it counts as above,
 * and one that does not answer does not. Never waits. @where is borrowed until load_watch_free. */
bool load_above(LoadWatch *watch, const ConfStore *where, double most, char **cause);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(LoadWatch, load_watch_free)

#endif
