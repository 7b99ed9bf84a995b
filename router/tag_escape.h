/* SPDX-License-Identifier: MIT */
/* Keys that are written with escapes; tag_unescape is declared in router/tag.h. */
#ifndef ROUTER_TAG_ESCAPE_H
#define ROUTER_TAG_ESCAPE_H

#include "base/base.h"

/* Is this string, between its quotes, the name once it is unescaped? A bad escape is nobody's name.
 * Ends at the first character that is not the name's. */
bool tag_key_equals(struct span raw, struct span name);

#endif
