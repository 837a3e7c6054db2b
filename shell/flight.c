/* flight.c - see progress.h. The share of an operation that is done is measured in the sizes the
 * mailboxes have by their rows, not in bytes that went over the wire: what was copied ahead counts
 * as soon as it is known to be there. */
#include "shell/progress.h"
#include "shell/shell.h"
#include <string.h>

/* A sample in each: together they look back on some six seconds. */
#define RATE_STEP_US    (G_USEC_PER_SEC / 2)
#define MEANS_SOMETHING 0.01 /* of the whole: less is a guess */

static void mailbox_free(void *data)
{
    FlightMailbox *mailbox = data;

    g_free(mailbox->account);
    g_free(mailbox->state);
    g_free(mailbox->cause);
    g_free(mailbox->part);
    g_free(mailbox->held_up);
    g_free(mailbox);
}

void flight_begin(Flight *flight)
{
    flight_clear(flight);
    flight->aloft = g_ptr_array_new_with_free_func(mailbox_free);
}

void flight_clear(Flight *flight)
{
    g_free(flight->operation);
    g_clear_pointer(&flight->aloft, g_ptr_array_unref);
    memset(flight, 0, sizeof *flight);
}

static void rate_add(Rate *rate, uint64_t bytes, int64_t now)
{
    unsigned last = (rate->next + RATE_SAMPLES - 1) % RATE_SAMPLES;

    rate->total += bytes;
    if (rate->count > 0 && now - rate->at[last] < RATE_STEP_US)
        return;
    rate->at[rate->next] = now;
    rate->bytes[rate->next] = rate->total;
    rate->next = (rate->next + 1) % RATE_SAMPLES;
    rate->count = MIN(rate->count + 1, RATE_SAMPLES);
}

double rate_now(const Rate *rate, int64_t now)
{
    unsigned first = rate->count < RATE_SAMPLES ? 0 : rate->next;
    int64_t took = rate->count > 0 ? now - rate->at[first] : 0;

    if (took < G_USEC_PER_SEC)
        return -1;
    return (double)(rate->total - rate->bytes[first]) * G_USEC_PER_SEC / (double)took;
}

/* For one line of a terminal, wherever it came from. */
static char *plain(const char *text)
{
    char *line = render_plain(text);

    return g_strdelimit(line, "\n", ' ');
}

static FlightMailbox *find(const Flight *flight, const char *account, guint *at)
{
    for (*at = 0; *at < flight->aloft->len; ++*at) {
        FlightMailbox *mailbox = g_ptr_array_index(flight->aloft, *at);

        if (strcmp(mailbox->account, account) == 0)
            return mailbox;
    }
    return NULL;
}

/* The mailbox of @event; the first event of one puts it in its place. */
static FlightMailbox *mailbox_of(Flight *flight, const Event *event)
{
    g_autofree char *account = plain(event->account);
    guint at;
    FlightMailbox *mailbox = find(flight, account, &at);

    if (mailbox != NULL)
        return mailbox;
    mailbox = g_new0(FlightMailbox, 1);
    mailbox->account = g_steal_pointer(&account);
    mailbox->index = event->index;
    for (at = 0; at < flight->aloft->len; at++)
        if (((FlightMailbox *)g_ptr_array_index(flight->aloft, at))->index > event->index)
            break;
    g_ptr_array_insert(flight->aloft, (gint)at, mailbox);
    return mailbox;
}

static void set_text(char **text, const char *to)
{
    g_free(*text);
    *text = to != NULL ? plain(to) : NULL;
}

static void take_state(Flight *flight, const Event *event)
{
    FlightMailbox *mailbox = mailbox_of(flight, event);

    set_text(&mailbox->state, event->text);
    set_text(&mailbox->cause, event->cause);
    set_text(&mailbox->part, NULL);
    set_text(&mailbox->held_up, NULL);
    mailbox->items = mailbox->items_expected = mailbox->bytes = mailbox->bytes_expected = 0;
    mailbox->in_bytes = false;
    if (event->mailbox_bytes != 0)
        mailbox->size = event->mailbox_bytes;
}

static void take_progress(Flight *flight, const Event *event, int64_t now)
{
    FlightMailbox *mailbox = mailbox_of(flight, event);
    bool counts_bytes = event->expected_bytes > 0 || event->done_bytes > 0;
    bool anew = event->done_bytes < mailbox->bytes;
    uint64_t more;

    set_text(&mailbox->part, event->text);
    set_text(&mailbox->held_up, event->cause);
    mailbox->items = event->done;
    mailbox->items_expected = event->expected;
    /* Rows come after all blobs, which may have been there before, and may be fewer bytes on the
     * disk than their rows say. */
    if (!counts_bytes) {
        mailbox->bytes_expected = mailbox->bytes;
        mailbox->share = 1;
    }
    mailbox->in_bytes = counts_bytes;
    if (!counts_bytes)
        return;
    /* What was done before one began to watch has no pace. */
    more = mailbox->rate.count == 0 ? 0 : event->done_bytes - (anew ? 0 : mailbox->bytes);
    if (mailbox->bytes == 0 || anew) {
        rate_add(&mailbox->rate, 0, now);
        rate_add(&flight->rate, 0, now);
    }
    rate_add(&mailbox->rate, more, now);
    rate_add(&flight->rate, more, now);
    mailbox->bytes = event->done_bytes;
    mailbox->bytes_expected = event->expected_bytes;
    mailbox->share = MAX(mailbox->share, flight_mailbox_share(mailbox));
}

static bool went_wrong(const MailboxResult *result)
{
    return result->outcome == OUTCOME_FAILED || result->outcome == OUTCOME_IN_DOUBT ||
           result->outcome == OUTCOME_KEPT;
}

static void take_end(Flight *flight, const Event *event)
{
    g_autofree char *account = plain(event->account);
    guint at;

    flight->done++;
    flight->failed += event->result != NULL && went_wrong(event->result);
    flight->done_size += event->mailbox_bytes;
    if (find(flight, account, &at) != NULL)
        g_ptr_array_remove_index(flight->aloft, at);
}

void flight_take(Flight *flight, const Event *event, int64_t now)
{
    if (flight->operation == NULL) {
        flight->operation = g_strdup(event->operation != NULL ? event->operation : "");
        flight->begun = now;
    }
    switch (event->type) {
    case EVENT_SELECTED:
        flight->mailboxes = event->total;
        flight->size = event->expected_bytes;
        break;
    case EVENT_STATE:
        if (event->account != NULL) /* of the operation itself a note tells more */
            take_state(flight, event);
        break;
    case EVENT_PROGRESS:
        take_progress(flight, event, now);
        break;
    case EVENT_NOTE:
        break;
    case EVENT_MAILBOX_DONE:
        take_end(flight, event);
        break;
    }
}

char *flight_waits_for(const Flight *flight)
{
    GString *out = g_string_new(NULL);

    for (guint i = 0; flight->aloft != NULL && i < flight->aloft->len; i++) {
        const FlightMailbox *mailbox = g_ptr_array_index(flight->aloft, i);

        g_string_append_printf(out, "%s%s of %s", i > 0 ? ", " : "",
                               mailbox->state != NULL ? mailbox->state : "copy", mailbox->account);
    }
    if (out->len == 0)
        g_string_append(out, "an answer");
    return g_string_free(out, FALSE);
}

double flight_mailbox_share(const FlightMailbox *mailbox)
{
    if (mailbox->bytes_expected == 0)
        return mailbox->share >= 1 ? 1 : -1;
    return MIN((double)mailbox->bytes / (double)mailbox->bytes_expected, 1);
}

double flight_share(const Flight *flight)
{
    double done = (double)flight->done_size;

    if (flight->size == 0)
        return -1;
    for (guint i = 0; i < flight->aloft->len; i++) {
        const FlightMailbox *mailbox = g_ptr_array_index(flight->aloft, i);

        done += mailbox->share * (double)mailbox->size;
    }
    return MIN(done / (double)flight->size, 1);
}

/* At the pace of @share in @took us. */
static double left(double share, int64_t took)
{
    if (share < MEANS_SOMETHING || took < G_USEC_PER_SEC)
        return -1;
    return (double)took / G_USEC_PER_SEC * (1 - share) / share;
}

double flight_left(const Flight *flight, int64_t now)
{
    return left(flight_share(flight), now - flight->begun);
}

double flight_mailbox_left(const FlightMailbox *mailbox, int64_t now)
{
    double rate = rate_now(&mailbox->rate, now);
    double share = flight_mailbox_share(mailbox);

    if (!mailbox->in_bytes || share < MEANS_SOMETHING || rate <= 0)
        return -1;
    return (double)mailbox->bytes_expected * (1 - share) / rate;
}
