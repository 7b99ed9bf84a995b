/* SPDX-License-Identifier: MIT */
/* One answer with a file, read through the ring in pieces: the next is read when the queue has
 * fallen, straight into an entry of it, so that neither the file's size nor a slow reader takes
 * memory. What is answered stands in engine/session_file_answer.c.
 *
 *     session_file_begin --> OPENING --(file_status) session_file_answer--> READING --> no file
 *                            ^     |                                        ^     |
 *                            +-----+ another coding, or again               +-----+ piece by piece
 *
 * At most one operation is in flight. While it is, its memory and the descriptor are the ring's,
 * whatever has become of the connection: then the file stays with the transport, which is CLOSING,
 * until the completion (C1), and a descriptor that arrives so late is closed. */
#include "engine/session_file.h"

#include "engine/session.h"
#include "proto/http_path.h"

#include <errno.h>

#define PIECE_SIZE_MAX 65536
#define RETRIES_MAX    3 /* of an operation that was interrupted, or met a rename */

static int file_create(struct transport *transport, const struct gyr_request *request,
                       const struct gyr_files *files, struct span path);
static size_t redirect_size_of(const struct gyr_request *request);
static void redirect_write(struct session_file *file, const struct gyr_request *request);
static int question_keep(struct transport *transport, struct session_file *file,
                         const struct gyr_request *request);
static bool field_is_asked(struct span name);
static void op_begin(struct transport *transport);
static void open_start(struct transport *transport);
static void on_open(struct transport *transport, int result);
static void open_failed(struct transport *transport, int err);
static void on_read(struct transport *transport, int result);

int session_file_begin(struct gyr_conn *exchange, const struct gyr_request *request,
                       const struct gyr_files *files, struct span path)
{
    struct transport *transport = exchange->transport;
    if (exchange->state != EXCHANGE_REQUEST || (exchange->flags & EXCHANGE_F_IN_REQUEST) == 0) {
        return GYR_ERR_STATE;
    }
    if (request->head->method != HTTP_GET && request->head->method != HTTP_HEAD) {
        int err = gyr_respond_not_allowed(exchange, "GET, HEAD");
        STATS_ADD(&transport->core->stats, http_errors, err == 0);
        return err;
    }
    int err = file_create(transport, request, files, path);
    if (err == GYR_ERR_HTTP_NOT_FOUND) {
        return session_file_respond_error(exchange, 404, NULL, 0);
    }
    if (err < 0) {
        return err;
    }
    exchange->state = EXCHANGE_STREAMING;
    open_start(transport);
    return 0;
}

static int file_create(struct transport *transport, const struct gyr_request *request,
                       const struct gyr_files *files, struct span path)
{
    /* Behind the path: the name of the index, the ending of a coding, NUL. */
    size_t path_room = path.size + 1 + files->index_size + sizeof(".br");
    size_t redirect_size = files->index_size != 0 ? redirect_size_of(request) : 0;
    size_t memory_size = sizeof(struct session_file) + path_room + redirect_size;
    struct session_file *file = transport_alloc(transport, memory_size);
    if (file == NULL) {
        return GYR_ERR_MEMORY;
    }
    *file = (struct session_file){
        .files = files,
        .memory_size = memory_size,
        .fd = -1,
        .redirect = file->text + path_room,
    };
    transport->http.file = file;
    bool folder;
    size_t size;
    int err = http_path_decode(path, file->text, &size, &folder);
    if (err == 0 && folder && files->index_size == 0) {
        err = GYR_ERR_HTTP_NOT_FOUND;
    }
    if (err == 0) {
        err = question_keep(transport, file, request);
    }
    if (err < 0) {
        session_file_free(transport);
        return err;
    }
    if (folder) {
        if (size != 0) {
            file->text[size++] = '/';
        }
        memcpy(file->text + size, files->index, files->index_size);
        size += files->index_size;
    } else if (redirect_size != 0) {
        redirect_write(file, request);
    }
    file->path_size = size;
    file->coding_count = 1;
    if (files->precompressed) {
        file->coding_count =
            (uint8_t)http_accept_codings(request->head, request->bytes, file->codings);
    }
    return 0;
}

/* Where a folder without its slash is found: what was asked for, with the slash. 0 if it begins
 * with two: that would name another host (RFC 3986 section 4.2). And 0 if it has its slash: then
 * the service serves another path than was asked for, and this would go on for ever. */
static size_t redirect_size_of(const struct gyr_request *request)
{
    struct span path = http_slice_span(request->head->path, request->bytes);
    if (path.size != 0 && (path.ptr[0] != '/' || (path.size > 1 && path.ptr[1] == '/') ||
                           path.ptr[path.size - 1] == '/')) {
        return 0;
    }
    return path.size + 1 + request->head->query.size + 1;
}

static void redirect_write(struct session_file *file, const struct gyr_request *request)
{
    struct span path = http_slice_span(request->head->path, request->bytes);
    struct span query = http_slice_span(request->head->query, request->bytes);
    uint8_t *at = file->redirect;
    memcpy(at, path.ptr, path.size);
    at += path.size;
    *at++ = '/';
    if (query.size != 0) {
        *at++ = '?';
        memcpy(at, query.ptr, query.size);
        at += query.size;
    }
    file->redirect_size = (size_t)(at - file->redirect);
}

/* The fields that can only be judged when the file is known, as a head of their own: the request is
 * gone by then. */
static int question_keep(struct transport *transport, struct session_file *file,
                         const struct gyr_request *request)
{
    const struct http_request *head = request->head;
    size_t size = 0;
    for (unsigned i = 0; i < head->field_count; i++) {
        if (field_is_asked(http_slice_span(head->fields[i].name, request->bytes))) {
            size += (size_t)head->fields[i].name.size + head->fields[i].value.size;
        }
    }
    if (size == 0) {
        return 0;
    }
    struct session_question *question = transport_alloc(transport, sizeof(*question) + size);
    if (question == NULL) {
        return GYR_ERR_MEMORY;
    }
    http_request_reset(&question->head);
    question->memory_size = sizeof(*question) + size;
    size_t at = 0;
    for (unsigned i = 0; i < head->field_count; i++) {
        struct span name = http_slice_span(head->fields[i].name, request->bytes);
        struct span value = http_slice_span(head->fields[i].value, request->bytes);
        if (!field_is_asked(name)) {
            continue;
        }
        struct http_field *field = &question->head.fields[question->head.field_count++];
        field->name = (struct http_slice){(uint16_t)at, (uint16_t)name.size};
        memcpy(question->bytes + at, name.ptr, name.size);
        at += name.size;
        field->value = (struct http_slice){(uint16_t)at, (uint16_t)value.size};
        memcpy(question->bytes + at, value.ptr, value.size);
        at += value.size;
    }
    file->question = question;
    return 0;
}

static bool field_is_asked(struct span name)
{
    static const struct span NAMES[] = {
        SPAN_STATIC("Range"),
        SPAN_STATIC("If-Range"),
        SPAN_STATIC("If-Match"),
        SPAN_STATIC("If-None-Match"),
        SPAN_STATIC("If-Modified-Since"),
        SPAN_STATIC("If-Unmodified-Since"),
    };
    if (LIKELY(ascii_lower(name.ptr[0]) != 'i' && ascii_lower(name.ptr[0]) != 'r')) {
        return false;
    }
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        if (span_equal_nocase(name, NAMES[i])) {
            return true;
        }
    }
    return false;
}

/* ---- Operations ---- */

static uint64_t op_user_data(const struct transport *transport)
{
    return core_user_data(CORE_OP_FILE, transport->generation, transport->index);
}

static void op_begin(struct transport *transport)
{
    struct session_file *file = transport->http.file;
    ASSERT(!file->inflight);
    file->inflight = true;
    transport->inflight++;
}

void session_file_on_completion(struct transport *transport, const struct completion *completion)
{
    struct session_file *file = transport->http.file;
    ASSERT(file != NULL && file->inflight && transport->inflight > 0);
    transport->inflight--;
    file->inflight = false;
    bool opening = file->fd < 0;
    if (opening && completion->result >= 0) {
        file->fd = completion->result;
    }
    if (transport->state == TRANSPORT_CLOSING) {
        session_file_free(transport);
        return;
    }
    if (!transport_is_live(transport)) {
        return; /* it is about to be cut, and the file with it */
    }
    if (opening) {
        on_open(transport, completion->result);
    } else {
        on_read(transport, completion->result);
    }
}

static void open_start(struct transport *transport)
{
    static const char *const ENDINGS[HTTP_CODING_COUNT] = {
        [HTTP_CODING_IDENTITY] = "", [HTTP_CODING_GZIP] = ".gz", [HTTP_CODING_BR] = ".br"};
    struct session_file *file = transport->http.file;
    struct ring *ring = transport->core->ring;
    const char *ending = ENDINGS[file->codings[file->coding_index]];
    memcpy(file->text + file->path_size, ending, strlen(ending) + 1);
    op_begin(transport);
    ring->ops->open_start(ring, file->files->folder_fd, (const char *)file->text,
                          op_user_data(transport));
}

static void on_open(struct transport *transport, int result)
{
    struct session_file *file = transport->http.file;
    struct ring *ring = transport->core->ring;
    struct ring_file_status status;
    int err = result;
    if (result >= 0) {
        err = ring->ops->file_status(ring, file->fd, &status);
        if (err == 0 && !status.is_regular) {
            err = status.is_folder ? -EISDIR : -ENOENT;
        }
    }
    if (err < 0) {
        open_failed(transport, err);
        return;
    }
    file->retries = 0;
    session_file_answer(transport, &status);
}

/* Try the next coding, or again, or say what is wrong. */
static void open_failed(struct transport *transport, int err)
{
    struct session_file *file = transport->http.file;
    if (file->fd >= 0) {
        transport->core->ring->ops->close(transport->core->ring, file->fd);
        file->fd = -1;
    }
    if ((err == -EINTR || err == -EAGAIN) && file->retries < RETRIES_MAX) {
        file->retries++;
        open_start(transport);
        return;
    }
    if (file->codings[file->coding_index] != HTTP_CODING_IDENTITY &&
        session_file_status_code(err) != 503) {
        file->coding_index++;
        ASSERT(file->coding_index < file->coding_count);
        open_start(transport);
        return;
    }
    session_file_answer_error(transport, err);
}

void session_file_read(struct transport *transport)
{
    struct session_file *file = transport->http.file;
    struct core *core = transport->core;
    if (file->inflight || file->fd < 0 || !transport_is_live(transport)) {
        return; /* what is in flight goes on with it */
    }
    if (file->offset == file->end) {
        int err = session_stream_end(transport->exchange);
        ASSERT(err == 0);
        session_file_free(transport);
        return;
    }
    uint64_t queue_max = core->config->send_queue_size_max;
    uint64_t size = MIN(file->end - file->offset, MIN((uint64_t)PIECE_SIZE_MAX, queue_max / 2));
    if (!transport_is_drained(transport) || transport_queued_size(transport) + size > queue_max) {
        /* The queue is not empty, so a send will complete and look at this flag. */
        transport_mark(transport, TRANSPORT_F_DRAIN_OWED);
        return;
    }
    file->entry = entry_create(transport, (size_t)size);
    if (file->entry == NULL) {
        session_stream_break(transport->exchange);
        return;
    }
    op_begin(transport);
    core->ring->ops->read_start(core->ring, file->fd, entry_payload(file->entry), (size_t)size,
                                file->offset, op_user_data(transport));
}

static void on_read(struct transport *transport, int result)
{
    struct session_file *file = transport->http.file;
    struct core *core = transport->core;
    struct entry *entry = file->entry;
    file->entry = NULL;
    if (result <= 0) {
        entry_free(transport, entry);
        if ((result == -EINTR || result == -EAGAIN) && file->retries < RETRIES_MAX) {
            file->retries++;
            session_file_read(transport);
            return;
        }
        if (result < 0) {
            core_trouble(core, result);
        }
        /* Or it has become shorter: Content-Length can no longer be kept. */
        session_stream_break(transport->exchange);
        return;
    }
    file->retries = 0;
    entry->size = (uint32_t)result;
    int err = session_stream_entry(transport->exchange, entry);
    if (err == GYR_ERR_BACKPRESSURE) {
        session_file_read(transport); /* the same piece again, when the queue has drained */
        return;
    }
    if (err < 0) {
        session_stream_break(transport->exchange);
        return;
    }
    file->offset += (uint32_t)result;
    STATS_ADD(&core->stats, file_bytes, (uint64_t)result);
    session_file_read(transport);
}

/* ---- Ends ---- */

void session_file_cut(struct transport *transport)
{
    struct session_file *file = transport->http.file;
    if (file->inflight) {
        struct ring *ring = transport->core->ring;
        ring->ops->cancel(ring, op_user_data(transport));
        return;
    }
    session_file_free(transport);
}

void session_file_free(struct transport *transport)
{
    struct session_file *file = transport->http.file;
    ASSERT(!file->inflight);
    if (file->fd >= 0) {
        transport->core->ring->ops->close(transport->core->ring, file->fd);
    }
    entry_free(transport, file->entry);
    if (file->question != NULL) {
        transport_free(transport, file->question, file->question->memory_size);
    }
    transport_free(transport, file, file->memory_size);
    transport->http.file = NULL;
}
