/* backup.c - the entries of one account in a backup, <root>/accounts/<account id>/...
 * (doc/platform.md 8). The root is told once; below it the agent computes the path, and follows no
 * link. */
#include "core/agent/agent.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define DEPTH_MAX 8 /* directories below the account's; a backup's own are 2 deep */
#define ID_SIZE   37

bool agent_backup_root(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    char path[WIRE_TEXT];
    Tree *tree;

    wire_text(in, path, sizeof path);
    if (!wire_end(in, error))
        return false;
    if (agent->writer.active)
        return fail(error, ZX_ERROR_CONNECT, "a root is told while a file is written");
    tree = tree_open_plain(path, error);
    if (tree == NULL)
        return false;
    tree_close(agent->backup);
    agent->backup = tree;
    agent_ok(agent, frame);
    return true;
}

static bool have_root(const Agent *agent, GError **error)
{
    return agent->backup != NULL || fail(error, ZX_ERROR_NOT_FOUND, "no backup was described");
}

bool agent_backup_space(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    return wire_end(in, error) && have_root(agent, error) &&
           agent_answer_space(agent, frame, agent->backup->root, agent->backup->info.path, error);
}

bool agent_backup_sync(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    if (!wire_end(in, error) || !have_root(agent, error))
        return false;
    if (syncfs(agent->backup->root) != 0)
        return fail_errno(error, errno, agent->backup->info.path);
    agent_ok(agent, frame);
    return true;
}

/* Half-written files of ours are not anybody's entries. */
static bool name_ok(const char *name)
{
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        strlen(name) >= NAME_SIZE - 16 || g_str_has_suffix(name, AGENT_TEMPORARY))
        return false;
    for (const char *at = name; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == '/' || *at == 0x7f)
            return false;
    return true;
}

static bool take_account(WireIn *in, char account[ID_SIZE])
{
    wire_text(in, account, ID_SIZE);
    return strlen(account) == ID_SIZE - 1 &&
           strspn(account, "0123456789abcdefABCDEF-") == ID_SIZE - 1;
}

typedef struct Walk {
    Agent *agent;
    const WireFrame *frame;
    char path[WIRE_TEXT]; /* of what is looked at, below the account's directory */
} Walk;

static void answer_entry(Walk *walk, const struct stat *st, bool plain)
{
    WireOut *out = &walk->agent->out;

    wire_begin(out, AGENT_BACKUP_ENTRY, 0, walk->frame->stream);
    wire_put_text(out, walk->path);
    wire_put_u64(out, (uint64_t)st->st_size);
    wire_put_u64(out, mtime_ns(st));
    wire_put_u8(out, plain);
    wire_finish(out);
    if (wire_out_left(out) > WIRE_MAX)
        agent_send(walk->agent);
}

static bool list_below(Walk *walk, int at, unsigned depth, GError **error);

static bool list_entry(Walk *walk, int at, const char *name, unsigned depth, GError **error)
{
    size_t length = strlen(walk->path);
    bool ok = true, usable = name_ok(name);
    struct stat st;
    int below;

    agent_step();
    if (g_str_has_suffix(name, AGENT_TEMPORARY))
        return true;
    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? true : fail_errno(error, errno, name);
    if (length + strlen(name) + 2 > sizeof walk->path)
        return fail(error, ZX_ERROR_REFUSED, "%s: its path is too long", name);
    if (length > 0)
        g_strlcat(walk->path, "/", sizeof walk->path);
    g_strlcat(walk->path, name, sizeof walk->path);
    if (S_ISDIR(st.st_mode) && usable && depth < DEPTH_MAX) {
        below = tree_enter(at, name);
        ok = below >= 0 ? list_below(walk, below, depth + 1, error)
                        : errno == ENOENT || fail_errno(error, errno, walk->path);
    } else {
        answer_entry(walk, &st, usable && S_ISREG(st.st_mode));
    }
    walk->path[length] = '\0';
    return ok;
}

/* Takes @at over. */
static bool list_below(Walk *walk, int at, unsigned depth, GError **error)
{
    struct dirent *entry;
    bool ok = true;
    DIR *dir = fdopendir(at);

    if (dir == NULL) {
        close(at);
        return fail_errno(error, errno, "reading a directory");
    }
    while (ok && (errno = 0, entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            ok = list_entry(walk, at, entry->d_name, depth, error);
    if (ok && errno != 0)
        ok = fail_errno(error, errno, "reading a directory");
    closedir(dir);
    return ok;
}

bool agent_backup_list(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    Walk walk = { .agent = agent, .frame = frame };
    char account[ID_SIZE];
    const char *parts[] = { "accounts", account };
    bool good = take_account(in, account);
    int at;

    if (!wire_end(in, error))
        return false;
    if (!good)
        return fail(error, ZX_ERROR_CONNECT, "not the id of an account");
    if (!have_root(agent, error))
        return false;
    at = tree_descend(agent->backup, parts, G_N_ELEMENTS(parts), TREE_LOOK);
    if (at < 0 && errno != ENOENT)
        return fail_errno(error, errno, agent->backup->info.path);
    if (at >= 0 && !list_below(&walk, at, 0, error))
        return fail_prefix(error, "%s", agent->backup->info.path);
    agent_ok(agent, frame);
    return true;
}

/* Account and name, of a file to be written also mtime and length; the directory it is in is
 * opened, and @file has its own name. -1 with @error, of code CONNECT if this is no request. */
static int take_file(Agent *agent, WireIn *in, TreeMake make, PlainFile *file, GError **error)
{
    char account[ID_SIZE], path[WIRE_TEXT];
    bool good = take_account(in, account);
    g_auto(GStrv) names = NULL;
    const char *parts[DEPTH_MAX + 3] = { "accounts", account };
    unsigned count;
    int at;

    wire_text(in, path, sizeof path);
    if (make != TREE_LOOK)
        plain_file_get(in, file);
    if (!wire_end(in, error))
        return -1;
    names = g_strsplit(path, "/", -1);
    count = g_strv_length(names);
    for (unsigned i = 0; good && i < count; i++)
        good = name_ok(names[i]);
    if (!good || count == 0 || count > DEPTH_MAX + 1) {
        fail(error, ZX_ERROR_CONNECT, "not the name of a file of a backup");
        return -1;
    }
    if (!have_root(agent, error))
        return -1;
    for (unsigned i = 0; i + 1 < count; i++)
        parts[2 + i] = names[i];
    at = tree_descend(agent->backup, parts, 1 + count, make);
    if (at < 0)
        fail_errno(error, errno, path);
    g_strlcpy(file->name, names[count - 1], sizeof file->name);
    return at;
}

bool agent_backup_read(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    PlainFile file;
    int dir = take_file(agent, in, TREE_LOOK, &file, error);

    return dir >= 0 && agent_stream_file(agent, frame, dir, file.name, error);
}

bool agent_backup_write(Agent *agent, const WireFrame *frame, WireIn *in, GError **error)
{
    GError *problem = NULL;
    PlainFile file = { 0 };
    int dir;

    if (!agent_write_idle(agent, error))
        return false;
    dir = take_file(agent, in, TREE_MAKE, &file, &problem);
    return agent_write_plain(agent, frame, agent->backup, dir, &file, problem, error);
}
