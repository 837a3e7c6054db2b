/* settings.h - the settings of a configuration by name, as a person reads and writes them: value,
 * and where it came from. */
#ifndef ZX_CONF_SETTINGS_H
#define ZX_CONF_SETTINGS_H

#include "conf/items.h"

typedef struct Setting {
    char *name; /* "ldap.master", "stores.mail1.example.com.address" */
    const ConfItem *item;
    char *value;        /* as it would be written; NULL: none, or a password */
    bool present;       /* it has a value; of a password all that is told */
    const char *origin; /* "/etc/zxmove/zxmove.yaml:12", "environment ...", "default" */
} Setting;
void setting_free(Setting *setting);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Setting, setting_free)

/* Of Setting: every one there is, those of each store for each store. */
GPtrArray *settings_list(const Conf *conf);
/* USAGE with what was most likely meant if there is none. KEY_file is its password. */
Setting *settings_get(const Conf *conf, const char *name, GError **error) MUST_USE;

/* The row of @name, whose store need not be there yet; *@path: it is KEY_file, a path. NULL if
 * there is none; settings_item says so with USAGE. */
const ConfItem *settings_row(const char *name, bool *path);
const ConfItem *settings_item(const Conf *conf, const char *name, bool *path,
                              GError **error) MUST_USE;

/* edit.c: writes @value for @name, which settings_item of @conf knows, into the file @path. It
 * keeps its comments, its order, its mode and its owner; what comes out is read and compared before
 * it takes the file's place: nothing but this setting may have changed. */
bool settings_write(const Conf *conf, const char *path, const char *name, const char *value,
                    GError **error) MUST_USE;

#endif
