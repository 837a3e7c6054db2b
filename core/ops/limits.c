/* limits.c - see limits.h. */
#include "core/ops/limits.h"
#include "core/fields.h"

Limits limits_read(const char *text)
{
    json_t *object = text != NULL ? json_loads(text, 0, NULL) : NULL;
    const json_t *threads = json_object_get(object, "threads"),
                 *after = json_object_get(object, "complete_after"),
                 *load = json_object_get(object, "max_load"),
                 *notifications = json_object_get(object, "notifications");
    json_t *item;
    size_t i;
    Limits limits = {
        .threads = json_is_integer(threads) ? (long)json_integer_value(threads) : -1,
        .complete_after = json_is_integer(after) ? json_integer_value(after) : -1,
        .max_load = json_is_number(load) ? json_number_value(load) : -1,
    };

    limits.bandwidth = g_strdup(json_string_value(json_object_get(object, "bandwidth")));
    if (json_is_array(notifications)) {
        unsigned count = 0;

        limits.notifications = g_new0(char *, json_array_size(notifications) + 1);
        json_array_foreach(notifications, i, item) if (json_is_string(item))
            limits.notifications[count++] = g_strdup(json_string_value(item));
    }
    json_decref(object);
    return limits;
}

char *limits_text(const Limits *limits)
{
    json_t *object = json_object();

    if (limits->threads >= 0)
        json_object_set_new(object, "threads", json_integer(limits->threads));
    if (limits->complete_after >= 0)
        json_object_set_new(object, "complete_after", json_integer(limits->complete_after));
    if (limits->max_load >= 0)
        json_object_set_new(object, "max_load", json_real(limits->max_load));
    if (limits->notifications != NULL) {
        json_t *list = json_array();

        for (char **to = limits->notifications; *to != NULL; to++)
            json_array_append_new(list, json_string(*to));
        json_object_set_new(object, "notifications", list);
    }
    if (limits->bandwidth != NULL)
        json_object_set_new(object, "bandwidth", json_string(limits->bandwidth));
    return json_line(object);
}

Limits limits_copy(const Limits *limits)
{
    Limits copy = *limits;

    copy.notifications = g_strdupv(limits->notifications);
    copy.bandwidth = g_strdup(limits->bandwidth);
    return copy;
}

void limits_merge(Limits *limits, const Limits *change)
{
    if (change->threads >= 0)
        limits->threads = change->threads;
    if (change->complete_after >= 0)
        limits->complete_after = change->complete_after;
    if (change->max_load >= 0)
        limits->max_load = change->max_load;
    if (change->bandwidth != NULL) {
        g_free(limits->bandwidth);
        limits->bandwidth = g_strdup(change->bandwidth);
    }
    if (change->notifications != NULL) {
        g_strfreev(limits->notifications);
        limits->notifications = g_strdupv(change->notifications);
    }
}

void limits_clear(Limits *limits)
{
    g_strfreev(limits->notifications);
    limits->notifications = NULL;
    g_clear_pointer(&limits->bandwidth, g_free);
}
