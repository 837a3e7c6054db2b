/* main.c - options; chooses one-shot, batch or the interactive shell; exit status. No verb is named
 * here. */
#include "completion/names.h"
#include "shell/background.h"
#include "shell/warden.h"
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static void on_event(void *data, const Event *event)
{
    progress_sink(((Shell *)data)->progress, event);
}

static void on_note(void *data, const char *text)
{
    progress_note(((Shell *)data)->progress, text);
}

static int run(Shell *shell, const char *const *words)
{
    g_autoptr(GError) error = NULL;

    bool json = g_strv_contains(words, "--json"); /* wherever it stands, in what is not understood */

    if (!switches_take(&words, true, &shell->base, &error)) {
        render_error(error, NULL, json);
        return error_exit_status(error_code(error));
    }
    shell->session.config = shell->base.config;
    if (*words != NULL && shell->base.file != NULL) {
        fail(&error, ZX_ERROR_USAGE, "-f %s and the command %s: one of them", shell->base.file,
             *words);
        render_error(error, NULL, shell->base.json);
        return error_exit_status(ZX_ERROR_USAGE);
    }
    if (*words != NULL || shell->base.help || shell->base.version) {
        g_autofree const char **all =
            g_new0(const char *, g_strv_length((char **)(uintptr_t)words) + 2);
        size_t n = 0;

        if (shell->base.version)
            all[n++] = "version";
        else if (shell->base.help)
            all[n++] = "help";
        for (; *words != NULL && !shell->base.version; words++)
            all[n++] = *words;
        return shell_execute(shell, all, NULL);
    }
    if (shell->base.file != NULL)
        return batch_file(shell, shell->base.file, NULL);
    if (isatty(STDIN_FILENO))
        return line_run(shell);
    return batch_file(shell, "-", NULL);
}

/* Nothing said is nothing done: a result that could not be written must not end with 0. */
static int flush(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "zxmove: the output could not be written: %s\n", g_strerror(errno));
    return status != 0 ? status : error_exit_status(ZX_ERROR_FAILED);
}

int main(int argc, char **argv)
{
    const char *const *words = (const char *const *)argv + 1;
    Shell shell = { .session = { .note = on_note, .sink = on_event, .split = token_split, .start = background_start,
                                 .guard = warden_start, .unguard = warden_end } };
    int status;

    setlocale(LC_CTYPE, ""); /* letters beyond ASCII are letters, where the terminal has them */
    umask(077);
    prctl(PR_SET_DUMPABLE, 0); /* no core file holds a secret */
    signal(SIGPIPE, SIG_IGN);
    /* A mover must not carry on after a broken precondition. */
    g_log_set_always_fatal(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
    if (argc > 1 && strcmp(argv[1], "__complete") == 0)
        return flush(bash_complete(argc - 2, words + 1));

    shell.session.data = &shell;
    if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO))
        shell.session.confirm = shell_ask;
    shell.progress = progress_new();
    if (argc == 2 && strcmp(argv[1], BACKGROUND_VERB) == 0)
        status = background_run(&shell);
    else if (argc == 2 && strcmp(argv[1], WARDEN_VERB) == 0)
        status = warden_run(&shell);
    else
        status = run(&shell, words);
    if (names_busy()) { /* with the configuration in its hands: it keeps nobody */
        core_abandon();
        _exit(flush(status));
    }
    session_clear(&shell.session);
    progress_free(shell.progress);
    switches_clear(&shell.base);
    switches_clear(&shell.switches);
    return flush(status);
}
