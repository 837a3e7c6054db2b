/* verify.c - doVerify: old copies against the mailboxes in use. */
#include "commands/around.h"
#include "commands/report.h"
#include "conf/units.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEPT_ALARMS 1000 /* of a mailbox, for the answer; output FILE has them all */
#define SHOWN       20   /* of these, to people */

typedef struct VerifyArgs {
    VerifyRequest request;
    char *mode, *output;
} VerifyArgs;

static const char marks[MARKS] = {
    [MARK_EQUAL] = '=', [MARK_OLD] = '-', [MARK_NEW] = '+', [MARK_CHANGED] = '*', [MARK_BAD] = '!'
};
/* As JSON names them. */
static const char *const mark_keys[MARKS] = { [MARK_EQUAL] = "equal",
                                              [MARK_OLD] = "only_old",
                                              [MARK_NEW] = "only_new",
                                              [MARK_CHANGED] = "different",
                                              [MARK_BAD] = "damaged" };

/* What is found while it is found: into the file, and alarms into the answer. */
typedef struct Findings {
    FILE *output; /* NULL: no file was asked for */
    const char *path;
    GHashTable *alarms; /* VerifyCopy -> GPtrArray of json_t */
} Findings;

static void csv_item(GString *line, const VerifyCopy *copy, const VerifyItem *item)
{
    g_autoptr(GDateTime) date = item->date > 0 ? g_date_time_new_from_unix_local(item->date) : NULL;
    g_autofree char *when = date != NULL ? g_date_time_format(date, "%Y-%m-%dT%H:%M:%S%z") : NULL;
    const char mark[] = { marks[item->mark], '\0' };

    csv_field(line, copy->account);
    csv_field(line, copy->old_store);
    csv_field(line, copy->new_store);
    csv_field(line, mark);
    csv_field(line, item->alarm ? "yes" : "no");
    csv_field(line, item->table);
    csv_field(line, item->key);
    csv_field(line, item->folder);
    csv_field(line, item->name);
    if (item->size > 0)
        csv_count(line, item->size);
    else
        csv_field(line, "");
    csv_field(line, when);
    csv_field(line, item->reason);
    csv_field(line, item->columns);
    g_string_append(line, "\r\n");
}

static json_t *item_json(const VerifyItem *item)
{
    const char mark[] = { marks[item->mark], '\0' };
    json_t *object = json_object();

    set_text(object, "mark", mark);
    set_text(object, "table", item->table);
    set_text(object, "key", item->key);
    set_text(object, "folder", item->folder);
    set_text(object, "name", item->name);
    if (item->size > 0)
        set_number(object, "size", (int64_t)item->size);
    if (item->date > 0)
        set_time(object, "date", item->date * 1000);
    set_text(object, "reason", item->reason);
    set_text(object, "columns", item->columns);
    return object;
}

static bool write_line(const Findings *findings, const char *line, GError **error)
{
    return fputs(line, findings->output) >= 0 ||
           fail(error, ZX_ERROR_STATE, "output %s: %s", findings->path, g_strerror(errno));
}

static bool on_found(void *data, const VerifyCopy *copy, const VerifyItem *item, GError **error)
{
    Findings *findings = data;
    g_autoptr(GString) line = NULL;

    if (item->alarm) {
        GPtrArray *alarms = g_hash_table_lookup(findings->alarms, copy);

        if (alarms == NULL) {
            alarms = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
            g_hash_table_insert(findings->alarms, (void *)(uintptr_t)copy, alarms);
        }
        if (alarms->len < KEPT_ALARMS)
            g_ptr_array_add(alarms, item_json(item));
    }
    if (findings->output == NULL)
        return true;
    line = g_string_new(NULL);
    csv_item(line, copy, item);
    return write_line(findings, line->str, error);
}

static json_t *marks_json(const uint64_t counts[MARKS])
{
    json_t *object = json_object();

    for (int mark = 0; mark < MARKS; mark++)
        set_number(object, mark_keys[mark], (int64_t)counts[mark]);
    return object;
}

static json_t *table_json(const VerifyTable *table, bool marked)
{
    json_t *object = json_object();

    set_text(object, "table", table->name);
    set_number(object, "old_rows", (int64_t)table->old_rows);
    set_number(object, "new_rows", (int64_t)table->new_rows);
    if (marked) {
        json_object_set_new(object, "marks", marks_json(table->marks));
        set_number(object, "alarms", (int64_t)table->alarms);
    }
    return object;
}

static json_t *copy_json(const VerifyCopy *copy, const GPtrArray *alarms, bool marked)
{
    json_t *object = json_object(), *tables = json_array(), *list = json_array(),
           *notes = json_array();

    set_text(object, "account", copy->account);
    set_text(object, "account_id", copy->account_id);
    json_object_set_new(object, "compared", json_boolean(copy->compared));
    if (!copy->compared)
        set_text(object, "code", error_name(copy->code));
    set_text(object, "reason", copy->reason);
    if (copy->old_store[0] != '\0') {
        set_text(object, "old_store", copy->old_store);
        set_number(object, "old_mailbox", copy->old_mailbox);
    }
    set_text(object, "new_store", copy->new_store);
    if (copy->new_mailbox != 0)
        set_number(object, "new_mailbox", copy->new_mailbox);
    set_text(object, "operation", copy->operation);
    set_text(object, "state", copy->state);
    set_time(object, "moved_at", copy->moved_at);
    for (guint i = 0; i < copy->tables->len; i++) {
        const VerifyTable *table = g_ptr_array_index(copy->tables, i);

        if (table->old_rows + table->new_rows > 0 || table->alarms > 0)
            json_array_append_new(tables, table_json(table, marked));
    }
    if (copy->compared) {
        if (marked) {
            json_object_set_new(object, "marks", marks_json(copy->marks));
            set_number(object, "alarms", (int64_t)copy->alarms);
        }
        json_object_set(object, "tables", tables);
    }
    json_decref(tables);
    for (guint i = 0; alarms != NULL && i < alarms->len; i++)
        json_array_append(list, g_ptr_array_index(alarms, i));
    if (json_array_size(list) > 0)
        json_object_set(object, "items", list);
    json_decref(list);
    for (guint i = 0; i < copy->notes->len; i++)
        json_array_append_new(notes, text_json(g_ptr_array_index(copy->notes, i)));
    if (json_array_size(notes) > 0)
        json_object_set(object, "notes", notes);
    json_decref(notes);
    return object;
}

/* "= 2,371  - 3  + 12  * 40  ! 0" */
static void append_marks(GString *out, const uint64_t counts[MARKS])
{
    for (int mark = 0; mark < MARKS; mark++) {
        g_autofree char *count = units_format_count(counts[mark]);

        g_string_append_printf(out, "%s%c %s", mark > 0 ? "  " : "", marks[mark], count);
    }
}

static bool is_equal(const VerifyTable *table)
{
    for (int mark = 0; mark < MARKS; mark++)
        if (mark != MARK_EQUAL && table->marks[mark] > 0)
            return false;
    return true;
}

static void append_table(GString *out, const VerifyTable *table, bool marked)
{
    g_autofree char *old = units_format_count(table->old_rows);
    g_autofree char *new = units_format_count(table->new_rows);

    if (marked && is_equal(table))
        return;
    g_string_append_printf(out, "        %-20s  ", table->name);
    if (marked)
        append_marks(out, table->marks);
    else
        g_string_append_printf(out, "%s row%s, %s in the mailbox in use", old,
                               table->old_rows == 1 ? "" : "s", new);
    g_string_append_c(out, '\n');
}

static void append_alarm(GString *out, const json_t *item)
{
    const char *folder = json_string_value(json_object_get(item, "folder"));
    const char *name = json_string_value(json_object_get(item, "name"));
    const char *columns = json_string_value(json_object_get(item, "columns"));

    g_string_append_printf(out, "        %s %s %s",
                           json_string_value(json_object_get(item, "mark")),
                           json_string_value(json_object_get(item, "table")),
                           json_string_value(json_object_get(item, "key")));
    if (folder != NULL || name != NULL)
        g_string_append_printf(out, " (%s%s%s)", folder != NULL ? folder : "",
                               folder != NULL && name != NULL ? ": " : "",
                               name != NULL ? name : "");
    g_string_append_printf(out, ": %s", json_string_value(json_object_get(item, "reason")));
    if (columns != NULL)
        g_string_append_printf(out, " (%s)", columns);
    g_string_append_c(out, '\n');
}

static void append_copy(GString *out, const VerifyCopy *copy, const GPtrArray *alarms, bool marked)
{
    const guint shown = alarms != NULL ? MIN(alarms->len, SHOWN) : 0;

    g_string_append_printf(out, "%s", copy->account);
    if (copy->old_store[0] != '\0')
        g_string_append_printf(out, "  %s -> %s", copy->old_store,
                               copy->new_store != NULL ? copy->new_store : "no store");
    if (!copy->compared) {
        g_string_append_printf(out, ": %s\n", copy->reason);
        return;
    }
    if (marked) {
        g_string_append(out, "  ");
        append_marks(out, copy->marks);
        g_string_append_printf(out, "  %s\n",
                               copy->alarms == 0 ? "nothing is unexplained" : "NOT EXPLAINED:");
    } else {
        g_string_append_c(out, '\n');
    }
    for (guint i = 0; i < shown; i++)
        append_alarm(out, g_ptr_array_index(alarms, i));
    if (copy->alarms > shown)
        g_string_append_printf(out, "        and %" G_GUINT64_FORMAT " more: see output FILE\n",
                               copy->alarms - shown);
    for (guint i = 0; i < copy->tables->len; i++)
        append_table(out, g_ptr_array_index(copy->tables, i), marked);
    for (guint i = 0; i < copy->notes->len; i++)
        g_string_append_printf(out, "        note: %s\n",
                               (const char *)g_ptr_array_index(copy->notes, i));
}

/* An alarm is worse than what could not be compared; if nothing could be, its reason decides. */
static void judge(const Verification *verification, Result *result)
{
    const VerifyCopy *missed = NULL;
    uint64_t alarms = 0;
    guint compared = 0;

    for (guint i = 0; i < verification->copies->len; i++) {
        const VerifyCopy *copy = g_ptr_array_index(verification->copies, i);

        alarms += copy->alarms;
        compared += copy->compared;
        if (!copy->compared && missed == NULL)
            missed = copy;
    }
    if (alarms > 0)
        fail(&result->problem, ZX_ERROR_DATA,
             "%" G_GUINT64_FORMAT " difference%s that nothing explains", alarms,
             alarms == 1 ? "" : "s");
    else if (missed != NULL && (missed->code == ZX_ERROR_INTERRUPTED || compared == 0))
        fail(&result->problem, missed->code, "%s: %s", missed->account, missed->reason);
    else if (missed != NULL || verification->notes->len > 0)
        fail(&result->problem, ZX_ERROR_PARTIAL, "%s",
             missed != NULL ? "not everything could be compared"
                            : (const char *)g_ptr_array_index(verification->notes, 0));
    if (result->problem != NULL)
        result->status = error_exit_status(error_code(result->problem));
}

static void finish(const Verification *verification, const VerifyArgs *request,
                   const Findings *findings, Result *result)
{
    const bool marked = request->request.mode != VERIFY_COUNTS;
    GString *text = g_string_new(NULL);
    json_t *copies = json_array(), *notes = json_array();

    for (guint i = 0; i < verification->copies->len; i++) {
        const VerifyCopy *copy = g_ptr_array_index(verification->copies, i);
        const GPtrArray *alarms = g_hash_table_lookup(findings->alarms, copy);

        append_copy(text, copy, alarms, marked);
        json_array_append_new(copies, copy_json(copy, alarms, marked));
    }
    for (guint i = 0; i < verification->notes->len; i++) {
        const char *note = g_ptr_array_index(verification->notes, i);

        g_string_append_printf(text, "note: %s\n", note);
        json_array_append_new(notes, text_json(note));
    }
    if (request->output != NULL)
        g_string_append_printf(text, "each item is in %s\n", request->output);
    result->text = g_string_free(text, FALSE);
    result->response = json_pack("{s:s, s:s, s:o}", "operation", verification->operation, "mode",
                                 request->mode, "copies", copies);
    if (json_array_size(notes) > 0)
        json_object_set(result->response, "notes", notes);
    json_decref(notes);
    set_text(result->response, "output", request->output);
    set_text(result->response, "log", verification->log_path);
    judge(verification, result);
}

static bool open_output(Findings *findings, GError **error)
{
    static const char head[] =
        "account,old_store,new_store,mark,alarm,table,key,folder,name,size,date,reason,columns\r\n";
    int fd;

    if (findings->path == NULL)
        return true;
    /* Subjects are nobody else's business. */
    fd = open(findings->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    findings->output = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (findings->output == NULL) {
        fail(error, ZX_ERROR_STATE, "output %s: %s", findings->path, g_strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    return write_line(findings, head, error);
}

static bool close_output(Findings *findings, GError **error)
{
    FILE *output = g_steal_pointer(&findings->output);

    return output == NULL || fclose(output) == 0 ||
           fail(error, ZX_ERROR_STATE, "output %s: %s", findings->path, g_strerror(errno));
}

static VerifyMode mode_of(const char *name)
{
    return strcmp(name, "counts") == 0 ? VERIFY_COUNTS
           : strcmp(name, "full") == 0 ? VERIFY_FULL
                                       : VERIFY_CHECKSUM;
}

static bool check(void *data, GError **error)
{
    const VerifyArgs *args = data;

    if (args->request.accounts == NULL && args->request.operation == NULL)
        return fail_page(error, &cmd_do_verify, "doVerify needs accounts or operation");
    if (args->request.accounts != NULL && args->request.operation != NULL)
        return fail(error, ZX_ERROR_USAGE, "accounts and operation both say who: give one of them");
    return args->output == NULL || strcmp(args->output, "-") != 0 ||
           fail(error, ZX_ERROR_USAGE, "output needs a file; on stdout --json tells the alarms");
}

static bool run(Session *session, void *data, Result *result, GError **error)
{
    VerifyArgs *args = data;
    Core *core = session_core(session, error);
    Findings findings = { .path = args->output };
    g_autoptr(Verification) verification = NULL;
    bool ok;

    if (core == NULL || !open_output(&findings, error))
        return false;
    args->request.mode = mode_of(args->mode);
    args->request.command = g_strdup(session->line);
    if (args->request.mode == VERIFY_FULL)
        session_note(session, "every file of both copies is read whole: this is hard on the disks");
    findings.alarms = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_ptr_array_unref);
    verification = core_verify(core, &args->request, on_found, &findings, session_event, session,
                               &session->wait, error);
    g_clear_pointer(&args->request.command, g_free);
    ok = close_output(&findings, verification != NULL ? error : NULL) && verification != NULL;
    if (ok)
        finish(verification, args, &findings, result);
    g_hash_table_unref(findings.alarms);
    return ok;
}

/* clang-format off */
#define VERIFY(field, ...) ARG(VerifyArgs, field, __VA_ARGS__)

static const Arg args[] = {
    VERIFY(request.accounts, .name = "accounts", .type = ARG_ACCOUNTS, .expected = "john@example.com,smith@example.com",
           .help = "accounts whose old copies are compared, by address, alias or id"),
    VERIFY(request.operation, .name = "operation", .type = ARG_UUID, .expected = "uuid, or how it begins",
           .help = "every mailbox that this operation moved"),
    VERIFY(mode, .name = "mode", .type = ARG_CHOICE, .values = "counts|checksum|full",
           .meanings = "how many rows each side has|every row, by its fingerprint|and every file is read on both sides",
           .fallback = "checksum", .help = "how much is compared"),
    VERIFY(output, .name = "output", .type = ARG_PATH, .expected = "path",
           .help = "a CSV file: a line for each item that is not equal"),
    { 0 },
};
/* clang-format on */

const Command cmd_do_verify = {
    .name = "doVerify",
    .group = "Old copies",
    .summary = "compare old copies with the mailboxes in use",
    .description =
        "Compares each old copy that is still kept with the mailbox in use, while users work.\n"
        "Nothing is locked or written. Marks: = equal, - only in the old copy, + only in the\n"
        "mailbox in use, * in both and different, ! damaged or in contradiction. Users delete,\n"
        "file and read, and mail arrives: what that explains is counted. An alarm is what\n"
        "nothing explains: a row that went without a deletion, changed without a change\n"
        "number, came to the old copy after the move, or a file that is damaged or missing.\n"
        "counts proves nothing: it shows how many rows there are. Once the old copy is purged\n"
        "there is nothing to compare; doCheckBlobs still looks at the mailbox in use.\n"
        "Exit status: 0 nothing is unexplained, 1 an alarm or nothing could be compared, 5 not\n"
        "everything could be compared, 64 usage.",
    .flags = COMMAND_WAITS,
    .args = args,
    .request_size = sizeof(VerifyArgs),
    .examples = (const char *const[]){ "doVerify operation 6f0c2c1e mode full",
                                       "doVerify accounts anna@company.ru output anna.csv", NULL },
    .check = check,
    .run = run,
};
