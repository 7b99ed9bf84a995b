/* SPDX-License-Identifier: MIT */
/* The access log. A record is as large as what it has to remember and comes from the core's heap;
 * where that is used up, the line is left out rather than the request. */
#include "engine/access.h"

#include "engine/report.h"

#define TARGET_SIZE_MAX     512
#define USER_AGENT_SIZE_MAX 128

struct access {
    uint64_t begin_ms;
    uint64_t size; /* of the response's content */
    uint16_t status_code;
    uint16_t target_size;
    uint16_t user_agent_size;
    uint8_t method; /* enum http_method */
    uint8_t reserved;
    uint8_t bytes[]; /* target, user agent */
};

static void access_free(struct transport *transport);
static void line_write(const struct transport *transport, struct log_line *line);
static const char *outcome_name(const struct access *access, enum gyr_outcome outcome);

static struct access *access_of(const struct transport *transport)
{
    const struct core *core = transport->core;
    return LIKELY(!core->visitors_used) ? NULL : core->guard.visitors[transport->index].access;
}

void access_begin(struct transport *transport, const struct http_request *head,
                  const uint8_t *bytes)
{
    int index = http_request_find(head, bytes, SPAN_LITERAL("User-Agent"), 0);
    struct span user_agent = {0};
    if (index >= 0) {
        user_agent = http_slice_span(head->fields[index].value, bytes);
        user_agent.size = MIN(user_agent.size, (size_t)USER_AGENT_SIZE_MAX);
    }
    struct span target = http_slice_span(head->target, bytes);
    target.size = MIN(target.size, (size_t)TARGET_SIZE_MAX);
    struct visitor *visitor = guard_visitor(transport);
    ASSERT(visitor->access == NULL);
    struct access *access =
        transport_alloc(transport, sizeof(*access) + target.size + user_agent.size);
    if (access == NULL) {
        return;
    }
    *access = (struct access){
        .begin_ms = transport->core->now_ms,
        .method = head->method,
        .target_size = (uint16_t)target.size,
        .user_agent_size = (uint16_t)user_agent.size,
    };
    memcpy(access->bytes, target.ptr, target.size);
    if (user_agent.size != 0) {
        memcpy(access->bytes + target.size, user_agent.ptr, user_agent.size);
    }
    visitor->access = access;
}

void access_note_answer(struct transport *transport, unsigned status_code, uint64_t size)
{
    struct access *access = access_of(transport);
    if (UNLIKELY(access != NULL)) {
        access->status_code = (uint16_t)status_code;
        access->size = size;
    }
}

void access_note_content(struct transport *transport, uint64_t size)
{
    struct access *access = access_of(transport);
    if (UNLIKELY(access != NULL)) {
        access->size += size;
    }
}

void access_write(struct transport *transport, enum gyr_outcome outcome)
{
    struct access *access = access_of(transport);
    struct log_line line;
    if (LIKELY(access == NULL)) {
        return;
    }
    if (report_begin(transport->core, GYR_LOG_INFO, "request", &line)) {
        line_write(transport, &line);
        log_number(&line, "status", access->status_code);
        log_number(&line, "size", access->size);
        log_number(&line, "duration_ms", transport->core->now_ms - access->begin_ms);
        log_text(&line, "outcome", outcome_name(access, outcome));
        log_span(&line, "user_agent",
                 span_of(access->bytes + access->target_size, access->user_agent_size));
        report_end(transport->core, &line);
    }
    if (outcome == GYR_DONE_UPGRADED) {
        access->begin_ms = transport->core->now_ms;
        return;
    }
    access_free(transport);
}

static const char *outcome_name(const struct access *access, enum gyr_outcome outcome)
{
    switch (outcome) {
    case GYR_DONE_ANSWERED:
        return "answered";
    case GYR_DONE_UPGRADED:
        return "upgraded";
    case GYR_DONE_ABORTED:
        break;
    }
    return access->status_code == 0 ? "unanswered" : "aborted";
}

void access_ws_end(struct transport *transport, uint16_t close_code)
{
    const struct access *access = access_of(transport);
    struct log_line line;
    if (LIKELY(access == NULL)) {
        return;
    }
    if (report_begin(transport->core, GYR_LOG_INFO, "websocket", &line)) {
        line_write(transport, &line);
        log_number(&line, "close_code", close_code);
        log_number(&line, "duration_ms", transport->core->now_ms - access->begin_ms);
        report_end(transport->core, &line);
    }
    access_free(transport);
}

void access_refused(struct transport *transport, unsigned status_code)
{
    struct log_line line;
    if ((transport->core->guard_flags & GUARD_F_ACCESS) == 0 || access_of(transport) != NULL ||
        !report_begin(transport->core, GYR_LOG_INFO, "request", &line)) {
        return;
    }
    struct address client;
    guard_client(transport, &client);
    log_address(&line, "client", &client);
    log_number(&line, "status", status_code);
    log_text(&line, "outcome", "refused");
    report_end(transport->core, &line);
}

static void line_write(const struct transport *transport, struct log_line *line)
{
    const struct access *access = access_of(transport);
    struct address client;
    guard_client(transport, &client);
    log_address(line, "client", &client);
    log_span(line, "method", http_method_name((enum http_method)access->method));
    log_span(line, "target", span_of(access->bytes, access->target_size));
}

static void access_free(struct transport *transport)
{
    struct visitor *visitor = guard_visitor(transport);
    struct access *access = visitor->access;
    visitor->access = NULL;
    transport_free(transport, access,
                   sizeof(*access) + access->target_size + access->user_agent_size);
}
