/* SPDX-License-Identifier: MIT */
/* Server-sent events (HTML Living Standard, section 9.2) as pieces of a response. Each is measured
 * first and then written where it goes out from. Journey: hop 9 for requests. */
#include "engine/session.h"

#include <stdio.h>

#define PIECE_MAX ((size_t)UINT32_MAX / 2) /* as session_stream_part */

static int event_check(const struct gyr_event *event);
static bool has_any(struct gyr_span span, const char *bytes, size_t count);
static size_t lines_size(struct span prefix, struct span text);
static uint8_t *lines_write(uint8_t *at, struct span prefix, struct span text);
static bool line_take(struct span *rest, struct span *line);
static uint8_t *span_write(uint8_t *at, struct span span);

int gyr_events_begin(struct gyr_conn *conn)
{
    static const struct gyr_field FIELD = {GYR_LITERAL("Cache-Control"), GYR_LITERAL("no-store")};
    return gyr_respond_begin(conn, &(struct gyr_response){
                                       .size = sizeof(struct gyr_response),
                                       .status_code = 200,
                                       .content_type = GYR_LITERAL("text/event-stream"),
                                       .fields = &FIELD,
                                       .field_count = 1,
                                   });
}

int gyr_events_send(struct gyr_conn *conn, const struct gyr_event *given)
{
    struct gyr_event event = {0};
    memcpy(&event, given, MIN(given->size, sizeof(event)));
    int err = event_check(&event);
    if (err < 0) {
        return err;
    }
    static const struct span EVENT = SPAN_STATIC("event: ");
    static const struct span ID = SPAN_STATIC("id: ");
    static const struct span DATA = SPAN_STATIC("data: ");
    char retry[24] = "";
    int retry_size = 0;
    if (event.retry_ms != 0) {
        retry_size = snprintf(retry, sizeof(retry), "retry: %u\n", event.retry_ms);
    }
    bool has_event = event.event.size != 0;
    bool has_id = event.id.ptr != NULL;
    bool has_data = event.data.ptr != NULL;
    size_t size = (has_event ? lines_size(EVENT, span_internal(event.event)) : 0) +
                  (has_id ? lines_size(ID, span_internal(event.id)) : 0) + (size_t)retry_size +
                  (has_data ? lines_size(DATA, span_internal(event.data)) : 0) + 1;
    uint8_t *at;
    err = session_stream_reserve(conn, size, &at);
    if (at == NULL) {
        return err;
    }
    if (has_event) {
        at = lines_write(at, EVENT, span_internal(event.event));
    }
    if (has_id) {
        at = lines_write(at, ID, span_internal(event.id));
    }
    at = span_write(at, span_of(retry, (size_t)retry_size));
    if (has_data) {
        at = lines_write(at, DATA, span_internal(event.data));
    }
    *at = '\n'; /* which dispatches it */
    return session_stream_commit(conn, size);
}

int gyr_events_comment(struct gyr_conn *conn, struct gyr_span text)
{
    static const struct span COLON = SPAN_STATIC(": ");
    if (text.size > PIECE_MAX) {
        return GYR_ERR_ARGUMENT;
    }
    size_t size = lines_size(COLON, span_internal(text));
    uint8_t *at;
    int err = session_stream_reserve(conn, size, &at);
    if (at == NULL) {
        return err;
    }
    (void)lines_write(at, COLON, span_internal(text));
    return session_stream_commit(conn, size);
}

/* What would end a field's line where it must not, or makes clients ignore it. */
static int event_check(const struct gyr_event *event)
{
    static const char FORBIDDEN[] = {'\r', '\n', '\0'};
    if (event->size == 0 || event->event.size > PIECE_MAX || event->data.size > PIECE_MAX ||
        event->id.size > PIECE_MAX || has_any(event->event, FORBIDDEN, sizeof(FORBIDDEN)) ||
        has_any(event->id, FORBIDDEN, sizeof(FORBIDDEN))) {
        return GYR_ERR_ARGUMENT;
    }
    return 0;
}

static bool has_any(struct gyr_span span, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count && span.size != 0; i++) {
        if (memchr(span.ptr, bytes[i], span.size) != NULL) {
            return true;
        }
    }
    return false;
}

/* Each line of the text with the prefix in front and LF behind it. */
static size_t lines_size(struct span prefix, struct span text)
{
    size_t size = 0;
    bool more = true;
    while (more) {
        struct span line;
        more = line_take(&text, &line);
        size += prefix.size + line.size + 1;
    }
    return size;
}

static uint8_t *lines_write(uint8_t *at, struct span prefix, struct span text)
{
    bool more = true;
    while (more) {
        struct span line;
        more = line_take(&text, &line);
        at = span_write(at, prefix);
        at = span_write(at, line);
        *at++ = '\n';
    }
    return at;
}

/* The next line; CR, LF and CRLF end one. False for the last: behind an end there is another line,
 * which may be empty. */
static bool line_take(struct span *rest, struct span *line)
{
    size_t size = 0;
    while (size < rest->size && rest->ptr[size] != '\r' && rest->ptr[size] != '\n') {
        size++;
    }
    *line = span_of(rest->ptr, size);
    if (size == rest->size) {
        return false;
    }
    size_t taken = size + 1;
    if (rest->ptr[size] == '\r' && taken < rest->size && rest->ptr[taken] == '\n') {
        taken++;
    }
    *rest = span_of(rest->ptr + taken, rest->size - taken);
    return true;
}

static uint8_t *span_write(uint8_t *at, struct span span)
{
    if (span.size != 0) {
        memcpy(at, span.ptr, span.size);
    }
    return at + span.size;
}
