/* threads.c - see threads.h. */
#include "core/base/threads.h"
#include <signal.h>

GPtrArray *threads_start(const GPtrArray *errands, GThreadFunc run)
{
    GPtrArray *threads = g_ptr_array_new();
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    for (guint i = 0; i < errands->len; i++)
        g_ptr_array_add(threads, g_thread_new("look", run, g_ptr_array_index(errands, i)));
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return threads;
}

void threads_join(GPtrArray *threads)
{
    for (guint i = 0; i < threads->len; i++)
        g_thread_join(g_ptr_array_index(threads, i));
    g_ptr_array_unref(threads);
}
