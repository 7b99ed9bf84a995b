/* SPDX-License-Identifier: MIT */
/* Fuzzes the PROXY protocol. The input is the beginning of a connection; if its first byte is odd,
 * what follows stands behind a good signature.
 *
 * It is parsed at every length: more bytes must never change a verdict, and a header must be asked
 * for until its last byte and then be the same. A second parser, which is plain and slow, has to
 * agree on the whole. */
#include "proto/proxy_protocol.h"

#include <stdlib.h>

#define INPUT_SIZE_MAX 6000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int plain_parse(const uint8_t *bytes, size_t size, struct address *source);
static int plain_tlvs(const uint8_t *bytes, size_t size, size_t at);
static uint32_t plain_crc32c(const uint8_t *bytes, size_t size, size_t zeros_at);
static void check(bool condition);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t signature[] = "\r\n\r\n\0\r\nQUIT\n";
    if (size < 1 || size > INPUT_SIZE_MAX) {
        return 0;
    }
    size_t signature_size = data[0] % 2 == 1 ? sizeof(signature) - 1 : 0;
    size_t whole = signature_size + size - 1;
    uint8_t *bytes = malloc(whole + 1); /* of this very size, so that the sanitizer sees its end */
    check(bytes != NULL);
    memcpy(bytes, signature, signature_size);
    memcpy(bytes + signature_size, data + 1, size - 1);

    int verdict = NEED_MORE;
    struct proxy_header header = {.size = 0};
    size_t decided_at = 0;
    for (size_t at = 0; at <= whole; at++) {
        struct proxy_header now = {.size = 0};
        uint8_t *copy = malloc(at + 1);
        check(copy != NULL);
        memcpy(copy + 1, bytes, at); /* the end is the end of the allocation */
        int status = proxy_header_parse(copy + 1, at, &now);
        free(copy);
        check(status == 0 || status == NEED_MORE || status == GYR_ERR_HTTP_PROXY);
        if (verdict == NEED_MORE) {
            verdict = status;
            header = now;
            decided_at = at;
        }
        check(status == verdict);
        check(status != 0 || memcmp(&now, &header, sizeof(now)) == 0);
    }
    check(verdict != 0 || header.size == decided_at);
    check(verdict != NEED_MORE || whole < PROXY_HEADER_SIZE_MAX);

    struct address source = {.family = ADDRESS_NONE};
    check(plain_parse(bytes, whole, &source) == verdict);
    check(verdict != 0 || memcmp(&source, &header.source, sizeof(source)) == 0);
    free(bytes);
    return 0;
}

static int plain_parse(const uint8_t *bytes, size_t size, struct address *source)
{
    static const uint8_t fixed[] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                    0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
    static const char families[] = "\x00\x11\x12\x21\x22\x31\x32";
    for (size_t i = 0; i < MIN(size, sizeof(fixed)); i++) {
        if (bytes[i] != fixed[i]) {
            return GYR_ERR_HTTP_PROXY;
        }
    }
    if (size > 12 && bytes[12] != 0x20 && bytes[12] != 0x21) {
        return GYR_ERR_HTTP_PROXY;
    }
    if (size > 13 && bytes[12] == 0x21 && memchr(families, bytes[13], 7) == NULL) {
        return GYR_ERR_HTTP_PROXY;
    }
    if (size < 16) {
        return NEED_MORE;
    }
    size_t whole = 16 + (size_t)bytes[14] * 256 + bytes[15];
    if (whole > 4096) {
        return GYR_ERR_HTTP_PROXY;
    }
    if (size < whole) {
        return NEED_MORE;
    }
    unsigned family = bytes[12] == 0x21 ? bytes[13] / 16 : 0;
    static const size_t sizes[] = {0, 12, 36, 216};
    if (family == 0) {
        return 0;
    }
    if (whole < 16 + sizes[family]) {
        return GYR_ERR_HTTP_PROXY;
    }
    if (family == 1) {
        *source = address_ipv4(bytes + 16, load_be16(bytes + 24));
    } else if (family == 2) {
        *source = address_ipv6(bytes + 16, load_be16(bytes + 48));
    } else {
        source->family = ADDRESS_LOCAL;
    }
    return plain_tlvs(bytes, whole, 16 + sizes[family]);
}

static int plain_tlvs(const uint8_t *bytes, size_t size, size_t at)
{
    bool seen = false;
    int err = 0;
    while (at != size) {
        if (at + 3 > size || at + 3 + load_be16(bytes + at + 1) > size) {
            return GYR_ERR_HTTP_PROXY;
        }
        if (bytes[at] == 3) {
            bool good = !seen && load_be16(bytes + at + 1) == 4;
            if (good) {
                uint32_t crc = plain_crc32c(bytes, size, at + 3);
                good = bytes[at + 3] == crc >> 24 && bytes[at + 4] == (crc >> 16 & 0xff) &&
                       bytes[at + 5] == (crc >> 8 & 0xff) && bytes[at + 6] == (crc & 0xff);
            }
            err = good ? err : GYR_ERR_HTTP_PROXY;
            seen = true;
        }
        at += (size_t)3 + load_be16(bytes + at + 1);
    }
    return err;
}

/* A bit at a time. */
static uint32_t plain_crc32c(const uint8_t *bytes, size_t size, size_t zeros_at)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size; i++) {
        crc ^= i >= zeros_at && i < zeros_at + 4 ? 0 : bytes[i];
        for (unsigned bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
        }
    }
    return ~crc;
}

static void check(bool condition)
{
    if (!condition) {
        abort();
    }
}
