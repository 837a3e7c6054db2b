/* message.c - see message.h. Takes header fields as they are, without decoding encoded words. */
#include "tests/mailboxd/message.h"
#include <string.h>

enum { NAME_LIMIT = 128, SUBJECT_LIMIT = 1024, FRAGMENT_LIMIT = 100 };

static const char *header_end(const char *bytes, size_t length)
{
    const char *blank = g_strstr_len(bytes, (gssize)length, "\n\r\n");
    const char *bare = g_strstr_len(bytes, (gssize)length, "\n\n");

    if (blank == NULL || (bare != NULL && bare < blank))
        blank = bare;
    return blank == NULL ? bytes + length : blank + 1;
}

/* Value of the first field called @name, unfolded; NULL if there is none. */
static char *field(const char *header, size_t length, const char *name)
{
    size_t name_length = strlen(name);
    const char *end = header + length;

    for (const char *line = header; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        next = next == NULL ? end : next + 1;
        if ((size_t)(next - line) <= name_length || line[name_length] != ':' ||
            g_ascii_strncasecmp(line, name, name_length) != 0) {
            line = next;
            continue;
        }
        GString *value =
            g_string_new_len(line + name_length + 1, next - line - (gssize)name_length - 1);
        while (next < end && (*next == ' ' || *next == '\t')) {
            const char *more = memchr(next, '\n', (size_t)(end - next));
            more = more == NULL ? end : more + 1;
            g_string_append_len(value, next, more - next);
            next = more;
        }
        g_strdelimit(value->str, "\r\n\t", ' ');
        return g_strstrip(g_string_free(value, FALSE));
    }
    return NULL;
}

/* A copy that is UTF-8, has no control characters and fits the column. */
static char *clean(const char *text, size_t limit)
{
    g_autofree char *valid = g_utf8_make_valid(text == NULL ? "" : text, -1);
    size_t length = strlen(valid);

    if (length > limit)
        for (length = limit; length > 0 && ((unsigned char)valid[length] & 0xc0) == 0x80;)
            length--;
    char *out = g_strndup(valid, length);
    for (char *p = out; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || (unsigned char)*p >= 0xf0) /* utf8 columns: no 4-byte form */
            *p = (unsigned char)*p < ' ' ? ' ' : '?';
    if (g_utf8_validate(out, -1, NULL))
        return out;
    char *ascii = g_str_to_ascii(valid, "C");
    g_free(out);
    return ascii;
}

/* "Ann" of "Ann <ann@example.com>". */
static char *display_name(const char *address)
{
    const char *angle = address == NULL ? NULL : strchr(address, '<');
    g_autofree char *name = angle == NULL || angle == address
                                ? g_strdup(address)
                                : g_strndup(address, (size_t)(angle - address));

    if (name != NULL)
        g_strstrip(g_strdelimit(name, "\"", ' '));
    return clean(name, NAME_LIMIT);
}

static const char *skip_prefixes(const char *subject, bool *any)
{
    static const char *const prefixes[] = { "re:", "fwd:", "fw:" };

    for (size_t i = 0; i < G_N_ELEMENTS(prefixes); i++)
        if (g_ascii_strncasecmp(subject, prefixes[i], strlen(prefixes[i])) == 0) {
            *any = true;
            subject += strlen(prefixes[i]);
            while (*subject == ' ')
                subject++;
            i = (size_t)-1;
        }
    return subject;
}

Message *message_parse(const char *bytes, size_t length)
{
    const char *end = header_end(bytes, length);
    size_t header = (size_t)(end - bytes);
    g_autofree char *from = field(bytes, header, "From");
    g_autofree char *to = field(bytes, header, "To");
    g_autofree char *subject = field(bytes, header, "Subject");
    g_autofree char *type = field(bytes, header, "Content-Type");
    g_autofree char *body = g_strndup(end, MIN((size_t)(bytes + length - end), 4 * FRAGMENT_LIMIT));
    bool reply = false;
    Message *message = g_new0(Message, 1);

    message->sender = display_name(from);
    message->recipients = clean(to, NAME_LIMIT);
    message->subject =
        clean(subject == NULL ? NULL : skip_prefixes(subject, &reply), SUBJECT_LIMIT);
    message->prefix = reply ? g_strdup("Re:") : NULL;
    message->message_id = field(bytes, header, "Message-ID");
    message->fragment = g_strstrip(clean(body, FRAGMENT_LIMIT));
    message->has_attachment = type != NULL && g_ascii_strncasecmp(type, "multipart/mixed", 15) == 0;
    return message;
}

void message_free(Message *message)
{
    g_free(message->sender);
    g_free(message->recipients);
    g_free(message->subject);
    g_free(message->message_id);
    g_free(message->fragment);
    g_free(message->prefix);
    g_free(message);
}

char *message_thread_hash(const Message *message)
{
    g_autofree char *folded = g_utf8_casefold(message->subject, -1);
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA1);
    guint8 digest[20];
    gsize size = sizeof digest;

    g_checksum_update(sum, (const guchar *)folded, -1);
    g_checksum_get_digest(sum, digest, &size);
    return g_base64_encode(digest, size);
}
