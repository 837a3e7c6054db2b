/* fields.h - a struct as a JSON object and back, by one table of its fields, so that whatever is
 * written is read again. Text of anybody's may be in it: what is no UTF-8 is replaced. */
#ifndef ZX_FIELDS_H
#define ZX_FIELDS_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct FieldKind {
    json_t *(*value)(const void *at);            /* NULL: the object has no such key */
    bool (*read)(void *at, const json_t *value); /* false: no value of this kind */
} FieldKind;

typedef struct Field {
    const char *key;
    const FieldKind *kind;
    size_t offset;
} Field;

#define FIELD(type, kind_, field) FIELD_AS(type, kind_, field, #field)
#define FIELD_AS(type, kind_, field, key_)                             \
    {                                                                  \
        .key = key_, .kind = &(kind_), .offset = offsetof(type, field) \
    }

extern const FieldKind field_text;     /* char *, g_free; without its key if NULL */
extern const FieldKind field_unsigned; /* unsigned, uint32_t */
extern const FieldKind field_count;    /* uint64_t */
extern const FieldKind field_tenths;   /* double: what was measured; without its key if 0 */
extern const FieldKind field_time;     /* int64_t Unix ms, in whole seconds; without its key if 0 */
extern const FieldKind field_flag;     /* bool */
extern const FieldKind field_mark;     /* bool; without its key if false */
extern const FieldKind field_texts;    /* GPtrArray of char * */
extern const FieldKind field_notes;    /* the same; without its key if empty */

/* The tables end with a NULL key. */
void fields_write(const Field *fields, const void *from, json_t *object);
/* Into a struct that is fresh: what has no key in @object stays as it is. */
bool fields_read(const Field *fields, void *to, const json_t *object);

/* For kinds that are a GPtrArray of structs of @size, each made with g_malloc0. */
json_t *fields_list(const Field *fields, const GPtrArray *from);
bool fields_read_list(const Field *fields, size_t size, GPtrArray *to, const json_t *list);

/* On one line; takes @object. g_free. */
char *json_line(json_t *object);
/* NULL is null. */
json_t *text_json(const char *text);
/* What was measured in milliseconds is not known better. */
json_t *tenths_json(double number);

#endif
