/* board.c - see board.h. */
#include "core/ops/board.h"
#include "core/fields.h"
#include <string.h>

/* A mailbox in flight, as its last events showed it. */
typedef struct Aloft {
    char *account, *state, *cause, *part, *held_up;
    unsigned index;
    uint64_t done, expected, done_bytes, expected_bytes, size;
    uint64_t there; /* of its size, what is at the destination; never falls */
} Aloft;

struct Board {
    GMutex mutex;
    uint64_t serial; /* of the last change */
    unsigned mailboxes, done, failed;
    uint64_t bytes, bytes_done;
    GPtrArray *aloft; /* of Aloft */
};

static void aloft_free(Aloft *aloft)
{
    g_free(aloft->account);
    g_free(aloft->state);
    g_free(aloft->cause);
    g_free(aloft->part);
    g_free(aloft->held_up);
    g_free(aloft);
}

Board *board_new(void)
{
    Board *board = g_new0(Board, 1);

    g_mutex_init(&board->mutex);
    board->aloft = g_ptr_array_new_with_free_func((GDestroyNotify)aloft_free);
    return board;
}

void board_free(Board *board)
{
    if (board == NULL)
        return;
    g_ptr_array_unref(board->aloft);
    g_mutex_clear(&board->mutex);
    g_free(board);
}

static void set_text(char **text, const char *to)
{
    g_free(*text);
    *text = to != NULL ? g_utf8_make_valid(to, -1) : NULL;
}

/* Of @account; made when it is first heard of. */
static Aloft *aloft_of(Board *board, const char *account)
{
    Aloft *aloft;

    for (guint i = 0; i < board->aloft->len; i++) {
        aloft = g_ptr_array_index(board->aloft, i);
        if (strcmp(aloft->account, account) == 0)
            return aloft;
    }
    aloft = g_new0(Aloft, 1);
    aloft->account = g_strdup(account);
    g_ptr_array_add(board->aloft, aloft);
    return aloft;
}

static void take_state(Board *board, const Event *event)
{
    Aloft *aloft = aloft_of(board, event->account);

    set_text(&aloft->state, event->text);
    set_text(&aloft->cause, event->cause);
    set_text(&aloft->part, NULL);
    set_text(&aloft->held_up, NULL);
    aloft->index = event->index;
    aloft->done = aloft->expected = aloft->done_bytes = aloft->expected_bytes = 0;
    if (event->mailbox_bytes != 0)
        aloft->size = event->mailbox_bytes;
}

/* Rows come after all blobs, and are counted, not measured. */
static uint64_t part_of(uint64_t size, const Event *event)
{
    if (event->expected_bytes == 0)
        return size;
    return (uint64_t)((double)size * (double)MIN(event->done_bytes, event->expected_bytes) /
                      (double)event->expected_bytes);
}

static void take_progress(Board *board, const Event *event)
{
    Aloft *aloft = aloft_of(board, event->account);

    if (g_strcmp0(aloft->part, event->text) != 0)
        set_text(&aloft->part, event->text);
    if (g_strcmp0(aloft->held_up, event->cause) != 0)
        set_text(&aloft->held_up, event->cause);
    aloft->index = event->index;
    aloft->done = event->done;
    aloft->expected = event->expected;
    aloft->done_bytes = event->done_bytes;
    aloft->expected_bytes = event->expected_bytes;
    aloft->there = MAX(aloft->there, part_of(aloft->size, event));
}

static void take_end(Board *board, const Event *event)
{
    board->done++;
    board->failed += event->result != NULL && mailbox_is_bad(event->result);
    board->bytes_done += event->mailbox_bytes;
    for (guint i = 0; i < board->aloft->len; i++)
        if (strcmp(((Aloft *)g_ptr_array_index(board->aloft, i))->account, event->account) == 0) {
            g_ptr_array_remove_index(board->aloft, i);
            break;
        }
}

void board_take(Board *board, const Event *event)
{
    g_mutex_lock(&board->mutex);
    board->serial++;
    switch (event->type) {
    case EVENT_SELECTED:
        board->mailboxes = event->total;
        board->bytes = event->expected_bytes;
        break;
    case EVENT_STATE:
        if (event->account != NULL)
            take_state(board, event);
        break;
    case EVENT_PROGRESS:
        take_progress(board, event);
        break;
    case EVENT_MAILBOX_DONE:
        take_end(board, event);
        break;
    case EVENT_NOTE:
        break;
    }
    g_mutex_unlock(&board->mutex);
}

static json_t *aloft_value(const Aloft *aloft)
{
    return json_pack("{s:s, s:i, s:s?, s:s?, s:s?, s:s?, s:I, s:I, s:I, s:I, s:I, s:I}", "account",
                     aloft->account, "index", (int)aloft->index, "state", aloft->state, "cause",
                     aloft->cause, "part", aloft->part, "held_up", aloft->held_up, "done",
                     (json_int_t)aloft->done, "expected", (json_int_t)aloft->expected, "done_bytes",
                     (json_int_t)aloft->done_bytes, "expected_bytes",
                     (json_int_t)aloft->expected_bytes, "size", (json_int_t)aloft->size, "there",
                     (json_int_t)aloft->there);
}

char *board_text(Board *board, uint64_t *seen)
{
    json_t *object, *list;

    g_mutex_lock(&board->mutex);
    if (board->serial == *seen) {
        g_mutex_unlock(&board->mutex);
        return NULL;
    }
    *seen = board->serial;
    list = json_array();
    for (guint i = 0; i < board->aloft->len; i++)
        json_array_append_new(list, aloft_value(g_ptr_array_index(board->aloft, i)));
    object = json_pack("{s:i, s:i, s:i, s:I, s:I, s:o}", "mailboxes", (int)board->mailboxes, "done",
                       (int)board->done, "failed", (int)board->failed, "bytes",
                       (json_int_t)board->bytes, "bytes_done", (json_int_t)board->bytes_done,
                       "aloft", list);
    g_mutex_unlock(&board->mutex);
    return json_line(object);
}

static uint64_t number(const json_t *object, const char *key)
{
    return (uint64_t)MAX(json_integer_value(json_object_get(object, key)), 0);
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static BoardSum sum_of(const json_t *object)
{
    return (BoardSum){ .mailboxes = (unsigned)number(object, "mailboxes"),
                       .done = (unsigned)number(object, "done"),
                       .failed = (unsigned)number(object, "failed"),
                       .bytes = number(object, "bytes"),
                       .bytes_done = number(object, "bytes_done") };
}

BoardSum board_sum(const char *text)
{
    json_t *object = text != NULL ? json_loads(text, 0, NULL) : NULL, *item;
    BoardSum sum = sum_of(object);
    size_t i;

    json_array_foreach(json_object_get(object, "aloft"), i, item)
    {
        const char *held_up = text_of(item, "held_up");

        sum.bytes_done += number(item, "there");
        if (sum.held_up == NULL)
            sum.held_up = g_strdup(held_up);
    }
    json_decref(object);
    return sum;
}

/* True the first time, and whenever @what is another than it was. */
static bool is_news(GHashTable *told, const char *about, const char *what)
{
    if (g_strcmp0(g_hash_table_lookup(told, about), what) == 0)
        return false;
    g_hash_table_insert(told, g_strdup(about), g_strdup(what));
    return true;
}

static void tell_aloft(const json_t *item, const char *operation, unsigned total, GHashTable *told,
                       EventSink *sink, void *data)
{
    Event event = { .type = EVENT_STATE,
                    .operation = operation,
                    .account = text_of(item, "account"),
                    .text = text_of(item, "state"),
                    .cause = text_of(item, "cause"),
                    .index = (unsigned)number(item, "index"),
                    .total = total,
                    .mailbox_bytes = number(item, "size") };
    g_autofree char *state =
        g_strconcat(event.text != NULL ? event.text : "", "\n", event.cause, NULL);

    if (event.account == NULL || event.text == NULL)
        return;
    if (is_news(told, event.account, state))
        sink(data, &event);
    event.text = text_of(item, "part");
    if (event.text == NULL)
        return;
    event.type = EVENT_PROGRESS;
    event.cause = text_of(item, "held_up");
    event.done = number(item, "done");
    event.expected = number(item, "expected");
    event.done_bytes = number(item, "done_bytes");
    event.expected_bytes = number(item, "expected_bytes");
    sink(data, &event);
}

void board_tell(const char *text, const char *operation, GHashTable *told, EventSink *sink,
                void *data)
{
    json_t *object = text != NULL ? json_loads(text, 0, NULL) : NULL, *item;
    BoardSum sum = sum_of(object);
    size_t i;

    if (sum.mailboxes != 0 && is_news(told, "", "selected"))
        sink(data, &(Event){ .type = EVENT_SELECTED,
                             .operation = operation,
                             .total = sum.mailboxes,
                             .expected_bytes = sum.bytes });
    json_array_foreach(json_object_get(object, "aloft"), i, item)
        tell_aloft(item, operation, sum.mailboxes, told, sink, data);
    json_decref(object);
}
