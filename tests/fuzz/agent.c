/* agent.c - fuzzes the agent behind its frames: requests made up of the input, one after the other,
 * on two volumes and a backup with links that lead out of them. Whatever is asked, nothing outside
 * is read, changed or linked to, what comes after its claim's end changes nothing, and no file
 * stays open. Paths that a request may name freely (roots, the home, the calendar cache) are always
 * the same. */
#include <unistd.h>
static int answers; /* where they go */
#undef STDOUT_FILENO
#define STDOUT_FILENO answers
#define main          agent_main
int agent_main(int argc, char **argv);
#include "core/agent/main.c" /* its table, and what the handlers call */
#undef main
#include "tests/fuzz/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "nobody's"
#define OURS   "everyone"
#define ID     "11111111-2222-3333-4444-555555555555"
#define LINK   "99999999-2222-3333-4444-555555555555"

typedef struct Bytes {
    const uint8_t *at, *end;
} Bytes;

static unsigned take(Bytes *bytes, unsigned below)
{
    return bytes->at < bytes->end ? *bytes->at++ % below : 0;
}

static const uint32_t numbers[] = { 0, 1, 2, 3, 256, 4096, 4097, 0x7fffffff, 0xffffffff };
static const uint64_t lengths[] = {
    0, 1, 5, sizeof SECRET - 1, 300, (uint64_t)1 << 31, (uint64_t)1 << 63, UINT64_MAX
};
static const char *const names[] = { "_0.cfs",
                                     "segments_2",
                                     "..",
                                     ".",
                                     "",
                                     "a/b",
                                     "../outside/secret",
                                     "link",
                                     "link/secret",
                                     "dir/x",
                                     "a/b/c/d/e/f/g/h/i/j",
                                     "/etc/passwd",
                                     "x.zxmove",
                                     "0123456789abcdef0123456789abcdef",
                                     "dir",
                                     "secret" };
static const char *const accounts[] = { ID, LINK, "..", "../../outside",
                                        "------------------------------------" };

/* One letter a field: v volume, m a number, l a length, n a name, a an account, r a blob. */
static const char *const fields[AGENT_REQUESTS] = {
    [AGENT_SPACE] = "v",
    [AGENT_USAGE] = "vm",
    [AGENT_REMOVE] = "vmm",
    [AGENT_CALCACHE_SEEN] = "cm",
    [AGENT_CALCACHE_REMOVE] = "cm",
    [AGENT_SYNCFS] = "v",
    [AGENT_FLUSH] = "",
    [AGENT_PROBE_PUT] = "vn",
    [AGENT_PROBE_SEEN] = "vn",
    [AGENT_PROBE_DROP] = "vn",
    [AGENT_INDEX_LIST] = "vm",
    [AGENT_INDEX_REMOVE] = "vm",
    [AGENT_INDEX_DROP] = "vmn",
    [AGENT_INDEX_READ] = "vmn",
    [AGENT_INDEX_WRITE] = "vmnll",
    [AGENT_BLOB_HAVE] = "rm",
    [AGENT_BLOB_READ] = "r",
    [AGENT_BLOB_WRITE] = "rl",
    [AGENT_BLOB_STAT] = "r",
    [AGENT_BLOB_HASH] = "r",
    [AGENT_BLOB_UNLINK] = "r",
    [AGENT_BLOB_LOOK] = "r",
    [AGENT_BLOB_LIST] = "vm",
    [AGENT_MAILBOXES] = "v",
    [AGENT_BACKUP_SPACE] = "",
    [AGENT_BACKUP_LIST] = "a",
    [AGENT_BACKUP_READ] = "an",
    [AGENT_BACKUP_WRITE] = "anll",
    [AGENT_BACKUP_SYNC] = "",
};

static void put_name(WireOut *out, Bytes *bytes, const char *const *known, unsigned count)
{
    unsigned choice = take(bytes, count + 2);
    g_autofree char *raw = NULL;
    size_t length;

    if (choice < count) {
        wire_put_text(out, known[choice]);
        return;
    }
    length = take(bytes, 32);
    length = MIN(length, (size_t)(bytes->end - bytes->at));
    raw = g_strndup((const char *)bytes->at, length);
    bytes->at += length;
    wire_put_text(out, raw);
}

static void put_field(WireOut *out, char field, Bytes *bytes)
{
    g_autofree char *cache = NULL;
    BlobRef ref = { 0 };

    switch (field) {
    case 'v':
        wire_put_u8(out, (uint8_t)(1 + take(bytes, 3)));
        break;
    case 'm':
        wire_put_u32(out, numbers[take(bytes, G_N_ELEMENTS(numbers))]);
        break;
    case 'l':
        wire_put_u64(out, lengths[take(bytes, G_N_ELEMENTS(lengths))]);
        break;
    case 'n':
        put_name(out, bytes, names, G_N_ELEMENTS(names));
        break;
    case 'a':
        put_name(out, bytes, accounts, G_N_ELEMENTS(accounts));
        break;
    case 'c':
        cache = fuzz_path("index");
        wire_put_text(out, cache);
        break;
    default:
        ref.volume = (uint8_t)(1 + take(bytes, 3));
        ref.mailbox = numbers[take(bytes, G_N_ELEMENTS(numbers))];
        ref.item = numbers[take(bytes, G_N_ELEMENTS(numbers))];
        ref.mod_content = numbers[take(bytes, G_N_ELEMENTS(numbers))];
        ref.size = lengths[take(bytes, G_N_ELEMENTS(lengths))];
        blob_ref_put(out, &ref);
    }
}

/* Serves the one frame that was written into @out. */
static bool serve_frame(Agent *agent, WireOut *out)
{
    const uint8_t *bytes = wire_out_bytes(out);
    WireFrame frame = { .type = bytes[4],
                        .flags = bytes[5],
                        .stream = 1,
                        .payload = bytes + WIRE_HEADER,
                        .length = (uint32_t)(wire_out_left(out) - WIRE_HEADER) };
    bool ok = serve(agent, &frame);

    g_assert(memmem(wire_out_bytes(&agent->out), wire_out_left(&agent->out), SECRET,
                    strlen(SECRET)) == NULL);
    agent_send(agent);
    return ok;
}

/* Until when, of a request that comes in time, or late. */
static void put_until(WireOut *out, bool late)
{
    wire_put_u64(out, late ? 1 : 0);
}

/* Names, sizes and times of all that is there. */
static void sum_up(const char *path, GString *sum)
{
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    const char *name;

    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *below = g_build_filename(path, name, NULL);
        struct stat st;

        g_assert(lstat(below, &st) == 0);
        g_string_append_printf(sum, "%s %lu %ld %ld.%ld\n", below, (gulong)st.st_ino,
                               (long)st.st_size, (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
        if (S_ISDIR(st.st_mode))
            sum_up(below, sum);
    }
}

static bool ask(Agent *agent, uint8_t type, uint8_t choice, const char *layout, Bytes *bytes)
{
    g_autoptr(GString) before = g_string_new(NULL), after = g_string_new(NULL);
    const uint8_t flags = choice % 32;
    const bool late = choice >= 7 * 32;
    WireOut out;
    bool ok;

    if (late)
        sum_up(fuzz_dir, before);
    wire_out_init(&out);
    wire_begin(&out, type, flags, 1);
    put_until(&out, late);
    for (; *layout != '\0'; layout++)
        put_field(&out, *layout, bytes);
    if (take(bytes, 16) == 15)
        wire_put_u8(&out, 7); /* one too many */
    wire_finish(&out);
    ok = serve_frame(agent, &out);
    wire_out_clear(&out);
    if (late)
        sum_up(fuzz_dir, after);
    g_assert_cmpstr(before->str, ==, after->str);
    return ok;
}

/* Content for what is being written, and its end: as a good reader tells it, or not. */
static bool fill(Agent *agent, Bytes *bytes)
{
    static const uint8_t content[300] = "some content";
    size_t length = (size_t)lengths[take(bytes, 5)];
    bool good = take(bytes, 4) != 3, ok;
    unsigned choice;
    WireOut out;

    wire_out_init(&out);
    wire_begin(&out, AGENT_DATA, 0, 1);
    wire_put_bytes(&out, content, length);
    wire_finish(&out);
    ok = serve_frame(agent, &out);
    wire_out_clear(&out);
    if (!ok || take(bytes, 8) == 7)
        return ok;
    wire_out_init(&out);
    choice = take(bytes, 256);
    wire_begin(&out, AGENT_END, 0, 1);
    put_until(&out, choice >= 7 * 32);
    wire_put_u8(&out, choice % 8 != 7);
    wire_put_u64(&out, good ? length : 77);
    wire_put_text(&out, "");
    wire_finish(&out);
    ok = serve_frame(agent, &out);
    wire_out_clear(&out);
    return ok;
}

static void make(const char *path)
{
    g_autofree char *full = fuzz_path(path);

    g_assert(g_mkdir_with_parents(full, 0750) == 0);
}

static void make_link(const char *to, const char *path)
{
    g_autofree char *full = fuzz_path(path);

    g_assert(symlink(to, full) == 0);
}

static void make_world(void)
{
    static const char *const dirs[] = { "one/0/1/msg/0",
                                        "one/0/2",
                                        "one/1",
                                        "index/0/1/index/0",
                                        "index/0/2",
                                        "index/0/3/index",
                                        "backup/accounts/" ID "/dir",
                                        "outside/msg/0",
                                        "outside/index/0" };
    static const char *const files[] = {
        "outside/secret",        "outside/msg/0/1-1.msg",    "outside/index/0/_0.cfs",
        "one/0/1/msg/0/1-1.msg", "index/0/1/index/0/_0.cfs", "backup/accounts/" ID "/dir/x"
    };

    for (guint i = 0; i < G_N_ELEMENTS(dirs); i++)
        make(dirs[i]);
    for (guint i = 0; i < G_N_ELEMENTS(files); i++)
        g_free(fuzz_file(files[i], g_str_has_prefix(files[i], "outside/") ? SECRET : OURS,
                         strlen(SECRET)));
    make_link("../../../outside/msg", "one/0/2/msg");
    make_link("../../outside", "one/1/4096");
    make_link("../../../outside/secret", "one/0/1/msg/link");
    make_link("../../../outside/index", "index/0/2/index");
    make_link("../../../../outside/index/0", "index/0/3/index/0");
    make_link("../../../../../outside/secret", "index/0/1/index/0/segments_2");
    make_link("../../outside", "backup/accounts/" LINK);
    make_link("../../../outside", "backup/accounts/" ID "/link");
    make_link("../../../outside/secret", "backup/accounts/" ID "/secret");
}

static unsigned entries(const char *path)
{
    g_autofree char *full = fuzz_path(path);
    g_autoptr(GDir) directory = g_dir_open(full, 0, NULL);
    unsigned count = 0;

    g_assert(directory != NULL);
    while (g_dir_read_name(directory) != NULL)
        count++;
    return count;
}

static void check_outside(void)
{
    static const char *const files[] = { "outside/secret", "outside/msg/0/1-1.msg",
                                         "outside/index/0/_0.cfs" };

    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *full = fuzz_path(files[i]);
        g_autofree char *text = NULL;
        struct stat st;

        g_assert(lstat(full, &st) == 0 && st.st_nlink == 1 && (st.st_mode & 07777) == 0600);
        g_assert(g_file_get_contents(full, &text, NULL, NULL));
        g_assert_cmpstr(text, ==, SECRET);
    }
    g_assert(entries("outside") == 3 && entries("outside/msg") == 1 &&
             entries("outside/msg/0") == 1 && entries("outside/index") == 1 &&
             entries("outside/index/0") == 1);
}

static unsigned open_files(void)
{
    g_autoptr(GDir) directory = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned count = 0;

    g_assert(directory != NULL);
    while (g_dir_read_name(directory) != NULL)
        count++;
    return count;
}

static Tree *volume(uint8_t id, const char *name)
{
    g_autofree char *path = fuzz_path(name);
    AgentVolumeInfo info = { .id = id,
                             .blobs = id == 1,
                             .file_bits = 12,
                             .file_group_bits = 8,
                             .mailbox_bits = 12,
                             .mailbox_group_bits = 8,
                             .compression_threshold = 4 };
    Tree *tree;

    g_strlcpy(info.path, path, sizeof info.path);
    tree = tree_open(&info, NULL);
    g_assert(tree != NULL);
    return tree;
}

static void close_agent(Agent *agent)
{
    agent_write_clear(agent);
    agent_forget_dirs(agent, NULL);
    tree_close(agent->backup);
    for (unsigned i = 0; i < G_N_ELEMENTS(agent->trees); i++)
        tree_close(agent->trees[i]);
    wire_out_clear(&agent->out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Bytes bytes = { data, data + size };
    g_autofree char *backup = fuzz_path("backup");
    Agent agent = { 0 };
    unsigned before;
    bool ok = true;

    if (answers == 0)
        answers = open("/dev/null", O_WRONLY | O_CLOEXEC);
    fuzz_clear(fuzz_dir);
    make_world();
    before = open_files();
    wire_out_init(&agent.out);
    agent_write_init(&agent);
    agent.trees[1] = volume(1, "one");
    agent.trees[2] = volume(2, "index");
    agent.backup = tree_open_plain(backup, NULL);
    for (unsigned i = 0; ok && bytes.at < bytes.end && i < 32; i++) {
        uint8_t type = (uint8_t)take(&bytes, AGENT_REQUESTS + 8);

        if (type >= AGENT_REQUESTS)
            ok = fill(&agent, &bytes);
        else if (fields[type] != NULL)
            ok = ask(&agent, type, (uint8_t)take(&bytes, 256), fields[type], &bytes);
    }
    close_agent(&agent);
    check_outside();
    g_assert_cmpuint(open_files(), ==, before);
    return 0;
}
