/* wire.c - see wire.h. */
#include "core/base/wire.h"
#include <string.h>

#define BUFFER_SIZE ((size_t)2 * (WIRE_HEADER + WIRE_MAX))
#define OUT_KEEP    ((size_t)1024 * 1024) /* sent bytes at the front of an output worth moving away \
                                           */

static uint64_t get(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

static void set(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

void wire_buffer_init(WireBuffer *buffer)
{
    *buffer = (WireBuffer){ .bytes = g_malloc(BUFFER_SIZE) };
}

void wire_buffer_clear(WireBuffer *buffer)
{
    g_free(buffer->bytes);
    *buffer = (WireBuffer){ 0 };
}

uint8_t *wire_room(WireBuffer *buffer, size_t *room)
{
    if (buffer->start == buffer->end)
        buffer->start = buffer->end = 0;
    if (buffer->start > 0 && BUFFER_SIZE - buffer->start < WIRE_HEADER + WIRE_MAX) {
        memmove(buffer->bytes, buffer->bytes + buffer->start, buffer->end - buffer->start);
        buffer->end -= buffer->start;
        buffer->start = 0;
    }
    *room = BUFFER_SIZE - buffer->end;
    return buffer->bytes + buffer->end;
}

void wire_filled(WireBuffer *buffer, size_t length)
{
    buffer->end += length;
}

int wire_next(WireBuffer *buffer, WireFrame *frame, GError **error)
{
    const uint8_t *at = buffer->bytes + buffer->start;
    size_t have = buffer->end - buffer->start;
    uint32_t length;

    if (have < WIRE_HEADER)
        return 0;
    length = (uint32_t)get(at, 4);
    if (length > WIRE_MAX) {
        fail(error, ZX_ERROR_CONNECT, "a frame of %u bytes, at most %d are allowed", length,
             WIRE_MAX);
        return -1;
    }
    if (have < WIRE_HEADER + (size_t)length)
        return 0;
    *frame = (WireFrame){ .type = at[4],
                          .flags = at[5],
                          .stream = (uint16_t)get(at + 6, 2),
                          .payload = at + WIRE_HEADER,
                          .length = length };
    buffer->start += WIRE_HEADER + (size_t)length;
    return 1;
}

void wire_out_init(WireOut *out)
{
    *out = (WireOut){ .bytes = g_byte_array_sized_new(WIRE_HEADER) }; /* never without data */
}

void wire_out_clear(WireOut *out)
{
    if (out->bytes != NULL)
        g_byte_array_free(out->bytes, TRUE);
    *out = (WireOut){ 0 };
}

size_t wire_out_left(const WireOut *out)
{
    return out->bytes->len - out->sent;
}

const uint8_t *wire_out_bytes(const WireOut *out)
{
    return out->bytes->data + out->sent;
}

void wire_out_sent(WireOut *out, size_t length)
{
    out->sent += length;
    if (out->sent == out->bytes->len) {
        g_byte_array_set_size(out->bytes, 0);
        out->sent = 0;
    } else if (out->sent > OUT_KEEP) {
        g_byte_array_remove_range(out->bytes, 0, (guint)out->sent);
        out->sent = 0;
    }
}

static void put_number(WireOut *out, uint64_t value, unsigned bytes)
{
    uint8_t raw[8];

    set(raw, value, bytes);
    g_byte_array_append(out->bytes, raw, bytes);
}

void wire_begin(WireOut *out, uint8_t type, uint8_t flags, uint16_t stream)
{
    out->frame = out->bytes->len;
    put_number(out, 0, 4);
    put_number(out, type, 1);
    put_number(out, flags, 1);
    put_number(out, stream, 2);
}

void wire_put_u8(WireOut *out, uint8_t value)
{
    put_number(out, value, 1);
}

void wire_put_u16(WireOut *out, uint16_t value)
{
    put_number(out, value, 2);
}

void wire_put_u32(WireOut *out, uint32_t value)
{
    put_number(out, value, 4);
}

void wire_put_u64(WireOut *out, uint64_t value)
{
    put_number(out, value, 8);
}

void wire_put_text(WireOut *out, const char *text)
{
    size_t length = strnlen(text, WIRE_TEXT - 1);

    wire_put_u16(out, (uint16_t)length);
    wire_put_bytes(out, text, length);
}

void wire_put_bytes(WireOut *out, const void *bytes, size_t length)
{
    g_byte_array_append(out->bytes, bytes, (guint)length);
}

uint8_t *wire_put_space(WireOut *out, size_t length)
{
    guint before = out->bytes->len;

    g_byte_array_set_size(out->bytes, before + (guint)length);
    return out->bytes->data + before;
}

void wire_shrink(WireOut *out, size_t unused)
{
    g_byte_array_set_size(out->bytes, out->bytes->len - (guint)unused);
}

void wire_finish(WireOut *out)
{
    size_t length = out->bytes->len - out->frame - WIRE_HEADER;

    g_assert(length <= WIRE_MAX);
    set(out->bytes->data + out->frame, length, 4);
}

WireIn wire_in(const WireFrame *frame)
{
    return (WireIn){ .at = frame->payload, .left = frame->length };
}

/* @length bytes of the message, or NULL once there is a problem. */
static const uint8_t *take(WireIn *in, size_t length)
{
    const uint8_t *at = in->at;

    if (in->problem == NULL && in->left < length)
        in->problem = "it ends too early";
    if (in->problem != NULL)
        return NULL;
    in->at += length;
    in->left -= length;
    return at;
}

static uint64_t take_number(WireIn *in, unsigned bytes)
{
    const uint8_t *at = take(in, bytes);

    return at == NULL ? 0 : get(at, bytes);
}

uint8_t wire_u8(WireIn *in)
{
    return (uint8_t)take_number(in, 1);
}

uint16_t wire_u16(WireIn *in)
{
    return (uint16_t)take_number(in, 2);
}

uint32_t wire_u32(WireIn *in)
{
    return (uint32_t)take_number(in, 4);
}

uint64_t wire_u64(WireIn *in)
{
    return take_number(in, 8);
}

void wire_text(WireIn *in, char *out, size_t size)
{
    size_t length = wire_u16(in);
    const uint8_t *at;

    out[0] = '\0';
    if (in->problem == NULL && length >= size)
        in->problem = "a text is too long";
    at = take(in, length);
    if (at == NULL)
        return;
    if (memchr(at, '\0', length) != NULL) {
        in->problem = "a text holds a NUL byte";
        return;
    }
    memcpy(out, at, length);
    out[length] = '\0';
}

bool wire_end(const WireIn *in, GError **error)
{
    const char *problem = in->problem;

    if (problem == NULL && in->left > 0)
        problem = "it is longer than it should be";
    if (problem == NULL)
        return true;
    return fail(error, ZX_ERROR_CONNECT, "a message cannot be understood: %s", problem);
}
