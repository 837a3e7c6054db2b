/* schema.c - see schema.h. Readable by a person. Times are UTC DATETIME(3). One statement an entry.
 */
#include "core/ops/schema.h"

/* clang-format off */
#define COMING                                                                                        \
    "CREATE TABLE IF NOT EXISTS zxmove.coming ("                                                      \
    " account_id CHAR(36) NOT NULL, operation CHAR(36) NOT NULL, device BIGINT UNSIGNED NOT NULL,"    \
    " bytes BIGINT UNSIGNED NOT NULL, PRIMARY KEY (account_id, device)) ENGINE=InnoDB"

static const char *const statements[] = {
    "CREATE DATABASE IF NOT EXISTS zxmove DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",

    "CREATE TABLE IF NOT EXISTS zxmove.schema_version (version INT UNSIGNED NOT NULL PRIMARY KEY) ENGINE=InnoDB",

    /* Empty for ever: TRUNCATE makes InnoDB write its log (hazard 36). */
    "CREATE TABLE IF NOT EXISTS zxmove.log_flush (nothing TINYINT) ENGINE=InnoDB",

    /* What an operation is and how it stands; on the destination (of a purge: on the first store). `wanted`,
     * `complete` and `limits` are what others ask of it, `progress` is what it shows (board.h), `process` who
     * carries it (self.h), `notes` what its report says of the whole of it (JSON). */
    "CREATE TABLE IF NOT EXISTS zxmove.operation ("
    " uuid CHAR(36) NOT NULL PRIMARY KEY, verb VARCHAR(64) NOT NULL, parameters MEDIUMTEXT NOT NULL,"
    " host VARCHAR(255) NOT NULL, pid INT UNSIGNED NOT NULL, who VARCHAR(255) NOT NULL,"
    " state ENUM('queued','running','paused','throttled','held','done','partial','failed','stopped','removed','interrupted') NOT NULL,"
    " cause TEXT, started DATETIME(3) NOT NULL, heartbeat DATETIME(3) NOT NULL, ended DATETIME(3), result MEDIUMTEXT,"
    " batch_name VARCHAR(255), comment TEXT, progress MEDIUMTEXT,"
    " wanted ENUM('go','pause','stop') NOT NULL DEFAULT 'go', wanted_by VARCHAR(255), wanted_comment TEXT,"
    " limits TEXT, complete BOOLEAN NOT NULL DEFAULT FALSE, process VARCHAR(80), notes MEDIUMTEXT, KEY (started)"
    ") ENGINE=InnoDB",

    /* Its mailboxes in their order. `seq`: the how manieth that ended, NULL until then; `result`: result.h. */
    "CREATE TABLE IF NOT EXISTS zxmove.operation_mailbox ("
    " operation CHAR(36) NOT NULL, account_id CHAR(36) NOT NULL, place INT UNSIGNED NOT NULL,"
    " address VARCHAR(255) NOT NULL, source VARCHAR(255) NOT NULL, destination VARCHAR(255) NOT NULL,"
    " released BOOLEAN NOT NULL DEFAULT FALSE, seq INT UNSIGNED, ended DATETIME(3), result MEDIUMTEXT,"
    " PRIMARY KEY (operation, place), KEY (operation, seq)) ENGINE=InnoDB",

    /* Intent before effect, completion after it. */
    "CREATE TABLE IF NOT EXISTS zxmove.step ("
    " operation CHAR(36) NOT NULL, account_id CHAR(36) NOT NULL, name VARCHAR(32) NOT NULL,"
    " intent DATETIME(3) NOT NULL, done DATETIME(3), detail TEXT,"
    " PRIMARY KEY (operation, account_id, name)) ENGINE=InnoDB",

    /* Who works on an account now. The row decides; GET_LOCK tells the living from the dead. */
    "CREATE TABLE IF NOT EXISTS zxmove.claim ("
    " account_id CHAR(36) NOT NULL PRIMARY KEY, operation CHAR(36) NOT NULL, host VARCHAR(255) NOT NULL,"
    " pid INT UNSIGNED NOT NULL, connection_id BIGINT UNSIGNED NOT NULL, lease BIGINT UNSIGNED NOT NULL,"
    " expires DATETIME(3) NOT NULL, process VARCHAR(80)) ENGINE=InnoDB",

    /* One mailbox id per account on this store, with its volumes; never handed to another account. */
    "CREATE TABLE IF NOT EXISTS zxmove.reservation ("
    " account_id CHAR(36) NOT NULL PRIMARY KEY, mailbox_id INT UNSIGNED NOT NULL UNIQUE,"
    " group_id INT UNSIGNED NOT NULL, blob_volume TINYINT UNSIGNED NOT NULL,"
    " index_volume TINYINT UNSIGNED NOT NULL, reused BOOLEAN NOT NULL DEFAULT FALSE,"
    " made DATETIME(3) NOT NULL) ENGINE=InnoDB",

    /* Blobs that are here under the reserved id, verified and durable. */
    "CREATE TABLE IF NOT EXISTS zxmove.staged ("
    " account_id CHAR(36) NOT NULL, item_id INT UNSIGNED NOT NULL, mod_content INT UNSIGNED NOT NULL,"
    " volume_id TINYINT UNSIGNED NOT NULL, size BIGINT UNSIGNED NOT NULL,"
    " blob_digest VARCHAR(44) NOT NULL, disk_size BIGINT UNSIGNED NOT NULL,"
    " damaged VARCHAR(255), reread BOOLEAN NOT NULL DEFAULT FALSE,"
    " PRIMARY KEY (account_id, item_id, mod_content)) ENGINE=InnoDB",

    /* Blobs that could not be copied, of a mailbox that may be cut over all the same. */
    "CREATE TABLE IF NOT EXISTS zxmove.bad_item ("
    " account_id CHAR(36) NOT NULL, item_id INT UNSIGNED NOT NULL, mod_content INT UNSIGNED NOT NULL,"
    " what VARCHAR(255) NOT NULL, PRIMARY KEY (account_id, item_id, mod_content)) ENGINE=InnoDB",

    /* An account in its window, on both stores; role says which end this store is. */
    "CREATE TABLE IF NOT EXISTS zxmove.fence ("
    " account_id CHAR(36) NOT NULL, operation CHAR(36) NOT NULL, role ENUM('source','destination') NOT NULL,"
    " state ENUM('fenced','proven','committing','committed','done','undone') NOT NULL,"
    " lease BIGINT UNSIGNED NOT NULL, address VARCHAR(255) NOT NULL,"
    " account_status VARCHAR(32) NOT NULL, mail_status VARCHAR(32), transport VARCHAR(512),"
    " status_touched BOOLEAN NOT NULL,"
    " source_host VARCHAR(255) NOT NULL, destination_host VARCHAR(255) NOT NULL,"
    " source_mailbox INT UNSIGNED NOT NULL, destination_mailbox INT UNSIGNED NOT NULL,"
    " reindex BOOLEAN NOT NULL DEFAULT FALSE, lock_tried DATETIME(3), locked BOOLEAN NOT NULL DEFAULT FALSE,"
    " opened BOOLEAN NOT NULL DEFAULT FALSE, rescue BOOLEAN NOT NULL DEFAULT FALSE, proven VARCHAR(255),"
    " made DATETIME(3) NOT NULL, changed DATETIME(3) NOT NULL,"
    " PRIMARY KEY (account_id, operation)) ENGINE=InnoDB",

    /* A mailbox that moved away from this store. */
    "CREATE TABLE IF NOT EXISTS zxmove.moved ("
    " mailbox_id INT UNSIGNED NOT NULL PRIMARY KEY, account_id CHAR(36) NOT NULL, address VARCHAR(255) NOT NULL,"
    " group_id INT UNSIGNED NOT NULL, moved_to VARCHAR(255) NOT NULL, new_mailbox INT UNSIGNED NOT NULL,"
    " operation CHAR(36) NOT NULL, committed DATETIME(3) NOT NULL, bytes BIGINT UNSIGNED NOT NULL,"
    " blobs BIGINT UNSIGNED NOT NULL, item_checkpoint INT UNSIGNED NOT NULL, change_checkpoint INT UNSIGNED NOT NULL,"
    " fingerprints LONGTEXT NOT NULL, bad_items INT UNSIGNED NOT NULL DEFAULT 0, batch_name VARCHAR(255),"
    " state ENUM('kept','reused','purging','purged','stray') NOT NULL, purged DATETIME(3),"
    " KEY (account_id), KEY (batch_name)) ENGINE=InnoDB",

    /* A mailbox that was left behind on another store, which was gone and could not be told: recorded there
     * as stray when it is back. */
    "CREATE TABLE IF NOT EXISTS zxmove.left_behind ("
    " account_id CHAR(36) NOT NULL, store VARCHAR(255) NOT NULL, mailbox_id INT UNSIGNED NOT NULL,"
    " address VARCHAR(255) NOT NULL, operation CHAR(36) NOT NULL, since DATETIME(3) NOT NULL,"
    " PRIMARY KEY (account_id, store)) ENGINE=InnoDB",

    /* What a mailbox in flight is still to write to each file system of this store; counts while the claim of
     * the operation lives. */
    COMING,

    /* Rows that go in after the commit, under the reserved id (doc/platform.md 5.6). */
    "CREATE TABLE IF NOT EXISTS zxmove.late_scheduled_task ("
    " mailbox_id INT UNSIGNED NOT NULL, class_name VARCHAR(255) CHARACTER SET utf8 COLLATE utf8_bin NOT NULL,"
    " name VARCHAR(255) CHARACTER SET utf8 COLLATE utf8_bin NOT NULL, exec_time DATETIME, interval_millis INT UNSIGNED,"
    " metadata MEDIUMTEXT CHARACTER SET utf8 COLLATE utf8_bin,"
    " PRIMARY KEY (mailbox_id, name, class_name)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
    "CREATE TABLE IF NOT EXISTS zxmove.late_pending_acl_push ("
    " mailbox_id INT UNSIGNED NOT NULL, item_id INT UNSIGNED NOT NULL, date BIGINT UNSIGNED NOT NULL,"
    " PRIMARY KEY (mailbox_id, item_id, date)) ENGINE=InnoDB",

    /* Two that create at the same time both succeed; IGNORE would warn, and a warning is an error. */
    "INSERT INTO zxmove.schema_version (version) VALUES (5) ON DUPLICATE KEY UPDATE version = version",
    NULL,
};

/* From versions 2, 3 and 4. Each may run twice, and beside a program of theirs, which does without. */
static const char *const upgrade[] = {
    "ALTER TABLE zxmove.operation MODIFY COLUMN state"
    " ENUM('queued','running','paused','throttled','held','done','partial','failed','stopped','removed','interrupted') NOT NULL,"
    " ADD COLUMN IF NOT EXISTS complete BOOLEAN NOT NULL DEFAULT FALSE,"
    " ADD COLUMN IF NOT EXISTS process VARCHAR(80), ADD COLUMN IF NOT EXISTS notes MEDIUMTEXT",
    "UPDATE zxmove.operation SET complete = TRUE, wanted = 'go' WHERE wanted = 'complete'",
    "ALTER TABLE zxmove.claim ADD COLUMN IF NOT EXISTS process VARCHAR(80)",
    COMING,
    "UPDATE zxmove.schema_version SET version = 5",
    NULL,
};
/* clang-format on */

/* *version: 0 if it is not there, whole. */
static bool read_version(Db *db, unsigned *version, GError **error)
{
    g_autoptr(Rows) present = NULL;
    g_autoptr(Rows) rows = NULL;

    /* The version is written last: without it a creation was interrupted, and every statement may
     * run twice. */
    *version = 0;
    present =
        db_query(db, error,
                 "SELECT TABLE_NAME FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'zxmove'"
                 " AND TABLE_NAME = 'schema_version'",
                 DB_NONE);
    if (present == NULL)
        return false;
    if (rows_count(present) == 0)
        return true;
    rows = db_query(db, error, "SELECT MAX(version) FROM zxmove.schema_version", DB_NONE);
    if (rows != NULL)
        *version = (unsigned)rows_u64(rows, 0, 0);
    return rows != NULL;
}

static bool is_upgraded(unsigned version)
{
    return version >= UPGRADED_FROM && version < SCHEMA_VERSION;
}

bool schema_look(Db *db, bool *there, GError **error)
{
    unsigned version;

    if (!read_version(db, &version, error))
        return false;
    *there = version != 0;
    return version == 0 || version == SCHEMA_VERSION ||
           fail(error, ZX_ERROR_REFUSED,
                "%s: the database zxmove has version %u, this program knows %d: %s", db_name(db),
                version, SCHEMA_VERSION,
                is_upgraded(version) ? "the next move to or from there brings it up to date"
                                         : "use the zxmove that made it");
}

bool schema_ensure(Db *db, GError **error)
{
    const char *const *statement;
    unsigned version;
    bool there;

    if (!read_version(db, &version, error))
        return false;
    if (version != 0 && !is_upgraded(version))
        return schema_look(db, &there, error);
    for (statement = version == 0 ? statements : upgrade; *statement != NULL; statement++)
        if (!db_exec(db, NULL, error, *statement, DB_NONE))
            return fail_prefix(error, version == 0 ? "cannot create the database zxmove"
                                                   : "cannot bring the database zxmove up to date");
    return true;
}
