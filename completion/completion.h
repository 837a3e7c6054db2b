/* completion.h - words typed so far to what may come next; pure. The shell and bash use the same.
 */
#ifndef ZX_COMPLETION_H
#define ZX_COMPLETION_H

#include "commands/commands.h"

typedef struct Candidate {
    char *text;    /* a whole replacement of the word at hand */
    char *meaning; /* in a few words; NULL: none */
    size_t shown;  /* where in text the part begins that a list shows */
    bool open;     /* it goes on: no blank follows */
} Candidate;

/* Where names come from that are in no table. Each answers those that begin with @prefix (of Name),
 * and NULL if it knows none; what it answers is looked through again. */
typedef struct Lookup {
    GPtrArray *(*names)(void *data, NameKind kind, const char *host, const char *prefix);
    GPtrArray *(*files)(void *data, const char *prefix); /* directories end in '/' */
    void *data;
} Lookup;

/* Candidates for @current (of Candidate) after the complete @words before it, in the tables' order.
 * @process: switches of the whole process may be among the words. */
GPtrArray *complete(const char *const *words, const char *current, bool process,
                    const Lookup *lookup);

/* The same for bash, which takes words apart at '=', ':' and '@' too: @words are as COMP_WORDS has
 * them without the program, @index counts in them. Candidates replace the part at @index only. */
GPtrArray *complete_bash(const char *const *words, unsigned index, const Lookup *lookup);

/* How far all of @candidates agree. */
char *complete_common(const GPtrArray *candidates);

/* Lines that list @candidates with their meanings on a terminal of this size, in columns, and on no
 * more than half of it; what does not fit is counted. */
char *complete_list(const GPtrArray *candidates, unsigned width, unsigned height);

#endif
