/* sql.h - puts values in place of the '?' of a statement; pure, db.c hands in its escaper. */
#ifndef ZX_NET_SQL_H
#define ZX_NET_SQL_H

#include "core/net/db.h"

/* Appends @bytes as a quoted literal. */
typedef void SqlQuote(void *data, GString *sql, const char *bytes, size_t length);

/* Appends @sql to @out, each '?' outside of quotes ('', "", ``) replaced by the next of @args. A
 * number of values that does not fit is our mistake: BUG. */
bool sql_bind(GString *out, const char *sql, const DbValue *args, SqlQuote *quote, void *data,
              GError **error) MUST_USE;

/* What of a statement may be shown: one line, bounded, up to the first literal (it may be anybody's
 * mail). Caller frees. */
char *sql_excerpt(const char *sql, size_t length);

#endif
