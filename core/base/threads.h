/* threads.h - the same question to several servers at a time: the slowest decides how long it takes,
 * not their number. */
#ifndef ZX_BASE_THREADS_H
#define ZX_BASE_THREADS_H

#include <glib.h>

/* A thread for each of @errands; threads_join waits for them all. Signals are for the thread that
 * waits for the others. */
GPtrArray *threads_start(const GPtrArray *errands, GThreadFunc run);
void threads_join(GPtrArray *threads);

#endif
