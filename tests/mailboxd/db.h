/* db.h - the store's MariaDB: a pool of connections as mailboxd keeps one (autocommit off, READ
 * COMMITTED), and SQL with its values bound by a printf-like format that the compiler checks. */
#ifndef MAILBOXD_DB_H
#define MAILBOXD_DB_H

#include "tests/mailboxd/fault.h"
#include <stdint.h>

typedef struct Db Db; /* a connection while one thread has it */
typedef struct DbRows DbRows;

void db_init(void);
void db_shutdown(void);

/* Waits for a free connection. db_give rolls back what was not committed. */
Db *db_take(GError **error);
void db_give(Db *db);

/* Formats: %u %d %lu %ld numbers; %s a quoted text, NULL for NULL; %p a GBytes as a quoted text,
 * NULL for NULL; %% a percent sign. Nothing else. */
bool db_exec(Db *db, GError **error, const char *sql, ...) G_GNUC_PRINTF(3, 4);
DbRows *db_query(Db *db, GError **error, const char *sql, ...) G_GNUC_PRINTF(3, 4);
/* Several statements separated by semicolons, as they are. */
bool db_script(Db *db, const char *sql, GError **error);
bool db_commit(Db *db, GError **error);
void db_rollback(Db *db);

/* Steps to the next row; false at the end. */
bool rows_next(DbRows *rows);
size_t rows_count(const DbRows *rows);
bool rows_is_null(const DbRows *rows, unsigned column);
/* 0 for NULL. */
uint64_t rows_u64(const DbRows *rows, unsigned column);
int64_t rows_i64(const DbRows *rows, unsigned column);
unsigned rows_uint(const DbRows *rows, unsigned column);
/* A copy, or NULL. */
char *rows_text(const DbRows *rows, unsigned column);
GBytes *rows_bytes(const DbRows *rows, unsigned column);
void rows_free(DbRows *rows);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Db, db_give)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DbRows, rows_free)

#endif
