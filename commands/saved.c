/* saved.c - see saved.h. The keys are those of formats.c; tests compare that nothing is lost on the
 * way to the file and back. */
#include "commands/saved.h"
#include "conf/units.h"
#include <string.h>

static const char *const stage_names[] = { "blobs", "backup", "account" };

json_t *saved_asked(const ReportText *text)
{
    json_t *object = json_object(), *stages, *mails;

    json_object_set_new(object, "selection", text_json(text->selection));
    json_object_set_new(object, "destination", text_json(text->destination));
    if (text->stages != 0) {
        stages = json_array();
        for (unsigned i = 0; i < G_N_ELEMENTS(stage_names); i++)
            if (text->stages & (1u << i))
                json_array_append_new(stages, json_string(stage_names[i]));
        json_object_set_new(object, "stages", stages);
    }
    if (text->notifications != NULL) {
        mails = json_array();
        for (char **to = text->notifications; *to != NULL; to++)
            json_array_append_new(mails, text_json(*to));
        json_object_set_new(object, "notifications", mails);
    }
    json_object_set_new(object, "kind",
                        json_string(text->purge     ? "purge"
                                    : text->recover ? "recover"
                                    : text->plan    ? "plan"
                                                    : "move"));
    json_object_set_new(object, "dry_run", json_boolean(text->dry_run));
    json_object_set_new(object, "strict", json_boolean(text->strict));
    json_object_set_new(object, "interrupted", json_boolean(text->interrupted));
    json_object_set_new(object, "retention_days", json_integer(text->retention_days));
    return object;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static char *copy_of(const json_t *object, const char *key)
{
    return g_strdup(text_of(object, key));
}

static uint64_t count_of(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

static int64_t time_of(const json_t *object, const char *key)
{
    const char *text = text_of(object, key);
    int64_t ms = 0;

    return text != NULL && units_parse_date(text, &ms, NULL) ? ms : 0;
}

static bool flag_of(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static char **texts_of(const json_t *object, const char *key)
{
    const json_t *list = json_object_get(object, key);
    GPtrArray *texts;
    size_t i;
    json_t *item;

    if (list == NULL)
        return NULL;
    texts = g_ptr_array_new();
    json_array_foreach(list, i, item) if (json_is_string(item))
        g_ptr_array_add(texts, g_strdup(json_string_value(item)));
    g_ptr_array_add(texts, NULL);
    return (char **)g_ptr_array_free(texts, FALSE);
}

static void read_texts(const json_t *object, const char *key, GPtrArray *out)
{
    g_auto(GStrv) texts = texts_of(object, key);

    for (char **text = texts; text != NULL && *text != NULL; text++)
        g_ptr_array_add(out, g_strdup(*text));
}

static bool read_outcome(const char *name, Outcome *out)
{
    for (int i = OUTCOME_MOVED; name != NULL && i <= OUTCOME_NOT_REACHED; i++) {
        if (strcmp(report_outcome((Outcome)i), name) != 0)
            continue;
        *out = (Outcome)i;
        return true;
    }
    return false;
}

static void read_steps(const json_t *object, GArray *steps)
{
    size_t i;
    json_t *item;

    json_array_foreach(json_object_get(object, "window_steps"), i, item)
    {
        StepTime step = { .name =
                              g_intern_string(text_of(item, "step")), /* the mover's are literals */
                          .ms = json_number_value(json_object_get(item, "ms")) };

        g_array_append_val(steps, step);
    }
}

static void read_sleeping(const json_t *object, Sleeping *sleeping)
{
    size_t i;
    json_t *item;

    json_array_foreach(json_object_get(object, "sleeping"), i, item)
    {
        const char *kind = text_of(item, "kind"), *first = text_of(item, "first");

        for (int k = 0; kind != NULL && k < SLEEPERS; k++) {
            if (strcmp(report_sleeper((Sleeper)k, 1), kind) != 0)
                continue;
            sleeping[k].count = count_of(item, "count");
            g_strlcpy(sleeping[k].first, first != NULL ? first : "", sizeof sleeping[k].first);
        }
    }
}

static void read_bad_items(const json_t *object, GPtrArray *items)
{
    size_t i;
    json_t *item;

    json_array_foreach(json_object_get(object, "bad_items"), i, item)
    {
        BadItem *bad = g_new0(BadItem, 1);

        bad->item_id = (uint32_t)count_of(item, "item");
        bad->mod_content = (uint32_t)count_of(item, "mod_content");
        bad->damaged_before = flag_of(item, "damaged_before");
        bad->cause = copy_of(item, "cause");
        bad->folder = copy_of(item, "folder");
        bad->subject = copy_of(item, "subject");
        g_ptr_array_add(items, bad);
    }
}

static Forecast *read_forecast(const json_t *object)
{
    const json_t *forecast = json_object_get(object, "forecast");
    Forecast *out = forecast != NULL ? g_new0(Forecast, 1) : NULL;

    if (out == NULL)
        return NULL;
    out->mailbox_bytes = count_of(forecast, "mailbox_bytes");
    out->rows = count_of(forecast, "rows");
    out->blobs_there = count_of(forecast, "blobs_there");
    out->bytes_there = count_of(forecast, "bytes_there");
    out->blobs_to_go = count_of(forecast, "blobs_to_go");
    out->bytes_to_go = count_of(forecast, "bytes_to_go");
    out->window_ms = json_number_value(json_object_get(forecast, "window_ms"));
    return out;
}

static bool read_mailbox(const json_t *object, Report *report)
{
    MailboxResult *result =
        report_add_mailbox(report, text_of(object, "account"), text_of(object, "account_id"),
                           text_of(object, "source"), text_of(object, "destination"));
    const char *code = text_of(object, "code");

    if (!read_outcome(text_of(object, "outcome"), &result->outcome))
        return false;
    if (code == NULL || !error_named(code, &result->code))
        result->code = ZX_ERROR_FAILED;
    result->reason = copy_of(object, "reason");
    result->unfinished = flag_of(object, "unfinished");
    result->source_mailbox = (uint32_t)count_of(object, "source_mailbox");
    result->destination_mailbox = (uint32_t)count_of(object, "destination_mailbox");
    result->rows = count_of(object, "rows");
    result->rows_window = count_of(object, "rows_window");
    result->blobs = count_of(object, "blobs");
    result->bytes = count_of(object, "bytes");
    result->blobs_copied = count_of(object, "blobs_copied");
    result->bytes_copied = count_of(object, "bytes_copied");
    result->blobs_linked = count_of(object, "blobs_linked");
    result->bytes_freed = count_of(object, "bytes_freed");
    result->backup_files = count_of(object, "backup_files");
    result->backup_bytes = count_of(object, "backup_bytes");
    result->rounds = (unsigned)count_of(object, "rounds");
    result->committed = time_of(object, "committed");
    result->window_ms = json_number_value(json_object_get(object, "window_ms"));
    result->forecast = read_forecast(object);
    read_steps(object, result->window_steps);
    read_sleeping(object, result->sleeping);
    read_texts(object, "notes", result->notes);
    read_bad_items(object, result->bad_items);
    return true;
}

static void read_disks(const json_t *object, Report *report)
{
    size_t i;
    json_t *item;

    json_array_foreach(json_object_get(object, "disks"), i, item)
    {
        DiskForecast *disk = g_new0(DiskForecast, 1);

        disk->what = copy_of(item, "what");
        disk->need = count_of(item, "bytes_to_come");
        disk->free_bytes = count_of(item, "bytes_free");
        disk->total_bytes = count_of(item, "bytes_total");
        disk->keep = count_of(item, "bytes_kept");
        g_ptr_array_add(report->disks, disk);
    }
}

/* Written in seconds, and the time between in ms: the start lies so far in its second that the end
 * is in its own. */
static void read_times(const json_t *object, Report *report)
{
    const int64_t took = (int64_t)count_of(object, "took_ms"), ended = time_of(object, "ended");

    report->started = time_of(object, "started");
    report->started += CLAMP(ended - report->started - took, 0, 999);
    report->ended = report->started + took;
}

static bool read_report(const json_t *object, Report *report)
{
    const char *operation = text_of(object, "operation");
    const json_t *mailboxes = json_object_get(object, "mailboxes");
    size_t i;
    json_t *item;

    if (operation == NULL || !json_is_array(mailboxes) || text_of(object, "verb") == NULL)
        return false;
    g_strlcpy(report->operation, operation, sizeof report->operation);
    report->verb = copy_of(object, "verb");
    report->command = copy_of(object, "command");
    report->batch_name = copy_of(object, "batch_name");
    report->comment = copy_of(object, "comment");
    report->who = copy_of(object, "who");
    report->host = copy_of(object, "host");
    read_times(object, report);
    report->row_us = json_number_value(json_object_get(object, "row_us"));
    report->halted = copy_of(object, "halted");
    report->mail_problem = copy_of(object, "mail_problem");
    report->log_path = copy_of(object, "log");
    report->mailbox_logs = copy_of(object, "mailbox_logs");
    report->report_path = copy_of(object, "report");
    read_texts(object, "notes", report->notes);
    read_texts(object, "risks", report->risks);
    read_disks(object, report);
    json_array_foreach(mailboxes, i, item) if (!read_mailbox(item, report)) return false;
    return true;
}

static unsigned stages_of(const json_t *asked)
{
    unsigned stages = 0;
    size_t i;
    json_t *item;

    json_array_foreach(json_object_get(asked, "stages"), i, item)
    {
        for (unsigned k = 0; k < G_N_ELEMENTS(stage_names); k++)
            if (g_strcmp0(json_string_value(item), stage_names[k]) == 0)
                stages |= 1u << k;
    }
    return stages;
}

static void read_asked(const json_t *asked, ReportText *text)
{
    const char *kind = text_of(asked, "kind");

    text->selection = copy_of(asked, "selection");
    text->destination = text_of(asked, "destination");
    text->notifications = texts_of(asked, "notifications");
    text->stages = stages_of(asked);
    text->staged = text->stages != 0 && !(text->stages & STAGE_ACCOUNT);
    text->purge = g_strcmp0(kind, "purge") == 0;
    text->recover = g_strcmp0(kind, "recover") == 0;
    text->plan = g_strcmp0(kind, "plan") == 0;
    text->dry_run = flag_of(asked, "dry_run");
    text->strict = flag_of(asked, "strict");
    text->interrupted = flag_of(asked, "interrupted");
    text->retention_days = (unsigned)count_of(asked, "retention_days");
}

void saved_clear(Saved *saved)
{
    report_free(saved->report);
    g_free(saved->text.selection);
    g_strfreev(saved->text.notifications);
    json_decref(saved->json);
    memset(saved, 0, sizeof *saved);
}

bool saved_read(const char *path, Saved *out, GError **error)
{
    json_error_t problem;

    memset(out, 0, sizeof *out);
    out->json = json_load_file(path, JSON_REJECT_DUPLICATES, &problem);
    if (out->json == NULL)
        return fail(error, ZX_ERROR_DATA, "%s: %s", path, problem.text);
    out->report = report_empty();
    if (!read_report(out->json, out->report)) {
        saved_clear(out);
        return fail(error, ZX_ERROR_DATA, "%s: no report of an operation", path);
    }
    read_asked(json_object_get(out->json, "asked"), &out->text);
    return true;
}

char *saved_find(const char *state_dir, const char *operation, GError **error)
{
    g_autofree char *path = g_build_filename(state_dir, "reports", NULL);
    g_autofree char *prefix = g_ascii_strdown(operation, -1);
    g_autofree char *found = NULL;
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    const char *name;

    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
        if (!g_str_has_prefix(name, prefix) || !g_str_has_suffix(name, ".json"))
            continue;
        if (found != NULL) {
            fail(error, ZX_ERROR_USAGE, "several operations begin with %s: give more of it",
                 operation);
            return NULL;
        }
        found = g_build_filename(path, name, NULL);
    }
    if (found == NULL)
        fail(error, ZX_ERROR_NOT_FOUND, "%s has no report of an operation %s", path, operation);
    return g_steal_pointer(&found);
}
