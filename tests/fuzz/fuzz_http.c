/* SPDX-License-Identifier: MIT */
/* A stream of pipelined requests with their bodies, parsed as a session would. The input is the
 * stream; it is parsed whole, byte by byte and in uneven steps, and all three must emit the same
 * heads, the same content and the same error at the same byte (invariant P1). Every part lies in
 * memory of its own size, so that the sanitizer sees a read past its end. */
#include "proto/http_body.h"
#include "proto/http_request.h"

#include <stdlib.h>

#define INPUT_SIZE_MAX 4096
#define BODY_SIZE_MAX  1000

/* Small, so that the fuzzer reaches them. */
static const struct http_limits limits = {
    .head_size_max = 512, .target_size_max = 128, .field_count_max = 8};

/* What a run has emitted, as far as two runs have to agree on it. */
struct outcome {
    uint64_t hash; /* of heads and content */
    size_t at;     /* end of the last complete head or piece of content */
    uint32_t head_count;
    int status;
};

struct session {
    struct outcome outcome;
    struct http_request request;
    struct http_body body;
    bool in_body;
};

static void hash_bytes(struct outcome *outcome, const void *bytes, size_t size)
{
    const uint8_t *byte = bytes;
    for (size_t i = 0; i < size; i++) {
        outcome->hash = (outcome->hash ^ byte[i]) * UINT64_C(0x100000001B3);
    }
}

static void hash_number(struct outcome *outcome, uint64_t number)
{
    hash_bytes(outcome, &number, sizeof(number));
}

static void hash_slice(struct session *session, struct http_slice slice, const uint8_t *bytes)
{
    ASSERT((uint32_t)slice.offset + slice.size <= session->request.head_size);
    hash_number(&session->outcome, slice.offset);
    hash_number(&session->outcome, slice.size);
    hash_bytes(&session->outcome, bytes + slice.offset, slice.size);
}

static void hash_head(struct session *session, const uint8_t *bytes)
{
    const struct http_request *request = &session->request;
    ASSERT(request->field_count <= limits.field_count_max);
    ASSERT(request->head_size <= limits.head_size_max);
    ASSERT(request->target.size <= limits.target_size_max);
    ASSERT(request->method < HTTP_METHOD_COUNT && request->version_minor <= 1);
    ASSERT(request->host.size > 0 || request->version_minor == 0);
    hash_number(&session->outcome, request->method);
    hash_number(&session->outcome, request->flags);
    hash_number(&session->outcome, request->framing);
    hash_number(&session->outcome, request->content_length);
    hash_slice(session, request->target, bytes);
    hash_slice(session, request->path, bytes);
    hash_slice(session, request->query, bytes);
    hash_slice(session, request->host, bytes);
    hash_slice(session, request->ws_key, bytes);
    for (unsigned i = 0; i < request->field_count; i++) {
        hash_slice(session, request->fields[i].name, bytes);
        hash_slice(session, request->fields[i].value, bytes);
    }
}

/* Both step functions look at input[at, end) and return the status of the parser. */
static int head_step(struct session *session, const uint8_t *bytes, size_t size)
{
    struct http_request *request = &session->request;
    int status = http_request_parse(request, &limits, bytes, size);
    ASSERT(request->parsed_size <= size);
    if (status != 0) {
        return status;
    }
    ASSERT(request->head_size == request->parsed_size);
    hash_head(session, bytes);
    session->outcome.head_count++;
    session->outcome.at += request->head_size;
    http_body_init(&session->body, request);
    session->in_body = true;
    return 0;
}

static int body_step(struct session *session, const uint8_t *bytes, size_t size)
{
    size_t consumed = 0;
    struct span piece = {NULL, 0};
    int status = http_body_parse(&session->body, BODY_SIZE_MAX, bytes, size, &consumed, &piece);
    ASSERT(consumed <= size && piece.size <= consumed);
    ASSERT(piece.size == 0 || (piece.ptr >= bytes && piece.ptr + piece.size <= bytes + consumed));
    ASSERT(session->body.received <= BODY_SIZE_MAX);
    ASSERT(status != NEED_MORE || consumed > 0 || size == 0);
    hash_bytes(&session->outcome, piece.ptr, piece.size);
    session->outcome.at += consumed;
    if (status == 0) {
        hash_number(&session->outcome, session->body.received);
        http_request_reset(&session->request);
        session->in_body = false;
    }
    return status;
}

/* Take all that can be taken of input[0, end). */
static void session_step(struct session *session, const uint8_t *input, size_t end)
{
    struct outcome *outcome = &session->outcome;
    size_t before = 0;
    bool body_before = false;
    do {
        before = outcome->at;
        body_before = session->in_body;
        size_t size = end - before;
        uint8_t *bytes = malloc(size + (size == 0));
        if (bytes == NULL) {
            abort();
        }
        memcpy(bytes, input + before, size);
        outcome->status =
            session->in_body ? body_step(session, bytes, size) : head_step(session, bytes, size);
        free(bytes);
    } while (outcome->status >= 0 && (outcome->at != before || session->in_body != body_before));
}

/* step 0 stands for uneven steps. */
static struct outcome session_run(const uint8_t *input, size_t size, size_t step, uint64_t seed)
{
    static struct session session;
    session.outcome = (struct outcome){.hash = UINT64_C(0xCBF29CE484222325)};
    session.in_body = false;
    http_request_reset(&session.request);
    size_t end = 0;
    do {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        size_t more = step != 0 ? step : 1 + (size_t)(seed >> 33) % 37;
        end += MIN(more, size - end);
        session_step(&session, input, end);
    } while (session.outcome.status >= 0 && end < size);
    return session.outcome;
}

static void outcomes_compare(const struct outcome *a, const struct outcome *b)
{
    ASSERT(a->status == b->status);
    ASSERT(a->head_count == b->head_count);
    ASSERT(a->hash == b->hash);
    ASSERT(a->at == b->at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_SIZE_MAX) {
        return 0;
    }
    struct outcome whole = session_run(data, size, MAX(size, 1), 0);
    struct outcome bytewise = session_run(data, size, 1, 0);
    struct outcome uneven = session_run(data, size, 0, whole.hash);
    outcomes_compare(&whole, &bytewise);
    outcomes_compare(&whole, &uneven);
    return 0;
}
