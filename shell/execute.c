/* execute.c - one command: its switches, its run, what is printed. */
#include "shell/shell.h"
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* What the process was started with holds for every line; a line adds to it. */
static bool line_switches(Shell *shell, const char *const **words, GError **error)
{
    Switches *now = &shell->switches;

    switches_clear(now);
    if (!switches_take(words, false, now, error))
        return false;
    if (now->host == NULL)
        now->host = g_strdup(shell->base.host);
    now->json |= shell->base.json;
    now->progress |= shell->base.progress;
    now->async |= shell->base.async;
    now->yes |= shell->base.yes;
    now->parse |= shell->base.parse;
    now->quiet |= shell->base.quiet;
    now->sync |= shell->base.sync;
    return !now->sync || !now->async ||
           fail(error, ZX_ERROR_USAGE, "--sync and --async: one of them");
}

/* The line as it could be typed again: with the store that a switch named. */
static char *line_of(const Switches *switches, const char *const *words)
{
    g_autofree char *line = token_join(words);
    const char *host[] = { "--host", switches->host, NULL };
    g_autofree char *before = switches->host != NULL ? token_join(host) : NULL;

    return before != NULL ? g_strjoin(" ", before, line, NULL) : g_steal_pointer(&line);
}

/* The file that `source` named, under the switches that stood before it. */
static int run_source(Shell *shell, const char *where)
{
    g_autofree char *path = g_steal_pointer(&shell->session.source);
    Switches outer = shell->base;
    int status;

    shell->base.host = g_strdup(shell->switches.host);
    shell->base.json = shell->switches.json;
    shell->base.progress = shell->switches.progress;
    shell->base.yes = shell->switches.yes;
    shell->base.quiet = shell->switches.quiet;
    status = batch_file(shell, path, where);
    g_free(shell->base.host);
    shell->base = outer;
    return status;
}

bool shell_ask(void *data, const char *question)
{
    const Wait *wait = &((Shell *)data)->session.wait;
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
    g_autofree char *plain = render_plain(question);
    char answer[16];

    fprintf(stderr, "%s [y/N] ", plain);
    fflush(stderr);
    while (poll(&input, 1, WAIT_SLICE_MS) <= 0)
        if (wait_stopped(wait))
            return false;
    return fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

/* The shell gives the prompt back; a command line and a batch wait, unless they are told not to. */
static bool in_background(const Shell *shell)
{
    bool prompt = shell->past != NULL && shell->batch == NULL;

    return shell->session.begin_as == NULL && (prompt || shell->switches.async);
}

bool shell_run(Shell *shell, const char *const *words, Result *result, GError **error)
{
    static const char *const help[] = { "help", NULL }, *const version[] = { "version", NULL };
    Session *session = &shell->session;
    bool ok = line_switches(shell, &words, error);

    if (ok && shell->switches.version)
        words = version;
    else if (ok && shell->switches.help && *words == NULL)
        words = help;
    g_free(session->line);
    session->line = line_of(&shell->switches, words);
    session->switches = &shell->switches;
    session->background = in_background(shell);
    shell->words = words;
    if (!ok)
        return false;
    progress_begin(shell->progress, &shell->switches);
    stop_begin(session, shell->progress);
    ok = command_run(session, words, result, error);
    stop_end();
    progress_end(shell->progress);
    return ok;
}

int shell_execute(Shell *shell, const char *const *words, const char *where)
{
    const Session *session = &shell->session;
    g_auto(Result) result = { 0 };
    g_autoptr(GError) error = NULL;
    bool ok = shell_run(shell, words, &result, &error);

    if (ok && session->source != NULL)
        return run_source(shell, where);
    if (ok) {
        render_result(stdout, &result, shell->switches.json);
        return result.status;
    }
    render_error(error, where, shell->switches.json || shell->base.json);
    /* Whatever it failed with after Ctrl-C, it was Ctrl-C. */
    if (error_code(error) != ZX_ERROR_USAGE && wait_stopped(&session->wait))
        return error_exit_status(ZX_ERROR_INTERRUPTED);
    return error_exit_status(error_code(error));
}

int shell_line(Shell *shell, const char *line, const char *where)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) words = NULL;

    if (strlen(line) > LINE_LONGEST)
        fail(&error, ZX_ERROR_USAGE,
             "the line is longer than 1 MB\nput the accounts in a file: input_file FILE");
    else
        words = token_split(line, &error);
    if (words == NULL) {
        render_error(error, where, shell->base.json);
        return error_exit_status(error_code(error));
    }
    return words[0] == NULL ? 0 : shell_execute(shell, (const char *const *)words, where);
}
