/* wire.h - frames between zxmove and its agent: u32 length of the payload, u8 type, u8 flags,
 * u16 stream, payload; big endian, no checksum (ssh has one).
 *
 * Nothing is allocated from a length that came over the wire. A decoder keeps its first problem and
 * answers zeros from then on, so that one wire_end() judges the whole message. */
#ifndef ZX_BASE_WIRE_H
#define ZX_BASE_WIRE_H

#include "core/base/error.h"
#include <stddef.h>
#include <stdint.h>

#define WIRE_HEADER 8
#define WIRE_MAX    (256 * 1024) /* payload of one frame */
#define WIRE_DATA   (128 * 1024) /* payload of a frame of file content */
#define WIRE_TEXT   4096         /* longest text, with its NUL */

typedef struct WireFrame {
    uint8_t type, flags;
    uint16_t stream;
    const uint8_t *payload;
    uint32_t length;
} WireFrame;

/* Bytes that came in and are no whole frame yet. Fixed size: one frame of the largest kind fits,
 * and as much again, so that bytes are moved seldom. */
typedef struct WireBuffer {
    uint8_t *bytes;
    size_t start, end;
} WireBuffer;

void wire_buffer_init(WireBuffer *buffer);
void wire_buffer_clear(WireBuffer *buffer);
/* Where to read into; never empty after wire_next() answered 0. Frames handed out before end here.
 */
uint8_t *wire_room(WireBuffer *buffer, size_t *room);
void wire_filled(WireBuffer *buffer, size_t length);
/* 1 a frame (its payload lives until wire_room), 0 more is needed, -1 too long a frame. */
int wire_next(WireBuffer *buffer, WireFrame *frame, GError **error) MUST_USE;

/* Frames to be sent. */
typedef struct WireOut {
    GByteArray *bytes;
    size_t sent;  /* of bytes: gone already */
    size_t frame; /* where the frame being written begins */
} WireOut;

void wire_out_init(WireOut *out);
void wire_out_clear(WireOut *out);
size_t wire_out_left(const WireOut *out);
const uint8_t *wire_out_bytes(const WireOut *out);
void wire_out_sent(WireOut *out, size_t length);

void wire_begin(WireOut *out, uint8_t type, uint8_t flags, uint16_t stream);
void wire_put_u8(WireOut *out, uint8_t value);
void wire_put_u16(WireOut *out, uint16_t value);
void wire_put_u32(WireOut *out, uint32_t value);
void wire_put_u64(WireOut *out, uint64_t value);
/* Cut at WIRE_TEXT - 1 bytes. */
void wire_put_text(WireOut *out, const char *text);
void wire_put_bytes(WireOut *out, const void *bytes, size_t length);
/* Content of up to @length bytes to be filled in by the caller, at the end of the frame;
 * wire_shrink() gives back what was not used. */
uint8_t *wire_put_space(WireOut *out, size_t length);
void wire_shrink(WireOut *out, size_t unused);
void wire_finish(WireOut *out);

typedef struct WireIn {
    const uint8_t *at;
    size_t left;
    const char *problem; /* the first one */
} WireIn;

WireIn wire_in(const WireFrame *frame);
uint8_t wire_u8(WireIn *in);
uint16_t wire_u16(WireIn *in);
uint32_t wire_u32(WireIn *in);
uint64_t wire_u64(WireIn *in);
/* A text without NUL bytes that fits @out of @size; "" after a problem. */
void wire_text(WireIn *in, char *out, size_t size);
/* Everything decoded and nothing left over? */
bool wire_end(const WireIn *in, GError **error) MUST_USE;

#endif
