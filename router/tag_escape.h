/* SPDX-License-Identifier: MIT */
/* What is written with escapes; tag_unescape is declared in router/tag.h. */
#ifndef ROUTER_TAG_ESCAPE_H
#define ROUTER_TAG_ESCAPE_H

#include "base/base.h"

/* Is this string, between its quotes, the name once it is unescaped? A bad escape is nobody's name.
 * Ends at the first character that is not the name's. */
bool tag_key_equals(struct span raw, struct span name);

/* A code point in UTF-8 (RFC 3629 section 3). Returns the size. */
size_t tag_escape_utf8_write(uint32_t code, uint8_t bytes[4]);

#endif
