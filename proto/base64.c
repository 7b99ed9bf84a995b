/* SPDX-License-Identifier: MIT */
/* Base64 (RFC 4648 section 4) for the keys of the WebSocket handshake: short texts, once per
 * connection, so plain loops over groups of three bytes and four characters. */
#include "proto/base64.h"

#define GROUP_BYTES 3
#define GROUP_CHARS 4
#define PADDING     '='

static int char_value(uint8_t character);
static int group_decode(uint8_t bytes[GROUP_BYTES], const uint8_t text[GROUP_CHARS],
                        size_t char_count);

size_t base64_encode(uint8_t *text, struct span bytes)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t *at = text;

    for (size_t i = 0; i < bytes.size; i += GROUP_BYTES) {
        size_t count = MIN(bytes.size - i, (size_t)GROUP_BYTES);
        uint32_t bits = (uint32_t)bytes.ptr[i] << 16;
        bits |= count > 1 ? (uint32_t)bytes.ptr[i + 1] << 8 : 0;
        bits |= count > 2 ? bytes.ptr[i + 2] : 0;
        at[0] = (uint8_t)alphabet[bits >> 18];
        at[1] = (uint8_t)alphabet[bits >> 12 & 63];
        at[2] = count > 1 ? (uint8_t)alphabet[bits >> 6 & 63] : PADDING;
        at[3] = count > 2 ? (uint8_t)alphabet[bits & 63] : PADDING;
        at += GROUP_CHARS;
    }
    return (size_t)(at - text);
}

int base64_decode(uint8_t *bytes, size_t *size, struct span text)
{
    if (text.size % GROUP_CHARS != 0) {
        return GYR_ERR_ARGUMENT;
    }
    size_t padding = 0;
    while (padding < 2 && padding < text.size && text.ptr[text.size - 1 - padding] == PADDING) {
        padding++;
    }
    size_t char_count = text.size - padding;
    size_t written = 0;
    for (size_t i = 0; i < char_count; i += GROUP_CHARS) {
        size_t group = MIN(char_count - i, (size_t)GROUP_CHARS);
        uint8_t decoded[GROUP_BYTES];
        int status = group_decode(decoded, text.ptr + i, group);
        if (status != 0) {
            return status;
        }
        memcpy(bytes + written, decoded, group - 1);
        written += group - 1;
    }
    *size = written;
    return 0;
}

/* Two to four characters, which give one byte less. */
static int group_decode(uint8_t bytes[GROUP_BYTES], const uint8_t text[GROUP_CHARS],
                        size_t char_count)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < GROUP_CHARS; i++) {
        int value = i < char_count ? char_value(text[i]) : 0;
        if (value < 0) {
            return GYR_ERR_ARGUMENT;
        }
        bits = bits << 6 | (uint32_t)value;
    }
    bytes[0] = (uint8_t)(bits >> 16);
    bytes[1] = (uint8_t)(bits >> 8);
    bytes[2] = (uint8_t)bits;
    return 0;
}

static int char_value(uint8_t character)
{
    if (character >= 'A' && character <= 'Z') {
        return character - 'A';
    }
    if (character >= 'a' && character <= 'z') {
        return character - 'a' + 26;
    }
    if (character >= '0' && character <= '9') {
        return character - '0' + 52;
    }
    if (character == '+') {
        return 62;
    }
    return character == '/' ? 63 : -1;
}
