/* SPDX-License-Identifier: MIT */
/* SipHash-2-4 (Aumasson and Bernstein, 2012): a hash of short keys that nobody can predict who does
 * not know its secret. */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include "base/base.h"

uint64_t siphash(const uint8_t secret[16], const void *bytes, size_t size) READS(2, 3);

#endif
