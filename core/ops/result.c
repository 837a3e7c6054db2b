/* result.c - see result.h. What a result is outside of this process, reports and journal alike, is
 * said by the tables of fields here. */
#include "core/ops/result.h"
#include "core/base/log.h"
#include "core/fields.h"
#include <string.h>

static void bad_item_free(BadItem *item)
{
    g_free(item->cause);
    g_free(item->folder);
    g_free(item->subject);
    g_free(item);
}

MailboxResult *result_new(const char *address, const char *account_id, const char *source,
                          const char *destination)
{
    MailboxResult *result = g_new0(MailboxResult, 1);

    result->address = g_strdup(address);
    result->account_id = g_strdup(account_id);
    result->source = g_strdup(source);
    result->destination = g_strdup(destination);
    result->outcome = OUTCOME_FAILED;
    result->window_steps = g_array_new(FALSE, FALSE, sizeof(StepTime));
    result->notes = g_ptr_array_new_with_free_func(g_free);
    result->bad_items = g_ptr_array_new_with_free_func((GDestroyNotify)bad_item_free);
    return result;
}

void result_free(MailboxResult *result)
{
    if (result == NULL)
        return;
    g_free(result->address);
    g_free(result->account_id);
    g_free(result->source);
    g_free(result->destination);
    g_free(result->reason);
    g_free(result->forecast);
    g_array_unref(result->window_steps);
    g_ptr_array_unref(result->notes);
    g_ptr_array_unref(result->bad_items);
    g_free(result);
}

void result_decide(MailboxResult *result, Outcome outcome, GError *problem)
{
    result->outcome = outcome;
    result->code = error_code(problem);
    g_free(result->reason);
    result->reason = g_strdup(problem->message);
    g_error_free(problem);
}

const char *mailbox_outcome(Outcome outcome)
{
    static const char *const names[OUTCOMES] = {
        [OUTCOME_MOVED] = "moved",       [OUTCOME_STAGED] = "staged",
        [OUTCOME_SKIPPED] = "skipped",   [OUTCOME_FAILED] = "failed",
        [OUTCOME_IN_DOUBT] = "in doubt", [OUTCOME_PURGED] = "purged",
        [OUTCOME_KEPT] = "kept",         [OUTCOME_FINISHED] = "finished",
        [OUTCOME_UNDONE] = "undone",     [OUTCOME_EXPLAINED] = "explained",
        [OUTCOME_PLANNED] = "planned",   [OUTCOME_NOT_REACHED] = "not reached",
    };

    return names[outcome];
}

const char *mailbox_sleeper(Sleeper kind, uint64_t count)
{
    static const char *const names[SLEEPERS][2] = {
        [SLEEPER_SEND] = { "delayed send", "delayed sends" },
        [SLEEPER_REMINDER] = { "reminder", "reminders" },
        [SLEEPER_POLL] = { "data source poll", "data source polls" },
        [SLEEPER_GRANT] = { "expiring grant", "expiring grants" },
    };

    return names[kind][count != 1];
}

bool mailbox_is_bad(const MailboxResult *mailbox)
{
    return mailbox->outcome == OUTCOME_FAILED || mailbox->outcome == OUTCOME_IN_DOUBT ||
           mailbox->outcome == OUTCOME_KEPT;
}

bool mailbox_has_code(const MailboxResult *mailbox)
{
    return mailbox_is_bad(mailbox) || mailbox->outcome == OUTCOME_NOT_REACHED;
}

bool mailbox_is_left(const MailboxResult *mailbox)
{
    bool stopped = mailbox->code == ZX_ERROR_STOPPED || mailbox->code == ZX_ERROR_INTERRUPTED;

    return mailbox->outcome == OUTCOME_NOT_REACHED ||
           (mailbox->outcome == OUTCOME_FAILED && stopped);
}

static json_t *outcome_value(const void *at)
{
    return json_string(mailbox_outcome(*(const Outcome *)at));
}

static bool read_outcome(void *at, const json_t *value)
{
    for (Outcome outcome = 0; outcome < OUTCOMES; outcome++) {
        if (g_strcmp0(mailbox_outcome(outcome), json_string_value(value)) != 0)
            continue;
        *(Outcome *)at = outcome;
        return true;
    }
    return false;
}
static const FieldKind field_outcome = { outcome_value, read_outcome };

static json_t *steps_value(const void *at)
{
    const GArray *steps = *(GArray *const *)at;
    json_t *list;

    if (steps == NULL || steps->len == 0)
        return NULL;
    list = json_array();
    for (guint i = 0; i < steps->len; i++) {
        const StepTime *step = &g_array_index(steps, StepTime, i);

        json_array_append_new(
            list, json_pack("{s:s, s:o}", "step", step->name, "ms", tenths_json(step->ms)));
    }
    return list;
}

static bool read_steps(void *at, const json_t *list)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "step"));
        const StepTime step = { .name = g_intern_string(name), /* the mover's are literals */
                                .ms = json_number_value(json_object_get(item, "ms")) };

        if (name == NULL)
            return false;
        g_array_append_val(*(GArray **)at, step);
    }
    return json_is_array(list);
}
static const FieldKind field_steps = { steps_value, read_steps };

static json_t *sleeping_value(const void *at)
{
    const Sleeping *sleeping = at;
    json_t *list = json_array();

    for (int i = 0; i < SLEEPERS; i++) {
        json_t *kind;

        if (sleeping[i].count == 0)
            continue;
        kind = json_pack("{s:s, s:I}", "kind", mailbox_sleeper((Sleeper)i, 1), "count",
                         (json_int_t)sleeping[i].count);
        if (sleeping[i].first[0] != '\0')
            json_object_set_new(kind, "first", text_json(sleeping[i].first));
        json_array_append_new(list, kind);
    }
    if (json_array_size(list) > 0)
        return list;
    json_decref(list);
    return NULL;
}

static bool read_sleeping(void *at, const json_t *list)
{
    Sleeping *sleeping = at;
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        const char *kind = json_string_value(json_object_get(item, "kind"));
        const char *first = json_string_value(json_object_get(item, "first"));

        for (int k = 0; k < SLEEPERS; k++) {
            if (g_strcmp0(mailbox_sleeper((Sleeper)k, 1), kind) != 0)
                continue;
            sleeping[k].count = (uint64_t)json_integer_value(json_object_get(item, "count"));
            g_strlcpy(sleeping[k].first, first != NULL ? first : "", sizeof sleeping[k].first);
        }
    }
    return json_is_array(list);
}
static const FieldKind field_sleeping = { sleeping_value, read_sleeping };

static const Field bad_item_fields[] = {
    FIELD_AS(BadItem, field_unsigned, item_id, "item"),
    FIELD(BadItem, field_unsigned, mod_content),
    FIELD(BadItem, field_flag, damaged_before),
    FIELD(BadItem, field_text, cause),
    FIELD(BadItem, field_text, folder),
    FIELD(BadItem, field_text, subject),
    { 0 },
};

static json_t *bad_items_value(const void *at)
{
    const GPtrArray *items = *(GPtrArray *const *)at;

    return items != NULL && items->len > 0 ? fields_list(bad_item_fields, items) : NULL;
}

static bool read_bad_items(void *at, const json_t *list)
{
    return fields_read_list(bad_item_fields, sizeof(BadItem), *(GPtrArray **)at, list);
}
static const FieldKind field_bad_items = { bad_items_value, read_bad_items };

static const Field forecast_fields[] = {
    FIELD(Forecast, field_count, mailbox_bytes), FIELD(Forecast, field_count, rows),
    FIELD(Forecast, field_count, blobs_there),   FIELD(Forecast, field_count, bytes_there),
    FIELD(Forecast, field_count, blobs_to_go),   FIELD(Forecast, field_count, bytes_to_go),
    FIELD(Forecast, field_tenths, window_ms),    { 0 },
};

json_t *forecast_json(const Forecast *forecast)
{
    json_t *object = json_object();

    fields_write(forecast_fields, forecast, object);
    return object;
}

static json_t *forecast_value(const void *at)
{
    const Forecast *forecast = *(Forecast *const *)at;

    return forecast != NULL ? forecast_json(forecast) : NULL;
}

static bool read_forecast(void *at, const json_t *value)
{
    Forecast *forecast = g_new0(Forecast, 1);

    *(Forecast **)at = forecast;
    return fields_read(forecast_fields, forecast, value);
}
static const FieldKind field_forecast = { forecast_value, read_forecast };

/* `test` is of the process that failed. */
static const Field result_fields[] = {
    FIELD_AS(MailboxResult, field_text, address, "account"),
    FIELD(MailboxResult, field_text, account_id),
    FIELD(MailboxResult, field_outcome, outcome),
    FIELD(MailboxResult, field_text, reason),
    FIELD(MailboxResult, field_mark, unfinished),
    FIELD(MailboxResult, field_text, source),
    FIELD(MailboxResult, field_text, destination),
    FIELD(MailboxResult, field_unsigned, source_mailbox),
    FIELD(MailboxResult, field_unsigned, destination_mailbox),
    FIELD(MailboxResult, field_count, rows),
    FIELD(MailboxResult, field_count, rows_window),
    FIELD(MailboxResult, field_count, blobs),
    FIELD(MailboxResult, field_count, bytes),
    FIELD(MailboxResult, field_count, blobs_copied),
    FIELD(MailboxResult, field_count, bytes_copied),
    FIELD(MailboxResult, field_count, blobs_linked),
    FIELD(MailboxResult, field_count, bytes_freed),
    FIELD(MailboxResult, field_count, backup_files),
    FIELD(MailboxResult, field_count, backup_bytes),
    FIELD(MailboxResult, field_unsigned, rounds),
    FIELD(MailboxResult, field_time, committed),
    FIELD(MailboxResult, field_tenths, window_ms),
    FIELD(MailboxResult, field_steps, window_steps),
    FIELD(MailboxResult, field_forecast, forecast),
    FIELD(MailboxResult, field_sleeping, sleeping),
    FIELD(MailboxResult, field_notes, notes),
    FIELD(MailboxResult, field_bad_items, bad_items),
    { 0 },
};

json_t *mailbox_result_json(const MailboxResult *result)
{
    json_t *object = json_object();

    fields_write(result_fields, result, object);
    if (mailbox_has_code(result))
        json_object_set_new(object, "code", json_string(error_name(result->code)));
    return object;
}

bool mailbox_result_read(MailboxResult *result, const json_t *object, GError **error)
{
    const char *code = json_string_value(json_object_get(object, "code"));

    if (!fields_read(result_fields, result, object) || result->address == NULL ||
        json_object_get(object, "outcome") == NULL)
        return fail(error, ZX_ERROR_DATA, "%s: what is recorded of it cannot be read",
                    result->address != NULL ? result->address : "a mailbox");
    if (code == NULL || !error_named(code, &result->code))
        result->code = ZX_ERROR_FAILED;
    return true;
}

char *result_text(const MailboxResult *result)
{
    return json_line(mailbox_result_json(result));
}

bool result_read(MailboxResult *result, const char *text, GError **error)
{
    json_t *object = json_loads(text != NULL ? text : "", 0, NULL);
    const bool done = mailbox_result_read(result, object, error);

    json_decref(object);
    return done;
}

static const Field whole_fields[] = {
    FIELD(Report, field_notes, notes),
    FIELD(Report, field_text, halted),
    { 0 },
};

char *result_whole_text(const Report *report)
{
    json_t *object = json_object();

    fields_write(whole_fields, report, object);
    if (json_object_size(object) > 0)
        return json_line(object);
    json_decref(object);
    return NULL;
}

void result_whole_read(const char *text, GPtrArray *notes, char **halted)
{
    json_t *object = json_loads(text != NULL ? text : "", 0, NULL);
    Report report = { .notes = notes };

    if (object != NULL && !fields_read(whole_fields, &report, object))
        log_debug("what an operation says of the whole of it cannot be read: %s", text);
    json_decref(object);
    *halted = report.halted;
}
