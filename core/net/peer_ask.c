/* peer_ask.c - see peer.h: the questions, one answered before the next is asked. */
#include "core/agent/protocol.h"
#include "core/base/secret.h"
#include "core/net/peer.h"
#include <string.h>

/* Ends the request begun with peer_begin and waits for an answer of @type. */
static bool ask(Peer *peer, uint8_t type, WireFrame *frame, GError **error)
{
    wire_finish(peer_out(peer));
    if (!peer_answer(peer, frame, error))
        return false;
    return frame->type == type || peer_break(peer, error, "an answer of the wrong kind");
}

static bool ask_ok(Peer *peer, GError **error)
{
    WireFrame frame;

    return ask(peer, AGENT_OK, &frame, error);
}

static bool ask_seen(Peer *peer, bool *out, GError **error)
{
    WireFrame frame;
    WireIn in;
    bool seen;

    if (!ask(peer, AGENT_SEEN, &frame, error))
        return false;
    in = wire_in(&frame);
    seen = wire_u8(&in) != 0;
    if (!peer_understood(peer, &in, error))
        return false;
    *out = seen;
    return true;
}

static void wipe_free(gpointer text)
{
    secret_wipe(text);
    g_free(text);
}

GHashTable *peer_facts(Peer *peer, const char *zimbra_home, bool mariadb_password, GError **error)
{
    g_autoptr(GHashTable) facts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, wipe_free);
    WireFrame frame;
    bool ok;

    peer_begin(peer, AGENT_FACTS, 0);
    wire_put_text(peer_out(peer), zimbra_home);
    wire_put_u8(peer_out(peer), mariadb_password);
    wire_finish(peer_out(peer));
    while ((ok = peer_answer(peer, &frame, error)) && frame.type == AGENT_FACT) {
        char name[NAME_SIZE], value[WIRE_TEXT];
        WireIn in = wire_in(&frame);

        wire_text(&in, name, sizeof name);
        wire_text(&in, value, sizeof value);
        ok = peer_understood(peer, &in, error);
        if (ok)
            g_hash_table_replace(facts, g_strdup(name), g_strdup(value));
        explicit_bzero(value, sizeof value);
        if (!ok)
            break;
    }
    if (mariadb_password)
        peer_wipe(peer);
    if (ok && frame.type != AGENT_OK)
        ok = peer_break(peer, error, "an answer of the wrong kind");
    return ok ? g_steal_pointer(&facts) : NULL;
}

bool peer_volume(Peer *peer, const Volume *volume, GError **error)
{
    AgentVolumeInfo info = { .id = (uint8_t)volume->id,
                             .blobs = volume->type != VOLUME_INDEX,
                             .file_bits = (uint8_t)volume->file_bits,
                             .file_group_bits = (uint8_t)volume->file_group_bits,
                             .mailbox_bits = (uint8_t)volume->mailbox_bits,
                             .mailbox_group_bits = (uint8_t)volume->mailbox_group_bits,
                             .compression_threshold = volume->compression_threshold };

    if (volume->id > UINT8_MAX || g_strlcpy(info.path, volume->path, WIRE_TEXT) >= WIRE_TEXT)
        return fail(error, ZX_ERROR_REFUSED, "volume %u of %s: its id or path is out of range",
                    volume->id, peer_store(peer));
    peer_begin(peer, AGENT_VOLUME, 0);
    agent_volume_put(peer_out(peer), &info);
    return ask_ok(peer, error);
}

bool peer_load(Peer *peer, double *load, GError **error)
{
    uint32_t hundredths;
    WireFrame frame;
    WireIn in;

    peer_begin(peer, AGENT_LOAD, 0);
    if (!ask(peer, AGENT_LOAD_IS, &frame, error))
        return false;
    in = wire_in(&frame);
    hundredths = wire_u32(&in);
    if (!peer_understood(peer, &in, error))
        return false;
    *load = hundredths / 100.0;
    return true;
}

static bool ask_space(Peer *peer, PeerSpace *out, GError **error)
{
    PeerSpace space;
    WireFrame frame;
    WireIn in;

    if (!ask(peer, AGENT_SPACE_IS, &frame, error))
        return false;
    in = wire_in(&frame);
    space.free_bytes = wire_u64(&in);
    space.total_bytes = wire_u64(&in);
    space.device = wire_u64(&in);
    if (!peer_understood(peer, &in, error))
        return false;
    *out = space;
    return true;
}

bool peer_space(Peer *peer, unsigned volume, PeerSpace *out, GError **error)
{
    peer_begin(peer, AGENT_SPACE, 0);
    wire_put_u8(peer_out(peer), (uint8_t)volume);
    return ask_space(peer, out, error);
}

bool peer_space_path(Peer *peer, const char *directory, PeerSpace *out, GError **error)
{
    peer_begin(peer, AGENT_SPACE_PATH, 0);
    wire_put_text(peer_out(peer), directory);
    return ask_space(peer, out, error);
}

static void begin_mailbox(Peer *peer, uint8_t type, unsigned volume, uint32_t mailbox_id)
{
    peer_begin(peer, type, 0);
    wire_put_u8(peer_out(peer), (uint8_t)volume);
    wire_put_u32(peer_out(peer), mailbox_id);
}

static bool ask_usage(Peer *peer, uint64_t *files, uint64_t *bytes, GError **error)
{
    uint64_t file_count, byte_count;
    WireFrame frame;
    WireIn in;

    if (!ask(peer, AGENT_USAGE_IS, &frame, error))
        return false;
    in = wire_in(&frame);
    file_count = wire_u64(&in);
    byte_count = wire_u64(&in);
    if (!peer_understood(peer, &in, error))
        return false;
    if (files != NULL)
        *files = file_count;
    if (bytes != NULL)
        *bytes = byte_count;
    return true;
}

bool peer_mailbox_usage(Peer *peer, unsigned volume, uint32_t mailbox_id, uint64_t *files,
                        uint64_t *bytes, GError **error)
{
    begin_mailbox(peer, AGENT_USAGE, volume, mailbox_id);
    return ask_usage(peer, files, bytes, error);
}

bool peer_blob_check(Peer *peer, const BlobRef *ref, char **damage, GError **error)
{
    GError *problem = NULL;
    char digest[DIGEST_SIZE];
    uint64_t raw_size;
    WireFrame frame;
    WireIn in;

    *damage = NULL;
    peer_begin(peer, AGENT_BLOB_HASH, 0);
    blob_ref_put(peer_out(peer), ref);
    if (!ask(peer, AGENT_HASH, &frame, &problem)) {
        if (peer_broken(peer)) {
            g_propagate_error(error, problem);
            return false;
        }
        *damage = g_strdup(problem->message);
        g_error_free(problem);
        return true;
    }
    in = wire_in(&frame);
    wire_u64(&in); /* of the file, which may be compressed */
    raw_size = wire_u64(&in);
    wire_text(&in, digest, sizeof digest);
    if (!peer_understood(peer, &in, error))
        return false;
    if (raw_size != ref->size)
        *damage = g_strdup_printf("%" G_GUINT64_FORMAT " bytes, its row says %" G_GUINT64_FORMAT,
                                  raw_size, ref->size);
    else if (strcmp(digest, ref->digest) != 0)
        *damage = g_strdup("its content is not what its row says");
    return true;
}

bool peer_mailbox_remove(Peer *peer, unsigned volume, uint32_t mailbox_id, uint32_t most,
                         uint64_t *files, uint64_t *bytes, GError **error)
{
    begin_mailbox(peer, AGENT_REMOVE, volume, mailbox_id);
    wire_put_u32(peer_out(peer), most);
    return ask_usage(peer, files, bytes, error);
}

static void begin_calcache(Peer *peer, uint8_t type, const char *directory, uint32_t mailbox_id)
{
    peer_begin(peer, type, 0);
    wire_put_text(peer_out(peer), directory);
    wire_put_u32(peer_out(peer), mailbox_id);
}

bool peer_calcache_exists(Peer *peer, const char *directory, uint32_t mailbox_id, bool *out,
                          GError **error)
{
    begin_calcache(peer, AGENT_CALCACHE_SEEN, directory, mailbox_id);
    return ask_seen(peer, out, error);
}

bool peer_calcache_remove(Peer *peer, const char *directory, uint32_t mailbox_id, GError **error)
{
    begin_calcache(peer, AGENT_CALCACHE_REMOVE, directory, mailbox_id);
    return ask_ok(peer, error);
}

bool peer_syncfs(Peer *peer, unsigned volume, GError **error)
{
    peer_begin(peer, AGENT_SYNCFS, 0);
    wire_put_u8(peer_out(peer), (uint8_t)volume);
    return ask_ok(peer, error);
}

static void begin_probe(Peer *peer, uint8_t type, unsigned volume, const char *token)
{
    peer_begin(peer, type, 0);
    wire_put_u8(peer_out(peer), (uint8_t)volume);
    wire_put_text(peer_out(peer), token);
}

bool peer_probe_put(Peer *peer, unsigned volume, const char *token, GError **error)
{
    begin_probe(peer, AGENT_PROBE_PUT, volume, token);
    return ask_ok(peer, error);
}

bool peer_probe_seen(Peer *peer, unsigned volume, const char *token, bool *out, GError **error)
{
    begin_probe(peer, AGENT_PROBE_SEEN, volume, token);
    return ask_seen(peer, out, error);
}

bool peer_probe_drop(Peer *peer, unsigned volume, const char *token, GError **error)
{
    begin_probe(peer, AGENT_PROBE_DROP, volume, token);
    return ask_ok(peer, error);
}

void index_file_free(IndexFile *file)
{
    g_free(file->name);
    g_free(file);
}

GPtrArray *peer_index_list(Peer *peer, unsigned volume, uint32_t mailbox_id, GError **error)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func((GDestroyNotify)index_file_free);
    WireFrame frame;
    bool ok;

    begin_mailbox(peer, AGENT_INDEX_LIST, volume, mailbox_id);
    wire_finish(peer_out(peer));
    while ((ok = peer_answer(peer, &frame, error)) && frame.type == AGENT_INDEX_ENTRY) {
        IndexFile *file = g_new0(IndexFile, 1);
        WireIn in = wire_in(&frame);
        char name[NAME_SIZE];

        wire_text(&in, name, sizeof name);
        file->name = g_strdup(name);
        file->size = wire_u64(&in);
        file->mtime_ns = (int64_t)wire_u64(&in);
        g_ptr_array_add(files, file);
        if (!peer_understood(peer, &in, error))
            return NULL;
    }
    if (ok && frame.type != AGENT_OK)
        ok = peer_break(peer, error, "an answer of the wrong kind");
    return ok ? g_steal_pointer(&files) : NULL;
}

bool peer_index_remove(Peer *peer, unsigned volume, uint32_t mailbox_id, GError **error)
{
    begin_mailbox(peer, AGENT_INDEX_REMOVE, volume, mailbox_id);
    return ask_ok(peer, error);
}

static bool take_blob_entry(Peer *peer, const WireFrame *frame, BlobEntry *entry,
                            char path[NAME_SIZE], GError **error)
{
    WireIn in = wire_in(frame);

    entry->in_place = wire_u8(&in) != 0;
    entry->item = wire_u32(&in);
    entry->mod_content = wire_u32(&in);
    entry->length = wire_u64(&in);
    entry->mtime = (int64_t)wire_u64(&in);
    wire_text(&in, path, NAME_SIZE);
    entry->path = path;
    return peer_understood(peer, &in, error);
}

bool peer_blob_list(Peer *peer, unsigned volume, uint32_t mailbox_id, BlobFound *found, void *data,
                    GError **error)
{
    char path[NAME_SIZE];
    WireFrame frame;
    BlobEntry entry;
    bool ok;

    begin_mailbox(peer, AGENT_BLOB_LIST, volume, mailbox_id);
    wire_finish(peer_out(peer));
    while ((ok = peer_answer(peer, &frame, error)) && frame.type == AGENT_BLOB_ENTRY) {
        if (!take_blob_entry(peer, &frame, &entry, path, error))
            return false;
        if (!found(data, &entry, error)) {
            peer_break(peer, NULL, "given up in the middle of a list");
            return false;
        }
        peer_touch(peer); /* it waited for us */
    }
    return ok && (frame.type == AGENT_OK || peer_break(peer, error, "an answer of the wrong kind"));
}

GArray *peer_mailboxes(Peer *peer, unsigned volume, GError **error)
{
    g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    WireFrame frame;
    bool ok;

    peer_begin(peer, AGENT_MAILBOXES, 0);
    wire_put_u8(peer_out(peer), (uint8_t)volume);
    wire_finish(peer_out(peer));
    while ((ok = peer_answer(peer, &frame, error)) && frame.type == AGENT_MAILBOX_ENTRY) {
        WireIn in = wire_in(&frame);
        const uint32_t id = wire_u32(&in);

        g_array_append_val(ids, id);
        if (!peer_understood(peer, &in, error))
            return NULL;
    }
    if (ok && frame.type != AGENT_OK)
        ok = peer_break(peer, error, "an answer of the wrong kind");
    return ok ? g_steal_pointer(&ids) : NULL;
}

bool peer_backup_root(Peer *peer, const char *path, GError **error)
{
    peer_begin(peer, AGENT_BACKUP_ROOT, 0);
    wire_put_text(peer_out(peer), path);
    return ask_ok(peer, error);
}

bool peer_backup_space(Peer *peer, PeerSpace *out, GError **error)
{
    peer_begin(peer, AGENT_BACKUP_SPACE, 0);
    return ask_space(peer, out, error);
}

static void backup_file_free(BackupFile *file)
{
    g_free(file->name);
    g_free(file);
}

GHashTable *peer_backup_list(Peer *peer, const char *account_id, GError **error)
{
    g_autoptr(GHashTable) files =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)backup_file_free);
    WireFrame frame;
    bool ok;

    peer_begin(peer, AGENT_BACKUP_LIST, 0);
    wire_put_text(peer_out(peer), account_id);
    wire_finish(peer_out(peer));
    while ((ok = peer_answer(peer, &frame, error)) && frame.type == AGENT_BACKUP_ENTRY) {
        BackupFile *file = g_new0(BackupFile, 1);
        WireIn in = wire_in(&frame);
        char name[WIRE_TEXT];

        wire_text(&in, name, sizeof name);
        file->name = g_strdup(name);
        file->size = wire_u64(&in);
        file->mtime_ns = (int64_t)wire_u64(&in);
        file->plain = wire_u8(&in) != 0;
        g_hash_table_replace(files, file->name, file);
        if (!peer_understood(peer, &in, error))
            return NULL;
    }
    if (ok && frame.type != AGENT_OK)
        ok = peer_break(peer, error, "an answer of the wrong kind");
    return ok ? g_steal_pointer(&files) : NULL;
}
