/* db.h - a MariaDB connection of one store; the only module that includes <mysql.h>.
 *
 * Every session is opened alike: binary character set (bytes travel untouched), time_zone '+00:00',
 * strict sql_mode without NO_BACKSLASH_ESCAPES, autocommit, READ COMMITTED, foreign_key_checks 1,
 * wait_timeout raised; session scope only (doc/platform.md 9.3, hazards 27 to 29, 37). A connection
 * belongs to one thread and is never reconnected silently: a lost one answers CONNECT for ever. A
 * value is passed as DbValue and bound by the connection's own escaper in place of its '?'; nothing
 * is pasted into SQL. Every wait is bounded by DbTarget.timeout_s per network read.
 *
 * Others' locks: a statement that ends in a deadlock (1213), or does not get a lock in half that
 * time (1205), has done nothing. Outside a transaction db_exec and db_query send it again, for
 * three quarters of that time; what is left, and within a transaction each, is BUSY: whoever began
 * the transaction rolls it back and may begin anew. */
#ifndef ZX_NET_DB_H
#define ZX_NET_DB_H

#include "core/base/error.h"
#include "core/base/secret.h"
#include <stddef.h>
#include <stdint.h>

typedef struct Db Db;

typedef struct DbTarget {
    const char *name;   /* the store, for messages: "MariaDB of <name>" */
    const char *socket; /* a unix socket (ssh_forward), or NULL for host and port */
    const char *host;
    unsigned port;
    const char *user;
    const Secret *password;
    unsigned timeout_s;
} DbTarget;

Db *db_open(const DbTarget *target, GError **error) MUST_USE;
void db_close(Db *db);
const char *db_name(const Db *db);
uint64_t db_connection_id(const Db *db);

typedef struct DbValue {
    enum { DB_END, DB_NULL, DB_BYTES, DB_UNSIGNED, DB_SIGNED, DB_SQL } type;
    const char *bytes; /* borrowed for the call */
    size_t length;
    uint64_t u;
    int64_t i;
} DbValue;

DbValue db_text(const char *text); /* NULL is SQL NULL */
DbValue db_bytes(const void *bytes, size_t length);
DbValue db_u64(uint64_t number);
DbValue db_i64(int64_t number);
/* An identifier or expression from our own tables or the checked catalogue; inserted as it is. */
DbValue db_sql(const char *sql);

/* DB_ARGS(db_u64(7), db_text(name)) in place of an args parameter; DB_NONE without values. */
#define DB_ARGS(...) ((const DbValue[]){ __VA_ARGS__, { .type = DB_END } })
#define DB_NONE      ((const DbValue[]){ { .type = DB_END } })

/* Runs a statement without a result set. @affected (may be NULL) counts rows really
 * changed: one that matched but held the new values already does not count.
 * A warning of the server is an error (DATA), but for notes. */
bool db_exec(Db *db, uint64_t *affected, GError **error, const char *sql,
             const DbValue *args) MUST_USE;

/* The same for a statement text of any bytes that was built with db_quote. */
bool db_exec_bytes(Db *db, uint64_t *affected, GError **error, const char *sql,
                   size_t length) MUST_USE;

/* A whole result, held in memory: for answers known to be small. */
typedef struct Rows Rows;
Rows *db_query(Db *db, GError **error, const char *sql, const DbValue *args) MUST_USE;
void rows_free(Rows *rows);
unsigned rows_count(const Rows *rows);
unsigned rows_columns(const Rows *rows);
/* NUL-terminated beside its length; NULL for SQL NULL. @length may be NULL. Lives as long as @rows.
 */
const char *rows_bytes(const Rows *rows, unsigned row, unsigned column, size_t *length);
const char *rows_text(const Rows *rows, unsigned row, unsigned column);
uint64_t rows_u64(const Rows *rows, unsigned row, unsigned column); /* 0 for NULL */
int64_t rows_i64(const Rows *rows, unsigned row, unsigned column);
/* Exactly one row, else NOT_FOUND (none) or DATA. */
Rows *db_query_one(Db *db, GError **error, const char *sql, const DbValue *args) MUST_USE;

/* Two servers at work at once: send to both, then receive from both. One statement may be under way
 * on a connection; db_receive must follow every successful db_send. */
bool db_send(Db *db, GError **error, const char *sql, const DbValue *args) MUST_USE;
Rows *db_receive(Db *db, GError **error) MUST_USE;
/* Reads away an answer that nobody wants any more; @db may be NULL, lost, or have none under way. */
void db_discard(Db *db);

/* A result read row by row as it arrives, for answers of any size. The connection is busy until
 * db_cursor_free, which may be called at any point. */
typedef struct DbCursor DbCursor;
DbCursor *db_cursor(Db *db, GError **error, const char *sql, const DbValue *args) MUST_USE;
/* 1 a row, 0 the end, -1 an error. Cells live until the next call. */
int db_cursor_next(DbCursor *cursor, GError **error) MUST_USE;
const char *db_cursor_bytes(const DbCursor *cursor, unsigned column, size_t *length);
void db_cursor_free(DbCursor *cursor);

/* Appends @bytes as a quoted literal, or NULL for a NULL pointer. */
void db_quote(Db *db, GString *sql, const char *bytes, size_t length);

/* BEGIN; with @snapshot REPEATABLE READ and CONSISTENT SNAPSHOT (hazard 33). */
bool db_begin(Db *db, bool snapshot, GError **error) MUST_USE;
bool db_commit(Db *db, GError **error) MUST_USE;
void db_rollback(Db *db); /* best effort, for error paths */

/* The last statement failed for locks that others held: of two connections in one piece of work,
 * whose was it? */
bool db_contended(const Db *db);
/* Whether a transaction is open, by its last answer. */
bool db_in_transaction(const Db *db);

bool db_ping(Db *db, GError **error) MUST_USE;
/* Bytes a statement may have there (max_allowed_packet). */
uint64_t db_max_packet(const Db *db);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Db, db_close)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rows, rows_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DbCursor, db_cursor_free)

#endif
