/* SPDX-License-Identifier: MIT */
/* Answers instead of what was asked for: refusals, failures, errors and values in JSON. */
#include "router/visit_parts.h"

#include "proto/ws_close.h"

struct http_error {
    struct gyr_span code;
    struct gyr_span reason;
    struct gyr_span path;
    bool has_path;
};
GYR_PART(http_error, GYR_MEMBER(http_error, code), GYR_MEMBER(http_error, reason),
         GYR_MEMBER(http_error, path, GYR_HAS(http_error, has_path)));

static int refuse_with(struct visit *visit, unsigned status_code, struct gyr_span text);
static int refuse_close(struct visit *visit);

int refuse_answer(struct visit *visit, int err)
{
    bool handshake = (visit->flags & VISIT_F_HANDSHAKE) != 0;
    int result;
    if (err == GYR_ERR_REFUSED && (visit->flags & VISIT_F_REFUSE_CLOSE) != 0 && handshake) {
        result = refuse_close(visit);
    } else if (err == GYR_ERR_REFUSED && (visit->flags & VISIT_F_REFUSED) != 0) {
        result = refuse_with(visit, visit->refuse_code, visit->refuse_text);
    } else {
        unsigned status_code = error_status_code(err);
        const char *text = status_code != 0 ? gyr_strerror(err) : "internal error";
        result = refuse_with(visit, status_code != 0 ? status_code : 500,
                             (struct gyr_span){text, strlen(text)});
    }
    if (result == GYR_ERR_STATE) {
        /* It was answered. A response in pieces is broken off; of what has become a WebSocket
         * already nothing is accepted. */
        result = err;
    }
    if (handshake) {
        visit->flags |= VISIT_F_REFUSE_CLOSE;
    }
    return result;
}

static int refuse_with(struct visit *visit, unsigned status_code, struct gyr_span text)
{
    struct gyr_field retry = {GYR_LITERAL("Retry-After"), GYR_LITERAL("1")};
    struct gyr_response response = {
        .size = sizeof(response),
        .status_code = status_code,
        .content = text,
        .fields = &retry,
        .field_count = status_code == 503,
    };
    if (text.size != 0) {
        response.content_type = GYR_SPAN("text/plain; charset=utf-8");
    }
    return gyr_respond(visit->conn, &response);
}

/* What a browser's script can see (RFC 6455 section 7.1.5): a Close right behind the 101. */
static int refuse_close(struct visit *visit)
{
    int err = gyr_upgrade(visit->conn, NULL);
    return err < 0 ? err : gyr_close(visit->conn, (uint16_t)visit->refuse_code, visit->refuse_text);
}

/* May it be refused still? Of an event that has failed the first error counts, and a gift that
 * nobody knows is one, whose name stands where the text would. */
static bool refuse_may(const struct visit *visit)
{
    if ((visit->flags & VISIT_F_BAD_GIFT) != 0) {
        return false;
    }
    bool connect = visit->stage <= VISIT_AFTER;
    bool body = visit->stage == VISIT_ANSWERED && (visit->flags & VISIT_F_HANDSHAKE) == 0;
    return (connect || body) && visit->err == 0;
}

static void refuse_keep(struct visit *visit, unsigned code, struct gyr_span text, unsigned flag)
{
    /* Without memory the text is left out: the code says enough. */
    char *copy = text.size != 0 ? visit_keep_alloc(visit, text.size) : NULL;
    visit->refuse_text = (struct gyr_span){0};
    if (copy != NULL) {
        memcpy(copy, text.ptr, text.size);
        visit->refuse_text = (struct gyr_span){copy, text.size};
    }
    visit->refuse_code = (uint16_t)code;
    visit->flags &= ~(uint32_t)(VISIT_F_REFUSED | VISIT_F_REFUSE_CLOSE);
    visit->flags |= (uint16_t)flag;
}

int gyr_refuse(struct gyr_conn *conn, unsigned status_code, struct gyr_span text)
{
    struct visit *visit = visit_of(conn);
    if (refuse_may(visit)) {
        bool valid = status_code >= 400 && status_code <= 599;
        refuse_keep(visit, valid ? status_code : 403, text, VISIT_F_REFUSED);
    }
    return GYR_ERR_REFUSED;
}

int gyr_refuse_close(struct gyr_conn *conn, uint16_t close_code, struct gyr_span reason)
{
    struct visit *visit = visit_of(conn);
    if (!refuse_may(visit)) {
        return GYR_ERR_REFUSED;
    }
    if ((visit->flags & VISIT_F_HANDSHAKE) == 0) {
        refuse_keep(visit, 403, reason, VISIT_F_REFUSED);
    } else {
        bool valid = ws_close_code_is_valid(close_code);
        refuse_keep(visit, valid ? close_code : WS_CLOSE_POLICY, reason, VISIT_F_REFUSE_CLOSE);
    }
    return GYR_ERR_REFUSED;
}

/* ---- answers in JSON ---- */

int gyr_respond_msg(struct gyr_conn *conn, unsigned status_code, const struct gyr_schema *schema,
                    const void *value)
{
    struct app_core *core = app_core_of(gyr_conn_core(conn));
    struct json_write how = {0};
    uint8_t *bytes = core->out;
    uint8_t *grown = NULL;
    size_t size = 0;
    int err = json_write(&how, schema, value, bytes, core->out_size, &size);
    if (err == GYR_ERR_LIMIT) {
        grown = engine_core_alloc(core->core, size);
        if (grown == NULL) {
            return GYR_ERR_MEMORY;
        }
        bytes = grown;
        err = json_write(&how, schema, value, bytes, size, &size);
    }
    if (err == 0) {
        err = gyr_respond_text(conn, status_code, "application/json",
                               (struct gyr_span){(const char *)bytes, size});
    }
    engine_core_free(core->core, grown, size);
    return err;
}

int gyr_respond_error(struct gyr_conn *conn, unsigned status_code, const char *code,
                      const char *reason, const char *path)
{
    struct http_error error = {
        .code = {code, strlen(code)},
        .reason = {reason, strlen(reason)},
    };
    if (path != NULL) {
        error.path = (struct gyr_span){path, strlen(path)};
        error.has_path = true;
    }
    return gyr_respond_msg(conn, status_code, &http_error_schema, &error);
}
