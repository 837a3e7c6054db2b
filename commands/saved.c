/* saved.c - the Report as JSON, which is what is kept and what programs get; and read back, see
 * saved.h. */
#include "commands/saved.h"
#include "commands/json.h"
#include <string.h>

static const char *const stage_names[] = { "blobs", "backup", "account" };

static json_t *uuid_value(const void *at)
{
    return text_json(at);
}

static bool read_uuid(void *at, const json_t *value)
{
    const char *uuid = json_string_value(value);

    return uuid != NULL && g_strlcpy(at, uuid, 37) < 37;
}
static const FieldKind field_uuid = { uuid_value, read_uuid };

static const Field disk_fields[] = {
    FIELD(DiskForecast, field_text, what),
    FIELD_AS(DiskForecast, field_count, need, "bytes_to_come"),
    FIELD_AS(DiskForecast, field_count, free_bytes, "bytes_free"),
    FIELD_AS(DiskForecast, field_count, total_bytes, "bytes_total"),
    FIELD_AS(DiskForecast, field_count, keep, "bytes_kept"),
    { 0 },
};

static json_t *disks_value(const void *at)
{
    return fields_list(disk_fields, *(GPtrArray *const *)at);
}

static bool read_disks(void *at, const json_t *list)
{
    return fields_read_list(disk_fields, sizeof(DiskForecast), *(GPtrArray **)at, list);
}
static const FieldKind field_disks = { disks_value, read_disks };

static const Field identity_fields[] = {
    FIELD(Report, field_uuid, operation),
    FIELD(Report, field_text, verb),
    FIELD(Report, field_text, command),
    FIELD(Report, field_text, batch_name),
    FIELD(Report, field_text, comment),
    FIELD(Report, field_text, who),
    FIELD(Report, field_text, host),
    FIELD(Report, field_text, halted),
    { 0 },
};

static const Field time_fields[] = {
    FIELD(Report, field_time, started),
    FIELD(Report, field_time, ended),
    { 0 },
};

static const Field plan_fields[] = {
    FIELD(Report, field_tenths, row_us),
    FIELD(Report, field_disks, disks),
    FIELD(Report, field_texts, risks),
    { 0 },
};

static const Field end_fields[] = {
    FIELD(Report, field_notes, notes),
    FIELD(Report, field_text, mail_problem),
    FIELD_AS(Report, field_text, log_path, "log"),
    FIELD(Report, field_text, mailbox_logs),
    FIELD_AS(Report, field_text, report_path, "report"),
    { 0 },
};

static const Field asked_fields[] = {
    FIELD(ReportText, field_flag, dry_run),
    FIELD(ReportText, field_flag, strict),
    FIELD(ReportText, field_flag, interrupted),
    FIELD(ReportText, field_unsigned, retention_days),
    { 0 },
};

static const char *kind_of(const ReportText *text)
{
    if (text->purge)
        return "purge";
    if (text->recover)
        return "recover";
    return text->plan ? "plan" : "move";
}

/* What the Report alone does not say: what was asked for. */
static json_t *asked_json(const ReportText *text)
{
    json_t *object = json_object(), *stages, *mails;

    set_text(object, "kind", kind_of(text));
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
    fields_write(asked_fields, text, object);
    return object;
}

static const Field totals_fields[] = {
    FIELD(Totals, field_unsigned, moved),
    FIELD(Totals, field_unsigned, staged),
    FIELD(Totals, field_unsigned, skipped),
    FIELD(Totals, field_unsigned, failed),
    FIELD(Totals, field_unsigned, in_doubt),
    FIELD(Totals, field_unsigned, not_reached),
    FIELD(Totals, field_unsigned, unfinished),
    FIELD(Totals, field_unsigned, bad_items),
    FIELD(Totals, field_unsigned, purged),
    FIELD(Totals, field_unsigned, kept),
    FIELD(Totals, field_unsigned, finished),
    FIELD(Totals, field_unsigned, undone),
    FIELD(Totals, field_unsigned, explained),
    FIELD(Totals, field_unsigned, planned),
    FIELD(Totals, field_count, bytes),
    FIELD(Totals, field_count, bytes_freed),
    { 0 },
};

static void set_totals(json_t *object, const Report *report)
{
    const Totals totals = report_totals(report);
    json_t *sums = json_object();

    set_number(sums, "selected", report->mailboxes->len);
    fields_write(totals_fields, &totals, sums);
    json_object_set_new(object, "totals", sums);
    if (totals.window_longest > 0)
        json_object_set_new(object, "window",
                            json_pack("{s:o, s:o, s:o}", "median_ms",
                                      tenths_json(totals.window_median), "longest_ms",
                                      tenths_json(totals.window_longest), "longest_account",
                                      text_json(totals.longest_address)));
}

static void set_plan(json_t *object, const Report *report)
{
    const Forecast all = plan_sum(report);

    if (!plan_is_one(report))
        return;
    json_object_set_new(object, "forecast", forecast_json(&all));
    fields_write(plan_fields, report, object);
}

static json_t *mailbox_json(const Report *report, const MailboxResult *mailbox)
{
    json_t *object = mailbox_result_json(mailbox);
    g_autofree char *next = report_next(report, mailbox);

    set_text(object, "next", next);
    return object;
}

json_t *report_json(const Report *report, const ReportText *text)
{
    json_t *object = json_object(), *mailboxes = json_array();

    fields_write(identity_fields, report, object);
    set_text(object, "result", report_word(report, text));
    fields_write(time_fields, report, object);
    set_number(object, "took_ms", report->ended - report->started);
    set_totals(object, report);
    for (guint i = 0; i < report->mailboxes->len; i++)
        json_array_append_new(mailboxes,
                              mailbox_json(report, g_ptr_array_index(report->mailboxes, i)));
    json_object_set_new(object, "mailboxes", mailboxes);
    set_plan(object, report);
    json_object_set_new(object, "asked", asked_json(text));
    fields_write(end_fields, report, object);
    return object;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* Written in seconds, and the time between in ms: the start lies so far in its second that the end
 * is in its own. */
static bool read_times(const json_t *object, Report *report)
{
    const int64_t took = json_integer_value(json_object_get(object, "took_ms"));

    if (!fields_read(time_fields, report, object) || report->started == 0 || took < 0 ||
        took > report->ended - report->started + 999)
        return false;
    report->started += CLAMP(report->ended - report->started - took, 0, 999);
    report->ended = report->started + took;
    return true;
}

static bool read_mailboxes(const json_t *list, Report *report)
{
    size_t i;
    json_t *item;

    json_array_foreach(list, i, item)
    {
        if (!mailbox_result_read(report_add_mailbox(report, NULL, NULL, NULL, NULL), item, NULL))
            return false;
    }
    return json_is_array(list);
}

static bool read_report(const json_t *object, Report *report)
{
    return fields_read(identity_fields, report, object) && report->operation[0] != '\0' &&
           report->verb != NULL && report->command != NULL && read_times(object, report) &&
           fields_read(plan_fields, report, object) && fields_read(end_fields, report, object) &&
           read_mailboxes(json_object_get(object, "mailboxes"), report);
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

static bool read_asked(const json_t *asked, ReportText *text)
{
    const char *kind = text_of(asked, "kind");

    text->selection = g_strdup(text_of(asked, "selection"));
    text->destination = text_of(asked, "destination");
    text->notifications = texts_of(asked, "notifications");
    text->stages = stages_of(asked);
    text->staged = text->stages != 0 && !(text->stages & STAGE_ACCOUNT);
    text->purge = g_strcmp0(kind, "purge") == 0;
    text->recover = g_strcmp0(kind, "recover") == 0;
    text->plan = g_strcmp0(kind, "plan") == 0;
    return fields_read(asked_fields, text, asked);
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
    if (!read_report(out->json, out->report) ||
        !read_asked(json_object_get(out->json, "asked"), &out->text)) {
        saved_clear(out);
        return fail(error, ZX_ERROR_DATA, "%s: no report of an operation", path);
    }
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
