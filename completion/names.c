/* names.c - see names.h. */
#include "completion/names.h"
#include <signal.h>
#include <string.h>

/* Questions that may be under way at a time: a server that hangs takes no more threads than these.
 */
#define ASKING_MOST 8
/* How often it is looked whether the person at the keyboard has become impatient. */
#define LOOK_US 20000

typedef struct Look {
    NameKind kind;
    char *host, *prefix; /* the prefix folded */
    GPtrArray *found;    /* NULL while it is under way */
    int64_t since;       /* when it was asked, then when it was answered */
} Look;

struct Names {
    NamesAsk *ask;
    GDestroyNotify free_data;
    void *data;
    NamesTimes times;
    GMutex lock;
    GCond answered;
    GPtrArray *looks; /* of Look */
    unsigned asking;
    bool closed;
};

/* What a thread needs; the Look itself may be gone when it is done. */
typedef struct Question {
    Names *names;
    NameKind kind;
    char *host, *prefix;
} Question;

static int busy; /* threads of the process; atomic */

static void look_free(Look *look)
{
    g_free(look->host);
    g_free(look->prefix);
    g_clear_pointer(&look->found, g_ptr_array_unref);
    g_free(look);
}

Names *names_open(NamesAsk *ask, GDestroyNotify free_data, void *data, NamesTimes times)
{
    Names *names = g_new0(Names, 1);

    names->ask = ask;
    names->free_data = free_data;
    names->data = data;
    names->times = times;
    g_mutex_init(&names->lock);
    g_cond_init(&names->answered);
    names->looks = g_ptr_array_new_with_free_func((GDestroyNotify)look_free);
    return names;
}

static void free_names(Names *names)
{
    if (names->free_data != NULL)
        names->free_data(names->data);
    g_ptr_array_unref(names->looks);
    g_mutex_clear(&names->lock);
    g_cond_clear(&names->answered);
    g_free(names);
}

void names_close(Names *names)
{
    bool idle;

    if (names == NULL)
        return;
    g_mutex_lock(&names->lock);
    names->closed = true;
    idle = names->asking == 0;
    g_mutex_unlock(&names->lock);
    if (idle)
        free_names(names);
}

bool names_busy(void)
{
    return g_atomic_int_get(&busy) > 0;
}

static Look *find(const Names *names, NameKind kind, const char *host, const char *prefix)
{
    for (guint i = 0; i < names->looks->len; i++) {
        Look *look = g_ptr_array_index(names->looks, i);

        if (look->kind == kind && strcmp(look->host, host) == 0 &&
            strcmp(look->prefix, prefix) == 0)
            return look;
    }
    return NULL;
}

/* A question that was not answered is forgotten: the next one may be. */
static void settle(Names *names, const Question *question, GPtrArray *found)
{
    Look *look = find(names, question->kind, question->host, question->prefix);

    if (found == NULL) {
        g_ptr_array_remove(names->looks, look);
        return;
    }
    look->found = found;
    look->since = g_get_monotonic_time();
}

static void question_free(Question *question)
{
    g_free(question->host);
    g_free(question->prefix);
    g_free(question);
}

static void *answer(void *data)
{
    Question *question = data;
    Names *names = question->names;
    GPtrArray *found =
        names->ask(names->data, question->kind, question->host, question->prefix, NAMES_LIMIT);
    bool last;

    g_mutex_lock(&names->lock);
    settle(names, question, found);
    names->asking--;
    last = names->closed && names->asking == 0;
    g_cond_broadcast(&names->answered);
    g_mutex_unlock(&names->lock);
    if (last)
        free_names(names);
    question_free(question);
    g_atomic_int_add(&busy, -1);
    return NULL;
}

/* Signals are for the thread that has the terminal. */
static void start(Names *names, NameKind kind, const char *host, const char *prefix)
{
    Question *question = g_new0(Question, 1);
    Look *look = g_new0(Look, 1);
    sigset_t all, before;
    GThread *thread;

    *question = (Question){
        .names = names, .kind = kind, .host = g_strdup(host), .prefix = g_strdup(prefix)
    };
    *look = (Look){ .kind = kind,
                    .host = g_strdup(host),
                    .prefix = g_strdup(prefix),
                    .since = g_get_monotonic_time() };
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    g_atomic_int_add(&busy, 1);
    thread = g_thread_try_new("names", answer, question, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (thread == NULL) {
        g_atomic_int_add(&busy, -1);
        question_free(question);
        look_free(look);
        return;
    }
    g_thread_unref(thread);
    g_ptr_array_add(names->looks, look); /* we hold the lock: it has not answered yet */
    names->asking++;
}

static void forget_old(Names *names)
{
    int64_t now = g_get_monotonic_time();

    for (guint i = names->looks->len; i-- > 0;) {
        const Look *look = g_ptr_array_index(names->looks, i);

        if (look->found != NULL && now - look->since >= (int64_t)names->times.kept_ms * 1000)
            g_ptr_array_remove_index(names->looks, i);
    }
}

/* What answers the question: asked just so, or for less of it and answered in full. */
static Look *known(const Names *names, NameKind kind, const char *host, const char *prefix)
{
    g_autofree char *shorter = g_strdup(prefix);
    Look *look = find(names, kind, host, prefix);

    for (size_t length = strlen(prefix); look == NULL && length-- > 0;) {
        shorter[length] = '\0';
        look = find(names, kind, host, shorter);
        if (look != NULL && (look->found == NULL || look->found->len >= NAMES_LIMIT))
            look = NULL;
    }
    return look;
}

/* Whether the server has kept somebody waiting for too long already: nobody waits for it again. */
static bool is_slow(const Names *names, NameKind kind, const char *host)
{
    int64_t now = g_get_monotonic_time();

    for (guint i = 0; i < names->looks->len; i++) {
        const Look *look = g_ptr_array_index(names->looks, i);
        bool same_server =
            (look->kind <= NAME_DOMAIN) == (kind <= NAME_DOMAIN) && strcmp(look->host, host) == 0;

        if (same_server && look->found == NULL &&
            now - look->since >= (int64_t)names->times.wait_ms * 1000)
            return true;
    }
    return false;
}

/* Until every host has answered or failed, or it has been long enough. */
static void wait_for(Names *names, NameKind kind, const char *const *hosts, const char *prefix,
                     bool (*impatient)(void *data), void *data)
{
    int64_t end = g_get_monotonic_time() + (int64_t)names->times.wait_ms * 1000;

    while (g_get_monotonic_time() < end && (impatient == NULL || !impatient(data))) {
        bool waiting = false;

        for (const char *const *host = hosts; *host != NULL && !waiting; host++) {
            const Look *look = known(names, kind, *host, prefix);

            waiting = look != NULL && look->found == NULL && !is_slow(names, kind, *host);
        }
        if (!waiting)
            return;
        g_cond_wait_until(&names->answered, &names->lock,
                          MIN(end, g_get_monotonic_time() + LOOK_US));
    }
}

static void collect(GPtrArray *all, GHashTable *texts, const Look *look, const char *prefix)
{
    for (guint i = 0; look != NULL && look->found != NULL && i < look->found->len; i++) {
        const Name *name = g_ptr_array_index(look->found, i);

        if (g_ascii_strncasecmp(name->text, prefix, strlen(prefix)) != 0 ||
            g_hash_table_contains(texts, name->text))
            continue;
        g_ptr_array_add(all, name_new(name->text, name->meaning));
        g_hash_table_add(texts, ((Name *)g_ptr_array_index(all, all->len - 1))->text);
    }
}

GPtrArray *names_get(Names *names, NameKind kind, const char *const *hosts, const char *prefix,
                     bool (*impatient)(void *data), void *data)
{
    g_autofree char *folded = g_ascii_strdown(prefix, -1);
    g_autoptr(GHashTable) texts = g_hash_table_new(g_str_hash, g_str_equal);
    GPtrArray *all = names_new();

    g_mutex_lock(&names->lock);
    forget_old(names);
    for (const char *const *host = hosts; *host != NULL; host++)
        if (known(names, kind, *host, folded) == NULL && names->asking < ASKING_MOST)
            start(names, kind, *host, folded);
    wait_for(names, kind, hosts, folded, impatient, data);
    for (const char *const *host = hosts; *host != NULL; host++)
        collect(all, texts, known(names, kind, *host, folded), folded);
    g_mutex_unlock(&names->lock);
    return all;
}
