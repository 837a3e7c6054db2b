/* blob.h - message files: written once into incoming/, hard-linked into each mailbox, never touched
 * in place (doc/platform.md 3). */
#ifndef MAILBOXD_BLOB_H
#define MAILBOXD_BLOB_H

#include "tests/mailboxd/volume.h"

/* One file waiting in incoming/. */
typedef struct Blob {
    const Volume *volume;
    char *incoming;
    uint64_t size; /* uncompressed */
    char *digest;
} Blob;

/* Stores @bytes on the current primary volume, compressed if that volume says so. */
Blob *blob_store(const char *bytes, size_t length, GError **error);
/* Makes it the blob of @item; what lies there under that name is of a transaction rolled back, and
 * is replaced. May be called for any number of items. */
bool blob_link(const Blob *blob, unsigned mailbox, unsigned item, unsigned revision,
               GError **error);
/* Removes the file from incoming/. */
void blob_free(Blob *blob);

/* Where the blob is: under its name, or under the name without revision that very old stores gave
 * it (doc/platform.md 3.2). NULL if the volume is gone. */
char *blob_find(const char *locator, unsigned mailbox, unsigned item, unsigned revision);
/* The blob of an item, uncompressed; @size tells a compressed one from a document that is gzip. */
GBytes *blob_read(const char *locator, unsigned mailbox, unsigned item, unsigned revision,
                  uint64_t size, GError **error);
void blob_delete(const char *locator, unsigned mailbox, unsigned item, unsigned revision);
/* SHA-256 in mailboxd's base64. */
char *blob_digest(const char *bytes, size_t length);

/* Writes a new file with the mode of mailboxd's own, making its directories. */
bool file_write(const char *path, const char *bytes, size_t length, GError **error);
void remove_tree(const char *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Blob, blob_free)

#endif
