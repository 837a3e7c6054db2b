/* forecast.c - a plan: what the servers say a move would have to do, mailbox by mailbox, and
 * whether it fits. Reads only: no claim, no reservation, not even the database zxmove is made. A
 * store that cannot be asked is a risk, no error. */
#include "conf/units.h"
#include "core/base/log.h"
#include "core/move/manifest.h"
#include "core/move/move.h"

/* A window of a mailbox of few rows: requests to mailboxd, syncs, the directory's answer. Measured
 * on the laboratory; a busy mailboxd takes longer. */
#define WINDOW_MS 100
/* What a row costs is learnt from the mailbox next below so many rows, read so often. */
#define SAMPLE_ROWS 50000
#define TURNS       4

/* One mailbox and both its ends, the target's as a reservation has it or would have it. */
typedef struct Look {
    Operation *op;
    const Account *account;
    SpaceMailbox source, target;
    const Volume *blobs; /* at the destination */
    Forecast *forecast;
    uint64_t index_bytes, row_bytes;
    const char *test; /* of doCheck, that it did not pass; NULL: none by name */
} Look;

static void risk(Operation *op, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
static void risk(Operation *op, const char *fmt, ...)
{
    GPtrArray *risks = op->report->risks;
    va_list args;
    char *text;

    va_start(args, fmt);
    text = g_strdup_vprintf(fmt, args);
    va_end(args);
    if (g_ptr_array_find_with_equal_func(risks, text, g_str_equal, NULL))
        g_free(text);
    else
        g_ptr_array_add(risks, text);
}

/* What an earlier run reserved and staged; without one, what a reservation would choose now. */
static bool find_place(Look *look, GError **error)
{
    Store *store = look->target.store;
    g_autoptr(Rows) reserved = NULL;
    g_autoptr(Rows) staged = NULL;

    look->blobs = reserve_choose_volume(store, look->op->request->blob_destination_volume, error);
    look->target.index_volume = store->current.index;
    if (look->blobs == NULL || store->bare)
        return look->blobs != NULL;
    reserved = db_query(store->control, error,
                        "SELECT mailbox_id, group_id, blob_volume, index_volume"
                        " FROM zxmove.reservation WHERE account_id = ?",
                        DB_ARGS(db_text(look->account->id)));
    if (reserved == NULL)
        return false;
    if (rows_count(reserved) > 0) {
        look->target.mailbox = (uint32_t)rows_u64(reserved, 0, 0);
        look->target.group = (unsigned)rows_u64(reserved, 0, 1);
        look->target.index_volume = (unsigned)rows_u64(reserved, 0, 3);
        look->blobs = volumes_find(store->volumes, (unsigned)rows_u64(reserved, 0, 2));
        if (look->blobs == NULL)
            return fail(error, ZX_ERROR_REFUSED, "%s: the volume %s reserved for it is gone",
                        store->name, rows_text(reserved, 0, 2));
    }
    staged = db_query_one(store->control, error,
                          "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM zxmove.staged"
                          " WHERE account_id = ? AND volume_id = ? AND damaged IS NULL",
                          DB_ARGS(db_text(look->account->id), db_u64(look->blobs->id)));
    if (staged == NULL)
        return false;
    look->forecast->blobs_there = rows_u64(staged, 0, 0);
    look->forecast->bytes_there = rows_u64(staged, 0, 1);
    return true;
}

/* What a move that led away from there left of it, and a way back would use. */
static bool count_older_copy(const Look *look, const BlobsJob *job, GError **error)
{
    Store *store = look->target.store;
    Forecast *forecast = look->forecast;
    g_autoptr(Rows) record = NULL;
    OlderCopy copy = { .volumes = store->volumes };
    uint64_t blobs, bytes;

    record = db_query(store->control, error,
                      "SELECT m.mailbox_id, m.group_id FROM zxmove.moved m JOIN zimbra.mailbox b"
                      " ON b.id = m.mailbox_id AND b.account_id = m.account_id"
                      " WHERE m.account_id = ? AND m.state = 'kept'",
                      DB_ARGS(db_text(look->account->id)));
    if (record == NULL || rows_count(record) != 1)
        return record != NULL;
    copy.mailbox = (uint32_t)rows_u64(record, 0, 0);
    copy.group = (unsigned)rows_u64(record, 0, 1);
    if (!blobs_in_older_copy(job, &copy, &blobs, &bytes, error))
        return false;
    forecast->blobs_there += blobs;
    forecast->bytes_there += bytes;
    forecast->blobs_to_go -= blobs;
    forecast->bytes_to_go -= bytes;
    return true;
}

static bool count_blobs(const Look *look, GError **error)
{
    Forecast *forecast = look->forecast;
    BlobsJob job = {
        .account_id = look->account->id,
        .source_db = look->source.store->data,
        .target_db = look->target.store->data,
        .source = look->source.store->peer,
        .target = look->target.store->peer,
        .source_volumes = look->source.store->volumes,
        .target_volume = look->blobs,
        .source_group = look->source.group,
        .source_mailbox = look->source.mailbox,
        .target_mailbox = look->target.mailbox,
    };

    if (!manifest_locators_fit(&job, error))
        return false;
    if (look->target.store->bare)
        return manifest_total(&job, &forecast->blobs_to_go, &forecast->bytes_to_go, error);
    return blobs_missing(&job, &forecast->blobs_to_go, &forecast->bytes_to_go, error) &&
           count_older_copy(look, &job, error);
}

static bool nothing_unfinished(const Look *look, GError **error)
{
    Store *const stores[] = { look->source.store, look->target.store };

    for (guint i = 0; i < G_N_ELEMENTS(stores); i++)
        if (!stores[i]->bare && !move_nothing_unfinished(stores[i], look->account, error))
            return false;
    return true;
}

static bool look_at(Look *look, GError **error)
{
    SpaceMailbox *source = &look->source;

    if (!nothing_unfinished(look, error)) {
        look->test = "unfinished";
        return false;
    }
    if (!source->store->bare && !move_nothing_late(source->store, look->account, error)) {
        look->test = "late_commit";
        return false;
    }
    if (!fit_alone(source->store, look->account, look->op->wait, error) ||
        !fit_alone(look->target.store, look->account, look->op->wait, error)) {
        look->test = "other_mover";
        return false;
    }
    if (!plan_check_stores(look->op, source->store, look->target.store, error) ||
        !mailbox_row_find(source->store->control, look->account->id, &source->mailbox,
                          &source->group, &source->index_volume, error))
        return false;
    if (source->mailbox == 0)
        return true; /* nothing to copy */
    return find_place(look, error) && count_blobs(look, error) &&
           rows_exist(source->store->control, source->group, source->mailbox, &look->forecast->rows,
                      NULL, error) &&
           space_of_index(source, &look->target, &look->index_bytes, error) &&
           space_of_rows(source, &look->target, &look->row_bytes, error);
}

/* Disks. */

typedef struct Place {
    char *what;
    PeerSpace space;
    uint64_t need;
} Place;

static void place_free(Place *place)
{
    g_free(place->what);
    g_free(place);
}

/* Takes @what. Its space is asked for when it is first seen. */
static bool need(GPtrArray *places, Store *store, char *what, unsigned volume, uint64_t bytes,
                 GError **error)
{
    Place *place;

    for (guint i = 0; i < places->len; i++) {
        place = g_ptr_array_index(places, i);
        if (g_str_equal(place->what, what)) {
            place->need += bytes;
            g_free(what);
            return true;
        }
    }
    place = g_new0(Place, 1);
    place->what = what;
    place->need = bytes;
    g_ptr_array_add(places, place);
    return volume != 0 ? peer_space(store->peer, volume, &place->space, error)
                       : space_database(store, &place->space, error);
}

static bool add_needs(const Look *look, GPtrArray *places, GError **error)
{
    Store *store = look->target.store;

    if (look->source.mailbox == 0)
        return true;
    return need(places, store, g_strdup_printf("volume %s", look->blobs->name), look->blobs->id,
                look->forecast->bytes_to_go, error) &&
           need(places, store, g_strdup_printf("index volume %u", look->target.index_volume),
                look->target.index_volume, look->index_bytes, error) &&
           need(places, store, g_strdup("MariaDB's disk"), 0, look->row_bytes, error);
}

static void judge(Operation *op, const char *store, const DiskForecast *disk)
{
    g_autofree char *needed = units_format_size(disk->need);
    g_autofree char *available = units_format_size(disk->free_bytes);

    if (disk->need != 0 && disk->need + disk->keep > disk->free_bytes)
        risk(op, "%s, %s: %s to come, %s free, and %u%% must remain (min_free): make room there",
             store, disk->what, needed, available, op->conf->min_free_percent);
}

/* One line a file system of @store, with everything that lies on it. */
static void add_disks(Operation *op, const char *store, const GPtrArray *places)
{
    g_autoptr(GHashTable) done = g_hash_table_new(g_int64_hash, g_int64_equal);

    for (guint i = 0; i < places->len; i++) {
        Place *first = g_ptr_array_index(places, i);
        g_autoptr(GString) names = g_string_new(first->what);
        DiskForecast *disk;

        if (!g_hash_table_add(done, &first->space.device))
            continue;
        disk = g_new0(DiskForecast, 1);
        disk->need = first->need;
        disk->free_bytes = first->space.free_bytes;
        disk->total_bytes = first->space.total_bytes;
        disk->keep = first->space.total_bytes / 100 * op->conf->min_free_percent;
        for (guint k = i + 1; k < places->len; k++) {
            const Place *other = g_ptr_array_index(places, k);

            if (other->space.device != first->space.device)
                continue;
            disk->need += other->need;
            g_string_append_printf(names, ", %s", other->what);
        }
        disk->what = g_strdup(names->str);
        g_ptr_array_add(op->report->disks, disk);
        judge(op, store, disk);
    }
}

/* The window. */

/* The mailbox that is read to learn what a row costs: many rows, so that they are seen beside the
 * statements' own time, but no minute of the store's. */
typedef struct Sample {
    Store *store;
    uint32_t group, mailbox;
    uint64_t rows;
} Sample;

static void offer(Sample *sample, const Look *look)
{
    uint64_t rows = look->forecast->rows;
    bool better = sample->rows <= SAMPLE_ROWS ? rows > sample->rows && rows <= SAMPLE_ROWS
                                              : rows < sample->rows;

    if (look->source.mailbox == 0 || (sample->store != NULL && !better))
        return;
    *sample = (Sample){ look->source.store, look->source.group, look->source.mailbox, rows };
}

/* What the window's proof does on one side: reads and hashes every row. */
static bool time_rows(const Sample *sample, uint32_t mailbox, int64_t *us, GError **error)
{
    int64_t began = g_get_monotonic_time();
    g_autofree char *sums =
        rows_fingerprints_alone(sample->store->data, sample->group, mailbox, error);

    *us = MIN(*us, g_get_monotonic_time() - began);
    return sums != NULL;
}

/* The best of several: the first only brings the rows into memory, as the rounds before a window
 * do, and a busy store makes any of them longer. Mailbox 0 has no rows: what is more than its time,
 * the rows took. Few rows may cost nothing that can be seen. */
static bool measure_row(const Sample *sample, double *row_us, GError **error)
{
    int64_t full = G_MAXINT64, empty = G_MAXINT64;

    for (unsigned turn = 0; turn < TURNS; turn++)
        if (!time_rows(sample, sample->mailbox, &full, error) ||
            !time_rows(sample, 0, &empty, error))
            return false;
    *row_us = (double)MAX(full - empty, 0) / (double)sample->rows;
    return true;
}

static void estimate_windows(Operation *op, const Sample *sample)
{
    Report *report = op->report;
    g_autoptr(GError) problem = NULL;

    if (op->checking || sample->rows == 0)
        return;
    if (!measure_row(sample, &report->row_us, &problem)) {
        log_warning("no estimate of the windows: %s", problem->message);
        return;
    }
    for (guint i = 0; i < report->mailboxes->len; i++) {
        const MailboxResult *result = g_ptr_array_index(report->mailboxes, i);

        if (result->forecast != NULL)
            result->forecast->window_ms =
                WINDOW_MS + (double)result->forecast->rows * report->row_us / 1000;
    }
}

/* Of a store that cannot be asked, *store is NULL, and the mailbox remains planned without a
 * forecast. @gone: those that were tried. False: it refuses our login, as it would a move's. */
static bool store_or_risk(Operation *op, GHashTable *gone, const char *name, Store **store,
                          GError **error)
{
    GError *problem = NULL;
    Store *opened;

    *store = NULL;
    if (g_hash_table_contains(gone, name))
        return true;
    opened = operation_store(op, name, &problem);
    if (opened != NULL && (op->checking || operation_login(op, opened, &problem))) {
        *store = opened;
        return true;
    }
    if (opened != NULL && error_code(problem) == ZX_ERROR_DENIED) {
        g_propagate_error(error, problem);
        return false;
    }
    risk(op, "%s could not be asked: %s", name, problem->message);
    g_hash_table_add(gone, g_strdup(name));
    g_error_free(problem);
    return true;
}

static void refuse(MailboxResult *result, const char *test, GError *problem)
{
    result->test = test;
    result_decide(result, OUTCOME_FAILED, problem);
}

static MailboxResult *result_of(Operation *op, const Account *account)
{
    for (guint i = 0; i < op->report->mailboxes->len; i++) {
        MailboxResult *result = g_ptr_array_index(op->report->mailboxes, i);

        if (g_str_equal(result->account_id, account->id))
            return result;
    }
    g_assert_not_reached();
}

/* Those of @accounts that go to the store @name. */
static bool forecast_to(Operation *op, const char *name, const GPtrArray *accounts, Sample *sample,
                        GError **error)
{
    g_autoptr(GPtrArray) places = g_ptr_array_new_with_free_func((GDestroyNotify)place_free);
    g_autoptr(GHashTable) gone = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    Store *target;

    if (!store_or_risk(op, gone, name, &target, error) ||
        (target != NULL && !ready_volume(op, error)))
        return false;
    for (guint i = 0; i < accounts->len; i++) {
        const Account *account = g_ptr_array_index(accounts, i);
        MailboxResult *result = result_of(op, account);
        g_autofree Forecast *forecast = g_new0(Forecast, 1);
        Look look = { .op = op, .account = account, .target.store = target, .forecast = forecast };
        GError *problem = NULL;

        if (g_ascii_strcasecmp(result->destination, name) != 0)
            continue;
        if (!wait_check(op->wait, "the plan", error))
            return false;
        result->outcome = OUTCOME_PLANNED;
        if (!store_or_risk(op, gone, account->mail_host, &look.source.store, error))
            return false;
        if (look.source.store == NULL || target == NULL)
            continue;
        forecast->mailbox_bytes = operation_size(op, account->id);
        if (!look_at(&look, &problem) || !add_needs(&look, places, &problem)) {
            refuse(result, look.test, problem);
            continue;
        }
        result->source_mailbox = look.source.mailbox;
        result->destination_mailbox = look.target.mailbox;
        offer(sample, &look);
        result->forecast = g_steal_pointer(&forecast);
    }
    add_disks(op, name, places);
    return true;
}

bool forecast_all(Operation *op, const GPtrArray *accounts, GError **error)
{
    g_autoptr(GHashTable) done = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GArray) places = batch_undecided(op);
    Sample sample = { 0 };

    plan_sizes(op, places);
    for (guint i = 0; i < accounts->len; i++) {
        const char *name = result_of(op, g_ptr_array_index(accounts, i))->destination;

        if (g_hash_table_add(done, g_ascii_strdown(name, -1)) &&
            !forecast_to(op, name, accounts, &sample, error))
            return false;
    }
    estimate_windows(op, &sample);
    return true;
}
