/* lookup.h - where completion gets the names that are in no table: the configuration, the servers,
 * the files. Nothing is asked before a Tab asks for it. */
#ifndef ZX_SHELL_LOOKUP_H
#define ZX_SHELL_LOOKUP_H

#include "completion/completion.h"

typedef struct Lookups Lookups;

/* @conf may be NULL: then only files are known. @impatient
 * (may be NULL) ends a wait for a server. */
Lookups *lookups_open(const Conf *conf, bool (*impatient)(void *data), void *data);
/* Waits for nobody: a thread that still asks keeps the configuration in its hands (names_busy). */
void lookups_close(Lookups *lookups);
Lookup lookups_lookup(Lookups *lookups);

#endif
