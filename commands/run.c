/* run.c - one command from its words to its result: the single way that the shell, the one-shot
 * form and a batch all take. */
#include "commands/operate.h"
#include "conf/units.h"
#include <string.h>

void result_clear(Result *result)
{
    json_decref(result->response);
    g_free(result->text);
    g_clear_error(&result->problem);
    memset(result, 0, sizeof *result);
}

const Conf *session_conf(Session *session, GError **error)
{
    if (session->conf == NULL)
        session->conf = conf_load(session->config, error);
    return session->conf;
}

/* What was asked with the old one may still be under way: it is kept to the end. */
bool session_read_again(Session *session, GError **error)
{
    Conf *conf = conf_load_again(session->conf, session->config, error);

    if (conf == NULL)
        return false;
    if (session->core != NULL)
        core_close(session->core);
    session->core = NULL;
    session->old_confs = g_slist_prepend(session->old_confs, session->conf);
    session->conf = conf;
    return true;
}

Core *session_core(Session *session, GError **error)
{
    /* NULL: of no command, but of a process that has only a task. */
    const Switches *switches = session->switches;
    const char *host = switches != NULL ? switches->host : NULL;

    if (session_conf(session, error) == NULL)
        return NULL;
    /* A slip of the pen would find nothing to do anywhere, and call it done. */
    if (host != NULL && conf_store_called(session->conf, host, error) == NULL)
        return NULL;
    if (session->core == NULL)
        session->core = core_open(session->conf, error);
    return session->core;
}

void session_note(Session *session, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, fmt);
    text = g_strdup_vprintf(fmt, args);
    va_end(args);
    session->note(session->data, text);
}

/* Workers call this from their threads. */
void session_event(void *data, const Event *event)
{
    Session *session = data;

    if (event->type != EVENT_NOTE)
        g_atomic_int_set(&session->begun, 1);
    if (event->type == EVENT_MAILBOX_DONE) {
        g_mutex_lock(&session->told_mutex);
        g_hash_table_add(session->told, (void *)(uintptr_t)event->result); /* a key, never used */
        g_mutex_unlock(&session->told_mutex);
    }
    session->sink(session->data, event);
}

void session_clear(Session *session)
{
    if (session->core != NULL)
        core_close(session->core);
    conf_free(session->conf);
    g_slist_free_full(g_steal_pointer(&session->old_confs), (GDestroyNotify)conf_free);
    g_free(session->line);
    g_clear_pointer(&session->watched, g_free);
    session->core = NULL;
    session->conf = NULL;
    session->line = NULL;
}

static bool unknown_verb(const char *verb, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const char *near;

    if (foreign_verb(verb, error))
        return false;
    for (const Command *const *command = commands; *command != NULL; command++)
        if (!((*command)->flags & COMMAND_HIDDEN))
            g_ptr_array_add(names,
                            (char *)(uintptr_t)(*command)->name); /* GPtrArray knows no const */
    g_ptr_array_add(names, NULL);
    near = units_nearest(verb, (const char *const *)names->pdata);
    if (near == NULL)
        return fail(error, ZX_ERROR_USAGE, "unknown command %s\nsee: help", verb);
    return fail(error, ZX_ERROR_USAGE, "unknown command %s, did you mean %s?", verb, near);
}

const Command *command_get(const char *name, GError **error)
{
    const Command *command = command_find(name);

    if (command == NULL)
        unknown_verb(name, error);
    return command;
}

static void show_request(const Session *session, const Command *command, const void *request,
                         Result *result)
{
    result->response = json_object();
    if (session->switches->host != NULL)
        json_object_set_new(result->response, "host", json_string(session->switches->host));
    json_object_set_new(result->response, "verb", json_string(command->name));
    json_object_set_new(result->response, "parameters", args_show(command, request));
}

static bool show_page(const Command *command, Result *result)
{
    result->text = docs_page(command);
    result->response = json_pack("{s:s}", "help", result->text);
    return true;
}

static bool has_other_defaults(const Command *command)
{
    for (const Arg *arg = command->args; arg != NULL && arg->name != NULL; arg++)
        if (arg->zextras3 != NULL || arg->zextras2 != NULL)
            return true;
    return false;
}

/* A configuration that cannot be read is said when the verb needs it. */
const char *args_compat(Session *session, const Command *command)
{
    if (!has_other_defaults(command) || (session->conf == NULL && !session_conf(session, NULL)))
        return NULL;
    return session->conf->compat_defaults;
}

/* What only looks has no row that it could be found by later, and no report: to wait for it in
 * silence is not what was asked for. */
static bool check_async(const Session *session, const Command *command, const void *request,
                        GError **error)
{
    bool looks = (command->flags & COMMAND_WAITS) != 0 ||
                 (command->operating != NULL && command->operating->looks(request));

    return !session->switches->async || !looks ||
           fail(error, ZX_ERROR_USAGE,
                "--async: %s only looks here, and answers who waits for it\n"
                "leave --async away; to go on meanwhile, let your shell wait: zxmove %s"
                " >FILE 2>&1 &",
                command->name, session->line);
}

static bool run_verb(Session *session, const Command *command, const char *const *words,
                     Result *result, GError **error)
{
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
    void *request;
    bool ok;

    /* "help powerstore doMailboxMove" names the module as zxsuite wants it. */
    while (command == &cmd_help && *words != NULL && is_prefix_word(*words))
        words++;
    if (words[0] != NULL && words[1] == NULL && command != &cmd_help &&
        (strcmp(words[0], "help") == 0 || strcmp(words[0], "--help") == 0))
        return show_page(command, result);

    request = args_parse(command, words, args_compat(session, command), notes, error);
    if (request == NULL)
        return false;
    for (guint i = 0; i < notes->len; i++)
        session->note(session->data, g_ptr_array_index(notes, i));
    if (session->switches->parse) {
        show_request(session, command, request, result);
        ok = true;
    } else {
        session->command = command;
        g_atomic_int_set(&session->operates, (command->flags & COMMAND_OPERATES) != 0);
        session->told = g_hash_table_new(NULL, NULL);
        ok = check_async(session, command, request, error) &&
             command->run(session, request, result, error);
        g_clear_pointer(&session->told, g_hash_table_unref);
    }
    args_free(command, request);
    return ok;
}

bool command_run(Session *session, const char *const *words, Result *result, GError **error)
{
    const Command *command;

    if (*words == NULL)
        return fail(error, ZX_ERROR_USAGE, "a verb is missing\nsee: help");
    command = command_get(*words, error);
    return command != NULL && run_verb(session, command, words + 1, result, error);
}

bool command_understood(const char *const *words)
{
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
    g_auto(Switches) now = { 0 };
    const Command *command;
    void *request;

    if (!switches_take(&words, false, &now, NULL) || *words == NULL ||
        (command = command_find(*words)) == NULL)
        return false;
    request = args_parse(command, words + 1, NULL, notes, NULL);
    args_free(command, request);
    return request != NULL;
}
