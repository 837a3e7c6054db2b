/* around.h - what the verbs that look around share. */
#ifndef ZX_COMMANDS_AROUND_H
#define ZX_COMMANDS_AROUND_H

#include "commands/commands.h"

/* The answer {"@key": [...]} of what was found, each item by @item_json; what could not be asked is
 * beside it, and in the exit status. @none is printed if nothing was found. */
void around_finish(const Looked *looked, const char *key, json_t *(*item_json)(const void *item),
                   const char *none, Result *result);
/* The same for an answer of another form: adds what could not be asked to result->response. */
void around_unreached(const Looked *looked, Result *result);

/* Leave out what is not known. */
void set_text(json_t *object, const char *key, const char *text);
void set_number(json_t *object, const char *key, int64_t number);
void set_time(json_t *object, const char *key, int64_t ms); /* 0: unknown */
/* "41.0 MB" for people, and KEY_bytes for programs. */
void set_size(json_t *object, const char *key, int64_t bytes);

#endif
