/* failpoint.c - see failpoint.h. */
#include "core/base/failpoint.h"

#ifdef ZX_FAILPOINTS
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The test sees by a second file that the point was reached. */
static void await_file(const char *path)
{
    g_autofree char *reached = g_strdup_printf("%s.reached", path);

    g_file_set_contents(reached, "", 0, NULL);
    while (access(path, F_OK) != 0)
        g_usleep(10000);
}

/* Whether to wait: always, or when @nth says so. */
static bool its_turn(const char *nth)
{
    static int passed;

    return *nth == '\0' || g_atomic_int_add(&passed, 1) + 1 == atoi(nth);
}

bool failpoint(const char *name, GError **error)
{
    const char *wanted = g_getenv("ZX_FAIL");
    g_auto(GStrv) points = g_strsplit(wanted != NULL ? wanted : "", ",", -1);

    for (char **point = points; *point != NULL; point++) {
        const char *how = strrchr(*point, '=');

        if (how == NULL || strlen(name) != (size_t)(how - *point) ||
            strncmp(*point, name, strlen(name)) != 0)
            continue;
        if (strcmp(how, "=kill") == 0)
            raise(SIGKILL);
        while (strcmp(how, "=hang") == 0)
            pause();
        if (g_str_has_prefix(how, "=wait")) {
            if (its_turn(how + strlen("=wait")))
                await_file(g_getenv("ZX_FAIL_FILE"));
            continue;
        }
        return fail(error, strcmp(how, "=bug") == 0 ? ZX_ERROR_BUG : ZX_ERROR_FAILED,
                    "failpoint %s", name);
    }
    return true;
}
#endif
