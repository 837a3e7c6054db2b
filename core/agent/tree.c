/* tree.c - see tree.h. */
#include "core/agent/tree.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OPEN_DIR  (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define MAX_DEPTH 32 /* of a mailbox directory; mailboxd's own are 4 deep */
#define SAMPLE    64 /* directory entries looked at to find a neighbour */
#define DIR_MODE  0750
#define FILE_MODE 0640

bool fail_errno(GError **error, int number, const char *what)
{
    switch (number) {
    case ENOENT:
        return fail(error, ZX_ERROR_NOT_FOUND, "%s: %s", what, g_strerror(number));
    case ENOSPC:
    case EDQUOT:
        return fail(error, ZX_ERROR_NO_SPACE, "%s: %s", what, g_strerror(number));
    case EACCES:
    case EPERM:
    case EROFS:
        return fail(error, ZX_ERROR_DENIED, "%s: %s", what, g_strerror(number));
    case ELOOP:
    case ENOTDIR:
        return fail(error, ZX_ERROR_REFUSED,
                    "%s: no plain file or directory; links below a volume are not followed", what);
    default:
        return fail(error, ZX_ERROR_FAILED, "%s: %s", what, g_strerror(number));
    }
}

static bool path_ok(const char *path)
{
    return path[0] == '/' && strstr(path, "/../") == NULL && !g_str_has_suffix(path, "/..");
}

static bool bits_ok(const AgentVolumeInfo *info)
{
    return info->file_bits < 32 && info->file_group_bits < 32 && info->mailbox_bits < 32 &&
           info->mailbox_group_bits < 32;
}

static Tree *open_root(const AgentVolumeInfo *info, GError **error)
{
    struct stat st;
    Tree *tree;
    int root = open(info->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (root < 0 || fstat(root, &st) != 0) {
        fail_errno(error, errno, info->path);
        if (root >= 0)
            close(root);
        return NULL;
    }
    tree = g_new0(Tree, 1);
    tree->info = *info;
    tree->root = root;
    tree->device = st.st_dev;
    tree->uid = st.st_uid;
    tree->gid = st.st_gid;
    tree->dir_mode = DIR_MODE;
    tree->file_mode = FILE_MODE;
    return tree;
}

Tree *tree_open_plain(const char *path, GError **error)
{
    AgentVolumeInfo info = { 0 };
    struct stat st;
    Tree *tree;

    if (!path_ok(path) || g_strlcpy(info.path, path, sizeof info.path) >= sizeof info.path) {
        fail(error, ZX_ERROR_REFUSED, "'%s': not the path of a directory", path);
        return NULL;
    }
    tree = open_root(&info, error);
    if (tree == NULL || fstat(tree->root, &st) != 0)
        return tree;
    tree->dir_mode = st.st_mode & 0777;
    tree->file_mode = st.st_mode & 0666;
    tree->learned = true;
    return tree;
}

Tree *tree_open(const AgentVolumeInfo *info, GError **error)
{
    if (info->id == 0 || !path_ok(info->path) || !bits_ok(info)) {
        fail(error, ZX_ERROR_REFUSED, "volume %u at %s: not a volume's description", info->id,
             info->path);
        return NULL;
    }
    return open_root(info, error);
}

void tree_close(Tree *tree)
{
    if (tree == NULL)
        return;
    close(tree->root);
    g_free(tree);
}

int tree_enter(int at, const char *name)
{
    return openat(at, name, OPEN_DIR);
}

static bool all_digits(const char *name)
{
    return name[0] != '\0' && name[strspn(name, "0123456789")] == '\0';
}

/* Looks into the first numbered directories for what mailboxd itself made:
 * dir1/mailbox/msg/dir2/file. */
static bool learn_from(Tree *tree, int at, unsigned depth)
{
    struct dirent *entry;
    struct stat st;
    bool found = false;
    DIR *dir;
    int copy = fcntl(at, F_DUPFD_CLOEXEC, 0);

    dir = copy < 0 ? NULL : fdopendir(copy);
    if (dir == NULL) {
        if (copy >= 0)
            close(copy);
        return false;
    }
    rewinddir(dir);
    for (unsigned i = 0; i < SAMPLE && !found && (entry = readdir(dir)) != NULL; i++) {
        const char *name = entry->d_name;
        size_t length = strlen(name);
        int below;

        if (depth == 4) {
            if (length > 4 && strcmp(name + length - 4, ".msg") == 0 &&
                fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) {
                tree->file_mode = st.st_mode & 0777;
                found = fstat(at, &st) == 0;
                if (found)
                    tree->dir_mode = st.st_mode & 07777;
            }
            continue;
        }
        if (depth == 2 ? strcmp(name, "msg") != 0 : !all_digits(name))
            continue;
        below = tree_enter(at, name);
        if (below < 0)
            continue;
        found = learn_from(tree, below, depth + 1);
        close(below);
    }
    closedir(dir);
    return found;
}

static void learn(Tree *tree)
{
    if (tree->learned)
        return;
    tree->learned = true;
    learn_from(tree, tree->root, 0);
}

static bool adopt(const Tree *tree, int fd, mode_t mode)
{
    struct stat st;

    if (fstat(fd, &st) != 0 || fchmod(fd, mode) != 0)
        return false;
    if (st.st_uid == tree->uid && st.st_gid == tree->gid)
        return true;
    /* The group alone may be out of our reach; a file of another owner mailboxd cannot use. */
    return fchown(fd, tree->uid, tree->gid) == 0 || st.st_uid == tree->uid;
}

bool tree_adopt(Tree *tree, int fd, GError **error)
{
    learn(tree);
    if (adopt(tree, fd, tree->file_mode))
        return true;
    return fail(error, ZX_ERROR_DENIED,
                "%s: its files belong to user %u, the agent runs as user %u and may not give them "
                "away: log in as the store's user",
                tree->info.path, (unsigned)tree->uid, (unsigned)geteuid());
}

static int make_dir(Tree *tree, int at, const char *name, TreeMake make)
{
    int fd;

    learn(tree);
    if (mkdirat(at, name, 0700) != 0)
        return errno == EEXIST ? tree_enter(at, name) : -1;
    fd = tree_enter(at, name);
    if (fd >= 0 &&
        (!adopt(tree, fd, tree->dir_mode) || (make == TREE_MAKE_DURABLE && fsync(at) != 0))) {
        int why = errno;

        close(fd);
        unlinkat(at, name, AT_REMOVEDIR);
        errno = why;
        return -1;
    }
    return fd;
}

int tree_descend(Tree *tree, const char *const *parts, unsigned count, TreeMake make)
{
    int at = tree->root;

    for (unsigned i = 0; i < count; i++) {
        int below = tree_enter(at, parts[i]);
        int why;

        if (below < 0 && errno == ENOENT && make != TREE_LOOK)
            below = make_dir(tree, at, parts[i], make);
        why = errno;
        if (at != tree->root)
            close(at);
        errno = why;
        if (below < 0)
            return -1;
        at = below;
    }
    return at;
}

static uint32_t group_of(uint32_t number, unsigned bits, unsigned group_bits)
{
    return (number >> bits) & (((uint32_t)1 << group_bits) - 1);
}

uint32_t tree_blob_group(const Tree *tree, uint32_t item)
{
    return group_of(item, tree->info.file_bits, tree->info.file_group_bits);
}

uint32_t tree_mailbox_group(const Tree *tree, uint32_t mailbox)
{
    return group_of(mailbox, tree->info.mailbox_bits, tree->info.mailbox_group_bits);
}

#define NUMBER_SIZE 12

static void mailbox_parts(const Tree *tree, uint32_t mailbox, char dir1[NUMBER_SIZE],
                          char dir2[NUMBER_SIZE])
{
    snprintf(dir1, NUMBER_SIZE, "%u", tree_mailbox_group(tree, mailbox));
    snprintf(dir2, NUMBER_SIZE, "%u", mailbox);
}

int tree_mailbox_dir(Tree *tree, uint32_t mailbox, TreeMake make)
{
    char dir1[NUMBER_SIZE], dir2[NUMBER_SIZE];
    const char *parts[] = { dir1, dir2 };

    mailbox_parts(tree, mailbox, dir1, dir2);
    return tree_descend(tree, parts, G_N_ELEMENTS(parts), make);
}

int tree_blob_dir(Tree *tree, uint32_t mailbox, uint32_t group, TreeMake make)
{
    char dir1[NUMBER_SIZE], dir2[NUMBER_SIZE], dir3[NUMBER_SIZE];
    const char *parts[] = { dir1, dir2, "msg", dir3 };

    mailbox_parts(tree, mailbox, dir1, dir2);
    snprintf(dir3, sizeof dir3, "%u", group);
    return tree_descend(tree, parts, G_N_ELEMENTS(parts), make);
}

int tree_index_dir(Tree *tree, uint32_t mailbox, TreeMake make)
{
    char dir1[NUMBER_SIZE], dir2[NUMBER_SIZE];
    const char *parts[] = { dir1, dir2, "index", "0" };

    mailbox_parts(tree, mailbox, dir1, dir2);
    return tree_descend(tree, parts, G_N_ELEMENTS(parts), make);
}

typedef struct Walk {
    uint64_t remove; /* at most so many files; 0: only look */
    dev_t device; /* another file system mounted below is not ours to touch */
    void (*step)(void);
    TreeUsage *usage;
} Walk;

static bool walk_below(const Walk *walk, int at, unsigned depth, GError **error);

static bool is_enough(const Walk *walk)
{
    return walk->remove != 0 && walk->usage->files >= walk->remove;
}

static bool walk_entry(const Walk *walk, int at, const char *name, unsigned depth, GError **error)
{
    struct stat st;
    bool ok;
    int fd;

    walk->step();
    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? true : fail_errno(error, errno, name);
    if (!S_ISDIR(st.st_mode)) {
        if (walk->remove != 0 && unlinkat(at, name, 0) != 0 && errno != ENOENT)
            return fail_errno(error, errno, name);
        walk->usage->files++;
        walk->usage->bytes += S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
        return true;
    }
    if (depth == MAX_DEPTH || st.st_dev != walk->device)
        return fail(error, ZX_ERROR_REFUSED, "%s: a directory that no mailbox has", name);
    fd = tree_enter(at, name);
    if (fd < 0)
        return fail_errno(error, errno, name);
    ok = walk_below(walk, fd, depth + 1, error);
    if (ok && walk->remove != 0 && !is_enough(walk) && unlinkat(at, name, AT_REMOVEDIR) != 0)
        return fail_errno(error, errno, name);
    return ok;
}

/* Takes @at over. */
static bool walk_below(const Walk *walk, int at, unsigned depth, GError **error)
{
    struct dirent *entry;
    bool ok = true;
    DIR *dir = fdopendir(at);

    if (dir == NULL) {
        close(at);
        return fail_errno(error, errno, "reading a directory");
    }
    while (ok && !is_enough(walk) && (errno = 0, entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            ok = walk_entry(walk, at, entry->d_name, depth, error);
    if (ok && !is_enough(walk) && errno != 0)
        ok = fail_errno(error, errno, "reading a directory");
    closedir(dir);
    return ok;
}

bool tree_walk(int at, const char *name, uint64_t remove, void (*step)(void), TreeUsage *usage,
               GError **error)
{
    Walk walk = { .remove = remove, .step = step, .usage = usage };
    struct stat st;

    *usage = (TreeUsage){ 0 };
    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? true : fail_errno(error, errno, name);
    if (!S_ISDIR(st.st_mode))
        return fail(error, ZX_ERROR_REFUSED, "%s: not a directory", name);
    walk.device = st.st_dev;
    return walk_entry(&walk, at, name, 0, error);
}
