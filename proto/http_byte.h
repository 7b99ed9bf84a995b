/* SPDX-License-Identifier: MIT */
/* What a byte may be part of in HTTP/1.1: one table lookup instead of a chain of comparisons. */
#ifndef PROTO_HTTP_BYTE_H
#define PROTO_HTTP_BYTE_H

#include "base/base.h"

enum http_byte_class {
    HTTP_BYTE_TOKEN = 1 << 0,  /* tchar, RFC 9110 section 5.6.2 */
    HTTP_BYTE_TARGET = 1 << 1, /* pchar, "/", "[" or "]" but not "%" or "?", RFC 3986 section 3.3 */
    HTTP_BYTE_HOST = 1 << 2,   /* of a reg-name but not "%" or ",", RFC 3986 section 3.2.2 */
    HTTP_BYTE_VALUE = 1 << 3,  /* field-vchar, SP or HTAB, RFC 9110 section 5.5 */
    HTTP_BYTE_HEX = 1 << 4,    /* HEXDIG of either case, RFC 5234 appendix B.1 */
    HTTP_BYTE_DIGIT = 1 << 5,
    HTTP_BYTE_QUOTED = 1 << 6, /* qdtext, RFC 9110 section 5.6.4 */
};

#define HTTP_BYTE_IN(c, first, last) ((c) >= (first) && (c) <= (last))
#define HTTP_BYTE_ALNUM(c) \
    (HTTP_BYTE_IN(c, 'a', 'z') || HTTP_BYTE_IN(c, 'A', 'Z') || HTTP_BYTE_IN(c, '0', '9'))
#define HTTP_BYTE_UNRESERVED(c) \
    (HTTP_BYTE_ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '_' || (c) == '~')
/* sub-delims but the comma, which would make a list of one Host. */
#define HTTP_BYTE_DELIMITER(c) \
    ((c) == '!' || (c) == '$' || HTTP_BYTE_IN(c, '&', '+') || (c) == ';' || (c) == '=')
#define HTTP_BYTE_PATH(c)                                                             \
    (HTTP_BYTE_UNRESERVED(c) || HTTP_BYTE_DELIMITER(c) || (c) == ',' || (c) == ':' || \
     (c) == '@' || (c) == '/' || (c) == '[' || (c) == ']')
#define HTTP_BYTE_TCHAR(c)                                                                         \
    (HTTP_BYTE_ALNUM(c) || (c) == '!' || HTTP_BYTE_IN(c, '#', '\'') || (c) == '*' || (c) == '+' || \
     (c) == '-' || (c) == '.' || HTTP_BYTE_IN(c, '^', '`') || (c) == '|' || (c) == '~')
#define HTTP_BYTE_TEXT(c) ((c) == '\t' || ((c) >= ' ' && (c) != 0x7F))
#define HTTP_BYTE_HEXDIG(c) \
    (HTTP_BYTE_IN(c, '0', '9') || HTTP_BYTE_IN(c, 'a', 'f') || HTTP_BYTE_IN(c, 'A', 'F'))

#define HTTP_BYTE_1(c)                                                                         \
    ((HTTP_BYTE_TCHAR(c) ? HTTP_BYTE_TOKEN : 0) | (HTTP_BYTE_PATH(c) ? HTTP_BYTE_TARGET : 0) | \
     (HTTP_BYTE_UNRESERVED(c) || HTTP_BYTE_DELIMITER(c) ? HTTP_BYTE_HOST : 0) |                \
     (HTTP_BYTE_TEXT(c) ? HTTP_BYTE_VALUE : 0) | (HTTP_BYTE_HEXDIG(c) ? HTTP_BYTE_HEX : 0) |   \
     (HTTP_BYTE_IN(c, '0', '9') ? HTTP_BYTE_DIGIT : 0) |                                       \
     (HTTP_BYTE_TEXT(c) && (c) != '"' && (c) != '\\' ? HTTP_BYTE_QUOTED : 0))
#define HTTP_BYTE_4(c) \
    HTTP_BYTE_1(c), HTTP_BYTE_1((c) + 1), HTTP_BYTE_1((c) + 2), HTTP_BYTE_1((c) + 3)
#define HTTP_BYTE_16(c) \
    HTTP_BYTE_4(c), HTTP_BYTE_4((c) + 4), HTTP_BYTE_4((c) + 8), HTTP_BYTE_4((c) + 12)
#define HTTP_BYTE_64(c) \
    HTTP_BYTE_16(c), HTTP_BYTE_16((c) + 16), HTTP_BYTE_16((c) + 32), HTTP_BYTE_16((c) + 48)

static const uint8_t http_byte_classes[256] = {
    HTTP_BYTE_64(0),
    HTTP_BYTE_64(64),
    HTTP_BYTE_64(128),
    HTTP_BYTE_64(192),
};

static inline bool http_byte_is(uint8_t byte, enum http_byte_class byte_class)
{
    return (http_byte_classes[byte] & byte_class) != 0;
}

/* True if every byte is of the class; so for no bytes. */
static inline bool http_bytes_are(const uint8_t *bytes, size_t size,
                                  enum http_byte_class byte_class)
{
    unsigned classes = byte_class;
    for (size_t i = 0; i < size; i++) {
        classes &= http_byte_classes[bytes[i]];
    }
    return classes != 0;
}

#endif
