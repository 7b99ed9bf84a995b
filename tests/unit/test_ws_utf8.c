/* SPDX-License-Identifier: MIT */
/* The streaming UTF-8 check against a slow decoder that knows code points only (RFC 3629): every
 * string of one and two bytes, every boundary of three and four, all cut at all points, alone and
 * deep in longer text; and the fail-fast cases of Autobahn 6.4. */
#include "proto/ws_mask.h"
#include "tests/parser_kit.h"

#include <stdlib.h>

#define KEY           UINT32_C(0x9c5e37a1)
#define TEXT_SIZE_MAX 20000

/* Bytes next to which some range of RFC 3629 begins or ends. */
static const uint8_t edges[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0,
                                0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff};

/* Could some code point of this announced size be written with these first bytes? The bytes that
 * are not there yet are taken once as all zero bits and once as all one bits. */
static bool char_is_possible(const uint8_t *bytes, size_t have, size_t announced)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    static const uint32_t lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t low = bytes[0] & lead_bits[announced];
    uint32_t high = low;
    for (size_t i = 1; i < announced; i++) {
        if (i < have && bytes[i] / 64 != 2) {
            return false;
        }
        low = low * 64 + (i < have ? bytes[i] % 64 : 0);
        high = high * 64 + (i < have ? bytes[i] % 64 : 63);
    }
    low = MAX(low, least[announced]);
    high = MIN(high, UINT32_C(0x10ffff));
    bool all_surrogates = low >= 0xd800 && high <= 0xdfff;
    return low <= high && !all_surrogates;
}

/* 0: valid; NEED_MORE: ends within a character that can still become valid; else an error. */
static int utf8_reference(const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    while (at < size) {
        uint8_t lead = bytes[at];
        size_t announced = lead < 0x80         ? 1
                           : lead / 32 == 0x06 ? 2
                           : lead / 16 == 0x0e ? 3
                           : lead / 8 == 0x1e  ? 4
                                               : 0;
        if (announced == 0) {
            return GYR_ERR_WS_UTF8;
        }
        size_t have = MIN(announced, size - at);
        if (!char_is_possible(bytes + at, have, announced)) {
            return GYR_ERR_WS_UTF8;
        }
        if (have < announced) {
            return NEED_MORE;
        }
        at += announced;
    }
    return 0;
}

static int verdict(const struct ws_utf8 *utf8, int status)
{
    return status == 0 && !ws_utf8_is_complete(utf8) ? NEED_MORE : status;
}

/* Check the pieces one after another; after each, the verdict must be the reference's on all so
 * far. cut_bits: bit i set cuts behind byte i. Returns true if it is. */
static bool cuts_agree(const uint8_t *bytes, size_t size, unsigned cut_bits)
{
    struct ws_utf8 utf8 = {0};
    size_t from = 0;
    for (size_t to = 1; to <= size; to++) {
        if (to != size && (cut_bits >> (to - 1) & 1) == 0) {
            continue;
        }
        int status = verdict(&utf8, ws_utf8_check(&utf8, bytes + from, to - from));
        if (status != utf8_reference(bytes, to)) {
            return false;
        }
        if (status < 0) {
            return true;
        }
        from = to;
    }
    return true;
}

static unsigned all_cuts_count_wrong(const uint8_t *bytes, size_t size)
{
    unsigned wrong = 0;
    for (unsigned cut_bits = 0; cut_bits < 1u << (size - 1); cut_bits++) {
        wrong += !cuts_agree(bytes, size, cut_bits);
    }
    return wrong;
}

void ws_utf8_check_judges_all_strings_of_one_and_two_bytes(void)
{
    unsigned wrong = 0;
    for (unsigned pair = 0; pair <= 0xffff; pair++) {
        uint8_t bytes[2] = {(uint8_t)(pair >> 8), (uint8_t)pair};
        wrong += all_cuts_count_wrong(bytes, 1);
        wrong += all_cuts_count_wrong(bytes, 2);
    }
    EXPECT_INT(wrong, 0, "one and two bytes");
}

void ws_utf8_check_judges_all_boundaries_of_three_bytes(void)
{
    unsigned wrong = 0;
    for (unsigned pair = 0; pair <= 0xffff; pair++) {
        for (size_t third = 0; third < COUNT_OF(edges); third++) {
            uint8_t bytes[3] = {(uint8_t)(pair >> 8), (uint8_t)pair, edges[third]};
            /* Two ASCII bytes first teach nothing about the third. */
            if (bytes[0] >= 0x80 || bytes[1] >= 0x80) {
                wrong += all_cuts_count_wrong(bytes, 3);
            }
        }
    }
    EXPECT_INT(wrong, 0, "three bytes");
}

void ws_utf8_check_judges_all_boundaries_of_four_bytes(void)
{
    unsigned wrong = 0;
    for (unsigned pair = 0xe000; pair <= 0xffff; pair++) {
        for (size_t rest = 0; rest < COUNT_OF(edges) * COUNT_OF(edges); rest++) {
            uint8_t bytes[4] = {(uint8_t)(pair >> 8), (uint8_t)pair, edges[rest / COUNT_OF(edges)],
                                edges[rest % COUNT_OF(edges)]};
            wrong += !cuts_agree(bytes, 4, 0);
            wrong += !cuts_agree(bytes, 4, 7);
            wrong += !cuts_agree(bytes, 4, 1u << rest % 3);
        }
    }
    EXPECT_INT(wrong, 0, "four bytes");
}

/* Every code point: all of them are accepted, whole and byte by byte. */
void ws_utf8_check_accepts_every_code_point(void)
{
    unsigned wrong = 0;
    for (uint32_t point = 0; point <= 0x10ffff; point++) {
        uint8_t bytes[4];
        size_t size;
        if (point < 0x80) {
            bytes[0] = (uint8_t)point;
            size = 1;
        } else if (point < 0x800) {
            bytes[0] = (uint8_t)(0xc0 + point / 64);
            size = 2;
        } else if (point < 0x10000) {
            bytes[0] = (uint8_t)(0xe0 + point / 4096);
            size = 3;
        } else {
            bytes[0] = (uint8_t)(0xf0 + point / 262144);
            size = 4;
        }
        for (size_t i = 1; i < size; i++) {
            bytes[i] = (uint8_t)(0x80 + (point >> 6 * (size - 1 - i)) % 64);
        }
        int expected = point >= 0xd800 && point <= 0xdfff ? GYR_ERR_WS_UTF8 : 0;
        struct ws_utf8 utf8 = {0};
        wrong += verdict(&utf8, ws_utf8_check(&utf8, bytes, size)) != expected;
        utf8 = (struct ws_utf8){0};
        int status = 0;
        for (size_t i = 0; i < size && status == 0; i++) {
            status = ws_utf8_check(&utf8, bytes + i, 1);
        }
        wrong += verdict(&utf8, status) != expected;
    }
    EXPECT_INT(wrong, 0, "every code point");
}

/* Mask the text, hand it over in two pieces flush against a guard page, and compare both verdicts
 * and the unmasked bytes. */
static bool unmask_agrees(const struct ws_mask_ops *ops, const uint8_t *text, size_t size,
                          size_t cut)
{
    uint32_t key = KEY;
    struct ws_utf8 utf8 = {0};
    size_t edges_of_pieces[3] = {0, cut, size};
    for (size_t piece = 0; piece < 2; piece++) {
        size_t from = edges_of_pieces[piece];
        size_t piece_size = edges_of_pieces[piece + 1] - from;
        uint8_t *bytes = guard_copy(text + from, piece_size);
        ws_mask_ops(SIMD_PORTABLE)->unmask(bytes, bytes, piece_size, key);
        int status = ws_unmask_text(ops, &utf8, bytes, bytes, piece_size, key);
        bool good = verdict(&utf8, status) == utf8_reference(text, from + piece_size);
        good =
            good && (status < 0 || piece_size == 0 || memcmp(bytes, text + from, piece_size) == 0);
        guard_free(bytes);
        if (!good || status < 0) {
            return good;
        }
        key = ws_mask_advance(key, piece_size);
    }
    return true;
}

/* What breaks or does not break at the edge between the bulk and the rest. */
static const char *const odd_parts[] = {
    "\xc2\x80",
    "\xdf\xbf",
    "\xe0\xa0\x80",
    "\xed\x9f\xbf",
    "\xef\xbf\xbf",
    "\xf0\x90\x80\x80",
    "\xf4\x8f\xbf\xbf",
    "\xc0\x80",
    "\xc1\xbf",
    "\xe0\x80\x80",
    "\xe0\x9f\xbf",
    "\xed\xa0\x80",
    "\xed\xbf\xbf",
    "\xf0\x80\x80\x80",
    "\xf0\x8f\xbf\xbf",
    "\xf4\x90\x80\x80",
    "\xf5\x80\x80\x80",
    "\xff",
    "\x80",
    "\xbf\x80",
    "\xe2\x28\xa1",
    "\xe2\x82\x28",
    "\xf0\x28\x8c\xbc",
    "\xf0\x90\x28\xbc",
    "\xf0\x90\x8c\x28",
    "\xf8\x88\x80\x80",
    "\xe2\x82",
    "\xf0\x9f\x98",
};

void ws_unmask_text_judges_odd_parts_at_every_place_and_cut(void)
{
    const struct ws_mask_ops *ops = ws_mask_ops(simd_detect());
    for (size_t i = 0; i < COUNT_OF(odd_parts); i++) {
        size_t part_size = strlen(odd_parts[i]);
        unsigned wrong = 0;
        for (size_t place = 0; place <= 80; place++) {
            uint8_t text[96];
            /* Behind the part: nothing, one byte, or enough for the bulk. */
            static const size_t behind_sizes[] = {0, 1, 11};
            memset(text, 'x', sizeof(text));
            memcpy(text + place, odd_parts[i], part_size);
            for (size_t behind = 0; behind < COUNT_OF(behind_sizes); behind++) {
                size_t size = place + part_size + behind_sizes[behind];
                for (size_t cut = 0; cut <= size; cut++) {
                    wrong += !unmask_agrees(ops, text, size, cut);
                }
            }
        }
        EXPECT_INT(wrong, 0, odd_parts[i]);
    }
}

static size_t random_text(uint8_t *text, size_t size_max, uint32_t *state)
{
    size_t size = 0;
    while (size + 4 <= size_max) {
        *state = *state * 1664525 + 1013904223;
        unsigned choice = *state >> 24;
        /* Of the odd parts, only the first seven are valid; take the others rarely. */
        if (choice < 128) {
            text[size++] = (uint8_t)('a' + choice % 26);
            continue;
        }
        size_t part = choice < 255 ? choice % 7 : *state / 256 % COUNT_OF(odd_parts);
        size_t part_size = strlen(odd_parts[part]);
        memcpy(text + size, odd_parts[part], part_size);
        size += part_size;
    }
    return size;
}

void ws_unmask_text_judges_random_text_at_random_cuts(void)
{
    uint32_t state = 1;
    uint8_t *text = malloc(TEXT_SIZE_MAX);
    unsigned wrong = 0;
    if (text == NULL) {
        abort();
    }
    for (unsigned round = 0; round < 2000; round++) {
        state = state * 1664525 + 1013904223;
        size_t size = random_text(text, 4 + (state >> 8) % 600, &state);
        size_t cut = (state >> 4) % (size + 1);
        wrong += !unmask_agrees(ws_mask_ops(simd_detect()), text, size, cut);
        wrong += !unmask_agrees(ws_mask_ops(SIMD_PORTABLE), text, size, cut);
    }
    EXPECT_INT(wrong, 0, "random text");
    free(text);
}

/* Long text is worked off in steps of 8192 bytes; characters lie across their edges. */
void ws_unmask_text_keeps_characters_whole_across_its_steps(void)
{
    uint8_t *text = malloc(TEXT_SIZE_MAX);
    if (text == NULL) {
        abort();
    }
    for (size_t i = 0; i < COUNT_OF(odd_parts); i++) {
        unsigned wrong = 0;
        for (size_t place = 8192 - 5; place <= 8192 + 1; place++) {
            memset(text, 'x', TEXT_SIZE_MAX);
            memcpy(text + place, odd_parts[i], strlen(odd_parts[i]));
            memcpy(text + place + 8192, odd_parts[i], strlen(odd_parts[i]));
            wrong += !unmask_agrees(ws_mask_ops(simd_detect()), text, TEXT_SIZE_MAX, 0);
            wrong += !unmask_agrees(ws_mask_ops(simd_detect()), text, TEXT_SIZE_MAX, place + 1);
        }
        EXPECT_INT(wrong, 0, odd_parts[i]);
    }
    free(text);
}

/* Autobahn 6.4.1 to 6.4.4: valid text, then F4 90 80 80 (beyond U+10FFFF), which is wrong from its
 * second byte on; and the other characters that are wrong before they are complete. */
void ws_utf8_check_fails_within_a_character(void)
{
    static const struct {
        const char *why;
        const char *bytes;
        size_t fails_at; /* with this many bytes, not before */
    } rows[] = {
        {"beyond U+10FFFF, after valid text", "\xce\xba\xe1\xbd\xb9\xcf\x83\xf4\x90\x80\x80", 9},
        {"beyond U+10FFFF", "\xf4\x90\x80\x80", 2},
        {"lead byte F5", "\xf5\x80\x80\x80", 1},
        {"lead byte FF", "\xff", 1},
        {"overlong, two bytes", "\xc0\xaf", 1},
        {"overlong, two bytes", "\xc1\xbf", 1},
        {"overlong, three bytes", "\xe0\x80\xaf", 2},
        {"overlong, three bytes", "\xe0\x9f\xbf", 2},
        {"overlong, four bytes", "\xf0\x80\x80\xaf", 2},
        {"overlong, four bytes", "\xf0\x8f\xbf\xbf", 2},
        {"surrogate", "\xed\xa0\x80", 2},
        {"last surrogate", "\xed\xbf\xbf", 2},
        {"continuation first", "\x80", 1},
        {"lead byte within", "\xe2\x82\xe2", 3},
        {"ASCII within", "\xf0\x9f\x98\x41", 4},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t size = 0; size <= strlen(rows[i].bytes); size++) {
            uint8_t *copy = guard_copy(rows[i].bytes, size);
            struct ws_utf8 utf8 = {0};
            int status = ws_utf8_check(&utf8, copy, size);
            EXPECT_INT(status, size < rows[i].fails_at ? 0 : GYR_ERR_WS_UTF8, rows[i].why);
            guard_free(copy);
        }
    }
}

void ws_utf8_check_takes_empty_pieces_anywhere(void)
{
    struct ws_utf8 utf8 = {0};
    EXPECT_INT(ws_utf8_check(&utf8, NULL, 0), 0, "before the text");
    EXPECT_INT(ws_utf8_check(&utf8, (const uint8_t *)"\xe2", 1), 0, "first byte");
    EXPECT_INT(ws_utf8_check(&utf8, NULL, 0), 0, "within a character");
    EXPECT(!ws_utf8_is_complete(&utf8), "still open");
    EXPECT_INT(ws_utf8_check(&utf8, (const uint8_t *)"\x82\xac", 2), 0, "the rest");
    EXPECT(ws_utf8_is_complete(&utf8), "complete");
    EXPECT_INT(ws_utf8_check(&utf8, NULL, 0), 0, "behind the text");
}
