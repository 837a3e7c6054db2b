/* progress.c - the events of an operation for the person who waits: one line redrawn on a terminal,
 * else a line every ten seconds. Finished mailboxes are results and go to stdout, the rest is talk
 * and goes to stderr. Workers call the sink from their threads. */
#include "commands/report.h"
#include "conf/units.h"
#include "shell/shell.h"
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REDRAW_US (100 * 1000)
#define PLAIN_US  (10 * G_USEC_PER_SEC)
#define NARROWEST 40

struct Progress {
    GMutex mutex;
    bool terminal;
    bool quiet, json, detailed;
    bool drawn;     /* the terminal's last line is ours */
    int64_t shown;  /* when the last progress line was */
    int64_t begun;  /* when the bytes at hand began to be counted: for rate and time left */
    uint64_t bytes; /* their number when last seen */
    char *state;
};

Progress *progress_new(void)
{
    Progress *progress = g_new0(Progress, 1);

    g_mutex_init(&progress->mutex);
    progress->terminal = isatty(STDERR_FILENO) != 0;
    return progress;
}

void progress_free(Progress *progress)
{
    g_mutex_clear(&progress->mutex);
    g_free(progress->state);
    g_free(progress);
}

void progress_begin(Progress *progress, const Switches *switches)
{
    progress->quiet = switches->quiet;
    progress->json = switches->json;
    progress->detailed = switches->progress;
    progress->shown = g_get_monotonic_time();
    g_clear_pointer(&progress->state, g_free);
}

static void erase(Progress *progress)
{
    if (progress->drawn)
        fputs("\r\033[K", stderr);
    progress->drawn = false;
}

void progress_end(Progress *progress)
{
    g_mutex_lock(&progress->mutex);
    erase(progress);
    g_mutex_unlock(&progress->mutex);
}

static int terminal_width(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 80;
    return MAX(size.ws_col, NARROWEST);
}

/* As much of @text as @columns hold. */
static char *cut(const char *text, int columns)
{
    const char *end = text;

    while (*end != '\0') {
        gunichar c = g_utf8_get_char_validated(end, -1);
        bool valid = c < (gunichar)-2;

        columns -= valid && g_unichar_iswide(c) ? 2 : valid && g_unichar_iszerowidth(c) ? 0 : 1;
        if (columns < 0)
            break;
        end += valid ? g_unichar_to_utf8(c, NULL) : 1;
    }
    return g_strndup(text, (size_t)(end - text));
}

static void draw(Progress *progress, const char *text)
{
    g_autofree char *plain = render_plain(text);
    g_autofree char *line = NULL;

    if (!progress->terminal) {
        fprintf(stderr, "%s\n", plain);
        return;
    }
    line = cut(plain, terminal_width() - 1);
    fprintf(stderr, "\r\033[K%s", line);
    fflush(stderr);
    progress->drawn = true;
}

static char *time_left(const Progress *progress, const Event *event, double *rate)
{
    int64_t took = g_get_monotonic_time() - progress->begun;

    *rate = took > 0 ? (double)event->done_bytes * G_USEC_PER_SEC / (double)took : 0;
    /* Withheld until 1% is copied: before that it is a guess. */
    if (*rate <= 0 || event->done_bytes * 100 < event->expected_bytes ||
        event->done_bytes > event->expected_bytes)
        return NULL;
    return units_format_time((double)(event->expected_bytes - event->done_bytes) / *rate * 1000);
}

static char *progress_text(const Progress *progress, const Event *event)
{
    GString *out = g_string_new(NULL);
    double rate = 0;
    g_autofree char *left = time_left(progress, event, &rate);
    g_autofree char *speed = units_format_size((uint64_t)rate);
    g_autofree char *done = units_format_count(event->done);
    g_autofree char *expected = units_format_count(event->expected);

    if (event->total > 0)
        g_string_append_printf(out, "[%u/%u] ", event->index, event->total);
    if (event->account != NULL)
        g_string_append_printf(out, "%s  ", event->account);
    if (progress->state != NULL)
        g_string_append_printf(out, "%s  ", progress->state);
    if (event->expected_bytes > 0)
        g_string_append_printf(out, "%.1f%%  %s/s  ",
                               100.0 * (double)MIN(event->done_bytes, event->expected_bytes) /
                                   (double)event->expected_bytes,
                               speed);
    if (event->expected > 0)
        g_string_append_printf(out, "items %s/%s", done, expected);
    else if (event->done > 0 && event->text != NULL)
        g_string_append_printf(out, "%s %s", event->text, done);
    if (left != NULL)
        g_string_append_printf(out, "  ETA %s", left);
    return g_string_free(out, FALSE);
}

static void count_from(Progress *progress, uint64_t bytes)
{
    progress->begun = g_get_monotonic_time();
    progress->bytes = bytes;
}

/* "commit of anna@company.ru": for the second Ctrl-C. */
static void remember(Progress *progress, const Event *event)
{
    g_autofree char *text = g_strdup_printf(
        "%s of %s", event->text, event->account != NULL ? event->account : "the operation");

    stop_waits_for(text);
    g_free(progress->state);
    progress->state = g_strdup(event->text);
    count_from(progress, 0);
}

static void show_progress(Progress *progress, const Event *event)
{
    int64_t now = g_get_monotonic_time();
    g_autofree char *text = NULL;

    if (event->done_bytes < progress->bytes) /* another round: it counts from nothing again */
        count_from(progress, 0);
    progress->bytes = event->done_bytes;
    if (progress->quiet || (progress->json && !progress->detailed) ||
        now - progress->shown < (progress->terminal ? REDRAW_US : PLAIN_US))
        return;
    progress->shown = now;
    text = progress_text(progress, event);
    draw(progress, text);
}

static void show_state(Progress *progress, const Event *event)
{
    g_autofree char *text = NULL;

    if (!progress->terminal || progress->quiet || (progress->json && !progress->detailed))
        return;
    text = progress_text(progress, event);
    draw(progress, text);
}

static void show_note(Progress *progress, const char *account, const char *text)
{
    g_autofree char *plain = render_plain(text);

    if (progress->quiet)
        return;
    erase(progress);
    if (progress->json) {
        json_t *object = json_pack("{s:s}", "note", plain);

        if (object != NULL && account != NULL)
            json_object_set_new(object, "account", json_string(account));
        json_dumpf(object, stderr, JSON_COMPACT);
        fputc('\n', stderr);
        json_decref(object);
    } else if (account != NULL) {
        fprintf(stderr, "%s: %s\n", account, plain);
    } else {
        fprintf(stderr, "%s\n", plain);
    }
}

static void show_mailbox(Progress *progress, const Event *event)
{
    const MailboxResult *mailbox = event->result;
    bool bad = mailbox->outcome == OUTCOME_FAILED || mailbox->outcome == OUTCOME_IN_DOUBT ||
               mailbox->outcome == OUTCOME_KEPT;
    bool detailed = progress->detailed || event->total == 1;
    g_autofree char *text = report_mailbox(mailbox, event->index, event->total, detailed);
    g_autofree char *plain = render_plain(text);

    if (progress->json || (progress->quiet && !bad))
        return;
    erase(progress);
    fflush(stderr);
    fputs(plain, stdout);
    fflush(stdout);
}

void progress_sink(Progress *progress, const Event *event)
{
    g_mutex_lock(&progress->mutex);
    switch (event->type) {
    case EVENT_SELECTED:
        if (event->text != NULL)
            show_note(progress, event->account, event->text);
        break;
    case EVENT_STATE:
        remember(progress, event);
        show_state(progress, event);
        break;
    case EVENT_PROGRESS:
        show_progress(progress, event);
        break;
    case EVENT_NOTE:
        show_note(progress, event->account, event->text);
        break;
    case EVENT_MAILBOX_DONE:
        show_mailbox(progress, event);
        break;
    }
    g_mutex_unlock(&progress->mutex);
}

void progress_note(Progress *progress, const char *text)
{
    g_mutex_lock(&progress->mutex);
    show_note(progress, NULL, text);
    g_mutex_unlock(&progress->mutex);
}
