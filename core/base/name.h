/* name.h - something that a server has, by the name a person would type, and in a few words what it
 * is. For the Tab key: nothing is decided by it. */
#ifndef ZX_BASE_NAME_H
#define ZX_BASE_NAME_H

#include <glib.h>

typedef struct Name {
    char *text, *meaning; /* meaning may be NULL */
} Name;

Name *name_new(const char *text, const char *meaning);
void name_free(Name *name);
/* A list (of Name) that frees them. */
GPtrArray *names_new(void);

#endif
