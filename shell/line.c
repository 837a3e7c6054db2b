/* line.c - the interactive shell; the only file that includes <histedit.h>. */
#include "shell/past.h"
#include "shell/background.h"
#include "shell/tab.h"
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <wchar.h>

typedef struct Prompt {
    EditLine *el;
    History *history;
    Lookups *lookups;
    GString *command; /* the lines before, that the one at hand continues */
    char *tabbed;     /* see tab_press */
    int resized_fd;   /* SIGWINCH */
    int key;          /* read ahead of its time; EOF: none */
    char *text;       /* the prompt */
    char *drawn;      /* the same with what makes it stand out */
    size_t continued; /* so many bytes of the command came in earlier lines */
    TokenState state; /* at the end of those */
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

/* A key pressed while a Tab waits for a server ends the wait, unless it is another Tab. */
static bool impatient(void *data)
{
    Prompt *prompt = data;
    struct pollfd keys = { .fd = STDIN_FILENO, .events = POLLIN };
    unsigned char key;

    if (prompt->key == EOF && poll(&keys, 1, 0) > 0 && read(STDIN_FILENO, &key, 1) == 1)
        prompt->key = key;
    return prompt->key != EOF && prompt->key != '\t';
}

/* As the editor counts them. */
static int letters(const char *text)
{
    size_t count = mbstowcs(NULL, text, 0);

    return (int)(count != (size_t)-1 ? count : strlen(text));
}

static struct winsize terminal_size(void)
{
    struct winsize size = { 0 };

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
        size = (struct winsize){ .ws_col = 80, .ws_row = 24 };
    return size;
}

/* Columns that @text takes. */
static unsigned columns(const char *text)
{
    g_autofree wchar_t *wide = g_new(wchar_t, strlen(text) + 1);
    size_t length = mbstowcs(wide, text, strlen(text) + 1);
    int width = length != (size_t)-1 ? wcswidth(wide, length) : -1;

    return (unsigned)(width >= 0 ? width : (int)strlen(text));
}

/* Where on its rows the line has its cursor, in a terminal that breaks what is too long. */
typedef struct Place {
    unsigned above, below;
} Place;

static Place cursor_place(EditLine *el)
{
    const LineInfo *info = el_line(el);
    const unsigned width = terminal_size().ws_col;
    g_autofree char *before = g_strndup(info->buffer, (size_t)(info->cursor - info->buffer));
    g_autofree char *all = g_strndup(info->buffer, (size_t)(info->lastchar - info->buffer));
    unsigned begin, above;
    Prompt *prompt;

    el_get(el, EL_CLIENTDATA, &prompt);
    begin = columns(prompt->continued > 0 ? "> " : prompt->text);
    above = (begin + columns(before)) / width;
    return (Place){ .above = above, .below = (begin + columns(all)) / width - above };
}

/* The terminal has another size and has broken the line anew: it is drawn again from where it now
 * begins. Row by row, because what takes a whole screen away may be brought back by the next size.
 */
static void redraw(EditLine *el)
{
    const Place place = cursor_place(el);

    el_resize(el);
    if (g_strcmp0(getenv("TERM"), "dumb") == 0) {
        fputc('\n', stdout);
    } else {
        if (place.above > 0)
            printf("\033[%uA", place.above);
        fputs("\r\033[K", stdout);
        for (unsigned row = 0; row < place.above + place.below; row++)
            fputs("\033[B\033[K", stdout);
        if (place.above + place.below > 0)
            printf("\033[%uA", place.above + place.below);
    }
    fflush(stdout);
    el_set(el, EL_REFRESH);
}

/* Below the line, which then is drawn again below them. */
static void print_list(EditLine *el, const char *text)
{
    for (unsigned below = cursor_place(el).below; below > 0; below--)
        fputc('\n', stdout);
    printf("\n%s", text);
    fflush(stdout);
    el_set(el, EL_REFRESH);
}

static unsigned char on_tab(EditLine *el, int key G_GNUC_UNUSED)
{
    const LineInfo *info = el_line(el);
    const struct winsize size = terminal_size();
    g_autofree char *before = g_strndup(info->buffer, (size_t)(info->cursor - info->buffer));
    g_autofree char *after = g_strndup(info->cursor, (size_t)(info->lastchar - info->cursor));
    g_autofree char *text = NULL;
    TabAnswer answer;
    Prompt *prompt;
    Lookup lookup;

    el_get(el, EL_CLIENTDATA, &prompt);
    lookup = lookups_lookup(prompt->lookups);
    answer = tab_press(&(TabLine){ .pending = prompt->command->str,
                                   .before = before,
                                   .after = after,
                                   .width = size.ws_col,
                                   .height = size.ws_row },
                       &lookup, &prompt->tabbed);
    text = answer.text;
    switch (answer.action) {
    case TAB_NOTHING:
        return CC_ERROR;
    case TAB_INSERT:
        el_deletestr(el, letters(before + strlen(before) - answer.remove));
        el_insertstr(el, text);
        return CC_REFRESH;
    case TAB_BEEP:
        return CC_REFRESH_BEEP;
    case TAB_LIST:
        print_list(el, text);
        return CC_NORM;
    }
    g_assert_not_reached();
}

/* The next byte of the keyboard; -1 at its end. */
static int next_byte(EditLine *el, Prompt *prompt)
{
    struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN },
                            { .fd = prompt->resized_fd, .events = POLLIN } };
    struct signalfd_siginfo resized;
    unsigned char byte;

    if (prompt->key != EOF) {
        byte = (unsigned char)prompt->key;
        prompt->key = EOF;
        return byte;
    }
    for (;;) {
        if (poll(fds, G_N_ELEMENTS(fds), -1) < 0 && errno != EINTR)
            return -1;
        if (fds[1].revents & POLLIN && read(prompt->resized_fd, &resized, sizeof resized) > 0)
            redraw(el);
        else if (fds[0].revents != 0)
            return read(STDIN_FILENO, &byte, 1) == 1 ? byte : -1;
    }
}

/* In place of the editor's own, which knows only one thing to wait for. Bytes that are no letter
 * are left out. */
static int next_key(EditLine *el, wchar_t *key)
{
    mbstate_t state = { 0 };
    Prompt *prompt;
    int byte;

    el_get(el, EL_CLIENTDATA, &prompt);
    while ((byte = next_byte(el, prompt)) >= 0) {
        char c = (char)byte;
        size_t length = mbrtowc(key, &c, 1, &state);

        if (length <= 1)
            return 1;
        if (length == (size_t)-1)
            memset(&state, 0, sizeof state);
    }
    return 0;
}

/* SIGWINCH comes by way of a descriptor, so that it interrupts no call of a command at work. */
static void watch_size(Prompt *prompt)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGWINCH);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    prompt->resized_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
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

    prompt->command = g_string_new(NULL);
    prompt->lookups = lookups_open(shell->session.conf, impatient, prompt);
    prompt->key = EOF;
    watch_size(prompt);
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
    el_set(prompt->el, EL_GETCFN, next_key);
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
    lookups_close(prompt->lookups);
    if (prompt->resized_fd >= 0)
        close(prompt->resized_fd);
    g_string_free(prompt->command, TRUE);
    g_free(prompt->tabbed);
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

/* What this shell began in the background and has ended meanwhile; @seen is known. */
static void tell_ended(const Shell *shell, const char *seen)
{
    g_autofree char *ended = background_ended(seen);
    g_autofree char *plain = ended != NULL ? render_plain(ended) : NULL;

    if (plain != NULL && !shell->base.quiet)
        fputs(plain, stderr);
}

/* The next line is the first of a command. */
static void begin_command(Prompt *prompt)
{
    g_string_truncate(prompt->command, 0);
    prompt->continued = 0;
    prompt->state = (TokenState){ 0 };
}

int line_run(Shell *shell)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
    Prompt prompt = { 0 };
    g_autofree char *left = NULL;
    GString *command;

    /* Only for the names of stores and the place of the history: a mistake in it is told by the
     * first verb that needs it. */
    shell->session.conf = conf_load(shell->session.config, NULL);
    shell->session.ask = shell_ask;
    shell->session.history = list_past;
    shell->past = open_past(shell);
    setlocale(LC_CTYPE, ""); /* letters beyond ASCII are edited as letters */
    prompt_open(&prompt, shell);
    command = prompt.command;
    sigaction(SIGINT, &ignore, &before); /* a command at work has its own (stop.c) */
    while (!shell->session.leave) {
        g_autofree char *watched = NULL;
        int length = 0;
        const char *line;

        if (command->len == 0)
            tell_ended(shell, NULL);
        el_set(prompt.el, EL_PREP_TERM, 1); /* before the prompt: who sees it types keys */
        line = el_gets(prompt.el, &length);
        if (prompt.abandoned) {
            prompt.abandoned = false;
            begin_command(&prompt);
            continue;
        }
        if (line == NULL || length <= 0) { /* Ctrl-D */
            fputc('\n', stdout);
            break;
        }
        g_string_append_len(command, line, line[length - 1] == '\n' ? length - 1 : length);
        if (token_continues(&prompt.state, command->str + prompt.continued)) {
            g_string_truncate(command, command->len - 1);
            prompt.continued = command->len;
            continue;
        }
        remember(&prompt, shell, command->str);
        shell_line(shell, command->str, NULL);
        watched = g_steal_pointer(&shell->session.watched);
        tell_ended(shell, watched);
        begin_command(&prompt);
    }
    left = background_left();
    say(left);
    sigaction(SIGINT, &before, NULL);
    prompt_close(&prompt);
    past_free(shell->past);
    return 0;
}
