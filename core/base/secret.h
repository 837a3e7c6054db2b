/* secret.h - a password: wiped when freed, and no char *, so that it cannot be formatted by mistake. */
#ifndef ZX_BASE_SECRET_H
#define ZX_BASE_SECRET_H

#include <glib.h>

typedef struct Secret Secret;

/* Copies @text; the caller wipes its own (secret_wipe). */
Secret *secret_new(const char *text);
Secret *secret_copy(const Secret *secret);
void secret_free(Secret *secret);
/* @text in place of what was there. */
void secret_set(Secret **secret, const char *text);

/* For the one library call that needs it; never for a message. Valid as long as the secret. */
const char *secret_reveal(const Secret *secret);

/* Overwrites @text in place. */
void secret_wipe(char *text);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Secret, secret_free)

#endif
