/* SPDX-License-Identifier: MIT */
/* The C face of simdjson: the one C++ file, and the only includer of <simdjson.h>. Nothing here
 * throws or allocates, so it is built without exceptions and run-time types. */
#include "base/simdjson_shim.h"

#include <simdjson.h>

bool simdjson_shim_utf8_is_valid(const uint8_t *bytes, size_t size)
{
    return simdjson::validate_utf8(reinterpret_cast<const char *>(bytes), size);
}
