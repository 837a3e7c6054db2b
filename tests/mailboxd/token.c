/* token.c - see token.h. "0_<hex of id=..:exp=..>_<HMAC>"; the key comes from the directory
 * password, which every store has. */
#include "tests/mailboxd/token.h"
#include "tests/mailboxd/config.h"
#include <string.h>

static char *sign(const char *payload)
{
    return g_compute_hmac_for_string(G_CHECKSUM_SHA256, (const guchar *)config->ldap.password,
                                     strlen(config->ldap.password), payload, -1);
}

char *token_new(const char *account_id)
{
    gint64 expires = g_get_real_time() / 1000 + TOKEN_LIFETIME_MS;
    g_autofree char *payload = g_strdup_printf("%s:%" G_GINT64_FORMAT, account_id, expires);
    g_autofree char *encoded = g_base64_encode((const guchar *)payload, strlen(payload));
    g_autofree char *signature = sign(encoded);

    return g_strdup_printf("0_%s_%s", encoded, signature);
}

char *token_account(const char *token, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(token, "_", 3);
    g_autofree char *expected = g_strv_length(parts) == 3 ? sign(parts[1]) : NULL;

    if (expected == NULL || strcmp(expected, parts[2]) != 0) {
        fault(error, FAULT_AUTH_EXPIRED, "auth credentials have expired");
        return NULL;
    }
    gsize length = 0;
    g_autofree guchar *bytes = g_base64_decode(parts[1], &length);
    g_autofree char *payload = g_strndup((const char *)bytes, length);
    g_auto(GStrv) fields = g_strsplit(payload, ":", 2);
    if (g_ascii_strtoll(fields[1], NULL, 10) < g_get_real_time() / 1000) {
        fault(error, FAULT_AUTH_EXPIRED, "auth credentials have expired");
        return NULL;
    }
    return g_strdup(fields[0]);
}
