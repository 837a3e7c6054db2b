/* mdoc.h - text into the language of manual pages (mdoc(7)), so that nothing in it is taken for a
 * macro, an escape or a line of its own. */
#ifndef ZX_COMMANDS_MDOC_H
#define ZX_COMMANDS_MDOC_H

#include <glib.h>

/* A paragraph's text, in lines of its own. */
void mdoc_text(GString *out, const char *text);
/* A line ".@macro" with the words of @args, a NULL-terminated list: those that begin with a dot are
 * macros within the line (".Ar"), the rest is text. */
void mdoc_macro(GString *out, const char *macro, ...) G_GNUC_NULL_TERMINATED;

#endif
