/* SPDX-License-Identifier: MIT */
/* The inside of the ring made of memory; for tests/engine_kit.c alone. */
#ifndef TESTS_ENGINE_KIT_RING_H
#define TESTS_ENGINE_KIT_RING_H

#include "tests/engine_kit.h"

#define FD_LISTENER 999
#define FD_FIRST    1000

#define FD_FILE_FIRST 50000
#define KIT_FILES_MAX 128

struct chunk {
    struct chunk *next;
    size_t size;
    size_t taken;
    uint8_t bytes[];
};

struct kit_socket {
    struct chunk *first; /* owned; what has arrived and was not received */
    struct chunk *last;
    struct kit_bytes out;
    uint64_t recv_user_data; /* of a receive or a poll */
    uint64_t send_user_data;
    const uint8_t *send_bytes;
    size_t send_size;
    size_t room;
    uint32_t poll_events;
    int send_err;
    int shut; /* our stream: 1 ended, 2 both */
    bool used;
    bool closed;
    bool reset;
    bool receiving; /* recv_start */
    bool polling;   /* poll_start */
    bool recv_cancelled;
    bool poll_seen; /* reported, and nothing has changed since */
    bool sending;
    bool send_cancelled;
    bool send_quiet;   /* completes only if it does not send everything */
    bool send_settled; /* quiet: it has been submitted; send_result is what came of it */
    int64_t send_result;
    bool end;  /* the peer has ended its stream */
    bool lost; /* the peer has reset it */
};

/* ---- files (tests/engine_kit_file.c) ---- */

struct kit_file {
    char path[300];
    const uint8_t *bytes; /* borrowed */
    size_t size;
    int64_t modified_seconds;
    uint32_t modified_ns;
    bool is_regular;
    bool is_folder;
    int err; /* of opening it */
};

struct kit_file_op {
    uint64_t user_data;
    const char *path; /* NULL: a read */
    int fd;
    uint8_t *bytes;
    size_t size;
    uint64_t offset;
    bool cancelled;
};

struct kit_files {
    struct kit_file files[KIT_FILES_MAX];
    unsigned count;
    struct kit_file *fds[4096]; /* by descriptor; NULL: closed */
    unsigned fd_count;
    struct kit_file_op ops[KIT_FILES_MAX]; /* in flight, in their order */
    unsigned op_count;
    unsigned opens;
    unsigned reads;
    unsigned cancels;
    size_t read_max;
    int fail;
    unsigned steps; /* that are let through although they are held */
    bool hold;
    bool obey;
};

struct kit_file *kit_file_find(struct kit_files *files, const char *path);
void kit_files_open_start(struct kit_files *files, const char *path, uint64_t user_data);
void kit_files_read_start(struct kit_files *files, int fd, void *bytes, size_t size,
                          uint64_t offset, uint64_t user_data);
void kit_files_cancel(struct kit_files *files, uint64_t user_data);
/* The next completion, if there is one. */
bool kit_files_complete(struct kit_files *files, uint64_t *user_data, int64_t *result);
void kit_files_status(struct kit_files *files, int fd, struct ring_file_status *status);
void kit_files_close(struct kit_files *files, int fd);
void kit_files_end(const struct kit_files *files);

struct kit_ring {
    struct ring base;
    struct kit_files files;
    struct kit_socket sockets[KIT_SOCKETS_MAX];
    unsigned socket_count;
    unsigned accepted; /* sockets before this one were reported */
    uint64_t accept_user_data;
    bool accepting;
    bool accept_cancelled;
    bool listener_closed;
    int accept_err;
    bool hold_cancel;
    bool idle;          /* the core would have slept */
    uint32_t out_count; /* buffers that the engine has */
    bool buffer_out[4096];
    const uint8_t *sent_last;
    unsigned sends;
    struct completion *completions; /* of the current wait */
    unsigned count;
    unsigned max;
};

extern const struct ring_ops kit_ring_ops;

/* A rule is broken: say which, and end the program. */
__attribute__((noreturn)) void kit_broken(const char *what);

void kit_bytes_add(struct kit_bytes *bytes, const void *more, size_t size);

#endif
