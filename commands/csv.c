/* csv.c - the Report as a table, which is mailed. */
#include "commands/report.h"
#include "conf/units.h"
#include <string.h>

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
    g_autofree char *committed = units_format_iso(mailbox->committed);
    g_autofree char *window = g_strdup_printf("%.1f", mailbox->window_ms);
    g_autofree char *sleeping = report_sleeping(mailbox->sleeping);
    g_autoptr(GString) notes = g_string_new(NULL), items = g_string_new(NULL);

    for (guint i = 0; mailbox->notes != NULL && i < mailbox->notes->len; i++)
        g_string_append_printf(notes, "%s%s", i > 0 ? "; " : "",
                               (const char *)g_ptr_array_index(mailbox->notes, i));
    for (guint i = 0; mailbox->bad_items != NULL && i < mailbox->bad_items->len; i++) {
        g_autofree char *item = report_bad_item(mailbox, g_ptr_array_index(mailbox->bad_items, i));

        g_string_append_printf(items, "%s%s", i > 0 ? "; " : "", item);
    }
    csv_field(out, mailbox->address);
    csv_field(out, mailbox_outcome(mailbox->outcome));
    csv_field(out, mailbox_has_code(mailbox) ? error_name(mailbox->code) : "");
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
