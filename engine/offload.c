/* SPDX-License-Identifier: MIT */
/* The pool: one list, one lock, threads started as they are needed. A core waits for its own calls
 * before it closes its mailbox, and once it has ended it takes no new ones, so their completion
 * always finds the mailbox open. A completion is the job itself, allocated when it was taken, so it
 * is not refused for want of room or memory either. */
#include "engine/offload.h"

#include "engine/core.h"

#include <pthread.h>
#include <signal.h>

struct job {
    struct mail mail; /* to the core when `work` has returned; the mailbox frees the job */
    struct job *next;
    struct core *core; /* borrowed; waits for us before it ends */
    void (*work)(void *arg);
    void (*done)(struct gyr_core *core, void *arg);
    void *arg;
};

struct offload {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job *oldest;
    struct job *newest;
    unsigned count;   /* waiting or running */
    unsigned waiting; /* in the list */
    unsigned count_max;
    unsigned idle; /* threads that wait for a job, those that were just signalled included */
    unsigned thread_count;
    unsigned thread_count_max;
    bool ending;
    pthread_t threads[];
};

static void *offload_main(void *arg);
static int thread_add(struct offload *offload);
static void job_run(struct job *job);
static void job_done(struct core *core, struct mail *mail);

static_assert(offsetof(struct job, mail) == 0, "the mailbox frees the whole job");

struct offload *offload_create(unsigned thread_count_max, unsigned count_max)
{
    struct offload *offload = memory_alloc(sizeof(*offload) + thread_count_max * sizeof(pthread_t));
    if (offload != NULL) {
        pthread_mutex_init(&offload->lock, NULL);
        pthread_cond_init(&offload->wake, NULL);
        offload->count_max = count_max;
        offload->thread_count_max = thread_count_max;
    }
    return offload;
}

void offload_destroy(struct offload *offload)
{
    if (offload == NULL) {
        return;
    }
    pthread_mutex_lock(&offload->lock);
    offload->ending = true;
    pthread_cond_broadcast(&offload->wake);
    pthread_mutex_unlock(&offload->lock);
    for (unsigned i = 0; i < offload->thread_count; i++) {
        pthread_join(offload->threads[i], NULL);
    }
    ASSERT(offload->count == 0);
    pthread_cond_destroy(&offload->wake);
    pthread_mutex_destroy(&offload->lock);
    memory_free(offload);
}

int offload_submit(struct offload *offload, struct core *core, void (*work)(void *arg),
                   void (*done)(struct gyr_core *core, void *arg), void *arg)
{
    if (core->state == CORE_ENDED) {
        return GYR_ERR_CLOSED;
    }
    struct job *job = memory_alloc(sizeof(*job));
    if (job == NULL) {
        return GYR_ERR_MEMORY;
    }
    *job = (struct job){.mail.run = job_done, .core = core, .work = work, .done = done, .arg = arg};
    pthread_mutex_lock(&offload->lock);
    int err = offload->count >= offload->count_max ? GYR_ERR_BACKPRESSURE : 0;
    /* A thread for this one, unless one is idle that no earlier job will wake. */
    if (err == 0 && offload->waiting >= offload->idle &&
        offload->thread_count < offload->thread_count_max) {
        err = thread_add(offload);
        if (offload->thread_count != 0) {
            err = 0; /* those that run will come to it */
        }
    }
    if (err == 0) {
        if (offload->oldest == NULL) {
            offload->oldest = job;
        } else {
            offload->newest->next = job;
        }
        offload->newest = job;
        offload->count++;
        offload->waiting++;
        core->offload_count++;
        pthread_cond_signal(&offload->wake);
    }
    pthread_mutex_unlock(&offload->lock);
    if (err != 0) {
        memory_free(job);
    }
    return err;
}

/* With the lock held. The thread takes no signal: they are the host's. */
static int thread_add(struct offload *offload)
{
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int err = pthread_create(&offload->threads[offload->thread_count], NULL, offload_main, offload);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (err != 0) {
        return -err;
    }
    pthread_setname_np(offload->threads[offload->thread_count], "gyr-offload");
    offload->thread_count++;
    return 0;
}

static void *offload_main(void *arg)
{
    struct offload *offload = arg;
    pthread_mutex_lock(&offload->lock);
    for (;;) {
        struct job *job = offload->oldest;
        if (job == NULL) {
            if (offload->ending) {
                break;
            }
            offload->idle++;
            pthread_cond_wait(&offload->wake, &offload->lock);
            offload->idle--;
            continue;
        }
        offload->oldest = job->next;
        offload->waiting--;
        pthread_mutex_unlock(&offload->lock);
        job_run(job);
        pthread_mutex_lock(&offload->lock);
        offload->count--;
    }
    pthread_mutex_unlock(&offload->lock);
    return NULL;
}

static void job_run(struct job *job)
{
    job->work(job->arg);
    int err = mailbox_give(&job->core->mailbox, &job->mail);
    ASSERT(err == 0); /* the core waits for us */
}

static void job_done(struct core *core, struct mail *mail)
{
    struct job *job = (struct job *)mail;
    ASSERT(core->offload_count > 0);
    core->offload_count--;
    job->done((struct gyr_core *)core, job->arg);
}
