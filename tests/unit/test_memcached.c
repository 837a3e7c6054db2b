/* test_memcached.c - the text protocol, against a server of this test that says what it is told. */
#include "core/net/memcached.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct Server {
    int listener;
    unsigned port;
    const char *answer; /* said once the bytes of @asked have come; NULL: nothing */
    size_t wait_for;    /* bytes */
    bool piecemeal;
    GString *asked;
    GThread *thread;
} Server;

static gpointer serve(gpointer data)
{
    Server *server = data;
    int fd = accept(server->listener, NULL, NULL);
    char bytes[4096];
    ssize_t n;

    while (server->asked->len < server->wait_for && (n = read(fd, bytes, sizeof bytes)) > 0)
        g_string_append_len(server->asked, bytes, n);
    if (server->answer == NULL) {
        while (read(fd, bytes, sizeof bytes) > 0)
            continue;
    } else {
        const size_t step = server->piecemeal ? 1 : strlen(server->answer);

        for (size_t at = 0; at < strlen(server->answer); at += step)
            if (send(fd, server->answer + at, step, MSG_NOSIGNAL) < 0)
                break;
    }
    close(fd);
    return NULL;
}

static void server_start(Server *server, size_t wait_for, const char *answer, bool piecemeal)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;

    *server = (Server){ .answer = answer, .wait_for = wait_for, .piecemeal = piecemeal };
    server->asked = g_string_new(NULL);
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->listener, 1), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &length), 0);
    server->port = ntohs(address.sin_port);
    server->thread = g_thread_new("server", serve, server);
}

static void server_stop(Server *server)
{
    g_thread_join(server->thread);
    close(server->listener);
}

static const char two[] = "delete a\r\ndelete b\r\n";

static void test_answers(void **state)
{
    static const struct {
        const char *answer;
        bool piecemeal, ok;
        ZxError code;
    } cases[] = {
        { "DELETED\r\nNOT_FOUND\r\n", false, true, 0 },
        { "NOT_FOUND\r\nNOT_FOUND\r\n", true, true, 0 },
        { "DELETED\r\n", false, false, ZX_ERROR_CONNECT },
        { "DELETED\r\nDELETED", false, false, ZX_ERROR_CONNECT },
        { "", false, false, ZX_ERROR_CONNECT },
        { "DELETED\r\nERROR\r\n", false, false, ZX_ERROR_FAILED },
        { "SERVER_ERROR out of memory\r\n", true, false, ZX_ERROR_FAILED },
        { NULL, false, false, ZX_ERROR_TIMEOUT },
    };
    g_autoptr(GPtrArray) keys = g_ptr_array_new();

    (void)state;
    g_ptr_array_add(keys, (char[]){ "a" });
    g_ptr_array_add(keys, (char[]){ "b" });
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        Server server;
        bool ok;

        server_start(&server, strlen(two), cases[i].answer, cases[i].piecemeal);
        ok = memcached_delete("127.0.0.1", server.port, keys, cases[i].answer == NULL ? 1000 : 60000,
                              &error);
        server_stop(&server);
        assert_string_equal(server.asked->str, two);
        g_string_free(server.asked, TRUE);
        assert_true(ok == cases[i].ok);
        if (!ok)
            assert_int_equal(error_code(error), cases[i].code);
    }
}

static void test_many_keys_in_one_go(void **state)
{
    enum { KEYS = 20000 };
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GString) answer = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    size_t length = 0;
    Server server;

    (void)state;
    for (unsigned i = 0; i < KEYS; i++) {
        char *key = g_strdup_printf("route:proto=imap;user=u%u", i);

        g_ptr_array_add(keys, key);
        length += strlen("delete \r\n") + strlen(key);
        g_string_append(answer, i % 2 ? "DELETED\r\n" : "NOT_FOUND\r\n");
    }
    server_start(&server, length, answer->str, false);
    assert_true(memcached_delete("127.0.0.1", server.port, keys, 60000, &error));
    server_stop(&server);
    assert_int_equal(server.asked->len, length);
    g_string_free(server.asked, TRUE);
}

static void test_values(void **state)
{
    static const struct {
        const char *answer;
        bool piecemeal, ok;
        const char *a, *b;
    } cases[] = {
        { "END\r\nEND\r\n", false, true, NULL, NULL },
        { "VALUE a 0 3\r\nxyz\r\nEND\r\nEND\r\n", true, true, "xyz", NULL },
        { "END\r\nVALUE b 0 7\r\nEND\r\nEN\r\nEND\r\n", true, true, NULL, "END\r\nEN" },
        { "VALUE a 0 0\r\n\r\nEND\r\nVALUE b 1 1 9\r\n123456789\r\nEND\r\n", false, true, "",
          "123456789" },
        { "VALUE a 0 99999999\r\n", false, false, NULL, NULL },
        { "VALUE \r\n", false, false, NULL, NULL },
        { "VALUE a 0 1\r\nx\r\nVALUE a 0 1\r\nx\r\nEND\r\n", false, false, NULL, NULL },
        { "VALUE a 0 9\r\nxyz", false, false, NULL, NULL },
        { "ERROR\r\n", false, false, NULL, NULL },
    };
    g_autoptr(GPtrArray) keys = g_ptr_array_new();

    (void)state;
    g_ptr_array_add(keys, (char[]){ "a" });
    g_ptr_array_add(keys, (char[]){ "b" });
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) values = NULL;
        Server server;

        server_start(&server, strlen("get a\r\nget b\r\n"), cases[i].answer, cases[i].piecemeal);
        values = memcached_get("127.0.0.1", server.port, keys, 60000, &error);
        server_stop(&server);
        assert_string_equal(server.asked->str, "get a\r\nget b\r\n");
        g_string_free(server.asked, TRUE);
        assert_true((values != NULL) == cases[i].ok);
        if (!cases[i].ok)
            continue;
        assert_int_equal(values->len, 2);
        assert_true(g_strcmp0(g_ptr_array_index(values, 0), cases[i].a) == 0);
        assert_true(g_strcmp0(g_ptr_array_index(values, 1), cases[i].b) == 0);
    }
}

static void test_keys_are_checked(void **state)
{
    g_autofree char *lengthy = g_strnfill(251, 'x');
    const char *const bad[] = { "", "a b", "a\r\nflush_all", "a\t", "\x7f", lengthy };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GError) error = NULL;

        g_ptr_array_add(keys, g_strdup(bad[i]));
        assert_false(memcached_delete("127.0.0.1", 1, keys, 100, &error));
        assert_int_equal(error_code(error), ZX_ERROR_BUG);
    }
}

static void test_nothing_to_do_needs_no_server(void **state)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new();

    (void)state;
    assert_true(memcached_delete("127.0.0.1", 1, keys, 100, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_many_keys_in_one_go),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_keys_are_checked),
        cmocka_unit_test(test_nothing_to_do_needs_no_server),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
