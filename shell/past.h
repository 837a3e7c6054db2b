/* past.h - what was typed: the lines of this shell and of those before it. The file is private,
 * appended to at once, and shared by all shells of a user. */
#ifndef ZX_SHELL_PAST_H
#define ZX_SHELL_PAST_H

#include <glib.h>
#include <stdbool.h>

#define PAST_LINES 1000

typedef struct Past Past;

/* Reads @file and makes it private. What is to be said about it goes to *@notice, else NULL: a file
 * that is not ours alone, not a file or not writable is left alone, and nothing is kept. */
Past *past_open(const char *file, char **notice);
void past_free(Past *past);

/* Remembers @line. @kept, which may be written otherwise, goes to the file; NULL: nothing does.
 * False, once, with *@notice when the file cannot be written any more. */
bool past_add(Past *past, const char *line, const char *kept, char **notice);

/* Of char *, the oldest first, and the number of the first of them. */
const GPtrArray *past_lines(const Past *past, unsigned *first);

#endif
