/* main.c - a stand-in for Zimbra's mailboxd, for the laboratory only: written from doc/platform.md,
 * as strict as the real one where a mover could do harm, and with the same blind spots. It shares
 * no code with zxmove. */
#include "tests/mailboxd/config.h"
#include "tests/mailboxd/control.h"
#include "tests/mailboxd/deliver.h"
#include "tests/mailboxd/indexing.h"
#include "tests/mailboxd/inject.h"
#include "tests/mailboxd/lmtp.h"
#include "tests/mailboxd/mailbox.h"
#include "tests/mailboxd/memcached.h"
#include "tests/mailboxd/soap.h"
#include "tests/mailboxd/tasks.h"
#include <curl/curl.h>
#include <libxml/parser.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { START_PATIENCE_US = 30 * 1000 * 1000, START_PAUSE_US = 200 * 1000 };

/* As mailboxd: any other database version is refused. */
static bool check_database(GError **error)
{
    g_autoptr(Db) db = db_take(error);

    if (db == NULL)
        return false;
    g_autoptr(DbRows) rows =
        db_query(db, error, "SELECT value FROM zimbra.config WHERE name = 'db.version'");
    if (rows == NULL)
        return false;
    g_autofree char *version = rows_next(rows) ? rows_text(rows, 0) : NULL;
    return g_strcmp0(version, config->db_version) == 0 ||
           fault(error, FAULT_FAILURE, "db.version is %s, not %s",
                 version == NULL ? "missing" : version, config->db_version);
}

/* Database and directory may still be coming up. */
static bool wait_for_database(GError **error)
{
    gint64 deadline = g_get_monotonic_time() + START_PATIENCE_US;

    while (!check_database(error)) {
        if (g_get_monotonic_time() > deadline)
            return false;
        g_clear_error(error);
        g_usleep(START_PAUSE_US);
    }
    return true;
}

static bool start(GError **error)
{
    db_init();
    directory_init();
    deliver_init();
    indexing_init();
    return wait_for_database(error) && volumes_load(error) && manager_init(error) &&
           tasks_start(error) && lmtp_start(error) && soap_start(error) && control_start(error);
}

static void stop(void)
{
    inject_stop();
    control_stop();
    soap_stop();
    lmtp_stop();
    tasks_stop();
    indexing_shutdown();
    manager_shutdown();
    deliver_shutdown();
    memcached_shutdown();
    directory_shutdown();
    volumes_free();
    db_shutdown();
    inject_free();
}

static void log_line(const char *domain, GLogLevelFlags level, const char *message, gpointer data)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autofree char *when = g_date_time_format(now, "%H:%M:%S");

    (void)domain;
    (void)data;
    fprintf(stderr, "%s.%03d %s%s\n", when, g_date_time_get_microsecond(now) / 1000,
            level & G_LOG_LEVEL_ERROR ? "FATAL " : "", message);
}

/* Blocks the signals that end this program, for all threads to come. */
static sigset_t block_signals(void)
{
    sigset_t ending;

    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ending, NULL);
    signal(SIGPIPE, SIG_IGN);
    return ending;
}

int main(int argc, char **argv)
{
    GError *error = NULL;
    int signal_number;

    if (argc != 3 || strcmp(argv[1], "--config") != 0) {
        fprintf(stderr, "usage: mailboxd --config FILE\n");
        return 64;
    }
    sigset_t ending = block_signals();
    g_log_set_default_handler(log_line, NULL);
    xmlInitParser();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    bool started = config_load(argv[2], &error) && start(&error);
    if (started) {
        g_message("%s serves", config->name);
        sigwait(&ending, &signal_number);
        g_message("%s ends", config->name);
        stop();
    } else {
        fprintf(stderr, "mailboxd: %s\n", error->message);
        g_error_free(error);
    }
    config_free();
    curl_global_cleanup();
    xmlCleanupParser();
    return started ? 0 : 1;
}
