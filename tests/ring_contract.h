/* SPDX-License-Identifier: MIT */
/* The contract of the kernel seam (engine/ring.h) as scripts that run on every implementation. A
 * script sees a ring only through its struct ring_ops, and the other end of its connections only
 * through a world. It records each completion as a line of text, such as "recv data more" or
 * "accept -ECANCELED", and ends by comparing that trace with the one text it holds; so all
 * implementations agree with each other.
 *
 * An implementation defines its world and its tests in one file,
 * tests/ring_contract_<implementation>.c:
 *
 *     static const struct ring_contract_world world = {...};
 *     #define DEFINE(implementation, script) RING_CONTRACT_DEFINE(implementation, script, &world)
 *     RING_CONTRACT_SCRIPTS(DEFINE, sim)
 */
#ifndef TESTS_RING_CONTRACT_H
#define TESTS_RING_CONTRACT_H

#include "engine/ring.h"

/* What one direction of a connection holds when its receiver does not read, in every world. */
#define RING_CONTRACT_SOCKET_SIZE_MIN (64 * 1024)
#define RING_CONTRACT_SOCKET_SIZE_MAX (1024 * 1024)

/* The other end of the connections, and whatever surrounds a ring. Every function gets the context
 * that `begin` made, which is given to each ring as ring_config.context too. Client descriptors and
 * server descriptors are different spaces. The client's calls never wait. */
struct ring_contract_world {
    const char *name;
    const struct ring_ops *ops;

    void *(*begin)(void);       /* a new world for one script */
    void (*end)(void *context); /* closes what is still open; rings are destroyed already */

    /* A listening server descriptor, with room for 64 connections not yet accepted. The connections
     * made from it hold RING_CONTRACT_SOCKET_SIZE_MIN to _MAX in each direction. */
    int (*listener_open)(void *context);
    void (*listener_close)(void *context, int listener_fd);

    int (*client_connect)(void *context, int listener_fd); /* a client descriptor, connected */
    /* Bytes taken or brought, -EAGAIN, or -errno; client_recv: 0 at the end of the stream. */
    int64_t (*client_send)(void *context, int fd, const void *bytes, size_t size);
    int64_t (*client_recv)(void *context, int fd, void *bytes, size_t size);
    void (*client_shutdown)(void *context, int fd); /* FIN; receiving goes on */
    void (*client_close)(void *context, int fd);
    void (*client_reset)(void *context, int fd); /* RST; the descriptor is closed */

    /* Run a function on a foreign thread, or at once where there are no threads; and wait for its
     * end. */
    void *(*thread_start)(void *context, void *(*function)(void *argument), void *argument);
    void (*thread_join)(void *context, void *thread);

    /* An empty folder, for open_start, with a file `secret` and an empty folder `other` beside it;
     * and what is made in it, by paths from there. A file holds the pattern of
     * tests/ring_stage.h. */
    int (*folder_open)(void *context);
    void (*folder_close)(void *context, int folder_fd);
    void (*file_make)(void *context, int folder_fd, const char *path, const void *bytes,
                      size_t size);
    void (*folder_make)(void *context, int folder_fd, const char *path);
    void (*link_make)(void *context, int folder_fd, const char *path, const char *target);
    void (*fifo_make)(void *context, int folder_fd, const char *path);

    /* True if a wait on this ring, without submissions of its own, would not sleep, or if that
     * cannot be known. */
    bool (*is_ready)(void *context, const struct ring *ring);
    /* The script has nothing to do until something has happened. Sockets: let the processor do
     * other things. Simulator: let time go on, at least to the end of the ring's last wait. */
    void (*idle)(void *context, struct ring *ring);
};

/* X(implementation, script) for every script. */
#define RING_CONTRACT_SCRIPTS(X, implementation)                    \
    X(implementation, accepts_until_cancelled)                      \
    X(implementation, receives_in_order_until_end_of_stream)        \
    X(implementation, receives_without_ever_sleeping)               \
    X(implementation, receives_while_buffers_are_cycled)            \
    X(implementation, loses_no_byte_when_buffers_run_dry)           \
    X(implementation, keeps_byte_order_from_recv_start_to_recv_now) \
    X(implementation, recv_now_and_send_now_never_wait)             \
    X(implementation, completes_send_when_peer_reads)               \
    X(implementation, quiet_send_is_silent_when_sent)               \
    X(implementation, quiet_send_reports_full_socket)               \
    X(implementation, shutdown_ends_armed_receive)                  \
    X(implementation, close_reset_resets_peer)                      \
    X(implementation, reports_reset_to_armed_receive)               \
    X(implementation, reports_reset_to_poll_without_events)         \
    X(implementation, reports_reset_after_half_close)               \
    X(implementation, send_to_reset_peer_fails_without_signal)      \
    X(implementation, polls_once)                                   \
    X(implementation, polls_until_cancelled)                        \
    X(implementation, poll_reports_half_close)                      \
    X(implementation, cancelled_operations_complete_once)           \
    X(implementation, cancel_of_nothing_is_silent)                  \
    X(implementation, full_submission_queue_submits_first)          \
    X(implementation, completions_beyond_max_stay_queued)           \
    X(implementation, submit_sends_without_wait)                    \
    X(implementation, wake_from_foreign_thread_ends_wait)           \
    X(implementation, wake_from_other_ring_ends_wait)               \
    X(implementation, wake_before_wait_is_not_lost)                 \
    X(implementation, timeout_advances_now)                         \
    X(implementation, peer_address_is_known)                        \
    X(implementation, number_of_closed_descriptor_is_used_again)    \
    X(implementation, receives_while_a_send_waits)                  \
    X(implementation, keeps_thousands_of_operations_apart)          \
    X(implementation, serves_everyone_when_max_is_small)            \
    X(implementation, reads_a_file_in_order_to_its_end)             \
    X(implementation, opens_nothing_outside_of_the_folder)          \
    X(implementation, opens_through_links_that_stay_inside)         \
    X(implementation, open_of_a_fifo_does_not_wait)                 \
    X(implementation, file_status_tells_what_was_opened)            \
    X(implementation, cancelled_file_operations_complete_once)      \
    X(implementation, destroy_ends_reads_of_files)                  \
    X(implementation, destroy_cancels_what_is_in_flight)

/* The script itself: void ring_contract_<script>(const struct ring_contract_world *world). */
#define RING_CONTRACT_DECLARE_SCRIPT(implementation, script) \
    void ring_contract_##script(const struct ring_contract_world *world);
RING_CONTRACT_SCRIPTS(RING_CONTRACT_DECLARE_SCRIPT, all)
#undef RING_CONTRACT_DECLARE_SCRIPT

/* The CUnit test: void ring_contract_<implementation>_<script>(void). */
#define RING_CONTRACT_DECLARE(implementation, script) \
    void ring_contract_##implementation##_##script(void);
#define RING_CONTRACT_DEFINE(implementation, script, world) \
    void ring_contract_##implementation##_##script(void)    \
    {                                                       \
        ring_contract_##script(world);                      \
    }

RING_CONTRACT_SCRIPTS(RING_CONTRACT_DECLARE, uring)
RING_CONTRACT_SCRIPTS(RING_CONTRACT_DECLARE, epoll)
RING_CONTRACT_SCRIPTS(RING_CONTRACT_DECLARE, sim)

#endif
