/* Progress without a terminal or a clock: columns of text, what is known of a flight, how it is
 * laid out, and what a terminal gets to redraw it. */
#include "shell/progress.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S  G_USEC_PER_SEC
#define MB (G_GUINT64_CONSTANT(1) << 20)

static char uuid[] = "6f0c2c1e-0000-4000-8000-000000000001";

static void check(char *text, const char *expected)
{
    if (strcmp(text, expected) != 0)
        fail_msg("is\n%s\nexpected\n%s", text, expected);
    g_free(text);
}

static void columns(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *text;
        int columns;
        const char *cut; /* to 8 */
    } cases[] = {
        { "", 0, "" },
        { "anna@x", 6, "anna@x" },
        { "anna@x.y", 8, "anna@x.y" },
        { "anna@x.yz", 9, "anna@..." },
        { "\xd0\xb0\xd0\xbd\xd0\xbd\xd0\xb0@x", 6,
          "\xd0\xb0\xd0\xbd\xd0\xbd\xd0\xb0@x" }, /* Cyrillic */
        { "\xe5\xbc\xa0\xe4\xbc\x9f@x.cn", 9,
          "\xe5\xbc\xa0\xe4\xbc\x9f@..." }, /* two CJK, four columns */
        { "a\xe5\xbc\xa0\xe4\xbc\x9f\xe5\xbc\xa0\xe4\xbc\x9f", 9, "a\xe5\xbc\xa0\xe4\xbc\x9f..." },
        { "e\xcc\x81lan@x", 6, "e\xcc\x81lan@x" }, /* a combining accent takes none */
        { "e\xcc\x81lan@x.yzz", 10, "e\xcc\x81lan@..." },
        { "\xff\xfe@x", 4, "\xff\xfe@x" }, /* no UTF-8 */
        { "abcdefgh\xcc\x81", 8, "abcdefgh\xcc\x81" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        assert_int_equal(columns_of(cases[i].text), cases[i].columns);
        check(columns_cut(cases[i].text, 8), cases[i].cut);
        for (int width = 0; width < 12; width++) {
            g_autofree char *cut = columns_cut(cases[i].text, width);

            assert_in_range(columns_of(cut), 0, width);
        }
    }
    check(columns_ascii("\xe5\xbc\xa0 e\xcc\x81@x\xff"), "? e@x?");
}

/* An event for @flight. */
#define TELL(flight, at, ...) \
    flight_take((flight), &(Event){ .operation = uuid, .total = 3, __VA_ARGS__ }, (at))

/* Three mailboxes of 100, 300 and 600 MB. */
static void begin(Flight *flight)
{
    *flight = (Flight){ 0 };
    flight_begin(flight);
    TELL(flight, 0, .type = EVENT_SELECTED, .expected_bytes = 1000 * MB);
}

static void state(Flight *flight, int64_t at, unsigned index, const char *account, const char *text,
                  const char *cause)
{
    static const uint64_t sizes[] = { 0, 100 * MB, 300 * MB, 600 * MB };

    TELL(flight, at, .type = EVENT_STATE, .account = account, .index = index, .text = text,
         .cause = cause, .mailbox_bytes = sizes[index]);
}

static void blobs(Flight *flight, int64_t at, unsigned index, const char *account, uint64_t done,
                  uint64_t expected)
{
    TELL(flight, at, .type = EVENT_PROGRESS, .account = account, .index = index, .text = "blobs",
         .done = done / 1000, .expected = expected / 1000, .done_bytes = done,
         .expected_bytes = expected);
}

static void end(Flight *flight, int64_t at, const char *account, Outcome outcome, uint64_t size)
{
    MailboxResult result = { .outcome = outcome };

    TELL(flight, at, .type = EVENT_MAILBOX_DONE, .account = account, .mailbox_bytes = size,
         .result = &result);
}

static void flights(void **unused G_GNUC_UNUSED)
{
    Flight flight;
    FlightMailbox *first;

    begin(&flight);
    check(flight_waits_for(&flight), "an answer");
    state(&flight, 0, 2, "b@x", "copy", NULL);
    state(&flight, 0, 1, "a@x", "copy", NULL);
    assert_int_equal(flight.aloft->len, 2);
    first = g_ptr_array_index(flight.aloft, 0);
    assert_string_equal(first->account, "a@x"); /* by index, not as they came */
    assert_true(flight_share(&flight) == 0);
    assert_true(flight_left(&flight, 60 * S) < 0);

    blobs(&flight, 0, 1, "a@x", 0, 50 * MB);
    blobs(&flight, S / 2, 1, "a@x", MB / 4, 50 * MB);
    assert_true(rate_now(&first->rate, S / 2) < 0);     /* too short to tell */
    assert_true(flight_mailbox_left(first, 2 * S) < 0); /* less than 1 % */
    blobs(&flight, 10 * S, 1, "a@x", 10 * MB, 50 * MB);
    assert_true(rate_now(&first->rate, 10 * S) == 1.0 * MB);
    assert_true(flight_mailbox_left(first, 10 * S) == 40);
    assert_true(flight_mailbox_share(first) == 0.2);
    assert_true(flight_share(&flight) == 0.02); /* a fifth of a tenth */
    assert_true(flight_left(&flight, 10 * S) == 490);

    /* Another round counts from nothing; what is done of the mailbox stays done. */
    state(&flight, 11 * S, 1, "a@x", "copy", "round 2");
    blobs(&flight, 12 * S, 1, "a@x", 1 * MB, 2 * MB);
    assert_true(first->rate.total == 11 * MB);
    assert_true(flight_share(&flight) == 0.05);
    check(flight_waits_for(&flight), "copy of a@x, copy of b@x");

    /* Rows: the blobs are all there, whatever they were expected to take on the disk. */
    TELL(&flight, 13 * S, .type = EVENT_PROGRESS, .account = "a@x", .index = 1, .text = "mail_item",
         .done = 7);
    assert_true(flight_mailbox_share(first) == 1);
    assert_true(flight_share(&flight) == 0.1);
    assert_true(flight_mailbox_left(first, 13 * S) < 0);
    state(&flight, 13 * S, 1, "a@x", "prove", NULL);
    assert_true(flight_mailbox_share(first) == 1);

    end(&flight, 13 * S, "a@x", OUTCOME_MOVED, 100 * MB);
    end(&flight, 13 * S, "b@x", OUTCOME_IN_DOUBT, 300 * MB);
    assert_int_equal(flight.aloft->len, 0);
    assert_int_equal(flight.done, 2);
    assert_int_equal(flight.failed, 1);
    assert_true(flight_share(&flight) == 0.4);
    flight_clear(&flight);
}

/* What comes from the directory cannot move the cursor. */
static void names_are_plain(void **unused G_GNUC_UNUSED)
{
    Look look = { .columns = 100, .rows = 24 };
    g_autoptr(GPtrArray) lines = NULL;
    Flight flight;

    begin(&flight);
    state(&flight, 0, 1, "a\033[2J@x", "copy", "b\nc\033");
    lines = meter_lines(&flight, &look, 0);
    for (guint i = 0; i < lines->len; i++)
        assert_null(strpbrk(g_ptr_array_index(lines, i), "\033\n"));
    flight_clear(&flight);
}

/* Rates look back on moments: a stall is seen, and what was before is forgotten. */
static void rates(void **unused G_GNUC_UNUSED)
{
    Flight flight;
    const FlightMailbox *mailbox;

    begin(&flight);
    state(&flight, 0, 1, "a@x", "copy", NULL);
    for (int i = 0; i <= 40; i++)
        blobs(&flight, i * S / 2, 1, "a@x", (uint64_t)i * MB, 1000 * MB);
    for (int i = 1; i <= 40; i++)
        blobs(&flight, (20 + i) * S, 1, "a@x", (uint64_t)(40 + i * 10) * MB, 1000 * MB);
    mailbox = g_ptr_array_index(flight.aloft, 0);
    assert_true(rate_now(&mailbox->rate, 60 * S) == 10.0 * MB);
    assert_true(rate_now(&mailbox->rate, 600 * S) < 0.25 * MB);
    flight_clear(&flight);

    /* Who comes late does not take what was done before for speed. */
    begin(&flight);
    state(&flight, 0, 1, "a@x", "copy", NULL);
    for (int i = 0; i <= 8; i++)
        blobs(&flight, i * S / 2, 1, "a@x", (uint64_t)(500 + i) * MB, 1000 * MB);
    mailbox = g_ptr_array_index(flight.aloft, 0);
    assert_true(rate_now(&mailbox->rate, 4 * S) == 2.0 * MB);
    assert_true(rate_now(&flight.rate, 4 * S) == 2.0 * MB);
    flight_clear(&flight);
}

static char *join(GPtrArray *lines)
{
    char *text;

    g_ptr_array_add(lines, NULL);
    text = g_strjoinv("\n", (char **)lines->pdata);
    g_ptr_array_unref(lines);
    return text;
}

#define LONG "andre\xcc\x81-with-a-very-long-name@subdomain.company.ru"

/* A copy that bandwidth holds up says so instead of what it is at, for as long as it is so. */
static void held_up(void **state G_GNUC_UNUSED)
{
    static const struct {
        const char *cause, *shown;
    } cases[] = {
        { NULL, "copy blobs" },
        { "throttled, bandwidth 2.0 MB/s", "throttled, bandwidth 2.0 MB/s" },
        { NULL, "copy blobs" },
    };
    Flight flight;

    begin(&flight);
    TELL(&flight, S, .type = EVENT_STATE, .account = "a@x", .index = 1, .text = "copy");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GPtrArray) lines = NULL;

        TELL(&flight, 2 * S, .type = EVENT_PROGRESS, .account = "a@x", .index = 1, .text = "blobs",
             .cause = cases[i].cause, .done_bytes = MB, .expected_bytes = 4 * MB);
        lines = meter_lines(&flight, &(Look){ .columns = 200, .rows = 9, .utf8 = true }, 3 * S);
        assert_non_null(strstr(g_ptr_array_index(lines, 1), cases[i].shown));
    }
    flight_clear(&flight);
}

/* Mid-flight, seven seconds in; one of them throttled. */
static void midflight(Flight *flight)
{
    begin(flight);
    end(flight, S, "zoe@company.ru", OUTCOME_FAILED, 100 * MB);
    state(flight, S, 2, "\xe5\xbc\xa0\xe4\xbc\x9f@company.ru", "copy", NULL);
    blobs(flight, S, 2, "\xe5\xbc\xa0\xe4\xbc\x9f@company.ru", 0, 300 * MB);
    blobs(flight, 7 * S, 2, "\xe5\xbc\xa0\xe4\xbc\x9f@company.ru", 246 * MB, 300 * MB);
    state(flight, S, 3, LONG, "throttled", "replica-lag 7.2s > 5s");
    blobs(flight, S, 3, LONG, 0, 600 * MB);
    blobs(flight, 7 * S, 3, LONG, MB, 600 * MB);
}

/* All well. */
static void smooth(Flight *flight)
{
    begin(flight);
    end(flight, S, "zoe@company.ru", OUTCOME_MOVED, 100 * MB);
    state(flight, S, 2, "ivan@company.ru", "copy", NULL);
    blobs(flight, S, 2, "ivan@company.ru", 0, 300 * MB);
    blobs(flight, 7 * S, 2, "ivan@company.ru", 246 * MB, 300 * MB);
}

/* clang-format off */
static const struct {
    void (*flight)(Flight *flight);
    int columns;
    bool utf8, colour;
    const char *lines;
} tables_expected[] = {
    { midflight, 60, true, false,
      "1/3 done          1 failed               34.7%  ETA 13 s\n"
      "张伟@company.ru   copy blobs             82.0%  ETA 1 s\n"
      "andré-with-a-...  throttled, replic...    0.2%" },
    { midflight, 80, true, false,
      "1/3 done                  1 failed                  ██▊░░░░░   34.7%  ETA 13 s\n"
      "张伟@company.ru           copy blobs                ██████▌░   82.0%  ETA 1 s\n"
      "andré-with-a-very-lon...  throttled, replica-la...  ░░░░░░░░    0.2%" },
    { midflight, 120, true, false,
      "6f0c2c1e  1/3 done                          1 failed                          ███▍░░░░░░   34.7%   41.2 MB/s  ETA 13 s\n"
      "[2/3]     张伟@company.ru                   copy blobs                        ████████▏░   82.0%   41.0 MB/s  ETA 1 s\n"
      "[3/3]     andré-with-a-very-long-name@s...  throttled, replica-lag 7.2s > 5s  ░░░░░░░░░░    0.2%  170.7 KB/s" },
    { midflight, 80, false, false,
      "1/3 done                  1 failed                  [##----]   34.7%  ETA 13 s\n"
      "??@company.ru             copy blobs                [####--]   82.0%  ETA 1 s\n"
      "andre-with-a-very-lon...  throttled, replica-la...  [------]    0.2%" },
    { smooth, 60, true, false,
      "1/3 done         running       ███░░░░░░   34.6%  ETA 13 s\n"
      "ivan@company.ru  copy blobs    ███████▍░   82.0%  ETA 1 s" },
    { smooth, 60, false, false,
      "1/3 done         running       [##-----]   34.6%  ETA 13 s\n"
      "ivan@company.ru  copy blobs    [#####--]   82.0%  ETA 1 s" },
    { smooth, 80, true, false,
      "1/3 done         running       █████▉░░░░░░░░░░░   34.6%   41.0 MB/s  ETA 13 s\n"
      "ivan@company.ru  copy blobs    █████████████▉░░░   82.0%   41.0 MB/s  ETA 1 s" },
    { smooth, 120, true, false,
      "6f0c2c1e  1/3 done         running       ████▍░░░░░░░░   34.6%  346.0/1000.0 MB                    41.0 MB/s  ETA 13 s\n"
      "[2/3]     ivan@company.ru  copy blobs    ██████████▋░░   82.0%   246.0/300.0 MB  257,949/314,572   41.0 MB/s  ETA 1 s" },
    { midflight, 100, true, true,
      "1/3 done                  \033[1;31m1 failed                        \033[0m  ██▊░░░░░   34.7%   41.2 MB/s  ETA 13 s\n"
      "张伟@company.ru           copy blobs                        ██████▌░   82.0%   41.0 MB/s  ETA 1 s\n"
      "andré-with-a-very-lon...  \033[33mthrottled, replica-lag 7.2s > 5s\033[0m  ░░░░░░░░    0.2%  170.7 KB/s" },
};
/* clang-format on */

static void tables(void **unused G_GNUC_UNUSED)
{
    for (size_t i = 0; i < G_N_ELEMENTS(tables_expected); i++) {
        Look look = { tables_expected[i].columns, 24, tables_expected[i].utf8,
                      tables_expected[i].colour };
        Flight flight;

        tables_expected[i].flight(&flight);
        check(join(meter_lines(&flight, &look, 7 * S)), tables_expected[i].lines);
        flight_clear(&flight);
    }
}

static void no_line_is_too_long(void **unused G_GNUC_UNUSED)
{
    Flight flight;

    midflight(&flight);
    for (int i = 0; i < 200 * 2; i++) {
        Look look = { .columns = 20 + i / 2, .rows = 24, .utf8 = i % 2 };
        g_autoptr(GPtrArray) lines = meter_lines(&flight, &look, 7 * S);

        assert_int_equal(lines->len, 3);
        for (guint k = 0; k < lines->len; k++)
            assert_in_range(columns_of(g_ptr_array_index(lines, k)), 1, look.columns - 1);
    }
    flight_clear(&flight);
}

/* A terminal is lower than what 32 threads have to say. */
static void no_more_lines_than_rows(void **unused G_GNUC_UNUSED)
{
    Flight flight;

    begin(&flight);
    for (unsigned i = 0; i < 32; i++) {
        g_autofree char *name = g_strdup_printf("user%u@x", i);

        state(&flight, 0, 1, name, "copy", NULL);
    }
    for (int rows = 4; rows < 50; rows++) {
        Look look = { .columns = 80, .rows = rows };
        g_autoptr(GPtrArray) lines = meter_lines(&flight, &look, 0);

        assert_in_range(lines->len, 3, rows - 1);
        if (rows < 32)
            assert_true(
                g_str_has_suffix(g_ptr_array_index(lines, lines->len - 1), " more in flight"));
        else if (rows > 34)
            assert_int_equal(lines->len, 33);
    }
    flight_clear(&flight);
}

/* One mailbox has no line for the operation, until it is to stop. */
static void a_single_mailbox(void **unused G_GNUC_UNUSED)
{
    Look look = { .columns = 80, .rows = 24 };
    Flight flight = { 0 };

    flight_begin(&flight);
    flight_take(&flight, &(Event){ .type = EVENT_SELECTED, .operation = uuid, .total = 1 }, 0);
    state(&flight, 0, 1, "a@x", "prove", NULL);
    check(join(meter_lines(&flight, &look, 0)), "a@x  prove");
    flight.stopping = true;
    check(join(meter_lines(&flight, &look, 0)),
          "6f0c2c1e  0/1 done  stopping\n          a@x       prove");
    flight_clear(&flight);
}

/* A purge does not know how many there will be. */
static void unknown_totals(void **unused G_GNUC_UNUSED)
{
    Look look = { .columns = 80, .rows = 24 };
    MailboxResult result = { .outcome = OUTCOME_KEPT };
    Flight flight = { 0 };

    flight_begin(&flight);
    check(join(meter_plain(&flight, 0)), "");
    flight_take(
        &flight,
        &(Event){
            .type = EVENT_MAILBOX_DONE, .account = "a@x", .operation = uuid, .result = &result },
        0);
    check(join(meter_lines(&flight, &look, 0)), "6f0c2c1e  1 done  1 failed");
    flight_clear(&flight);
}

static void plain_lines(void **unused G_GNUC_UNUSED)
{
    Flight flight;

    midflight(&flight);
    check(join(meter_plain(&flight, 7 * S)),
          "6f0c2c1e  1/3 done  1 failed  34.7%  347.0/1000.0 MB  41.2 MB/s  ETA 13 s\n"
          "[2/3]  \xe5\xbc\xa0\xe4\xbc\x9f@company.ru  copy blobs  82.0%  246.0/300.0 MB  "
          "257,949/314,572  41.0 MB/s  ETA 1 s\n"
          "[3/3]  " LONG "  throttled, replica-lag 7.2s > 5s  0.2%  1.0/600.0 MB  1,048/629,145  "
          "170.7 KB/s");
    flight_clear(&flight);
}

/* What a terminal of some width gets: the cursor goes up as many rows as the lines take there now.
 */
static void screens(void **unused G_GNUC_UNUSED)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    g_autoptr(GPtrArray) lines = g_ptr_array_new();
    Screen screen;

    g_ptr_array_add(lines, (char *)(uintptr_t) "\033[1mten\033[0m wide..");
    g_ptr_array_add(lines, (char *)(uintptr_t) "two");
    g_ptr_array_add(lines, (char *)(uintptr_t) "three");
    screen_open(&screen, out);
    screen_erase(&screen, 80); /* nothing there, nothing said */
    assert_int_equal(size, 0);
    screen_draw(&screen, lines, 80);
    check(g_strdup(text), "\r\033[1mten\033[0m wide..\033[K\ntwo\033[K\nthree\033[K\033[J\r");
    rewind(out);
    g_ptr_array_set_size(lines, 1);
    screen_draw(&screen, lines, 80);
    check(g_strndup(text, size), "\r\033[2A\033[1mten\033[0m wide..\033[K\033[J\r");
    rewind(out);
    g_ptr_array_add(lines, (char *)(uintptr_t) "two");
    screen_draw(&screen, lines, 80);
    rewind(out);
    screen_draw(&screen, lines, 40); /* another width: every row is cleared before */
    check(g_strndup(text, size), "\r\033[1A\033[K\n\033[K\033[1A\033[1mten\033[0m wide..\033[K\n"
                                 "two\033[K\033[J\r");
    rewind(out);
    screen_erase(&screen, 4); /* ten columns have become three rows */
    check(g_strndup(text, size), "\r\033[3A\033[K\n\033[K\n\033[K\n\033[K\033[3A");
    rewind(out);
    screen_erase(&screen, 4);
    fclose(out);
    assert_int_equal(size, 0);
    free(text);
    screen_close(&screen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns),
        cmocka_unit_test(flights),
        cmocka_unit_test(names_are_plain),
        cmocka_unit_test(rates),
        cmocka_unit_test(tables),
        cmocka_unit_test(held_up),
        cmocka_unit_test(no_line_is_too_long),
        cmocka_unit_test(no_more_lines_than_rows),
        cmocka_unit_test(a_single_mailbox),
        cmocka_unit_test(unknown_totals),
        cmocka_unit_test(plain_lines),
        cmocka_unit_test(screens),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
