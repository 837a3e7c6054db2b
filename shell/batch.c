/* batch.c - commands from a pipe, a heredoc or a file. Every error names its file and line; the
 * first one ends the batch, because the next command was written in the belief that this one
 * worked. */
#include "shell/shell.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

typedef enum LineResult { LINE_READ, LINE_END, LINE_LONG, LINE_BINARY, LINE_BROKEN } LineResult;

/* The next line without its end (LF or CRLF) into @line, appended. A line that is too long is read
 * to its end all the same, so that its tail is not taken for another command. */
static LineResult read_line(FILE *file, GString *line)
{
    LineResult result = LINE_READ;
    bool any = false;
    int c;

    while ((c = getc_unlocked(file)) != EOF) {
        any = true;
        if (c == '\n')
            break;
        if (c == '\0')
            result = LINE_BINARY;
        else if (line->len < LINE_LONGEST)
            g_string_append_c(line, (char)c);
        else if (result == LINE_READ)
            result = LINE_LONG;
    }
    if (ferror(file))
        return LINE_BROKEN;
    if (!any)
        return LINE_END;
    if (g_str_has_suffix(line->str, "\r"))
        g_string_truncate(line, line->len - 1);
    return result;
}

static bool check_line(LineResult result, GError **error)
{
    switch (result) {
    case LINE_READ:
    case LINE_END:
        return true;
    case LINE_LONG:
        return fail(error, ZX_ERROR_USAGE,
                    "the line is longer than 1 MB\nput the accounts in a file: input_file FILE");
    case LINE_BINARY:
        return fail(error, ZX_ERROR_USAGE, "the line holds a zero byte: this is no text file");
    case LINE_BROKEN:
        return fail(error, ZX_ERROR_INPUT, "cannot be read: %s", g_strerror(errno));
    }
    g_assert_not_reached();
}

/* A command with all the lines its trailing backslashes continue it on. @number counts lines. What
 * is wrong with one of its lines is wrong with the command, and none of the others is taken for a
 * command of its own. */
static LineResult read_command(FILE *file, GString *command, unsigned *number)
{
    g_autoptr(GString) line = g_string_new(NULL);
    LineResult result = LINE_READ, read;
    TokenState state = { 0 };
    bool more = true;

    g_string_truncate(command, 0);
    for (bool first = true; more; first = false) {
        g_string_truncate(line, 0);
        read = read_line(file, line);
        if (read == LINE_END || read == LINE_BROKEN)
            return first || read == LINE_BROKEN ? read : result;
        if (++*number == 1 && g_str_has_prefix(line->str, "\xef\xbb\xbf")) /* a byte order mark */
            g_string_erase(line, 0, 3);
        more = token_continues(&state, line->str);
        if (more)
            g_string_truncate(line, line->len - 1);
        if (result == LINE_READ)
            result = read;
        if (command->len + line->len > LINE_LONGEST && result == LINE_READ)
            result = LINE_LONG;
        if (result == LINE_READ)
            g_string_append_len(command, line->str, (gssize)line->len);
    }
    return result;
}

/* Which of two statuses --keep-going ends with: what stands higher says more about what went wrong,
 * except that "some failed" is less than "failed". */
static int worse(int a, int b)
{
    int rank_a = a == 5 ? 1 : a * 2, rank_b = b == 5 ? 1 : b * 2;

    return rank_a >= rank_b ? a : b;
}

static int run_lines(Shell *shell, FILE *file, const char *name)
{
    g_autoptr(GString) line = g_string_new(NULL);
    unsigned number = 0;
    int worst = 0;

    while (!shell->session.leave) {
        unsigned first = number + 1;
        LineResult result = read_command(file, line, &number);
        g_autofree char *where = g_strdup_printf("%s:%u", name, first);
        g_autoptr(GError) error = NULL;
        int status;

        if (result == LINE_END)
            break;
        if (check_line(result, &error)) {
            status = shell_line(shell, line->str, where);
        } else {
            render_error(error, where, shell->base.json);
            status = error_exit_status(error_code(error));
        }
        worst = worse(worst, status);
        if (status != 0 && (!shell->base.keep_going || result == LINE_BROKEN ||
                            wait_stopped(&shell->session.wait)))
            return status;
    }
    return worst;
}

/* A file of commands that is open, and the one that sourced it. */
struct BatchFile {
    const char *name;
    dev_t device;
    ino_t inode;
    unsigned depth;
    const BatchFile *outer;
};

#define DEEPEST 16

/* A file that sources itself, by whatever way round, would never end. */
static bool check_nesting(const BatchFile *file, GError **error)
{
    for (const BatchFile *outer = file->outer; outer != NULL; outer = outer->outer)
        if (outer->device == file->device && outer->inode == file->inode)
            return fail(error, ZX_ERROR_USAGE, "%s is being run already, and would source itself",
                        file->name);
    if (file->depth > DEEPEST)
        return fail(error, ZX_ERROR_USAGE, "%s: files that source files, %u deep", file->name,
                    DEEPEST);
    return true;
}

static FILE *open_batch(const char *path, BatchFile *batch, GError **error)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    struct stat st;
    bool good;

    if (file == NULL) {
        fail(error, ZX_ERROR_INPUT, "%s: %s", path, g_strerror(errno));
        return NULL;
    }
    if (fstat(fileno(file), &st) != 0)
        good = fail(error, ZX_ERROR_INPUT, "%s: %s", path, g_strerror(errno));
    else if (S_ISDIR(st.st_mode))
        good = fail(error, ZX_ERROR_INPUT, "%s: a directory", path);
    else {
        batch->device = st.st_dev;
        batch->inode = st.st_ino;
        good = check_nesting(batch, error);
    }
    if (good)
        return file;
    if (file != stdin)
        fclose(file);
    return NULL;
}

int batch_file(Shell *shell, const char *path, const char *where)
{
    BatchFile batch = { .name = strcmp(path, "-") == 0 ? "stdin" : path,
                        .outer = shell->batch,
                        .depth = shell->batch != NULL ? shell->batch->depth + 1 : 1 };
    g_autoptr(GError) error = NULL;
    FILE *file = open_batch(path, &batch, &error);
    int status;

    if (file == NULL) {
        render_error(error, where, shell->base.json);
        return error_exit_status(error_code(error));
    }
    shell->session.stdin_is_batch |= file == stdin;
    shell->batch = &batch;
    status = run_lines(shell, file, batch.name);
    shell->batch = batch.outer;
    if (file != stdin)
        fclose(file);
    return status;
}
