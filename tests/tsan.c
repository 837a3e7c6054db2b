/* tsan.c - GLib's locks for ThreadSanitizer, which knows pthread's but not GLib's own (futexes inside a
 * library that is not instrumented). Only MODE=tsan links it; it stands before the library's. `make tsan` runs
 * tests so. */
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* Inside the library its own locks are used: the queue of a GThreadPool, which mailboxd's stand-in has. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:g_queue_pop_tail\n";
}

/* A static GMutex or GCond is zero and has nothing yet. */
static void *made(gpointer *place, void *(*make)(void))
{
    void *there = __atomic_load_n(place, __ATOMIC_ACQUIRE), *none = NULL, *fresh;

    if (there != NULL)
        return there;
    fresh = make();
    if (__atomic_compare_exchange_n(place, &none, fresh, FALSE, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return fresh;
    free(fresh);
    return none;
}

static void *make_mutex(void)
{
    pthread_mutex_t *mutex = malloc(sizeof *mutex);

    pthread_mutex_init(mutex, NULL);
    return mutex;
}

static void *make_cond(void)
{
    pthread_cond_t *cond = malloc(sizeof *cond);
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
    return cond;
}

static pthread_mutex_t *mutex_of(GMutex *mutex)
{
    return made(&mutex->p, make_mutex);
}

static pthread_cond_t *cond_of(GCond *cond)
{
    return made(&cond->p, make_cond);
}

void g_mutex_init(GMutex *mutex)
{
    mutex->p = NULL;
}

void g_mutex_clear(GMutex *mutex)
{
    pthread_mutex_destroy(mutex_of(mutex));
    free(mutex->p);
}

void g_mutex_lock(GMutex *mutex)
{
    pthread_mutex_lock(mutex_of(mutex));
}

gboolean g_mutex_trylock(GMutex *mutex)
{
    return pthread_mutex_trylock(mutex_of(mutex)) == 0;
}

void g_mutex_unlock(GMutex *mutex)
{
    pthread_mutex_unlock(mutex_of(mutex));
}

void g_cond_init(GCond *cond)
{
    cond->p = NULL;
}

void g_cond_clear(GCond *cond)
{
    pthread_cond_destroy(cond_of(cond));
    free(cond->p);
}

void g_cond_wait(GCond *cond, GMutex *mutex)
{
    pthread_cond_wait(cond_of(cond), mutex_of(mutex));
}

gboolean g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end_time)
{
    struct timespec until = { .tv_sec = end_time / G_USEC_PER_SEC,
                              .tv_nsec = end_time % G_USEC_PER_SEC * 1000 };

    return pthread_cond_timedwait(cond_of(cond), mutex_of(mutex), &until) != ETIMEDOUT;
}

void g_cond_signal(GCond *cond)
{
    pthread_cond_signal(cond_of(cond));
}

void g_cond_broadcast(GCond *cond)
{
    pthread_cond_broadcast(cond_of(cond));
}

/* What GLib makes once, under a lock of its own inside. */
__attribute__((constructor)) static void make_once(void)
{
    g_get_tmp_dir();
}
