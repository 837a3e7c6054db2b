/* secret.c - see secret.h. */
#include "core/base/secret.h"
#include <string.h>

struct Secret {
    char *text;
};

Secret *secret_new(const char *text)
{
    Secret *secret = g_new0(Secret, 1);

    secret->text = g_strdup(text);
    return secret;
}

Secret *secret_copy(const Secret *secret)
{
    return secret == NULL ? NULL : secret_new(secret->text);
}

void secret_free(Secret *secret)
{
    if (secret == NULL)
        return;
    secret_wipe(secret->text);
    g_free(secret->text);
    g_free(secret);
}

void secret_set(Secret **secret, const char *text)
{
    secret_free(*secret);
    *secret = secret_new(text);
}

const char *secret_reveal(const Secret *secret)
{
    return secret->text;
}

void secret_wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
}
