/* SPDX-License-Identifier: MIT */
/* Checks that text is UTF-8 (RFC 6455 section 8.1, RFC 3629), piece by piece as it arrives.
 * Journey: hop 5.
 *
 * Whole characters in bulk are simdjson's work. What is done here is the two ends of a piece: the
 * character that the piece before broke off in, and the one that this piece breaks off in. Both are
 * judged at once, so that a text fails with the first byte that no text can have (Autobahn 6.4). */
#include "base/simdjson_shim.h"
#include "proto/ws_mask.h"

/* Long text is unmasked and judged in steps, so that one character beyond ASCII sends only its own
 * step, and not the whole, through the second pass. Where every step has one, the steps cost a few
 * per cent. */
#define STEP_SIZE 8192
static_assert(STEP_SIZE % 4 == 0, "the masking key must not turn between steps");

/* Below this many bytes a loop over characters is faster than the vector code's start-up. */
#define BULK_SIZE_MIN 16

static int unmask_text_step(const struct ws_mask_ops *ops, struct ws_utf8 *utf8, uint8_t *target,
                            const uint8_t *source, size_t size, uint32_t key);
static int pending_finish(struct ws_utf8 *utf8, const uint8_t *bytes, size_t size, size_t *taken);
static size_t open_size(const uint8_t *bytes, size_t size);
static bool whole_is_valid(const uint8_t *bytes, size_t size);
static int first_char_size(const uint8_t *bytes, size_t size);

int ws_unmask_text(const struct ws_mask_ops *ops, struct ws_utf8 *utf8, uint8_t *target,
                   const uint8_t *source, size_t size, uint32_t key)
{
    while (UNLIKELY(size > STEP_SIZE)) {
        int status = unmask_text_step(ops, utf8, target, source, STEP_SIZE, key);
        if (status != 0) {
            return status;
        }
        target += STEP_SIZE;
        source += STEP_SIZE;
        size -= STEP_SIZE;
    }
    return unmask_text_step(ops, utf8, target, source, size, key);
}

static inline int unmask_text_step(const struct ws_mask_ops *ops, struct ws_utf8 *utf8,
                                   uint8_t *target, const uint8_t *source, size_t size,
                                   uint32_t key)
{
    bool ascii = ops->unmask_ascii(target, source, size, key);
    if (LIKELY(ascii) && LIKELY(utf8->pending_size == 0)) {
        return 0;
    }
    return ws_utf8_check(utf8, target, size);
}

int ws_utf8_check(struct ws_utf8 *utf8, const uint8_t *bytes, size_t size)
{
    if (size > 0 && utf8->pending_size != 0) {
        size_t taken;
        int status = pending_finish(utf8, bytes, size, &taken);
        if (status != 0) {
            return status;
        }
        bytes += taken;
        size -= taken;
    }
    if (size == 0) {
        return 0;
    }
    size_t open = open_size(bytes, size);
    if (open != 0) {
        size -= open;
        if (first_char_size(bytes + size, open) < 0) {
            return GYR_ERR_WS_UTF8;
        }
        memcpy(utf8->pending, bytes + size, open);
        utf8->pending_size = (uint8_t)open;
    }
    return whole_is_valid(bytes, size) ? 0 : GYR_ERR_WS_UTF8;
}

/* Go on with the character that is pending, as far as the bytes reach. */
static int pending_finish(struct ws_utf8 *utf8, const uint8_t *bytes, size_t size, size_t *taken)
{
    uint8_t character[4];
    size_t old_size = utf8->pending_size;
    size_t new_size = MIN(size, sizeof(character) - old_size);

    ASSERT(old_size < sizeof(character));
    memcpy(character, utf8->pending, old_size);
    memcpy(character + old_size, bytes, new_size);
    int char_size = first_char_size(character, old_size + new_size);
    if (char_size < 0) {
        return GYR_ERR_WS_UTF8;
    }
    if (char_size == 0) {
        /* Still open: then it has at most three bytes, and the input is used up. */
        memcpy(utf8->pending + old_size, bytes, new_size);
        utf8->pending_size = (uint8_t)(old_size + new_size);
        *taken = new_size;
        return 0;
    }
    utf8->pending_size = 0;
    *taken = (size_t)char_size - old_size;
    return 0;
}

/* How many bytes at the end belong to a character that is announced longer: 0 to 3. */
static size_t open_size(const uint8_t *bytes, size_t size)
{
    for (size_t back = 1; back <= 3 && back <= size; back++) {
        uint8_t byte = bytes[size - back];
        if ((byte & 0xc0) != 0x80) {
            size_t announced = byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
            return announced > back ? back : 0;
        }
    }
    return 0;
}

/* Bytes that do not end within a character. */
static bool whole_is_valid(const uint8_t *bytes, size_t size)
{
    if (size >= BULK_SIZE_MIN) {
        return simdjson_shim_utf8_is_valid(bytes, size);
    }
    while (size > 0) {
        int char_size = first_char_size(bytes, size);
        if (char_size <= 0) {
            return false;
        }
        bytes += char_size;
        size -= (size_t)char_size;
    }
    return true;
}

/* The size of the character that the bytes begin with (RFC 3629 section 4); 0 if it is valid as far
 * as the bytes reach but not complete; -1 if no character begins so. At least one byte. */
static int first_char_size(const uint8_t *bytes, size_t size)
{
    uint8_t lead = bytes[0];
    if (lead < 0x80) {
        return 1;
    }
    /* C0 and C1 would be overlong; F5 and above lie beyond U+10FFFF. */
    if (lead < 0xc2 || lead > 0xf4) {
        return -1;
    }
    size_t announced = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (size > 1) {
        /* Overlong forms, surrogates and what lies beyond U+10FFFF show in the second byte. */
        uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
        uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
        if (bytes[1] < low || bytes[1] > high) {
            return -1;
        }
    }
    for (size_t i = 2; i < MIN(size, announced); i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return -1;
        }
    }
    return size < announced ? 0 : (int)announced;
}
