/* index.c - see index.h. A segment is two files: _x.cfs lists its items (four bytes each,
 * big-endian), _x.fdt holds as much text as a small message has. */
#include "tests/mailboxd/index.h"
#include "tests/mailboxd/blob.h"
#include "tests/mailboxd/config.h"
#include <arpa/inet.h>
#include <glib/gstdio.h>
#include <string.h>

enum { MERGE_AT = 5, TEXT_PER_ITEM = 160, NAME_BASE = 36 };

struct IndexState {
    int refs; /* the mailbox's, and a running merge's */
    GMutex mutex;
    GCond stop_cond;
    char *dir;
    bool opened, corrupt, merging, stopped;
    GPtrArray *segments; /* names such as "_3" */
    uint64_t next_segment, generation;
};

static GMutex merges_mutex;
static GCond merges_done;
static unsigned merges;
static bool shutting_down;

IndexState *index_new(char *dir)
{
    IndexState *index = g_new0(IndexState, 1);

    index->refs = 1;
    index->dir = dir;
    index->segments = g_ptr_array_new_with_free_func(g_free);
    g_mutex_init(&index->mutex);
    g_cond_init(&index->stop_cond);
    return index;
}

void index_free(IndexState *index)
{
    if (!g_atomic_int_dec_and_test(&index->refs))
        return;
    g_mutex_clear(&index->mutex);
    g_cond_clear(&index->stop_cond);
    g_ptr_array_unref(index->segments);
    g_free(index->dir);
    g_free(index);
}

static char *base36(uint64_t value)
{
    char text[16] = { 0 };
    int at = sizeof text - 1;

    do
        text[--at] = "0123456789abcdefghijklmnopqrstuvwxyz"[value % NAME_BASE];
    while ((value /= NAME_BASE) > 0);
    return g_strdup(text + at);
}

static char *file_of(const IndexState *index, const char *name, const char *suffix)
{
    return g_strconcat(index->dir, "/", name, suffix, NULL);
}

static void read_segments(IndexState *index)
{
    g_autofree char *generation = base36(index->generation);
    g_autofree char *path = file_of(index, "segments_", generation);
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        index->corrupt = true;
        return;
    }
    g_auto(GStrv) names = g_strsplit(text, "\n", -1);
    for (char **name = names; *name != NULL; name++) {
        if (**name != '_')
            continue;
        g_autofree char *cfs = file_of(index, *name, ".cfs");
        index->corrupt |= !g_file_test(cfs, G_FILE_TEST_EXISTS);
        g_ptr_array_add(index->segments, g_strdup(*name));
    }
}

/* Newest segments_N wins; files without any are a corrupt index, no files an empty one. */
static void open_index(IndexState *index)
{
    GDir *dir = g_dir_open(index->dir, 0, NULL);
    const char *name;
    bool any = false;

    index->opened = true;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        any = true;
        if (g_str_has_prefix(name, "segments_"))
            index->generation = MAX(index->generation,
                                    g_ascii_strtoull(name + strlen("segments_"), NULL, NAME_BASE));
        else if (*name == '_')
            index->next_segment =
                MAX(index->next_segment, g_ascii_strtoull(name + 1, NULL, NAME_BASE) + 1);
    }
    g_clear_pointer(&dir, g_dir_close);
    if (index->generation > 0)
        read_segments(index);
    else
        index->corrupt = any;
}

static bool ready(IndexState *index, GError **error)
{
    if (index->dir == NULL || index->stopped)
        return fault(error, FAULT_FAILURE, "the index has no volume or is closed");
    if (!index->opened)
        open_index(index);
    if (index->corrupt)
        return fault(error, FAULT_FAILURE, "corrupt index: %s", index->dir);
    return true;
}

static bool write_commit(IndexState *index, GError **error)
{
    g_autoptr(GString) list = g_string_new("lucene stand-in\n");
    g_autofree char *old = base36(index->generation);
    g_autofree char *new = base36(index->generation + 1);
    g_autofree char *old_path = file_of(index, "segments_", old);
    g_autofree char *new_path = file_of(index, "segments_", new);
    g_autofree char *gen_path = file_of(index, "segments.gen", "");

    for (guint i = 0; i < index->segments->len; i++)
        g_string_append_printf(list, "%s\n", (char *)index->segments->pdata[i]);
    if (!file_write(new_path, list->str, list->len, error) ||
        !file_write(gen_path, new, strlen(new), error))
        return false;
    if (index->generation > 0)
        g_unlink(old_path);
    index->generation++;
    return true;
}

/* Under a name not used before. @out is the name. */
static bool write_segment(IndexState *index, const GArray *items, char **out, GError **error)
{
    g_autofree char *number = base36(index->next_segment++);
    g_autofree char *name = g_strconcat("_", number, NULL);
    g_autofree char *cfs = file_of(index, name, ".cfs");
    g_autofree char *fdt = file_of(index, name, ".fdt");
    g_autoptr(GString) list = g_string_new(NULL);
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < items->len; i++) {
        unsigned item = g_array_index(items, unsigned, i);
        uint32_t wire = htonl(item);
        g_string_append_len(list, (const char *)&wire, sizeof wire);
        for (unsigned n = 0; n < TEXT_PER_ITEM; n++)
            g_string_append_c(text, (char)('a' + (item * 31 + n * n) % 26));
    }
    if (!file_write(fdt, text->str, text->len, error) ||
        !file_write(cfs, list->str, list->len, error))
        return false;
    *out = g_steal_pointer(&name);
    return true;
}

static void read_items(const IndexState *index, const char *name, GArray *items)
{
    g_autofree char *cfs = file_of(index, name, ".cfs");
    g_autofree char *bytes = NULL;
    gsize length = 0;

    g_file_get_contents(cfs, &bytes, &length, NULL);
    for (gsize at = 0; at + 4 <= length; at += 4) {
        uint32_t wire;
        memcpy(&wire, bytes + at, sizeof wire);
        unsigned item = ntohl(wire);
        g_array_append_val(items, item);
    }
}

static void drop_files(const IndexState *index, const char *name)
{
    g_autofree char *cfs = file_of(index, name, ".cfs");
    g_autofree char *fdt = file_of(index, name, ".fdt");

    g_unlink(cfs);
    g_unlink(fdt);
}

/* The first @count segments become one; what was committed meanwhile stays beside it. */
static void merge_segments(IndexState *index, guint count)
{
    g_autoptr(GArray) items = g_array_new(FALSE, FALSE, sizeof(unsigned));
    g_autoptr(GPtrArray) old = g_ptr_array_new_with_free_func(g_free);
    char *merged = NULL;

    for (guint i = 0; i < count; i++)
        read_items(index, index->segments->pdata[i], items);
    if (!write_segment(index, items, &merged, NULL))
        return;
    for (guint i = 0; i < count; i++)
        g_ptr_array_add(old, g_strdup(index->segments->pdata[i]));
    g_ptr_array_remove_range(index->segments, 0, count);
    g_ptr_array_insert(index->segments, 0, merged);
    if (!write_commit(index, NULL))
        return;
    for (guint i = 0; i < count; i++)
        drop_files(index, old->pdata[i]);
}

static gpointer merge_thread(gpointer data)
{
    IndexState *index = data;
    gint64 until = g_get_monotonic_time() + (gint64)config->index_merge_ms * 1000;

    g_mutex_lock(&index->mutex);
    guint count = index->segments->len;
    while (!index->stopped && g_cond_wait_until(&index->stop_cond, &index->mutex, until))
        continue;
    if (!index->stopped && count <= index->segments->len)
        merge_segments(index, count);
    index->merging = false;
    g_cond_broadcast(&index->stop_cond);
    g_mutex_unlock(&index->mutex);
    index_free(index);

    g_mutex_lock(&merges_mutex);
    merges--;
    g_cond_broadcast(&merges_done);
    g_mutex_unlock(&merges_mutex);
    return NULL;
}

static void start_merge(IndexState *index)
{
    g_mutex_lock(&merges_mutex);
    bool start = !shutting_down;
    merges += start;
    g_mutex_unlock(&merges_mutex);
    if (!start)
        return;
    index->merging = true;
    g_atomic_int_inc(&index->refs);
    g_thread_unref(g_thread_new("merge", merge_thread, index));
}

bool index_merges(IndexState *index)
{
    g_mutex_lock(&index->mutex);
    bool merges_now = index->merging;
    g_mutex_unlock(&index->mutex);
    return merges_now;
}

bool index_add(IndexState *index, const GArray *items, GError **error)
{
    char *name = NULL;

    g_mutex_lock(&index->mutex);
    bool done = ready(index, error) && write_segment(index, items, &name, error);
    if (done) {
        g_ptr_array_add(index->segments, name);
        done = write_commit(index, error);
    }
    if (done && !index->merging && index->segments->len >= MERGE_AT)
        start_merge(index);
    g_mutex_unlock(&index->mutex);
    return done;
}

bool index_find(IndexState *index, unsigned item, bool *found, GError **error)
{
    g_autoptr(GArray) items = g_array_new(FALSE, FALSE, sizeof(unsigned));

    g_mutex_lock(&index->mutex);
    bool done = ready(index, error);
    for (guint i = 0; done && i < index->segments->len; i++)
        read_items(index, index->segments->pdata[i], items);
    g_mutex_unlock(&index->mutex);
    *found = false;
    for (guint i = 0; i < items->len; i++)
        *found |= g_array_index(items, unsigned, i) == item;
    return done;
}

bool index_delete(IndexState *index, GError **error)
{
    g_mutex_lock(&index->mutex);
    bool done = index->dir != NULL && !index->stopped;
    if (done) {
        remove_tree(index->dir);
        g_ptr_array_set_size(index->segments, 0);
        index->generation = 0;
        index->opened = true;
        index->corrupt = false;
    } else {
        fault(error, FAULT_FAILURE, "the index has no volume or is closed");
    }
    g_mutex_unlock(&index->mutex);
    return done;
}

void index_stop(IndexState *index)
{
    g_mutex_lock(&index->mutex);
    index->stopped = true;
    g_cond_broadcast(&index->stop_cond);
    while (index->merging)
        g_cond_wait(&index->stop_cond, &index->mutex);
    g_mutex_unlock(&index->mutex);
}

void index_shutdown(void)
{
    g_mutex_lock(&merges_mutex);
    shutting_down = true;
    while (merges > 0)
        g_cond_wait(&merges_done, &merges_mutex);
    g_mutex_unlock(&merges_mutex);
}
