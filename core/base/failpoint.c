/* failpoint.c - see failpoint.h. */
#include "core/base/failpoint.h"

#ifdef ZX_FAILPOINTS
#include <signal.h>
#include <string.h>
#include <unistd.h>

bool failpoint(const char *name, GError **error)
{
    const char *wanted = g_getenv("ZX_FAIL");
    g_auto(GStrv) points = g_strsplit(wanted != NULL ? wanted : "", ",", -1);

    for (char **point = points; *point != NULL; point++) {
        const char *how = strrchr(*point, '=');

        if (how == NULL || strlen(name) != (size_t)(how - *point) || strncmp(*point, name, strlen(name)) != 0)
            continue;
        if (strcmp(how, "=kill") == 0)
            raise(SIGKILL);
        while (strcmp(how, "=hang") == 0)
            pause();
        if (strcmp(how, "=wait") == 0) {
            while (access(g_getenv("ZX_FAIL_FILE"), F_OK) != 0)
                g_usleep(10000);
            continue;
        }
        return fail(error, ZX_ERROR_FAILED, "failpoint %s", name);
    }
    return true;
}
#endif
