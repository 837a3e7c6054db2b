/* progress.c - the events of an operation for the person or the program that waits. Workers only
 * leave their events here; a thread of its own writes, at most ten times a second, so that a
 * terminal that is slow or stopped (Ctrl-S) never holds a move up. Finished mailboxes are results
 * and go to stdout, the rest is talk and goes to stderr. */
#include "shell/progress.h"
#include "commands/report.h"
#include "conf/units.h"
#include "shell/shell.h"
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REDRAW_US (G_USEC_PER_SEC / 10)
#define CLOCK_US  (G_USEC_PER_SEC / 2) /* without events: what depends on the time */
#define JSON_US   G_USEC_PER_SEC
#define PLAIN_US  (10 * G_USEC_PER_SEC)
#define NARROWEST 20

/* What is to be written, in the order in which it came. */
typedef struct Said {
    FILE *out;
    char *text;
} Said;

struct Progress {
    GMutex mutex; /* of all that follows */
    GCond wake;
    GThread *writer; /* from the first thing said on; joined at the end of the command */
    bool ending, dirty;
    GQueue said; /* of Said */
    Flight flight;
    bool quiet, json, detailed;
    bool terminal, colour;
    int64_t shown; /* when the lines were drawn or written last */
    Screen screen; /* the writer's alone */
};

static bool is_set(const char *name)
{
    const char *value = g_getenv(name);

    return value != NULL && *value != '\0';
}

Progress *progress_new(void)
{
    Progress *progress = g_new0(Progress, 1);

    g_mutex_init(&progress->mutex);
    g_cond_init(&progress->wake);
    g_queue_init(&progress->said);
    progress->terminal = isatty(STDERR_FILENO) && g_strcmp0(g_getenv("TERM"), "dumb") != 0;
    progress->colour = progress->terminal && !is_set("NO_COLOR");
    screen_open(&progress->screen, stderr);
    return progress;
}

void progress_free(Progress *progress)
{
    flight_clear(&progress->flight);
    screen_close(&progress->screen);
    g_mutex_clear(&progress->mutex);
    g_cond_clear(&progress->wake);
    g_free(progress);
}

static Look look_now(const Progress *progress)
{
    struct winsize size = { 0 };
    Look look = { .columns = 80, .rows = 24, .colour = progress->colour };

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        look.columns = MAX(size.ws_col, NARROWEST);
        look.rows = size.ws_row > 0 ? size.ws_row : look.rows;
    }
    look.utf8 = g_get_charset(NULL);
    return look;
}

static int64_t next_showing(const Progress *progress)
{
    if (progress->flight.operation == NULL || progress->quiet)
        return G_MAXINT64;
    if (progress->json)
        return progress->detailed ? progress->shown + JSON_US : G_MAXINT64;
    if (progress->terminal)
        return progress->shown + (progress->dirty ? REDRAW_US : CLOCK_US);
    return progress->shown + PLAIN_US;
}

/* Called without the mutex. */
static void write_said(Progress *progress, GQueue *said)
{
    Said *one;

    if (progress->terminal) {
        Look look = look_now(progress);

        screen_erase(&progress->screen, look.columns);
    }
    while ((one = g_queue_pop_head(said)) != NULL) {
        fputs(one->text, one->out);
        fflush(one->out);
        g_free(one->text);
        g_free(one);
    }
}

static void push(Progress *progress, FILE *out, char *text)
{
    Said *one = g_new(Said, 1);

    *one = (Said){ out, text };
    g_queue_push_tail(&progress->said, one);
}

static void push_json(Progress *progress, FILE *out, json_t *object)
{
    g_autofree char *text = NULL;

    json_object_set_new(object, "schema", json_integer(JSON_SCHEMA));
    text = json_dumps(object, JSON_COMPACT | JSON_DECIMALS);
    json_decref(object);
    push(progress, out, g_strconcat(text, "\n", NULL));
}

static void show_json(Progress *progress, int64_t now)
{
    const Flight *flight = &progress->flight;

    if (!progress->dirty)
        return;
    push_json(progress, stdout, events_progress(flight, NULL, now));
    for (guint i = 0; i < flight->aloft->len; i++)
        push_json(progress, stdout,
                  events_progress(flight, g_ptr_array_index(flight->aloft, i), now));
}

static void show_plain(Progress *progress, int64_t now)
{
    g_autoptr(GPtrArray) lines = meter_plain(&progress->flight, now);

    g_ptr_array_add(lines, NULL);
    push(progress, stderr, g_strjoinv("\n", (char **)lines->pdata));
    push(progress, stderr, g_strdup("\n"));
}

/* Called with the mutex; gives it up while the terminal takes its time. */
static void show(Progress *progress, int64_t now)
{
    progress->shown = now;
    if (progress->json) {
        show_json(progress, now);
    } else if (progress->terminal) {
        Look look = look_now(progress);
        g_autoptr(GPtrArray) lines = meter_lines(&progress->flight, &look, now);

        progress->dirty = false;
        g_mutex_unlock(&progress->mutex);
        screen_draw(&progress->screen, lines, look.columns);
        g_mutex_lock(&progress->mutex);
        return;
    } else {
        show_plain(progress, now);
    }
    progress->dirty = false;
}

static void *write_all(void *data)
{
    Progress *progress = data;

    g_mutex_lock(&progress->mutex);
    while (!progress->ending || progress->said.length > 0) {
        int64_t now = g_get_monotonic_time(), due = next_showing(progress);

        if (progress->said.length > 0) {
            GQueue said = progress->said;

            g_queue_init(&progress->said);
            progress->dirty = progress->terminal || progress->dirty;
            g_mutex_unlock(&progress->mutex);
            write_said(progress, &said);
            g_mutex_lock(&progress->mutex);
        } else if (now >= due) {
            show(progress, now);
        } else if (due == G_MAXINT64) {
            g_cond_wait(&progress->wake, &progress->mutex);
        } else {
            g_cond_wait_until(&progress->wake, &progress->mutex, due);
        }
    }
    g_mutex_unlock(&progress->mutex);
    return NULL;
}

/* Called with the mutex. */
static void wake(Progress *progress)
{
    progress->dirty = true;
    if (progress->writer == NULL)
        progress->writer = g_thread_new("progress", write_all, progress);
    g_cond_signal(&progress->wake);
}

void progress_begin(Progress *progress, const Switches *switches)
{
    progress->quiet = switches->quiet;
    progress->json = switches->json;
    progress->detailed = switches->progress;
    progress->ending = progress->dirty = false;
    progress->shown = g_get_monotonic_time() - (progress->terminal ? CLOCK_US : 0);
    flight_begin(&progress->flight);
}

void progress_end(Progress *progress)
{
    g_mutex_lock(&progress->mutex);
    progress->ending = true;
    g_cond_signal(&progress->wake);
    g_mutex_unlock(&progress->mutex);
    if (progress->writer != NULL)
        g_thread_join(g_steal_pointer(&progress->writer));
    if (progress->terminal) {
        Look look = look_now(progress);

        screen_erase(&progress->screen, look.columns);
    }
    flight_clear(&progress->flight);
}

/* A sentence for stderr; @on_event: with --progress --json it is one of the events, on stdout. */
static void say_note(Progress *progress, const char *account, const char *text, bool on_event)
{
    g_autofree char *plain = NULL;
    g_autofree char *line = NULL;

    if (progress->json) {
        push_json(progress, on_event && progress->detailed ? stdout : stderr,
                  events_note(account, text));
        return;
    }
    line = account != NULL ? g_strdup_printf("%s: %s\n", account, text)
                           : g_strconcat(text, "\n", NULL);
    plain = render_plain(line);
    push(progress, stderr, g_steal_pointer(&plain));
}

/* What will take long is known by its name from the beginning. */
static void say_selected(Progress *progress, const Event *event)
{
    g_autofree char *size = units_format_size(event->expected_bytes);
    g_autofree char *text = NULL;

    if (progress->quiet || progress->json || event->total < 2)
        return;
    text = g_strdup_printf("operation %s: %u mailboxes%s%s\n", event->operation, event->total,
                           event->expected_bytes > 0 ? ", " : "",
                           event->expected_bytes > 0 ? size : "");
    push(progress, stderr, g_steal_pointer(&text));
}

static void say_mailbox(Progress *progress, const Event *event)
{
    const MailboxResult *mailbox = event->result;
    bool bad = mailbox->outcome == OUTCOME_FAILED || mailbox->outcome == OUTCOME_IN_DOUBT ||
               mailbox->outcome == OUTCOME_KEPT;
    bool detailed = progress->detailed || event->total == 1;
    g_autofree char *text = report_mailbox(mailbox, event->index, event->total, detailed);

    if (progress->json || (progress->quiet && !bad))
        return;
    push(progress, stdout, render_plain(text));
}

static void say_event(Progress *progress, const Event *event)
{
    json_t *object =
        progress->json && progress->detailed && !progress->quiet && event->type != EVENT_NOTE
            ? events_json(event)
            : NULL;

    if (object != NULL)
        push_json(progress, stdout, object);
    switch (event->type) {
    case EVENT_SELECTED:
        say_selected(progress, event);
        break;
    case EVENT_NOTE:
        if (!progress->quiet)
            say_note(progress, event->account, event->text, true);
        break;
    case EVENT_MAILBOX_DONE:
        if (event->result != NULL)
            say_mailbox(progress, event);
        break;
    case EVENT_STATE:
    case EVENT_PROGRESS:
        break;
    }
}

void progress_sink(Progress *progress, const Event *event)
{
    g_mutex_lock(&progress->mutex);
    flight_take(&progress->flight, event, g_get_monotonic_time());
    say_event(progress, event);
    wake(progress);
    g_mutex_unlock(&progress->mutex);
}

void progress_note(Progress *progress, const char *text)
{
    g_mutex_lock(&progress->mutex);
    if (!progress->quiet) {
        say_note(progress, NULL, text, false);
        wake(progress);
    }
    g_mutex_unlock(&progress->mutex);
}

void progress_stopping(Progress *progress, bool again)
{
    g_mutex_lock(&progress->mutex);
    progress->flight.stopping = true;
    if (progress->terminal && !progress->json) /* over the ^C that the terminal has shown */
        push(progress, stderr, g_strdup("\r\033[K"));
    if (!again) {
        say_note(progress, NULL, "stopping; what is begun is finished or undone first", false);
    } else {
        g_autofree char *what = flight_waits_for(&progress->flight);
        g_autofree char *text = g_strconcat("still waiting for: ", what, NULL);

        say_note(progress, NULL, text, false);
    }
    wake(progress);
    g_mutex_unlock(&progress->mutex);
}
