/* around.c - see around.h. */
#include "commands/around.h"

static json_t *unreached_json(const Unreached *unreached)
{
    json_t *object = json_object();

    set_text(object, "server", unreached->server);
    set_text(object, "part", unreached->part);
    set_text(object, "reason", unreached->reason);
    return object;
}

void around_unreached(const Looked *looked, Result *result)
{
    const guint count = looked->unreached->len;
    const Unreached *first;
    json_t *list;

    if (count == 0)
        return;
    list = json_array();
    for (guint i = 0; i < count; i++)
        json_array_append_new(list, unreached_json(g_ptr_array_index(looked->unreached, i)));
    json_object_set_new(result->response, "unreached", list);
    first = g_ptr_array_index(looked->unreached, 0);
    if (looked->items->len == 0 && !looked->answered)
        fail(&result->problem, ZX_ERROR_CONNECT, "%s: %s", first->server, first->reason);
    else if (count == 1)
        fail(&result->problem, ZX_ERROR_PARTIAL, "%s could not be asked: %s", first->server,
             first->reason);
    else
        fail(&result->problem, ZX_ERROR_PARTIAL, "%u could not be asked, the first: %s: %s", count,
             first->server, first->reason);
    result->status = error_exit_status(error_code(result->problem));
}

bool around_finish(const Looked *looked, const char *key, json_t *(*item_json)(const void *item),
                   const char *none, Result *result)
{
    json_t *list;

    if (looked == NULL)
        return false;
    list = json_array();
    for (guint i = 0; i < looked->items->len; i++)
        json_array_append_new(list, item_json(g_ptr_array_index(looked->items, i)));
    result->response = json_object();
    if (looked->items->len > 0 || looked->answered || looked->unreached->len == 0)
        json_object_set(result->response, key, list);
    json_decref(list);
    around_unreached(looked, result);
    if (looked->items->len == 0 && looked->unreached->len == 0)
        result->text = g_strdup_printf("%s\n", none);
    return true;
}
