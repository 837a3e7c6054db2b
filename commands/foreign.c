/* foreign.c - verbs of zxsuite that old runbooks hold and that are no part of moving mailboxes.
 * Known by name, so that the answer is where to go and not "unknown command". */
#include "commands/commands.h"

typedef struct Foreign {
    const char *name;
    const char *tool;
} Foreign;

static const Foreign foreign[] = {
    { "doMoveBlobs", "zmhsm" },
    { "doVolumeToVolumeMove", "zmhsm" },
    { "doCreateVolume", "zmvolume --add" },
    { "doUpdateVolume", "zmvolume --edit" },
    { "doDeleteVolume", "zmvolume --delete" },
    { "doUpdatePrimaryVolume", "zmvolume --setCurrent" },
    { "doUpdateSecondaryVolume", "zmvolume --setCurrent" },
    { "getHsmPolicy", "zmhsm" },
    { "setHsmPolicy", "zmhsm" },
    { "+setHsmPolicy", "zmhsm" },
    { "-setHsmPolicy", "zmhsm" },
    { "doApplyHsmPolicy", "zmhsm --start" },
    { "doDeduplicate", "zmdedupe" },
    { "doRemoveHSMVolume", "zmvolume --delete" },
    { "doStartService", "zmcontrol start" },
    { "doStopService", "zmcontrol stop" },
    { "doRestartService", "zmcontrol restart" },
    { "startService", "zmcontrol start" },
    { "stopService", "zmcontrol stop" },
    { "restartService", "zmcontrol restart" },
};

bool foreign_verb(const char *name, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(foreign); i++) {
        if (g_ascii_strcasecmp(foreign[i].name, name) != 0)
            continue;
        fail(error, ZX_ERROR_USAGE,
             "%s belongs to volume management, not part of zxmove\nthe Zimbra tool for it: %s",
             foreign[i].name, foreign[i].tool);
        return true;
    }
    return false;
}

void foreign_parameters(GString *out)
{
    for (size_t i = 0; i < G_N_ELEMENTS(foreign); i++)
        g_string_append_printf(out, "%s | - | refused\n", foreign[i].name);
}
