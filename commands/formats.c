/* formats.c - the Report for programs: JSON, which is also what is kept, and CSV, which is mailed.
 */
#include "commands/saved.h"
#include <string.h>

json_t *text_json(const char *text)
{
    g_autofree char *valid = text != NULL ? g_utf8_make_valid(text, -1) : NULL;

    return valid != NULL ? json_string(valid) : json_null();
}

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text != NULL)
        json_object_set_new(object, key, text_json(text));
}

static void set_time(json_t *object, const char *key, int64_t ms)
{
    g_autofree char *time = report_time(ms);

    set_text(object, key, time);
}

static void set_count(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

/* Tenths of a millisecond: what was measured, not what a double can hold. */
static json_t *json_ms(double ms)
{
    return json_real((double)(int64_t)(ms * 10 + 0.5) / 10);
}

/* Its code says something. */
static bool has_problem(const MailboxResult *mailbox)
{
    return report_is_bad(mailbox) || mailbox->outcome == OUTCOME_NOT_REACHED;
}

static void set_sleeping(json_t *object, const Sleeping sleeping[SLEEPERS])
{
    json_t *list = json_array();

    for (int i = 0; i < SLEEPERS; i++) {
        const Sleeping *one = &sleeping[i];
        json_t *kind;

        if (one->count == 0)
            continue;
        kind = json_pack("{s:s, s:I}", "kind", report_sleeper((Sleeper)i, 1), "count",
                         (json_int_t)one->count);
        set_text(kind, "first", one->first[0] != '\0' ? one->first : NULL);
        json_array_append_new(list, kind);
    }
    if (json_array_size(list) > 0)
        json_object_set(object, "sleeping", list);
    json_decref(list);
}

static void set_notes(json_t *object, const GPtrArray *notes)
{
    json_t *list;

    if (notes == NULL || notes->len == 0)
        return;
    list = json_array();
    for (guint i = 0; i < notes->len; i++)
        json_array_append_new(list, text_json(g_ptr_array_index(notes, i)));
    json_object_set_new(object, "notes", list);
}

static void set_bad_items(json_t *object, const GPtrArray *items)
{
    json_t *list;

    if (items == NULL || items->len == 0)
        return;
    list = json_array();
    for (guint i = 0; i < items->len; i++) {
        const BadItem *item = g_ptr_array_index(items, i);
        json_t *one = json_object();

        set_count(one, "item", item->item_id);
        set_count(one, "mod_content", item->mod_content);
        json_object_set_new(one, "damaged_before", json_boolean(item->damaged_before));
        set_text(one, "cause", item->cause);
        set_text(one, "folder", item->folder);
        set_text(one, "subject", item->subject);
        json_array_append_new(list, one);
    }
    json_object_set_new(object, "bad_items", list);
}

json_t *report_mailbox_json(const Report *report, const MailboxResult *mailbox)
{
    json_t *object = json_object();
    g_autofree char *next = report != NULL ? report_next(report, mailbox) : NULL;

    set_text(object, "account", mailbox->address);
    set_text(object, "account_id", mailbox->account_id);
    set_text(object, "outcome", report_outcome(mailbox->outcome));
    set_text(object, "code", has_problem(mailbox) ? error_name(mailbox->code) : NULL);
    set_text(object, "reason", mailbox->reason);
    if (mailbox->unfinished)
        json_object_set_new(object, "unfinished", json_true());
    set_text(object, "next", next);
    set_text(object, "source", mailbox->source);
    set_text(object, "destination", mailbox->destination);
    set_count(object, "source_mailbox", mailbox->source_mailbox);
    set_count(object, "destination_mailbox", mailbox->destination_mailbox);
    set_count(object, "rows", mailbox->rows);
    set_count(object, "rows_window", mailbox->rows_window);
    set_count(object, "blobs", mailbox->blobs);
    set_count(object, "bytes", mailbox->bytes);
    set_count(object, "blobs_copied", mailbox->blobs_copied);
    set_count(object, "bytes_copied", mailbox->bytes_copied);
    set_count(object, "blobs_linked", mailbox->blobs_linked);
    set_count(object, "bytes_freed", mailbox->bytes_freed);
    set_count(object, "backup_files", mailbox->backup_files);
    set_count(object, "backup_bytes", mailbox->backup_bytes);
    set_count(object, "rounds", mailbox->rounds);
    set_time(object, "committed", mailbox->committed);
    if (mailbox->window_ms > 0) {
        json_t *steps = json_array();

        json_object_set_new(object, "window_ms", json_ms(mailbox->window_ms));
        for (guint i = 0; mailbox->window_steps != NULL && i < mailbox->window_steps->len; i++) {
            const StepTime *step = &g_array_index(mailbox->window_steps, StepTime, i);

            json_array_append_new(steps, json_pack("{s:o, s:o}", "step", text_json(step->name),
                                                   "ms", json_ms(step->ms)));
        }
        json_object_set_new(object, "window_steps", steps);
    }
    if (mailbox->forecast != NULL)
        json_object_set_new(object, "forecast", plan_mailbox_json(mailbox->forecast));
    set_sleeping(object, mailbox->sleeping);
    set_notes(object, mailbox->notes);
    set_bad_items(object, mailbox->bad_items);
    return object;
}

static json_t *totals_json(const Report *report, const Totals *totals)
{
    json_t *object = json_object();

    set_count(object, "selected", report->mailboxes->len);
    set_count(object, "moved", totals->moved);
    set_count(object, "staged", totals->staged);
    set_count(object, "skipped", totals->skipped);
    set_count(object, "failed", totals->failed);
    set_count(object, "in_doubt", totals->in_doubt);
    set_count(object, "not_reached", totals->not_reached);
    set_count(object, "unfinished", totals->unfinished);
    set_count(object, "bad_items", totals->bad_items);
    set_count(object, "purged", totals->purged);
    set_count(object, "kept", totals->kept);
    set_count(object, "finished", totals->finished);
    set_count(object, "undone", totals->undone);
    set_count(object, "explained", totals->explained);
    set_count(object, "planned", totals->planned);
    set_count(object, "bytes", totals->bytes);
    set_count(object, "bytes_freed", totals->bytes_freed);
    return object;
}

json_t *report_json(const Report *report, const ReportText *text)
{
    Totals totals = report_totals(report);
    json_t *object = json_object(), *mailboxes = json_array();

    set_text(object, "operation", report->operation);
    set_text(object, "verb", report->verb);
    set_text(object, "command", report->command);
    set_text(object, "batch_name", report->batch_name);
    set_text(object, "comment", report->comment);
    set_text(object, "result", report_word(report, text));
    set_text(object, "halted", report->halted);
    set_text(object, "who", report->who);
    set_text(object, "host", report->host);
    set_time(object, "started", report->started);
    set_time(object, "ended", report->ended);
    json_object_set_new(object, "took_ms", json_integer(report->ended - report->started));
    json_object_set_new(object, "totals", totals_json(report, &totals));
    if (totals.window_longest > 0)
        json_object_set_new(object, "window",
                            json_pack("{s:o, s:o, s:o}", "median_ms", json_ms(totals.window_median),
                                      "longest_ms", json_ms(totals.window_longest),
                                      "longest_account", text_json(totals.longest_address)));
    for (guint i = 0; i < report->mailboxes->len; i++)
        json_array_append_new(mailboxes,
                              report_mailbox_json(report, g_ptr_array_index(report->mailboxes, i)));
    json_object_set_new(object, "mailboxes", mailboxes);
    plan_json(object, report);
    set_notes(object, report->notes);
    json_object_set_new(object, "asked", saved_asked(text));
    set_text(object, "mail_problem", report->mail_problem);
    set_text(object, "log", report->log_path);
    set_text(object, "mailbox_logs", report->mailbox_logs);
    set_text(object, "report", report->report_path);
    return object;
}

/* A spreadsheet would reckon with a subject that begins so: anybody's mail must not. */
static bool is_formula(const char *text)
{
    return *text != '\0' && strchr("=+-@\t", *text) != NULL && text[1] != '\0';
}

void csv_field(GString *out, const char *text)
{
    const char *guard;

    if (out->len > 0 && out->str[out->len - 1] != '\n')
        g_string_append_c(out, ',');
    if (text == NULL)
        return;
    guard = is_formula(text) ? "'" : "";
    if (strpbrk(text, ",\"\r\n") == NULL && *text != ' ') {
        g_string_append_printf(out, "%s%s", guard, text);
        return;
    }
    g_string_append_printf(out, "\"%s", guard);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            g_string_append_c(out, '"');
        g_string_append_c(out, *text);
    }
    g_string_append_c(out, '"');
}

void csv_count(GString *out, uint64_t value)
{
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, value);

    csv_field(out, text);
}

static void csv_mailbox(GString *out, const MailboxResult *mailbox)
{
    g_autofree char *committed = report_time(mailbox->committed);
    g_autofree char *window = g_strdup_printf("%.1f", mailbox->window_ms);
    g_autofree char *sleeping = report_sleeping(mailbox->sleeping);
    g_autoptr(GString) notes = g_string_new(NULL), items = g_string_new(NULL);

    for (guint i = 0; mailbox->notes != NULL && i < mailbox->notes->len; i++)
        g_string_append_printf(notes, "%s%s", i > 0 ? "; " : "",
                               (const char *)g_ptr_array_index(mailbox->notes, i));
    for (guint i = 0; mailbox->bad_items != NULL && i < mailbox->bad_items->len; i++) {
        g_autofree char *item =
            report_bad_item(mailbox, g_ptr_array_index(mailbox->bad_items, i));

        g_string_append_printf(items, "%s%s", i > 0 ? "; " : "", item);
    }
    csv_field(out, mailbox->address);
    csv_field(out, report_outcome(mailbox->outcome));
    csv_field(out, has_problem(mailbox) ? error_name(mailbox->code) : "");
    csv_field(out, mailbox->reason);
    csv_field(out, mailbox->source);
    csv_field(out, mailbox->destination);
    csv_count(out, mailbox->source_mailbox);
    csv_count(out, mailbox->destination_mailbox);
    csv_count(out, mailbox->rows);
    csv_count(out, mailbox->blobs);
    csv_count(out, mailbox->bytes);
    csv_count(out, mailbox->bytes_copied);
    csv_count(out, mailbox->bytes_freed);
    csv_field(out, mailbox->window_ms > 0 ? window : "");
    csv_field(out, committed);
    csv_field(out, sleeping);
    csv_field(out, notes->str);
    csv_field(out, items->str);
    g_string_append(out, "\r\n");
}

char *report_csv(const Report *report)
{
    GString *out = g_string_new("account,outcome,code,reason,source,destination,source_mailbox,"
                                "destination_mailbox,rows,blobs,bytes,bytes_copied,bytes_freed,"
                                "window_ms,committed,sleeping,notes,bad_items\r\n");

    for (guint i = 0; i < report->mailboxes->len; i++)
        csv_mailbox(out, g_ptr_array_index(report->mailboxes, i));
    return g_string_free(out, FALSE);
}
