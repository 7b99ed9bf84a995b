/* SPDX-License-Identifier: MIT */
/* The inside of an answer with a file, shared by session_file.c (opening, reading, ends) and
 * session_file_answer.c (what is said about it). What others may call is in engine/session.h. */
#ifndef ENGINE_SESSION_FILE_H
#define ENGINE_SESSION_FILE_H

#include "engine/exchange.h"
#include "engine/files.h"
#include "proto/http_accept.h"

/* Conditions and Range of the request, as a head that holds nothing else. */
struct session_question {
    size_t memory_size;
    struct http_request head;
    uint8_t bytes[];
};

struct session_file {
    const struct gyr_files *files;     /* borrowed */
    struct session_question *question; /* owned; NULL: nothing of the kind was asked */
    struct entry *entry;               /* owned; the ring's while a read is in flight */
    uint64_t offset;                   /* of the next piece */
    uint64_t end;                      /* of what was asked for */
    size_t memory_size;
    size_t path_size;  /* of the file's path, without the ending of a coding */
    uint8_t *redirect; /* Location if the path turns out to be a folder; behind it in `text` */
    size_t redirect_size;
    int fd;        /* owned; -1: not open yet */
    bool inflight; /* an operation of it (C1) */
    uint8_t retries;
    uint8_t coding_index; /* of what is being opened, or is open */
    uint8_t coding_count;
    enum http_coding codings[HTTP_CODING_COUNT]; /* to be tried, in their order */
    uint8_t text[];
};

/* The file is open: write the head, and begin to read if there is content. */
void session_file_answer(struct transport *transport, const struct ring_file_status *status);
/* It cannot be opened: `err` is -errno. */
void session_file_answer_error(struct transport *transport, int err);
/* 404, 403 or 503. */
unsigned session_file_status_code(int err);
/* Answer with a short text; `fields` are added. Errors as gyr_respond. */
MUST_CHECK int session_file_respond_error(struct gyr_conn *exchange, unsigned status_code,
                                          const struct gyr_field *fields, size_t field_count);

/* Close it. Nothing may be in flight. */
void session_file_free(struct transport *transport);

#endif
