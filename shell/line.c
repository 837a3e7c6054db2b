/* line.c - the interactive shell; the only file that includes <histedit.h>. */
#include "shell/past.h"
#include "shell/tab.h"
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Prompt {
    EditLine *el;
    History *history;
    Tab *tab;
    char *text;       /* the prompt */
    char *drawn;      /* the same with what makes it stand out */
    size_t continued; /* so many bytes of the command came in earlier lines */
    bool abandoned;   /* the line at hand, by Ctrl-C */
} Prompt;

static const char *prompt_text(EditLine *el)
{
    Prompt *prompt;

    el_get(el, EL_CLIENTDATA, &prompt);
    return prompt->continued > 0 ? "> " : prompt->drawn;
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

/* Where commands go is seen at once, where it can be. */
static void make_prompt(Prompt *prompt, const char *host)
{
    const char *no_color = getenv("NO_COLOR");
    bool plain = host == NULL || (no_color != NULL && *no_color != '\0') ||
                 g_strcmp0(getenv("TERM"), "dumb") == 0 || !isatty(STDOUT_FILENO);

    prompt->text = host != NULL ? g_strdup_printf("zxmove %s> ", host) : g_strdup("zxmove> ");
    prompt->drawn =
        plain ? g_strdup(prompt->text) : g_strdup_printf("zxmove \1\033[1m\1%s\1\033[0m\1> ", host);
}

/* At once, for the prompt comes next. */
static void say(const char *notice)
{
    g_autofree char *plain = notice != NULL ? render_plain(notice) : NULL;

    if (plain != NULL)
        fprintf(stderr, "%s\n", plain);
}

static Past *open_past(const Shell *shell)
{
    g_autofree char *state_dir = shell->session.conf != NULL
                                     ? g_strdup(shell->session.conf->state_dir)
                                     : conf_default_state_dir();
    g_autofree char *file = g_build_filename(state_dir, "history", NULL);
    g_autofree char *notice = NULL;
    Past *past;

    g_mkdir_with_parents(state_dir, 0700);
    past = past_open(file, &notice);
    say(notice);
    return past;
}

static void prompt_open(Prompt *prompt, Shell *shell)
{
    const GPtrArray *lines;
    HistEvent event;
    unsigned first;

    prompt->tab = tab_new(shell);
    make_prompt(prompt, shell->base.host);
    prompt->el = el_init("zxmove", stdin, stdout, stderr);
    prompt->history = history_init();
    history(prompt->history, &event, H_SETSIZE, PAST_LINES);
    history(prompt->history, &event, H_SETUNIQUE, 1);
    lines = past_lines(shell->past, &first);
    for (guint i = 0; i < lines->len; i++)
        history(prompt->history, &event, H_ENTER, g_ptr_array_index(lines, i));
    el_set(prompt->el, EL_CLIENTDATA, prompt);
    el_set(prompt->el, EL_PROMPT_ESC, prompt_text, '\1');
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
    g_free(prompt->drawn);
}

/* Arrow-up has every line, or a typing mistake could not be mended. The file has only what zxmove
 * understood, word by word, without comments: what was pasted by mistake, perhaps with a password,
 * does not outlive this shell. A line that begins with a blank is for nobody to remember. */
static void remember(Prompt *prompt, Shell *shell, const char *line)
{
    g_auto(GStrv) words = token_split(line, NULL);
    g_autofree char *kept = NULL;
    g_autofree char *notice = NULL;
    HistEvent event;

    if (*line == '\0' || g_ascii_isspace(*line))
        return;
    if (words != NULL && command_understood((const char *const *)words))
        kept = token_join((const char *const *)words);
    history(prompt->history, &event, H_ENTER, line);
    past_add(shell->past, line, kept, &notice);
    say(notice);
}

static json_t *list_past(void *data, unsigned last)
{
    const Shell *shell = data;
    json_t *list = json_array();
    unsigned first;
    const GPtrArray *lines = past_lines(shell->past, &first);

    for (guint i = lines->len > last ? lines->len - last : 0; i < lines->len; i++) {
        g_autofree char *line = g_utf8_make_valid(g_ptr_array_index(lines, i), -1);

        json_array_append_new(
            list, json_pack("{s:i, s:o}", "number", (int)(first + i), "line", text_json(line)));
    }
    return list;
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
    shell->session.history = list_past;
    shell->past = open_past(shell);
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
        remember(&prompt, shell, command->str);
        shell_line(shell, command->str, NULL);
        g_string_truncate(command, 0);
        prompt.continued = 0;
        state = (TokenState){ 0 };
    }
    sigaction(SIGINT, &before, NULL);
    prompt_close(&prompt);
    past_free(shell->past);
    return 0;
}
