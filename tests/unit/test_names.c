/* test_names.c - names that servers are asked for: kept, bounded, and never waited for too long.
 * The server is one here that answers when it is let. */
#include "completion/names.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { FOREVER_MS = 600000, PATIENT_MS = 60000, SHORT_MS = 50 };

static const char *const everyone[] = { "", NULL };

/* A server: asked so often, open or shut. */
typedef struct Server {
    GMutex lock;
    GCond changed;
    bool shut, broken, freed;
    unsigned asked, names;
    char *last;
} Server;

static void server_clear(Server *server)
{
    g_mutex_clear(&server->lock);
    g_cond_clear(&server->changed);
    g_free(server->last);
}

static GPtrArray *ask(void *data, NameKind kind G_GNUC_UNUSED, const char *host, const char *prefix,
                      unsigned limit)
{
    Server *server = data;
    GPtrArray *names = names_new();

    g_mutex_lock(&server->lock);
    server->asked++;
    g_free(server->last);
    server->last = g_strdup(prefix);
    g_cond_broadcast(&server->changed);
    while (server->shut)
        g_cond_wait(&server->changed, &server->lock);
    for (unsigned i = 0; i < MIN(limit, server->names); i++) {
        g_autofree char *text = g_strdup_printf("%s%s%03u", prefix, host, i);

        g_ptr_array_add(names, name_new(text, host));
    }
    if (server->broken)
        g_clear_pointer(&names, g_ptr_array_unref);
    g_mutex_unlock(&server->lock);
    return names;
}

static void set_shut(Server *server, bool shut)
{
    g_mutex_lock(&server->lock);
    server->shut = shut;
    g_cond_broadcast(&server->changed);
    g_mutex_unlock(&server->lock);
}

/* Until no thread asks any more. */
static void settle(void)
{
    int64_t end = g_get_monotonic_time() + PATIENT_MS * 1000;

    while (names_busy() && g_get_monotonic_time() < end)
        g_usleep(1000);
    assert_false(names_busy());
}

static guint count(Names *names, const char *prefix)
{
    g_autoptr(GPtrArray) found = names_get(names, NAME_ACCOUNT, everyone, prefix, NULL, NULL);

    return found->len;
}

static void kept(void **state G_GNUC_UNUSED)
{
    Server server = { .names = 3 };
    Names *names = names_open(ask, NULL, &server, (NamesTimes){ FOREVER_MS, PATIENT_MS });

    assert_int_equal(count(names, "an"), 3);
    assert_int_equal(server.asked, 1);
    assert_int_equal(count(names, "an"), 3);
    assert_int_equal(count(names, "AN"), 3);
    assert_int_equal(server.asked, 1); /* what is kept is not asked again */
    assert_int_equal(count(names, "an00"), 3);
    assert_int_equal(count(names, "an001"), 1);
    assert_int_equal(count(names, "anx"), 0);
    assert_int_equal(server.asked, 1); /* nor what is part of it */
    assert_int_equal(count(names, "b"), 3);
    assert_int_equal(server.asked, 2);
    settle();
    names_close(names);
    server_clear(&server);
}

static void outdated(void **state G_GNUC_UNUSED)
{
    Server server = { .names = 1 };
    Names *names = names_open(ask, NULL, &server, (NamesTimes){ 0, PATIENT_MS });

    assert_int_equal(count(names, "an"), 1);
    assert_int_equal(count(names, "an"), 1);
    assert_int_equal(server.asked, 2);
    settle();
    names_close(names);
    server_clear(&server);
}

/* An answer that was cut says nothing of what begins alike and is longer. */
static void bounded(void **state G_GNUC_UNUSED)
{
    Server server = { .names = 5000 };
    Names *names = names_open(ask, NULL, &server, (NamesTimes){ FOREVER_MS, PATIENT_MS });

    assert_int_equal(count(names, "a"), NAMES_LIMIT);
    assert_int_equal(count(names, "ab"), NAMES_LIMIT);
    assert_int_equal(server.asked, 2);
    assert_string_equal(server.last, "ab");
    settle();
    names_close(names);
    server_clear(&server);
}

static void failed(void **state G_GNUC_UNUSED)
{
    Server server = { .names = 3, .broken = true };
    Names *names = names_open(ask, NULL, &server, (NamesTimes){ FOREVER_MS, PATIENT_MS });

    assert_int_equal(count(names, "an"), 0);
    server.broken = false;
    assert_int_equal(count(names, "an"), 3); /* it is not held against it */
    settle();
    names_close(names);
    server_clear(&server);
}

static void of_several(void **state G_GNUC_UNUSED)
{
    static const char *const hosts[] = { "one", "two", "one", NULL };
    static const char *const none[] = { NULL };
    Server server = { .names = 2 };
    Names *names = names_open(ask, NULL, &server, (NamesTimes){ FOREVER_MS, PATIENT_MS });
    GPtrArray *found = names_get(names, NAME_OPERATION, hosts, "", NULL, NULL);

    assert_int_equal(found->len, 4); /* each once */
    assert_string_equal(((Name *)g_ptr_array_index(found, 3))->text, "two001");
    g_ptr_array_unref(found);
    found = names_get(names, NAME_OPERATION, none, "", NULL, NULL);
    assert_int_equal(found->len, 0);
    g_ptr_array_unref(found);
    settle();
    names_close(names);
    server_clear(&server);
}

/* A server that hangs: it is waited for once, then no more, and takes no more than a few threads;
 * its answer is there when it has come. */
static void slow(void **state G_GNUC_UNUSED)
{
    Server server = { .names = 3, .shut = true };
    Names *names = names_open(ask, NULL, &server, (NamesTimes){ FOREVER_MS, SHORT_MS });
    int64_t began = g_get_monotonic_time(), first;

    assert_int_equal(count(names, "an"), 0);
    first = g_get_monotonic_time() - began;
    assert_true(first >= SHORT_MS * 1000);
    for (unsigned i = 0; i < 50; i++) {
        g_autofree char *other = g_strdup_printf("p%u", i);

        began = g_get_monotonic_time();
        assert_int_equal(count(names, i % 2 ? other : "an"), 0);
        assert_true(g_get_monotonic_time() - began < 30000000); /* a machine under load */
    }
    g_mutex_lock(&server.lock);
    assert_true(server.asked <= 8);
    g_mutex_unlock(&server.lock);
    set_shut(&server, false);
    settle();
    server.asked = 0;
    assert_int_equal(count(names, "an"), 3);
    assert_int_equal(server.asked, 0);
    names_close(names);
    server_clear(&server);
}

/* Fifty presses while it hangs take less than two that are waited for. */
static void not_waited_for_again(void **state G_GNUC_UNUSED)
{
    enum { WAIT_MS = 5000 };
    Server server = { .names = 3, .shut = true };
    Names *names = names_open(ask, NULL, &server, (NamesTimes){ FOREVER_MS, WAIT_MS });
    int64_t began;

    count(names, "an");
    began = g_get_monotonic_time();
    for (unsigned i = 0; i < 50; i++)
        count(names, i % 2 ? "an" : "b");
    assert_true(g_get_monotonic_time() - began < WAIT_MS * 1000);
    set_shut(&server, false);
    settle();
    names_close(names);
    server_clear(&server);
}

static bool at_once(void *data)
{
    ++*(unsigned *)data;
    return true;
}

static void impatient(void **state G_GNUC_UNUSED)
{
    Server server = { .names = 3, .shut = true };
    Names *names = names_open(ask, NULL, &server, (NamesTimes){ FOREVER_MS, PATIENT_MS });
    int64_t began = g_get_monotonic_time();
    unsigned asked = 0;
    GPtrArray *found = names_get(names, NAME_ACCOUNT, everyone, "an", at_once, &asked);

    assert_int_equal(found->len, 0);
    assert_int_equal(asked, 1);
    assert_true(g_get_monotonic_time() - began < PATIENT_MS * 1000 / 2);
    g_ptr_array_unref(found);
    set_shut(&server, false);
    settle();
    assert_int_equal(count(names, "an"), 3);
    assert_int_equal(server.asked, 1);
    names_close(names);
    server_clear(&server);
}

static void set_freed(void *data)
{
    ((Server *)data)->freed = true;
}

/* Who leaves does not wait, and the thread finds its way out by itself. */
static void left_behind(void **state G_GNUC_UNUSED)
{
    Server server = { .names = 3, .shut = true };
    Names *names = names_open(ask, set_freed, &server, (NamesTimes){ FOREVER_MS, SHORT_MS });

    count(names, "an");
    assert_true(names_busy());
    names_close(names);
    assert_false(server.freed);
    set_shut(&server, false);
    settle();
    assert_true(server.freed);
    server_clear(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept),
        cmocka_unit_test(outdated),
        cmocka_unit_test(bounded),
        cmocka_unit_test(failed),
        cmocka_unit_test(of_several),
        cmocka_unit_test(slow),
        cmocka_unit_test(not_waited_for_again),
        cmocka_unit_test(impatient),
        cmocka_unit_test(left_behind),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
