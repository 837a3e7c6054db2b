/* policy.c - what is done with each table that Zimbra keys by mailbox (doc/platform.md 2.1, 2.2).
 *
 * zimbra.mailbox is not here: it is written and proven by itself (mailbox_row.c).
 *
 * Sealed are the tables that only a writer with the mailbox's lock can change. Left out are those
 * that others write without it (2.7 E): a data source's mappings, out_of_office, event,
 * scheduled_task, pending_acl_push and, of the sealed tables, locator and blob_digest, which blob
 * movers rewrite. The device tables are written by extensions nobody has read. None of these can
 * show that mail reached an old copy, and each could keep one from being purged for nothing. */
#include "core/move/catalogue.h"
#include <string.h>

/* clang-format off */
const Policy row_policies[] = {
    { .table = "mail_item", .phase = ROWS_AHEAD, .bucket = BUCKET_RANGE, .bucket_column = "id",
      .keys = { "id" }, .wide = true, .blobs = true, .sealed = true, .why = "items, folders, conversations" },
    { .table = "revision", .phase = ROWS_AHEAD, .bucket = BUCKET_RANGE, .bucket_column = "item_id",
      .keys = { "item_id", "version" }, .wide = true, .blobs = true, .sealed = true, .why = "older versions of documents" },
    { .table = "appointment", .phase = ROWS_AHEAD, .bucket = BUCKET_RANGE, .bucket_column = "item_id",
      .keys = { "item_id" }, .sealed = true,
      .why = "when appointments are; item_id is unique too, and cheaper to look for than uid" },
    { .table = "open_conversation", .phase = ROWS_AHEAD, .bucket = BUCKET_HASH, .bucket_column = "hash",
      .keys = { "hash" }, .sealed = true, .why = "which conversation a subject belongs to" },
    { .table = "tag", .phase = ROWS_AHEAD, .bucket = BUCKET_RANGE, .bucket_column = "id",
      .keys = { "id" }, .sealed = true, .why = "tags and flags, with their counts" },
    { .table = "tagged_item", .phase = ROWS_AHEAD, .bucket = BUCKET_PAIR, .bucket_column = "item_id",
      .keys = { "tag_id", "item_id" }, .sealed = true, .why = "no primary key, but all of it is unique" },
    { .table = "mail_item_dumpster", .phase = ROWS_AHEAD, .bucket = BUCKET_RANGE, .bucket_column = "id",
      .keys = { "id" }, .wide = true, .blobs = true, .sealed = true, .why = "deleted items that can be recovered" },
    { .table = "revision_dumpster", .phase = ROWS_AHEAD, .bucket = BUCKET_RANGE, .bucket_column = "item_id",
      .keys = { "item_id", "version" }, .wide = true, .blobs = true, .sealed = true, .why = "their older versions" },
    { .table = "appointment_dumpster", .phase = ROWS_AHEAD, .bucket = BUCKET_RANGE, .bucket_column = "item_id",
      .keys = { "item_id" }, .sealed = true, .why = "their times" },
    { .table = "tombstone", .phase = ROWS_AHEAD, .bucket = BUCKET_RANGE, .bucket_column = "sequence",
      .sealed = true, .why = "what clients that synchronise must forget; no key, equal rows are legal" },
    { .table = "pop3_message", .phase = ROWS_WINDOW, .bucket = BUCKET_RANGE, .bucket_column = "item_id",
      .keys = { "item_id" }, .why = "unique over all mailboxes: an older copy must be gone first" },
    { .table = "imap_folder", .phase = ROWS_AHEAD, .bucket = BUCKET_RANGE, .bucket_column = "item_id",
      .keys = { "item_id" }, .why = "what an external account's folders are here" },
    { .table = "imap_message", .phase = ROWS_AHEAD, .bucket = BUCKET_RANGE, .bucket_column = "item_id",
      .keys = { "item_id" }, .why = "what an external account's messages are here" },
    { .table = "data_source_item", .phase = ROWS_AHEAD, .bucket = BUCKET_RANGE, .bucket_column = "item_id",
      .keys = { "item_id" }, .why = "what a data source has brought" },
    { .table = "purged_conversations", .phase = ROWS_AHEAD, .bucket = BUCKET_HASH, .bucket_column = "hash",
      .keys = { "data_source_id", "hash" }, .why = "what a data source must not bring again" },
    { .table = "purged_messages", .phase = ROWS_AHEAD, .bucket = BUCKET_RANGE, .bucket_column = "item_id",
      .keys = { "data_source_id", "item_id" }, .why = "what a data source must not bring again" },
    { .table = "event", .phase = ROWS_AHEAD, .bucket = BUCKET_RANGE, .bucket_column = "item_id",
      .why = "what was done to items; no key, equal rows are legal" },
    { .table = "watch", .phase = ROWS_AHEAD, .bucket = BUCKET_HASH, .bucket_column = "target",
      .keys = { "target", "item_id" }, .sealed = true, .why = "watched items of others; no foreign key" },

    { .table = "mailbox_metadata", .store_wide = true, .phase = ROWS_AHEAD, .bucket = BUCKET_HASH,
      .bucket_column = "section", .keys = { "section" }, .sealed = true, .why = "settings of the mailbox" },
    { .table = "out_of_office", .store_wide = true, .phase = ROWS_AHEAD, .bucket = BUCKET_HASH,
      .bucket_column = "sent_to", .keys = { "sent_to" }, .why = "who has been told already" },
    { .table = "mobile_devices", .store_wide = true, .phase = ROWS_AHEAD, .bucket = BUCKET_HASH,
      .bucket_column = "device_id", .keys = { "device_id" }, .why = "devices and their policies" },
    { .table = "zmg_devices", .store_wide = true, .phase = ROWS_WINDOW, .bucket = BUCKET_HASH,
      .bucket_column = "app_id", .keys = { "app_id" },
      .why = "unique over all mailboxes: an older copy must be gone first" },

    { .table = "scheduled_task", .store_wide = true, .phase = ROWS_LATE,
      .why = "run at a restart of mailboxd: after the commit (5.6)" },
    { .table = "pending_acl_push", .store_wide = true, .phase = ROWS_LATE,
      .why = "taken away by the next periodic task: after the commit (5.6)" },
    { .table = "volume_blobs", .store_wide = true, .phase = ROWS_SKIP,
      .why = "work table of blob deduplication, of this store's volumes" },
    { .table = "deleted_account", .store_wide = true, .phase = ROWS_SKIP, .forever = true,
      .why = "says that a mailbox was deleted; for restoring backups" },
    { .table = NULL },
};
/* clang-format on */

const Policy *policy_find(bool store_wide, const char *table)
{
    for (const Policy *policy = row_policies; policy->table != NULL; policy++)
        if (policy->store_wide == store_wide && strcmp(policy->table, table) == 0)
            return policy;
    return NULL;
}
