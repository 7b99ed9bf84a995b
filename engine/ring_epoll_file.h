/* SPDX-License-Identifier: MIT */
/* Opening and reading files for an epoll ring: a thread does it, since files are always ready for
 * epoll and may take their time all the same. */
#ifndef ENGINE_RING_EPOLL_FILE_H
#define ENGINE_RING_EPOLL_FILE_H

#include "base/base.h"

struct epoll_files;

struct epoll_file_job {
    struct epoll_file_job *next;
    uint64_t user_data;
    int fd;           /* the folder, or the file */
    const char *path; /* to open; NULL: read */
    void *bytes;      /* the caller's, until the job has come back */
    size_t size;
    uint64_t offset;
    int32_t result;
};

/* Start the thread. It writes to `event_fd` when a job is done. NULL and an error (-errno) if there
 * is no thread or no memory. */
struct epoll_files *epoll_files_create(int event_fd, int *err);
/* End the thread, after what it is doing; close what it has opened and nobody has taken. */
void epoll_files_destroy(struct epoll_files *files);

/* The files take a job from memory_alloc. */
void epoll_files_put(struct epoll_files *files, struct epoll_file_job *job);
/* End a job that has not begun: it is done with -ECANCELED. Is there one? */
bool epoll_files_cancel(struct epoll_files *files, uint64_t user_data);
/* The jobs that are done, in the order of their ends; the caller frees them. */
struct epoll_file_job *epoll_files_take(struct epoll_files *files);

#endif
