/* test_keeper.c - a keeper whose store cannot be reached leaves it in peace. */
#include "core/ops/keeper.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A server that hangs up on everybody, and counts them. */
typedef struct Deaf {
    int socket;
    unsigned port;
    GThread *thread;
    GMutex mutex;
    GCond called;
    unsigned calls;
} Deaf;

static void *hang_up(void *data)
{
    Deaf *deaf = data;
    int caller;

    while ((caller = accept(deaf->socket, NULL, NULL)) >= 0) {
        close(caller);
        g_mutex_lock(&deaf->mutex);
        deaf->calls++;
        g_cond_signal(&deaf->called);
        g_mutex_unlock(&deaf->mutex);
    }
    return NULL;
}

static void deaf_start(Deaf *deaf)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;

    *deaf = (Deaf){ .socket = socket(AF_INET, SOCK_STREAM, 0) };
    assert_int_equal(bind(deaf->socket, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(deaf->socket, 16), 0);
    assert_int_equal(getsockname(deaf->socket, (struct sockaddr *)&address, &length), 0);
    deaf->port = ntohs(address.sin_port);
    g_mutex_init(&deaf->mutex);
    g_cond_init(&deaf->called);
    deaf->thread = g_thread_new("deaf", hang_up, deaf);
}

static void deaf_await(Deaf *deaf, unsigned calls)
{
    int64_t until = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;

    g_mutex_lock(&deaf->mutex);
    while (deaf->calls < calls && g_cond_wait_until(&deaf->called, &deaf->mutex, until))
        ;
    assert_true(deaf->calls >= calls);
    g_mutex_unlock(&deaf->mutex);
}

static void deaf_stop(Deaf *deaf)
{
    shutdown(deaf->socket, SHUT_RDWR);
    g_thread_join(deaf->thread);
    close(deaf->socket);
    g_mutex_clear(&deaf->mutex);
    g_cond_clear(&deaf->called);
}

/* However much there is to say: the first two may be one after the other, each further one is a
 * beat later. */
static void a_call_a_second(void **state G_GNUC_UNUSED)
{
    char name[] = "one", address[] = "127.0.0.1", user[] = "zxmove";
    Conf conf = { .net_timeout_s = 5, .mariadb = { .user = user } };
    ConfStore where = { .name = name,
                        .address = address,
                        .local = true,
                        .mariadb_address = address,
                        .mariadb_password = secret_new("secret") };
    Board *board = board_new();
    int64_t began;
    Keeper *keeper;
    Deaf deaf;

    deaf_start(&deaf);
    where.mariadb_port = deaf.port;
    began = g_get_monotonic_time();
    keeper = keeper_start(&conf, &where, "00000000-0000-0000-0000-000000000000", board);
    keeper_say(keeper, "paused", "by somebody");
    deaf_await(&deaf, 4);
    assert_true(g_get_monotonic_time() - began >= 2 * G_USEC_PER_SEC);
    keeper_end(keeper);
    deaf_stop(&deaf);
    board_free(board);
    secret_free(where.mariadb_password);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_call_a_second) };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
