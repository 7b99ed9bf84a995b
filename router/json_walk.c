/* SPDX-License-Identifier: MIT */
/* Is a text JSON? (RFC 8259; journey: hop 8.) Of any size and whatever bytes are behind it: nothing
 * past its end is read. */
#include "base/simdjson_shim.h"
#include "router/json.h"
#include "router/json_scan.h"

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

struct span json_trim(struct span text)
{
    while (text.size > 0 && is_blank(text.ptr[text.size - 1])) {
        text.size--;
    }
    while (text.size > 0 && is_blank(text.ptr[0])) {
        text.ptr++;
        text.size--;
    }
    return text;
}

int json_walk_at(struct span text, unsigned depth, enum gyr_reason *reason)
{
    text = json_trim(text);
    *reason = GYR_REASON_MALFORMED;
    if (text.size == 0) {
        return GYR_ERR_MESSAGE;
    }
    uint8_t first = text.ptr[0];
    uint8_t last = text.ptr[text.size - 1];
    /* With this, blanks and numbers inside end before the text does; see json_scan.h. */
    if ((first == '{' && last != '}') || (first == '[' && last != ']')) {
        return GYR_ERR_MESSAGE;
    }
    const uint8_t *end = text.ptr + text.size;
    struct scan scan = {.end = end, .limit = end};
    const uint8_t *at = scan_value(&scan, text.ptr, depth, reason);
    if (at != end) {
        return GYR_ERR_MESSAGE;
    }
    if ((scan.marks & SCAN_HIGH) != 0 && !simdjson_shim_utf8_is_valid(text.ptr, text.size)) {
        *reason = GYR_REASON_UTF8;
        return GYR_ERR_MESSAGE;
    }
    *reason = GYR_REASON_NONE;
    return 0;
}

int json_walk(struct span text, enum gyr_reason *reason)
{
    return json_walk_at(text, 0, reason);
}
