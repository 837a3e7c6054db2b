/* ssh_known.c - the file of known host keys as a text: what it says of a key, and how it is to say
 * something else (ssh.h). libssh knows how a line names its hosts, hashed ones among them. */
#include "core/net/ssh.h"
#include <libssh/libssh.h>
#include <string.h>

typedef struct ssh_knownhosts_entry KnownEntry;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KnownEntry, ssh_knownhosts_entry_free)

/* "SHA256:..."; g_free. */
static char *fingerprint_of(const KnownEntry *entry)
{
    unsigned char *hash = NULL;
    size_t length = 0;
    char *text, *copy;

    if (entry->publickey == NULL ||
        ssh_get_publickey_hash(entry->publickey, SSH_PUBLICKEY_HASH_SHA256, &hash, &length) != 0)
        return g_strdup("a key that cannot be read");
    text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, length);
    copy = g_strdup(text);
    ssh_string_free_char(text);
    ssh_clean_pubkey_hash(&hash);
    return copy;
}

/* What a line holds of the host of @key; NULL if it is of others. */
static KnownEntry *entry_of(const char *line, const SshHostKey *key)
{
    KnownEntry *entry = NULL;

    if (*line == '\0' || *line == '#' ||
        ssh_known_hosts_parse_line(key->host, line, &entry) != SSH_OK)
        return NULL;
    return entry;
}

SshKnown ssh_key_known(const char *text, const SshHostKey *key, char **recorded)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GString) others = g_string_new(NULL);

    *recorded = NULL;
    for (char **line = lines; *line != NULL; line++) {
        g_autoptr(KnownEntry) entry = entry_of(g_strstrip(*line), key);
        g_autofree char *fingerprint = entry != NULL ? fingerprint_of(entry) : NULL;

        if (fingerprint == NULL)
            continue;
        if (strcmp(fingerprint, key->fingerprint) == 0)
            return SSH_KEY_KNOWN;
        g_string_append_printf(others, "%s%s", others->len > 0 ? ", " : "", fingerprint);
    }
    if (others->len == 0)
        return SSH_KEY_NEW;
    *recorded = g_string_free(g_steal_pointer(&others), FALSE);
    return SSH_KEY_CHANGED;
}

char *ssh_key_put(const char *text, const SshHostKey *key, GError **error)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GString) out = g_string_new(NULL);

    for (char **line = lines; *line != NULL; line++) {
        g_autofree char *plain = g_strstrip(g_strdup(*line));
        g_autoptr(KnownEntry) entry = entry_of(plain, key);

        if (entry == NULL) {
            if (**line != '\0' || line[1] != NULL)
                g_string_append_printf(out, "%s\n", *line);
        } else if (strcspn(plain, ",*?!") < strcspn(plain, " \t")) {
            fail(error, ZX_ERROR_REFUSED,
                 "line %u is not of this host alone: change it with an editor",
                 (unsigned)(line - lines) + 1);
            return NULL;
        }
    }
    g_string_append(out, key->line);
    if (!g_str_has_suffix(key->line, "\n"))
        g_string_append_c(out, '\n');
    return g_string_free(g_steal_pointer(&out), FALSE);
}
