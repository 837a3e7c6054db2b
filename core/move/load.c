/* load.c - see load.h. */
#include "core/move/load.h"
#include "core/base/log.h"
#include "core/zimbra/store.h"

#define LOOK_US  (5 * G_USEC_PER_SEC)
#define UNSEEN   G_MAXDOUBLE
#define AGAIN_US (60 * G_USEC_PER_SEC) /* after a store that could not be asked */

typedef struct Place {
    const ConfStore *where;
    double load;        /* as last seen; under the watch's mutex; below 0: cannot be known */
    Store *store;       /* the thread's own; NULL: not open */
    int64_t not_before; /* monotonic us; the thread's own */
} Place;

struct LoadWatch {
    const Conf *conf;
    char operation[37];
    GThread *thread; /* NULL: nobody asked yet */
    GMutex mutex;    /* of what follows */
    GCond wake;
    bool ending, asked; /* asked: for one that was not seen yet */
    GPtrArray *places;  /* of Place; grows only */
};

static void place_free(Place *place)
{
    store_close(place->store);
    g_free(place);
}

static bool ask(const LoadWatch *watch, Place *place, double *load, GError **error)
{
    if (place->store == NULL) {
        GError *why[STORE_PARTS];

        place->store =
            store_open_parts(watch->conf, place->where, NULL, STORE_PART(STORE_AGENT), NULL, why);
        if (why[STORE_AGENT] != NULL) {
            g_propagate_error(error, why[STORE_AGENT]);
            return false;
        }
    }
    return peer_load(place->store->peer, load, error);
}

static void look_at(LoadWatch *watch, Place *place)
{
    g_autoptr(GError) problem = NULL;
    double load = -1;

    if (g_get_monotonic_time() < place->not_before)
        return;
    if (!ask(watch, place, &load, &problem)) {
        log_warning("max_load does not hold for %s now, its load is not known: %s",
                    place->where->name, problem->message);
        g_clear_pointer(&place->store, store_close);
        place->not_before = g_get_monotonic_time() + AGAIN_US;
    }
    g_mutex_lock(&watch->mutex);
    place->load = load;
    g_mutex_unlock(&watch->mutex);
}

static void *look(void *data)
{
    LoadWatch *watch = data;

    log_context(watch->operation, NULL);
    g_mutex_lock(&watch->mutex);
    while (!watch->ending) {
        const int64_t next = g_get_monotonic_time() + LOOK_US;

        for (guint i = 0; i < watch->places->len && !watch->ending; i++) {
            Place *place = g_ptr_array_index(watch->places, i);

            g_mutex_unlock(&watch->mutex);
            look_at(watch, place);
            g_mutex_lock(&watch->mutex);
        }
        watch->asked = false;
        while (!watch->ending && !watch->asked &&
               g_cond_wait_until(&watch->wake, &watch->mutex, next))
            ;
    }
    g_mutex_unlock(&watch->mutex);
    return NULL;
}

LoadWatch *load_watch_new(const Conf *conf, const char *operation)
{
    LoadWatch *watch = g_new0(LoadWatch, 1);

    watch->conf = conf;
    g_strlcpy(watch->operation, operation, sizeof watch->operation);
    watch->places = g_ptr_array_new_with_free_func((GDestroyNotify)place_free);
    g_mutex_init(&watch->mutex);
    g_cond_init(&watch->wake);
    return watch;
}

void load_watch_free(LoadWatch *watch)
{
    if (watch == NULL)
        return;
    g_mutex_lock(&watch->mutex);
    watch->ending = true;
    g_cond_signal(&watch->wake);
    g_mutex_unlock(&watch->mutex);
    if (watch->thread != NULL)
        g_thread_join(watch->thread);
    g_ptr_array_unref(watch->places);
    g_mutex_clear(&watch->mutex);
    g_cond_clear(&watch->wake);
    g_free(watch);
}

/* With the mutex. */
static Place *place_of(LoadWatch *watch, const ConfStore *where)
{
    Place *place;

    for (guint i = 0; i < watch->places->len; i++) {
        place = g_ptr_array_index(watch->places, i);
        if (place->where == where)
            return place;
    }
    place = g_new0(Place, 1);
    place->where = where;
    place->load = UNSEEN;
    g_ptr_array_add(watch->places, place);
    return place;
}

bool load_above(LoadWatch *watch, const ConfStore *where, double most, char **cause)
{
    double load;

    g_mutex_lock(&watch->mutex);
    load = place_of(watch, where)->load;
    if (load == UNSEEN) {
        if (watch->thread == NULL)
            watch->thread = g_thread_new("load", look, watch);
        watch->asked = true;
        g_cond_signal(&watch->wake);
    }
    g_mutex_unlock(&watch->mutex);
    if (load <= most)
        return false;
    *cause = load == UNSEEN ? g_strdup_printf("%s is asked for its load", where->name)
                            : g_strdup_printf("load %.2f > %g on %s", load, most, where->name);
    return true;
}
