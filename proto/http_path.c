/* SPDX-License-Identifier: MIT */
/* Paths below a folder: RFC 3986 section 2.1 (percent-encoding), section 3.3 (segments), section
 * 7.3 (decode after splitting, and only once). The kernel's RESOLVE_BENEATH is the second wall. */
#include "proto/http_path.h"

#include "proto/http_byte.h"

static bool byte_decode(struct span *segment, uint8_t *byte);

int http_path_decode(struct span path, uint8_t *decoded, size_t *size, bool *folder)
{
    size_t written = 0;
    if (path.size != 0 && path.ptr[0] == '/') {
        path = span_of(path.ptr + 1, path.size - 1);
    }
    *folder = path.size == 0;
    while (path.size != 0) {
        const uint8_t *slash = memchr(path.ptr, '/', path.size);
        size_t segment_size = slash != NULL ? (size_t)(slash - path.ptr) : path.size;
        struct span segment = span_of(path.ptr, segment_size);
        if (written != 0) {
            decoded[written++] = '/';
        }
        if (segment.size == 0) {
            return GYR_ERR_HTTP_NOT_FOUND;
        }
        size_t start = written;
        while (segment.size != 0) {
            uint8_t byte;
            if (!byte_decode(&segment, &byte) || byte == 0 || byte == '/' || byte == '\\' ||
                (byte == '.' && written == start)) {
                return GYR_ERR_HTTP_NOT_FOUND;
            }
            decoded[written++] = byte;
        }
        size_t taken = slash != NULL ? segment_size + 1 : segment_size;
        path = span_of(path.ptr + taken, path.size - taken);
        *folder = slash != NULL && path.size == 0;
    }
    if (written > HTTP_PATH_SIZE_MAX) {
        return GYR_ERR_HTTP_NOT_FOUND;
    }
    decoded[written] = 0;
    *size = written;
    return 0;
}

static uint8_t hex_value(uint8_t digit)
{
    return (uint8_t)(digit <= '9' ? digit - '0' : ascii_lower(digit) - 'a' + 10);
}

static bool byte_decode(struct span *segment, uint8_t *byte)
{
    size_t taken = 1;
    *byte = segment->ptr[0];
    if (*byte == '%') {
        taken = 3;
        if (segment->size < taken || !http_byte_is(segment->ptr[1], HTTP_BYTE_HEX) ||
            !http_byte_is(segment->ptr[2], HTTP_BYTE_HEX)) {
            return false;
        }
        *byte = (uint8_t)(hex_value(segment->ptr[1]) << 4 | hex_value(segment->ptr[2]));
    }
    *segment = span_of(segment->ptr + taken, segment->size - taken);
    return true;
}
