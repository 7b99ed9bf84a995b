/* SPDX-License-Identifier: MIT */
/* Frame headers against RFC 6455 section 5.2: its own examples (section 5.7), all first two bytes,
 * all lengths of 16 bits, the edges of 64 bits, each header cut at every byte and each error found
 * with the byte that proves it. */
#include "proto/ws_frame.h"
#include "tests/parser_kit.h"

static int parse_guarded(struct ws_frame *frame, uint8_t rsv_allowed, const uint8_t *bytes,
                         size_t size)
{
    uint8_t *copy = guard_copy(bytes, size);
    int status = ws_frame_parse(frame, rsv_allowed, copy, size);
    guard_free(copy);
    return status;
}

static uint32_t key_of(const uint8_t *bytes)
{
    uint32_t key;
    memcpy(&key, bytes, sizeof(key));
    return key;
}

struct valid_row {
    const char *why;
    uint8_t bytes[WS_CLIENT_HEADER_SIZE_MAX];
    uint8_t rsv_allowed;
    uint8_t header_size;
    uint8_t opcode;
    bool fin;
    uint8_t rsv;
    uint64_t payload_size;
};

static const struct valid_row valid_rows[] = {
    {"section 5.7: masked text, Hello", {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d}, 0, 6, 1, true, 0, 5},
    {"section 5.7: masked pong, Hello", {0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d}, 0, 6, 10, true, 0, 5},
    {"first fragment of text", {0x01, 0x83, 1, 2, 3, 4}, 0, 6, 1, false, 0, 3},
    {"middle fragment", {0x00, 0x83, 1, 2, 3, 4}, 0, 6, 0, false, 0, 3},
    {"last fragment", {0x80, 0x82, 1, 2, 3, 4}, 0, 6, 0, true, 0, 2},
    {"empty binary", {0x82, 0x80, 0xff, 0xff, 0xff, 0xff}, 0, 6, 2, true, 0, 0},
    {"125 bytes", {0x82, 0xfd, 9, 8, 7, 6}, 0, 6, 2, true, 0, 125},
    {"126 bytes", {0x82, 0xfe, 0, 126, 9, 8, 7, 6}, 0, 8, 2, true, 0, 126},
    {"section 5.7: 256 bytes", {0x82, 0xfe, 1, 0, 9, 8, 7, 6}, 0, 8, 2, true, 0, 256},
    {"65535 bytes", {0x82, 0xfe, 0xff, 0xff, 9, 8, 7, 6}, 0, 8, 2, true, 0, 65535},
    {"section 5.7: 64 KiB",
     {0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 9, 8, 7, 6},
     0,
     14,
     2,
     true,
     0,
     65536},
    {"most bytes",
     {0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 9, 8, 7, 6},
     0,
     14,
     2,
     true,
     0,
     INT64_MAX},
    {"long text fragment", {0x01, 0xfe, 1, 0, 9, 8, 7, 6}, 0, 8, 1, false, 0, 256},
    {"empty close", {0x88, 0x80, 1, 2, 3, 4}, 0, 6, 8, true, 0, 0},
    {"full close", {0x88, 0xfd, 1, 2, 3, 4}, 0, 6, 8, true, 0, 125},
    {"full ping", {0x89, 0xfd, 1, 2, 3, 4}, 0, 6, 9, true, 0, 125},
    {"zero key", {0x81, 0x85, 0, 0, 0, 0}, 0, 6, 1, true, 0, 5},
    {"RSV1 agreed on", {0xc1, 0x85, 1, 2, 3, 4}, WS_RSV1, 6, 1, true, WS_RSV1, 5},
    {"RSV1 agreed on, first fragment", {0x42, 0x85, 1, 2, 3, 4}, WS_RSV1, 6, 2, false, WS_RSV1, 5},
    {"RSV1 agreed on, 16 bits", {0xc1, 0xfe, 1, 0, 1, 2, 3, 4}, WS_RSV1, 8, 1, true, WS_RSV1, 256},
    {"RSV1 agreed on and not used", {0x81, 0x85, 1, 2, 3, 4}, WS_RSV1, 6, 1, true, 0, 5},
};

void ws_frame_parse_takes_valid_headers(void)
{
    for (size_t i = 0; i < COUNT_OF(valid_rows); i++) {
        const struct valid_row *row = &valid_rows[i];
        struct ws_frame frame = {0};
        int status = parse_guarded(&frame, row->rsv_allowed, row->bytes, row->header_size);
        EXPECT_INT(status, 0, row->why);
        EXPECT_INT(frame.header_size, row->header_size, row->why);
        EXPECT_INT(frame.opcode, row->opcode, row->why);
        EXPECT_INT(frame.fin, row->fin, row->why);
        EXPECT_INT(frame.rsv, row->rsv, row->why);
        EXPECT(frame.payload_size == row->payload_size, row->why);
        EXPECT_INT(frame.masking_key, key_of(row->bytes + row->header_size - 4), row->why);
    }
}

void ws_frame_parse_asks_for_more_at_every_byte(void)
{
    for (size_t i = 0; i < COUNT_OF(valid_rows); i++) {
        const struct valid_row *row = &valid_rows[i];
        for (size_t size = 0; size < row->header_size; size++) {
            struct ws_frame frame;
            int status = parse_guarded(&frame, row->rsv_allowed, row->bytes, size);
            EXPECT_INT(status, NEED_MORE, row->why);
        }
    }
}

void ws_frame_parse_leaves_payload_alone(void)
{
    uint8_t bytes[] = {0x81, 0x82, 1, 2, 3, 4, 0xff, 0xff, 0xff};
    for (size_t size = 6; size <= sizeof(bytes); size++) {
        struct ws_frame frame = {0};
        EXPECT_INT(parse_guarded(&frame, 0, bytes, size), 0, "payload behind the header");
        EXPECT_INT(frame.header_size, 6, "payload behind the header");
        EXPECT_INT(frame.payload_size, 2, "payload behind the header");
    }
}

/* found_at: so many bytes prove the error; with one less the parser must still wait. */
static const struct {
    const char *why;
    uint8_t bytes[WS_CLIENT_HEADER_SIZE_MAX];
    uint8_t rsv_allowed;
    uint8_t found_at;
    int expected;
} invalid_rows[] = {
    {"section 5.7: unmasked text, Hello",
     {0x81, 0x05, 'H', 'e', 'l', 'l', 'o'},
     0,
     2,
     GYR_ERR_WS_UNMASKED},
    {"section 5.7: unmasked ping, Hello",
     {0x89, 0x05, 'H', 'e', 'l', 'l', 'o'},
     0,
     2,
     GYR_ERR_WS_UNMASKED},
    {"section 5.7: unmasked 256 bytes", {0x82, 0x7e, 1, 0}, 0, 2, GYR_ERR_WS_UNMASKED},
    {"section 5.7: unmasked 64 KiB",
     {0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0},
     0,
     2,
     GYR_ERR_WS_UNMASKED},
    {"unmasked and empty", {0x81, 0x00, 1, 2, 3, 4}, 0, 2, GYR_ERR_WS_UNMASKED},
    {"RSV1 without extension", {0xc1, 0x85, 1, 2, 3, 4}, 0, 1, GYR_ERR_WS_RESERVED_BIT},
    {"RSV2", {0xa1, 0x85, 1, 2, 3, 4}, 0, 1, GYR_ERR_WS_RESERVED_BIT},
    {"RSV3", {0x91, 0x85, 1, 2, 3, 4}, 0, 1, GYR_ERR_WS_RESERVED_BIT},
    {"RSV2 beside an agreed RSV1", {0xe1, 0x85, 1, 2, 3, 4}, WS_RSV1, 1, GYR_ERR_WS_RESERVED_BIT},
    {"RSV3 beside an agreed RSV1", {0xd1, 0x85, 1, 2, 3, 4}, WS_RSV1, 1, GYR_ERR_WS_RESERVED_BIT},
    {"RSV1 on a ping", {0xc9, 0x85, 1, 2, 3, 4}, WS_RSV1, 1, GYR_ERR_WS_RESERVED_BIT},
    {"RSV1 on a close", {0xc8, 0x80, 1, 2, 3, 4}, WS_RSV1, 1, GYR_ERR_WS_RESERVED_BIT},
    {"all reserved bits", {0xf1, 0x85, 1, 2, 3, 4}, 0, 1, GYR_ERR_WS_RESERVED_BIT},
    {"reserved bit before opcode", {0xf3, 0x05}, 0, 1, GYR_ERR_WS_RESERVED_BIT},
    {"opcode 3", {0x83, 0x85, 1, 2, 3, 4}, 0, 1, GYR_ERR_WS_OPCODE},
    {"opcode 4", {0x84, 0x85, 1, 2, 3, 4}, 0, 1, GYR_ERR_WS_OPCODE},
    {"opcode 7", {0x87, 0x85, 1, 2, 3, 4}, 0, 1, GYR_ERR_WS_OPCODE},
    {"opcode b", {0x8b, 0x85, 1, 2, 3, 4}, 0, 1, GYR_ERR_WS_OPCODE},
    {"opcode f", {0x8f, 0x85, 1, 2, 3, 4}, 0, 1, GYR_ERR_WS_OPCODE},
    {"opcode b without fin", {0x0b, 0x85, 1, 2, 3, 4}, 0, 1, GYR_ERR_WS_OPCODE},
    {"fragmented close", {0x08, 0x80, 1, 2, 3, 4}, 0, 1, GYR_ERR_WS_CONTROL},
    {"fragmented ping", {0x09, 0x85, 1, 2, 3, 4}, 0, 1, GYR_ERR_WS_CONTROL},
    {"fragmented pong", {0x0a, 0x85, 1, 2, 3, 4}, 0, 1, GYR_ERR_WS_CONTROL},
    {"ping of 126 bytes", {0x89, 0xfe, 0, 126, 1, 2, 3, 4}, 0, 2, GYR_ERR_WS_CONTROL},
    {"close of 64 KiB", {0x88, 0xff, 0, 0, 0, 0, 0, 1, 0, 0}, 0, 2, GYR_ERR_WS_CONTROL},
    {"0 in 16 bits", {0x82, 0xfe, 0, 0, 1, 2, 3, 4}, 0, 4, GYR_ERR_WS_LENGTH},
    {"125 in 16 bits", {0x82, 0xfe, 0, 125, 1, 2, 3, 4}, 0, 4, GYR_ERR_WS_LENGTH},
    {"0 in 64 bits", {0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 0}, 0, 8, GYR_ERR_WS_LENGTH},
    {"65535 in 64 bits", {0x82, 0xff, 0, 0, 0, 0, 0, 0, 255, 255}, 0, 8, GYR_ERR_WS_LENGTH},
    {"top bit", {0x82, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0}, 0, 3, GYR_ERR_WS_LENGTH},
    {"all bits", {0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255}, 0, 3, GYR_ERR_WS_LENGTH},
};

void ws_frame_parse_rejects_with_the_byte_that_proves_it(void)
{
    for (size_t i = 0; i < COUNT_OF(invalid_rows); i++) {
        for (size_t size = 0; size <= WS_CLIENT_HEADER_SIZE_MAX; size++) {
            struct ws_frame frame;
            int status =
                parse_guarded(&frame, invalid_rows[i].rsv_allowed, invalid_rows[i].bytes, size);
            int expected = size < invalid_rows[i].found_at ? NEED_MORE : invalid_rows[i].expected;
            EXPECT_INT(status, expected, invalid_rows[i].why);
        }
    }
}

/* What section 5.2 says about the first two bytes, in its order and without haste. */
static int two_bytes_reference(uint8_t first, uint8_t second, uint8_t rsv_allowed)
{
    unsigned opcode = first % 16;
    bool fin = first / 128 == 1;
    bool control = opcode >= 8;
    unsigned rsv = first / 16u % 8 * 16;
    if (rsv != 0 && (control || rsv != rsv_allowed)) {
        return GYR_ERR_WS_RESERVED_BIT;
    }
    if (opcode != 0 && opcode != 1 && opcode != 2 && opcode != 8 && opcode != 9 && opcode != 10) {
        return GYR_ERR_WS_OPCODE;
    }
    if (control && !fin) {
        return GYR_ERR_WS_CONTROL;
    }
    if (second < 128) {
        return GYR_ERR_WS_UNMASKED;
    }
    return control && second - 128 > 125 ? GYR_ERR_WS_CONTROL : 0;
}

void ws_frame_parse_judges_all_first_two_bytes(void)
{
    unsigned wrong = 0;
    unsigned taken = 0;
    for (unsigned pair = 0; pair < 0x20000; pair++) {
        uint8_t rsv_allowed = pair > 0xffff ? WS_RSV1 : 0;
        uint8_t bytes[WS_CLIENT_HEADER_SIZE_MAX] = {(uint8_t)(pair >> 8), (uint8_t)pair, 1, 0, 1};
        struct ws_frame frame = {0};
        int expected = two_bytes_reference(bytes[0], bytes[1], rsv_allowed);
        int status = ws_frame_parse(&frame, rsv_allowed, bytes, sizeof(bytes));
        wrong += status != expected;
        if (status == 0) {
            taken++;
            wrong += frame.opcode != bytes[0] % 16 || frame.fin != (bytes[0] >= 128);
        }
        wrong += ws_frame_parse(&frame, rsv_allowed, bytes, 2) != (expected ? expected : NEED_MORE);
    }
    EXPECT_INT(wrong, 0, "every pair of first bytes, with and without RSV1");
    /* Data: 3 opcodes, fin or not, 128 lengths, twice for RSV1; control: 3 opcodes, 126 lengths. */
    EXPECT_INT(taken, (768 + 378) + (1536 + 378), "how many are accepted");
}

void ws_frame_parse_judges_all_16_bit_lengths(void)
{
    unsigned wrong = 0;
    for (unsigned length = 0; length <= 0xffff; length++) {
        uint8_t bytes[] = {0x82, 0xfe, (uint8_t)(length >> 8), (uint8_t)length, 1, 2, 3, 4};
        struct ws_frame frame = {0};
        int expected = length < 126 ? GYR_ERR_WS_LENGTH : 0;
        wrong += ws_frame_parse(&frame, 0, bytes, sizeof(bytes)) != expected;
        wrong += expected == 0 && (frame.payload_size != length || frame.header_size != 8);
    }
    EXPECT_INT(wrong, 0, "every 16-bit length");
}

void ws_frame_parse_judges_64_bit_lengths_at_every_bit(void)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int offset = -1; offset <= 1; offset++) {
            uint64_t length = (UINT64_C(1) << bit) + (uint64_t)(int64_t)offset;
            uint8_t bytes[WS_CLIENT_HEADER_SIZE_MAX] = {0x82, 0xff};
            struct ws_frame frame = {0};
            store_be64(bytes + 2, length);
            bool valid = length >= 65536 && length <= INT64_MAX;
            int status = parse_guarded(&frame, 0, bytes, sizeof(bytes));
            EXPECT_INT(status, valid ? 0 : GYR_ERR_WS_LENGTH, "one bit of the length");
            EXPECT(!valid || frame.payload_size == length, "one bit of the length");
        }
    }
}

void ws_frame_write_header_makes_section_5_7_examples(void)
{
    static const struct {
        const char *why;
        enum ws_opcode opcode;
        bool fin;
        uint64_t payload_size;
        uint8_t header_size;
        uint8_t bytes[WS_SERVER_HEADER_SIZE_MAX];
    } rows[] = {
        {"unmasked text, Hello", WS_OPCODE_TEXT, true, 5, 2, {0x81, 0x05}},
        {"first fragment, Hel", WS_OPCODE_TEXT, false, 3, 2, {0x01, 0x03}},
        {"last fragment, lo", WS_OPCODE_CONTINUATION, true, 2, 2, {0x80, 0x02}},
        {"unmasked ping, Hello", WS_OPCODE_PING, true, 5, 2, {0x89, 0x05}},
        {"256 bytes", WS_OPCODE_BINARY, true, 256, 4, {0x82, 0x7e, 0x01, 0x00}},
        {"64 KiB", WS_OPCODE_BINARY, true, 65536, 10, {0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0}},
        {"empty close", WS_OPCODE_CLOSE, true, 0, 2, {0x88, 0x00}},
        {"pong of 125", WS_OPCODE_PONG, true, 125, 2, {0x8a, 0x7d}},
        {"126 bytes", WS_OPCODE_BINARY, true, 126, 4, {0x82, 0x7e, 0x00, 0x7e}},
        {"65535 bytes", WS_OPCODE_BINARY, true, 65535, 4, {0x82, 0x7e, 0xff, 0xff}},
        {"most bytes",
         WS_OPCODE_BINARY,
         true,
         INT64_MAX,
         10,
         {0x82, 0x7f, 0x7f, 255, 255, 255, 255, 255, 255, 255}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t *bytes = guard_copy((const uint8_t[16]){0}, rows[i].header_size);
        size_t size =
            ws_frame_write_header(bytes, rows[i].opcode, rows[i].fin, 0, rows[i].payload_size);
        EXPECT_INT(size, rows[i].header_size, rows[i].why);
        EXPECT_INT(size, ws_frame_header_size(rows[i].payload_size), rows[i].why);
        EXPECT(memcmp(bytes, rows[i].bytes, size) == 0, rows[i].why);
        guard_free(bytes);
    }
}

void ws_frame_write_header_sets_reserved_bits(void)
{
    uint8_t bytes[WS_SERVER_HEADER_SIZE_MAX];
    EXPECT_INT(ws_frame_write_header(bytes, WS_OPCODE_TEXT, true, WS_RSV1, 7), 2, "RSV1");
    EXPECT_INT(bytes[0], 0xc1, "RSV1");
}

/* The reply is framed in the space of the request's header. */
void ws_frame_header_is_never_larger_than_the_clients(void)
{
    for (size_t i = 0; i < COUNT_OF(valid_rows); i++) {
        size_t size = ws_frame_header_size(valid_rows[i].payload_size);
        EXPECT(size <= valid_rows[i].header_size, valid_rows[i].why);
        EXPECT_INT(size, valid_rows[i].header_size - 4, valid_rows[i].why);
    }
}
