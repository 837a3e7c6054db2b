/* shell.h - how words come in and results go out. One-shot, batch and the interactive shell differ
 * in where lines come from and in what an error does; all three end in shell_execute. */
#ifndef ZX_SHELL_H
#define ZX_SHELL_H

#include "commands/commands.h"
#include <stdio.h>

/* token.c: text to words, as zmprov quotes (single, double, backslash anywhere, \n \t \r; no quote
 * begins behind a letter), plus # comments at the beginning of a word. Pure. */
#define LINE_LONGEST ((size_t)1 << 20)
/* Where in the quoting the end of a text is; zero it at the beginning of a command. */
typedef struct TokenState {
    char quote; /* open: ' or ", else 0 */
    bool in_word, escape, comment;
    bool name; /* the last character was a letter or digit: an apostrophe may follow */
} TokenState;
/* Reads on over one line of a command. True if it ends in a backslash that continues the command:
 * that one is dropped, and the next line belongs to it. */
bool token_continues(TokenState *state, const char *text);
/* The words of @line, NULL-terminated, possibly none. NULL with USAGE for a quote left open. */
char **token_split(const char *line, GError **error) MUST_USE;
/* The same up to @cursor, tolerant: the words before the one at hand, and in *@current that word as
 * far as it is typed ("" between words). Never NULL. */
char **token_partial(const char *line, size_t cursor, char **current);
/* Words to a line that token_split takes apart again. */
char *token_join(const char *const *words);

typedef struct Progress Progress;

typedef struct BatchFile BatchFile;
typedef struct Past Past;

typedef struct Shell {
    Session session;
    Switches base;     /* of the process: a line may add to them */
    Switches switches; /* of the command at hand */
    const char *const *words; /* of the command at hand, from its verb on */
    Progress *progress;
    const BatchFile *batch; /* whose commands are being run, the innermost; NULL: nobody's */
    Past *past;             /* NULL unless interactive */
} Shell;

/* Runs one command and prints what came of it; @where ("moves.txt:12") is put before an error, NULL
 * for a command line. Returns the exit status. */
int shell_execute(Shell *shell, const char *const *words, const char *where);
/* The same without a print. */
bool shell_run(Shell *shell, const char *const *words, Result *result, GError **error) MUST_USE;

/* The same for a line as it was typed. Nothing is done for one without words. */
int shell_line(Shell *shell, const char *line, const char *where);

/* batch.c: the commands of the file @path ("-": stdin), until the first error unless --keep-going.
 * The exit status: of the command that stopped it, else the worst. */
int batch_file(Shell *shell, const char *path, const char *where);

/* A question to the person at the terminal, by way of stderr; whatever is not y is a no. */
bool shell_ask(void *data, const char *question);

/* line.c: the interactive shell, until quit or Ctrl-D. */
int line_run(Shell *shell);

/* bash.c: the candidates that bash asks for with "__complete"; the exit status. */
int bash_complete(int argc, const char *const *argv);

/* render.c: results and errors as text or JSON. */
void render_result(FILE *out, const Result *result, bool json);
void render_error(const GError *error, const char *where, bool json);
char *render_text(const Result *result);
/* Text with what could play tricks on a terminal replaced; line breaks stay. */
char *render_plain(const char *text);

/* progress.c: events to lines redrawn on a terminal, else to some lines now and then, or to JSON. */
Progress *progress_new(void);
void progress_free(Progress *progress);
/* Before each command: what its switches ask for. */
void progress_begin(Progress *progress, const Switches *switches);
void progress_end(Progress *progress);
void progress_sink(Progress *progress, const Event *event);
void progress_note(Progress *progress, const char *text);
/* A stop was asked for; @again: and once more, so say what it waits for. */
void progress_stopping(Progress *progress, bool again);

/* stop.c: Ctrl-C, SIGTERM and SIGHUP while a command runs. The first asks it to stop, later ones
 * want to know what it waits for; progress answers. Outside of a command they do what they always
 * do. */
void stop_begin(Session *session, Progress *progress);
void stop_end(void);

#endif
