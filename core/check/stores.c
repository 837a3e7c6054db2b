/* stores.c - doCheck: what must hold of each store, and between a source and the destination. What a
 * move refuses is asked by its own functions (core/move/fit.c). */
#include "conf/units.h"
#include "core/check/check.h"
#include <string.h>

void test_destination(Check *check, const CheckTest *test)
{
    GError *problem = NULL;
    bool good = fit_destination(&check->op, check->request->destination, &problem);

    check_judge(check, test, CHECK_FAIL, check->request->destination, good, problem);
}

static bool ask_version(Check *check, Store *source, GError **error)
{
    return fit_version(source, check->target, error);
}

void test_versions(Check *check, const CheckTest *test)
{
    check_pairs(check, test, CHECK_FAIL, ask_version);
}

static bool ask_layout(Check *check, Store *store, GError **error)
{
    return fit_layout(&check->op, store, error);
}

void test_layout(Check *check, const CheckTest *test)
{
    check_stores(check, test, CHECK_FAIL, ask_layout);
}

static bool ask_time_zone(Check *check, Store *source, GError **error)
{
    return fit_time_zone(source, check->target, error);
}

void test_time_zone(Check *check, const CheckTest *test)
{
    check_pairs(check, test, CHECK_FAIL, ask_time_zone);
}

static bool ask_clocks(Check *check, Store *source, GError **error)
{
    return fit_clocks(source, check->target, error);
}

void test_clocks(Check *check, const CheckTest *test)
{
    check_pairs(check, test, CHECK_FAIL, ask_clocks);
}

/* The destination alone. */
static void check_target(Check *check, const CheckTest *test,
                         bool (*ask)(Check *check, Store *target, GError **error))
{
    const char *name = g_ptr_array_index(check->names, 0);
    GError *problem = NULL;
    bool good;

    if (check->target == NULL) {
        check_add(check, test, CHECK_NOT_POSSIBLE, name, "%s could not be asked", name);
        return;
    }
    good = ask(check, check->target, &problem);
    check_judge(check, test, CHECK_FAIL, name, good, problem);
}

static bool ask_groups(Check *check G_GNUC_UNUSED, Store *target, GError **error)
{
    return fit_groups(target, error);
}

void test_groups(Check *check, const CheckTest *test)
{
    check_target(check, test, ask_groups);
}

static bool ask_ids(Check *check G_GNUC_UNUSED, Store *target, GError **error)
{
    return fit_ids(target, error) && reserve_next_empty(target, error);
}

void test_ids(Check *check, const CheckTest *test)
{
    check_target(check, test, ask_ids);
}

static bool ask_index(Check *check, Store *source, GError **error)
{
    return fit_index(source, check->target) ||
           fail(error, ZX_ERROR_REFUSED, "index.version %u and %u, or another kind",
                source->index_version, check->target->index_version);
}

void test_index(Check *check, const CheckTest *test)
{
    check_pairs(check, test, CHECK_WARN, ask_index);
}

static bool is_number(const Store *store, const char *key, GError **error)
{
    const char *text = store_fact(store, key);

    return (text != NULL && g_ascii_string_to_unsigned(text, 10, 1, G_MAXUINT, NULL, NULL)) ||
           fail(error, ZX_ERROR_REFUSED, "%s is %s", key, text != NULL ? text : "not told");
}

static bool ask_checkpoints(Check *check G_GNUC_UNUSED, Store *store, GError **error)
{
    return is_number(store, "zimbra_mailbox_change_checkpoint_frequency", error) &&
           is_number(store, "zimbra_mailbox_lock_timeout", error);
}

void test_checkpoints(Check *check, const CheckTest *test)
{
    check_stores(check, test, CHECK_WARN, ask_checkpoints);
}

/* Databases. */

static bool ask_rights(Check *check G_GNUC_UNUSED, Store *store, GError **error)
{
    static const char *const needed[] = { "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP" };
    g_autoptr(Rows) rows =
        db_query(store->control, error,
                 "SELECT PRIVILEGE_TYPE FROM INFORMATION_SCHEMA.USER_PRIVILEGES WHERE GRANTEE ="
                 " CONCAT('\\'', REPLACE(CURRENT_USER(), '@', '\\'@\\''), '\\'')",
                 DB_NONE);

    if (rows == NULL)
        return false;
    for (guint i = 0; i < G_N_ELEMENTS(needed); i++) {
        bool found = false;

        for (unsigned row = 0; row < rows_count(rows) && !found; row++)
            found = strcmp(rows_text(rows, row, 0), needed[i]) == 0;
        if (!found)
            return fail(error, ZX_ERROR_REFUSED, "%s has no global right to %s",
                        check->conf->mariadb.user, needed[i]);
    }
    return true;
}

void test_database_rights(Check *check, const CheckTest *test)
{
    check_stores(check, test, CHECK_FAIL, ask_rights);
}

static bool ask_settings(Check *check, Store *source, GError **error)
{
    static const char sql[] = "SELECT @@GLOBAL.max_allowed_packet,"
                              " @@GLOBAL.sql_mode LIKE '%STRICT%', @@GLOBAL.foreign_key_checks";
    g_autoptr(Rows) here = db_query_one(source->control, error, sql, DB_NONE);
    g_autoptr(Rows) there =
        here != NULL ? db_query_one(check->target->control, error, sql, DB_NONE) : NULL;

    if (there == NULL)
        return false;
    if (rows_u64(there, 0, 0) < rows_u64(here, 0, 0))
        return fail(error, ZX_ERROR_REFUSED,
                    "max_allowed_packet is %s there and %s here: a large row would not fit",
                    rows_text(there, 0, 0), rows_text(here, 0, 0));
    if (rows_u64(here, 0, 1) != rows_u64(there, 0, 1))
        return fail(error, ZX_ERROR_REFUSED,
                    "sql_mode is strict on one of them only (zxmove's own sessions always are)");
    return (rows_u64(here, 0, 2) == 1 && rows_u64(there, 0, 2) == 1) ||
           fail(error, ZX_ERROR_REFUSED, "foreign_key_checks is off globally");
}

void test_database_settings(Check *check, const CheckTest *test)
{
    check_pairs(check, test, CHECK_WARN, ask_settings);
}

/* Each group of the source's once: a mailbox of it is as good as any other. */
static bool ask_tables(Check *check, Store *source, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    unsigned group;

    if (!reserve_model_group(check->target->control, &group, error))
        return false;
    for (guint i = 0; i < check->moves->len; i++) {
        const Move *move = g_ptr_array_index(check->moves, i);
        g_autoptr(Catalogue) catalogue = NULL;

        if (move->source != source || move->source_mailbox == 0 ||
            !g_hash_table_add(seen, GUINT_TO_POINTER(move->source_group)))
            continue;
        catalogue = catalogue_read(source->data, check->target->data, move->source_group, group,
                                   move->source_mailbox, error);
        if (catalogue == NULL)
            return false;
    }
    return true;
}

void test_tables(Check *check, const CheckTest *test)
{
    check_pairs(check, test, CHECK_FAIL, ask_tables);
}

/* Volumes. */

/* Those of files were shown to the agent when the store was opened. */
static bool ask_volumes(Check *check, Store *store, GError **error)
{
    for (guint i = 0; i < store->volumes->len; i++) {
        const Volume *volume = g_ptr_array_index(store->volumes, i);

        if (volume->store_type != 1)
            return fail(error, ZX_ERROR_REFUSED,
                        "volume %s is external storage: a mailbox with blobs there cannot be moved",
                        volume->name);
    }
    return store != check->target ||
           reserve_choose_volume(store, check->request->blob_destination_volume, error) != NULL;
}

void test_volumes(Check *check, const CheckTest *test)
{
    check_stores(check, test, CHECK_WARN, ask_volumes);
}

/* The only proof is a file that the other store sees, too. */
void test_sharing(Check *check, const CheckTest *test)
{
    check_add(check, test, CHECK_NOT_POSSIBLE, NULL,
              "this takes a file written to each volume, and a check writes nothing");
}

void test_space(Check *check, const CheckTest *test)
{
    const GPtrArray *disks = check->op.report->disks;

    for (guint i = 0; i < disks->len; i++) {
        const DiskForecast *disk = g_ptr_array_index(disks, i);
        bool fits = disk->need == 0 || disk->need + disk->keep <= disk->free_bytes;
        g_autofree char *need = units_format_size(disk->need);
        g_autofree char *free_space = units_format_size(disk->free_bytes);
        g_autofree char *keep = units_format_size(disk->keep);
        g_autofree char *subject =
            g_strdup_printf("%s, %s", check->request->destination, disk->what);

        check_add(check, test, fits ? CHECK_OK : CHECK_FAIL, subject,
                  "%s to come, %s free, %s must remain (min_free)", need, free_space, keep);
    }
    if (disks->len == 0)
        check_add(check, test, check->unasked > 0 ? CHECK_NOT_POSSIBLE : CHECK_OK, NULL,
                  check->unasked > 0 ? "it is not known what is to come" : "nothing is to come");
}
