/* SPDX-License-Identifier: MIT */
/* The path of a request as a path below a folder (RFC 3986 sections 2.1 and 3.3). */
#ifndef PROTO_HTTP_PATH_H
#define PROTO_HTTP_PATH_H

#include "base/base.h"

#define HTTP_PATH_SIZE_MAX 4095 /* what a kernel takes: PATH_MAX with its NUL is 4096 */

/* Decode `path`, which begins with "/" or with its first segment, to a relative path without "/" at
 * either end: "/a/b%20c/" becomes "a/b c" with `folder` set, "/" and "" become "" with it.
 *
 * Each segment is decoded after the path was split, once. Refused is whatever could mean another
 * place than it seems to: an empty segment, one that begins with a dot ("." and ".." among them), a
 * NUL, a slash or backslash, written as such or encoded; and a malformed percent-encoding.
 *
 *   decoded  out: room for path.size bytes and a NUL
 *   size     out: without the NUL
 *   folder   out: the path ends with a slash, or is empty
 *
 * Returns 0, or GYR_ERR_HTTP_NOT_FOUND: refused, or longer than HTTP_PATH_SIZE_MAX. */
MUST_CHECK int http_path_decode(struct span path, uint8_t *decoded, size_t *size, bool *folder);

#endif
