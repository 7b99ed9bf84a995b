/* SPDX-License-Identifier: MIT */
/* The thread of an epoll ring that opens and reads files. Two lists under one lock: jobs go in
 * through the one and come back through the other. */
#include "engine/ring_epoll_file.h"

#include "engine/memory.h"
#include "engine/ring_socket.h"

#include <errno.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

struct job_list {
    struct epoll_file_job *oldest;
    struct epoll_file_job *newest;
};

struct epoll_files {
    pthread_t thread;
    int event_fd; /* borrowed */
    pthread_mutex_t lock;
    pthread_cond_t change;
    struct job_list waiting; /* owned, as those that are done */
    struct job_list done;
    bool ending;
};

static int files_thread_start(struct epoll_files *files);
static void *files_main(void *arg);
static void job_run(struct epoll_file_job *job);

static void list_append(struct job_list *list, struct epoll_file_job *job)
{
    job->next = NULL;
    if (list->oldest == NULL) {
        list->oldest = job;
    } else {
        list->newest->next = job;
    }
    list->newest = job;
}

static struct epoll_file_job *list_pop(struct job_list *list)
{
    struct epoll_file_job *job = list->oldest;
    list->oldest = job->next;
    return job;
}

struct epoll_files *epoll_files_create(int event_fd, int *err)
{
    struct epoll_files *files = memory_alloc(sizeof(*files));
    if (files == NULL) {
        *err = -ENOMEM;
        return NULL;
    }
    files->event_fd = event_fd;
    pthread_mutex_init(&files->lock, NULL);
    pthread_cond_init(&files->change, NULL);
    *err = files_thread_start(files);
    if (*err < 0) {
        pthread_cond_destroy(&files->change);
        pthread_mutex_destroy(&files->lock);
        memory_free(files);
        return NULL;
    }
    return files;
}

static int files_thread_start(struct epoll_files *files)
{
    /* It takes no signal: they are the host's. */
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int err = pthread_create(&files->thread, NULL, files_main, files);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (err == 0) {
        pthread_setname_np(files->thread, "gyr-files");
    }
    return -err;
}

void epoll_files_destroy(struct epoll_files *files)
{
    pthread_mutex_lock(&files->lock);
    files->ending = true;
    pthread_cond_signal(&files->change);
    pthread_mutex_unlock(&files->lock);
    pthread_join(files->thread, NULL);
    while (files->waiting.oldest != NULL) {
        memory_free(list_pop(&files->waiting));
    }
    while (files->done.oldest != NULL) {
        struct epoll_file_job *job = list_pop(&files->done);
        if (job->path != NULL && job->result >= 0) {
            (void)close(job->result);
        }
        memory_free(job);
    }
    pthread_cond_destroy(&files->change);
    pthread_mutex_destroy(&files->lock);
    memory_free(files);
}

void epoll_files_put(struct epoll_files *files, struct epoll_file_job *job)
{
    pthread_mutex_lock(&files->lock);
    list_append(&files->waiting, job);
    pthread_cond_signal(&files->change);
    pthread_mutex_unlock(&files->lock);
}

bool epoll_files_cancel(struct epoll_files *files, uint64_t user_data)
{
    pthread_mutex_lock(&files->lock);
    struct epoll_file_job *before = NULL;
    struct epoll_file_job *job = files->waiting.oldest;
    while (job != NULL && job->user_data != user_data) {
        before = job;
        job = job->next;
    }
    if (job != NULL) {
        if (before == NULL) {
            files->waiting.oldest = job->next;
        } else {
            before->next = job->next;
        }
        if (files->waiting.newest == job) {
            files->waiting.newest = before;
        }
        job->result = -ECANCELED;
        list_append(&files->done, job);
    }
    pthread_mutex_unlock(&files->lock);
    return job != NULL;
}

struct epoll_file_job *epoll_files_take(struct epoll_files *files)
{
    pthread_mutex_lock(&files->lock);
    struct epoll_file_job *jobs = files->done.oldest;
    files->done.oldest = NULL;
    pthread_mutex_unlock(&files->lock);
    return jobs;
}

static void *files_main(void *arg)
{
    struct epoll_files *files = arg;
    const uint64_t one = 1;
    pthread_mutex_lock(&files->lock);
    for (;;) {
        while (files->waiting.oldest == NULL && !files->ending) {
            pthread_cond_wait(&files->change, &files->lock);
        }
        if (files->ending) {
            break;
        }
        struct epoll_file_job *job = list_pop(&files->waiting);
        pthread_mutex_unlock(&files->lock);
        job_run(job);
        pthread_mutex_lock(&files->lock);
        list_append(&files->done, job);
        ssize_t written = write(files->event_fd, &one, sizeof(one));
        ASSERT(written == (ssize_t)sizeof(one));
    }
    pthread_mutex_unlock(&files->lock);
    return NULL;
}

static void job_run(struct epoll_file_job *job)
{
    int64_t result = job->path != NULL
                         ? syscall(SYS_openat2, job->fd, job->path, &ring_socket_open_how,
                                   sizeof(ring_socket_open_how))
                         : pread(job->fd, job->bytes, job->size, (off_t)job->offset);
    job->result = (int32_t)(result >= 0 ? result : -errno);
}
