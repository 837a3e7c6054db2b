/* oplog.c - the log of an operation: opened as the configuration wants it, and old ones thinned
 * out. */
#include "core/base/log.h"
#include "core/move/move.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "UUID", "UUID.log", "UUID.log.3", "UUID.out": ours to remove, and nothing else. */
static bool is_ours(const char *name)
{
    enum { UUID = 36 };
    g_autofree char *uuid = g_strndup(name, UUID);
    const char *rest = strlen(name) >= UUID ? name + UUID : "?";

    if (!g_uuid_string_is_valid(uuid))
        return false;
    if (g_str_has_prefix(rest, ".log."))
        return rest[5] != '\0' && strspn(rest + 5, "0123456789") == strlen(rest + 5);
    return *rest == '\0' || strcmp(rest, ".log") == 0 || strcmp(rest, ".out") == 0;
}

/* The logs of mailboxes in the directory of an operation. */
static void remove_directory(const char *path)
{
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    const char *name;

    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        unlink(file);
    }
    rmdir(path);
}

/* Written to for the last time more than @days ago. A failure leaves a file; the next operation
 * tries again. */
static void thin_out(const char *path, unsigned days)
{
    const int64_t oldest = g_get_real_time() / G_USEC_PER_SEC - (int64_t)days * 86400;
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    const char *name;

    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        struct stat st;

        if (!is_ours(name) || lstat(file, &st) != 0 || st.st_mtime >= oldest)
            continue;
        if (S_ISDIR(st.st_mode))
            remove_directory(file);
        else
            unlink(file);
    }
}

bool operation_log_open(Operation *op, GError **error)
{
    const Conf *conf = op->conf;
    g_autofree char *directory = g_build_filename(conf->state_dir, "log", NULL);
    LogPlan plan = { .target = log_target_named(conf->log.target),
                     .level = log_level_named(conf->log.level),
                     .max_size = conf->log.max_size,
                     .keep = conf->log.keep };

    if (g_mkdir_with_parents(directory, 0700) != 0)
        return fail(
            error, ZX_ERROR_STATE,
            "%s: cannot be made: %s\nlogs and reports are kept below state_dir: set it to a "
            "directory that can be written",
            directory, g_strerror(errno));
    if (conf->log.keep_days != 0)
        thin_out(directory, conf->log.keep_days);
    if (plan.target == LOG_TO_FILE)
        op->report->log_path = g_strdup_printf("%s/%s.log", directory, op->uuid);
    if (conf->separate_logs)
        op->report->mailbox_logs = g_build_filename(directory, op->uuid, NULL);
    plan.path = op->report->log_path;
    plan.separate = op->report->mailbox_logs;
    log_context(op->uuid, NULL);
    return log_open(&plan, error);
}

void operation_log_close(Operation *op)
{
    log_context(NULL, NULL);
    log_close();
    /* It is made with the first line of a mailbox. */
    if (op->report != NULL && op->report->mailbox_logs != NULL &&
        access(op->report->mailbox_logs, F_OK) != 0)
        g_clear_pointer(&op->report->mailbox_logs, g_free);
}
