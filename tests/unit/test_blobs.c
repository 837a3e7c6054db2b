/* test_blobs.c - blobs from one agent to another by the stream: what is copied, linked, left alone,
 * compressed, and what is said of a blob that is not as its row says. */
#include "core/move/stream.h"
#include "tests/unit/files.h"

#define OLD_MAILBOX 6

static char *agent_file;

typedef struct Side {
    char *dirs[2]; /* volumes 1 and 2 */
    Peer *peer;
} Side;

typedef struct Item {
    StreamFile file;
    BlobRef ref; /* at the source; at the destination volume 1 */
} Item;

typedef struct Run {
    Side source, target;
    GPtrArray *items; /* of Item */
    unsigned next, settled, syncs;
    uint8_t flags; /* of writing */
    uint32_t older;
} Run;

static void begin_side(Side *side, const char *name, unsigned mailbox_bits)
{
    GError *error = NULL;

    side->peer = peer_open(name, NULL, agent_file, 60, &error);
    assert_null(error);
    for (unsigned i = 0; i < 2; i++) {
        Volume volume = { .id = i + 1,
                          .type = i == 0 ? VOLUME_PRIMARY : VOLUME_SECONDARY,
                          .file_bits = 12,
                          .file_group_bits = 8,
                          .mailbox_bits = mailbox_bits,
                          .mailbox_group_bits = 8,
                          .compress = true,
                          .compression_threshold = 100,
                          .store_type = 1 };

        volume.path = side->dirs[i] = temporary_dir();
        assert_true(peer_volume(side->peer, &volume, &error));
    }
}

static int begin(void **state)
{
    Run *run = g_new0(Run, 1);

    begin_side(&run->source, "store1.test", 12);
    begin_side(&run->target, "store2.test", 2);
    run->flags = AGENT_DIGEST | AGENT_OVERWRITE;
    run->items = g_ptr_array_new();
    *state = run;
    return 0;
}

static void forget_items(Run *run)
{
    for (unsigned i = 0; i < run->items->len; i++) {
        stream_file_clear(g_ptr_array_index(run->items, i));
        g_free(g_ptr_array_index(run->items, i));
    }
    g_ptr_array_set_size(run->items, 0);
    run->next = run->settled = run->syncs = 0;
}

static int end(void **state)
{
    Run *run = *state;
    Side *sides[] = { &run->source, &run->target };

    forget_items(run);
    g_ptr_array_free(run->items, TRUE);
    for (unsigned i = 0; i < 2; i++) {
        peer_close(sides[i]->peer);
        remove_dir(sides[i]->dirs[0]);
        remove_dir(sides[i]->dirs[1]);
    }
    g_free(run);
    return 0;
}

/* A row: what its blob should hold. */
static Item *add(Run *run, uint32_t item, const void *content, size_t size)
{
    Item *one = g_new0(Item, 1);
    g_autofree char *digest = digest_of(G_CHECKSUM_SHA256, content, size);

    one->ref = (BlobRef){ .volume = 1, .mailbox = 5, .item = item, .mod_content = 7, .size = size };
    g_strlcpy(one->ref.digest, digest, sizeof one->ref.digest);
    one->file.ask = true;
    one->file.expected = size;
    g_ptr_array_add(run->items, one);
    return one;
}

static StreamFile *next(void *data, GError **error)
{
    Run *run = data;

    (void)error;
    return run->next < run->items->len ? g_ptr_array_index(run->items, run->next++) : NULL;
}

static BlobRef there(const StreamFile *file)
{
    BlobRef ref = ((const Item *)file)->ref;

    ref.volume = 1;
    ref.mailbox = 9;
    return ref;
}

static void ask(void *data, const StreamFile *file, Peer *target)
{
    Run *run = data;
    BlobRef ref = there(file);

    peer_begin(target, AGENT_BLOB_HAVE, run->flags);
    blob_ref_put(peer_out(target), &ref);
    wire_put_u32(peer_out(target), run->older);
}

static void read_blob(void *data, const StreamFile *file, Peer *source)
{
    (void)data;
    peer_begin(source, AGENT_BLOB_READ, AGENT_DIGEST | AGENT_OTHERS);
    blob_ref_put(peer_out(source), &((const Item *)file)->ref);
}

static void write_blob(void *data, const StreamFile *file, Peer *target)
{
    Run *run = data;
    BlobRef ref = there(file);

    peer_begin(target, AGENT_BLOB_WRITE, run->flags);
    blob_ref_put(peer_out(target), &ref);
    wire_put_u64(peer_out(target), file->length);
}

static void sync_volume(void *data, Peer *target)
{
    Run *run = data;

    run->syncs++;
    peer_begin(target, (run->flags & AGENT_DURABLE) != 0 ? AGENT_FLUSH : AGENT_SYNCFS, 0);
    if ((run->flags & AGENT_DURABLE) == 0)
        wire_put_u8(peer_out(target), 1);
}

static bool settled(void *data, GPtrArray *files, GError **error)
{
    Run *run = data;

    (void)error;
    run->settled += files->len;
    return true;
}

static const StreamCalls calls = { .next = next,
                                   .ask = ask,
                                   .read = read_blob,
                                   .write = write_blob,
                                   .sync = sync_volume,
                                   .settled = settled };

static void carry(Run *run)
{
    GError *error = NULL;

    assert_true(stream_run(run->source.peer, run->target.peer, &calls, run, NULL, &error));
    assert_null(error);
    assert_int_equal(run->settled, run->items->len);
}

static void assert_content(Run *run, const char *name, const void *content, size_t size)
{
    size_t length;
    g_autofree char *bytes = read_file(run->target.dirs[0], name, &length);

    assert_non_null(bytes);
    assert_int_equal(length, size);
    assert_memory_equal(bytes, content, size);
}

static void test_copy(void **state)
{
    Run *run = *state;
    g_autofree char *path = NULL, *old = digest_of(G_CHECKSUM_SHA1, "sha one", 7);
    g_autofree char *large = g_malloc(3000001);
    struct stat st;
    Item *item;

    for (unsigned i = 0; i < 3000001; i++)
        large[i] = (char)(i * 7 + i / 977);
    write_file(run->source.dirs[0], "0/5/msg/0/270-7.msg", "hello", 5);
    write_file(run->source.dirs[0], "0/5/msg/2/8192-7.msg", large, 3000001);
    write_file(run->source.dirs[0], "0/5/msg/0/271-7.msg", "", 0);
    write_file(run->source.dirs[0], "0/5/msg/0/272-7.msg", "sha one", 7);
    write_file(run->source.dirs[0], "0/5/msg/0/273.msg", "old style", 9);
    write_file(run->source.dirs[1], "0/5/msg/0/274-7.msg", "moved by HSM", 12);
    add(run, 270, "hello", 5);
    add(run, 8192, large, 3000001);
    add(run, 271, "", 0);
    item = add(run, 272, "sha one", 7);
    g_strlcpy(item->ref.digest, old, sizeof item->ref.digest);
    add(run, 273, "old style", 9);
    add(run, 274, "moved by HSM", 12);
    add(run, 275, "nowhere", 7);
    carry(run);
    for (unsigned i = 0; i < run->items->len; i++) {
        item = g_ptr_array_index(run->items, i);
        assert_int_equal(item->file.result, i == 6 ? STREAM_ABSENT : STREAM_COPIED);
        if (i < 6) {
            assert_int_equal(item->file.raw_size, item->ref.size);
            assert_string_equal(item->file.digest, item->ref.digest);
            assert_int_equal(item->file.disk_size, item->ref.size);
        }
    }
    assert_content(run, "2/9/msg/0/270-7.msg", "hello", 5);
    assert_content(run, "2/9/msg/2/8192-7.msg", large, 3000001);
    assert_content(run, "2/9/msg/0/271-7.msg", "", 0);
    assert_content(run, "2/9/msg/0/273-7.msg", "old style", 9);
    assert_content(run, "2/9/msg/0/274-7.msg", "moved by HSM", 12);
    path = g_build_filename(run->target.dirs[0], "2/9/msg/0/270-7.msg", NULL);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_nlink, 1);
    *strrchr(path, '/') = '\0';
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);

    /* Again: it is there, verified by content. */
    forget_items(run);
    item = add(run, 270, "hello", 5);
    carry(run);
    assert_int_equal(item->file.result, STREAM_THERE);
}

static void test_neighbours_are_followed(void **state)
{
    Run *run = *state;
    g_autofree char *file = g_build_filename(run->target.dirs[0], "0/1/msg/0/1-1.msg", NULL);
    g_autofree char *dir = g_path_get_dirname(file), *path = NULL;
    struct stat st;

    write_file(run->target.dirs[0], "0/1/msg/0/1-1.msg", "x", 1);
    assert_int_equal(chmod(file, 0660), 0);
    assert_int_equal(chmod(dir, 0770), 0);
    write_file(run->source.dirs[0], "0/5/msg/0/270-7.msg", "hello", 5);
    add(run, 270, "hello", 5);
    carry(run);
    path = g_build_filename(run->target.dirs[0], "2/9/msg/0/270-7.msg", NULL);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    *strrchr(path, '/') = '\0';
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0770);
}

static void test_compressed(void **state)
{
    Run *run = *state;
    g_autofree char *text = g_strnfill(5000, 'a');
    g_autofree char *zipped = NULL, *document = NULL, *broken = NULL, *now = NULL;
    size_t zipped_size, document_size, length;
    Item *stored, *fresh, *briefcase, *damaged, *small;

    zipped = gzipped(text, 5000, &zipped_size);
    document = gzipped("a document that is a .gz itself, and long enough to be compressed again "
                       "if that were asked for: 0123456789abcdefghijklmnopqrstuvwxyz",
                       130, &document_size);
    broken = memcpy(g_malloc(zipped_size), zipped, zipped_size);
    broken[zipped_size / 2] ^= 1;
    write_file(run->source.dirs[0], "0/5/msg/0/1-7.msg", zipped, zipped_size);
    write_file(run->source.dirs[0], "0/5/msg/0/2-7.msg", text, 5000);
    write_file(run->source.dirs[0], "0/5/msg/0/3-7.msg", document, document_size);
    write_file(run->source.dirs[0], "0/5/msg/0/4-7.msg", broken, zipped_size);
    write_file(run->source.dirs[0], "0/5/msg/0/5-7.msg", text, 50);
    stored = add(run, 1, text, 5000);
    fresh = add(run, 2, text, 5000);
    briefcase = add(run, 3, document, document_size);
    damaged = add(run, 4, text, 5000);
    small = add(run, 5, text, 50);
    run->flags |= AGENT_COMPRESS;
    carry(run);
    assert_int_equal(stored->file.disk_size, zipped_size); /* as it is */
    assert_content(run, "2/9/msg/0/1-7.msg", zipped, zipped_size);
    assert_int_equal(stored->file.raw_size, 5000);
    assert_string_equal(stored->file.digest, stored->ref.digest);
    assert_true(fresh->file.disk_size < 500); /* as mailboxd would store it */
    now = read_file(run->target.dirs[0], "2/9/msg/0/2-7.msg", &length);
    assert_true(length == fresh->file.disk_size && now[0] == 0x1f);
    assert_string_equal(fresh->file.digest, fresh->ref.digest);
    assert_int_equal(briefcase->file.raw_size, document_size);
    assert_string_equal(briefcase->file.digest, briefcase->ref.digest);
    assert_int_equal(damaged->file.result, STREAM_COPIED); /* carried as it is, and told */
    assert_content(run, "2/9/msg/0/4-7.msg", broken, zipped_size);
    assert_string_not_equal(damaged->file.digest, damaged->ref.digest);
    assert_int_equal(small->file.disk_size, 50);

    /* Compressed at the destination, it still is what the row says. */
    run->next = run->settled = 0;
    carry(run);
    assert_int_equal(fresh->file.result, STREAM_THERE);
    assert_int_equal(stored->file.result, STREAM_THERE);
    assert_int_equal(damaged->file.result, STREAM_COPIED);
    assert_false(exists(run->target.dirs[0], "2/9/msg/0/2-7.msg.zxmove"));
    assert_false(exists(run->target.dirs[0], "2/9/msg/0/2-7.msg.zxmove.gz"));
}

/* Base64 of random bytes, as an attachment has it; g_free. */
static char *attachment(size_t size)
{
    GRand *random = g_rand_new_with_seed(1);
    g_autofree guchar *bytes = g_malloc(size);
    char *text;

    for (size_t i = 0; i < size; i++)
        bytes[i] = (guchar)g_rand_int_range(random, 0, 256);
    text = g_base64_encode(bytes, size);
    g_rand_free(random);
    return text;
}

/* No repetitions are looked for in an attachment, and what is stored is not longer for it; the
 * text beside it is compressed as well as ever. */
static void test_compressed_attachment(void **state)
{
    enum { FASTEST = 4 }; /* of the gzip header's XFL */
    Run *run = *state;
    g_autofree char *base64 = attachment(240000), *words = g_strnfill(320000, 'w'), *both = NULL;
    g_autofree char *zipped = NULL, *now = NULL, *other = NULL;
    size_t zipped_size, length, size = strlen(base64);
    Item *alone, *mixed, *text;

    both = g_strconcat(base64, words, NULL);
    zipped = gzipped(both, size + 320000, &zipped_size);
    write_file(run->source.dirs[0], "0/5/msg/0/1-7.msg", base64, size);
    write_file(run->source.dirs[0], "0/5/msg/0/2-7.msg", both, size + 320000);
    write_file(run->source.dirs[0], "0/5/msg/0/3-7.msg", words, 320000);
    alone = add(run, 1, base64, size);
    mixed = add(run, 2, both, size + 320000);
    text = add(run, 3, words, 320000);
    run->flags |= AGENT_COMPRESS;
    carry(run);
    now = read_file(run->target.dirs[0], "2/9/msg/0/1-7.msg", &length);
    assert_int_equal(now[8], FASTEST);
    assert_true(length < size * 77 / 100);
    other = read_file(run->target.dirs[0], "2/9/msg/0/3-7.msg", &length);
    assert_int_equal(other[8], 0);
    assert_true(text->file.disk_size < 1000);
    assert_true(mixed->file.disk_size < zipped_size + zipped_size / 50);
    run->next = run->settled = 0;
    carry(run);
    assert_int_equal(alone->file.result, STREAM_THERE);
    assert_int_equal(mixed->file.result, STREAM_THERE);
}

static void test_what_is_there(void **state)
{
    Run *run = *state;
    Item *item;

    write_file(run->source.dirs[0], "0/5/msg/0/1-7.msg", "right", 5);
    write_file(run->target.dirs[0], "2/9/msg/0/1-7.msg", "wrong", 5);
    item = add(run, 1, "right", 5);
    run->flags = AGENT_DIGEST;
    carry(run);
    assert_int_equal(item->file.result, STREAM_DIFFERS);
    assert_content(run, "2/9/msg/0/1-7.msg", "wrong", 5);
    forget_items(run);
    item = add(run, 1, "right", 5);
    run->flags |= AGENT_OVERWRITE | AGENT_DURABLE;
    carry(run);
    assert_int_equal(item->file.result, STREAM_COPIED);
    assert_content(run, "2/9/msg/0/1-7.msg", "right", 5);
}

static void test_links(void **state)
{
    Run *run = *state;
    g_autofree char *old = g_build_filename(run->target.dirs[0], "1/6/msg/0/1-7.msg", NULL);
    struct stat st;
    Item *same, *other;

    write_file(run->source.dirs[0], "0/5/msg/0/1-7.msg", "right", 5);
    write_file(run->source.dirs[0], "0/5/msg/0/2-7.msg", "today", 5);
    write_file(run->target.dirs[0], "1/6/msg/0/1-7.msg", "right", 5);
    write_file(run->target.dirs[0], "1/6/msg/0/2-7.msg", "stale", 5);
    same = add(run, 1, "right", 5);
    other = add(run, 2, "today", 5);
    run->older = OLD_MAILBOX;
    carry(run);
    assert_int_equal(same->file.result, STREAM_LINKED);
    assert_int_equal(same->file.disk_size, 5);
    assert_int_equal(stat(old, &st), 0);
    assert_int_equal(st.st_nlink, 2);
    assert_int_equal(other->file.result, STREAM_COPIED);
    assert_content(run, "2/9/msg/0/2-7.msg", "today", 5);
    assert_int_equal(chmod(old, 0640), 0);
}

static void test_links_and_odd_files_are_refused(void **state)
{
    Run *run = *state;
    g_autofree char *link = g_build_filename(run->source.dirs[0], "0/5/msg/0/1-7.msg", NULL);
    g_autofree char *fifo = g_build_filename(run->source.dirs[0], "0/5/msg/0/2-7.msg", NULL);
    g_autofree char *outside = g_build_filename(run->target.dirs[1], "9", NULL);
    g_autofree char *inside = g_build_filename(run->target.dirs[0], "2", NULL);
    Item *item;

    write_file(run->source.dirs[0], "0/5/msg/0/3-7.msg", "x", 1);
    assert_int_equal(symlink("3-7.msg", link), 0);
    assert_int_equal(mkfifo(fifo, 0640), 0);
    add(run, 1, "x", 1);
    add(run, 2, "x", 1);
    carry(run);
    for (unsigned i = 0; i < 2; i++) {
        item = g_ptr_array_index(run->items, i);
        assert_int_equal(item->file.result, STREAM_FAILED);
        assert_non_null(strstr(item->file.trouble, "store1.test"));
    }
    forget_items(run);
    assert_int_equal(g_mkdir(outside, 0750), 0);
    assert_int_equal(symlink(run->target.dirs[1], inside), 0);
    item = add(run, 3, "x", 1);
    item->file.ask = false;
    carry(run);
    assert_int_equal(item->file.result, STREAM_FAILED);
    assert_false(exists(run->target.dirs[1], "9/msg"));
}

static void test_many(void **state)
{
    enum { MANY = 5000 };
    Run *run = *state;
    unsigned copied = 0;

    for (uint32_t i = 1; i <= MANY; i++) {
        g_autofree char *text = g_strdup_printf("message %u%*s", i, (int)(i % 3000), "");
        g_autofree char *name = g_strdup_printf("0/5/msg/%u/%u-7.msg", i >> 12, i);

        if (i % 100 != 0)
            write_file(run->source.dirs[0], name, text, strlen(text));
        add(run, i, text, strlen(text));
    }
    carry(run);
    for (unsigned i = 0; i < MANY; i++)
        copied += ((Item *)g_ptr_array_index(run->items, i))->file.result == STREAM_COPIED;
    assert_int_equal(copied, MANY - MANY / 100);
    assert_true(run->syncs >= 1 && run->syncs < 10);
}

static const volatile sig_atomic_t stop_now = 1;

static void test_stop(void **state)
{
    Run *run = *state;
    Wait wait = { .stop = &stop_now };
    g_autoptr(GError) error = NULL;

    write_file(run->source.dirs[0], "0/5/msg/0/1-7.msg", "right", 5);
    add(run, 1, "right", 5);
    assert_false(stream_run(run->source.peer, run->target.peer, &calls, run, &wait, &error));
    assert_int_equal(error_code(error), ZX_ERROR_INTERRUPTED);
    assert_true(peer_syncfs(run->source.peer, 1, NULL)); /* both can be talked to as before */
    assert_true(peer_syncfs(run->target.peer, 1, NULL));
}

static void test_lost_agent(void **state)
{
    Run *run = *state;
    g_autoptr(GError) error = NULL;

    write_file(run->source.dirs[0], "0/5/msg/0/1-7.msg", "right", 5);
    add(run, 1, "right", 5);
    peer_break(run->source.peer, NULL, "by the test");
    assert_false(stream_run(run->source.peer, run->target.peer, &calls, run, NULL, &error));
    assert_int_equal(error_code(error), ZX_ERROR_CONNECT);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_copy, begin, end),
        cmocka_unit_test_setup_teardown(test_neighbours_are_followed, begin, end),
        cmocka_unit_test_setup_teardown(test_compressed, begin, end),
        cmocka_unit_test_setup_teardown(test_compressed_attachment, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_there, begin, end),
        cmocka_unit_test_setup_teardown(test_links, begin, end),
        cmocka_unit_test_setup_teardown(test_links_and_odd_files_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_many, begin, end),
        cmocka_unit_test_setup_teardown(test_stop, begin, end),
        cmocka_unit_test_setup_teardown(test_lost_agent, begin, end),
    };
    int failed;

    (void)argc;
    agent_file = agent_path(argv[0]);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    g_free(agent_file);
    return failed;
}
