/* SPDX-License-Identifier: MIT */
/* Base64 against the vectors of RFC 4648 section 10, every byte value in every place, and texts
 * that must be refused. */
#include "proto/base64.h"
#include "tests/parser_kit.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static const struct {
    struct span bytes;
    struct span text;
} vectors[] = {
    /* RFC 4648 section 10 */
    {{(const uint8_t *)"", 0}, {(const uint8_t *)"", 0}},
    {{(const uint8_t *)"f", 1}, {(const uint8_t *)"Zg==", 4}},
    {{(const uint8_t *)"fo", 2}, {(const uint8_t *)"Zm8=", 4}},
    {{(const uint8_t *)"foo", 3}, {(const uint8_t *)"Zm9v", 4}},
    {{(const uint8_t *)"foob", 4}, {(const uint8_t *)"Zm9vYg==", 8}},
    {{(const uint8_t *)"fooba", 5}, {(const uint8_t *)"Zm9vYmE=", 8}},
    {{(const uint8_t *)"foobar", 6}, {(const uint8_t *)"Zm9vYmFy", 8}},
    /* Both characters that are neither letter nor digit. */
    {{(const uint8_t *)"\xfb\xff\xbf", 3}, {(const uint8_t *)"+/+/", 4}},
    {{(const uint8_t *)"\x00\x00\x00", 3}, {(const uint8_t *)"AAAA", 4}},
    {{(const uint8_t *)"\xff\xff\xff\xff", 4}, {(const uint8_t *)"/////w==", 8}},
};

/* Decode flush against a guard page into memory of the promised size. */
static int decode(struct span text, uint8_t *bytes, size_t *size)
{
    uint8_t *source = guard_copy(text.ptr, text.size);
    uint8_t zeros[64] = {0};
    size_t room = text.size / 4 * 3;
    uint8_t *target = guard_copy(zeros, MIN(room, sizeof(zeros)));
    int status = base64_decode(target, size, span_of(source, text.size));
    if (status == 0) {
        memcpy(bytes, target, *size);
    }
    guard_free(target);
    guard_free(source);
    return status;
}

void base64_agrees_with_rfc_4648_section_10(void)
{
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        const char *why = (const char *)vectors[i].text.ptr;
        uint8_t zeros[16] = {0};
        uint8_t *text = guard_copy(zeros, vectors[i].text.size);
        size_t size = base64_encode(text, vectors[i].bytes);
        EXPECT_INT(size, vectors[i].text.size, why);
        EXPECT_INT(size, base64_encoded_size(vectors[i].bytes.size), why);
        EXPECT(span_equal(span_of(text, size), vectors[i].text), why);
        guard_free(text);

        uint8_t bytes[16];
        EXPECT_INT(decode(vectors[i].text, bytes, &size), 0, why);
        EXPECT(span_equal(span_of(bytes, size), vectors[i].bytes), why);
    }
}

void base64_returns_every_byte_in_every_place(void)
{
    for (size_t size = 1; size <= 6; size++) {
        for (size_t place = 0; place < size; place++) {
            unsigned wrong = 0;
            for (unsigned value = 0; value < 256; value++) {
                uint8_t bytes[6] = {0x55, 0xaa, 0x00, 0xff, 0x13, 0x37};
                uint8_t text[8];
                uint8_t back[6];
                size_t back_size = 0;
                bytes[place] = (uint8_t)value;
                size_t text_size = base64_encode(text, span_of(bytes, size));
                int status = base64_decode(back, &back_size, span_of(text, text_size));
                wrong += status != 0 || !span_equal(span_of(back, back_size), span_of(bytes, size));
            }
            EXPECT_INT(wrong, 0, "encode, then decode");
        }
    }
}

void base64_decode_takes_its_alphabet_and_nothing_else(void)
{
    for (size_t place = 0; place < 4; place++) {
        unsigned wrong = 0;
        for (unsigned value = 0; value < 256; value++) {
            uint8_t text[4] = {'A', 'A', 'A', 'A'};
            uint8_t bytes[3];
            size_t size;
            text[place] = (uint8_t)value;
            bool expected =
                memchr(alphabet, (int)value, 64) != NULL || (value == '=' && place == 3);
            wrong += (base64_decode(bytes, &size, span_of(text, 4)) == 0) != expected;
        }
        EXPECT_INT(wrong, 0, "every byte value in one place");
    }
}

void base64_decode_refuses_malformed_text(void)
{
    static const struct {
        const char *why;
        struct span text;
    } rows[] = {
        {"one character", {(const uint8_t *)"Z", 1}},
        {"two characters", {(const uint8_t *)"Zg", 2}},
        {"padding cut", {(const uint8_t *)"Zg=", 3}},
        {"three characters", {(const uint8_t *)"Zm8", 3}},
        {"too much padding", {(const uint8_t *)"Zg===", 5}},
        {"three pads", {(const uint8_t *)"Z===", 4}},
        {"only padding", {(const uint8_t *)"====", 4}},
        {"two pads alone", {(const uint8_t *)"==", 2}},
        {"padding first", {(const uint8_t *)"=Zg=", 4}},
        {"padding within", {(const uint8_t *)"Z=g=", 4}},
        {"a group after padding", {(const uint8_t *)"Zg==Zg==", 8}},
        {"a pad in the first group", {(const uint8_t *)"Zm8=Zm9v", 8}},
        {"white space before", {(const uint8_t *)" Zm9vYg=", 8}},
        {"white space behind", {(const uint8_t *)"Zm9vYmE ", 8}},
        {"line end", {(const uint8_t *)"Zm9v\r\n==", 8}},
        {"NUL", {(const uint8_t *)"Zm9\0", 4}},
        {"URL alphabet, minus", {(const uint8_t *)"-w==", 4}},
        {"URL alphabet, underscore", {(const uint8_t *)"_w==", 4}},
        {"not ASCII", {(const uint8_t *)"Zm9\xc3", 4}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t bytes[16];
        size_t size;
        EXPECT_INT(decode(rows[i].text, bytes, &size), GYR_ERR_ARGUMENT, rows[i].why);
    }
}

/* RFC 4648 section 3.5 leaves it to the decoder; ours serves keys that only need to be hashed. */
void base64_decode_ignores_bits_before_the_padding(void)
{
    uint8_t bytes[4];
    size_t size = 0;
    EXPECT_INT(decode(SPAN_LITERAL("Zh=="), bytes, &size), 0, "canonical is Zg==");
    EXPECT_SPAN(span_of(bytes, size), "f", "four bits ignored");
    EXPECT_INT(decode(SPAN_LITERAL("Zm9="), bytes, &size), 0, "canonical is Zm8=");
    EXPECT_SPAN(span_of(bytes, size), "fo", "two bits ignored");
}
