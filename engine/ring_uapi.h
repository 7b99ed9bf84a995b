/* SPDX-License-Identifier: MIT */
/* Constants of the kernel's io_uring interface that are newer than liburing 2.3, by their values
 * from include/uapi/linux/io_uring.h. A kernel tells in its feature bits whether it knows them. */
#ifndef ENGINE_RING_UAPI_H
#define ENGINE_RING_UAPI_H

/* Linux 6.15. A thread that sleeps in a ring counts as blocked on a disk (procs_blocked, iowait,
 * /proc/pressure/io) unless told otherwise, and an idle server would look like a failing drive. */
#ifndef IORING_ENTER_NO_IOWAIT
#define IORING_ENTER_NO_IOWAIT (1U << 7)
#endif
#ifndef IORING_FEAT_NO_IOWAIT
#define IORING_FEAT_NO_IOWAIT (1U << 17)
#endif

#endif
