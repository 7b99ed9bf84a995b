/* SPDX-License-Identifier: MIT */
/* Listening sockets that a service manager passes to a process: descriptors from 3 on, which three
 * variables of the environment tell about, as in sd_listen_fds(3). */
#ifndef ENGINE_ACTIVATION_H
#define ENGINE_ACTIVATION_H

#include "base/base.h"
#include "gyr/gyr.h"

#define ACTIVATION_FD_FIRST 3

/* The three variables; NULL where one is not set. */
struct activation {
    const char *pid;   /* LISTEN_PID: for which process they are */
    const char *count; /* LISTEN_FDS: how many there are */
    const char *names; /* LISTEN_FDNAMES: what they are called, with ':' between them */
};

/* How many sockets were passed to the process `pid`? 0 if the variables are for another process or
 * not set. GYR_ERR_ARGUMENT with a line in `error` that names the variable. */
MUST_CHECK int activation_parse(const struct activation *activation, int64_t pid,
                                struct gyr_error *error);

/* The name of the socket with this index; size 0 if it has none. */
struct span activation_name(const struct activation *activation, unsigned index);

#endif
