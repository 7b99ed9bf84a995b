/* SPDX-License-Identifier: MIT */
/* Writes the head of an HTTP/1.1 response (RFC 9112 section 4, RFC 9110 section 15) into memory of
 * the caller, line by line. A writer that runs out of room, or is given a byte that could split the
 * response (CR, LF, NUL), remembers it and writes nothing more; ask once, at the end. */
#ifndef PROTO_HTTP_RESPONSE_H
#define PROTO_HTTP_RESPONSE_H

#include "base/base.h"

#define HTTP_DATE_SIZE 29 /* IMF-fixdate, RFC 9110 section 5.6.7 */

struct http_writer {
    uint8_t *start;
    uint8_t *at;
    uint8_t *end;
    int err; /* 0; GYR_ERR_LIMIT: no room; GYR_ERR_ARGUMENT: forbidden byte or status code */
};

static inline struct http_writer http_writer_init(uint8_t *bytes, size_t size)
{
    return (struct http_writer){bytes, bytes, bytes + size, 0};
}

/* Status line: status_code 100 to 599; the reason phrase of the code, or none if it is not
 * known. */
void http_write_status(struct http_writer *writer, unsigned status_code);

/* One field line. The name must be a token; the value must not hold control characters but HTAB
 * (RFC 9110 section 5.5). */
void http_write_field(struct http_writer *writer, struct span name, struct span value);

/* "Content-Type: <value>". The value is checked as that of any field. */
void http_write_content_type(struct http_writer *writer, struct span value);

/* "Content-Length: <size>" */
void http_write_content_length(struct http_writer *writer, uint64_t size);

/* "Date: <date>", from http_date_format. */
void http_write_date(struct http_writer *writer, const uint8_t date[HTTP_DATE_SIZE]);

/* The empty line that ends the head. Returns the size of the head, or writer->err. */
MUST_CHECK int http_write_end(struct http_writer *writer, size_t *size);

/* The line before the bytes of a chunk (RFC 9112 section 7.1). */
#define HTTP_CHUNK_HEADER_MAX 10
size_t http_chunk_header_size(uint32_t size);
/* Returns what http_chunk_header_size says. A size of 0 would be the last chunk's. */
size_t http_chunk_header_write(uint8_t *bytes, uint32_t size);

/* "Sun, 06 Nov 1994 08:49:37 GMT" for seconds since 1970; 0 to 253402300799. */
void http_date_format(uint64_t unix_seconds, uint8_t date[HTTP_DATE_SIZE]);

/* May a response with this status code have content (RFC 9110 section 6.4.1)? */
bool http_status_has_content(unsigned status_code);

/* "OK", ...; size 0 if the code is not known. Lives for ever. */
struct span http_status_reason(unsigned status_code);

#endif
