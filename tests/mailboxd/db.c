/* db.c - see db.h. A connection that died while idle is noticed by the ping at db_take. */
#include "tests/mailboxd/db.h"
#include "tests/mailboxd/config.h"
#include <mysql.h>
#include <stdlib.h>
#include <string.h>

enum { POOL_LIMIT = 30, CONNECT_TIMEOUT_S = 5, ANSWER_TIMEOUT_S = 60 };

struct Db {
    MYSQL *mysql;
    bool dirty;
};

struct DbRows {
    MYSQL_RES *result;
    MYSQL_ROW row;
    unsigned long *lengths;
};

static GMutex mutex;
static GCond freed;
static GQueue idle = G_QUEUE_INIT;
static unsigned taken;

static void close_connection(Db *db)
{
    if (db->mysql != NULL)
        mysql_close(db->mysql);
    g_free(db);
}

static Db *connect_new(GError **error)
{
    static const char session[] =
        "SET SESSION autocommit=0, SESSION tx_isolation='READ-COMMITTED', NAMES binary";
    unsigned connect_s = CONNECT_TIMEOUT_S, answer_s = ANSWER_TIMEOUT_S;
    Db *db = g_new0(Db, 1);

    db->mysql = mysql_init(NULL);
    mysql_options(db->mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mysql_options(db->mysql, MYSQL_OPT_READ_TIMEOUT, &answer_s);
    mysql_options(db->mysql, MYSQL_OPT_WRITE_TIMEOUT, &answer_s);
    mysql_options(db->mysql, MYSQL_SET_CHARSET_NAME, "binary");
    if (mysql_real_connect(db->mysql, config->mariadb.address, config->mariadb.user,
                           config->mariadb.password, "zimbra", config->mariadb.port, NULL,
                           0) == NULL ||
        mysql_query(db->mysql, session) != 0) {
        fault(error, FAULT_FAILURE, "database: %s", mysql_error(db->mysql));
        close_connection(db);
        return NULL;
    }
    return db;
}

void db_init(void)
{
    mysql_library_init(0, NULL, NULL);
}

void db_shutdown(void)
{
    for (Db *db = g_queue_pop_head(&idle); db != NULL; db = g_queue_pop_head(&idle))
        close_connection(db);
    mysql_library_end();
}

static void leave(void)
{
    g_mutex_lock(&mutex);
    taken--;
    g_cond_signal(&freed);
    g_mutex_unlock(&mutex);
}

Db *db_take(GError **error)
{
    Db *db;

    g_mutex_lock(&mutex);
    while (taken >= POOL_LIMIT)
        g_cond_wait(&freed, &mutex);
    taken++;
    db = g_queue_pop_head(&idle);
    g_mutex_unlock(&mutex);

    if (db != NULL && mysql_ping(db->mysql) != 0)
        g_clear_pointer(&db, close_connection);
    if (db == NULL)
        db = connect_new(error);
    if (db == NULL)
        leave();
    return db;
}

void db_give(Db *db)
{
    db_rollback(db);
    g_mutex_lock(&mutex);
    g_queue_push_head(&idle, db);
    g_mutex_unlock(&mutex);
    leave();
}

static void append_quoted(GString *sql, MYSQL *mysql, const char *bytes, size_t length)
{
    size_t at = sql->len + 1;

    g_string_append_c(sql, '\'');
    g_string_set_size(sql, at + length * 2 + 1);
    g_string_set_size(sql, at + mysql_real_escape_string(mysql, sql->str + at, bytes, length));
    g_string_append_c(sql, '\'');
}

static void append_value(GString *sql, MYSQL *mysql, char kind, bool is_long, va_list *args)
{
    switch (kind) {
    case 'u':
        g_string_append_printf(sql, "%lu",
                               is_long ? va_arg(*args, unsigned long) : va_arg(*args, unsigned));
        return;
    case 'd':
        g_string_append_printf(sql, "%ld", is_long ? va_arg(*args, long) : va_arg(*args, int));
        return;
    case 's': {
        const char *value = va_arg(*args, const char *);
        if (value == NULL)
            g_string_append(sql, "NULL");
        else
            append_quoted(sql, mysql, value, strlen(value));
        return;
    }
    case 'p': {
        GBytes *value = va_arg(*args, void *);
        size_t length;
        if (value == NULL) {
            g_string_append(sql, "NULL");
            return;
        }
        const char *bytes = g_bytes_get_data(value, &length);
        append_quoted(sql, mysql, bytes, length);
        return;
    }
    case '%':
        g_string_append_c(sql, '%');
        return;
    default:
        g_error("SQL format with %%%c", kind);
    }
}

static bool run(Db *db, GError **error, const char *format, va_list *args)
{
    g_autoptr(GString) sql = g_string_new(NULL);

    for (const char *p = format; *p != '\0'; p++) {
        if (*p != '%') {
            g_string_append_c(sql, *p);
            continue;
        }
        bool is_long = *++p == 'l';
        append_value(sql, db->mysql, is_long ? *++p : *p, is_long, args);
    }
    db->dirty = true;
    if (mysql_real_query(db->mysql, sql->str, sql->len) != 0)
        return fault(error, FAULT_FAILURE, "database: %s (%.60s)", mysql_error(db->mysql), format);
    return true;
}

bool db_exec(Db *db, GError **error, const char *sql, ...)
{
    va_list args;

    va_start(args, sql);
    bool done = run(db, error, sql, &args);
    va_end(args);
    return done;
}

DbRows *db_query(Db *db, GError **error, const char *sql, ...)
{
    va_list args;

    va_start(args, sql);
    bool done = run(db, error, sql, &args);
    va_end(args);
    if (!done)
        return NULL;

    MYSQL_RES *result = mysql_store_result(db->mysql);
    if (result == NULL) {
        fault(error, FAULT_FAILURE, "database: %s", mysql_error(db->mysql));
        return NULL;
    }
    DbRows *rows = g_new0(DbRows, 1);
    rows->result = result;
    return rows;
}

bool db_script(Db *db, const char *sql, GError **error)
{
    int more = 0;

    db->dirty = true;
    mysql_set_server_option(db->mysql, MYSQL_OPTION_MULTI_STATEMENTS_ON);
    if (mysql_query(db->mysql, sql) != 0)
        more = 1;
    while (more == 0) {
        MYSQL_RES *result = mysql_store_result(db->mysql);
        if (result != NULL)
            mysql_free_result(result);
        more = mysql_next_result(db->mysql);
    }
    bool done = more == -1;
    if (!done)
        fault(error, FAULT_FAILURE, "database: %s", mysql_error(db->mysql));
    mysql_set_server_option(db->mysql, MYSQL_OPTION_MULTI_STATEMENTS_OFF);
    return done;
}

bool db_commit(Db *db, GError **error)
{
    if (mysql_commit(db->mysql) != 0)
        return fault(error, FAULT_FAILURE, "database: commit: %s", mysql_error(db->mysql));
    db->dirty = false;
    return true;
}

void db_rollback(Db *db)
{
    if (db->dirty)
        mysql_rollback(db->mysql);
    db->dirty = false;
}

bool rows_next(DbRows *rows)
{
    rows->row = mysql_fetch_row(rows->result);
    rows->lengths = rows->row == NULL ? NULL : mysql_fetch_lengths(rows->result);
    return rows->row != NULL;
}

size_t rows_count(const DbRows *rows)
{
    return mysql_num_rows(rows->result);
}

bool rows_is_null(const DbRows *rows, unsigned column)
{
    return rows->row[column] == NULL;
}

uint64_t rows_u64(const DbRows *rows, unsigned column)
{
    return rows->row[column] == NULL ? 0 : strtoull(rows->row[column], NULL, 10);
}

int64_t rows_i64(const DbRows *rows, unsigned column)
{
    return rows->row[column] == NULL ? 0 : strtoll(rows->row[column], NULL, 10);
}

unsigned rows_uint(const DbRows *rows, unsigned column)
{
    return (unsigned)rows_u64(rows, column);
}

char *rows_text(const DbRows *rows, unsigned column)
{
    return g_strndup(rows->row[column], rows->row[column] == NULL ? 0 : rows->lengths[column]);
}

GBytes *rows_bytes(const DbRows *rows, unsigned column)
{
    if (rows->row[column] == NULL)
        return NULL;
    return g_bytes_new(rows->row[column], rows->lengths[column]);
}

void rows_free(DbRows *rows)
{
    mysql_free_result(rows->result);
    g_free(rows);
}
