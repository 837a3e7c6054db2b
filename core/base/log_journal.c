/* log_journal.c - see log_journal.h. */
#include "core/base/log_journal.h"
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int log_journal_open(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    g_strlcpy(address.sun_path, path != NULL ? path : "/run/systemd/journal/socket",
              sizeof address.sun_path);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

/* The protocol's limit for a datagram that needs no shared memory is the socket's buffer; a line
 * that long is nobody's. */
#define TEXT_MAX 32768

void log_journal_write(int fd, int priority, const char *operation, const char *account,
                       const char *text)
{
    g_autofree char *entry = g_strdup_printf("MESSAGE=%.*s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=zxmove\n"
                                             "ZXMOVE_OPERATION=%s\nZXMOVE_ACCOUNT=%s\n",
                                             TEXT_MAX, text, priority, operation, account);

    /* A journal that does not keep up loses lines, not the operation. */
    if (send(fd, entry, strlen(entry), MSG_NOSIGNAL) < 0)
        return;
}
