/* SPDX-License-Identifier: MIT */
/* Lists of the configuration: elements between blanks. */
#ifndef PROTO_TEXT_LIST_H
#define PROTO_TEXT_LIST_H

#include "base/base.h"

/* Take the next element, which is not empty and holds neither SP nor HTAB, from the beginning of
 * `rest`. False: there is none. */
bool text_list_next(struct span *rest, struct span *element);

#endif
