/* SPDX-License-Identifier: MIT */
/* Names of handlers by convention: "sendMessage", "send-message" and "SEND_MESSAGE" all become
 * "send_message", so one function on_send_message gets them. */
#ifndef ROUTER_TAG_NAME_H
#define ROUTER_TAG_NAME_H

#include "base/base.h"

/* Bytes that a name may need for a tag of `size` bytes. */
#define TAG_NAME_SIZE(size) (2 * (size))

/* Write the name of a tag, without "on_", to `name`; returns its size. Any bytes are allowed. */
size_t tag_name_write(struct span tag, uint8_t *name);

#endif
