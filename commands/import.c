/* import.c - importConf: a first configuration from that of ZCS Lightning Mailbox Move, and what
 * that script does otherwise, so that its users know what changes for them. doc/from-the-script.md
 * says the same at length. */
#include "commands/commands.h"
#include "conf/script.h"
#include "conf/settings.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

typedef struct ImportRequest {
    char *file, *output;
} ImportRequest;

#define ZIMBRA "zimbra-config"
#define STORES "store-config"

typedef struct Import {
    const GPtrArray *items; /* of ScriptItem */
    const char *output;     /* NULL: nothing is written */
    Conf *fresh;            /* of the output as it was made */
    json_t *taken, *left;
} Import;

static void take(Import *import, const char *from, const char *setting, const char *shown)
{
    json_array_append_new(import->taken,
                          json_pack("{s:o, s:o, s:o}", "from", text_json(from), "setting",
                                    text_json(setting), "value", text_json(shown)));
}

static void leave(Import *import, const char *from, const char *why)
{
    json_array_append_new(import->left,
                          json_pack("{s:o, s:o}", "from", text_json(from), "why", text_json(why)));
}

/* @shown stands for a password. */
static bool put(Import *import, const char *from, const char *setting, const char *value,
                const char *shown, GError **error)
{
    bool path;

    take(import, from, setting, shown);
    if (import->output == NULL)
        return conf_check_value(settings_row(setting, &path), value, error) ||
               fail_prefix(error, "%s", from);
    return settings_write(import->fresh, import->output, setting, value, error) ||
           fail_prefix(error, "%s", from);
}

/* "ldap://host:389" of what may be a name, an address or a URL, with its port apart. */
static char *master_of(const char *server, const char *port)
{
    const char *host = strstr(server, "://");
    g_autofree char *scheme =
        host != NULL ? g_strndup(server, (size_t)(host - server) + 3) : g_strdup("ldap://");
    const char *name = host != NULL ? host + 3 : server;
    const char *colon = strrchr(name, ':');

    if (*port == '\0' || (colon != NULL && strchr(name, ':') == colon))
        return g_strconcat(scheme, name, NULL);
    return g_strdup_printf("%s%s:%s", scheme, name, port);
}

static bool take_directory(Import *import, GError **error)
{
    const char *server = script_value(import->items, ZIMBRA, "ldap_server");
    const char *port = script_value(import->items, ZIMBRA, "ldap_port");
    g_autofree char *master = NULL;

    if (server == NULL || *server == '\0')
        return fail(error, ZX_ERROR_INPUT, "no ldap_server in [" ZIMBRA "]: no mailboxmove.conf");
    master = master_of(server, port != NULL ? port : "");
    return put(import, "ldap_server, ldap_port", "ldap.master", master, master, error);
}

static bool take_text(Import *import, const ScriptItem *item, const char *setting, GError **error)
{
    return *item->value == '\0' || put(import, item->key, setting, item->value, item->value, error);
}

static bool take_secret(Import *import, const ScriptItem *item, const char *setting, GError **error)
{
    return item->secret == NULL ||
           put(import, item->key, setting, secret_reveal(item->secret), "(a password)", error);
}

static bool take_zimbra(Import *import, const ScriptItem *item, GError **error)
{
    if (strcmp(item->key, "ldap_server") == 0 || strcmp(item->key, "ldap_port") == 0)
        return true; /* both are one setting */
    if (strcmp(item->key, "ldap_user") == 0)
        return take_text(import, item, "ldap.bind_dn", error);
    if (strcmp(item->key, "ldap_password") == 0)
        return take_secret(import, item, "ldap.password", error);
    if (strcmp(item->key, "ZADMIN_USERNAME") == 0)
        return take_text(import, item, "admin.user", error);
    if (strcmp(item->key, "ZADMIN_PASSWORD") == 0)
        return take_secret(import, item, "admin.password", error);
    if (strcmp(item->key, "ZSTORE") == 0)
        leave(import, item->key, "every request goes to the store that it is about");
    else if (strcmp(item->key, "offset_mailbox_id") == 0)
        leave(import, item->key,
              "a mailbox gets the next id of its new store, from its own counter");
    else
        leave(import, item->key, "not known");
    return true;
}

static bool take_store(Import *import, const ScriptItem *item, GError **error)
{
    g_autofree char *from = g_strdup_printf("%s of %s", item->key, item->store);
    g_autofree char *password = g_strdup_printf("stores.%s.mariadb_password", item->store);

    if (strcmp(item->key, "password") == 0) {
        if (item->secret != NULL)
            return put(import, from, password, secret_reveal(item->secret), "(a password)", error);
        leave(import, from, "empty: each store's own is read from its localconfig");
    } else if (strcmp(item->key, "host") == 0 || strcmp(item->key, "port") == 0) {
        leave(import, from, "the near end of a tunnel: zxmove's own runs in its ssh session");
    } else if (strcmp(item->key, "user") == 0) {
        if (strcmp(item->value, "zimbra") != 0)
            leave(import, from, "mariadb.user is one for all stores: set it if it is not zimbra");
    } else {
        leave(import, from, "not known");
    }
    return true;
}

static bool take_item(Import *import, const ScriptItem *item, GError **error)
{
    if (strcmp(item->section, ZIMBRA) == 0 && item->store == NULL)
        return take_zimbra(import, item, error);
    if (strcmp(item->section, STORES) == 0 && item->store != NULL)
        return take_store(import, item, error);
    if (strcmp(item->section, "global") == 0 && strcmp(item->key, "log_file") == 0)
        leave(import, item->key, "each operation has a log of its own, in log of state_dir");
    else
        leave(import, item->key, "not known");
    return true;
}

/* Once each, before its own settings. */
static bool take_store_names(Import *import, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    bool ok = true;

    for (guint i = 0; i < import->items->len && ok; i++) {
        const ScriptItem *item = g_ptr_array_index(import->items, i);
        g_autofree char *setting = NULL;

        if (item->store == NULL || strcmp(item->section, STORES) != 0 ||
            !g_hash_table_add(seen, item->store))
            continue;
        setting = g_strdup_printf("stores.%s.address", item->store);
        if (!conf_is_server(item->store))
            return fail(error, ZX_ERROR_INPUT, "[" STORES "]: '%s' is not the name of a server",
                        item->store);
        ok = put(import, STORES, setting, item->store, item->store, error);
    }
    if (ok && g_hash_table_size(seen) == 0)
        return fail(error, ZX_ERROR_INPUT, "no store in [" STORES "]: no mailboxmove.conf");
    return ok;
}

static bool take_all(Import *import, GError **error)
{
    if (!take_store_names(import, error) || !take_directory(import, error))
        return false;
    for (guint i = 0; i < import->items->len; i++)
        if (!take_item(import, g_ptr_array_index(import->items, i), error))
            return false;
    return true;
}

/* What the script leaves behind, changes or risks, by its source; and what zxmove does. */
static const struct {
    const char *script, *here;
} differences[] = {
    { "copies 16 tables and the mailbox's row; left behind: mailbox_metadata (settings of the "
      "mailbox), scheduled_task (delayed sends), out_of_office, mobile_devices, zmg_devices, "
      "pending_acl_push, event, watch",
      "every table with a mailbox_id, by both servers' catalogues; an unknown one stops the move" },
    { "copies /opt/zimbra/store and /opt/zimbra/index only: blobs on any other volume (secondary, "
      "HSM, a second primary) stay behind, and so does their row's volume number",
      "every blob that a row names, from whatever volume; locators are translated" },
    { "replaces ids in the text of a dump: \"(12,\" in a subject or in metadata is changed, too",
      "ids are columns" },
    { "compares the number of rows of its 16 tables, and no content",
      "every row and blob is compared by content while the mailbox is locked" },
    { "does not lock the mailbox: maintenance, 3 seconds, then the copy",
      "the mailbox is locked out on its store, and the lock is proved before the change" },
    { "sets zimbraAccountStatus to active afterwards, whatever it was, and zimbraMailTransport to "
      "port 7025 of the new store",
      "the status that the account had comes back; a transport that is not its store's is "
      "refused" },
    { "finds the mailbox by its comment, with LIKE: a renamed account is not found, and _ matches "
      "any "
      "letter",
      "by the account's id" },
    { "SET GLOBAL FOREIGN_KEY_CHECKS=0 on every store, and leaves it; flush_all on every proxy's "
      "memcached and zmprov fc all on every store, for each account",
      "session settings and this account's keys only" },
    { "a new id is the old one plus an offset, and the store's own counter is not told",
      "the id comes from the counter" },
    { "passwords on command lines and in scripts of mode 777 in /var/tmp, which stay; rows of mail "
      "in "
      "its log",
      "no password outside a 0600 file; no mail in a log" },
    { "root on every store, and host keys taken unseen",
      "the user zimbra, and host keys compared once by a person (trust)" },
    { "the old copy stays as it is, open, until somebody deletes it by hand",
      "locked, recorded, and deleted by doPurgeMailboxes when everything is proved again" },
};

static json_t *differences_json(void)
{
    json_t *list = json_array();

    for (size_t i = 0; i < G_N_ELEMENTS(differences); i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "script", differences[i].script, "here",
                                              differences[i].here));
    return list;
}

static json_t *next_json(const char *output)
{
    json_t *list = json_array();

    json_array_append_new(
        list, json_string("give the user zimbra of every store the public half of ssh.key_file"));
    if (output != NULL)
        json_array_append_new(list, json_sprintf("zxmove --config %s trust", output));
    json_array_append_new(list, json_string("doCheck for the new store and its accounts, then doMailboxMove"));
    return list;
}

static const char *text_at(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static char *as_text(const json_t *response)
{
    GString *out = g_string_new(NULL);
    const char *output = text_at(response, "output");
    size_t i;
    json_t *item;

    g_string_append_printf(out, "%s\n", output != NULL ? output : "nothing is written: no output");
    json_array_foreach(json_object_get(response, "taken"), i, item)
        g_string_append_printf(out, "  %-40s %s  (%s)\n", text_at(item, "setting"),
                               text_at(item, "value"), text_at(item, "from"));
    g_string_append(out, "\nNot needed\n");
    json_array_foreach(json_object_get(response, "left"), i, item)
        g_string_append_printf(out, "  %s: %s\n", text_at(item, "from"), text_at(item, "why"));
    g_string_append(out, "\nWhat the script does otherwise\n");
    json_array_foreach(json_object_get(response, "differences"), i, item) g_string_append_printf(
        out, "  script  %s\n  here    %s\n", text_at(item, "script"), text_at(item, "here"));
    g_string_append(out, "\nNext\n");
    json_array_foreach(json_object_get(response, "next"), i, item)
        g_string_append_printf(out, "  %s\n", json_string_value(item));
    return g_string_free(out, FALSE);
}

/* Private from its first byte; an older file is left alone. */
static bool make_output(const char *output, const char *file, GError **error)
{
    g_autofree char *head = g_strdup_printf("# made by zxmove importConf from %s\n", file);
    int fd = open(output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, head, strlen(head)) == (ssize_t)strlen(head);

    if (!ok)
        fail(error, ZX_ERROR_INPUT, "output %s: %s", output, g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool import_all(Import *import, GError **error)
{
    bool ok;

    if (import->output == NULL)
        return take_all(import, error);
    import->fresh = conf_load(import->output, error);
    ok = import->fresh != NULL && take_all(import, error);
    g_clear_pointer(&import->fresh, conf_free);
    if (!ok)
        unlink(import->output);
    return ok;
}

static bool run(Session *session G_GNUC_UNUSED, void *data, Result *result, GError **error)
{
    const ImportRequest *request = data;
    g_autoptr(GPtrArray) items = script_read(request->file, error);
    Import import = { .items = items, .output = request->output };

    if (items == NULL ||
        (request->output != NULL && !make_output(request->output, request->file, error)))
        return false;
    import.taken = json_array();
    import.left = json_array();
    result->response =
        json_pack("{s:o, s:o, s:o, s:o}", "taken", import.taken, "left", import.left, "differences",
                  differences_json(), "next", next_json(request->output));
    if (!import_all(&import, error)) {
        g_clear_pointer(&result->response, json_decref);
        return false;
    }
    if (request->output != NULL)
        json_object_set_new(result->response, "output", text_json(request->output));
    result->text = as_text(result->response);
    return true;
}

/* clang-format off */
static const Arg args[] = {
    ARG(ImportRequest, file, .name = "file", .type = ARG_PATH, .flags = ARG_REQUIRED,
        .expected = "path of mailboxmove.conf", .help = "the script's configuration"),
    ARG(ImportRequest, output, .name = "output", .type = ARG_PATH, .expected = "path",
        .unset = "nothing is written", .help = "the configuration to make; it must not be there yet"),
    { 0 },
};
/* clang-format on */

const Command cmd_import_conf = {
    .name = "importConf",
    .group = "Shell",
    .summary = "a configuration from ZCS Lightning Mailbox Move's",
    .description =
        "Reads the mailboxmove.conf of that script, writes what zxmove needs of it into\n"
        "a new private file (mode 0600, passwords included, which are never shown), and\n"
        "says what is not needed and what the script does otherwise.\n"
        "See doc/from-the-script.md for its options.",
    .args = args,
    .request_size = sizeof(ImportRequest),
    .examples = (const char *const[]){ "importConf mailboxmove.conf output zxmove.yaml", NULL },
    .run = run,
};
