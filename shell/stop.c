/* stop.c - see shell.h. The handler only counts and writes a text that is already there. */
#include "shell/shell.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t stops;
/* Two texts, so that the one the handler may be reading is never the one being written. */
static char waits[2][400];
static volatile sig_atomic_t waits_now;

static const int stop_signals[] = { SIGINT, SIGTERM, SIGHUP };
static struct sigaction before[G_N_ELEMENTS(stop_signals)];

static void say(const char *text)
{
    size_t length = 0;

    while (text[length] != '\0')
        length++;
    if (write(STDERR_FILENO, text, length) < 0)
        return;
}

static void on_signal(int number)
{
    int saved = errno;

    (void)number;
    if (stops == 0) {
        stops = 1;
        say("\nstopping; what is begun is finished or undone first\n");
    } else {
        say("\nstill waiting for: ");
        say(waits[waits_now]);
        say("\n");
    }
    errno = saved;
}

void stop_begin(Wait *wait)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

    stops = 0;
    stop_waits_for("an answer");
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < G_N_ELEMENTS(stop_signals); i++)
        sigaction(stop_signals[i], &action, &before[i]);
    wait->stop = &stops;
}

void stop_end(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(stop_signals); i++)
        sigaction(stop_signals[i], &before[i], NULL);
}

void stop_waits_for(const char *text)
{
    int other = 1 - (int)waits_now;

    g_strlcpy(waits[other], text, sizeof waits[other]);
    waits_now = other;
}
