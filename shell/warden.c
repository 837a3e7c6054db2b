/* warden.c - see warden.h. */
#include "shell/warden.h"
#include "commands/crash.h"
#include "core/base/self.h"
#include "shell/process.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int channel = -1; /* to the one that stands by the operation of this process */
static pid_t warden;

/* The operation goes on without one if there can be none. */
void warden_start(void *data, const char *operation, char **to)
{
    Shell *shell = data;
    g_autoptr(GError) problem = NULL;
    bool told;

    if (!process_start(WARDEN_VERB, "/dev/null", &channel, &warden, &problem)) {
        session_note(&shell->session, "nobody is told if this process dies: %s", problem->message);
        return;
    }
    told = process_tell_conf(channel, shell->session.conf) &&
           process_tell(channel, "operation", operation) &&
           process_tell(channel, "process", self_word());
    for (; *to != NULL && told; to++)
        told = process_tell(channel, "to", *to);
    if (!told || !process_told(channel))
        warden_end(data);
}

void warden_end(void *data G_GNUC_UNUSED)
{
    if (channel < 0)
        return;
    (void)send(channel, "e", 1, MSG_NOSIGNAL);
    close(channel);
    channel = -1;
    waitpid(warden, NULL, WNOHANG);
}

typedef struct Charge {
    char *operation, *process; /* who carried it */
    GPtrArray *to;
} Charge;

static void take_field(void *data, const char *name, const char *value)
{
    Charge *charge = data;

    if (strcmp(name, "operation") == 0)
        charge->operation = g_strdup(value);
    else if (strcmp(name, "process") == 0)
        charge->process = g_strdup(value);
    else if (strcmp(name, "to") == 0)
        g_ptr_array_add(charge->to, g_strdup(value));
}

/* Until the operation says that it has ended, or ends without. */
static bool ends_well(void)
{
    char word;
    ssize_t got;

    do
        got = recv(PROCESS_CHANNEL, &word, 1, 0);
    while (got < 0 && errno == EINTR);
    return got == 1;
}

int warden_run(Shell *shell)
{
    Charge charge = { .to = g_ptr_array_new_with_free_func(g_free) };
    g_autoptr(GError) error = NULL;
    bool good = process_take(shell, take_field, &charge) &&
                session_core(&shell->session, &error) != NULL; /* and no secret is left in the environment */

    g_ptr_array_add(charge.to, NULL);
    if (good && !ends_well())
        good = crash_mail(&shell->session, charge.operation, charge.process,
                          (char **)charge.to->pdata, &error);
    g_free(charge.operation);
    g_free(charge.process);
    g_ptr_array_unref(charge.to);
    return good ? 0 : error_exit_status(ZX_ERROR_FAILED);
}
