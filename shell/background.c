/* background.c - see background.h.
 *
 * Back from the process comes one line of JSON: {"begun":true} as soon as the stores have a row of it, or how
 * it ended without one. */
#include "shell/background.h"
#include "shell/process.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* One that was started here. */
typedef struct Child {
    pid_t pid;
    char operation[37];
    bool told; /* its end was seen: nothing more is said of it */
} Child;
static GArray *children; /* of Child; NULL: none yet */

/* ---- the shell's side */

/* A path as it is from everywhere. */
static char *absolute(const char *path)
{
    g_autofree char *here = g_get_current_dir();

    if (g_path_is_absolute(path) || g_str_has_prefix(path, "~/") || strcmp(path, "-") == 0)
        return g_strdup(path);
    return g_build_filename(here, path, NULL);
}

static bool is_path(const Command *command, const char *name)
{
    const Arg *arg = args_find(command, name);

    return arg != NULL && arg->type == ARG_PATH;
}

/* The process works in another directory. */
static bool tell_words(int channel, const char *const *words)
{
    const Command *command = command_find(words[0]);
    bool good = true, path = false;

    for (; *words != NULL && good; words++) {
        const char *equals = strchr(*words, '=');
        g_autofree char *name = equals != NULL ? g_strndup(*words, (gsize)(equals - *words)) : NULL;
        g_autofree char *whole = NULL;

        if (path)
            whole = absolute(*words);
        else if (name != NULL && is_path(command, name)) {
            g_autofree char *value = absolute(equals + 1);

            whole = g_strconcat(name, "=", value, NULL);
        }
        path = !path && equals == NULL && is_path(command, *words);
        good = process_tell(channel, "word", whole != NULL ? whole : *words);
    }
    return good;
}

static bool tell_all(int channel, const Shell *shell, const char *operation)
{
    return process_tell_conf(channel, shell->session.conf) &&
           process_tell(channel, "operation", operation) &&
           process_tell(channel, "host", shell->switches.host) &&
           tell_words(channel, shell->words) && process_told(channel);
}

/* What the process has to say where nobody listens: of use if it crashes. */
static char *output_file(const Conf *conf, const char *operation)
{
    g_autofree char *directory = g_build_filename(conf->state_dir, "log", NULL);
    g_autofree char *name = g_strconcat(operation, ".out", NULL);

    if (g_mkdir_with_parents(directory, 0700) != 0)
        return g_strdup("/dev/null");
    return g_build_filename(directory, name, NULL);
}

/* Its one line; NULL if it ended without. A stop is passed on to it. */
static char *receive(int fd, pid_t pid, const Wait *wait)
{
    GString *line = g_string_new(NULL);
    struct pollfd input = { .fd = fd, .events = POLLIN };
    bool told = false;
    char part[4096];

    while (strchr(line->str, '\n') == NULL) {
        ssize_t got;

        if (wait_stopped(wait) && !told) {
            kill(pid, SIGTERM);
            told = true;
        }
        if (poll(&input, 1, WAIT_SLICE_MS) <= 0)
            continue;
        got = recv(fd, part, sizeof part, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return g_string_free(line, TRUE);
        g_string_append_len(line, part, got);
    }
    return g_string_free(line, FALSE);
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* Everything that it would have answered here. */
static bool take_end(const json_t *answer, Result *result, GError **error)
{
    const char *failure = text_of(answer, "error"), *problem = text_of(answer, "problem");
    ZxError code = (ZxError)json_integer_value(json_object_get(answer, "code"));

    if (failure != NULL)
        return fail(error, code, "%s", failure);
    result->status = (int)json_integer_value(json_object_get(answer, "status"));
    result->text = g_strdup(text_of(answer, "text"));
    result->response = json_incref(json_object_get(answer, "response"));
    if (problem != NULL)
        fail(&result->problem, code, "%s", problem);
    return true;
}

static bool take_answer(const char *line, const char *operation, pid_t pid, const char *output,
                        Result *result, GError **error)
{
    json_t *answer = line != NULL ? json_loads(line, 0, NULL) : NULL;
    Child child = { .pid = pid };
    bool good;

    g_strlcpy(child.operation, operation, sizeof child.operation);
    if (children == NULL)
        children = g_array_new(FALSE, FALSE, sizeof(Child));
    g_array_append_val(children, child);
    if (answer == NULL)
        return fail(error, ZX_ERROR_LOST,
                    "the process of operation %s ended before it had begun\nsee: %s", operation,
                    output);
    good = json_is_true(json_object_get(answer, "begun")) || take_end(answer, result, error);
    json_decref(answer);
    return good;
}

bool background_start(void *data, const char *operation, Result *result, GError **error)
{
    Shell *shell = data;
    g_autofree char *output = output_file(shell->session.conf, operation);
    g_autofree char *line = NULL;
    int channel;
    pid_t pid;

    if (!process_start(BACKGROUND_VERB, output, &channel, &pid, error))
        return false;
    if (tell_all(channel, shell, operation))
        line = receive(channel, pid, &shell->session.wait);
    close(channel);
    return take_answer(line, operation, pid, output, result, error);
}

/* What became of a process, by how it ended. */
static void append_end(GString *out, const Child *child, int how)
{
    const ErrorStatus *known = error_statuses;

    if (!WIFEXITED(how)) {
        g_string_append_printf(out,
                               "the process of operation %s died (signal %d); see: "
                               "getUnfinishedOperationLog\n",
                               child->operation, WIFSIGNALED(how) ? WTERMSIG(how) : 0);
        return;
    }
    while (known->meaning != NULL && known->status != WEXITSTATUS(how))
        known++;
    g_string_append_printf(out, "operation %.8s has ended: %s; see: report %.8s\n",
                           child->operation,
                           WEXITSTATUS(how) == 0    ? "done"
                           : known->meaning != NULL ? known->meaning
                                                    : "failed",
                           child->operation);
}

char *background_ended(const char *seen)
{
    GString *out = g_string_new(NULL);

    for (guint i = 0; children != NULL && i < children->len;) {
        Child *child = &g_array_index(children, Child, i);
        int how = 0;

        child->told = child->told || g_strcmp0(child->operation, seen) == 0;
        if (waitpid(child->pid, &how, WNOHANG) == 0) {
            i++;
            continue;
        }
        if (!child->told)
            append_end(out, child, how);
        g_array_remove_index(children, i);
    }
    return g_string_free(out, out->len == 0);
}

char *background_left(void)
{
    GString *out = g_string_new(NULL);

    for (guint i = 0; children != NULL && i < children->len;) {
        const Child *child = &g_array_index(children, Child, i);

        if (child->told || waitpid(child->pid, NULL, WNOHANG) != 0) {
            g_array_remove_index(children, i);
            continue;
        }
        g_string_append_printf(out, "operation %s goes on; watch it with: monitor %.8s\n",
                               child->operation, child->operation);
        i++;
    }
    return g_string_free(out, out->len == 0);
}

/* ---- the process's side */

typedef struct Told {
    Shell *shell;
    char *operation;
    GPtrArray *words;
} Told;

static bool begun; /* said so, or there is nobody to be told any more */

static void answer(json_t *object)
{
    g_autofree char *text = json_dumps(object, JSON_COMPACT | JSON_DECIMALS);
    g_autofree char *line = g_strconcat(text, "\n", NULL);
    const char *at = line;
    size_t left = strlen(line);
    ssize_t sent = 1;

    json_decref(object);
    for (; left > 0 && sent > 0; at += sent, left -= (size_t)sent) /* who is gone wants no answer */
        sent = send(PROCESS_CHANNEL, at, left, MSG_NOSIGNAL);
    close(PROCESS_CHANNEL);
    begun = true;
}

/* What it does is in its row; nobody looks at this process. */
static void on_event(void *data G_GNUC_UNUSED, const Event *event)
{
    if (event->type == EVENT_SELECTED && event->listed && !begun)
        answer(json_pack("{s:b}", "begun", 1));
}

static void on_note(void *data G_GNUC_UNUSED, const char *text)
{
    fprintf(stderr, "%s\n", text);
}

static void take_field(void *data, const char *name, const char *value)
{
    Told *told = data;

    if (strcmp(name, "operation") == 0)
        told->operation = g_strdup(value);
    else if (strcmp(name, "host") == 0)
        told->shell->base.host = g_strdup(value);
    else if (strcmp(name, "word") == 0)
        g_ptr_array_add(told->words, g_strdup(value));
}

static void answer_end(const Result *result, const GError *error)
{
    json_t *object = json_object();
    const GError *why = error != NULL ? error : result->problem;
    g_autofree char *text = NULL;

    if (why != NULL) {
        json_object_set_new(object, error != NULL ? "error" : "problem", text_json(why->message));
        json_object_set_new(object, "code", json_integer(error_code(why)));
    }
    if (error == NULL) {
        text = render_text(result);
        json_object_set_new(object, "status", json_integer(result->status));
        json_object_set_new(object, "text", text_json(text));
        json_object_set(object, "response", result->response);
    }
    answer(object);
}

static int run(Shell *shell, Told *told)
{
    g_auto(Result) result = { 0 };
    g_autoptr(GError) error = NULL;
    bool good;

    g_ptr_array_add(told->words, NULL);
    shell->session.begin_as = told->operation;
    shell->session.sink = on_event;
    shell->session.note = on_note;
    good = shell_run(shell, (const char *const *)told->words->pdata, &result, &error);
    if (!begun)
        answer_end(&result, error);
    else if (error != NULL)
        render_error(error, NULL, false);
    return good ? result.status : error_exit_status(error_code(error));
}

int background_run(Shell *shell)
{
    Told told = { .shell = shell, .words = g_ptr_array_new_with_free_func(g_free) };
    int status = error_exit_status(ZX_ERROR_USAGE);

    if (process_take(shell, take_field, &told))
        status = run(shell, &told);
    else
        fprintf(stderr, "zxmove: " BACKGROUND_VERB " is for zxmove itself\n");
    g_free(told.operation);
    g_ptr_array_unref(told.words);
    return status;
}
