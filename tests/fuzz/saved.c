/* saved.c - fuzzes a report of state_dir: what is no report is refused; of what is one every form
 * can be made, and a report that we made of it reads as it is. */
#include "commands/saved.h"
#include "tests/fuzz/files.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All forms in one text; @json is the one that is kept. */
static char *forms(const Saved *saved, char **json)
{
    json_t *object = report_json(saved->report, &saved->text);
    g_autofree char *csv = report_csv(saved->report);
    g_autofree char *lines = report_summary(saved->report, &saved->text);
    g_autofree char *subject = mail_subject(saved->report, &saved->text);
    g_autofree char *body = mail_body(saved->report, &saved->text);

    *json = json_dumps(object, JSON_INDENT(2));
    json_decref(object);
    g_assert(*json != NULL);
    return g_strjoin("\n----\n", *json, csv, lines, subject, body, NULL);
}

/* The report of @from as it is kept, read again. */
static char *kept(const Saved *from, Saved *out)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;
    char *json, *text = forms(from, &json);

    path = fuzz_file("kept.json", json, strlen(json));
    if (!saved_read(path, out, &error))
        g_error("%s\n%s", error->message, json);
    free(json);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *path = fuzz_file("report.json", data, size);
    g_auto(Saved) given = { 0 }, ours = { 0 }, again = { 0 }, last = { 0 };
    g_autoptr(GError) error = NULL;
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;
    g_autofree char *third = NULL;

    if (!saved_read(path, &given, &error)) {
        g_assert(error_code(error) == ZX_ERROR_DATA);
        return 0;
    }
    first = kept(&given, &ours);
    second = kept(&ours, &again);
    third = kept(&again, &last);
    g_assert_cmpstr(third, ==, second);
    return 0;
}
