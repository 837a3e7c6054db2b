/* blobs.c - doCheckBlobs. */
#include "commands/around.h"
#include "conf/units.h"
#include <string.h>

#define SHOWN 20 /* findings of a store that people are shown; --json has more */

enum { ITEMS_ZIMBRA = 1, ITEMS_DRIVE = 2 };

typedef struct CheckBlobsArgs {
    BlobsRequest request;
    char *action;
    unsigned items;
    bool fix_digests, delete_items;
} CheckBlobsArgs;

/* As JSON names them, and as people read them. */
static const struct {
    const char *key, *words;
} faults[BLOB_FAULTS] = {
    [BLOB_MISSING] = { "missing", "missing" },
    [BLOB_ELSEWHERE] = { "elsewhere", "on another volume" },
    [BLOB_NAME] = { "wrong_name", "wrong name" },
    [BLOB_SIZE] = { "wrong_size", "wrong size" },
    [BLOB_CONTENT] = { "wrong_digest", "wrong digest" },
    [BLOB_UNREADABLE] = { "unreadable", "unreadable" },
    [BLOB_VOLUME] = { "no_volume", "no such volume" },
    [BLOB_UNEXPECTED] = { "unexpected", "no row calls for it" },
};

/* Carbonio calls Zimbra's items mail, and Drive files. */
static bool read_items(char **items, unsigned *out, GPtrArray *notes, GError **error G_GNUC_UNUSED)
{
    unsigned set = 0;

    for (char **item = items; *item != NULL; item++) {
        if (strcmp(*item, "all") == 0)
            set |= ITEMS_ZIMBRA | ITEMS_DRIVE;
        else if (strcmp(*item, "zimbra") == 0 || strcmp(*item, "mail") == 0)
            set |= ITEMS_ZIMBRA;
        else
            set |= ITEMS_DRIVE;
    }
    if (set == ITEMS_DRIVE)
        g_ptr_array_add(notes, g_strdup("items: there is no Drive that zxmove knows of"));
    *out = set;
    return true;
}

static json_t *faults_json(const uint64_t counts[BLOB_FAULTS])
{
    json_t *object = json_object();

    for (int fault = 0; fault < BLOB_FAULTS; fault++)
        if (counts[fault] > 0)
            set_number(object, faults[fault].key, (int64_t)counts[fault]);
    return object;
}

static void set_faults(json_t *object, const uint64_t counts[BLOB_FAULTS])
{
    json_t *found = faults_json(counts);

    if (json_object_size(found) > 0)
        json_object_set(object, "faults", found);
    json_decref(found);
}

static void set_count(json_t *object, const InspectCount *count)
{
    set_number(object, "blobs", (int64_t)count->blobs);
    set_number(object, "bytes", (int64_t)count->bytes);
    set_number(object, "files", (int64_t)count->files);
    if (count->external > 0)
        set_number(object, "external", (int64_t)count->external);
    set_faults(object, count->faults);
}

static json_t *volume_json(const VolumeBlobs *volume)
{
    json_t *object = json_object();

    set_number(object, "id", volume->id);
    set_text(object, "name", volume->name);
    set_text(object, "path", volume->path);
    set_faults(object, volume->faults);
    return object;
}

static json_t *found_json(const BlobTrace *found)
{
    json_t *object = json_object();

    set_text(object, "fault", faults[found->fault].key);
    set_number(object, "mailbox_id", found->mailbox);
    if (found->volume != 0)
        set_number(object, "volume", found->volume);
    set_text(object, "file", found->file);
    set_number(object, "item", found->item);
    set_number(object, "revision", found->mod_content);
    if (found->fault != BLOB_UNEXPECTED)
        set_number(object, "size", (int64_t)found->size);
    if (found->fault == BLOB_SIZE || found->fault == BLOB_CONTENT ||
        found->fault == BLOB_UNEXPECTED)
        set_number(object, "found_size", (int64_t)found->found_size);
    set_text(object, "detail", found->detail);
    return object;
}

static json_t *homeless_json(const HomelessLook *homeless)
{
    json_t *object = json_object();

    set_number(object, "volume", homeless->volume);
    set_number(object, "mailbox_id", homeless->mailbox);
    set_number(object, "files", (int64_t)homeless->files);
    set_number(object, "bytes", (int64_t)homeless->bytes);
    return object;
}

static json_t *mailbox_json(const MailboxBlobs *mailbox)
{
    json_t *object = json_object();

    set_number(object, "mailbox_id", mailbox->mailbox);
    set_text(object, "account", mailbox->account);
    set_count(object, &mailbox->count);
    return object;
}

static json_t *store_json(const StoreBlobs *look, bool traced)
{
    json_t *object = json_object(), *volumes = json_array(), *found = json_array(),
           *homeless = json_array(), *mailboxes = json_array();

    set_text(object, "store", look->store);
    set_number(object, "checked", look->checked);
    set_count(object, &look->count);
    for (guint i = 0; i < look->volumes->len; i++)
        json_array_append_new(volumes, volume_json(g_ptr_array_index(look->volumes, i)));
    for (guint i = 0; i < look->found->len; i++)
        json_array_append_new(found, found_json(g_ptr_array_index(look->found, i)));
    for (guint i = 0; i < look->homeless->len; i++)
        json_array_append_new(homeless,
                              homeless_json(&g_array_index(look->homeless, HomelessLook, i)));
    for (guint i = 0; i < look->mailboxes->len; i++)
        json_array_append_new(mailboxes, mailbox_json(g_ptr_array_index(look->mailboxes, i)));
    json_object_set_new(object, "volumes", volumes);
    json_object_set_new(object, "found", found);
    if (look->found_more > 0)
        set_number(object, "found_more", (int64_t)look->found_more);
    if (look->homeless->len > 0)
        json_object_set(object, "homeless", homeless);
    json_decref(homeless);
    if (traced)
        json_object_set(object, "mailboxes", mailboxes);
    json_decref(mailboxes);
    return object;
}

static uint64_t fault_count(const uint64_t counts[BLOB_FAULTS])
{
    uint64_t sum = 0;

    for (int fault = 0; fault < BLOB_FAULTS; fault++)
        sum += counts[fault];
    return sum;
}

/* "2 missing, 1 wrong size", or "all well". */
static void append_faults(GString *out, const uint64_t counts[BLOB_FAULTS])
{
    bool any = false;

    for (int fault = 0; fault < BLOB_FAULTS; fault++) {
        g_autofree char *count = units_format_count(counts[fault]);

        if (counts[fault] == 0)
            continue;
        g_string_append_printf(out, "%s%s %s", any ? ", " : "", count, faults[fault].words);
        any = true;
    }
    g_string_append(out, any ? "\n" : "all well\n");
}

static void append_sizes(GString *out, const InspectCount *count)
{
    g_autofree char *blobs = units_format_count(count->blobs);
    g_autofree char *bytes = units_format_size(count->bytes);
    g_autofree char *files = units_format_count(count->files);

    g_string_append_printf(out, "%s blob%s of rows (%s), %s file%s", blobs,
                           count->blobs == 1 ? "" : "s", bytes, files,
                           count->files == 1 ? "" : "s");
    if (count->external > 0)
        g_string_append_printf(out, ", %" G_GUINT64_FORMAT " on external storage not looked at",
                               count->external);
}

static void append_found(GString *out, const BlobTrace *found)
{
    g_string_append_printf(out, "  mailbox %u  %s: %s", found->mailbox,
                           found->file != NULL ? found->file : "no place",
                           faults[found->fault].words);
    if (found->fault == BLOB_SIZE)
        g_string_append_printf(out,
                               ", %" G_GUINT64_FORMAT " bytes, its row says %" G_GUINT64_FORMAT,
                               found->found_size, found->size);
    if (found->detail != NULL)
        g_string_append_printf(out, ", %s", found->detail);
    g_string_append_c(out, '\n');
}

static void append_store(GString *out, const StoreBlobs *look)
{
    const guint shown = MIN(look->found->len, SHOWN);
    const uint64_t more = look->found->len - shown + look->found_more;

    g_string_append_printf(out, "%s: %u mailbox%s, ", look->store, look->checked,
                           look->checked == 1 ? "" : "es");
    append_sizes(out, &look->count);
    g_string_append_c(out, '\n');
    for (guint i = 0; i < look->volumes->len; i++) {
        const VolumeBlobs *volume = g_ptr_array_index(look->volumes, i);

        g_string_append_printf(out, "  volume %s (%u), %s: ", volume->name, volume->id,
                               volume->path);
        append_faults(out, volume->faults);
    }
    for (guint i = 0; i < look->mailboxes->len; i++) {
        const MailboxBlobs *mailbox = g_ptr_array_index(look->mailboxes, i);

        g_string_append_printf(out, "  mailbox %u %s: ", mailbox->mailbox, mailbox->account);
        append_sizes(out, &mailbox->count);
        g_string_append(out, ", ");
        append_faults(out, mailbox->count.faults);
    }
    for (guint i = 0; i < shown; i++)
        append_found(out, g_ptr_array_index(look->found, i));
    if (more > 0)
        g_string_append_printf(out, "  and %" G_GUINT64_FORMAT " more: see --json\n", more);
    for (guint i = 0; i < look->homeless->len; i++) {
        const HomelessLook *homeless = &g_array_index(look->homeless, HomelessLook, i);
        g_autofree char *bytes = units_format_size(homeless->bytes);

        g_string_append_printf(out,
                               "  volume %u has a directory of a mailbox %u that is not there: "
                               "%" G_GUINT64_FORMAT " files, %s\n",
                               homeless->volume, homeless->mailbox, homeless->files, bytes);
    }
}

static void finish(const Looked *looked, bool traced, Result *result)
{
    GString *text = g_string_new(NULL);
    json_t *stores = json_array();
    uint64_t found = 0;

    for (guint i = 0; i < looked->items->len; i++) {
        const StoreBlobs *look = g_ptr_array_index(looked->items, i);

        found += fault_count(look->count.faults) + look->homeless->len;
        append_store(text, look);
        json_array_append_new(stores, store_json(look, traced));
    }
    for (guint i = 0; i < looked->unreached->len; i++) {
        const Unreached *unreached = g_ptr_array_index(looked->unreached, i);

        g_string_append_printf(text, "%s could not be asked (%s): %s\n", unreached->server,
                               unreached->part, unreached->reason);
    }
    result->text = g_string_free(text, FALSE);
    result->response = json_pack("{s:o}", "stores", stores);
    around_unreached(looked, result);
    if (found == 0 || result->problem != NULL)
        return;
    fail(&result->problem, ZX_ERROR_PARTIAL,
         "%" G_GUINT64_FORMAT " %s not as %s should be", found,
         found == 1 ? "thing is" : "things are", found == 1 ? "it" : "they");
    result->status = error_exit_status(ZX_ERROR_PARTIAL);
}

static bool refused(const char *option, GError **error)
{
    return fail(error, ZX_ERROR_REFUSED,
                "%s true is not in 1.0: doCheckBlobs only reports\nmend what it finds with "
                "Zimbra's zmblobchk, or from a backup",
                option);
}

static bool run(Session *session, void *data, Result *result, GError **error)
{
    const CheckBlobsArgs *args = data;
    g_autoptr(Looked) looked = NULL;
    Core *core;

    if (args->fix_digests)
        return refused("fix_incorrect_compressed_digests", error);
    if (args->delete_items)
        return refused("missing_blob_delete_item", error);
    if ((args->items & ITEMS_ZIMBRA) == 0) {
        result->response = json_pack("{s:[]}", "stores");
        result->text = g_strdup("nothing to check\n");
        return true;
    }
    core = session_core(session, error);
    if (core == NULL)
        return false;
    session_note(session,
                 args->request.digests
                     ? "every file of these mailboxes is read whole: this is hard on the disks"
                     : "every file of these mailboxes is looked at: this is hard on the disks");
    looked = core_check_blobs(core, &args->request, session->switches->host, session_event, session,
                              &session->wait, error);
    if (looked == NULL)
        return false;
    finish(looked, args->request.traced, result);
    return true;
}

/* clang-format off */
#define BLOBS(field, ...) ARG(CheckBlobsArgs, field, __VA_ARGS__)

static const Arg args[] = {
    BLOBS(action, .name = "action", .type = ARG_CHOICE, .flags = ARG_REQUIRED, .values = "start",
          .help = "what to do: there is only start; Ctrl-C ends it"),
    BLOBS(request.volumes, .name = "volumes", .type = ARG_WORDS, .offers = OFFERS_VOLUMES,
          .expected = "message1,hsm or 1,3", .unset = "all", .help = "only files of these volumes, by name or id"),
    BLOBS(request.mailbox_ids, .name = "mailbox_ids", .type = ARG_NUMBERS, .expected = "2,9,27", .unset = "all",
          .help = "only these mailboxes; with several stores --host says whose ids they are"),
    BLOBS(request.crosscheck, .name = "missing_blobs_crosscheck", .type = ARG_BOOL, .fallback = "true",
          .help = "look for what is missing on the other volumes and under other revisions"),
    BLOBS(request.traced, .name = "traced", .type = ARG_BOOL, .fallback = "false",
          .help = "tell of each mailbox, also of those that are well"),
    BLOBS(fix_digests, .name = "fix_incorrect_compressed_digests", .type = ARG_BOOL, .fallback = "false",
          .help = "refused: 1.0 only reports"),
    BLOBS(delete_items, .name = "missing_blob_delete_item", .type = ARG_BOOL, .fallback = "false",
          .help = "refused: 1.0 only reports"),
    BLOBS(request.digests, .name = "check_digests", .type = ARG_BOOL, .fallback = "false",
          .help = "read every file and compare its digest"),
    BLOBS(items, .name = "items", .type = ARG_SET, .values = "zimbra|drive|all|mail|files",
          .meanings = "messages and the like|there is none|both|Carbonio's name for zimbra|Carbonio's name for drive",
          .fallback = "all", .read_set = read_items, .help = "what to check; of Drive there is nothing"),
    { 0 },
};
/* clang-format on */

const Command cmd_do_check_blobs = {
    .name = "doCheckBlobs",
    .group = "Looking around",
    .summary = "compare the files of mailboxes with their rows",
    .description =
        "Looks for what is wrong between database and disk: rows whose file is missing, lies\n"
        "on another volume, has another name, size or (on request) digest, files that no row\n"
        "calls for, and directories of mailboxes that are not there. Nothing is changed or\n"
        "mended. It runs while users work; what one deleted a moment ago may still lie there.\n"
        "Exit status: 0 all well, 1 failed, 5 something was found or a store could not be\n"
        "asked, 69 none could.",
    .flags = COMMAND_WAITS,
    .args = args,
    .request_size = sizeof(CheckBlobsArgs),
    .examples =
        (const char *const[]){ "doCheckBlobs start mailbox_ids 2,9,27 check_digests true", NULL },
    .run = run,
};
