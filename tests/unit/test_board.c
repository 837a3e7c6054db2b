/* test_board.c - what an operation shows in its row, there and back; its limits, its results, and who of them is
 * still to be tried. */
#include "core/ops/board.h"
#include "core/ops/limits.h"
#include "core/ops/result.h"
#include "tests/unit/files.h"
#include <string.h>

static void note(void *data, const Event *event)
{
    static const char *const types[] = {
        [EVENT_SELECTED] = "selected",
        [EVENT_STATE] = "state",
        [EVENT_PROGRESS] = "progress",
    };

    g_string_append_printf(data, "%s %s %s %u/%u %u of %u;", types[event->type],
                           event->account != NULL ? event->account : "-",
                           event->text != NULL ? event->text : "-", event->index, event->total,
                           (unsigned)event->done, (unsigned)event->expected);
}

static char *told(const char *text, GHashTable *table)
{
    GString *out = g_string_new(NULL);

    board_tell(text, "uuid", table, note, out);
    return g_string_free(out, FALSE);
}

static void there_and_back(void **state G_GNUC_UNUSED)
{
    Board *board = board_new();
    g_autoptr(GHashTable) table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    MailboxResult *ended = result_new("a@x", "1", "one", "two");
    g_autofree char *first = NULL;
    g_autofree char *again = NULL;
    g_autofree char *second = NULL;
    g_autofree char *third = NULL;
    g_autofree char *lines = NULL;
    g_autofree char *same = NULL;
    g_autofree char *rest = NULL;
    uint64_t seen = 0;
    BoardSum sum;

    board_take(board, &(Event){ .type = EVENT_SELECTED, .total = 2, .expected_bytes = 300 });
    first = board_text(board, &seen);
    assert_non_null(first);
    again = board_text(board, &seen);
    assert_null(again); /* nothing has happened since */
    board_take(board, &(Event){ .type = EVENT_STATE, .account = "a@x", .text = "copy", .index = 1,
                                .total = 2, .mailbox_bytes = 100 });
    board_take(board, &(Event){ .type = EVENT_PROGRESS,
                                .account = "a@x",
                                .text = "blobs",
                                .index = 1,
                                .total = 2,
                                .done = 3,
                                .expected = 9,
                                .expected_bytes = 900 });
    second = board_text(board, &seen);
    lines = told(second, table);
    assert_string_equal(lines, "selected - - 0/2 0 of 0;state a@x copy 1/2 0 of 0;"
                               "progress a@x blobs 1/2 3 of 9;");
    sum = board_sum(second);
    assert_int_equal(sum.bytes_done, 0);
    assert_null(sum.held_up);
    same = told(second, table);
    assert_string_equal(same, "progress a@x blobs 1/2 3 of 9;"); /* what is no news is not told again */

    ended->outcome = OUTCOME_FAILED;
    board_take(board, &(Event){ .type = EVENT_MAILBOX_DONE, .account = "a@x", .index = 1, .total = 2,
                                .mailbox_bytes = 100, .result = ended });
    third = board_text(board, &seen);
    sum = board_sum(third);
    assert_int_equal(sum.mailboxes, 2);
    assert_int_equal(sum.done, 1);
    assert_int_equal(sum.failed, 1);
    assert_int_equal(sum.bytes, 300);
    assert_int_equal(sum.bytes_done, 100);
    rest = told(third, table);
    assert_string_equal(rest, "");
    assert_int_equal(board_sum("no such text").mailboxes, 0);
    assert_int_equal(board_sum(NULL).mailboxes, 0);
    result_free(ended);
    board_free(board);
}

static void note_cause(void *data, const Event *event)
{
    g_string_append_printf(data, "%s;", event->cause != NULL ? event->cause : "-");
}

/* A copy that is held up says by what, here and to whoever watches; what is there of a mailbox in
 * flight counts, and never falls. */
static void in_flight(void **state G_GNUC_UNUSED)
{
    static const struct {
        Event event;
        uint64_t done;
        const char *causes;
    } cases[] = {
        { { .type = EVENT_STATE, .text = "copy", .mailbox_bytes = 100 }, 0, "-;" },
        { { .type = EVENT_PROGRESS,
            .text = "blobs",
            .done_bytes = 30,
            .expected_bytes = 60,
            .cause = "throttled, bandwidth 2.0 MB/s" },
          50,
          "-;throttled, bandwidth 2.0 MB/s;" },
        { { .type = EVENT_PROGRESS, .text = "blobs", .done_bytes = 45, .expected_bytes = 60 },
          75,
          "-;-;" },
        { { .type = EVENT_PROGRESS, .text = "mail_item", .done = 7 }, 100, "-;-;" },
        { { .type = EVENT_STATE, .text = "copy" }, 100, "-;" },
        { { .type = EVENT_PROGRESS,
            .text = "blobs",
            .done_bytes = 1,
            .expected_bytes = 2,
            .cause = "throttled" },
          100,
          "-;throttled;" },
        { { .type = EVENT_STATE, .text = "window", .cause = "why" }, 100, "why;" },
    };
    g_autoptr(Board) board = board_new();
    uint64_t seen = 0;

    board_take(board, &(Event){ .type = EVENT_SELECTED, .total = 1, .expected_bytes = 100 });
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GHashTable) table =
            g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        g_autoptr(GString) causes = g_string_new(NULL);
        g_autofree char *text = NULL;
        Event event = cases[i].event;
        BoardSum sum;

        event.account = "a@x";
        board_take(board, &event);
        text = board_text(board, &seen);
        sum = board_sum(text);
        assert_int_equal(sum.bytes_done, cases[i].done);
        assert_string_equal(sum.held_up != NULL ? sum.held_up : "",
                            event.type == EVENT_PROGRESS && event.cause != NULL ? event.cause : "");
        board_tell(text, "uuid", table, note_cause, causes);
        assert_string_equal(causes->str + strlen("-;"), cases[i].causes); /* of the selection */
        g_free(sum.held_up);
    }
}

static void limits(void **state G_GNUC_UNUSED)
{
    char *to[] = { (char[]){ "a@x" }, (char[]){ "b@x" }, NULL };
    Limits now = limits_read("nonsense"), read;
    g_autofree char *text = NULL;

    assert_int_equal(now.threads, -1);
    assert_int_equal(now.complete_after, -1);
    assert_null(now.notifications);
    limits_merge(&now, &(Limits){ .threads = 4, .complete_after = -1, .notifications = to });
    limits_merge(&now, &(Limits){ .threads = -1, .complete_after = 1772402400000 });
    text = limits_text(&now);
    read = limits_read(text);
    assert_int_equal(read.threads, 4);
    assert_int_equal(read.complete_after, 1772402400000);
    assert_string_equal(read.notifications[1], "b@x");
    assert_null(read.notifications[2]);
    limits_clear(&read);
    limits_clear(&now);
}

static void results(void **state G_GNUC_UNUSED)
{
    g_autoptr(MailboxResult) result = result_new("a@x", "1", "one", "two");
    g_autoptr(MailboxResult) read = result_new("a@x", "1", "one", "two");
    const StepTime step = { .name = "fence", .ms = 1.5 };
    g_autofree char *text = NULL;
    GError *error = NULL;

    result->outcome = OUTCOME_MOVED;
    result->reason = g_strdup("caf\xe9"); /* no UTF-8 */
    result->bytes = 1ull << 40;
    result->committed = 1772402400000;
    result->unfinished = true;
    g_array_append_val(result->window_steps, step);
    g_ptr_array_add(result->notes, g_strdup("a note"));
    result->sleeping[SLEEPER_POLL] = (Sleeping){ .count = 2, .first = "2026-03-01 08:00:00" };
    text = result_text(result);
    assert_true(result_read(read, text, &error));
    assert_int_equal(read->outcome, OUTCOME_MOVED);
    assert_string_equal(read->reason, "caf\xef\xbf\xbd");
    assert_true(read->bytes == 1ull << 40 && read->committed == 1772402400000 && read->unfinished);
    assert_string_equal(g_array_index(read->window_steps, StepTime, 0).name, "fence");
    assert_string_equal(g_ptr_array_index(read->notes, 0), "a note");
    assert_int_equal(read->sleeping[SLEEPER_POLL].count, 2);
    assert_string_equal(read->sleeping[SLEEPER_POLL].first, "2026-03-01 08:00:00");
    assert_false(result_read(read, "{\"outcome\": 77}", &error));
    assert_int_equal(error_code(error), ZX_ERROR_DATA);
    g_clear_error(&error);
    assert_false(result_read(read, NULL, NULL));
}

static void wholes(void **state G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) said = g_ptr_array_new_with_free_func(g_free);
    Report report = { .notes = said };
    g_autofree char *halted = NULL;
    g_autofree char *text = NULL;
    char *nothing;

    assert_null(result_whole_text(&report));
    g_ptr_array_add(said, g_strdup("caf\xe9")); /* no UTF-8 */
    g_ptr_array_add(said, g_strdup("a note"));
    report.halted = (char[]){ "too many errors" };
    text = result_whole_text(&report);
    result_whole_read(text, notes, &halted);
    assert_int_equal(notes->len, 2);
    assert_string_equal(g_ptr_array_index(notes, 0), "caf\xef\xbf\xbd");
    assert_string_equal(g_ptr_array_index(notes, 1), "a note");
    assert_string_equal(halted, "too many errors");
    result_whole_read(NULL, notes, &nothing);
    assert_null(nothing);
    result_whole_read("[1]", notes, &nothing);
    assert_null(nothing);
    assert_int_equal(notes->len, 2);
}

static void left(void **state G_GNUC_UNUSED)
{
    const struct {
        Outcome outcome;
        ZxError code;
        bool is_left;
    } cases[] = {
        { OUTCOME_NOT_REACHED, ZX_ERROR_USAGE, true }, { OUTCOME_NOT_REACHED, ZX_ERROR_STOPPED, true },
        { OUTCOME_FAILED, ZX_ERROR_STOPPED, true },    { OUTCOME_FAILED, ZX_ERROR_INTERRUPTED, true },
        { OUTCOME_FAILED, ZX_ERROR_CONFLICT, false },  { OUTCOME_MOVED, ZX_ERROR_STOPPED, false },
        { OUTCOME_SKIPPED, ZX_ERROR_USAGE, false },    { OUTCOME_IN_DOUBT, ZX_ERROR_IN_DOUBT, false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const MailboxResult result = { .outcome = cases[i].outcome, .code = cases[i].code };

        assert_int_equal(mailbox_is_left(&result), cases[i].is_left);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(in_flight),
        cmocka_unit_test(limits),
        cmocka_unit_test(results),
        cmocka_unit_test(wholes),
        cmocka_unit_test(left),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
