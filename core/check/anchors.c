/* anchors.c - a file of CA certificates as a text. What zxmove puts there says before each
 * certificate for whom it was believed, so that another one of the same server is seen as a change;
 * certificates that somebody else put there stay as they are, unless one of their name with another
 * key is to be believed instead. */
#include "core/check/check.h"
#include "core/net/tls.h"
#include <string.h>

#define MARK "# zxmove believes by this: "

/* The line that marks a certificate as the one for a server. */
static char *mark_new(const char *kind, const char *server)
{
    return g_strdup_printf(MARK "the %s of %s\n", kind, server);
}

/* A CA that was made anew has its old name. */
static bool is_another(const TlsBlock *block, const TlsCertificate *certificate)
{
    return strcmp(block->certificate->subject, certificate->subject) == 0 &&
           strcmp(block->certificate->key, certificate->key) != 0;
}

static bool is_same(const TlsBlock *block, const TlsCertificate *certificate)
{
    return strcmp(block->certificate->fingerprint, certificate->fingerprint) == 0;
}

bool anchors_recorded(const char *text, const char *kind, const char *server,
                      const TlsCertificate *certificate, char **recorded, GError **error)
{
    g_autofree char *mark = mark_new(kind, server);
    g_autofree char *rest = NULL;
    g_autoptr(GPtrArray) blocks = tls_blocks(text, &rest, error);

    *recorded = NULL;
    for (guint i = 0; blocks != NULL && *recorded == NULL && i < blocks->len; i++) {
        const TlsBlock *block = g_ptr_array_index(blocks, i);

        if (!is_same(block, certificate) &&
            (is_another(block, certificate) || strstr(block->before, mark) != NULL))
            *recorded = g_strdup(block->certificate->fingerprint);
    }
    return blocks != NULL;
}

/* Adds the block without @mark; nothing is left of one that had no other. True if it is @certificate
 * itself. */
static bool keep(GString *out, const TlsBlock *block, const char *mark,
                 const TlsCertificate *certificate)
{
    const char *at = strstr(block->before, mark);
    g_autoptr(GString) before = g_string_new(block->before);

    if (at != NULL)
        g_string_erase(before, at - block->before, (gssize)strlen(mark));
    if (is_same(block, certificate)) {
        g_string_append_printf(out, "%s%s%s", before->str, mark, certificate->pem);
        return true;
    }
    if (is_another(block, certificate) || (at != NULL && strstr(before->str, MARK) == NULL))
        return false;
    g_string_append_printf(out, "%s%s", before->str, block->certificate->pem);
    return false;
}

char *anchors_put(const char *text, const char *kind, const char *server,
                  const TlsCertificate *certificate, GError **error)
{
    g_autofree char *mark = mark_new(kind, server);
    g_autofree char *rest = NULL;
    g_autoptr(GPtrArray) blocks = tls_blocks(text, &rest, error);
    g_autoptr(GString) out = g_string_new(NULL);
    bool there = false;

    if (blocks == NULL)
        return NULL;
    for (guint i = 0; i < blocks->len; i++)
        there |= keep(out, g_ptr_array_index(blocks, i), mark, certificate);
    g_string_append(out, rest);
    if (out->len > 0 && out->str[out->len - 1] != '\n')
        g_string_append_c(out, '\n');
    if (!there)
        g_string_append_printf(out, "%s%s", mark, certificate->pem);
    return g_string_free(g_steal_pointer(&out), FALSE);
}
