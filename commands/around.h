/* around.h - what the verbs that look around share. */
#ifndef ZX_COMMANDS_AROUND_H
#define ZX_COMMANDS_AROUND_H

#include "commands/json.h"

/* The answer {"@key": [...]} of what was found, each item by @item_json; what could not be asked is
 * beside it, and in the exit status. @none is printed if nothing was found. False if nothing could
 * be asked at all: @looked is NULL. */
bool around_finish(const Looked *looked, const char *key, json_t *(*item_json)(const void *item),
                   const char *none, Result *result);
/* The same for an answer of another form: adds what could not be asked to result->response. */
void around_unreached(const Looked *looked, Result *result);

#endif
