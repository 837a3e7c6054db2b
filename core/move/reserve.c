/* reserve.c - the mailbox id an account gets at the destination, by what that store's mailboxd
 * knows of the account (doc/platform.md 2.4, 5.1). One id per account and store, used again by
 * every later run, never handed to another account. */
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/move/manifest.h"
#include "core/move/move.h"
#include <string.h>

/* What we and the destination know before deciding. */
typedef struct Known {
    Probe probe;
    char *why;    /* of PROBE_UNKNOWN */
    uint32_t row; /* zimbra.mailbox there, 0 if none */
    unsigned row_group;
    uint32_t reserved; /* zxmove.reservation there, 0 if none */
    unsigned reserved_group, reserved_blob_volume, reserved_index_volume;
    uint32_t recorded; /* the account's last id there by zxmove.moved, 0 if none */
    unsigned recorded_group;
    bool recorded_is_there; /* by the record: kept, or on its way out */
} Known;

static void known_clear(Known *known)
{
    g_free(known->why);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Known, known_clear)

static bool look(Move *move, Known *known, GError **error)
{
    Db *db = move->target->control;
    g_autoptr(Rows) reserved = NULL;
    g_autoptr(Rows) recorded = NULL;

    known->probe = admin_probe(move->target->soap, move->account->id, &move->wait, &known->why);
    if (!mailbox_row_find(db, move->account->id, &known->row, &known->row_group, NULL, error))
        return false;
    if (move->target->bare)
        return true;
    reserved =
        db_query(db, error,
                 "SELECT mailbox_id, group_id, blob_volume, index_volume FROM zxmove.reservation"
                 " WHERE account_id = ?",
                 DB_ARGS(db_text(move->account->id)));
    if (reserved == NULL)
        return false;
    if (rows_count(reserved) > 0) {
        known->reserved = (uint32_t)rows_u64(reserved, 0, 0);
        known->reserved_group = (unsigned)rows_u64(reserved, 0, 1);
        known->reserved_blob_volume = (unsigned)rows_u64(reserved, 0, 2);
        known->reserved_index_volume = (unsigned)rows_u64(reserved, 0, 3);
    }
    recorded = db_query(db, error,
                        "SELECT mailbox_id, group_id, state IN ('kept', 'purging') FROM "
                        "zxmove.moved WHERE account_id = ? AND state <> 'stray'"
                        " ORDER BY committed DESC LIMIT 1",
                        DB_ARGS(db_text(move->account->id)));
    if (recorded == NULL)
        return false;
    if (rows_count(recorded) > 0) {
        known->recorded = (uint32_t)rows_u64(recorded, 0, 0);
        known->recorded_group = (unsigned)rows_u64(recorded, 0, 1);
        known->recorded_is_there = rows_u64(recorded, 0, 2) != 0;
    }
    return true;
}

static bool unexplained(Move *move, const Known *known, GError **error)
{
    if (known->probe == PROBE_UNKNOWN)
        return fail(error, ZX_ERROR_REFUSED,
                    "%s does not say what it knows of %s (%s): nothing was changed. When it is "
                    "well, try again;"
                    " if it stays so, restart mailboxd on %s",
                    move->target->name, move->account->address, known->why, move->target->name);
    if (known->row != 0)
        return fail(
            error, ZX_ERROR_REFUSED,
            "%s already has a mailbox %u of %s that no move of zxmove left there (mailboxd says: "
            "%s): it may"
            " hold mail. Look at it (zmprov -l gmi %s), remove it if it is rubbish, and try again",
            move->target->name, known->row, move->account->address, probe_name(known->probe),
            move->account->address);
    return fail(
        error, ZX_ERROR_REFUSED,
        "mailboxd of %s still maps %s to a mailbox that is in none of our records (it says: %s):"
        " restart mailboxd on %s, then try again",
        move->target->name, move->account->address, probe_name(known->probe), move->target->name);
}

/* The table of doc/architecture.md, line by line. */
static bool decide(Move *move, const Known *known, GError **error)
{
    bool ours = known->recorded != 0 && known->row == known->recorded;

    move->old_mailbox = 0;
    move->old_group = known->recorded_group;
    switch (known->probe) {
    case PROBE_UNMAPPED:
        /* A row under the reserved id is what an undone window left when it could not be removed;
         * a record of a copy without its row, that its deletion was not finished. */
        if (!ours && known->row != 0 && known->row != known->reserved)
            return unexplained(move, known, error);
        move->old_copy = ours || known->recorded_is_there ? OLD_ROWS : OLD_NONE;
        break;
    case PROBE_LOCKED:
        if (!ours)
            return unexplained(move, known, error);
        move->old_copy = OLD_LOCKED;
        break;
    case PROBE_CACHED:
        if (!ours)
            return unexplained(move, known, error);
        move->old_copy = OLD_CACHED;
        break;
    case PROBE_WRONG_HOST:
        if (!ours && !(known->row != 0 && known->row == known->reserved))
            return unexplained(move, known, error);
        move->old_copy = OLD_REUSE_ROWS;
        break;
    case PROBE_NO_SUCH_MBOX:
        if (known->recorded == 0 || known->row != 0)
            return unexplained(move, known, error);
        move->old_copy = OLD_REUSE_EMPTY;
        break;
    case PROBE_UNKNOWN:
        return unexplained(move, known, error);
    }
    if (move->old_copy != OLD_NONE)
        move->old_mailbox = move->old_copy == OLD_REUSE_ROWS ? known->row : known->recorded;
    return true;
}

static bool group_schema_exists(Db *db, unsigned group, bool *exists, GError **error)
{
    g_autofree char *name = g_strdup_printf("mboxgroup%u", group);
    g_autoptr(Rows) rows =
        db_query(db, error, "SELECT 1 FROM INFORMATION_SCHEMA.SCHEMATA WHERE SCHEMA_NAME = ?",
                 DB_ARGS(db_text(name)));

    if (rows == NULL)
        return false;
    *exists = rows_count(rows) > 0;
    return true;
}

/* The fullest group schema the store has: the model for the others. */
static char *model_schema(Db *db, GError **error)
{
    g_autoptr(Rows) rows =
        db_query(db, error,
                 "SELECT TABLE_SCHEMA FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA REGEXP"
                 " '^mboxgroup[0-9]+$' GROUP BY TABLE_SCHEMA"
                 " ORDER BY COUNT(*) DESC, LENGTH(TABLE_SCHEMA), TABLE_SCHEMA LIMIT 1",
                 DB_NONE);

    if (rows == NULL)
        return NULL;
    if (rows_count(rows) == 0) {
        fail(error, ZX_ERROR_REFUSED,
             "%s has no mailbox group at all: open one mailbox there first", db_name(db));
        return NULL;
    }
    return g_strdup(rows_text(rows, 0, 0));
}

/* Of Rows: the tables that @schema lacks. */
static Rows *missing_tables(Db *db, const char *model, const char *schema, GError **error)
{
    return db_query(db, error,
                    "SELECT TABLE_NAME FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = ?"
                    " AND TABLE_NAME NOT IN (SELECT TABLE_NAME FROM INFORMATION_SCHEMA.TABLES"
                    " WHERE TABLE_SCHEMA = ?)",
                    DB_ARGS(db_text(model), db_text(schema)));
}

static bool copy_tables(Db *db, const char *model, const Rows *tables, GError **error)
{
    for (unsigned i = 0; i < rows_count(tables); i++) {
        g_autofree char *name = g_strdup_printf("`%s`.`%s`", model, rows_text(tables, i, 0));
        g_autoptr(Rows) text =
            db_query_one(db, error, "SHOW CREATE TABLE ?", DB_ARGS(db_sql(name)));

        /* References to tables of the same schema are unqualified there, so they follow the current
         * schema. */
        if (text == NULL || !db_exec(db, NULL, error, rows_text(text, 0, 1), DB_NONE))
            return false;
    }
    return true;
}

/* Mailboxd only looks whether the schema is there, and never repairs one (2.4): made completely or
 * not at all, and completed if a mover was killed while it made one. */
static bool group_schema_complete(Db *db, unsigned group, bool exists, GError **error)
{
    g_autofree char *schema = g_strdup_printf("mboxgroup%u", group);
    g_autofree char *model = model_schema(db, error);
    g_autoptr(Rows) missing = NULL;
    GError *ignored = NULL;
    bool made;

    if (model == NULL)
        return false;
    missing = missing_tables(db, model, schema, error);
    if (missing == NULL)
        return false;
    if (exists && rows_count(missing) == 0)
        return true;
    if (!exists && !db_exec(db, NULL, error, "CREATE DATABASE ? DEFAULT CHARACTER SET utf8",
                            DB_ARGS(db_sql(schema))))
        return false;
    made = failpoint("reserve:schema", error) &&
           db_exec(db, NULL, error, "USE ?", DB_ARGS(db_sql(schema))) &&
           db_exec(db, NULL, error, "SET SESSION foreign_key_checks = 0", DB_NONE) &&
           copy_tables(db, model, missing, error);
    if (!db_exec(db, NULL, &ignored, "SET SESSION foreign_key_checks = 1", DB_NONE))
        g_clear_error(&ignored);
    if (!made && !exists &&
        !db_exec(db, NULL, &ignored, "DROP DATABASE ?", DB_ARGS(db_sql(schema))))
        g_clear_error(&ignored);
    return made;
}

/* One mover at a time: who drops a schema that it could not make must not drop what another one has
 * completed and fills. */
static bool group_schema_ensure(Move *move, GError **error)
{
    Db *db = move->target->control;
    g_autofree char *lock = g_strdup_printf("zxmove.schema.%u", move->target_group);
    g_autoptr(Rows) got =
        db_query_one(db, error, "SELECT GET_LOCK(?, ?)",
                     DB_ARGS(db_text(lock), db_u64(MAX(move->op->conf->net_timeout_s / 2, 1))));
    GError *ignored = NULL;
    bool exists, good;

    if (got == NULL)
        return false;
    if (rows_u64(got, 0, 0) != 1)
        return fail(error, ZX_ERROR_CONFLICT, "%s: another zxmove is making mboxgroup%u",
                    move->target->name, move->target_group);
    good = group_schema_exists(db, move->target_group, &exists, error) &&
           group_schema_complete(db, move->target_group, exists, error);
    rows_free(db_query(db, &ignored, "SELECT RELEASE_LOCK(?)", DB_ARGS(db_text(lock))));
    g_clear_error(&ignored);
    return good;
}

static bool is_empty(Store *store, uint32_t id, GError **error)
{
    g_autofree char *table = NULL;
    uint64_t rows = 0, files = 0, bytes = 0;

    if (!rows_exist(store->control, (id - 1) % store->groups + 1, id, &rows, &table, error))
        return false;
    if (rows > 0)
        return fail(error, ZX_ERROR_REFUSED,
                    "%s: table %s has rows under mailbox id %u that should be free", store->name,
                    table, id);
    for (guint i = 0; i < store->volumes->len; i++) {
        const Volume *volume = g_ptr_array_index(store->volumes, i);

        if (volume->store_type != 1)
            continue;
        if (!peer_mailbox_usage(store->peer, volume->id, id, &files, &bytes, error))
            return false;
        if (files > 0)
            return fail(error, ZX_ERROR_REFUSED,
                        "%s: volume %s has files under mailbox id %u that should be free",
                        store->name, volume->name, id);
    }
    return true;
}

/* Nothing may lie under an id before it is used (hazard 4). */
static bool assert_empty(Move *move, uint32_t id, GError **error)
{
    Store *store = move->target;
    const char *calcache = store_fact(store, "calendar_cache_directory");
    bool cached = false;

    if (!is_empty(store, id, error))
        return false;
    if (calcache != NULL && !peer_calcache_exists(store->peer, calcache, id, &cached, error))
        return false;
    return !cached || peer_calcache_remove(store->peer, calcache, id, error);
}

/* The destination's current volume of the kind asked for, or one named by id or name. */
const Volume *reserve_choose_volume(const Store *store, const char *wanted, GError **error)
{
    const Volume *volume = NULL;
    guint64 number;

    if (wanted == NULL || strcmp(wanted, "current_primary") == 0)
        volume = volumes_find(store->volumes, store->current.message);
    else if (strcmp(wanted, "current_secondary") == 0)
        volume = volumes_find(store->volumes, store->current.secondary);
    else if (g_ascii_string_to_unsigned(wanted, 10, 1, 255, &number, NULL))
        volume = volumes_find(store->volumes, (unsigned)number);
    for (guint i = 0; i < store->volumes->len && wanted != NULL && volume == NULL; i++)
        if (strcmp(((Volume *)g_ptr_array_index(store->volumes, i))->name, wanted) == 0)
            volume = g_ptr_array_index(store->volumes, i);
    if (volume == NULL || volume->type == VOLUME_INDEX || volume->store_type != 1) {
        fail(error, ZX_ERROR_REFUSED,
             "%s has no volume %s that keeps messages in files: see getAllVolumes", store->name,
             wanted != NULL ? wanted : "current_primary");
        return NULL;
    }
    return volume;
}

static const Volume *choose_blob_volume(Move *move, GError **error)
{
    const MoveRequest *request = move->op->request;

    return reserve_choose_volume(move->target,
                                 request != NULL ? request->blob_destination_volume : NULL, error);
}

/* A short transaction of its own: the row lock on current_volumes blocks every mailbox creation
 * there (2.4). */
static bool new_id(Move *move, uint32_t *id, GError **error)
{
    Db *db = move->target->control;
    g_autoptr(Rows) next = NULL;

    if (!db_begin(db, false, error))
        return false;
    if (db_exec(db, NULL, error,
                "UPDATE zimbra.current_volumes SET next_mailbox_id = next_mailbox_id + 1", DB_NONE))
        next = db_query_one(db, error, "SELECT next_mailbox_id - 1 FROM zimbra.current_volumes",
                            DB_NONE);
    if (next == NULL) {
        db_rollback(db);
        return false;
    }
    *id = (uint32_t)rows_u64(next, 0, 0);
    return db_commit(db, error);
}

static bool record_reservation(Move *move, bool reused, GError **error)
{
    return db_exec(move->target->control, NULL, error,
                   "REPLACE INTO zxmove.reservation (account_id, mailbox_id, group_id, "
                   "blob_volume, index_volume,"
                   " reused, made) VALUES (?, ?, ?, ?, ?, ?, UTC_TIMESTAMP(3))",
                   DB_ARGS(db_text(move->account->id), db_u64(move->target_mailbox),
                           db_u64(move->target_group), db_u64(move->blob_volume->id),
                           db_u64(move->index_volume), db_u64(reused))) &&
           store_durable(move->target, error);
}

static bool forget_staged(Move *move, GError **error)
{
    return db_exec(move->target->control, NULL, error,
                   "DELETE FROM zxmove.staged WHERE account_id = ?",
                   DB_ARGS(db_text(move->account->id)));
}

/* Refused now rather than when everything has been copied. */
static bool can_be_cleared(Move *move, GError **error)
{
    if (!clear_allowed(move, error))
        return false;
    if (move->old_copy != OLD_LOCKED && move->old_copy != OLD_CACHED)
        return true;
    return shared_find(move->op, move->target, error) &&
           delete_allowed(move->target, move->old_mailbox, error);
}

/* Kept from run to run, so that a change of current volumes does not scatter the mailbox; another
 * one that was asked for comes too late, and is not passed over in silence. */
static const Volume *reserved_volume(Move *move, const Known *known, GError **error)
{
    const Volume *kept = volumes_find(move->target->volumes, known->reserved_blob_volume);
    const char *asked = move->op->request != NULL ? move->op->request->blob_destination_volume
                                                  : NULL;

    if (kept == NULL)
        fail(error, ZX_ERROR_REFUSED, "%s: the volume %u reserved for %s is gone",
             move->target->name, known->reserved_blob_volume, move->account->address);
    else if (asked != NULL && strcmp(asked, "current_primary") != 0 &&
             reserve_choose_volume(move->target, asked, NULL) != kept)
        move_note(move,
                  "blob_destination_volume %s is not followed: its copy was begun on volume %s (%u), "
                  "and stays there",
                  asked, kept->name, kept->id);
    return kept;
}

static bool reserve_new(Move *move, const Known *known, GError **error)
{
    const Volume *wanted = choose_blob_volume(move, error);

    if (wanted == NULL || !can_be_cleared(move, error))
        return false;
    /* An id the older copy still has is no place for the new one. */
    if (known->reserved != 0 && known->reserved != move->old_mailbox) {
        move->target_mailbox = known->reserved;
        move->target_group = known->reserved_group;
        move->index_volume = known->reserved_index_volume;
        move->blob_volume = reserved_volume(move, known, error);
        return move->blob_volume != NULL && group_schema_ensure(move, error);
    }
    move->blob_volume = wanted;
    move->index_volume = move->target->current.index;
    if (!new_id(move, &move->target_mailbox, error) || !failpoint("reserve:id", error))
        return false;
    move->target_group = (move->target_mailbox - 1) % move->target->groups + 1;
    return group_schema_ensure(move, error) && assert_empty(move, move->target_mailbox, error) &&
           forget_staged(move, error) && record_reservation(move, false, error);
}

static bool drop_other_reservation(Move *move, const Known *known, GError **error)
{
    Deletion deletion = { .op = move->op,
                          .address = move->account->address,
                          .claim = &move->claim,
                          .store = move->target,
                          .mailbox = known->reserved,
                          .group = known->reserved_group };

    if (known->reserved == 0 || known->reserved == move->target_mailbox)
        return true;
    log_info("%s: the copy staged under %u is abandoned, mailboxd wants %u", move->target->name,
             known->reserved, move->target_mailbox);
    return shared_find(move->op, move->target, error) &&
           delete_behind(&deletion, error);
}

/* The record must not promise a fallback any more before its rows are touched. */
static bool mark_reused(Move *move, GError **error)
{
    return db_exec(
               move->target->control, NULL, error,
               "UPDATE zxmove.moved SET state = 'reused' WHERE mailbox_id = ? AND account_id = ?",
               DB_ARGS(db_u64(move->target_mailbox), db_text(move->account->id))) &&
           store_durable(move->target, error);
}

/* Nothing is under the id, or the older copy is, whose files are looked at one by one. */
static bool begin_reuse(Move *move, GError **error)
{
    if (!forget_staged(move, error))
        return false;
    if (move->old_copy == OLD_REUSE_EMPTY)
        return assert_empty(move, move->target_mailbox, error);
    return shared_find(move->op, move->target, error) &&
           (move->blob_volume->sharing == VOLUME_SHARED ||
            manifest_adopt(move->target->control, move->account->id, move->target_group,
                           move->target_mailbox, move->blob_volume->id, error));
}

static bool reserve_recorded(Move *move, const Known *known, GError **error)
{
    bool begun = known->reserved == move->old_mailbox;

    move->target_mailbox = move->old_mailbox;
    move->target_group =
        known->row != 0 ? known->row_group : (move->target_mailbox - 1) % move->target->groups + 1;
    move->blob_volume =
        begun ? reserved_volume(move, known, error) : choose_blob_volume(move, error);
    move->index_volume = begun ? known->reserved_index_volume : move->target->current.index;
    if (move->blob_volume == NULL || !drop_other_reservation(move, known, error))
        return false;
    if (!begun && (!clear_allowed(move, error) || !begin_reuse(move, error)))
        return false;
    return group_schema_ensure(move, error) && mark_reused(move, error) &&
           record_reservation(move, true, error);
}

/* An account without a mailbox needs no id, but what lies at the destination would become its
 * mailbox at the flip. */
static bool nothing_there(Move *move, const Known *known, GError **error)
{
    return (known->probe == PROBE_UNMAPPED && known->row == 0) || unexplained(move, known, error);
}

bool reserve_apply(Move *move, GError **error)
{
    g_auto(Known) known = { 0 };

    if (!look(move, &known, error))
        return false;
    if (move->source_mailbox == 0)
        return nothing_there(move, &known, error);
    if (!decide(move, &known, error))
        return false;
    if (!(move->old_copy == OLD_REUSE_ROWS || move->old_copy == OLD_REUSE_EMPTY
              ? reserve_recorded(move, &known, error)
              : reserve_new(move, &known, error)))
        return false;
    /* A window that was undone may have left its row: invisible again before anything else happens.
     */
    if (known.probe == PROBE_UNMAPPED && known.row != 0 && known.row == move->target_mailbox &&
        !mailbox_row_delete(move->target, move->account->id, known.row, error))
        return false;
    move->result->destination_mailbox = move->target_mailbox;
    log_info("mailbox %u on %s becomes %u on %s (mailboxd there says: %s)", move->source_mailbox,
             move->source->name, move->target_mailbox, move->target->name, probe_name(known.probe));
    return true;
}

bool reserve_model_group(Db *db, unsigned *group, GError **error)
{
    g_autofree char *schema = model_schema(db, error);
    guint64 number = 0;

    if (schema == NULL)
        return false;
    g_ascii_string_to_unsigned(schema + strlen("mboxgroup"), 10, 1, G_MAXUINT, &number, NULL);
    *group = (unsigned)number;
    return true;
}

bool reserve_next_empty(Store *store, GError **error)
{
    g_autoptr(Rows) next = db_query_one(
        store->control, error, "SELECT next_mailbox_id FROM zimbra.current_volumes", DB_NONE);

    return next != NULL && is_empty(store, (uint32_t)rows_u64(next, 0, 0), error);
}

bool reserve_explained(Move *move, const char **probe, GError **error)
{
    g_auto(Known) known = { 0 };

    if (!look(move, &known, error))
        return false;
    *probe = probe_name(known.probe);
    return move->source_mailbox == 0 ? nothing_there(move, &known, error)
                                     : decide(move, &known, error);
}
