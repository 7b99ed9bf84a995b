/* SPDX-License-Identifier: MIT */
/* The C face of simdjson; base/simdjson_shim.cpp is the one C++ file and its only includer. */
#ifndef BASE_SIMDJSON_SHIM_H
#define BASE_SIMDJSON_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* True if the bytes are UTF-8 from the first to the last (RFC 3629). */
bool simdjson_shim_utf8_is_valid(const uint8_t *bytes, size_t size);

#ifdef __cplusplus
}
#endif

#endif
