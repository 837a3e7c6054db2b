/* db.c - see db.h. The one idea: every way a statement ends goes through server_error() or
 * check_warnings(), so that a lost connection, a refused value and a warning mean the same
 * everywhere. */
#include "core/net/db.h"
#include "core/base/log.h"
#include "core/net/sql.h"
#include <errmsg.h>
#include <inttypes.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <string.h>

enum {
    IDLE_LIMIT_S = 7 * 24 * 3600, /* wait_timeout: a connection sleeps while blobs are copied */
    SERVER_NET_LIMIT_S = 600,     /* how long the server waits for a reader of a cursor */
    WARNINGS_SHOWN = 3,
};

struct Db {
    MYSQL mysql;
    char *name;
    char *lost;    /* why nothing works any more; NULL while it does */
    bool busy;     /* an answer is still to be read */
    bool contended; /* the last statement that failed did so for others' locks */
    char *excerpt; /* of the statement under way */
    unsigned timeout_s;
    int64_t sent;
    uint64_t connection_id;
    uint64_t max_packet;
};

struct Rows {
    MYSQL_RES *result; /* NULL for a statement without a result set */
    unsigned count, columns;
    MYSQL_ROW *cells;
    unsigned long *lengths; /* count * columns */
};

struct DbCursor {
    Db *db;
    MYSQL_RES *result;
    MYSQL_ROW row;
    unsigned long *lengths;
    unsigned columns;
    bool ended;
};

DbValue db_text(const char *text)
{
    return db_bytes(text, text != NULL ? strlen(text) : 0);
}

DbValue db_bytes(const void *bytes, size_t length)
{
    return (
        DbValue){ .type = bytes != NULL ? DB_BYTES : DB_NULL, .bytes = bytes, .length = length };
}

DbValue db_u64(uint64_t number)
{
    return (DbValue){ .type = DB_UNSIGNED, .u = number };
}

DbValue db_i64(int64_t number)
{
    return (DbValue){ .type = DB_SIGNED, .i = number };
}

DbValue db_sql(const char *sql)
{
    return (DbValue){ .type = DB_SQL, .bytes = sql };
}

const char *db_name(const Db *db)
{
    return db->name;
}

uint64_t db_connection_id(const Db *db)
{
    return db->connection_id;
}

uint64_t db_max_packet(const Db *db)
{
    return db->max_packet;
}

/* Errors after which the server has forgotten the session, or the client cannot follow it any more.
 */
static bool ends_connection(unsigned number)
{
    switch (number) {
    case ER_SERVER_SHUTDOWN:
    case ER_FORCING_CLOSE:
    case ER_ABORTING_CONNECTION:
    case ER_NET_PACKET_TOO_LARGE:
    case ER_NET_READ_ERROR_FROM_PIPE:
    case ER_NET_FCNTL_ERROR:
    case ER_NET_PACKETS_OUT_OF_ORDER:
    case ER_NET_UNCOMPRESS_ERROR:
    case ER_NET_READ_ERROR:
    case ER_NET_READ_INTERRUPTED:
    case ER_NET_ERROR_ON_WRITE:
    case ER_NET_WRITE_INTERRUPTED:
    case ER_NEW_ABORTING_CONNECTION:
    case ER_CONNECTION_KILLED:
        return true;
    default:
        return IS_MYSQL_ERROR(number) || IS_MARIADB_ERROR(number);
    }
}

static ZxError error_kind(unsigned number, const char *sqlstate)
{
    switch (number) {
    case ER_ACCESS_DENIED_ERROR:
    case ER_ACCESS_DENIED_NO_PASSWORD_ERROR:
    case ER_DBACCESS_DENIED_ERROR:
    case ER_TABLEACCESS_DENIED_ERROR:
    case ER_COLUMNACCESS_DENIED_ERROR:
    case ER_SPECIFIC_ACCESS_DENIED_ERROR:
    case ER_HOST_NOT_PRIVILEGED:
    case ER_OPTION_PREVENTS_STATEMENT:
        return ZX_ERROR_DENIED;
    case ER_CON_COUNT_ERROR:
    case ER_TOO_MANY_USER_CONNECTIONS:
        return ZX_ERROR_CONNECT;
    case ER_DISK_FULL:
    case ER_RECORD_FILE_FULL:
        return ZX_ERROR_NO_SPACE;
    case ER_LOCK_DEADLOCK:
    case ER_LOCK_WAIT_TIMEOUT:
        return ZX_ERROR_BUSY;
    default:
        /* 22: a value does not fit; 23: a key or constraint does not hold. */
        return g_str_has_prefix(sqlstate, "22") || g_str_has_prefix(sqlstate, "23")
                   ? ZX_ERROR_DATA
                   : ZX_ERROR_FAILED;
    }
}

static const char *error_remark(unsigned number)
{
    switch (number) {
    case ER_DUP_ENTRY:
    case ER_DUP_ENTRY_WITH_KEY_NAME:
        return "the row is there already: ";
    case ER_LOCK_WAIT_TIMEOUT:
        return "gave up waiting for a lock that another session holds: ";
    case ER_LOCK_DEADLOCK:
        return "deadlock with another session, the transaction was rolled back: ";
    default:
        return "";
    }
}

static bool lost_error(const Db *db, GError **error)
{
    return fail(error, ZX_ERROR_CONNECT, "MariaDB of %s: %s", db->name, db->lost);
}

static void lose(Db *db, const char *why)
{
    if (db->lost == NULL)
        db->lost = g_strdup_printf("the connection is lost: %s", why);
}

/* Turns the library's present error into ours. */
static bool server_error(Db *db, GError **error)
{
    const unsigned number = mysql_errno(&db->mysql);
    const char *text = mysql_error(&db->mysql);
    g_autofree char *late = NULL;

    db->busy = false;
    db->contended = number == ER_LOCK_DEADLOCK || number == ER_LOCK_WAIT_TIMEOUT;
    if (ends_connection(number)) {
        if (number == CR_SERVER_LOST &&
            g_get_monotonic_time() - db->sent >= (int64_t)db->timeout_s * G_USEC_PER_SEC)
            text = late = g_strdup_printf("no answer within %u s", db->timeout_s);
        lose(db, text);
        return lost_error(db, error);
    }
    return fail(error, error_kind(number, mysql_sqlstate(&db->mysql)),
                "MariaDB of %s: %s%s (%u) in: %s", db->name, error_remark(number), text, number,
                db->excerpt != NULL ? db->excerpt : "the greeting");
}

static bool usable(const Db *db, GError **error)
{
    if (db == NULL)
        return fail(error, ZX_ERROR_CONNECT, "MariaDB of a store is not connected");
    if (db->lost != NULL)
        return lost_error(db, error);
    if (db->busy)
        return fail(
            error, ZX_ERROR_BUG,
            "MariaDB of %s: a statement while the answer to another is still to be read: %s",
            db->name, db->excerpt);
    return true;
}

static void quote_bytes(void *data, GString *sql, const char *bytes, size_t length)
{
    Db *db = data;
    const size_t start = sql->len + 1;

    g_string_append_c(sql, '\'');
    g_string_set_size(sql, start + 2 * length + 1);
    length = mysql_real_escape_string(&db->mysql, sql->str + start, bytes, length);
    g_string_set_size(sql, start + length);
    g_string_append_c(sql, '\'');
}

void db_quote(Db *db, GString *sql, const char *bytes, size_t length)
{
    if (bytes == NULL)
        g_string_append(sql, "NULL");
    else
        quote_bytes(db, sql, bytes, length);
}

static bool send_bytes(Db *db, const char *sql, size_t length, GError **error)
{
    if (!usable(db, error))
        return false;
    db->contended = false;
    g_free(db->excerpt);
    db->excerpt = sql_excerpt(sql, length);
    /* One byte of the packet is the command. The server would drop the connection. */
    if (db->max_packet != 0 && length >= db->max_packet)
        return fail(error, ZX_ERROR_DATA,
                    "MariaDB of %s: a statement of %zu bytes exceeds max_allowed_packet (%" PRIu64
                    "): %s",
                    db->name, length, db->max_packet, db->excerpt);
    db->sent = g_get_monotonic_time();
    if (mysql_send_query(&db->mysql, sql, length) != 0)
        return server_error(db, error);
    db->busy = true;
    return true;
}

/* @bound is @sql with its values; the excerpt is made of the statement as written, which shows
 * none. */
static bool send_bound(Db *db, const char *sql, const GString *bound, GError **error)
{
    if (!send_bytes(db, bound->str, bound->len, error))
        return false;
    g_free(db->excerpt);
    db->excerpt = sql_excerpt(sql, strlen(sql));
    return true;
}

static bool bind(Db *db, GString *bound, const char *sql, const DbValue *args, GError **error)
{
    return usable(db, error) && sql_bind(bound, sql, args, quote_bytes, db, error);
}

bool db_send(Db *db, GError **error, const char *sql, const DbValue *args)
{
    g_autoptr(GString) bound = g_string_new(NULL);

    return bind(db, bound, sql, args, error) && send_bound(db, sql, bound, error);
}

bool db_contended(const Db *db)
{
    return db != NULL && db->contended;
}

bool db_in_transaction(const Db *db)
{
    return (db->mysql.server_status & SERVER_STATUS_IN_TRANS) != 0;
}

/* Statements of which each is a transaction of its own. */
typedef struct Repeat {
    int64_t until; /* monotonic us */
    int pause_ms;
    bool may;
} Repeat;

static Repeat repeat_begin(const Db *db)
{
    return (Repeat){ .until =
                         g_get_monotonic_time() + (int64_t)db->timeout_s * G_USEC_PER_SEC * 3 / 4,
                     .pause_ms = 10,
                     .may = !db_in_transaction(db) };
}

/* After a failure: whether to send it again. One that waits for locks till its patience ends is
 * sent twice, so that it takes no longer than any other wait; a deadlock is known at once. Takes
 * *@problem then. */
static bool repeat(Repeat *repeat, const Db *db, GError **problem)
{
    if (!repeat->may || !db->contended || g_get_monotonic_time() >= repeat->until)
        return false;
    log_info("%s; trying again", (*problem)->message);
    g_clear_error(problem);
    g_usleep((gulong)g_random_int_range(repeat->pause_ms, 2 * repeat->pause_ms) * 1000);
    repeat->pause_ms = MIN(2 * repeat->pause_ms, 200);
    return true;
}

/* The server saying that it changed a value is as bad as refusing it: the row is not what we sent.
 */
static bool check_warnings(Db *db, GError **error)
{
    MYSQL_RES *result;
    MYSQL_ROW row;
    unsigned shown = 0;
    g_autoptr(GString) text = g_string_new(NULL);

    if (mysql_warning_count(&db->mysql) == 0)
        return true;
    if (mysql_query(&db->mysql, "SHOW WARNINGS") != 0 ||
        (result = mysql_store_result(&db->mysql)) == NULL)
        return server_error(db, error);
    while ((row = mysql_fetch_row(result)) != NULL)
        if (g_strcmp0(row[0], "Note") != 0 && shown++ < WARNINGS_SHOWN)
            g_string_append_printf(text, "%s%s (%s)", text->len > 0 ? "; " : "", row[2], row[1]);
    mysql_free_result(result);
    if (shown == 0)
        return true;
    return fail(error, ZX_ERROR_DATA, "MariaDB of %s: warning: %s in: %s", db->name, text->str,
                db->excerpt);
}

static Rows *rows_new(MYSQL_RES *result)
{
    Rows *rows = g_new0(Rows, 1);

    rows->result = result;
    if (result == NULL)
        return rows;
    rows->count = (unsigned)mysql_num_rows(result);
    rows->columns = mysql_num_fields(result);
    rows->cells = g_new(MYSQL_ROW, rows->count);
    rows->lengths = g_new(unsigned long, (size_t)rows->count * rows->columns);
    for (unsigned i = 0; i < rows->count; i++) {
        rows->cells[i] = mysql_fetch_row(result);
        memcpy(rows->lengths + (size_t)i * rows->columns, mysql_fetch_lengths(result),
               rows->columns * sizeof *rows->lengths);
    }
    return rows;
}

Rows *db_receive(Db *db, GError **error)
{
    MYSQL_RES *result;
    g_autoptr(Rows) rows = NULL;

    if (db->lost != NULL) {
        lost_error(db, error);
        return NULL;
    }
    g_return_val_if_fail(db->busy, NULL);
    if (mysql_read_query_result(&db->mysql) != 0) {
        server_error(db, error);
        return NULL;
    }
    result = mysql_store_result(&db->mysql);
    if (result == NULL && mysql_field_count(&db->mysql) != 0) {
        server_error(db, error);
        return NULL;
    }
    db->busy = false;
    rows = rows_new(result);
    return check_warnings(db, error) ? g_steal_pointer(&rows) : NULL;
}

void db_discard(Db *db)
{
    GError *ignored = NULL;

    if (db == NULL || db->lost != NULL || !db->busy)
        return;
    rows_free(db_receive(db, &ignored));
    g_clear_error(&ignored);
}

Rows *db_query(Db *db, GError **error, const char *sql, const DbValue *args)
{
    g_autoptr(GString) bound = g_string_new(NULL);
    GError *problem = NULL;
    Rows *rows = NULL;
    Repeat again;

    if (!bind(db, bound, sql, args, error))
        return NULL;
    again = repeat_begin(db);
    do {
        if (send_bound(db, sql, bound, &problem))
            rows = db_receive(db, &problem);
    } while (rows == NULL && repeat(&again, db, &problem));
    if (rows == NULL)
        g_propagate_error(error, problem);
    return rows;
}

Rows *db_query_one(Db *db, GError **error, const char *sql, const DbValue *args)
{
    g_autoptr(Rows) rows = db_query(db, error, sql, args);

    if (rows == NULL)
        return NULL;
    if (rows->count != 1) {
        fail(error, rows->count == 0 ? ZX_ERROR_NOT_FOUND : ZX_ERROR_DATA,
             "MariaDB of %s: %u rows where one was expected: %s", db->name, rows->count,
             db->excerpt);
        return NULL;
    }
    return g_steal_pointer(&rows);
}

/* The answer to a statement that yields no rows. */
static bool finish_exec(Db *db, uint64_t *affected, GError **error)
{
    uint64_t changed;

    if (mysql_read_query_result(&db->mysql) != 0)
        return server_error(db, error);
    db->busy = false;
    if (mysql_field_count(&db->mysql) != 0) {
        mysql_free_result(mysql_store_result(&db->mysql));
        return fail(error, ZX_ERROR_BUG, "MariaDB of %s: rows nobody asked for: %s", db->name,
                    db->excerpt);
    }
    changed = mysql_affected_rows(&db->mysql);
    if (!check_warnings(db, error))
        return false;
    if (affected != NULL)
        *affected = changed;
    return true;
}

bool db_exec(Db *db, uint64_t *affected, GError **error, const char *sql, const DbValue *args)
{
    g_autoptr(GString) bound = g_string_new(NULL);
    GError *problem = NULL;
    Repeat again;

    if (!bind(db, bound, sql, args, error))
        return false;
    again = repeat_begin(db);
    while (!(send_bound(db, sql, bound, &problem) && finish_exec(db, affected, &problem)))
        if (!repeat(&again, db, &problem)) {
            g_propagate_error(error, problem);
            return false;
        }
    return true;
}

bool db_exec_bytes(Db *db, uint64_t *affected, GError **error, const char *sql, size_t length)
{
    GError *problem = NULL;
    Repeat again;

    if (!usable(db, error))
        return false;
    again = repeat_begin(db);
    while (!(send_bytes(db, sql, length, &problem) && finish_exec(db, affected, &problem)))
        if (!repeat(&again, db, &problem)) {
            g_propagate_error(error, problem);
            return false;
        }
    return true;
}

DbCursor *db_cursor(Db *db, GError **error, const char *sql, const DbValue *args)
{
    MYSQL_RES *result;
    DbCursor *cursor;

    if (!db_send(db, error, sql, args))
        return NULL;
    if (mysql_read_query_result(&db->mysql) != 0 ||
        ((result = mysql_use_result(&db->mysql)) == NULL && mysql_field_count(&db->mysql) != 0)) {
        server_error(db, error);
        return NULL;
    }
    if (result == NULL) {
        db->busy = false;
        fail(error, ZX_ERROR_BUG, "MariaDB of %s: no rows from: %s", db->name, db->excerpt);
        return NULL;
    }
    cursor = g_new0(DbCursor, 1);
    cursor->db = db;
    cursor->result = result;
    cursor->columns = mysql_num_fields(result);
    return cursor;
}

int db_cursor_next(DbCursor *cursor, GError **error)
{
    Db *db = cursor->db;

    if (cursor->ended)
        return 0;
    db->sent = g_get_monotonic_time();
    cursor->row = mysql_fetch_row(cursor->result);
    if (cursor->row != NULL) {
        cursor->lengths = mysql_fetch_lengths(cursor->result);
        return 1;
    }
    cursor->ended = true;
    if (mysql_errno(&db->mysql) != 0) {
        server_error(db, error);
        return -1;
    }
    db->busy = false;
    return check_warnings(db, error) ? 0 : -1;
}

const char *db_cursor_bytes(const DbCursor *cursor, unsigned column, size_t *length)
{
    g_return_val_if_fail(cursor->row != NULL && column < cursor->columns, NULL);
    if (length != NULL)
        *length = cursor->row[column] != NULL ? cursor->lengths[column] : 0;
    return cursor->row[column];
}

void db_cursor_free(DbCursor *cursor)
{
    Db *db;

    if (cursor == NULL)
        return;
    db = cursor->db;
    if (!cursor->ended) { /* reads what is left of the answer */
        db->sent = g_get_monotonic_time();
        mysql_free_result(cursor->result);
        if (mysql_errno(&db->mysql) != 0)
            (void)server_error(db, NULL);
        db->busy = false;
    } else {
        mysql_free_result(cursor->result);
    }
    g_free(cursor);
}

void rows_free(Rows *rows)
{
    if (rows == NULL)
        return;
    mysql_free_result(rows->result);
    g_free(rows->cells);
    g_free(rows->lengths);
    g_free(rows);
}

unsigned rows_count(const Rows *rows)
{
    return rows->count;
}

unsigned rows_columns(const Rows *rows)
{
    return rows->columns;
}

const char *rows_bytes(const Rows *rows, unsigned row, unsigned column, size_t *length)
{
    const char *bytes;

    g_return_val_if_fail(row < rows->count && column < rows->columns, NULL);
    bytes = rows->cells[row][column];
    if (length != NULL)
        *length = bytes != NULL ? rows->lengths[(size_t)row * rows->columns + column] : 0;
    return bytes;
}

const char *rows_text(const Rows *rows, unsigned row, unsigned column)
{
    return rows_bytes(rows, row, column, NULL);
}

uint64_t rows_u64(const Rows *rows, unsigned row, unsigned column)
{
    const char *text = rows_text(rows, row, column);

    return text != NULL ? g_ascii_strtoull(text, NULL, 10) : 0;
}

int64_t rows_i64(const Rows *rows, unsigned row, unsigned column)
{
    const char *text = rows_text(rows, row, column);

    return text != NULL ? g_ascii_strtoll(text, NULL, 10) : 0;
}

bool db_begin(Db *db, bool snapshot, GError **error)
{
    if (!snapshot)
        return db_exec(db, NULL, error, "START TRANSACTION", DB_NONE);
    return db_exec(db, NULL, error, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", DB_NONE) &&
           db_exec(db, NULL, error, "START TRANSACTION WITH CONSISTENT SNAPSHOT", DB_NONE);
}

bool db_commit(Db *db, GError **error)
{
    return db_exec(db, NULL, error, "COMMIT", DB_NONE);
}

void db_rollback(Db *db)
{
    g_autoptr(GError) error = NULL;

    if (db == NULL)
        return;
    /* What cannot be rolled back must not be committed by the next COMMIT either. */
    if (!db_exec(db, NULL, &error, "ROLLBACK", DB_NONE))
        lose(db, error->message);
}

bool db_ping(Db *db, GError **error)
{
    if (!usable(db, error))
        return false;
    db->sent = g_get_monotonic_time();
    return mysql_ping(&db->mysql) == 0 || server_error(db, error);
}

static void set_options(Db *db, const DbTarget *target)
{
    const unsigned limit = target->timeout_s;
    const unsigned protocol = target->socket != NULL ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    const unsigned off = 0;
    const my_bool no = 0;
    const unsigned long packet =
        1024UL * 1024 * 1024; /* of answers; the server bounds statements */

    mysql_options(&db->mysql, MYSQL_OPT_CONNECT_TIMEOUT, &limit);
    mysql_options(&db->mysql, MYSQL_OPT_READ_TIMEOUT, &limit);
    mysql_options(&db->mysql, MYSQL_OPT_WRITE_TIMEOUT, &limit);
    mysql_options(&db->mysql, MYSQL_OPT_PROTOCOL, &protocol);
    mysql_options(&db->mysql, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
    mysql_options(&db->mysql, MYSQL_OPT_LOCAL_INFILE, &off);
    mysql_options(&db->mysql, MYSQL_OPT_RECONNECT, &no);
    /* Inside ssh or on loopback; a Zimbra store's MariaDB has no certificate to show. */
    mysql_options(&db->mysql, MYSQL_OPT_SSL_ENFORCE, &no);
    mysql_options(&db->mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &no);
}

/* The session db.h promises. Lock waits end before our own patience does: the server answers then,
 * and does not carry out later what we have given up. Zero dates pass, they may be in the rows. */
static bool set_session(Db *db, GError **error)
{
    const unsigned lock_wait = MAX(db->timeout_s / 2, 1);
    g_autoptr(Rows) rows = NULL;

    if (mysql_set_character_set(&db->mysql, "binary") != 0)
        return server_error(db, error);
    if (!db_exec(db, NULL, error,
                 "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,"
                 "NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', autocommit = 1, sql_notes = 0,"
                 " foreign_key_checks = 1, unique_checks = 1, wait_timeout = ?,"
                 " net_read_timeout = ?, net_write_timeout = ?, innodb_lock_wait_timeout = ?,"
                 " lock_wait_timeout = ?",
                 DB_ARGS(db_u64(IDLE_LIMIT_S), db_u64(SERVER_NET_LIMIT_S),
                         db_u64(SERVER_NET_LIMIT_S), db_u64(lock_wait), db_u64(lock_wait))) ||
        !db_exec(db, NULL, error, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
                 DB_NONE))
        return false;
    rows = db_query_one(db, error, "SELECT CONNECTION_ID(), @@max_allowed_packet", DB_NONE);
    if (rows == NULL)
        return false;
    db->connection_id = rows_u64(rows, 0, 0);
    db->max_packet = rows_u64(rows, 0, 1);
    return true;
}

static bool connect_server(Db *db, const DbTarget *target, GError **error)
{
    const char *password = target->password != NULL ? secret_reveal(target->password) : NULL;
    unsigned number;

    db->sent = g_get_monotonic_time();
    if (mysql_real_connect(&db->mysql, target->socket != NULL ? NULL : target->host, target->user,
                           password, NULL, target->port, target->socket, 0) != NULL)
        return true;
    number = mysql_errno(&db->mysql);
    fail(error,
         ends_connection(number) ? ZX_ERROR_CONNECT
                                 : error_kind(number, mysql_sqlstate(&db->mysql)),
         "%s (%u)", mysql_error(&db->mysql), number);
    if (target->socket != NULL)
        return fail_prefix(error, "MariaDB of %s: cannot log in as %s", db->name, target->user);
    return fail_prefix(error, "MariaDB of %s: cannot log in as %s at %s:%u", db->name, target->user,
                       target->host, target->port);
}

Db *db_open(const DbTarget *target, GError **error)
{
    static gsize library;
    g_autoptr(Db) db = g_new0(Db, 1);

    if (g_once_init_enter(
            &library)) { /* the library's own first initialisation is not thread-safe */
        mysql_library_init(0, NULL, NULL);
        g_once_init_leave(&library, 1);
    }
    mysql_init(&db->mysql);
    db->name = g_strdup(target->name);
    db->timeout_s = target->timeout_s;
    set_options(db, target);
    if (!connect_server(db, target, error) || !set_session(db, error))
        return NULL;
    return g_steal_pointer(&db);
}

void db_close(Db *db)
{
    if (db == NULL)
        return;
    mysql_close(&db->mysql);
    g_free(db->name);
    g_free(db->lost);
    g_free(db->excerpt);
    g_free(db);
}
