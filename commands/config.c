/* config.c - config: the settings, where each came from, and how to change one. A password is never
 * shown, and never comes from a command line, which everybody on the host can read. */
#include "commands/commands.h"
#include "conf/settings.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

typedef struct ConfigRequest {
    char *action, *name, *value;
} ConfigRequest;

static json_t *setting_json(const Setting *setting)
{
    const ConfItem *item = setting->item;
    bool secret = item->type == CONF_SECRET;
    json_t *object = json_pack("{s:o, s:s, s:o, s:s}", "name", text_json(setting->name), "type",
                               conf_type_name(item->type), "origin", text_json(setting->origin),
                               "help", item->help);

    json_object_set_new(object, "present", json_boolean(setting->present));
    if (setting->value != NULL && !secret)
        json_object_set_new(object, "value", text_json(setting->value));
    if (item->fallback != NULL)
        json_object_set_new(object, "default", json_string(item->fallback));
    if (item->min != NULL)
        json_object_set_new(object, "from", json_string(item->min));
    if (item->max != NULL)
        json_object_set_new(object, "to", json_string(item->max));
    if (item->values != NULL) {
        g_auto(GStrv) values = g_strsplit(item->values, "|", -1);
        json_t *list = json_array();

        for (char **value = values; *value != NULL; value++)
            json_array_append_new(list, json_string(*value));
        json_object_set_new(object, "values", list);
    }
    return object;
}

static const char *shown(const Setting *setting)
{
    if (setting->item->type == CONF_SECRET)
        return setting->present ? "(a password)" : "-";
    return setting->present ? setting->value : "-";
}

static void list_settings(const Conf *conf, Result *result)
{
    g_autoptr(GPtrArray) settings = settings_list(conf);
    GString *text = g_string_new(NULL);
    json_t *list = json_array();
    int name_width = 0, value_width = 0;

    for (guint i = 0; i < settings->len; i++) {
        const Setting *setting = g_ptr_array_index(settings, i);

        name_width = MAX(name_width, (int)strlen(setting->name));
        value_width = MAX(value_width, MIN(30, (int)strlen(shown(setting))));
    }
    for (guint i = 0; i < settings->len; i++) {
        const Setting *setting = g_ptr_array_index(settings, i);

        g_string_append_printf(text, "%-*s  %-*s  %s\n", name_width, setting->name, value_width,
                               shown(setting), setting->origin);
        json_array_append_new(list, setting_json(setting));
    }
    result->text = g_string_free(text, FALSE);
    result->response = json_pack("{s:o}", "settings", list);
    if (conf->path != NULL)
        json_object_set_new(result->response, "file", text_json(conf->path));
}

static bool get_setting(const Conf *conf, const char *name, Result *result, GError **error)
{
    g_autoptr(Setting) setting = settings_get(conf, name, error);

    if (setting == NULL)
        return false;
    result->text = g_strdup_printf("%s  %s  (%s)\n  %s\n", setting->name, shown(setting),
                                   setting->origin, setting->item->help);
    result->response = json_pack("{s:o}", "setting", setting_json(setting));
    return true;
}

/* The file that the next zxmove reads: there, or made where it looks. */
static char *file_to_write(const Session *session)
{
    char *path = conf_find(session->config);

    if (path != NULL)
        return path;
    return geteuid() == 0
               ? g_strdup("/etc/zxmove/zxmove.yaml")
               : g_build_filename(g_get_home_dir(), ".config", "zxmove", "zxmove.yaml", NULL);
}

static bool set_in(Session *session, const char *path, const ConfigRequest *request, Result *result,
                   GError **error)
{
    g_autoptr(Setting) before = settings_get(session->conf, request->name, NULL);
    g_autofree char *was = g_strdup(before != NULL ? shown(before) : "-");
    g_autoptr(Setting) setting = NULL;

    if (!settings_write(session->conf, path, request->name, request->value, error) ||
        !session_read_again(session, error))
        return false;
    setting = settings_get(session->conf, request->name, error);
    if (setting == NULL)
        return false;
    result->text = g_strdup_printf("%s  %s  (%s)\n  before: %s\n", setting->name, shown(setting),
                                   setting->origin, was);
    result->response = json_pack("{s:o}", "setting", setting_json(setting));
    if (setting->item->type != CONF_SECRET && before != NULL && before->present)
        json_object_set_new(result->response, "before", text_json(was));
    return true;
}

static bool set_setting(Session *session, const ConfigRequest *request, Result *result,
                        GError **error)
{
    g_autofree char *path = file_to_write(session);
    g_autofree char *directory = g_path_get_dirname(path);
    bool made = false, ok;
    int fd;

    if (access(path, F_OK) != 0 && errno == ENOENT) {
        g_mkdir_with_parents(directory, 0700);
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        made = fd >= 0;
        if (!made)
            return fail(error, ZX_ERROR_STATE, "%s: %s", path, g_strerror(errno));
        close(fd);
    }
    ok = session_conf(session, error) != NULL && set_in(session, path, request, result, error);
    if (made && !ok)
        unlink(path);
    return ok;
}

static bool run(Session *session, void *data, Result *result, GError **error)
{
    const ConfigRequest *request = data;
    const Conf *conf;

    if (strcmp(request->action, "set") == 0)
        return set_setting(session, request, result, error);
    conf = session_conf(session, error);
    if (conf == NULL)
        return false;
    if (strcmp(request->action, "get") == 0)
        return get_setting(conf, request->name, result, error);
    list_settings(conf, result);
    return true;
}

/* Before anything is read, so that a password is refused by whoever understands the line: the
 * history keeps no line that was refused. */
static bool check_value(const ConfigRequest *request, GError **error)
{
    bool path;
    const ConfItem *item = settings_row(request->name, &path);

    if (item == NULL)
        return true; /* run says it, with what was meant */
    if (item->type != CONF_SECRET)
        return conf_check_value(item, request->value, error) ||
               fail_prefix(error, "%s", request->name);
    return path || fail(error, ZX_ERROR_USAGE,
                        "%s: a password does not belong on a command line\n"
                        "write it into a file, chmod 600 it, and: config set %s_file PATH",
                        request->name, request->name);
}

static bool check(void *data, GError **error)
{
    const ConfigRequest *request = data;
    bool set = strcmp(request->action, "set") == 0, list = strcmp(request->action, "list") == 0;

    if (request->name == NULL && !list)
        return fail_page(error, &cmd_config, "config %s needs the name of a setting",
                         request->action);
    if (set && request->value == NULL)
        return fail_page(error, &cmd_config, "config set %s needs a value", request->name);
    if ((list && request->name != NULL) || (!set && request->value != NULL))
        return fail_page(error, &cmd_config, "config %s takes no %s", request->action,
                         list ? "name" : "value");
    return !set || check_value(request, error);
}

/* clang-format off */
static const Arg args[] = {
    ARG(ConfigRequest, action, .name = "action", .type = ARG_CHOICE, .flags = ARG_REQUIRED,
        .values = "get|set|list", .meanings = "one setting|write one into the file|all of them",
        .help = "what to do"),
    ARG(ConfigRequest, name, .name = "name", .type = ARG_TEXT, .flags = ARG_POSITIONAL,
        .expected = "retention_days, stores.mail1.example.com.address", .offers = OFFERS_SETTINGS,
        .help = "a setting, with a dot between section and key"),
    ARG(ConfigRequest, value, .name = "value", .type = ARG_TEXT, .flags = ARG_POSITIONAL,
        .expected = "60, 30s, true: as config list shows it", .offers = OFFERS_SETTING_VALUES,
        .help = "what it is to be from now on"),
    { 0 },
};
/* clang-format on */

const Command cmd_config = {
    .name = "config",
    .group = "Shell",
    .summary = "show the settings, or change one",
    .description =
        "list shows every setting with its value and its origin: file and line,\n"
        "environment, or default. set writes one into the configuration file, which keeps\n"
        "its comments; it holds in this shell from now on and in every zxmove that is\n"
        "started. A password is never shown and cannot be given here: config set\n"
        "ldap.password_file PATH names a file with it.",
    .args = args,
    .request_size = sizeof(ConfigRequest),
    .examples = (const char *const[]){ "config list", "config get retention_days",
                                       "config set retention_days 30", NULL },
    .check = check,
    .run = run,
};
