/* check.c - what doCheck found, as lines and as JSON, and the list of its tests for doc/checks.md. */
#include "commands/around.h"
#include <string.h>

static const char *const state_words[CHECK_STATES] = {
    [CHECK_OK] = "OK", [CHECK_WARN] = "WARN", [CHECK_FAIL] = "FAIL",
    [CHECK_NOT_POSSIBLE] = "not possible",
};

static const CheckFinding *finding_at(const CheckReport *report, guint i)
{
    return g_ptr_array_index(report->findings, i);
}

/* Of a test with several findings the worst counts; what was not possible is no worse than OK, else
 * nobody would ever see a FAIL of one store for the silence of another. */
static unsigned badness(CheckState state)
{
    static const unsigned order[CHECK_STATES] = {
        [CHECK_OK] = 0, [CHECK_NOT_POSSIBLE] = 1, [CHECK_WARN] = 2, [CHECK_FAIL] = 3,
    };

    return order[state];
}

static void count_tests(const CheckReport *report, unsigned counts[CHECK_STATES])
{
    const CheckTest *test;

    memset(counts, 0, CHECK_STATES * sizeof *counts);
    for (unsigned n = 0; (test = core_check_test(n)) != NULL; n++) {
        CheckState worst = CHECK_OK;

        for (guint i = 0; i < report->findings->len; i++) {
            const CheckFinding *finding = finding_at(report, i);

            if (finding->test == test && badness(finding->state) > badness(worst))
                worst = finding->state;
        }
        counts[worst]++;
    }
}

/* OK needs none; what could not be looked at is mended elsewhere, unless the row says something. */
static const char *remedy_of(const CheckFinding *finding)
{
    return finding->state == CHECK_WARN || finding->state == CHECK_FAIL ? finding->test->remedy
                                                                        : NULL;
}

static json_t *finding_json(const CheckFinding *finding)
{
    json_t *object = json_object();

    set_text(object, "test", finding->test->name);
    set_text(object, "result", state_words[finding->state]);
    set_text(object, "subject", finding->subject);
    set_text(object, "finding", finding->text);
    set_text(object, "remedy", remedy_of(finding));
    return object;
}

/* The tests that could not be made for the same reason are one line. */
static void append_not_possible(GString *out, const CheckReport *report)
{
    g_autoptr(GHashTable) told = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < report->findings->len; i++) {
        const CheckFinding *finding = finding_at(report, i);
        const CheckTest *last = NULL;

        if (finding->state != CHECK_NOT_POSSIBLE || !g_hash_table_add(told, finding->text))
            continue;
        g_string_append_printf(out, "%s: %s:\n", state_words[CHECK_NOT_POSSIBLE], finding->text);
        for (guint k = i; k < report->findings->len; k++) {
            const CheckFinding *other = finding_at(report, k);

            if (other->state != CHECK_NOT_POSSIBLE || strcmp(other->text, finding->text) != 0 ||
                other->test == last)
                continue;
            g_string_append_printf(out, "%s%s", last == NULL ? "      " : " ", other->test->name);
            last = other->test;
        }
        g_string_append_c(out, '\n');
    }
}

static void append_finding(GString *out, const CheckFinding *finding)
{
    const char *remedy = remedy_of(finding);

    g_string_append_printf(out, "%-4s  %s  %s%s%s\n", state_words[finding->state],
                           finding->test->name, finding->subject != NULL ? finding->subject : "",
                           finding->subject != NULL ? ": " : "", finding->text);
    if (remedy != NULL)
        g_string_append_printf(out, "      %s\n", remedy);
}

static char *text_of(const CheckReport *report, const char *destination, bool verbose,
                     const unsigned counts[CHECK_STATES])
{
    GString *out = g_string_new(NULL);

    for (guint i = 0; i < report->findings->len; i++) {
        const CheckFinding *finding = finding_at(report, i);

        if (finding->state != CHECK_NOT_POSSIBLE && (verbose || finding->state != CHECK_OK))
            append_finding(out, finding);
    }
    append_not_possible(out, report);
    g_string_append_printf(out, "%u account%s to %s", report->accounts,
                           report->accounts == 1 ? "" : "s", destination);
    if (report->skipped > 0)
        g_string_append_printf(out, " (%u skipped)", report->skipped);
    g_string_append_printf(out, ": %u tests OK, %u WARN, %u FAIL, %u not possible\n",
                           counts[CHECK_OK], counts[CHECK_WARN], counts[CHECK_FAIL],
                           counts[CHECK_NOT_POSSIBLE]);
    return g_string_free(out, FALSE);
}

static void set_status(const unsigned counts[CHECK_STATES], Result *result)
{
    if (counts[CHECK_FAIL] > 0)
        fail(&result->problem, ZX_ERROR_REFUSED, "%u of the tests failed", counts[CHECK_FAIL]);
    else if (counts[CHECK_WARN] > 0)
        fail(&result->problem, ZX_ERROR_PARTIAL, "%u of the tests warn", counts[CHECK_WARN]);
    if (result->problem != NULL)
        result->status = error_exit_status(error_code(result->problem));
}

void check_answer(const CheckReport *report, const char *destination, bool verbose, Result *result)
{
    json_t *list = json_array();
    unsigned counts[CHECK_STATES];

    count_tests(report, counts);
    for (guint i = 0; i < report->findings->len; i++) {
        const CheckFinding *finding = finding_at(report, i);

        if (verbose || finding->state != CHECK_OK)
            json_array_append_new(list, finding_json(finding));
    }
    result->response =
        json_pack("{s:s, s:i, s:i, s:{s:i, s:i, s:i, s:i}, s:o}", "destination", destination,
                  "accounts", (int)report->accounts, "skipped", (int)report->skipped, "tests", "ok",
                  (int)counts[CHECK_OK], "warn", (int)counts[CHECK_WARN], "fail",
                  (int)counts[CHECK_FAIL], "not_possible", (int)counts[CHECK_NOT_POSSIBLE],
                  "findings", list);
    result->text = text_of(report, destination, verbose, counts);
    set_status(counts, result);
}

static const char docs_head[] =
    "# What doCheck tests\n"
    "\n"
    "`doCheck destinationHost` with the parameters of doMailboxMove tests all of this and changes nothing. What it tells\n"
    "is a result (OK, WARN, FAIL, not possible), whom it is about, and what was found; exit status 0, 5 with warnings, 1 if\n"
    "something failed. FAIL is what doMailboxMove refuses, too, before anybody is locked out: both ask the same functions\n"
    "(core/move: plan.c, fit.c, reserve.c, forecast.c). WARN is what a move does in spite of. This page is printed by\n"
    "`zxmove __docs checks` from the table in core/check/table.c.\n"
    "\n"
    "| Test | Looks at | Remedy |\n"
    "|---|---|---|\n";

char *check_docs(void)
{
    GString *out = g_string_new(docs_head);
    const CheckTest *test;

    for (unsigned n = 0; (test = core_check_test(n)) != NULL; n++)
        g_string_append_printf(out, "| %s | %s | %s |\n", test->name, test->looks_at,
                               test->remedy != NULL ? test->remedy : "told with what is found");
    return g_string_free(out, FALSE);
}
