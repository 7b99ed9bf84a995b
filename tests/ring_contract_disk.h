/* SPDX-License-Identifier: MIT */
/* The files of the kernel seam's contract where a world has a real disk: a folder below /tmp for
 * each script. See struct ring_contract_world for what the functions do. */
#ifndef TESTS_RING_CONTRACT_DISK_H
#define TESTS_RING_CONTRACT_DISK_H

#include "tests/ring_contract.h"

int disk_folder_open(void *context);
void disk_folder_close(void *context, int folder_fd);
void disk_file_make(void *context, int folder_fd, const char *path, const void *bytes, size_t size);
void disk_folder_make(void *context, int folder_fd, const char *path);
void disk_link_make(void *context, int folder_fd, const char *path, const char *target);
void disk_fifo_make(void *context, int folder_fd, const char *path);

#endif
