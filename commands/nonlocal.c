/* nonlocal.c - getNonLocalMailboxes: mailboxes that lie where their account does not live. */
#include "commands/around.h"

static json_t *mailbox_json(const void *item)
{
    const NonLocal *mailbox = item;
    json_t *object = json_object();

    set_text(object, "store", mailbox->store);
    set_number(object, "mailbox_id", mailbox->mailbox_id);
    set_text(object, "account", mailbox->account);
    set_text(object, "account_id", mailbox->account_id);
    set_text(object, "reason", mailbox->reason);
    set_text(object, "because", mailbox->because);
    set_text(object, "home", mailbox->home);
    set_size(object, "size", mailbox->bytes);
    return object;
}

static bool run(Session *session, void *data G_GNUC_UNUSED, Result *result, GError **error)
{
    Core *core = session_core(session, error);
    g_autoptr(Looked) looked = NULL;

    if (core != NULL)
        looked = core_nonlocal(core, session->switches->host, &session->wait, error);
    return around_finish(looked, "mailboxes", mailbox_json,
                         "every mailbox lies where its account lives", result);
}

const Command cmd_get_non_local_mailboxes = {
    .name = "getNonLocalMailboxes",
    .group = "Looking around",
    .summary = "list mailboxes whose account lives elsewhere",
    .description =
        "Lists mailboxes on each store whose account lives elsewhere or nowhere, whoever left\n"
        "them there. The reason is moved (an old copy of ours), partial (a copy of a move that\n"
        "has not switched the account), orphan (the directory answers that there is no such\n"
        "account), or unknown. --host limits the list to one store.\n"
        "Exit status: 0 done, 5 a store could not be asked, 69 none could.",
    .examples = (const char *const[]){ "getNonLocalMailboxes", NULL },
    .run = run,
};
