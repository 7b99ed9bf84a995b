/* SPDX-License-Identifier: MIT */
/* SHA-1 against the examples of FIPS 180 and against digests made by another implementation for
 * every size at which the padding changes its shape. */
#include "proto/sha1.h"
#include "tests/parser_kit.h"

#include <stdio.h>
#include <stdlib.h>

static void hex_of(const uint8_t *bytes, size_t size, char *text)
{
    for (size_t i = 0; i < size; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
}

static void expect_digest(struct span message, const char *expected, const char *why)
{
    uint8_t *copy = guard_copy(message.ptr, message.size);
    uint8_t *digest = guard_copy((const uint8_t[SHA1_DIGEST_SIZE]){0}, SHA1_DIGEST_SIZE);
    char text[2 * SHA1_DIGEST_SIZE + 1];
    sha1(copy, message.size, digest);
    hex_of(digest, SHA1_DIGEST_SIZE, text);
    EXPECT_SPAN(span_of(text, strlen(text)), expected, why);
    guard_free(digest);
    guard_free(copy);
}

void sha1_agrees_with_fips_180_examples(void)
{
    expect_digest(SPAN_LITERAL("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d", "one block");
    expect_digest(SPAN_LITERAL("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
                  "84983e441c3bd26ebaae4aa1f95129e5e54670f1", "two blocks");
    expect_digest(SPAN_LITERAL("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                               "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"),
                  "a49b2446a02c645bf419f995b67091253a04a259", "112 bytes");
    expect_digest(SPAN_LITERAL(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709", "empty");
}

void sha1_hashes_a_million_letters(void)
{
    size_t size = 1000000;
    uint8_t *letters = malloc(size);
    if (letters == NULL) {
        abort();
    }
    memset(letters, 'a', size);
    expect_digest(span_of(letters, size), "34aa973cd4c4daa4f61eeb2bdbad27316534016f", "a million");
    free(letters);
}

/* The length finds room in the last block up to 55 bytes, and not from 56 on. */
void sha1_pads_at_every_edge_of_a_block(void)
{
    static const struct {
        const char *why;
        size_t size;
        const char *digest;
    } rows[] = {
        {"1 bytes", 1, "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"},
        {"54 bytes", 54, "b05d71c64979cb95fa74a33cdb31a40d258ae02e"},
        {"55 bytes", 55, "c1c8bbdc22796e28c0e15163d20899b65621d65a"},
        {"56 bytes", 56, "c2db330f6083854c99d4b5bfb6e8f29f201be699"},
        {"57 bytes", 57, "f08f24908d682555111be7ff6f004e78283d989a"},
        {"63 bytes", 63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5"},
        {"64 bytes", 64, "0098ba824b5c16427bd7a1122a5a442a25ec644d"},
        {"65 bytes", 65, "11655326c708d70319be2610e8a57d9a5b959d3b"},
        {"119 bytes", 119, "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56"},
        {"120 bytes", 120, "f34c1488385346a55709ba056ddd08280dd4c6d6"},
        {"127 bytes", 127, "89d95fa32ed44a7c610b7ee38517ddf57e0bb975"},
        {"128 bytes", 128, "ad5b3fdbcb526778c2839d2f151ea753995e26a0"},
    };
    uint8_t letters[256];
    memset(letters, 'a', sizeof(letters));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        expect_digest(span_of(letters, rows[i].size), rows[i].digest, rows[i].why);
    }
}
