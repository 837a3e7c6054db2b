/* backup.c - stage backup: what an account has in the backup of its store,
 * <backup_path>/accounts/ID, brought to the destination's, whatever is new or changed by name, size
 * and mtime (doc/platform.md 8). Nothing of it is ever removed there. The backup's own program may
 * be at work meanwhile. */
#include "core/base/log.h"
#include "core/move/move.h"
#include "core/move/stream.h"

/* What changed while it was read is taken again. */
#define PASSES 3

typedef struct BackupCopy {
    StreamFile file; /* first: the stream knows it by this */
    const BackupFile *what;
} BackupCopy;

typedef struct Pass {
    Move *move;
    GPtrArray *copies; /* of BackupCopy */
    unsigned next;
    uint64_t bytes;
    unsigned newer, odd; /* left alone there; not copied */
    char *unread;        /* what was in the way of one that could not be read */
} Pass;

static void copy_free(gpointer data)
{
    BackupCopy *copy = data;

    stream_file_clear(&copy->file);
    g_free(copy);
}

static StreamFile *next_file(void *data, GError **error)
{
    Pass *pass = data;

    (void)error;
    return pass->next < pass->copies->len ? g_ptr_array_index(pass->copies, pass->next++) : NULL;
}

static void begin_named(const Pass *pass, Peer *peer, uint8_t type, const StreamFile *file)
{
    peer_begin(peer, type, AGENT_DIGEST | AGENT_OVERWRITE);
    wire_put_text(peer_out(peer), pass->move->account->id);
    wire_put_text(peer_out(peer), ((const BackupCopy *)file)->what->name);
}

static void read_file(void *data, const StreamFile *file, Peer *source)
{
    begin_named(data, source, AGENT_BACKUP_READ, file);
}

static bool allow_file(void *data, const StreamFile *file)
{
    const Pass *pass = data;

    return throttle_take(&pass->move->op->common->throttle, file->expected);
}

static void write_file(void *data, const StreamFile *file, Peer *target)
{
    begin_named(data, target, AGENT_BACKUP_WRITE, file);
    wire_put_u64(peer_out(target), (uint64_t)((const BackupCopy *)file)->what->mtime_ns);
    wire_put_u64(peer_out(target), file->length);
}

static void sync_files(void *data, Peer *target)
{
    (void)data;
    peer_begin(target, AGENT_BACKUP_SYNC, 0);
}

static bool settle_files(void *data, GPtrArray *files, GError **error)
{
    Pass *pass = data;
    MailboxResult *result = pass->move->result;

    for (unsigned i = 0; i < files->len; i++) {
        const BackupCopy *copy = g_ptr_array_index(files, i);

        if (copy->file.result == STREAM_FAILED && !copy->file.unreadable)
            return fail(error, ZX_ERROR_FAILED, "%s: %s", copy->what->name, copy->file.trouble);
        if (copy->file.result == STREAM_FAILED && pass->unread == NULL)
            pass->unread = g_strdup_printf("%s: %s", copy->what->name, copy->file.trouble);
        if (copy->file.result == STREAM_COPIED) {
            result->backup_files++;
            result->backup_bytes += copy->file.length;
        }
    }
    return true;
}

/* What was written there later is not ours to overwrite: the account has lived there before. */
static bool wanted(Pass *pass, const BackupFile *file, const BackupFile *there)
{
    if (!file->plain) {
        pass->odd++;
        return false;
    }
    if (there == NULL || (there->size == file->size && there->mtime_ns == file->mtime_ns))
        return there == NULL;
    pass->newer += there->mtime_ns > file->mtime_ns;
    return there->mtime_ns <= file->mtime_ns;
}

static void plan(Pass *pass, GHashTable *source, GHashTable *target)
{
    GHashTableIter files;
    gpointer file;

    pass->next = pass->newer = pass->odd = 0;
    pass->bytes = 0;
    g_clear_pointer(&pass->unread, g_free);
    g_ptr_array_set_size(pass->copies, 0);
    g_hash_table_iter_init(&files, source);
    while (g_hash_table_iter_next(&files, NULL, &file)) {
        const BackupFile *what = file;
        BackupCopy *copy;

        if (!wanted(pass, what, g_hash_table_lookup(target, what->name)))
            continue;
        copy = g_new0(BackupCopy, 1);
        copy->what = what;
        copy->file.expected = what->size;
        pass->bytes += what->size;
        g_ptr_array_add(pass->copies, copy);
    }
}

static bool has_room(const Pass *pass, GError **error)
{
    const Move *move = pass->move;
    g_autofree char *needed = NULL, *available = NULL;
    PeerSpace space;

    if (!peer_backup_space(move->target->peer, &space, error))
        return false;
    if (pass->bytes + space.total_bytes / 100 * move->op->conf->min_free_percent <=
        space.free_bytes)
        return true;
    needed = g_format_size_full(pass->bytes, G_FORMAT_SIZE_IEC_UNITS);
    available = g_format_size_full(space.free_bytes, G_FORMAT_SIZE_IEC_UNITS);
    return fail(error, ZX_ERROR_NO_SPACE,
                "%s, its backup: %s still to come, %s free, and %u%% must remain (min_free)",
                move->target->name, needed, available, move->op->conf->min_free_percent);
}

/* *done: both sides were seen to have the same. */
static bool one_pass(Pass *pass, bool *done, GError **error)
{
    static const StreamCalls calls = { .next = next_file,
                                       .read = read_file,
                                       .write = write_file,
                                       .sync = sync_files,
                                       .settled = settle_files,
                                       .allow = allow_file };
    Move *move = pass->move;
    g_autoptr(GHashTable) source = peer_backup_list(move->source->peer, move->account->id, error);
    g_autoptr(GHashTable) target =
        source != NULL ? peer_backup_list(move->target->peer, move->account->id, error) : NULL;

    if (target == NULL)
        return false;
    plan(pass, source, target);
    *done = pass->copies->len == 0;
    return *done || (has_room(pass, error) && stream_run(move->source->peer, move->target->peer,
                                                         &calls, pass, &move->wait, error));
}

static bool copy_entries(Pass *pass, GError **error)
{
    Move *move = pass->move;
    bool done = false;

    for (unsigned i = 0; i < PASSES && !done; i++)
        if (!claim_check(&move->claim, error) || !one_pass(pass, &done, error))
            return false;
    if (pass->unread != NULL)
        return fail(error, ZX_ERROR_DATA, "%s", pass->unread);
    if (pass->odd > 0)
        move_note(move, "backup: %u names on %s are no plain files and were left out", pass->odd,
                  move->source->name);
    if (pass->newer > 0)
        move_note(move, "backup: %u files on %s are newer than those of %s and were left alone",
                  pass->newer, move->target->name, move->source->name);
    return true;
}

void backup_not_asked_for(Move *move)
{
    if (move->source->where->backup_path != NULL)
        operation_note(move->op,
                       "backup: %s has a backup store, and stage backup was not asked for",
                       move->source->name);
}

bool backup_apply(Move *move, GError **error)
{
    const char *here = move->source->where->backup_path, *there = move->target->where->backup_path;
    Pass pass = { .move = move };
    bool ok;

    if (here == NULL) {
        operation_note(move->op, "backup: no backup store on %s, nothing to copy",
                       move->source->name);
        return true;
    }
    if (there == NULL)
        return fail(error, ZX_ERROR_REFUSED,
                    "%s has a backup store and %s has none: set backup_path of %s, or leave stage"
                    " backup out",
                    move->source->name, move->target->name, move->target->name);
    if (!peer_backup_root(move->source->peer, here, error) ||
        !peer_backup_root(move->target->peer, there, error))
        return false;
    pass.copies = g_ptr_array_new_with_free_func(copy_free);
    ok = copy_entries(&pass, error);
    g_ptr_array_unref(pass.copies);
    g_free(pass.unread);
    if (ok) {
        log_info("backup: %" G_GUINT64_FORMAT " files came", move->result->backup_files);
        operation_note(
            move->op,
            "backup: the content that accounts share (items) stayed on %s: let the backup"
            " of %s scan these accounts",
            move->source->name, move->target->name);
    }
    return ok;
}
