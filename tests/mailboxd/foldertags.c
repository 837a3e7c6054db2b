/* foldertags.c - folders and tags of a mailbox in memcached: written at every change, and believed
 * at open instead of the database, without any check of their age (doc/platform.md 5.7). */
#include "tests/mailboxd/ben.h"
#include "tests/mailboxd/mailbox.h"

void folder_free(gpointer data)
{
    Folder *folder = data;

    g_free(folder->name);
    g_clear_pointer(&folder->metadata, g_bytes_unref);
    g_free(folder);
}

void tag_free(gpointer data)
{
    Tag *tag = data;

    g_free(tag->name);
    g_free(tag);
}

char *folders_tags_key(const Mailbox *mailbox)
{
    return g_strconcat("zmFldrsTags:", mailbox->account_id, NULL);
}

static void encode_folder(Ben *list, const Folder *folder)
{
    Ben *ben = ben_dict();

    ben_set_int(ben, "id", folder->id);
    ben_set_int(ben, "l", folder->parent);
    ben_set_int(ben, "tp", folder->type);
    ben_set_int(ben, "sz", folder->count);
    ben_set_int(ben, "un", folder->unread);
    ben_set_int(ben, "mm", folder->mod_metadata);
    ben_set_int(ben, "cd", folder->change_date);
    ben_set_int(ben, "mc", folder->mod_content);
    if (folder->name != NULL)
        ben_set_text(ben, "n", folder->name);
    if (folder->metadata != NULL)
        ben_set_bytes(ben, "meta", folder->metadata);
    ben_append(list, ben);
}

static void encode_tag(Ben *list, const Tag *tag)
{
    Ben *ben = ben_dict();

    ben_set_int(ben, "id", tag->id);
    ben_set_int(ben, "sz", tag->count);
    ben_set_int(ben, "un", tag->unread);
    ben_set_int(ben, "seq", tag->sequence);
    ben_set_text(ben, "n", tag->name);
    ben_append(list, ben);
}

GBytes *folders_tags_encode(const Mailbox *mailbox)
{
    g_autoptr(Ben) root = ben_dict();
    Ben *folders = ben_list(), *tags = ben_list();
    GHashTableIter walk;
    gpointer value;

    g_hash_table_iter_init(&walk, mailbox->folders);
    while (g_hash_table_iter_next(&walk, NULL, &value))
        encode_folder(folders, value);
    g_hash_table_iter_init(&walk, mailbox->tags);
    while (g_hash_table_iter_next(&walk, NULL, &value))
        encode_tag(tags, value);
    ben_set(root, "folders", folders);
    ben_set(root, "tags", tags);
    return ben_bytes(root);
}

static Folder *decode_folder(const Ben *ben)
{
    Folder *folder = g_new0(Folder, 1);

    folder->id = (unsigned)ben_int(ben, "id");
    folder->parent = (unsigned)ben_int(ben, "l");
    folder->type = (unsigned)ben_int(ben, "tp");
    folder->count = ben_int(ben, "sz");
    folder->unread = ben_int(ben, "un");
    folder->mod_metadata = (unsigned)ben_int(ben, "mm");
    folder->change_date = (unsigned)ben_int(ben, "cd");
    folder->mod_content = (unsigned)ben_int(ben, "mc");
    folder->name = ben_text(ben, "n");
    folder->metadata = ben_get_bytes(ben, "meta");
    return folder;
}

static Tag *decode_tag(const Ben *ben)
{
    Tag *tag = g_new0(Tag, 1);

    tag->id = (int)ben_int(ben, "id");
    tag->count = ben_int(ben, "sz");
    tag->unread = ben_int(ben, "un");
    tag->sequence = (unsigned)ben_int(ben, "seq");
    tag->name = ben_text(ben, "n");
    return tag;
}

bool folders_tags_decode(Mailbox *mailbox, GBytes *bytes)
{
    g_autoptr(Ben) root = ben_parse_dict(bytes);
    const GPtrArray *folders = root == NULL ? NULL : ben_items(root, "folders");
    const GPtrArray *tags = root == NULL ? NULL : ben_items(root, "tags");

    if (folders == NULL || tags == NULL)
        return false;
    mailbox->folders = g_hash_table_new_full(NULL, NULL, NULL, folder_free);
    mailbox->tags = g_hash_table_new_full(NULL, NULL, NULL, tag_free);
    for (guint i = 0; i < folders->len; i++) {
        Folder *folder = decode_folder(folders->pdata[i]);
        g_hash_table_replace(mailbox->folders, GUINT_TO_POINTER(folder->id), folder);
    }
    for (guint i = 0; i < tags->len; i++) {
        Tag *tag = decode_tag(tags->pdata[i]);
        g_hash_table_replace(mailbox->tags, GINT_TO_POINTER(tag->id), tag);
    }
    return true;
}
