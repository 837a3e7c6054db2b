/* result.c - see result.h. One table says what is kept, for both directions. */
#include "core/ops/result.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

typedef enum Kind { TEXT, UNSIGNED, UNSIGNED_32, UNSIGNED_64, SIGNED_64, REAL, FLAG } Kind;

#define KEPT(kind, field)                             \
    {                                                 \
        #field, kind, offsetof(MailboxResult, field) \
    }
static const struct Field {
    const char *name;
    Kind kind;
    size_t offset;
} fields[] = {
    KEPT(UNSIGNED, outcome),
    KEPT(UNSIGNED, code),
    KEPT(TEXT, reason),
    KEPT(FLAG, unfinished),
    KEPT(UNSIGNED_32, source_mailbox),
    KEPT(UNSIGNED_32, destination_mailbox),
    KEPT(UNSIGNED_64, rows),
    KEPT(UNSIGNED_64, rows_window),
    KEPT(UNSIGNED_64, blobs),
    KEPT(UNSIGNED_64, bytes),
    KEPT(UNSIGNED_64, blobs_copied),
    KEPT(UNSIGNED_64, bytes_copied),
    KEPT(UNSIGNED_64, blobs_linked),
    KEPT(UNSIGNED, rounds),
    KEPT(REAL, window_ms),
    KEPT(SIGNED_64, committed),
    KEPT(UNSIGNED_64, bytes_freed),
    KEPT(UNSIGNED_64, backup_files),
    KEPT(UNSIGNED_64, backup_bytes),
};

G_STATIC_ASSERT(sizeof(Outcome) == sizeof(unsigned) && sizeof(ZxError) == sizeof(unsigned));

static void bad_item_free(BadItem *item)
{
    g_free(item->cause);
    g_free(item->folder);
    g_free(item->subject);
    g_free(item);
}

MailboxResult *result_new(const char *address, const char *account_id, const char *source,
                          const char *destination)
{
    MailboxResult *result = g_new0(MailboxResult, 1);

    result->address = g_strdup(address);
    result->account_id = g_strdup(account_id);
    result->source = g_strdup(source);
    result->destination = g_strdup(destination);
    result->outcome = OUTCOME_FAILED;
    result->window_steps = g_array_new(FALSE, FALSE, sizeof(StepTime));
    result->notes = g_ptr_array_new_with_free_func(g_free);
    result->bad_items = g_ptr_array_new_with_free_func((GDestroyNotify)bad_item_free);
    return result;
}

void result_free(MailboxResult *result)
{
    if (result == NULL)
        return;
    g_free(result->address);
    g_free(result->account_id);
    g_free(result->source);
    g_free(result->destination);
    g_free(result->reason);
    g_free(result->forecast);
    g_array_unref(result->window_steps);
    g_ptr_array_unref(result->notes);
    g_ptr_array_unref(result->bad_items);
    g_free(result);
}

bool mailbox_is_left(const MailboxResult *mailbox)
{
    bool stopped = mailbox->code == ZX_ERROR_STOPPED || mailbox->code == ZX_ERROR_INTERRUPTED;

    return mailbox->outcome == OUTCOME_NOT_REACHED ||
           (mailbox->outcome == OUTCOME_FAILED && stopped);
}

static json_t *text_value(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);

    return json_string(valid);
}

static json_t *value_of(const struct Field *field, const void *at)
{
    const char *text;

    switch (field->kind) {
    case TEXT:
        text = *(char *const *)at;
        return text != NULL ? text_value(text) : NULL;
    case UNSIGNED:
        return json_integer(*(const unsigned *)at);
    case UNSIGNED_32:
        return json_integer(*(const uint32_t *)at);
    case UNSIGNED_64:
        return json_integer((json_int_t)*(const uint64_t *)at);
    case SIGNED_64:
        return json_integer(*(const int64_t *)at);
    case REAL:
        return json_real(*(const double *)at);
    case FLAG:
        return json_boolean(*(const bool *)at);
    }
    g_assert_not_reached();
}

static void set_value(const struct Field *field, void *at, const json_t *value)
{
    switch (field->kind) {
    case TEXT:
        g_free(*(char **)at);
        *(char **)at = g_strdup(json_string_value(value));
        return;
    case UNSIGNED:
        *(unsigned *)at = (unsigned)json_integer_value(value);
        return;
    case UNSIGNED_32:
        *(uint32_t *)at = (uint32_t)json_integer_value(value);
        return;
    case UNSIGNED_64:
        *(uint64_t *)at = (uint64_t)json_integer_value(value);
        return;
    case SIGNED_64:
        *(int64_t *)at = json_integer_value(value);
        return;
    case REAL:
        *(double *)at = json_number_value(value);
        return;
    case FLAG:
        *(bool *)at = json_is_true(value);
        return;
    }
}

static json_t *steps_value(const GArray *steps)
{
    json_t *list = json_array();

    for (guint i = 0; i < steps->len; i++) {
        const StepTime *step = &g_array_index(steps, StepTime, i);

        json_array_append_new(list, json_pack("[sf]", step->name, step->ms));
    }
    return list;
}

static json_t *sleeping_value(const Sleeping *sleeping)
{
    json_t *list = json_array();

    for (int i = 0; i < SLEEPERS; i++)
        json_array_append_new(
            list, json_pack("[Is]", (json_int_t)sleeping[i].count, sleeping[i].first));
    return list;
}

static json_t *bad_items_value(const GPtrArray *items)
{
    json_t *list = json_array();

    for (guint i = 0; i < items->len; i++) {
        const BadItem *item = g_ptr_array_index(items, i);
        json_t *value = json_pack("{s:I, s:I, s:b}", "item", (json_int_t)item->item_id,
                                  "mod_content", (json_int_t)item->mod_content, "damaged_before",
                                  item->damaged_before);
        const struct {
            const char *key, *text;
        } texts[] = { { "cause", item->cause },
                      { "folder", item->folder },
                      { "subject", item->subject } };

        for (guint t = 0; t < G_N_ELEMENTS(texts); t++)
            if (texts[t].text != NULL)
                json_object_set_new(value, texts[t].key, text_value(texts[t].text));
        json_array_append_new(list, value);
    }
    return list;
}

static void read_bad_items(GPtrArray *items, const json_t *list)
{
    json_t *value;
    size_t i;

    json_array_foreach(list, i, value)
    {
        BadItem *item = g_new0(BadItem, 1);

        *item = (BadItem){
            .item_id = (uint32_t)json_integer_value(json_object_get(value, "item")),
            .mod_content = (uint32_t)json_integer_value(json_object_get(value, "mod_content")),
            .damaged_before = json_is_true(json_object_get(value, "damaged_before")),
            .cause = g_strdup(json_string_value(json_object_get(value, "cause"))),
            .folder = g_strdup(json_string_value(json_object_get(value, "folder"))),
            .subject = g_strdup(json_string_value(json_object_get(value, "subject"))),
        };
        g_ptr_array_add(items, item);
    }
}

char *result_text(const MailboxResult *result)
{
    json_t *object = json_object(), *notes = json_array();
    g_autofree char *dumped = NULL;
    char *text;

    for (guint i = 0; i < G_N_ELEMENTS(fields); i++) {
        json_t *value = value_of(&fields[i], (const char *)result + fields[i].offset);

        if (value != NULL)
            json_object_set_new(object, fields[i].name, value);
    }
    for (guint i = 0; i < result->notes->len; i++)
        json_array_append_new(notes, text_value(g_ptr_array_index(result->notes, i)));
    json_object_set_new(object, "notes", notes);
    json_object_set_new(object, "window_steps", steps_value(result->window_steps));
    json_object_set_new(object, "bad_items", bad_items_value(result->bad_items));
    json_object_set_new(object, "sleeping", sleeping_value(result->sleeping));
    dumped = json_dumps(object, JSON_COMPACT);
    text = g_strdup(dumped);
    json_decref(object);
    return text;
}

static void read_lists(MailboxResult *result, const json_t *object)
{
    json_t *item;
    size_t i;

    json_array_foreach(json_object_get(object, "notes"), i, item)
        if (json_is_string(item))
            g_ptr_array_add(result->notes, g_strdup(json_string_value(item)));
    json_array_foreach(json_object_get(object, "window_steps"), i, item)
    {
        const char *name = json_string_value(json_array_get(item, 0));
        StepTime step = { .name = g_intern_string(name != NULL ? name : "?"),
                          .ms = json_number_value(json_array_get(item, 1)) };

        g_array_append_val(result->window_steps, step);
    }
    json_array_foreach(json_object_get(object, "sleeping"), i, item)
    {
        const char *first = json_string_value(json_array_get(item, 1));

        if (i >= SLEEPERS)
            break;
        result->sleeping[i].count = (uint64_t)json_integer_value(json_array_get(item, 0));
        g_strlcpy(result->sleeping[i].first, first != NULL ? first : "",
                  sizeof result->sleeping[i].first);
    }
}

bool result_read(MailboxResult *result, const char *text, GError **error)
{
    json_t *object = json_loads(text != NULL ? text : "", 0, NULL);

    if (!json_is_object(object) || !json_is_integer(json_object_get(object, "outcome")) ||
        (unsigned)json_integer_value(json_object_get(object, "outcome")) > OUTCOME_NOT_REACHED) {
        json_decref(object);
        return fail(error, ZX_ERROR_DATA, "%s: its record in the journal cannot be read",
                    result->address);
    }
    for (guint i = 0; i < G_N_ELEMENTS(fields); i++) {
        const json_t *value = json_object_get(object, fields[i].name);

        if (value != NULL)
            set_value(&fields[i], (char *)result + fields[i].offset, value);
    }
    read_lists(result, object);
    read_bad_items(result->bad_items, json_object_get(object, "bad_items"));
    json_decref(object);
    return true;
}
