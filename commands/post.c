/* post.c - see post.h. The process that tries again is this program under a hidden verb, apart from
 * everything that could end with a terminal; one for a state directory, by a lock. A message is a
 * file: what is left when that process dies, the next one takes up. */
#include "commands/post.h"
#include "core/base/file.h"
#include "core/base/wait.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERB "__mailer"

bool post_send(Core *core, const Post *post, GError **error)
{
    g_autofree char *name = g_strdup_printf("zxmove-%s.csv", post->operation);

    return core_mail(core, post->to, post->subject, post->body, name, post->table, error);
}

static char *directory_of(const Conf *conf)
{
    return g_build_filename(conf->state_dir, "mail", NULL);
}

static char *post_text(const Post *post)
{
    json_t *to = json_array(), *object;
    char *text;

    for (char **one = post->to; *one != NULL; one++)
        json_array_append_new(to, text_json(*one));
    object = json_pack("{s:o, s:o, s:o, s:o, s:o, s:I}", "to", to, "operation",
                       text_json(post->operation), "subject", text_json(post->subject), "body",
                       text_json(post->body), "table", text_json(post->table), "since",
                       (json_int_t)(g_get_real_time() / G_USEC_PER_SEC));
    text = json_dumps(object, JSON_INDENT(2) | JSON_DECIMALS);
    json_decref(object);
    return text;
}

/* Its parent is init, its session its own: it ends with no shell and no terminal. */
static void leave_everybody(gpointer data G_GNUC_UNUSED)
{
    setsid();
}

static void start_mailer(const Conf *conf)
{
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    char *path = conf->path != NULL ? realpath(conf->path, NULL) : NULL;
    char *argv[] = { program, (char[]){ "--config" }, path, (char[]){ VERB }, NULL };
    char *bare[] = { program, (char[]){ VERB }, NULL };
    g_autoptr(GError) problem = NULL;

    /* A failure leaves the file: the next notification that cannot be sent tries again. */
    if (program != NULL)
        g_spawn_async("/", path != NULL ? argv : bare, NULL,
                      G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL, leave_everybody,
                      NULL, NULL, &problem);
    free(path);
}

bool post_later(const Conf *conf, const Post *post, GError **error)
{
    g_autofree char *directory = directory_of(conf);
    g_autofree char *path = g_strdup_printf("%s/%s.json", directory, post->operation);
    g_autofree char *text = post_text(post);

    g_mkdir_with_parents(directory, 0700); /* a failure is file_replace's to tell */
    if (!file_replace(path, text, 0600, error))
        return false;
    start_mailer(conf);
    return true;
}

void post_resume(const Conf *conf)
{
    g_autofree char *path = directory_of(conf);
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    const char *name;

    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
        if (!g_str_has_suffix(name, ".json"))
            continue;
        start_mailer(conf);
        return;
    }
}

/* What the report of the operation says of its notification from now on; NULL: nothing. */
static void set_problem(const Conf *conf, const char *operation, const char *problem)
{
    g_autofree char *path = g_strdup_printf("%s/reports/%s.json", conf->state_dir, operation);
    g_autoptr(GError) ignored = NULL;
    g_autofree char *text = NULL;
    json_t *report = json_load_file(path, 0, NULL);

    if (report == NULL)
        return;
    if (problem != NULL)
        json_object_set_new(report, "mail_problem", text_json(problem));
    else
        json_object_del(report, "mail_problem");
    text = json_dumps(report, JSON_INDENT(2) | JSON_DECIMALS);
    json_decref(report);
    if (text != NULL && !file_replace(path, text, 0600, &ignored))
        return; /* it says what was true when it was written */
}

static char **strings(const json_t *list)
{
    char **found = g_new0(char *, json_array_size(list) + 1);
    size_t i, n = 0;
    json_t *item;

    json_array_foreach(list, i, item) if (json_is_string(item)) found[n++] =
        g_strdup(json_string_value(item));
    return found;
}

/* True once there is nothing left to do for the message of this file. */
static bool try_again(Core *core, const Conf *conf, const char *path)
{
    json_t *kept = json_load_file(path, 0, NULL);
    g_auto(GStrv) to = strings(json_object_get(kept, "to"));
    const Post post = { .to = to,
                        .operation = json_string_value(json_object_get(kept, "operation")),
                        .subject = json_string_value(json_object_get(kept, "subject")),
                        .body = json_string_value(json_object_get(kept, "body")),
                        .table = json_string_value(json_object_get(kept, "table")) };
    const int64_t age =
        g_get_real_time() / G_USEC_PER_SEC - json_integer_value(json_object_get(kept, "since"));
    g_autoptr(GError) problem = NULL;
    bool whole = post.operation != NULL && post.subject != NULL && post.body != NULL;
    bool over = !whole || post_send(core, &post, &problem);

    if (!over && age >= (int64_t)conf->smtp.retry_for_s) {
        g_autofree char *given_up = g_strdup_printf("given up: %s", problem->message);

        set_problem(conf, post.operation, given_up);
        over = true;
    } else if (over && whole) {
        set_problem(conf, post.operation, NULL);
    }
    json_decref(kept);
    if (over)
        unlink(path);
    return over;
}

/* How many messages are left. */
static unsigned try_all(Core *core, const Conf *conf, const char *directory)
{
    g_autoptr(GDir) open = g_dir_open(directory, 0, NULL);
    unsigned left = 0;
    const char *name;

    while (open != NULL && (name = g_dir_read_name(open)) != NULL) {
        g_autofree char *path = g_build_filename(directory, name, NULL);

        if (g_str_has_suffix(name, ".json") && !try_again(core, conf, path))
            left++;
    }
    return left;
}

/* Lets the time between two attempts pass; false when it is over: stopped, or the directory is
 * gone. */
static bool rest(const Session *session, const char *directory, unsigned seconds)
{
    const Wait wait = wait_within(&session->wait, (int64_t)seconds * 1000);

    while (wait_left_ms(&wait, 1000) > 0 && !wait_stopped(&wait) && access(directory, F_OK) == 0)
        wait_pause(&wait, 1000);
    return !wait_stopped(&wait) && access(directory, F_OK) == 0;
}

static bool run(Session *session, void *data G_GNUC_UNUSED, Result *result, GError **error)
{
    Core *core = session_core(session, error);
    g_autofree char *directory = core != NULL ? directory_of(session->conf) : NULL;
    g_autofree char *lock = NULL;
    int fd;

    if (core == NULL)
        return false;
    lock = g_build_filename(directory, "lock", NULL);
    fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail(error, ZX_ERROR_STATE, "%s: %s", lock, g_strerror(errno));
    result->text = g_strdup("");
    /* Who has the lock looks at the directory until it is empty, this message included. */
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        while (try_all(core, session->conf, directory) > 0 &&
               rest(session, directory, session->conf->smtp.retry_interval_s))
            ;
    close(fd);
    return true;
}

const Command cmd_mailer = {
    .name = VERB,
    .summary = "sends what could not be sent before",
    .flags = COMMAND_HIDDEN,
    .examples = (const char *const[]){ VERB, NULL },
    .run = run,
};
