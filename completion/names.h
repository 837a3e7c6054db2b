/* names.h - names that servers have to be asked for, without anybody having to wait: each question
 * is put in a thread of its own, its answer is kept for a while, and whoever asks waits for no
 * longer than a moment. What has not come by then comes with the next time it is asked for. */
#ifndef ZX_COMPLETION_NAMES_H
#define ZX_COMPLETION_NAMES_H

#include "core/core.h"

/* Asks, in whatever time it takes: of Name, at most @limit; NULL if there was no answer. */
typedef GPtrArray *NamesAsk(void *data, NameKind kind, const char *host, const char *prefix,
                            unsigned limit);

typedef struct NamesTimes {
    unsigned kept_ms; /* an answer is believed for so long */
    unsigned wait_ms; /* and waited for so long */
} NamesTimes;

#define NAMES_LIMIT 300
#define NAMES_TIMES ((NamesTimes){ .kept_ms = 60000, .wait_ms = 800 })

typedef struct Names Names;
Names *names_open(NamesAsk *ask, GDestroyNotify free_data, void *data, NamesTimes times);

/* Names that begin with @prefix, without regard to case, of all @hosts (NULL-terminated; { "", NULL
 * } where there is but one to ask): of those that have answered. @impatient (may be NULL) is asked
 * while it waits, and ends that. */
GPtrArray *names_get(Names *names, NameKind kind, const char *const *hosts, const char *prefix,
                     bool (*impatient)(void *data), void *data);

/* Waits for nobody: if a thread is still asking, the last one frees it, with its data. */
void names_close(Names *names);

/* Whether a thread of any Names is still asking: a process must then end by _exit, because a
 * library that takes itself down would do so under that thread's feet. */
bool names_busy(void);

#endif
