/* inject.c - see inject.h. */
#include "tests/mailboxd/inject.h"
#include <string.h>

enum { LOG_KEPT = 5000 };

typedef struct Rule {
    char *request, *op, *account;
    Injection injection;
    unsigned count;
    bool for_ever;
} Rule;

static const char *const modes[] = {
    [INJECT_DELAY] = "delay",
    [INJECT_FAULT] = "fault",
    [INJECT_GARBAGE] = "garbage",
    [INJECT_SILENCE] = "silence",
    [INJECT_SILENCE_AFTER] = "silence-after",
    [INJECT_CLOSE_AFTER] = "close-after",
    [INJECT_DROP] = "drop",
};

static GMutex mutex;
static GCond woken;
static GList *rules; /* of Rule */
static unsigned clears;
static bool stopped;
static json_t *entries;
static unsigned entry_number;

static void rule_free(gpointer data)
{
    Rule *rule = data;

    g_free(rule->request);
    g_free(rule->op);
    g_free(rule->account);
    g_free(rule);
}

bool inject_add(const char *request, const char *op, const char *account, const char *mode,
                unsigned ms, const char *code, unsigned count)
{
    for (size_t i = INJECT_DELAY; i < G_N_ELEMENTS(modes); i++) {
        if (strcmp(modes[i], mode) != 0)
            continue;
        Rule *rule = g_new0(Rule, 1);
        rule->request = g_strdup(request);
        rule->op = g_strdup(op);
        rule->account = g_strdup(account);
        rule->injection.mode = (InjectMode)i;
        rule->injection.ms = ms;
        g_strlcpy(rule->injection.code, code == NULL ? "service.FAILURE" : code,
                  sizeof rule->injection.code);
        rule->count = count;
        rule->for_ever = count == 0;
        g_mutex_lock(&mutex);
        rules = g_list_append(rules, rule);
        g_mutex_unlock(&mutex);
        return true;
    }
    return false;
}

void inject_clear(void)
{
    g_mutex_lock(&mutex);
    g_list_free_full(rules, rule_free);
    rules = NULL;
    clears++;
    g_cond_broadcast(&woken);
    g_mutex_unlock(&mutex);
}

static bool matches(const char *wanted, const char *actual)
{
    return wanted == NULL || (actual != NULL && g_ascii_strcasecmp(wanted, actual) == 0);
}

Injection inject_take(const char *request, const char *op, const char *account)
{
    Injection taken = { .mode = INJECT_NONE };

    g_mutex_lock(&mutex);
    for (GList *link = rules; link != NULL; link = link->next) {
        Rule *rule = link->data;
        if (!matches(rule->request, request) || !matches(rule->op, op) ||
            !matches(rule->account, account))
            continue;
        taken = rule->injection;
        if (!rule->for_ever && --rule->count == 0) {
            rules = g_list_delete_link(rules, link);
            rule_free(rule);
        }
        break;
    }
    g_mutex_unlock(&mutex);
    return taken;
}

unsigned inject_left(const char *account)
{
    unsigned left = 0;

    g_mutex_lock(&mutex);
    for (GList *link = rules; link != NULL; link = link->next) {
        const Rule *rule = link->data;
        left += matches(account, rule->account) ? rule->count : 0;
    }
    g_mutex_unlock(&mutex);
    return left;
}

void inject_hold(unsigned ms)
{
    gint64 until = g_get_monotonic_time() + (gint64)ms * 1000;

    g_mutex_lock(&mutex);
    unsigned seen = clears;
    while (!stopped && clears == seen && g_cond_wait_until(&woken, &mutex, until))
        continue;
    g_mutex_unlock(&mutex);
}

void inject_stop(void)
{
    g_mutex_lock(&mutex);
    stopped = true;
    g_cond_broadcast(&woken);
    g_mutex_unlock(&mutex);
}

void inject_free(void)
{
    inject_clear();
    g_clear_pointer(&entries, json_decref);
}

void request_log(const char *request, const char *op, const char *account, bool executed,
                 const char *proxied_to, const char *fault)
{
    g_mutex_lock(&mutex);
    if (entries == NULL)
        entries = json_array();
    json_array_append_new(entries, json_pack("{s:i, s:s, s:s?, s:s?, s:b, s:s?, s:s?}", "n",
                                             (int)++entry_number, "request", request, "op", op,
                                             "account", account, "executed", executed, "proxied_to",
                                             proxied_to, "fault", fault));
    if (json_array_size(entries) > LOG_KEPT)
        json_array_remove(entries, 0);
    g_mutex_unlock(&mutex);
}

json_t *request_log_json(void)
{
    g_mutex_lock(&mutex);
    json_t *copy = entries == NULL ? json_array() : json_deep_copy(entries);
    g_mutex_unlock(&mutex);
    return copy;
}
