/* SPDX-License-Identifier: MIT */
/* The kernel seam on io_uring, Linux 6.1 and later. Journey: hops 1, 3, 12.
 *
 * One ring belongs to one thread (SINGLE_ISSUER), and the kernel does its deferred work only while
 * that thread is inside io_uring_enter asking for events (DEFER_TASKRUN): so completions never
 * appear behind the engine's back, and no interrupt of another processor breaks into a handler. The
 * other side of it: a loop that never enters makes no progress. TASKRUN_FLAG makes the kernel show
 * in shared memory that work is pending, so a spinning core enters only when that is worth a system
 * call.
 *
 * A turn costs one io_uring_enter, which submits, runs the deferred work and waits; it costs none
 * when completions are there already and nothing is to be submitted. The entry is made here and not
 * through liburing's helpers, since only so can it carry flags that are newer than liburing 2.3.
 *
 * The completion queue may overflow without loss (IORING_FEAT_NODROP): the kernel keeps the rest
 * and flushes it at the next entry, but it ends multishot operations while it does, which the
 * engine sees as a completion without COMPLETION_F_MORE.
 *
 * Some completions are the ring's own; they have user_data from USER_DATA_INTERNAL_MIN on, and
 * `wait` swallows them. */
#include "engine/ring.h"
#include "engine/error.h"
#include "engine/ring_socket.h"
#include "engine/ring_uapi.h"

#include <liburing.h>

#include <errno.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#define BUFFER_GROUP 0

/* The ring's own completions. */
#define USER_DATA_INTERNAL_MIN (UINT64_MAX - 3)
#define USER_DATA_CANCEL_ALL   (UINT64_MAX - 3) /* destroy: the result is the number cancelled */
#define USER_DATA_WAKE_SENT    (UINT64_MAX - 2) /* a wake of another ring failed */
#define USER_DATA_EVENT_FD     (UINT64_MAX - 1) /* a foreign thread woke us */
#define USER_DATA_IGNORED      UINT64_MAX       /* another ring woke us; a cancel found nothing */
static_assert(USER_DATA_INTERNAL_MIN > RING_USER_DATA_MAX, "the engine's user_data stays below");

/* Values that the completion loop relies on when it maps flags without branches. */
static_assert(IORING_CQE_F_BUFFER == COMPLETION_F_MORE, "bit 0 becomes bit 1");
static_assert(IORING_CQE_F_MORE == COMPLETION_F_BUFFER, "bit 1 becomes bit 0");
static_assert(IORING_CQE_F_SOCK_NONEMPTY == COMPLETION_F_NONEMPTY, "bit 2 stays");
static_assert(RING_POLL_IN == POLLIN && RING_POLL_ERR == POLLERR && RING_POLL_HUP == POLLHUP &&
                  RING_POLL_RDHUP == POLLRDHUP,
              "poll events pass through");

struct ring_uring {
    struct ring ring;
    struct io_uring uring;
    unsigned enter_flags;               /* for every io_uring_enter */
    unsigned wait_flags;                /* also for those that may sleep */
    struct io_uring_buf_ring *buf_ring; /* owned; buffer_count entries that the kernel takes from */
    uint8_t *buffer_out;                /* owned; per buffer: 1 while the engine has it (B1) */
    struct open_how open_how;           /* for every open_start */
    int event_fd;                       /* written by any thread, otherwise constant */
};
static_assert(offsetof(struct ring_uring, ring) == 0, "a ring is cast to its implementation");

static inline struct ring_uring *uring_of(struct ring *ring)
{
    ASSERT(ring->ops == &ring_uring_ops);
    return (struct ring_uring *)ring;
}

/* ---- Entering the kernel ---- */

/* Show the queued submissions to the kernel. Returns their number. The index array is the identity
 * since uring_setup, so the tail alone has to move. */
static inline unsigned uring_flush(struct ring_uring *self)
{
    struct io_uring_sq *sq = &self->uring.sq;
    sq->sqe_head = sq->sqe_tail;
    io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
    return sq->sqe_tail - *sq->khead;
}

/* Submit without waiting. Returns what io_uring_enter returned. */
static int uring_enter(struct ring_uring *self, unsigned to_submit, unsigned flags)
{
    return io_uring_enter2((unsigned)self->uring.enter_ring_fd, to_submit, 0,
                           self->enter_flags | flags, NULL, 0);
}

/* Submit, run deferred work, and sleep until there is a completion or the time is over. */
static int uring_enter_wait(struct ring_uring *self, unsigned to_submit, uint64_t timeout_ns)
{
    struct __kernel_timespec timeout = {
        .tv_sec = (int64_t)(timeout_ns / 1000000000u),
        .tv_nsec = (int64_t)(timeout_ns % 1000000000u),
    };
    struct io_uring_getevents_arg arg = {
        .ts = timeout_ns == UINT64_MAX ? 0 : (uint64_t)(uintptr_t)&timeout,
    };
    return io_uring_enter2((unsigned)self->uring.enter_ring_fd, to_submit, 1,
                           self->enter_flags | self->wait_flags, (sigset_t *)&arg, sizeof(arg));
}

/* Judge the result of an entry. What is not listed here is our own mistake (wrong thread, bad
 * descriptor, bad argument), or EBADR: the kernel had no memory left to keep completions and
 * dropped some; what was in flight is then unknown, and there is nothing to go on with. */
static void enter_check(int result)
{
    if (LIKELY(result >= 0) || result == -ETIME || result == -EINTR) {
        return;
    }
    /* EBUSY: the completion queue is full and its overflow could not be flushed yet; reaping cures
     * it. EAGAIN, ENOMEM: the kernel has no memory for a request; the submission stays queued. */
    ASSERT(result == -EBUSY || result == -EAGAIN || result == -ENOMEM);
    sched_yield();
}

/* Give everything queued to the kernel. Submissions cannot fail, so this goes on until they are
 * taken: without GETEVENTS only want of memory can refuse them, and that ends. */
static void submit_all(struct ring_uring *self)
{
    for (unsigned to_submit = uring_flush(self); to_submit != 0; to_submit = uring_flush(self)) {
        enter_check(uring_enter(self, to_submit, 0));
    }
}

static void uring_submit(struct ring *ring)
{
    submit_all(uring_of(ring));
}

/* True if the kernel holds deferred work, or completions that found the queue full. */
static inline bool kernel_has_work(const struct ring_uring *self)
{
    const unsigned flags = IO_URING_READ_ONCE(*self->uring.sq.kflags);
    return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

/* ---- Submissions ---- */

static inline struct io_uring_sqe *sqe_get(struct ring_uring *self)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&self->uring);
    if (UNLIKELY(sqe == NULL)) {
        submit_all(self);
        sqe = io_uring_get_sqe(&self->uring);
        ASSERT(sqe != NULL);
    }
    return sqe;
}

static void uring_accept_start(struct ring *ring, int fd, uint64_t user_data)
{
    ASSERT(user_data <= RING_USER_DATA_MAX);
    struct io_uring_sqe *sqe = sqe_get(uring_of(ring));
    /* The descriptors stay blocking: io_uring waits for readiness itself, and the direct calls pass
     * MSG_DONTWAIT. */
    io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
    sqe->user_data = user_data;
}

static void uring_recv_start(struct ring *ring, int fd, uint64_t user_data)
{
    ASSERT(user_data <= RING_USER_DATA_MAX);
    struct io_uring_sqe *sqe = sqe_get(uring_of(ring));
    io_uring_prep_recv(sqe, fd, NULL, 0, 0);
    sqe->ioprio = IORING_RECV_MULTISHOT;
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUFFER_GROUP;
    sqe->user_data = user_data;
}

static void uring_poll_start(struct ring *ring, int fd, uint32_t events, bool multishot,
                             uint64_t user_data)
{
    ASSERT(user_data <= RING_USER_DATA_MAX);
    struct io_uring_sqe *sqe = sqe_get(uring_of(ring));
    io_uring_prep_poll_add(sqe, fd, events);
    sqe->len = multishot ? IORING_POLL_ADD_MULTI : 0;
    sqe->user_data = user_data;
}

static void uring_send_start(struct ring *ring, int fd, const void *bytes, size_t size, bool quiet,
                             uint64_t user_data)
{
    ASSERT(user_data <= RING_USER_DATA_MAX);
    ASSERT(size > 0);
    struct io_uring_sqe *sqe = sqe_get(uring_of(ring));
    /* The length of a submission has 32 bits. More than the kernel sends at once, so a short
     * completion would follow anyway. */
    const size_t length = MIN(size, (size_t)INT32_MAX);
    io_uring_prep_send(sqe, fd, bytes, length, MSG_NOSIGNAL);
    sqe->user_data = user_data;
    if (quiet) {
        /* WAITALL makes a short send a failed request, and only a request that has not failed keeps
         * its completion to itself. DONTWAIT settles it within the submission. */
        sqe->msg_flags = MSG_NOSIGNAL | MSG_DONTWAIT | MSG_WAITALL;
        sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
    }
}

static void uring_cancel(struct ring *ring, uint64_t user_data)
{
    ASSERT(user_data <= RING_USER_DATA_MAX);
    struct io_uring_sqe *sqe = sqe_get(uring_of(ring));
    io_uring_prep_cancel64(sqe, user_data, 0);
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = USER_DATA_IGNORED;
}

static void uring_open_start(struct ring *ring, int folder_fd, const char *path, uint64_t user_data)
{
    ASSERT(user_data <= RING_USER_DATA_MAX);
    struct io_uring_sqe *sqe = sqe_get(uring_of(ring));
    io_uring_prep_openat2(sqe, folder_fd, path, &uring_of(ring)->open_how);
    sqe->user_data = user_data;
}

static void uring_read_start(struct ring *ring, int fd, void *bytes, size_t size, uint64_t offset,
                             uint64_t user_data)
{
    ASSERT(user_data <= RING_USER_DATA_MAX);
    ASSERT(size > 0 && size <= INT32_MAX);
    struct io_uring_sqe *sqe = sqe_get(uring_of(ring));
    io_uring_prep_read(sqe, fd, bytes, (unsigned)size, offset);
    sqe->user_data = user_data;
}

static void event_fd_arm(struct ring_uring *self)
{
    struct io_uring_sqe *sqe = sqe_get(self);
    /* Multishot reports each write, so the counter need never be read; one write in a nanosecond
     * would fill it after centuries. */
    io_uring_prep_poll_multishot(sqe, self->event_fd, POLLIN);
    sqe->user_data = USER_DATA_EVENT_FD;
}

/* ---- Completions ---- */

/* A completion of our own. */
static void completion_swallow(struct ring_uring *self, const struct io_uring_cqe *cqe)
{
    if (cqe->user_data == USER_DATA_EVENT_FD && (cqe->flags & IORING_CQE_F_MORE) == 0) {
        /* An overflow has ended the multishot poll. A write in between is not lost: the counter is
         * not zero, so the new poll reports at once. */
        ASSERT(cqe->res >= 0);
        event_fd_arm(self);
    }
}

static inline void completion_copy(struct ring_uring *self, const struct io_uring_cqe *cqe,
                                   struct completion *completion)
{
    const uint32_t flags = cqe->flags;
    completion->user_data = cqe->user_data;
    completion->result = cqe->res;
    completion->flags = (uint16_t)((flags >> 1 & 1) | (flags & 1) << 1 | (flags & 4));
    completion->buffer_id = (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT);
    if ((flags & IORING_CQE_F_BUFFER) != 0) {
        ASSERT(completion->buffer_id < self->ring.buffer_count);
        ASSERT(self->buffer_out[completion->buffer_id] == 0);
        self->buffer_out[completion->buffer_id] = 1;
    }
}

static unsigned completions_reap(struct ring_uring *self, struct completion *completions,
                                 unsigned max)
{
    const struct io_uring_cq *cq = &self->uring.cq;
    const unsigned head = *cq->khead;
    const unsigned ready = io_uring_cq_ready(&self->uring);
    unsigned seen = 0;
    unsigned count = 0;
    while (seen < ready && count < max) {
        const struct io_uring_cqe *cqe = &cq->cqes[(head + seen) & cq->ring_mask];
        seen++;
        if (UNLIKELY(cqe->user_data >= USER_DATA_INTERNAL_MIN)) {
            completion_swallow(self, cqe);
            continue;
        }
        completion_copy(self, cqe, &completions[count]);
        count++;
    }
    io_uring_cq_advance(&self->uring, seen);
    return count;
}

static unsigned uring_wait(struct ring *ring, uint64_t timeout_ns, struct completion *completions,
                           unsigned max)
{
    struct ring_uring *self = uring_of(ring);
    ASSERT(max > 0);
    const unsigned to_submit = uring_flush(self);
    if (timeout_ns != 0 && io_uring_cq_ready(&self->uring) == 0) {
        enter_check(uring_enter_wait(self, to_submit, timeout_ns));
    } else if (to_submit != 0 || kernel_has_work(self)) {
        /* GETEVENTS, since deferred work is run for nothing less. */
        enter_check(uring_enter(self, to_submit, IORING_ENTER_GETEVENTS));
    }
    if (UNLIKELY(io_uring_sq_ready(&self->uring) != 0)) {
        submit_all(self);
    }
    ring->now_ns = ring_socket_now_ns();
    return completions_reap(self, completions, max);
}

/* ---- Direct calls ---- */

static inline void buffer_provide(struct ring_uring *self, uint16_t buffer_id)
{
    io_uring_buf_ring_add(self->buf_ring, ring_buffer(&self->ring, buffer_id),
                          self->ring.buffer_size, buffer_id,
                          io_uring_buf_ring_mask(self->ring.buffer_count), 0);
    io_uring_buf_ring_advance(self->buf_ring, 1);
}

static void uring_buffer_return(struct ring *ring, uint16_t buffer_id)
{
    struct ring_uring *self = uring_of(ring);
    ASSERT(buffer_id < ring->buffer_count);
    ASSERT(self->buffer_out[buffer_id] == 1);
    self->buffer_out[buffer_id] = 0;
    buffer_provide(self, buffer_id);
}

/* ---- Waking ---- */

static void wake_by_event_fd(struct ring_uring *target)
{
    const uint64_t one = 1;
    const ssize_t written = write(target->event_fd, &one, sizeof(one));
    ASSERT(written == (ssize_t)sizeof(one));
}

/* True if one of the completions that came since `tail` says that the wake was not delivered.
 * Success is silent. */
static bool wake_has_failed(const struct ring_uring *self, unsigned tail)
{
    const struct io_uring_cq *cq = &self->uring.cq;
    const unsigned end = io_uring_smp_load_acquire(cq->ktail);
    for (unsigned i = tail; i != end; i++) {
        if (cq->cqes[i & cq->ring_mask].user_data == USER_DATA_WAKE_SENT) {
            return true;
        }
    }
    return (IO_URING_READ_ONCE(*self->uring.sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0;
}

/* Submitted at once: the target may be asleep, and the waker may not enter the kernel again soon. A
 * message between rings costs two thirds of an eventfd (19-22 us to a sleeping core, against
 * 29-31). */
static void uring_wake(struct ring *target_ring, struct ring *from)
{
    struct ring_uring *target = uring_of(target_ring);
    if (from == NULL || from == target_ring) {
        wake_by_event_fd(target);
        return;
    }
    struct ring_uring *self = uring_of(from);
    const unsigned tail = io_uring_smp_load_acquire(self->uring.cq.ktail);
    struct io_uring_sqe *sqe = sqe_get(self);
    io_uring_prep_msg_ring(sqe, target->uring.ring_fd, 0, USER_DATA_IGNORED, 0);
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = USER_DATA_WAKE_SENT;
    submit_all(self);
    if (wake_has_failed(self, tail)) {
        wake_by_event_fd(target);
    }
}

/* ---- Birth ---- */

static int proc_number(const char *path)
{
    int number = -1;
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fscanf(file, "%d", &number) != 1) {
            number = -1;
        }
        (void)fclose(file);
    }
    return number;
}

/* Say in one line why io_uring cannot be had and how to allow it. Returns what create returns. */
static int refusal_explain(int err, const char *call, char *why)
{
    struct utsname name;
    const char *release = uname(&name) == 0 ? name.release : "unknown";
    const int disabled = proc_number("/proc/sys/kernel/io_uring_disabled");
    switch (err) {
    case -EPERM:
    case -EACCES:
        if (disabled > 0) {
            (void)snprintf(why, RING_WHY_SIZE,
                           "%s: sysctl kernel.io_uring_disabled is %d: set it to 0%s", call,
                           disabled, disabled == 1 ? ", or join kernel.io_uring_group" : "");
        } else {
            (void)snprintf(why, RING_WHY_SIZE,
                           "%s: forbidden, most often by the seccomp profile of a container: allow "
                           "io_uring_setup, io_uring_enter and io_uring_register in it",
                           call);
        }
        return GYR_ERR_UNSUPPORTED;
    case -ENOSYS:
        (void)snprintf(
            why, RING_WHY_SIZE,
            "%s: not in this kernel (%s; CONFIG_IO_URING, Linux 6.1 or later), or hidden by "
            "a seccomp profile: allow io_uring_setup, _enter and _register in it",
            call, release);
        return GYR_ERR_UNSUPPORTED;
    case -EINVAL:
        (void)snprintf(why, RING_WHY_SIZE,
                       "%s: refused by Linux %s: 6.1 or later is needed "
                       "(IORING_SETUP_DEFER_TASKRUN)",
                       call, release);
        return GYR_ERR_UNSUPPORTED;
    case -ENOMEM:
        (void)snprintf(
            why, RING_WHY_SIZE,
            "%s: no memory: raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=) or the memory "
            "limit of the control group, or lower completion_entries",
            call);
        return GYR_ERR_UNSUPPORTED;
    default:
        (void)snprintf(why, RING_WHY_SIZE, "%s: %s%s", call, strerrordesc_np(-err),
                       error_advice(err));
        return err;
    }
}

/* Make the kernel's ring with everything we cannot do without. Not with IORING_SETUP_NO_SQARRAY:
 * liburing 2.3 crashes then. */
static int uring_setup(struct ring_uring *self, const struct ring_config *config, char *why)
{
    const unsigned features =
        IORING_FEAT_NODROP | IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP;
    /* A kernel that takes DEFER_TASKRUN (6.1) has every operation used here: multishot receive is
     * of 6.0, multishot accept and buffer rings of 5.19, messages between rings of 5.18. */
    struct io_uring_params params = {
        .flags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
                 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        .cq_entries = config->completion_entries,
    };
    int err = io_uring_queue_init_params(config->submission_entries, &self->uring, &params);
    if (err < 0) {
        self->uring.ring_fd = -1;
        return refusal_explain(err, "io_uring_setup", why);
    }
    if ((params.features & features) != features) {
        (void)snprintf(why, RING_WHY_SIZE,
                       "io_uring_setup: this kernel lacks the features 0x%x of io_uring",
                       features & ~params.features);
        return GYR_ERR_UNSUPPORTED;
    }
    for (unsigned i = 0; i < params.sq_entries; i++) {
        self->uring.sq.array[i] = i;
    }
    /* Saves looking the descriptor up at each entry. A thread has 16 places; without one it works
     * too. */
    if (io_uring_register_ring_fd(&self->uring) == 1) {
        self->enter_flags = IORING_ENTER_REGISTERED_RING;
    }
    self->wait_flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    if ((params.features & IORING_FEAT_NO_IOWAIT) != 0) {
        self->wait_flags |= IORING_ENTER_NO_IOWAIT;
    }
    return 0;
}

/* Memory that stays untouched until the kernel receives into it. Returns NULL when there is none.
 */
static void *pages_map(size_t size)
{
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

static size_t buffers_mapped_size(const struct ring *ring)
{
    return (size_t)ring->buffer_count * ring->buffer_size + MESSAGE_PADDING;
}

static size_t buf_ring_mapped_size(const struct ring *ring)
{
    return (size_t)ring->buffer_count * sizeof(struct io_uring_buf);
}

static int buffers_setup(struct ring_uring *self, char *why)
{
    self->ring.buffers = pages_map(buffers_mapped_size(&self->ring));
    self->buf_ring = pages_map(buf_ring_mapped_size(&self->ring));
    self->buffer_out = calloc(self->ring.buffer_count, 1);
    if (self->ring.buffers == NULL || self->buf_ring == NULL || self->buffer_out == NULL) {
        (void)snprintf(why, RING_WHY_SIZE, "receive buffers: no memory for %u of %u bytes",
                       self->ring.buffer_count, self->ring.buffer_size);
        return -ENOMEM;
    }
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)self->buf_ring,
        .ring_entries = self->ring.buffer_count,
        .bgid = BUFFER_GROUP,
    };
    int err = io_uring_register_buf_ring(&self->uring, &reg, 0);
    if (err < 0) {
        return refusal_explain(err, "io_uring_register_buf_ring", why);
    }
    for (uint32_t i = 0; i < self->ring.buffer_count; i++) {
        buffer_provide(self, (uint16_t)i);
    }
    return 0;
}

/* Also the first io_uring_enter: a profile may allow the other calls and forbid this one. */
static int event_fd_setup(struct ring_uring *self, char *why)
{
    self->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->event_fd < 0) {
        return refusal_explain(-errno, "eventfd", why);
    }
    event_fd_arm(self);
    int result = uring_enter(self, uring_flush(self), 0);
    return result < 0 ? refusal_explain(result, "io_uring_enter", why) : 0;
}

/* Free whatever there is of a ring that has nothing in flight. */
static void uring_free(struct ring_uring *self)
{
    if (self->uring.ring_fd >= 0) {
        io_uring_queue_exit(&self->uring);
    }
    if (self->event_fd >= 0) {
        (void)close(self->event_fd);
    }
    if (self->buf_ring != NULL) {
        (void)munmap(self->buf_ring, buf_ring_mapped_size(&self->ring));
    }
    if (self->ring.buffers != NULL) {
        (void)munmap(self->ring.buffers, buffers_mapped_size(&self->ring));
    }
    free(self->buffer_out);
    free(self);
}

static int uring_create(const struct ring_config *config, struct ring **ring, char *why)
{
    ASSERT(config->completion_entries >= 4 * config->submission_entries);
    ASSERT(config->buffer_count > 0 && config->buffer_count <= 32768);
    ASSERT((config->buffer_count & (config->buffer_count - 1)) == 0);
    struct ring_uring *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        (void)snprintf(why, RING_WHY_SIZE, "no memory for a ring");
        return -ENOMEM;
    }
    self->ring.ops = &ring_uring_ops;
    self->ring.buffer_size = config->buffer_size;
    self->ring.buffer_count = config->buffer_count;
    self->ring.now_ns = ring_socket_now_ns();
    self->uring.ring_fd = -1;
    self->open_how = ring_socket_open_how;
    self->event_fd = -1;
    int err = uring_setup(self, config, why);
    if (err == 0) {
        err = buffers_setup(self, why);
    }
    if (err == 0) {
        err = event_fd_setup(self, why);
    }
    if (err < 0) {
        uring_free(self);
        return err;
    }
    *ring = &self->ring;
    return 0;
}

/* ---- Death ---- */

/* Cancel what is in flight and throw its completions away. Returns how many operations there were.
 */
static int cancel_all(struct ring_uring *self)
{
    struct io_uring_sqe *sqe = sqe_get(self);
    io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    sqe->user_data = USER_DATA_CANCEL_ALL;
    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned head;
        unsigned seen = 0;
        int cancelled = -1;
        enter_check(uring_enter_wait(self, uring_flush(self), UINT64_MAX));
        io_uring_for_each_cqe(&self->uring, head, cqe)
        {
            seen++;
            if (cqe->user_data == USER_DATA_CANCEL_ALL) {
                cancelled = MAX(cqe->res, 0);
            }
        }
        io_uring_cq_advance(&self->uring, seen);
        if (cancelled >= 0) {
            return cancelled;
        }
    }
}

static void uring_destroy(struct ring *ring)
{
    struct ring_uring *self = uring_of(ring);
    /* An operation counts as cancelled before its deferred work has run. When a later round finds
     * none, that work has run for all of them, and nobody writes to the engine's memory any more.
     */
    while (cancel_all(self) > 0) {
    }
    uring_free(self);
}

const struct ring_ops ring_uring_ops = {
    .name = "uring",
    .create = uring_create,
    .destroy = uring_destroy,
    .accept_start = uring_accept_start,
    .recv_start = uring_recv_start,
    .poll_start = uring_poll_start,
    .send_start = uring_send_start,
    .cancel = uring_cancel,
    .submit = uring_submit,
    .wait = uring_wait,
    .open_start = uring_open_start,
    .read_start = uring_read_start,
    .send_now = ring_socket_send_now,
    .recv_now = ring_socket_recv_now,
    .buffer_return = uring_buffer_return,
    .shutdown = ring_socket_shutdown,
    .close = ring_socket_close,
    .close_reset = ring_socket_close_reset,
    .peer_address = ring_socket_peer_address,
    .file_status = ring_socket_file_status,
    .wall_ns = ring_socket_wall_ns,
    .wake = uring_wake,
};
