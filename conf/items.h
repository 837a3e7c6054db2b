/* items.h - one row per setting; the loader, the reference file and its test read the same rows. */
#ifndef ZX_CONF_ITEMS_H
#define ZX_CONF_ITEMS_H

#include "conf/conf.h"
#include <stddef.h>

typedef enum ConfType {
    CONF_TEXT, /* char * */
    CONF_PATH, /* char *; "~/" is the user's home, a relative one starts at the file's directory */
    CONF_SECRET,  /* Secret *; also written KEY_file, a file that holds it */
    CONF_BOOL,    /* bool */
    CONF_COUNT,   /* unsigned */
    CONF_PERCENT, /* unsigned; "5" or "5%" */
    CONF_SECONDS, /* unsigned s; written as a duration */
    CONF_MILLIS,  /* unsigned ms; written as a duration */
    CONF_LIST,    /* char ** */
    CONF_CHOICE,  /* char *; one of .values */
    CONF_SIZE,    /* uint64_t bytes */
} ConfType;

typedef struct ConfItem {
    const char *key; /* "ldap.master"; a * stands for a name of the administrator's choice */
    ConfType type;
    const char *fallback; /* as one would write it; NULL: none, @help says what then */
    const char *min, *max;
    const char *help;
    size_t offset; /* in Conf; in ConfStore for stores.*.KEY */
    const char *values; /* of a CHOICE: "file|syslog|journald" */
} ConfItem;

extern const ConfItem conf_items[]; /* ends with a NULL key; keys of one section stand together */

const ConfItem *conf_item(const char *key); /* NULL if there is none */
/* The number that @text is for @item (a count, a percentage, a duration, a size or 1 for true),
 * within its range. */
bool conf_parse_number(const ConfItem *item, const char *text, uint64_t *out,
                       GError **error) MUST_USE;

/* Can be the name of a server. */
bool conf_is_server(const char *name);

/* Whether @text may stand for @item; USAGE if not. */
bool conf_check_value(const ConfItem *item, const char *text, GError **error) MUST_USE;

/* Stores @text in the field of @item inside @base (a Conf or a ConfStore); @directory is where relative
 * paths start. */
bool conf_set_value(const ConfItem *item, void *base, const char *text, const char *directory,
                    GError **error) MUST_USE;
/* The defaults of the rows that begin with @prefix ("" for the settings that are not a store's). */
void conf_set_defaults(void *base, const char *prefix);
char *conf_expand_path(const char *text, const char *directory);

/* "a name", "a whole number", "a duration such as 30s": what @type is, for a message. */
const char *conf_type_name(ConfType type);

/* Every key commented out at its default: conf/zxmove.yaml. */
char *conf_reference(void);

#endif
