/* journal.c - fuzzes what is read from the rows of a store: board, result and limits of an
 * operation. Whatever stands there, it is told, printed and written again; and what was written
 * reads as it is. */
#include "commands/report.h"
#include "core/ops/board.h"
#include "core/ops/limits.h"
#include "core/ops/result.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every event has what its readers count on. */
static void note(void *data, const Event *event)
{
    GString *out = data;

    g_assert(event->type == EVENT_SELECTED || (event->account != NULL && event->text != NULL));
    g_string_append_printf(out, "%s %s %s", event->account, event->text, event->cause);
}

static void check_board(const char *text)
{
    g_autoptr(GHashTable) told = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GString) out = g_string_new(NULL);

    board_sum(text);
    board_tell(text, "uuid", told, note, out);
    board_tell(text, "uuid", told, note, out);
}

static MailboxResult *fresh(void)
{
    return result_new("a@x", "1", "one", "two");
}

static void check_result(const char *text)
{
    g_autoptr(MailboxResult) first = fresh();
    g_autoptr(MailboxResult) second = fresh();
    g_autoptr(GError) error = NULL;
    g_autofree char *once = NULL;
    g_autofree char *twice = NULL;
    g_autofree char *line = NULL;
    Report *report;
    char *csv;

    if (!result_read(first, text, &error)) {
        g_assert(error_code(error) == ZX_ERROR_DATA);
        return;
    }
    once = result_text(first);
    g_assert(once != NULL && result_read(second, once, NULL));
    twice = result_text(second);
    g_assert_cmpstr(once, ==, twice);

    line = report_mailbox(first, 1, 1, true);
    report = report_empty();
    report->verb = g_strdup("doMailboxMove");
    g_ptr_array_add(report->mailboxes, g_steal_pointer(&first));
    csv = report_csv(report);
    json_decref(report_json(report, &(ReportText){ .destination = "two" }));
    g_free(csv);
    report_free(report);
}

static void check_limits(const char *text)
{
    Limits limits = limits_read(text), again;
    g_autofree char *once = limits_text(&limits);
    g_autofree char *twice = NULL;

    again = limits_read(once);
    twice = limits_text(&again);
    g_assert_cmpstr(once, ==, twice);
    limits_merge(&again, &limits);
    limits_clear(&limits);
    limits_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);

    check_board(text);
    check_result(text);
    check_limits(text);
    return 0;
}
