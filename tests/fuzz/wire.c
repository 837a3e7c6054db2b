/* wire.c - fuzzes the framing and every decoder of the agent's protocol: whatever bytes come, in
 * whatever pieces, they are read within their bounds, and a frame that decodes is written again
 * byte for byte. */
#include "core/agent/protocol.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode_ref(const WireFrame *frame)
{
    WireIn in = wire_in(frame);
    BlobRef ref = blob_ref_get(&in);
    WireOut out;

    if (!wire_end(&in, NULL))
        return;
    wire_out_init(&out);
    wire_begin(&out, frame->type, frame->flags, frame->stream);
    blob_ref_put(&out, &ref);
    wire_finish(&out);
    g_assert(wire_out_left(&out) == WIRE_HEADER + (size_t)frame->length);
    g_assert(memcmp(wire_out_bytes(&out) + WIRE_HEADER, frame->payload, frame->length) == 0);
    wire_out_clear(&out);
}

static void decode_volume(const WireFrame *frame)
{
    static AgentVolumeInfo info;
    WireIn in = wire_in(frame);
    WireOut out;

    agent_volume_get(&in, &info);
    if (!wire_end(&in, NULL))
        return;
    wire_out_init(&out);
    wire_begin(&out, frame->type, frame->flags, frame->stream);
    agent_volume_put(&out, &info);
    wire_finish(&out);
    g_assert(memcmp(wire_out_bytes(&out) + WIRE_HEADER, frame->payload, frame->length) == 0);
    wire_out_clear(&out);
}

static void decode_texts(const WireFrame *frame)
{
    WireIn in = wire_in(frame);
    char small[8], large[WIRE_TEXT];

    wire_u8(&in);
    wire_text(&in, small, sizeof small);
    wire_text(&in, large, sizeof large);
    wire_u16(&in);
    wire_u64(&in);
    if (in.problem != NULL)
        g_assert(wire_u32(&in) == 0);
    g_assert(strlen(small) < sizeof small && strlen(large) < sizeof large);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t piece = size > 0 ? (size_t)data[0] * 16 + 1 : 1;
    WireBuffer buffer;
    WireFrame frame;
    int got = 0;

    wire_buffer_init(&buffer);
    while (got >= 0) {
        size_t room, step;
        uint8_t *at;

        while ((got = wire_next(&buffer, &frame, NULL)) == 1) {
            decode_ref(&frame);
            decode_volume(&frame);
            decode_texts(&frame);
        }
        if (size == 0)
            break;
        at = wire_room(&buffer, &room);
        step = MIN(MIN(room, piece), size);
        g_assert(got < 0 || step > 0);
        memcpy(at, data, step);
        wire_filled(&buffer, step);
        data += step;
        size -= step;
    }
    wire_buffer_clear(&buffer);
    return 0;
}
