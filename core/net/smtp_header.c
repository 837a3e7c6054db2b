/* smtp_header.c - see smtp_header.h. */
#include "core/net/smtp_header.h"
#include <string.h>

enum {
    LINE_BYTES = 76, /* RFC 5322 recommends 78 with what ends it */
    WORD_BYTES = 45, /* of UTF-8 in an encoded word: 60 of base64, 75 with its frame */
};

bool smtp_header_value_ok(const char *value)
{
    for (const char *p = value; *p != '\0'; p++)
        if (g_ascii_iscntrl(*p))
            return false;
    return g_utf8_validate(value, -1, NULL);
}

bool smtp_header_address_ok(const char *address)
{
    const char *at = strrchr(address, '@');

    for (const char *p = address; *p != '\0'; p++)
        if (!g_ascii_isgraph(*p) || strchr("<>(),;:\\\"[]", *p) != NULL)
            return false;
    return at != NULL && at > address && at[1] != '\0';
}

static bool is_plain(const char *text)
{
    for (const char *p = text; *p != '\0'; p++)
        if (!g_ascii_isprint(*p))
            return false;
    return strstr(text, "=?") == NULL; /* would be taken for an encoded word */
}

/* Breaks at blanks only, so that unfolding gives the same text back. */
static char *fold(const char *name, const char *text)
{
    GString *line = g_string_new(name);
    size_t width = strlen(name) + 1;
    const char *p = text;

    g_string_append_c(line, ':');
    do {
        const size_t blanks = strspn(p, " ");
        const size_t word = strcspn(p + blanks, " ");

        if (p == text)
            g_string_append_c(line, ' ');
        else if (width + blanks + word > LINE_BYTES && word > 0) {
            g_string_append(line, "\r\n");
            width = 0;
        }
        g_string_append_len(line, p, (gssize)(blanks + word));
        width += blanks + word + (p == text ? 1 : 0);
        p += blanks + word;
    } while (*p != '\0');
    return g_string_free(line, FALSE);
}

static size_t character_bytes(const char *p)
{
    return (size_t)g_utf8_skip[(guchar)*p];
}

/* Words of whole characters, each on a line of its own; blanks between encoded words do not count.
 */
static char *encode(const char *name, const char *text)
{
    GString *line = g_string_new(name);
    const char *p = text;

    g_string_append_c(line, ':');
    while (*p != '\0') {
        const char *end = p;
        g_autofree char *word = NULL;

        while (*end != '\0' && end + character_bytes(end) - p <= WORD_BYTES)
            end += character_bytes(end);
        word = g_base64_encode((const guchar *)p, (gsize)(end - p));
        g_string_append_printf(line, "%s =?UTF-8?B?%s?=", p == text ? "" : "\r\n", word);
        p = end;
    }
    return g_string_free(line, FALSE);
}

char *smtp_header_text(const char *name, const char *text)
{
    return is_plain(text) ? fold(name, text) : encode(name, text);
}

char *smtp_header_date(int64_t unix_s)
{
    static const char *const days[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };
    static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(unix_s);

    return g_strdup_printf(
        "Date: %s, %02d %s %d %02d:%02d:%02d +0000", days[g_date_time_get_day_of_week(time) - 1],
        g_date_time_get_day_of_month(time), months[g_date_time_get_month(time) - 1],
        g_date_time_get_year(time), g_date_time_get_hour(time), g_date_time_get_minute(time),
        g_date_time_get_second(time));
}

char *smtp_header_message_id(const char *from)
{
    g_autofree char *random = g_uuid_string_random();

    return g_strdup_printf("Message-ID: <%s@%s>", random, strrchr(from, '@') + 1);
}
