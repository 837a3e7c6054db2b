/* list.h - the addresses in a file that a person, a spreadsheet or zxmove itself wrote. Reads text
 * and asks nobody. */
#ifndef ZX_MOVE_LIST_H
#define ZX_MOVE_LIST_H

#include "core/base/error.h"

typedef struct Listed {
    char *who;     /* an address, or a zimbraId */
    unsigned line; /* from 1 */
} Listed;
void listed_free(Listed *listed);

/* Who is in @text (of Listed, in order, each once without regard to case). One a line, UTF-8 with
 * or without a byte order mark, lines ended as anywhere. Blank lines and comments (# at the
 * beginning of a word) are passed over. A line may be a record of a table, its fields separated by
 * commas, semicolons or tabs, quoted or not: then a first line without any address names the
 * columns, and the one called account, email, mail, address, user or name is read; without such a
 * line each record has one address. INPUT names what is no list; its message begins with @path. */
GPtrArray *list_read(const char *path, const char *text, gsize length, GError **error) MUST_USE;

#endif
