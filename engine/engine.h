/* SPDX-License-Identifier: MIT */
/* The application seam: all that a layer above may see of the engine. It is the public interface
 * itself: the upcalls of struct gyr_service, and the calls that may be made back. What a layer
 * above needs beyond that is added here, so that this page stays the whole of it. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "gyr/gyr.h"

#endif
