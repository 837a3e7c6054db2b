/* routes.c - see routes.h. */
#include "core/zimbra/routes.h"
#include <openssl/evp.h>
#include <string.h>

#define MEMCACHED_KEY_MAX 250

typedef struct Keys {
    GPtrArray *list;
    GHashTable *seen;
} Keys;

static Keys keys_begin(void)
{
    return (Keys){ .list = g_ptr_array_new_with_free_func(g_free),
                   .seen = g_hash_table_new(g_str_hash, g_str_equal) };
}

static GPtrArray *keys_end(Keys *keys)
{
    g_hash_table_unref(keys->seen);
    return keys->list;
}

static void add_form(Keys *keys, char *key)
{
    if (g_hash_table_contains(keys->seen, key)) {
        g_free(key);
        return;
    }
    g_hash_table_add(keys->seen, key);
    g_ptr_array_add(keys->list, key);
}

static char *sha256_hex(const char *text)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    GString *hex = g_string_new(NULL);

    if (EVP_Digest(text, strlen(text), digest, &length, EVP_sha256(), NULL) != 1)
        g_error("libcrypto has no SHA-256");
    for (unsigned i = 0; i < length; i++)
        g_string_append_printf(hex, "%02x", digest[i]);
    return g_string_free(hex, FALSE);
}

static bool fits_memcached(const char *key)
{
    for (const char *at = key; *at != '\0'; at++)
        if ((unsigned char)*at <= ' ' || *at == 0x7f)
            return false;
    return strlen(key) <= MEMCACHED_KEY_MAX;
}

/* Servers since spring 2022 hash the key, older ones do not: nobody can tell which wrote it (7). */
static void add(Keys *keys, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void add(Keys *keys, const char *format, ...)
{
    va_list args;
    char *raw;

    va_start(args, format);
    raw = g_strdup_vprintf(format, args);
    va_end(args);
    add_form(keys, sha256_hex(raw));
    if (fits_memcached(raw))
        add_form(keys, raw);
    else
        g_free(raw);
}

/* P6 of section 7: the six protocols a user name is looked up for. */
static void add_user(Keys *keys, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void add_user(Keys *keys, const char *format, ...)
{
    static const char *const protocols[] = {
        "http", "imap", "pop3", "httpssl", "imapssl", "pop3ssl"
    };
    g_autofree char *user = NULL;
    va_list args;

    va_start(args, format);
    user = g_strdup_vprintf(format, args);
    va_end(args);
    for (guint i = 0; i < G_N_ELEMENTS(protocols); i++)
        add(keys, "route:proto=%s;user=%s", protocols[i], user);
}

/* Local parts the account has within its own domain: its uid and its aliases there. */
static GPtrArray *local_parts(const RouteNames *names)
{
    GPtrArray *parts = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(parts, g_strdup(names->uid));
    for (char **alias = names->aliases; *alias != NULL; alias++) {
        const char *at = strrchr(*alias, '@');

        if (at != NULL && g_ascii_strcasecmp(at + 1, names->domain) == 0)
            g_ptr_array_add(parts, g_strndup(*alias, (gsize)(at - *alias)));
    }
    return parts;
}

static void add_alias(Keys *keys, const RouteNames *names, const char *alias)
{
    const char *at = strrchr(alias, '@');
    g_autofree char *local = at != NULL ? g_strndup(alias, (gsize)(at - alias)) : g_strdup(alias);

    add_user(keys, "%s", alias);
    for (char **host = names->virtual_hosts; *host != NULL; host++)
        add(keys, "alias:user=%s;vhost=%s", local, *host);
    for (char **ip = names->virtual_ips; *ip != NULL; ip++) {
        add_user(keys, "%s@%s", local, *ip);
        add(keys, "alias:user=%s;ip=%s", local, *ip);
    }
}

/* Of an auth token: as whoever made it had it from the directory. */
static void add_id(Keys *keys, const char *id)
{
    add(keys, "route:proto=http;id=%s", id);
    add(keys, "route:proto=httpssl;id=%s", id);
    add(keys, "route:proto=httpssl;admin=1;id=%s", id);
    add(keys, "route:proto=http;zx=1;id=%s", id);
}

GPtrArray *route_keys(const RouteNames *names)
{
    Keys keys = keys_begin();
    g_autoptr(GPtrArray) locals = local_parts(names);

    add_id(&keys, names->id);
    add_id(&keys, names->written_id);

    add_user(&keys, "%s", names->uid);
    add_user(&keys, "%s@%s", names->uid, names->domain);
    add(&keys, "alias:user=%s;ip=%s", names->uid, names->domain);
    for (char **ip = names->virtual_ips; *ip != NULL; ip++) {
        add_user(&keys, "%s@%s", names->uid, *ip);
        add(&keys, "alias:user=%s;ip=%s", names->uid, *ip);
    }
    for (char **host = names->virtual_hosts; *host != NULL; host++)
        add(&keys, "alias:user=%s;vhost=%s", names->uid, *host);
    for (char **domain = names->alias_domains; *domain != NULL; domain++)
        for (guint i = 0; i < locals->len; i++) {
            add_user(&keys, "%s@%s", (char *)g_ptr_array_index(locals, i), *domain);
            add(&keys, "alias:user=%s;ip=%s", (char *)g_ptr_array_index(locals, i), *domain);
        }
    for (char **alias = names->aliases; *alias != NULL; alias++)
        add_alias(&keys, names, *alias);
    return keys_end(&keys);
}

static void add_mailboxd(Keys *keys, const char *account_id, char **folders)
{
    static const char *const by_account[] = { "zmFldrsTags", "zmCalsList" };
    static const char *const by_folder[] = { "zmEffFolderACL", "zmCtagInfo", "zmCalSumry" };

    for (guint i = 0; i < G_N_ELEMENTS(by_account); i++)
        add(keys, "%s:%s", by_account[i], account_id);
    for (char **folder = folders; *folder != NULL; folder++)
        for (guint i = 0; i < G_N_ELEMENTS(by_folder); i++)
            add(keys, "%s:%s:%s", by_folder[i], account_id, *folder);
}

GPtrArray *mailboxd_keys(const char *account_id, const char *written_id, char **folders)
{
    Keys keys = keys_begin();

    add_mailboxd(&keys, account_id, folders);
    add_mailboxd(&keys, written_id, folders);
    return keys_end(&keys);
}
