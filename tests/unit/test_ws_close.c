/* SPDX-License-Identifier: MIT */
/* Close frames: all close codes, payloads of every size, reasons that are cut (RFC 6455 sections
 * 5.5.1 and 7.4). */
#include "proto/ws_close.h"
#include "tests/parser_kit.h"

#define PAYLOAD_SIZE_MAX 125

static int parse_guarded(const void *payload, size_t size, uint16_t *close_code,
                         size_t *reason_size)
{
    uint8_t *copy = guard_copy(payload, size);
    struct span reason = {0};
    int status = ws_close_parse(span_of(copy, size), close_code, &reason);
    *reason_size = reason.size;
    EXPECT(status != 0 || reason.size == 0 || reason.ptr == copy + 2, "reason is a view");
    guard_free(copy);
    return status;
}

/* Section 7.4.1 and the registry it opened (section 11.7), code by code. */
void ws_close_code_is_valid_judges_all_codes(void)
{
    static const unsigned registered[] = {1000, 1001, 1002, 1003, 1007, 1008,
                                          1009, 1010, 1011, 1012, 1013, 1014};
    unsigned wrong = 0;
    unsigned valid_count = 0;
    for (unsigned code = 0; code <= 0xffff; code++) {
        bool expected = code >= 3000 && code < 5000;
        for (size_t i = 0; i < COUNT_OF(registered); i++) {
            expected = expected || code == registered[i];
        }
        uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
        uint16_t parsed = 0;
        struct span reason;
        int status = ws_close_parse(span_of(payload, 2), &parsed, &reason);
        wrong += ws_close_code_is_valid(code) != expected;
        wrong += status != (expected ? 0 : GYR_ERR_WS_CLOSE);
        wrong += expected && (parsed != code || reason.size != 0);
        valid_count += expected;
    }
    EXPECT_INT(wrong, 0, "every code");
    EXPECT_INT(valid_count, 2012, "how many are valid");
    EXPECT(!ws_close_code_is_valid(0x10000 + 1000), "no wrap at 16 bits");
}

void ws_close_parse_takes_payloads_apart(void)
{
    static const struct {
        const char *why;
        struct span payload;
        int expected;
        uint16_t close_code;
        uint8_t reason_size;
    } rows[] = {
        {"empty", {(const uint8_t *)"", 0}, 0, 1005, 0},
        {"code alone", {(const uint8_t *)"\x03\xe8", 2}, 0, 1000, 0},
        {"code and reason",
         {(const uint8_t *)"\x03\xe9"
                           "bye",
          5},
         0,
         1001,
         3},
        {"reason beyond ASCII", {(const uint8_t *)"\x0b\xb8\xe2\x82\xac", 5}, 0, 3000, 3},
        {"reason with NUL", {(const uint8_t *)"\x0b\xb8\0a", 4}, 0, 3000, 2},
        {"last private code", {(const uint8_t *)"\x13\x87", 2}, 0, 4999, 0},
        {"one byte", {(const uint8_t *)"\x03", 1}, GYR_ERR_WS_CLOSE, 0, 0},
        {"code 0", {(const uint8_t *)"\0\0", 2}, GYR_ERR_WS_CLOSE, 0, 0},
        {"code 999", {(const uint8_t *)"\x03\xe7", 2}, GYR_ERR_WS_CLOSE, 0, 0},
        {"code 1004", {(const uint8_t *)"\x03\xec", 2}, GYR_ERR_WS_CLOSE, 0, 0},
        {"code 1005 sent", {(const uint8_t *)"\x03\xed", 2}, GYR_ERR_WS_CLOSE, 0, 0},
        {"code 1006 sent", {(const uint8_t *)"\x03\xee", 2}, GYR_ERR_WS_CLOSE, 0, 0},
        {"code 1015 sent", {(const uint8_t *)"\x03\xf7", 2}, GYR_ERR_WS_CLOSE, 0, 0},
        {"code 1016", {(const uint8_t *)"\x03\xf8", 2}, GYR_ERR_WS_CLOSE, 0, 0},
        {"code 2999", {(const uint8_t *)"\x0b\xb7", 2}, GYR_ERR_WS_CLOSE, 0, 0},
        {"code 5000", {(const uint8_t *)"\x13\x88", 2}, GYR_ERR_WS_CLOSE, 0, 0},
        {"code 65535", {(const uint8_t *)"\xff\xff", 2}, GYR_ERR_WS_CLOSE, 0, 0},
        {"bad code before bad reason", {(const uint8_t *)"\0\0\xff", 3}, GYR_ERR_WS_CLOSE, 0, 0},
        {"bad byte in reason",
         {(const uint8_t *)"\x03\xe8"
                           "a\xff",
          4},
         GYR_ERR_WS_UTF8,
         0,
         0},
        {"overlong reason", {(const uint8_t *)"\x03\xe8\xc0\xaf", 4}, GYR_ERR_WS_UTF8, 0, 0},
        {"surrogate reason", {(const uint8_t *)"\x03\xe8\xed\xa0\x80", 5}, GYR_ERR_WS_UTF8, 0, 0},
        {"reason breaks off", {(const uint8_t *)"\x03\xe8\xe2\x82", 4}, GYR_ERR_WS_UTF8, 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint16_t code = 0;
        size_t reason_size;
        int status = parse_guarded(rows[i].payload.ptr, rows[i].payload.size, &code, &reason_size);
        EXPECT_INT(status, rows[i].expected, rows[i].why);
        EXPECT_INT(code, rows[i].close_code, rows[i].why);
        EXPECT_INT(reason_size, rows[i].reason_size, rows[i].why);
    }
}

void ws_close_parse_takes_the_longest_reason(void)
{
    uint8_t payload[PAYLOAD_SIZE_MAX] = {0x03, 0xe8};
    uint16_t code = 0;
    size_t reason_size;
    memset(payload + 2, 'r', sizeof(payload) - 2);
    EXPECT_INT(parse_guarded(payload, sizeof(payload), &code, &reason_size), 0, "125 bytes");
    EXPECT_INT(reason_size, WS_CLOSE_REASON_SIZE_MAX, "125 bytes");
}

void ws_close_write_is_read_back(void)
{
    char reason[WS_CLOSE_REASON_SIZE_MAX];
    memset(reason, 'r', sizeof(reason));
    for (size_t size = 0; size <= sizeof(reason); size++) {
        uint8_t zeros[PAYLOAD_SIZE_MAX] = {0};
        uint8_t *payload = guard_copy(zeros, sizeof(zeros));
        size_t written = ws_close_write(payload, 4321, span_of(reason, size));
        uint16_t code = 0;
        struct span back = {0};
        EXPECT_INT(written, 2 + size, "code and reason");
        EXPECT_INT(ws_close_parse(span_of(payload, written), &code, &back), 0, "read back");
        EXPECT_INT(code, 4321, "read back");
        EXPECT(span_equal(back, span_of(reason, size)), "read back");
        guard_free(payload);
    }
}

void ws_close_write_writes_nothing_without_status(void)
{
    uint8_t payload[PAYLOAD_SIZE_MAX] = {0};
    EXPECT_INT(ws_close_write(payload, WS_CLOSE_NO_STATUS, SPAN_LITERAL("lost")), 0, "1005");
    EXPECT_INT(payload[0] | payload[1], 0, "1005");
}

/* A character of 1 to 4 bytes that lies across the limit, with every number of its bytes inside. */
void ws_close_write_cuts_between_characters(void)
{
    static const char *const characters[] = {"r", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < COUNT_OF(characters); i++) {
        size_t char_size = strlen(characters[i]);
        for (size_t inside = 0; inside <= char_size; inside++) {
            uint8_t reason[200];
            uint8_t payload[PAYLOAD_SIZE_MAX];
            size_t at = WS_CLOSE_REASON_SIZE_MAX - inside;
            memset(reason, 'r', sizeof(reason));
            memcpy(reason + at, characters[i], char_size);
            size_t expected = inside == char_size ? WS_CLOSE_REASON_SIZE_MAX : at;
            size_t written = ws_close_write(payload, 1000, span_of(reason, sizeof(reason)));
            EXPECT_INT(written, 2 + expected, characters[i]);
            EXPECT(memcmp(payload + 2, reason, expected) == 0, characters[i]);
        }
    }
}
