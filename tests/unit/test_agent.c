/* test_agent.c - the agent by way of a peer, on directories of the test's own. */
#include "core/agent/protocol.h"
#include "core/move/index.h"
#include "core/net/peer.h"
#include "tests/unit/files.h"
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

static char *agent_file;

typedef struct Fixture {
    char *dir;
    Peer *peer;
    Volume volume;
} Fixture;

static int begin(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    GError *error = NULL;

    fixture->dir = temporary_dir();
    fixture->peer = peer_open("store1.test", NULL, agent_file, 60, &error);
    assert_null(error);
    assert_non_null(fixture->peer);
    fixture->volume = (Volume){ .id = 3,
                                .type = VOLUME_PRIMARY,
                                .path = fixture->dir,
                                .file_bits = 12,
                                .file_group_bits = 8,
                                .mailbox_bits = 12,
                                .mailbox_group_bits = 8,
                                .store_type = 1 };
    assert_true(peer_volume(fixture->peer, &fixture->volume, &error));
    *state = fixture;
    return 0;
}

static int end(void **state)
{
    Fixture *fixture = *state;

    peer_close(fixture->peer);
    remove_dir(fixture->dir);
    g_free(fixture);
    return 0;
}

static void test_facts(void **state)
{
    static const char localconfig[] =
        "<?xml version=\"1.0\"?>\n<localconfig>\n"
        "<key name=\"zimbra_server_hostname\"><value>a&amp;b.test</value></key>\n"
        "<key name=\"zimbra_mysql_password\"><value>s3&lt;cret</value></key>\n"
        "<key name=\"ldap_url\"><value>ldap://${ldap_host}:${ldap_port}</value></key>\n"
        "<key name=\"ldap_host\"><value>ldap.test</value></key>\n"
        "<key name=\"unknown_key\"><value>never told</value></key>\n"
        "<key name=\"zimbra_mailbox_groups\"><value>7</value></key>\n"
        "<key name=\"zimbra_tmp_directory\"><value>${nothing}/tmp</value></key>\n"
        "</localconfig>\n";
    Fixture *fixture = *state;
    g_autoptr(GHashTable) facts = NULL;
    g_autofree char *mysql = g_strdup_printf("%s/db/data", fixture->dir);

    write_file(fixture->dir, "conf/localconfig.xml", localconfig, strlen(localconfig));
    facts = peer_facts(fixture->peer, fixture->dir, false, NULL);
    assert_non_null(facts);
    assert_string_equal(g_hash_table_lookup(facts, "zimbra_server_hostname"), "a&b.test");
    assert_string_equal(g_hash_table_lookup(facts, "ldap_url"), "ldap://ldap.test:389");
    assert_string_equal(g_hash_table_lookup(facts, "zimbra_mailbox_groups"), "7");
    assert_string_equal(g_hash_table_lookup(facts, "zimbra_mailbox_lock_timeout"), "60");
    assert_string_equal(g_hash_table_lookup(facts, "mysql_data_directory"), mysql);
    assert_string_equal(g_hash_table_lookup(facts, "calendar_cache_directory"),
                        "${nothing}/tmp/calcache");
    assert_string_equal(g_hash_table_lookup(facts, "zimbra_class_index_store_factory"),
                        "com.zimbra.cs.index.LuceneIndex$Factory");
    assert_non_null(g_hash_table_lookup(facts, "timezone"));
    assert_true(g_ascii_strtoll(g_hash_table_lookup(facts, "clock"), NULL, 10) > 1500000000000);
    assert_null(g_hash_table_lookup(facts, "unknown_key"));
    assert_null(g_hash_table_lookup(facts, "zimbra_mysql_password"));
    g_hash_table_unref(facts);
    facts = peer_facts(fixture->peer, fixture->dir, true, NULL);
    assert_string_equal(g_hash_table_lookup(facts, "zimbra_mysql_password"), "s3<cret");
}

static void test_facts_refused(void **state)
{
    static const char circle[] = "<localconfig><key name=\"ldap_host\"><value>${ldap_port}</value>"
                                 "</key><key name=\"ldap_port\"><value>${ldap_host}</value></key>"
                                 "</localconfig>";
    static const char broken[] = "<localconfig><key name=\"x\"><value>secret</key></localconfig>";
    Fixture *fixture = *state;
    g_autoptr(GError) missing = NULL, damaged = NULL, endless = NULL;

    assert_null(peer_facts(fixture->peer, fixture->dir, false, &missing));
    assert_int_equal(error_code(missing), ZX_ERROR_NOT_FOUND);
    write_file(fixture->dir, "conf/localconfig.xml", broken, strlen(broken));
    assert_null(peer_facts(fixture->peer, fixture->dir, false, &damaged));
    assert_int_equal(error_code(damaged), ZX_ERROR_DATA);
    assert_null(strstr(damaged->message, "secret"));
    write_file(fixture->dir, "conf/localconfig.xml", circle, strlen(circle));
    assert_null(peer_facts(fixture->peer, fixture->dir, false, &endless));
    assert_int_equal(error_code(endless), ZX_ERROR_DATA);
}

static void test_space(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    PeerSpace space, other;

    assert_true(peer_space(fixture->peer, 3, &space, NULL));
    assert_true(space.total_bytes >= space.free_bytes && space.total_bytes > 0);
    assert_true(peer_space_path(fixture->peer, fixture->dir, &other, NULL));
    assert_true(space.device == other.device);
    assert_false(peer_space(fixture->peer, 9, &space, &error));
    assert_int_equal(error_code(error), ZX_ERROR_NOT_FOUND);
    assert_non_null(strstr(error->message, "store1.test"));
    assert_true(peer_syncfs(fixture->peer, 3, NULL));
}

static void test_usage_and_remove(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *outside = temporary_dir();
    g_autofree char *link = g_build_filename(fixture->dir, "1", "4098", "msg", "evil", NULL);
    uint64_t files = 9, bytes = 9;

    assert_true(peer_mailbox_usage(fixture->peer, 3, 4098, &files, &bytes, NULL));
    assert_true(files == 0 && bytes == 0);
    write_file(fixture->dir, "1/4098/msg/0/270-13.msg", "hello", 5);
    write_file(fixture->dir, "1/4098/index/0/segments_1", "x", 1);
    write_file(fixture->dir, "1/4099/msg/0/270-13.msg", "neighbour", 9);
    write_file(outside, "keep", "kept", 4);
    assert_int_equal(symlink(outside, link), 0);
    assert_true(peer_mailbox_usage(fixture->peer, 3, 4098, &files, &bytes, NULL));
    assert_true(files == 3 && bytes == 6);
    assert_true(peer_mailbox_remove(fixture->peer, 3, 4098, 2, &files, &bytes, NULL));
    assert_true(files == 2 && exists(fixture->dir, "1/4098")); /* no more than that at once */
    assert_true(peer_mailbox_remove(fixture->peer, 3, 4098, 2, &files, &bytes, NULL));
    assert_true(files == 1);
    assert_false(exists(fixture->dir, "1/4098"));
    assert_true(exists(fixture->dir, "1/4099/msg/0/270-13.msg"));
    assert_true(exists(outside, "keep"));
    remove_dir(g_steal_pointer(&outside));
}

static void test_no_link_is_followed(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *outside = temporary_dir();
    g_autofree char *link = g_build_filename(fixture->dir, "0", NULL);
    g_autoptr(GError) error = NULL;
    uint64_t files, bytes;

    write_file(outside, "7/msg/0/1-1.msg", "not ours", 8);
    assert_int_equal(symlink(outside, link), 0);
    assert_false(peer_mailbox_remove(fixture->peer, 3, 7, 100, &files, &bytes, &error));
    assert_int_equal(error_code(error), ZX_ERROR_REFUSED);
    assert_true(exists(outside, "7/msg/0/1-1.msg"));
    remove_dir(g_steal_pointer(&outside));
}

static void test_calendar_cache(void **state)
{
    Fixture *fixture = *state;
    bool seen = true;

    assert_true(peer_calcache_exists(fixture->peer, fixture->dir, 40000, &seen, NULL));
    assert_false(seen);
    write_file(fixture->dir, "8/40000/8/10.dat", "x", 1); /* (40000 >> 12) & 8 = 8 */
    write_file(fixture->dir, "0/40001/0/10.dat", "x", 1);
    assert_true(peer_calcache_exists(fixture->peer, fixture->dir, 40000, &seen, NULL));
    assert_true(seen);
    assert_true(peer_calcache_remove(fixture->peer, fixture->dir, 40000, NULL));
    assert_false(exists(fixture->dir, "8/40000"));
    assert_true(exists(fixture->dir, "0/40001"));
    assert_true(peer_calcache_remove(fixture->peer, fixture->dir, 40000, NULL));
}

static void test_probe(void **state)
{
    static const char token[] = "0123456789abcdef0123456789abcdef";
    Fixture *fixture = *state;
    bool seen = true;

    assert_true(peer_probe_seen(fixture->peer, 3, token, &seen, NULL));
    assert_false(seen);
    assert_true(peer_probe_put(fixture->peer, 3, token, NULL));
    assert_true(peer_probe_seen(fixture->peer, 3, token, &seen, NULL));
    assert_true(seen);
    assert_true(peer_probe_drop(fixture->peer, 3, token, NULL));
    assert_true(peer_probe_drop(fixture->peer, 3, token, NULL));
    assert_false(exists(fixture->dir, "zxmove.probe"));
}

static gpointer put_and_drop(gpointer data)
{
    static const char token[] = "fedcba9876543210fedcba9876543210";
    Peer *peer = data;
    unsigned good = 0;

    for (unsigned i = 0; i < 2000; i++)
        good += peer_probe_put(peer, 3, token, NULL) && peer_probe_drop(peer, 3, token, NULL);
    return GUINT_TO_POINTER(good);
}

/* The directory goes with the last probe in it, and another agent may be about to put its own. */
static void test_probes_of_two(void **state)
{
    static const char token[] = "0123456789abcdef0123456789abcdef";
    Fixture *fixture = *state;
    Peer *other = peer_open("store1.test", NULL, agent_file, 10, NULL);
    GThread *thread;

    assert_non_null(other);
    assert_true(peer_volume(other, &fixture->volume, NULL));
    thread = g_thread_new("other", put_and_drop, other);
    for (unsigned i = 0; i < 2000; i++) {
        assert_true(peer_probe_put(fixture->peer, 3, token, NULL));
        assert_true(peer_probe_drop(fixture->peer, 3, token, NULL));
    }
    assert_int_equal(GPOINTER_TO_UINT(g_thread_join(thread)), 2000);
    peer_close(other);
}

static bool note_entry(void *data, const BlobEntry *entry, GError **error G_GNUC_UNUSED)
{
    g_ptr_array_add(data,
                    g_strdup_printf("%s %u-%u %d %u", entry->path, entry->item, entry->mod_content,
                                    entry->in_place, (unsigned)entry->length));
    return true;
}

static gint by_text(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void test_blob_list(void **state)
{
    static const char *const expected[] = { "0/270-13.msg 270-13 1 5", "0/271.msg 271-0 1 1",
                                            "0/4096-1.msg 4096-1 0 1" };
    Fixture *fixture = *state;
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *link = g_build_filename(fixture->dir, "0", "7", "msg", "0", "9-9.msg", NULL);

    assert_true(peer_blob_list(fixture->peer, 3, 7, note_entry, found, NULL));
    assert_int_equal(found->len, 0);
    write_file(fixture->dir, "0/7/msg/0/270-13.msg", "hello", 5);
    write_file(fixture->dir, "0/7/msg/0/271.msg", "x", 1);
    write_file(fixture->dir, "0/7/msg/0/4096-1.msg", "x", 1); /* its directory is 1 */
    write_file(fixture->dir, "0/7/msg/0/0270-13.msg", "x", 1);
    write_file(fixture->dir, "0/7/msg/0/270-13.msg.bak", "x", 1);
    write_file(fixture->dir, "0/7/msg/0/1-99999999999.msg", "x", 1);
    assert_int_equal(symlink("270-13.msg", link), 0);
    assert_true(peer_blob_list(fixture->peer, 3, 7, note_entry, found, NULL));
    g_ptr_array_sort(found, by_text);
    assert_int_equal(found->len, G_N_ELEMENTS(expected));
    for (unsigned i = 0; i < found->len; i++)
        assert_string_equal(g_ptr_array_index(found, i), expected[i]);
}

static void test_mailboxes(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GArray) ids = NULL;
    uint32_t sum = 0;

    write_file(fixture->dir, "0/7/msg/0/270-13.msg", "hello", 5);
    write_file(fixture->dir, "1/4098/index/0/x", "x", 1);
    write_file(fixture->dir, "0/4099/msg/0/1-1.msg", "x", 1); /* not where its number puts it */
    write_file(fixture->dir, "incoming/5/x", "x", 1);
    ids = peer_mailboxes(fixture->peer, 3, NULL);
    assert_non_null(ids);
    assert_int_equal(ids->len, 2);
    for (unsigned i = 0; i < ids->len; i++)
        sum += g_array_index(ids, uint32_t, i);
    assert_int_equal(sum, 7 + 4098);
}

#define ACCOUNT "e0fafd89-1360-11d9-8661-000a95d98ef2"

/* Ends the request begun last; the code of the refusal, or 0. */
static ZxError refusal(Peer *peer)
{
    g_autoptr(GError) error = NULL;
    WireFrame frame;

    wire_finish(peer_out(peer));
    for (;;) {
        struct pollfd poller = { .fd = peer_fd(peer), .events = POLLIN };
        int got = peer_next(peer, &frame, &error);

        if (got == 1 && frame.type == AGENT_ERROR) {
            peer_refusal(peer, &frame, &error);
            return error_code(error);
        }
        if (got == 1)
            return 0;
        assert_int_equal(got, 0);
        poll(&poller, 1, 100);
        if (!peer_pump(peer, true, &error))
            return error_code(error);
    }
}

/* Asks for a file of the account's backup by name; the code of the refusal, or 0. */
static ZxError backup_refuses(Peer *peer, uint8_t type, const char *account, const char *name)
{
    peer_begin(peer, type, AGENT_OVERWRITE);
    wire_put_text(peer_out(peer), account);
    wire_put_text(peer_out(peer), name);
    if (type == AGENT_BACKUP_WRITE) {
        wire_put_u64(peer_out(peer), 0);
        wire_put_u64(peer_out(peer), 0);
    }
    return refusal(peer);
}

static void test_backup(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *link = g_build_filename(fixture->dir, "accounts/" ACCOUNT "/link", NULL);
    g_autofree char *below = g_build_filename(fixture->dir, "accounts/" ACCOUNT "/items/99", NULL);
    g_autoptr(GHashTable) files = NULL;
    const BackupFile *file;
    GError *error = NULL;
    PeerSpace space;

    assert_null(peer_backup_list(fixture->peer, ACCOUNT, &error));
    assert_int_equal(error_code(error), ZX_ERROR_NOT_FOUND); /* before its root was told */
    g_clear_error(&error);
    assert_false(peer_backup_root(fixture->peer, "relative", &error));
    g_clear_error(&error);
    assert_true(peer_backup_root(fixture->peer, fixture->dir, NULL));
    assert_true(peer_backup_space(fixture->peer, &space, NULL));
    files = peer_backup_list(fixture->peer, ACCOUNT, NULL);
    assert_int_equal(g_hash_table_size(files), 0);
    g_clear_pointer(&files, g_hash_table_unref);

    write_file(fixture->dir, "accounts/" ACCOUNT "/account_info", "info", 4);
    write_file(fixture->dir, "accounts/" ACCOUNT "/items/60/260", "item", 4);
    write_file(fixture->dir, "accounts/" ACCOUNT "/items/60/261.zxmove", "half", 4);
    write_file(fixture->dir, "accounts/another/account_info", "other", 5);
    write_file(fixture->dir, "outside", "secret", 6);
    assert_int_equal(symlink("../../outside", link), 0);
    assert_int_equal(symlink("..", below), 0);
    files = peer_backup_list(fixture->peer, ACCOUNT, NULL);
    assert_int_equal(g_hash_table_size(files), 4);
    file = g_hash_table_lookup(files, "items/60/260");
    assert_true(file->plain && file->size == 4 && file->mtime_ns > 0);
    assert_true(((BackupFile *)g_hash_table_lookup(files, "account_info"))->plain);
    assert_false(((BackupFile *)g_hash_table_lookup(files, "link"))->plain);
    assert_false(((BackupFile *)g_hash_table_lookup(files, "items/99"))->plain);
    assert_int_equal(backup_refuses(fixture->peer, AGENT_BACKUP_READ, ACCOUNT, "link"),
                     ZX_ERROR_REFUSED);
    assert_int_equal(backup_refuses(fixture->peer, AGENT_BACKUP_READ, ACCOUNT, "items/99/account_info"),
                     ZX_ERROR_REFUSED);
}

/* A name that no listing has ends the conversation. */
static void test_backup_names(void **state)
{
    static const char *const names[][2] = { { ACCOUNT, "../another/account_info" },
                                            { ACCOUNT, "items/../../x" },
                                            { ACCOUNT, "/etc/passwd" },
                                            { ACCOUNT, "" },
                                            { ACCOUNT, "a/b/c/d/e/f/g/h/i/j" },
                                            { ACCOUNT, "x.zxmove" },
                                            { "another", "account_info" },
                                            { "../../../../../../../../etc/cron.d//", "x" } };
    static const uint8_t types[] = { AGENT_BACKUP_READ, AGENT_BACKUP_WRITE };

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(names) * G_N_ELEMENTS(types); i++) {
        Fixture *own;
        void *data;

        begin(&data);
        own = data;
        assert_true(peer_backup_root(own->peer, own->dir, NULL));
        assert_int_equal(backup_refuses(own->peer, types[i % 2], names[i / 2][0], names[i / 2][1]),
                         ZX_ERROR_CONNECT);
        end(&data);
    }
}

static IndexJob index_job(Fixture *fixture, Peer *target)
{
    return (IndexJob){ .source = fixture->peer,
                       .target = target,
                       .source_volume = 3,
                       .target_volume = 3,
                       .source_mailbox = 5,
                       .target_mailbox = 4100 };
}

static void test_index(void **state)
{
    Fixture *fixture = *state, *other = NULL;
    IndexCount count;
    IndexJob job;
    struct stat a, b;
    g_autofree char *from = g_build_filename(fixture->dir, "0/5/index/0/_0.cfs", NULL);
    g_autofree char *big = g_malloc0(700000);
    bool stable;

    begin((void **)&other);
    job = index_job(fixture, other->peer);
    assert_true(index_sync(&job, 1000, &stable, NULL, &count, NULL));
    assert_true(stable && count.files == 0);

    write_file(fixture->dir, "0/5/index/0/_0.cfs", big, 700000);
    write_file(fixture->dir, "0/5/index/0/_1.fdt", "", 0);
    write_file(fixture->dir, "0/5/index/0/segments_2", "two", 3);
    write_file(fixture->dir, "0/5/index/0/segments.gen", "2", 1);
    write_file(fixture->dir, "0/5/index/0/no-index-file", "x", 1);
    write_file(other->dir, "1/4100/index/0/segments_9", "old", 3);
    assert_true(index_sync(&job, 1000, &stable, NULL, &count, NULL));
    assert_true(stable);
    assert_int_equal(count.files, 4);
    assert_int_equal(count.copied, 4);
    assert_int_equal(count.removed, 1);
    assert_int_equal(count.copied_bytes, 700004);
    assert_false(exists(other->dir, "1/4100/index/0/segments_9"));
    assert_false(exists(other->dir, "1/4100/index/0/no-index-file"));
    assert_int_equal(stat(from, &a), 0);
    g_free(from);
    from = g_build_filename(other->dir, "1/4100/index/0/_0.cfs", NULL);
    assert_int_equal(stat(from, &b), 0);
    assert_int_equal(b.st_size, 700000);
    assert_true(a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec);
    assert_int_equal(b.st_mode & 0777, 0640);

    job.window = true;
    write_file(fixture->dir, "0/5/index/0/segments_3", "three", 5);
    assert_true(index_sync(&job, 1000, &stable, NULL, &count, NULL));
    assert_true(stable && count.copied == 1 && count.files == 5);
    assert_true(index_sync(&job, 1000, &stable, NULL, &count, NULL));
    assert_true(stable && count.copied == 0);
    assert_true(peer_index_remove(other->peer, 3, 4100, NULL));
    assert_false(exists(other->dir, "1/4100/index"));
    end((void **)&other);
}

/* Claims by the clock of this host, which is the agent's, too. */
static void claim_until(Peer *peer, int64_t *until, int64_t ms_from_now)
{
    static const Wait nothing_to_renew = { 0 };

    *until = g_get_real_time() / 1000 + ms_from_now;
    peer_claimed(peer, &nothing_to_renew, until);
}

#define A_MINUTE 60000

static const char *const things[] = { "0/5/index/0/_0.cfs", "0/5/msg/0/270-13.msg", "8/40000/8/x" };

static void put_things(const Fixture *fixture)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(things); i++)
        write_file(fixture->dir, things[i], "old", 3);
}

static char *content_of(const char *dir, const char *name)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    char *text = NULL;

    g_file_get_contents(path, &text, NULL, NULL);
    return text;
}

static void assert_content(const Fixture *fixture, const char *name, const char *expected)
{
    g_autofree char *text = content_of(fixture->dir, name);

    assert_non_null(text);
    assert_string_equal(text, expected);
}

/* Links the blob of mailbox 5 into 6, removes it, or a file of the index. */
static ZxError ask_to_change(Peer *peer, uint8_t type)
{
    BlobRef ref = { .volume = 3, .mailbox = 5, .item = 270, .mod_content = 13, .size = 3 };
    g_autofree char *digest = digest_of(G_CHECKSUM_SHA256, "old", 3);

    g_strlcpy(ref.digest, digest, sizeof ref.digest);
    if (type == AGENT_BLOB_HAVE)
        ref.mailbox = 6;
    peer_begin(peer, type, AGENT_OVERWRITE);
    if (type == AGENT_INDEX_DROP) {
        wire_put_u8(peer_out(peer), 3);
        wire_put_u32(peer_out(peer), 5);
        wire_put_text(peer_out(peer), "_0.cfs");
    } else {
        blob_ref_put(peer_out(peer), &ref);
    }
    if (type == AGENT_BLOB_HAVE)
        wire_put_u32(peer_out(peer), 5);
    return refusal(peer);
}

/* What would change something and comes after the end of its claim is not done. */
static void test_too_late(void **state)
{
    static const char token[] = "0123456789abcdef0123456789abcdef";
    static const uint8_t types[] = { AGENT_BLOB_HAVE, AGENT_BLOB_UNLINK, AGENT_INDEX_DROP };
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    uint64_t files, bytes;
    int64_t until;
    bool seen;

    put_things(fixture);
    claim_until(fixture->peer, &until, -1);
    assert_false(peer_mailbox_remove(fixture->peer, 3, 5, 100, &files, &bytes, &error));
    assert_int_equal(error_code(error), ZX_ERROR_BUSY);
    g_clear_error(&error);
    assert_false(peer_index_remove(fixture->peer, 3, 5, &error));
    assert_int_equal(error_code(error), ZX_ERROR_BUSY);
    g_clear_error(&error);
    assert_false(peer_calcache_remove(fixture->peer, fixture->dir, 40000, &error));
    assert_int_equal(error_code(error), ZX_ERROR_BUSY);
    g_clear_error(&error);
    assert_false(peer_probe_put(fixture->peer, 3, token, &error));
    assert_int_equal(error_code(error), ZX_ERROR_BUSY);
    for (unsigned i = 0; i < G_N_ELEMENTS(types); i++)
        assert_int_equal(ask_to_change(fixture->peer, types[i]), ZX_ERROR_BUSY);
    for (unsigned i = 0; i < G_N_ELEMENTS(things); i++)
        assert_content(fixture, things[i], "old");
    assert_false(exists(fixture->dir, "0/6"));
    assert_false(exists(fixture->dir, "zxmove.probe"));
    /* Who only looks is answered, and who is in time may go on. */
    assert_true(peer_calcache_exists(fixture->peer, fixture->dir, 40000, &seen, NULL));
    assert_true(seen);
    claim_until(fixture->peer, &until, A_MINUTE);
    for (unsigned i = 0; i < G_N_ELEMENTS(types); i++)
        assert_int_equal(ask_to_change(fixture->peer, types[i]), 0);
    assert_true(exists(fixture->dir, "0/6"));
    assert_true(peer_mailbox_remove(fixture->peer, 3, 5, 100, &files, &bytes, NULL));
    assert_false(exists(fixture->dir, "0/5"));
}

static void renew(void *until)
{
    *(int64_t *)until = g_get_real_time() / 1000 + A_MINUTE;
}

/* The tick comes before the request, so a claim that has grown old while nobody waited is renewed.
 */
static void test_renewed_in_time(void **state)
{
    Fixture *fixture = *state;
    int64_t until = 1;
    const Wait wait = { .tick = renew, .tick_data = &until };

    put_things(fixture);
    peer_claimed(fixture->peer, &wait, &until);
    assert_true(peer_index_remove(fixture->peer, 3, 5, NULL));
    assert_false(exists(fixture->dir, "0/5/index"));
}

static void begin_file(Peer *peer, const char *content)
{
    WireOut *out = peer_out(peer);

    peer_begin(peer, AGENT_INDEX_WRITE, AGENT_OVERWRITE);
    wire_put_u8(out, 3);
    wire_put_u32(out, 5);
    wire_put_text(out, "_0.cfs");
    wire_put_u64(out, 0);
    wire_put_u64(out, strlen(content));
    wire_finish(out);
    wire_begin(out, AGENT_DATA, 0, peer_stream(peer));
    wire_put_bytes(out, content, strlen(content));
    wire_finish(out);
}

/* For the agent to have done what was asked of it so far; nothing of a file is answered before its
 * end. */
static void await_temporary(const Fixture *fixture, Peer *peer, const char *content)
{
    for (gint64 until = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
         g_get_monotonic_time() < until; g_usleep(1000)) {
        g_autofree char *text = content_of(fixture->dir, "0/5/index/0/_0.cfs.zxmove");

        assert_true(peer_pump(peer, true, NULL));
        if (g_strcmp0(text, content) == 0)
            return;
    }
    fail_msg("'%s' was not written", content);
}

static ZxError end_file(Peer *peer, const char *content)
{
    peer_begin_end(peer, peer_stream(peer));
    wire_put_u8(peer_out(peer), 1);
    wire_put_u64(peer_out(peer), strlen(content));
    wire_put_text(peer_out(peer), "");
    return refusal(peer);
}

/* A file is not put in its place when its end comes late, nor begun; what comes in time after it
 * is. */
static void test_file_too_late(void **state)
{
    Fixture *fixture = *state;
    int64_t until;

    put_things(fixture);
    claim_until(fixture->peer, &until, A_MINUTE);
    begin_file(fixture->peer, "new");
    claim_until(fixture->peer, &until, -1);
    assert_int_equal(end_file(fixture->peer, "new"), ZX_ERROR_BUSY);
    begin_file(fixture->peer, "newer");
    claim_until(fixture->peer, &until, A_MINUTE);
    assert_int_equal(end_file(fixture->peer, "newer"), ZX_ERROR_BUSY);
    assert_content(fixture, "0/5/index/0/_0.cfs", "old");
    assert_false(exists(fixture->dir, "0/5/index/0/_0.cfs.zxmove"));
    begin_file(fixture->peer, "newest");
    assert_int_equal(end_file(fixture->peer, "newest"), 0);
    assert_content(fixture, "0/5/index/0/_0.cfs", "newest");
}

/* Of two that write the same file, the one that lost the account ends nothing of the other's. */
static void test_two_writers(void **state)
{
    Fixture *fixture = *state;
    Peer *other = peer_open("store1.test", NULL, agent_file, 60, NULL);

    assert_non_null(other);
    assert_true(peer_volume(other, &fixture->volume, NULL));
    put_things(fixture);
    begin_file(other, "stale");
    await_temporary(fixture, other, "stale");
    begin_file(fixture->peer, "new");
    await_temporary(fixture, fixture->peer, "new");
    assert_int_equal(end_file(other, "stale"), ZX_ERROR_BUSY);
    assert_content(fixture, "0/5/index/0/_0.cfs", "old");
    peer_close(other);
    assert_int_equal(end_file(fixture->peer, "new"), 0);
    assert_content(fixture, "0/5/index/0/_0.cfs", "new");
}

/* Everything the agent may be sent by mistake or malice is refused, and ends the conversation. */
static void test_garbage(void **state)
{
    static const uint8_t pieces[][24] = {
        { 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 1 },                          /* an endless frame */
        { 0, 0, 0, 0, 200, 0, 0, 1 },                                    /* an unknown request */
        { 0, 0, 0, 9, AGENT_SPACE, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 3 }, /* fine; too long: */
        { 0, 0, 0, 10, AGENT_SPACE, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3 },
        { 0, 0, 0, 7, AGENT_SPACE, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3 }, /* until when is cut short */
        { 0, 0, 0, 0, AGENT_DATA, 0, 0, 1 },                       /* content of no file */
        { 0, 0, 0, 0, AGENT_BLOB_WRITE, 0, 0, 1 },                 /* cut short */
        { 0, 0, 0, 0, 0, 0, 0, 1 },
    };
    static const size_t lengths[] = { 8, 8, 17, 18, 15, 8, 8, 8 };

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(lengths); i++) {
        GError *error = NULL;
        Peer *peer = peer_open("store1.test", NULL, agent_file, 60, &error);
        struct pollfd poller;
        WireFrame frame;
        int got = 0;

        assert_non_null(peer);
        wire_put_bytes(peer_out(peer), pieces[i], lengths[i]);
        poller = (struct pollfd){ .fd = peer_fd(peer), .events = POLLIN };
        while (got == 0 && peer_pump(peer, true, &error)) {
            got = peer_next(peer, &frame, &error);
            if (got == 0)
                assert_true(poll(&poller, 1, 60000) >= 0);
            else if (got == 1)
                assert_int_equal(frame.type, AGENT_ERROR);
        }
        g_clear_error(&error);
        peer_close(peer);
    }
}

static void test_random_garbage(void **state)
{
    GRand *random = g_rand_new_with_seed(4711);

    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        Peer *peer = peer_open("store1.test", NULL, agent_file, 60, NULL);
        struct pollfd poller;
        GError *error = NULL;
        WireFrame frame;

        assert_non_null(peer);
        poller = (struct pollfd){ .fd = peer_fd(peer), .events = POLLIN };
        for (unsigned request = 0; request < 20; request++) {
            unsigned length = (unsigned)g_rand_int_range(random, 0, 60);
            unsigned type = (unsigned)g_rand_int_range(random, 0, AGENT_REQUESTS + 2);

            /* Any request but those that take a path. */
            if (type == AGENT_FACTS || type == AGENT_VOLUME || type == AGENT_SPACE_PATH ||
                type == AGENT_CALCACHE_REMOVE || type == AGENT_CALCACHE_SEEN)
                continue;
            peer_begin(peer, (uint8_t)type, (uint8_t)g_rand_int_range(random, 0, 32));
            while (length-- > 0)
                wire_put_u8(peer_out(peer), (uint8_t)g_rand_int_range(random, 0, 256));
            wire_finish(peer_out(peer));
        }
        shutdown(peer_fd(peer), SHUT_RD);
        while (peer_pump(peer, true, &error))
            while (peer_next(peer, &frame, NULL) == 1)
                assert_true(poll(&poller, 1, 60000) >= 0);
        assert_int_equal(error_code(error), ZX_ERROR_CONNECT);
        g_clear_error(&error);
        peer_close(peer);
    }
    g_rand_free(random);
}

static void test_broken_for_ever(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) first = NULL, second = NULL;

    peer_break(fixture->peer, NULL, "by the test");
    assert_false(peer_syncfs(fixture->peer, 3, &first));
    assert_int_equal(error_code(first), ZX_ERROR_CONNECT);
    assert_false(peer_syncfs(fixture->peer, 3, &second));
    assert_non_null(strstr(second->message, "by the test"));
}

static void test_wrong_programs(void **state)
{
    static const char *const files[] = { "/bin/true", "/nonexistent", "/bin/cat" };

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autoptr(GError) error = NULL;

        assert_null(peer_open("store1.test", NULL, files[i], 1, &error));
        assert_non_null(strstr(error->message, i == 1 ? "/nonexistent" : "store1.test"));
        assert_true(error_code(error) == ZX_ERROR_CONNECT || error_code(error) == ZX_ERROR_TIMEOUT);
    }
}

/* Who spawns goes on as soon as the child has let go of its memory, before the child has its arguments. */
static void wait_for_arguments(GPid child)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/cmdline", (int)child);
    gsize length = 0;

    for (gint64 until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
         length == 0 && g_get_monotonic_time() < until; g_usleep(1000)) {
        g_autofree char *text = NULL;

        assert_true(g_file_get_contents(path, &text, &length, NULL));
    }
}

/* The zone of the running mailboxd of this home counts, under one name for each zone. */
static void test_time_zone(void **state)
{
    Fixture *fixture = *state;
    char *argv[] = { (char[]){ "/bin/sh" },
                     (char[]){ "-c" },
                     (char[]){ "read end" },
                     (char[]){ "mailboxd" },
                     NULL,
                     (char[]){ "-Duser.timezone=Asia/Tokyo" },
                     NULL };
    g_autoptr(GHashTable) facts = NULL;
    int to_child;
    GPid child;

    write_file(fixture->dir, "conf/localconfig.xml", "<localconfig/>", 14);
    argv[4] = fixture->dir;
    assert_true(g_spawn_async_with_pipes(NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL,
                                         &child, &to_child, NULL, NULL, NULL));
    wait_for_arguments(child);
    facts = peer_facts(fixture->peer, fixture->dir, false, NULL);
    close(to_child);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_non_null(facts);
    assert_string_equal(g_hash_table_lookup(facts, "timezone"), "Asia/Tokyo");
}

static void test_silence(void **state)
{
    enum { TIMEOUT_S = 3 }; /* in which a greeting comes, on a busy machine too */
    static const char *const answers[] = {
        "exec sleep 60",
        /* ALIVE five times a second is an answer for some time, but not for ever. */
        "i=0; while [ $i -lt 20 ]; do printf '\\0\\0\\0\\0\\142\\0\\0\\0'; sleep 0.2; i=$((i+1)); "
        "done; exec sleep 60",
    };
    g_autofree char *dir = temporary_dir();
    g_autofree char *path = g_build_filename(dir, "agent", NULL);

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(answers); i++) {
        g_autofree char *script = g_strdup_printf("#!/bin/sh\necho " AGENT_GREETING " %s %d\n%s\n",
                                                  ZX_VERSION, AGENT_PROTOCOL, answers[i]);
        g_autoptr(GError) error = NULL;
        gint64 begun;
        Peer *peer;

        write_file(dir, "agent", script, strlen(script));
        assert_int_equal(chmod(path, 0700), 0);
        peer = peer_open("store1.test", NULL, path, TIMEOUT_S, NULL);
        assert_non_null(peer);
        begun = g_get_monotonic_time();
        assert_false(peer_syncfs(peer, 3, &error));
        assert_int_equal(error_code(error), ZX_ERROR_TIMEOUT);
        assert_true(g_get_monotonic_time() - begun > (TIMEOUT_S + (int)i) * G_USEC_PER_SEC);
        peer_close(peer);
    }
    remove_dir(g_steal_pointer(&dir));
}

static void test_noise_before_the_greeting(void **state)
{
    g_autofree char *dir = temporary_dir();
    g_autofree char *real = realpath(agent_file, NULL);
    g_autofree char *noisy =
        g_strdup_printf("#!/bin/sh\necho Welcome; echo ZXA; exec '%s'\n", real);
    g_autofree char *loud = g_strdup_printf("#!/bin/sh\ni=0; while [ $i -lt 500 ]; do echo welcome "
                                            "dear user; i=$((i+1)); done; exec '%s'\n",
                                            real);
    g_autofree char *path = g_build_filename(dir, "agent", NULL);
    g_autoptr(GError) error = NULL;
    Peer *peer;

    (void)state;
    write_file(dir, "agent", noisy, strlen(noisy));
    assert_int_equal(chmod(path, 0700), 0);
    peer = peer_open("store1.test", NULL, path, 60, &error);
    assert_non_null(peer);
    peer_close(peer);
    write_file(dir, "agent", loud, strlen(loud));
    assert_int_equal(chmod(path, 0700), 0);
    assert_null(peer_open("store1.test", NULL, path, 60, &error));
    assert_non_null(strstr(error->message, "welcome dear user"));
    remove_dir(g_steal_pointer(&dir));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_facts, begin, end),
        cmocka_unit_test_setup_teardown(test_facts_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_space, begin, end),
        cmocka_unit_test_setup_teardown(test_usage_and_remove, begin, end),
        cmocka_unit_test_setup_teardown(test_no_link_is_followed, begin, end),
        cmocka_unit_test_setup_teardown(test_calendar_cache, begin, end),
        cmocka_unit_test_setup_teardown(test_probe, begin, end),
        cmocka_unit_test_setup_teardown(test_probes_of_two, begin, end),
        cmocka_unit_test_setup_teardown(test_blob_list, begin, end),
        cmocka_unit_test_setup_teardown(test_mailboxes, begin, end),
        cmocka_unit_test_setup_teardown(test_index, begin, end),
        cmocka_unit_test_setup_teardown(test_backup, begin, end),
        cmocka_unit_test(test_backup_names),
        cmocka_unit_test_setup_teardown(test_too_late, begin, end),
        cmocka_unit_test_setup_teardown(test_renewed_in_time, begin, end),
        cmocka_unit_test_setup_teardown(test_file_too_late, begin, end),
        cmocka_unit_test_setup_teardown(test_two_writers, begin, end),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_random_garbage),
        cmocka_unit_test_setup_teardown(test_broken_for_ever, begin, end),
        cmocka_unit_test(test_wrong_programs),
        cmocka_unit_test_setup_teardown(test_time_zone, begin, end),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_noise_before_the_greeting),
    };
    int failed;

    (void)argc;
    agent_file = agent_path(argv[0]);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    g_free(agent_file);
    return failed;
}
