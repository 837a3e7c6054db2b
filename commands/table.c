/* table.c - the list of all verbs, in the order in which help shows them; nothing else. */
#include "commands/commands.h"

const Command *const commands[] = {
    &cmd_do_mailbox_move,
    &cmd_plan,
    &cmd_do_recover,
    &cmd_do_rollback,
    &cmd_get_all_operations,
    &cmd_monitor,
    &cmd_do_stop_operation,
    &cmd_do_stop_all_operations,
    &cmd_do_suspend,
    &cmd_do_resume,
    &cmd_set_operation,
    &cmd_do_complete_move,
    &cmd_get_operation_log,
    &cmd_get_unfinished_operation_log,
    &cmd_get_notification,
    &cmd_get_moved_mailboxes,
    &cmd_do_purge_mailboxes,
    &cmd_do_verify,
    &cmd_run_bulk_delete,
    &cmd_do_check,
    &cmd_trust,
    &cmd_status,
    &cmd_report,
    &cmd_get_servers,
    &cmd_get_all_volumes,
    &cmd_get_volume_stats,
    &cmd_get_non_local_mailboxes,
    &cmd_get_services,
    &cmd_config,
    &cmd_import_conf,
    &cmd_do_check_blobs,
    &cmd_help,
    &cmd_source,
    &cmd_history,
    &cmd_version,
    &cmd_quit,
    &cmd_docs,
    &cmd_mailer,
    NULL,
};

const Command *command_find(const char *name)
{
    for (const Command *const *command = commands; *command != NULL; command++)
        if (g_ascii_strcasecmp((*command)->name, name) == 0 ||
            ((*command)->alias != NULL && g_ascii_strcasecmp((*command)->alias, name) == 0))
            return *command;
    return NULL;
}
