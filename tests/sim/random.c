/* SPDX-License-Identifier: MIT */
/* Takes the place of the C library's getrandom in the programs that hold the simulator. */
#include "tests/sim/random.h"

#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct dice *source; /* borrowed; of the world that runs in this process, if one does */

void random_from(struct dice *dice)
{
    source = dice;
}

ssize_t getrandom(void *buffer, size_t size, unsigned flags)
{
    if (source == NULL) {
        return syscall(SYS_getrandom, buffer, size, flags);
    }
    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)buffer)[i] = (uint8_t)dice_next(source);
    }
    return (ssize_t)size;
}
