/* test_wire.c - what is written is read again; what is cut, too long or made up is refused. */
#include "core/base/wire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void write_sample(WireOut *out)
{
    wire_begin(out, 7, 1, 0xbeef);
    wire_put_u8(out, 0xa5);
    wire_put_u16(out, 0x1234);
    wire_put_u32(out, 0xdeadbeef);
    wire_put_u64(out, 0x0123456789abcdefULL);
    wire_put_text(out, "anna@company.ru");
    wire_finish(out);
}

static void test_round_trip(void **state)
{
    WireOut out;
    WireBuffer buffer;
    WireFrame frame;
    WireIn in;
    char text[16];

    (void)state;
    wire_out_init(&out);
    wire_buffer_init(&buffer);
    write_sample(&out);
    for (size_t i = 0; i < wire_out_left(&out); i++) {
        size_t room;

        assert_int_equal(wire_next(&buffer, &frame, NULL), 0);
        *wire_room(&buffer, &room) = wire_out_bytes(&out)[i];
        assert_true(room > 0);
        wire_filled(&buffer, 1);
    }
    assert_int_equal(wire_next(&buffer, &frame, NULL), 1);
    assert_int_equal(frame.type, 7);
    assert_int_equal(frame.flags, 1);
    assert_int_equal(frame.stream, 0xbeef);
    in = wire_in(&frame);
    assert_int_equal(wire_u8(&in), 0xa5);
    assert_int_equal(wire_u16(&in), 0x1234);
    assert_int_equal(wire_u32(&in), 0xdeadbeef);
    assert_true(wire_u64(&in) == 0x0123456789abcdefULL);
    wire_text(&in, text, sizeof text);
    assert_string_equal(text, "anna@company.ru");
    assert_true(wire_end(&in, NULL));
    assert_int_equal(wire_next(&buffer, &frame, NULL), 0);
    wire_buffer_clear(&buffer);
    wire_out_clear(&out);
}

static void test_cut_anywhere(void **state)
{
    WireOut out;

    (void)state;
    wire_out_init(&out);
    write_sample(&out);
    for (size_t length = 0; length < wire_out_left(&out) - WIRE_HEADER; length++) {
        g_autoptr(GError) error = NULL;
        WireFrame frame = { .payload = wire_out_bytes(&out) + WIRE_HEADER,
                            .length = (uint32_t)length };
        WireIn in = wire_in(&frame);
        char text[16];

        wire_u8(&in);
        wire_u16(&in);
        wire_u32(&in);
        wire_u64(&in);
        wire_text(&in, text, sizeof text);
        assert_false(wire_end(&in, &error));
        assert_int_equal(error_code(error), ZX_ERROR_CONNECT);
    }
    wire_out_clear(&out);
}

static void test_refusals(void **state)
{
    static const uint8_t huge[] = { 0x7f, 0xff, 0xff, 0xff, 1, 0, 0, 0 };
    static const uint8_t nul[] = { 0, 3, 'a', 0, 'b' };
    static const uint8_t longer[] = { 0, 1, 'a', 9 };
    g_autoptr(GError) error = NULL;
    WireBuffer buffer;
    WireFrame frame;
    WireIn in;
    char text[3];
    size_t room;

    (void)state;
    wire_buffer_init(&buffer);
    memcpy(wire_room(&buffer, &room), huge, sizeof huge);
    wire_filled(&buffer, sizeof huge);
    assert_int_equal(wire_next(&buffer, &frame, &error), -1);
    wire_buffer_clear(&buffer);

    frame = (WireFrame){ .payload = nul, .length = sizeof nul };
    in = wire_in(&frame);
    wire_text(&in, text, sizeof text);
    assert_non_null(in.problem);
    assert_string_equal(text, "");

    frame = (WireFrame){ .payload = longer, .length = sizeof longer };
    in = wire_in(&frame);
    wire_text(&in, text, sizeof text);
    assert_null(in.problem);
    assert_false(wire_end(&in, NULL));
}

static void test_many_large_frames(void **state)
{
    g_autofree uint8_t *content = g_malloc(WIRE_MAX);
    WireBuffer buffer;
    WireOut out;
    WireFrame frame;
    unsigned frames = 0;

    (void)state;
    memset(content, 'x', WIRE_MAX);
    wire_buffer_init(&buffer);
    wire_out_init(&out);
    for (uint16_t i = 0; i < 20; i++) {
        wire_begin(&out, 1, 0, i);
        wire_put_bytes(&out, content, WIRE_MAX - i);
        wire_finish(&out);
    }
    while (frames < 20) {
        int got = wire_next(&buffer, &frame, NULL);
        size_t room, step;
        uint8_t *at;

        assert_true(got >= 0);
        if (got == 1) {
            assert_int_equal(frame.stream, frames);
            assert_int_equal(frame.length, WIRE_MAX - frames);
            assert_int_equal(frame.payload[frame.length - 1], 'x');
            frames++;
            continue;
        }
        at = wire_room(&buffer, &room);
        step = MIN(MIN(room, 100001), wire_out_left(&out));
        assert_true(step > 0);
        memcpy(at, wire_out_bytes(&out), step);
        wire_out_sent(&out, step);
        wire_filled(&buffer, step);
    }
    assert_int_equal(wire_out_left(&out), 0);
    wire_out_clear(&out);
    wire_buffer_clear(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_many_large_frames),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
