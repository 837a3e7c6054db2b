/* line.c - the interactive shell; the only file that includes <histedit.h>. */
#include "shell/tab.h"
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <string.h>

#define HISTORY_LINES 1000

typedef struct Prompt {
    EditLine *el;
    History *history;
    Tab *tab;
    char *text;
    char *history_file;
    size_t continued; /* so many bytes of the command came in earlier lines */
    bool abandoned;   /* the line at hand, by Ctrl-C */
} Prompt;

static const char *prompt_text(EditLine *el)
{
    Prompt *prompt;

    el_get(el, EL_CLIENTDATA, &prompt);
    return prompt->continued > 0 ? "> " : prompt->text;
}

/* Ctrl-C is a key while a line is edited: a signal that comes between two reads would be lost. */
static unsigned char on_ctrl_c(EditLine *el, int key G_GNUC_UNUSED)
{
    Prompt *prompt;

    el_get(el, EL_CLIENTDATA, &prompt);
    prompt->abandoned = true;
    fputs("^C\n", stdout);
    fflush(stdout);
    return CC_NEWLINE;
}

static unsigned char on_tab(EditLine *el, int key G_GNUC_UNUSED)
{
    const LineInfo *info = el_line(el);
    g_autofree char *before = g_strndup(info->buffer, (size_t)(info->cursor - info->buffer));
    g_autofree char *text = NULL;
    TabAnswer answer;
    Prompt *prompt;

    el_get(el, EL_CLIENTDATA, &prompt);
    answer = tab_press(prompt->tab, before);
    text = answer.text;
    switch (answer.action) {
    case TAB_NOTHING:
        return CC_ERROR;
    case TAB_INSERT:
        el_deletestr(el, (int)answer.remove);
        el_insertstr(el, text);
        return CC_REFRESH;
    case TAB_BEEP:
        return CC_REFRESH_BEEP;
    case TAB_LIST:
        printf("\n%s", text);
        fflush(stdout);
        return CC_REDISPLAY;
    }
    g_assert_not_reached();
}

static bool ask(void *data, const char *question)
{
    char answer[16];

    (void)data;
    fprintf(stderr, "%s [y/N] ", question);
    fflush(stderr);
    return fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

static void prompt_open(Prompt *prompt, Shell *shell)
{
    const char *host = shell->base.host;
    g_autofree char *state_dir = shell->session.conf != NULL
                                     ? g_strdup(shell->session.conf->state_dir)
                                     : conf_default_state_dir();
    HistEvent event;

    prompt->tab = tab_new(shell);
    prompt->text = host != NULL ? g_strdup_printf("zxmove %s> ", host) : g_strdup("zxmove> ");
    prompt->history_file = g_build_filename(state_dir, "history", NULL);
    g_mkdir_with_parents(state_dir, 0700);
    prompt->el = el_init("zxmove", stdin, stdout, stderr);
    prompt->history = history_init();
    history(prompt->history, &event, H_SETSIZE, HISTORY_LINES);
    history(prompt->history, &event, H_SETUNIQUE, 1);
    history(prompt->history, &event, H_LOAD, prompt->history_file);
    el_set(prompt->el, EL_CLIENTDATA, prompt);
    el_set(prompt->el, EL_PROMPT, prompt_text);
    el_set(prompt->el, EL_EDITOR, "emacs");
    el_set(prompt->el, EL_HIST, history, prompt->history);
    el_set(prompt->el, EL_ADDFN, "zxmove-complete", "complete the word", on_tab);
    el_set(prompt->el, EL_BIND, "^I", "zxmove-complete", NULL);
    el_set(prompt->el, EL_ADDFN, "zxmove-abandon", "give the line up", on_ctrl_c);
    el_set(prompt->el, EL_SETTY, "-d", "-isig", NULL);
    el_set(prompt->el, EL_BIND, "^C", "zxmove-abandon", NULL);
    el_set(prompt->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(prompt->el, NULL);
}

static void prompt_close(Prompt *prompt)
{
    history_end(prompt->history);
    el_end(prompt->el);
    tab_free(prompt->tab);
    g_free(prompt->text);
    g_free(prompt->history_file);
}

/* Kept at once: a shell that is killed has its history all the same. The umask makes it 0600. */
static void keep_history(Prompt *prompt, const char *line)
{
    HistEvent event;

    history(prompt->history, &event, H_ENTER, line);
    history(prompt->history, &event, H_SAVE, prompt->history_file);
}

int line_run(Shell *shell)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
    g_autoptr(GString) command = g_string_new(NULL);
    TokenState state = { 0 };
    Prompt prompt = { 0 };

    /* Only for the names of stores and the place of the history: a mistake in it is told by the
     * first verb that needs it. */
    shell->session.conf = conf_load(shell->session.config, NULL);
    shell->session.ask = ask;
    setlocale(LC_CTYPE, ""); /* letters beyond ASCII are edited as letters */
    prompt_open(&prompt, shell);
    sigaction(SIGINT, &ignore, &before); /* a command at work has its own (stop.c) */
    while (!shell->session.leave) {
        int length = 0;
        const char *line = el_gets(prompt.el, &length);

        if (prompt.abandoned) {
            prompt.abandoned = false;
            g_string_truncate(command, 0);
            prompt.continued = 0;
            state = (TokenState){ 0 };
            continue;
        }
        if (line == NULL || length <= 0) { /* Ctrl-D */
            fputc('\n', stdout);
            break;
        }
        g_string_append_len(command, line, line[length - 1] == '\n' ? length - 1 : length);
        if (token_continues(&state, command->str + prompt.continued)) {
            g_string_truncate(command, command->len - 1);
            prompt.continued = command->len;
            continue;
        }
        if (command->len > 0)
            keep_history(&prompt, command->str);
        shell_line(shell, command->str, NULL);
        g_string_truncate(command, 0);
        prompt.continued = 0;
        state = (TokenState){ 0 };
    }
    sigaction(SIGINT, &before, NULL);
    prompt_close(&prompt);
    return 0;
}
