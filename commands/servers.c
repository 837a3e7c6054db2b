/* servers.c - getServers: the mailbox servers, and what each holds. */
#include "commands/around.h"

static json_t *server_json(const void *item)
{
    const ServerLook *server = item;
    json_t *object = json_object();

    set_text(object, "name", server->name);
    json_object_set_new(object, "in_directory", json_boolean(server->in_directory));
    json_object_set_new(object, "configured", json_boolean(server->configured));
    json_object_set_new(object, "reachable", json_boolean(server->reachable));
    set_text(object, "version", server->version);
    set_number(object, "db_version", server->db_version);
    set_number(object, "accounts", server->accounts);
    set_number(object, "mailboxes", server->mailboxes);
    set_size(object, "size", server->bytes);
    set_size(object, "free", server->volume_free);
    set_size(object, "total", server->volume_total);
    set_number(object, "old_copies", server->old_copies);
    set_size(object, "old_copies_size", server->old_bytes);
    set_number(object, "arriving", server->arriving);
    set_number(object, "windows_out", server->windows_out);
    set_number(object, "windows_in", server->windows_in);
    return object;
}

static bool run(Session *session, void *data G_GNUC_UNUSED, Result *result, GError **error)
{
    Core *core = session_core(session, error);
    g_autoptr(Looked) looked = NULL;

    if (core != NULL)
        looked = core_servers(core, session->switches->host, &session->wait, error);
    return around_finish(looked, "servers", server_json, "no mailbox server", result);
}

const Command cmd_get_servers = {
    .name = "getServers",
    .group = "Looking around",
    .summary = "list the mailbox servers and what each holds",
    .description =
        "Lists the mailbox servers of the directory and the stores of the configuration:\n"
        "accounts, mailboxes and their size, space on the volume for new messages, old copies\n"
        "of mailboxes that moved away, mailboxes that are partly copied here (arriving), and\n"
        "unfinished windows from here and to here. --host limits the list to one.\n"
        "Exit status: 0 done, 5 a server or a part of it could not be asked, 69 the\n"
        "directory could not.",
    .examples = (const char *const[]){ "getServers", NULL },
    .run = run,
};
