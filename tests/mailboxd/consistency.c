/* consistency.c - see consistency.h. */
#include "tests/mailboxd/consistency.h"
#include "tests/mailboxd/mailbox.h"
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Report {
    xmlNode *missing, *wrong_size, *unexpected;
    unsigned faults;
} Report;

static void report_missing(Report *report, const char *path, unsigned volume, unsigned item,
                           unsigned revision, uint64_t size)
{
    xmlNode *node = xml_add(report->missing, "item", NULL);

    xml_setf(node, "id", "%u", item);
    xml_setf(node, "rev", "%u", revision);
    xml_setf(node, "s", "%" G_GUINT64_FORMAT, size);
    xml_setf(node, "volumeId", "%u", volume);
    xml_set(node, "blobPath", path);
    xml_set(node, "external", "0");
    report->faults++;
}

static void report_size(Report *report, const char *path, unsigned volume, unsigned item,
                        unsigned revision, uint64_t size, uint64_t found, uint64_t file_size)
{
    xmlNode *node = xml_add(report->wrong_size, "item", NULL);

    xml_setf(node, "id", "%u", item);
    xml_setf(node, "rev", "%u", revision);
    xml_setf(node, "s", "%" G_GUINT64_FORMAT, size);
    xml_setf(node, "volumeId", "%u", volume);
    xmlNode *blob = xml_add(node, "blob", NULL);
    xml_set(blob, "path", path);
    xml_setf(blob, "s", "%" G_GUINT64_FORMAT, found);
    xml_setf(blob, "fileSize", "%" G_GUINT64_FORMAT, file_size);
    xml_set(blob, "external", "0");
    report->faults++;
}

static void check_row(Report *report, unsigned mailbox, const DbRows *rows, bool check_size,
                      GHashTable *expected)
{
    g_autofree char *locator = rows_text(rows, 2);
    unsigned item = rows_uint(rows, 0), revision = rows_uint(rows, 1);
    uint64_t size = rows_u64(rows, 3);
    const Volume *volume = volume_get((unsigned)strtoul(locator, NULL, 10));
    char *path = volume == NULL ? g_strdup("") : blob_find(locator, mailbox, item, revision);
    GStatBuf info;

    g_hash_table_add(expected, path);
    if (volume == NULL || g_stat(path, &info) != 0) {
        report_missing(report, path, volume == NULL ? 0 : volume->id, item, revision, size);
        return;
    }
    if (!check_size)
        return;
    g_autoptr(GBytes) bytes = blob_read(locator, mailbox, item, revision, size, NULL);
    uint64_t found = bytes == NULL ? 0 : g_bytes_get_size(bytes);
    if (found != size)
        report_size(report, path, volume->id, item, revision, size, found, (uint64_t)info.st_size);
}

static void look_into(Report *report, const Volume *volume, const char *path, GHashTable *expected)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;
    GStatBuf info;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        if (g_hash_table_contains(expected, file) || g_stat(file, &info) != 0)
            continue;
        xmlNode *node = xml_add(report->unexpected, "blob", NULL);
        xml_setf(node, "volumeId", "%u", volume->id);
        xml_set(node, "path", file);
        xml_setf(node, "fileSize", "%" G_GINT64_FORMAT, (int64_t)info.st_size);
        xml_set(node, "external", "0");
        report->faults++;
    }
    if (dir != NULL)
        g_dir_close(dir);
}

static void find_unexpected(Report *report, unsigned mailbox, GHashTable *expected)
{
    const GPtrArray *volumes = volumes_all();

    for (guint i = 0; i < volumes->len; i++) {
        g_autofree char *base = volume_mailbox_dir(volumes->pdata[i], mailbox);
        g_autofree char *msg = g_build_filename(base, "msg", NULL);
        GDir *dir = g_dir_open(msg, 0, NULL);
        const char *name;
        while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
            g_autofree char *path = g_build_filename(msg, name, NULL);
            look_into(report, volumes->pdata[i], path, expected);
        }
        if (dir != NULL)
            g_dir_close(dir);
    }
}

static bool check_opened(const Mailbox *mailbox, bool check_size, Report *report, GError **error)
{
    g_autoptr(GHashTable) expected = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(Db) db = db_take(error);
    unsigned g = mailbox->group, id = mailbox->id;

    if (db == NULL)
        return false;
#define BLOBS_OF(item, table)                                             \
    "SELECT " item ", mod_content, locator, size FROM mboxgroup%u." table \
    " WHERE mailbox_id = %u AND locator IS NOT NULL AND blob_digest IS NOT NULL"
    g_autoptr(DbRows) rows = db_query(
        db, error,
        BLOBS_OF("id", "mail_item") " UNION " BLOBS_OF(
            "id",
            "mail_item_dumpster") " UNION " BLOBS_OF("item_id",
                                                     "revision") " UNION " BLOBS_OF("item_id",
                                                                                    "revision_"
                                                                                    "dumpster"),
        g, id, g, id, g, id, g, id);
#undef BLOBS_OF
    if (rows == NULL)
        return false;
    while (rows_next(rows))
        check_row(report, id, rows, check_size, expected);
    find_unexpected(report, id, expected);
    return true;
}

bool consistency_check(unsigned id, bool check_size, xmlNode *answer, GError **error)
{
    g_autoptr(Mailbox) row = mailbox_load(id, error);
    g_autoptr(Mailbox) mailbox =
        row == NULL ? NULL : manager_get(row->account_id, FETCH_EXISTING, error);
    Report report = { 0 };

    if (mailbox == NULL)
        return (error == NULL || *error != NULL)
                   ? false
                   : fault(error, FAULT_NO_SUCH_MBOX, "no such mailbox: %u", id);
    xmlNode *node = xml_add(answer, "mbox", NULL);
    xml_setf(node, "id", "%u", id);
    report.missing = xml_add(node, "missingBlobs", NULL);
    report.wrong_size = xml_add(node, "incorrectSize", NULL);
    report.unexpected = xml_add(node, "unexpectedBlobs", NULL);
    xml_add(node, "incorrectRevision", NULL);
    xml_add(node, "usedBlobs", NULL);
    bool done = check_opened(mailbox, check_size, &report, error);
    if (report.faults == 0) { /* what is in order is left out */
        xmlUnlinkNode(node);
        xmlFreeNode(node);
    }
    return done;
}
