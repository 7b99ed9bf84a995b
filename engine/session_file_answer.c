/* SPDX-License-Identifier: MIT */
/* What is answered about a file: its head, parts (RFC 9110 section 14), conditions (section 13),
 * redirects of folders, and errors. The order is that of section 13.2.2. */
#include "engine/session.h"
#include "engine/session_file.h"
#include "proto/http_condition.h"
#include "proto/http_range.h"
#include "proto/http_response.h"

#include <errno.h>

#define FIELD_COUNT_MAX 8
#define ETAG_SIZE_MAX   64
#define DATE_MAX        INT64_C(253402300799) /* the last that has four digits of a year */

/* The head of an answer while it is put together. */
struct answer {
    struct gyr_field fields[FIELD_COUNT_MAX];
    size_t field_count;
    struct http_validators validators;
    uint8_t etag[ETAG_SIZE_MAX];
    uint8_t modified[HTTP_DATE_SIZE];
    uint8_t content_range[HTTP_CONTENT_RANGE_SIZE];
};

static void answer_init(struct answer *answer, struct transport *transport,
                        const struct ring_file_status *status);
static void answer_add(struct answer *answer, struct gyr_span name, struct gyr_span value);
static size_t etag_write(uint8_t *text, const struct ring_file_status *status,
                         enum http_coding coding);
static void content_begin(struct transport *transport, struct answer *answer, unsigned status_code,
                          const struct http_part *part);
static void respond_plain(struct transport *transport, const struct gyr_response *response);
static void respond_late(struct transport *transport, unsigned status_code,
                         const struct answer *answer);
static void answered(struct transport *transport, int err);

static enum http_coding coding_of(const struct session_file *file)
{
    return file->codings[file->coding_index];
}

void session_file_answer(struct transport *transport, const struct ring_file_status *status)
{
    const struct session_file *file = transport->http.file;
    const struct session_question *question = file->question;
    struct http_part part = {.first = 0, .size = status->size};
    unsigned status_code = 200;
    struct answer answer;
    answer_init(&answer, transport, status);
    if (question != NULL) {
        switch (http_condition_judge(&question->head, question->bytes, &answer.validators)) {
        case HTTP_CONDITION_NOT_MODIFIED:
            respond_plain(transport, &(struct gyr_response){.size = sizeof(struct gyr_response),
                                                            .status_code = 304,
                                                            .fields = answer.fields,
                                                            .field_count = answer.field_count});
            return;
        case HTTP_CONDITION_FAILED:
            respond_late(transport, 412, &answer);
            return;
        case HTTP_CONDITION_MET:
            break;
        }
        int range = http_request_find(&question->head, question->bytes, SPAN_LITERAL("Range"), 0);
        /* Only GET has ranges (RFC 9110 section 14.2). */
        bool head = (transport->exchange->flags & EXCHANGE_F_NO_CONTENT) != 0;
        if (range >= 0 && !head &&
            http_condition_if_range(&question->head, question->bytes, &answer.validators)) {
            struct span value =
                http_slice_span(question->head.fields[range].value, question->bytes);
            enum http_range_kind kind = http_range_parse(value, status->size, &part);
            if (kind != HTTP_RANGE_NONE) {
                size_t size = http_content_range_write(
                    answer.content_range, kind == HTTP_RANGE_PART ? &part : NULL, status->size);
                answer_add(&answer, GYR_SPAN("Content-Range"),
                           span_public(span_of(answer.content_range, size)));
            }
            if (kind == HTTP_RANGE_UNSATISFIABLE) {
                respond_late(transport, 416, &answer);
                return;
            }
            status_code = kind == HTTP_RANGE_PART ? 206 : 200;
        }
    }
    content_begin(transport, &answer, status_code, &part);
}

/* What every answer about the file says, 304 included (section 15.4.5). */
static void answer_init(struct answer *answer, struct transport *transport,
                        const struct ring_file_status *status)
{
    const struct session_file *file = transport->http.file;
    struct ring *ring = transport->core->ring;
    int64_t now = (int64_t)ring->ops->wall_seconds(ring);
    /* A file from the future was modified now (section 8.8.2.1). */
    int64_t modified = MIN(MAX(status->modified_seconds, (int64_t)0), MIN(now, DATE_MAX));
    answer->field_count = 0;
    size_t etag_size = etag_write(answer->etag, status, coding_of(file));
    answer->validators = (struct http_validators){
        .etag = span_of(answer->etag, etag_size),
        .modified_seconds = modified,
        .now_seconds = now,
    };
    answer_add(answer, GYR_SPAN("ETag"), span_public(answer->validators.etag));
    if (file->files->precompressed) {
        answer_add(answer, GYR_SPAN("Vary"), GYR_SPAN("Accept-Encoding"));
    }
    if (file->files->cache_control_size != 0) {
        answer_add(answer, GYR_SPAN("Cache-Control"),
                   (struct gyr_span){file->files->cache_control, file->files->cache_control_size});
    }
}

static void answer_add(struct answer *answer, struct gyr_span name, struct gyr_span value)
{
    ASSERT(answer->field_count < FIELD_COUNT_MAX);
    answer->fields[answer->field_count++] = (struct gyr_field){name, value};
}

static size_t hex_write(uint8_t *text, uint64_t value)
{
    static const char DIGITS[] = "0123456789abcdef";
    size_t size = 1;
    while (size < 16 && value >> (4 * size) != 0) {
        size++;
    }
    for (size_t i = 0; i < size; i++) {
        text[size - 1 - i] = (uint8_t)DIGITS[value >> (4 * i) & 15];
    }
    return size;
}

/* Size and time of the last change, to the nanosecond, and the coding: each has its own
 * (section 8.8.3.3). */
static size_t etag_write(uint8_t *text, const struct ring_file_status *status,
                         enum http_coding coding)
{
    struct span name = http_coding_name(coding);
    size_t at = 0;
    text[at++] = '"';
    at += hex_write(text + at, status->size);
    text[at++] = '-';
    at += hex_write(text + at, (uint64_t)status->modified_seconds);
    text[at++] = '-';
    at += hex_write(text + at, status->modified_ns);
    if (name.size != 0) {
        text[at++] = '-';
        memcpy(text + at, name.ptr, name.size);
        at += name.size;
    }
    text[at++] = '"';
    ASSERT(at <= ETAG_SIZE_MAX);
    return at;
}

static void content_begin(struct transport *transport, struct answer *answer, unsigned status_code,
                          const struct http_part *part)
{
    struct session_file *file = transport->http.file;
    struct gyr_conn *exchange = transport->exchange;
    struct span coding = http_coding_name(coding_of(file));
    http_date_format((uint64_t)answer->validators.modified_seconds, answer->modified);
    answer_add(answer, GYR_SPAN("Last-Modified"),
               span_public(span_of(answer->modified, sizeof(answer->modified))));
    answer_add(answer, GYR_SPAN("Accept-Ranges"), GYR_SPAN("bytes"));
    if (coding.size != 0) {
        answer_add(answer, GYR_SPAN("Content-Encoding"), span_public(coding));
    }
    struct gyr_response response = {
        .size = sizeof(response),
        .status_code = status_code,
        .content_type = span_public(files_type_of(span_of(file->text, file->path_size))),
        .fields = answer->fields,
        .field_count = answer->field_count,
    };
    exchange->state = EXCHANGE_REQUEST; /* as it was when the service asked for the file */
    int err = session_stream_begin(exchange, &response, part->size);
    if (err < 0) {
        exchange->state = EXCHANGE_STREAMING;
        session_stream_break(exchange);
        return;
    }
    file->offset = part->first;
    file->end = part->first + part->size;
    if ((exchange->flags & EXCHANGE_F_NO_CONTENT) != 0) {
        file->end = file->offset;
    }
    session_file_read(transport);
}

/* ---- Answers without the file's content ---- */

unsigned session_file_status_code(int err)
{
    switch (err) {
    case -ENOENT:
    case -ENOTDIR:
    case -EISDIR:
    case -ELOOP:
    case -EXDEV:
    case -ENAMETOOLONG:
    case -ENXIO:  /* a socket */
    case -ENODEV: /* a device without a driver */
        return 404;
    case -EACCES:
    case -EPERM:
        return 403;
    default:
        return 503;
    }
}

void session_file_answer_error(struct transport *transport, int err)
{
    const struct session_file *file = transport->http.file;
    unsigned status_code = session_file_status_code(err);
    if (err == -EISDIR && file->redirect_size != 0) {
        struct gyr_field location = {GYR_LITERAL("Location"),
                                     span_public(span_of(file->redirect, file->redirect_size))};
        respond_plain(transport, &(struct gyr_response){.size = sizeof(struct gyr_response),
                                                        .status_code = 301,
                                                        .fields = &location,
                                                        .field_count = 1});
        return;
    }
    if (status_code == 503) {
        core_trouble(transport->core, err);
    }
    respond_late(transport, status_code, NULL);
}

int session_file_respond_error(struct gyr_conn *exchange, unsigned status_code,
                               const struct gyr_field *fields, size_t field_count)
{
    struct gyr_span text = GYR_SPAN("not now; try again later\n");
    if (status_code == 404) {
        text = GYR_SPAN("there is nothing here\n");
    } else if (status_code == 403) {
        text = GYR_SPAN("this file may not be read\n");
    } else if (status_code == 412) {
        text = GYR_SPAN("the file is not in the state that was asked for\n");
    } else if (status_code == 416) {
        text = GYR_SPAN("the file has no such range\n");
    }
    int err = session_http_respond(
        exchange, &(struct gyr_response){.size = sizeof(struct gyr_response),
                                         .status_code = status_code,
                                         .content_type = GYR_LITERAL("text/plain; charset=utf-8"),
                                         .content = text,
                                         .fields = fields,
                                         .field_count = field_count});
    if (err == 0) {
        STATS_ADD(&exchange_core(exchange)->stats, http_errors, 1);
    }
    return err;
}

static void respond_late(struct transport *transport, unsigned status_code,
                         const struct answer *answer)
{
    transport->exchange->state = EXCHANGE_REQUEST;
    answered(transport, session_file_respond_error(transport->exchange, status_code,
                                                   answer != NULL ? answer->fields : NULL,
                                                   answer != NULL ? answer->field_count : 0));
}

static void respond_plain(struct transport *transport, const struct gyr_response *response)
{
    transport->exchange->state = EXCHANGE_REQUEST;
    answered(transport, session_http_respond(transport->exchange, response));
}

/* The whole answer is queued, in no callback of the exchange: it is finished by session_work. */
static void answered(struct transport *transport, int err)
{
    if (err < 0) {
        transport->exchange->state = EXCHANGE_STREAMING;
        session_stream_break(transport->exchange);
        return;
    }
    transport->http.stream.flags |= HTTP_STREAM_F_ENDED;
    transport_mark(transport, TRANSPORT_F_WORK);
    session_file_free(transport);
}
