/* json.h - keys of an answer. What is not known has none. */
#ifndef ZX_COMMANDS_JSON_H
#define ZX_COMMANDS_JSON_H

#include "commands/commands.h"

void set_text(json_t *object, const char *key, const char *text); /* NULL: not known */
void set_number(json_t *object, const char *key, int64_t number); /* UNKNOWN */
void set_time(json_t *object, const char *key, int64_t ms);       /* 0: not known */
/* "41.0 MB" for people, and KEY_bytes for programs. */
void set_size(json_t *object, const char *key, int64_t bytes); /* UNKNOWN */

#endif
