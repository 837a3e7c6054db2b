/* events.c - what happens, for programs: one JSON object each. The keys are promised in
 * doc/json.md, and a test compares. */
#include "commands/json.h"
#include "shell/progress.h"

static json_t *event(const char *type)
{
    json_t *object = json_object();

    json_object_set_new(object, "type", json_string(type));
    set_time(object, "time", g_get_real_time() / 1000);
    return object;
}

static json_t *of_operation(const char *type, const Event *what)
{
    json_t *object = event(type);

    set_text(object, "operation", what->operation);
    set_text(object, "account", what->account);
    if (what->index != 0)
        set_number(object, "index", what->index);
    if (what->total != 0)
        set_number(object, "mailboxes", what->total);
    return object;
}

json_t *events_note(const char *account, const char *text)
{
    json_t *object = event("note");

    set_text(object, "account", account);
    set_text(object, "text", text);
    return object;
}

json_t *events_json(const Event *what)
{
    json_t *object;

    switch (what->type) {
    case EVENT_SELECTED:
        object = of_operation("selected", what);
        set_number(object, "mailboxes", what->total);
        if (what->expected_bytes != 0)
            set_number(object, "bytes_expected", what->expected_bytes);
        return object;
    case EVENT_STATE:
        object = of_operation("state", what);
        set_text(object, "state", what->text);
        set_text(object, "cause", what->cause);
        return object;
    case EVENT_NOTE:
        return events_note(what->account, what->text);
    case EVENT_MAILBOX_DONE:
        if (what->result == NULL)
            return NULL;
        object = of_operation("mailbox", what);
        json_object_set_new(object, "mailbox", mailbox_result_json(what->result));
        return object;
    case EVENT_PROGRESS: /* too many: events_progress, now and then */
        break;
    }
    return NULL;
}

static void set_pace(json_t *object, double rate, double seconds_left)
{
    if (rate >= 0)
        set_number(object, "rate", (int64_t)rate);
    if (seconds_left >= 0)
        set_number(object, "eta_s", (int64_t)(seconds_left + 0.5));
}

static void set_mailbox(json_t *object, const FlightMailbox *mailbox, int64_t now)
{
    set_text(object, "account", mailbox->account);
    set_text(object, "state", mailbox->state);
    set_text(object, "cause", mailbox->cause != NULL ? mailbox->cause : mailbox->held_up);
    set_text(object, "part", mailbox->part);
    set_number(object, "items", mailbox->items);
    if (mailbox->items_expected != 0)
        set_number(object, "items_expected", mailbox->items_expected);
    set_number(object, "bytes", mailbox->bytes);
    if (mailbox->bytes_expected != 0)
        set_number(object, "bytes_expected", mailbox->bytes_expected);
    set_pace(object, rate_now(&mailbox->rate, now), flight_mailbox_left(mailbox, now));
}

json_t *events_progress(const Flight *flight, const FlightMailbox *mailbox, int64_t now)
{
    json_t *object = event("progress");
    double share = flight_share(flight);

    set_text(object, "operation", flight->operation);
    if (mailbox != NULL) {
        set_mailbox(object, mailbox, now);
        return object;
    }
    set_number(object, "mailboxes", flight->mailboxes);
    set_number(object, "done", flight->done);
    set_number(object, "failed", flight->failed);
    if (share >= 0) {
        set_number(object, "bytes", (int64_t)(share * (double)flight->size));
        set_number(object, "bytes_expected", flight->size);
    }
    set_pace(object, rate_now(&flight->rate, now), flight_left(flight, now));
    return object;
}
