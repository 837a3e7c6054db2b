/* completion.h - words typed so far to what may come next; pure. The shell and bash use the same.
 */
#ifndef ZX_COMPLETION_H
#define ZX_COMPLETION_H

#include "commands/commands.h"

/* Candidates for @current, each a whole replacement of it, after the complete @words before it.
 * @stores are names for a server (NULL-terminated). Of char *, in the tables' order. */
GPtrArray *complete(const char *const *words, const char *current, const char *const *stores);

/* The same for bash, which takes words apart at '=', ':' and '@' too: @words are as COMP_WORDS has
 * them without the program, @index counts in them. Candidates replace the part at @index only. */
GPtrArray *complete_bash(const char *const *words, unsigned index, const char *const *stores);

/* How far all of @candidates agree. */
char *complete_common(const GPtrArray *candidates);

#endif
